"""BEIR folders: ``corpus.jsonl``, ``queries.jsonl``, ``qrels/<split>.tsv``, plain or gzip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from anisotropy.collection.base import Collection, Document, Query
from anisotropy.collection.folders import assemble, files_of, queries_warning, read_queries
from anisotropy.collection.index import LineSource
from anisotropy.collection.judgments import Judgments, read_judgments
from anisotropy.collection.lines import BadLine, check_id
from anisotropy.errors import CollectionError, shown

CORPUS = "corpus.jsonl"
QUERIES = "queries.jsonl"
QRELS = "qrels"


def open_beir(
    folder: Path,
    split: str | None = None,
    *,
    name: str | None = None,
    note: str = "",
    cache: Path | None = None,
) -> Collection:
    """Open a BEIR folder.

    Documents are objects with ``_id``, ``text`` and optionally ``title`` and ``url``; queries
    are objects with ``_id`` and ``text``. Splits are the names of ``qrels/*.tsv``; without such
    files the one split ``"all"`` holds every query.

    Parameters
    ----------
    folder
        The folder.
    split
        The split to evaluate; None for the default.
    name, note
        Name of the collection (None: the folder's) and note on it.
    cache
        Folder where the scan of a large corpus is kept; None keeps nothing.

    Raises
    ------
    CollectionError
        If a file is missing or damaged; the message names file and line.
    """
    files = files_of(folder)
    if QUERIES not in files:
        raise CollectionError(f"{folder}: a BEIR folder without {QUERIES} (or {QUERIES}.gz)")
    queries = read_queries(files[QUERIES], parse_query)
    judged = {key: (queries, judgments) for key, judgments in _judgments(folder).items()}
    return assemble(
        name or folder.resolve().name,
        LineSource(files[CORPUS], parse_document),
        judged,
        queries,
        split,
        note=note,
        cache=cache,
        warnings=queries_warning(files[QUERIES].name, queries),
    )


def _judgments(folder: Path) -> dict[str, Judgments]:
    if not (folder / QRELS).is_dir():
        return {}
    files = files_of(folder / QRELS)
    return {
        name.removesuffix(".tsv"): read_judgments(path)
        for name, path in files.items()
        if name.endswith(".tsv")
    }


def parse_document(text: str) -> Document:
    """Document of one line of ``corpus.jsonl``."""
    record = _object(text)
    return Document(
        doc_id=_identifier(record, "document"),
        text=_string(record, "text"),
        title=_string(record, "title", optional=True),
        url=_string(record, "url", optional=True),
    )


def parse_query(text: str) -> Query:
    """Query of one line of ``queries.jsonl``."""
    record = _object(text)
    return Query(_identifier(record, "query"), _string(record, "text"))


def _object(text: str) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadLine(f"broken JSON ({str(error) or type(error).__name__})") from None
    if not isinstance(record, dict):
        raise BadLine(f"a JSON object is needed, got {shown(text)}")
    return record


def _identifier(record: dict[str, Any], what: str) -> str:
    value = record.get("_id")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        problem = "no '_id'" if value is None else f"'_id' is no string: {shown(value)}"
        raise BadLine(problem)
    return check_id(_encodable(value, "_id"), what)


def _string(record: dict[str, Any], key: str, *, optional: bool = False) -> str:
    value = record.get(key)
    if value is None and optional:
        return ""
    if not isinstance(value, str):
        problem = f"no {key!r}" if value is None else f"{key!r} is no string: {shown(value)}"
        raise BadLine(problem)
    return _encodable(value, key)


def _encodable(value: str, key: str) -> str:
    # JSON can spell half of a surrogate pair, which no UTF-8 file and no tokenizer can take.
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise BadLine(f"{key!r} holds half of a surrogate pair, which is no text") from None
    return value
