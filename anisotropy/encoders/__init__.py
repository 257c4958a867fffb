"""Checkpoints in, embeddings out: an `Encoder` and the `Recipe` it follows.

Importing this package loads neither torch nor transformers; opening an encoder reads only small
files. The weights are loaded at the first ``encode_tokens``, ``dim`` or ``load``.

For training (these load torch when first touched)::

    model = new_roberta(vocab_size=8000, hidden_size=128, layers=2, heads=2,
                        intermediate_size=512, positions=64, seed=0)     # UpstreamModel
    model, config = load_model("ance.ckpt")            # UpstreamModel in float32, and its config
    head = model(input_ids, lengths)                   # (B, L), (B,) -> (B, dim), before LayerNorm
    q = model.query(head, recipe)                      # LayerNorm, and L2 where recipe.normalize
    d = model.document(head, recipe)                   # without LayerNorm where upstream skips it
    tokenizer = open_tokenizer("ance.ckpt")            # ids = tokenizer.encode(texts, max_length)
    save_checkpoint("out.ckpt", model, recipe=recipe, tokenizer=tokenizer, training={...})
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from anisotropy.encoders.encoder import Encoder
from anisotropy.encoders.folders import check_target
from anisotropy.encoders.opening import describe_checkpoint, open_encoder, open_tokenizer
from anisotropy.encoders.recipe import RECIPE_NAMES, Recipe, load_recipe, named_recipe

if TYPE_CHECKING:
    from anisotropy.encoders.saving import save_checkpoint
    from anisotropy.encoders.upstream import UpstreamModel, load_model, new_roberta

__all__ = [
    "RECIPE_NAMES",
    "Encoder",
    "Recipe",
    "UpstreamModel",
    "check_target",
    "describe_checkpoint",
    "load_model",
    "load_recipe",
    "named_recipe",
    "new_roberta",
    "open_encoder",
    "open_tokenizer",
    "save_checkpoint",
]

_LAZY = {
    "UpstreamModel": "anisotropy.encoders.upstream",
    "load_model": "anisotropy.encoders.upstream",
    "new_roberta": "anisotropy.encoders.upstream",
    "save_checkpoint": "anisotropy.encoders.saving",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
