"""Each script of ``figures/`` on a small results folder, as a stranger would run it."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from anisotropy.plots import FIGURES
from anisotropy.report import TABLES, figure_names
from tests.plots.sample import analysis, comparison, reproduction

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "figures"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py") if path.name != "drawing.py")
#: What only a reproduction gives, and what the small results have no map for.
OF_REPRODUCTION = ("claims", *TABLES)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    results = reproduction()
    for curve in results.find_curves("coordinates"):
        curve.columns["method"][-10:] = "umap"
    results.write(folder / "reproduction")
    comparison().write(folder / "comparison")
    return folder


def run(monkeypatch: pytest.MonkeyPatch, name: str, *words: str) -> int:
    """Run a script within this process: most of the time of one of its own is imports."""
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *words])
    monkeypatch.syspath_prepend(str(FOLDER))
    with pytest.raises(SystemExit) as done:
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    return int(done.value.code or 0)


def test_there_is_a_script_for_everything_that_can_be_drawn() -> None:
    assert set(SCRIPTS) == set(figure_names())


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_draws_from_the_results_of_a_reproduction(
    places: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    words = ["--results", str(places / "reproduction"), "--out", str(tmp_path)]
    assert run(monkeypatch, name, *words) == 0
    suffixes = ("csv", "tex") if name in TABLES else ("pdf", "png", "tex")
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.{x}" for x in suffixes}
    latex = (tmp_path / f"{name}.tex").read_text("utf-8")
    if name in FIGURES:
        assert "This project's design" in latex
        assert (tmp_path / f"{name}.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("name", [*OF_REPRODUCTION, "umap"])
def test_what_the_results_do_not_give_is_left_out_and_said(
    places: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], name: str,
) -> None:  # fmt: skip
    words = ["--results", str(places / "comparison"), "--out", str(tmp_path)]
    assert run(monkeypatch, name, *words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"left out: {name}: these results have no ")
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_folder_as_a_whole_in_a_process_of_its_own(tmp_path: Path) -> None:
    results = analysis(("a",))
    results.curves = results.find_curves("spectrum")
    results.write(tmp_path / "results")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    words = ["--results", "results", "--out", "out", "--format", "png"]
    done = subprocess.run(
        [sys.executable, "-W", "error", str(FOLDER / "drawing.py"), *words],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["out/spectrum.png", "out/uniformity_alignment.png"]
    assert done.stderr.count("left out: ") == len(SCRIPTS) - 2


def test_no_results_are_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--results", str(tmp_path), "--out", str(tmp_path)]
    assert run(monkeypatch, "spectrum", *words) == 2
    assert "no results.json in it" in capsys.readouterr().err
    assert run(monkeypatch, "drawing", *words) == 2
    bad = [*words[:1], str(tmp_path / "x"), *words[2:], "--format", "bmp"]
    analysis(("a",)).write(tmp_path / "x")
    assert run(monkeypatch, "spectrum", *bad) == 2
