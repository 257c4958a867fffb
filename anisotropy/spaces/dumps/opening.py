"""From the files of a dump to its space: which layout, which side, which judgments."""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from anisotropy.errors import EmbeddingsError, InputError, UsageError, told_as
from anisotropy.spaces.dumps import upstream
from anisotropy.spaces.dumps.base import DumpOptions, Judged, Vectors, space_of
from anisotropy.spaces.dumps.found import in_chunk_order, with_ids
from anisotropy.spaces.dumps.naming import Side, is_companion
from anisotropy.spaces.rows import as_rows
from anisotropy.spaces.space import EmbeddingSpace

if TYPE_CHECKING:
    from anisotropy.collection import Collection

#: Modules of this package, the most particular first; each has ``find(path)`` and
#: ``read(path, options)``.
LAYOUTS: tuple[str, ...] = (
    "flex",
    "mteb",
    "faiss_index",
    "arrow_files",
    "numpy_files",
    "tensor_files",
    "jsonl",
    "pickled",
)
#: What a file of a side is called, in a folder that holds both.
_NAMES: dict[Side, re.Pattern[str]] = {
    "queries": re.compile(r"(queries|query|topics)(?![a-z])", re.IGNORECASE),
    "documents": re.compile(r"(documents?|docs?|corpus|passages?)(?![a-z])", re.IGNORECASE),
    "training": re.compile(r"training[-_]queries(?![a-z])"),  # as convert calls them
}


#: What shards are called in a folder that holds nothing else.
_SHARD = re.compile(
    r"(embeddings?|embs?|vectors?|vecs?|part|shard|data|train|encoded)?[-_.]?[\d_.-]*(of[-_]\d+)?"
    r"\.(npy|npz|parquet|arrow|jsonl|pkl|pt|safetensors)",
    re.IGNORECASE,
)


#: What shards of a side have all or none of, as a message calls it.
_SAID = {"ids": "ids", "chunks": "chunk numbers", "padding": "marks on padding"}


class Layout(Protocol):
    """A module that reads one layout."""

    def find(self, path: Path) -> bool:
        """Whether a file or folder has this layout, by its content."""

    def read(self, path: Path, options: DumpOptions, side: Side) -> Vectors:
        """The vectors of a side in it; of most layouts there is only one."""


#: A path and its layout.
_Known = tuple[Path, Layout]


@cache
def _layouts() -> list[Layout]:
    return [
        cast(Layout, importlib.import_module(f"anisotropy.spaces.dumps.{name}"))
        for name in LAYOUTS
    ]


def layout_of(path: Path) -> Layout | None:
    """The layout of a file or folder with the vectors of one side."""
    return next((one for one in _layouts() if one.find(path)), None)


def is_dump(path: Path) -> bool:
    """Whether a path is a dump of vectors: of one side, or a folder that holds both."""
    if not path.exists():
        return False
    return upstream.find(path) or layout_of(path) is not None or bool(_sides_in(path))


def _sides_in(folder: Path) -> dict[Side, list[_Known]]:
    """Files and folders of vectors by the side that their names say; shards in numeric order."""
    if not folder.is_dir():
        return {}
    found: dict[Side, list[_Known]] = {}
    for path in sorted(folder.iterdir(), key=_numeric):
        side = side_of(path.name)
        if side is not None and not is_companion(path):
            found.setdefault(side, []).extend(_known([path]))
    found = {side: files for side, files in found.items() if files}
    return found or _shards_in(folder)


def _known(paths: Sequence[Path]) -> list[_Known]:
    """Those paths that have a layout, with it: finding one out may take reading much of a file."""
    asked = [(path, layout_of(path)) for path in paths]
    return [(path, layout) for path, layout in asked if layout is not None]


def _shards_in(folder: Path) -> dict[Side, list[_Known]]:
    """The one kind of file with vectors in a folder, called like shards: documents."""
    named = [path for path in folder.iterdir() if _SHARD.fullmatch(path.name)]
    shards = _known(sorted(named, key=_numeric))
    alike = len({path.suffix for path, _ in shards}) == 1
    return {"documents": shards} if alike else {}


