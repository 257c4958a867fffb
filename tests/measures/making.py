"""Small spaces with known geometry."""

from __future__ import annotations

from typing import Any

import numpy as np

from anisotropy.spaces import EmbeddingSpace


def cone(n: int, dim: int, lean: float, seed: int) -> np.ndarray:
    """Rows of N(0, I/dim) plus `lean` on one axis."""
    rows = np.random.default_rng(seed).standard_normal((n, dim)) / np.sqrt(dim)
    rows[:, 0] += lean
    return rows


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def space(
    n_queries: int = 60,
    n_documents: int = 150,
    dim: int = 8,
    *,
    seed: int = 0,
    lean: float = 0.5,
    noise: float = 0.7,
    positives: int = 2,
    dtype: Any = np.float64,
    **options: Any,
) -> EmbeddingSpace:
    """Queries near the mean of their positives, graded 1 and 2."""
    rng = np.random.default_rng(seed)
    documents = cone(n_documents, dim, lean, seed)
    chosen = [rng.choice(n_documents, positives, replace=False) for _ in range(n_queries)]
    queries = np.array([documents[c].mean(axis=0) for c in chosen])
    queries += noise * rng.standard_normal(queries.shape) / np.sqrt(dim)
    qrels = {
        f"q{i}": {f"d{d}": 1 + int(rank == 0) for rank, d in enumerate(c)}
        for i, c in enumerate(chosen)
    }
    settings: dict[str, Any] = {
        "query_ids": [f"q{i}" for i in range(n_queries)],
        "doc_ids": [f"d{i}" for i in range(n_documents)],
        "qrels": qrels,
        "label": "made",
    }
    return EmbeddingSpace(queries.astype(dtype), documents.astype(dtype), **(settings | options))


def rotation(dim: int, seed: int = 0) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((dim, dim)))[0]


def remade(old: EmbeddingSpace, queries: Any, documents: Any, **changed: Any) -> EmbeddingSpace:
    """The same ids and judgments with other vectors."""
    settings: dict[str, Any] = {
        "query_ids": old.query_ids,
        "doc_ids": old.doc_ids,
        "qrels": old.qrels,
        "similarity": old.similarity,
        "label": old.label,
        "document_of_row": old.document_of_row,
        "padding": old.padding,
        "training": old.training,
    }
    return EmbeddingSpace(queries, documents, **(settings | changed))
