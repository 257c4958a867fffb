"""What a case hands back: named numbers, each with its spread, its target and what bounds it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any, Literal

#: A number as it stands in the results.
Number = dict[str, Any]
Numbers = dict[str, Number]


def number(
    values: float | Sequence[float],
    unit: str,
    text: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    bound: str = "",
) -> Number:
    """Median and extremes of one or several turns.

    Parameters
    ----------
    values
        One value a turn.
    unit
        ``s``, ``MB``, ``x`` (a ratio), ``share``, ``GFLOP/s``, ``GB/s`` or none.
    text
        What it is, for the page.
    at_least, at_most
        The target, where there is one.
    bound
        What keeps the number from being better.
    """
    turns = [float(v) for v in values] if isinstance(values, Sequence) else [float(values)]
    found: Number = {
        "text": text,
        "unit": unit,
        "value": statistics.median(turns),
        "low": min(turns),
        "high": max(turns),
        "turns": len(turns),
    }
    if at_least is not None or at_most is not None:
        way: Literal["at least", "at most"] = "at least" if at_least is not None else "at most"
        found["target"] = {"way": way, "value": at_least if at_least is not None else at_most}
        found["bound"] = bound
    return found


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Ratio of each turn."""
    return [a / b for a, b in zip(above, below, strict=True)]


def missed_by(one: Number) -> float:
    """How far a number is from its target as a share of it; 0 or less where it is met."""
    target = one["target"]["value"]
    if one["target"]["way"] == "at least":
        return float(1 - one["value"] / target)
    return float(one["value"] / target - 1)


def slope(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Exponent of the power of size that fits the times best."""
    return statistics.linear_regression(
        [math.log(n) for n in sizes], [math.log(s) for s in seconds]
    ).slope


def plain(values: dict[str, Any], prefix: str = "") -> Numbers:
    """Numbers of a case that hands back bare values or nested ones; texts are left out."""
    found: Numbers = {}
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and {"value", "unit", "text"} <= value.keys():
            found[key] = value
        elif isinstance(value, dict):
            found |= plain(value, f"{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[key] = number(value, "", key.replace("_", " "))
    return found
