"""Tensors of safetensors files: where they lie, without loading them."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.errors import InputError, reason_of
from anisotropy.untrusted.arrays import LONGEST
from anisotropy.untrusted.paths import check_file
from anisotropy.untrusted.tensors import DTYPES, TensorEntry, contiguous

_SAFETENSORS = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64",
    "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
MAX_HEADER = 100 * 2**20


def is_safetensors(path: Path) -> bool:
    """Whether a file starts with a safetensors header."""
    check_file(path)
    with path.open("rb") as file:
        start = file.read(9)
    return (
        len(start) == 9
        and start[8:] == b"{"
        and 2 <= struct.unpack("<Q", start[:8])[0] <= MAX_HEADER
    )


def read_safetensors(path: Path) -> tuple[dict[str, TensorEntry], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises
    ------
    InputError
        If the header is damaged, or does not account for every byte of the file.
    """
    size = check_file(path)
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length > min(MAX_HEADER, size - 8):
            raise InputError(f"{path}: damaged safetensors header ({length} bytes; {size} there)")
        text = file.read(length)
    try:
        header = json.loads(text)
        metadata = header.pop("__metadata__", {})
        found = {str(k): _safe_entry(path, 8 + length, k, v) for k, v in header.items()}
        known = {str(key): str(value) for key, value in metadata.items()}
    except InputError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = reason_of(error, 100)
        raise InputError(f"{path}: damaged safetensors header ({reason})") from None
    _check_covered(path, found, 8 + length, size)
    return found, known


def _safe_entry(path: Path, base: int, name: str, values: dict[str, Any]) -> TensorEntry:
    shape, (start, stop) = tuple(values["shape"]), values["data_offsets"]
    if values["dtype"] not in _SAFETENSORS:
        raise InputError(
            f"{path}: tensor {name[:80]!r} has type {str(values['dtype'])[:20]!r}; allowed: "
            f"{', '.join(_SAFETENSORS)}"
        )
    dtype = _SAFETENSORS[values["dtype"]]
    whole = all(type(n) is int and 0 <= n <= LONGEST for n in (*shape, start, stop))
    if not whole or stop - start != math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize:
        raise InputError(f"{path}: tensor {name[:80]!r} disagrees with its place in the file")
    return TensorEntry(path, base + start, dtype, shape, contiguous(shape))


def _check_covered(path: Path, found: dict[str, TensorEntry], base: int, size: int) -> None:
    """Tensors follow each other without gap or overlap, to the end of the file."""
    place = base
    for entry in sorted(found.values(), key=lambda e: (e.offset, math.prod(e.shape))):
        if entry.offset != place:
            raise InputError(f"{path}: its tensors overlap or leave a gap")
        place += math.prod(entry.shape) * np.dtype(DTYPES[entry.dtype]).itemsize
    if place != size:
        raise InputError(f"{path}: {size} bytes; its header says {place}: cut short or damaged")
