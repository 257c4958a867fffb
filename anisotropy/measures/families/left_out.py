"""Sums over the roots of the eigenvalues without each row in turn, exactly.

The derivative by the weight of a row misses how the spectrum of few rows reacts to one of them:
simulated with 100 rows in 32
dimensions, its interval covers 86-90% on one side where rows lean, 92% on the joint side.
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
    found: Moments,
    values: np.ndarray,
    vectors: np.ndarray,
    kind: Kind,
    offset: np.ndarray | None = None,
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
    offset
        For the mixture of these rows with others, one half each: their mean less that of the
        others. The divisor then stays, which makes every change smaller by about 1/n of it.

    Returns
    -------
    tuple of numpy.ndarray of shape (n,)
    """
    top, s = float(values[0]), np.sqrt(values / values[0])
    nodes = np.exp(np.arange(math.log(float(values[-1]) / top) - _REACH, _REACH))
    first, second = _changes(found, (values / top, vectors), nodes, kind, (top, offset))
    first, second = first + s.sum(), second + float((s * np.log(s)).sum())
    divisor = found.n - (kind == "covariance")
    scale = math.sqrt(top * (divisor / (divisor - 1) if offset is None else 1))
    return scale * first, scale * (second + math.log(scale) * first)


def _changes(
    found: Moments,
    spectrum: tuple[np.ndarray, np.ndarray],
    nodes: np.ndarray,
    kind: Kind,
    about: tuple[float, np.ndarray | None],
) -> tuple[np.ndarray, np.ndarray]:
    """Changes of both sums by each row, for eigenvalues whose largest is 1.

    Without a row y the matrix changes by a yy' + b (y o' + o y'), o the offset, so the
    determinant of 1 + (change)(matrix + t)^-1 has two dimensions and is written out.
    """
    (values, vectors), (top, offset) = spectrum, about
    root = np.sqrt(nodes) / (2 * math.pi)
    weights = np.stack([root, root * (1 + np.log(nodes) / 2)], axis=1)
    resolvent = 1 / (top * (values[:, None] + nodes))
    a, b = _coefficients(found.n, kind, offset is not None)
    across = np.zeros(len(values)) if offset is None else offset @ vectors
    fixed = across**2 @ resolvent
    mean = None if kind == "second" else found.mean

    def changes(block: np.ndarray) -> np.ndarray:
        rows = block.astype(np.float64)
        if mean is not None:
            rows -= mean
        along = rows @ vectors
        own, mixed = along**2 @ resolvent, 0.0
        if b:
            mixed = b * ((along * across) @ resolvent)
        change = a * own + 2 * mixed + mixed**2 - b**2 * own * fixed
        # A row that alone has some direction takes it along: exactly -1 up to rounding.
        return np.asarray(np.log1p(np.maximum(change, 1e-15 - 1)) @ weights)

    out = found.rows.each(changes)
    return out[:, 0], out[:, 1]


def _coefficients(n: int, kind: Kind, joint: bool) -> tuple[float, float]:
    """Weights of yy' and of (y o' + o y') in the change of the matrix."""
    if kind == "second":
        return -(0.5 if joint else 1) / n, 0.0
    divisor = n - (kind == "covariance")
    own = -n / ((n - 1) * divisor)
    return (own / 2 + 1 / (4 * (n - 1) ** 2), -1 / (4 * (n - 1))) if joint else (own, 0.0)
