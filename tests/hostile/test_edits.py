"""Edited files of every layout: each is read, or refused with one line that names it.

A plain run draws the same few edits each time. For a long one, of other edits each time::

    ANISOTROPY_FUZZ=100 pytest tests/hostile/test_edits.py -k torch

draws a hundred times as many. The file that is being read lies in the temporary folder of the
test; what is found belongs into ``FOUND`` in ``seeds.py``.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import resource
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anisotropy.errors import AnisotropyError, InputError
from tests.hostile.editing import edited
from tests.hostile.readers import READERS, Read, Reader, complaint
from tests.hostile.seeds import FOUND

TIMES = int(os.environ.get("ANISOTROPY_FUZZ", "0"))
#: Of the processor; the alarm is for what waits.
SECONDS, ALARM, MEMORY = 2.0, 30, 200 * 2**20


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> object:
    """Reader to a folder of its good files, written when first asked for."""
    base = tmp_path_factory.mktemp("edits")

    @cache
    def place(name: str) -> tuple[Path, dict[Path, bytes]]:
        folder = base / name / "given"
        folder.mkdir(parents=True)
        READERS[name].write(folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        for path in files:  # good as it is, and everything is imported
            READERS[name].read(folder, path)
        return folder, {path: path.read_bytes() for path in files}

    return place


class Late(BaseException):
    """Nothing catches it on the way."""


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Stop what takes too long; refuse memory far beyond what is in use, and any output.

    For a block that raises nothing where all is well.
    """

    def stop(*_: object) -> None:
        raise Late(f"more than {ALARM} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(ALARM)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, said = time.thread_time(), io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    taken = time.thread_time() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) * 1024
    assert said.getvalue() == ""
    assert taken < SECONDS, f"{taken:.1f} s"
    assert grown < MEMORY, f"{grown / 2**20:.0f} MiB more"


def check(name: str, folder: Path, path: Path, content: bytes, good: bytes) -> str:
    """What is said of a folder in which one file has other content; nothing where it is read."""
    path.unlink()  # what is mapped keeps the old one
    path.write_bytes(content)
    try:
        with bounded():
            return said_by(READERS[name].read, folder, path)
    finally:
        path.unlink(missing_ok=True)
        path.write_bytes(good)


def said_by(read: Read, folder: Path, path: Path) -> str:
    try:
        found = read(folder, path)
    except AnisotropyError as error:
        text = str(error)
        complaint(text.replace(f"{folder}", ""))
        assert path.name in text or f"{folder}" in text, text
        return text
    return "\n".join(found or ())


@pytest.mark.parametrize("name", READERS)
def test_edits(name: str, places: object) -> None:
    folder, files = places(name)  # type: ignore[operator]

    @settings(
        max_examples=READERS[name].examples * max(TIMES, 1),
        deadline=None,
        derandomize=not TIMES,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def edit(data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(list(files)), "file")
        check(name, folder, path, data.draw(edited(files[path]), "content"), files[path])

    edit()


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found(name: str, places: object) -> None:
    seed = FOUND[name]
    folder, files = places(seed.reader)  # type: ignore[operator]
    good = files[folder / seed.file]
    said = check(seed.reader, folder, folder / seed.file, seed.change(good), good)
    assert said if seed.cause is not None else not said
    assert re.search(seed.cause or "", said), said


def _raises(error: Exception, after: Callable[[], object] = int) -> Reader:
    def read(folder: Path, path: Path) -> None:
        after()
        raise error

    return Reader(lambda folder: None, read)


@pytest.mark.parametrize(
    "reader",
    [
        _raises(ValueError("x.txt")),
        _raises(InputError("another file: damaged")),
        _raises(InputError("x.txt: two\nlines")),
        _raises(InputError("x.txt: \x1b[31m")),
        _raises(InputError(f"x.txt: {'x' * 700}")),
        _raises(InputError("x.txt: damaged"), after=lambda: print("x.txt")),
        _raises(InputError("x.txt: damaged"), after=lambda: sum(range(10**7))),
        Reader(lambda folder: None, lambda folder, path: print("x.txt")),
        Reader(lambda folder: None, lambda folder, path: warnings.warn("x", stacklevel=1)),
        Reader(lambda folder: None, lambda folder, path: [str(sum(range(10**7)))]),
    ],
)
def test_a_bad_reader_is_noticed(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(READERS, "bad", reader)
    monkeypatch.setattr("tests.hostile.test_edits.SECONDS", 0.01)
    monkeypatch.setattr("tests.hostile.test_edits.ALARM", 1)
    (tmp_path / "x.txt").write_text("good")
    with pytest.raises((ValueError, AssertionError, Warning, Late)):
        check("bad", tmp_path, tmp_path / "x.txt", b"bad", b"good")
    assert (tmp_path / "x.txt").read_text() == "good"
