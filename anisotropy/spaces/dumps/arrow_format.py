"""What Parquet and Arrow files unpack to, found without unpacking anything.

Their readers believe what pages and buffers say of their own size: a few kilobytes can ask for
gigabytes. Here the headers alone are read, and summed up.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from anisotropy.errors import EmbeddingsError
from anisotropy.untrusted.paths import check_file

#: How much of a page is read for its header, one after the other until it is whole.
_HEADERS = (2**10, 2**16, 2**24)
_LARGEST_FOOTER = 2**28
#: Types of Parquet by their number: bytes of a value.
_WIDTHS = {1: 4, 2: 8, 4: 4, 5: 8}
_DEEPEST = 16
#: Kinds of Arrow messages.
_DICTIONARY, _BATCH = 2, 3


class _Compact:
    """Thrift's compact protocol: structures as dictionaries by number of the field."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def byte(self) -> int:
        if self.at >= len(self.data):
            raise ValueError("it has no end")
        self.at += 1
        return self.data[self.at - 1]

    def number(self) -> int:
        """A whole number in seven bits a byte, as it is written (zigzag not undone)."""
        value, shift = 0, 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
            if shift > 63:
                raise ValueError("a number without end")

    def signed(self) -> int:
        value = self.number()
        return value >> 1 ^ -(value & 1)

    def taken(self, length: int) -> bytes:
        if length > len(self.data) - self.at:
            raise ValueError("it ends within a text")
        self.at += length
        return self.data[self.at - length : self.at]

    def fields(self, depth: int = _DEEPEST) -> dict[int, Any]:
        if not depth:
            raise ValueError("structures too deep")
        found: dict[int, Any] = {}
        last = 0
        while head := self.byte():
            last = last + (head >> 4) if head >> 4 else self.signed()
            kind = head & 15
            # a truth value stands within its head
            found[last] = kind == 1 if kind in (1, 2) else self.value(kind, depth)
        return found

    def value(self, kind: int, depth: int) -> Any:
        if kind in (1, 2, 3):
            return self.byte()
        if kind in (4, 5, 6):
            return self.signed()
        if kind in (7, 8):  # a float; bytes
            return self.taken(8 if kind == 7 else self.number())
        if kind in (9, 10):
            head = self.byte()
            count = head >> 4 if head >> 4 < 15 else self.number()
            if count > len(self.data) - self.at:
                raise ValueError("a list longer than its bytes")
            return [self.value(head & 15, depth - 1) for _ in range(count)]
        if kind == 12:
            return self.fields(depth - 1)
        raise ValueError(f"a field of kind {kind}")


def parquet_bytes(path: Path, columns: Sequence[str]) -> int:
    """Bytes that columns of a Parquet file unpack to, by the headers of their pages.

    The table of contents is read here too: the library gives up the whole process over some that
    are damaged.

    Parameters
    ----------
    path
        The file.
    columns
        Names of top-level columns.

    Raises
    ------
    EmbeddingsError
        If the table of contents is damaged, or pages do not lie where it says.
    """
    size, total = check_file(path), 0
    with path.open("rb") as file:
        for chunk in _chunks(path, _footer(file, path, size)):
            if chunk.column in columns:
                total += _chunk_bytes(file, path, chunk, size)
    return total


@dataclass(frozen=True)
class _Chunk:
    """A column of a group of rows: its name, where its pages lie, and the width of its values."""

    column: str
    start: int
    stop: int
    width: int


def _footer(file: IO[bytes], path: Path, size: int) -> dict[int, Any]:
    file.seek(max(size - 8, 0))
    end = file.read(8)
    length = int.from_bytes(end[:4], "little")
    if end[4:] != b"PAR1" or not 0 < length <= min(size - 8, _LARGEST_FOOTER):
        raise EmbeddingsError(f"{path}: a Parquet file without its end: cut short or damaged")
    file.seek(size - 8 - length)
    try:
        return _Compact(file.read(length)).fields()
    except (ValueError, RecursionError) as error:
        raise EmbeddingsError(f"{path}: a damaged table of contents ({error})") from None


def _chunks(path: Path, footer: dict[int, Any]) -> Iterator[_Chunk]:
    """Columns of all groups of rows: fields 4 (groups), 1 (columns), 3 (description)."""
    try:
        for group in footer[4]:
            for column in group[1]:
                if 1 in column:
                    raise EmbeddingsError(f"{path}: a column in another file; allowed: one file")
                yield _chunk(column[3])
    except (KeyError, TypeError, AttributeError, IndexError, UnicodeDecodeError):
        raise EmbeddingsError(f"{path}: a damaged table of contents") from None


def _chunk(about: dict[int, Any]) -> _Chunk:
    """Fields 1 (type), 3 (path), 7 (bytes), 9 (first page), 11 (page of the dictionary)."""
    start = about[9]
    if 0 < about.get(11, 0) < start:
        start = about[11]
    width = _WIDTHS.get(about[1], 4)
    return _Chunk(about[3][0].decode("utf-8"), start, start + about[7], width)


def _chunk_bytes(file: IO[bytes], path: Path, chunk: _Chunk, size: int) -> int:
    """The larger of what its pages take unpacked and of what their values take one by one."""
    if not 0 <= chunk.start <= chunk.stop <= size:
        raise EmbeddingsError(f"{path}: a column that does not lie within the file; damaged")
    packed = values = 0
    for page in _pages(file, path, chunk.start, chunk.stop):
        packed += page[2]
        header = page.get(5) or page.get(8) or {}
        count = header.get(1) if isinstance(header, dict) else None
        values += count if type(count) is int else 0
    return max(packed, values * chunk.width)


