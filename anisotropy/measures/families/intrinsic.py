"""Intrinsic dimension, from the distances of each row to its nearest others."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from anisotropy.backend import Rows
from anisotropy.measures.base import Definition, Impossible, Measure, Parameter
from anisotropy.measures.basis import need_rows
from anisotropy.measures.facts import Facts, spare_depth
from anisotropy.measures.jackknife import block_influence, left_out
from anisotropy.measures.repeats import first_of_its_kind
from anisotropy.neighbors import Items, TopK, sweep
from anisotropy.statistics import BLOCKS, Estimate, Influence, blocks_of

Estimator = Callable[[np.ndarray], float]
_BLOCK = 1 << 22
_FEWEST = 10
_SPARE = 5


def two_nn(first: np.ndarray, second: np.ndarray, dropped: float = 0.1) -> float:
    """Dimension from the ratios of the distances to the second and the first nearest.

    Parameters
    ----------
    first, second
        Shape (n,), positive: distances to the nearest and second nearest other row.
    dropped
        Share of the largest ratios left out of the fit; 0 to 1.

    Returns
    -------
    float
        Slope through the origin of -log(1 - i/n) on log(second/first), sorted ascending.
        Facco et al., Scientific Reports 7:12140, 2017.
    """
    logs = np.sort(np.log(second / first))
    # The last ratio has the height infinity and takes no part.
    x = logs[: min(int(len(logs) * (1 - dropped)), len(logs) - 1)]
    rise = -np.log1p(-np.arange(1, len(x) + 1) / len(logs))
    return float(x @ rise / (x @ x)) if x.any() else float("inf")


def maximum_likelihood(distances: np.ndarray) -> float:
    """Dimension by maximum likelihood from sorted distances to the k nearest other rows.

    Parameters
    ----------
    distances
        Shape (n, k), positive, ascending.

    Returns
    -------
    float
        Harmonic mean over rows of 1/mean_{j<k} log(r_k/r_j). Levina and Bickel, NIPS 2004;
        the harmonic mean: MacKay and Ghahramani, 2005.
    """
    logs = np.log(distances[:, -1:] / distances[:, :-1])
    mean = float(logs.mean())
    return 1 / mean if mean > 0 else float("inf")


@dataclass(frozen=True, eq=False)
class Near:
    """Other rows at a distance, nearest first, for the rows that have enough of them.

    Attributes
    ----------
    anchors
        Shape (a,): the rows.
    index, distance
        Shape (a, depth): their neighbors and distances; -1 and infinity after the last.
    repeats
        How many rows of the side repeat another, and take no part.
    sampled
        Whether the anchors are a sample.
    """

    anchors: np.ndarray
    index: np.ndarray
    distance: np.ndarray
    repeats: int
    sampled: bool


def near(facts: Facts, side: str, k: int) -> Near:
    """Neighbors of a side on unit rows, rows that repeat another left out."""
    need_rows(facts, side)
    shared = facts.one_set(side, "unit")
    first = first_of_its_kind(facts, side)
    repeats = int(np.count_nonzero(~first))
    anchors = shared.chosen[first[shared.chosen]]
    # Queries are left out by blocks, which takes deeper lists.
    width = shared.neighbors.index.shape[1] if side == "queries" else k + _SPARE
    index, distance = facts.once(
        ("near lists", side, width),
        lambda: _filtered(
            facts, side, anchors, shared.neighbors.index[first[shared.chosen], :width], first
        ),
    )
    enough = _enough(distance, k)
    if not enough.all():
        deeper = _searched(facts, side, anchors[~enough], first, k)
        index, distance = (
            _put(old, ~enough, new, fill)
            for old, new, fill in zip((index, distance), deeper, (-1, np.inf), strict=True)
        )
        enough = _enough(distance, k)
    if np.count_nonzero(enough) < _FEWEST:
        raise Impossible(
            f"{side}: {np.count_nonzero(enough)} row(s) with {k} others at a distance, at least "
            f"{_FEWEST} are needed"
        )
    return Near(anchors[enough], index[enough], distance[enough], repeats, shared.sampled)


def _enough(distance: np.ndarray, k: int) -> np.ndarray:
    """Whether a row has k others at a distance, shape (rows,)."""
    return np.asarray(np.isfinite(distance).sum(axis=1) >= k)


def _put(old: np.ndarray, rows: np.ndarray, new: np.ndarray, fill: float) -> np.ndarray:
    """The lists with some of them replaced by ones of another length."""
    width = max(old.shape[1], new.shape[1])
    out = np.full((len(old), width), fill, dtype=old.dtype)
    out[:, : old.shape[1]] = old
    out[rows] = fill
    out[rows, : new.shape[1]] = new
    return out


def _filtered(
    facts: Facts, side: str, anchors: np.ndarray, index: np.ndarray, first: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Neighbors less the repeats among them, nearest first, and their distances."""
    distance = exact_distances(facts.raw(side), anchors, index)
    distance[(index < 0) | ~first[index] | (distance <= 0)] = np.inf
    order = np.argsort(distance, axis=1, kind="stable")
    index, distance = (np.take_along_axis(x, order, axis=1) for x in (index, distance))
    return np.where(np.isfinite(distance), index, -1), distance


