"""The law of mining by itself: the probability of each item, with its id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anisotropy.errors import UsageError, one_of
from anisotropy.measures.base import Impossible
from anisotropy.measures.facts import Facts, Plan
from anisotropy.measures.mining import (
    ANCHORS,
    LAWS,
    MINING_K,
    ROLES,
    Law,
    mined,
    probabilities,
    temperature_of,
)

if TYPE_CHECKING:
    from anisotropy.spaces import EmbeddingSpace


def negative_probabilities(
    space: EmbeddingSpace,
    role: str = "queries",
    *,
    k: int = MINING_K,
    center: str = "none",
    law: str = "uniform",
    anchors: str = "documents",
) -> tuple[list[str], np.ndarray]:
    """Probability of each item to be drawn as a negative (law of ANCE's mining).

    Parameters
    ----------
    space
        Its training queries are the pool where it has them.
    role
        ``queries`` as negatives of documents, or ``documents`` as negatives of queries.
    k
        Depth from which the negatives of an anchor are drawn; 1 or more.
    center
        ``none``, or ``sides``: each side's mean subtracted first.
    law
        ``uniform`` over the list, or ``softmax`` or ``softmax_standardized`` of its scores.
    anchors
        ``documents``: every anchor counts once; ``pairs``: as often as it is judged.

    Returns
    -------
    tuple
        Ids of the items, and their probabilities of shape (items,), summing to 1.

    Raises
    ------
    UsageError
        If a word or `k` is not allowed, or the space has no judged pairs.
    """
    for name, got, allowed in (
        ("role", role, ROLES),
        ("center", center, ("none", "sides")),
        ("law", law, LAWS),
        ("anchors", anchors, ANCHORS),
    ):
        if got not in allowed:
            raise UsageError(f"{name}: {one_of(got, allowed)}")
    if k < 1:
        raise UsageError(f"k: got {k}; allowed: 1 or more")
    facts = Facts(space, Plan(depth=k))
    try:
        found = mined(facts, role, center)
    except Impossible as reason:
        raise UsageError(f"{space.label}: no negative-sampling probabilities: {reason}") from None
    ids = space.mining.query_ids if role == "queries" else space.doc_ids
    return list(ids), probabilities(found, Law(k, law, anchors, temperature_of(facts.mining)))
