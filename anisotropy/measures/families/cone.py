"""Cone: how far the rows lean to one side. Sees the mean, not the shape around it."""

from __future__ import annotations

import math

import numpy as np

from anisotropy.backend import added
from anisotropy.measures.base import Definition, Family, Measure, Parameter
from anisotropy.measures.basis import SIDES, count, need_rows, over_queries, query_influence
from anisotropy.measures.facts import Facts
from anisotropy.measures.moments import log_mean_exp
from anisotropy.measures.sides import Center
from anisotropy.statistics import Estimate, Influence, null_z

FAMILY = Family(
    "cone",
    "Cone (mean displacement)",
    "a common direction of all rows: the mean displacement from the origin",
    "collapse to a few dimensions around a zero mean",
)
#: Standard errors by which an extreme direction must lead.
CLEAR = 3.0


def pair_mean(facts: Facts, side: str, on: str) -> tuple[float, tuple[Influence, ...]]:
    """Mean inner product of two distinct rows, and its influence values.

    One side: (n |m|^2 - mean |u|^2)/(n - 1) over its distinct pairs. Joint: the two sides
    weigh one half each, (U_q + U_d + 2 m_q.m_d)/4.
    """
    center: Center = "joint" if side == "joint" else "own"
    if side != "joint":
        own = facts.moments(side, on, center).mean_square
        if side == "documents":
            return own, ()
        return own, query_influence(facts, _row_terms(facts, on, center, own))
    queries, documents = (facts.moments(s, on, center) for s in ("queries", "documents"))
    between = float(queries.mean @ documents.mean)
    value = (queries.mean_square + documents.mean_square + 2 * between) / 4
    terms = _row_terms(facts, on, center, queries.mean_square) / 4
    terms += (facts.rows("queries", on, center).dot(documents.mean) - between) / 2
    return value, query_influence(facts, terms)


def _row_terms(facts: Facts, on: str, center: Center, value: float) -> np.ndarray:
    """Twice the mean product of a query with the other queries, less the mean."""
    rows, found = facts.rows("queries", on, center), facts.moments("queries", on, center)
    with_others = (found.n * rows.dot(found.mean) - rows.squares()) / (found.n - 1)
    return np.asarray(2 * (with_others - value))


def isotropic_sd(facts: Facts, side: str) -> float:
    """Spread of the mean cosine of n rows drawn uniformly on the sphere."""
    dim = facts.raw("queries").dim
    sides = ("queries", "documents") if side == "joint" else (side,)
    sizes = [len(facts.raw(s)) for s in sides]
    within = sum(2 / (dim * n * (n - 1)) for n in sizes)
    if side == "joint":
        return math.sqrt(within / 16 + 1 / (4 * dim * sizes[0] * sizes[1]))
    return math.sqrt(within)


def mean_cosine(facts: Facts, measure: Measure, side: str, on: str) -> Estimate:
    """Mean cosine of two distinct rows."""
    need_rows(facts, side)
    value, influences = pair_mean(facts, side, on)
    null = isotropic_sd(facts, side) if on == "unit" else math.nan
    return Estimate(
        value,
        influences if on == "unit" else (),
        n=count(facts, side),
        low=-1.0,
        high=1.0,
        null_mean=0.0 if on == "unit" else math.nan,
        null_sd=null,
        null_p=null_z(value, 0.0, null),
        **over_queries(side),
    )


def mean_norm(facts: Facts, measure: Measure, side: str, on: str) -> Estimate:
    """Length of the mean unit row; corrected: without the diagonal terms of its square."""
    need_rows(facts, side)
    square, influences = pair_mean(facts, side, on)
    corrected = measure.flag("corrected")
    if not corrected:
        means = [facts.moments(s, on).mean for s in ("queries", "documents")]
        mean = sum(means) / 2 if side == "joint" else means[side == "documents"]
        square = float(np.dot(mean, mean))
    return Estimate(
        math.sqrt(max(square, 0.0)),
        influences,
        n=count(facts, side),
        estimator="corrected" if corrected else "exact",
        scale="square",
        squared=square,
        low=0.0,
        high=1.0,
        **over_queries(side),
    )


