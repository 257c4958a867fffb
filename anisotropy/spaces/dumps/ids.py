"""Files with an id a row, in the many forms in which they lie beside vectors."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.errors import InputError
from anisotropy.spaces.dumps.base import check_count
from anisotropy.untrusted.arrays import open_npy
from anisotropy.untrusted.paths import check_file
from anisotropy.untrusted.texts import read_json

_LARGEST = 8 * 2**30


def read_ids(path: Path, rows: int | None = None) -> tuple[list[str], list[str] | None]:
    """Ids in row order, and their texts where the file has them.

    Parameters
    ----------
    path
        ``.npy`` (one dimension, numbers or text), ``.json`` (a list), ``.tsv`` (id, tab, text),
        or a file with one id a line.
    rows
        How many an array must have.

    Raises
    ------
    InputError
        If it cannot be read, or a line has not the form; the message names file and line.
    """
    if path.suffix == ".npy":
        return as_ids(open_npy(path), path, rows=rows), None
    if path.suffix == ".json":
        return as_ids(read_json(path), path), None
    lines = read_id_lines(path)
    if path.suffix != ".tsv":
        return lines, None
    pairs = [line.split("\t", 1) for line in lines]
    texts = [pair[1] for pair in pairs if len(pair) == 2]
    return [pair[0] for pair in pairs], texts if len(texts) == len(pairs) else None


def read_id_lines(path: Path) -> list[str]:
    """Lines of a UTF-8 file without their ends, blank ones included: a line a row.

    Raises
    ------
    InputError
        If it cannot be read or is not UTF-8.
    """
    size = check_file(path)
    if size > _LARGEST:
        raise InputError(f"{path}: {size} bytes; allowed for a file of ids: {_LARGEST}")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {line}: not UTF-8") from None
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def _array_ids(array: np.ndarray, path: object, rows: int | None) -> list[str]:
    if array.ndim != 1 or array.dtype.kind not in "iuUS":
        raise InputError(
            f"{path}: {array.dtype} of shape {array.shape}; needed: one id a row, numbers or text"
        )
    if rows is not None:  # an array of empty texts takes no room in its file, a list of them does
        check_count(len(array), rows, str(path))
    return _as_texts(array, path)


def _as_texts(array: np.ndarray, path: object) -> list[str]:
    """Ids in a one-dimensional array of whole numbers or text, as text."""
    if array.dtype.kind == "S":
        return [_decoded(value, row, path) for row, value in enumerate(array.tolist())]
    if array.dtype.kind == "U" and array.size:
        codes = np.ascontiguousarray(array).view(
            np.dtype("u4").newbyteorder(array.dtype.byteorder)
        )
        if codes.max() > sys.maxunicode:
            raise InputError(f"{path}: ids that are no text")
    return [str(value) for value in array.tolist()]


def _decoded(value: bytes, row: int, path: object) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path}: id of row {row} is not UTF-8") from None


def as_ids(values: Any, path: object, first: int = 0, rows: int | None = None) -> list[str]:
    """Ids in a list of texts and whole numbers, or in an array of them.

    Parameters
    ----------
    values
        What a file holds.
    path
        The file, or the place in it, as a message names it.
    first
        Row of the first of them.
    rows
        How many an array must have; looked at before it becomes a list.

    Raises
    ------
    InputError
        If it is no list, or holds anything else; the message names the row.
    """
    if isinstance(values, np.ndarray):
        return _array_ids(values, path, rows)
    if not isinstance(values, list | tuple):
        raise InputError(f"{path}: ids are a {type(values).__name__}; needed: a list")
    for row, value in enumerate(values):
        if type(value) not in (str, int) or (type(value) is int and value.bit_length() > 64):
            raise InputError(
                f"{path}: id of row {first + row} is a {type(value).__name__}; needed: text or a "
                "whole number"
            )
    return [str(value) for value in values]
