"""How a checkpoint came about: its ``history.csv``, and those of what it was trained from."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.encoders.folders import training_record
from anisotropy.errors import CheckpointError, reason_of

#: Losses of a stage that `loss_mean` is the mean of, at most.
WINDOW = 20
_FILE = "history.csv"
_KEYS = ("stage", "step")
_LOSS = "loss"
Row = dict[str, str]


def read_history(checkpoint: str | Path) -> dict[str, np.ndarray] | None:
    """Rows of the history of a checkpoint, and of those that it was trained from.

    Parameters
    ----------
    checkpoint
        A folder. Its ``training.json`` names what it was trained from, and so on; the chain ends
        where that has no history or is not there any more.

    Returns
    -------
    dict or None
        Columns of equal length: ``step`` (optimizer steps since the first of them began),
        ``stage``, ``stage_step``, ``part`` (0 for the first stage), ``loss_mean`` (of the last 20
        losses of the stage), and the other columns of the files; NaN where there is nothing. Rows
        behind the weights that the next stage went on from are left out. None for a checkpoint
        that was not trained here.

    Raises
    ------
    CheckpointError
        If a history is damaged.
    """
    parts: list[tuple[list[Row], int]] = []
    seen: set[Path] = set()
    folder: Path | None = Path(checkpoint)
    while folder is not None and folder.resolve() not in seen:
        seen.add(folder.resolve())
        record = training_record(folder)
        if record is None or not (folder / _FILE).is_file():
            break
        parts[:0] = _parts(folder, record)
        start = record.get("start")
        folder = Path(start) if isinstance(start, str) else None
    return _columns(parts) if parts else None


def _parts(folder: Path, record: Mapping[str, Any]) -> list[tuple[list[Row], int]]:
    """Rows of each stage in a file, and the step whose weights the next one has."""
    found: list[list[Row]] = []
    try:
        with (folder / _FILE).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        before: tuple[str, int] | None = None
        for row in rows:
            now = (row["stage"], _step(row))
            if before is None or now[0] != before[0] or now[1] < before[1]:
                found.append([])
            found[-1].append(row)
            before = now
        known = record.get("stages") or []
        ends = [_selected(known, i, _step(rows[-1])) for i, rows in enumerate(found)]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        reason = reason_of(error)
        raise CheckpointError(
            f"{folder / _FILE}: not readable as a history ({reason}); restore it, or delete it to "
            "go on without"
        ) from None
    return list(zip(found, ends, strict=True))


def _step(row: Row) -> int:
    return int(row["step"])


def _selected(stages: Any, place: int, last: int) -> int:
    """Step that the weights behind a stage are of: the last, but where another was better."""
    known = stages[place] if isinstance(stages, list) and place < len(stages) else {}
    step = known.get("selected_step") if isinstance(known, dict) else None
    return step if type(step) is int and 0 <= step <= last else last


def _columns(parts: list[tuple[list[Row], int]]) -> dict[str, np.ndarray]:
    rows: list[Row] = []
    about: list[tuple[int, int, int]] = []
    means: list[float] = []
    offset = 0
    for number, (own, end) in enumerate(parts):
        last = number == len(parts) - 1
        kept = own if last else [row for row in own if _step(row) <= end]
        rows += kept
        about += [(offset + _step(row), _step(row), number) for row in kept]
        means += _means([_value(row.get(_LOSS)) for row in kept])
        offset += end
    steps = np.array(about, dtype=np.int64).reshape(-1, 3)
    columns = {
        "step": steps[:, 0],
        "stage": np.array([row["stage"] for row in rows], dtype=object),
        "stage_step": steps[:, 1],
        "part": steps[:, 2],
        "loss_mean": np.array(means),
    }
    names = dict.fromkeys(name for row in rows for name in row if name not in _KEYS)
    return columns | {
        name: np.array([_value(row.get(name)) for row in rows]) for name in names if name
    }


def _means(losses: list[float]) -> list[float]:
    """Mean of the losses up to each row, of the last 20; NaN where the row has none."""
    known: list[float] = []
    found = []
    for loss in losses:
        if math.isnan(loss):
            found.append(math.nan)
            continue
        known.append(loss)
        found.append(sum(known[-WINDOW:]) / len(known[-WINDOW:]))
    return found


def _value(text: str | None) -> float:
    """The number in a cell; NaN for an empty one, and for words."""
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
