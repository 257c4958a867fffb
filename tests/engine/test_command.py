"""``--scheduler``: the results of a run here, from the shell."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from anisotropy import EmbeddingSpace
from anisotropy.cli import main
from anisotropy.engine import connecting
from anisotropy.spaces.store import save_space
from tests.making import make_runs

if TYPE_CHECKING:
    from distributed import Client

pytestmark = pytest.mark.usefixtures("few_figures")
OPTIONS = ["--projection", "none", "--quiet", "--measures", "mean_cosine,uniformity(t=2),nDCG@10"]


def results(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text())


@pytest.mark.usefixtures("small_spans")
def test_analyze(
    client: Client, stored: EmbeddingSpace, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    save_space(stored, tmp_path / "store")
    address = client.scheduler.address
    words = ["analyze", str(tmp_path / "store"), *OPTIONS]
    assert main([*words, "--out", str(tmp_path / "here")]) == 0
    assert main([*words, "--out", str(tmp_path / "there"), "--scheduler", address]) == 0
    here, there = results(tmp_path / "here"), results(tmp_path / "there")
    assert here["measurements"] == there["measurements"]
    assert len(here["measurements"]) > 5
    assert there["config"]["scheduler"] == address
    assert here["config"]["scheduler"] is None
    assert f'scheduler = "{address}"' in (tmp_path / "there/config.toml").read_text()
    capsys.readouterr()
    loud = [word for word in words if word != "--quiet"]
    assert main([*loud, "--out", str(tmp_path / "loud"), "--scheduler", address]) == 0
    assert f"{address}: 2 worker(s), 2 thread(s)\n" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["analyze", "compare"])
def test_nobody_there(
    command: str, stored: EmbeddingSpace, tmp_path: Path,
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(connecting, "ANSWER", 1.0)
    save_space(stored, tmp_path / "store")
    store = str(tmp_path / "store")
    words = [store] if command == "analyze" else ["--a", store, "--b", store]
    started = time.monotonic()
    code = main([command, *words, *OPTIONS, "--out", str(tmp_path / "out"),
                 "--scheduler", "tcp://127.0.0.1:9"])  # fmt: skip
    assert code == 2
    assert time.monotonic() - started < 5
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "scheduler 'tcp://127.0.0.1:9': no Dask scheduler answers there" in error


def test_runs_have_no_vectors(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    make_runs(tmp_path)
    run = str(tmp_path / "runs/ance.trec")
    words = ["analyze", run, "--qrels", str(tmp_path / "qrels.txt"), "--scheduler", "tcp://x:1"]
    assert main(words) == 2
    assert "--scheduler: is for embeddings" in capsys.readouterr().err
