"""The two large passes: rows of a side among themselves, and queries against documents.

A pass multiplies once and serves every transform that is a view of the same vectors (see
:class:`anisotropy.neighbors.View`). What is multiplied are the centered rows, to which a center
can be put back without loss. Where scores of the recipe rank the documents they have to be those
of the rows as they are, to the last digit: these are multiplied, and serve centered rows as well
where taking the center off costs no more than two bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anisotropy.backend import Rows
from anisotropy.measures.base import Impossible
from anisotropy.measures.sides import Center
from anisotropy.neighbors import (
    Consumer,
    Items,
    KernelSums,
    NearerCounts,
    Neighbors,
    Product,
    TopK,
    View,
    sweep_views,
)
from anisotropy.neighbors.kernels import PairKernels

if TYPE_CHECKING:
    from anisotropy.measures.facts import Facts

TIE_TOLERANCE = 1e-6
#: How much larger the rounding of a product may be than that of centered rows: two bits.
MOST_LOST = 4.0
#: Transform of the rows, or ``recipe``, and the center that is subtracted.
CrossPlace = tuple[str, Center]
AS_ENCODED: CrossPlace = ("recipe", "none")
UNIT: CrossPlace = ("unit", "none")
JOINT: CrossPlace = ("center>unit", "joint")
OWN: CrossPlace = ("center>unit", "own")
RECIPE_OWN: CrossPlace = ("recipe", "own")
#: What each center is called where scores of the recipe are asked for.
SCORED = {"none": "none", "own": "sides"}
SIDES = ("queries", "documents")


@dataclass(frozen=True, eq=False)
class Kernels:
    """Mean kernels of the anchors of a side with all its other rows.

    Attributes
    ----------
    chosen
        Rows that are anchors.
    kernel
        Shape (anchors, len(ts)): mean kernel of an anchor with all other rows.
    sampled
        Whether the anchors are fewer than the rows.
    """

    chosen: np.ndarray
    kernel: np.ndarray
    sampled: bool


@dataclass(frozen=True, eq=False)
class OneSet(Kernels):
    """Anchors of a side against all rows of that side, themselves excluded.

    Attributes
    ----------
    neighbors
        Nearest other rows, `spare` deeper than asked, for leaving blocks out.
    """

    neighbors: Neighbors


@dataclass(frozen=True, eq=False)
class Cross:
    """Queries against all documents.

    Attributes
    ----------
    kernel
        Shape (queries, len(ts)): mean kernel of a query with all document rows; no columns for
        scores of the recipe.
    neighbors
        Nearest documents.
    nearer, tied
        For each judged pair how many other documents are strictly nearer than its document,
        and how many are as near; of unit rows only, else empty.
    """

    kernel: np.ndarray
    neighbors: Neighbors
    nearer: np.ndarray
    tied: np.ndarray


def spare_depth(k: int, blocks: int = 20) -> int:
    """Depth at which a list still holds `k` items when two blocks of them are left out."""
    share = 2 * k / blocks
    return k + int(np.ceil(share + 6 * np.sqrt(share) + 3)) if k else 0


def within(facts: Facts, side: str, transforms: Sequence[str]) -> dict[str, OneSet | Impossible]:
    """Kernel sums and neighbors of a side under each transform, or why there are none."""
    centered, chosen = Items(facts.rows(side, "center")), _anchors(facts, side)
    n = len(centered)
    depth = max(min(spare_depth(facts.plan.local_k), n - 1), 1)
    makers: dict[str, _Within | Impossible] = {}
    for on in transforms:
        try:
            makers[on] = _Within(facts, side, on, chosen, depth)
        except Impossible as reason:
            makers[on] = reason
    views = [maker.view for maker in makers.values() if isinstance(maker, _Within)]
    sweep_views(centered, chosen, centered, views, own=chosen)
    return {
        on: maker.result() if isinstance(maker, _Within) else maker for on, maker in makers.items()
    }


def _anchors(facts: Facts, side: str) -> np.ndarray:
    """Rows of a side that are looked at against all of it."""
    n = len(facts.rows(side, "center"))
    if n < 2:
        raise Impossible(f"{side}: {n} row(s), at least 2 are needed")
    chosen = facts.choose(facts.row_ids(side))
    facts.progress(f"{side} among themselves: {len(chosen)} x {n}")
    return chosen


def kernels(facts: Facts, side: str, transforms: Sequence[str]) -> dict[str, Kernels | Impossible]:
    """Kernel sums alone of a side under each transform, or why there are none."""
    chosen = _anchors(facts, side)
    found: dict[str, Kernels | Impossible] = {}
    views: dict[str, Rows] = {}
    for on in transforms:
        try:
            views[on] = facts.rows(side, on)
        except Impossible as reason:
            found[on] = reason
    base = facts.rows(side, "center")
    means = PairKernels(base, list(views.values()), chosen, facts.plan.ts).means()
    for on, kernel in zip(views, means, strict=True):
        found[on] = Kernels(chosen, kernel, len(chosen) < len(base))
    return found


class _Within:
    """One transform of a pass within a side."""

    def __init__(self, facts: Facts, side: str, on: str, chosen: np.ndarray, depth: int) -> None:
        items = Items(facts.rows(side, on))
        self._chosen, self._n = chosen, len(items)
        self._lists = TopK(len(chosen), depth, facts.ties(side, rows=True))
        self._sums = KernelSums(len(chosen), facts.plan.ts)
        self.view = View(items, items, [self._lists, self._sums])

    def result(self) -> OneSet:
        """What the pass found."""
        chosen = self._chosen
        kernel = self._sums.sums / (self._n - 1)
        return OneSet(chosen, kernel, len(chosen) < self._n, self._lists.neighbors(chosen))


def cross_place(facts: Facts, on: str, center: Center) -> CrossPlace:
    """The place at which a cross table is kept; the recipe's where it is that of unit rows."""
    if on.startswith("center"):
        return on, center
    if on == "recipe" and center == "own":
        return OWN if facts.recipe_is_unit else RECIPE_OWN
    return ("unit" if on == "recipe" and facts.recipe_is_unit else on), "none"


