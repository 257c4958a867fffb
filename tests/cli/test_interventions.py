"""``--transform``, ``--sample`` and one checkpoint read two ways: that they arrive."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import anisotropy as an
from anisotropy.cli import main
from anisotropy.errors import AnisotropyError
from anisotropy.results import Results
from tests.making import make_checkpoint, make_collection

DATA = ["--data", "data", "--projection", "none", "--quiet", "--device", "cpu"]
FEW = ["--measures", "mean_cosine,nDCG@10"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("interventions")
    make_checkpoint(folder / "ance.ckpt")
    make_checkpoint(folder / "dance.ckpt", "dance", seed=1)
    make_collection(folder / "data")
    return folder


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    monkeypatch.setenv("ANISOTROPY_CACHE", str(place / "cache"))
    return place


class Seen(AnisotropyError):
    """Raised in place of measuring."""


@pytest.fixture
def arrived(here: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What would be measured and how, without measuring it."""
    seen: dict[str, Any] = {}

    def analyze(spaces: Any, options: Any, **_: Any) -> None:
        seen.update(spaces=list(spaces), options=options)
        raise Seen("seen")

    monkeypatch.setattr("anisotropy.workflow.analyze", analyze)
    monkeypatch.setattr("anisotropy.workflow.compare", lambda a, b, o, **k: analyze((a, b), o))
    return seen


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results are written without report and figures, which take seconds."""

    def write(results: Results, folder: Path) -> list[Path]:
        results.write(folder)
        return [folder]

    monkeypatch.setattr("anisotropy.workflow.write", write)


def spaces_of(arrived: dict[str, Any]) -> list[Any]:
    """Every space; a comparison gets a list a side, as several are seeds of one method."""
    return [one for side in arrived["spaces"]
            for one in (side if isinstance(side, list) else [side])]  # fmt: skip


def labels(arrived: dict[str, Any], words: list[str]) -> list[str]:
    assert main([*words, *DATA, "--out", "arrived"]) == 2
    return [space.label for space in spaces_of(arrived)]


def test_analyze_puts_each_transform_beside_the_space(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["analyze", "ance.ckpt", *DATA, *FEW, "--out", "out", "--transform", "center"]
    assert main([*words, "--transform", "whiten(shrinkage=0.1)"]) == 0
    results = Results.read(here / "out")
    assert results.labels == ["ance", "ance | center", "ance | whiten(shrinkage=0.1)"]
    twin = an.measure(an.transform(an.open("ance.ckpt", "data", device="cpu"), "center"),
                      ["mean_cosine", "nDCG@10"])  # fmt: skip
    mine = results.measurements.query("space == 'ance | center'").reset_index(drop=True)
    assert np.array_equal(mine.value, twin.value)
    out = capsys.readouterr().out
    assert "ance | center: fitted on 40 documents of training queries" in out
    assert "shrinkage 0.1" in out
    assert "fitted on 40 documents" in (here / "out/report.html").read_text()
    note = json.loads((here / "out/results.json").read_text())["spaces"][1]["recipe"]["transform"]
    assert note == [{"text": "center", "fitted_on": "documents of training queries", "rows": 40}]


def test_several_spaces_each_with_its_own(arrived: dict[str, Any]) -> None:
    words = ["analyze", "ance.ckpt", "dance.ckpt", "--transform", "center"]
    words += ["--transform", " center "]
    assert labels(arrived, words) == ["ance", "ance | center", "dance", "dance | center"]


COMPARE = ["compare", "--a", "ance.ckpt", "--b", "dance.ckpt"]
SIDES = [
    (["--transform", "center"], ["ance | center", "dance | center"]),
    (["--a-transform", "center"], ["ance | center", "dance"]),
    (["--b-transform", "center>normalize"], ["ance", "dance | center>normalize"]),
    (
        ["--transform", "center", "--b-transform", "whiten(shrinkage=1)"],
        ["ance | center", "dance | whiten(shrinkage=1)"],
    ),
    (["--transform", "center", "--label-b", "mine"], ["ance | center", "mine"]),
]


@pytest.mark.parametrize(("words", "expected"), SIDES, ids=str)
def test_compare_transforms_both_sides_or_one(
    arrived: dict[str, Any], words: list[str], expected: list[str]
) -> None:
    assert labels(arrived, [*COMPARE, *words]) == expected
    for space, plain in zip(spaces_of(arrived), ("ance", "dance"), strict=True):
        original = np.asarray(an.open(f"{plain}.ckpt", "data", device="cpu").documents)
        changed = not np.array_equal(original, np.asarray(space.documents))
        assert changed == (space.label != plain) == ("transform" in space.recipe)


@pytest.mark.usefixtures("no_figures")
def test_whether_a_fix_helps_one_checkpoint_which_is_encoded_once(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANISOTROPY_CACHE", str(tmp_path))
    words = ["compare", "--a", "ance.ckpt", "--b", "ance.ckpt", "--b-transform", "center", *DATA]
    assert main([*words, "--out", "fix"]) == 0
    results = Results.read(here / "fix")
    assert results.labels == ["ance", "ance | center"]
    assert len(list((tmp_path / "stores").iterdir())) == 1
    assert 'b_transform = "center"' in (here / "fix/config.toml").read_text()
    rows = {(r.side, r.measure): r for r in results.deltas if r.headline}
    assert rows["queries", "mean_cosine"].delta < 0
    assert np.isfinite(rows["ranking", "nDCG@10"].p_holm)


def test_transforms_come_from_a_file_and_are_written_to_one(
    here: Path, arrived: dict[str, Any]
) -> None:
    text = 'transform = ["center"]\na_transform = "standardize"\nsample = 77\n'
    (here / "c.toml").write_text(text)
    words = ["compare", "--a", "ance.ckpt", "--b", "ance.ckpt", "--config", "c.toml"]
    assert labels(arrived, words) == ["ance | standardize", "ance | center"]
    assert arrived["options"].sample == 77
    # What is on the command line goes before the file.
    words += ["--a-transform", "normalize", "--sample", "9"]
    assert labels(arrived, words) == ["ance | normalize", "ance | center"]
    assert arrived["options"].sample == 9


def test_the_relative_error_arrives(here: Path, arrived: dict[str, Any]) -> None:
    labels(arrived, [*COMPARE, "--relative-error", "0.02"])
    assert arrived["options"].relative_error == 0.02
    (here / "c.toml").write_text("relative_error = 0.3\n")
    labels(arrived, [*COMPARE, "--config", "c.toml"])
    assert arrived["options"].relative_error == 0.3


BAD = [
    (["analyze", "ance.ckpt", "--transform", "whitten"], "did you mean 'whiten'"),
    (["analyze", "ance.ckpt", "--transform", "whiten(shrinkage=3)"], "allowed: 0 to 1"),
    (["analyze", "ance.ckpt", "--transform", "whiten(dim=17)"], "16 directions; allowed: dim"),
    (["analyze", "ance.ckpt", "--transform", "remove_top_directions(k=16)"], "k up to"),
    ([*COMPARE, "--transform", "center", "--transform", "normalize"], "join steps by >"),
    ([*COMPARE, "--a-transform", ""], "allowed: center"),
    ([*COMPARE, "--sample", "1"], "sample: got 1"),
    ([*COMPARE, "--sample", "20", "--exact"], "give one"),
    ([*COMPARE, "--sample", "some"], "invalid int value"),
    ([*COMPARE, "--relative-error", "0"], "relative error: got 0; allowed: above 0"),
    ([*COMPARE, "--relative-error", "0.1", "--exact"], "exact and relative error"),
]


@pytest.mark.parametrize(("words", "said"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_bad_input_is_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main([*words, *DATA]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert said in err


def test_a_file_with_a_transform_of_another_type_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for line, said in (('transform = "center"', "a list of texts"), ('sample = "9"', "int")):
        (here / "bad.toml").write_text(f"{line}\n")
        assert main(["analyze", "ance.ckpt", *DATA, "--config", "bad.toml"]) == 2
        assert said in capsys.readouterr().err


def test_sample_sets_the_anchors_and_the_error_is_said(here: Path) -> None:
    from anisotropy.workflow import AnalysisOptions, analyze

    space = an.open("ance.ckpt", "data", device="cpu")
    chosen = ("uniformity(t=2)", "mean_cosine", "nDCG@10", "positive_percentile")
    options = AnalysisOptions(chosen, projections=())
    sampled = analyze([space], replace(options, sample=50))
    whole = analyze([space], replace(options, exact=True))
    (said,) = [line for line in sampled.warnings if "sampled from" in line]
    assert "240 rows are sampled from 50 of them" in said
    assert "relative standard error up to" in said
    assert not [line for line in whole.warnings if "sampled from" in line]
    rows = {(r.side, r.measure, r.on): r for r in sampled.rows}
    assert len(rows) == len(whole.rows)
    for row in whole.rows:
        twin = rows[row.side, row.measure, row.on]
        assert row.estimator != "sampled"
        if row.measure != "uniformity(t=2)" or row.side in ("queries", "cross"):
            assert twin.value == row.value  # all of the 40 queries, all of the 240 documents
        elif row.side == "documents":
            assert twin.estimator == "sampled"
            assert twin.se > 0
            assert abs(twin.value - row.value) < 6 * twin.se


def test_the_same_anchors_in_both_spaces(here: Path) -> None:
    from anisotropy.measures import measure_space

    spaces = [an.open(name, "data", device="cpu") for name in ("ance.ckpt", "dance.ckpt")]
    facts = [measure_space(one, ["uniformity(t=2)"], anchors=50).facts for one in spaces]
    chosen = [one.one_set("documents", "unit").chosen for one in facts]
    assert len(chosen[0]) == 50
    assert np.array_equal(*chosen)


@pytest.mark.usefixtures("no_figures")
def test_the_layernorm_asymmetry_is_ablated_by_one_option(here: Path, tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "x.ckpt", "dance", seed=1)
    tensors = load_file(folder / "model.safetensors")
    # A new LayerNorm hardly shows on the outputs of another; a trained one does.
    rng = np.random.default_rng(0)
    tensors["norm.weight"] = rng.uniform(0.2, 2, 16).astype(np.float32)
    save_file(tensors, folder / "model.safetensors")
    words = ["compare", "--a", str(folder), "--b", str(folder), "--b-recipe", "dance-symmetric"]
    lengths = ["--max-query-length", "16", "--max-document-length", "24"]
    assert main([*words, *lengths, *DATA, "--out", "ablation"]) == 0
    results = Results.read(here / "ablation")
    assert results.labels == ["x (own recipe)", "x (dance-symmetric)"]
    heads = [space["recipe"]["document_layernorm"] for space in results.spaces]
    assert heads == [False, True]
    deltas = {(r.side, r.measure): r for r in results.deltas if r.headline}
    assert deltas["queries", "mean_cosine"].delta == 0
    # The asymmetry alone holds queries and documents of a shared encoder apart.
    assert deltas["cross", "gap"].a > 0.5
    assert deltas["cross", "gap"].b < 0.01
    assert deltas["cross", "gap"].p < 0.001


def test_labels_of_one_checkpoint_on_both_sides(arrived: dict[str, Any]) -> None:
    words = ["compare", "--a", "dance.ckpt", "--b", "dance.ckpt"]
    assert labels(arrived, words) == ["dance (a)", "dance (b)"]
    both = [*words, "--a-recipe", "dance", "--b-recipe", "dance-symmetric"]
    assert labels(arrived, both) == ["dance (dance)", "dance (dance-symmetric)"]
    both += ["--transform", "center"]
    ends = ["dance (dance) | center", "dance (dance-symmetric) | center"]
    assert labels(arrived, both) == ends
    assert labels(arrived, [*words, "--transform", "center"]) == [
        "dance (a) | center",
        "dance (b) | center",
    ]
