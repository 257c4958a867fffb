"""The hardest negative of a query: the best ranked document that is not judged relevant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from anisotropy.measures.facts import Facts, Plan
from anisotropy.neighbors import TopK, sweep

if TYPE_CHECKING:
    from anisotropy.spaces import EmbeddingSpace

#: Documents looked at beyond the relevant ones, of which some may be none of those allowed.
_SPARE = 4
_DEEPEST = 200


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
        Query id to document id; a query without one among its 200 best is missing.
    """
    row = {name: number for number, name in enumerate(space.query_ids)}
    chosen = np.sort(np.array([row[name] for name in query_ids], dtype=np.int64))
    facts = Facts(space, Plan())
    queries, documents = (facts.scored(side) for side in ("queries", "documents"))
    most = max((len(relevant.get(name, ())) for name in query_ids), default=0)
    depth = min(most + _SPARE, _DEEPEST, len(documents))
    kept = TopK(len(chosen), depth, facts.trec_ties("documents"))
    sweep(queries, chosen, documents, [kept], product=facts.product)
    lists = kept.neighbors(chosen).index
    found: dict[str, str] = {}
    for number, best in zip(chosen, lists, strict=True):
        query_id = space.query_ids[number]
        own = set(relevant.get(query_id, ()))
        names = (space.doc_ids[place] for place in best if place >= 0)
        first = next((name for name in names if name not in own and name in allowed), None)
        if first is not None:
            found[query_id] = first
    return found
