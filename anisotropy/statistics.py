"""Uncertainty, nulls and tests.

An uncertain value carries *influence values*: one number for each unit resampled (a query, a
document, a block of queries), keyed by its id, with mean zero and scaled so that the standard
error is their standard deviation over the square root of their number. The difference of two
spaces pairs them by id; rows are never swapped between spaces.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from anisotropy.errors import NotComparable
from anisotropy.files import hash_ids

LEVEL = 0.95
BLOCKS = 20
#: Fewer units show no spread to speak of, and get no interval.
FEWEST_UNITS = 5
#: Units other than 0 that make a mean of values which are 0 for most.
FEWEST_DECIDING = 10
#: Part of a value that arithmetic on 32-bit vectors may change: they carry 6e-8 of a number, and
#: sums over dimensions and blocks in another order a few times that.
ROUNDING = 1e-6
Scale = Literal["linear", "square", "log", "share", "skewed"]


@dataclass(frozen=True, eq=False)
class Influence:
    """Influence values of one kind of unit.

    Attributes
    ----------
    keys
        Ids of the units, or numbers of blocks.
    values
        Shape (len(keys),); their mean does not matter.
    shrink
        Factor on the standard error, for anchors drawn from a finite set without
        replacement: sqrt(1 - drawn / all).
    """

    keys: Sequence[str] | Sequence[int]
    values: np.ndarray
    shrink: float = 1.0

    @property
    def variance(self) -> float:
        """Squared standard error from these units; NaN for fewer than two."""
        if len(self.values) < 2:
            return math.nan
        return float(np.var(self.values, ddof=1)) / len(self.values) * self.shrink**2


@dataclass(frozen=True, eq=False)
class Estimate:
    """A value, and what is needed to say how sure it is.

    Attributes
    ----------
    value
        The estimate on the scale of the measure.
    influences
        Independent sources of uncertainty; empty where there is none.
    n, unit, population, estimator, method
        As in :class:`anisotropy.results.Measurement`.
    scale
        Scale of the influence values and of the interval: ``linear``; ``square`` (intervals of
        the squared value, mapped back and truncated at 0); ``log``; ``share`` (a mean of
        values between 0 and 1: influence values as they are, interval of a binomial share);
        ``skewed`` (a mean of values between 0 and 1, the interval corrected for the skewness of
        the influence values and at least as wide as that of ``share``; none where fewer than
        10 units are not 0).
    squared, slack
        The estimate of the squared value where `scale` is ``square``; may be negative. And by
        how much it may be too small under another design, which the upper limit allows for.
    low, high
        Range to which the interval is cut.
    null_mean, null_sd, null_p
        The value under the null of the measure.
    notes
        Lines for the warnings of the run.
    weights
        Where the value is a mean over the units of the one influence, with weights that the
        judgments alone decide: those weights, of mean 1. Only such values may be swapped
        between two spaces unit by unit (randomization tests).
    """

    value: float
    influences: tuple[Influence, ...] = ()
    n: int = 0
    unit: str | None = None
    population: str = "none"
    estimator: str = "exact"
    method: str | None = None
    scale: Scale = "linear"
    squared: float = math.nan
    slack: float = 0.0
    low: float = -math.inf
    high: float = math.inf
    null_mean: float = math.nan
    null_sd: float = math.nan
    null_p: float = math.nan
    notes: tuple[str, ...] = ()
    weights: np.ndarray | None = None


@dataclass(frozen=True)
class Interval:
    """Standard error and interval of a value or of a difference."""

    se: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan


def total_error(influences: Sequence[Influence]) -> tuple[float, float]:
    """Standard error and degrees of freedom (Welch-Satterthwaite) of independent sources."""
    if not influences:
        return math.nan, math.nan
    variances = np.array([part.variance for part in influences])
    total = float(variances.sum())
    if not total > 0:
        return math.sqrt(total) if total == 0 else math.nan, math.nan
    freedom = np.array([len(part.values) - 1 for part in influences])
    return math.sqrt(total), total**2 / float((variances**2 / freedom).sum())


def student(level: float, freedom: float) -> float:
    """Two-sided quantile of Student's t; 0 where the freedom is NaN."""
    from scipy.special import stdtrit

    return 0.0 if math.isnan(freedom) else float(stdtrit(freedom, 0.5 + level / 2))


