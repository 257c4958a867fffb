"""Preprocessed folders of ANCE and DANCE: token ids, offsets and judgments in offsets.

=========================  ====================================================================
documents                  ``passages``, ``passages_meta``; ids by ``pid2offset.pickle``
                           (``pid2offset``, a text, of DPR)
queries                    ``<set>``, ``<set>_meta``; ids by ``<set>_qid2offset.pickle`` (DANCE),
                           ``<prefix>_qid2offset.pickle`` (custom data) or the one
                           ``qid2offset.pickle`` (ANCE), which each later set overwrites
judgments                  ``<prefix>-qrel.tsv``, or ``<prefix>-ann`` (DPR): rows, not ids
=========================  ====================================================================

Splits: ``train-query`` is ``train``, ``real-dev-query`` (MS MARCO dev) is ``dev``. ``dev-query``
is TREC 2019, ``test``, where there is a ``real-dev-query`` or its judgments are graded, else
``dev``. Other sets keep their prefix, ``dev-query-trivia`` is ``trivia-dev``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.collection.base import Collection, Document, Query, Split
from anisotropy.collection.folders import files_of
from anisotropy.collection.judgments import Judgments, collect, judged_split, read_judgments
from anisotropy.collection.lines import broken, read_lines
from anisotropy.collection.offsets import (
    DOCUMENT_MAPS,
    QUERY_MAP,
    OffsetMap,
    plain_names,
    read_offsets,
)
from anisotropy.collection.token_cache import META, Scan, TokenCache, open_cache
from anisotropy.errors import CollectionError, shown
from anisotropy.files import fingerprint, hash_ids

PASSAGES = "passages"
_SET = re.compile(r"(?P<prefix>.+)-query(?:-(?P<more>.+))?")
_ROBERTA_START, _BERT_START = 0, 101


@dataclass(frozen=True, eq=False)
class QuerySet:
    """A set of queries: its files, and what its rows are called.

    Attributes
    ----------
    name, split
        Such as ``real-dev-query`` and ``dev``.
    cache, scan
        Its token ids.
    ids
        Of its rows.
    named_by
        The map that names them; empty where they are called by their rows.
    judgments
        With ids; None where the folder has none.
    """

    name: str
    split: str
    cache: TokenCache
    scan: Scan
    ids: list[str]
    named_by: str
    judgments: Judgments | None

    def queries(self) -> dict[str, Query]:
        """Queries by id, in row order."""
        tokens = self.cache.records()
        return {name: Query(name, "", ids) for name, ids in zip(self.ids, tokens, strict=True)}


class TokenDocuments:
    """The documents of a cache, found by id; a `DocumentIndex`."""

    def __init__(self, cache: TokenCache, scan: Scan, ids: list[str]) -> None:
        self._cache, self.ids = cache, ids
        hashes = hash_ids(ids)
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]
        self.n = cache.n
        self.digest = fingerprint(scan.digest, _digest(hashes))

    def __iter__(self) -> Iterator[Document]:
        """Stream the documents in row order."""
        for name, tokens in zip(self.ids, self._cache.records(), strict=True):
            yield Document(name, "", tokens=tokens)

    def known(self, doc_ids: Sequence[str]) -> np.ndarray:
        """Tell for each id whether it is a document: boolean, shape (n,)."""
        return self._rows(doc_ids) >= 0

    def fetch(self, doc_ids: Sequence[str]) -> dict[str, Document]:
        """Read the documents of known ids."""
        found = self._cache.fetch(self._rows(doc_ids).tolist())
        return {self.ids[row]: Document(self.ids[row], "", tokens=ids) for row, ids in found}

    def _rows(self, doc_ids: Sequence[str]) -> np.ndarray:
        hashes = hash_ids(doc_ids)
        places = np.minimum(np.searchsorted(self._hashes, hashes), self.n - 1)
        return np.where(self._hashes[places] == hashes, self._order[places], -1)


@dataclass
class UpstreamFolder:
    """What a preprocessed folder holds.

    Attributes
    ----------
    folder
        Where it is.
    documents, scan
        Token ids of the documents.
    doc_ids
        Of their rows.
    sets
        The query sets, by name in the order of the alphabet.
    named_by
        The map that names the documents; empty where they are called by their rows.
    warnings
        Oddities met, one line each.
    """

    folder: Path
    documents: TokenCache
    scan: Scan
    doc_ids: list[str] = field(default_factory=list)
    sets: list[QuerySet] = field(default_factory=list)
    named_by: str = ""
    warnings: list[str] = field(default_factory=list)

    @property
    def is_dpr(self) -> bool:
        """Whether it was made for DPR, whose sets have other names in dumps."""
        return self.named_by == DOCUMENT_MAPS[1]


def is_upstream(folder: Path) -> bool:
    """Tell whether a folder holds token ids of upstream's preprocessing."""
    return (folder / f"{PASSAGES}{META}").is_file()


