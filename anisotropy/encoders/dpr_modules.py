"""A DPR bi-encoder made of sentence-transformers' own modules: a backbone for each side.

Slot 0 of each; token types are 0, as upstream never passes others. The library gets one text for
a document: its title in front with a literal ``[SEP]`` between, which the tokenizer knows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from anisotropy.encoders.dpr import DprModel
from anisotropy.encoders.recipe import Recipe
from anisotropy.encoders.upstream_modules import save_bert
from anisotropy.encoders.wordpiece import SPECIALS, WordPieceTokenizer
from anisotropy.errors import CheckpointError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_ROLES = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
#: Route of the library -> model of upstream.
ROUTES = {"query": "question_model", "document": "ctx_model"}


def dpr_modules(
    model: DprModel,
    tokenizer: WordPieceTokenizer,
    recipe: Recipe,
    unused: Mapping[str, torch.Tensor],
) -> SentenceTransformer:
    """Convert a bi-encoder in memory; its weights are copied.

    Parameters
    ----------
    model, tokenizer, recipe
        Of a DPR bi-encoder.
    unused
        Tensors of the file that no vector passes; poolers among them go along.

    Raises
    ------
    CheckpointError
        If the vocabulary lacks one of BERT's five special strings.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Router

    if missing := [name for name in SPECIALS if name not in tokenizer.vocabulary]:
        raise CheckpointError(
            f"{tokenizer.origin}: the vocabulary has no {missing[0]!r}; needed: "
            + ", ".join(SPECIALS)
        )
    lengths = {"query": recipe.max_query_length, "document": recipe.max_document_length}
    routes = {
        route: _side(model, name, tokenizer, recipe, lengths[route], unused)
        for route, name in ROUTES.items()
    }
    # Without a task the library would take the document's route in silence.
    router = Router(routes, default_route=None, allow_empty_key=False)
    return SentenceTransformer(
        modules=[router],
        prompts={"query": recipe.query_prompt, "document": recipe.document_prompt},
        similarity_fn_name=recipe.similarity,
        device="cpu",
    )


def _side(
    model: DprModel,
    name: str,
    tokenizer: WordPieceTokenizer,
    recipe: Recipe,
    length: int,
    unused: Mapping[str, torch.Tensor],
) -> list[Any]:
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    state = {key: tensor.clone() for key, tensor in getattr(model, name).state_dict().items()}
    start = f"{name}.pooler."
    for key, tensor in unused.items():
        if key.startswith(start):
            state[key.removeprefix(f"{name}.")] = tensor.float().clone()
    pooler = any(key.startswith("pooler.") for key in state)
    with tempfile.TemporaryDirectory() as scratch:
        padding = {"pad_token_id": tokenizer.vocabulary["[PAD]"]}
        save_bert(Path(scratch), state, {**model.config, **padding})
        _fast_tokenizer(tokenizer, recipe, length).save_pretrained(scratch)
        backbone = Transformer(
            scratch, model_kwargs={} if pooler else {"add_pooling_layer": False}
        )
    return [backbone, Pooling(model.dim, "cls"), *([Normalize()] if recipe.normalize else [])]


def _fast_tokenizer(tokenizer: WordPieceTokenizer, recipe: Recipe, length: int) -> Any:
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    inner = tokenizer.library(recipe.lowercase)
    ends = [(name, tokenizer.vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    inner.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=ends)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        model_max_length=length,
        **{f"{role}_token": token for role, token in _ROLES.items()},
    )
