"""Uniformity and alignment: pairs of unit rows under a Gaussian kernel, and judged pairs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from anisotropy.measures.base import Definition, Family, Impossible, Measure, Parameter
from anisotropy.measures.basis import count, need_rows, over_queries, query_influence
from anisotropy.measures.facts import Facts
from anisotropy.statistics import Estimate, Influence, null_z, ratio_influence

FAMILY = Family(
    "uniformity",
    "Uniformity and alignment",
    "how clumped the rows are on the sphere, and how far judged pairs are apart",
    "collapse and redundancy, which move uniformity little; a cone, which shrinks alignment",
)


def optimum(t: float, dim: int) -> float:
    """Uniformity of the uniform law on the sphere: -2t + log 0F1(; dim/2; t^2)."""
    total, term = 1.0, 1.0
    for step in range(1, 2000):
        term *= t * t / (step * (dim / 2 + step - 1))
        total += term
        if term < 1e-17 * total or math.isinf(total):
            break
    return -2 * t + math.log(total)


def within(facts: Facts, side: str, on: str, t: float) -> tuple[float, np.ndarray]:
    """Mean kernel over distinct pairs of a side, and that of each anchor."""
    column = facts.plan.ts.index(t)
    each = facts.kernels(side, on).kernel[:, column]
    return float(each.mean()), each


def uniformity(facts: Facts, measure: Measure, side: str, on: str) -> Estimate:
    """Log of the mean Gaussian kernel."""
    need_rows(facts, side)
    t = measure.number("t")
    sides = [s for s in ("queries", "documents") if side in (s, "joint")]
    kernel, deviations, anchors = 0.0, {}, False
    for one in sides:
        mean, each = within(facts, one, on, t)
        share = 1 / len(sides) ** 2
        kernel += share * mean
        deviations[one] = share * (each - mean)
        anchors |= facts.kernels(one, on).sampled
    crossed = np.zeros(0)
    if side in ("cross", "joint"):
        crossed = facts.cross_kernel(on, t) * (1.0 if side == "cross" else 0.5)
        kernel += float(crossed.mean())
    parts = _influences(facts, on, kernel, deviations, crossed)
    if on != "unit" and side != "documents":
        parts = ()  # a center taken from the sample biases the value beyond its interval
    mean, sd = _null(facts, side, on, t)
    value = math.log(kernel) if kernel > 0 else -math.inf
    about = over_queries(side) | ({} if parts else {"method": None})
    return Estimate(
        value,
        parts,
        n=count(facts, side),
        estimator="sampled" if anchors else "exact",
        low=-4 * t,
        high=0.0,
        null_mean=mean,
        null_sd=sd,
        null_p=null_z(value, mean, sd),
        **about,
    )


def _influences(
    facts: Facts, on: str, kernel: float, within: dict[str, np.ndarray], crossed: np.ndarray
) -> tuple[Influence, ...]:
    """Influence values on the log scale.

    A query is an anchor and a neighbor of others, which doubles its deviation `within`; across
    it enters once. Of m anchors out of n queries two errors are told apart: that of the n
    queries, known from the anchors, and that of which m of them were drawn. Documents are a
    census: only the choice of anchors.
    """
    across = (crossed - crossed.mean()) / kernel if len(crossed) else np.zeros(0)
    parts: list[Influence] = []
    if "queries" in within:
        own = within["queries"] / kernel
        chosen, n = facts.kernels("queries", on).chosen, len(facts.space.query_ids)
        keys = [facts.space.query_ids[i] for i in chosen]
        share = len(chosen) / n
        whole = 2 * own + (across[chosen] if len(across) else 0.0)
        parts.append(Influence(keys, whole, math.sqrt(share)))
        parts += [Influence(keys, own, math.sqrt(1 - share))] if share < 1 else []
    elif len(across):
        parts.append(Influence(facts.space.query_ids, across))
    if "documents" in within and facts.kernels("documents", on).sampled:
        chosen, ids = facts.kernels("documents", on).chosen, facts.row_ids("documents")
        drawn = math.sqrt(1 - len(chosen) / len(ids))
        parts.append(Influence([ids[i] for i in chosen], within["documents"] / kernel, drawn))
    return tuple(parts)


def _null(facts: Facts, side: str, on: str, t: float) -> tuple[float, float]:
    """Value of the uniform law in this dimension and its spread at this n (one side)."""
    dim, n = facts.raw("queries").dim, count(facts, side)
    if on != "unit" or dim < 2:
        return math.nan, math.nan
    best = optimum(t, dim)
    if side in ("joint", "cross"):
        return best, math.nan
    relative = max(math.expm1(optimum(2 * t, dim) - 2 * best), 0.0)
    # Distinct pairs are uncorrelated; of two anchors both orders of the pair are summed.
    anchors = len(facts.kernels(side, on).chosen)
    return best, math.sqrt(relative * (anchors + n - 2) / anchors) / (n - 1)


def positive_mean(facts: Facts, values: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean of one value a judged pair, and its influence values with queries as clusters."""
    pairs = facts.positives
    n = len(facts.space.query_ids)
    total = np.bincount(pairs.query, weights=values, minlength=n)
    return ratio_influence(total, np.bincount(pairs.query, minlength=n).astype(float))


