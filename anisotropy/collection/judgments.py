"""Judgments: read from files, checked against queries and documents, oddities counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from anisotropy.collection.base import DocumentIndex, Qrels, Query, Split
from anisotropy.collection.lines import BadLine, broken, check_id, read_lines
from anisotropy.errors import CollectionError, shown

_COLUMNS = {3: (0, 1, 2), 4: (0, 2, 3)}
_LOWEST, _HIGHEST = -(2**31), 2**31 - 1


@dataclass(frozen=True, slots=True)
class Judgments:
    """Judgments as a source has them, before they are checked against texts."""

    name: str
    qrels: Qrels
    warnings: tuple[str, ...] = ()


def judgments_text(qrels: Mapping[str, Mapping[str, int]]) -> str:
    """Judgments as lines of query, tab, document, tab, grade, without a header."""
    return "".join(f"{q}\t{d}\t{g}\n" for q, grades in qrels.items() for d, g in grades.items())


def other_spelling(doc_id: str) -> str:
    """``12`` for ``D12`` and the reverse, as MS MARCO has documents; other ids as they are."""
    if doc_id[:1] == "D" and doc_id[1:].isdecimal():
        return doc_id[1:]
    return f"D{doc_id}" if doc_id.isdecimal() else doc_id


def is_judgments(path: Path) -> bool:
    """Tell by its name whether a file holds judgments: runs have three columns as well."""
    return path.is_file() and "qrel" in path.name.lower()


def read_judgments(path: Path) -> Judgments:
    """Read a file of judgments.

    Three columns (query, document, grade) or four (query, anything, document, grade), by tab
    or by space, with or without a header: a first line whose grade is no number.

    Parameters
    ----------
    path
        The file, plain or gzip.

    Raises
    ------
    CollectionError
        If a line has another number of columns than the first, a grade that is no integer of 32
        bits, an unusable id, or judges a pair a second time with another grade.
    """
    return collect(str(path), path.name, _triples(path))


def collect(where: str, name: str, triples: Iterable[tuple[int, str, str, int]]) -> Judgments:
    """Gather (line number, query, document, grade); repeated equal ones are counted.

    Parameters
    ----------
    where, name
        The source as errors and as warnings name it.
    triples
        The judgments.

    Raises
    ------
    CollectionError
        If a pair is judged twice with different grades.
    """
    qrels: Qrels = {}
    repeated: list[str] = []
    for number, query, document, grade in triples:
        grades = qrels.setdefault(query, {})
        if document not in grades:
            grades[document] = grade
        elif grades[document] == grade:
            repeated.append(f"query {shown(query)}, document {shown(document)}")
        else:
            raise CollectionError(
                f"{where}, line {number}: query {shown(query)}, document {shown(document)} is "
                f"judged {grade}, and {grades[document]} before; keep one of the two"
            )
    return Judgments(name, qrels, tuple(_warning(name, "repeated judgments, kept once", repeated)))


def _warning(name: str, what: str, examples: Sequence[str]) -> Iterator[str]:
    if examples:
        yield f"{name}: {len(examples)} {what} (example: {examples[0]})"


def _triples(path: Path) -> Iterator[tuple[int, str, str, int]]:
    columns = 0
    for line in read_lines(path):
        fields = line.text.split("\t") if "\t" in line.text else line.text.split()
        try:
            columns = _check_columns(len(fields), columns)
            query, document, grade = (fields[place].strip() for place in _COLUMNS[columns])
            if line.number == 1 and not _is_number(grade):
                continue
            ids = check_id(query, "query"), check_id(document, "document")
            yield line.number, *ids, _integer(grade)
        except BadLine as problem:
            raise broken(path, line.number, problem) from None


def _check_columns(got: int, before: int) -> int:
    if before and got != before:
        raise BadLine(f"{got} columns, {before} in the lines before")
    if got not in _COLUMNS:
        raise BadLine(
            f"{got} columns; allowed: 3 (query, document, grade) or "
            "4 (query, iteration, document, grade)"
        )
    return got


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _integer(text: str) -> int:
    try:
        grade = int(text)
    except ValueError:
        raise BadLine(f"grade {shown(text)} is not an integer") from None
    if not _LOWEST <= grade <= _HIGHEST:
        raise BadLine(f"grade {shown(text)}; allowed: {_LOWEST} to {_HIGHEST}")
    return grade


def judged_split(
    judgments: Judgments, queries: Mapping[str, Query], documents: DocumentIndex
) -> tuple[Split, list[str]]:
    """Keep the judgments whose query and document exist.

    Parameters
    ----------
    judgments
        As read.
    queries
        Queries by id, in their order.
    documents
        The documents.

    Returns
    -------
    tuple of Split and list of str
        The judged queries in the order of `queries`, and a warning for each kind of judgment
        that was dropped.
    """
    ids = sorted({doc_id for grades in judgments.qrels.values() for doc_id in grades})
    known = {
        doc_id for doc_id, is_known in zip(ids, documents.known(ids), strict=True) if is_known
    }
    qrels = {
        query: {
            doc_id: grade for doc_id, grade in judgments.qrels[query].items() if doc_id in known
        }
        for query in queries
        if query in judgments.qrels
    }
    qrels = {query: grades for query, grades in qrels.items() if grades}
    split = Split([queries[query] for query in qrels], qrels)
    return split, [*judgments.warnings, *_dropped(judgments, queries, known)]


def _dropped(judgments: Judgments, queries: Mapping[str, Query], known: set[str]) -> Iterator[str]:
    name = judgments.name
    query_examples, document_examples = [], []
    for query, grades in judgments.qrels.items():
        if query not in queries:
            query_examples += [f"query {shown(query)}"] * len(grades)
            continue
        document_examples += [
            f"query {shown(query)}, document {shown(doc_id)}"
            for doc_id in grades
            if doc_id not in known
        ]
    yield from _warning(name, "judgments name unknown queries, dropped", query_examples)
    yield from _warning(name, "judgments name unknown documents, dropped", document_examples)
