"""Mean and covariance of a side, and what single rows contribute to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from anisotropy import engine
from anisotropy.backend import Rows, added, fold

_ZERO = 1e-12
#: Peaks of some directions, and sums of exponentials less their peaks.
Sums = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Moments:
    """First and second moments of the rows, each taken in float64 when first needed.

    Attributes
    ----------
    rows
        The rows.
    sums
        Gives the sum of the rows and the sum of their squared lengths, where a reading for more
        than this knows them.
    """

    rows: Rows
    sums: Callable[[], tuple[np.ndarray, float]] | None = None

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.rows)

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean row, shape (dim,)."""
        return self.rows.mean() if self.sums is None else self.sums()[0] / max(self.n, 1)

    @cached_property
    def trace(self) -> float:
        """Total variance, from the lengths of the rows and of their mean."""
        about_zero = self.sums()[1] if self.sums else float(self.rows.squares().sum())
        about_mean = about_zero - self.n * float(self.mean @ self.mean)
        return max(about_mean, 0.0) / max(self.n - 1, 1)

    @cached_property
    def covariance(self) -> np.ndarray:
        """Shape (dim, dim), divisor n - 1, from rows centered beforehand."""
        return scatter(self.rows, self.mean) / max(self.n - 1, 1)

    @cached_property
    def frobenius(self) -> float:
        """Squared Frobenius norm of the covariance."""
        return float(np.einsum("ij,ij->", self.covariance, self.covariance))

    @cached_property
    def spectrum(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues above rounding, descending, and their eigenvectors as columns."""
        return spectrum(self.covariance, self.n - 1)

    @cached_property
    def mean_square(self) -> float:
        """Squared length of the mean without the bias of the diagonal terms."""
        return float(self.mean @ self.mean) - self.trace / self.n


def spectrum(matrix: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """At most `rank` eigenvalues above rounding, descending, and eigenvectors as columns."""
    values, vectors = np.linalg.eigh(matrix)
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = np.flatnonzero(values[:rank] > _ZERO * max(values[0], 0.0))
    return values[kept], vectors[:, kept]


def scatter(rows: Rows, mean: np.ndarray) -> np.ndarray:
    """Sum of y y' over the centered rows y, shape (dim, dim)."""
    where = engine.device(2.0 * len(rows) * rows.dim**2)
    if where is not None:
        from anisotropy import device

        return device.cross(where, (rows, mean), (rows, mean))[0]

    def products(block: np.ndarray) -> np.ndarray:
        centered = block.astype(np.float64)
        centered -= mean
        return np.asarray(centered.T @ centered)

    return rows.fold(products, added, np.zeros((rows.dim, rows.dim)))


def quadratic(rows: Rows, mean: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The form y' M y of every centered row y, shape (n,)."""
    where = engine.device(2.0 * len(rows) * rows.dim**2)
    if where is not None:
        from anisotropy import device

        return device.forms(where, (rows, mean), (rows, mean), matrix)

    def forms(block: np.ndarray) -> np.ndarray:
        centered = block.astype(np.float64) - mean
        return np.asarray(np.einsum("ij,ij->i", centered @ matrix, centered))

    return rows.each(forms)


def centered_squares(rows: Rows, mean: np.ndarray) -> np.ndarray:
    """Squared length of every centered row, shape (n,)."""

    def lengths(block: np.ndarray) -> np.ndarray:
        centered = block.astype(np.float64) - mean
        return np.asarray(np.einsum("ij,ij->i", centered, centered))

    return rows.each(lengths)


def log_mean_exp(sources: Sequence[Rows], directions: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Logarithm of the mean over rows of exp(c.x), for every direction and its negative.

    Parameters
    ----------
    sources
        Rows x, as often as there are sets of directions; all are read side by side.
    directions
        For each source shape (dim, m), a direction c a column.

    Returns
    -------
    list of numpy.ndarray of shape (2 m,)
        First the directions, then their negatives.
    """
    n = max(len(sources[0]), 1)
    found = _sums_of_exponentials(sources, directions)
    return [peak + np.log(total / n) for peak, total in found]


def _sums_of_exponentials(sources: Sequence[Rows], directions: Sequence[np.ndarray]) -> list[Sums]:
    """Peaks, and sums of exponentials less their peaks."""
    pairs = list(zip(sources, directions, strict=True))
    where = engine.device(sum(2.0 * len(rows) * columns.size for rows, columns in pairs))
    if where is not None:
        from anisotropy import device

        return [device.sums_of_exponentials(where, rows, columns) for rows, columns in pairs]
    of_blocks = _Exponentials([columns.astype(rows.dtype) for rows, columns in pairs])
    sizes = [2 * columns.shape[1] for columns in directions]
    nothing = [(np.full(size, -np.inf), np.zeros(size)) for size in sizes]
    return fold(sources, of_blocks, _under_one_peak, nothing)


@dataclass(frozen=True, eq=False)
class _Exponentials:
    """Peaks of c.x and sums of exp(c.x - peak) over blocks of rows, both signs."""

    directions: list[np.ndarray]

    def __call__(self, *blocks: np.ndarray) -> list[Sums]:
        return [self._of(b @ d) for b, d in zip(blocks, self.directions, strict=True)]

    def _of(self, along: np.ndarray) -> Sums:
        peak = np.concatenate([along.max(axis=0), -along.min(axis=0)])
        total = np.empty(len(peak))
        total[: along.shape[1]] = _exp(along - peak[: along.shape[1]]).sum(axis=0, dtype=float)
        np.negative(along, out=along)
        along -= peak[along.shape[1] :]
        total[along.shape[1] :] = _exp(along).sum(axis=0, dtype=float)
        return peak, total


def _under_one_peak(first: list[Sums], second: list[Sums]) -> list[Sums]:
    """Sums of exponentials less their peaks, less the higher of two peaks."""
    found = []
    for (peak, total), (other, more) in zip(first, second, strict=True):
        top = np.maximum(peak, other)
        found.append((top, total * np.exp(peak - top) + more * np.exp(other - top)))
    return found


def _exp(values: np.ndarray) -> np.ndarray:
    """The exponential, in place."""
    return np.asarray(np.exp(values, out=values))
