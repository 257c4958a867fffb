"""The encoder of ANCE and DANCE: RoBERTa, a linear head on slot 0, LayerNorm.

With h = embeddingHead(hidden[:, 0]), LN = ``norm`` and L2(x) = x / max(|x|, 1e-12):
queries LN(h), documents LN(h); under L2 queries L2(LN(h)) and documents L2(h), because
upstream's document side skips the LayerNorm (DANCE, model/models.py:268-288, 408-448).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from anisotropy.encoders.completion import recognize
from anisotropy.encoders.configuration import CONFIG_DEFAULTS, checked_config, read_config
from anisotropy.encoders.keys import (
    Entries,
    KeyReport,
    assumed_text,
    compare_keys,
    infer_shapes,
    needed_shapes,
)
from anisotropy.encoders.last_layer import first_slot_of
from anisotropy.encoders.layouts import UPSTREAM_LAYOUTS, CheckpointFiles
from anisotropy.encoders.recipe import Recipe
from anisotropy.encoders.weights import State, check_finite, read_state_dict
from anisotropy.errors import CheckpointError, UsageError, one_of, reason_of

FIRST_POSITION = 2  # RoBERTa: padding id + 1
MASKED = -10_000.0  # transformers 2.3.0; finite, so a chunk of padding alone has a softmax


class UpstreamModel(nn.Module):
    """Encoder in upstream's layout: its state dict has upstream's names.

    Parameters
    ----------
    config
        Backbone configuration (`CONFIG_SIZES`, and `CONFIG_DEFAULTS` where absent).
    dim
        Size of the vectors; upstream: 768 whatever the backbone.

    Notes
    -----
    Row 1 (``<pad>``) of the word embeddings gets no gradient, as in transformers 2.3.0; row 0,
    which upstream pads with, does.
    """

    def __init__(self, config: Mapping[str, Any], dim: int) -> None:
        super().__init__()
        from transformers import RobertaConfig, RobertaModel

        self.config = checked_config(config)
        backbone = RobertaConfig(**self.config, attn_implementation="sdpa")
        self.roberta = RobertaModel(backbone, add_pooling_layer=False)
        self.embeddingHead = nn.Linear(self.config["hidden_size"], dim)
        self.norm = nn.LayerNorm(dim, eps=1e-5)

    @property
    def dim(self) -> int:
        """Size of the vectors."""
        return self.embeddingHead.out_features

    @property
    def max_tokens(self) -> int:
        """Longest sequence the position embeddings allow."""
        return int(self.config["max_position_embeddings"]) - FIRST_POSITION

    def forward(self, input_ids: Tensor, lengths: Tensor, recipe: Recipe | None = None) -> Tensor:
        """Head output before LayerNorm.

        Parameters
        ----------
        input_ids
            (B, L) integers, padded on the right with any id.
        lengths
            (B,) number of real tokens, or a (B, L) mask that is 1 (True) on them.
        recipe
            Its pooling, positions, mask and head are used; None = upstream's.

        Returns
        -------
        Tensor of shape (B, dim)
        """
        state = self.pooled(input_ids, lengths, recipe)
        if recipe is not None and recipe.head == "none":
            return state
        output: Tensor = self.embeddingHead(state.to(self.embeddingHead.weight.dtype))
        return output

    def pooled(
        self,
        input_ids: Tensor,
        lengths: Tensor,
        recipe: Recipe | None = None,
        *,
        whole: bool = True,
    ) -> Tensor:
        """(B, hidden) state that the head gets: slot 0, or the mean of the real tokens.

        Not `whole` leaves out what no vector passes: the last layer of slots that nobody reads.
        """
        recipe = recipe or Recipe()
        real = _real_tokens(input_ids, lengths)
        if (
            not whole
            and recipe.pooling == "cls"
            and "model" not in (recipe.positions, recipe.mask)
        ):
            return self._first_slot(input_ids, real)
        hidden = self._hidden(input_ids, real, recipe)
        if recipe.pooling == "cls":
            return hidden[:, 0]
        if recipe.pooling != "mean":
            raise UsageError(
                f"pooling of an upstream model: {one_of(recipe.pooling, ('cls', 'mean'))}"
            )
        weight = real.to(hidden.dtype).unsqueeze(-1)
        return (hidden * weight).sum(1) / weight.sum(1).clamp_min(1.0)

    def _hidden(self, input_ids: Tensor, real: Tensor, recipe: Recipe) -> Tensor:
        mask = self._mask(real, recipe.mask)
        if recipe.positions == "model" or recipe.mask == "model":
            length = input_ids.shape[1]
            places = None if recipe.positions == "model" else self._places(length)[None, :]
            output = self.roberta(input_ids, attention_mask=mask, position_ids=places)
        else:
            output = self.roberta.encoder(self._embedded(input_ids), attention_mask=mask)
        hidden: Tensor = output.last_hidden_state
        return hidden

    def _first_slot(self, input_ids: Tensor, real: Tensor) -> Tensor:
        mask = self._mask(real, "upstream")
        hidden = self._embedded(input_ids)
        *layers, last = self.roberta.encoder.layer
        for layer in layers:
            output = layer(hidden, mask)
            hidden = output[0] if isinstance(output, tuple) else output
        return first_slot_of(last, hidden, None if mask is None else mask[:, :, :1])

    def _embedded(self, input_ids: Tensor) -> Tensor:
        """Sum in the order of transformers 2.3.0.

        In a chunk of padding alone, -10000 rounds the scores to thousandths, and the last bit
        that another order changes reaches the vectors (2e-5 instead of 2e-6).
        """
        layer = self.roberta.embeddings
        places = self._places(input_ids.shape[1])
        summed = layer.word_embeddings(input_ids) + layer.position_embeddings(places)
        summed = summed + layer.token_type_embeddings.weight[0]
        embedded: Tensor = layer.dropout(layer.LayerNorm(summed))
        return embedded

    def _places(self, length: int) -> Tensor:
        device = self.embeddingHead.weight.device
        return torch.arange(FIRST_POSITION, FIRST_POSITION + length, device=device)

    def _mask(self, real: Tensor, mask: str) -> Tensor | None:
        if mask == "model":
            return real.long()
        if bool(real.all()):
            return None
        length = real.shape[1]
        dtype = self.roberta.embeddings.word_embeddings.weight.dtype
        additive = (~real).to(dtype) * MASKED
        return additive[:, None, None, :].expand(-1, 1, length, length)

    def keep_layers(self, layers: int, origin: str) -> None:
        """Cut the backbone to its first layers, in place; 0 = all; see `keep_layers`."""
        keep_layers(self.roberta, layers, origin)
        self.config["num_hidden_layers"] = self.roberta.config.num_hidden_layers

    def query(self, head: Tensor, recipe: Recipe) -> Tensor:
        """(B, dim) query vectors from `forward`'s output."""
        return read_head(head, self.norm, recipe, layernorm=True)

    def document(self, head: Tensor, recipe: Recipe) -> Tensor:
        """(B, dim) document vectors from `forward`'s output."""
        return read_head(head, self.norm, recipe, layernorm=recipe.document_layernorm)


