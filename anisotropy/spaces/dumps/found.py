"""From what a file holds to vectors: types of numbers, scales, ids, chunks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.errors import EmbeddingsError, UsageError
from anisotropy.spaces.dumps.base import DumpOptions, Vectors, check_ids
from anisotropy.spaces.dumps.ids import read_ids
from anisotropy.spaces.dumps.naming import Side, beside, ids_given
from anisotropy.spaces.rows import ConvertedRows, LazyRows, ReorderedRows, ShardedRows
from anisotropy.untrusted.arrays import open_npy


@dataclass(frozen=True)
class Found:
    """What a layout found in its file, before anything is said about it by a user.

    Attributes
    ----------
    origin, layout
        As in `Vectors`.
    array
        Numbers of shape (n, dim), or (n, k, dim) for k vectors a document.
    ids, texts
        One a row of `array`, where the file has them.
    chunks
        Number of each row among the vectors of its document, where the file says it.
    padding
        Whether a row stands for padding alone, where the file says it.
    bfloat16
        Whether `array` holds bfloat16 as uint16.
    scale, shift
        What whole numbers are multiplied by and what is added then, where the file says it.
    similarity
        As in `Vectors`.
    repeated
        Whether in this layout an id that stands at several rows is a document of several vectors.
    path
        The file beside which ids may lie; None where there are none to look for.
    named_by
        Name of the file of `ids`; default: that of `origin`.
    warnings
        One line each.
    """

    origin: str
    layout: str
    array: Any
    ids: list[str] | None = None
    texts: list[str] | None = None
    chunks: np.ndarray | None = None
    padding: np.ndarray | None = None
    bfloat16: bool = False
    scale: Any = None
    shift: Any = 0.0
    similarity: str | None = None
    repeated: bool = False
    path: Path | None = None
    named_by: str = ""
    warnings: tuple[str, ...] = ()


class AlignedRows(LazyRows):
    """Rows at an odd place of a file, or with their bytes turned round, put right when read.

    Parameters
    ----------
    base
        Shape (n, dim).
    """

    def __init__(self, base: Any) -> None:
        super().__init__(base, len(base), base.dtype.newbyteorder("="))

    def _slice(self, key: slice) -> np.ndarray:
        return np.require(self.base[key], self.dtype, ["A"])

    def _take(self, index: np.ndarray) -> np.ndarray:
        taken: np.ndarray = np.asarray(self.base[index]).astype(self.dtype)
        return taken


def vectors(found: Found, options: DumpOptions, side: Side) -> Vectors:
    """The vectors of a side: numbers as floating point, ids found and checked.

    Raises
    ------
    EmbeddingsError
        If numbers are of a type that is not read, or ids do not fit; the message names the file.
    UsageError
        If an option is given that does not concern this file.
    """
    rows = _floating(found, options, side)
    n = len(found.array)
    if not n:
        raise EmbeddingsError(f"{found.origin}: no vectors in it")
    ids, texts, named_by, warnings = _names(found, options, side)
    if ids is not None:
        check_ids(ids, n, found.origin)
    chunks = found.chunks if found.chunks is not None else _chunks_beside(found)
    each = len(rows) // n
    if each > 1:
        ids = _each_times(ids or list(map(str, range(n))), each)
        texts = texts and _each_times(texts, each)
        warnings = (*warnings, f"{found.origin}: {each} vectors a document")
    if chunks is not None and each > 1:
        raise EmbeddingsError(f"{found.origin}: chunk numbers, and k vectors a row; allowed: one")
    return Vectors(
        found.origin,
        rows,
        ids,
        texts,
        found.similarity,
        padding=found.padding if each == 1 else None,
        layout=found.layout,
        warnings=(*found.warnings, *warnings),
        repeated=found.repeated or each > 1 or chunks is not None,
        chunks=chunks,
        each=each,
        named_by=named_by,
    )


def with_ids(made: Vectors, path: Path) -> Vectors:
    """The vectors of a side with the ids of a file that a user names, as if it lay beside them.

    Raises
    ------
    InputError
        If it cannot be read, or has another number of ids.
    """
    n = len(made.rows) // made.each
    ids, texts = read_ids(path, n)
    check_ids(ids, n, str(path))
    texts = texts and _each_times(texts, made.each)
    return replace(
        made,
        ids=_each_times(ids, made.each),
        texts=texts or made.texts,
        named_by=f"{path.name} (option --ids or --query-ids)",
    )


def _each_times(values: Sequence[str], times: int) -> list[str]:
    return [value for value in values for _ in range(times)]


def _floating(found: Found, options: DumpOptions, side: Side) -> Any:
    array = _flat(found)
    if found.bfloat16:
        _no_scale(found, options, side, "bfloat16")
        return ConvertedRows(array)
    if array.dtype.kind == "f":
        _no_scale(found, options, side, str(array.dtype))
        return array if _is_plain(array) else AlignedRows(array)
    if array.dtype not in (np.int8, np.uint8):
        raise EmbeddingsError(
            f"{found.origin}: vectors of type {array.dtype}; allowed: float16, float32, float64, "
            "bfloat16, and int8 with its scale"
        )
    scale = options.scale if options.scale is not None else found.scale
    if scale is None:
        raise EmbeddingsError(
            f"{found.origin}: vectors of type {array.dtype} without a scale; say by what number "
            "they are multiplied with --scale"
        )
    shift = found.shift if options.scale is None else 0.0
    return ConvertedRows(array, _per_dimension(scale, array, found), shift)


def _is_plain(array: Any) -> bool:
    """Whether its numbers may be handed to any library as they lie in memory."""
    parts = array.shards if isinstance(array, ShardedRows) else [array]
    return array.dtype.isnative and all(
        isinstance(part, LazyRows) or part.flags.aligned for part in parts
    )


def _no_scale(found: Found, options: DumpOptions, side: Side, dtype: str) -> None:
    """Refuse a scale for floating point; queries often have it beside documents of 8 bits."""
    if options.scale is not None and side == "documents":
        raise UsageError(f"--scale is for int8; {found.origin} has {dtype}")


def _flat(found: Found) -> Any:
    """Shape (rows, dim), however the vectors of a document are put."""
    array = found.array
    if array.ndim == 3 and array.flags.c_contiguous:
        array = array.reshape(-1, array.shape[2])
    if array.ndim != 2 or array.shape[1] == 0:
        raise EmbeddingsError(
            f"{found.origin}: an array of shape {tuple(array.shape)}; needed: (n, dim), or "
            "(n, k, dim) for k vectors a document"
        )
    return array


def _per_dimension(scale: Any, array: Any, found: Found) -> Any:
    scales: np.ndarray = np.asarray(scale, dtype=np.float32).squeeze()
    if scales.shape not in ((), (array.shape[1],)):
        raise EmbeddingsError(
            f"{found.origin}: a scale of shape {scales.shape}; needed: one number, or one for "
            f"each of {array.shape[1]} dimensions"
        )
    if not (np.isfinite(scales) & (scales > 0)).all():
        raise EmbeddingsError(f"{found.origin}: a scale that is not above 0; needed: positive")
    return scales


def _names(
    found: Found, options: DumpOptions, side: Side
) -> tuple[list[str] | None, list[str] | None, str, tuple[str, ...]]:
    """Ids and texts from the file, or from a file beside it; none where an option names one.

    Then where the ids are from, and warnings.
    """
    if ids_given(options, side):
        return None, found.texts, "", ()
    if found.ids is not None:
        return found.ids, found.texts, found.named_by or Path(found.origin).name, ()
    near = beside(found.path, side) if found.path is not None else None
    if near is not None:
        ids, texts = read_ids(near, len(found.array))
        check_ids(ids, len(found.array), str(near))
        return ids, texts or found.texts, near.name, ()
    option = "--ids" if side == "documents" else "--query-ids"
    line = f"{found.origin}: no ids; rows are numbered from 0 ({option})"
    return None, found.texts, "numbers of the rows", (line,)


def _chunks_beside(found: Found) -> np.ndarray | None:
    """Chunk numbers from ``X.chunks.npy`` beside ``X.npy``."""
    if found.path is None:
        return None
    near = found.path.with_suffix(".chunks.npy")
    if not near.exists():
        return None
    chunks = open_npy(near)
    if chunks.shape != (len(found.array),) or chunks.dtype.kind not in "iu":
        raise EmbeddingsError(
            f"{near}: {chunks.dtype} of shape {chunks.shape}; needed: a whole number for each of "
            f"{len(found.array)} vectors"
        )
    return chunks


def in_chunk_order(made: Vectors) -> Vectors:
    """Rows put so that the chunks of each document follow each other upwards.

    Raises
    ------
    EmbeddingsError
        If a chunk of a document stands there twice.
    """
    ids, chunks = made.ids, made.chunks
    if ids is None or chunks is None:
        return made
    numbers = chunks.tolist()
    last: dict[str, int] = {}
    rising = True
    for name, chunk in zip(ids, numbers, strict=True):
        rising = rising and last.get(name, chunk - 1) < chunk
        last[name] = chunk
    if not rising:
        _each_chunk_once(ids, numbers, made.origin)
    return made if rising else _reordered(made, np.argsort(chunks, kind="stable"))


def _each_chunk_once(ids: Sequence[str], chunks: Sequence[int], origin: str) -> None:
    seen: dict[tuple[str, int], int] = {}
    for row, pair in enumerate(zip(ids, chunks, strict=True)):
        if seen.setdefault(pair, row) != row:
            raise EmbeddingsError(
                f"{origin}: chunk {pair[1]} of {pair[0][:60]!r} stands at rows {seen[pair]} and "
                f"{row}; needed: each once"
            )


def _reordered(made: Vectors, order: np.ndarray) -> Vectors:
    ids, texts = made.ids, made.texts
    return replace(
        made,
        rows=ReorderedRows(made.rows, order),
        ids=ids and [ids[row] for row in order],
        texts=texts and [texts[row] for row in order],
        padding=made.padding if made.padding is None else made.padding[order],
        chunks=made.chunks if made.chunks is None else made.chunks[order],
    )
