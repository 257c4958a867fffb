"""The hardest negative of a query: the best ranked document that is not judged relevant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from anisotropy.measures.facts import Facts, Plan
from anisotropy.neighbors import TopK, sweep

if TYPE_CHECKING:
    from anisotropy.spaces import EmbeddingSpace

#: Documents looked at beyond the relevant ones, and how many times more where these are all
#: foreign.
_SPARE, _DEEPER = 4, 16


def hardest_negatives(
    space: EmbeddingSpace,
    query_ids: Sequence[str],
    relevant: Mapping[str, Sequence[str]],
    allowed: set[str],
) -> dict[str, str]:
    """For each query the best ranked allowed document that is not judged relevant.

    Parameters
    ----------
    space
        Ranks as its recipe does, ties as everywhere.
    query_ids
        Queries to look up, at least one.
    relevant
        Relevant documents of a query; none where it is missing.
    allowed
        Documents to choose from.

    Returns
    -------
    dict
        Query id to document id; missing where every allowed document is relevant. Chunks that
        are padding only count in the ranking, as everywhere.

    Raises
    ------
    EmbeddingsError
        If the recipe is cosine and a row is all zeros.
    """
    facts = Facts(space, Plan())
    most = max((len(relevant.get(name, ())) for name in query_ids), default=0)
    depth, left, found = most + _SPARE, list(query_ids), dict[str, str]()
    while left:
        for query_id, names in _ranked(facts, left, depth):
            own = set(relevant.get(query_id, ()))
            first = next((name for name in names if name in allowed and name not in own), None)
            if first is not None:
                found[query_id] = first
        if depth >= len(space.doc_ids):
            break
        left, depth = [name for name in left if name not in found], depth * _DEEPER
    return found


def _ranked(
    facts: Facts, query_ids: Sequence[str], depth: int
) -> Iterator[tuple[str, Iterator[str]]]:
    """Each query with the ids of its best documents, best first."""
    space = facts.space
    row = {name: number for number, name in enumerate(space.query_ids)}
    chosen = np.sort(np.array([row[name] for name in query_ids], dtype=np.int64))
    queries, documents = (facts.scored(side) for side in ("queries", "documents"))
    kept = TopK(len(chosen), min(depth, len(documents)), facts.trec_ties("documents"))
    sweep(queries, chosen, documents, [kept], product=facts.product)
    for number, best in zip(chosen, kept.neighbors(chosen).index, strict=True):
        yield space.query_ids[number], (space.doc_ids[place] for place in best if place >= 0)
