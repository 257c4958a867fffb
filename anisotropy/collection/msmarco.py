r"""MS MARCO folders of TSV files, documents or passages, plain or gzip.

============  ===================================================================================
documents     ``msmarco-docs.tsv``, ``docs.tsv``, ``collection.tsv``: 4 columns (docid, url,
              title, body) or 2 (pid, text)
queries       ``msmarco-doc<split>-queries.tsv``, ``msmarco-test2019-queries.tsv``,
              ``queries.<split>.tsv``, ``queries.tsv``: 2 columns (qid, text)
judgments     ``msmarco-doc<split>-qrels.tsv``, ``2019qrels-docs.txt``, ``2019qrels-pass.txt``,
              ``qrels.<split>.tsv``, ``qrels.tsv``: by tab or space
============  ===================================================================================

The 2019 files are the split ``test``, those of another year ``test<year>``. A lone
``dev.small`` is called ``dev``; beside ``dev`` it keeps its name and is the default. A file that
names no split is the split ``all``; ``queries.tsv`` also serves splits without queries of their
own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from anisotropy.collection.base import UNJUDGED, Collection, Document, Query
from anisotropy.collection.folders import (
    Queries,
    assemble,
    files_of,
    queries_warning,
    read_queries,
)
from anisotropy.collection.index import LineSource
from anisotropy.collection.judgments import Judgments, read_judgments
from anisotropy.collection.lines import BadLine, check_id, read_lines
from anisotropy.errors import CollectionError

DOCUMENTS = ("msmarco-docs.tsv", "docs.tsv", "collection.tsv")

_QUERIES = re.compile(
    r"(?:msmarco-doc(?P<doc>train|dev)-queries|msmarco-test(?P<year>20\d\d)-queries"
    r"|queries(?:\.(?P<split>.+))?)\.(?:tsv|txt)"
)
_QRELS = re.compile(
    r"(?:msmarco-doc(?P<doc>train|dev)-qrels|(?P<year>20\d\d)qrels-(?:docs|pass)"
    r"|qrels(?:\.(?P<split>.+))?)\.(?:tsv|txt)"
)
_ID_NAMES = frozenset({"id", "docid", "doc_id", "did", "pid", "qid", "query_id", "query-id"})
_TEXT_NAMES = frozenset({"text", "body", "passage", "contents", "query"})


def open_msmarco(
    folder: Path, split: str | None = None, *, cache: Path | None = None
) -> Collection:
    """Open an MS MARCO folder (see the module for names of files and splits).

    Parameters
    ----------
    folder
        The folder.
    split
        The split to evaluate; None for the default.
    cache
        Folder where the scan of a large file of documents is kept; None keeps nothing.

    Raises
    ------
    CollectionError
        If a file is missing, ambiguous or damaged; the message names file and line.
    """
    files = files_of(folder)
    documents = _one_document_file(folder, files)
    query_files = _by_split(files, _QUERIES)
    if not query_files:
        raise CollectionError(
            f"{folder}: holds {documents.name} but no queries (looked for queries.tsv, "
            "queries.<split>.tsv, msmarco-doc<split>-queries.tsv, msmarco-test2019-queries.tsv)"
        )
    queries = {
        key: read_queries(path, parse_query, is_header) for key, path in query_files.items()
    }
    warnings = [
        line
        for key, path in query_files.items()
        for line in queries_warning(path.name, queries[key])
    ]
    judgments = {key: read_judgments(path) for key, path in _by_split(files, _QRELS).items()}
    judged, unpaired = _paired(queries, judgments)
    return assemble(
        folder.resolve().name,
        LineSource(documents, _document_parser(documents), is_header),
        judged,
        _union(queries),
        split,
        warnings=[*warnings, *unpaired],
        cache=cache,
    )


def _one_document_file(folder: Path, files: Mapping[str, Path]) -> Path:
    found = [files[name] for name in DOCUMENTS if name in files]
    if len(found) != 1:
        names = " and ".join(path.name for path in found)
        raise CollectionError(f"{folder}: holds both {names}; keep one file of documents")
    return found[0]


def _by_split(files: Mapping[str, Path], pattern: re.Pattern[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for name, path in files.items():
        if match := pattern.fullmatch(name):
            key = _split_name(match)
            if key in found:
                raise CollectionError(
                    f"{path.parent}: holds both {found[key].name} and {path.name} for split "
                    f"{key!r}; keep one"
                )
            found[key] = path
    if "dev.small" in found and "dev" not in found:
        found["dev"] = found.pop("dev.small")
    return found


def _split_name(match: re.Match[str]) -> str:
    year = match["year"]
    if year:
        return "test" if year == "2019" else f"test{year}"
    return match["doc"] or match["split"] or UNJUDGED


def _paired(
    queries: Mapping[str, Queries], judgments: Mapping[str, Judgments]
) -> tuple[dict[str, tuple[Queries, Judgments]], list[str]]:
    paired, warnings = {}, []
    for key, found in judgments.items():
        texts = queries.get(key, queries.get(UNJUDGED))
        if texts is None and key == UNJUDGED:
            texts = _union(queries)
        if texts is None:
            warnings.append(f"judgments of split {key!r} left out, it has no queries")
        else:
            paired[key] = (texts, found)
    return paired, warnings


def _union(queries: Mapping[str, Queries]) -> Queries:
    return {query_id: query for split in queries.values() for query_id, query in split.items()}


def is_header(text: str) -> bool:
    """Tell whether a line holds names of columns, such as ``docid url title body``."""
    fields = [field.strip().lower() for field in text.split("\t")]
    return fields[0] in _ID_NAMES and not _TEXT_NAMES.isdisjoint(fields[1:])


def _document_parser(path: Path) -> Callable[[str], Document]:
    with closing(read_lines(path)) as lines:
        columns = next((line.text.count("\t") + 1 for line in lines), 0)
    if columns not in (0, 2, 4):
        raise CollectionError(
            f"{path}: {columns} columns in the first line; allowed: 4 (docid, url, title, body) "
            "or 2 (pid, text), by tab"
        )
    return parse_passage if columns == 2 else parse_document


def parse_document(text: str) -> Document:
    """Document of a line of docid, url, title, body."""
    doc_id, url, title, body = _fields(text, 4)
    return Document(check_id(doc_id.strip(), "document"), body, title, url)


def parse_passage(text: str) -> Document:
    """Document of a line of pid, text."""
    doc_id, body = _fields(text, 2)
    return Document(check_id(doc_id.strip(), "document"), body)


def parse_query(text: str) -> Query:
    """Query of a line of qid, text."""
    query_id, body = _fields(text, 2)
    return Query(check_id(query_id.strip(), "query"), body)


def _fields(text: str, columns: int) -> list[str]:
    fields = text.split("\t")
    if len(fields) != columns:
        raise BadLine(f"{len(fields)} columns by tab, {columns} are needed")
    return fields