def pair_weights(facts: Facts) -> np.ndarray:
    """Weight of each query in a mean over judged pairs, of mean 1, shape (queries,)."""
    counts = np.bincount(facts.positives.query, minlength=len(facts.space.query_ids))
    return np.asarray(counts / counts.mean())


def judged(facts: Facts) -> int:
    """Number of queries with a positive."""
    return len(np.unique(facts.positives.query))


def over_pairs(facts: Facts) -> dict[str, Any]:
    """Number of clusters, unit, population and method of a mean over judged pairs."""
    if judged(facts) < 2:
        raise Impossible("only one query has a positive, at least 2 are needed")
    return {"n": judged(facts), "unit": "query", "population": "queries", "method": "jackknife"}


def alignment(facts: Facts, measure: Measure, side: str, on: str) -> Estimate:
    """Mean distance of judged pairs to the power alpha."""
    alpha = measure.number("alpha")
    value, influence = positive_mean(facts, facts.positive_distances**alpha)
    chance = math.nan
    if alpha == 2 and facts.document_layout[0] is None:
        chance = 2 - 2 * float(
            facts.moments("queries", "unit").mean @ facts.moments("documents", "unit").mean
        )
    return Estimate(
        value,
        query_influence(facts, influence),
        low=0.0,
        high=2.0**alpha,
        null_mean=chance,
        weights=pair_weights(facts),
        **over_pairs(facts),
    )


_SIDES = ("queries", "documents", "joint", "cross")
DEFINITIONS = (
    Definition(
        name="uniformity",
        family="uniformity",
        formula="log of the mean over distinct pairs of exp(-t |u_i - u_j|^2); cross: over all "
        "query-document pairs; joint: log(K_qq/4 + K_dd/4 + K_qd/2)",
        low=-math.inf,
        high=0.0,
        up="clumped",
        better="down",
        word="more isotropic",
        sees="the cone and close clumps; at larger t closer clumps",
        blind="collapse to some tens of dimensions and redundancy change it by a few percent",
        reference="Wang and Isola 2020 (arXiv 2005.10242)",
        note="Values at different t do not compare. Duplicated rows raise it, most at t=5: "
        "their number is among the warnings. Its null differs little between dimensions "
        "(-3.875 at 64, -3.990 at 768 for t=2), so it is compared across them. Cross is "
        "centered by the joint mean. Centered queries and centered cross carry no interval: the "
        "center is the sample's own, and the bias it makes is up to 1.5 standard deviations "
        "(simulated, isotropic, n = 250: 84%). Sides of many rows are worked on from seeded "
        "anchors; for documents the interval is then that of the choice of anchors.",
        null="rows uniform on the sphere of this dimension, the lowest value of a large sample: "
        "-2t + log 0F1(; dim/2; t^2)",
        needs=("pairs",),
        places=tuple((side, "unit") for side in _SIDES)
        + tuple((side, "center>unit") for side in ("queries", "documents", "cross")),
        parameters=(
            Parameter(
                "t",
                2.0,
                always=True,
                low=1e-6,
                meaning="sharpness of the kernel: larger t, closer pairs",
            ),
        ),
        defaults=({"t": 2.0}, {"t": 5.0}),
        compute=uniformity,
    ),
    Definition(
        name="alignment",
        family="uniformity",
        formula="mean over judged pairs of |q - d|^alpha",
        low=0.0,
        high=math.inf,
        up="positives far",
        better="down",
        word="closer",
        sees="the absolute distance of judged pairs",
        blind="whether anything else is just as near: collapse and a cone improve it",
        reference="Wang and Isola 2020 (arXiv 2005.10242)",
        note="Never alone. Pairs are averaged, queries are the clusters; of several vectors a "
        "document the nearest counts.",
        null="at alpha=2, all query-document pairs: 2 - 2 m_q.m_d",
        needs=("positives",),
        places=(("positives", "unit"),),
        parameters=(
            Parameter("alpha", 2.0, always=True, low=1e-6, meaning="power of the distance"),
        ),
        compute=alignment,
    ),
)
