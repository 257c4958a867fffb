"""Runs: what somebody's search listed for each query, as TREC or MS MARCO files have it.

One rule orders a list. A file with scores is ordered as trec_eval orders it: by score, compared
as 32-bit floats, equal ones by document id in descending order; its ranks are only held against
that. A file without scores is ordered by its ranks.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from anisotropy.collection.lines import BadLine, Line, broken, check_id, read_lines
from anisotropy.errors import CollectionError, UsageError, one_of, shown
from anisotropy.files import fingerprint, sha256_file

ORDERS = ("scores", "ranks")
TREC, MSMARCO = "TREC (query, Q0, document, rank, score, tag)", "MS MARCO (query, document, rank)"
_RUNS = (".trec", ".run", ".res")
_SUFFIXES = (".gz", ".trec", ".run", ".res", ".tsv", ".txt")
_LARGEST_RANK = 2**31 - 1
_LARGEST_SCORE = 3.4028236e38
#: What faiss gives where it is asked for more than there is; upstream writes it with the last id.
_FILLER = -3.402823e38
#: Files of negatives hold three columns as well: their names say what they are.
_NO_RUNS = ("ann_training_data_", "ann_grouped_training_data_", "ann_ndcg_")


@dataclass(frozen=True, eq=False)
class Run:
    """Ranked lists, one a query, best first.

    Attributes
    ----------
    name
        Of the file.
    query_ids, doc_ids
        Of the queries in the order of the file, and of all documents listed.
    starts
        Shape (queries + 1,): where the list of each query begins.
    documents
        Shape (entries,): positions in `doc_ids`.
    scores
        Shape (entries,); None where the file has ranks alone.
    layout, order
        What the file is, and whether ``scores`` or ``ranks`` decided.
    fingerprint
        Of the file and the order.
    warnings
        One line each.
    """

    name: str
    query_ids: list[str]
    doc_ids: list[str]
    starts: np.ndarray
    documents: np.ndarray
    scores: np.ndarray | None
    layout: str
    order: str
    fingerprint: str
    warnings: tuple[str, ...] = ()

    @property
    def depth(self) -> int:
        """Length of the longest list."""
        return int(np.diff(self.starts).max(initial=0))

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.query_ids)}

    def part(self, query_id: str) -> slice:
        """Which of the entries are the list of a query; none of them for one that is not here."""
        place = self._places.get(query_id)
        return slice(0, 0) if place is None else slice(*self.starts[place : place + 2].tolist())

    def ranking(self, query_id: str) -> list[str]:
        """Documents of a query, best first; empty for one that is not here."""
        return [self.doc_ids[place] for place in self.documents[self.part(query_id)].tolist()]


class _Entries(NamedTuple):
    """Columns of a file; `line` is the number of the line."""

    query: np.ndarray
    document: np.ndarray
    rank: np.ndarray
    score: np.ndarray
    line: np.ndarray


def is_run(path: str | Path) -> bool:
    """Whether a file is a run by its name or first line; what is wrong with it, reading tells."""
    path = Path(path)
    try:
        if not path.is_file() or path.name.startswith(_NO_RUNS):
            return False
        if Path(path.name.removesuffix(".gz")).suffix in _RUNS:
            return True
        fields = _fields(next(read_lines(path)).text)
    except (CollectionError, OSError, StopIteration, ValueError):
        return False
    if len(fields) == 3:
        # Judgments and negatives have three columns as well; ranks begin with the best.
        return fields[2] in ("0", "1")
    return len(fields) == 6 and (fields[1] == "Q0" or fields[3].isdecimal())


def label_of(source: str | Path) -> str:
    """Name of a file without what only says how it is written."""
    name = Path(str(source).rstrip("/")).name
    while (suffix := Path(name).suffix) in _SUFFIXES:
        name = name.removesuffix(suffix)
    return name


def read_run(path: str | Path, order: str = "scores") -> Run:
    """Read a TREC run, or one of MS MARCO (query, document, rank), plain or gzip.

    Parameters
    ----------
    path
        The file; columns are separated by spaces or tabs.
    order
        What decides where a file has both: ``scores``, as trec_eval, or its ``ranks``.

    Raises
    ------
    UsageError
        If `order` is another word.
    CollectionError
        If the file is no run; the line and what is wrong with it are named.
    """
    if order not in ORDERS:
        raise UsageError(f"order: {one_of(order, ORDERS)}")
    path = Path(path)
    queries: dict[str, int] = {}
    documents: dict[str, int] = {}
    columns, fillers, entries = _read(path, queries, documents)
    names = list(documents)
    scored = columns != 3
    chosen = order if scored else "ranks"
    by_rank = np.lexsort((entries.line, entries.rank, entries.query))
    by_score = _by_score(entries, names) if scored else by_rank
    placed = by_score if chosen == "scores" else by_rank
    kept, repeated = _first_of_each(entries, placed, len(names))
    found = [
        *_fillers(path.name, fillers),
        *_repeats(path.name, entries, repeated, list(queries), names),
    ]
    if scored:
        found += _disagreement(path.name, entries, by_rank, by_score, list(queries), chosen)
    entries = _Entries(*(column[kept] for column in entries))
    starts = np.searchsorted(entries.query, np.arange(len(queries) + 1))
    return Run(
        path.name, list(queries), names, starts, entries.document.astype(np.int32),
        entries.score if scored else None, TREC if scored else MSMARCO, chosen,
        fingerprint(sha256_file(path), chosen), tuple(found),
    )  # fmt: skip


def _fields(text: str) -> list[str]:
    """Columns by tabs where there are enough of them, else by any space."""
    parts = text.split("\t") if text.count("\t") in (2, 5) else text.split()
    parts = [part.strip() for part in parts]
    # What is behind the tag, or in it, is nobody's column.
    return parts if len(parts) <= 6 else parts[:6]


def _read(
    path: Path, queries: dict[str, int], documents: dict[str, int]
) -> tuple[int, int, _Entries]:
    columns = fillers = 0
    found = [array(kind) for kind in "qqqdq"]
    for line in read_lines(path):
        try:
            columns = columns or len(_fields(line.text))
            query, document, rank, score = _entry(line, columns)
        except BadLine as problem:
            raise broken(path, line.number, problem) from None
        if score <= _FILLER:
            fillers += 1
            continue
        row = (
            queries.setdefault(query, len(queries)),
            documents.setdefault(document, len(documents)),
            rank,
            score,
            line.number,
        )
        for column, value in zip(found, row, strict=True):
            column.append(value)  # type: ignore[arg-type]
    if not queries:
        raise CollectionError(f"{path}: no lines in it; needed: a run, {TREC} or {MSMARCO}")
    return columns, fillers, _Entries(*map(np.array, found))


def _entry(line: Line, columns: int) -> tuple[str, str, int, float]:
    """Query, document, rank and score of a line; NaN for none."""
    fields = _fields(line.text)
    if len(fields) not in (3, 6):
        raise BadLine(f"{len(fields)} columns; allowed: {TREC} or {MSMARCO}")
    if len(fields) != columns:
        raise BadLine(f"{len(fields)} columns, {columns} in the first line")
    query, document, rank, *rest = fields if columns == 3 else [fields[0], *fields[2:5]]
    score = _number(rest[0]) if rest else math.nan
    return check_id(query, "query"), check_id(document, "document"), _whole(rank), score


def _whole(text: str) -> int:
    try:
        rank = int(text)
    except ValueError:
        raise BadLine(f"rank {shown(text)} is not a whole number") from None
    if not 0 <= rank <= _LARGEST_RANK:
        raise BadLine(f"rank {shown(text)}; allowed: 0 to {_LARGEST_RANK}")
    return rank


def _number(text: str) -> float:
    try:
        score = float(text)
    except ValueError:
        raise BadLine(f"score {shown(text)} is not a number") from None
    if not abs(score) <= _LARGEST_SCORE:  # NaN too
        raise BadLine(f"score {shown(text)}; allowed: finite numbers of 32 bits")
    return score


def _by_score(entries: _Entries, names: list[str]) -> np.ndarray:
    """Order of trec_eval: by query, then 32-bit score, then document id, both descending."""
    place = np.empty(len(names), dtype=np.int64)
    place[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    score = entries.score.astype(np.float32)
    return np.lexsort((-place[entries.document], -score, entries.query))


def _first_of_each(
    entries: _Entries, order: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Entries in order without repeated documents of a query, and those left out."""
    pair = (entries.query * width + entries.document)[order]
    first = np.zeros(len(pair), dtype=bool)
    first[np.unique(pair, return_index=True)[1]] = True
    return order[first], order[~first]


