"""Blocks left out, one and two at a time, of statistics that are far from linear.

A jackknife counts an interaction of two units twice (Efron and Stein, Ann. Statist. 9, 1981):
where it is most of the variance, as for counts of neighbors, intervals are too wide by a factor
of up to the square root of two. Leaving out pairs of blocks as well measures the interactions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from anisotropy.statistics import Influence

_STEPS = (1, 3)
_FEWEST = 8
#: Interactions of two units alone would make the correction a half.
_LEAST = 0.5


def left_out(
    whole: np.ndarray, without: Callable[[Sequence[int]], np.ndarray], blocks: int
) -> tuple[np.ndarray, np.ndarray]:
    """Values without each block, and what interactions add to their jackknife variance.

    Parameters
    ----------
    whole
        Shape (s,): the statistics of everything.
    without
        The statistics, shape (s,), with the given blocks left out.
    blocks
        Number of blocks.

    Returns
    -------
    tuple
        Values of shape (blocks, s), and the excess of shape (s,): half the variance of
        B T - (B-1)(T_i + T_j) + (B-2) T_ij over pairs of blocks, 0 for few blocks.
    """
    single = np.array([without((out,)) for out in range(blocks)])
    if blocks < _FEWEST:
        return single, np.zeros(len(whole))
    pairs = [(i, (i + step) % blocks) for step in _STEPS for i in range(blocks)]
    interactions = np.array([
        blocks * whole - (blocks - 1) * (single[i] + single[j]) + (blocks - 2) * without((i, j))
        for i, j in pairs
    ])  # fmt: skip
    return single, interactions.var(axis=0, ddof=1) / 2


def block_influence(values: np.ndarray, excess: float) -> Influence:
    """Influence values of blocks from the values without each, less the excess."""
    spread = -(len(values) - 1) * (values - values.mean())
    return corrected(Influence(list(range(len(values))), spread), excess)


def corrected(influence: Influence, excess: float) -> Influence:
    """The influence values with the excess taken off their variance, by at most a half."""
    variance = influence.variance
    if not variance > 0:
        return influence
    share = max(1 - excess / variance, _LEAST)
    return Influence(influence.keys, influence.values, influence.shrink * math.sqrt(share))
