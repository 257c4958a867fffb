"""Files and fingerprints: whole or absent, the same bytes for the same content."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.errors import AnisotropyError, InputError, UsageError
from anisotropy.untrusted.texts import read_json as read_json

CACHE_VARIABLE = "ANISOTROPY_CACHE"
#: Name of a file that `replacing` writes for another one.
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.[a-z0-9_]{8}", re.DOTALL)
#: File systems that cannot sync a folder, which then need not be.
_NO_SYNC = {errno.EINVAL, errno.EBADF, errno.ENOTSUP}
#: What the system says of a write that failed, which libraries quote in errors of their own.
_FAILED_WRITES = [os.strerror(n) for n in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO)]


def cache_directory() -> Path:
    """Folder of caches: ``$ANISOTROPY_CACHE``, else ``~/.cache/anisotropy``."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "anisotropy"


@contextlib.contextmanager
def replacing(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`, renamed to it when the block succeeds.

    A reader sees the old file or the whole new one, never half of it.

    Parameters
    ----------
    path
        The file; its folder is made.
    durable
        That holds after a power failure too: content and name are on the disk on return.
    """
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        if durable:
            sync_folder(path.parent.parent)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        if durable:
            sync(temporary)
        temporary.replace(path)
        if durable:
            sync_folder(path.parent)
    except OSError as error:
        if error.filename is None:  # of a full disk: say which file did not fit
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def intended_name(name: str) -> str | None:
    """Name of the file for which `replacing` writes a temporary one; None for other names."""
    found = _TEMPORARY.fullmatch(name)
    return found["name"] if found else None


def sync(path: Path) -> None:
    """Wait until the content of a file is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can tell."""
    if os.name == "nt":
        return
    try:
        sync(path)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`, renamed to it when the block succeeds.

    Raises
    ------
    InputError
        If something is at `path` already, or a write fails: then nothing is left there.
    """
    check_new(path)
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as scratch:
            inside = Path(scratch) / "new"
            inside.mkdir()
            yield inside
            for item in inside.rglob("*"):  # some libraries write files for their owner alone
                item.chmod((0o777 if item.is_dir() else 0o666) & ~_umask())
            inside.rename(path)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Like `replacing`, where nothing may be at `path` yet.

    Raises
    ------
    InputError
        If something is at `path` already, or a write fails: then nothing is left there.
    """
    check_new(path)
    with _writing(path), replacing(path) as temporary:
        yield temporary


def check_new(path: Path) -> None:
    """Refuse a place that is in use; an empty folder is not.

    Raises
    ------
    InputError
        If it is.
    """
    if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
        return
    if path.exists() or path.is_symlink():
        raise InputError(f"{path}: exists already; choose another name, or remove it first")


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn a write that fails, a full disk among others, into one line."""
    try:
        yield
    except AnisotropyError:
        raise
    except Exception as error:
        if not isinstance(error, OSError) and not any(t in str(error) for t in _FAILED_WRITES):
            raise
        raise InputError(
            f"{path}: could not be written ({_reason(error)}); nothing was left there"
        ) from None


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    known = [text for text in _FAILED_WRITES if text in str(error)]
    return known[0] if known else (str(error) or type(error).__name__).splitlines()[0]


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def write_text(path: Path, text: str, *, durable: bool = False) -> None:
    """Write `text` as UTF-8, whole or not at all; `durable` as in `replacing`."""
    with replacing(path, durable=durable) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any, *, durable: bool = False) -> None:
    """Write `value` as JSON; NaN and infinity become null; `durable` as in `replacing`."""
    write_text(path, dump_json(value, indent=1) + "\n", durable=durable)


def dump_json(value: Any, indent: int | None = None) -> str:
    """JSON text of `value` with NumPy scalars, arrays and paths made plain."""
    return json.dumps(_plain(value), indent=indent, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(*parts: Any) -> str:
    """Sixteen hexadecimal digits that identify JSON-like values."""
    text = json.dumps(_plain(parts), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def hash_ids(ids: Iterable[str], seed: int = 0) -> np.ndarray:
    """Seeded 64-bit hash of each id.

    Parameters
    ----------
    ids
        Identifiers.
    seed
        Another seed gives independent values.

    Returns
    -------
    numpy.ndarray of shape (n,), uint64
        The same id and seed give the same value in every run, file order and machine.

    Raises
    ------
    UsageError
        If the seed needs more than 64 bits.
    """
    if not -(2**63) <= int(seed) < 2**63:
        raise UsageError(f"seed: got {seed}; allowed: whole numbers of at most 64 bits")
    key = int(seed).to_bytes(8, "little", signed=True)
    digests = bytearray()  # 8 bytes an id, where joining would hold an object for each
    for name in ids:
        digests += hashlib.blake2b(
            name.encode("utf-8", "surrogatepass"), digest_size=8, key=key
        ).digest()
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)
