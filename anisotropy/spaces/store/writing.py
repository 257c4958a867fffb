"""Writing a store shard by shard, the manifest last."""

from __future__ import annotations

import contextlib
import errno
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from anisotropy.collection.judgments import judgments_text
from anisotropy.errors import StoreError, one_of
from anisotropy.files import fingerprint, intended_name, replacing, write_json, write_text
from anisotropy.spaces.space import Qrels
from anisotropy.spaces.store.manifest import (
    DTYPES,
    FORMAT,
    MANIFEST,
    SIDES,
    StoreHeader,
    is_store_file,
    shard_name,
    versions,
)
from anisotropy.spaces.store.marks import UnfinishedMark
from anisotropy.spaces.store.targets import claimed, clear, is_ours, refuse_others, remove_files
from anisotropy.spaces.store.texts import check_ids

#: Items a shard: what a kill loses, and how many texts are in memory at once.
SHARD_ITEMS = 8192
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class ShardSaver:
    """Saves shards into the folder of a store that another process writes.

    Parameters
    ----------
    folder, header
        As of the store's own `StoreWriter`, which records the shards that were saved.
    """

    def __init__(self, folder: Path, header: StoreHeader) -> None:
        if header.dtype not in DTYPES:
            raise StoreError(f"{folder}: rows of dtype {one_of(header.dtype, DTYPES)}")
        self.folder = folder
        self.header = header

    def save_shard(self, side: str, number: int, rows: np.ndarray) -> dict[str, Any]:
        """Write the file of one shard, whole or not at all; its entry for the record."""
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
        return {**entry, "rows": len(stored)}

    def _save_array(self, path: Path, array: np.ndarray) -> dict[str, Any]:
        with (
            self._writing(path),
            replacing(path, durable=True) as temporary,
            temporary.open("wb") as file,
        ):
            hashed = _Hashed(file)
            np.lib.format.write_array(hashed, np.ascontiguousarray(array), allow_pickle=False)
        return {"file": path.name, "bytes": hashed.size, "sha256": hashed.digest.hexdigest()}

    def _kept(self) -> str:
        return "all"

    @contextlib.contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        """Say which file could not be written, why, and that what is whole is kept."""
        try:
            yield
        except OSError as error:
            remedy = "make room" if error.errno in _NO_ROOM else "mend that"
            raise StoreError(
                f"{path}: cannot be written ({error.strerror or error}); {self._kept()} finished "
                f"shards are kept: {remedy}, then run the same again to go on"
            ) from None


class StoreWriter(ShardSaver):
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
        super().__init__(folder, header)
        self._sides: dict[str, dict[str, Any]] = {}
        self._mark = mark or claimed(folder)
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
            remove_files(self.folder, lambda path: is_ours(intended_name(path.name)))
        if mark.plan != plan:
            if replace:
                clear(self.folder)
            else:
                refuse_others(mark, plan)
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
        self.record_shard(side, number, self.save_shard(side, number, rows))

    def record_shard(self, side: str, number: int, entry: Mapping[str, Any]) -> None:
        """Put down that a shard is whole, with the entry that `save_shard` gave."""
        with self._writing(self._mark.path):
            self._mark.record(f"{side}/{shard_name(number)}", entry)

    def whole_shards(self) -> set[tuple[str, int]]:
        """File (``documents/embeddings-00000.npy``) and rows of each shard that `has_shard`."""
        recorded = {(name, int(entry["rows"])) for name, entry in self._mark.shards.items()}
        return {shard for shard in recorded if self._mark.has(*shard)}

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
                manifest[name] = self._save_text(path, judgments_text(judgments))
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
        remove_files(self.folder, lambda path: is_store_file(path.name) and path not in listed)
        for side in set(SIDES) - set(self._sides):
            with contextlib.suppress(OSError):  # not there, or not empty
                (self.folder / side).rmdir()

    def _kept(self) -> str:
        return str(len(self._mark.shards))

    def _save_text(self, path: Path, text: str) -> dict[str, Any]:
        with self._writing(path):
            write_text(path, text, durable=True)
        content = text.encode()
        digest = hashlib.sha256(content).hexdigest()
        return {"file": path.name, "bytes": len(content), "sha256": digest}


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
