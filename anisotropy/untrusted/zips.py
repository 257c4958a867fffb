"""Zip files from elsewhere: members checked before anything is unpacked."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from anisotropy.errors import InputError, reason_of, shown
from anisotropy.untrusted.paths import check_file

MAX_MEMBERS = 10_000
MAX_BYTES = 64 * 2**30
MAX_RATIO = 100  # weights and vectors hardly shrink; far more is a zip bomb
SMALL = 64 * 2**20  # below this no ratio is dangerous
_LOCAL = struct.Struct("<4s5H3I2H")


@contextmanager
def opened_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip file for reading; every damage met inside the block is one line.

    Raises
    ------
    InputError
        If it is no zip file, or damaged.
    """
    check_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except zlib.error as error:
        raise InputError(f"{path}: corrupt zip file ({error})") from None
    except (
        zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError, ValueError,
        struct.error, UnicodeDecodeError,
    ) as error:  # fmt: skip
        reason = reason_of(error)
        raise InputError(f"{path}: corrupt or truncated zip file ({reason})") from None


def checked_members(archive: zipfile.ZipFile, path: Path) -> list[zipfile.ZipInfo]:
    """Members that are files, after every check of names and sizes.

    Raises
    ------
    InputError
        If there are too many, they unpack to far more than they are, or one lies outside the
        archive, is a link, a special file or encrypted.
    """
    members = archive.infolist()
    total = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if len(members) > MAX_MEMBERS or total > MAX_BYTES:
        raise InputError(f"{path}: too large ({len(members)} members, {total} bytes)")
    if total > SMALL and total > MAX_RATIO * max(packed, 1):
        raise InputError(
            f"{path}: unpacks to {total} bytes from {packed}, more than {MAX_RATIO} times; refused"
        )
    for member in members:
        _check_member(member, path)
    return [member for member in members if not member.is_dir()]


def _check_member(member: zipfile.ZipInfo, path: Path) -> None:
    name = member.filename
    pure = PurePosixPath(name)
    if not name:
        raise InputError(f"{path}: damaged zip file (a member has no name)")
    outside = pure.is_absolute() or ".." in pure.parts or "\\" in name or name[1:2] == ":"
    if outside or "\0" in member.orig_filename:
        raise InputError(f"{path}: member {shown(name)} lies outside the archive; refused")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind and not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise InputError(f"{path}: member {shown(name)} is a link or a special file; refused")
    if member.flag_bits & 1:
        raise InputError(f"{path}: member {shown(name)} is encrypted; unpack it yourself")


def member_start(member: zipfile.ZipInfo, path: Path) -> int:
    """Where the bytes of a member that is not compressed begin in the file.

    Raises
    ------
    InputError
        If it is compressed, or does not lie inside the file as the directory says.
    """
    size = check_file(path)
    if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
        raise InputError(
            f"{path}: member {shown(member.filename)} is compressed; unpack it yourself"
        )
    with path.open("rb") as file:
        file.seek(member.header_offset)
        header = file.read(_LOCAL.size)
    if len(header) < _LOCAL.size or header[:4] != b"PK\3\4":
        raise InputError(
            f"{path}: damaged zip file (member {shown(member.filename)} is not there)"
        )
    *_, name, extra = _LOCAL.unpack(header)
    start = int(member.header_offset + _LOCAL.size + name + extra)
    if start + member.file_size > size:
        raise InputError(
            f"{path}: member {shown(member.filename)} ends behind the file: cut short"
        )
    return start


def read_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, largest: int = MAX_BYTES
) -> bytes:
    """Unpack a member into memory, never more than it says.

    Raises
    ------
    InputError
        If it is larger than it says, or than `largest`.
    """
    if member.file_size > largest:
        raise InputError(
            f"{path}: member {shown(member.filename)} has {member.file_size} bytes; allowed: "
            f"{largest}"
        )
    with archive.open(member) as source:
        data = source.read(member.file_size + 1)
    if len(data) != member.file_size:
        raise InputError(
            f"{path}: member {shown(member.filename)} has another size than the archive says"
        )
    return data
