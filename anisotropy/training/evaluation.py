"""Ranking quality on held-out queries while training: nDCG@10 and RR@10, binary grades."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from anisotropy.neighbors import top_neighbors

DEPTH = 10


def ranking_quality(
    queries: np.ndarray, documents: np.ndarray, positives: Sequence[Collection[int]]
) -> tuple[np.ndarray, np.ndarray]:
    """NDCG@10 and RR@10 of every query.

    Parameters
    ----------
    queries, documents
        Vectors of shape (q, dim) and (n, dim), scored by the inner product.
    positives
        For each query its positive document numbers, one at least; every grade counts 1.

    Returns
    -------
    tuple of two numpy.ndarray of shape (q,)
        In [0, 1]. A quick look for the history; `measures` computes the reported values.
    """
    best = top_neighbors(queries, documents, min(DEPTH, len(documents))).index
    hits = np.array(
        [
            np.isin(row, np.fromiter(own, np.int64))
            for row, own in zip(best, positives, strict=True)
        ]
    )
    discounts = 1 / np.log2(np.arange(2, DEPTH + 2))
    ideal = np.cumsum(discounts)[[min(len(own), DEPTH) - 1 for own in positives]]
    gains = hits @ discounts[: hits.shape[1]]
    first = np.where(hits.any(axis=1), 1 / (hits.argmax(axis=1) + 1), 0.0)
    return gains / ideal, first
