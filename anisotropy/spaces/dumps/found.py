"""From what a file holds to vectors: types of numbers, scales, ids, chunks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.errors import EmbeddingsError, UsageError, one_of
from anisotropy.spaces.dumps.base import DumpOptions, Vectors, check_ids
from anisotropy.spaces.dumps.ids import Side, beside, check_once, read_id_file
from anisotropy.spaces.rows import ConvertedRows, LazyRows, ReorderedRows, ShardedRows
from anisotropy.untrusted.arrays import open_npy

#: Names under which files keep vectors, by side; then those that say no side.
SIDE_NAMES: dict[str, tuple[str, ...]] = {
    "documents": (
        "documents", "corpus", "passages", "docs", "doc_embeddings", "document_embeddings",
        "passage_embeddings", "corpus_embeddings", "doc_embs", "doc_vec",
    ),
    "queries": ("queries", "query_embeddings", "query_embs", "query_vec"),
}  # fmt: skip
NEUTRAL_NAMES = (
    "embeddings", "embedding", "vectors", "vector", "emb", "embs", "vecs", "vec", "values",
    "sentence_embedding", "arr_0",
)  # fmt: skip
#: Names under which files keep ids, those first that say of what.
ID_NAMES: dict[str, tuple[str, ...]] = {
    "documents": (
        "doc_id", "docid", "docno", "document_id", "pid", "passage_id", "corpus_id", "corpus-id",
        "doc_ids", "docids", "document_ids", "passage_ids", "pids", "corpus_ids", "_id", "id",
        "ids", "text_id", "text_ids",
    ),
    "queries": (
        "query_id", "qid", "query-id", "query_ids", "qids", "_id", "id", "ids", "text_id",
        "text_ids",
    ),
}  # fmt: skip
CHUNK_NAMES = ("chunk", "chunks", "chunk_id", "chunk_idx", "chunk_index", "chunk_ids")
SCALE_NAMES = ("scale", "scales")


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
    bfloat16
        Whether `array` holds bfloat16 as uint16.
    scale, shift
        What whole numbers are multiplied by and what is added then, where the file says it.
    similarity
        As in `Vectors`.
    repeated
        Whether in this layout an id that occurs several times is a document of several vectors.
    path
        The file beside which ids may lie; None where there are none to look for.
    warnings
        One line each.
    """

    origin: str
    layout: str
    array: Any
    ids: list[str] | None = None
    texts: list[str] | None = None
    chunks: np.ndarray | None = None
    bfloat16: bool = False
    scale: Any = None
    shift: Any = 0.0
    similarity: str | None = None
    repeated: bool = False
    path: Path | None = None
    warnings: tuple[str, ...] = ()