def cross_group(facts: Facts, place: CrossPlace) -> tuple[CrossPlace, ...]:
    """The places that share a pass with a place.

    Padding-only chunks count for the recipe and not for the geometry: then nothing is shared.
    Facts without kernels and local measures are those of a pool for mining. Where only one of
    both is asked for, so may be one kind of rows.
    """
    kernels, near = bool(facts.plan.ts), bool(facts.plan.local_k)
    if facts.padded or not (kernels or near):
        return (place,)
    encoded = _wanted(facts, (UNIT,) if facts.recipe_is_unit else (AS_ENCODED, UNIT))
    own = (OWN,) if facts.recipe_is_unit else (OWN, RECIPE_OWN)
    centered = _wanted(facts, (JOINT, *own))
    # Under a cosine recipe unit rows are multiplied, as wherever they rank alone: of products of
    # raw rows the last digits would be others, and at extreme lengths all of them.
    together = kernels and near and not facts.recipe_is_unit and _near_their_centers(facts)
    groups = ((*encoded, *centered),) if together else (encoded, centered)
    return next((group for group in groups if place in group), (place,))


def _wanted(facts: Facts, group: Iterable[CrossPlace]) -> tuple[CrossPlace, ...]:
    """Those of a group that are asked for; unit rows may be those that the recipe scores."""
    ranked = (UNIT, OWN) if facts.recipe_is_unit and facts.plan.wants("recipe") else ()
    return tuple(place for place in group if facts.plan.wants(place[0]) or place in ranked)


