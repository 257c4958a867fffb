"""Distances of single queries to documents, as a person looks them up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from anisotropy.errors import EmbeddingsError, UsageError, one_of

if TYPE_CHECKING:
    import pandas as pd

    from anisotropy.spaces.space import EmbeddingSpace

TARGETS = ("positives", "nearest", "random", "all")
METRICS = ("euclidean", "cosine", "dot")
_SHOWN = 10


def pair_distances(
    space: EmbeddingSpace,
    query_id: str | None,
    *,
    to: str,
    on: str,
    metric: str,
    random_state: int,
) -> pd.DataFrame:
    """See :meth:`EmbeddingSpace.distances`."""
    import pandas as pd

    for name, value, allowed in (
        ("to", to, TARGETS),
        ("on", on, ("unit", "raw")),
        ("metric", metric, METRICS),
    ):
        if value not in allowed:
            raise UsageError(f"{name}: {one_of(value, allowed)}")
    if query_id is None and to == "all":
        raise UsageError("to='all' needs one query_id")
    rng = np.random.default_rng(random_state)
    chosen = space.query_ids if query_id is None else [query_id]
    frames = [_one_query(space, name, to, on, metric, rng) for name in chosen]
    return pd.concat([f for f in frames if len(f)] or frames[:1], ignore_index=True)


def best_documents(space: EmbeddingSpace, query_id: str, k: int) -> pd.DataFrame:
    """See :meth:`EmbeddingSpace.neighbors`."""
    if k < 1:
        raise UsageError(f"k: got {k}; allowed: 1 or more")
    frame = pair_distances(
        space, query_id, to="all", on="unit", metric="euclidean", random_state=0
    )
    return frame.nsmallest(k, "rank").reset_index(drop=True)


def _one_query(
    space: EmbeddingSpace,
    query_id: str,
    to: str,
    on: str,
    metric: str,
    rng: np.random.Generator,
) -> pd.DataFrame:
    import pandas as pd

    query = space.queries[_row_of(space, query_id)]
    distance = _best_chunk(space, _distances(query, space.documents, on, metric))
    score = -_best_chunk(space, -recipe_scores(space, query))
    # The one tie rule of rankings here: 32-bit scores, then the larger id first, as trec_eval.
    by_id = np.argsort(np.argsort(np.array(space.doc_ids)))
    order = np.lexsort((-by_id, -score.astype(np.float32)))
    rank = np.empty(len(score), dtype=np.int64)
    rank[order] = np.arange(1, len(score) + 1)
    grades = space.qrels.get(query_id, {})
    picked = _pick(space, to, order, grades, rng)
    doc_ids = [space.doc_ids[number] for number in picked]
    return pd.DataFrame(
        {
            "query_id": query_id,
            "doc_id": doc_ids,
            "distance": distance[picked],
            "score": score[picked],
            "rank": rank[picked],
            "grade": pd.array([grades.get(name) for name in doc_ids], dtype="Int64"),
            "text": _texts(space, picked, doc_ids),
        }
    )


def _row_of(space: EmbeddingSpace, query_id: str) -> int:
    try:
        return space.query_ids.index(query_id)
    except ValueError:
        example = space.query_ids[0] if space.query_ids else ""
        raise UsageError(
            f"no query has the id {query_id!r} (there are {len(space.query_ids)}, "
            f"for example {example!r})"
        ) from None


def recipe_scores(space: EmbeddingSpace, query: np.ndarray) -> np.ndarray:
    """Scores of every document vector for one query as the recipe defines them."""
    if space.similarity == "euclidean":
        return -_distances(query, space.documents, "raw", "euclidean")
    on = "unit" if space.similarity == "cosine" else "raw"
    return -_distances(query, space.documents, on, "dot")


def _distances(query: np.ndarray, documents: Any, on: str, metric: str) -> np.ndarray:
    rows = np.asarray(documents[:], dtype=np.float32)
    query = np.asarray(query, dtype=np.float32)
    if on == "unit" or metric == "cosine":
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        if not lengths.all() or not query.any():
            raise EmbeddingsError("a vector of zeros has no direction; use on='raw'")
        query = query / np.linalg.norm(query)
        rows = rows / lengths
    if metric == "euclidean":
        distances: np.ndarray = np.linalg.norm(rows - query, axis=1)
        return distances
    products: np.ndarray = rows @ query
    return 1 - products if metric == "cosine" else -products


def _best_chunk(space: EmbeddingSpace, distance: np.ndarray) -> np.ndarray:
    """The smallest value of each document's vectors."""
    if space.document_of_row is None:
        return distance
    best = np.full(len(space.doc_ids), np.inf, dtype=distance.dtype)
    np.minimum.at(best, space.document_of_row, distance)
    return best


def _pick(
    space: EmbeddingSpace,
    to: str,
    order: np.ndarray,
    grades: dict[str, int],
    rng: np.random.Generator,
) -> np.ndarray:
    if to == "nearest":
        return order[:_SHOWN]
    if to == "random":
        return np.sort(rng.choice(len(order), size=min(_SHOWN, len(order)), replace=False))
    if to == "all":
        return np.arange(len(order))
    wanted = {doc_id for doc_id, grade in grades.items() if grade >= 1}
    return np.array([i for i, name in enumerate(space.doc_ids) if name in wanted], dtype=np.int64)


def _texts(space: EmbeddingSpace, picked: np.ndarray, doc_ids: list[str]) -> list[str | None]:
    if space.doc_texts is not None:
        return [space.doc_texts[number] for number in picked]
    if space.collection is None:
        return [None] * len(doc_ids)
    found = space.collection.texts(doc_ids)
    return [found[name].text if name in found else None for name in doc_ids]