def _pages(file: IO[bytes], path: Path, start: int, stop: int) -> Iterator[dict[int, Any]]:
    """Headers of pages: fields 2 and 3 are their bytes unpacked and packed."""
    while start < stop:
        page, length = _page(file, path, start, stop)
        if not all(type(page.get(field)) is int and page[field] >= 0 for field in (2, 3)):
            raise EmbeddingsError(f"{path}: a page at byte {start} without its size; damaged")
        yield page
        start += length + page[3]
    if start != stop:
        raise EmbeddingsError(f"{path}: a page that ends behind its column; damaged")


def _page(file: IO[bytes], path: Path, start: int, stop: int) -> tuple[dict[int, Any], int]:
    """Header of a page and its length, which is some dozen bytes or, with statistics, far more."""
    problem = ""
    for most in _HEADERS:
        file.seek(start)
        reading = _Compact(file.read(min(most, stop - start)))
        try:
            return reading.fields(), reading.at
        except ValueError as error:
            problem = str(error)
    raise EmbeddingsError(f"{path}: a damaged page at byte {start} ({problem})")


def stream_bytes(path: Path) -> int:
    """Bytes that the messages of an Arrow stream unpack to.

    Raises
    ------
    EmbeddingsError
        If a message is damaged.
    """
    import pyarrow as pa

    total = 0
    with pa.memory_map(str(path)) as source:
        for message in pa.ipc.MessageReader.open_stream(source):
            total += _unpacked(path, message.metadata.to_pybytes(), message.body)
    return total


def file_bytes(path: Path) -> int:
    """Bytes that the messages of an Arrow file unpack to, each where its footer says it lies.

    Raises
    ------
    EmbeddingsError
        If the footer is damaged, or a message does not lie within the file.
    """
    size = check_file(path)
    with path.open("rb") as file:
        file.seek(max(size - 10, 0))
        end = file.read(10)
        length = int.from_bytes(end[:4], "little", signed=True)
        if end[4:] != b"ARROW1" or not 0 < length <= size - 10:
            raise EmbeddingsError(f"{path}: an Arrow file without footer: cut short or damaged")
        file.seek(size - 10 - length)
        footer = file.read(length)
    try:
        root = _Table(footer, struct.unpack_from("<I", footer, 0)[0])
        blocks = [*root.structures(2, "<qi4xq"), *root.structures(3, "<qi4xq")]
    except (struct.error, ValueError) as error:
        raise EmbeddingsError(f"{path}: a damaged footer ({error})") from None
    return sum(_block_bytes(path, size, *block) for block in blocks)


def _block_bytes(path: Path, size: int, start: int, head: int, length: int) -> int:
    if start < 0 or head < 8 or length < 0 or start + head + length > size:
        raise EmbeddingsError(f"{path}: a batch that does not lie within the file; damaged")
    block = np.memmap(path, np.uint8, "r", start, (head + length,))
    first = 8 if block[:4].tobytes() == b"\xff" * 4 else 4  # before version 0.15: the length alone
    return _unpacked(path, block[first:head].tobytes(), block[head:].data)


class _Table:
    """A table of a flatbuffer: its fields by number."""

    def __init__(self, data: bytes, place: int) -> None:
        self.data, self.place = data, place
        self._fields = place - struct.unpack_from("<i", data, place)[0]
        if self._fields < 0:
            raise ValueError("a table outside its message")

    def _at(self, field: int) -> int | None:
        length = struct.unpack_from("<H", self.data, self._fields)[0]
        where = 4 + 2 * field
        if where + 2 > length:
            return None
        step = struct.unpack_from("<H", self.data, self._fields + where)[0]
        return self.place + step if step else None

    def number(self, field: int, form: str) -> int:
        at = self._at(field)
        return 0 if at is None else int(struct.unpack_from(form, self.data, at)[0])

    def table(self, field: int) -> _Table | None:
        at = self._at(field)
        if at is None:
            return None
        return _Table(self.data, at + struct.unpack_from("<I", self.data, at)[0])

    def structures(self, field: int, form: str) -> list[tuple[int, ...]]:
        """A vector of structures of numbers."""
        at = self._at(field)
        if at is None:
            return []
        first = at + struct.unpack_from("<I", self.data, at)[0]
        count = struct.unpack_from("<I", self.data, first)[0]
        stop = first + 4 + struct.calcsize(form) * count
        if stop > len(self.data):
            raise ValueError("more structures than its bytes hold")
        return list(struct.iter_unpack(form, self.data[first + 4 : stop]))


def _unpacked(path: Path, metadata: bytes, body: Any) -> int:
    """Bytes that the buffers of a message say they unpack to."""
    stored = 0 if body is None else len(body)
    try:
        root = _Table(metadata, struct.unpack_from("<I", metadata, 0)[0])
        kind, header = root.number(1, "<B"), root.table(2)
        if kind == _DICTIONARY and header is not None:
            header = header.table(1)
        if kind not in (_DICTIONARY, _BATCH) or header is None or header.table(3) is None:
            return stored
        total = 0
        for start, length in header.structures(2, "<qq"):
            said = struct.unpack_from("<q", body, start)[0] if length >= 8 <= 8 + start else -1
            total += length if said < 0 else said
        return total
    except (struct.error, ValueError) as error:
        raise EmbeddingsError(f"{path}: a damaged Arrow message ({error})") from None
