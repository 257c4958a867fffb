"""``anisotropy figure`` from a results folder, and the history of checkpoints in results."""

from __future__ import annotations

from pathlib import Path

import pytest

from anisotropy.cli import main
from anisotropy.results import Results
from tests.making import make_checkpoint, make_collection
from tests.plots.sample import comparison

HISTORY = "stage,step,loss,dev_ranking_nDCG@10\nance,0,,0.1\nance,1,0.5,\nance,2,0.4,0.3\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    comparison().write(tmp_path / "results")
    return tmp_path


def test_files_are_printed_and_stand_beside_the_results(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = str(folder / "results")
    assert main(["figure", "lorenz", "hubness", "--results", results, "--format", "png"]) == 0
    out = [str(folder / "results/figures" / name) for name in ("lorenz.png", "hubness.png")]
    assert capsys.readouterr().out.splitlines() == out
    assert sorted(map(str, (folder / "results/figures").iterdir())) == sorted(out)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["spectrun"], "got 'spectrun'; allowed: claims, differences, spectrum"),
        (["umap"], "--projection umap at 'anisotropy compare', 'analyze' or 'reproduce' makes"),
        (["claims"], "'anisotropy reproduce' decides them"),
        (["ablation"], "'anisotropy reproduce' writes them"),
        (["spectrum", "--format", "bmp"], "format: got 'bmp'; allowed: pdf, png, svg, tex"),
        (["differences", "--pair", "ance"], "pair: got 'ance'; allowed: dance"),
    ],
)
def test_mistakes_are_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["figure", *words, "--results", str(folder / "results"), "--out", "x"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert said in err
    assert not Path("x").exists()


def test_a_file_is_no_folder_to_draw_into(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "taken").write_text("mine")
    words = ["figure", "spectrum", "--results", str(folder / "results")]
    assert main([*words, "--out", str(folder / "taken")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert f"out: {folder / 'taken'} is a file; allowed: a folder" in err
    assert (folder / "taken").read_text() == "mine"


def test_results_are_needed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["figure", "spectrum"]) == 2
    assert "figure needs --results DIR" in capsys.readouterr().err
    assert main(["figure", "spectrum", "--results", str(folder)]) == 2
    assert "no results.json in it" in capsys.readouterr().err
    assert main(["figure"]) == 0
    assert "spectrum" in capsys.readouterr().out
    assert main(["figure", "--results", str(folder / "results")]) == 0
    assert "- umap" in capsys.readouterr().out


def test_what_all_leaves_out_is_said_on_stderr(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anisotropy.report.drawing.write_figure", lambda *_: [])
    assert main(["figure", "all", "--results", str(folder / "results")]) == 0
    assert capsys.readouterr().err.count("left out: ") == 4  # claims, umap, two tables


def test_training_histories_are_in_the_results_of_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    # Report and figures have tests of their own, and take most of the time.
    monkeypatch.setattr(
        "anisotropy.workflow.write", lambda results, folder: [results.write(folder)]
    )
    make_checkpoint(tmp_path / "a.ckpt")
    (make_checkpoint(tmp_path / "b.ckpt", seed=1) / "history.csv").write_text(HISTORY)
    make_collection(tmp_path / "data", n_documents=60, n_queries=20)
    words = ["--data", "data", "--projection", "none", "--out", "out", "--quiet"]
    assert main(["compare", "--a", "a.ckpt", "--b", "b.ckpt", *words]) == 0
    (curve,) = Results.read("out").find_curves("history")
    assert (curve.space, curve.side) == ("b", "training")
    assert list(curve.columns["step"]) == [0, 1, 2]
    capsys.readouterr()
    assert main(["figure", "history", "--results", "b.ckpt", "--out", "f"]) == 0
    assert {path.name for path in Path("f").iterdir()} == {"history.pdf", "history.png"}
    assert main(["figure", "spectrum", "--results", "b.ckpt"]) == 2
    assert main(["figure", "history", "--results", "a.ckpt"]) == 2


def test_a_comparison_that_is_none_is_refused_by_every_figure(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["figure", "cosines", "--pair", "zzz", "--results", str(folder / "results")]
    assert main(words) == 2
    assert "pair: got 'zzz'; allowed: dance" in capsys.readouterr().err
