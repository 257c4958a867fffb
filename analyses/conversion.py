"""An upstream-layout encoder as a SentenceTransformer, to go through somebody else's trainer.

Same token ids, same vectors (float32 rounding apart), same tensors under gradient descent: so what
that trainer makes of an encoder can be compared with what our own makes of it.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from anisotropy.encoders import Recipe
from anisotropy.encoders.to_sentence_transformers import write_loose
from anisotropy.encoders.upstream_modules import upstream_modules

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from anisotropy.training import UpstreamTrainable


def as_sentence_transformer(
    trainable: UpstreamTrainable, *, similarity: str | None = None
) -> SentenceTransformer:
    """Convert an encoder in memory; see `upstream_modules`.

    Parameters
    ----------
    trainable
        Upstream's layout with one vector a document.
    similarity
        ``cosine``, ``dot`` or ``euclidean``; None takes the recipe's.
    """
    return upstream_modules(
        trainable.model, trainable.tokenizer, trainable.recipe, similarity=similarity
    )


def bare(recipe: Recipe) -> Recipe:
    """Return the recipe without prompts, which the model itself puts in front of texts."""
    return dataclasses.replace(recipe, query_prompt="", document_prompt="")


def write_recipe(folder: Path, recipe: Recipe) -> None:
    """Put beside the modules what they do not hold of a recipe: how texts are made."""
    write_loose(folder, recipe)
