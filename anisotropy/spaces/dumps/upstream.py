"""Dumps of ANCE and DANCE: shards of vectors beside shards of the rows they belong to.

``<set>_<step>__emb_p__data_obj_<number>.pb`` holds vectors, ``…__embid_p__…`` the row of each in
the preprocessed folder ("offset"); both are one pickled array, or ``.npy`` in newer ANCE. A number
is the rank of a process (DPR: rank x S + part, with gaps). Sets are ``passage`` (``passages``),
``query`` (training), ``real-dev_query``, ``dev_query``, those of DPR, and prefixes of custom data.
MaxP writes chunk after chunk of a batch: the chunk of a vector is how often its row came before.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from anisotropy.collection.offsets import QUERY_MAP, find_offsets, plain_names, read_offsets
from anisotropy.collection.upstream import is_upstream, read_folder
from anisotropy.errors import CollectionError, EmbeddingsError, UsageError, one_of, told_as
from anisotropy.spaces.dumps.base import DumpOptions, Judged, Vectors, is_unit, space_of
from anisotropy.spaces.rows import as_rows
from anisotropy.spaces.space import Qrels
from anisotropy.untrusted.arrays import open_npy, open_pickled

if TYPE_CHECKING:
    from anisotropy.collection import Collection
    from anisotropy.collection.upstream import UpstreamFolder
    from anisotropy.spaces import EmbeddingSpace

LAYOUT = "upstream"
DOCUMENT_SETS = ("passage", "passages")
TRAINING_SET = "query"
_TRIVIA = "trivia_dev_query"
_FILE = re.compile(
    r"(?P<stem>.*)__(?P<kind>emb|embid)_p__data_obj_(?P<number>\d{1,9})\.(?P<form>pb|npy)"
)
#: Longer names first: ``dev_query_20`` is no set ``query``.
_SETS = ("trivia_real-dev_query", _TRIVIA, "real-dev_query", "dev_query", TRAINING_SET,
         *DOCUMENT_SETS[::-1])  # fmt: skip
#: Set of a dump -> set of the preprocessed folder.
_CACHES = {"query": "train-query", "dev_query": "dev-query", "real-dev_query": "real-dev-query"}
_DPR_CACHES = {
    "query": "train-query",
    "dev_query": "test-query",
    "real-dev_query": "dev-qas-query",
    _TRIVIA: "trivia-test-query",
    "trivia_real-dev_query": "trivia-dev-qas-query",
}
_PREFERRED = ("dev", "test", "train")


@dataclass
class Shards:
    """The files of one set at one step: vectors and rows by number."""

    folder: Path
    name: str
    step: str
    vectors: dict[int, Path] = field(default_factory=dict)
    rows: dict[int, Path] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """The files, for messages."""
        return f"{self.folder}, {self.name}_{self.step}"

    def open(self) -> tuple[Any, np.ndarray]:
        """Vectors, mapped where they lie, and the row of each.

        Raises
        ------
        EmbeddingsError
            If a file is missing or damaged, or counts or sizes disagree.
        """
        self._refuse_missing()
        parts = [self._open(number) for number in sorted(self.vectors)]
        sizes = {vectors.shape[1] for vectors, _ in parts}
        if len(sizes) > 1:
            raise EmbeddingsError(
                f"{self.origin}: vectors of {' and '.join(map(str, sorted(sizes)))} dimensions; "
                "shards of two runs"
            )
        return as_rows([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def _refuse_missing(self) -> None:
        alone = sorted(self.vectors.keys() ^ self.rows.keys())
        if alone:
            there = self.vectors.get(alone[0]) or self.rows[alone[0]]
            kinds = ("emb", "embid") if alone[0] in self.vectors else ("embid", "emb")
            wanted = there.name.replace(f"__{kinds[0]}_p__", f"__{kinds[1]}_p__")
            raise EmbeddingsError(f"{there}: {wanted} is missing, which belongs to it")

    def _open(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        vectors, rows = _array(self.vectors[number]), _array(self.rows[number])
        if vectors.ndim != 2 or vectors.dtype.kind != "f" or not vectors.shape[1]:
            raise EmbeddingsError(
                f"{self.vectors[number]}: {vectors.dtype} of shape {vectors.shape}; needed: "
                "floating-point vectors, (n, dim)"
            )
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            raise EmbeddingsError(
                f"{self.rows[number]}: {rows.dtype} of shape {rows.shape}; needed: whole numbers, "
                "one a vector"
            )
        if len(vectors) != len(rows):
            raise EmbeddingsError(
                f"{self.vectors[number]}: {len(vectors)} vectors; {self.rows[number].name} has "
                f"{len(rows)} rows: files of two runs, or one is cut off"
            )
        return vectors, np.asarray(rows).astype(np.int64)

    def complete(self, rows: np.ndarray, n: int) -> None:
        """Refuse rows beyond n, and rows below n that no shard has.

        Raises
        ------
        EmbeddingsError
            Naming a row and the numbers of the shards.
        """
        if rows.min(initial=0) < 0 or rows.max(initial=0) >= n:
            wrong = int(rows.min() if rows.min() < 0 else rows.max())
            raise EmbeddingsError(
                f"{self.origin}: has a vector for row {wrong}, but the rows that have ids are 0 "
                f"to {n - 1}: a dump of another preprocessed folder"
            )
        counts = np.bincount(rows, minlength=n)
        missing = np.flatnonzero(counts == 0)
        if missing.size:
            raise EmbeddingsError(
                f"{self.origin}: {missing.size} of {n} rows are in no shard (such as row "
                f"{missing[0]}); shards there are: {', '.join(map(str, sorted(self.rows)))}; one "
                "is missing, or the dump is of another folder"
            )
        if len(set(counts.tolist())) > 1:
            few, many = int(counts.argmin()), int(counts.argmax())
            raise EmbeddingsError(
                f"{self.origin}: row {few} has {counts[few]} vector(s), row {many} has "
                f"{counts[many]}; needed: as many for each"
            )


def _array(path: Path) -> np.ndarray:
    with told_as(EmbeddingsError):
        found = open_npy(path) if path.suffix == ".npy" else open_pickled(path)
    if not isinstance(found, np.ndarray):
        raise EmbeddingsError(f"{path}: holds a {type(found).__name__}; needed: one array")
    return found


def find(path: Path) -> bool:
    """Tell whether a folder holds such a dump, or a file is of one; never raises."""
    with contextlib.suppress(OSError, ValueError):
        if path.is_dir():
            return any(_FILE.fullmatch(one.name) for one in path.iterdir())
        return path.is_file() and _FILE.fullmatch(path.name) is not None
    return False


def steps(path: Path) -> dict[str, Path]:
    """Steps of the dumps in a folder, numbers first and ascending: a file that names each."""
    found: dict[str, Path] = {}
    for shards in _shards(path):
        first = shards.vectors or shards.rows
        if shards.step not in found or shards.name in DOCUMENT_SETS:
            found[shards.step] = first[min(first)]
    return {step: found[step] for step in sorted(found, key=_numeric)}


def _numeric(step: str) -> tuple[int, int, str]:
    return (0, int(step), "") if step.isdecimal() and len(step) < 19 else (1, 0, step)


def _shards(folder: Path) -> list[Shards]:
    """The sets of a folder, or of the folder of a file."""
    folder = folder if folder.is_dir() else folder.parent
    try:
        files = sorted(one for one in folder.iterdir() if one.is_file())
    except OSError as error:
        raise EmbeddingsError(f"{folder}: cannot be listed ({error.strerror})") from None
    matches = [(one, match) for one in files if (match := _FILE.fullmatch(one.name))]
    known = {_split(match["stem"])[1] for _, match in matches
             if _split(match["stem"])[0] in DOCUMENT_SETS}  # fmt: skip
    found: dict[tuple[str, str], Shards] = {}
    for path, match in matches:
        name, step = _split(match["stem"], known)
        shards = found.setdefault((name, step), Shards(folder, name, step))
        files_of = shards.vectors if match["kind"] == "emb" else shards.rows
        number = int(match["number"])
        if number in files_of:
            raise EmbeddingsError(
                f"{folder}: holds both {files_of[number].name} and {path.name}; keep one"
            )
        files_of[number] = path
    return list(found.values())


def _split(stem: str, steps: Sequence[str] | set[str] = ()) -> tuple[str, str]:
    """Set and step of the beginning of a file's name.

    A step may hold anything, so those of the documents are tried first.
    """
    for step in sorted(steps, key=len, reverse=True):
        if stem.endswith(f"_{step}"):
            return stem[: len(stem) - len(step) - 1], step
    for name in _SETS:
        if stem.startswith(f"{name}_"):
            return name, stem[len(name) + 1 :]
    name, _, step = stem.rpartition("_")
    return name, step


class Names(Protocol):
    """What the rows of a dump are called."""

    origin: str
    warnings: list[str]

    def documents(self, rows: np.ndarray) -> list[str]:
        """Ids of all rows of the documents."""
        ...

    def queries(self, name: str, rows: np.ndarray, sets: Sequence[str]) -> NamedSet:
        """Ids of all rows of a query set, and the split it is."""
        ...

    def padding(self, rows: np.ndarray, chunk: np.ndarray) -> np.ndarray | None:
        """Which vectors stand for padding alone; None where it is not known."""
        ...


@dataclass(frozen=True)
class NamedSet:
    """Ids of the rows of a query set, its split, and its judgments where they are known."""

    ids: list[str]
    split: str
    qrels: Qrels = field(default_factory=dict)


class FolderNames:
    """Names from a whole preprocessed folder, which has counts, lengths and judgments too."""

    def __init__(self, folder: UpstreamFolder) -> None:
        self._folder = folder
        self.origin = str(folder.folder)
        self.warnings = list(folder.warnings)

    def documents(self, rows: np.ndarray) -> list[str]:
        """Ids of all rows of the documents."""
        return self._folder.doc_ids

    def queries(self, name: str, rows: np.ndarray, sets: Sequence[str]) -> NamedSet:
        """Ids of all rows of a query set, the split it is and its judgments."""
        wanted = self._cache(name, sets)
        known = {one.name: one for one in self._folder.sets}
        if wanted not in known:
            raise EmbeddingsError(
                f"{self.origin}: has no {wanted}, the queries of the dump's set {name}; it has "
                f"{', '.join(known)}"
            )
        one = known[wanted]
        return NamedSet(one.ids, one.split, one.judgments.qrels if one.judgments else {})

    def _cache(self, name: str, sets: Sequence[str]) -> str:
        if not self._folder.is_dpr:
            return _CACHES.get(name, f"{name}-query")
        known = {one.name for one in self._folder.sets}
        if name == "dev_query" and _TRIVIA not in sets and _DPR_CACHES[_TRIVIA] in known:
            self.warnings.append(
                f"dev_query is read as {_DPR_CACHES[_TRIVIA]}: ANCE writes it over {name} of NQ"
            )
            return _DPR_CACHES[_TRIVIA]
        return _DPR_CACHES.get(name, f"{name}-query")

    def padding(self, rows: np.ndarray, chunk: np.ndarray) -> np.ndarray | None:
        """Mark vectors of chunks that begin behind the last token."""
        cache, chunks = self._folder.documents, int(chunk.max()) + 1
        if chunks == 1:
            return None
        if cache.width % chunks:
            raise EmbeddingsError(
                f"{self.origin}: documents of {cache.width} tokens are not {chunks} chunks, as "
                "the dump has vectors of each; a dump of another preprocessed folder"
            )
        marks: np.ndarray = chunk * (cache.width // chunks) >= cache.lengths()[rows]
        return marks


class MapNames:
    """Names from maps of offsets alone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.origin = str(path)
        self.warnings: list[str] = []

    def documents(self, rows: np.ndarray) -> list[str]:
        """Ids of all rows of the documents."""
        found = read_offsets(self._path, "documents")
        names, unnamed = found.names(len(np.unique(rows)))
        if unnamed:
            self.warnings.append(f"{unnamed} document(s) without an id are called by their row")
        return names

    def queries(self, name: str, rows: np.ndarray, sets: Sequence[str]) -> NamedSet:
        """Ids of all rows of a query set; their numbers where no map is of them."""
        n, cache = len(np.unique(rows)), _CACHES.get(name, f"{name}-query")
        split = cache.removesuffix("-query")
        split = {"real-dev": "dev", "dev": "test" if "real-dev_query" in sets else "dev"}.get(
            split, split
        )
        for file in (f"{cache}_{QUERY_MAP}", f"{cache.removesuffix('-query')}_{QUERY_MAP}"):
            if (self._path / file).is_file():
                return NamedSet(read_offsets(self._path / file, "queries").names(n)[0], split)
        shared = self._path / QUERY_MAP
        if shared.is_file() and (found := read_offsets(shared, "queries")).size == n:
            self.warnings.append(
                f"{QUERY_MAP} is taken for the map of {name}: it has as many rows"
            )
            return NamedSet(found.names(n)[0], split)
        self.warnings.append(f"no map of ids belongs to {name}: its queries are called by row")
        return NamedSet(plain_names(n), split)

    def padding(self, rows: np.ndarray, chunk: np.ndarray) -> np.ndarray | None:
        """None: maps do not tell the lengths of documents."""
        if chunk.max() > 0:
            self.warnings.append(
                "which chunks are padding alone is not known without the preprocessed folder: "
                "their vectors are taken like others"
            )
        return None