def open_upstream(
    folder: Path, split: str | None = None, *, cache: Path | None = None
) -> Collection:
    """Open a preprocessed folder as a collection of token ids (see the module for its files).

    Parameters
    ----------
    folder
        The folder.
    split
        The split to evaluate; None for the default.
    cache
        Folder where the scan of a large file is kept; None keeps nothing.

    Raises
    ------
    CollectionError
        If a file is missing, damaged or contradicts another; the message names file and record.
    """
    found = read_folder(folder, cache=cache)
    documents = TokenDocuments(found.documents, found.scan, found.doc_ids)
    splits, warnings = {}, list(found.warnings)
    for one in found.sets:
        queries = one.queries()
        if one.judgments is None:
            splits[one.split] = Split(list(queries.values()), {})
        else:
            splits[one.split], dropped = judged_split(one.judgments, queries, documents)
            warnings += dropped
    padding = found.scan.padding
    return Collection(
        folder.resolve().name,
        documents,
        splits,
        split,
        note=f"token ids, no texts: documents to {found.documents.width} tokens",
        warnings=warnings,
        queries_digest=fingerprint(
            [[one.scan.digest, _digest(hash_ids(one.ids))] for one in found.sets]
        ),
        has_texts=False,
        padding_id=padding[0] if len(padding) == 1 else None,
        details=_details(found),
        preprocessed=found,
    )


def read_folder(folder: Path, *, cache: Path | None = None) -> UpstreamFolder:
    """Read a preprocessed folder: maps, judgments and counts; token ids stay on disk.

    Raises
    ------
    CollectionError
        As `open_upstream`.
    """
    files = files_of(folder)
    documents = open_cache(folder / PASSAGES)
    found = UpstreamFolder(folder, documents, documents.scan(cache))
    found.doc_ids = _name_documents(found, files)
    caches = {name: open_cache(folder / name) for name in _set_names(files)}
    if not caches:
        raise CollectionError(f"{folder}: holds {PASSAGES} but no queries (such as train-query)")
    maps = _query_maps(found, files, {name: one.n for name, one in caches.items()})
    for name, one in caches.items():
        _add_set(found, files, name, one, maps.get(name), cache)
    unnamed = [one.name for one in found.sets if not one.named_by]
    if unnamed:
        found.warnings.append(
            f"no map of ids belongs to {', '.join(unnamed)}: the queries are called by their row"
        )
    return found


def _digest(hashes: np.ndarray) -> str:
    return hashlib.sha256(hashes.tobytes()).hexdigest()


def _set_names(files: Iterable[str]) -> list[str]:
    names = (name.removesuffix(META) for name in files if name.endswith(META))
    return sorted(name for name in names if name != PASSAGES and _SET.fullmatch(name))


def _name_documents(found: UpstreamFolder, files: Mapping[str, Path]) -> list[str]:
    """Ids of the documents by row."""
    name = next((name for name in DOCUMENT_MAPS if name in files), None)
    if name is None:
        found.warnings.append(
            f"no map of document ids ({' or '.join(DOCUMENT_MAPS)}): documents are called by row"
        )
        return plain_names(found.documents.n)
    found.named_by = name
    return _named(found, read_offsets(files[name], "documents"), PASSAGES, found.documents.n)


def _named(found: UpstreamFolder, offsets: OffsetMap, what: str, n: int) -> list[str]:
    names, unnamed = offsets.names(n)
    if unnamed:
        found.warnings.append(
            f"{what}: {unnamed} record(s) without an id, because it occurs again later; kept "
            f"under their row (example: {next(name for name in names if name[0] == '#')!r})"
        )
    return names


def _query_maps(
    found: UpstreamFolder, files: Mapping[str, Path], counts: Mapping[str, int]
) -> dict[str, Path]:
    """File of the map of each set that has one."""
    maps: dict[str, Path] = {}
    for name in counts:
        prefix = _parts(name)[0]
        own = (f"{name}_{QUERY_MAP}", f"{prefix}_{QUERY_MAP}")
        there = [files[one] for one in own if one in files]
        if there:
            maps[name] = there[0]
    if QUERY_MAP in files:
        left = {name: n for name, n in counts.items() if name not in maps}
        owner = _owner(found, files[QUERY_MAP], left)
        maps |= {owner: files[QUERY_MAP]} if owner else {}
    return maps


def _owner(found: UpstreamFolder, path: Path, counts: Mapping[str, int]) -> str | None:
    """The set that ANCE's one map belongs to: the last it wrote, by the number of rows."""
    size = read_offsets(path, "queries").size
    fitting = [name for name, n in counts.items() if n == size]
    if not fitting:
        found.warnings.append(f"{path.name}: ends at row {size - 1}, as no set of queries does")
        return None
    # Upstream writes the training set first, so of equal sets it is not the last.
    owner = next((name for name in fitting if not name.startswith("train")), fitting[0])
    others = ", ".join(name for name in counts if name != owner)
    if others:
        doubt = f" ({' and '.join(fitting)} have as many queries)" if len(fitting) > 1 else ""
        found.warnings.append(
            f"{path.name} is taken for the map of {owner}, the last set written{doubt}; "
            f"that of {others} was overwritten"
        )
    return owner


