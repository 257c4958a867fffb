"""Which points a map shows: by id, so that two spaces show the same ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anisotropy.errors import EmbeddingsError, UsageError
from anisotropy.files import hash_ids
from anisotropy.projection.hardest import hardest_negatives

if TYPE_CHECKING:
    from anisotropy.spaces import EmbeddingSpace

LEAST_POINTS = 5


class TooFewPoints(UsageError):
    """The spaces have fewer points in common than a map needs."""


@dataclass(frozen=True)
class Sample:
    """Ids shown on a map, in the order of their hash.

    Attributes
    ----------
    query_ids, doc_ids
        What is shown.
    positives
        Index pairs (query, document) into them: every judged relevant pair that is shown.
    negatives
        Index pairs (query, document): the hardest negative of each query in each space.
    n_queries, n_documents
        How many there are to choose from.
    """

    query_ids: list[str]
    doc_ids: list[str]
    positives: np.ndarray
    negatives: np.ndarray
    n_queries: int
    n_documents: int


def choose_points(
    spaces: Sequence[EmbeddingSpace], n: int, random_state: int, relevance_level: int = 1
) -> Sample:
    """Choose about `n` points that every space has.

    Everything is shown if it fits. Otherwise there are three strata. Queries come in the order
    of a seeded hash of their id, up to a third of `n` (more if there are few documents). Each
    brings its positives, all its judged relevant documents, and its hardest negatives: in each
    space the best ranked document that is not judged relevant. Queries stop before they and what
    they bring exceed three quarters of `n`. The rest are documents in the order of the hash of
    their id, whether judged or not.

    Parameters
    ----------
    spaces
        One or two spaces; ids that are not in all of them are left out.
    n
        Number of points, at least 5. Only a first query that brings more than that can exceed it.
    random_state
        Seed of the hash.
    relevance_level
        Smallest grade of a relevant document.

    Raises
    ------
    UsageError
        If `n` is too small.
    TooFewPoints
        If the spaces have fewer than 5 points in common.
    """
    if not isinstance(n, int | np.integer) or n < LEAST_POINTS:
        raise UsageError(f"n: got {n}; allowed: {LEAST_POINTS} points or more for a map")
    queries = _in_hash_order([space.query_ids for space in spaces], random_state)
    documents = _in_hash_order([space.doc_ids for space in spaces], random_state)
    if len(queries) + len(documents) < LEAST_POINTS:
        raise TooFewPoints(
            f"a map needs {LEAST_POINTS} points; got {len(queries)} queries and "
            f"{len(documents)} documents that all spaces have"
        )
    known = (set(queries), set(documents))
    relevant = _relevant(spaces[0].qrels, *known, relevance_level)
    asked = queries[: max(n // 3, n - len(documents))]
    hardest = [_hardest(space, asked, relevant, set(documents)) for space in spaces]
    shown_queries, shown_documents = queries, documents
    if len(queries) + len(documents) > n:
        shown_queries, kept = _some_queries(asked, [relevant, *hardest], n, len(documents))
        shown_documents = _fill(documents, kept, n - len(shown_queries))
    pairs = [_pairs(shown_queries, shown_documents, brought) for brought in [relevant, *hardest]]
    negatives = np.unique(np.concatenate([pairs[0][:0], *pairs[1:]]), axis=0)
    return Sample(
        shown_queries, shown_documents, pairs[0], negatives, len(queries), len(documents)
    )


def _hardest(
    space: EmbeddingSpace,
    query_ids: list[str],
    relevant: Mapping[str, list[str]],
    allowed: set[str],
) -> dict[str, list[str]]:
    found = hardest_negatives(space, query_ids, relevant, allowed) if query_ids else {}
    return {query_id: [doc_id] for query_id, doc_id in found.items()}


def _in_hash_order(ids: Sequence[Sequence[str]], random_state: int) -> list[str]:
    common = set(ids[0]).intersection(*ids[1:])
    names = np.array([name for name in ids[0] if name in common], dtype=object)
    return list(names[np.lexsort((names, hash_ids(names, random_state)))])


def _relevant(
    qrels: Mapping[str, Mapping[str, int]], queries: set[str], documents: set[str], level: int
) -> dict[str, list[str]]:
    return {
        query_id: [d for d, grade in grades.items() if grade >= level and d in documents]
        for query_id, grades in qrels.items()
        if query_id in queries
    }


def _some_queries(
    queries: list[str], brought: Sequence[Mapping[str, list[str]]], n: int, n_documents: int
) -> tuple[list[str], set[str]]:
    shown: list[str] = []
    kept: set[str] = set()
    for query_id in queries:
        more = kept.union(*(documents.get(query_id, ()) for documents in brought))
        # A quarter stays for documents nobody asked for, or only those near queries are seen.
        if shown and 4 * (len(shown) + 1 + len(more)) > 3 * n and n_documents > n // 4:
            break
        shown.append(query_id)
        kept = more
    return shown, kept


def _fill(documents: list[str], kept: set[str], room: int) -> list[str]:
    others = max(room - len(kept), 0)
    chosen = set(kept)
    for doc_id in documents:
        if others <= 0:
            break
        if doc_id not in chosen:
            chosen.add(doc_id)
            others -= 1
    return [doc_id for doc_id in documents if doc_id in chosen]


def _pairs(
    queries: list[str], documents: list[str], relevant: Mapping[str, list[str]]
) -> np.ndarray:
    place = {doc_id: index for index, doc_id in enumerate(documents)}
    pairs = [
        (index, place[doc_id])
        for index, query_id in enumerate(queries)
        for doc_id in relevant.get(query_id, ())
    ]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def unit_points(space: EmbeddingSpace, sample: Sample) -> np.ndarray:
    """Unit rows of the shown queries, then of the shown documents.

    Of a document with several vectors its first that is not padding is shown.

    Returns
    -------
    numpy.ndarray of shape (n_queries + n_documents, dim), float32

    Raises
    ------
    EmbeddingsError
        If a shown row is all zeros: it has no direction.
    """
    row_of_query = {name: row for row, name in enumerate(space.query_ids)}
    row_of_document = _first_rows(space)
    query_rows = np.array([row_of_query[name] for name in sample.query_ids], dtype=np.int64)
    document_rows = np.array([row_of_document[name] for name in sample.doc_ids], dtype=np.int64)
    points = np.concatenate([space.queries[query_rows], space.documents[document_rows]])
    points = points.astype(np.float32)
    norms = np.linalg.norm(points, axis=1, keepdims=True)
    if not norms.all():
        empty = (sample.query_ids + sample.doc_ids)[int(np.argmin(norms))]
        raise EmbeddingsError(
            f"{space.label}: the embedding of {empty!r} is all zeros and has no direction; "
            "remove or re-encode it"
        )
    unit: np.ndarray = points / norms
    return unit


def _first_rows(space: EmbeddingSpace) -> dict[str, int]:
    if space.document_of_row is None:
        return {name: row for row, name in enumerate(space.doc_ids)}
    owner = np.asarray(space.document_of_row)
    padding = np.zeros(len(owner), bool) if space.padding is None else np.asarray(space.padding)
    # Rows that are no padding first, in file order; only where there is none, a padding row.
    order = np.argsort(padding, kind="stable")
    documents, first = np.unique(owner[order], return_index=True)
    rows = order[first]
    return {space.doc_ids[d]: int(row) for d, row in zip(documents, rows, strict=True)}
