"""The history of a run as it grows: a CSV file to look at, TensorBoard where it is asked for."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

from anisotropy.errors import MissingExtra
from anisotropy.files import replacing
from anisotropy.training.evaluation import VALIDATION

Row = dict[str, Any]
TRAINING = (
    "loss",
    "loss_retrieval",
    "loss_dual",
    "loss_alignment",
    "loss_uniformity",
    "gradient_norm",
)
#: Number of the set of files that the negatives were read from, where a refresh read one.
SET = "negatives_set"
COLUMNS = ("stage", "step", "learning_rate", *TRAINING, *VALIDATION)


class HistoryFile:
    """Rows appended to a CSV file, each visible to readers at once.

    Parameters
    ----------
    path
        The file, replaced.
    rows
        What it holds at first.
    """

    def __init__(self, path: Path, rows: Sequence[Row] = ()) -> None:
        self.path, self.rows = path, list(rows)
        self._columns = list(COLUMNS)
        self._file = self._rewritten()

    def append(self, row: Row) -> None:
        """Write one row."""
        self.rows.append(row)
        if not self._columns_for([row]):
            csv.DictWriter(self._file, self._columns, lineterminator="\n").writerow(row)
            self._file.flush()
            return
        self._file.close()
        self._file = self._rewritten()

    def sync(self) -> None:
        """Make sure that the rows outlive a power failure."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _columns_for(self, rows: Iterable[Row]) -> bool:
        """Take up columns that are not known yet; tell whether there were any."""
        new = [key for row in rows for key in row if key not in self._columns]
        self._columns += dict.fromkeys(new)
        return bool(new)

    def _rewritten(self) -> IO[str]:
        self._columns_for(self.rows)
        with (
            replacing(self.path) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            writer = csv.DictWriter(file, self._columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
            file.flush()
            os.fsync(file.fileno())
        return self.path.open("a", encoding="utf-8", newline="")


def read_history(path: Path, count: int) -> list[Row]:
    """Read the first rows of a history file; the last row of a killed run may be half a line."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        found = [row for row, _ in zip(reader, range(count), strict=False)]
    return [{key: _value(text) for key, text in row.items() if text} for row in found]


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


class Board:
    """TensorBoard event files of a run.

    Parameters
    ----------
    folder
        Where they go.
    step
        Step of the run, all its stages counted, from which it goes on; later events are dropped.

    Raises
    ------
    MissingExtra
        If tensorboard is not installed.
    """

    def __init__(self, folder: Path, step: int) -> None:
        check_board()
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder), purge_step=step)

    def append(self, row: Row, offset: int) -> None:
        """Write one row; `offset` counts the steps of earlier stages."""
        for key, value in row.items():
            if key not in ("stage", "step"):
                self._writer.add_scalar(f"{row['stage']}/{key}", value, offset + row["step"])
        self._writer.flush()

    def close(self) -> None:
        """Close the files."""
        self._writer.close()


def check_board() -> None:
    """Refuse to go on without tensorboard.

    Raises
    ------
    MissingExtra
        If it is not installed.
    """
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        raise MissingExtra("tensorboard = true", "train") from None
