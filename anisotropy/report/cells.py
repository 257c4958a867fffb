"""Cells and tables of the page: what is shown, and the whole values that a copy as CSV gives."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from anisotropy.report.numbers import number

Cell = dict[str, Any]
Column = dict[str, Any]
Row = dict[str, Any]
Table = dict[str, Any]
Value = float | int | str | None


def cell(text: str, *values: Value, kind: str = "", small: Iterable[str] = ()) -> Cell:
    """Text to read, and the values of the copy as CSV where they are not the text.

    Parameters
    ----------
    text
        What is shown; of kind ``number`` with minus signs.
    *values
        Whole values for the copy, one a CSV column; the text itself where none are given.
    kind
        A class: ``number``, ``wrap`` or ``code``.
    small
        Lines below the text. They are not copied, unless they are among the values.
    """
    lines = [line for line in small if line]
    of_number = "number" in kind.split()
    whole = values or ((text,) if lines or of_number else ())
    shown = text.replace("-", "−") if of_number else text
    return {"text": shown, "csv": _csv(whole), "kind": kind, "small": lines}


def number_cell(value: float, digits: int = 4) -> Cell:
    """A rounded number with its whole value."""
    return cell(number(value, digits), float(value), kind="number")


def silent(text: str, kind: str = "") -> Cell:
    """A cell that a copy as CSV leaves out, in a column of none: another column has its values."""
    return {**cell(text, kind=kind), "csv": "[]"}


def column(name: str, *csv: str, kind: str = "") -> Column:
    """Heading, and the names of the CSV columns that its cells fill where there are several."""
    return {"text": name, "csv": _csv(csv), "kind": kind}


def silent_column(name: str, kind: str = "") -> Column:
    """Heading of :func:`silent` cells."""
    return {"text": name, "csv": "[]", "kind": kind}


def numbers_column(name: str, *csv: str) -> Column:
    """Heading of a column of numbers."""
    return column(name, *csv, kind="number")


def row(*cells: Cell, kind: str = "") -> Row:
    """Cells of a row, the first of which heads it, and its class."""
    return {"cells": list(cells), "kind": kind}


def table(name: str, head: Sequence[Column], rows: Iterable[Row], kind: str = "") -> Table:
    """A table with rows and no groups; `name` is that of its anchor."""
    return grouped(name, head, [("", "", list(rows))], kind)


def grouped(
    name: str,
    head: Sequence[Column],
    groups: Iterable[tuple[str, str, Sequence[Row]]],
    kind: str = "",
) -> Table:
    """A table whose rows stand in groups of a heading and a note; without a heading no group."""
    found = [{"title": t, "note": n, "rows": list(rows)} for t, n, rows in groups]
    count = sum(len(group["rows"]) for group in found)
    return {"id": f"table-{name}", "head": head, "groups": found, "kind": kind, "count": count}


def _csv(values: Sequence[Value]) -> str:
    """A JSON list that a script reads; NaN is an empty field."""
    return json.dumps([_plain(value) for value in values], ensure_ascii=False) if values else ""


def _plain(value: Value) -> Value | None:
    if isinstance(value, float):
        return None if math.isnan(value) else str(value) if math.isinf(value) else float(value)
    return value
