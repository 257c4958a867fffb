"""One writer at a time: locks that die with their process."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from anisotropy.errors import UsageError

_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}


class FileLock:
    """An exclusive lock on a file.

    It goes with the process, however that ends, so what was killed is resumed at once. Systems
    and file systems without such locks (Windows, some network mounts) go without.

    Parameters
    ----------
    path
        The file; it and its folder are made when it is locked.
    busy
        What to say where another one holds the lock.

    Attributes
    ----------
    certain : bool
        Whether nobody else can hold it now; False also where there are no locks.
    """

    def __init__(self, path: Path, busy: str) -> None:
        self.path = path
        self.busy = busy
        self.certain = False
        self._file: IO[bytes] | None = None

    @property
    def file(self) -> IO[bytes]:
        """The locked file, open for reading and for writing at its end, without a buffer."""
        if self._file is None:
            raise ValueError(f"{self.path}: not locked")
        return self._file

    @property
    def held(self) -> bool:
        """Whether the lock is taken."""
        return self._file is not None

    def take(self, waiting: Callable[[], None] | None = None) -> None:
        """Take the lock.

        Parameters
        ----------
        waiting
            Called before waiting for another one to end; None does not wait.

        Raises
        ------
        UsageError
            If another one holds the lock, and there is no waiting.
        """
        while self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = self.path.open("a+b", buffering=0)
            try:
                self.certain = self._lock(file, waiting)
                if _is_at(file, self.path):  # else its owner removed it in between
                    self._file = file
            finally:
                if self._file is not file:
                    file.close()

    def release(self) -> None:
        """Let others in; the file stays. Nothing where the lock is not held."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self.certain = False

    def remove(self) -> None:
        """Remove the file and let others in; nothing where the lock is not held."""
        if self._file is None:
            return
        ours = _is_at(self._file, self.path)
        if os.name == "nt":  # where no open file can be removed
            self.release()
        if ours:
            self.path.unlink(missing_ok=True)
        self.release()

    def _lock(self, file: IO[bytes], waiting: Callable[[], None] | None) -> bool:
        """Lock an open file; False where there are no locks."""
        try:
            import fcntl
        except ImportError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is None:
                raise UsageError(self.busy) from None
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            return False
        return True


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Tell whether an open file is still the one of this name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
