"""Released zips of checkpoint folders, unpacked once into the cache."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from anisotropy.errors import CheckpointError, told_as
from anisotropy.files import cache_directory, sha256_file
from anisotropy.untrusted.zips import checked_members, opened_zip

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
    with told_as(CheckpointError), opened_zip(path) as archive:
        members = [member for member in checked_members(archive, path) if not _is_clutter(member)]
        root = _checkpoint_root(members, path)
        chosen = [m for m in members if _parent(m) == root and _name(m) not in _SKIPPED]
        return _write(archive, chosen, target)


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
