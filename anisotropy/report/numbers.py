"""Numbers for reading; files keep them whole."""

from __future__ import annotations

import math
import re

NONE = "–"
#: A number in a text, not one within a word such as a label.
_NUMBER = re.compile(r"(?<![\w.-])-?(?:∞|\d[\d,]*(?:\.\d+)?(?:e-\d+(?!\w))?)")


def number(value: float, digits: int = 4) -> str:
    """`value` with `digits` significant digits, thousands separated; ``–`` for NaN.

    Examples
    --------
    >>> number(0.51234), number(1234.5), number(-0.0000123, 3), number(float("nan"))
    ('0.5123', '1,234', '-0.0000123', '–')
    """
    if math.isnan(value):
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if magnitude < -5 or magnitude > 8:
        return f"{value:.{digits - 1}e}"
    return f"{value:,.{max(digits - 1 - magnitude, 0)}f}"


def interval(low: float, high: float, digits: int = 3) -> str:
    """``[low, high]``, or nothing where there is no interval."""
    if math.isnan(low) or math.isnan(high):
        return ""
    return f"[{number(low, digits)}, {number(high, digits)}]"


def signed(value: float, digits: int = 3) -> str:
    """Like :func:`number`, with a plus."""
    return f"+{number(value, digits)}" if value > 0 else number(value, digits)


def probability(p: float) -> str:
    """A p value with three decimals; ``<0.001`` below that; nothing for NaN."""
    if math.isnan(p):
        return ""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def minus(text: str) -> str:
    """Hyphens in front of numbers, and in their exponents, as minus signs.

    Examples
    --------
    >>> minus("[-1.5e-08, -∞] of model-2e-3")
    '[−1.5e−08, −∞] of model-2e-3'
    """
    return _NUMBER.sub(lambda found: found[0].replace("-", "−"), text)