def names_for(path: Path, options: DumpOptions, collection: Collection | None) -> Names:
    """Find out what rows of a dump are called: by option, by the collection, beside the dump.

    Raises
    ------
    EmbeddingsError
        If nothing says it.
    """
    folder = path if path.is_dir() else path.parent
    if options.offsets is not None:
        if is_upstream(options.offsets):
            return FolderNames(read_folder(options.offsets))
        return MapNames(options.offsets)
    if collection is not None and collection.preprocessed is not None:
        return FolderNames(collection.preprocessed)
    with contextlib.suppress(CollectionError):
        find_offsets(folder, "documents")
        return MapNames(folder)
    raise EmbeddingsError(
        f"{path}: vectors of rows, whose ids nothing tells; give the preprocessed folder with "
        "--data, or a folder that holds pid2offset.pickle and qid2offset.pickle with --offsets"
    )


def open_dump(
    path: Path,
    options: DumpOptions | None = None,
    *,
    collection: Collection | None = None,
    split: str | None = None,
    label: str = "",
) -> EmbeddingSpace:
    """Open a dump of ANCE or DANCE as a space.

    Parameters
    ----------
    path
        The folder; one of several steps is named by any of its files.
    options
        Where ids and judgments are.
    collection
        A preprocessed folder, which names rows; or texts of the same ids, with ``options.offsets``.
    split
        The split to evaluate; None takes that of the collection, else dev, test or the only one.
    label
        Name in tables.

    Raises
    ------
    EmbeddingsError
        If a shard is missing or damaged, counts disagree, or nothing says what rows stand for.
    UsageError
        If the folder holds dumps of several steps, or no queries of the split.
    """
    options = options or DumpOptions()
    sets, step = _chosen_step(path)
    names = names_for(path, options, collection)
    documents = next((one for one in sets.values() if one.name in DOCUMENT_SETS), None)
    opened = {
        name: _open_queries(one, names, list(sets))
        for name, one in sets.items()
        if name not in DOCUMENT_SETS
    }
    document_vectors = _open_documents(documents, names) if documents else None
    by_split = {named.split: (vectors, named) for vectors, named in opened.values()}
    wanted = split or (collection.split if collection is not None and opened else None)
    chosen = _choose(path, by_split, wanted) if by_split else None
    queries, named = by_split[chosen] if chosen is not None else (None, None)
    pool = by_split.get("train") if chosen != "train" else None
    space = space_of(
        queries,
        document_vectors,
        label=label or path.name,
        judged=Judged(
            named.qrels if named else {},
            pool[0] if pool else None,
            pool[1].qrels if pool else {},
        ),
        options=options,
        recipe=_recipe([one for one in (queries, document_vectors) if one], options),
        step=int(step) if step.isdecimal() and len(step) < 19 else None,
    )
    _attach(space, collection, chosen)
    return space


