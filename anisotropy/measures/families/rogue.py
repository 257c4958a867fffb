"""Rogue dimensions: how few coordinate axes carry the mean cosine."""

from __future__ import annotations

import math

import numpy as np

from anisotropy.measures.base import Definition, Impossible, Measure, Parameter
from anisotropy.measures.basis import SIDES, count, need_rows, over_queries, query_influence
from anisotropy.measures.facts import Facts
from anisotropy.measures.families.cone import isotropic_sd, pair_mean
from anisotropy.measures.moments import Moments
from anisotropy.statistics import Estimate, Influence, total_error

#: Standard errors by which the mean cosine must exceed 0 to be a denominator.
CLEAR = 3.0


def contributions(facts: Facts, side: str) -> np.ndarray:
    """Part c_j of every dimension in the mean cosine of unit rows, shape (dim,).

    c_j = (n m_j^2 - mean of u_ij^2)/(n - 1) = m_j^2 - S_jj/n; their sum is the mean cosine.
    Joint: the sides weigh one half each, (c_q + c_d + 2 m_q m_d)/4.
    """
    if side != "joint":
        return _own(facts.moments(side, "unit"))
    queries, documents = (facts.moments(s, "unit") for s in ("queries", "documents"))
    both = _own(queries) + _own(documents) + 2 * queries.mean * documents.mean
    return np.asarray(both / 4)


def _own(found: Moments) -> np.ndarray:
    return np.asarray(found.mean**2 - np.diagonal(found.covariance) / found.n)


def clear_cosine(facts: Facts, side: str) -> float:
    """Mean cosine of a side.

    Raises
    ------
    Impossible
        If it is not clearly above 0, so that shares of it mean nothing.
    """
    value, influences = pair_mean(facts, side, "unit")
    error = isotropic_sd(facts, side)
    if influences:
        error = max(error, total_error(influences)[0])
    if not value > CLEAR * error:
        raise Impossible(
            f"{side}: the mean cosine {value:.2g} is not {CLEAR:g} standard errors above 0, so "
            "shares of it mean nothing"
        )
    return value


def rogue_dimensions(facts: Facts, measure: Measure, side: str, on: str) -> Estimate:
    """Share of the mean cosine that the k leading dimensions carry."""
    need_rows(facts, side, 3)
    k, dim = measure.whole("k"), facts.raw("queries").dim
    if k >= dim:
        raise Impossible(f"{dim} dimensions, more than k={k} are needed")
    cosine = clear_cosine(facts, side)
    each = contributions(facts, side)
    leading = np.argsort(-each, kind="stable")[:k]
    share = float(each[leading].sum()) / cosine
    influences: tuple[Influence, ...] = ()
    if side != "documents":
        influences = query_influence(facts, _changes(facts, side, leading, share) / cosine)
    return Estimate(share, influences, n=count(facts, side), low=0.0, **over_queries(side))


def _changes(facts: Facts, side: str, leading: np.ndarray, share: float) -> np.ndarray:
    """First-order change of (sum of the leading c_j - share x mean cosine) by each query."""
    rows, found = facts.rows("queries", "unit"), facts.moments("queries", "unit")
    weights = np.full(rows.dim, -share)
    weights[leading] += 1
    along = rows.dot(weights * found.mean) * found.n
    squares = rows.each(lambda block: block.astype(np.float64) ** 2 @ weights)
    values = 2 * (along - squares) / (found.n - 1)
    if side == "joint":
        other = facts.moments("documents", "unit").mean
        values = values / 4 + rows.dot(weights * other) / 2
    return np.asarray(values - values.mean())


DEFINITIONS = (
    Definition(
        name="rogue_dimensions",
        family="cone",
        formula="sum of the k largest c_j over the mean cosine, "
        "c_j = (n m_j^2 - mean u_ij^2)/(n - 1)",
        low=0.0,
        high=math.inf,
        up="few axes carry the cone",
        sees="whether the common direction lies along a few coordinate axes",
        blind="how strong the cone is; any rotation of the rows changes it, on purpose",
        reference="Timkey and van Schijndel 2021 (EMNLP), who find one to three such axes",
        note="Exact: no pair is sampled. Withheld where the mean cosine is not three standard "
        "errors above 0. May exceed 1 where other dimensions contribute negatively. The c_j "
        "themselves are the curve 'dimensions'.",
        needs=("moments",),
        places=tuple((side, "unit") for side in SIDES),
        parameters=(Parameter("k", 3, always=True, low=1, meaning="axes that contribute most"),),
        compute=rogue_dimensions,
    ),
)
