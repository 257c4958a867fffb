"""The files of a mining run, in upstream's format: lines, groups, and the mark of a whole set.

A set of number N is ``ann_training_data_N``: a line a pair with tab-separated query, positive,
negative documents and, for training both ways, negative queries; or the same in groups,
``ann_grouped_training_data_N``. ``ann_ndcg_N`` (JSON) is written last and marks the set as whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from anisotropy.collection.lines import broken, read_lines
from anisotropy.errors import CollectionError, UsageError, one_of
from anisotropy.files import read_json, write_text
from anisotropy.measures.observed import drawn_lines

Name = int | str
DATA, GROUPED, MARK = "ann_training_data_", "ann_grouped_training_data_", "ann_ndcg_"
OFFSETS = "offsets.json"
_PARTS = ("pos_q_group", "pos_d_group", "neg_D_group", "neg_Q_group")


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


def write_set(
    folder: Path,
    number: int,
    lines: Sequence[TrainingLine],
    mark: Mapping[str, Any],
    *,
    grouping: int = 0,
) -> Path:
    """Write a set of training data, its mark last; each file is whole or absent.

    Parameters
    ----------
    folder
        Made where it is absent.
    number
        Of the set, 0 or more.
    lines
        In the order of the file.
    mark
        Content of ``ann_ndcg_N``; upstream's trainers read ``checkpoint`` and ``ndcg`` (ANCE) or
        ``marcodev_ndcg`` (DANCE).
    grouping
        0, or pairs a group: the grouped file is written, and the last incomplete group dropped,
        as upstream.

    Returns
    -------
    pathlib.Path
        The file of the data.

    Raises
    ------
    UsageError
        If an id cannot stand in the file, or `grouping` is out of range.
    """
    if grouping < 0:
        raise UsageError(f"grouping: got {grouping}; allowed: 0 or more")
    path = folder / f"{GROUPED if grouping else DATA}{number}"
    texts = (
        [json.dumps(group, ensure_ascii=False) for group in groups(lines, grouping)]
        if grouping
        else [format_line(line) for line in lines]
    )
    write_text(path, "".join(text + "\n" for text in texts))
    write_text(folder / f"{MARK}{number}", json.dumps(dict(mark), ensure_ascii=False))
    return path


def format_line(line: TrainingLine) -> str:
    """Text of a line without its end.

    Raises
    ------
    UsageError
        If an id is empty or holds a comma, a tab or a line break.
    """
    columns = [str(line.query), str(line.positive), _joined(line.documents)]
    if line.queries is not None:
        columns.append(_joined(line.queries))
    for name in columns[:2]:
        _check_name(name)
    return "\t".join(columns)


def _joined(names: Sequence[Name]) -> str:
    texts = [str(name) for name in names]
    for text in texts:
        _check_name(text)
    return ",".join(texts)


def _check_name(name: str) -> None:
    if not name.strip() or any(sign in name for sign in ",\t\r\n") or name != name.strip():
        raise UsageError(
            f"id {name!r} cannot stand in ann_training_data (empty, spaces around it, comma, tab "
            "or line break); write offsets"
        )


def groups(lines: Sequence[TrainingLine], size: int) -> list[dict[str, dict[str, Any]]]:
    """Consecutive lines in groups of `size`; the last incomplete group is dropped."""
    found = []
    for start in range(0, len(lines) - size + 1, size):
        part = [_lists(line) for line in lines[start : start + size]]
        found.append({
            key: {str(place): values[column] for place, values in enumerate(part)}
            for column, key in enumerate(_PARTS)
            if part[0][column] is not None
        })  # fmt: skip
    return found


def _lists(line: TrainingLine) -> tuple[Name, Name, list[Name], list[Name] | None]:
    others = None if line.queries is None else list(line.queries)
    return line.query, line.positive, list(line.documents), others


def complete_sets(folder: Path) -> list[int]:
    """Numbers of the whole sets in a folder, ascending; [] where there is no folder."""
    numbers = []
    for path in folder.glob(f"{MARK}*"):
        match = re.fullmatch(r"[0-9]{1,18}", path.name.removeprefix(MARK))
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
    values = read_json(folder / f"{MARK}{number}")
    if not isinstance(values, dict):
        raise CollectionError(f"{folder / f'{MARK}{number}'}: needed: a table")
    return values


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
            found.append(_group(json.loads(line.text)))
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
            keys = ", ".join(_PARTS[:3])
            raise broken(
                path, line.number, f"no group; needed: JSON with {keys}, each a map from 0, 1, …"
            ) from None
    return found


def _group(values: Any) -> list[TrainingLine]:
    queries, positives, documents = (values[key] for key in _PARTS[:3])
    others = values.get(_PARTS[3])
    return [
        TrainingLine(
            str(queries[place]),
            str(positives[place]),
            _names(documents[place]),
            None if others is None else _names(others[place]),
        )
        for place in (str(number) for number in range(len(queries)))
    ]


def _names(values: Any) -> list[Name]:
    if not isinstance(values, list):
        raise TypeError("needed: a list")
    return [str(value) for value in values]


def instances(lines: Iterable[TrainingLine]) -> Iterator[tuple[Name, ...]]:
    """Training instances in upstream's order: all negatives of a line one after the other.

    Yields
    ------
    tuple
        (query, positive, negative), or with the negative query; negatives of both kinds are
        zipped, so the shorter list decides.
    """
    for line in lines:
        if line.queries is None:
            yield from ((line.query, line.positive, d) for d in line.documents)
        else:
            for d, q in zip(line.documents, line.queries, strict=False):
                yield line.query, line.positive, d, q


def grouped_instances(
    groups: Iterable[Sequence[TrainingLine]], order: str = "origin"
) -> Iterator[tuple[Name, ...]]:
    """Training instances of groups in upstream's order.

    Upstream takes the number of documents of a group's first pair for all its pairs and stops
    with an IndexError where a list is shorter; here such a pair is passed over instead.

    Parameters
    ----------
    groups
        As of `read_groups`.
    order
        ``origin``: pair by pair, all negatives of each; ``polling``: negative by negative, one of
        each pair.

    Raises
    ------
    UsageError
        If `order` is another word.
    """
    if order not in ("origin", "polling"):
        raise UsageError(f"order: {one_of(order, ('origin', 'polling'))}")
    for group in groups:
        rounds = range(len(group[0].documents))
        pairs = range(len(group))
        places = (
            ((pair, turn) for pair in pairs for turn in rounds)
            if order == "origin"
            else ((pair, turn) for turn in rounds for pair in pairs)
        )
        for pair, turn in places:
            line = group[pair]
            width = len(line.documents)
            if line.queries is not None:
                width = min(width, len(line.queries))
            if turn < width:
                others = () if line.queries is None else (line.queries[turn],)
                yield line.query, line.positive, line.documents[turn], *others