def interval(estimate: Estimate, level: float = LEVEL) -> Interval:
    """Standard error on the scale of the value, and the interval.

    Returns
    -------
    Interval
        NaN where the estimate carries no influence values, or those of fewer than 5 units.
    """
    se, freedom = total_error(estimate.influences)
    fewest = min((len(part.values) for part in estimate.influences), default=0)
    if math.isnan(se) or math.isnan(estimate.value) or fewest < FEWEST_UNITS:
        return Interval()
    if estimate.scale == "share":
        return _cut(estimate, _share_interval(estimate, se, level))
    reach = student(level, freedom) * se
    if estimate.scale == "log":
        low, high = (estimate.value * _exp(sign * reach) for sign in (-1, 1))
        return _cut(estimate, Interval(estimate.value * se, low, high))
    if estimate.scale == "square":
        reach = _reach_of_set(reach, estimate.slack, se, (level, freedom))
        limits = (estimate.squared - reach, estimate.squared + estimate.slack + reach)
        low, high = (math.sqrt(max(limit, 0)) for limit in limits)
        return _cut(estimate, Interval(se * _root_slope(estimate, se), low, high))
    if estimate.scale == "skewed":
        return _cut(estimate, _skewed_interval(estimate, se, reach, level))
    return _cut(estimate, Interval(se, estimate.value - reach, estimate.value + reach))


def _reach_of_set(reach: float, slack: float, se: float, law: tuple[float, float]) -> float:
    """Reach on both sides of a set of values, one of which is the true one.

    A value is at one end of the set or the other, so less than the reach of a point is enough
    on either side (Imbens and Manski, Econometrica 72, 2004): c with
    F(c + slack/se) - F(-c) = level.
    """
    from scipy.optimize import brentq
    from scipy.special import stdtr

    if not (slack > 0 and se > 0):
        return reach
    level, freedom = law

    def excess(c: float) -> float:
        return float(stdtr(freedom, c + slack / se) - stdtr(freedom, -c)) - level

    return se * float(brentq(excess, 0.0, reach / se))


def _skewed_interval(estimate: Estimate, se: float, reach: float, level: float) -> Interval:
    """Hall's interval, and no narrower than that of a share; none where few units decide.

    Where nearly all values are 0, the mean is made by a few units, and a sample may miss those
    that are far off: simulated with some 5 of 250 queries, an interval covers 82%.
    """
    if not se > 0 or deciding_units(estimate) < FEWEST_DECIDING:
        return Interval()
    share = _share_interval(estimate, se, level)
    skew = _skewness(estimate.influences, se)
    low, high = (estimate.value - se * _unskewed(sign * reach / se, skew) for sign in (1, -1))
    return Interval(se, min(low, share.low), max(high, share.high))


def deciding_units(estimate: Estimate) -> int:
    """How many units are not at 0, of a mean with stated weights; all of them without."""
    (part,) = estimate.influences
    if estimate.weights is None:
        return len(part.values)
    values = part.values + estimate.value * estimate.weights
    return int(np.count_nonzero(np.abs(values) > 1e-12))


def _share_interval(estimate: Estimate, se: float, level: float) -> Interval:
    """Clopper and Pearson's interval at the effective sample size v (1 - v)/se^2.

    That is the number of trials at which a share would have this standard error, less what
    Student's t adds to the normal quantile (Korn and Graubard 1998). Where every unit has the
    same 0 or 1 there is no error to go by, and the units are the trials.
    """
    from scipy.special import betaincinv, ndtri

    value, units = estimate.value, sum(len(part.values) for part in estimate.influences)
    spread = max(value * (1 - value), 0.0)
    if se == 0 and spread > 1e-12:
        return Interval(se, value, value)
    trials = spread / se**2 if se > 0 and spread > 0 else float(units)
    tail = (1 - level) / 2
    trials *= (float(ndtri(tail)) / student(level, units - 1)) ** 2
    hits, misses = value * trials, (1 - value) * trials
    low = float(betaincinv(hits, misses + 1, tail)) if hits > 1e-9 else 0.0
    high = float(betaincinv(hits + 1, misses, 1 - tail)) if misses > 1e-9 else 1.0
    return Interval(se, low, high)


