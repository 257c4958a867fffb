"""One run at a time in a folder: a lock that dies with its process."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import IO

from anisotropy.errors import UsageError

LOCK = "lock"
_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}


class FolderLock:
    """An exclusive lock on the file ``lock`` in a folder.

    It goes with the process, however that ends, so a killed run is resumed at once. Systems and
    file systems without such locks (Windows, some network mounts) go without.

    Parameters
    ----------
    folder
        Made when it is locked.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK
        self._file: IO[bytes] | None = None

    def take(self) -> None:
        """Lock the folder.

        Raises
        ------
        UsageError
            If another one holds the lock.
        """
        while self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = self.path.open("ab")
            try:
                _lock(file, self.path.parent)
                if _is_at(file, self.path):  # else its owner removed it in between
                    self._file = file
            finally:
                if self._file is not file:
                    file.close()

    def release(self) -> None:
        """Remove the file and let others in; nothing where the lock is not held."""
        if self._file is not None:
            if _is_at(self._file, self.path):
                self.path.unlink()
            self._file.close()
            self._file = None


def _lock(file: IO[bytes], folder: Path) -> None:
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(
            f"another process is training into {folder}: wait for it, or choose another --out"
        ) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Tell whether an open file is still the one of this name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
