"""Vectors in columns: Parquet files, Arrow files and streams, folders of Hugging Face datasets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.errors import EmbeddingsError, InputError, reason_of
from anisotropy.spaces.dumps.arrow_format import file_bytes, parquet_bytes, stream_bytes
from anisotropy.spaces.dumps.base import DumpOptions, Vectors
from anisotropy.spaces.dumps.buffers import RowBuffer, check_unpacked
from anisotropy.spaces.dumps.found import Found, vectors
from anisotropy.spaces.dumps.ids import as_ids
from anisotropy.spaces.dumps.naming import CHUNK_NAMES, ID_NAMES, Side, choose, first_of
from anisotropy.spaces.dumps.stated import KEY, stated_similarity
from anisotropy.spaces.rows import as_rows
from anisotropy.untrusted.paths import check_file
from anisotropy.untrusted.texts import read_json

PARQUET, FILE, STREAM = b"PAR1", b"ARROW1", b"\xff\xff\xff\xff"
STATE = "state.json"
_BATCH = 1024
_PADDING = "padding"
_TEXT_NAMES = ("text", "contents", "content", "passage", "body")
#: Longest id and text of a row, in bytes.
_LONGEST = {"id": 4096, "text": 4 * 2**20}


def find(path: Path) -> bool:
    """Whether it is a Parquet or Arrow file, or a folder that `datasets` saved."""
    try:
        if path.is_dir():
            return (path / STATE).is_file() and any(path.glob("data-*.arrow"))
        return _kind(path) is not None
    except (OSError, InputError):
        return False


def _kind(path: Path) -> bytes | None:
    check_file(path)
    with path.open("rb") as file:
        start = file.read(8)
    if start[:4] == STREAM and 0 < int.from_bytes(start[4:8], "little") < 2**24:
        return STREAM
    return next((magic for magic in (PARQUET, FILE) if start.startswith(magic)), None)


def _shards(folder: Path) -> list[Path]:
    """Files of a saved dataset, in the order that its state names."""
    state = read_json(folder / STATE)
    listed = state.get("_data_files") if isinstance(state, dict) else None
    if not isinstance(listed, list):
        raise EmbeddingsError(f"{folder / STATE}: names no files; needed: those of a dataset")
    names = [entry.get("filename") for entry in listed if isinstance(entry, dict)]
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or name in ("", ".", ".."):
            raise EmbeddingsError(f"{folder / STATE}: names a file {name!r}; allowed: plain names")
    return [folder / str(name) for name in names]


def read(path: Path, options: DumpOptions, side: Side = "documents") -> Vectors:
    """Vectors of a side from the columns of a table.

    Raises
    ------
    InputError
        If a file is damaged, unpacks to far more than it is, or has no column of vectors.
    """
    files = _shards(path) if path.is_dir() else [path]
    if not files:
        raise EmbeddingsError(f"{path}: a saved dataset without files")
    with _arrow_errors(path):
        return vectors(_Reading(path, files, options, side).found(), options, side)


@contextlib.contextmanager
def _arrow_errors(path: Path) -> Iterator[None]:
    """Whatever the library says of a damaged file, as one line that names it."""
    import pyarrow as pa

    try:
        yield
    except InputError:
        raise
    except (pa.ArrowException, OSError, MemoryError, ValueError, KeyError, IndexError) as error:
        reason = reason_of(error)
        raise EmbeddingsError(f"{path}: damaged Parquet or Arrow file ({reason})") from None


class _Reading:
    """One pass over the needed columns of one or several files."""

    def __init__(
        self, origin: Path, files: Sequence[Path], options: DumpOptions, side: Side
    ) -> None:
        self.origin, self.files = str(origin), files
        self.size = sum(check_file(file) for file in files)
        self.layout, schema = _schema(files[0])
        lists = [field.name for field in schema if _is_vector(field.type)]
        self.column = choose(lists, options, side, self.origin, "column")
        self.id_column, warnings = first_of(ID_NAMES[side], self._plain(schema))
        self.warnings = tuple(f"{self.origin}: {line}" for line in warnings)
        self.chunk_column = first_of(CHUNK_NAMES, schema.names)[0]
        self.text_column = first_of(_TEXT_NAMES, _named_texts(schema))[0]
        about = (schema.metadata or {}).get(KEY)  # written by convert
        self.similarity = stated_similarity(about)
        marked = about is not None and self.chunk_column is not None
        self.padding_column = _PADDING if marked and _has_marks(schema) else None
        wanted = (
            *(self.column, self.id_column, self.chunk_column, self.text_column),
            self.padding_column,
        )
        self.columns = [name for name in wanted if name is not None]
        self.ids: list[str] = []
        self.texts: list[str] = []
        self.chunks: list[Any] = []
        self.padding: list[bool] = []
        self.rows = 0
        self.shape: tuple[int, ...] | None = None
        self.dtype: np.dtype[Any] | None = None
        self._text_bytes = 0

    def _plain(self, schema: Any) -> list[str]:
        return [field.name for field in schema if not _is_list(field.type)]

    def found(self) -> Found:
        buffer = RowBuffer(self.origin, self.size)
        mapped: list[np.ndarray] | None = []  # while every block lies in its file
        for file in self.files:
            for batch, stays in _batches(file, self.columns):
                block = self._block(batch, file)
                if mapped is not None and stays:
                    mapped.append(block)
                    continue
                for earlier in mapped or ():
                    buffer.append(earlier)
                mapped = None
                buffer.append(block)
        return self._made(as_rows(mapped) if mapped else buffer.whole())

    def _made(self, rows: Any) -> Found:
        return Found(
            self.origin,
            self.layout,
            rows,
            ids=self.ids if self.id_column else None,
            texts=self.texts if self.text_column and len(self.texts) == self.rows else None,
            chunks=np.array(self.chunks) if self.chunk_column else None,
            padding=np.array(self.padding, dtype=bool) if self.padding_column else None,
            similarity=self.similarity,
            path=Path(self.origin),
            warnings=self.warnings,
        )

    def _block(self, batch: Any, file: Path) -> np.ndarray:
        batch.validate(full=True)
        block = _matrix(batch.column(batch.schema.get_field_index(self.column)), self)
        if self.shape is not None and block.shape[1:] != self.shape:
            raise EmbeddingsError(
                f"{self.origin}: row {self.rows} has a vector of shape {block.shape[1:]}; those "
                f"before have {self.shape}"
            )
        if self.dtype is not None and block.dtype != self.dtype:
            raise EmbeddingsError(
                f"{file}: column {self.column!r} holds {block.dtype}; the files before hold "
                f"{self.dtype}; needed: the same in all files of a dataset"
            )
        self.shape, self.dtype = block.shape[1:], block.dtype
        self._take_texts(batch)
        self.rows += len(block)
        return block

    def _take_texts(self, batch: Any) -> None:
        if self.id_column is not None:
            values = self._bounded(batch, self.id_column, "id")
            self.ids += as_ids(values, f"{self.origin}, column {self.id_column!r}", self.rows)
        if self.text_column is not None:
            values = self._bounded(batch, self.text_column, "text")
            self.texts += [value for value in values if isinstance(value, str)]
        if self.chunk_column is not None:
            numbers = batch.column(batch.schema.get_field_index(self.chunk_column)).to_pylist()
            self._check_chunks(numbers)
            self.chunks += numbers
        if self.padding_column is not None:
            marks = batch.column(batch.schema.get_field_index(self.padding_column)).to_pylist()
            self.padding += map(bool, marks)

    def _check_chunks(self, numbers: list[Any]) -> None:
        odd = next((row for row, one in enumerate(numbers) if type(one) is not int), None)
        if odd is not None:
            raise EmbeddingsError(
                f"{self.origin}: chunk number of row {self.rows + odd} is "
                f"{type(numbers[odd]).__name__}; needed: a whole number"
            )

    def _bounded(self, batch: Any, name: str, what: str) -> list[Any]:
        """Values of a column of short texts: their lengths are looked at before they are taken."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = batch.column(batch.schema.get_field_index(name))
        words = column.dictionary if pa.types.is_dictionary(column.type) else column
        if pa.types.is_integer(words.type):
            return list(column.to_pylist())
        if not _is_text(words.type):
            raise EmbeddingsError(
                f"{self.origin}: column {name!r} holds {words.type}; needed: text or whole numbers"
            )
        lengths = pc.binary_length(_as_binary(words))
        longest = pc.max(lengths).as_py() or 0
        if longest > _LONGEST[what]:
            raise EmbeddingsError(
                f"{self.origin}: column {name!r} has a value of {longest} bytes near row "
                f"{self.rows}; allowed: {_LONGEST[what]}"
            )
        if words is not column:  # a word is taken once for every row that points to it
            lengths = lengths.take(column.indices)
        self._text_bytes += pc.sum(lengths).as_py() or 0
        check_unpacked(self.origin, self._text_bytes, self.size)
        return list(column.to_pylist())


