"""Files of a mining run, read: lines, groups, and the mark of a whole set.

A line of ``ann_training_data_N`` is ``query <tab> positive <tab> document,document,...`` and,
where the task was trained both ways, ``<tab> query,query,...``: what ANCE and DANCE write.
``ann_grouped_training_data_N`` holds the same in groups, a table in JSON a line. ``ann_ndcg_N``
(JSON) is written last and marks the set of that number as whole. Names are those of the
collection, or row numbers of a preprocessed folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from anisotropy.collection.lines import BadLine, Line, broken, check_id, read_lines
from anisotropy.errors import CollectionError
from anisotropy.untrusted.texts import read_json

Name = int | str
DATA, GROUPED, MARK = "ann_training_data_", "ann_grouped_training_data_", "ann_ndcg_"
OFFSETS = "offsets.json"
PARTS = ("pos_q_group", "pos_d_group", "neg_D_group", "neg_Q_group")
#: Embeddings beside the sets: the folder is a dump first.
_DUMP = "*__emb_p__*"
_COLUMN = {"documents": 2, "queries": 3}
_LARGEST_MARK = 2**20
_NUMBER = re.compile(r"[0-9]{1,18}")


class TrainingLine(NamedTuple):
    """A pair with its negatives; offsets or ids.

    Attributes
    ----------
    query, positive
        The pair.
    documents
        Negative documents.
    queries
        Negative queries of the positive; None where one direction is trained.
    """

    query: Name
    positive: Name
    documents: Sequence[Name]
    queries: Sequence[Name] | None = None


class DrawnLine(NamedTuple):
    """Query, positive and negatives of a line, as written, and the number of the line."""

    number: int
    query: str
    positive: str
    negatives: list[str]


def set_file(folder: Path, number: int) -> Path:
    """The file of the data of a set: plain, else grouped."""
    plain = folder / f"{DATA}{number}"
    return plain if plain.is_file() else folder / f"{GROUPED}{number}"


def set_number(path: Path) -> int | None:
    """Number of the set that a file of data belongs to, by its name."""
    for kind in (DATA, GROUPED):
        if path.name.startswith(kind) and _NUMBER.fullmatch(path.name.removeprefix(kind)):
            return int(path.name.removeprefix(kind))
    return None


def all_sets(folder: Path) -> list[int]:
    """Numbers of all sets in a folder, whole or not, ascending."""
    numbers = (set_number(path) for kind in (DATA, GROUPED) for path in folder.glob(f"{kind}*"))
    return sorted({number for number in numbers if number is not None})


def complete_sets(folder: Path) -> list[int]:
    """Numbers of the whole sets in a folder, ascending; [] where there is no folder."""
    numbers = []
    for path in folder.glob(f"{MARK}*"):
        match = _NUMBER.fullmatch(path.name.removeprefix(MARK))
        if match and any((folder / f"{kind}{match[0]}").is_file() for kind in (DATA, GROUPED)):
            numbers.append(int(match[0]))
    return sorted(numbers)


def read_mark(folder: Path, number: int) -> dict[str, Any]:
    """Content of ``ann_ndcg_N``.

    Raises
    ------
    CollectionError, InputError
        If it is no table in JSON.
    """
    values = read_json(folder / f"{MARK}{number}", _LARGEST_MARK)
    if not isinstance(values, dict):
        raise CollectionError(f"{folder / f'{MARK}{number}'}: needed: a table")
    return values


def mark_of(path: Path) -> dict[str, Any] | None:
    """What ``ann_ndcg_N`` beside a file of data says; None where there is none."""
    number = set_number(path)
    if number is None or not (path.parent / f"{MARK}{number}").is_file():
        return None
    return read_mark(path.parent, number)


def is_negatives(path: str | Path) -> bool:
    """Whether this is a file of negatives, or a folder of sets and of nothing that is more."""
    path = Path(path)
    try:
        if path.is_dir():
            return bool(all_sets(path)) and not any(
                (path / name).exists() for name in ("config.json", "manifest.json")
            ) and not any(path.glob(_DUMP))  # fmt: skip
        if not path.is_file():
            return False
        first = next(iter(read_lines(path)), None)
        if first is None:
            return False
        if set_number(path) is None and not first.text.startswith("{"):
            parts = first.text.split("\t")
            # Runs and judgments have three columns as well, and no lists.
            if len(parts) < 3 or "," not in "".join(parts[2:]):
                return False
        _drawn(first, "documents")
    except (BadLine, CollectionError, OSError, ValueError):
        return False
    return True


def negatives_file(path: str | Path) -> Path:
    """The file itself, or that of the newest whole set of a folder.

    Raises
    ------
    CollectionError
        If there is no such file, or the folder has no whole set.
    """
    path = Path(path)
    if not path.is_dir():
        if not path.exists():
            raise CollectionError(f"{path}: no such file or folder")
        return path
    numbers = complete_sets(path)
    if numbers:
        return set_file(path, numbers[-1])
    found = all_sets(path)
    what = (
        f"{set_file(path, found[-1]).name} has no {MARK}{found[-1]}, which marks a whole set; "
        "give the file itself to read it all the same"
        if found
        else f"no {DATA}N or {GROUPED}N with its {MARK}N"
    )
    raise CollectionError(f"{path}: {what}")


def roles_in(path: Path) -> tuple[str, ...]:
    """Which negatives a file holds, by its first line: documents, and perhaps queries.

    Raises
    ------
    CollectionError
        If the line has not the form.
    """
    first = next(iter(read_lines(path)), None)
    if first is None:
        raise CollectionError(f"{path}: no lines in it; needed: pairs with their negatives")
    try:
        _drawn(first, "documents")
        if first.text.startswith("{"):
            both = PARTS[3] in json.loads(first.text)
        else:
            both = first.text.count("\t") == 3
    except BadLine as problem:
        raise broken(path, first.number, problem) from None
    return ("documents", "queries") if both else ("documents",)


def drawn_lines(path: Path, role: str) -> Iterator[DrawnLine]:
    """Stream the pairs of a file, plain or grouped, with the negatives of a role.

    Raises
    ------
    CollectionError
        If a line has not the form; it is named by its number.
    """
    grouped: bool | None = None
    for line in read_lines(path):
        table = line.text.lstrip().startswith("{")
        grouped = table if grouped is None else grouped
        try:
            if table is not grouped:
                both = ("grouped data in JSON", "plain lines")
                raise BadLine(f"{both[grouped]} among {both[not grouped]}")
            yield from _drawn(line, role)
        except BadLine as problem:
            raise broken(path, line.number, problem) from None


def _drawn(line: Line, role: str) -> list[DrawnLine]:
    if line.text.lstrip().startswith("{"):
        pairs = _group_of(line)
        if role == "queries" and any(pair.queries is None for pair in pairs):
            raise BadLine(f"no {PARTS[3]}: no negative queries")
        return [
            DrawnLine(line.number, str(p.query), str(p.positive),
                      _checked([str(x) for x in (p.documents if role == "documents"
                                                 else p.queries or ())]))
            for p in pairs
        ]  # fmt: skip
    parts = line.text.split("\t")
    if not 3 <= len(parts) <= 4:
        raise BadLine(
            f"{len(parts)} tab-separated column(s); needed: query, positive, documents and "
            "perhaps queries"
        )
    column = _COLUMN[role]
    if len(parts) <= column:
        raise BadLine(f"no column of negative {role}")
    query, positive = (part.strip() for part in parts[:2])
    if not query or not positive:
        raise BadLine("an empty query or positive")
    names = [item.strip() for item in parts[column].split(",")] if parts[column].strip() else []
    return [DrawnLine(line.number, query, positive, _checked(names))]


def _checked(negatives: list[str]) -> list[str]:
    if "" in negatives:
        raise BadLine("an empty id among the negatives")
    if len(set(negatives)) < len(negatives):
        raise BadLine("an item twice among the negatives")
    return negatives


def read_set(folder: Path, number: int) -> list[TrainingLine]:
    """Read the data of a set, lines or groups, names as text.

    Raises
    ------
    CollectionError
        If a line has not the form; it is named by its number.
    """
    plain = folder / f"{DATA}{number}"
    return read_plain(plain) if plain.is_file() else read_grouped(folder / f"{GROUPED}{number}")


def read_plain(path: Path) -> list[TrainingLine]:
    """Read ``ann_training_data_N``, plain or gzip; all lines have the columns of the first."""
    both = next((line.text.count("\t") == 3 for line in read_lines(path)), False)
    rows = drawn_lines(path, "documents")
    if not both:
        return [TrainingLine(row.query, row.positive, row.negatives) for row in rows]
    return [
        TrainingLine(row.query, row.positive, row.negatives, other.negatives)
        for row, other in zip(rows, drawn_lines(path, "queries"), strict=True)
    ]


def read_grouped(path: Path) -> list[TrainingLine]:
    """Read ``ann_grouped_training_data_N``: the lines of all groups, one after the other."""
    return [line for group in read_groups(path) for line in group]


def read_groups(path: Path) -> list[list[TrainingLine]]:
    """Read ``ann_grouped_training_data_N``, names as text.

    Raises
    ------
    CollectionError
        If a line has not the form; it is named by its number.
    """
    found = []
    for line in read_lines(path):
        try:
            found.append(_group_of(line))
        except BadLine as problem:
            raise broken(path, line.number, problem) from None
    return found


def _group_of(line: Line) -> list[TrainingLine]:
    try:
        return _group(json.loads(line.text))
    except BadLine:
        raise
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        keys = ", ".join(PARTS[:3])
        raise BadLine(f"no group; needed: JSON with {keys}, each a map from 0, 1, …") from None


def _group(values: Any) -> list[TrainingLine]:
    queries, positives, documents = (values[key] for key in PARTS[:3])
    others = values.get(PARTS[3])
    return [
        TrainingLine(
            _name(queries[place]),
            _name(positives[place]),
            _names(documents[place]),
            None if others is None else _names(others[place]),
        )
        for place in (str(number) for number in range(len(queries)))
    ]


def _name(value: Any) -> str:
    if type(value) not in (int, str):
        raise TypeError("needed: a row number or an id")
    return check_id(str(value), "item")


def _names(values: Any) -> list[Name]:
    if not isinstance(values, list):
        raise TypeError("needed: a list")
    return [_name(value) for value in values]
