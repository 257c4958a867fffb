"""Texts of the items, from the spaces or their collection."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from anisotropy.errors import CollectionError
from anisotropy.explorer.data import DOCUMENT, QUERY
from anisotropy.explorer.numbering import Numbering
from anisotropy.spaces.pairs import texts_of_queries

if TYPE_CHECKING:
    from anisotropy.spaces import EmbeddingSpace


def texts_of(
    spaces: Sequence[EmbeddingSpace], items: Numbering, ids: tuple[Sequence[str], Sequence[str]]
) -> tuple[str | None, ...]:
    """Text of each item, from the first space that knows texts of its side; None where unknown."""
    texts = np.empty(len(items), dtype=object)
    for side, read in ((QUERY, texts_of_queries), (DOCUMENT, document_texts)):
        mine = np.flatnonzero(items.sides == side)
        texts[mine] = read(spaces, [ids[side][at] for at in items.positions[mine]])
    return tuple(texts)


def document_texts(spaces: Sequence[EmbeddingSpace], ids: Sequence[str]) -> list[str | None]:
    """Title and text of each document, from the first space that knows texts."""
    for space in spaces:
        if space.doc_texts is not None:
            known = dict(zip(space.doc_ids, space.doc_texts, strict=True))
            return [known.get(name) for name in ids]
        if space.collection is not None and space.collection.has_texts:
            with contextlib.suppress(CollectionError):
                found = space.collection.texts(ids)
                return [_titled(found[name].title, found[name].text) for name in ids]
    return [None] * len(ids)


def _titled(title: str, text: str) -> str:
    return " — ".join(part for part in (title.strip(), text.strip()) if part)


def one_line(text: str) -> str:
    """`text` without line breaks and repeated blanks."""
    return " ".join(text.split())


def cut(line: str, length: int) -> str:
    """`line`, or its beginning and an ellipsis where it is longer than `length`."""
    if len(line) <= length:
        return line
    return line[: length - 1].rstrip() + "…" if length > 0 else ""
