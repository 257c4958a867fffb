"""Token lists of queries and documents: made from texts, or taken as a source gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from anisotropy.encoders.recipe import Recipe
from anisotropy.encoders.texts import document_text, query_text
from anisotropy.encoders.tokenization import UpstreamTokenizer
from anisotropy.encoders.wordpiece import WordPieceTokenizer
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
    given = given_tokens(tokenizer, items)
    if given is not None:
        return [cut_tokens(ids, limit) for ids in given]
    make: Any = query_text if side == "queries" else document_text
    return tokenizer.encode([make(item, recipe) for item in items], limit, recipe.lowercase)


def pair_tokens(
    tokenizer: WordPieceTokenizer,
    side: str,
    items: Sequence[Query] | Sequence[Document],
    recipe: Recipe,
) -> list[list[int]]:
    """Token ids of DPR's items: queries alone, documents as pairs of title and text.

    Parameters
    ----------
    tokenizer, side, items, recipe
        As for `upstream_tokens`.

    Raises
    ------
    CollectionError
        As for `upstream_tokens`, or if given token ids of a document are longer than the recipe's
        length: where its parts meet, and so what to cut, cannot be told.
    """
    limit = recipe.max_length(side)
    given = given_tokens(tokenizer, items)
    if given is not None and side == "queries":
        return [cut_tokens(ids, limit) for ids in given]
    if given is not None:
        longest = max(map(len, given), default=0)
        if longest > limit:
            raise CollectionError(
                f"documents have up to {longest} token ids, the recipe allows {limit}, and pairs "
                "of token ids are not cut; give the folder of texts that they were made from"
            )
        return given
    texts: Sequence[Any] = items
    if side == "queries":
        asked = [query_text(item, recipe) for item in texts]
        return tokenizer.encode(asked, limit, recipe.lowercase)
    if "title" not in recipe.fields:
        found = [document_text(item, recipe) for item in texts]
        return tokenizer.encode(found, limit, recipe.lowercase)
    titles = [recipe.document_prompt + item.title for item in texts]
    return tokenizer.encode_pairs(titles, [item.text for item in texts], limit, recipe.lowercase)


def given_tokens(
    tokenizer: UpstreamTokenizer | WordPieceTokenizer,
    items: Sequence[Query] | Sequence[Document],
) -> list[list[int]] | None:
    """Token ids that items come with; None where they have texts.

    Raises
    ------
    CollectionError
        If only some have them, or another tokenizer made them.
    """
    if not any(item.tokens is not None for item in items):
        return None
    return [_given(item, tokenizer) for item in items]


def cut_tokens(tokens: Sequence[int], limit: int) -> list[int]:
    """Cut a list as upstream's truncation does: from the end, the closing token kept."""
    return list(tokens) if len(tokens) <= limit else [*tokens[: limit - 1], tokens[-1]]


def _given(item: Any, tokenizer: UpstreamTokenizer | WordPieceTokenizer) -> list[int]:
    name = getattr(item, "doc_id", "") or getattr(item, "query_id", "")
    if item.tokens is None:
        raise CollectionError(f"{name!r} has a text, others token ids; needed: one of the two")
    frame = (item.tokens[0], item.tokens[-1]) if item.tokens else ()
    if frame != (tokenizer.start, tokenizer.end):
        raise CollectionError(
            f"token ids of {name!r} are framed by {frame}, those of this checkpoint by "
            f"{(tokenizer.start, tokenizer.end)}: made by another tokenizer"
        )
    return list(item.tokens)
