"""What the rows of a dump of ANCE or DANCE are called: by a preprocessed folder, or by maps."""

from __future__ import annotations

import contextlib
from collections.abc import Collection as Names
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from anisotropy.collection.offsets import QUERY_MAP, find_offsets, plain_names, read_offsets
from anisotropy.collection.upstream_folder import is_upstream, read_folder
from anisotropy.collection.upstream_sets import owner_of_map
from anisotropy.errors import CollectionError, EmbeddingsError
from anisotropy.spaces.dumps.base import DumpOptions
from anisotropy.spaces.dumps.upstream_shards import DOCUMENT_SETS, TRIVIA, Shards
from anisotropy.spaces.space import Qrels

if TYPE_CHECKING:
    from anisotropy.collection import Collection
    from anisotropy.collection.upstream_folder import UpstreamFolder

#: Set of a dump -> set of the preprocessed folder.
_CACHES = {"query": "train-query", "dev_query": "dev-query", "real-dev_query": "real-dev-query"}
_DPR_CACHES = {
    "query": "train-query",
    "dev_query": "test-query",
    "real-dev_query": "dev-qas-query",
    TRIVIA: "trivia-test-query",
    "trivia_real-dev_query": "trivia-dev-qas-query",
}


@dataclass(frozen=True)
class NamedSet:
    """Ids of the rows of a query set, its split, and its judgments where they are known."""

    ids: list[str]
    split: str
    qrels: Qrels = field(default_factory=dict)


class Naming(Protocol):
    """What rows are called; each method checks that the dump has just these rows."""

    warnings: list[str]

    def documents(self, shards: Shards, rows: np.ndarray) -> list[str]:
        """Ids of the documents by row."""
        ...

    def queries(self, shards: Shards, rows: np.ndarray, sets: Mapping[str, Shards]) -> NamedSet:
        """Ids of a query set by row; `sets` are those of the dump."""
        ...

    def padding(self, rows: np.ndarray, chunk: np.ndarray) -> np.ndarray | None:
        """Which vectors stand for padding alone; None where it is not known."""
        ...


