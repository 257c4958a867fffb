"""Every hostile file: no code runs, one line that names file and cause, no memory, no time."""

from __future__ import annotations

import re
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from anisotropy.cli import main
from tests.hostile import corpus
from tests.hostile.corpus import CASES, MARK

SECONDS, MEMORY = 20, 400 * 2**20


@pytest.fixture(scope="module", autouse=True)
def _prepared(tmp_path_factory: pytest.TempPathFactory) -> None:
    corpus.prepare(tmp_path_factory.mktemp("good"))


@contextmanager
def bounded() -> Iterator[None]:
    """Stop what takes too long; refuse memory far beyond what is in use."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"more than {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) * 1024
    assert grown < MEMORY, f"{grown / 2**20:.0f} MiB more"


def test_the_corpus_is_large() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize("name", sorted(CASES))
def test_hostile(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    case.write(tmp_path)
    with bounded():
        code = main([*case.words, *(["--quiet"] if case.words[0] != "inspect" else [])])
    out, err = capsys.readouterr()
    assert not list(tmp_path.rglob(MARK))
    assert "Traceback" not in out + err
    said = out + err if case.words[0] == "inspect" and code == 0 else err
    assert case.file in said
    assert re.search(case.cause, said), said
    if not (case.words[0] == "inspect" and code == 0):
        assert code == 2
        assert err.count("\n") == 1
        assert len(err) < 700
