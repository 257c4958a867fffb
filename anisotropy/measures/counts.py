"""Counts of items among the nearest of others: how uneven they are, and what chance makes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

Statistic = Callable[[np.ndarray], float]


def gini(counts: np.ndarray) -> float:
    """Gini coefficient of non-negative counts, shape (n,): sum (2i - n - 1) N_(i)/(n sum N)."""
    n, total = len(counts), float(counts.sum())
    if total <= 0:
        return math.nan
    weights = 2 * np.arange(1, n + 1) - n - 1
    return float(weights @ np.sort(counts)) / (n * total)


def robin_hood(counts: np.ndarray) -> float:
    """Share of the counts that would have to move to make all equal."""
    total = float(counts.sum())
    return float(np.abs(counts - counts.mean()).sum()) / (2 * total) if total > 0 else math.nan


def skewness(counts: np.ndarray) -> float:
    """Third standardized moment of the counts; NaN where all are equal."""
    centered = counts - counts.mean()
    spread = float(np.mean(centered**2))
    return float(np.mean(centered**3)) / spread**1.5 if spread > 0 else math.nan


def antihub_share(counts: np.ndarray) -> float:
    """Share of items that never occur."""
    return float(np.mean(counts == 0))


STATISTICS: dict[str, Statistic] = {
    "hubness_gini": gini,
    "hubness_robin_hood": robin_hood,
    "hubness_skewness": skewness,
    "antihub_share": antihub_share,
}


def occurrences(index: np.ndarray, k: int, n: int) -> np.ndarray:
    """How many anchors have each of n targets among their k nearest, shape (n,)."""
    listed = index[:, :k]
    counts: np.ndarray = np.bincount(listed[listed >= 0], minlength=n)
    return counts


def occurrences_without(
    index: np.ndarray,
    k: int,
    n: int,
    out: Sequence[int],
    *,
    anchor_block: np.ndarray | None = None,
    target_block: np.ndarray | None = None,
) -> np.ndarray:
    """The k-occurrence of the targets that stay when blocks are left out.

    Parameters
    ----------
    index
        Shape (anchors, depth): lists some items deeper than k, so that k are left.
    k, n
        Neighbors counted, and number of targets.
    out
        Blocks left out.
    anchor_block, target_block
        Block of each anchor and of each target; None: all stay.
    """
    if anchor_block is not None:
        index = index[~np.isin(anchor_block, out)]
    if target_block is None:
        return occurrences(index, k, n)
    stays = ~np.isin(target_block, out)
    kept = stays[index] & (index >= 0)
    kept &= np.cumsum(kept, axis=1, dtype=np.int32) <= k
    return np.asarray(np.bincount(index[kept], minlength=n)[stays])


def anchors_left_out(index: np.ndarray, k: int, n: int, measure: str) -> np.ndarray:
    """Exact jackknife values of a statistic of the counts, an anchor left out at a time."""
    lists, anchors = index[:, :k], len(index)
    counts = occurrences(index, k, n)
    if measure == "antihub_share":
        return np.asarray(-(anchors - 1) * (counts[lists] == 1).sum(axis=1) / n)
    if measure == "hubness_robin_hood":
        mean = (anchors - 1) * k / n
        change = (np.abs(counts - 1 - mean) - np.abs(counts - mean))[lists].sum(axis=1)
        left_out = (np.abs(counts - mean).sum() + change) / (2 * (anchors - 1) * k)
        return np.asarray(-(anchors - 1) * left_out)
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


def binomial_skewness(draws: int, p: float) -> float:
    """Skewness of Binomial(draws, p)."""
    return (1 - 2 * p) / math.sqrt(draws * p * (1 - p))


def binomial_antihubs(draws: int, p: float) -> float:
    """Probability that Binomial(draws, p) is zero."""
    return (1 - p) ** draws


def binomial_robin_hood(draws: int, p: float) -> float:
    """Mean absolute deviation of Binomial(draws, p) over twice its mean (De Moivre)."""
    mean = draws * p
    j = math.floor(mean) + 1
    if j > draws:
        return 0.0
    log = math.lgamma(draws + 1) - math.lgamma(j) - math.lgamma(draws - j + 1)
    log += j * math.log(p) + (draws - j + 1) * math.log1p(-p)
    return math.exp(log) / mean


#: Expected values under anchors that choose at random, where there is a closed form.
CLOSED: Mapping[str, Callable[[int, float], float]] = {
    "hubness_skewness": binomial_skewness,
    "antihub_share": binomial_antihubs,
    "hubness_robin_hood": binomial_robin_hood,
}
