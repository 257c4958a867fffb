"""Vectors of a faiss index, read from its file without faiss.

A faiss file is a tree of indexes, each a four-letter kind and its fields. The library trusts the
counts in it; here every count is checked against the file before anything is taken, and the
vectors stay where they lie, mapped into memory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.errors import EmbeddingsError, InputError
from anisotropy.spaces.rows import ConvertedRows, ReorderedRows, as_rows
from anisotropy.untrusted.paths import check_file

FLAT = (b"IxFI", b"IxF2", b"IxFl")
IDMAP = (b"IxMp", b"IxM2")
HNSW = (b"IHNf", b"IHNs")
SCALAR = b"IxSQ"
REFINE = b"IxRF"
IVF = b"IwFl"
READ = (*FLAT, *IDMAP, *HNSW, SCALAR, REFINE, IVF)
#: Kinds whose vectors are not in the file, or not as the encoder gave them.
REFUSED = {
    **dict.fromkeys((b"IxPq", b"IxPQ", b"IxPo"), "IndexPQ"),
    **dict.fromkeys((b"IvPQ", b"IwPQ", b"IvQR", b"IwQR"), "IndexIVFPQ"),
    **dict.fromkeys((b"IwSq", b"IwSQ", b"IvSQ"), "IndexIVFScalarQuantizer"),
    **dict.fromkeys((b"IxHE", b"IxHe"), "IndexLSH"),
    **dict.fromkeys((b"IVFf", b"IvFl"), "IndexIVFFlat of an old version"),
    **dict.fromkeys((b"IHNp", b"IHN2"), "IndexHNSW over codes"),
    **dict.fromkeys((b"IPfs", b"IwPf", b"IRfs", b"ILfs"), "IndexFastScan"),
    **dict.fromkeys((b"IxRQ", b"IxRq", b"IxLS", b"IwRQ", b"IwRq", b"IwLS"), "additive quantizer"),
    **dict.fromkeys((b"INSf", b"INSp", b"INSs", b"INNf"), "IndexNSG"),
    **dict.fromkeys((b"IBxF", b"IBwF", b"IBHf", b"IBMp", b"IBM2"), "IndexBinary"),
    b"IxPT": "IndexPreTransform",
    b"Imiq": "MultiIndexQuantizer",
}
_ALLOWED = "Flat, HNSW, IVFFlat and scalar-quantized indexes (16 or 8 bits), also under an IDMap"
_DEEPEST = 4
_DOT, _EUCLIDEAN = 0, 1
#: Scalar quantizers by their number: bytes a dimension.
_SQ8, _SQ16, _SQ_BF16 = 0, 4, 7
_SQ_BYTES = {_SQ8: 1, _SQ16: 2, _SQ_BF16: 2}


@dataclass(frozen=True)
class Index:
    """Vectors of an index.

    Attributes
    ----------
    rows
        Array of shape (n, dim), or rows converted when read.
    numbers
        The id of each row where the index has its own; None where rows are numbered from 0.
    similarity
        ``dot``, ``euclidean``, or None for a metric of another kind.
    metric
        The number faiss gives its metric.
    rounded
        How the index rounded the vectors; empty where it did not.
    """

    rows: Any
    numbers: np.ndarray | None
    similarity: str | None
    metric: int
    rounded: str = ""


class _Cursor:
    """A place in a mapped file; nothing behind its end is ever taken."""

    def __init__(self, path: Path) -> None:
        self.path = path
        size = check_file(path)
        self.bytes = np.memmap(path, np.uint8, "r") if size else np.empty(0, np.uint8)
        self.at = 0

    def fail(self, problem: str) -> EmbeddingsError:
        return EmbeddingsError(f"{self.path}: {problem}")

    def take(self, dtype: str, count: int) -> np.ndarray:
        """The next `count` numbers, where they lie."""
        length = count * np.dtype(dtype).itemsize
        if count < 0 or length > len(self.bytes) - self.at:
            raise self.fail(
                f"a faiss index with {len(self.bytes) - self.at} bytes where {length} are needed: "
                "cut short or damaged"
            )
        start, self.at = self.at, self.at + length
        return self.bytes[start : self.at].view(dtype)

    def one(self, dtype: str) -> Any:
        return self.take(dtype, 1)[0].item()

    def vector(self, dtype: str) -> np.ndarray:
        """A vector as faiss writes it: its length, then its numbers."""
        return self.take(dtype, self.one("<u8"))


@dataclass(frozen=True)
class _Header:
    dim: int
    n: int
    metric: int


def is_faiss(path: Path) -> bool:
    """Whether a file begins like a faiss index, of a kind that is read or not."""
    try:
        check_file(path)
        with path.open("rb") as file:
            start = file.read(4)
    except (OSError, InputError):
        return False
    return start in READ or start in REFUSED


def read_index(path: Path) -> Index:
    """Read the vectors of a faiss index.

    Raises
    ------
    EmbeddingsError
        If it is of a kind without vectors, or its counts disagree with each other or the file.
    """
    cursor = _Cursor(path)
    found = _index(cursor, _DEEPEST)
    if cursor.at != len(cursor.bytes):
        left = len(cursor.bytes) - cursor.at
        raise cursor.fail(f"{left} bytes behind the end of its faiss index; it is damaged")
    return _by_number(found, path) if found.numbers is not None else found


def _by_number(found: Index, path: Path) -> Index:
    """The rows in the order of their numbers; without numbers where those are the rows'."""
    numbers: np.ndarray = np.asarray(found.numbers)
    order = np.argsort(numbers, kind="stable")
    ranked = numbers[order]
    same = np.flatnonzero(ranked[1:] == ranked[:-1])
    if same.size:
        first, second = order[same[0]], order[same[0] + 1]
        raise EmbeddingsError(
            f"{path}: id {ranked[same[0]]} stands at rows {first} and {second}; ids of an index "
            "are unique"
        )
    rows = found.rows if _ascends(order) else ReorderedRows(found.rows, order)
    numbered = not len(ranked) or (ranked[0] == 0 and ranked[-1] == len(ranked) - 1)
    return replace(found, rows=rows, numbers=None if numbered else ranked)


