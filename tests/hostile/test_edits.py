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
import resource
import signal
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anisotropy.errors import AnisotropyError
from tests.hostile.editing import edited
from tests.hostile.readers import READERS, complaint

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
    """Stop what takes too long; refuse memory far beyond what is in use, and any output."""

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


def check(name: str, folder: Path, path: Path, content: bytes, good: bytes = b"") -> None:
    """Read a folder in which one file has other content; the good one is put back afterwards."""
    path.unlink()  # what is mapped keeps the old one
    path.write_bytes(content)
    try:
        with bounded():
            try:
                READERS[name].read(folder, path)
            except AnisotropyError as error:
                refused(str(error), folder, path)
    finally:
        path.unlink(missing_ok=True)
        path.write_bytes(good)


def refused(text: str, folder: Path, path: Path) -> None:
    complaint(text.replace(f"{folder}", ""))
    assert path.name in text or f"{folder}" in text, text


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
