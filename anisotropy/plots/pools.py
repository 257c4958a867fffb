"""Pools of negatives: lists that are too long for theirs decide nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable

from anisotropy.results import Curve

#: A list of more than this share of the pool decides nothing.
SATURATED = 0.05


def depth_of(measure: str) -> int | None:
    """The depth k in a text identity, if it has one."""
    match = re.search(r"\bk=(\d+)", measure)
    return int(match[1]) if match else None


def saturation(
    mining: Iterable[Curve], side: str, measure: str, space: str | None = None
) -> tuple[int, float] | None:
    """Items in the pool and share of it in a list, where the lists are too long for it.

    Parameters
    ----------
    mining
        Curves ``mining``.
    side, measure
        Whose negatives they are, and the text identity, which has the depth.
    space
        Label of the space. None: any of the curves, as of a difference, where one is enough.
    """
    k = depth_of(measure) if measure.startswith("negative_") else None
    for curve in mining:
        if curve.side != side or space not in (None, curve.space):
            continue
        for row, depth in enumerate(curve.columns["k"]):
            share = float(curve.columns["k_share"][row])
            if int(depth) == k and share > SATURATED:
                return int(curve.columns["items"][row]), share
    return None
