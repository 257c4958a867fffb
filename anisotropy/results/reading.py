"""The door: a results folder may come from anywhere, and is looked at once, on its way in.

What is damaged, hostile or of another version is refused with one line that names file and entry.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anisotropy.errors import InputError
from anisotropy.files import read_json
from anisotropy.results.curve_files import read_curve
from anisotropy.results.shapes import RECORDS, SCHEMA, check_content

__all__ = ["FILE", "SCHEMA", "read_folder"]

FILE = "results.json"
#: Sections that are kept as they are.
_AS_THEY_ARE = ("spaces", "collection", "config", "versions", "warnings", "claims")
#: Section to the attribute of results that its rows become.
_ROWS = {
    "measurements": "rows",
    "differences": "deltas",
    "similarities": "likenesses",
    "associations": "links",
    "withheld": "withheld",
}


def read_folder(folder: Path) -> dict[str, Any]:
    """Everything in a results folder, checked, by attribute of ``Results``.

    Raises
    ------
    InputError
        If anything is not as it is written: one line with file, entry and what is allowed.
    """
    path = folder / FILE
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: not a file")
    content = read_json(path, unicode=False)  # looked at below, entry by entry
    try:
        check_content(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    found = {name: content[name] for name in _AS_THEY_ARE}
    for section, name in _ROWS.items():
        found[name] = [_row(RECORDS[section], row) for row in content[section]]
    found["curves"] = [_curve(folder, n, entry) for n, entry in enumerate(content["curves"])]
    return found


def _row(kind: type, row: Mapping[str, Any]) -> Any:
    """A record; JSON has no NaN, so a null number is one."""
    numbers = {field.name for field in dataclasses.fields(kind) if field.type == "float"}
    known = {
        name: (math.nan if value is None else float(value)) if name in numbers else value
        for name, value in row.items()
    }
    return kind(**known)


def _curve(folder: Path, number: int, entry: Mapping[str, str]) -> Any:
    try:
        return read_curve(folder, entry)
    except InputError as error:
        raise InputError(f"{folder / FILE}: curves[{number}]: {error}") from None
