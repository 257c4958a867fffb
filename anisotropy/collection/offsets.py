r"""Maps from ids to the row numbers ("offsets") that preprocessing gives to what it reads.

========================  =====================================================================
``pid2offset.pickle``,    a pickled dictionary, id to row; read without ever calling what a
``*qid2offset.pickle``    pickle names
``pid2offset``            text, a line an id: id, tab, row (DPR)
``offsets.json``          ids in row order by side, which our trainer puts beside its files
``*.npy``                 ids in row order
========================  =====================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.collection.lines import BadLine, broken, check_id, read_lines
from anisotropy.errors import CollectionError, shown, told_as
from anisotropy.untrusted.arrays import open_npy
from anisotropy.untrusted.paths import check_file
from anisotropy.untrusted.pickles import load
from anisotropy.untrusted.texts import read_json

DOCUMENT_MAPS = ("pid2offset.pickle", "pid2offset")
QUERY_MAP = "qid2offset.pickle"
JSON_MAP = "offsets.json"
_LARGEST = 2 * 2**30  # bytes of a map; that of MS MARCO's passages has a tenth of it


@dataclass(frozen=True, eq=False)
class OffsetMap:
    """Which id stands at which row.

    Attributes
    ----------
    name
        Of the file, for messages.
    ids
        As text.
    rows
        Shape (ids,), int64, all different: the row of each.
    """

    name: str
    ids: Sequence[str]
    rows: np.ndarray

    @property
    def size(self) -> int:
        """One more than the last row; the last row always has an id, earlier ones may lack it."""
        return int(self.rows.max()) + 1 if len(self.rows) else 0

    def names(self, n: int) -> tuple[list[str], int]:
        """Name n rows.

        Parameters
        ----------
        n
            Rows that there are.

        Returns
        -------
        tuple of list of str and int
            Names by row, and how many are ``#<row>``: rows without an id, which preprocessing
            leaves behind where an id occurs again later.

        Raises
        ------
        CollectionError
            If the map is of another number of rows.
        """
        if self.size != n:
            raise CollectionError(
                f"{self.name}: its last row is {self.size - 1}, but there are {n} rows (the last "
                f"is {n - 1}); a map of something else"
            )
        names = [f"#{row}" for row in range(n)]
        for name, row in zip(self.ids, self.rows.tolist(), strict=True):
            names[row] = name
        return names, n - len(self.rows)


def plain_names(n: int) -> list[str]:
    """Names of rows that no map names: their numbers."""
    return [str(row) for row in range(n)]


def is_offsets(path: Path) -> bool:
    """Tell by its name whether a file is one of upstream's maps."""
    return path.is_file() and (path.name in DOCUMENT_MAPS or path.name.endswith(QUERY_MAP))


def read_offsets(path: Path, side: str) -> OffsetMap:
    """Read a map from ids to rows.

    Parameters
    ----------
    path
        A file of the forms above, or a folder that holds one.
    side
        ``queries`` or ``documents``: which ids are asked for, where the file or folder has both.

    Raises
    ------
    CollectionError
        If there is none, or it is no such map.
    """
    if path.is_dir():
        path = find_offsets(path, side)
    with told_as(CollectionError):
        check_file(path)
        if path.suffix == ".json":
            return offset_map(str(path), _ids_in_json(path, side))
        if path.suffix == ".npy":
            return offset_map(str(path), _ids_in_array(path))
        if _is_pickle(path):
            return offset_map(str(path), _unpickled(path))
        return _checked(str(path), _pairs_in_text(path))


def offset_map(name: str, named: Mapping[Any, int] | Sequence[Any]) -> OffsetMap:
    """Check a map from id to row, or ids in row order.

    Parameters
    ----------
    name
        For messages.
    named
        Ids are text or whole numbers.

    Raises
    ------
    CollectionError
        If there is no id, a row is no whole number from 0 or stands for two ids, or an id occurs
        twice.
    """
    if isinstance(named, Mapping):
        return _checked(name, ((row, one) for one, row in named.items()))
    return _checked(name, enumerate(named))


