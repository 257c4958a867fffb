"""Upstream's negatives, replayed from a seed of Python's ``random``.

ANCE and DANCE sample with the global generator of Python, which they never seed. Seeded, a
refresh is a fixed sequence of shuffles: one of the columns of each query in row order; for
training both ways one for each distinct positive document in the order of first occurrence; one
of the lines of the file. The functions here make the same shuffles, so that files of an upstream
run with a known seed come out line by line. Items are upstream's row numbers ("offsets"); the
order of rows is that of upstream's dumps, where ranks are interleaved.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from anisotropy.errors import CollectionError
from anisotropy.training.negative_files import TrainingLine

Lists = dict[int, list[int]]


def replay_documents(
    ranked: np.ndarray,
    queries: Sequence[int],
    positives: Mapping[int, int],
    *,
    kept: int,
    generator: random.Random,
    shuffle: bool = True,
) -> Lists:
    """Negative documents of queries: ``GenerateNegativePassaageID``.

    Parameters
    ----------
    ranked
        Shape (queries, topk): the nearest documents of each query, best first; a document may
        stand there several times (MaxP).
    queries
        The query of each row.
    positives
        Query to its one positive, the last that the judgments name.
    kept
        Negatives a query at most (``negative_sample``).
    generator
        Its state moves on by a shuffle of topk numbers a row.
    shuffle
        False takes the best ranked (``ann_measure_topk_mrr``).

    Returns
    -------
    dict
        Query to negatives, in the order in which they were met.
    """
    return {
        query: _walk(row, {positives[query]}, kept, generator if shuffle else None)
        for query, row in zip(queries, ranked.tolist(), strict=True)
    }


def replay_queries(
    ranked: np.ndarray,
    documents: Sequence[int],
    positives: Mapping[int, int],
    *,
    kept: int,
    generator: random.Random,
) -> Lists:
    """Negative queries of positive documents: ``GenerateNegativeQueryID``.

    Parameters
    ----------
    ranked
        Shape (rows, topk): the nearest training queries of each row's document.
    documents
        The document of each row; of repeated ones the last row counts, at the place of the first.
    positives
        Query to its one positive, for all training queries.
    kept, generator
        As of `replay_documents`.

    Returns
    -------
    dict
        Document to negative queries.
    """
    last = dict(zip(documents, ranked.tolist(), strict=True))
    owners = _inverse(positives)
    return {d: _walk(row, owners[d], kept, generator) for d, row in last.items()}


def replay_bm25_queries(
    rows: Iterable[tuple[int, int]],
    documents: Sequence[int],
    positives: Mapping[int, int],
    *,
    depth: int,
    kept: int,
    generator: random.Random,
) -> Lists:
    """Negative queries of positive documents from a file of BM25: ``BM25_retrieval``.

    Parameters
    ----------
    rows
        Document and query of each line of the file, in its order.
    documents
        Positive documents of the queries in force, repeats allowed.
    positives
        Query to its one positive, for all training queries.
    depth
        Queries a document at most that are shuffled (``topk_training_d2q``).
    kept, generator
        As of `replay_documents`; here the lists themselves are shuffled, all of the file in its
        order.

    Returns
    -------
    dict
        Document to negative queries.

    Raises
    ------
    CollectionError
        If the file has no line for one of the documents.
    """
    owners = _inverse(positives)
    lists: Lists = {}
    for document, query in rows:
        found = lists.setdefault(document, [])
        if len(found) < depth and query not in owners.get(document, ()):
            found.append(query)
    for document in dict.fromkeys(documents):
        if document not in lists:
            raise CollectionError(f"BM25 lists: document {document} has no line")
    for found in lists.values():
        generator.shuffle(found)
    return {d: lists[d][:kept] for d in dict.fromkeys(documents)}


def replay_lines(
    documents: Lists,
    positives: Mapping[int, int],
    queries: Lists | None,
    generator: random.Random,
) -> list[TrainingLine]:
    """Lines of the training file in upstream's order: the last shuffle of a refresh.

    Parameters
    ----------
    documents
        Negative documents of the queries in force, in row order.
    positives
        Query to its one positive.
    queries
        Negative queries of positive documents; None where one direction is trained.
    generator
        Of the same refresh, after the negatives.
    """
    in_force = list(documents)
    order = list(range(len(in_force)))
    generator.shuffle(order)
    lines = []
    for query in (in_force[place] for place in order):
        positive = positives[query]
        others = None if queries is None else queries[positive]
        lines.append(TrainingLine(query, positive, documents[query], others))
    return lines


def _walk(
    ranked: list[int], skip: Collection[int], kept: int, generator: random.Random | None
) -> list[int]:
    columns = list(range(len(ranked)))
    if generator is not None:
        generator.shuffle(columns)
    found = dict.fromkeys(ranked[column] for column in columns if ranked[column] not in skip)
    return list(found)[:kept]


def _inverse(positives: Mapping[int, int]) -> dict[int, set[int]]:
    owners: dict[int, set[int]] = {}
    for query, document in positives.items():
        owners.setdefault(document, set()).add(query)
    return owners