def _add_set(
    found: UpstreamFolder,
    files: Mapping[str, Path],
    name: str,
    cache: TokenCache,
    path: Path | None,
    kept: Path | None,
) -> None:
    if path is None:
        ids = plain_names(cache.n)
    else:
        ids = _named(found, read_offsets(path, "queries"), name, cache.n)
    judgments = _judgments(files, name, ids, found.doc_ids)
    split = _split_name(name, files, judgments)
    found.sets.append(
        QuerySet(name, split, cache, cache.scan(kept), ids, path.name if path else "", judgments)
    )


def _parts(name: str) -> tuple[str, str]:
    """Prefix of a set, and what stands behind ``-query-``."""
    prefix, more = next(iter(_SET.findall(name)))
    return prefix, more


def _split_name(name: str, files: Iterable[str], judgments: Judgments | None) -> str:
    prefix, more = _parts(name)
    if more:
        return f"{more}-{prefix}"
    if prefix == "real-dev":
        return "dev"
    if prefix == "dev" and (f"real-dev-query{META}" in files or _is_graded(judgments)):
        return "test"
    return prefix


def _is_graded(judgments: Judgments | None) -> bool:
    """Whether judgments are those of TREC: MS MARCO's own know the grade 1 alone."""
    grades = judgments.qrels.values() if judgments else []
    return any(grade != 1 for one in grades for grade in one.values())


def _judgments(
    files: Mapping[str, Path], name: str, query_ids: Sequence[str], doc_ids: Sequence[str]
) -> Judgments | None:
    """Judgments of a set, rows turned into ids; None where there are none."""
    prefix, more = _parts(name)
    qrels, answers = f"{prefix}-qrel.tsv", "-".join(filter(None, (prefix, "ann", more)))
    if not more and qrels in files:
        rows = read_judgments(files[qrels])
    elif answers in files:
        path = files[answers]
        rows = collect(str(path), path.name, _positives(path))
    else:
        return None
    named = {
        _of_row(query, query_ids): {_of_row(doc, doc_ids): g for doc, g in grades.items()}
        for query, grades in rows.qrels.items()
    }
    return Judgments(rows.name, named, rows.warnings)


def _of_row(row: str, ids: Sequence[str]) -> str:
    number = int(row) if row.isdecimal() and len(row) < 19 else len(ids)
    # Rows that there are not become ids that there are not: they are dropped with a warning.
    return ids[number] if number < len(ids) else f"#{row}"


def _positives(path: Path) -> Iterator[tuple[int, str, str, int]]:
    """Pairs of a DPR file; the third column, a Python list of answers, is not looked at."""
    for line in read_lines(path):
        fields = line.text.split("\t")
        if len(fields) < 2 or not all(field.isdecimal() for field in fields[:2]):
            problem = f"{shown(line.text)}; needed: query row, document row, answers"
            raise broken(path, line.number, problem)
        yield line.number, fields[0], fields[1], 1


def _details(found: UpstreamFolder) -> dict[str, Any]:
    """What ``inspect`` says of the files."""
    documents = _described(found.documents, found.scan, found.named_by)
    sets = {
        f"{one.name} = {one.split}": _described(one.cache, one.scan, one.named_by)
        for one in found.sets
    }
    return {
        "layout": "preprocessed folder of ANCE or DANCE: token ids, no texts",
        "sets": {PASSAGES: documents, **sets},
        "tokenizer": _tokenizer(found.scan),
        "padding_id": _padding(found.scan),
        "separator": _separator(found),
    }


def _described(cache: TokenCache, scan: Scan, named_by: str) -> str:
    ids = f"ids by {named_by}" if named_by else "called by row"
    return (
        f"{cache.n:,} records of {cache.width} ids, {scan.shortest} to {scan.longest} tokens "
        f"(mean {scan.mean:.1f}); {ids}"
    )


def _tokenizer(scan: Scan) -> str:
    known = {_ROBERTA_START: "RoBERTa", _BERT_START: "BERT"}
    names = ", ".join(f"{index} ({known.get(index, 'unknown')})" for index in scan.first)
    return f"documents begin with {names}"


def _padding(scan: Scan) -> str:
    if not scan.padding:
        return "in doubt: every record is full"
    ids = ", ".join(map(str, scan.padding))
    if scan.first != (_ROBERTA_START,):
        return ids
    return {
        "0": "0 (DANCE, and ANCE before its version with SEED-Encoder)",
        "1": "1 (ANCE since its version with SEED-Encoder)",
    }.get(ids, f"in doubt: {ids}")


def _separator(found: UpstreamFolder) -> str:
    inner, n = found.scan.inner_ends, found.documents.n
    inside = f"the end token stands inside {inner:,} of {n:,} documents"
    if found.scan.first != (_ROBERTA_START,):
        return inside
    if 2 * inner > n:
        return f"</s> (ANCE since its version with SEED-Encoder): {inside}"
    return f"in doubt: <sep> as text (DANCE, earlier ANCE), or documents of one field; {inside}"
