"""Rows spread over several arrays, read as if they were one."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np


class ShardedRows:
    """A read-only ``(n, dim)`` array whose rows lie in several arrays.

    Slices and integer arrays give ordinary arrays of just those rows; the whole is never
    copied unless asked for (``np.asarray``).

    Parameters
    ----------
    shards
        Arrays of shape (rows, dim), one dtype, usually memory maps.
    """

    ndim = 2

    def __init__(self, shards: Sequence[np.ndarray]) -> None:
        self.shards = list(shards)
        counts = [len(shard) for shard in self.shards]
        self._starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.dtype: np.dtype[Any] = self.shards[0].dtype
        self.shape = (int(self._starts[-1]), int(self.shards[0].shape[1]))

    @property
    def bases(self) -> tuple[Any, ...]:
        """What the rows are read from."""
        return tuple(self.shards)

    def window(self, start: int, stop: int) -> ShardedRows:
        """The rows from `start` to `stop`, with the shards that hold any of them."""
        parts = self._parts(start, stop)
        return ShardedRows(parts or [self.shards[0][:0]])

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[np.ndarray]:
        for shard in self.shards:
            yield from shard

    def __getitem__(self, key: Any) -> np.ndarray:
        if isinstance(key, tuple):
            rows, columns = key
            return self[rows][..., columns]
        if isinstance(key, slice):
            return self._slice(*key.indices(len(self)))
        if isinstance(key, int | np.integer):
            row: np.ndarray = self._take(np.array([int(key)]))[0]
            return row
        index = np.asarray(key)
        return self._take(np.flatnonzero(index) if index.dtype == bool else index)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        whole = np.concatenate(self.shards)
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def _slice(self, start: int, stop: int, step: int) -> np.ndarray:
        if step != 1:
            return self._take(np.arange(start, stop, step))
        parts = self._parts(start, stop)
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else self.shards[0][:0]

    def _parts(self, start: int, stop: int) -> list[np.ndarray]:
        return [
            shard[max(start - first, 0) : max(stop - first, 0)]
            for first, shard in zip(self._starts, self.shards, strict=False)
            if first < stop and first + len(shard) > start
        ]

    def _take(self, index: np.ndarray) -> np.ndarray:
        index = np.where(index < 0, index + len(self), index).astype(np.int64)
        if index.size and (index.min() < 0 or index.max() >= len(self)):
            raise IndexError(f"row {int(index.max())} of {len(self)}")
        out = np.empty((index.size, self.shape[1]), dtype=self.dtype)
        shard_of = np.searchsorted(self._starts, index, side="right") - 1
        for number in np.unique(shard_of):
            mine = shard_of == number
            out[mine] = self.shards[number][index[mine] - self._starts[number]]
        return out


def as_rows(shards: Sequence[np.ndarray]) -> np.ndarray | ShardedRows:
    """The one array, or several read as one."""
    return shards[0] if len(shards) == 1 else ShardedRows(shards)


def window(rows: Any, start: int, stop: int) -> Any:
    """The rows from `start` to `stop` of an array or of rows of this module, none copied."""
    own = getattr(rows, "window", None)
    return rows[start:stop] if own is None else own(start, stop)


def arrays_of(rows: Any) -> Iterator[np.ndarray]:
    """The arrays that rows are read from in the end."""
    for base in getattr(rows, "bases", ()):
        yield from arrays_of(base)
    if not hasattr(rows, "bases"):
        yield rows


class LazyRows:
    """Base of read-only rows that are computed when they are asked for.

    A subclass says which rows of `base` are wanted and what becomes of them.
    """

    ndim = 2

    def __init__(self, base: Any, rows: int, dtype: Any) -> None:
        self.base = base
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.shape = (rows, int(base.shape[1]))

    @property
    def bases(self) -> tuple[Any, ...]:
        """What the rows are computed from."""
        return (self.base,)

    def window(self, start: int, stop: int) -> LazyRows:
        """The rows from `start` to `stop`, none computed; one of `base` stands for each."""
        part = copy.copy(self)
        part.base = window(self.base, start, stop)
        part.shape = (len(part.base), self.shape[1])
        return part

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[row] for row in range(len(self)))

    def __getitem__(self, key: Any) -> np.ndarray:
        if isinstance(key, tuple):
            rows, columns = key
            return self[rows][..., columns]
        if isinstance(key, int | np.integer):
            row: np.ndarray = self._take(np.array([range(len(self))[int(key)]]))[0]
            return row
        if isinstance(key, slice):
            return self._slice(key)
        index = np.asarray(key)
        index = np.flatnonzero(index) if index.dtype == bool else index
        if index.size and (index.min() < -len(self) or index.max() >= len(self)):
            raise IndexError(f"row {int(index.max())} of {len(self)}")
        return self._take(np.where(index < 0, index + len(self), index).astype(np.int64))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        whole = self[:]
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def _slice(self, key: slice) -> np.ndarray:
        return self._take(np.arange(*key.indices(len(self))))

    def _take(self, index: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class ReorderedRows(LazyRows):
    """Rows of another array in another order, none of them copied until asked for.

    Parameters
    ----------
    base
        Shape (n, dim).
    order
        Shape (rows,), which row of `base` stands at each place.
    """

    def __init__(self, base: Any, order: np.ndarray) -> None:
        super().__init__(base, len(order), base.dtype)
        self._order = order

    def window(self, start: int, stop: int) -> ReorderedRows:
        """The rows from `start` to `stop`, with their part of the order."""
        return ReorderedRows(self.base, self._order[start:stop])

    def _take(self, index: np.ndarray) -> np.ndarray:
        taken: np.ndarray = np.asarray(self.base[self._order[index]])
        return taken


class ConvertedRows(LazyRows):
    """Rows stored in numbers that NumPy has no arithmetic for, as float32.

    Parameters
    ----------
    base
        Shape (n, dim): bfloat16 as uint16, or whole numbers of 8 bits.
    scale
        None for bfloat16; else a number, or an array of shape (dim,), that values are multiplied
        by.
    shift
        Added after that.
    """

    def __init__(self, base: Any, scale: Any = None, shift: Any = 0.0) -> None:
        super().__init__(base, len(base), np.float32)
        self._scale, self._shift = scale, shift

    def _slice(self, key: slice) -> np.ndarray:
        return self._converted(np.asarray(self.base[key]))

    def _take(self, index: np.ndarray) -> np.ndarray:
        return self._converted(np.asarray(self.base[index]))

    def _converted(self, rows: np.ndarray) -> np.ndarray:
        if self._scale is None:
            return (rows.astype(np.uint32) << 16).view(np.float32)
        scaled: np.ndarray = rows.astype(np.float32) * np.float32(self._scale) + self._shift
        return scaled.astype(np.float32)


def chunk_numbers(owner: np.ndarray) -> np.ndarray:
    """Chunk of each vector: how often its document came before.

    Parameters
    ----------
    owner
        Shape (n,), number of the document of each vector, in the order of the vectors.

    Returns
    -------
    numpy.ndarray of shape (n,), int64
    """
    order = np.argsort(owner, kind="stable")
    ordered = owner[order]
    found = np.empty(len(owner), dtype=np.int64)
    found[order] = np.arange(len(owner)) - np.searchsorted(ordered, ordered, side="left")
    return found
