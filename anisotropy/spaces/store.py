"""The store: embeddings on disk, whole or visibly unfinished.

``manifest.json`` is written last. Until then the folder holds ``unfinished.jsonl``, which says
what is being written and which shards are whole; a writer with the same plan goes on after the
last whole shard, and the bytes are those of an uninterrupted run. See ``docs/store.md``.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.metadata
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from anisotropy.errors import EmbeddingsError, InputError, StoreError, UsageError, one_of, shown
from anisotropy.files import (
    fingerprint,
    intended_name,
    replacing,
    sha256_file,
    write_json,
    write_text,
)
from anisotropy.spaces.manifest import (
    DTYPES,
    FORMAT,
    MANIFEST,
    REMEDY,
    SIDES,
    is_store_file,
    read_manifest,
    shard_name,
    with_remedy,
)
from anisotropy.spaces.rows import as_rows
from anisotropy.spaces.space import EmbeddingSpace, Qrels
from anisotropy.spaces.unfinished import UNFINISHED, UnfinishedMark
from anisotropy.untrusted.arrays import open_npy
from anisotropy.untrusted.paths import check_file
from anisotropy.untrusted.texts import read_json

if TYPE_CHECKING:
    from anisotropy.collection import Collection

#: Items a shard: what a kill loses, and how many texts are in memory at once.
SHARD_ITEMS = 8192
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
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
    """Writes one store shard by shard; a context manager that lets others in at its end.

    Parameters
    ----------
    folder
        Where the store goes. An unfinished one of the same thing is continued; a finished one,
        or any other folder with files in it, is refused.
    header
        What the store is of.
    shard_items
        Items a shard; an unfinished store is continued with the same number.
    mark
        Mark of the folder, taken already: that of a cache, from which whatever cannot be
        continued is removed.

    Raises
    ------
    StoreError
        If the folder is in use for something else.
    UsageError
        If another process writes there.
    """

    def __init__(
        self,
        folder: Path,
        header: StoreHeader,
        *,
        shard_items: int = SHARD_ITEMS,
        mark: UnfinishedMark | None = None,
    ) -> None:
        if header.dtype not in DTYPES:
            raise StoreError(f"{folder}: rows of dtype {one_of(header.dtype, DTYPES)}")
        self.folder = folder
        self.header = header
        self._sides: dict[str, dict[str, Any]] = {}
        self._mark = mark or _claimed(folder)
        try:
            with self._writing(self._mark.path):
                self._start(shard_items, replace=mark is not None)
        except BaseException:
            self.close()
            raise

    def _start(self, shard_items: int, replace: bool) -> None:
        header, mark = self.header, self._mark
        identity = header.identity or fingerprint(header.as_dict())
        plan = {
            "format": FORMAT,
            "unfinished": fingerprint(identity, header.dim, header.dtype),
            "shard_items": shard_items,
        }
        if mark.alone:
            _remove(self.folder, lambda path: _is_ours(intended_name(path.name)))
        if mark.plan != plan:
            if replace:
                _clear(self.folder)
            else:
                _refuse_others(mark, plan)
            mark.begin(plan)
        # Killed after the manifest: what is rewritten now is not finished until it is again.
        (self.folder / MANIFEST).unlink(missing_ok=True)

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let others in; what is not finished stays, to be continued."""
        self._mark.release()

    def has_shard(self, side: str, number: int, rows: int) -> bool:
        """Whether a shard of `rows` rows is there already, with the bytes it was written with."""
        return self._mark.has(f"{side}/{shard_name(number)}", rows)

    def write_shard(self, side: str, number: int, rows: np.ndarray) -> None:
        """Write one shard; it appears under its name only when it is whole on disk."""
        if not np.isfinite(rows).all():
            raise StoreError(
                f"{self.folder}: encoding gave NaN or infinite values in {side} shard {number}; "
                "check the weights, or encode with --dtype float32"
            )
        with np.errstate(over="ignore"):  # refused below
            stored = rows.astype(self.header.dtype)
        if not np.isfinite(stored).all():
            raise StoreError(
                f"{self.folder}: {side} shard {number} does not fit into {self.header.dtype}; "
                "store float32"
            )
        entry = self._save_array(self.folder / side / shard_name(number), stored)
        with self._writing(self._mark.path):
            self._mark.record(f"{side}/{shard_name(number)}", {**entry, "rows": len(stored)})

    def finish_side(
        self,
        side: str,
        ids: Sequence[str],
        shards: int,
        chunks: np.ndarray | None = None,
        padding: np.ndarray | None = None,
    ) -> None:
        """Write the ids of a side, one a row, and take down its shards for the manifest."""
        check_ids(ids, side)
        entry: dict[str, Any] = {"count": len(dict.fromkeys(ids)), "rows": len(ids)}
        entry["shards"] = [self._shard_entry(side, number) for number in range(shards)]
        path = self.folder / side / "ids.txt"
        entry["ids"] = self._save_text(path, "".join(f"{name}\n" for name in ids))
        for name, array in (("chunks", chunks), ("padding", padding)):
            if array is not None:
                entry[name] = self._save_array(self.folder / side / f"{name}.npy", array)
        self._sides[side] = entry

    def _shard_entry(self, side: str, number: int) -> dict[str, Any]:
        name = f"{side}/{shard_name(number)}"
        entry = self._mark.shards[name]
        path = self.folder / name
        if not path.is_file() or path.stat().st_size != entry["bytes"]:
            raise StoreError(f"{path}: gone or changed since it was written: encode again")
        return entry

    def finish(self, qrels: Qrels, training_qrels: Qrels | None = None) -> None:
        """Write judgments, then the manifest: now the store is whole."""
        manifest: dict[str, Any] = {"format": FORMAT, **self.header.as_dict()}
        manifest["sides"] = self._sides
        for name, judgments in (("qrels", qrels), ("training-qrels", training_qrels)):
            if judgments is not None:
                path = self.folder / f"{name}.tsv"
                manifest[name] = self._save_text(path, _qrels_text(judgments))
        manifest["versions"] = versions()
        self._remove_unlisted(manifest)
        with self._writing(self.folder / MANIFEST):
            write_json(self.folder / MANIFEST, manifest, durable=True)
            self._mark.remove()

    def _remove_unlisted(self, manifest: Mapping[str, Any]) -> None:
        """Remove what an earlier attempt wrote and this store has not."""
        judgments = ("qrels", "training-qrels")
        listed = {self.folder / f"{name}.tsv" for name in judgments if name in manifest}
        for side, entry in self._sides.items():
            files = [*entry["shards"], *(e for e in entry.values() if isinstance(e, dict))]
            listed |= {self.folder / side / file["file"] for file in files}
        _remove(self.folder, lambda path: is_store_file(path.name) and path not in listed)
        for side in set(SIDES) - set(self._sides):
            with contextlib.suppress(OSError):  # not there, or not empty
                (self.folder / side).rmdir()

    def _save_text(self, path: Path, text: str) -> dict[str, Any]:
        with self._writing(path):
            write_text(path, text, durable=True)
        content = text.encode()
        digest = hashlib.sha256(content).hexdigest()
        return {"file": path.name, "bytes": len(content), "sha256": digest}

    def _save_array(self, path: Path, array: np.ndarray) -> dict[str, Any]:
        with (
            self._writing(path),
            replacing(path, durable=True) as temporary,
            temporary.open("wb") as file,
        ):
            hashed = _Hashed(file)
            np.lib.format.write_array(hashed, np.ascontiguousarray(array), allow_pickle=False)
        return {"file": path.name, "bytes": hashed.size, "sha256": hashed.digest.hexdigest()}

    @contextlib.contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        """Say which file could not be written, why, and that what is whole is kept."""
        try:
            yield
        except OSError as error:
            remedy = "make room" if error.errno in _NO_ROOM else "mend that"
            raise StoreError(
                f"{path}: cannot be written ({error.strerror or error}); "
                f"{len(self._mark.shards)} finished shards are kept: {remedy}, then run the same "
                "again to go on"
            ) from None


