"""The sweep on a device of torch: the same pieces, views and consumers, on wider tiles.

A chunk of anchors stays on the device while all targets pass by; what the consumers of the chunk
found there is merged as what a worker of a cluster found is. Nothing is read back, and nothing
is waited for, before a chunk is through.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from anisotropy import backend
from anisotropy.device import Device, Read, RowsThere, at_work, dtype_of, in_order
from anisotropy.neighbors import sweeping
from anisotropy.neighbors.consumers import Consumer, KernelSums, NearerCounts, TopK, _rounded
from anisotropy.neighbors.sweeping import Items

#: Rows of anchors on the device at once, at most; each time the targets are read anew.
ANCHORS_HELD = 32768
#: Rows of targets that are multiplied at once, and bytes of the scores of a tile.
TARGETS, TILE_BYTES = 32768, 256 << 20
#: Tiles that a view and its consumers hold at once, in copies of a tile of float32 scores: the
#: products, the scores, and what a consumer makes of them.
TILES = 10
#: Pairs whose rows of scores are looked at together.
PAIRS = 512
#: Columns in the groups of which the least are looked at, at least.
LEAST_GROUP = 4
_NOTHING = torch.iinfo(torch.int64).max


def sweep(name: str, whole: sweeping._Sweep) -> None:
    """Multiply anchors and targets on a device, and merge what their consumers find.

    Parameters
    ----------
    name
        Of the device.
    whole
        What is multiplied, for whom.

    Raises
    ------
    UsageError
        If the memory of the device does not do.
    """
    n, targets = len(whole.chosen), len(whole.targets)
    with at_work(name, f"scores of {n} x {targets}") as device:
        sizes = _sizes(whole, device)
        for chunk in backend.cut(n, sizes.chunk):
            piece, every = whole.part(chunk, slice(0, targets)), slice(0, targets)
            whole.merge(chunk, every, _Piece(piece, device, sizes).found())


@dataclass(frozen=True)
class _Sizes:
    """Items that are on the device at once.

    Attributes
    ----------
    chunk, tile
        Anchors held, and of a tile.
    targets
        Pieces of targets that are multiplied at once.
    """

    chunk: int
    tile: int
    targets: int


def _sizes(whole: sweeping._Sweep, device: Device) -> _Sizes:
    """Sizes by the memory that is free: a quarter for anchors and lists, a quarter for tiles."""
    rows, free = whole.anchors.rows, device.free() // 4
    lists = sum(2 * 8 * consumer.k for view in whole.views for consumer in view.consumers
                if isinstance(consumer, TopK))  # fmt: skip
    held = min(ANCHORS_HELD, free // (2 * rows.dim * rows.dtype.itemsize + lists + 1))
    wide = min(TARGETS, len(whole.targets.rows))
    pieces = max(1, wide // whole.targets.rows.step)
    width = min(pieces * whole.targets.rows.step, len(whole.targets.rows))
    tile = min(TILE_BYTES, free // TILES) // (max(width, 1) * rows.dtype.itemsize)
    return _Sizes(whole.anchors.step(max(held, 1)), whole.anchors.step(max(tile, 1)), pieces)


#: On the device.
_Lens = sweeping._Lens[Tensor]


@dataclass(frozen=True, eq=False)
class _Owners:
    """Which item each row of a block is one of.

    Attributes
    ----------
    starts
        Shape (items,): the row at which each begins.
    number
        Shape (rows,), on the device: the item, from 0.
    """

    starts: np.ndarray
    number: Tensor

    def best(self, scores: Tensor, axis: int) -> Tensor:
        """The best score of each item along an axis."""
        shape = list(scores.shape)
        shape[axis] = len(self.starts)
        index = self.number[:, None] if axis == 0 else self.number
        found = scores.new_full(shape, -torch.inf)
        return found.scatter_reduce_(axis, index.expand(scores.shape), scores, "amax")


@dataclass(frozen=True, eq=False)
class _Block:
    """As :class:`anisotropy.neighbors.sweeping._Block`, on the device."""

    items: slice
    vectors: Tensor
    owners: _Owners | None
    lenses: Sequence[_Lens]

    def __len__(self) -> int:
        return int(self.items.stop - self.items.start)

    def tiles(self, step: int) -> Iterator[_Block]:
        """The same in blocks of `step` items."""
        for part in backend.cut(len(self), step):
            rows, owners = self._rows(part)
            items = slice(self.items.start + part.start, self.items.start + part.stop)
            lenses = [lens.part(rows) for lens in self.lenses]
            yield _Block(items, self.vectors[rows], owners, lenses)

    def _rows(self, part: slice) -> tuple[slice, _Owners | None]:
        if self.owners is None:
            return part, None
        bounds = np.append(self.owners.starts, len(self.vectors))
        rows = slice(int(bounds[part.start]), int(bounds[part.stop]))
        number = self.owners.number[rows] - part.start
        return rows, _Owners(self.owners.starts[part] - rows.start, number)


@dataclass(frozen=True, eq=False)
class _Read:
    """Some items on their way to the device.

    Attributes
    ----------
    items
        Which positions these are.
    rows
        Their vectors.
    scales, meant
        For each view what lenses are made of that does not follow from the vectors.
    """

    items: slice
    rows: Read
    scales: Sequence[Tensor | None]
    meant: Sequence[Tensor | None]


class _Side:
    """The anchors or the targets of a piece, read here and made ready there.

    Parameters
    ----------
    host
        The side as it is swept here, all of its items chosen in their order.
    device, dtype
        Where, and in which type, products are made.
    """

    def __init__(self, host: sweeping._Side, device: Device, dtype: torch.dtype) -> None:
        self._host, self._device, self._dtype = host, device, dtype
        self._rows = RowsThere(host.items.rows, device)
        kind = host.items.rows.dtype
        self._moves = [
            (None if move is None else device.put(move.astype(kind)), kind.type(constant).item())
            for move, constant in host._offsets
        ]

    @property
    def items(self) -> Items:
        return self._host.items

    def blocks(self, many: int) -> Iterator[_Block]:
        """All items, read ahead; so many pieces a block."""
        pieces = backend.cut(len(self.items), self.items.step(self.items.rows.step))
        for parts in in_order(self._read, pieces, many):
            yield self._block(parts)

    def _read(self, part: slice) -> _Read:
        index, base = self.items.row_span(part), self.items.rows
        scales: list[Tensor | None] = []
        meant: list[Tensor | None] = []
        for items, product in self._host.views:
            rows = items.rows
            scaled = rows is not base and not (rows.scale is None and base.scale is None)
            factor = sweeping._factor(rows, base, index) if scaled else None
            other = rows.take(index) if product == "euclidean" and rows is not base else None
            scales.append(None if factor is None else self._staged(factor.astype(base.dtype)))
            meant.append(None if other is None else self._staged(other))
        return _Read(part, self._rows.read(index), scales, meant)

    def _staged(self, array: np.ndarray) -> Tensor:
        return self._device.staged(array)

    def _block(self, parts: Sequence[_Read]) -> _Block:
        items = slice(parts[0].items.start, parts[-1].items.stop)
        vectors = self._rows.block([part.rows for part in parts])
        lenses = [self._lens(view, parts, vectors) for view in range(len(self._host.views))]
        return _Block(items, vectors.to(self._dtype), self._owners(items), lenses)

    def _owners(self, items: slice) -> _Owners | None:
        if self.items.starts is None:
            return None
        bounds = self.items.starts[items.start : items.stop + 1] - self.items.starts[items.start]
        number = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
        return _Owners(bounds[:-1], self._device.put(number))

    def _lens(self, view: int, parts: Sequence[_Read], vectors: Tensor) -> _Lens:
        move, constant = self._moves[view]
        add = None if move is None else vectors @ move + constant
        scale = self._joined([part.scales[view] for part in parts])
        squares = None
        if self._host.views[view][1] == "euclidean":
            other = self._joined([part.meant[view] for part in parts])
            meant = vectors if other is None else other
            squares = (meant * meant).sum(dim=1)
        return _Lens(add, scale, squares)

    def _joined(self, parts: Sequence[Tensor | None]) -> Tensor | None:
        there = [part.to(self._device.torch, non_blocking=True)
                 for part in parts if part is not None]  # fmt: skip
        return torch.cat(there) if there else None


class _Piece:
    """A chunk of anchors and all targets.

    Parameters
    ----------
    piece
        What is multiplied, for whom.
    device, sizes
        Where, and how much at once.
    """

    def __init__(self, piece: sweeping._Sweep, device: Device, sizes: _Sizes) -> None:
        self._piece, self._device, self._sizes = piece, device, sizes
        rows = (piece.anchors.rows, piece.targets.rows)
        kind = np.result_type(*(one.dtype for one in rows))
        left, right = sweeping._two_sides(piece.anchors, piece.chosen, piece.targets, piece.views)
        self._left, self._right = (_Side(one, device, dtype_of(kind)) for one in (left, right))
        self._own = None if piece.own is None else device.put(piece.own)
        self._twins = [
            [_twin(consumer, device, kind) for consumer in view.consumers] for view in piece.views
        ]

    def found(self) -> list[list[Any]]:
        """What the consumers find."""
        (held,) = self._left.blocks(len(self._piece.anchors.rows))
        tiles = list(held.tiles(self._sizes.tile))
        for block in self._right.blocks(self._sizes.targets):
            for tile in tiles:
                self._serve(tile, block)
        return [[twin.found() for twin in twins] for twins in self._twins]

    def _serve(self, anchors: _Block, targets: _Block) -> None:
        """Hand one tile to the consumers of every view."""
        products = anchors.vectors @ targets.vectors.T
        for number, (view, twins) in enumerate(zip(self._piece.views, self._twins, strict=True)):
            if not twins:
                continue
            scores = _seen(products, anchors.lenses[number], targets.lenses[number])
            if view.best:
                for axis, owners in enumerate((anchors.owners, targets.owners)):
                    if owners is not None:
                        scores = owners.best(scores, axis)
            if self._own is not None:
                _mask(scores, self._own[anchors.items] - targets.items.start)
            for twin in twins:
                twin.update(anchors.items, targets.items.start, scores)


def _seen(products: Tensor, anchors: _Lens, targets: _Lens) -> Tensor:
    """Scores of a view, made of the products; the products themselves where they are these."""
    scores = products
    added, factors = (anchors.add, targets.add), (anchors.scale, targets.scale)
    for (left, right), way in ((added, torch.add), (factors, torch.mul)):
        for values in (None if left is None else left[:, None], right):
            if values is not None:
                scores = way(scores, values, out=None if scores is products else scores)
    if anchors.squares is not None and targets.squares is not None:
        scores = scores * 2
        scores -= anchors.squares[:, None]
        scores -= targets.squares
    return scores


def _mask(scores: Tensor, column: Tensor) -> None:
    """Minus infinity at a column of each row; nothing at one that is not there."""
    inside = (column >= 0) & (column < scores.shape[1])
    place = column.clamp(0, scores.shape[1] - 1)[:, None]
    before = scores.gather(1, place)
    scores.scatter_(1, place, before.masked_fill(inside[:, None], -torch.inf))


# Consumers ------------------------------------------------------------------------------------


class _Twin(Protocol):
    """A consumer whose tiles are on the device."""

    def update(self, anchors: slice, first: int, scores: Tensor) -> None:
        """As that of :class:`Consumer`."""

    def found(self) -> Any:
        """What its part found."""


def _twin(part: Consumer, device: Device, kind: np.dtype[Any]) -> _Twin:
    if type(part) is TopK:
        return _Lists(part, device)
    if type(part) is KernelSums:
        return _Sums(part, device)
    if type(part) is NearerCounts:
        return _Counts(part, device, kind)
    return _Handed(part)


class _Handed:
    """Tiles for a consumer that works here alone."""

    def __init__(self, part: Consumer) -> None:
        self._part = part
        self._tiles: dict[tuple[int, int], slice] = {}

    def update(self, anchors: slice, first: int, scores: Tensor) -> None:
        self._tiles[anchors.start, anchors.stop] = anchors
        self._part.update(anchors, first, scores.cpu().numpy())

    def found(self) -> Any:
        for anchors in self._tiles.values():
            self._part.settle(anchors)
        return self._part.found()


class _Lists:
    """Of :class:`TopK`: keys as :class:`anisotropy.backend.Best` packs them, in int64."""

    def __init__(self, part: TopK, device: Device) -> None:
        self._part, best = part, part.best
        self._bits = best.bits
        # A key is this less the turned bits of the score: see _keys.
        highest = np.int64(0x7FFF_FFFF) << np.int64(best.bits)
        self._ties = device.put(best.ties.astype(np.int64) + highest)
        self._kept = torch.full((part.n, part.k), _NOTHING, device=device.torch)

    def update(self, anchors: slice, first: int, scores: Tensor) -> None:
        best = _least(self._keys(first, scores), self._part.k)
        both = torch.cat([self._kept[anchors], best], dim=1)
        self._kept[anchors] = both.topk(self._part.k, largest=False, sorted=False).values

    def _keys(self, first: int, scores: Tensor) -> Tensor:
        block = scores.float() + 0  # no zero has a sign
        bits = block.nan_to_num_(-torch.inf, torch.inf, -torch.inf).view(torch.int32)
        # Bits of a float with the sign turned into an order: that of the floats.
        order = (bits >> 31).bitwise_and_(0x7FFF_FFFF).bitwise_xor_(bits)
        ties = self._ties[first : first + scores.shape[1]]
        return torch.sub(ties, order, alpha=1 << self._bits)

    def found(self) -> tuple[np.ndarray, np.ndarray]:
        kept = self._kept.sort(dim=1).values.cpu().numpy().view(np.uint64)
        there = kept < self._part.best.beyond(self._part.floor)[:, None]
        return np.count_nonzero(there, axis=1), kept[there]


def _least(keys: Tensor, k: int) -> Tensor:
    """The `k` smallest of each row, in any order; all where there are fewer.

    The k smallest lie in the k groups of columns whose least are smallest: in each group before
    one that is left out lies a smaller key than in that.
    """
    n = keys.shape[1]
    size = int((n / k) ** 0.5)
    if size < LEAST_GROUP:
        return keys.topk(min(k, n), largest=False, sorted=False).values
    groups = n // size
    grouped = keys[:, : groups * size].view(len(keys), size, groups)
    chosen = grouped.amin(dim=1).topk(k, largest=False, sorted=False).indices
    taken = grouped.gather(2, chosen[:, None, :].expand(-1, size, -1)).flatten(1)
    rest = keys[:, groups * size :]
    return torch.cat([taken, rest], dim=1).topk(k, largest=False, sorted=False).values


class _Sums:
    """Of :class:`KernelSums`."""

    def __init__(self, part: KernelSums, device: Device) -> None:
        self._ts = part.ts
        self._sums = device.full(part.sums.shape, 0.0, torch.float64)

    def update(self, anchors: slice, first: int, scores: Tensor) -> None:
        if not self._ts:
            return
        below_one = scores - 1
        for column, t in enumerate(self._ts):
            kernel = (below_one * (2 * t)).exp_()
            self._sums[anchors, column] += kernel.sum(dim=1, dtype=torch.float64)

    def found(self) -> np.ndarray:
        return np.asarray(self._sums.cpu().numpy())


class _Counts:
    """Of :class:`NearerCounts`."""

    def __init__(self, part: NearerCounts, device: Device, kind: np.dtype[Any]) -> None:
        self._part = part
        self._anchor, self._target = device.put(part.anchor), device.put(part.target)
        self._high = device.put(_rounded(part.high, kind, np.floor))[:, None]
        self._low = device.put(_rounded(part.low, kind, np.ceil))[:, None]
        self._above, self._reach = torch.zeros(
            (2, len(part.anchor)), dtype=torch.int64, device=device.torch
        )

    def update(self, anchors: slice, first: int, scores: Tensor) -> None:
        begin, end = self._part.pairs(anchors)
        for start in range(begin, end, PAIRS):
            part = slice(start, min(start + PAIRS, end))
            block = scores[self._anchor[part] - anchors.start]
            _mask(block, self._target[part] - first)
            self._above[part] += (block > self._high[part]).sum(dim=1)
            self._reach[part] += (block >= self._low[part]).sum(dim=1)

    def found(self) -> tuple[np.ndarray, np.ndarray]:
        above, reach = (one.double().cpu().numpy() for one in (self._above, self._reach))
        return above, reach - above
