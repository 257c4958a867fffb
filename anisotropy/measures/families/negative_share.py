"""The share of the negatives drawn that are judged relevant."""

from __future__ import annotations

from typing import Any

import numpy as np

from anisotropy.measures.base import Definition, Impossible, Measure, Parameter
from anisotropy.measures.facts import Facts, Pool, spare_depth
from anisotropy.measures.jackknife import LEAST_OF_LAWS, block_influence, left_out
from anisotropy.measures.mining import MINING_K, ROLES, Mined, mined
from anisotropy.statistics import BLOCKS, Estimate, Influence, blocks_of, ratio_influence


def negative_positive_share(facts: Facts, measure: Measure, side: str, on: str) -> Estimate:
    """Share of judged positives among what upstream's rule draws."""
    pool, found = facts.mining, mined(facts, side, "none")
    judged = np.bincount(pool.positives.query, minlength=len(pool.space.query_ids))
    return estimate_share(pool, found, judged, measure, side)


def estimate_share(
    pool: Pool, found: Mined, judged: np.ndarray, measure: Measure, side: str
) -> Estimate:
    """The share in given lists.

    Parameters
    ----------
    pool, found
        Where the lists come from, and the lists.
    judged
        Shape (queries,): number of judged positives of each query.
    measure, side
        Names the depth; the role.

    Raises
    ------
    Impossible
        If the lists are as long as the pool.
    """
    k = measure.whole("k")
    if found.n <= k:
        raise Impossible(f"the pool of {found.n} {side} is not larger than k={k}")
    chance = recorded(judged, found, side)
    positive, size = judged_among(found, chance, k)
    if side == "documents":
        mine = (found.pairs.sum(axis=1) > 0) & (found.index >= 0).any(axis=1)
        share = positive[mine] / np.maximum(size[mine], 1e-300)
        value, values = ratio_influence(share, np.ones(len(share)))
        keys = [key for key, there in zip(found.keys, mine, strict=True) if there]
        influences: tuple[Influence, ...] = (Influence(keys, values),)
    else:
        value, influences = _over_blocks(pool, found, chance, k)
    return Estimate(
        value,
        influences,
        n=len(influences[0].keys) if side == "documents" else found.n,
        unit="query",
        population="queries",
        estimator="sampled" if found.sampled else "exact",
        method="jackknife" if influences else None,
        low=0.0,
        high=1.0,
    )


def recorded(judged: np.ndarray, found: Mined, role: str) -> np.ndarray:
    """Chance that a listed positive is the one recorded of its query, shape of the lists.

    Upstream records one positive a query and knows no other; here each judged positive of a
    query is as likely to be that one. 0 for what is no positive. `judged` is the number of
    positives of each query.
    """
    query = found.index if role == "queries" else found.anchors[:, None]
    return np.asarray(found.positive / np.maximum(judged[np.maximum(query, 0)], 1))


def judged_among(
    found: Mined, chance: np.ndarray, k: int, taken: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Expected numbers of judged positives left in each list, and of all items left in it.

    Parameters
    ----------
    found
        The lists.
    chance
        From :func:`recorded`: each positive is dropped with this chance.
    k
        Depth.
    taken
        Entries that count; default: the first `k`.
    """
    if taken is None:
        taken = (found.index >= 0) & (np.arange(found.index.shape[1]) < k)
    dropped = (chance * taken).sum(axis=1)
    return (found.positive & taken).sum(axis=1) - dropped, taken.sum(axis=1) - dropped


def _over_blocks(
    facts: Pool, found: Mined, chance: np.ndarray, k: int
) -> tuple[float, tuple[Influence, ...]]:
    """Mean over the documents, and blocks of queries left out with their documents."""
    block = blocks_of(facts.ids("queries"), BLOCKS, facts.seed)

    def without(out: Any) -> np.ndarray:
        taken = (found.index >= 0) & ~np.isin(block, out)[found.index]
        taken &= np.cumsum(taken, axis=1, dtype=np.int32) <= k
        positive, size = judged_among(found, chance, k, taken)
        there = found.weights("documents", out) > 0
        if not there.any():
            return np.array([np.nan])  # one document alone: no interval
        return np.array([np.mean(positive[there] / np.maximum(size[there], 1e-300))])

    whole = without(())
    values, excess = left_out(whole, without, found.pairs.shape[1])
    if found.index.shape[1] < min(spare_depth(k), found.n):
        return float(whole[0]), ()  # without a block the lists would be shorter than k
    return float(whole[0]), (block_influence(values[:, 0], excess[0], LEAST_OF_LAWS),)


DEFINITIONS = (
    Definition(
        name="negative_positive_share",
        family="negatives",
        formula="mean over anchors of (expected judged positives in the top k less the one "
        "dropped)/(expected size of the top k less the one dropped), each positive of a query as "
        "likely the one recorded",
        low=0.0,
        high=1.0,
        up="more false negatives",
        better="down",
        word="better",
        sees="relevant items that training pushes away because upstream drops one positive of "
        "each query only",
        blind="relevant items that nobody judged",
        reference="project definition, after the mining of ANCE (arXiv 2007.00808)",
        note="0 where every query has one positive. Lists are those of negative_probability; "
        "for role queries the anchors are the positive documents and blocks of queries are left "
        "out, for role documents they are the judged queries.",
        needs=("neighbors", "positives"),
        places=tuple((role, "recipe") for role in ROLES),
        parameters=(
            Parameter(
                "k", MINING_K, always=True, low=1, meaning="depth from which negatives are drawn"
            ),
            Parameter("role", "queries", choices=ROLES, meaning="side that is drawn as negatives"),
        ),
        defaults=tuple({"role": role} for role in ROLES),
        compute=negative_positive_share,
    ),
)
