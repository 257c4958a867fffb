"""Spectra at a stated number of rows, by seeded subsamples of the larger side.

The eigenvalues of a sample depend on its size, and most functions of them have no correction.
Their values are therefore taken at a common number of rows: of a side that has more, the value
is the mean over subsamples chosen by a hash of the ids, so that two spaces use the same rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from anisotropy.backend import Rows
from anisotropy.errors import UsageError
from anisotropy.files import hash_ids
from anisotropy.measures.base import Impossible, Measure, Parameter, Value
from anisotropy.measures.basis import count, need_rows, over_queries
from anisotropy.measures.facts import Facts
from anisotropy.measures.families.isotropic import isotropic_spectrum
from anisotropy.measures.families.left_out import Kind, root_sums_without
from anisotropy.measures.moments import Moments, quadratic, spectrum
from anisotropy.statistics import FEWEST_UNITS, Estimate, Influence, Scale

#: Subsamples of a side that has more rows than are asked for.
SUBSAMPLES = 5
LEAST = 3
#: Apart from each other and from the seeds of runs beside this one.
_SEEDS = 1000


class RowCount(Parameter):
    """How many rows: ``common``, ``all``, or a whole number of at least 3."""

    @property
    def allowed(self) -> str:
        """What values it takes, in words."""
        return f"common, all, or a whole number, {LEAST} and above"

    def read(self, text: str) -> Value:
        """Value of a text such as ``common`` or ``2000``."""
        return self.check(int(text) if text.isdecimal() else text)

    def check(self, value: Any) -> Value:
        """Return `value` as the word or the digits, or raise UsageError."""
        if isinstance(value, str) and value.isdecimal():
            value = int(value)
        if value in ("common", "all"):
            return str(value)
        if type(value) is int and value >= LEAST:
            return str(value)
        raise UsageError(f"{self.name}: got {value!r}; allowed: {self.allowed}")


ROWS = RowCount(
    "n",
    "common",
    meaning="rows of each side: as many as the smaller side has, whole sides, or that many",
)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues of one set of rows.

    Attributes
    ----------
    values
        Those above rounding, descending.
    dim, rank
        Dimension of the rows, and how many singular values the rows have.
    """

    values: np.ndarray
    dim: int
    rank: int


#: Value of a spectrum, and its derivative by each eigenvalue.
Function = Callable[[Spectrum], tuple[float, np.ndarray]]
#: The same value from the sums of s and of s log s, s the roots of the eigenvalues.
FromSums = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Draw:
    """Rows of one side that enter one value: all (`index` is None), or a subsample."""

    moments: Moments
    index: np.ndarray | None


def rows_taken(facts: Facts, measure: Measure, side: str) -> int:
    """Rows of each side that enter a value; 0 for all rows, however many each side has.

    Raises
    ------
    Impossible
        If a side has fewer rows than are asked for.
    """
    asked = measure.word("n")
    if asked == "all":
        return 0
    sizes = {s: len(facts.raw(s)) for s in ("queries", "documents")}
    if asked == "common":
        # A side that is missing has nothing in common with the other.
        return min((n for n in sizes.values() if n >= LEAST), default=0)
    for one in (s for s in sizes if side in (s, "joint")):
        if sizes[one] < int(asked):
            raise Impossible(f"{one}: {sizes[one]} rows, n={asked} are asked for")
    return int(asked)


def subsamples(ids: Sequence[str], n: int, seed: int) -> list[np.ndarray]:
    """Subsamples of `n` of the ids, without replacement, each by a seeded hash of its own.

    They are independent of each other, so that the spread between them is the error of their
    mean. Arcs of one circle that overlap little have a smaller error, which no spread between
    five of them shows: simulated, intervals from it covered 70 to 90%.

    Returns
    -------
    list of numpy.ndarray of shape (n,)
        Ascending positions in `ids`.
    """
    seeds = [_SEEDS * seed + r for r in range(1, SUBSAMPLES + 1)]
    orders = (np.argsort(hash_ids(ids, one), kind="stable") for one in seeds)
    return [np.sort(order[:n]) for order in orders]


def subset(rows: Rows, index: np.ndarray) -> Rows:
    """Some of the rows, under the same transform."""
    keep = index if rows.keep is None else rows.keep[index]
    scale = None if rows.scale is None else rows.scale[index]
    return replace(rows, keep=keep, scale=scale)


def draws(facts: Facts, side: str, on: str, n: int) -> list[Draw]:
    """All rows of a side once, or its subsamples of `n` rows."""
    if n in (0, len(facts.raw(side))):
        return [Draw(facts.moments(side, on), None)]
    return facts.once(("draws", side, on, n), lambda: _draws(facts, side, on, n))


