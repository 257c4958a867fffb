"""Sums over the roots of the eigenvalues without each row in turn, exactly.

The derivative by the weight of a row misses how the spectrum of few rows reacts to one of them:
simulated with 100 rows in 32 dimensions its interval covers 86-90% where rows lean to one side.
The jackknife does not miss it, and needs no eigenvalues of its own: with A the scatter,

    sum sqrt(lambda) = integral over t > 0 of sum log(1 + lambda/t) / (2 pi sqrt t),

and without a row y the inner sum changes by log(1 - f y'(A + t)^-1 y). The same holds, with
another weight, for sum sqrt(lambda) log(lambda). The trapezoidal rule in log t is accurate to
about 1e-6 with a step of 1, since the integrand is analytic in a strip.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from anisotropy.measures.moments import Moments

#: Covariance with divisor n - 1, with divisor n, or the uncentered second moment.
Kind = Literal["covariance", "plain covariance", "second"]
_REACH = 28.0


def root_sums_without(
    found: Moments, values: np.ndarray, vectors: np.ndarray, kind: Kind
) -> tuple[np.ndarray, np.ndarray]:
    """Sum of s and sum of s log s without each row, s the roots of the eigenvalues.

    Parameters
    ----------
    found
        Moments of the rows.
    values, vectors
        Eigenvalues above rounding and eigenvectors (columns) of their matrix.
    kind
        Which matrix; its divisor falls by one with the row.

    Returns
    -------
    tuple of numpy.ndarray of shape (n,)
    """
    divisor = found.n - (kind == "covariance")
    factor = 1.0 if kind == "second" else found.n / (found.n - 1)
    top = float(values[0])
    nodes = np.exp(np.arange(math.log(float(values[-1]) / top) - _REACH, _REACH))
    first, second = _changes(found, values / top, vectors, nodes, (kind, factor, divisor * top))
    s = np.sqrt(values / top)
    first, second = first + s.sum(), second + float((s * np.log(s)).sum())
    scale = math.sqrt(top * divisor / (divisor - 1))
    return scale * first, scale * (second + math.log(scale) * first)


def _changes(
    found: Moments,
    values: np.ndarray,
    vectors: np.ndarray,
    nodes: np.ndarray,
    about: tuple[Kind, float, float],
) -> tuple[np.ndarray, np.ndarray]:
    """Changes of both sums by each row, for eigenvalues whose largest is 1."""
    kind, factor, unit = about
    root = np.sqrt(nodes) / (2 * math.pi)
    weights = np.stack([root, root * (1 + np.log(nodes) / 2)], axis=1)
    resolvent = factor / (unit * (values[:, None] + nodes))
    out = np.empty((found.n, 2))
    for part, block in found.rows.blocks():
        rows = block.astype(np.float64)
        if kind != "second":
            rows -= found.mean
        along = (rows @ vectors) ** 2 @ resolvent
        # A row of its own direction takes it along: exactly 1 up to rounding.
        out[part] = np.log1p(-np.minimum(along, 1 - 1e-15)) @ weights
    return out[:, 0], out[:, 1]
