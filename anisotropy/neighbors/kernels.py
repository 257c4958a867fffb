"""Mean Gaussian kernels among the rows of one set, where nothing else is wanted of the pairs.

A sweep serves neighbors and kernels with one product. For kernels alone less is needed: of all
rows among themselves every pair is multiplied once, and of sampled anchors the products need not
be more exact than the sample.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from anisotropy import backend, engine
from anisotropy.backend import Rows
from anisotropy.neighbors.consumers import KernelSums
from anisotropy.neighbors.sweeping import (
    Items,
    Product,
    View,
    _Block,
    _Lens,
    _mask,
    _seen,
    _Side,
    sweep_views,
)

#: Anchors of a tile, a divisor of the number of targets of a block.
TILE, LEAST_BLOCK, BLOCK = 512, 1024, 4096
#: Anchors that stay in memory, in bytes; more are read again for each block of targets.
HELD_BYTES = 128 << 20
#: Operations from which products of sampled anchors are worth loading torch for.
BFLOAT16_FROM = 1e11
#: Scores that are looked at together: they and their kernels stay in a core's own cache.
CACHED = 1 << 16


class PairKernels:
    """Mean of exp(-t |u - v|^2) over all other rows of a set, for some or all of its rows.

    Parameters
    ----------
    base
        The rows that are multiplied.
    views
        Unit rows, made of the same vectors; see :class:`anisotropy.neighbors.View`.
    chosen
        Shape (anchors,), ascending: the rows whose means are wanted.
    ts
        The values of t.

    Attributes
    ----------
    bfloat16
        Whether vectors are rounded to bfloat16 before they are multiplied: of a sample, where the
        processor multiplies them faster. A mean is then off by some 1e-5 of its size.
    """

    def __init__(
        self, base: Rows, views: Sequence[Rows], chosen: np.ndarray, ts: Sequence[float]
    ) -> None:
        self._n, self._chosen, self._ts = len(base), chosen, tuple(ts)
        self._views = range(len(views))
        self._all = len(chosen) == self._n
        self._shape = (len(views), len(chosen), len(self._ts))
        items: list[tuple[Items, Product]] = [(Items(view), "dot") for view in views]
        self._anchors = _Side(Items(base), chosen, items, (base, views), True)
        self._targets = _Side(Items(base), np.arange(self._n), items, (base, views), False)
        work = 2.0 * len(chosen) * self._n * base.dim
        self._device = engine.device(work)
        worth = not self._all and work > BFLOAT16_FROM and self._device is None
        self.bfloat16 = worth and backend.multiplies_bfloat16()
        self._fits = len(chosen) * base.dim * base.dtype.itemsize <= HELD_BYTES
        self._step = int(np.clip(self._n // 32 // TILE * TILE, LEAST_BLOCK, BLOCK))
        self._sources = (base, *views)

    def means(self) -> np.ndarray:
        """The means, shape (views, anchors, ts), float64."""
        if self._device is not None:
            return self._swept() / (self._n - 1)
        # the largest first, so that nobody waits long for the last
        starts, sums = range(0, self._n, self._step)[::-1], np.zeros(self._shape)
        for part in self._parts(starts):
            sums[:, : part.shape[1]] += part
        return sums / (self._n - 1)

    def _swept(self) -> np.ndarray:
        """Sums from a device, where a product costs less than to spare the half of it."""
        base, *views = (Items(rows) for rows in self._sources)
        sums = [KernelSums(len(self._chosen), self._ts) for _ in views]
        seen = [View(items, items, [own]) for items, own in zip(views, sums, strict=True)]
        sweep_views(base, self._chosen, base, seen, own=self._chosen)
        return np.stack([own.sums for own in sums]) if sums else np.zeros(self._shape)

    def _parts(self, starts: Iterable[int]) -> Iterator[np.ndarray]:
        """What each block adds, from threads here or from the workers of a cluster."""
        remote = engine.current()
        if remote is not None:
            backend.check_sent(*self._sources)
            yield from remote.run(self._alone, starts)
            return
        several = backend.torch_in_workers() if self.bfloat16 else contextlib.nullcontext()
        with several:
            self._held  # noqa: B018  # read once, before the threads ask for it
            yield from backend.in_parallel(self._sums, starts)

    def _alone(self, start: int) -> np.ndarray:
        """What a block adds, on a worker."""
        one_torch_thread = backend.torch_alone() if self.bfloat16 else contextlib.nullcontext()
        with backend.alone(), one_torch_thread:
            return self._sums(start)

    def _sums(self, start: int) -> np.ndarray:
        block = self._targets.block(start, self._step)
        return self._mirrored(block) if self._all else self._sampled(block)

    def __getstate__(self) -> dict[str, Any]:
        """Without the vectors held: whoever gets it reads them where they lie."""
        return {name: value for name, value in self.__dict__.items() if name != "_held"}

    @cached_property
    def _held(self) -> list[tuple[_Block, Any]] | None:
        return list(self._read()) if self._fits else None

    def _tiles(self) -> Iterable[tuple[_Block, Any]]:
        """Tiles of anchors, and their vectors as they are multiplied."""
        return self._held or self._read()

    def _read(self) -> Iterator[tuple[_Block, Any]]:
        return ((tile, self._factor(tile.vectors)) for tile in self._anchors.blocks(TILE))

    def _factor(self, vectors: np.ndarray) -> Any:
        return backend.as_bfloat16(vectors) if self.bfloat16 else vectors

    def _sampled(self, block: _Block) -> np.ndarray:
        """Sums over a block of targets for every anchor."""
        sums, factor = np.zeros(self._shape), self._factor(block.vectors)
        for tile, vectors in self._tiles():
            own = self._chosen[tile.items] - block.items.start
            products = backend.matmul(vectors, factor)
            for rows, number, scores in self._scores(products, tile, block.lenses):
                _mask(scores, own[rows])
                anchors = _shifted(rows, tile.items.start)
                for column, kernel in self._kernels(scores):
                    sums[number, anchors, column] += kernel.sum(axis=1)
        return sums

    def _mirrored(self, block: _Block) -> np.ndarray:
        """Sums over the pairs of a block's rows with themselves and the rows before, both ways."""
        start, stop = block.items.start, block.items.stop
        sums = np.zeros((len(self._views), stop, len(self._ts)))
        for tile, vectors in self._tiles():
            if tile.items.start >= stop:
                break
            inside = max(tile.items.start - start, 0)
            products = backend.matmul(vectors, block.vectors[inside:])
            lenses = [lens.part(slice(inside, None)) for lens in block.lenses]
            own = np.arange(tile.items.start, tile.items.stop) - start - inside
            once = tile.items.stop - start - inside if own[0] >= 0 else 0
            for rows, number, scores in self._scores(products, tile, lenses):
                _mask(scores, own[rows])
                anchors = _shifted(rows, tile.items.start)
                for column, kernel in self._kernels(scores):
                    sums[number, anchors, column] += kernel.sum(axis=1)
                    after = kernel[:, once:].sum(axis=0)
                    sums[number, start + inside + once : stop, column] += after
        return sums

    def _scores(
        self, products: np.ndarray, tile: _Block, targets: Sequence[_Lens[np.ndarray]]
    ) -> Iterator[tuple[slice, int, np.ndarray]]:
        """Cosines of each view, made of the products, of so few anchors that they stay cached."""
        for rows in backend.cut(len(products), max(1, CACHED // products.shape[1])):
            for number in self._views:
                anchors = tile.lenses[number].part(rows)
                yield rows, number, _seen(products[rows], anchors, targets[number])

    def _kernels(self, cosines: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """The kernel of each t, in one array that is used again."""
        below_one = cosines - 1
        kernel = np.empty_like(below_one)
        for column, t in enumerate(self._ts):
            np.multiply(below_one, 2 * t, out=kernel)
            yield column, np.exp(kernel, out=kernel)


def _shifted(rows: slice, start: int) -> slice:
    return slice(start + rows.start, start + rows.stop)
