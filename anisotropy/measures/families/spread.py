"""Spread: the spectrum of the centered rows. Blind to the cone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from anisotropy.measures.base import Definition, Family, Impossible, Measure, Parameter
from anisotropy.measures.basis import SIDES, count, need_rows, over_queries, query_influence
from anisotropy.measures.facts import Facts
from anisotropy.measures.moments import Moments, centered_squares, quadratic
from anisotropy.statistics import Estimate

FAMILY = Family(
    "spread",
    "Spread (centered spectrum)",
    "over how many directions the variance around the mean is spread",
    "the mean displacement: a cone changes nothing",
)


def inverse_ratio(trace: float, frobenius: float, bias: float) -> float:
    """1/PR = (|S|_F^2 - bias)/(tr S)^2."""
    return (frobenius - bias) / trace**2


def _clip(pr: float, dim: int) -> float:
    return min(max(pr, 1.0), float(dim))


def _ratio(inverse: float, dim: int) -> float:
    return float(dim) if inverse <= 0 else _clip(1 / inverse, dim)


def _one_side(
    facts: Facts, side: str, on: str, corrected: bool
) -> tuple[float, np.ndarray | None]:
    """Inverse participation ratio of a side, and its exact jackknife values for queries."""
    found = facts.moments(side, on)
    _check_spread(found.trace, found.mean, side)
    inverse = inverse_ratio(found.trace, found.frobenius, 0) - corrected / found.n
    if side == "documents":
        return inverse, None
    return inverse, (found.n - 1) * (inverse - _left_out(facts, on, found, corrected))


def _left_out(facts: Facts, on: str, found: Moments, corrected: bool) -> np.ndarray:
    """Inverse participation ratio without each query, by rank-one updates of the scatter."""
    rows, n = facts.rows("queries", on), found.n
    squares = centered_squares(rows, found.mean)
    forms = quadratic(rows, found.mean, found.covariance) * (n - 1)
    factor = n / (n - 1)
    trace = found.trace * (n - 1) - factor * squares
    frobenius = found.frobenius * (n - 1) ** 2 - 2 * factor * forms + (factor * squares) ** 2
    return np.asarray(frobenius / trace**2 - corrected / (n - 1))


def _check_spread(trace: float, mean: np.ndarray, side: str) -> None:
    if trace <= 1e-12 * (float(mean @ mean) + trace):
        raise Impossible(f"{side}: all rows are the same, so there is no spread")


def joint_covariance(facts: Facts, on: str) -> tuple[np.ndarray, np.ndarray]:
    """Covariance of the two sides weighing one half each, and m_q - m_d."""
    queries, documents = (facts.moments(side, on) for side in ("queries", "documents"))
    offset = queries.mean - documents.mean
    spread = (queries.trace + documents.trace) / 2 + float(offset @ offset) / 4
    _check_spread(spread, queries.mean, "joint")
    within = (queries.covariance + documents.covariance) / 2
    return within + np.outer(offset, offset) / 4, offset


def _joint(facts: Facts, on: str, corrected: bool) -> tuple[float, np.ndarray]:
    """Inverse participation ratio of the mixture, and its influence values for queries."""
    queries, documents = (facts.moments(side, on) for side in ("queries", "documents"))
    matrix, offset = joint_covariance(facts, on)
    trace = float(np.trace(matrix))
    bias = (queries.trace**2 / queries.n + documents.trace**2 / documents.n) / 4 * corrected
    frobenius = float((matrix**2).sum()) - bias
    rows = facts.rows("queries", on)
    squares = centered_squares(rows, queries.mean)
    along = rows.dot(offset) - queries.mean @ offset
    through = rows.dot(matrix @ offset) - queries.mean @ (matrix @ offset)
    forms = quadratic(rows, queries.mean, matrix)
    d_trace = (squares - queries.trace) / 2 + along / 2
    d_frobenius = forms - float((matrix * queries.covariance).sum()) + through
    d_frobenius -= corrected * queries.trace * (squares - queries.trace) / (2 * queries.n)
    values = d_frobenius / trace**2 - 2 * frobenius * d_trace / trace**3
    return frobenius / trace**2, values


def _participation(facts: Facts, measure: Measure, side: str, on: str) -> tuple[float, Any, int]:
    need_rows(facts, side, 3)
    corrected = measure.flag("corrected")
    inverse, values = (
        _joint(facts, on, corrected) if side == "joint" else _one_side(facts, side, on, corrected)
    )
    dim = facts.raw("queries").dim
    pr = _ratio(inverse, dim)
    # The jackknife is taken of 1/PR; PR itself follows on the log scale.
    relative = None if values is None else -pr * values
    return pr, relative, dim


def _isotropic(facts: Facts, measure: Measure, side: str) -> float:
    """Participation ratio of isotropic rows: dim, and what sampling leaves of it if plain."""
    dim = facts.raw("queries").dim
    if measure.flag("corrected"):
        return float(dim)
    sides = [s for s in ("queries", "documents") if side in (s, "joint")]
    bias = sum(1 / len(facts.raw(s)) for s in sides) / len(sides) ** 2
    return 1 / (1 / dim + bias)


def participation_ratio(facts: Facts, measure: Measure, side: str, on: str) -> Estimate:
    """Participation ratio of the centered spectrum."""
    pr, relative, dim = _participation(facts, measure, side, on)
    return Estimate(
        pr,
        () if relative is None else query_influence(facts, relative),
        n=count(facts, side),
        estimator="corrected" if measure.flag("corrected") else "exact",
        scale="log",
        low=1.0,
        high=float(dim),
        null_mean=_isotropic(facts, measure, side),
        **over_queries(side),
    )


def isoscore(facts: Facts, measure: Measure, side: str, on: str) -> Estimate:
    """IsoScore, an affine function of the participation ratio."""
    pr, relative, dim = _participation(facts, measure, side, on)
    if dim < 2:
        raise Impossible("IsoScore needs at least 2 dimensions")
    return Estimate(
        (pr - 1) / (dim - 1),
        () if relative is None else query_influence(facts, pr * relative / (dim - 1)),
        n=count(facts, side),
        estimator="corrected" if measure.flag("corrected") else "exact",
        low=0.0,
        high=1.0,
        null_mean=(_isotropic(facts, measure, side) - 1) / (dim - 1),
        **over_queries(side),
    )


_PLACES = tuple((side, on) for on in ("raw", "unit") for side in SIDES)
_CORRECTED = Parameter(
    "corrected", True, meaning="remove the bias of the sample size; False gives the plain formula"
)
DEFINITIONS = (
    Definition(
        name="participation_ratio",
        family="spread",
        formula="(tr S)^2/|S|_F^2; corrected: 1/PR - 1/n",
        low=1.0,
        high=math.inf,
        up="spread over more directions",
        better="up",
        word="more isotropic",
        sees="the number of directions that carry the variance",
        blind="the mean (a cone changes nothing)",
        reference="project definition of the correction: for Gaussian rows the squared trace over "
        "n is what sampling adds to |S|_F^2",
        note="The correction assumes near-Gaussian rows; with heavy-tailed lengths look at unit "
        "rows. Clipped to [1, dim]; the interval is on the log scale. Bound to the dimension: "
        "withheld between spaces of different dimensions.",
        null="n isotropic rows: dim, or dim/(1 + dim/n) for the plain ratio",
        needs=("moments",),
        places=_PLACES,
        parameters=(_CORRECTED,),
        compute=participation_ratio,
        dimension_bound=True,
    ),
    Definition(
        name="isoscore",
        family="spread",
        formula="(PR - 1)/(dim - 1)",
        low=0.0,
        high=1.0,
        up="all variances equal",
        better="up",
        word="more isotropic",
        sees="how evenly the variance is spread over the available directions",
        blind="the mean (a cone changes nothing)",
        reference="Rudman et al. 2022 (arXiv 2108.07344), to which this reduces exactly",
        note="Scaled by the dimension: between spaces of different dimensions it compares "
        "shares of different wholes, not numbers of directions.",
        null="n isotropic rows: 1, or (PR - 1)/(dim - 1) of their plain participation ratio",
        needs=("moments",),
        places=_PLACES,
        parameters=(_CORRECTED,),
        compute=isoscore,
    ),
)