def _ascends(numbers: np.ndarray) -> bool:
    return bool((numbers[1:] > numbers[:-1]).all())


def _index(cursor: _Cursor, depth: int) -> Index:
    kind = cursor.take("u1", 4).tobytes()
    if kind in REFUSED:
        raise cursor.fail(
            f"a faiss {REFUSED[kind]}, which does not hold the vectors as they were encoded; "
            f"allowed: {_ALLOWED}; write the vectors with numpy.save and an id file"
        )
    if kind not in READ:
        raise cursor.fail(f"a faiss index of unknown kind {kind!r}; allowed: {_ALLOWED}")
    if not depth:
        raise cursor.fail("a faiss index with too many indexes inside each other")
    header = _header(cursor)
    if kind in FLAT:
        return _flat(cursor, header)
    if kind in IDMAP:
        return _idmap(cursor, header, depth)
    if kind in HNSW:
        return _hnsw(cursor, header, depth)
    if kind == SCALAR:
        return _scalar(cursor, header)
    return _refine(cursor, header, depth) if kind == REFINE else _ivf(cursor, header, depth)


def _header(cursor: _Cursor) -> _Header:
    dim, n = cursor.one("<i4"), cursor.one("<i8")
    cursor.take("<i8", 2)  # kept free by faiss
    cursor.one("u1")  # whether it is trained
    metric = cursor.one("<i4")
    if metric > 1:
        cursor.one("<f4")
    if dim <= 0 or n < 0 or metric < 0:
        raise cursor.fail(f"a faiss index of {n} vectors with {dim} dimensions; it is damaged")
    return _Header(dim, n, metric)


def _made(header: _Header, rows: Any, numbers: Any = None, rounded: str = "") -> Index:
    similarity = {_DOT: "dot", _EUCLIDEAN: "euclidean"}.get(header.metric)
    return Index(rows, numbers, similarity, header.metric, rounded)


def _same_count(cursor: _Cursor, header: _Header, count: int, what: str) -> None:
    if count != header.n:
        raise cursor.fail(f"a faiss index of {header.n} vectors with {count} {what}; damaged")


def _flat(cursor: _Cursor, header: _Header) -> Index:
    numbers = cursor.vector("<f4")
    if len(numbers) != header.n * header.dim:
        raise cursor.fail(
            f"a faiss index of {header.n} vectors with {header.dim} dimensions has "
            f"{len(numbers)} numbers; needed: {header.n * header.dim}; it is damaged"
        )
    return _made(header, numbers.reshape(header.n, header.dim))


def _inner(cursor: _Cursor, header: _Header, depth: int) -> Index:
    """The index inside another, which must have as many vectors of the same kind."""
    inner = _index(cursor, depth - 1)
    _same_count(cursor, header, len(inner.rows), "in the index inside it")
    if inner.rows.shape[1] != header.dim:
        raise cursor.fail(
            f"a faiss index with {header.dim} dimensions and {inner.rows.shape[1]} inside; damaged"
        )
    return inner


def _idmap(cursor: _Cursor, header: _Header, depth: int) -> Index:
    inner = _inner(cursor, header, depth)
    numbers = cursor.vector("<i8")
    _same_count(cursor, header, len(numbers), "ids")
    if inner.numbers is not None:
        raise cursor.fail("a faiss index with ids inside another with ids; allowed: one of them")
    return _made(header, inner.rows, numbers, inner.rounded)