def partition_isotropy(facts: Facts, measure: Measure, side: str, on: str) -> Estimate:
    """Smallest over largest partition function over both signs of all eigenvectors."""
    need_rows(facts, side)
    sides = _sides_of(side)
    each = [_partitions(facts, s)[side, on] for s in sides]
    logs = np.logaddexp.reduce(each) - math.log(len(each))
    value = math.exp(float(logs.min() - logs.max()))
    influences: tuple[Influence, ...] = ()
    if side != "documents":
        influences = _extremes(facts, sides, on, _directions(facts, side, on), logs)
    return Estimate(
        value,
        influences,
        n=count(facts, side),
        scale="log",
        low=0.0,
        high=1.0,
        **over_queries(side),
    )


def _sides_of(side: str) -> list[str]:
    return [s for s in ("queries", "documents") if side in (s, "joint")]


def _partitions(facts: Facts, side: str) -> dict[tuple[str, str], np.ndarray]:
    """Partition functions of the rows of a side, by whose directions and on which rows.

    One reading for all of them; the other side may have no rows, then there is no joint one.
    """
    both = all(len(facts.raw(s)) > 1 for s in _sides_of("joint"))
    whose, kinds = [side, "joint"] if both else [side], ("raw", "unit")

    def make() -> dict[tuple[str, str], np.ndarray]:
        columns = [np.hstack([_directions(facts, of, on)[1] for of in whose]) for on in kinds]
        found = log_mean_exp([facts.rows(side, on) for on in kinds], columns)
        signed = {
            on: logs.reshape(2, len(whose), -1) for on, logs in zip(kinds, found, strict=True)
        }
        return {
            (of, on): signed[on][:, number].ravel()
            for number, of in enumerate(whose)
            for on in kinds
        }

    return facts.once(("partition functions", side), make)


def _directions(facts: Facts, side: str, on: str) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors of the second moment of a side, or of both."""
    sides = _sides_of(side)
    return facts.once(
        ("second moment", side, on), lambda: _second_moment_directions(facts, sides, on)
    )


def _extremes(
    facts: Facts,
    sides: list[str],
    on: str,
    spectrum: tuple[np.ndarray, np.ndarray],
    logs: np.ndarray,
) -> tuple[Influence, ...]:
    """Influence values of the two extreme directions; none where others compete.

    An extreme direction is clear when its partition function is `CLEAR` standard errors beyond
    that of the runner-up.
    """
    rows, order = facts.rows("queries", on), np.argsort(logs)
    signed = np.concatenate([spectrum[1], -spectrum[1]], axis=1)
    low, next_low, next_high, high = (
        np.exp(rows.dot(signed[:, c]) - logs[c]) for c in order[[0, 1, -2, -1]]
    )
    for extreme, other, lead in (
        (low, next_low, logs[order[1]] - logs[order[0]]),
        (high, next_high, logs[order[-1]] - logs[order[-2]]),
    ):
        if lead < CLEAR * float(np.std(extreme - other)) / math.sqrt(len(rows)):
            return ()
    ends = order[[0, -1]]
    moved = _moved(facts, sides, on, spectrum, ends, logs[ends])
    return query_influence(facts, (low - high + moved[0] - moved[1]) / len(sides))


def _moved(
    facts: Facts,
    sides: list[str],
    on: str,
    spectrum: tuple[np.ndarray, np.ndarray],
    signed: np.ndarray,
    logs: np.ndarray,
) -> list[np.ndarray]:
    """Change of log Z through a direction itself, an eigenvector that moves with the rows.

    `signed` are the directions, those from dim on the negative ones, `logs` their log Z.
    """
    values, vectors = spectrum
    dim = len(values)
    places, signs = signed % dim, np.where(signed < dim, 1.0, -1.0)
    leading = vectors[:, places]

    def weighted(block: np.ndarray) -> np.ndarray:
        weights = np.exp(signs * (block.astype(np.float64) @ leading) - logs)
        return np.asarray(weights.T @ block)

    slopes = np.zeros((len(signed), dim))
    for side in sides:
        every = facts.rows(side, on)
        total = every.fold(weighted, added, np.zeros_like(slopes))
        slopes += signs[:, None] * total / (len(every) * len(sides))
    gaps = values[places, None] - values
    gaps[np.arange(len(places)), places] = np.inf
    toward = vectors @ ((vectors.T @ slopes.T) / gaps.T)
    rows = facts.rows("queries", on)
    changes = (rows.dots(leading) * rows.dots(toward)).T
    return [change - change.mean() for change in changes]


def _second_moment_directions(
    facts: Facts, sides: list[str], on: str
) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors of the second moment, the sides weighing alike."""
    found = [facts.moments(s, on) for s in sides]
    second = sum(
        (m.covariance * ((m.n - 1) / m.n) + np.outer(m.mean, m.mean)) / len(found) for m in found
    )
    values, vectors = np.linalg.eigh(np.asarray(second))
    return values, vectors


