"""Pickles of ``(array, ids)``: what BEIR and Tevatron write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.errors import EmbeddingsError, InputError
from anisotropy.spaces.dumps.base import DumpOptions, Vectors
from anisotropy.spaces.dumps.found import Found, vectors
from anisotropy.spaces.dumps.ids import as_ids
from anisotropy.spaces.dumps.naming import Side, no_field
from anisotropy.untrusted.arrays import open_pickled
from anisotropy.untrusted.paths import check_file


def find(path: Path) -> bool:
    """Whether a file begins like a pickle of a tuple or an array, by its first bytes.

    Protocols 2 to 5 are recognized, which is all that these tools ever wrote.
    """
    try:
        check_file(path)
        with path.open("rb") as file:
            start = file.read(64)
    except (OSError, InputError):
        return False
    return start[:1] == b"\x80" and start[1:2] in b"\2\3\4\5" and b"numpy" in start


def read(path: Path, options: DumpOptions, side: Side = "documents") -> Vectors:
    """Vectors and ids of a pickled pair.

    Ids are text or whole numbers, or pairs of an id and the number of a chunk, as Tevatron writes
    them for passages in chunks: then a document has several vectors.

    Raises
    ------
    InputError
        If the pickle names anything but arrays and plain containers, is damaged, or holds
        something else.
    """
    no_field(options, str(path))
    content = open_pickled(path)
    if isinstance(content, np.ndarray):
        return vectors(Found(str(path), "pickled array", content, path=path), options, side)
    array, ids = _pair(content, path)
    names, chunks = _split(ids, path)
    found = Found(
        str(path),
        "pickled (array, ids)",
        array,
        ids=as_ids(names, path, rows=len(array) if array.ndim else 0),
        chunks=chunks,
    )
    return vectors(found, options, side)


def _pair(content: Any, path: Path) -> tuple[np.ndarray, Any]:
    if (
        isinstance(content, tuple | list)
        and len(content) == 2
        and isinstance(content[0], np.ndarray)
        and isinstance(content[1], list | tuple | np.ndarray)
    ):
        return content[0], content[1]
    kind = type(content).__name__
    raise EmbeddingsError(
        f"{path}: a pickled {kind}; allowed: a pair (array of vectors, list of ids)"
    )


def _split(ids: Any, path: Path) -> tuple[Any, np.ndarray | None]:
    """Ids, and the numbers of chunks where each id comes with one."""
    pairs = isinstance(ids, list | tuple) and len(ids) > 0 and isinstance(ids[0], tuple | list)
    if not pairs:
        return ids, None
    for row, pair in enumerate(ids):
        if not isinstance(pair, tuple | list) or len(pair) != 2 or type(pair[1]) is not int:
            raise EmbeddingsError(
                f"{path}: id of row {row} is no pair of an id and the number of a chunk, as that "
                "of row 0 is"
            )
    if any(abs(number) >= 2**62 for _, number in ids):
        raise EmbeddingsError(f"{path}: a chunk number that is none")
    return [name for name, _ in ids], np.array([number for _, number in ids], dtype=np.int64)
