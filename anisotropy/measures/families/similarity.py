"""Similarity of two spaces: the same items, in spaces of any dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anisotropy import engine
from anisotropy.backend import Rows, each, fold
from anisotropy.measures.base import Definition, Family, Impossible, Measure, Parameter
from anisotropy.measures.facts import Facts
from anisotropy.measures.jackknife import Displaced, neighbor_influence
from anisotropy.neighbors import Items, TopK, sweep
from anisotropy.results import Similarity
from anisotropy.statistics import (
    Influence,
    null_z,
    simulated_null,
    student,
    total_error,
)

FAMILY = Family(
    "similarity",
    "Similarity of two spaces",
    "whether two spaces place the same items alike, up to a rotation",
    "whether either of them is any good",
)
#: Random matchings behind the spread of a null.
PERMUTATIONS = 50
#: Largest HSIC of unit rows with themselves that differ by rounding alone.
_ROUNDING = 1e-24


@dataclass(frozen=True, eq=False)
class Products:
    """What the unbiased HSIC of two centered matrices of the same n rows is made of.

    With a, b the squared lengths of the rows and s_x, s_y the column sums: `cross` = X'Y,
    `diagonal` = a.b, `corner` = sum of (x.s_x - a)(y.s_y - b), `totals` = |s|^2 less the sum of
    the squared lengths, of either matrix.
    """

    n: int
    cross: np.ndarray
    diagonal: float
    corner: float
    totals: tuple[float, float]

    def hsic(self) -> float:
        """Unbiased HSIC in feature form, in O(n dim^2)."""
        n = self.n
        t = float((self.cross**2).sum()) - self.diagonal
        k, other = self.totals
        total = t + k * other / ((n - 1) * (n - 2)) - 2 * self.corner / (n - 2)
        return total / (n * (n - 3))


def products(x: Rows, y: Rows) -> Products:
    """Stream two matrices, centered, for :meth:`Products.hsic`."""
    centered = _Centered(x.mean(), y.mean())
    cross, sum_x, sum_y = _sums(x, y, centered)

    def squares(left: np.ndarray, right: np.ndarray) -> _Parts:
        left, right = centered(left, right)
        a, b = np.einsum("ij,ij->i", left, left), np.einsum("ij,ij->i", right, right)
        corner = (left @ sum_x - a) @ (right @ sum_y - b)
        return _Parts([a @ b, corner, a.sum(), b.sum()])

    found = fold([x, y], squares, _Parts.add, _Parts([0.0] * 4)).values
    diagonal, corner, total_a, total_b = map(float, found)
    totals = (float(sum_x @ sum_x) - total_a, float(sum_y @ sum_y) - total_b)
    return Products(len(x), cross, diagonal, corner, totals)


def _sums(x: Rows, y: Rows, centered: _Centered) -> Sequence[np.ndarray]:
    """X'Y of centered rows, and the sums of the columns of both."""
    where = engine.device(2.0 * len(x) * x.dim * y.dim)
    if where is not None:
        from anisotropy import device

        return device.cross(where, (x, centered.left), (y, centered.right))

    def sums(left: np.ndarray, right: np.ndarray) -> _Parts:
        left, right = centered(left, right)
        return _Parts([left.T @ right, left.sum(axis=0), right.sum(axis=0)])

    nothing = _Parts([np.zeros((x.dim, y.dim)), np.zeros(x.dim), np.zeros(y.dim)])
    return fold([x, y], sums, _Parts.add, nothing).values


