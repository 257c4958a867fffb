"""What a file is, by its first bytes and the names in it; nothing is loaded or executed."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path
from typing import Any, Literal

from anisotropy.errors import CheckpointError

FileKind = Literal["safetensors", "torch", "archive", "unknown"]
_PEEK = 8 * 2**20  # a legacy torch file lists its keys before its data
_MAX_HEADER = 100 * 2**20


def file_kind(path: Path) -> FileKind:
    """Kind of a file by content.

    Raises
    ------
    CheckpointError
        If it starts as a zip file and is not one (truncated or corrupt).
    """
    if is_safetensors(path):
        return "safetensors"
    with path.open("rb") as file:
        start = file.read(4)
    if start[:2] == b"PK":
        return "torch" if _pickle_member(path) else "archive"
    return "torch" if start[:1] == b"\x80" else "unknown"


def is_safetensors(path: Path) -> bool:
    """Whether a file starts with a safetensors header."""
    with path.open("rb") as file:
        start = file.read(9)
    return (
        len(start) == 9
        and start[8:] == b"{"
        and 2 <= struct.unpack("<Q", start[:8])[0] <= _MAX_HEADER
    )


def _pickle_member(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise CheckpointError(f"{path}: corrupt or truncated zip file ({error})") from None
    return next((n for n in names if n == "data.pkl" or n.endswith("/data.pkl")), None)


def names_in(path: Path) -> bytes:
    """Bytes of a weights file among which its tensor names are."""
    kind = file_kind(path)
    if kind == "safetensors":
        return "\n".join(safetensors_header(path)).encode()
    if kind == "torch" and zipfile.is_zipfile(path):
        member = _pickle_member(path)
        with zipfile.ZipFile(path) as archive, archive.open(member or "") as file:
            return file.read(_PEEK)
    with path.open("rb") as file:
        return file.read(_PEEK)


def safetensors_header(path: Path) -> dict[str, Any]:
    """Tensor name -> dtype, shape and place, from a safetensors header.

    Raises
    ------
    CheckpointError
        If the header is damaged.
    """
    try:
        with path.open("rb") as file:
            size = struct.unpack("<Q", file.read(8))[0]
            header = json.loads(file.read(min(size, _MAX_HEADER)))
    except (OSError, ValueError, struct.error) as error:
        raise CheckpointError(f"{path}: damaged safetensors header ({error})") from None
    if not isinstance(header, dict):
        raise CheckpointError(f"{path}: damaged safetensors header")
    return {key: value for key, value in header.items() if key != "__metadata__"}
