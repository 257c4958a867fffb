"""What may be opened at all: regular files, whatever links lead there."""

from __future__ import annotations

import stat
from pathlib import Path

from anisotropy.errors import InputError

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


def check_file(path: Path) -> int:
    """Size of a regular file in bytes.

    Links are followed: caches and shared disks are made of them. What they lead to must be a
    regular file, so that nothing waits for a pipe or reads an endless device.

    Raises
    ------
    InputError
        If there is no file, its link leads nowhere or in a circle, or it is something else.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        dangling = path.is_symlink()
        reason = "a link that leads nowhere" if dangling else "no such file"
        raise InputError(f"{path}: {reason}") from None
    except OSError as error:  # a circle of links, no right to look
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "no regular file")
        raise InputError(f"{path}: is {kind}; needed: a regular file")
    return found.st_size
