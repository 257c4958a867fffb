"""The rows of results: what was measured, compared, associated and withheld.

Their fields are the columns of the files and of the DataFrames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """One value of one measure on one side of one space, with what it estimates.

    Attributes
    ----------
    space, side, family, measure, on
        Label of the space; side; family; text identity; transform chain.
    value, se, ci_low, ci_high, level
        Estimate, standard error, interval and its level; NaN where there is none.
    n, unit, population
        Number of units resampled, what a unit is (``query``, ``document``, ``pair``, ``seed``
        or None), and the population meant (``queries``, ``documents``, ``both``, ``none``).
    estimator
        ``exact``, ``sampled``, ``corrected`` or ``subsampled``.
    method
        ``closed_form``, ``jackknife``, ``subsample``, ``bootstrap`` or None.
    null_mean, null_sd, null_p
        The value under the measure's null, its spread, and a two-sided p.
    headline
        Whether the row opens the report.
    """

    space: str
    side: str
    family: str
    measure: str
    on: str
    value: float
    se: float = math.nan
    ci_low: float = math.nan
    ci_high: float = math.nan
    level: float = 0.95
    n: int = 0
    unit: str | None = None
    population: str = "none"
    estimator: str = "exact"
    method: str | None = None
    null_mean: float = math.nan
    null_sd: float = math.nan
    null_p: float = math.nan
    headline: bool = False


@dataclass(frozen=True)
class Difference:
    """Value of b minus value of a, with the uncertainty of the paired difference.

    Attributes
    ----------
    side, family, measure, on, headline
        As in :class:`Measurement`.
    a, b, delta
        Value of the baseline, of the other space, and b minus a. With several checkpoints a
        side, `a` and `b` are means over them.
    se, ci_low, ci_high
        Standard error and 95% interval of `delta`.
    effect_size
        `delta` over the standard deviation of the paired differences of one unit (Cohen's
        d_z); for ``seed`` over the pooled standard deviation between seeds (Cohen's d).
    p, p_holm, test
        Two-sided p, corrected over the headline rows, and how p was found: ``t``,
        ``randomization`` (signs of per-query changes flipped) or None.
    n, unit, method
        Number of units, what they are, and where the interval comes from.
    space, baseline
        Labels of b and of a.
    """

    side: str
    family: str
    measure: str
    on: str
    a: float
    b: float
    delta: float
    se: float = math.nan
    ci_low: float = math.nan
    ci_high: float = math.nan
    effect_size: float = math.nan
    p: float = math.nan
    p_holm: float = math.nan
    n: int = 0
    unit: str | None = None
    method: str | None = None
    headline: bool = False
    space: str = ""
    baseline: str = ""
    test: str | None = None


@dataclass(frozen=True)
class Similarity:
    """How alike two spaces, called `space` and `baseline`, are on one side.

    Attributes
    ----------
    side, measure
        Side and text identity.
    value, ci_low, ci_high
        The value, and its 95% interval; NaN where there is none.
    null_mean, null_sd, null_p
        The value where the items of one space are matched at random with those of the other,
        its spread, and a two-sided p.
    n
        Number of items compared.
    space, baseline
        Labels of b and of a.
    """

    side: str
    measure: str
    value: float
    ci_low: float = math.nan
    ci_high: float = math.nan
    null_mean: float = math.nan
    n: int = 0
    null_sd: float = math.nan
    null_p: float = math.nan
    space: str = ""
    baseline: str = ""


@dataclass(frozen=True)
class Association:
    """How a change in geometry goes with a change in ranking over the queries; never a cause.

    Attributes
    ----------
    geometry, effectiveness
        Columns of the curve ``changes`` whose changes are held against each other.
    correlation, ci_low, ci_high
        Spearman's correlation and its 95% interval over queries.
    n, method
        Number of queries, and where the interval comes from.
    space, baseline
        Labels of b and of a.
    """

    geometry: str
    effectiveness: str
    correlation: float
    ci_low: float = math.nan
    ci_high: float = math.nan
    n: int = 0
    method: str | None = None
    space: str = ""
    baseline: str = ""


@dataclass(frozen=True)
class Withheld:
    """A row that is not given, and why.

    Attributes
    ----------
    side, measure, on
        The row.
    reason
        One line.
    space, baseline
        `space` alone: not measured there. Both: not compared. Neither: in none of the spaces.
    """

    side: str
    measure: str
    on: str
    reason: str
    space: str = ""
    baseline: str = ""
