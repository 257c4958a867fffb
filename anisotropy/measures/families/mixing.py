"""Query-document, part four: whose neighbors the nearest are in the pooled set."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from anisotropy.backend import Rows
from anisotropy.files import hash_ids
from anisotropy.measures.base import Definition, Impossible, Measure, Parameter
from anisotropy.measures.facts import Facts, spare_depth
from anisotropy.measures.families.equal_sides import (
    SIDES,
    EqualSides,
    equal_sides,
    pool_blocks,
)
from anisotropy.neighbors import Items, TopK, sweep
from anisotropy.statistics import Estimate, Influence, from_blocks, null_z, simulated_null

#: Random labelings behind the spread of the null.
PERMUTATIONS = 200


@dataclass(frozen=True, eq=False)
class Pool:
    """Nearest neighbors in the pooled set of both sides.

    Attributes
    ----------
    sides
        The rows.
    index
        Shape (2 n, depth): nearest other rows, some deeper than asked.
    """

    sides: EqualSides
    index: np.ndarray

    def share(self, side: str, k: int, labels: np.ndarray, stays: np.ndarray) -> float:
        """Share of the k nearest from the other side, over its expectation.

        Parameters
        ----------
        side
            Whose neighbors.
        k
            Neighbors counted.
        labels
            Shape (2 n,), bool: rows that are documents.
        stays
            Shape (2 n,), bool: rows that are there.
        """
        mine = labels == (side == "documents")
        lists = self.index[mine & stays]
        kept = stays[lists] & (lists >= 0)
        kept &= np.cumsum(kept, axis=1) <= k
        other = kept & (labels[lists] != (side == "documents"))
        expected = np.count_nonzero(stays & ~mine) / (np.count_nonzero(stays) - 1)
        return float(other.sum() / kept.sum() / expected)


def pooled(facts: Facts, on: str, k: int) -> Pool:
    """Neighbors of every row in the pool of equally many rows of both sides.

    Raises
    ------
    Impossible
        If a side has no more than k rows.
    """
    return facts.once(("pooled", on, k), lambda: _pooled(facts, on, k))


def _pooled(facts: Facts, on: str, k: int) -> Pool:
    sides = equal_sides(facts, on, 2)
    if sides.n <= k:
        raise Impossible(f"{sides.n} rows a side, more than k = {k} are needed")
    facts.progress(f"both sides pooled ({on}): {len(sides.rows)} x {len(sides.rows)}")
    chosen = np.arange(len(sides.rows))
    ties = np.argsort(np.argsort(hash_ids(sides.ids, facts.seed), kind="stable"))
    lists = TopK(len(chosen), min(spare_depth(k), len(chosen) - 1), ties)
    items = Items(Rows(sides.rows))
    sweep(items, chosen, items, [lists], own=chosen)
    return Pool(sides, lists.neighbors(chosen).index)


def mixing(facts: Facts, measure: Measure, side: str, on: str) -> Estimate:
    """Share of the k nearest that come from the other side, over its expectation."""
    k = measure.whole("k")
    pool = pooled(facts, on, k)
    n = pool.sides.n
    labels = np.arange(2 * n) >= n
    everything = np.ones(2 * n, dtype=bool)
    value = pool.share(side, k, labels, everything)
    _, spread = simulated_null(
        lambda rng: pool.share(side, k, rng.permutation(labels), everything),
        PERMUTATIONS,
        facts.seed,
    )
    return Estimate(
        value,
        _influences(facts, pool, side, k, labels, value),
        n=n,
        unit="query",
        population="queries",
        estimator="exact" if n == max(len(facts.raw(s)) for s in SIDES) else "subsampled",
        method="jackknife",
        low=0.0,
        high=(2 * n - 1) / n,
        null_mean=1.0,
        null_sd=spread,
        null_p=null_z(value, 1.0, spread),
    )


def _influences(
    facts: Facts, pool: Pool, side: str, k: int, labels: np.ndarray, value: float
) -> tuple[Influence, ...]:
    """Blocks of queries left out; of documents too, where they were drawn from more."""
    parts = []
    for one in SIDES:
        drawn = pool.sides.drawn(facts, one)
        if one == "documents" and drawn == 1:
            continue
        block = np.full(len(labels), -1)
        block[labels == (one == "documents")] = pool_blocks(facts, pool.sides, one)
        left = functools.partial(pool.share, side, k, labels)
        found = from_blocks(value, block, left)
        shrink = math.sqrt(1 - drawn) if one == "documents" else 1.0
        parts.append(
            Influence([f"{one} {key}" for key in found.keys], found.values, found.shrink * shrink)
        )
    return tuple(parts)


DEFINITIONS = (
    Definition(
        name="mixing",
        family="query_document",
        formula="share of the k nearest of a row, among n queries and n documents, that come "
        "from the other side, over its expectation n/(2n - 1)",
        low=0.0,
        high=2.0,
        up="sides mixed",
        better="up",
        word="closer",
        sees="whether the sides share a region: 1 mixed, 0 apart",
        blind="how far apart they are once no neighbor is shared",
        reference="project definition",
        note="Cosine. Equally many rows of both sides, drawn by a seeded hash of the ids, at most "
        "2,000 of each unless exact; an estimate for this n and k. Centered rows: by the joint "
        "mean, which leaves an offset of the sides. Null: permuted labels on the same neighbors. "
        "The interval leaves out blocks of queries, and of documents where these were drawn.",
        needs=("neighbors",),
        places=tuple((side, on) for on in ("unit", "center>unit") for side in SIDES),
        parameters=(Parameter("k", 10, always=True, low=1),),
        size_bound=True,
        compute=mixing,
    ),
)
