"""The files of a mining run, written in upstream's format, and the instances they expand to.

`anisotropy.collection.negative_files` reads them and says what they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from anisotropy.collection.negative_files import (
    DATA,
    GROUPED,
    MARK,
    OFFSETS,
    PARTS,
    Name,
    TrainingLine,
    complete_sets,
    read_grouped,
    read_groups,
    read_mark,
    read_plain,
    read_set,
)
from anisotropy.errors import UsageError, one_of
from anisotropy.files import write_text

__all__ = [
    "DATA",
    "GROUPED",
    "MARK",
    "OFFSETS",
    "Name",
    "TrainingLine",
    "complete_sets",
    "format_line",
    "grouped_instances",
    "groups",
    "instances",
    "read_grouped",
    "read_groups",
    "read_mark",
    "read_plain",
    "read_set",
    "write_set",
]


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
            for column, key in enumerate(PARTS)
            if part[0][column] is not None
        })  # fmt: skip
    return found


def _lists(line: TrainingLine) -> tuple[Name, Name, list[Name], list[Name] | None]:
    others = None if line.queries is None else list(line.queries)
    return line.query, line.positive, list(line.documents), others


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
