"""Token lists of queries and documents: made from texts, or taken as a source gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from anisotropy.encoders.recipe import Recipe
from anisotropy.encoders.texts import document_text, query_text
from anisotropy.encoders.tokenization import UpstreamTokenizer
from anisotropy.errors import CollectionError

if TYPE_CHECKING:
    from anisotropy.collection import Document, Query


def upstream_tokens(
    tokenizer: UpstreamTokenizer,
    side: str,
    items: Sequence[Query] | Sequence[Document],
    recipe: Recipe,
) -> list[list[int]]:
    """Token ids of items, special tokens included, cut to the recipe's length.

    Parameters
    ----------
    tokenizer
        Of the checkpoint.
    side
        ``queries`` or ``documents``.
    items
        With texts, or with token ids (see `Document.tokens`), which are only cut.
    recipe
        Its fields, prompts and lengths are used; of token ids the length alone.

    Raises
    ------
    CollectionError
        If token ids are not framed by the tokens that this tokenizer frames texts with.
    """
    limit = recipe.max_length(side)
    if any(item.tokens is not None for item in items):
        return [_given(item, tokenizer, limit) for item in items]
    make: Any = query_text if side == "queries" else document_text
    return tokenizer.encode([make(item, recipe) for item in items], limit, recipe.lowercase)


def cut_tokens(tokens: Sequence[int], limit: int) -> list[int]:
    """Cut a list as upstream's truncation does: from the end, the closing token kept."""
    return list(tokens) if len(tokens) <= limit else [*tokens[: limit - 1], tokens[-1]]


def _given(item: Any, tokenizer: UpstreamTokenizer, limit: int) -> list[int]:
    name = getattr(item, "doc_id", "") or getattr(item, "query_id", "")
    if item.tokens is None:
        raise CollectionError(f"{name!r} has a text, others token ids; needed: one of the two")
    frame = (item.tokens[0], item.tokens[-1]) if item.tokens else ()
    if frame != (tokenizer.start, tokenizer.end):
        raise CollectionError(
            f"token ids of {name!r} are framed by {frame}, those of this checkpoint by "
            f"{(tokenizer.start, tokenizer.end)}: made by another tokenizer"
        )
    return cut_tokens(item.tokens, limit)
