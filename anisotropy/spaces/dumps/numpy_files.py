"""Vectors in ``.npy`` and ``.npz`` files."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.errors import EmbeddingsError, InputError
from anisotropy.spaces.dumps.base import DumpOptions, Vectors
from anisotropy.spaces.dumps.found import Found, vectors
from anisotropy.spaces.dumps.ids import as_ids
from anisotropy.spaces.dumps.naming import (
    CHUNK_NAMES,
    ID_NAMES,
    SCALE_NAMES,
    Side,
    choose,
    first_of,
    no_field,
    sides_among,
)
from anisotropy.spaces.dumps.stated import ARRAY, stated_similarity
from anisotropy.untrusted.arrays import open_npy, open_npz
from anisotropy.untrusted.paths import check_file

_MAGIC = b"\x93NUMPY"


def find(path: Path) -> bool:
    """Whether a file is an array or a zip of arrays."""
    try:
        check_file(path)
        with path.open("rb") as file:
            start = file.read(6)
        return start == _MAGIC or (start[:2] == b"PK" and _only_arrays(path))
    except (OSError, InputError):
        return False


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def _members(path: Path) -> list[str]:
    """Names in a zip file, nothing unpacked; none if it is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except Exception:  # whatever a foreign zip file can be wrong in
        return []


def _only_arrays(path: Path) -> bool:
    names = _members(path)
    return bool(names) and all(name.endswith(".npy") and "/" not in name for name in names)


def sides_in(path: Path) -> tuple[Side, ...]:
    """The sides of which a file has vectors, under names that say so; none if it has but one."""
    names = _members(path) if _is_zip(path) else []
    return sides_among(name.removesuffix(".npy") for name in names)


def read(path: Path, options: DumpOptions, side: Side = "documents") -> Vectors:
    """Vectors of a side from a ``.npy`` or ``.npz`` file.

    Raises
    ------
    InputError
        If the file is damaged, or does not hold vectors.
    """
    packed = _is_zip(path)
    return vectors(
        _from_npz(path, options, side) if packed else _from_npy(path, options), options, side
    )


def _from_npy(path: Path, options: DumpOptions) -> Found:
    no_field(options, str(path))
    array = open_npy(path)
    scale, shift = _ranges_beside(path, array)
    return Found(str(path), "numpy", array, path=path, scale=scale, shift=shift)


def _ranges_beside(path: Path, array: np.ndarray) -> tuple[Any, Any]:
    """Scale and shift of 8-bit numbers from the ranges that sentence-transformers used.

    ``X.ranges.npy`` beside ``X.npy``: shape (2, dim), smallest and largest value of a dimension,
    255 steps between them.
    """
    near = path.with_suffix(".ranges.npy")
    if array.dtype not in (np.int8, np.uint8) or not near.exists():
        return None, 0.0
    ranges = open_npy(near)
    if array.ndim != 2 or ranges.shape != (2, array.shape[1]) or ranges.dtype.kind != "f":
        raise EmbeddingsError(
            f"{near}: {ranges.dtype} of shape {ranges.shape}; needed: smallest and largest value "
            f"of each dimension, shape (2, {array.shape[-1]})"
        )
    smallest, largest = ranges.astype(np.float32)
    step = (largest - smallest) / np.float32(255)
    # rounded towards zero: for int8 as often up as down, for uint8 always down
    return step, smallest + step * np.float32(128 if array.dtype == np.int8 else 0.5)


def _from_npz(path: Path, options: DumpOptions, side: Side) -> Found:
    arrays = open_npz(path)
    wide = [name for name, array in arrays.items() if array.ndim in (2, 3)]
    name = choose(
        [name for name in wide if name not in SCALE_NAMES], options, side, str(path), "array"
    )
    known, warnings = first_of(ID_NAMES[side], arrays)
    chunk = first_of(CHUNK_NAMES, arrays)[0] if side == "documents" else None
    padding = arrays.get("padding") if chunk else None
    about = arrays.get(ARRAY)
    scale, _ = first_of(SCALE_NAMES, arrays)
    n = len(arrays[name])
    return Found(
        str(path),
        "npz",
        arrays[name],
        ids=as_ids(arrays[known], f"{path}, array {known!r}", rows=n) if known else None,
        chunks=_numbers(path, chunk, arrays[chunk], n) if chunk else None,
        padding=_marks(path, padding, n) if padding is not None else None,
        scale=arrays[scale] if scale else None,
        similarity=stated_similarity(str(about)) if about is not None and not about.ndim else None,
        path=path,
        warnings=tuple(f"{path}: {line}" for line in warnings),
    )


def _marks(path: Path, array: np.ndarray, n: int) -> np.ndarray | None:
    """Marks on vectors of padding alone; None where an array of this name is something else."""
    return np.asarray(array) if array.shape == (n,) and array.dtype == bool else None


def _numbers(path: Path, name: str, array: np.ndarray, n: int) -> np.ndarray:
    if array.shape != (n,) or array.dtype.kind not in "iu":
        raise EmbeddingsError(
            f"{path}: array {name!r} is {array.dtype} of shape {array.shape}; needed: the chunk "
            f"number of each of {n} vectors"
        )
    return array
