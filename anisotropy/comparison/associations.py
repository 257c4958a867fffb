"""Whether queries whose geometry changed are those whose ranking changed: never a cause."""

from __future__ import annotations

import math

import numpy as np

from anisotropy.comparison.changes import DENSITY, RANKED, RELATIVE
from anisotropy.results import Association, Curve, Withheld
from anisotropy.statistics import LEVEL, student

GEOMETRY = (RELATIVE, "margin", "positive_percentile", DENSITY)
#: Fewer queries whose ranking changed say nothing about what goes with it.
LEAST = 10
ROUNDS = 1_000
_CHUNK = 1_000_000


def association_rows(
    changes: Curve, names: tuple[str, str], seed: int = 0
) -> tuple[list[Association], list[Withheld]]:
    """Spearman's correlation of the change in nDCG@10 with changes in geometry.

    Parameters
    ----------
    changes
        The curve ``changes``; geometry that it has no column for is left out.
    names
        Labels of a and b.
    seed
        Of the bootstrap.

    Returns
    -------
    tuple
        Associations over the queries that have both values, and those withheld: with fewer
        than 10 queries whose nDCG@10 changed, or a geometry that did not change.
    """
    found, withheld = [], []
    ranked = changes.columns[f"{RANKED}_delta"]
    for geometry in GEOMETRY:
        moved = changes.columns.get(f"{geometry}_delta")
        if moved is None:
            withheld += _of_other_units(changes, geometry, names)
            continue
        both = np.isfinite(moved) & np.isfinite(ranked)
        x, y = moved[both], ranked[both]
        reason = _too_little(geometry, x, y)
        if reason:
            what = f"association of {RANKED} and {geometry}"
            withheld.append(Withheld("ranking", what, "recipe", reason, names[1], names[0]))
            continue
        value, low, high = spearman(x, y, seed=seed)
        found.append(
            Association(
                geometry, RANKED, value, low, high, len(x), "bootstrap", names[1], names[0]
            )
        )
    return found, withheld


def _of_other_units(changes: Curve, geometry: str, names: tuple[str, str]) -> list[Withheld]:
    """The row that is withheld where both sides have values and no change."""
    if f"{geometry}_a" not in changes.columns:
        return []
    what = f"association of {RANKED} and {geometry}"
    reason = "in units of the score, which differ between the two"
    return [Withheld("ranking", what, "recipe", reason, names[1], names[0])]


def _too_little(geometry: str, x: np.ndarray, y: np.ndarray) -> str:
    changed = int(np.count_nonzero(y))
    if changed < LEAST:
        return f"{RANKED} changes for {changed} of {len(y)} queries; at least {LEAST} are needed"
    if not np.ptp(x) > 0 or not np.ptp(y) > 0:
        return f"{geometry if not np.ptp(x) > 0 else RANKED} changes alike for all queries"
    return ""


def spearman(
    x: np.ndarray, y: np.ndarray, *, level: float = LEVEL, rounds: int = ROUNDS, seed: int = 0
) -> tuple[float, float, float]:
    """Spearman's correlation with an interval that holds for tied changes.

    Parameters
    ----------
    x, y
        Shape (n,); ties get their mean rank.
    level, rounds, seed
        Of the interval, and of the bootstrap over the pairs.

    Returns
    -------
    tuple of float
        Correlation and interval: bootstrap standard error on Fisher's z scale, times Student's
        t with one degree of freedom less than the values of `y` that are not zero. Most changes
        of nDCG@10 are zero; with n = 50 and 90% zeros the percentile bootstrap covers 91% and
        BCa 88%, this interval 95% (docs/statistics.md).
    """
    rng = np.random.default_rng(seed)
    n = len(x)
    one = np.ones((1, n))
    value = float(_correlations(one, x, y)[0])
    step = max(_CHUNK // n, 1)
    drawn = []
    for start in range(0, rounds, step):
        times = rng.multinomial(n, np.full(n, 1 / n), size=min(step, rounds - start))
        drawn.append(_correlations(times.astype(np.float64), x, y))
    all_drawn = np.concatenate(drawn)
    z = np.arctanh(np.clip(all_drawn[np.isfinite(all_drawn)], -1 + 1e-9, 1 - 1e-9))
    freedom = max(int(np.count_nonzero(y)) - 1, 1)
    reach = student(level, freedom) * float(z.std(ddof=1))
    center = math.atanh(min(max(value, -1 + 1e-9), 1 - 1e-9))
    return value, math.tanh(center - reach), math.tanh(center + reach)


def _correlations(times: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's correlation when pair i counts times[r, i] times, for each row r."""
    total = times.sum(axis=1, keepdims=True)
    ranks = []
    for values in (x, y):
        rank = _mean_ranks(times, values)
        ranks.append(rank - (times * rank).sum(axis=1, keepdims=True) / total)
    first, second = ranks
    sizes = (times * first**2).sum(axis=1) * (times * second**2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((times * first * second).sum(axis=1) / np.sqrt(sizes))


def _mean_ranks(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mean rank of each value among the counted ones, up to a constant."""
    _, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    counts = np.add.reduceat(times[:, order], starts, axis=1)
    return np.asarray((np.cumsum(counts, axis=1) - counts / 2)[:, group])
