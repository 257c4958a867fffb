"""Small pairs of spaces for the explorer, and its JSON read back."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np

from anisotropy.spaces import EmbeddingSpace
from tests.measures.making import remade, space

EVIL = "<script>alert(1)</script>"
_TYPES = {"u8": "<u1", "u16": "<u2", "i32": "<i4", "f32": "<f4"}


def texts_of(word: str, ids: list[str]) -> list[str]:
    return [f"{word} number {name[1:]} tells of {'pears' if int(name[1:]) % 3 else 'plums'}"
            for name in ids]  # fmt: skip


def pair(
    n_queries: int = 40, n_documents: int = 90, similarity: str = "cosine", **options: Any
) -> tuple[EmbeddingSpace, EmbeddingSpace]:
    """Two spaces of the same texts, those of the second in another order and moved."""
    a = space(n_queries, n_documents, label="first", similarity=similarity, **options)
    a.query_texts = texts_of("question", a.query_ids)
    a.doc_texts = texts_of("document", a.doc_ids)
    a.doc_texts[0] = EVIL
    rng = np.random.default_rng(5)
    queries, documents = rng.permutation(n_queries), rng.permutation(n_documents)
    b = remade(
        a,
        (a.queries + 0.25 * rng.normal(size=a.queries.shape))[queries],
        (a.documents + 0.25 * rng.normal(size=a.documents.shape))[documents],
        query_ids=[a.query_ids[i] for i in queries],
        doc_ids=[a.doc_ids[i] for i in documents],
        label="second",
    )
    return a, b


def read_back(text: str) -> dict[str, Any]:
    """The content with its arrays, as the page has it."""

    def made(value: dict[str, Any]) -> Any:
        if set(value) == {"t", "b"}:
            return np.frombuffer(base64.b64decode(value["b"]), dtype=_TYPES[value["t"]])
        return value

    content: dict[str, Any] = json.loads(text, object_hook=made)
    return content
