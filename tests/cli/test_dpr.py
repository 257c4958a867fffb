"""DPR bi-encoders from the command line: encoded, analyzed as a series, compared, not trained."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from anisotropy.cli import main
from anisotropy.results import Results
from anisotropy.spaces.store import open_store
from tests.encoders import building_dpr
from tests.encoders.building import save_legacy
from tests.making import make_collection

QUICK = ["--data", "data", "--projection", "none", "--quiet"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A training folder of DPR whose newest file is half written, and its backbone elsewhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANISOTROPY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("anisotropy.plots.save.FIGURES", {})
    building_dpr.write_backbone(tmp_path / "bert")
    make_collection(tmp_path / "data", n_documents=60, n_queries=20)
    (tmp_path / "run").mkdir()
    for step in (9, 80, 700):
        content = building_dpr.contents(building_dpr.make_state(step), "fp16")
        save_legacy(content, tmp_path / "run" / f"checkpoint-{step}")
    whole = (tmp_path / "run" / "checkpoint-700").read_bytes()
    (tmp_path / "run" / "checkpoint-1000").write_bytes(whole[: len(whole) // 2])
    return tmp_path


def test_encode(here: Path) -> None:
    words = ["encode", "run/checkpoint-80", "--data", "data", "--out", "store", "--quiet"]
    assert main([*words, "--backbone", "bert"]) == 0
    space = open_store(here / "store")
    assert (space.step, space.recipe["name"], space.counts["documents"]) == (80, "dpr", 60)


def test_analyze_a_training_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyze", "run", "--backbone", "bert", "--out", "out", *QUICK[:-1]]) == 0
    results = Results.read("out")
    assert [space["step"] for space in results.spaces] == [9, 80, 700]
    (warning,) = [line for line in results.warnings if "checkpoint-1000" in line]
    assert "not complete, so skipped" in warning
    assert warning in capsys.readouterr().err


def test_compare_names_the_steps(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", "--a", "run", "--b", "run/checkpoint-9", "--backbone", "bert", *QUICK]
    assert main(words) == 2
    line = capsys.readouterr().err.strip()
    assert "checkpoint-9, checkpoint-80, checkpoint-700; checkpoint-1000 is not complete" in line
    assert line.endswith("for example run/checkpoint-700")
    assert main([*words[:2], "run/checkpoint-700", *words[3:], "--b-recipe", "dance"]) == 2
    assert "a DPR bi-encoder: allowed: dpr" in capsys.readouterr().err
    assert main([*words[:2], "run/checkpoint-700", *words[3:], "--out", "cmp"]) == 0
    assert Results.read("cmp").labels == ["run/checkpoint-700", "run/checkpoint-9"]


def test_inspect_and_train(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "run"]) == 0
    shown = capsys.readouterr().out
    assert shown.index("checkpoint-9") < shown.index("checkpoint-80") < shown.index("skipped")
    assert main(["inspect", "run/checkpoint-9"]) == 0
    shown = capsys.readouterr().out
    assert "74 tensors" in shown
    assert "give --tokenizer and --backbone" in shown
    shutil.copytree(here / "bert", here / "run", dirs_exist_ok=True)
    words = ["train", "dance", "--from", "run/checkpoint-9", "--data", "data", "--out", "new"]
    assert main(words) == 2
    assert "a DPR bi-encoder, which is read but not trained" in capsys.readouterr().err
