"""The forces of t-SNE on a map: attraction along neighbor lists, repulsion on a grid.

openTSNE takes the gradient as a function. Its own, of a grid of thirds of a unit, transforms the
kernel and four fields there and back, nine Fourier transforms an iteration, and takes most of a
map's time. Here it is three, of a somewhat coarser grid, with a smaller error: points are spread
by splines and the spreading is taken out again (smooth particle mesh, Essmann and others 1995;
convolution on a grid for t-SNE is that of Linderman and others 2019).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from anisotropy.backend import cores

#: Distance of grid points, on a map whose kernel 1 / (1 + d^2) has a width of 1. A map narrower
#: than `_LEAST` such steps gets a finer grid.
STEP = 0.4
_LEAST = 80
#: A map wider than so many steps gets a coarser one: the grid stays below a quarter of a GB.
_MOST = 2048
#: Up to so many points all pairs are summed: as fast as a grid, and exact.
_FEW = 300
#: Grid points that a cubic spline reaches, and those between a map and its own image.
_REACH, _SLACK = 4, 8


def attraction(coordinates: np.ndarray, affinities: Any) -> np.ndarray:
    """Sum over j of p_ij (y_i - y_j) / (1 + |y_i - y_j|^2).

    Parameters
    ----------
    coordinates
        y, shape (n, 2).
    affinities
        p, scipy CSR of shape (n, n); no row is empty.

    Returns
    -------
    numpy.ndarray of shape (n, 2)
    """
    x, y = np.ascontiguousarray(coordinates.T, dtype=np.float32)
    counts, others = np.diff(affinities.indptr), affinities.indices
    along_x, along_y = (np.repeat(axis, counts) - axis.take(others) for axis in (x, y))
    weight = affinities.data.astype(np.float32) / (1 + along_x * along_x + along_y * along_y)
    starts = affinities.indptr[:-1]
    sums = [np.add.reduceat(weight * along, starts) for along in (along_x, along_y)]
    return np.stack(sums, axis=1).astype(np.float64)


class Repulsion:
    """Sum over j of (y_i - y_j) / (1 + |y_i - y_j|^2)^2, and of 1 / (1 + |y_i - y_j|^2).

    Both sums are convolutions: points are spread over a grid, multiplied with the transform of
    the kernel, and read off again. Steps of the grid are those of a ladder, and the transforms of
    the kernel are kept while the grid stays. The error is about 1% of the forces at most; on maps
    wider than 800 it grows. Of few points all pairs are summed.
    """

    def __init__(self) -> None:
        self._grid: tuple[int, int, float] | None = None
        self._kernels: tuple[np.ndarray, ...] = ()

    def __call__(self, coordinates: np.ndarray) -> tuple[np.ndarray, float]:
        """Repulsion at each point, shape (n, 2), and the second sum over all pairs i, j.

        Parameters
        ----------
        coordinates
            y, shape (n, 2).
        """
        n = len(coordinates)
        if n <= _FEW:
            return _all_pairs(coordinates)
        low = coordinates.min(axis=0)
        extent = coordinates.max(axis=0) - low
        if not extent.any():
            return np.zeros((n, 2)), float(n * (n - 1))
        step = _step(float(extent.max()))
        # A map that is nearly a line gets a grid of some width: kernels are cut at its edges.
        wide = np.maximum(extent, extent.max() / 4)
        rows, columns = (_fast_length(side, step) for side in wide)
        self._meet((rows, columns, step))
        cells, weights = _spread((coordinates - low) / step, columns)
        mass = np.bincount(cells.ravel(), weights.ravel(), minlength=rows * columns)
        spectrum = _forward(mass.reshape(rows, columns))
        inverse, *along = self._kernels
        total = _energy(spectrum, inverse, columns) / (rows * columns) - n
        fields = [_backward(spectrum * kernel, (rows, columns)).ravel() for kernel in along]
        pushed = [np.einsum("ij,ij->i", field[cells], weights) for field in fields]
        return np.stack(pushed, axis=1), total

    def _meet(self, grid: tuple[int, int, float]) -> None:
        if self._grid != grid:
            self._grid, self._kernels = grid, _kernels(*grid)


class Gradient:
    """Gradient of t-SNE's divergence, in the form in which openTSNE asks for it."""

    def __init__(self) -> None:
        self._repulsion = Repulsion()

    def __call__(self, embedding: np.ndarray, P: Any, **settings: Any) -> tuple[float, np.ndarray]:
        """Divergence, which is not computed (NaN), and gradient of shape (n, 2).

        Parameters
        ----------
        embedding
            Coordinates, shape (n, 2); named as openTSNE does.
        P
            Affinities that sum to 1, times the exaggeration.
        settings
            What else openTSNE passes; of no use here.
        """
        coordinates = np.asarray(embedding)
        pushed, total = self._repulsion(coordinates)
        return float("nan"), attraction(coordinates, P) - pushed / total


