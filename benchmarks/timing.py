"""Turns of several ways to do the same, one after the other, again and again."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any


def seconds(work: Callable[[], Any]) -> float:
    """Wall seconds of some work."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def turns(
    ways: Mapping[str, Callable[[], float]], count: int, budget: float = float("inf")
) -> dict[str, list[float]]:
    """Take turns, A B C, A B C, …: what changes on the machine meanwhile meets all of them.

    Parameters
    ----------
    ways
        Name to a function that does the work and returns a number of its own making, mostly
        seconds.
    count
        Turns.
    budget
        Wall seconds after which no further turn begins; the first is always taken.
    """
    found: dict[str, list[float]] = {name: [] for name in ways}
    start = time.perf_counter()
    for turn in range(count):
        if turn and time.perf_counter() - start > budget:
            break
        for name, way in ways.items():
            found[name].append(way())
        shown = ", ".join(f"{name} {values[-1]:.4g}" for name, values in found.items())
        print(f"  turn {turn + 1}/{count}: {shown}", file=sys.stderr, flush=True)
    return found
