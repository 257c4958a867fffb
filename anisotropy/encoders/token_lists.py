"""Token lists of queries and documents: made from texts, or taken as a source gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from anisotropy.encoders.recipe import Recipe
from anisotropy.encoders.texts import document_text, query_text, valid_text
from anisotropy.encoders.tokenization import UpstreamTokenizer
from anisotropy.encoders.wordpiece import WordPieceTokenizer, kept_lengths
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
    if have_tokens(items):
        return given_tokens(items, (tokenizer.start, tokenizer.end), limit)
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
        As for `upstream_tokens`.
    """
    limit = recipe.max_length(side)
    if have_tokens(items):
        frame = (tokenizer.start, tokenizer.end)
        return given_tokens(items, frame, limit, pairs=side == "documents")
    texts: Sequence[Any] = items
    if side == "queries":
        asked = [query_text(item, recipe) for item in texts]
        return tokenizer.encode(asked, limit, recipe.lowercase)
    if "title" not in recipe.fields:
        found = [document_text(item, recipe) for item in texts]
        return tokenizer.encode(found, limit, recipe.lowercase)
    titles = [recipe.document_prompt + valid_text(item.title) for item in texts]
    return tokenizer.encode_pairs(titles, [item.text for item in texts], limit, recipe.lowercase)


def have_tokens(items: Sequence[Query] | Sequence[Document]) -> bool:
    """Whether items come with token ids."""
    return any(item.tokens is not None for item in items)


def given_tokens(
    items: Sequence[Query] | Sequence[Document],
    frame: tuple[int, int],
    limit: int,
    *,
    pairs: bool = False,
) -> list[list[int]]:
    """Token ids as a source gives them, cut to a length.

    Parameters
    ----------
    items
        All with token ids.
    frame
        Ids that this checkpoint's tokenizer begins and ends texts with.
    limit
        Maximum number of ids.
    pairs
        Records may be pairs, with the end id between them too, which are cut as BERT cuts pairs.

    Raises
    ------
    CollectionError
        If an item has a text, or its ids are not framed so.
    """
    cut = cut_pair if pairs else cut_tokens
    return [cut(_framed(item, frame), limit) for item in items]


def cut_tokens(tokens: Sequence[int], limit: int) -> list[int]:
    """Cut a list as upstream's truncation does: from the end, the closing token kept."""
    return list(tokens) if len(tokens) <= limit else [*tokens[: limit - 1], tokens[-1]]


def cut_pair(tokens: Sequence[int], limit: int) -> list[int]:
    """Cut a pair piece by piece at the end of its longer part, of the second of equal ones.

    The end id closes both parts; a list without one inside is a single text.
    """
    start, *inner, end = tokens
    if len(tokens) <= limit or end not in inner:
        return cut_tokens(tokens, limit)
    middle = inner.index(end)
    first, second = inner[:middle], inner[middle + 1 :]
    a, b = kept_lengths(len(first), len(second), max(limit - 3, 0))
    return [start, *first[:a], end, *second[:b], end]


def _framed(item: Any, frame: tuple[int, int]) -> tuple[int, ...]:
    name = getattr(item, "doc_id", "") or getattr(item, "query_id", "")
    if item.tokens is None:
        raise CollectionError(f"{name!r} has a text, others token ids; needed: one of the two")
    tokens: tuple[int, ...] = item.tokens
    own = (tokens[0], tokens[-1]) if len(tokens) > 1 else tokens
    if own != frame:
        raise CollectionError(
            f"token ids of {name!r} are framed by {own}, those of this checkpoint by {frame}: "
            "made by another tokenizer"
        )
    return tokens
