"""Cells of the tables of the page."""

from __future__ import annotations

import math
from typing import Any

from anisotropy.report.numbers import number

Cell = dict[str, Any]


def cell(text: str, value: float | str | None = None, kind: str = "") -> Cell:
    """Text to read, the whole value for the copy as CSV, and a class."""
    whole = text if value is None else value
    if isinstance(whole, float):
        whole = "" if math.isnan(whole) else repr(float(whole))
    shown = text.replace("-", "−") if kind == "number" else text
    return {"text": shown, "whole": whole, "kind": kind, "interval": "", "null": ""}


def number_cell(value: float, digits: int = 4) -> Cell:
    """A rounded number with its whole value."""
    return cell(number(value, digits), float(value), "number")
