"""The store: embeddings on disk, whole or visibly unfinished.

``manifest.json`` is written last. Until then the folder holds ``unfinished.json``, which says
what is being written, and the shards that are whole; a writer with the same plan goes on after
the last whole shard, and the bytes are those of an uninterrupted run.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anisotropy.errors import InputError, StoreError
from anisotropy.files import fingerprint, read_json, replacing, sha256_file, write_json, write_text
from anisotropy.spaces.rows import as_rows
from anisotropy.spaces.space import EmbeddingSpace, Qrels

if TYPE_CHECKING:
    from anisotropy.collection import Collection

FORMAT = "anisotropy.store/1"
MANIFEST = "manifest.json"
UNFINISHED = "unfinished.json"
#: Folder of each side; training queries and their judgments are the pool of negatives.
SIDES = ("queries", "documents", "training-queries")
#: Rows a shard of a space that is saved.
SHARD_ROWS = 2**16
_VERSIONED = ("anisotropy", "numpy", "torch", "transformers", "sentence-transformers")


def versions(names: Sequence[str] = _VERSIONED) -> dict[str, str]:
    """Installed versions of packages, without importing them."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True)
class StoreHeader:
    """What a store is of: the part of the manifest that is known before encoding.

    Attributes
    ----------
    recipe, checkpoint, collection
        As in the manifest: the recipe with its sources; label, fingerprint and step of the
        checkpoint; name, note, split and fingerprint of the collection.
    documents
        ``all``, or how many were drawn, as text.
    dim, dtype
        Of the stored rows.
    identity
        What decides the vectors, and nothing else (no label, no source of a recipe part): an
        unfinished store is continued by whoever has the same identity.
    """

    recipe: Mapping[str, Any]
    checkpoint: Mapping[str, Any]
    collection: Mapping[str, Any]
    documents: str
    dim: int
    dtype: str
    identity: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The header as it stands in the manifest."""
        return {
            "recipe": dict(self.recipe),
            "checkpoint": dict(self.checkpoint),
            "collection": dict(self.collection),
            "documents": self.documents,
            "dim": self.dim,
            "dtype": self.dtype,
        }


class StoreWriter:
    """Writes one store shard by shard.

    Parameters
    ----------
    folder
        Where the store goes. An unfinished one with the same header is continued; a finished
        one, or any other folder with files in it, is refused.
    header
        What the store is of.

    Raises
    ------
    StoreError
        If the folder is in use for something else.
    """

    def __init__(self, folder: Path, header: StoreHeader) -> None:
        self.folder = folder
        self.header = header
        self._sides: dict[str, dict[str, Any]] = {}
        self._start()

    def _start(self) -> None:
        header = self.header
        identity = header.identity or fingerprint(header.as_dict())
        plan = {"format": FORMAT, "unfinished": fingerprint(identity, header.dim, header.dtype)}
        mark = self.folder / UNFINISHED
        if mark.exists():
            if read_json(mark) != plan:
                raise StoreError(
                    f"{self.folder}: holds an unfinished store of something else; "
                    "remove it or choose another folder"
                )
        else:
            check_target(self.folder)
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(mark, plan)

    def shard_path(self, side: str, number: int) -> Path:
        """Path of a shard of a side."""
        return self.folder / side / f"embeddings-{number:05d}.npy"

    def has_shard(self, side: str, number: int, rows: int) -> bool:
        """Whether a whole shard of `rows` rows is there already."""
        path = self.shard_path(side, number)
        try:
            return bool(_open_array(path).shape == (rows, self.header.dim))
        except StoreError:
            return False

    def write_shard(self, side: str, number: int, rows: np.ndarray) -> None:
        """Write one shard; it appears under its name only when it is whole on disk."""
        if not np.isfinite(rows).all():
            raise StoreError(
                f"{self.folder}: encoding gave NaN or infinite values in {side} shard {number}; "
                "check the weights, or encode with --dtype float32"
            )
        stored = rows.astype(self.header.dtype)
        if not np.isfinite(stored).all():
            raise StoreError(
                f"{self.folder}: {side} shard {number} does not fit into {self.header.dtype}; "
                "store float32"
            )
        _save_array(self.shard_path(side, number), stored)

    def finish_side(
        self,
        side: str,
        ids: Sequence[str],
        shards: int,
        chunks: np.ndarray | None = None,
        padding: np.ndarray | None = None,
    ) -> None:
        """Write the ids of a side, one a row, and take down its shards for the manifest."""
        folder = self.folder / side
        _check_ids(ids, side)
        write_text(folder / "ids.txt", "".join(f"{name}\n" for name in ids))
        entry: dict[str, Any] = {"count": len(dict.fromkeys(ids)), "rows": len(ids)}
        entry["shards"] = [self._shard_entry(side, number) for number in range(shards)]
        entry["ids"] = _file_entry(folder / "ids.txt")
        for name, array in (("chunks", chunks), ("padding", padding)):
            if array is not None:
                _save_array(folder / f"{name}.npy", array)
                entry[name] = _file_entry(folder / f"{name}.npy")
        self._sides[side] = entry

    def _shard_entry(self, side: str, number: int) -> dict[str, Any]:
        path = self.shard_path(side, number)
        return {**_file_entry(path), "rows": int(_open_array(path).shape[0])}

    def finish(self, qrels: Qrels, training_qrels: Qrels | None = None) -> None:
        """Write judgments, then the manifest: now the store is whole."""
        manifest: dict[str, Any] = {"format": FORMAT, **self.header.as_dict()}
        manifest["sides"] = self._sides
        for name, judgments in (("qrels", qrels), ("training-qrels", training_qrels)):
            if judgments is not None:
                _write_qrels(self.folder / f"{name}.tsv", judgments)
                manifest[name] = _file_entry(self.folder / f"{name}.tsv")
        manifest["versions"] = versions()
        write_json(self.folder / MANIFEST, manifest)
        (self.folder / UNFINISHED).unlink(missing_ok=True)


def check_target(folder: Path) -> None:
    """Refuse a place where no store can be begun or continued.

    Raises
    ------
    StoreError
        If it is a file, or a folder with a finished store or other files.
    """
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder}: is a file; choose a folder for the store")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / UNFINISHED).exists():
        kind = "a finished store" if is_store(folder) else "other files"
        raise StoreError(f"{folder}: already holds {kind}; choose another folder")


def is_store(folder: Path) -> bool:
    """Whether a folder is a store, finished or not."""
    for name in (MANIFEST, UNFINISHED):
        if (folder / name).is_file():
            try:
                content = read_json(folder / name)
            except InputError:
                return True
            return isinstance(content, dict) and content.get("format") == FORMAT
    return False


def open_store(
    folder: str | Path, *, verify: bool = False, collection: Collection | None = None
) -> EmbeddingSpace:
    """Open a store as a space; vectors stay on disk, memory-mapped.

    Parameters
    ----------
    folder
        A finished store.
    verify
        Also compare every file's SHA-256 with the manifest. Sizes and counts always are.
    collection
        Where texts can be looked up.

    Raises
    ------
    StoreError
        Naming the file that is missing, cut short, swapped or of another format.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    try:
        return _open(folder, manifest, verify, collection)
    except (KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{folder / MANIFEST}: entry {error} is missing or malformed") from None


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a finished store."""
    if (folder / UNFINISHED).exists() and not (folder / MANIFEST).exists():
        raise StoreError(f"{folder}: unfinished; run the same encode again to finish it")
    content = read_json(folder / MANIFEST)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise StoreError(f"{folder / MANIFEST}: not a store of format {FORMAT!r}")
    return content


def _open(
    folder: Path, manifest: dict[str, Any], verify: bool, collection: Collection | None
) -> EmbeddingSpace:
    sides = {side: _Side(folder, side, manifest, verify) for side in manifest["sides"]}
    for name in ("qrels", "training-qrels"):
        if name in manifest:
            _check_file(folder / f"{name}.tsv", manifest[name], verify)
    documents = sides["documents"]
    recipe, checkpoint = manifest["recipe"], manifest["checkpoint"]
    shared: dict[str, Any] = {
        "doc_ids": documents.unique_ids,
        "similarity": recipe["similarity"],
        "temperature": recipe["temperature"],
        "document_of_row": documents.item_of_row,
        "padding": documents.array("padding"),
        "recipe": recipe,
        "fingerprint": checkpoint["fingerprint"],
        "step": checkpoint.get("step"),
        "label": checkpoint["label"],
        "collection": collection,
        "collection_info": {**manifest["collection"], "documents_option": manifest["documents"]},
    }
    training = None
    if "training-queries" in sides:
        pool = sides["training-queries"]
        training = EmbeddingSpace(
            pool.rows,
            documents.rows,
            query_ids=pool.ids,
            qrels=_read_qrels(folder / "training-qrels.tsv"),
            **shared,
        )
    return EmbeddingSpace(
        sides["queries"].rows,
        documents.rows,
        query_ids=sides["queries"].ids,
        qrels=_read_qrels(folder / "qrels.tsv"),
        training=training,
        **shared,
    )


class _Side:
    """The files of one side, checked against the manifest."""

    def __init__(self, folder: Path, side: str, manifest: dict[str, Any], verify: bool) -> None:
        if side not in SIDES:
            raise StoreError(f"{folder / MANIFEST}: unknown side {side!r}")
        self._folder = folder / side
        self._entry = manifest["sides"][side]
        self._verify = verify
        shape = (manifest["dim"], manifest["dtype"])
        self.rows = as_rows([self._shard(e, *shape) for e in self._entry["shards"]])
        self.ids = self._read_ids()
        if len(self.rows) != self._entry["rows"]:
            raise StoreError(
                f"{self._folder}: {len(self.rows)} rows in the shards, "
                f"{self._entry['rows']} in {MANIFEST}"
            )

    @property
    def unique_ids(self) -> list[str]:
        return list(dict.fromkeys(self.ids))

    @property
    def item_of_row(self) -> np.ndarray | None:
        if "chunks" not in self._entry:
            return None
        chunks = self.array("chunks")
        if chunks is None or len(chunks) != len(self.ids):
            raise StoreError(f"{self._folder / 'chunks.npy'}: not one entry a row")
        return np.cumsum(chunks == 0) - 1

    def array(self, name: str) -> np.ndarray | None:
        if name not in self._entry:
            return None
        path = self._folder / f"{name}.npy"
        _check_file(path, self._entry[name], self._verify)
        return np.asarray(_open_array(path))

    def _shard(self, entry: dict[str, Any], dim: int, dtype: str) -> np.ndarray:
        path = self._folder / Path(entry["file"]).name
        _check_file(path, entry, self._verify)
        array = _open_array(path)
        if array.shape != (entry["rows"], dim) or array.dtype != np.dtype(dtype):
            raise StoreError(
                f"{path}: holds {array.dtype} {array.shape}; {MANIFEST} says {dtype} "
                f"({entry['rows']}, {dim}): encode again or restore the file"
            )
        return array

    def _read_ids(self) -> list[str]:
        path = self._folder / "ids.txt"
        _check_file(path, self._entry["ids"], self._verify)
        ids = path.read_text(encoding="utf-8").split("\n")[:-1]
        if len(ids) != self._entry["rows"]:
            raise StoreError(f"{path}: {len(ids)} ids for {self._entry['rows']} rows")
        return ids


def save_space(space: EmbeddingSpace, folder: str | Path) -> None:
    """Write a space as a store, a shard in memory at a time.

    Raises
    ------
    StoreError
        If the folder already holds something.
    """
    recipe = {"similarity": space.similarity, "temperature": space.temperature, **space.recipe}
    header = StoreHeader(
        recipe=recipe,
        checkpoint={"label": space.label, "fingerprint": space.fingerprint, "step": space.step},
        collection=space.collection_info,
        documents=str(space.collection_info.get("documents_option", "all")),
        dim=space.dim,
        dtype=str(space.documents.dtype),
    )
    writer = StoreWriter(Path(folder), header)
    _save_side(writer, "queries", space.queries, space.query_ids)
    rows = space.document_of_row
    if rows is None:
        _save_side(writer, "documents", space.documents, space.doc_ids)
    else:
        ids = [space.doc_ids[number] for number in rows]
        chunks = np.arange(len(rows)) - np.searchsorted(rows, rows)
        _save_side(writer, "documents", space.documents, ids, chunks, space.padding)
    if space.training is not None:
        _save_side(writer, "training-queries", space.training.queries, space.training.query_ids)
    writer.finish(space.qrels, space.training.qrels if space.training else None)


def _save_side(
    writer: StoreWriter,
    side: str,
    rows: Any,
    ids: Sequence[str],
    chunks: np.ndarray | None = None,
    padding: np.ndarray | None = None,
) -> None:
    starts = range(0, max(len(rows), 1), SHARD_ROWS)
    for number, start in enumerate(starts):
        writer.write_shard(side, number, np.asarray(rows[start : start + SHARD_ROWS]))
    writer.finish_side(side, ids, len(starts), chunks, padding)


def _check_ids(ids: Sequence[str], side: str) -> None:
    bad = next((name for name in ids if "\n" in name or "\r" in name or not name), None)
    if bad is not None:
        raise StoreError(f"{side}: id {bad!r} is empty or has a line break; ids are one a line")


def _save_array(path: Path, array: np.ndarray) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, np.ascontiguousarray(array), allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())


def _open_array(path: Path) -> np.ndarray:
    """Memory-map an array whose header agrees with its size."""
    try:
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise StoreError(f"{path}: missing") from None
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StoreError(f"{path}: not a whole .npy array ({line})") from None
    return array


def _file_entry(path: Path) -> dict[str, Any]:
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": sha256_file(path)}


def _check_file(path: Path, entry: dict[str, Any], verify: bool) -> None:
    if not path.is_file():
        raise StoreError(f"{path}: missing, though {MANIFEST} names it")
    size = path.stat().st_size
    if size != entry["bytes"]:
        raise StoreError(
            f"{path}: {size} bytes; {MANIFEST} says {entry['bytes']}: cut short or swapped"
        )
    if verify and sha256_file(path) != entry["sha256"]:
        raise StoreError(f"{path}: its checksum is not the one in {MANIFEST}: swapped or damaged")


def _write_qrels(path: Path, qrels: Qrels) -> None:
    lines = (f"{q}\t{d}\t{g}\n" for q, grades in qrels.items() for d, g in grades.items())
    write_text(path, "".join(lines))


def _read_qrels(path: Path) -> Qrels:
    qrels: Qrels = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n")[:-1], 1):
        try:
            query_id, doc_id, grade = line.split("\t")
            qrels.setdefault(query_id, {})[doc_id] = int(grade)
        except ValueError:
            raise StoreError(
                f"{path}, line {number}: not query, tab, document, tab, grade"
            ) from None
    return qrels
