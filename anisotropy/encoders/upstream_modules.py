"""An upstream encoder made of sentence-transformers' own modules: same ids, same vectors.

RoBERTa's backbone stands there as a BERT, whose positions count from 0 and know no padding: that
is what transformers 2.3.0 does with RoBERTa. The two rows of position embeddings that no token has
are left out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from anisotropy.encoders.library_tokenizer import fast_tokenizer
from anisotropy.encoders.recipe import Recipe
from anisotropy.encoders.tokenization import UpstreamTokenizer
from anisotropy.encoders.upstream import FIRST_POSITION, UpstreamModel
from anisotropy.encoders.weights import State
from anisotropy.errors import CheckpointError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

BACKBONE = "roberta."
PLACES = "embeddings.position_embeddings.weight"


def upstream_modules(
    model: UpstreamModel,
    tokenizer: UpstreamTokenizer,
    recipe: Recipe,
    *,
    similarity: str | None = None,
    pooler: Mapping[str, torch.Tensor] | None = None,
) -> SentenceTransformer:
    """Convert an encoder in memory; its weights are copied.

    Parameters
    ----------
    model, tokenizer
        Of upstream's layout.
    recipe
        With one vector a document. Its head, lengths, lower-casing, prompts and similarity go
        along; how a document's fields are joined does not.
    similarity
        ``cosine``, ``dot`` or ``euclidean``; None takes the recipe's.
    pooler
        ``dense.weight`` and ``dense.bias`` to go along; None = the backbone has no pooler.

    Returns
    -------
    SentenceTransformer
        On the CPU. ``encode_query`` and ``encode_document`` give the encoder's vectors of texts
        that `query_text` and `document_text` made without prompts.

    Raises
    ------
    CheckpointError
        If the vocabulary lacks one of the five special strings, or the recipe does what these
        modules cannot: several vectors a document, documents without both LayerNorm and L2.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    check_expressible(recipe)
    longest = max(recipe.max_query_length, recipe.max_document_length)
    with tempfile.TemporaryDirectory() as scratch:
        _write_backbone(Path(scratch), model, tokenizer, pooler)
        fast = fast_tokenizer(tokenizer, lowercase=recipe.lowercase, max_length=longest)
        fast.save_pretrained(scratch)
        backbone = Transformer(
            scratch,
            model_kwargs={} if pooler else {"add_pooling_layer": False},
            query_length=recipe.max_query_length,
            document_length=recipe.max_document_length,
        )
    head = model.embeddingHead
    with torch.random.fork_rng(devices=[]):  # Dense draws weights, which are replaced
        dense = Dense(
            head.in_features,
            head.out_features,
            activation_function=torch.nn.Identity(),
            init_weight=head.weight.detach().clone(),
            init_bias=head.bias.detach().clone(),
        )
    pooling = Pooling(head.in_features, recipe.pooling)
    return SentenceTransformer(
        modules=[backbone, pooling, dense, *_ending(model, recipe)],
        prompts={"query": recipe.query_prompt, "document": recipe.document_prompt},
        similarity_fn_name=similarity or recipe.similarity,
        device="cpu",
    )


def check_expressible(recipe: Recipe) -> None:
    """Refuse a recipe that sentence-transformers' modules cannot follow.

    Raises
    ------
    CheckpointError
        Naming the part.
    """
    if recipe.chunk_length:
        raise CheckpointError(
            f"chunk_length: got {recipe.chunk_length} (MaxP, {recipe.chunks} vectors a document), "
            "which sentence-transformers cannot express; allowed: one vector a document (--recipe "
            f"{_first_part(recipe)} converts the same weights to it, which is another model)"
        )
    if recipe.head != "linear_layernorm":
        raise CheckpointError(f"head: got {recipe.head!r}; allowed here: linear_layernorm")
    if not (recipe.document_layernorm or recipe.normalize):
        raise CheckpointError(
            "document_layernorm: got False without normalize; allowed: both, or True"
        )


def _first_part(recipe: Recipe) -> str:
    """Name of the recipe with one vector a document and the same head."""
    return "dance" if recipe.normalize else "ance"


def _ending(model: UpstreamModel, recipe: Recipe) -> list[Any]:
    """LayerNorm and L2, by sides where the recipe treats them differently."""
    from sentence_transformers.base.modules import Normalize, Router
    from sentence_transformers.sentence_transformer.modules import LayerNorm

    norm = LayerNorm(model.dim)
    norm.norm.load_state_dict(model.norm.state_dict())
    unit = [Normalize()] if recipe.normalize else []
    if recipe.document_layernorm:
        return [norm, *unit]
    routes = {"query": [norm, *unit], "document": unit}
    # Without a task the library would take the document's route in silence.
    return [Router(routes, default_route=None, allow_empty_key=False)]


def _write_backbone(
    folder: Path,
    model: UpstreamModel,
    tokenizer: UpstreamTokenizer,
    pooler: Mapping[str, torch.Tensor] | None,
) -> None:
    state = {
        name.removeprefix(BACKBONE): tensor.detach().clone()
        for name, tensor in model.state_dict().items()
        if name.startswith(BACKBONE)
    }
    state |= {f"pooler.{name}": tensor.float().clone() for name, tensor in (pooler or {}).items()}
    state[PLACES] = state[PLACES][FIRST_POSITION:].clone()
    values = {key: value for key, value in model.config.items() if key != "model_type"}
    values |= {"max_position_embeddings": len(state[PLACES]), "pad_token_id": 1}
    ends = {"bos_token_id": tokenizer.start, "eos_token_id": tokenizer.end}
    save_bert(folder, state, values | ends)


def save_bert(folder: Path, state: State, values: Mapping[str, Any]) -> None:
    """Write a BertModel folder; with a pooler where `state` has one, and nothing drawn at random.

    Parameters
    ----------
    folder
        Where.
    state
        Every tensor, by the names of BertModel.
    values
        Of its configuration.
    """
    from transformers import BertConfig, BertModel

    pooler = any(name.startswith("pooler.") for name in state)
    with torch.device("meta"):  # every tensor comes from `state`
        bert = BertModel(BertConfig(**values), add_pooling_layer=pooler)
    bert.load_state_dict(state, strict=True, assign=True)
    bert.save_pretrained(folder)
