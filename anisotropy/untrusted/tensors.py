"""Tensors that lie in files: where, and as what kind of numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

#: Type of numbers -> what numpy reads them as; bfloat16 as the upper half of a float32.
DTYPES = {
    "float64": "<f8", "float32": "<f4", "float16": "<f2", "bfloat16": "<u2",
    "int64": "<i8", "int32": "<i4", "int16": "<i2", "int8": "<i1", "uint8": "<u1", "bool": "|b1",
}  # fmt: skip


@dataclass(frozen=True)
class TensorEntry:
    """A tensor that lies in a file.

    Attributes
    ----------
    path, offset
        The file, and the byte at which its first element stands.
    dtype
        A key of `DTYPES`.
    shape, strides
        In elements.
    """

    path: Path
    offset: int
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> np.ndarray:
        """The elements, mapped into memory; changes stay private. bfloat16 comes as uint16."""
        kind = np.dtype(DTYPES[self.dtype])
        if math.prod(self.shape) == 0:
            return np.empty(self.shape, kind)
        reach = reach_of(self.shape, self.strides)
        flat = np.memmap(self.path, kind, "c", self.offset, (reach,))
        if self.strides == contiguous(self.shape):
            return flat.reshape(self.shape)
        steps = [step * kind.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(flat, self.shape, steps)


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Steps of a tensor whose elements follow each other in C order."""
    steps, step = [], 1
    for length in reversed(shape):
        steps.append(step)
        step *= length
    return tuple(reversed(steps))


def reach_of(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """Elements from the first to the last of a tensor that is not empty."""
    return 1 + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
