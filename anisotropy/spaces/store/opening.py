"""Opening a store: every size and count checked, every checksum if asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anisotropy.collection.lines import is_bad_id
from anisotropy.errors import EmbeddingsError, InputError, StoreError, UsageError, shown
from anisotropy.files import sha256_file
from anisotropy.spaces.rows import as_rows
from anisotropy.spaces.space import EmbeddingSpace
from anisotropy.spaces.store.manifest import (
    FORMAT,
    MANIFEST,
    REMEDY,
    read_manifest,
    shard_name,
    with_remedy,
)
from anisotropy.spaces.store.marks import UNFINISHED
from anisotropy.spaces.store.texts import read_qrels, read_text
from anisotropy.untrusted.arrays import open_npy
from anisotropy.untrusted.paths import check_file
from anisotropy.untrusted.texts import read_json

if TYPE_CHECKING:
    from anisotropy.collection import Collection


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
            qrels=read_qrels(path, set(queries.item_ids), documents.known),
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
        text = read_text(path)
        ids = text.split("\n")[:-1]
        if len(ids) != self._entry["rows"]:
            raise StoreError(f"{path}: {len(ids)} ids for {self._entry['rows']} rows: {REMEDY}")
        if any(part in f"\n{text}" for part in ("\t", "\r", "\n\n")):
            line = next(line for line, name in enumerate(ids, 1) if is_bad_id(name))
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
