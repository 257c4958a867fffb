"""Vectors in JSON lines: one object a document, its vector in a field."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.collection.lines import read_lines
from anisotropy.errors import EmbeddingsError, InputError
from anisotropy.spaces.dumps.base import DumpOptions, Vectors
from anisotropy.spaces.dumps.buffers import RowBuffer
from anisotropy.spaces.dumps.found import Found, vectors
from anisotropy.spaces.dumps.ids import as_ids
from anisotropy.spaces.dumps.naming import ID_NAMES, Side, choose, first_of
from anisotropy.untrusted.paths import check_file
from anisotropy.untrusted.texts import parse_json

_BLOCK = 1024
_LONGEST_FIRST = 16 * 2**20
_TEXT_NAMES = ("text", "contents", "content", "passage", "body")


def find(path: Path) -> bool:
    """Whether the first line of a file is an object with a list of numbers in it."""
    try:
        check_file(path)
        with path.open("rb") as file:
            start = file.read(1)
            line = start + file.readline(_LONGEST_FIRST) if start == b"{" else b""
        return bool(line) and bool(_fields(parse_json(line, path)))
    except (OSError, InputError):
        return False


def _fields(record: Any) -> list[str]:
    """Fields of a record that can be its vector."""
    if not isinstance(record, dict):
        return []
    return [
        str(name)
        for name, value in record.items()
        if isinstance(value, list) and value and _are_numbers(value)
    ]


def _are_numbers(values: list[Any]) -> bool:
    return set(map(type, values)) <= {float, int}  # a truth value is none


def read(path: Path, options: DumpOptions, side: Side = "documents") -> Vectors:
    """Vectors, ids and texts of a file of JSON lines; numbers become float32.

    Raises
    ------
    InputError
        Naming the line that is no record like the first.
    """
    records = _records(path)
    number, first = next(records, (0, None))
    if first is None:
        raise EmbeddingsError(f"{path}: an empty file; needed: one JSON object a line")
    column = choose(_fields(first), options, side, str(path), "field")
    known, warnings = first_of(ID_NAMES[side], first)
    text = first_of(_TEXT_NAMES, first)[0]
    reading = _Reading(path, column, known, text, len(first[column]))
    reading.take(number, first)
    for number, record in records:
        reading.take(number, record)
    return vectors(reading.found(warnings), options, side)


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for line in read_lines(path):
        record = parse_json(line.text, f"{path}, line {line.number}")
        if not isinstance(record, dict):
            raise EmbeddingsError(
                f"{path}: line {line.number} is no JSON object; needed: one with id and vector"
            )
        yield line.number, record


class _Reading:
    """One pass over the lines."""

    def __init__(
        self, path: Path, column: str, known: str | None, text: str | None, dim: int
    ) -> None:
        self.path, self.column, self.known, self.text, self.dim = path, column, known, text, dim
        self.ids: list[Any] = []
        self.texts: list[str] = []
        self._rows: list[list[float]] = []
        self._buffer = RowBuffer(str(path), check_file(path))

    def take(self, number: int, record: dict[str, Any]) -> None:
        """Take a record, `number` being its line."""
        row = record.get(self.column)
        if not isinstance(row, list) or len(row) != self.dim or not _are_numbers(row):
            got = f"{len(row)} values" if isinstance(row, list) else type(row).__name__
            raise EmbeddingsError(
                f"{self.path}: line {number} has {got} in {self.column!r}; needed: {self.dim} "
                "numbers, as in the first line"
            )
        self._rows.append(row)
        if self.known is not None:
            self.ids.append(record.get(self.known))
        if self.text is not None and isinstance(record.get(self.text), str):
            self.texts.append(record[self.text])
        if len(self._rows) == _BLOCK:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            try:
                with np.errstate(over="ignore"):  # an infinite row is named later
                    block = np.array(self._rows, dtype=np.float64).astype(np.float32)
            except OverflowError:
                raise EmbeddingsError(f"{self.path}: a number beyond all floats") from None
            self._buffer.append(block)
            self._rows = []

    def found(self, warnings: tuple[str, ...]) -> Found:
        """What was read."""
        self._flush()
        rows = self._buffer.whole()
        return Found(
            str(self.path),
            "JSON lines",
            rows,
            ids=as_ids(self.ids, self.path) if self.known else None,
            texts=self.texts if any(self.texts) and len(self.texts) == len(rows) else None,
            path=self.path,
            warnings=tuple(f"{self.path}: {line}" for line in warnings),
        )
