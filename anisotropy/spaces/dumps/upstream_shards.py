"""Files of a dump of ANCE or DANCE: which set, step and number each is, and what is in them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.errors import EmbeddingsError, told_as
from anisotropy.spaces.rows import as_rows
from anisotropy.untrusted.arrays import open_npy, open_pickled

DOCUMENT_SETS = ("passage", "passages")
TRIVIA = "trivia_dev_query"
FILE = re.compile(r"(?P<stem>.*)__(?P<kind>emb|embid)_p__data_obj_(?P<number>\d{1,9})\.(?:pb|npy)")
#: ``dev_query_20`` is no set ``query``: they are told apart by how names begin.
_SETS = (
    *("trivia_real-dev_query", TRIVIA, "real-dev_query", "dev_query", "query"),
    *DOCUMENT_SETS[::-1],
)


@dataclass
class Shards:
    """The files of one set at one step: vectors and rows by number."""

    folder: Path
    name: str
    step: str
    vectors: dict[int, Path] = field(default_factory=dict)
    rows: dict[int, Path] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """The files, for messages."""
        return f"{self.folder}, {self.name}_{self.step}"

    @property
    def files(self) -> list[Path]:
        """All of them; the first is one of vectors where there is one."""
        return [*self.vectors.values(), *self.rows.values()]

    def open(self) -> tuple[Any, np.ndarray]:
        """Vectors, mapped where they lie, and the row of each: shapes (n, dim) and (n,).

        Raises
        ------
        EmbeddingsError
            If a file is missing or damaged, or counts or sizes disagree.
        """
        self._refuse_lone_files()
        parts = [self._open(number) for number in sorted(self.vectors)]
        kinds = {(vectors.shape[1], str(vectors.dtype)) for vectors, _ in parts}
        if len(kinds) > 1:
            shown = " and ".join(f"{dim} x {dtype}" for dim, dtype in sorted(kinds))
            raise EmbeddingsError(f"{self.origin}: vectors of {shown}; shards of two runs")
        return as_rows([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def _refuse_lone_files(self) -> None:
        alone = sorted(self.vectors.keys() ^ self.rows.keys())
        if alone:
            there = self.vectors.get(alone[0]) or self.rows[alone[0]]
            kinds = ("emb", "embid") if alone[0] in self.vectors else ("embid", "emb")
            wanted = there.name.replace(f"__{kinds[0]}_p__", f"__{kinds[1]}_p__")
            raise EmbeddingsError(f"{there}: {wanted} is missing, which belongs to it")

    def _open(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        vectors, rows = _array(self.vectors[number]), _array(self.rows[number])
        if vectors.ndim != 2 or vectors.dtype.kind != "f" or not vectors.shape[1]:
            raise EmbeddingsError(
                f"{self.vectors[number]}: {vectors.dtype} of shape {vectors.shape}; needed: "
                "floating-point vectors, (n, dim)"
            )
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            raise EmbeddingsError(
                f"{self.rows[number]}: {rows.dtype} of shape {rows.shape}; needed: whole numbers, "
                "one a vector"
            )
        if len(vectors) != len(rows):
            raise EmbeddingsError(
                f"{self.vectors[number]}: {len(vectors)} vectors; {self.rows[number].name} has "
                f"{len(rows)} rows: files of two runs, or one is cut off"
            )
        return vectors, np.asarray(rows).astype(np.int64)

    def check_rows(self, rows: np.ndarray, n: int) -> None:
        """Refuse rows beyond n, rows below n that no shard has, and uneven numbers of chunks.

        Raises
        ------
        EmbeddingsError
            Naming a row and the numbers of the shards.
        """
        found, counts = np.unique(rows, return_counts=True)
        if len(found) and (found[0] < 0 or found[-1] >= n):
            raise EmbeddingsError(
                f"{self.origin}: has a vector of row {found[0] if found[0] < 0 else found[-1]}; "
                f"rows that ids are known for: 0 to {n - 1}: the ids are those of something else"
            )
        if len(found) < n:
            places = np.flatnonzero(found != np.arange(len(found)))
            missing = int(places[0]) if places.size else len(found)
            raise EmbeddingsError(
                f"{self.origin}: {n - len(found)} of {n} rows are in no shard (row {missing} is "
                f"the first); there are shards {', '.join(map(str, sorted(self.rows)))}: one is "
                "missing, or the ids are those of something else"
            )
        if len(counts) and counts.min() < counts.max():
            few, many = int(counts.argmin()), int(counts.argmax())
            raise EmbeddingsError(
                f"{self.origin}: row {few} has {counts[few]} vectors, row {many} has "
                f"{counts[many]}; needed: as many for each"
            )


def _array(path: Path) -> np.ndarray:
    with told_as(EmbeddingsError):
        found = open_npy(path) if path.suffix == ".npy" else open_pickled(path)
    if not isinstance(found, np.ndarray):
        raise EmbeddingsError(f"{path}: holds a {type(found).__name__}; needed: one array")
    return found


def list_shards(path: Path) -> list[Shards]:
    """The sets of a folder, or of the folder of a file.

    Raises
    ------
    EmbeddingsError
        If the folder cannot be listed, or two files are the same shard.
    """
    folder = path if path.is_dir() else path.parent
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        raise EmbeddingsError(f"{folder}: cannot be listed ({error.strerror})") from None
    matches = [(one, match) for one in files if (match := FILE.fullmatch(one.name))]
    names = [_split(match["stem"]) for _, match in matches]
    steps = {step for name, step in names if name in DOCUMENT_SETS}
    found: dict[tuple[str, str], Shards] = {}
    for file, match in matches:
        name, step = _split(match["stem"], steps)
        shards = found.setdefault((name, step), Shards(folder, name, step))
        numbered = shards.vectors if match["kind"] == "emb" else shards.rows
        number = int(match["number"])
        if number in numbered:
            raise EmbeddingsError(
                f"{folder}: holds both {numbered[number].name} and {file.name}; keep one"
            )
        numbered[number] = file
    return list(found.values())


def _split(stem: str, steps: Iterable[str] = ()) -> tuple[str, str]:
    """Set and step of the beginning of a name.

    Sets of custom data and steps may hold anything, so the steps of documents are tried first.
    """
    for step in sorted(steps, key=len, reverse=True):
        if stem.endswith(f"_{step}"):
            return stem[: len(stem) - len(step) - 1], step
    for name in _SETS:
        if stem.startswith(f"{name}_"):
            return name, stem[len(name) + 1 :]
    name, _, step = stem.rpartition("_")
    return name, step


def steps_in(path: Path) -> dict[str, Path]:
    """Steps of the dumps in a folder, numbers first and ascending: a file that names each."""
    found: dict[str, Path] = {}
    for shards in list_shards(path):
        if shards.step not in found or shards.name in DOCUMENT_SETS:
            found[shards.step] = shards.files[0]
    return {step: found[step] for step in sorted(found, key=_numeric)}


def _numeric(step: str) -> tuple[int, int, str]:
    number = step_number(step)
    return (1, 0, step) if number is None else (0, number, "")


def step_number(step: str) -> int | None:
    """The step as a number of optimizer steps, if it is one."""
    return int(step) if step.isdecimal() and len(step) < 19 else None
