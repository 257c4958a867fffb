from __future__ import annotations

import errno
import fcntl
import sys
import threading
from pathlib import Path

import pytest

from anisotropy.errors import UsageError
from anisotropy.locking import FileLock


def test_one_at_a_time(tmp_path: Path) -> None:
    first, second = (FileLock(tmp_path / "a/lock", "busy: wait") for _ in range(2))
    first.take()
    assert (first.held, first.certain) == (True, True)
    with pytest.raises(UsageError, match="busy: wait"):
        second.take()
    assert (second.held, second.certain) == (False, False)
    first.release()
    second.take()
    second.remove()
    assert not (tmp_path / "a/lock").exists()
    second.release()
    second.remove()


def test_the_file_keeps_what_is_in_it(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock", "")
    with pytest.raises(ValueError, match="not locked"):
        _ = lock.file
    (tmp_path / "lock").write_text("there")
    lock.take()
    lock.file.write(b" and more")
    lock.file.seek(0)
    assert lock.file.read() == b"there and more"
    lock.release()


@pytest.mark.parametrize("remove", [False, True])
def test_who_waits_is_next(tmp_path: Path, remove: bool) -> None:
    """Also where the one before removed the file: then the lock is on a new one."""
    first, second = (FileLock(tmp_path / "lock", "") for _ in range(2))
    first.take()
    waiting = threading.Event()
    thread = threading.Thread(target=second.take, args=[waiting.set])
    thread.start()
    assert waiting.wait(20)
    assert not second.held
    first.remove() if remove else first.release()
    thread.join(20)
    assert second.held
    assert (tmp_path / "lock").exists()
    with pytest.raises(UsageError):
        first.take()
    second.release()


@pytest.mark.parametrize("how", ["no fcntl", "no locks on this mount"])
def test_systems_without_locks_go_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    if how == "no fcntl":
        monkeypatch.setitem(sys.modules, "fcntl", None)
    else:
        monkeypatch.setattr(fcntl, "flock", refuse)
    locks = [FileLock(tmp_path / "lock", "") for _ in range(2)]
    for lock in locks:
        lock.take()
        assert (lock.held, lock.certain) == (True, False)
    for lock in locks:
        lock.remove()
    assert not (tmp_path / "lock").exists()


def test_other_failures_are_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(fcntl, "flock", refuse)
    lock = FileLock(tmp_path / "lock", "")
    with pytest.raises(OSError, match="broken"):
        lock.take()
    assert not lock.held
