"""Query-document, part four: whose neighbors the nearest are in the pooled set."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from anisotropy.backend import Rows
from anisotropy.files import hash_ids
from anisotropy.measures.base import Definition, Impossible, Measure, Parameter
from anisotropy.measures.facts import Facts
from anisotropy.measures.families.equal_sides import (
    SIDES,
    EqualSides,
    equal_sides,
)
from anisotropy.measures.jackknife import Displaced, neighbor_influence
from anisotropy.neighbors import Items, TopK, sweep
from anisotropy.statistics import (
    Estimate,
    Influence,
    null_z,
    simulated_null,
)

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
        Shape (2 n, k + 1): nearest other rows, and the one that follows.
    """

    sides: EqualSides
    index: np.ndarray

    def share(self, side: str, k: int, labels: np.ndarray) -> float:
        """Share of the k nearest of a side from the other one, over its expectation.

        `labels` of shape (2 n,), bool, say which rows are documents.
        """
        lists = self.index[labels == (side == "documents"), :k]
        n = self.sides.n
        return float(np.mean(labels[lists] != (side == "documents"))) * (2 * n - 1) / n


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
    lists = TopK(len(chosen), k + 1, ties)
    items = Items(Rows(sides.rows))
    sweep(items, chosen, items, [lists], own=chosen)
    return Pool(sides, lists.neighbors(chosen).index)


def mixing(facts: Facts, measure: Measure, side: str, on: str) -> Estimate:
    """Share of the k nearest that come from the other side, over its expectation."""
    k = measure.whole("k")
    pool = pooled(facts, on, k)
    n = pool.sides.n
    labels = np.arange(2 * n) >= n
    value = pool.share(side, k, labels)
    _, spread = simulated_null(
        lambda rng: pool.share(side, k, rng.permutation(labels)),
        PERMUTATIONS,
        facts.seed,
    )
    return Estimate(
        value,
        _influences(facts, pool, k) if side == "queries" else (),
        n=n,
        unit="query",
        population="queries",
        estimator="exact" if n == max(len(facts.raw(s)) for s in SIDES) else "subsampled",
        method="jackknife" if side == "queries" else None,
        low=0.0,
        high=(2 * n - 1) / n,
        null_mean=1.0,
        null_sd=spread,
        null_p=null_z(value, 1.0, spread),
    )


def _influences(facts: Facts, pool: Pool, k: int) -> tuple[Influence, ...]:
    """Around queries: each left out; each document too, where they were drawn from more."""
    n = pool.sides.n
    lists = pool.index[:n, : k + 1]
    other = (lists >= n) * (2 * n - 1) / n
    change = (other[:, k:] - other[:, :k]) / k
    displaced = Displaced.of(lists[:, :k], change, 2 * n)
    own = np.zeros(2 * n)
    own[:n] = other[:, :k].mean(axis=1) - other[:, :k].mean()
    parts = []
    drawn = pool.sides.drawn(facts, "documents")
    for part, random in ((slice(0, n), 1.0), (slice(n, 2 * n), math.sqrt(1 - drawn))):
        if random:
            mine = displaced.part(part)
            found = neighbor_influence(pool.sides.ids[part], own[part], mine)
            parts.append(Influence(found.keys, found.values, found.shrink * random))
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
        "mean, which leaves an offset of the sides. Around queries the interval leaves out each "
        "query, and each document where these were drawn; what two rows do together is counted "
        "once. Around documents it carries none: simulated, it covers up to 99.6%.",
        null="the labels of the sides mean nothing: 1, with the spread of permuted labels on the "
        "same neighbors",
        needs=("neighbors",),
        places=tuple((side, on) for on in ("unit", "center>unit") for side in SIDES),
        parameters=(Parameter("k", 10, always=True, low=1, meaning="nearest rows of the pool"),),
        size_bound=True,
        compute=mixing,
    ),
)
