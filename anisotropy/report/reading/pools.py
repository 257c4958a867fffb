"""What is said of pools of negatives that their lists are too long for."""

from __future__ import annotations

from collections.abc import Iterable

from anisotropy.plots.pools import depth_of, saturation
from anisotropy.results import Curve


def saturated(mining: Iterable[Curve], side: str, measure: str, space: str | None = None) -> str:
    """A sentence on lists that are too long for their pool; empty where they are not."""
    found = saturation(mining, side, measure, space)
    if found is None:
        return ""
    items, share = found
    return (
        f"Lists of {depth_of(measure)} hold {share:.1%} of the pool of {items:,} {side} and "
        "saturate it: this decides nothing."
    )
