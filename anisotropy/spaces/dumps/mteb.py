"""MTEB's cache of vectors: ``vectors.npy`` (bare float32), ``index.json``, ``dimension``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.errors import EmbeddingsError, InputError
from anisotropy.spaces.dumps.base import DumpOptions, Vectors
from anisotropy.spaces.dumps.found import Found, vectors
from anisotropy.spaces.dumps.naming import Side, no_field
from anisotropy.untrusted.paths import check_file
from anisotropy.untrusted.texts import read_json

VECTORS, INDEX, DIMENSION = "vectors.npy", "index.json", "dimension"


def find(path: Path) -> bool:
    """Whether it is a folder of such a cache."""
    return path.is_dir() and all((path / name).is_file() for name in (VECTORS, INDEX, DIMENSION))


def read(path: Path, options: DumpOptions, side: Side = "documents") -> Vectors:
    """Vectors of a cache; their ids are the hashes of the texts, which is all it keeps of them.

    Raises
    ------
    InputError
        If its files disagree with each other.
    """
    no_field(options, str(path))
    dim = _dimension(path / DIMENSION)
    names = _names(path / INDEX)
    size, n = check_file(path / VECTORS), len(names)
    if size % (4 * dim) or size < 4 * dim * n or not n:
        raise EmbeddingsError(
            f"{path / VECTORS}: {size} bytes; needed: whole vectors of {dim} float32, at least "
            f"the {n} of {INDEX}"
        )
    rows = np.memmap(path / VECTORS, "<f4", "r", shape=(n, dim))  # what follows is not used yet
    line = f"{path}: ids are hashes of texts; queries and documents of a task lie in one cache"
    found = Found(str(path), "MTEB cache", rows, ids=names, named_by=INDEX, warnings=(line,))
    return vectors(found, options, side)


def _dimension(path: Path) -> int:
    if check_file(path) > 20:
        raise EmbeddingsError(f"{path}: too long; needed: the number of dimensions")
    try:
        dim = int(path.read_text("ascii"))
    except (OSError, ValueError):
        dim = 0
    if not 0 < dim < 2**31:
        raise EmbeddingsError(f"{path}: no number of dimensions")
    return dim


def _names(path: Path) -> list[str]:
    """Hashes in the order of their rows, which are 0, 1, 2, ..."""
    index: Any = read_json(path)
    if not isinstance(index, dict) or not all(type(row) is int for row in index.values()):
        raise InputError(f"{path}: needed: a JSON object from hashes to rows")
    ordered = sorted(index, key=index.__getitem__)
    for row, name in enumerate(ordered):
        if index[name] != row:
            raise EmbeddingsError(
                f"{path}: row {index[name]} where {row} is next; needed: every row once, from 0"
            )
    return ordered
