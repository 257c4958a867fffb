"""Several checkpoints a side: seeds of one method, each measured on the same queries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anisotropy.errors import NotComparable
from anisotropy.statistics import (
    LEVEL,
    Estimate,
    Influence,
    Interval,
    linear_influences,
    pair_by_key,
    rounded_away,
    rounding,
    student,
    two_sided,
)

#: A variance and its degrees of freedom.
Term = tuple[float, float]


@dataclass(frozen=True)
class SeedDifference:
    """Mean over the seeds of b minus mean over the seeds of a."""

    a: float
    b: float
    delta: float
    interval: Interval
    effect_size: float


def seed_difference(
    a: Sequence[Estimate], b: Sequence[Estimate], level: float = LEVEL
) -> SeedDifference:
    """Difference of two methods from a few seeds of each, all measured on the same queries.

    Seeds and queries are crossed, so the variance of the difference of means is

        s_a^2/n_a + s_b^2/n_b + V_queries - V_both

    with s^2 the variance between the seeds of a side; V_queries the variance of the paired
    difference from its influence values averaged over seeds, as for two spaces; and V_both what
    the first two have in common, the part of a query's influence that differs from seed to seed,
    which each of them holds once. Student's t with Satterthwaite's degrees of freedom.

    Parameters
    ----------
    a, b
        One estimate a seed, two or more a side; unpaired: the order of the seeds means nothing.
    level
        Of the interval.

    Returns
    -------
    SeedDifference
        The interval generalizes over seeds and over the queries. Values of a whole collection,
        which carry no influence values, generalize over seeds alone. NaN where a value
        withholds its own interval. The effect size is the difference over the pooled standard
        deviation between seeds (Cohen's d).

    Raises
    ------
    NotComparable
        If the estimates were made on different units.

    Notes
    -----
    Variance components of a crossed design with random effects: Satterthwaite 1946; for queries
    and systems Bodoff and Li, SIGIR 2007.
    """
    values = [np.array([e.value for e in side]) for side in (a, b)]
    means = [float(v.mean()) for v in values]
    delta = means[1] - means[0]
    spread = [float(v.var(ddof=1)) for v in values]
    between = [(s / len(v), len(v) - 1.0) for s, v in zip(spread, values, strict=True)]
    shared = _query_variance(a, b)
    pooled = math.sqrt(sum(spread) / 2)
    effect = delta / pooled if pooled > 0 else math.nan
    found = Interval() if shared is None else _interval(means, between, *shared, level=level)
    return SeedDifference(means[0], means[1], delta, found, effect)


def _interval(
    means: Sequence[float],
    between: Sequence[Term],
    parts: Sequence[Term],
    both: float,
    level: float,
) -> Interval:
    delta = means[1] - means[0]
    terms = [*between, *parts]
    seeds, queries = (sum(v for v, _ in group) for group in (between, parts))
    # Each of the two holds the common part, so the total is no less than either.
    total = max(seeds + queries - both, seeds, queries)
    if not total > 1e-24 * sum(mean**2 for mean in means):
        same = abs(delta) < 1e-12
        return Interval(0.0, delta, delta, 1.0 if same else 0.0)
    freedom = total**2 / float(sum(v**2 / f for v, f in terms))
    se, floor = math.sqrt(total), rounding(*means)
    if abs(delta) <= floor and se <= floor:
        return rounded_away(delta, se, floor)
    reach = student(level, freedom) * se
    return Interval(se, delta - reach, delta + reach, two_sided(delta / se, freedom))


def _query_variance(
    a: Sequence[Estimate], b: Sequence[Estimate]
) -> tuple[list[Term], float] | None:
    """Variances from units with their degrees of freedom, and what seeds hold of them too.

    None where an estimate of a sample carries no influence values.
    """
    sides = [[linear_influences(e) for e in side] for side in (a, b)]
    everything = [parts for side in sides for parts in side]
    if not all(everything):
        census = all(e.population == "none" for e in (*a, *b))
        return ([], 0.0) if census else None
    if len({len(parts) for parts in everything}) != 1:
        raise NotComparable("the values were estimated in different ways")
    terms: list[Term] = []
    both = 0.0
    for place in range(len(everything[0])):
        first = sides[0][0][place]
        tables = [np.stack([_aligned(first, p[place]) for p in side]) for side in sides]
        factor = min(parts[place].shrink for parts in everything) ** 2
        change = Influence(first.keys, tables[1].mean(axis=0) - tables[0].mean(axis=0))
        terms.append((change.variance * factor, len(first.keys) - 1.0))
        both += sum(map(_interaction, tables)) * factor
    return terms, both


def _aligned(first: Influence, other: Influence) -> np.ndarray:
    """Values of `other` in the order of the ids of `first`, with mean zero."""
    zero = Influence(first.keys, np.zeros(len(first.keys)))
    values = pair_by_key(zero, other).values
    return np.asarray(values - values.mean())


def _interaction(table: np.ndarray) -> float:
    """Variance of a side's mean from what is neither of the seed nor of the unit."""
    seeds, units = int(table.shape[0]), int(table.shape[1])
    rest = table - table.mean(axis=0)
    freedom = (seeds - 1) * (units - 1)
    return float((rest**2).sum()) / (freedom * seeds * units)
