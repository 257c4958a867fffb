"""What a file is, by its first bytes and the names in it; nothing is loaded or executed."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Literal

from anisotropy.errors import CheckpointError, told_as
from anisotropy.untrusted.paths import check_file
from anisotropy.untrusted.safetensors_files import is_safetensors, read_safetensors
from anisotropy.untrusted.zips import opened_zip

FileKind = Literal["safetensors", "torch", "archive", "unknown"]
_PEEK = 8 * 2**20  # a legacy torch file lists its keys before its data


def file_kind(path: Path) -> FileKind:
    """Kind of a file by content.

    Raises
    ------
    CheckpointError
        If it starts as a zip file and is not one (truncated or corrupt).
    """
    with told_as(CheckpointError):
        check_file(path)
    if is_safetensors(path):
        return "safetensors"
    with path.open("rb") as file:
        start = file.read(4)
    if start[:2] == b"PK":
        return "torch" if _pickle_member(path) else "archive"
    return "torch" if start[:1] == b"\x80" else "unknown"


def _pickle_member(path: Path) -> str | None:
    with told_as(CheckpointError), opened_zip(path) as archive:
        names = archive.namelist()
    return next((n for n in names if n == "data.pkl" or n.endswith("/data.pkl")), None)


def names_in(path: Path) -> bytes:
    """Bytes of a weights file among which its tensor names are."""
    kind = file_kind(path)
    if kind == "safetensors":
        with told_as(CheckpointError):
            return "\n".join(read_safetensors(path)[0]).encode()
    if kind == "torch" and zipfile.is_zipfile(path):
        member = _pickle_member(path)
        with told_as(CheckpointError), opened_zip(path) as archive:
            return _start(archive, member or "")
    with path.open("rb") as file:
        return file.read(_PEEK)


def _start(archive: zipfile.ZipFile, member: str) -> bytes:
    with archive.open(member) as file:
        return file.read(_PEEK)