def _fillers(name: str, count: int) -> Iterator[str]:
    if count:
        yield (
            f"{name}: {count} lines have the lowest number there is as their score, as a search "
            "writes it where it was asked for more than there was; left out"
        )


def _repeats(
    name: str, entries: _Entries, repeated: np.ndarray, queries: list[str], documents: list[str]
) -> Iterator[str]:
    if len(repeated):
        one = int(repeated[np.argmin(entries.line[repeated])])
        yield (
            f"{name}: {len(repeated)} lines repeat a document of their query, as with several "
            f"vectors a document (example: line {entries.line[one]}, query "
            f"{shown(queries[entries.query[one]])}, document "
            f"{shown(documents[entries.document[one]])}); the best of each is kept"
        )


def _disagreement(
    name: str,
    entries: _Entries,
    by_rank: np.ndarray,
    by_score: np.ndarray,
    queries: list[str],
    order: str,
) -> Iterator[str]:
    """Where ranks and scores order a list differently, and which of the two is used."""
    score = entries.score.astype(np.float32)[by_rank]
    query = entries.query[by_rank]
    rises = (score[1:] > score[:-1]) & (query[1:] == query[:-1])
    wrong = np.unique(query[1:][rises])
    if len(wrong):
        other = "ranks" if order == "scores" else "scores"
        like = ", as trec_eval does" if order == "scores" else ""
        yield (
            f"{name}: ranks and scores disagree in {len(wrong)} of {len(queries)} queries "
            f"(example: {shown(queries[int(wrong[0])])}); ordered by {order}{like}; --order "
            f"{other} takes the others. Conversions that drop the sign of scores do this"
        )
    moved = np.setdiff1d(np.unique(query[by_rank != by_score]), wrong)
    if len(moved) and order == "scores":
        yield (
            f"{name}: in {len(moved)} of {len(queries)} queries documents of equal score (as "
            "32-bit numbers) stand in another order than their ranks say: by id, descending, as "
            "trec_eval has them"
        )