def _chosen_step(path: Path) -> tuple[dict[str, Shards], str]:
    """The sets of the one step there is, or of the step that a file names."""
    every = _shards(path)
    found = {one.step for one in every}
    if not path.is_dir():
        found = {one.step for one in every if path in (*one.vectors.values(), *one.rows.values())}
    if len(found) != 1:
        named = steps(path)
        raise UsageError(
            f"{path}: dumps of {len(named)} steps ({', '.join(named)}); name one by a file of it, "
            f"such as {next(iter(named.values()))}"
        )
    step = found.pop()
    return {one.name: one for one in every if one.step == step}, step


def _open_queries(shards: Shards, names: Names, sets: Sequence[str]) -> tuple[Vectors, NamedSet]:
    vectors, rows = shards.open()
    named = names.queries(shards.name, rows, sets)
    shards.complete(rows, len(named.ids))
    if len(rows) > len(named.ids):
        raise EmbeddingsError(f"{shards.origin}: {len(rows)} vectors for {len(named.ids)} queries")
    ids = [named.ids[row] for row in rows.tolist()]
    return Vectors(shards.origin, vectors, ids, layout=LAYOUT), named


def _open_documents(shards: Shards, names: Names) -> Vectors:
    vectors, rows = shards.open()
    ids = names.documents(rows)
    shards.complete(rows, len(ids))
    padding = names.padding(rows, chunk_numbers(rows))
    return Vectors(
        shards.origin,
        vectors,
        [ids[row] for row in rows.tolist()],
        padding=padding,
        layout=LAYOUT,
        warnings=tuple(dict.fromkeys(names.warnings)),
    )