@dataclass(frozen=True)
class _Centered:
    """Blocks of two matrices in float64, less their means."""

    left: np.ndarray
    right: np.ndarray

    def __call__(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return x.astype(float) - self.left, y.astype(float) - self.right


@dataclass(frozen=True)
class _Parts:
    """Sums that are taken together."""

    values: list[Any]

    def add(self, other: _Parts) -> _Parts:
        return _Parts([x + y for x, y in zip(self.values, other.values, strict=True)])


def unbiased_cka(x: Rows, y: Rows) -> float:
    """CKA with the unbiased HSIC; rows of `x` and `y` in the same order."""
    return _cka([products(*pair) for pair in ((x, y), (x, x), (y, y))])


def _cka(found: Sequence[Products]) -> float:
    xy, xx, yy = (one.hsic() for one in found)
    if min(xx, yy) <= _ROUNDING:
        raise Impossible("the rows of one space do not differ enough for CKA")
    return xy / math.sqrt(xx * yy)


def cka(a: Facts, b: Facts, measure: Measure, side: str) -> Similarity:
    """Unbiased linear CKA of the unit rows; interval over queries, documents are fixed."""
    x, y = same_rows(a, b, side)
    n = len(x)
    if n < 4:
        raise Impossible(f"{side}: {n} row(s), at least 4 are needed")
    pairs = ((x, y), (x, x), (y, y))
    found = [products(*pair) for pair in pairs]
    value = _cka(found)
    low = high = math.nan
    if side == "queries":
        xy, xx, yy = (_hsic_change(*pair, one) for pair, one in zip(pairs, found, strict=True))
        length = math.sqrt(found[1].hsic() * found[2].hsic())
        change = xy / length - value / 2 * (xx / found[1].hsic() + yy / found[2].hsic())
        low, high = reach(value, Influence(a.space.query_ids, change))
    spread = math.sqrt(2 / (n * (n - 3)))
    return Similarity(side, measure.text, value, low, high, 0.0, n, spread,
                      null_z(value, 0.0, spread))  # fmt: skip


def _hsic_change(x: Rows, y: Rows, found: Products) -> np.ndarray:
    """Influence of each row on the HSIC: twice its mean product with the others, shape (n,)."""
    centered, cross = _Centered(x.mean(), y.mean()), found.cross

    def of_rows(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        left, right = centered(left, right)
        own = np.einsum("ij,ij->i", left, left) * np.einsum("ij,ij->i", right, right)
        return np.stack([np.einsum("ij,ij->i", left @ cross, right), own], axis=1)

    along, own = each([x, y], of_rows).T
    change = 2 * (along - own) / (found.n - 1)
    return np.asarray(change - change.mean())


def reach(value: float, influence: Influence, low: float = -1.0) -> tuple[float, float]:
    """Interval of a similarity, cut to `low` and 1."""
    se, freedom = total_error([influence])
    half = student(0.95, freedom) * se
    return max(value - half, low), min(value + half, 1.0)


def same_rows(a: Facts, b: Facts, side: str) -> tuple[Rows, Rows]:
    """Unit rows of both spaces, those of b in the order of a."""
    x, y = a.rows(side, "unit"), b.rows(side, "unit")
    order = row_order(a, b, side)
    if order is None:
        return x, y
    keep = order if y.keep is None else y.keep[order]
    scale = None if y.scale is None else y.scale[order]
    return x, Rows(y.data, keep, y.shift, scale)


def row_order(a: Facts, b: Facts, side: str) -> np.ndarray | None:
    """Rows of b in the order of a; None where they are in that order already.

    Raises
    ------
    Impossible
        If the rows are not the same items.
    """
    ids_a, ids_b = list(a.row_ids(side)), list(b.row_ids(side))
    if ids_a == ids_b:
        return None
    place = {name: i for i, name in enumerate(ids_b)}
    if len(ids_a) != len(ids_b) or any(name not in place for name in ids_a):
        raise Impossible(f"{side}: the two spaces do not have the same vectors a document")
    return np.array([place[name] for name in ids_a])


def mutual_knn(a: Facts, b: Facts, measure: Measure, side: str) -> Similarity:
    """Mean share of the k nearest that an item keeps, by cosine."""
    k = measure.whole("k")
    n = len(a.rows(side, "unit"))
    chosen, x, y = _both_lists(a, b, k, side)
    value = float(np.mean(_overlap(x[:, :k], y[:, :k]))) / k
    low = high = math.nan
    if side == "queries":
        low, high = reach(value, _overlap_influence(a.space.query_ids, x, y, chosen, k), 0.0)
    chance = k / (n - 1)
    spread = _matched_at_random(x[:, :k], y[:, :k], chosen, n, a.seed)
    return Similarity(side, measure.text, value, low, high, chance, len(chosen), spread,
                      null_z(value, chance, spread))  # fmt: skip


def neighbors_kept(a: Facts, b: Facts, k: int, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Share of the k nearest that each row keeps, by cosine, a row of a side at a time.

    Returns
    -------
    tuple
        The rows of a that are anchors, and the share of each; its mean is ``mutual_knn(k)``.

    Raises
    ------
    Impossible
        If there are too few rows, or they are not the same in both spaces.
    """
    chosen, x, y = _both_lists(a, b, k, side)
    return chosen, _overlap(x[:, :k], y[:, :k]) / k


def _both_lists(
    a: Facts, b: Facts, k: int, side: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Anchors, and their nearest rows in either space, all as rows of a."""
    n = len(a.rows(side, "unit"))
    if n - 1 <= k:
        raise Impossible(f"{side}: {n} row(s), more than k + 1 = {k + 1} are needed")
    order = row_order(a, b, side)
    chosen = a.choose(a.row_ids(side))
    x = _lists(a, side, chosen, k)
    y = _lists(b, side, chosen if order is None else order[chosen], k)
    if order is not None:
        back = np.argsort(order)
        y = np.where(y >= 0, back[y], -1)
    return chosen, x, y


def _matched_at_random(
    x: np.ndarray, y: np.ndarray, chosen: np.ndarray, n: int, seed: int
) -> float:
    """Spread of the overlap where the items of b are named at random, anchors among anchors."""
    others = np.setdiff1d(np.arange(n), chosen, assume_unique=True)
    k = int(x.shape[1])

    def draw(rng: np.random.Generator) -> float:
        name = np.empty(n, dtype=np.int64)
        name[others] = rng.permutation(others)
        order = rng.permutation(len(chosen))
        name[chosen[order]] = chosen
        return float(np.mean(_overlap(x, name[y[order]]))) / k

    return simulated_null(draw, PERMUTATIONS, seed)[1]


def _lists(facts: Facts, side: str, chosen: np.ndarray, k: int) -> np.ndarray:
    """Neighbors of the chosen rows: those already known where they are deep enough."""
    known = facts.one_set(side, "unit")
    depth = min(
        facts.plan.local_k and known.neighbors.index.shape[1], len(facts.rows(side, "unit")) - 1
    )
    if depth > k and np.array_equal(np.sort(chosen), known.chosen):
        return known.neighbors.index[np.searchsorted(known.chosen, chosen)]
    items = Items(facts.rows(side, "unit"))
    lists = TopK(len(chosen), min(2 * k + 8, len(items) - 1), facts.ties(side, rows=True))
    sweep(items, chosen, items, [lists], own=chosen)
    return lists.neighbors(chosen).index


def _overlap(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Number of common entries of each row of two lists, -1 not among them."""
    counts = np.zeros(len(x), dtype=np.int64)
    for column in x.T:
        counts += ((column[:, None] == y) & (column[:, None] >= 0)).any(axis=1)
    return counts


def _overlap_influence(
    ids: Sequence[str], x: np.ndarray, y: np.ndarray, chosen: np.ndarray, k: int
) -> Influence:
    """Each item left out of both lists, whose place the one that follows them takes."""
    n = len(ids)
    same = x[:, :k, None] == y[:, None, :k]
    in_y, in_x = same.any(axis=2), same.any(axis=1)
    next_x, next_y = x[:, k : k + 1], y[:, k : k + 1]
    gain_x = (next_x == y[:, :k]).any(axis=1, keepdims=True)
    gain_y = (next_y == x[:, :k]).any(axis=1, keepdims=True)
    both = -1.0 + gain_x + gain_y + (next_x == next_y)
    # An item of both lists is counted once, in that of x.
    lists = np.concatenate([x[:, :k], np.where(in_x, n, y[:, :k])], axis=1)
    change = np.concatenate([np.where(in_y, both, gain_x), np.where(in_x, 0.0, gain_y)], axis=1)
    weight = n / (k * len(chosen))
    found = Displaced.of(lists, change * weight, n + 1)
    overlap = in_y.sum(axis=1)
    own = np.zeros(n)
    own[chosen] = (overlap - overlap.mean()) * weight
    return neighbor_influence(ids, own, found.part(slice(0, n)))


_PLACES = (("queries", "unit"), ("documents", "unit"))
DEFINITIONS = (
    Definition(
        name="cka",
        family="similarity",
        formula="HSIC(K, L)/sqrt(HSIC(K, K) HSIC(L, L)), K = XX', unbiased HSIC",
        low=-1.0,
        high=1.0,
        up="similar",
        sees="agreement of all pairwise products, up to rotation and scale",
        blind="small directions: the top ones dominate; outliers swing it",
        reference="Song et al. 2012 (unbiased HSIC); Kornblith et al. 2019 (CKA)",
        note="On unit rows, centered, in feature form over all rows; slightly negative values "
        "occur. Documents are fixed: no interval.",
        null="nothing is shared: 0, with a spread of sqrt(2/(n(n - 3))) over random matchings",
        needs=("moments",),
        places=_PLACES,
        between=cka,
    ),
    Definition(
        name="mutual_knn",
        family="similarity",
        formula="mean over rows of |N_A(i) and N_B(i)|/k",
        low=0.0,
        high=1.0,
        up="similar",
        sees="whether an item keeps its nearest neighbors",
        blind="distances, and everything farther than the k nearest",
        reference="Huh et al. 2024 (arXiv 2405.07987)",
        note="Cosine. The interval leaves out each query, what two of them do together counted "
        "once: 92-99% in simulations of 100 and 300 queries, 99-100% where clusters are smaller "
        "than k. Large document sets are seen from seeded anchors. Falls with n: the k nearest of "
        "a denser set are nearer.",
        null="items matched at random: k/(n - 1), its spread that of 50 random matchings",
        needs=("neighbors",),
        places=_PLACES,
        parameters=(
            Parameter(
                "k", 10, always=True, low=1, meaning="nearest neighbors compared of each row"
            ),
        ),
        between=mutual_knn,
    ),
)
