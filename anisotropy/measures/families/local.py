"""Local: how unevenly rows occur among the nearest neighbors of others."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from anisotropy.measures.base import Definition, Family, Impossible, Measure, Parameter, Place
from anisotropy.measures.basis import need_rows
from anisotropy.measures.counts import (
    CLOSED,
    STATISTICS,
    anchors_left_out,
    occurrences,
    occurrences_without,
)
from anisotropy.measures.facts import Facts
from anisotropy.measures.jackknife import (
    LEAST_OF_LAWS,
    LEAST_OF_ONE_SET,
    block_influence,
    corrected,
    left_out,
)
from anisotropy.measures.mining import mined
from anisotropy.neighbors import Neighbors
from anisotropy.statistics import (
    BLOCKS,
    Estimate,
    Influence,
    blocks_of,
    null_z,
    simulated_null,
)

FAMILY = Family(
    "local",
    "Local (neighborhoods)",
    "hubs and rows that are nobody's neighbor",
    "anything that leaves the order of neighbors as it is",
)
ONE_SET = ("queries", "documents")
#: Statistics that carry an interval; the skewness varies too much between samples.
CERTAIN = tuple(name for name in STATISTICS if name != "hubness_skewness")


def hubness(facts: Facts, measure: Measure, side: str, on: str) -> Estimate:
    """Statistic of the k-occurrence within a side, or of one side among the other."""
    k = measure.whole("k")
    place = (side, on, measure.word("center"))
    table, sampled = neighbor_table(facts, *place)
    _need_targets(table, k, side)
    value = STATISTICS[measure.name](occurrences(table.index, k, table.n_targets))
    if math.isnan(value):
        raise Impossible(f"{side}: every row occurs equally often, which has no skewness")
    influences = _influences(facts, measure, place, table, sampled)
    mean, sd, p = _null(facts, table, k, side, measure.name, value)
    queries = side != "documents"
    return Estimate(
        value,
        influences,
        n=len(table.anchors) if sampled or side != "dual_ranking" else table.n_targets,
        unit="query" if queries else "document",
        population="queries" if queries else "none",
        estimator="subsampled" if sampled else "exact",
        method="jackknife" if influences else None,
        low=-math.inf if measure.name == "hubness_skewness" else 0.0,
        high=math.inf if measure.name == "hubness_skewness" else 1.0,
        null_mean=mean,
        null_sd=sd,
        null_p=p,
    )


def _need_targets(table: Neighbors, k: int, side: str) -> None:
    available = table.n_targets - (side in ONE_SET)
    if available <= k:
        raise Impossible(f"{side}: {available} possible neighbors, more than k={k} are needed")
    if len(table.anchors) < 2:
        raise Impossible(f"{side}: {len(table.anchors)} anchor(s), at least 2 are needed")


def neighbor_table(facts: Facts, side: str, on: str, center: str) -> tuple[Neighbors, bool]:
    """Nearest targets of the anchors of a side, and whether the anchors are a sample.

    Parameters
    ----------
    facts
        The shared facts.
    side, on
        ``queries`` and ``documents`` among themselves; ``ranking``: documents of queries;
        ``dual_ranking``: queries of documents.
    center
        ``sides``: of two sides each is centered by its own mean, not by the joint one.
    """
    if side in ONE_SET:
        need_rows(facts, side)
        found = facts.one_set(side, on)
        return found.neighbors, found.sampled
    need_rows(facts, "cross", 1)
    if side == "dual_ranking":
        return facts.dual(on, "own" if center == "sides" else "joint")
    if center == "sides":
        return _mined_table(facts) or facts.cross(on, "own").neighbors, False
    return facts.cross(on).neighbors, False


def _mined_table(facts: Facts) -> Neighbors | None:
    """The lists of mining, where they are the nearest documents of centered queries."""
    padded = facts.space.padding is not None and np.any(facts.space.padding)
    if facts.space.similarity != "cosine" or padded or facts.mining is not facts:
        return None
    if not facts.pairs.positive.any() or facts.plan.depth < facts.plan.local_k:
        return None
    found = mined(facts, "documents", "sides")
    if found.sampled:
        return None
    return Neighbors(np.arange(len(found.index)), found.index, found.score, found.n)


def _influences(
    facts: Facts, measure: Measure, place: tuple[str, str, str], table: Neighbors, sampled: bool
) -> tuple[Influence, ...]:
    """Queries are resampled, as anchors, as targets, or as both; documents stay."""
    side = place[0]
    # Counted from some anchors it is the value at that number of anchors, not an estimate.
    if sampled or side == "documents" or not _covers(measure.name, *place):
        return ()
    k, n = measure.whole("k"), table.n_targets
    key = ("hubness without", k, *place)
    values, excess = facts.once(key, lambda: _without_blocks(facts, table, side, k))
    column = CERTAIN.index(measure.name)
    if side != "ranking":
        # Where only targets are resampled the jackknife is right as it is.
        counted_twice = excess[column] * (side == "queries")
        return (block_influence(values[:, column], counted_twice, LEAST_OF_ONE_SET),)
    keys = [facts.space.query_ids[i] for i in table.anchors]
    single = Influence(keys, anchors_left_out(table.index, k, n, measure.name))
    return (corrected(single, excess[column], LEAST_OF_LAWS),)


def _covers(name: str, side: str, on: str, center: str) -> bool:
    """Whether the interval covers, by simulation."""
    if name not in CERTAIN or name == "antihub_share":
        return False
    return on == "unit" or (side == "ranking" and center == "none")


def _without_blocks(
    facts: Facts, table: Neighbors, side: str, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """All statistics without blocks of queries (of sampled documents: as anchors)."""
    block = blocks_of(facts.space.query_ids, BLOCKS, facts.seed)
    anchors = None if side == "dual_ranking" else block[table.anchors]
    targets = block if side in ("queries", "dual_ranking") else None

    def without(out: Any) -> np.ndarray:
        counts = occurrences_without(
            table.index, k, table.n_targets, out, anchor_block=anchors, target_block=targets
        )
        return np.array([STATISTICS[name](counts) for name in CERTAIN])

    return left_out(without(()), without, int(block.max()) + 1)


def _null(
    facts: Facts, table: Neighbors, k: int, side: str, name: str, value: float
) -> tuple[float, float, float]:
    """Anchors that choose at random: binomial counts; the mean in closed form where it has one."""
    n, (draws, p) = table.n_targets, by_chance(table, k, side)
    rounds = int(np.clip(400_000 // n, 8, 100))

    def draw(rng: np.random.Generator) -> float:
        return STATISTICS[name](rng.binomial(draws, p, size=n))

    key = ("null", name, n, draws, p)
    mean, sd = facts.once(key, lambda: simulated_null(draw, rounds, facts.seed))
    if name in CLOSED:
        mean = CLOSED[name](draws, p)
    return mean, sd, null_z(value, mean, sd)


def by_chance(table: Neighbors, k: int, side: str) -> tuple[int, float]:
    """Draws and probability of the binomial k-occurrence of anchors that choose at random."""
    one_set = side in ONE_SET
    draws = len(table.anchors) - (one_set and len(table.anchors) == table.n_targets)
    return draws, k / (table.n_targets - one_set)


def _taken(measure: Measure, place: Place) -> bool:
    """center=sides is another measurement than the joint mean only where two sides meet."""
    return measure.word("center") == "none" or place in _CROSS


_CROSS = tuple((side, "center>unit") for side in ("ranking", "dual_ranking"))
_SIDES = (*ONE_SET, "ranking", "dual_ranking")
_PLACES = tuple((side, on) for on in ("unit", "center>unit") for side in _SIDES)
_NOTE = (
    "Depends on n, k and the number of anchors: read it against its null. ranking: documents as "
    "neighbors of queries; dual_ranking: queries as neighbors of documents; cosine, best chunk. "
    "There centered rows are centered by the joint mean; center=sides subtracts each side's own "
    "mean and is the control for hubs made by an offset between the sides. Large document sets "
    "are seen from seeded anchors. "
)
_INTERVAL = (
    "Within queries and on dual_ranking blocks of queries are left out, on ranking single "
    "queries; but for dual_ranking, interactions of pairs of blocks are taken off the variance. "
    "Within queries and on dual_ranking centered rows carry no interval, nor do rows under "
    "center=sides and the share of antihubs: simulated, they do not cover (85 and 90%). Counted "
    "from sampled anchors a row is the value at that number of anchors, which its n says: it has "
    "no interval and compares at the same number only."
)
_COMMON: dict[str, Any] = {
    "family": "local",
    "low": 0.0,
    "high": 1.0,
    "better": "down",
    "word": "more even",
    "null": "anchors that choose their k at random: binomial counts",
    "needs": ("neighbors",),
    "places": _PLACES,
    "where": _taken,
    "parameters": (
        Parameter("k", 10, always=True, low=1, meaning="nearest neighbors counted of each anchor"),
        Parameter(
            "center",
            "none",
            choices=("none", "sides"),
            meaning="sides subtracts the mean of each side from its rows, not the joint mean",
        ),
    ),
    "defaults": ({}, {"center": "sides"}),
    "compute": hubness,
    "size_bound": True,
}
_BLIND = "whether hubs come from the space or from an offset between the sides"
_RADOVANOVIC = "Radovanovic et al., JMLR 11:2487-2531, 2010"
DEFINITIONS = (
    Definition(
        name="hubness_gini",
        formula="sum_i (2i - n - 1) N_(i)/(n sum N), N the k-occurrence sorted ascending",
        up="hubs",
        sees="how unevenly rows occur among the k nearest of others",
        blind=_BLIND,
        reference=f"k-occurrence: {_RADOVANOVIC}; Gini in place of the skewness, which "
        "varies by a factor of two between seeds",
        note=_NOTE + _INTERVAL,
        **_COMMON,
    ),
    Definition(
        name="hubness_robin_hood",
        formula="0.5 sum |N - mean N|/sum N",
        up="hubs",
        sees="the share of the occurrences that would have to move to make all rows equal",
        blind=_BLIND,
        reference=f"k-occurrence: {_RADOVANOVIC}; Robin Hood index: Feldbauer et al. 2018",
        note=_NOTE + _INTERVAL,
        **_COMMON,
    ),
    Definition(
        name="hubness_skewness",
        formula="E(N - mean N)^3/sd^3, N the k-occurrence",
        up="hubs",
        sees="few rows that are among the k nearest of very many",
        blind=_BLIND + "; rows that nobody reaches",
        reference=_RADOVANOVIC,
        note=_NOTE + "With hubs present seeds differ by a factor of two: compare models on the "
        "Gini, the Robin Hood index or the share of antihubs; no interval.",
        **(_COMMON | {"low": -math.inf, "high": math.inf}),
    ),
    Definition(
        name="antihub_share",
        formula="share of rows with N = 0",
        up="rows that nobody reaches",
        sees="rows that are among the k nearest of none",
        blind="how the occurrences are shared among the rows that are reached",
        reference=_RADOVANOVIC,
        note=_NOTE + _INTERVAL,
        **_COMMON,
    ),
)