def _skewness(influences: Sequence[Influence], se: float) -> float:
    """Skewness of a sum of independent means: the third moments over the cube of the error."""
    third = sum(
        float(np.mean((part.values - part.values.mean()) ** 3)) / len(part.values) ** 2
        for part in influences
    )
    return third / se**3 if se > 0 else 0.0


def _unskewed(x: float, skew: float) -> float:
    """Quantile of the t statistic of a skewed mean: inverse of Hall's cubic (1992)."""
    if abs(skew) < 1e-6:
        return x
    return 3 / skew * (math.cbrt(1 + skew * (x - skew / 6)) - 1)


def _exp(x: float) -> float:
    return math.exp(min(x, 700.0))


def _cut(estimate: Estimate, found: Interval) -> Interval:
    low = min(max(found.low, estimate.low), estimate.high)
    high = max(min(found.high, estimate.high), estimate.low)
    return Interval(found.se, low, high)


def _root_slope(estimate: Estimate, se: float) -> float:
    """Derivative of the square root, held finite near zero by the error of the square."""
    floor = math.sqrt(se) if se > 0 else 1.0
    return 1 / (2 * max(estimate.value, floor))


def linear_influences(estimate: Estimate) -> tuple[Influence, ...]:
    """Influence values on the scale of the value itself (delta method)."""
    slope = 1.0
    if estimate.scale == "square":
        slope = _root_slope(estimate, total_error(estimate.influences)[0])
    elif estimate.scale == "log":
        slope = estimate.value
    return tuple(Influence(part.keys, part.values * slope, part.shrink)
                 for part in estimate.influences)  # fmt: skip


@dataclass(frozen=True)
class PairedDifference:
    """Value of b minus value of a, resampling the same units in both."""

    delta: float
    interval: Interval
    effect_size: float
    n: int


def paired_difference(a: Estimate, b: Estimate, level: float = LEVEL) -> PairedDifference:
    """Compare two estimates whose influence values are keyed by the same ids.

    The effect size is the difference over the standard deviation of the paired differences of
    one unit: for per-query values Cohen's d_z of paired data. NaN where two kinds of units
    (queries and documents) carry the uncertainty, or none but the choice of anchors. Of fewer
    than 5 units there is neither interval nor p.

    Raises
    ------
    NotComparable
        If the ids differ.
    """
    delta = b.value - a.value
    parts_a, parts_b = linear_influences(a), linear_influences(b)
    if not parts_a or not parts_b:
        # A census, or an interval that one of the two withholds: the difference stands alone.
        return PairedDifference(delta, Interval(), math.nan, a.n)
    if len(parts_a) != len(parts_b):
        raise NotComparable("the two values were estimated in different ways")
    paired = [pair_by_key(x, y) for x, y in zip(parts_a, parts_b, strict=True)]
    se, freedom = total_error(paired)
    if math.isnan(se) or min(len(part.values) for part in paired) < FEWEST_UNITS:
        return PairedDifference(delta, Interval(), math.nan, a.n)
    floor = rounding(a.value, b.value)
    if abs(delta) <= floor and se <= floor:
        return PairedDifference(delta, rounded_away(delta, se, floor), math.nan, a.n)
    if se <= 1e-12 * (abs(a.value) + abs(b.value)):
        return _certain(delta, a.n)
    reach = student(level, freedom) * se
    p = two_sided(delta / se, freedom)
    found = Interval(se, delta - reach, delta + reach, p if a.population != "none" else math.nan)
    return PairedDifference(delta, found, _effect_size(delta, se, paired, a), a.n)


def rounding(a: float, b: float) -> float:
    """Up to this much two values may differ because vectors are 32-bit numbers."""
    return ROUNDING * (abs(a) + abs(b))


def rounded_away(delta: float, se: float, floor: float) -> Interval:
    """Interval of a difference that rounding alone can make: as wide as that, no finding."""
    return Interval(se, delta - floor, delta + floor, 1.0)


def _effect_size(delta: float, se: float, parts: Sequence[Influence], a: Estimate) -> float:
    """Difference over the spread of one unit's paired difference."""
    if len(parts) != 1 or a.population == "none" or not a.n:
        return math.nan
    # Blocks are numbered: the units are what they are made of. Anchors are the units drawn.
    blocks = len(parts[0].keys) and not isinstance(parts[0].keys[0], str)
    units = a.n if blocks else min(a.n, len(parts[0].keys))
    return delta / (se * math.sqrt(units))