def _all_pairs(coordinates: np.ndarray) -> tuple[np.ndarray, float]:
    apart = coordinates[:, None] - coordinates[None]
    near = 1 / (1 + np.einsum("ijk,ijk->ij", apart, apart))
    return np.einsum("ijk,ij->ik", apart, near**2), float(near.sum()) - len(coordinates)


def _step(extent: float) -> float:
    """Distance of grid points for a map so wide: one of a ladder, so that grids recur."""
    if extent > _LEAST * STEP:
        return max(STEP, extent / _MOST)
    rungs = math.ceil(2 * math.log2(_LEAST * STEP / extent))
    return float(STEP * 2.0 ** (-rungs / 2))


def _fast_length(extent: float, step: float) -> int:
    """Length of an axis of the grid: twice the map, so that it does not meet itself."""
    from scipy.fft import next_fast_len

    return int(next_fast_len(2 * (int(extent / step) + _REACH + _SLACK), real=True))


def _kernels(rows: int, columns: int, step: float) -> tuple[np.ndarray, ...]:
    """Transforms of 1 / (1 + d^2) and of d / (1 + d^2)^2 along both axes, unspread."""
    from scipy.fft import fftfreq

    # In the order of the transform: offsets from 0 up, then from the most negative up.
    x = fftfreq(rows, 1 / rows)[:, None] * step
    y = fftfreq(columns, 1 / columns)[None, :] * step
    inverse = 1 / (1 + x * x + y * y)
    # The offset of half an axis is plus and minus at once: it pushes neither way.
    for offsets in (x.ravel(), y.ravel()):
        if len(offsets) % 2 == 0:
            offsets[len(offsets) // 2] = 0.0
    # A cubic spline damps frequency f by sinc(f)^4, here once in spreading, once in reading.
    damped = (
        np.sinc(fftfreq(rows))[:, None] * np.sinc(fftfreq(columns)[: columns // 2 + 1])[None, :]
    )
    return tuple(
        _forward(kernel) / damped**8 for kernel in (inverse, x * inverse**2, y * inverse**2)
    )


def _spread(places: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Grid points near each point as flat indices, and their weights, both (n, 16)."""
    first = np.floor(places).astype(np.int64)
    x, y = (_spline(part) for part in (places - first).T)
    near = np.arange(_REACH)
    row, column = (first[:, [axis]] + near for axis in (0, 1))
    cells = row[:, :, None] * columns + column[:, None, :]
    weights = x[:, :, None] * y[:, None, :]
    return cells.reshape(len(places), -1), weights.reshape(len(places), -1)


def _spline(part: np.ndarray) -> np.ndarray:
    """Weights of the cubic B-spline at four grid points; `part` in [0, 1) of a step."""
    rest = 1 - part
    inner = [4 - 6 * t**2 + 3 * t**3 for t in (part, rest)]
    return np.stack([rest**3, *inner, part**3], axis=1) / 6


def _energy(spectrum: np.ndarray, kernel: np.ndarray, columns: int) -> float:
    """Sum over a full spectrum of |spectrum|^2 kernel, from the half that is kept."""
    power = ((spectrum.real**2 + spectrum.imag**2) * kernel.real).sum(axis=0)
    twice = power[1 : (columns + 1) // 2].sum()
    middle = power[-1] if columns % 2 == 0 else 0.0
    return float(power[0] + 2 * twice + middle)


def _forward(grid: np.ndarray) -> np.ndarray:
    from scipy.fft import rfft2

    return np.asarray(rfft2(grid, workers=cores()))


def _backward(spectrum: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    from scipy.fft import irfft2

    return np.asarray(irfft2(spectrum, s=shape, overwrite_x=True, workers=cores()))