_UNIT_PLACES = tuple((side, "unit") for side in SIDES)
_CORRECTED = Parameter(
    "corrected", True, meaning="leave the diagonal terms out; False gives the plain length"
)
DEFINITIONS = (
    Definition(
        name="mean_cosine",
        family="cone",
        formula="(n |m|^2 - 1)/(n - 1), the mean cosine over distinct pairs; "
        "joint: (U_q + U_d + 2 m_q.m_d)/4 with U the value of one side",
        low=-1.0,
        high=1.0,
        up="anisotropic",
        better="down",
        word="more isotropic",
        sees="a common direction (it is a function of the mean row alone)",
        blind="collapse to few dimensions around a zero mean; redundancy",
        reference="Ethayarajh 2019 (arXiv 1909.00512), from sampled pairs; exact here, since the "
        "sum of all products is that of the mean row with itself",
        note="Exact in O(n dim), no pair is sampled. At isotropy the usual error is "
        "conservative. Under center>unit it is near 0 by "
        "construction and carries no interval; the joint side is centered by the joint mean.",
        null="rows uniform on the sphere: 0, with the spread of a sample of this size",
        needs=("moments",),
        places=_UNIT_PLACES + tuple((side, "center>unit") for side in SIDES),
        compute=mean_cosine,
    ),
    Definition(
        name="mean_norm",
        family="cone",
        formula="|m|; corrected: sqrt of |m|^2 - tr(S)/n, truncated at 0",
        low=0.0,
        high=1.0,
        up="anisotropic",
        better="down",
        word="more isotropic",
        sees="the same as mean_cosine, as a length",
        blind="what mean_cosine is blind to",
        reference="project definition: the U-statistic of |m|^2, its root taken",
        note="Plain |m| of n isotropic rows is 1/sqrt(n), not 0. The interval is that of the "
        "squared value, mapped back and truncated at 0.",
        needs=("moments",),
        places=_UNIT_PLACES,
        parameters=(_CORRECTED,),
        compute=mean_norm,
    ),
    Definition(
        name="partition_isotropy",
        family="cone",
        formula="min Z(c)/max Z(c), Z(c) = mean of exp(c.x), c over both signs of every "
        "eigenvector of X'X (joint: the sides weigh one half each)",
        low=0.0,
        high=1.0,
        up="isotropic",
        better="up",
        word="more isotropic",
        sees="a common direction, on raw rows also the scale of the rows",
        blind="spread among many directions",
        reference="Arora et al. 2016 (arXiv 1502.03520); Mu and Viswanath 2018",
        note="By log-sum-exp. Unit rows give at least exp(-2); raw and unit values do not "
        "compare. The interval is on the log scale and lets the eigenvectors move with the rows; "
        "it is withheld where another direction comes within three standard errors of an "
        "extreme one. Raw rows of heavy-tailed lengths mostly have none, and what is left "
        "covers too little (simulated, t with 4 degrees of freedom: 75%).",
        needs=("moments",),
        places=tuple((side, on) for on in ("raw", "unit") for side in SIDES),
        compute=partition_isotropy,
    ),
)
