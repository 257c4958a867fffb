"""What one reading of the rows of a side gives to every measure: lengths and sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anisotropy.backend import Rows, fold, squared_lengths


@dataclass(frozen=True, eq=False)
class Look:
    """Rows less a vector, and the same scaled to length 1.

    Attributes
    ----------
    squares
        Shape (rows,): squared length of each row.
    total, unit_total
        Shape (dim,): sum of the rows, and of the rows of length 1; rows of zeros add nothing.
    unit_square
        Sum of the squared lengths of the rows of length 1, which rounding leaves a little off
        their number: a total variance is taken from rows as they are.
    """

    squares: np.ndarray
    total: np.ndarray
    unit_total: np.ndarray
    unit_square: float


def looks(rows: Rows, shifts: Sequence[np.ndarray | None]) -> list[Look]:
    """Read the rows once, less each of the vectors (None: as they are)."""
    work = _Looking([None if one is None else one.astype(rows.dtype) for one in shifts])
    nothing = [_Part([], np.zeros(rows.dim), np.zeros(rows.dim), 0.0) for _ in shifts]
    found = fold([rows], work, _added, nothing)
    return [
        Look(_joined(one.squares), one.total, one.unit_total, one.unit_square) for one in found
    ]


@dataclass(eq=False)
class _Part:
    """A look at some blocks, whose squares are not yet put together."""

    squares: list[np.ndarray]
    total: np.ndarray
    unit_total: np.ndarray
    unit_square: float


@dataclass(frozen=True, eq=False)
class _Looking:
    shifts: list[np.ndarray | None]

    def __call__(self, block: np.ndarray) -> list[_Part]:
        return [self._look(block if one is None else block - one) for one in self.shifts]

    def _look(self, block: np.ndarray) -> _Part:
        squares = squared_lengths(block)
        scale = np.divide(1, np.sqrt(squares), out=np.zeros_like(squares), where=squares > 0)
        unit = block * scale.astype(block.dtype)[:, None]
        total, unit_total = (each.sum(axis=0, dtype=np.float64) for each in (block, unit))
        return _Part([squares], total, unit_total, float(squared_lengths(unit).sum()))


def _added(first: list[_Part], second: list[_Part]) -> list[_Part]:
    for whole, part in zip(first, second, strict=True):
        whole.squares += part.squares
        whole.total += part.total
        whole.unit_total += part.unit_total
        whole.unit_square += part.unit_square
    return first


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0)
