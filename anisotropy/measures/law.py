"""The law of mining by itself: the probability of each item, with its id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anisotropy.errors import UsageError, one_of
from anisotropy.measures.base import Impossible
from anisotropy.measures.facts import Facts, Plan
from anisotropy.measures.mining import MINING_K, ROLES, Law, mined, probabilities

if TYPE_CHECKING:
    from anisotropy.spaces import EmbeddingSpace


def negative_probabilities(
    space: EmbeddingSpace, role: str = "queries", *, k: int = MINING_K
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

    Returns
    -------
    tuple
        Ids of the items, and their probabilities of shape (items,), summing to 1.

    Raises
    ------
    UsageError
        If `role` or `k` is not allowed, or the space has no judged pairs.
    """
    if role not in ROLES:
        raise UsageError(f"role: {one_of(role, ROLES)}")
    if k < 1:
        raise UsageError(f"k: got {k}; allowed: 1 or more")
    try:
        found = mined(Facts(space, Plan(depth=k)), role, "none")
    except Impossible as reason:
        raise UsageError(f"{space.label}: no negative-sampling probabilities: {reason}") from None
    ids = space.mining.query_ids if role == "queries" else space.doc_ids
    return list(ids), probabilities(found, Law(k))