def find_offsets(folder: Path, side: str) -> Path:
    """Find the file of a folder that maps the documents, or the training queries.

    Raises
    ------
    CollectionError
        If there is none, or several query maps of which none is called ``train``.
    """
    names = sorted(path.name for path in _files(folder))
    if side == "documents":
        found = [name for name in DOCUMENT_MAPS if name in names]
    else:
        maps = [name for name in names if name.endswith(QUERY_MAP)]
        found = [name for name in maps if name.startswith("train")] or maps
    found = found or [name for name in names if name == JSON_MAP]
    wanted = " or ".join(DOCUMENT_MAPS) if side == "documents" else f"*_{QUERY_MAP}"
    if not found:
        raise CollectionError(f"{folder}: no map of the {side} ({wanted}, or {JSON_MAP})")
    if side == "queries" and len(found) > 1:
        raise CollectionError(
            f"{folder}: several maps of queries ({', '.join(found)}); give one of the files"
        )
    return folder / found[0]


def _files(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_file()]
    except OSError as error:
        raise CollectionError(f"{folder}: cannot be listed ({error.strerror})") from None


def _checked(path: str, pairs: Iterator[tuple[Any, Any]] | enumerate[Any]) -> OffsetMap:
    """The map of (row, id) pairs, rows and ids each different."""
    ids: list[str] = []
    rows: list[int] = []
    for row, name in pairs:
        if type(row) is not int or not 0 <= row < 2**63:
            raise CollectionError(
                f"{path}: row {shown(row)} of id {shown(name)}; needed: a whole number from 0"
            )
        if type(name) not in (int, str):
            raise CollectionError(f"{path}: {shown(name)} is no id (text or a whole number)")
        ids.append(_usable(path, name))
        rows.append(row)
    if not rows:
        raise CollectionError(f"{path}: holds no id")
    places = np.array(rows, dtype=np.int64)
    _refuse_repeats(path, ids, places)
    return OffsetMap(path, ids, places)


def _usable(path: str, name: int | str) -> str:
    try:
        return check_id(str(name), "item")
    except BadLine as problem:
        raise CollectionError(f"{path}: {problem}") from None


def _refuse_repeats(path: str, ids: list[str], rows: np.ndarray) -> None:
    order = np.argsort(rows, kind="stable")
    repeated = np.flatnonzero(rows[order][1:] == rows[order][:-1])
    if repeated.size:
        first, second = (ids[order[repeated[0] + step]] for step in (0, 1))
        raise CollectionError(
            f"{path}: row {rows[order[repeated[0]]]} stands for two ids, {shown(first)} and "
            f"{shown(second)}"
        )
    if len(set(ids)) < len(ids):
        seen: set[str] = set()
        twice = next(name for name in ids if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise CollectionError(f"{path}: id {shown(twice)} occurs twice")


def _is_pickle(path: Path) -> bool:
    if path.suffix in (".pickle", ".pkl"):
        return True
    with path.open("rb") as file:
        return file.read(1) == b"\x80"


def _unpickled(path: Path) -> Mapping[Any, Any]:
    named = load(path, {}, largest=_LARGEST)
    if not isinstance(named, dict):
        raise CollectionError(f"{path}: holds no map from ids to row numbers")
    return named


def _ids_in_json(path: Path, side: str) -> list[str]:
    values = read_json(path, _LARGEST)
    ids = values.get(side) if isinstance(values, dict) else None
    if not isinstance(ids, list) or not all(isinstance(name, str) for name in ids):
        raise CollectionError(f"{path}: holds no list of ids of {side}")
    return ids


def _ids_in_array(path: Path) -> list[Any]:
    rows = open_npy(path)
    if rows.ndim != 1:
        raise CollectionError(f"{path}: shape {rows.shape}; needed: one id a row")
    return list(rows.tolist())


def _pairs_in_text(path: Path) -> Iterator[tuple[int, str]]:
    for line in read_lines(path):
        name, tab, row = line.text.partition("\t")
        if not tab or not row.strip().isdecimal() or len(row) > 19:
            raise broken(path, line.number, f"{shown(line.text)}; needed: id, tab, row number")
        yield int(row), name
