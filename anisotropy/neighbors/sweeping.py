"""The sweep: products of anchors and targets by tiles, in parallel over the anchors.

Anchors are held in chunks, targets come in spans of tiles. Both depend on the rows alone: a
cluster, which is given a chunk and a span at a time, makes the same products from the same tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from anisotropy import backend, engine
from anisotropy.backend import Rows
from anisotropy.engine import Engine
from anisotropy.errors import UsageError, one_of
from anisotropy.neighbors.approximate import FaissIndex
from anisotropy.neighbors.consumers import Consumer, Neighbors, TopK
from anisotropy.neighbors.indexes import NeighborIndex

#: Rows of anchors in memory at once; each time the targets are read anew.
ANCHORS_HELD = 8192
#: Sides of a tile: its scores, and what consumers make of them, stay in the cache.
ANCHOR_TILE, LEAST_ANCHOR_TILE, TARGET_TILE = 256, 32, 4096
#: Tiles of targets in a span, at least.
SPAN_TILES = 16
Product = Literal["dot", "euclidean"]


@dataclass(frozen=True, eq=False)
class Items:
    """Queries or documents, each of one vector or of several adjacent ones.

    Attributes
    ----------
    rows
        The vectors.
    starts
        Offsets of shape (items + 1,) into the rows; None where an item is a row.
    """

    rows: Rows
    starts: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rows) if self.starts is None else len(self.starts) - 1

    def take(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Vectors of the items, and the offset at which each begins (None: one each)."""
        index, starts = self.row_index(items)
        return self.rows.take(index), starts

    def row_index(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Rows of the items, and the offset at which each begins (None: one each)."""
        if self.starts is None:
            return items, None
        lengths = self.starts[items + 1] - self.starts[items]
        begins = np.concatenate(([0], np.cumsum(lengths)[:-1]))
        inside = np.arange(int(lengths.sum())) - np.repeat(begins, lengths)
        return np.repeat(self.starts[items], lengths) + inside, begins

    def step(self, limit: int) -> int:
        """How many items make a block of about `limit` rows."""
        return max(1, int(limit * len(self) / max(len(self.rows), 1)))

    def row_span(self, items: slice) -> slice:
        """Rows of consecutive items."""
        if self.starts is None:
            return items
        return slice(int(self.starts[items.start]), int(self.starts[items.stop]))


@dataclass(frozen=True, eq=False)
class View:
    """Scores of one transform of the vectors, and who takes them in.

    Several views share one product. Of rows x, y shifted by c, c' the products of the rows
    shifted by d, d' and scaled by r, r' are ::

        (x - d).(y - d') = (x - c).(y - c') + (x - c).(c' - d') + (c - d).(y - c')
                           + (c - d).(c' - d'),   times r r'

    Adding is safe where the product is that of centered rows and the rest puts a center back:
    the sum is then as accurate as a product of its own. The other way round nearly equal
    numbers are subtracted, and digits are lost.

    Attributes
    ----------
    anchors, targets
        Items of the same vectors as those that are multiplied.
    consumers
        Called with tiles of scores of shape (anchors, targets).
    product
        ``dot``, or ``euclidean`` for minus the squared distance.
    best
        Of items of several vectors only the best pair counts; False: every row is an item.
    """

    anchors: Items
    targets: Items
    consumers: Sequence[Consumer]
    product: Product = "dot"
    best: bool = True


Array = TypeVar("Array", bound=Any)


@dataclass(frozen=True, eq=False)
class _Lens(Generic[Array]):
    """What turns products into the scores of a view, for the anchors or targets of a block.

    Attributes
    ----------
    add, scale, squares
        Shape (rows,): added to the product, then multiplied with it; squared lengths for the
        Euclidean score. None for nothing. Arrays here, tensors on a device.
    """

    add: Array | None
    scale: Array | None
    squares: Array | None

    def part(self, rows: slice) -> _Lens[Array]:
        found = (self.add, self.scale, self.squares)
        return _Lens(*(None if values is None else values[rows] for values in found))


@dataclass(frozen=True, eq=False)
class _Block:
    """Vectors of some anchors or targets, with a lens for each view.

    Attributes
    ----------
    items
        Which positions these are.
    vectors, starts, lenses
        Their rows, the offset at which each item begins (None: one row each), the lenses.
    """

    items: slice
    vectors: np.ndarray
    starts: np.ndarray | None
    lenses: Sequence[_Lens[np.ndarray]]

    def __len__(self) -> int:
        return int(self.items.stop - self.items.start)

    def tiles(self, step: int) -> Iterator[_Block]:
        """The same in blocks of `step` items."""
        n = len(self)
        bounds = np.arange(n + 1) if self.starts is None else np.append(
            self.starts, len(self.vectors)
        )  # fmt: skip
        for first in range(0, n, step):
            last = min(first + step, n)
            rows = slice(int(bounds[first]), int(bounds[last]))
            starts = None if self.starts is None else self.starts[first:last] - rows.start
            items = slice(self.items.start + first, self.items.start + last)
            lenses = [lens.part(rows) for lens in self.lenses]
            yield _Block(items, self.vectors[rows], starts, lenses)


@dataclass(frozen=True, eq=False)
class _Side:
    """The anchors or the targets of a sweep.

    Attributes
    ----------
    items, chosen
        The items that are multiplied, and which of them.
    views
        The items of each view, and its product.
    across
        Rows of the other side: those multiplied, then those of each view.
    """

    items: Items
    chosen: np.ndarray
    views: Sequence[tuple[Items, Product]]
    across: tuple[Rows, Sequence[Rows]]
    constant: bool

    def block(self, start: int, step: int) -> _Block:
        """The chosen items from position `start` on."""
        part = slice(start, min(start + step, len(self.chosen)))
        index, starts = self.items.row_index(self.chosen[part])
        vectors = self.items.rows.take(index)
        lenses = [self._lens(number, index, vectors) for number in range(len(self.views))]
        return _Block(part, vectors, starts, lenses)

    def blocks(self, step: int) -> Iterator[_Block]:
        """All of them, `step` items at a time."""
        for start in range(0, len(self.chosen), step):
            yield self.block(start, step)

    @cached_property
    def _offsets(self) -> list[tuple[np.ndarray | None, float]]:
        """For each view c' - d' of the other side and (c - d).(c' - d')."""
        there, there_views = self.across
        found: list[tuple[np.ndarray | None, float]] = []
        for (items, _), other in zip(self.views, there_views, strict=True):
            move, own = _moved(there, other), _moved(self.items.rows, items.rows)
            both = self.constant and move is not None and own is not None
            found.append((move, float(np.dot(own, move)) if both else 0.0))  # type: ignore[arg-type]
        return found

    def _lens(self, number: int, index: np.ndarray, vectors: np.ndarray) -> _Lens[np.ndarray]:
        items, product = self.views[number]
        rows, base = items.rows, self.items.rows
        move, constant = self._offsets[number]
        add = scale = squares = None
        if move is not None:
            add = vectors @ move.astype(vectors.dtype) + vectors.dtype.type(constant)
        if rows is not base and (rows.scale is not None or base.scale is not None):
            scale = _factor(rows, base, index).astype(vectors.dtype)
        if product == "euclidean":
            meant = vectors if rows is base else rows.take(index)
            squares = np.einsum("ij,ij->i", meant, meant)
        return _Lens(add, scale, squares)


def _factor(rows: Rows, base: Rows, index: np.ndarray | slice) -> np.ndarray:
    """What products are multiplied by that are made of other rows; one of both is scaled."""
    own: Any = 1.0 if rows.scale is None else rows.scale[index]
    return np.asarray(own if base.scale is None else own / base.scale[index])


def _moved(base: Rows, meant: Rows) -> np.ndarray | None:
    """How far the rows of a view lie from those multiplied: c - d; None where they do not."""
    zero = np.zeros(base.dim)
    here, there = (zero if rows.shift is None else rows.shift for rows in (base, meant))
    if np.array_equal(here, there):
        return None
    if base.scale is not None:
        raise AssertionError("rows that are shifted on have to be multiplied unscaled")
    return here - there


def sweep(
    anchors: Items,
    chosen: np.ndarray,
    targets: Items,
    consumers: Sequence[Consumer],
    *,
    product: Product = "dot",
    own: np.ndarray | None = None,
) -> None:
    """Score the chosen anchors against every target and hand the tiles to the consumers.

    Parameters
    ----------
    anchors, targets
        Items; of several vectors the best pair counts.
    chosen
        Which anchors, shape (a,).
    consumers
        Called with tiles of scores of shape (anchors, targets).
    product
        ``dot``, or ``euclidean`` for minus the squared distance.
    own
        Shape (a,): a target that scores minus infinity for its anchor (itself).
    """
    view = View(anchors, targets, consumers, product)
    sweep_views(anchors, chosen, targets, [view], own=own)


def sweep_views(
    anchors: Items,
    chosen: np.ndarray,
    targets: Items,
    views: Sequence[View],
    *,
    own: np.ndarray | None = None,
) -> None:
    """Multiply the chosen anchors with every target once, and serve several views of it.

    Parameters
    ----------
    anchors, targets
        Items that are multiplied. A view of the very same items gets their product as it is.
    chosen, own
        As in :func:`sweep`.
    views
        What scores are made of the product, and for whom.
    """
    if not len(chosen):
        return
    work = 2.0 * len(anchors.rows) * len(chosen) / max(len(anchors), 1)
    device = engine.device(work * len(targets.rows) * anchors.rows.dim)
    if device is not None:
        from anisotropy.neighbors import on_device

        on_device.sweep(device, _Sweep(anchors, chosen, targets, views, own))
        return
    chunks = backend.cut(len(chosen), anchors.step(ANCHORS_HELD))
    step = targets.step(TARGET_TILE)
    spans = backend.spans(len(targets), step, SPAN_TILES)
    remote = engine.current()
    if remote is not None and len(spans) > 1:
        _sweep_there(remote, _Sweep(anchors, chosen, targets, views, own), chunks, spans, step)
        return
    ends = {span.stop for span in spans}
    left, right = _two_sides(anchors, chosen, targets, views)
    with backend.one_thread_each:
        for chunk in chunks:
            held = left.block(chunk.start, chunk.stop - chunk.start)
            tiles = list(held.tiles(_tile(anchors, len(held))))
            pairs = ((tile, block) for block in right.blocks(step) for tile in tiles)
            # Tiles of the same anchors follow one another: none starts before the one that
            # came len(tiles) earlier has ended.
            ahead = min(len(tiles) - 1, 2 * backend.cores())
            for _ in backend.in_parallel(lambda p: _serve(*p, views, own, ends), pairs, ahead):
                pass


def _two_sides(
    anchors: Items, chosen: np.ndarray, targets: Items, views: Sequence[View]
) -> tuple[_Side, _Side]:
    rows = [(view.anchors.rows, view.targets.rows) for view in views]
    left = _Side(anchors, chosen, [(view.anchors, view.product) for view in views],
                 (targets.rows, [pair[1] for pair in rows]), True)  # fmt: skip
    right = _Side(targets, np.arange(len(targets)), [(v.targets, v.product) for v in views],
                  (anchors.rows, [pair[0] for pair in rows]), False)  # fmt: skip
    return left, right


@dataclass(frozen=True, eq=False)
class _Sweep:
    """What is multiplied, for whom: a whole sweep, or a chunk of anchors and a span of targets.

    Attributes
    ----------
    anchors, chosen, targets, views, own
        As in :func:`sweep_views`.
    """

    anchors: Items
    chosen: np.ndarray
    targets: Items
    views: Sequence[View]
    own: np.ndarray | None

    def part(self, chunk: slice, span: slice) -> _Sweep:
        """A chunk of the anchors and a span of the targets, both numbered from 0.

        Rows that several views share stay shared: no lens is needed for the rows multiplied.
        """
        chosen = self.chosen[chunk]
        index, begins = self.anchors.row_index(chosen)
        there = self.targets.row_span(span)
        lefts, rights = _Once(lambda rows: rows.at(index)), _Once(lambda rows: rows.span(there))
        views = [
            View(
                Items(lefts(view.anchors.rows)),
                Items(rights(view.targets.rows)),
                [consumer.part(chunk, span) for consumer in view.consumers],
                view.product,
                view.best,
            )
            for view in self.views
        ]
        starts = None if begins is None else np.append(begins, len(index))
        anchors = Items(lefts(self.anchors.rows), starts)
        starts = self.targets.starts
        if starts is not None:
            starts = starts[span.start : span.stop + 1] - there.start
        targets = Items(rights(self.targets.rows), starts)
        own = None if self.own is None else self.own[chunk] - span.start
        return _Sweep(anchors, np.arange(len(chosen)), targets, views, own)

    def merge(self, chunk: slice, span: slice, found: Sequence[Sequence[Any]]) -> None:
        """Give what the consumers of a part found to those of the whole."""
        for view, own in zip(self.views, found, strict=True):
            for consumer, state in zip(view.consumers, own, strict=True):
                consumer.merge(chunk, span, state)


class _Once:
    """A function of rows, computed once for each."""

    def __init__(self, make: Callable[[Rows], Rows]) -> None:
        self._make = make
        self._made: dict[int, Rows] = {}

    def __call__(self, rows: Rows) -> Rows:
        if id(rows) not in self._made:
            self._made[id(rows)] = self._make(rows)
        return self._made[id(rows)]


def _sweep_there(
    remote: Engine, whole: _Sweep, chunks: list[slice], spans: list[slice], step: int
) -> None:
    """Give a sweep to workers piece by piece, and merge what they find in order."""
    every = [view_rows for v in whole.views for view_rows in (v.anchors.rows, v.targets.rows)]
    backend.check_sent(whole.anchors.rows, whole.targets.rows, *every)
    pieces = [(chunk, span) for chunk in chunks for span in spans]
    # What the tile of a chunk is does not depend on where it is: the sizes go with the piece.
    tasks = (
        (whole.part(chunk, span), _tile(whole.anchors, chunk.stop - chunk.start), step)
        for chunk, span in pieces
    )
    for piece, found in zip(pieces, remote.run(_swept, tasks), strict=True):
        whole.merge(*piece, found)


def _swept(task: tuple[_Sweep, int, int]) -> list[list[Any]]:
    """What the consumers of one piece find, on a worker."""
    piece, tile, step = task
    left, right = _two_sides(piece.anchors, piece.chosen, piece.targets, piece.views)
    with backend.alone():
        held = left.block(0, len(piece.chosen))
        tiles = list(held.tiles(tile))
        for block in right.blocks(step):
            for one in tiles:
                _serve(one, block, piece.views, piece.own, {len(piece.targets)})
    return [[consumer.found() for consumer in view.consumers] for view in piece.views]


def _tile(anchors: Items, n: int) -> int:
    """Anchors in a tile: of few, parts that several threads can share all the same."""
    wanted = int(np.clip(n // 8, LEAST_ANCHOR_TILE, ANCHOR_TILE))
    return min(wanted, anchors.step(ANCHOR_TILE))


def _serve(
    anchors: _Block,
    targets: _Block,
    views: Sequence[View],
    own: np.ndarray | None,
    ends: Container[int],
) -> None:
    """Hand one tile to the consumers of every view; `ends` are those of the spans."""
    products = backend.matmul(anchors.vectors, targets.vectors)
    for number, view in enumerate(views):
        if not view.consumers:
            continue
        scores = _seen(products, anchors.lenses[number], targets.lenses[number])
        if view.best:
            for axis, starts in enumerate((anchors.starts, targets.starts)):
                if starts is not None:
                    scores = np.maximum.reduceat(scores, starts, axis=axis)
        if own is not None:
            _mask(scores, own[anchors.items] - targets.items.start)
        for consumer in view.consumers:
            consumer.update(anchors.items, targets.items.start, scores)
            if targets.items.stop in ends:
                consumer.settle(anchors.items)


def _seen(
    products: np.ndarray, anchors: _Lens[np.ndarray], targets: _Lens[np.ndarray]
) -> np.ndarray:
    """Scores of a view, made of the products; the products themselves where they are these."""
    scores = products
    columns = ((anchors.add, np.add), (anchors.scale, np.multiply))
    rows = ((targets.add, np.add), (targets.scale, np.multiply))
    for (left, way), (right, _) in zip(columns, rows, strict=True):
        for values in (None if left is None else left[:, None], right):
            if values is not None:
                scores = way(scores, values, out=None if scores is products else scores)
    if anchors.squares is not None and targets.squares is not None:
        scores = scores * 2
        scores -= anchors.squares[:, None]
        scores -= targets.squares[None, :]
    return scores


def _mask(scores: np.ndarray, column: np.ndarray) -> None:
    row = np.flatnonzero((column >= 0) & (column < scores.shape[1]))
    scores[row, column[row]] = -np.inf


def top_neighbors(
    anchors: np.ndarray,
    targets: np.ndarray,
    k: int,
    *,
    similarity: str = "dot",
    ties: np.ndarray | None = None,
    others: bool = False,
    index: str = "exact",
    random_state: int = 0,
) -> Neighbors:
    """Nearest targets of every anchor: exact, unless an approximate index is asked for.

    Parameters
    ----------
    anchors, targets
        Arrays or memory maps of shape (a, dim) and (n, dim).
    k
        Neighbors of each anchor; fewer where there are fewer targets.
    similarity
        ``dot``, ``cosine`` or ``euclidean`` (score: minus the squared distance).
    ties
        Shape (n,): among equal scores the smaller comes first. Default: the row number.
    others
        For anchors that are the targets themselves: the target of an anchor's own row is left
        out.
    index
        ``exact``, or a faiss index: ``ivf(nlist=…, nprobe=…)`` searches the `nprobe` of `nlist`
        lists whose means score best; ``hnsw(m=…, ef_construction=…, ef_search=…)`` walks a graph
        that one thread builds. What is left out is filled in from n and k, see
        :meth:`anisotropy.neighbors.NeighborIndex.filled`. Scores and their order are exact;
        neighbors may be missing, and :func:`anisotropy.neighbors.recall` says how many are.
    random_state
        Seed of an approximate index: the same one gives the same lists on the same number of
        threads.

    Returns
    -------
    Neighbors
        `index` and `scores` of shape (a, min(k, n)), n less one with `others`. Where an
        approximate index reaches fewer, -1 and minus infinity.

    Raises
    ------
    UsageError
        If `similarity` or `index` is not allowed or `k` is below 1.
    """
    how = NeighborIndex.parse(index)
    if similarity not in ("dot", "cosine", "euclidean"):
        raise UsageError(f"similarity: {one_of(similarity, ('dot', 'cosine', 'euclidean'))}")
    if k < 1:
        raise UsageError(f"k: got {k}; allowed: 1 and above")
    unit = similarity == "cosine"
    left, right = (_as_items(matrix, unit) for matrix in (anchors, targets))
    k = min(k, len(right) - others)
    product: Product = "euclidean" if similarity == "euclidean" else "dot"
    if how.kind != "exact":
        built = FaissIndex(right.rows, how.filled(len(right), k), product, random_state)
        return built.search(left.rows, k, ties=ties, others=others)
    kept = TopK(len(left), k, _ties(ties, len(right)))
    chosen = np.arange(len(left))
    sweep(left, chosen, right, [kept], product=product, own=chosen if others else None)
    return kept.neighbors(chosen)


def _ties(ties: np.ndarray | None, n: int) -> np.ndarray:
    return np.arange(n) if ties is None else ties


def _as_items(matrix: np.ndarray, unit: bool) -> Items:
    # Rows of several files stay where they are; lists of lists become an array.
    rows = Rows(matrix if hasattr(matrix, "shape") else np.asanyarray(matrix))
    if unit:
        rows = rows.scaled(1 / np.sqrt(np.maximum(rows.squares(), np.finfo(float).tiny)))
    return Items(rows)
