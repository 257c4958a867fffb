"""DPR bi-encoders: one BERT for questions, one for contexts, slot 0 of each, nothing on top.

Upstream keeps both in one file (``question_model.*``, ``ctx_model.*``); transformers in a folder
each (``question_encoder.bert_model.*``, ``ctx_encoder.bert_model.*``), which are renamed to the
former here. Token types are never passed, and the padding id is masked wherever it stands, as in
the ANCE and DANCE code (models.py, DPR_data.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from anisotropy.encoders.configuration import BERT_DEFAULTS, checked_config, read_config
from anisotropy.encoders.keys import Entries, KeyReport, compare_keys, needed_shapes
from anisotropy.encoders.layouts import CheckpointFiles
from anisotropy.encoders.recipe import Recipe
from anisotropy.encoders.weights import State, check_finite, read_entries, tensor_of
from anisotropy.errors import CheckpointError, reason_of

_MODELS = {"queries": "question_model", "documents": "ctx_model"}
_RENAMED = {
    "question_encoder.bert_model.": "question_model.",
    "ctx_encoder.bert_model.": "ctx_model.",
}


class DprModel(nn.Module):
    """Question and context encoder; the state dict has upstream's names.

    Parameters
    ----------
    config
        Of both BERT models (`CONFIG_SIZES`, and `BERT_DEFAULTS` where absent).
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        from transformers import BertConfig, BertModel

        self.config = checked_config(config, BERT_DEFAULTS)
        backbone = BertConfig(**self.config, attn_implementation="sdpa")
        self.question_model = BertModel(backbone, add_pooling_layer=False)
        self.ctx_model = BertModel(backbone, add_pooling_layer=False)

    @property
    def dim(self) -> int:
        """Size of the vectors."""
        return int(self.config["hidden_size"])

    @property
    def max_tokens(self) -> int:
        """Longest sequence the position embeddings allow."""
        return int(self.config["max_position_embeddings"])

    def forward(self, side: str, input_ids: Tensor, recipe: Recipe) -> Tensor:
        """Vectors of one side.

        Parameters
        ----------
        side
            ``queries`` or ``documents``.
        input_ids
            (B, L) integers; what is the recipe's padding id is masked.
        recipe
            Whether vectors get unit length.

        Returns
        -------
        Tensor of shape (B, dim)
        """
        model = getattr(self, _MODELS[side])
        real = (input_ids != recipe.pad_token_id).long()
        vectors: Tensor = model(input_ids, attention_mask=real).last_hidden_state[:, 0].float()
        return functional.normalize(vectors, dim=-1, eps=1e-12) if recipe.normalize else vectors


def read_dpr_state(files: CheckpointFiles) -> State:
    """Read both encoders' tensors under upstream's names; see `read_dpr_entries`."""
    return {key: tensor_of(entry) for key, entry in read_dpr_entries(files).items()}


def read_dpr_entries(files: CheckpointFiles) -> Entries:
    """Find both encoders' tensors under upstream's names.

    Raises
    ------
    CheckpointError
        If a file cannot be read.
    """
    if files.weights is None:
        raise CheckpointError(f"{files.origin}: the weights are missing")
    if files.context is None:
        return read_entries(files.weights)
    found: Entries = {}
    for path in (files.weights, files.context):
        found |= {_upstream_name(key): entry for key, entry in read_entries(path).items()}
    return found


def _upstream_name(key: str) -> str:
    for prefix, name in _RENAMED.items():
        if key.startswith(prefix):
            return name + key.removeprefix(prefix)
    return key


def dpr_config(files: CheckpointFiles) -> dict[str, Any]:
    """Read the configuration of both BERT models.

    Raises
    ------
    CheckpointError
        If there is none, or the two of a pair of folders differ.
    """
    if files.config is None:
        raise CheckpointError(f"{files.origin}: no backbone configuration; give --backbone")
    config = read_config(files.config, BERT_DEFAULTS)
    if files.context is None:
        return config
    other = read_config(files.context.parent / "config.json", BERT_DEFAULTS)
    different = [key for key in config if config[key] != other[key]]
    if different:
        key = different[0]
        raise CheckpointError(
            f"{files.origin}: the question encoder has {key} {config[key]}, the context encoder "
            f"{other[key]}; allowed: two of one configuration"
        )
    return config


def build_dpr(state: State, config: Mapping[str, Any], origin: str) -> DprModel:
    """Both encoders, every tensor from `state`, in float32 and evaluation mode.

    Raises
    ------
    CheckpointError
        If a tensor is missing, unexpected, of another shape, or not finite.
    """
    model = _meta_model(config, origin)
    report = compare_keys(state, needed_shapes(model))
    if problem := report.problem():
        raise CheckpointError(f"{origin}: {problem}")
    check_finite(state, report.used, origin)
    tensors = {key: state[key].to(torch.float32).contiguous() for key in report.used}
    model.load_state_dict(tensors, strict=True, assign=True)
    _restore_buffers(model)
    return model.requires_grad_(False).eval()


def report_dpr_keys(state: Entries, config: Mapping[str, Any], origin: str) -> KeyReport:
    """Sort the tensors of a file against what both encoders of this configuration need."""
    return compare_keys(state, needed_shapes(_meta_model(config, origin)))


def _meta_model(config: Mapping[str, Any], origin: str) -> DprModel:
    try:
        with torch.device("meta"):
            return DprModel(config)
    except CheckpointError:
        raise
    except Exception as error:  # transformers refuses a value
        reason = reason_of(error)
        raise CheckpointError(f"{origin}: config.json is not usable ({reason})") from None


def _restore_buffers(model: DprModel) -> None:
    """Give the embeddings' buffers, which no file holds, real memory."""
    for backbone in (model.question_model, model.ctx_model):
        places = torch.arange(model.max_tokens).expand((1, -1))
        backbone.embeddings.position_ids = places
        backbone.embeddings.token_type_ids = torch.zeros_like(places)