def _searched(
    facts: Facts, side: str, anchors: np.ndarray, first: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Neighbors of anchors whose lists hold too many repeats, among the rows that are none."""
    rows, kept = facts.rows(side, "unit"), np.flatnonzero(first)
    keep = kept if rows.keep is None else rows.keep[kept]
    scale = None if rows.scale is None else rows.scale[kept]
    items = Items(Rows(rows.data, keep, rows.shift, scale))
    if len(kept) <= k:
        raise Impossible(f"{side}: {len(kept)} different row(s), more than k={k} are needed")
    place = np.empty(len(kept), dtype=np.int64)
    place[np.argsort(facts.ties(side, rows=True)[kept], kind="stable")] = np.arange(len(kept))
    chosen = np.searchsorted(kept, anchors)
    lists = TopK(len(chosen), min(spare_depth(k), len(kept) - 1), place)
    sweep(items, chosen, items, [lists], own=chosen)
    return _filtered(facts, side, anchors, kept[lists.neighbors(chosen).index], first)


def exact_distances(rows: Rows, anchors: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Distances of unit rows by differences in float64, shape of `index`.

    Small ones are lost in the rounding of 2 - 2 cos.
    """
    out = np.empty(index.shape)
    step = max(1, _BLOCK // (max(index.shape[1], 1) * max(rows.dim, 1)))
    for start in range(0, len(anchors), step):
        part = slice(start, start + step)
        own = _unit(rows, anchors[part])
        others = _unit(rows, index[part].ravel()).reshape(len(own), index.shape[1], -1)
        others -= own[:, None]
        out[part] = np.sqrt(np.einsum("ijk,ijk->ij", others, others))
    return out


def _unit(rows: Rows, index: np.ndarray) -> np.ndarray:
    where = index if rows.keep is None else rows.keep[index]
    block = np.asarray(rows.data[where], dtype=np.float64)
    lengths: np.ndarray = np.linalg.norm(block, axis=1, keepdims=True)
    return np.asarray(block / lengths)


def intrinsic_dimension(facts: Facts, measure: Measure, side: str, on: str) -> Estimate:
    """Intrinsic dimension of the unit rows of a side."""
    k, method = measure.whole("k"), measure.word("method")
    if method == "twonn" and k != _K:
        raise Impossible("k belongs to method=mle; twonn uses the two nearest")
    if method == "mle" and measure.number("dropped") != _DROPPED:
        raise Impossible("dropped belongs to method=twonn")
    depth = 2 if method == "twonn" else k
    found = facts.once(("near", side, depth), lambda: near(facts, side, depth))

    def estimate(distance: np.ndarray) -> float:
        if method == "twonn":
            return two_nn(distance[:, 0], distance[:, 1], measure.number("dropped"))
        return maximum_likelihood(distance[:, :k])

    value = estimate(found.distance)
    if not math.isfinite(value):
        raise Impossible(f"{side}: the nearest others of every row are equally far")
    influences: tuple[Influence, ...] = ()
    notes: tuple[str, ...] = ()
    if found.repeats:
        notes = (f"intrinsic dimension of {side}: {found.repeats} repeated row(s) left out",)
    if side == "queries" and method == "twonn":
        influences = _influences(facts, found, depth, estimate)
    return Estimate(
        value,
        influences,
        n=len(found.anchors),
        unit="query" if side == "queries" else "document",
        population="queries" if side == "queries" else "none",
        estimator="sampled" if found.sampled else "exact",
        method="jackknife" if influences else None,
        low=0.0,
        notes=notes,
    )


def _influences(
    facts: Facts, found: Near, depth: int, estimate: Estimator
) -> tuple[Influence, ...]:
    """Blocks of queries left out, as anchors and as neighbors; none where too few stay."""
    block = blocks_of(facts.space.query_ids, BLOCKS, facts.seed)

    def without(out: Any) -> np.ndarray:
        rows = ~np.isin(block[found.anchors], out)
        index, distance = found.index[rows], found.distance[rows]
        stays = ~np.isin(block, out)[index] & (index >= 0)
        order = np.argsort(~stays, axis=1, kind="stable")[:, :depth]
        left = np.take_along_axis(distance, order, axis=1)
        enough = np.take_along_axis(stays, order, axis=1).all(axis=1)
        if np.count_nonzero(enough) < 2:
            return np.array([np.nan])
        return np.array([estimate(left[enough])])

    values, excess = left_out(without(()), without, int(block.max()) + 1)
    if not np.isfinite(values).all() or not np.isfinite(excess).all():
        return ()
    return (block_influence(values[:, 0], excess[0]),)


_K, _DROPPED = 20, 0.1
DEFINITIONS = (
    Definition(
        name="intrinsic_dimension",
        family="local",
        formula="twonn: slope through 0 of -log(1 - i/n) on sorted log(r2/r1), the largest tenth "
        "dropped; mle: 1/mean of log(r_k/r_j), j < k, k = 20",
        low=0.0,
        high=float("inf"),
        up="higher dimension",
        sees="how many directions the rows fill at the distance of their nearest others",
        blind="the mean, and how rows lie beyond their nearest others",
        reference="Facco et al., Sci. Rep. 7:12140, 2017; Levina and Bickel, NIPS 2004",
        note="A relative number at fixed n: both are biased down in many dimensions, and noise "
        "raises them. Euclidean distances of unit rows, recomputed in float64; rows that repeat "
        "another are left out and counted. Large document sets are seen from seeded anchors. "
        "Over queries blocks are left out, as anchors and as neighbors; maximum likelihood "
        "carries no interval: simulated, it covers 90% in clusters.",
        needs=("neighbors",),
        places=(("queries", "unit"), ("documents", "unit")),
        parameters=(
            Parameter(
                "method",
                "twonn",
                always=True,
                choices=("twonn", "mle"),
                meaning="ratio of the two nearest distances, or likelihood of k of them",
            ),
            Parameter("k", _K, low=2, meaning="nearest rows of method=mle"),
            Parameter(
                "dropped",
                _DROPPED,
                low=0.0,
                high=0.99,
                meaning="share of the largest ratios that method=twonn leaves out",
            ),
        ),
        defaults=({"method": "twonn"}, {"method": "mle"}),
        compute=intrinsic_dimension,
        size_bound=True,
    ),
)