def read_head(head: Tensor, norm: nn.Module, recipe: Recipe, *, layernorm: bool) -> Tensor:
    """Vectors of one side from the output of the linear layer.

    Parameters
    ----------
    head
        Shape (B, dim).
    norm
        The LayerNorm; left out where the recipe has no head.
    recipe
        Whether vectors get unit length.
    layernorm
        Whether this side passes the LayerNorm.
    """
    vectors = norm(head) if layernorm and recipe.head != "none" else head
    return _unit(vectors) if recipe.normalize else vectors


def _unit(vectors: Tensor) -> Tensor:
    return functional.normalize(vectors, dim=-1, eps=1e-12)


def keep_layers(backbone: Any, layers: int, origin: str) -> None:
    """Cut a transformers model to its first layers, in place; 0 = all.

    Raises
    ------
    UsageError
        If it has fewer, or its layers cannot be told.
    """
    if not layers:
        return
    config = backbone.config
    total = int(getattr(config, "num_hidden_layers", 0))
    if not 0 < layers <= total:
        raise UsageError(f"start_layers: got {layers}; allowed: 1 to {total}, what {origin} has")
    places = [
        (parent, name, child)
        for parent in backbone.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.ModuleList) and len(child) == total
    ]
    if len(places) != 1:
        raise UsageError(f"start_layers: cannot tell the layers of {origin}; allowed: 0 (all)")
    parent, name, child = places[0]
    setattr(parent, name, child[:layers])
    config.num_hidden_layers = layers
    kinds = getattr(config, "layer_types", None)
    if kinds is not None:
        config.layer_types = list(kinds)[:layers]


def _real_tokens(input_ids: Tensor, lengths: Tensor) -> Tensor:
    if lengths.ndim == 2:
        return lengths.bool()
    slots = torch.arange(input_ids.shape[1], device=input_ids.device)
    return slots[None, :] < lengths[:, None]