def _near_their_centers(facts: Facts) -> bool:
    """Whether centers can be taken off the products of rows as they are.

    The rounding of a product is that of the lengths of its rows. Beside the lengths of centered
    rows it may be :data:`MOST_LOST` times as large.
    """
    around_zero = around_center = 1.0
    for side in SIDES:
        raw = facts.moments(side, "raw")
        spread = raw.trace * (raw.n - 1)
        around_zero *= spread + raw.n * float(raw.mean @ raw.mean)
        around_center *= spread
    return around_zero <= MOST_LOST**2 * around_center


def across(facts: Facts, places: Iterable[CrossPlace]) -> dict[CrossPlace, Cross | Impossible]:
    """Queries against documents at each place of one group, or why it cannot be."""
    makers: dict[CrossPlace, _Across | Impossible] = {}
    for place in places:
        try:
            makers[place] = _Across(facts, place)
        except Impossible as reason:
            makers[place] = reason
    made = {place: maker for place, maker in makers.items() if isinstance(maker, _Across)}
    if made:
        queries, documents = _multiplied(facts, list(made))
        names = ", ".join(on if center == "none" else f"{on}, {center}" for on, center in made)
        facts.progress(f"queries x documents ({names}): {len(queries)} x {len(documents)}")
        views = [view for maker in made.values() for view in maker.views]
        sweep_views(queries, np.arange(len(queries)), documents, views)
    return {
        place: maker.result() if isinstance(maker, _Across) else maker
        for place, maker in makers.items()
    }


def _multiplied(facts: Facts, places: Sequence[CrossPlace]) -> tuple[Items, Items]:
    """Rows as they are where they are among the places, else centered rows."""
    centered = [place == RECIPE_OWN or place[0].startswith("center") for place in places]
    if not any(centered):
        queries, documents, _ = _items(facts, places[0])
        return queries, documents
    padding = all(on == "recipe" for on, _ in places)
    on = "center" if all(centered) else "raw"
    return facts.items("queries", on), facts.items("documents", on, padding=padding)


class _Across:
    """One place of a pass of queries against documents."""

    def __init__(self, facts: Facts, place: CrossPlace) -> None:
        on, center = place
        queries, documents, product = _items(facts, place)
        ranked = on == "recipe" or (facts.recipe_is_unit and place in (UNIT, OWN))
        local, depth = facts.plan.local_k, facts.plan.depth
        k = min(max(depth if on == "recipe" else local, depth if ranked else 0, 1), len(documents))
        self._trec = ranked and center == "none"
        ties = facts.trec_ties("documents") if self._trec else facts.ties("documents")
        self._lists = TopK(len(queries), k, ties)
        self._sums = KernelSums(len(queries), facts.plan.ts if on != "recipe" else ())
        self._counts = _counts(facts, place)
        self._n, self._rows = len(queries), len(documents.rows)
        best: list[Consumer] = [self._lists, self._counts]
        if documents.starts is None:
            self.views = [View(queries, documents, [*best, self._sums], product)]
        else:
            chunks = View(queries, documents, [self._sums], product, best=False)
            self.views = [View(queries, documents, best, product), chunks]

    def result(self) -> Cross:
        """What the pass found."""
        neighbors = self._lists.neighbors(np.arange(self._n))
        kernel = self._sums.sums / max(self._rows, 1)
        return Cross(kernel, neighbors, self._counts.above, self._counts.tied)


def _items(facts: Facts, place: CrossPlace) -> tuple[Items, Items, Product]:
    on, center = place
    if on == "recipe":
        queries, documents = (facts.scored(side, SCORED[center]) for side in SIDES)
        return queries, documents, facts.product
    return facts.items("queries", on, center), facts.items("documents", on, center), "dot"


def _counts(facts: Facts, place: CrossPlace) -> NearerCounts:
    """Counts of documents nearer than each positive, on unit rows."""
    pairs = facts.pairs.relevant() if place == UNIT else None
    if pairs is None:
        nothing = np.zeros(0, dtype=np.int64)
        return NearerCounts(nothing, nothing, np.zeros(0), TIE_TOLERANCE)
    cosines = facts.pair_cosines(pairs)
    return NearerCounts(pairs.query, pairs.document, cosines, TIE_TOLERANCE)