def reverse_judgments(qrels: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Judgments with queries and documents in each other's place."""
    found: dict[str, dict[str, int]] = {}
    for query, grades in qrels.items():
        for document, grade in grades.items():
            found.setdefault(document, {})[query] = grade
    return found


def judged_for(
    run: Run, qrels: Mapping[str, Mapping[str, int]], *, dual: bool, where: str
) -> Mapping[str, Mapping[str, int]]:
    """The judgments by what the run ranks for: as they are, or by document for a dual run.

    Parameters
    ----------
    run
        Whose lists are to be judged.
    qrels
        By query; for a dual run also by document, as upstream's reversed files have them.
    dual
        The run ranks queries for documents.
    where
        Name of the judgments, for the message.

    Raises
    ------
    CollectionError
        If the run ranks for none of those judged.
    """
    asked = set(run.query_ids)
    forms = {"": qrels, "reversed": reverse_judgments(qrels)}
    hits = {name: len(asked & set(found)) for name, found in forms.items()}
    form = "reversed" if dual and hits["reversed"] else ""
    if hits[form]:
        return forms[form]
    what = "documents" if dual else "queries"
    turned = "; it ranks for judged documents: --dual-run says so" if hits["reversed"] else ""
    raise CollectionError(
        f"{run.name}: none of its {len(asked)} {what} (first column, such as "
        f"{shown(run.query_ids[0])}) is judged in {where} (such as "
        f"{shown(next(iter(qrels), ''))}){turned or '; give the judgments of this run'}"
    )