class _Hashed:
    """A file that is hashed as it is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: Any) -> int:
        """Write bytes."""
        self.digest.update(data)
        self.size += len(data)
        return self._file.write(data)


def _claimed(folder: Path) -> UnfinishedMark:
    """The mark of a place where a store can be begun or continued, taken."""
    check_target(folder)
    return UnfinishedMark(folder).take()


def _refuse_others(mark: UnfinishedMark, plan: Mapping[str, Any]) -> None:
    """Refuse a folder that is in use; what kills left behind is not in the way."""
    there = mark.plan
    if there is None:
        _refuse_files(mark.folder)
    elif {**there, "shard_items": None} == {**plan, "shard_items": None}:
        raise StoreError(
            f"{mark.folder}: begun with {shown(there['shard_items'])} items a shard, not "
            f"{plan['shard_items']}: go on with --shard-size {shown(there['shard_items'])}, or "
            "remove the folder"
        )
    else:
        raise StoreError(
            f"{mark.folder}: holds an unfinished store of something else; "
            "remove it or choose another folder"
        )


def _refuse_files(folder: Path) -> None:
    there = (path.name for path in folder.iterdir() if path.name != UNFINISHED)
    if any(not _is_ours(intended_name(name)) for name in there):
        kind = "a finished store" if (folder / MANIFEST).is_file() else "other files"
        raise StoreError(f"{folder}: already holds {kind}; choose another folder")


def _is_ours(name: str | None) -> bool:
    return name is not None and is_store_file(name)


def _remove(folder: Path, unwanted: Callable[[Path], bool]) -> None:
    """Remove some of the files of a store."""
    for place in (folder, *(folder / side for side in SIDES)):
        for path in list(place.iterdir()) if place.is_dir() else ():
            if unwanted(path):
                path.unlink()


def _clear(folder: Path) -> None:
    """Remove everything but the mark."""
    for path in list(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != UNFINISHED:
            path.unlink()


def check_target(folder: Path) -> None:
    """Refuse a place where no store can be begun or continued.

    Raises
    ------
    StoreError
        If it is a file, or a folder with a finished store or other files.
    UsageError
        If another process writes there.
    """
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder}: is a file; choose a folder for the store")
    if (folder / UNFINISHED).exists():
        UnfinishedMark(folder).take().release()
    elif folder.is_dir():
        _refuse_files(folder)


def is_store(folder: Path) -> bool:
    """Whether a folder is a store, finished or not."""
    if (folder / MANIFEST).is_file():
        try:
            content = read_json(folder / MANIFEST)
        except InputError:
            return True
        return isinstance(content, dict) and content.get("format") == FORMAT
    return (folder / UNFINISHED).is_file()


def is_whole(folder: Path, *, verify: bool = False) -> bool:
    """Whether a folder is a finished store that opens."""
    try:
        open_store(folder, verify=verify)
    except InputError:
        return False
    return True


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
    if (folder / UNFINISHED).exists() and not (folder / MANIFEST).exists():
        raise StoreError(f"{folder}: unfinished; run the same encode again to finish it")
    manifest = read_manifest(folder)
    sides = {side: _Side(folder, side, manifest, verify) for side in manifest["sides"]}
    try:
        return _space(folder, manifest, sides, verify, collection)
    except EmbeddingsError as error:
        for side in sides.values():
            side.check_finite()
        raise StoreError(f"{folder}: {error}: {REMEDY}") from None
    except UsageError as error:
        raise StoreError(f"{folder / MANIFEST}: {error}: {REMEDY}") from None


def _space(
    folder: Path,
    manifest: dict[str, Any],
    sides: Mapping[str, _Side],
    verify: bool,
    collection: Collection | None,
) -> EmbeddingSpace:
    documents = sides["documents"]
    recipe, checkpoint = manifest["recipe"], manifest["checkpoint"]
    shared: dict[str, Any] = {
        "doc_ids": documents.item_ids,
        "similarity": recipe["similarity"],
        "temperature": recipe["temperature"],
        "document_of_row": documents.item_of_row,
        "padding": documents.padding,
        "recipe": recipe,
        "fingerprint": checkpoint["fingerprint"],
        "step": checkpoint.get("step"),
        "label": checkpoint["label"],
        "collection": collection,
        "collection_info": {**manifest["collection"], "documents_option": manifest["documents"]},
    }

    def of(side: str, name: str, **more: Any) -> EmbeddingSpace:
        queries, path = sides[side], folder / f"{name}.tsv"
        _check_file(path, manifest[name], verify)
        return EmbeddingSpace(
            queries.rows,
            documents.rows,
            query_ids=queries.item_ids,
            qrels=_read_qrels(path, set(queries.item_ids), documents.known),
            **more,
            **shared,
        )

    pool = of("training-queries", "training-qrels") if "training-queries" in sides else None
    return of("queries", "qrels", training=pool)


class _Side:
    """The files of one side, checked against the manifest."""

    def __init__(self, folder: Path, side: str, manifest: dict[str, Any], verify: bool) -> None:
        self._folder = folder / side
        self._side = side
        self._entry = manifest["sides"][side]
        self._verify = verify
        shape = (manifest["dim"], manifest["dtype"])
        self._shards = [self._shard(entry, *shape) for entry in self._entry["shards"]]
        self.rows = as_rows(self._shards)
        ids = self._read_ids()
        self.item_of_row = self._read_chunks(ids)
        self.padding = self._array("padding", "b")
        self.item_ids = ids
        if self.item_of_row is not None:
            self.item_ids = [ids[i] for i in np.flatnonzero(np.diff(self.item_of_row, prepend=-1))]
        self.known = set(self.item_ids)
        self._check_ids()

    def check_finite(self) -> None:
        """Name the shard and the row of a value that is not finite."""
        before = 0
        for number, shard in enumerate(self._shards):
            for row, values in enumerate(shard):
                if not np.isfinite(values).all():
                    raise StoreError(
                        f"{self._folder / shard_name(number)}: {self._side} row {before + row} "
                        f"has NaN or infinite values (row {row} of this file): {REMEDY}"
                    )
            before += len(shard)

    def _shard(self, entry: dict[str, Any], dim: int, dtype: str) -> np.ndarray:
        path = self._folder / entry["file"]
        _check_file(path, entry, self._verify)
        array = _open_array(path)
        if array.shape != (entry["rows"], dim) or array.dtype != np.dtype(dtype):
            raise StoreError(
                f"{path}: holds {array.dtype} {array.shape}; {MANIFEST} says {dtype} "
                f"({entry['rows']}, {dim}): {REMEDY}"
            )
        return array

    def _read_ids(self) -> list[str]:
        path = self._folder / "ids.txt"
        _check_file(path, self._entry["ids"], self._verify)
        text = _read_text(path)
        ids = text.split("\n")[:-1]
        if len(ids) != self._entry["rows"]:
            raise StoreError(f"{path}: {len(ids)} ids for {self._entry['rows']} rows: {REMEDY}")
        if any(part in f"\n{text}" for part in ("\t", "\r", "\n\n")):
            line = next(line for line, name in enumerate(ids, 1) if _is_bad_id(name))
            raise StoreError(
                f"{path}, line {line}: {shown(ids[line - 1])} is no id; needed: one a line, "
                f"not empty, without tabs: {REMEDY}"
            )
        return ids

    def _read_chunks(self, ids: list[str]) -> np.ndarray | None:
        """Number of the item of each row, from the number each row has within its item."""
        chunks = self._array("chunks", "i")
        if chunks is None:
            return None
        begins = np.array([True] + [a != b for a, b in pairwise(ids)], dtype=bool)[: len(ids)]
        follows = np.concatenate([[False], chunks[1:] == chunks[:-1] + 1])[: len(ids)]
        wrong = np.flatnonzero(np.where(begins, chunks != 0, ~follows))
        if wrong.size:
            row = int(wrong[0])
            raise StoreError(
                f"{self._folder / 'chunks.npy'}: row {row} is chunk {chunks[row]} of "
                f"{shown(ids[row])}; needed: 0, 1, … for the rows of one id in ids.txt: {REMEDY}"
            )
        return np.cumsum(begins) - 1

    def _array(self, name: str, kind: str) -> np.ndarray | None:
        """An array with one entry a row."""
        if name not in self._entry:
            return None
        path = self._folder / f"{name}.npy"
        _check_file(path, self._entry[name], self._verify)
        array = np.asarray(_open_array(path))
        if array.shape != (self._entry["rows"],) or array.dtype.kind != kind:
            raise StoreError(
                f"{path}: holds {array.dtype} {array.shape}; needed: one "
                f"{'truth value' if kind == 'b' else 'whole number'} a row: {REMEDY}"
            )
        return array

    def _check_ids(self) -> None:
        path = self._folder / "ids.txt"
        if len(self.known) != len(self.item_ids):
            twice, times = Counter(self.item_ids).most_common(1)[0]
            raise StoreError(f"{path}: id {shown(twice)} occurs {times} times: {REMEDY}")
        if len(self.known) != self._entry["count"]:
            raise StoreError(
                f"{path}: {len(self.known)} different ids; {MANIFEST} says "
                f"{self._entry['count']}: {REMEDY}"
            )


def save_space(
    space: EmbeddingSpace, folder: str | Path, *, shard_items: int = SHARD_ITEMS
) -> None:
    """Write a space as a store, shard by shard, with at most one shard in memory.

    Parameters
    ----------
    space
        Its vectors may lie on disk.
    folder
        New or empty, or what is left of an earlier, unfinished one of the same.
    shard_items
        Rows a shard.

    Raises
    ------
    StoreError
        If the folder already holds something, or cannot be written.
    UsageError
        If another process writes there.
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
    pool = space.training
    doc_ids, chunks = space.doc_ids, None
    if (owner := space.document_of_row) is not None:
        doc_ids = [space.doc_ids[number] for number in owner]
        chunks = np.arange(len(owner)) - np.searchsorted(owner, owner)
    sides = {"queries": (space.queries, space.query_ids), "documents": (space.documents, doc_ids)}
    if pool is not None:
        sides["training-queries"] = (pool.queries, pool.query_ids)
    for side, (_, ids) in sides.items():
        check_ids(ids, side)
    with StoreWriter(Path(folder), header, shard_items=shard_items) as writer:
        for side, (rows, ids) in sides.items():
            starts = range(0, max(len(rows), 1), shard_items)
            for number, start in enumerate(starts):
                writer.write_shard(side, number, np.asarray(rows[start : start + shard_items]))
            more = (chunks, space.padding) if side == "documents" else ()
            writer.finish_side(side, ids, len(starts), *more)
        writer.finish(space.qrels, pool.qrels if pool else None)