class FolderNaming:
    """Names by a whole preprocessed folder, which has counts, lengths and judgments too."""

    def __init__(self, folder: UpstreamFolder) -> None:
        self._folder = folder
        self.warnings = list(folder.warnings)

    def documents(self, shards: Shards, rows: np.ndarray) -> list[str]:
        """Ids of the documents by row."""
        shards.check_rows(rows, len(self._folder.doc_ids))
        return self._folder.doc_ids

    def queries(self, shards: Shards, rows: np.ndarray, sets: Mapping[str, Shards]) -> NamedSet:
        """Ids of a query set by row, the split it is and its judgments."""
        wanted = self._cache(shards.name, sets)
        known = {one.name: one for one in self._folder.sets}
        if wanted not in known:
            raise EmbeddingsError(
                f"{shards.origin}: the queries of {wanted}, which {self._folder.folder} does not "
                f"have; it has {', '.join(known)}"
            )
        one = known[wanted]
        shards.check_rows(rows, len(one.ids))
        return NamedSet(one.ids, one.split, one.judgments.qrels if one.judgments else {})

    def _cache(self, name: str, sets: Names[str]) -> str:
        if not self._folder.is_dpr:
            return _cache_of(name)
        trivia = _DPR_CACHES[TRIVIA]
        overwritten = name == "dev_query" and TRIVIA not in sets
        if overwritten and trivia in {one.name for one in self._folder.sets}:
            self.warnings.append(
                f"dev_query is read as {trivia}, which ANCE writes over that of NQ"
            )
            return trivia
        return _DPR_CACHES.get(name, f"{name}-query")

    def padding(self, rows: np.ndarray, chunk: np.ndarray) -> np.ndarray | None:
        """Mark the vectors of chunks that begin behind the last token."""
        cache, chunks = self._folder.documents, int(chunk.max(initial=0)) + 1
        if chunks == 1:
            return None
        if cache.width % chunks:
            raise EmbeddingsError(
                f"{cache.path}: documents of {cache.width} tokens do not make {chunks} chunks, as "
                "many as the dump has vectors of each; a dump of another preprocessed folder"
            )
        marks: np.ndarray = chunk * (cache.width // chunks) >= cache.lengths()[rows]
        return marks


class MapNaming:
    """Names by maps of offsets alone: a folder of them, or the map of the documents."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.warnings: list[str] = []

    def documents(self, shards: Shards, rows: np.ndarray) -> list[str]:
        """Ids of the documents by row."""
        found = read_offsets(self._path, "documents")
        shards.check_rows(rows, found.size)
        names, unnamed = found.names(found.size)
        if unnamed:
            self.warnings.append(f"{found.name}: {unnamed} row(s) have no id, called by row (#…)")
        return names

    def queries(self, shards: Shards, rows: np.ndarray, sets: Mapping[str, Shards]) -> NamedSet:
        """Ids of a query set by row; row numbers where no map is of it."""
        cache = _cache_of(shards.name)
        split = _split_name(cache.removesuffix("-query"), sets)
        path = self._map_of(cache, sets)
        if path is not None:
            found = read_offsets(path, "queries")
            shards.check_rows(rows, found.size)
            return NamedSet(found.names(found.size)[0], split)
        self.warnings.append(
            f"no map of ids belongs to {shards.name}: its queries are called by their row"
        )
        shards.check_rows(rows, len(np.unique(rows)))
        return NamedSet(plain_names(int(rows.max(initial=-1)) + 1), split)

    def _map_of(self, cache: str, sets: Mapping[str, Shards]) -> Path | None:
        own = self._own_map(cache)
        if own is None and self._owner(sets) == cache:
            return self._path / QUERY_MAP
        return own

    def _own_map(self, cache: str) -> Path | None:
        """The map under the name of a set, where there is one."""
        names = (f"{cache}_{QUERY_MAP}", f"{cache.removesuffix('-query')}_{QUERY_MAP}")
        return next((path for path in map(self._path.joinpath, names) if path.is_file()), None)

    def _owner(self, sets: Mapping[str, Shards]) -> str | None:
        """The set of the dump that ANCE's one map names, as in a preprocessed folder."""
        path = self._path / QUERY_MAP
        if not path.is_file():
            return None
        queries = {_cache_of(name): one for name, one in sets.items() if name not in DOCUMENT_SETS}
        counts = {
            cache: int(one.open()[1].max(initial=-1)) + 1
            for cache, one in sorted(queries.items())
            if self._own_map(cache) is None
        }
        owner, doubts = owner_of_map(path, counts)
        self.warnings += [line for line in doubts if line not in self.warnings]
        return owner

    def padding(self, rows: np.ndarray, chunk: np.ndarray) -> np.ndarray | None:
        """None: maps do not tell how long documents are."""
        if chunk.max(initial=0) > 0:
            self.warnings.append(
                "which chunks are padding alone only the preprocessed folder tells (--data): "
                "their vectors are taken like others"
            )
        return None


def _cache_of(name: str) -> str:
    """Set of the preprocessed folder that a set of a dump is of; not for DPR."""
    return _CACHES.get(name, f"{name}-query")


def _split_name(prefix: str, sets: Names[str]) -> str:
    if prefix == "real-dev":
        return "dev"
    return "test" if prefix == "dev" and "real-dev_query" in sets else prefix


def naming_for(path: Path, options: DumpOptions, collection: Collection | None) -> Naming:
    """Find out what rows are called: by ``--offsets``, by the collection, by maps beside them.

    Raises
    ------
    EmbeddingsError
        If nothing says it.
    """
    folder = path if path.is_dir() else path.parent
    if options.offsets is not None:
        if is_upstream(options.offsets):
            return FolderNaming(read_folder(options.offsets))
        return MapNaming(options.offsets)
    if collection is not None and collection.preprocessed is not None:
        return FolderNaming(collection.preprocessed)
    with contextlib.suppress(CollectionError):
        find_offsets(folder, "documents")
        return MapNaming(folder)
    raise EmbeddingsError(
        f"{path}: its vectors have row numbers, and nothing says their ids; give the preprocessed "
        "folder with --data or --offsets, or with --offsets a folder of pid2offset.pickle and "
        "qid2offset.pickle"
    )
