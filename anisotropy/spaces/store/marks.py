"""The mark of a store that is being written: its plan, its whole shards, and who may write.

``unfinished.jsonl`` has the plan in its first line and a line for each shard that is whole, with
its SHA-256. It is locked while a process writes the store, and goes when the store is finished,
so that the lock leaves nothing behind.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from anisotropy.errors import StoreError
from anisotropy.files import dump_json, sha256_file, sync_folder
from anisotropy.locking import FileLock

UNFINISHED = "unfinished.jsonl"
#: Bytes of a mark that are read; one of a thousand million vectors has a third of them.
_LARGEST = 1 << 26
_ENTRY: dict[str, type] = {"file": str, "bytes": int, "sha256": str, "rows": int}
_SHARD = {"shard": str, **_ENTRY}


class UnfinishedMark:
    """The mark in one folder.

    Parameters
    ----------
    folder
        Of the store; made when the mark is taken.

    Attributes
    ----------
    plan : dict or None
        What is being written there, once the mark is taken; None where nothing was begun.
    shards : dict
        Entry (bytes, sha256, rows) of each shard that was whole, by side and name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / UNFINISHED
        self.plan: dict[str, Any] | None = None
        self.shards: dict[str, dict[str, Any]] = {}
        self._lock = FileLock(
            self.path,
            f"{folder}: another process is writing this store: wait for it, or choose another "
            "folder",
        )

    @property
    def alone(self) -> bool:
        """Whether no other process can be writing here."""
        return self._lock.certain

    def take(self, waiting: Callable[[Path], None] | None = None) -> UnfinishedMark:
        """Become the one who writes here, and read what was begun.

        Parameters
        ----------
        waiting
            Called with the folder before waiting for another writer; None does not wait.

        Raises
        ------
        UsageError
            If another process writes here, and there is no waiting.
        StoreError
            If the mark is no regular file.
        """
        if self.path.is_symlink() or (self.path.exists() and not self.path.is_file()):
            raise StoreError(f"{self.path}: no regular file; remove it or choose another folder")
        self._lock.take(None if waiting is None else lambda: waiting(self.folder))
        self._read()
        return self

    def begin(self, plan: Mapping[str, Any]) -> None:
        """Put down what is written here from now on."""
        self._lock.file.truncate(0)
        self.plan, self.shards = None, {}
        self._append(plan)
        self.plan = dict(plan)
        sync_folder(self.folder)
        sync_folder(self.folder.parent)

    def record(self, name: str, entry: Mapping[str, Any]) -> None:
        """Put down that a shard is whole."""
        self._append({"shard": name, **entry})
        self.shards[name] = dict(entry)

    def has(self, name: str, rows: int) -> bool:
        """Whether a shard of so many rows was put down, and its file still is what it was."""
        entry = self.shards.get(name)
        if entry is None or entry["rows"] != rows:
            return False
        path = self.folder / name
        if not path.is_file() or path.stat().st_size != entry["bytes"]:
            return False
        return sha256_file(path) == str(entry["sha256"])

    def remove(self) -> None:
        """Remove the mark and let others in: the store is finished."""
        self._lock.remove()
        sync_folder(self.folder)

    def release(self) -> None:
        """Let others in; what was begun stays begun. Nothing where the mark is not taken."""
        if self._lock.held and not os.fstat(self._lock.file.fileno()).st_size:
            self._lock.remove()  # nothing was begun
        self._lock.release()

    def __enter__(self) -> UnfinishedMark:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _append(self, value: Mapping[str, Any]) -> None:
        file, rest = self._lock.file, dump_json(value).encode() + b"\n"
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())

    def _read(self) -> None:
        """Read whole lines up to the first that is not; the rest was cut off, and is dropped."""
        file, whole = self._lock.file, 0
        self.plan, self.shards = None, {}
        if os.fstat(file.fileno()).st_size > _LARGEST:
            return
        file.seek(0)
        for line in file.read().splitlines(keepends=True):
            value = _parsed(line)
            if value is None:
                break
            if self.plan is None:
                if type(value.get("shard_items")) is not int:
                    break
                self.plan = value
            elif all(type(value.get(key)) is kind for key, kind in _SHARD.items()):
                self.shards[value["shard"]] = {key: value[key] for key in _ENTRY}
            whole += len(line)
        if self.plan is not None:
            file.truncate(whole)


def _parsed(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
