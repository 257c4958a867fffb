"""Preprocessed folders of ANCE and DANCE: token ids, offsets and judgments in offsets.

=========================  ====================================================================
documents                  ``passages``, ``passages_meta``; ids by ``pid2offset.pickle``
                           (``pid2offset``, a text, of DPR)
queries                    ``<set>``, ``<set>_meta``; ids by ``<set>_qid2offset.pickle`` (DANCE),
                           ``<prefix>_qid2offset.pickle`` (custom data) or the one
                           ``qid2offset.pickle`` (ANCE), which each later set overwrites
judgments                  ``<prefix>-qrel.tsv``, or ``<prefix>-ann`` (DPR): rows, not ids
=========================  ====================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from anisotropy.collection.base import Query
from anisotropy.collection.folders import files_of
from anisotropy.collection.judgments import Judgments
from anisotropy.collection.offsets import (
    DOCUMENT_MAPS,
    QUERY_MAP,
    OffsetMap,
    plain_names,
    read_offsets,
)
from anisotropy.collection.token_cache import META, Scan, TokenCache, open_cache
from anisotropy.collection.upstream_sets import (
    PASSAGES,
    judgments_of,
    owner_of_map,
    set_names,
    set_parts,
    split_of,
)
from anisotropy.errors import CollectionError


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
    caches = {name: open_cache(folder / name) for name in set_names(files)}
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
        prefix = set_parts(name)[0]
        own = (f"{name}_{QUERY_MAP}", f"{prefix}_{QUERY_MAP}")
        there = [files[one] for one in own if one in files]
        if there:
            maps[name] = there[0]
    if QUERY_MAP in files:
        left = {name: n for name, n in counts.items() if name not in maps}
        owner, doubts = owner_of_map(files[QUERY_MAP], left)
        found.warnings += doubts
        maps |= {owner: files[QUERY_MAP]} if owner else {}
    return maps


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
    judgments = judgments_of(files, name, ids, found.doc_ids)
    split = split_of(name, files, judgments)
    found.sets.append(
        QuerySet(name, split, cache, cache.scan(kept), ids, path.name if path else "", judgments)
    )
