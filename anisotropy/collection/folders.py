"""What readers of folders share: finding files, reading queries, putting a collection together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from anisotropy.collection.base import UNJUDGED, Collection, Query, Split, digest
from anisotropy.collection.index import Index, Source
from anisotropy.collection.judgments import Judgments, judged_split
from anisotropy.collection.lines import BadLine, broken, read_lines
from anisotropy.errors import CollectionError, shown

Queries = dict[str, Query]


def files_of(folder: Path) -> dict[str, Path]:
    """Files of a folder by name, ``.gz`` taken off; where both exist, the plain one.

    Raises
    ------
    CollectionError
        If the folder cannot be listed.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise CollectionError(f"{folder}: cannot be listed ({error.strerror})") from None
    found: dict[str, Path] = {}
    for path in paths:  # sorted: "x.tsv" comes before "x.tsv.gz"
        found.setdefault(path.name.removesuffix(".gz"), path)
    return found


def read_queries(
    path: Path,
    parse: Callable[[str], Query],
    is_header: Callable[[str], bool] | None = None,
) -> Queries:
    """Read queries by id, in file order.

    Parameters
    ----------
    path
        A file with one query a line, plain or gzip.
    parse
        Query of a line's text; raises `BadLine`.
    is_header
        Tells whether the first line is a header, which is skipped.

    Raises
    ------
    CollectionError
        If a line is wrong, or an id occurs twice.
    """
    queries: Queries = {}
    for line in read_lines(path):
        if line.number == 1 and is_header is not None and is_header(line.text):
            continue
        try:
            query = parse(line.text)
        except BadLine as problem:
            raise broken(path, line.number, problem) from None
        if query.query_id in queries:
            raise broken(path, line.number, f"query id {shown(query.query_id)} occurs twice")
        queries[query.query_id] = query
    return queries


def empty_warning(where: str, count: int, what: str, example: str) -> list[str]:
    """Warning that texts are empty, if any are."""
    return [f"{where}: {count} {what} with empty text (example: {example!r})"] if count else []


def queries_warning(where: str, queries: Queries) -> list[str]:
    """Warning that queries are empty, if any are."""
    empty = [query.query_id for query in queries.values() if not query.text.strip()]
    return empty_warning(where, len(empty), "queries", empty[0] if empty else "")


def assemble(
    name: str,
    source: Source,
    judged: Mapping[str, tuple[Queries, Judgments]],
    every_query: Queries,
    split: str | None,
    *,
    note: str = "",
    warnings: Iterable[str] = (),
    cache: Path | None = None,
) -> Collection:
    """Check judgments against queries and documents, and make the collection.

    Parameters
    ----------
    name, note, split
        As in `Collection`.
    source
        Where the documents come from.
    judged
        Queries and judgments by the name of the split; empty where there are no judgments.
    every_query
        All queries, judged or not; they are the split ``"all"`` where there are no judgments.
    warnings
        Met so far.
    cache
        Folder where the scan of a large source is kept; None keeps nothing.
    """
    index = Index(source, cache)
    lines = [*warnings]
    lines += empty_warning(source.name, index.n_empty, "documents", index.empty_example)
    splits: dict[str, Split] = {}
    for key, (queries, judgments) in judged.items():
        splits[key], found = judged_split(judgments, queries, index)
        lines += found
    if not splits:
        splits[UNJUDGED] = Split(list(every_query.values()), {})
    texts = [[query.query_id, query.text] for query in every_query.values()]
    return Collection(
        name, index, splits, split, note=note, warnings=lines, queries_digest=digest(texts)
    )