def _draws(facts: Facts, side: str, on: str, n: int) -> list[Draw]:
    rows = facts.rows(side, on)
    parts = facts.once(
        ("subsamples", side, n), lambda: subsamples(_names(facts, side), n, facts.seed)
    )
    return [Draw(Moments(subset(rows, part)), part) for part in parts]


def _names(facts: Facts, side: str) -> Sequence[str]:
    """Ids of the rows; the first chunk of a document has the id of the document."""
    names = facts.row_ids(side)
    return names if facts.units(side) is None else [name.removesuffix("#0") for name in names]


def _sides(side: str) -> list[str]:
    return [s for s in ("queries", "documents") if side in (s, "joint")]


def _matrix(parts: Sequence[Draw], kind: Kind) -> np.ndarray:
    """Matrix of one side, or of the mixture of two that weigh one half each."""
    found = [part.moments for part in parts]
    each = [m.covariance * (1 if kind == "covariance" else (m.n - 1) / m.n) for m in found]
    if kind == "second":
        each = [s + np.outer(m.mean, m.mean) for s, m in zip(each, found, strict=True)]
    if len(found) == 1 or kind == "second":
        return np.asarray(sum(each) / len(each))
    offset = found[0].mean - found[1].mean
    matrix = (each[0] + each[1]) / 2 + np.outer(offset, offset) / 4
    if kind == "covariance":
        # The squared offset is biased up by the errors of the two means.
        matrix -= sum(s / m.n for s, m in zip(each, found, strict=True)) / 4
    return np.asarray(matrix)


def _decomposed(
    facts: Facts, side: str, on: str, n: int, kind: Kind
) -> list[tuple[Spectrum, np.ndarray]]:
    """Spectrum and eigenvectors of every draw of a side (no vectors for documents)."""
    return facts.once(
        ("decomposed", side, on, n, kind),
        lambda: [_decompose(side, parts, kind) for parts in _pairs(facts, side, on, n)],
    )


def _pairs(facts: Facts, side: str, on: str, n: int) -> list[tuple[Draw, ...]]:
    """Draws of a side; on the joint side those of queries and documents side by side."""
    each = [draws(facts, s, on, n) for s in _sides(side)]
    return [tuple(found[r % len(found)] for found in each) for r in range(max(map(len, each)))]


def _decompose(side: str, parts: tuple[Draw, ...], kind: Kind) -> tuple[Spectrum, np.ndarray]:
    total, dim = sum(part.moments.n for part in parts), parts[0].moments.rows.dim
    rank = min(total - (kind != "second"), dim)
    if len(parts) == 1 and kind == "covariance" and parts[0].index is None:
        values, vectors = parts[0].moments.spectrum
    elif side == "documents":
        values = np.linalg.eigvalsh(_matrix(parts, kind))[::-1][:rank]
        values, vectors = values[values > 1e-12 * max(values[0], 0.0)], np.zeros((dim, 0))
    else:
        values, vectors = spectrum(_matrix(parts, kind), rank)
    scale = max(float(part.moments.mean @ part.moments.mean) for part in parts)
    if not values.sum() > 1e-12 * scale:
        raise Impossible(f"{side}: all rows are the same, so there is no spread")
    return Spectrum(values, dim, rank), vectors


def spectral(
    facts: Facts,
    measure: Measure,
    side: str,
    on: str,
    function: Function,
    *,
    without: FromSums | None = None,
    kind: Kind = "covariance",
    scale: Scale = "log",
    low: float = 0.0,
    high: float = math.inf,
) -> Estimate:
    """Estimate of a function of the eigenvalues at a stated number of rows.

    Parameters
    ----------
    facts, measure, side, on
        As given to a measure with the parameter ``n``.
    function
        Value and derivative; with scale ``square`` of the squared value.
    without
        The same function of sums of roots, where it is one: the queries then get jackknife
        values. Otherwise they are of first order.
    kind
        Eigenvalues of which matrix.
    scale
        Scale of the interval.
    low, high
        Range of the value.
    """
    need_rows(facts, side, LEAST)
    n = rows_taken(facts, measure, side)
    found = _decomposed(facts, side, on, n, kind)
    results = [function(one) for one, _ in found]
    each = np.array([value for value, _ in results])
    mean = float(each.mean())
    unit = 1 / mean if scale == "log" else 1.0
    influences: tuple[Influence, ...] = ()
    enough = len(facts.space.query_ids) >= FEWEST_UNITS
    if side != "documents" and without and enough:
        values = _jackknife(facts, side, on, n, kind, without)
        influences = (Influence(facts.space.query_ids, values * unit),)
    elif side != "documents" and enough:
        changes = [(v * slope) @ v.T for (_, v), (_, slope) in zip(found, results, strict=True)]
        values = _changes(facts, side, on, n, kind, changes)
        influences = (Influence(facts.space.query_ids, values * unit),)
    if side == "documents" or enough:
        influences += _monte_carlo(facts, side, on, n, (each - mean) * unit)
    drawn = len(found) > 1
    about = over_queries(side) | ({"method": "subsample"} if drawn else {})
    return Estimate(
        math.sqrt(max(mean, 0.0)) if scale == "square" else mean,
        influences,
        n=n or count(facts, side),
        estimator="subsampled" if drawn else "exact",
        scale=scale,
        squared=mean if scale == "square" else math.nan,
        low=low,
        high=high,
        null_mean=_isotropic(facts, side, n, kind, function, scale),
        **about,
    )


