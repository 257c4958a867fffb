"""Rows as a fitted transform leaves them: computed on reading, or written once."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy import engine
from anisotropy.backend import MOST_SENT, Rows
from anisotropy.files import cache_directory
from anisotropy.spaces.rows import window

#: Results of at most this size are kept in memory; larger ones in a temporary file.
MEMORY_BYTES = 64 << 20


@dataclass(frozen=True, eq=False)
class Affine:
    """Rows less a shift, then scaled by dimension or multiplied by a matrix.

    Attributes
    ----------
    shift
        Shape (dim,).
    factor
        None, shape (dim,) for factors, or shape (dim, out) for a matrix.
    dead
        How many directions had no variance to scale and were set to zero.
    """

    shift: np.ndarray
    factor: np.ndarray | None = None
    dead: int = 0

    @property
    def out(self) -> int:
        """Number of dimensions of the result."""
        factor = self.factor
        return len(self.shift) if factor is None or factor.ndim == 1 else factor.shape[1]

    def __call__(self, block: np.ndarray) -> np.ndarray:
        """The map of a float64 block, shape (m, out)."""
        centered: np.ndarray = block - self.shift
        if self.factor is None:
            return centered
        return np.asarray(
            centered * self.factor if self.factor.ndim == 1 else centered @ self.factor
        )


@dataclass(frozen=True)
class Unit:
    """Rows scaled to length 1; a row of zeros stays."""

    out: int

    def __call__(self, block: np.ndarray) -> np.ndarray:
        """The map of a float64 block."""
        lengths = np.sqrt(np.einsum("ij,ij->i", block, block))
        return np.asarray(block / np.where(lengths > 0, lengths, 1)[:, None])


Map = Affine | Unit


class MappedRows:
    """Rows under maps, computed when a slice or an integer array of them is read.

    Parameters
    ----------
    data
        Array, memory map or ``ShardedRows`` of shape (n, dim).
    maps
        Applied one after the other, in float64.
    """

    ndim = 2

    def __init__(self, data: Any, maps: Sequence[Map] = ()) -> None:
        self.data = data
        self.maps = tuple(maps)
        self.shape = (len(data), maps[-1].out if maps else int(data.shape[1]))
        self.dtype = Rows(data).dtype

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def bases(self) -> tuple[Any, ...]:
        """What the rows are computed from."""
        return (self.data,)

    def window(self, start: int, stop: int) -> MappedRows:
        """The rows from `start` to `stop`, none computed."""
        return MappedRows(window(self.data, start, stop), self.maps)

    def __getitem__(self, key: slice | np.ndarray) -> np.ndarray:
        block = np.asarray(self.data[key])
        if self.maps:
            block = block.astype(np.float64)
        for one in self.maps:
            block = one(block)
        return block.astype(self.dtype, copy=False)

    def written(self) -> np.ndarray:
        """The whole as an array: float32, or float64 for float64 rows.

        Up to :data:`MEMORY_BYTES` in memory; above, written block by block to a temporary file
        in the cache folder, which goes when the array does, and memory-mapped. It has a name
        only where the workers of a cluster are to read it.
        """
        rows = Rows(self)  # type: ignore[arg-type]
        named = engine.current() is not None
        size = len(self) * self.shape[1] * self.dtype.itemsize
        if size <= (MOST_SENT if named else MEMORY_BYTES):
            whole = np.empty(self.shape, dtype=self.dtype)
            for part, block in rows.blocks():
                whole[part] = block
            return whole
        folder = cache_directory()
        folder.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.NamedTemporaryFile(dir=folder, delete=False)
            if named
            else tempfile.TemporaryFile(dir=folder) as file
        ):
            try:
                for _, block in rows.blocks():
                    file.write(block.data)
                file.flush()
            except BaseException:
                if named:  # nothing else would remove it
                    Path(file.name).unlink(missing_ok=True)
                raise
            written = np.memmap(file, dtype=self.dtype, mode="r", shape=self.shape)
        if named:
            weakref.finalize(written, Path(file.name).unlink, missing_ok=True)
        return written