def build_model(state: State, config: Mapping[str, Any], path: Path) -> UpstreamModel:
    """Upstream model whose every tensor comes from `state`, in float32 and evaluation mode.

    Raises
    ------
    CheckpointError
        If a tensor is missing, unexpected, of another shape, or not finite.
    """
    model = _meta_model(config, _dim(state), path)
    report = compare_keys(state, needed_shapes(model))
    if problem := report.problem():
        raise CheckpointError(f"{path}: {problem}")
    check_finite(state, report.used, path)
    tensors = {key: state[key].to(torch.float32).contiguous() for key in report.used}
    model.load_state_dict(tensors, strict=True, assign=True)
    _restore_buffers(model)
    return model.requires_grad_(True).eval()


def _dim(state: Mapping[str, Any]) -> int:
    head = state.get("embeddingHead.weight")
    return int(head.shape[0]) if head is not None and len(head.shape) == 2 else 768


def report_keys(state: Entries, config: Mapping[str, Any], path: Path) -> KeyReport:
    """Sort the tensors of a file against what an encoder of this configuration needs."""
    return compare_keys(state, needed_shapes(_meta_model(config, _dim(state), path)))


def _meta_model(config: Mapping[str, Any], dim: int, path: Path) -> UpstreamModel:
    try:
        with torch.device("meta"):
            return UpstreamModel(config, dim)
    except CheckpointError:
        raise
    except Exception as error:  # transformers refuses a value
        reason = reason_of(error)
        raise CheckpointError(f"{path}: config.json is not usable ({reason})") from None


def _restore_buffers(model: UpstreamModel) -> None:
    """Give the embeddings' buffers, which no file holds, real memory."""
    embeddings = model.roberta.embeddings
    places = torch.arange(model.config["max_position_embeddings"]).expand((1, -1))
    embeddings.position_ids = places
    embeddings.token_type_ids = torch.zeros_like(places)


def load_model(source: str | Path, **options: Any) -> tuple[UpstreamModel, dict[str, Any]]:
    """Model and configuration of an upstream checkpoint, to go on training it.

    Parameters
    ----------
    source
        Anything of the upstream layouts that `open_encoder` takes.
    options
        `tokenizer` and `backbone`, as for `open_encoder`.

    Raises
    ------
    CheckpointError
        If it is another layout, or a tensor is missing, unexpected or not finite.
    """
    files = recognize(source, **options)
    if files.layout not in UPSTREAM_LAYOUTS or files.weights is None:
        raise CheckpointError(f"{source}: got a {files.layout} model; allowed: upstream layouts")
    state = read_state_dict(files.weights)
    model = build_model(state, backbone_config(files, state), files.weights)
    return model, dict(model.config)


def backbone_config(files: CheckpointFiles, state: Mapping[str, Any]) -> dict[str, Any]:
    """Read the backbone configuration of a checkpoint; an error says what the shapes give."""
    if files.config is None:
        raise CheckpointError(
            f"{files.origin}: no backbone configuration beside it or in the local Hugging Face "
            f"cache: give --backbone and --tokenizer; {assumed_text(infer_shapes(state))}"
        )
    return read_config(files.config)


def new_roberta(
    vocab_size: int,
    *,
    hidden_size: int = 128,
    layers: int = 2,
    heads: int = 2,
    intermediate_size: int = 512,
    positions: int = 514,
    dim: int | None = None,
    dropout: float = 0.1,
    head: str = "identity",
    seed: int = 0,
) -> UpstreamModel:
    """Fresh encoder: weights N(0, 0.02), biases 0, LayerNorms 1 and 0.

    Parameters
    ----------
    vocab_size, hidden_size, layers, heads, intermediate_size
        Sizes of the backbone.
    positions
        Rows of the position embeddings: the longest sequence plus 2.
    dim
        Size of the vectors; default `hidden_size`.
    dropout
        Of hidden states and attention, in 0..1.
    head
        ``identity`` (the linear head starts as the identity matrix) or ``normal``.
    seed
        The same seed gives the same weights; no global random state is used.

    Returns
    -------
    UpstreamModel
        In float32 and training mode.
    """
    config = {
        **CONFIG_DEFAULTS,
        "vocab_size": vocab_size,
        "hidden_size": hidden_size,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": intermediate_size,
        "max_position_embeddings": positions,
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": dropout,
    }
    if head not in ("identity", "normal"):
        raise UsageError(f"head: {one_of(head, ('identity', 'normal'))}")
    with torch.device("meta"):
        model = UpstreamModel(config, dim or hidden_size)
    model.to_empty(device="cpu")
    _restore_buffers(model)
    _initialize(model, seed)
    if head == "identity":
        with torch.no_grad():
            nn.init.eye_(model.embeddingHead.weight)
    return model.train()


def _initialize(model: UpstreamModel, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif "LayerNorm" in name or name.startswith("norm."):
                parameter.fill_(1.0)
            else:
                parameter.normal_(0.0, model.config["initializer_range"], generator=generator)