def side_of(name: str) -> Side | None:
    """Which vectors a file has, where the beginning of its name says it."""
    return next((side for side, pattern in _NAMES.items() if pattern.match(name)), None)


def _numeric(path: Path) -> list[Any]:
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.name)]


def open_dump(
    path: Path,
    options: DumpOptions | None = None,
    *,
    collection: Collection | None = None,
    label: str = "",
) -> EmbeddingSpace:
    """Open a dump as a space; nothing is encoded, and large files stay on disk.

    Parameters
    ----------
    path
        A file or folder of one of the layouts, or a folder with files of both sides, called
        ``queries…`` and ``documents…`` (``corpus…``, ``passages…``).
    options
        What its files do not say.
    collection
        Where judgments and texts come from, by the ids of the dump. Without one, judgments are
        read from ``qrels.tsv`` in the folder, ``X.qrels.tsv`` beside a file ``X.npz``.
    label
        Name in tables; default: of the file.

    Raises
    ------
    EmbeddingsError
        If it cannot be read, or ids and vectors do not fit; the message names the file.
    CollectionError
        If judgments cannot be read.
    UsageError
        If an option is given that says nothing of such a dump.
    """
    options = options or DumpOptions()
    if upstream.find(path):  # both sides and the training queries
        unused = ("queries", "ids", "query_ids", "scale", "field")
        _refuse_unused(path, options, unused, "not for dumps of ANCE and DANCE")
        return upstream.open_space(path, options, collection=collection, label=label)
    of_upstream = ("offsets",) if collection is not None else ("offsets", "split")
    _refuse_unused(path, options, of_upstream, "for dumps of ANCE and DANCE, which this is not")
    with told_as(EmbeddingsError):
        sides = _sides(path, options)
    queries, documents = sides.get("queries"), sides.get("documents")
    both = queries is not None and documents is not None
    origin = f"--data {collection.name}" if collection is not None and both else ""
    judged = Judged(
        _judgments(options, collection, path),
        training=sides.get("training") if documents is not None else None,
        training_qrels=_beside(path, "training-qrels"),
        origin="" if options.qrels is not None else origin,
    )
    about: dict[str, Any] = {}
    if collection is not None:
        about = {
            "collection": collection if documents is not None else None,
            "collection_info": {
                "name": collection.name,
                "note": collection.note,
                "split": collection.split,
            },
        }
        queries = _with_texts(queries, collection)
    space = space_of(
        queries, documents, label=label or path.stem, judged=judged, options=options, **about
    )
    if queries is None:
        space.warnings.append(
            f"{path}: documents alone; --queries FILE adds queries, as many measures need"
        )
    return space


def _refuse_unused(path: Path, options: DumpOptions, names: Sequence[str], reason: str) -> None:
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(options, name) is not None]
    if given:
        raise UsageError(f"{path}: {', '.join(given)}: {reason}; leave out")


def _sides(path: Path, options: DumpOptions) -> dict[Side, Vectors]:
    layout = layout_of(path)
    inside = {} if layout is not None else _sides_in(path)
    sides: dict[Side, Vectors]
    if inside:
        sides = {side: _joined(files, options, side) for side, files in inside.items()}
    elif layout is not None and (named := _named_sides(layout, path)):
        sides = {side: layout.read(path, options, side) for side in named}
    else:
        # a name that says queries, but used for documents
        side = None if options.queries is not None else side_of(path.name)
        side = "queries" if side == "training" else side  # alone they are nobody's pool
        sides = {side or "documents": _read(path, layout, options, side or "documents")}
    if options.queries is not None:
        sides["queries"] = read_vectors(options.queries, options, "queries")
    given: dict[Side, Path | None] = {"documents": options.ids, "queries": options.query_ids}
    if "queries" not in sides:
        _refuse_unused(path, options, ["query_ids"], "for queries, of which it has none")
    if set(sides) == {"queries"}:
        if options.query_ids is not None:
            _refuse_unused(path, options, ["ids"], "for documents, of which it has none")
        given["queries"] = options.query_ids or options.ids
    return {side: _named(vectors, given.get(side)) for side, vectors in sides.items()}