def paired_changes(a: Estimate, b: Estimate) -> np.ndarray | None:
    """Change of each unit's share in a mean, whose mean is the difference; None if it is none.

    Raises
    ------
    NotComparable
        If the ids differ.
    """
    if a.weights is None or b.weights is None:
        return None
    shares = [
        Influence(e.influences[0].keys, e.influences[0].values + e.value * e.weights)
        for e in (a, b)
        if e.weights is not None
    ]
    return pair_by_key(shares[0], shares[1]).values


def _certain(delta: float, n: int) -> PairedDifference:
    """Every unit changed by the same amount, which is not noise."""
    return PairedDifference(delta, Interval(0.0, delta, delta, 0.0), math.nan, n)


def pair_by_key(a: Influence, b: Influence) -> Influence:
    """Values of b minus those of a, unit by unit; NotComparable where the ids differ."""
    if a.keys is b.keys or list(a.keys) == list(b.keys):
        return Influence(a.keys, b.values - a.values, min(a.shrink, b.shrink))
    place = {key: i for i, key in enumerate(b.keys)}
    order = [place.get(key, -1) for key in a.keys]
    if len(place) != len(order) or min(order, default=0) < 0:
        raise NotComparable("the two values were estimated on different ids")
    return Influence(a.keys, b.values[order] - a.values, min(a.shrink, b.shrink))


def two_sided(statistic: float, freedom: float = math.inf) -> float:
    """Two-sided p of a t statistic (normal for infinite freedom)."""
    from scipy.special import ndtr, stdtr

    x = -abs(statistic)
    return float(2 * (ndtr(x) if math.isinf(freedom) else stdtr(freedom, x)))


def holm(p: Sequence[float], tests: int | None = None) -> list[float]:
    """Holm's adjusted p values; NaN stays NaN.

    Parameters
    ----------
    p
        The p values.
    tests
        Size of the family, where it is fixed beforehand and larger than the list: tests that
        are missing count as not significant. Default: the values that are not NaN.
    """
    adjusted = [math.nan] * len(p)
    ordered = sorted((value, i) for i, value in enumerate(p) if not math.isnan(value))
    family = max(tests or 0, len(ordered))
    largest = 0.0
    for rank, (value, i) in enumerate(ordered):
        largest = max(largest, min(1.0, (family - rank) * value))
        adjusted[i] = largest
    return adjusted


def blocks_of(ids: Sequence[str], count: int = BLOCKS, seed: int = 0) -> np.ndarray:
    """Block of each id: as equal in size as can be, by a seeded hash, never by file order.

    Returns
    -------
    numpy.ndarray of shape (n,)
        Numbers from 0 to min(count, n) - 1.
    """
    order = np.argsort(hash_ids(ids, seed), kind="stable")
    block = np.empty(len(ids), dtype=np.int64)
    block[order] = np.arange(len(ids)) % max(min(count, len(ids)), 1)
    return block


def ratio_influence(total: np.ndarray, weight: np.ndarray) -> tuple[float, np.ndarray]:
    """Ratio of sums over clusters, and its influence value for each cluster.

    Parameters
    ----------
    total, weight
        Shape (clusters,): sum of the values in a cluster, and how many they are.
    """
    ratio = float(total.sum() / weight.sum())
    return ratio, (total - ratio * weight) / weight.mean()


def null_z(value: float, mean: float, sd: float) -> float:
    """Two-sided normal p of a value under its null; NaN without a spread."""
    return two_sided((value - mean) / sd) if sd > 0 else math.nan


def upper_p(value: float, mean: float, sd: float) -> float:
    """One-sided normal p of a value that is larger than under its null; NaN without a spread."""
    from scipy.special import ndtr

    return float(ndtr((mean - value) / sd)) if sd > 0 else math.nan


def simulated_null(
    draw: Callable[[np.random.Generator], float], rounds: int, seed: int
) -> tuple[float, float]:
    """Mean and standard deviation of a statistic under a simulated null.

    Parameters
    ----------
    draw
        One value under the null from a generator.
    rounds, seed
        How many draws, and their seed.
    """
    rng = np.random.default_rng(seed)
    draws = np.array([draw(rng) for _ in range(rounds)])
    return float(draws.mean()), float(draws.std(ddof=1))
