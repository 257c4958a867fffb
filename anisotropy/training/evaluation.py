"""Validation on held-out queries while training: ranking both ways, and the geometry.

Columns of the history are ``dev_<side>_<measure>``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from anisotropy.errors import AnisotropyError
from anisotropy.neighbors import top_neighbors
from anisotropy.training.data import Judged

DEPTH = 10
SAMPLE = 1000  # rows a side that the geometry is measured on
#: What `select = "best"` goes by.
SELECTION = "dev_ranking_nDCG@10"
_SPREAD = ("mean_cosine", "uniformity(t=2)")
_PLACES = {("queries", m) for m in _SPREAD} | {("documents", m) for m in _SPREAD}
_NEAR = "relative_positive_distance"
VALIDATION = (
    SELECTION,
    "dev_ranking_RR@10",
    "dev_dual_ranking_RR@10",
    *(f"dev_{side}_{measure}" for measure in _SPREAD for side in ("queries", "documents")),
    f"dev_positives_{_NEAR}",
)


def validate(
    queries: np.ndarray, documents: np.ndarray, dev: Judged
) -> tuple[dict[str, float], str | None]:
    """Evaluate a model on dev queries.

    Parameters
    ----------
    queries
        Vectors of the dev queries, shape (q, dim).
    documents
        Vectors of all documents, shape (n, dim).
    dev
        The queries' positives.

    Returns
    -------
    dict
        nDCG@10 and RR@10 of documents for queries; RR@10 of dev queries for their positive
        documents; ``mean_cosine`` and ``uniformity(t=2)`` of fixed samples of at most 1000
        queries and 1000 documents; ``relative_positive_distance`` of all. Grades above 0 count 1.
    str or None
        Why the geometry is missing, where it cannot be measured (vectors of zeros).
    """
    gains, ranks = ranking_quality(queries, documents, dev.positives)
    anchors, owners = _reversed(dev.positives)
    _, back = ranking_quality(documents[anchors], queries, owners)
    means = (gains.mean(), ranks.mean(), back.mean())
    found = dict(zip(VALIDATION, map(float, means), strict=False))
    try:
        return found | geometry(queries, documents, dev.positives), None
    except AnisotropyError as error:
        return found, str(error)


def _reversed(positives: Sequence[Collection[int]]) -> tuple[np.ndarray, list[frozenset[int]]]:
    """Judged documents, ascending, and the queries of each."""
    owners: dict[int, set[int]] = {}
    for query, own in enumerate(positives):
        for document in own:
            owners.setdefault(document, set()).add(query)
    anchors = sorted(owners)
    return np.array(anchors, np.int64), [frozenset(owners[document]) for document in anchors]


def geometry(
    queries: np.ndarray, documents: np.ndarray, positives: Sequence[Collection[int]]
) -> dict[str, float]:
    """Measures of unit vectors, as `measures` defines them; withheld ones are left out.

    Raises
    ------
    EmbeddingsError
        If a row is all zeros.
    """
    from anisotropy.measures import measure_space
    from anisotropy.spaces import EmbeddingSpace

    sampled = EmbeddingSpace(queries[fixed(len(queries))], documents[fixed(len(documents))])
    qrels = {str(query): {str(d): 1 for d in own} for query, own in enumerate(positives)}
    whole = EmbeddingSpace(queries, documents, qrels=qrels)
    rows = [row for row in measure_space(sampled, _SPREAD).rows
            if (row.side, row.measure) in _PLACES]  # fmt: skip
    rows += measure_space(whole, [_NEAR]).rows
    return {f"dev_{row.side}_{row.measure}": float(row.value) for row in rows if row.on == "unit"}


def fixed(count: int) -> np.ndarray:
    """At most `SAMPLE` row numbers of `count`, the same at every evaluation."""
    if count <= SAMPLE:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, SAMPLE, replace=False))


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