def _named(vectors: Vectors, path: Path | None) -> Vectors:
    """With the ids that were given, then in order: what is said of shards concerns all of them."""
    return in_chunk_order(vectors if path is None else with_ids(vectors, path))


def _named_sides(layout: Layout, path: Path) -> tuple[Side, ...]:
    """The sides in one file, where it has several under names that say so."""
    asked = getattr(layout, "sides_in", None)
    return () if asked is None else asked(path)


def read_vectors(path: Path, options: DumpOptions, side: Side = "documents") -> Vectors:
    """Vectors of one side from a file or folder of any layout.

    Raises
    ------
    InputError
        If there is none, or it cannot be read.
    """
    return _read(path, layout_of(path), options, side)


def _read(path: Path, layout: Layout | None, options: DumpOptions, side: Side) -> Vectors:
    if layout is None:
        state = "no vectors of a known layout" if path.exists() else "no such file or folder"
        raise InputError(f"{path}: {state}; docs/layouts.md lists what is read")
    return layout.read(path, options, side)


def _joined(files: Sequence[_Known], options: DumpOptions, side: Side) -> Vectors:
    """One side from its shards."""
    paths = [path for path, _ in files]
    parts = [layout.read(path, options, side) for path, layout in files]
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    for path, part in zip(paths, parts, strict=True):
        if _kind_of(part) != _kind_of(first):
            raise InputError(
                f"{path}: {_kind_of(part)}; {paths[0].name} has {_kind_of(first)}: shards of one "
                "side must agree"
            )
    for name in ("ids", "chunks", "padding"):
        stated = [getattr(part, name) is not None for part in parts]
        if any(stated) and not all(stated):
            path, said = paths[stated.index(False)], _SAID[name]
            raise InputError(f"{path}: has no {said}, though other shards of its side have")
    return Vectors(
        str(paths[0].parent),
        as_rows([part.rows for part in parts]),
        _concatenated([part.ids for part in parts]),
        _concatenated([part.texts for part in parts]),
        first.similarity,
        layout=first.layout,
        warnings=tuple(line for part in parts for line in part.warnings),
        padding=_stacked([part.padding for part in parts]),
        repeated=all(part.repeated for part in parts),
        chunks=_stacked([part.chunks for part in parts]),
        each=first.each,
        named_by=", ".join(dict.fromkeys(part.named_by for part in parts if part.named_by)),
    )


def _kind_of(part: Vectors) -> str:
    several = f", {part.each} vectors a document" if part.each > 1 else ""
    return f"{part.layout}, {part.rows.shape[1]} dimensions, {part.rows.dtype}{several}"


def _stacked(arrays: Sequence[np.ndarray | None]) -> np.ndarray | None:
    known = [one for one in arrays if one is not None]
    return np.concatenate(known) if known else None


def _concatenated(lists: Sequence[list[str] | None]) -> list[str] | None:
    known = [one for one in lists if one is not None]
    return [item for one in known for item in one] if len(known) == len(lists) else None


def _judgments(
    options: DumpOptions, collection: Collection | None, path: Path
) -> Mapping[str, Mapping[str, int]]:
    if options.qrels is not None:
        return _read_judgments(options.qrels)
    return collection.qrels() if collection is not None else _beside(path, "qrels")


def _beside(path: Path, name: str) -> Mapping[str, Mapping[str, int]]:
    """Judgments in the folder of a dump, or beside its file; none where there are none."""
    own = path / f"{name}.tsv" if path.is_dir() else path.with_name(f"{path.stem}.{name}.tsv")
    return _read_judgments(own) if own.is_file() else {}


def _read_judgments(path: Path) -> Mapping[str, Mapping[str, int]]:
    from anisotropy.collection.judgments import read_judgments

    return read_judgments(path).qrels


def _with_texts(queries: Vectors | None, collection: Collection) -> Vectors | None:
    """Query texts of the collection, where it knows every query of the dump."""
    if queries is None or queries.texts is not None or queries.ids is None:
        return queries
    known = {query.query_id: query.text for query in collection.queries()}
    if not all(name in known for name in queries.ids):
        return queries
    return dataclasses.replace(queries, texts=[known[name] for name in queries.ids])
