"""Lines of plain or gzip text files, one at a time, with their number and byte offset."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from anisotropy.errors import CollectionError, shown, told_as
from anisotropy.untrusted.paths import check_file

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_LONGEST = 64 * 2**20
#: Texts shrink to a third or a tenth; a gzip file that grows far more is a bomb.
_GROWTH = 200
_SMALL = 64 * 2**20
_BREAKS = "holds a tab, a line break or what UTF-8 cannot"
#: What is wrong with an id that `is_bad_id`, for messages.
BAD_ID = f"is empty or {_BREAKS}"


class Line(NamedTuple):
    """A line without its ending, its number from 1, its byte offset in the unpacked file."""

    number: int
    offset: int
    text: str


class BadLine(ValueError):
    """What is wrong with a line; the reader adds file and line number."""


def broken(path: Path, number: int, problem: object) -> CollectionError:
    """Error that names file and line."""
    return CollectionError(f"{path}, line {number}: {problem}")


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading bytes, unpacked when its first bytes are gzip's.

    Raises
    ------
    CollectionError
        If the file cannot be read or its gzip data are damaged or cut off.
    """
    with told_as(CollectionError):
        check_file(path)
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            if not packed:
                yield file
                return
            with gzip.open(file, "rb") as unpacked:
                yield cast(BinaryIO, unpacked)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CollectionError(f"{path}: damaged gzip file ({error})") from None
    except OSError as error:
        raise CollectionError(f"{path}: cannot be read ({error.strerror or error})") from None


def read_lines(path: Path) -> Generator[Line, None, None]:
    r"""Stream the lines of a UTF-8 file that are not blank.

    Lines end with ``\n`` or ``\r\n``; other line separators belong to the text. A byte order
    mark at the start is skipped.

    Raises
    ------
    CollectionError
        If the file cannot be read, or a line is not UTF-8 or longer than 64 MiB.
    """
    with opened(path) as file:
        offset, most = 0, max(_SMALL, _GROWTH * path.stat().st_size)
        for number, raw in enumerate(iter(lambda: file.readline(_LONGEST + 1), b""), start=1):
            if len(raw) > _LONGEST:
                raise broken(path, number, f"longer than {_LONGEST} bytes")
            text = decoded(path, number, raw)
            if text and not text.isspace():
                yield Line(number, offset, text)
            offset += len(raw)
            if offset > most:
                raise broken(path, number, f"the file grows more than {_GROWTH} times; refused")


def read_at(path: Path, offsets: list[int]) -> Iterator[tuple[int, str]]:
    """Read the lines that begin at `offsets`, in ascending order.

    A plain file is read at those places alone; a gzip file is unpacked up to the last of them.
    """
    with opened(path) as file:
        for offset in sorted(offsets):
            file.seek(offset)
            yield offset, decoded(path, 1 if offset == 0 else 0, file.readline())


def decoded(path: Path, number: int, raw: bytes) -> str:
    """Text of a line without its ending."""
    if number == 1 and raw.startswith(_BOM):
        raw = raw[len(_BOM) :]
    try:
        return raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise broken(path, number, f"not UTF-8 (byte {error.start + 1} of the line)") from None


def check_id(value: str, what: str) -> str:
    """Return an id that can stand alone on a line.

    Raises
    ------
    BadLine
        If `is_bad_id`.
    """
    if is_bad_id(value):
        empty = not value.strip()
        raise BadLine(f"empty {what} id" if empty else f"{what} id {shown(value)} {_BREAKS}")
    return value


def is_bad_id(value: str) -> bool:
    """Whether an id is none: what `BAD_ID` says. The one rule for files, dumps and stores."""
    if value.isalnum():  # nearly all are, in files of millions of lines
        return False
    if not value or value.isspace() or any(sign in value for sign in "\n\r\t"):
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False