class AlignedRows(LazyRows):
    """Rows at an odd place of a file, or with their bytes the other way round, put right when read.

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
    rows = _floating(found, options)
    n = len(found.array)
    ids, texts, warnings = _names(found, options, side, n)
    chunks = found.chunks if found.chunks is not None else _chunks_beside(found)
    if ids is not None:
        check_ids(ids, n, found.origin)
        if not found.repeated and chunks is None:
            check_once(ids, found.origin)
    each = len(rows) // n if n else 1
    if each > 1:
        ids = [name for name in ids or map(str, range(n)) for _ in range(each)]
        texts = texts and [text for text in texts for _ in range(each)]
        warnings = (*warnings, f"{found.origin}: {each} vectors a document")
    made = Vectors(
        found.origin, rows, ids, texts, found.similarity, None, found.layout,
        (*found.warnings, *warnings),
    )  # fmt: skip
    return made if chunks is None else _in_chunk_order(made, chunks)


def _floating(found: Found, options: DumpOptions) -> Any:
    array = _flat(found)
    if found.bfloat16:
        _no_scale(found, options, "bfloat16")
        return ConvertedRows(array)
    if array.dtype.kind == "f":
        _no_scale(found, options, str(array.dtype))
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


def _no_scale(found: Found, options: DumpOptions, dtype: str) -> None:
    if options.scale is not None:
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
            f"{found.origin}: a scale of shape {scales.shape}; needed: one number, or one for each "
            f"of {array.shape[1]} dimensions"
        )
    if not (np.isfinite(scales) & (scales > 0)).all():
        raise EmbeddingsError(f"{found.origin}: a scale that is not above 0; needed: positive")
    return scales


def _names(
    found: Found, options: DumpOptions, side: Side, n: int
) -> tuple[list[str] | None, list[str] | None, tuple[str, ...]]:
    """Ids and texts by option, from the file, or from a file beside it."""
    if options.ids is not None:
        ids, texts = read_id_file(options.ids, n)
        return ids, texts or found.texts, ()
    if found.ids is not None:
        return found.ids, found.texts, ()
    near = beside(found.path, side) if found.path is not None else None
    if near is not None:
        ids, texts = read_id_file(near, n)
        return ids, texts or found.texts, ()
    option = "--ids" if side == "documents" else "--query-ids"
    return None, found.texts, (f"{found.origin}: no ids; rows are numbered from 0 ({option})",)


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


def _in_chunk_order(made: Vectors, chunks: np.ndarray) -> Vectors:
    """Rows put so that the chunks of each document follow each other upwards."""
    if made.ids is None:
        raise EmbeddingsError(f"{made.origin}: chunk numbers without ids; give --ids FILE")
    if len(chunks) != len(made.ids):
        raise EmbeddingsError(f"{made.origin}: chunk numbers, and k vectors a row; allowed: one")
    numbers = chunks.tolist()
    last: dict[str, int] = {}
    rising = True
    for name, chunk in zip(made.ids, numbers, strict=True):
        rising = rising and last.get(name, chunk - 1) < chunk
        last[name] = chunk
    if not rising:
        _each_chunk_once(made.ids, numbers, made.origin)
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
    return Vectors(
        made.origin,
        ReorderedRows(made.rows, order),
        ids and [ids[row] for row in order],
        texts and [texts[row] for row in order],
        made.similarity,
        None,
        made.layout,
        made.warnings,
    )


def choose(
    names: Iterable[str], options: DumpOptions, side: Side, origin: str, what: str
) -> str:
    """Which of several arrays, tensors or columns holds the vectors of a side.

    Raises
    ------
    UsageError
        If the one that was asked for is not there.
    EmbeddingsError
        If there is none, or several and none of them has a known name.
    """
    there = list(names)
    if options.field is not None and (options.field in there or side == "documents"):
        if options.field not in there:
            raise UsageError(f"--field: {one_of(options.field, there)} ({origin})")
        return options.field
    other = SIDE_NAMES["queries" if side == "documents" else "documents"]
    for known in (SIDE_NAMES[side], NEUTRAL_NAMES, [name for name in there if name not in other]):
        fitting = [name for name in there if name in known]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            break
    listed = ", ".join(there[:10]) or "none"
    raise EmbeddingsError(
        f"{origin}: which {what} holds the vectors of the {side} is not clear (got {listed}); say "
        "it with --field NAME"
    )


def first_of(names: Sequence[str], there: Iterable[str]) -> tuple[str | None, tuple[str, ...]]:
    """The first of known names that is there, and a warning where others are there too."""
    present = set(there)
    fitting = [name for name in names if name in present]
    if len(fitting) < 2:
        return (fitting[0] if fitting else None), ()
    others = ", ".join(map(repr, fitting[1:]))
    return fitting[0], (f"ids are those of {fitting[0]!r}; also there: {others}",)


def no_field(options: DumpOptions, origin: str) -> None:
    """Refuse ``--field`` for a file that holds one array.

    Raises
    ------
    UsageError
        If it is given.
    """
    if options.field is not None:
        raise UsageError(f"--field: {origin} holds one array; leave it out")
