"""The folder that a store goes to: claimed, refused, or cleared of what is in the way."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from anisotropy.errors import StoreError, shown
from anisotropy.files import intended_name
from anisotropy.spaces.store.manifest import MANIFEST, SIDES, is_store_file
from anisotropy.spaces.store.marks import UNFINISHED, UnfinishedMark


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


def claimed(folder: Path) -> UnfinishedMark:
    """The mark of a place where a store can be begun or continued, taken."""
    check_target(folder)
    return UnfinishedMark(folder).take()


def refuse_others(mark: UnfinishedMark, plan: Mapping[str, Any]) -> None:
    """Refuse a folder that is in use; what kills left behind is not in the way."""
    there = mark.plan
    if there is None:
        _refuse_files(mark.folder)
    elif {**there, "shard_items": None} == {**plan, "shard_items": None}:
        raise StoreError(
            f"{mark.folder}: begun with {(size := shown(there.get('shard_items')))} items a "
            f"shard, not {plan['shard_items']}: go on with --shard-size {size}, or remove the "
            "folder"
        )
    else:
        raise StoreError(
            f"{mark.folder}: holds an unfinished store of something else; "
            "remove it or choose another folder"
        )


def _refuse_files(folder: Path) -> None:
    there = (path.name for path in folder.iterdir() if path.name != UNFINISHED)
    if any(not is_ours(intended_name(name)) for name in there):
        kind = "a finished store" if (folder / MANIFEST).is_file() else "other files"
        raise StoreError(f"{folder}: already holds {kind}; choose another folder")


def is_ours(name: str | None) -> bool:
    """Whether a file of this name is one that a store has."""
    return name is not None and is_store_file(name)


def remove_files(folder: Path, unwanted: Callable[[Path], bool]) -> None:
    """Remove some of the files of a store."""
    for place in (folder, *(folder / side for side in SIDES)):
        for path in list(place.iterdir()) if place.is_dir() else ():
            if unwanted(path):
                path.unlink()


def clear(folder: Path) -> None:
    """Remove everything but the mark."""
    for path in list(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != UNFINISHED:
            path.unlink()