def check_ids(ids: Iterable[str], side: str) -> None:
    """Refuse ids that a store cannot hold.

    Raises
    ------
    StoreError
        If one is empty, has a tab or a line break, or is no text that UTF-8 can hold.
    """
    bad = next((name for name in ids if _is_bad_id(name)), None)
    if bad is not None:
        raise StoreError(
            f"{side}: id {shown(bad)} is empty, has a tab or a line break, or is not UTF-8; ids "
            "are one a line, and tabs separate them from grades: rename it"
        )


def _is_bad_id(name: str) -> bool:
    if name.isascii() and name.isprintable():
        return not name
    try:
        name.encode()
    except UnicodeEncodeError:
        return True
    return any(letter in name for letter in "\t\n\r")


def _open_array(path: Path) -> np.ndarray:
    """Memory-map an array whose header agrees with its size."""
    with with_remedy():
        return open_npy(path)


def _check_file(path: Path, entry: dict[str, Any], verify: bool) -> None:
    with with_remedy():
        size = check_file(path)
    if size != entry["bytes"]:
        raise StoreError(
            f"{path}: {size} bytes; {MANIFEST} says {entry['bytes']}: cut short or swapped: "
            f"{REMEDY}"
        )
    if verify and sha256_file(path) != entry["sha256"]:
        raise StoreError(
            f"{path}: its checksum is not the one in {MANIFEST}: swapped or damaged: {REMEDY}"
        )


def _read_text(path: Path) -> str:
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise StoreError(f"{path}: not UTF-8 at byte {error.start}: {REMEDY}") from None
    if text and not text.endswith("\n"):
        raise StoreError(f"{path}: its last line does not end: cut short: {REMEDY}")
    return text


def _qrels_text(qrels: Qrels) -> str:
    lines = (f"{q}\t{d}\t{g}\n" for q, grades in qrels.items() for d, g in grades.items())
    return "".join(lines)


def _read_qrels(path: Path, queries: Set[str], documents: Set[str]) -> Qrels:
    qrels: Qrels = {}
    for number, line in enumerate(_read_text(path).split("\n")[:-1], 1):
        try:
            query_id, doc_id, grade = line.split("\t")
            qrels.setdefault(query_id, {})[doc_id] = int(grade)
        except ValueError:
            raise StoreError(
                f"{path}, line {number}: not query, tab, document, tab, grade: {REMEDY}"
            ) from None
        if query_id not in queries or doc_id not in documents:
            unknown = query_id if query_id not in queries else doc_id
            raise StoreError(
                f"{path}, line {number}: {shown(unknown)} is not in ids.txt: {REMEDY}"
            )
    return qrels