def chunk_numbers(rows: np.ndarray) -> np.ndarray:
    """Chunk of each vector: how often its row came before.

    Parameters
    ----------
    rows
        Shape (n,), the row of each vector, in the order of the files.

    Returns
    -------
    numpy.ndarray of shape (n,), int64
    """
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    first = np.searchsorted(ordered, ordered, side="left")
    found = np.empty(len(rows), dtype=np.int64)
    found[order] = np.arange(len(rows)) - first
    return found


def _choose(path: Path, splits: dict[str, Any], wanted: str | None) -> str:
    if wanted is not None and wanted not in splits:
        raise UsageError(f"{path}: --split: {one_of(wanted, splits)}, which the dump has")
    return wanted or next(iter([*(one for one in _PREFERRED if one in splits), *splits]))


def _recipe(sides: Sequence[Vectors], options: DumpOptions) -> dict[str, Any]:
    """Inner product as upstream searches; whether L2 was on, by the lengths of the vectors."""
    unit = all(map(is_unit, sides))
    lengths = "unit length: L2 was on" if unit else "other lengths than 1: L2 was off"
    given = options.similarity is not None
    return {
        "name": "upstream dump",
        "layout": LAYOUT,
        "normalize": unit,
        "similarity": options.similarity or "dot",
        "temperature": 1.0,
        "sources": {
            "normalize": f"its vectors have {lengths}",
            "similarity": "option --similarity" if given else "upstream searches by inner product",
        },
        "doubts": [],
    }


def _attach(space: EmbeddingSpace, collection: Collection | None, split: str | None) -> None:
    """Say what was encoded, where the collection is that of the dump and of this split."""
    if collection is None or collection.split != split:
        return
    for one in filter(None, (space, space.training)):
        one.collection = collection
        one.collection_info = {
            "name": collection.name,
            "note": collection.note,
            "split": collection.split,
            "fingerprint": collection.fingerprint,
        }
