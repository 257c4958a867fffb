"""Released zips of checkpoint folders, unpacked once into the cache."""

from __future__ import annotations

import shutil
import stat
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from anisotropy.errors import CheckpointError
from anisotropy.files import cache_directory, sha256_file

MAX_MEMBERS = 10_000
MAX_BYTES = 64 * 2**30
MAX_RATIO = 100  # weights hardly shrink; far more is a zip bomb
SMALL = 64 * 2**20  # below this no ratio is dangerous
_SKIPPED = ("optimizer.pt", "scheduler.pt")


def unpack(path: Path) -> Path:
    """Folder with the checkpoint in a zip file, unpacked below the cache directory.

    Only plain files that lie directly in the checkpoint's folder are written, under their own
    names; a member outside the archive, a link, or an archive that grows too much is refused
    before anything is written.

    Raises
    ------
    CheckpointError
        If the archive is corrupt, hostile, encrypted, or holds no single checkpoint.
    """
    target = cache_directory() / "checkpoints" / sha256_file(path)[:16]
    if target.is_dir():
        return target
    try:
        with zipfile.ZipFile(path) as archive:
            members = _checked_members(archive, path)
            root = _checkpoint_root(members, path)
            chosen = [m for m in members if _parent(m) == root and _name(m) not in _SKIPPED]
            return _write(archive, chosen, target)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{path}: corrupt or unreadable zip file ({reason})") from None
    except zipfile.zlib.error as error:  # type: ignore[attr-defined]
        raise CheckpointError(f"{path}: corrupt zip file ({error})") from None


def _checked_members(archive: zipfile.ZipFile, path: Path) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    total = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if len(members) > MAX_MEMBERS or total > MAX_BYTES:
        raise CheckpointError(f"{path}: too large ({len(members)} members, {total} bytes)")
    if total > SMALL and total > MAX_RATIO * max(packed, 1):
        raise CheckpointError(
            f"{path}: unpacks to {total} bytes from {packed}, more than {MAX_RATIO} times; refused"
        )
    for member in members:
        _check_member(member, path)
    return [member for member in members if not member.is_dir() and not _is_clutter(member)]


def _check_member(member: zipfile.ZipInfo, path: Path) -> None:
    name = member.filename
    pure = PurePosixPath(name)
    outside = pure.is_absolute() or ".." in pure.parts or "\\" in name or name[1:2] == ":"
    if outside or "\0" in member.orig_filename:
        raise CheckpointError(f"{path}: member {name!r} lies outside the archive; refused")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind and not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise CheckpointError(f"{path}: member {name!r} is a link or a special file; refused")
    if member.flag_bits & 1:
        raise CheckpointError(f"{path}: member {name!r} is encrypted; unpack it yourself")


def _is_clutter(member: zipfile.ZipInfo) -> bool:
    return "__MACOSX" in member.filename or _name(member).startswith("._")


def _parent(member: zipfile.ZipInfo) -> PurePosixPath:
    return PurePosixPath(member.filename).parent


def _name(member: zipfile.ZipInfo) -> str:
    return PurePosixPath(member.filename).name


def _checkpoint_root(members: list[zipfile.ZipInfo], path: Path) -> PurePosixPath:
    roots = {_parent(member) for member in members if _name(member) == "config.json"}
    if not roots:
        raise CheckpointError(f"{path}: no checkpoint in this zip file (no config.json)")
    depth = min(len(root.parts) for root in roots)
    shallow = sorted(root for root in roots if len(root.parts) == depth)
    if len(shallow) > 1:
        names = ", ".join(str(root) for root in shallow[:6])
        raise CheckpointError(f"{path}: several checkpoints ({names}); unpack it and name one")
    return shallow[0]


def _write(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
        inside = Path(scratch) / "checkpoint"
        inside.mkdir()
        for member in members:
            with archive.open(member) as source, (inside / _name(member)).open("xb") as file:
                shutil.copyfileobj(source, file, 2**20)
        if not target.is_dir():
            inside.rename(target)
    return target