def _has_marks(schema: Any) -> bool:
    import pyarrow as pa

    return _PADDING in schema.names and bool(pa.types.is_boolean(schema.field(_PADDING).type))


def _named_texts(schema: Any) -> list[str]:
    return [field.name for field in schema if _is_text(field.type)]


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _as_binary(words: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_string_view(words.type) or pa.types.is_binary_view(words.type):
        return words.cast(pa.large_binary())
    return words


def _schema(path: Path) -> tuple[str, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kind = _kind(path)
    with _arrow_errors(path):
        if kind == PARQUET:
            parquet_bytes(path, ())  # first: what is damaged here can end the whole process there
            return "parquet", pq.read_schema(path)
        if kind == FILE:
            file_bytes(path)
            return "arrow", pa.ipc.open_file(pa.memory_map(str(path))).schema
        if kind == STREAM:
            return "arrow", pa.ipc.open_stream(pa.memory_map(str(path))).schema
    raise EmbeddingsError(f"{path}: neither Parquet nor Arrow")


def _batches(path: Path, columns: Sequence[str]) -> Iterator[tuple[Any, bool]]:
    """Batches of the columns, and whether their numbers stay in the mapped file."""
    import pyarrow as pa

    kind = _kind(path)
    with _arrow_errors(path):
        if kind == PARQUET:
            yield from ((batch, False) for batch in _parquet_batches(path, columns))
            return
        wanted = file_bytes(path) if kind == FILE else stream_bytes(path)
        check_unpacked(str(path), wanted, check_file(path))
        source = pa.memory_map(str(path))
        inside = _Inside(source)
        if kind == FILE:
            reader = pa.ipc.open_file(source)
            parts = (reader.get_batch(n) for n in range(reader.num_record_batches))
        else:
            parts = iter(pa.ipc.open_stream(source))
        for batch in parts:
            chosen = batch.select(columns)
            yield chosen, inside.holds(chosen.column(0))


class _Inside:
    """Whether the numbers of a column lie in a mapped file, not in memory of their own."""

    def __init__(self, source: Any) -> None:
        whole = source.read_buffer()
        source.seek(0)
        self._start, self._stop = whole.address, whole.address + whole.size

    def holds(self, column: Any) -> bool:
        buffers = [buffer for buffer in column.buffers() if buffer is not None]
        return bool(buffers) and all(
            self._start <= buffer.address < self._stop for buffer in buffers
        )


def _parquet_batches(path: Path, columns: Sequence[str]) -> Iterator[Any]:
    import pyarrow.parquet as pq

    check_unpacked(str(path), parquet_bytes(path, columns), check_file(path))
    with pq.ParquetFile(path, read_dictionary=list(columns[1:])) as file:
        yield from file.iter_batches(_BATCH, columns=list(columns), use_threads=False)


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _is_vector(kind: Any) -> bool:
    import pyarrow as pa

    inner = getattr(kind, "storage_type", kind)
    if not _is_list(inner):
        return False
    value = inner.value_type.value_type if _is_list(inner.value_type) else inner.value_type
    return bool(pa.types.is_floating(value) or pa.types.is_int8(value) or pa.types.is_uint8(value))


def _matrix(column: Any, reading: _Reading) -> np.ndarray:
    """A column of lists as an array of shape (rows, dim) or (rows, k, dim), not copied."""
    column = getattr(column, "storage", column)
    lengths: list[int] = []
    n = len(column)
    while _is_list(column.type):
        if column.null_count:
            raise _missing(column, reading, lengths)
        lengths.append(_length(column, reading, lengths))
        column = column.flatten()
    if column.null_count:
        raise _missing(column, reading, lengths)
    values: np.ndarray = column.to_numpy(zero_copy_only=False)
    return values.reshape(n, *lengths)


def _missing(column: Any, reading: _Reading, lengths: Sequence[int]) -> EmbeddingsError:
    place = int(np.flatnonzero(np.asarray(column.is_null()))[0])
    row = place // max(int(np.prod(lengths)), 1)
    return EmbeddingsError(
        f"{reading.origin}: row {reading.rows + row} has missing values in column "
        f"{reading.column!r}; remove or re-encode it"
    )


def _length(column: Any, reading: _Reading, before: Sequence[int]) -> int:
    """The one length that all lists of a column have."""
    import pyarrow as pa

    if pa.types.is_fixed_size_list(column.type):
        return int(column.type.list_size)
    lengths = np.asarray(column.value_lengths())
    if not len(lengths):
        return 0
    odd = np.flatnonzero(lengths != lengths[0])
    if odd.size:
        row = int(odd[0]) // max(int(np.prod(before)), 1)
        raise EmbeddingsError(
            f"{reading.origin}: row {reading.rows + row} has {lengths[odd[0]]} numbers in column "
            f"{reading.column!r}; row {reading.rows} has {lengths[0]}; needed: the same"
        )
    return int(lengths[0])