def _hnsw(cursor: _Cursor, header: _Header, depth: int) -> Index:
    for dtype in ("<f8", "<i4", "<i4", "<u8", "<i4"):  # the graph, which is not needed
        cursor.vector(dtype)
    cursor.take("<i4", 5)
    inner = _inner(cursor, header, depth)
    return _made(header, inner.rows, inner.numbers, inner.rounded)


def _refine(cursor: _Cursor, header: _Header, depth: int) -> Index:
    _inner(cursor, header, depth)  # codes for the first search
    inner = _inner(cursor, header, depth)
    cursor.one("<f4")
    return _made(header, inner.rows, inner.numbers, inner.rounded)


def _scalar(cursor: _Cursor, header: _Header) -> Index:
    kind = cursor.one("<i4")
    cursor.take("<f4", 2)  # how its ranges were found
    dim, width = cursor.one("<u8"), cursor.one("<u8")
    trained = cursor.vector("<f4")
    codes = cursor.vector("u1")
    if kind not in _SQ_BYTES:
        raise cursor.fail(f"a faiss scalar quantizer of kind {kind}; allowed: {_ALLOWED}")
    if dim != header.dim or width != dim * _SQ_BYTES[kind]:
        raise cursor.fail(f"a faiss scalar quantizer with {width} bytes a vector; it is damaged")
    _same_count(cursor, header, len(codes) // width, "codes")
    if len(codes) % width:
        raise cursor.fail("a faiss scalar quantizer whose codes are no whole vectors; damaged")
    rows = codes.reshape(header.n, width)
    return _made(header, *_decoded(cursor, kind, rows, trained))


def _decoded(
    cursor: _Cursor, kind: int, rows: np.ndarray, trained: np.ndarray
) -> tuple[Any, None, str]:
    if kind == _SQ16:
        return rows.view("<f2"), None, "16 bits (float16)"
    if kind == _SQ_BF16:
        return ConvertedRows(rows.view("<u2")), None, "16 bits (bfloat16)"
    if len(trained) != 2 * rows.shape[1]:
        raise cursor.fail("a faiss scalar quantizer without its ranges; it is damaged")
    smallest, width = trained.reshape(2, -1).astype(np.float32)
    # a code stands for the middle of its interval
    scale = width / np.float32(255)
    return ConvertedRows(rows, scale=scale, shift=smallest + scale / 2), None, "8 bits"


def _ivf(cursor: _Cursor, header: _Header, depth: int) -> Index:
    lists = cursor.one("<u8")
    cursor.one("<u8")  # how many are searched
    coarse = _index(cursor, depth - 1)  # the centers
    if len(coarse.rows) != lists:
        raise cursor.fail(f"a faiss index of {lists} lists with {len(coarse.rows)} centers")
    direct = cursor.one("u1")
    cursor.vector("<i8")
    if direct == 2:
        cursor.vector("<i8,<i8")
    return _inverted(cursor, header, lists)


def _inverted(cursor: _Cursor, header: _Header, lists: int) -> Index:
    kind = cursor.take("u1", 4).tobytes()
    if kind == b"il00":
        raise cursor.fail("a faiss index whose lists lie in another file; allowed: one file")
    if kind != b"ilar" or cursor.one("<u8") != lists or cursor.one("<u8") != 4 * header.dim:
        raise cursor.fail("a faiss index whose lists do not fit its header; it is damaged")
    sizes = _list_sizes(cursor, lists)
    parts, numbers = [], []
    for size in sizes[sizes > 0].tolist():
        parts.append(cursor.take("<f4", size * header.dim).reshape(size, header.dim))
        numbers.append(cursor.take("<i8", size))
    _same_count(cursor, header, sum(map(len, parts)), "in its lists")
    if not parts:
        return _made(header, np.empty((0, header.dim), np.float32))
    return _made(header, as_rows(parts), np.concatenate(numbers))


def _list_sizes(cursor: _Cursor, lists: int) -> np.ndarray:
    form = cursor.take("u1", 4).tobytes()
    sizes = cursor.vector("<u8")
    if form == b"sprs" and len(sizes) % 2 == 0 and (sizes[::2] < lists).all():
        sizes = sizes[1::2]  # pairs of a list and its size
    elif form != b"full" or len(sizes) != lists:
        raise cursor.fail("a faiss index whose lists have no sizes; it is damaged")
    if sizes.size and int(sizes.max()) > len(cursor.bytes):
        raise cursor.fail("a faiss index with a list larger than the file; it is damaged")
    return sizes.astype(np.int64)
