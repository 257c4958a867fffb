"""The spectrum that isotropic rows show at a given number of rows."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

_STEPS = 20_000


@lru_cache(maxsize=64)
def isotropic_spectrum(n: int, dim: int) -> np.ndarray:
    """Expected nonzero eigenvalues of the second moment of isotropic rows of unit length.

    Quantiles of the law of Marchenko and Pastur (1967), which is exact in the limit of many
    dimensions; at 32 dimensions functions of it are off by a percent or two.

    Parameters
    ----------
    n
        Number of rows (less one where they are centered).
    dim
        Dimension of the rows.

    Returns
    -------
    numpy.ndarray of shape (min(n, dim),)
        Descending; read only; their sum is 1.
    """
    count = min(n, dim)
    ratio = count / max(n, dim)
    angle = (np.arange(_STEPS) + 0.5) * math.pi / _STEPS
    # x runs over the support [(1 - sqrt ratio)^2, (1 + sqrt ratio)^2].
    x = 1 + ratio - 2 * math.sqrt(ratio) * np.cos(angle)
    cumulative = np.cumsum(np.sin(angle) ** 2 / x)
    quantile = (np.arange(count)[::-1] + 0.5) / count
    values = np.interp(quantile, cumulative / cumulative[-1], x)
    values /= values.sum()
    values.flags.writeable = False
    return values