def _jackknife(
    facts: Facts, side: str, on: str, n: int, kind: Kind, without: FromSums
) -> np.ndarray:
    """Jackknife values of the mean over draws; 0 for queries that none has."""
    pairs = _pairs(facts, side, on, n)
    if pairs[0][0].index is None:
        # The same queries beside each subsample of the documents: one of them is enough.
        pairs = pairs[:1]
    found = _decomposed(facts, side, on, n, kind)
    sums = facts.once(
        ("root sums", side, on, n, kind),
        lambda: [
            root_sums_without(pair[0].moments, one.values, vectors, kind, _offset(pair))
            for pair, (one, vectors) in zip(pairs, found, strict=False)
        ],
    )
    values = np.zeros(len(facts.space.query_ids))
    for pair, pair_sums in zip(pairs, sums, strict=True):
        each = without(*pair_sums)
        place = slice(None) if pair[0].index is None else pair[0].index
        # The mixture keeps its divisor, which makes each change smaller by about 1/n.
        values[place] += (len(each) - (len(pair) == 1)) * (each.mean() - each)
    return np.asarray(values * (len(values) / (pairs[0][0].moments.n * len(pairs))))


def _offset(pair: tuple[Draw, ...]) -> np.ndarray | None:
    """Mean of the queries less that of the documents; None for one side."""
    return None if len(pair) == 1 else pair[0].moments.mean - pair[1].moments.mean


def _changes(
    facts: Facts, side: str, on: str, n: int, kind: Kind, changes: list[np.ndarray]
) -> np.ndarray:
    """First-order change of the mean over draws by the weight of each query."""
    pairs = _pairs(facts, side, on, n)
    if pairs[0][0].index is None:
        offsets = [_offset_change(p, c, kind) for p, c in zip(pairs, changes, strict=True)]
        own = pairs[0][0].moments
        return _forms(own, np.mean(changes, axis=0), np.mean(offsets, axis=0), side, kind)
    values = np.zeros(len(facts.space.query_ids))
    for pair, change in zip(pairs, changes, strict=True):
        offset = _offset_change(pair, change, kind)
        values[pair[0].index] += _forms(pair[0].moments, change, offset, side, kind)
    return np.asarray(values * (len(values) / (n * len(pairs))))


def _offset_change(pair: tuple[Draw, ...], change: np.ndarray, kind: Kind) -> np.ndarray:
    """How the offset of the two sides moves the value; zero for one side."""
    offset = _offset(pair)
    if offset is None or kind == "second":
        return np.zeros(len(change))
    return np.asarray(change @ offset)


def _forms(
    own: Moments, change: np.ndarray, offset: np.ndarray, side: str, kind: Kind
) -> np.ndarray:
    """Change by each row of a draw of queries, with mean zero."""
    zero = np.zeros(own.rows.dim)
    forms = quadratic(own.rows, zero if kind == "second" else own.mean, change)
    if side == "joint":
        forms = (forms + own.rows.dot(offset)) / 2
    return np.asarray(forms - forms.mean())


def _monte_carlo(
    facts: Facts, side: str, on: str, n: int, each: np.ndarray
) -> tuple[Influence, ...]:
    """Error of having drawn some documents only: the spread between subsamples."""
    if side == "queries":
        return ()
    if draws(facts, "documents", on, n)[0].index is None:
        return ()
    return (Influence([f"subsample {r}" for r in range(len(each))], each),)


def _isotropic(
    facts: Facts, side: str, n: int, kind: Kind, function: Function, scale: Scale
) -> float:
    """The value of isotropic rows: the function at the expected spectrum of that many rows."""
    sizes = [n or len(facts.raw(s)) for s in _sides(side)]
    # Two sides weighing one half each are worth the harmonic total of their rows.
    free = len(sizes) ** 2 / sum(1 / (size - (kind != "second")) for size in sizes)
    dim = facts.raw("queries").dim
    values = isotropic_spectrum(max(round(free), 1), dim)
    value, _ = function(Spectrum(values, dim, len(values)))
    return math.sqrt(max(value, 0.0)) if scale == "square" else value
