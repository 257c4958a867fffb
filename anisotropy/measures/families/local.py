"""Local: how unevenly rows occur among the nearest neighbors of others."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from anisotropy.measures.base import Definition, Family, Impossible, Measure, Parameter
from anisotropy.measures.facts import Facts
from anisotropy.measures.families.cone import need_rows
from anisotropy.neighbors import Neighbors
from anisotropy.statistics import (
    Estimate,
    Influence,
    blocks_of,
    from_left_out,
    null_z,
    simulated_null,
)

FAMILY = Family(
    "local",
    "Local (neighborhoods)",
    "hubs and rows that are nobody's neighbor",
    "anything that leaves the order of neighbors as it is",
)
Statistic = Callable[[np.ndarray], float]
BLOCKS = 20


def gini(counts: np.ndarray) -> float:
    """Gini coefficient of non-negative counts, shape (n,): sum (2i - n - 1) N_(i)/(n sum N)."""
    n, total = len(counts), float(counts.sum())
    if total <= 0:
        return math.nan
    weights = 2 * np.arange(1, n + 1) - n - 1
    return float(weights @ np.sort(counts)) / (n * total)


def antihub_share(counts: np.ndarray) -> float:
    """Share of items that never occur."""
    return float(np.mean(counts == 0))


def occurrences(index: np.ndarray, k: int, n: int) -> np.ndarray:
    """How many anchors have each of n targets among their k nearest, shape (n,)."""
    counts: np.ndarray = np.bincount(index[:, :k].ravel(), minlength=n)
    return counts


def without_blocks(
    index: np.ndarray,
    k: int,
    n: int,
    statistic: Statistic,
    *,
    anchor_block: np.ndarray | None = None,
    target_block: np.ndarray | None = None,
) -> np.ndarray:
    """The statistic with each block of anchors, of targets, or of both left out.

    Parameters
    ----------
    index
        Shape (anchors, depth): lists some items deeper than k, so that k are left.
    k, n
        Neighbors counted, and number of targets.
    statistic
        Of the counts of the targets that stay.
    anchor_block, target_block
        Block of each anchor and of each target; None: all stay.
    """
    blocks = [b for b in (anchor_block, target_block) if b is not None]
    values = np.empty(int(blocks[0].max()) + 1)
    for block in range(len(values)):
        lists = index if anchor_block is None else index[anchor_block != block]
        if target_block is None:
            values[block] = statistic(occurrences(lists, k, n))
            continue
        stays = target_block != block
        kept = stays[lists] & (lists >= 0)
        kept &= np.cumsum(kept, axis=1, dtype=np.int32) <= k
        values[block] = statistic(np.bincount(lists[kept], minlength=n)[stays])
    return values


def anchors_left_out(index: np.ndarray, k: int, n: int, measure: str) -> np.ndarray:
    """Exact jackknife values of a statistic of the counts, an anchor left out at a time."""
    lists, anchors = index[:, :k], len(index)
    counts = occurrences(index, k, n)
    if measure == "antihub_share":
        return np.asarray(-(anchors - 1) * (counts[lists] == 1).sum(axis=1) / n)
    # A target that loses one occurrence moves to the bottom of its group of equal counts.
    bottom = np.searchsorted(np.sort(counts), counts)
    ranks = np.sort(bottom[lists], axis=1)
    ranks = ranks + np.arange(k) - _first_equal(ranks)
    loss = (2 * ranks + 1 - n).sum(axis=1)
    total, weighted = k * anchors, gini(counts) * n * k * anchors
    left_out = (weighted - loss) / (n * (total - k))
    return np.asarray(-(anchors - 1) * left_out)


def _first_equal(ranks: np.ndarray) -> np.ndarray:
    """Column at which the run of equal values begins, for rows sorted ascending."""
    columns = np.broadcast_to(np.arange(ranks.shape[1]), ranks.shape)
    new = np.concatenate(
        [np.ones((len(ranks), 1), dtype=bool), ranks[:, 1:] != ranks[:, :-1]], axis=1
    )
    return np.maximum.accumulate(np.where(new, columns, 0), axis=1)


STATISTICS: dict[str, Statistic] = {"hubness_gini": gini, "antihub_share": antihub_share}


def hubness(facts: Facts, measure: Measure, side: str, on: str) -> Estimate:
    """Statistic of the k-occurrence within a side, or of one side among the other."""
    k = measure.whole("k")
    statistic = STATISTICS[measure.name]
    table, sampled = _table(facts, side, on)
    _need_targets(table, k, side, one_set=side in ("queries", "documents"))
    value = statistic(occurrences(table.index, k, table.n_targets))
    influences = _influences(facts, measure, (side, on), table, sampled)
    mean, sd, p = _null(facts, table, k, side, statistic, value)
    queries = side != "documents"
    return Estimate(
        value,
        influences,
        n=len(table.anchors) if side != "dual_ranking" else table.n_targets,
        unit="query" if queries else "document",
        population="queries" if queries else "none",
        estimator="sampled" if sampled else "exact",
        method="jackknife" if influences else None,
        low=0.0,
        high=1.0,
        null_mean=mean,
        null_sd=sd,
        null_p=p,
    )


def _need_targets(table: Neighbors, k: int, side: str, one_set: bool) -> None:
    available = table.n_targets - one_set
    if available <= k:
        raise Impossible(f"{side}: {available} possible neighbors, more than k={k} are needed")
    if len(table.anchors) < 2:
        raise Impossible(f"{side}: {len(table.anchors)} anchor(s), at least 2 are needed")


def _table(facts: Facts, side: str, on: str) -> tuple[Neighbors, bool]:
    if side in ("queries", "documents"):
        need_rows(facts, side)
        found = facts.one_set(side, on)
        return found.neighbors, found.sampled
    need_rows(facts, "cross", 1)
    if side == "ranking":
        return facts.cross(on).neighbors, False
    return facts.dual(on)


def _influences(
    facts: Facts, measure: Measure, place: tuple[str, str], table: Neighbors, sampled: bool
) -> tuple[Influence, ...]:
    """Queries are resampled, as anchors, as targets, or as both; documents stay."""
    side, on = place
    k, n, statistic = measure.whole("k"), table.n_targets, STATISTICS[measure.name]
    if side == "ranking" or (side == "documents" and sampled):
        values = anchors_left_out(table.index, k, n, measure.name)
        if side == "ranking":
            return (Influence(facts.space.query_ids, values),)
        ids = facts.row_ids("documents")
        keys = [ids[i] for i in table.anchors]
        return (Influence(keys, values, math.sqrt(1 - len(keys) / n)),)
    if side == "documents" or on != "unit" or measure.name == "antihub_share":
        return ()
    block = blocks_of(facts.space.query_ids, BLOCKS, facts.seed)
    anchors = block[table.anchors] if side == "queries" else None
    left_out = without_blocks(
        table.index, k, n, statistic, anchor_block=anchors, target_block=block
    )
    return (from_left_out(left_out),)


def _null(
    facts: Facts, table: Neighbors, k: int, side: str, statistic: Statistic, value: float
) -> tuple[float, float, float]:
    """Anchors that choose at random: binomial counts."""
    one_set = side in ("queries", "documents")
    n, available = table.n_targets, table.n_targets - one_set
    draws = len(table.anchors) - (one_set and len(table.anchors) == n)
    rounds = int(np.clip(400_000 // n, 8, 100))

    def draw(rng: np.random.Generator) -> float:
        return statistic(rng.binomial(draws, k / available, size=n))

    key = ("null", statistic, n, draws, k)
    mean, sd = facts.once(key, lambda: simulated_null(draw, rounds, facts.seed))
    return mean, sd, null_z(value, mean, sd)


_SIDES = ("queries", "documents", "ranking", "dual_ranking")
_PLACES = tuple((side, on) for on in ("unit", "center>unit") for side in _SIDES)
_K = (Parameter("k", 10, always=True, low=1, meaning="nearest neighbors counted of each anchor"),)
_NULL = "anchors that choose their k at random: binomial counts, simulated"
_NOTE = (
    "Depends on n, k and the number of anchors: read it against its null, which is "
    "beside it. ranking: documents as neighbors of queries; "
    "dual_ranking: queries as neighbors of documents; cosine, best chunk, centered by the joint "
    "mean. Large document sets are seen from seeded anchors. Within queries and on dual_ranking "
    "blocks of queries are left out; on ranking single queries. There, centered rows and the "
    "share of antihubs carry no interval: simulated, it does not cover."
)
DEFINITIONS = (
    Definition(
        name="hubness_gini",
        family="local",
        formula="sum_i (2i - n - 1) N_(i)/(n sum N), N the k-occurrence sorted ascending",
        low=0.0,
        high=1.0,
        up="hubs",
        better="down",
        word="more even",
        sees="how unevenly rows occur among the k nearest of others",
        blind="whether hubs come from the space or from an offset between the sides",
        reference="k-occurrence: Radovanovic et al. 2010; Gini in place of the skewness, which "
        "varies by a factor of two between seeds",
        note=_NOTE,
        null=_NULL,
        needs=("neighbors",),
        places=_PLACES,
        parameters=_K,
        compute=hubness,
        size_bound=True,
    ),
    Definition(
        name="antihub_share",
        family="local",
        formula="share of rows with N = 0",
        low=0.0,
        high=1.0,
        up="rows that nobody reaches",
        better="down",
        word="more even",
        sees="rows that are among the k nearest of none",
        blind="how the occurrences are shared among the rows that are reached",
        reference="Radovanovic et al. 2010",
        note=_NOTE,
        null=_NULL,
        needs=("neighbors",),
        places=_PLACES,
        parameters=_K,
        compute=hubness,
        size_bound=True,
    ),
)
