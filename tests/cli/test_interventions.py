"""``--transform``, ``--sample`` and one checkpoint read two ways: that they arrive."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anisotropy as an
from anisotropy.cli import main
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


def values(results: Results, side: str, measure: str) -> dict[str, float]:
    return {r.space: r.value for r in results.rows if (r.side, r.measure) == (side, measure)}


def test_analyze_puts_each_transform_beside_the_space(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["analyze", "ance.ckpt", *DATA, *FEW, "--out", "out"]
    assert main([*words, "--transform", "center", "--transform", "whiten(shrinkage=0.1)"]) == 0
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


def test_several_spaces_each_with_its_own(here: Path) -> None:
    words = ["analyze", "ance.ckpt", "dance.ckpt", *DATA, *FEW, "--transform", "center"]
    assert main([*words, "--out", "two"]) == 0
    labels = Results.read(here / "two").labels
    assert labels == ["ance", "ance | center", "dance", "dance | center"]


@pytest.mark.parametrize(
    ("words", "labels"),
    [
        (["--transform", "center"], ["ance | center", "dance | center"]),
        (["--a-transform", "center"], ["ance | center", "dance"]),
        (["--b-transform", "center>normalize"], ["ance", "dance | center>normalize"]),
        (["--transform", "center", "--b-transform", "whiten(shrinkage=1)"],
         ["ance | center", "dance | whiten(shrinkage=1)"]),
        (["--transform", "center", "--label-b", "mine"], ["ance | center", "mine"]),
    ],
)  # fmt: skip
def test_compare_transforms_both_sides_or_one(
    here: Path, words: list[str], labels: list[str]
) -> None:
    command = ["compare", "--a", "ance.ckpt", "--b", "dance.ckpt", *DATA, *FEW, "--out", "c"]
    assert main([*command, *words]) == 0
    results = Results.read(here / "c")
    assert results.labels == labels
    cosines = values(results, "documents", "mean_cosine")
    for label in labels:
        centered = "|" in label or label == "mine"
        assert (abs(cosines[label]) < 0.1) == centered, (label, cosines)


def test_whether_a_fix_helps_one_checkpoint_which_is_encoded_once(here: Path) -> None:
    words = ["compare", "--a", "ance.ckpt", "--b", "ance.ckpt", "--b-transform", "center", *DATA]
    assert main([*words, "--out", "fix"]) == 0
    results = Results.read(here / "fix")
    assert results.labels == ["ance", "ance | center"]
    stores = list((here / "cache/stores").iterdir())
    assert main([*words, "--out", "fix"]) == 0
    assert list((here / "cache/stores").iterdir()) == stores
    rows = {(r.side, r.measure): r for r in results.deltas if r.headline}
    assert rows["queries", "mean_cosine"].delta < 0
    assert np.isfinite(rows["ranking", "nDCG@10"].p_holm)


def test_transforms_come_from_a_file_and_are_written_to_one(here: Path) -> None:
    (here / "c.toml").write_text('transform = ["center"]\na_transform = "standardize"\n')
    words = ["compare", "--a", "ance.ckpt", "--b", "ance.ckpt", *DATA, *FEW, "--out", "file"]
    assert main([*words, "--config", "c.toml"]) == 0
    assert Results.read(here / "file").labels == ["ance | standardize", "ance | center"]
    written = (here / "file/config.toml").read_text()
    assert 'transform = ["center"]' in written
    assert main(["compare", "--config", "file/config.toml", "--out", "again", "--quiet"]) == 0
    assert Results.read(here / "again").labels == ["ance | standardize", "ance | center"]
    # What is on the command line goes before the file.
    assert main([*words, "--config", "c.toml", "--a-transform", "normalize"]) == 0
    assert Results.read(here / "file").labels == ["ance | normalize", "ance | center"]


COMPARE = ["compare", "--a", "ance.ckpt", "--b", "dance.ckpt"]
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


def test_sample_sets_the_anchors_and_the_error_is_said(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["--measures", "uniformity(t=2),mean_cosine,nDCG@10,positive_percentile"]
    words = [*COMPARE, *DATA, *chosen]
    assert main([*words, "--sample", "50", "--out", "sampled"]) == 0
    said = capsys.readouterr().out
    assert "sampled from" in said
    assert "relative standard error up to" in said
    assert main([*words, "--out", "whole"]) == 0
    assert "sampled from" not in capsys.readouterr().out
    sampled, whole = (Results.read(here / name) for name in ("sampled", "whole"))
    assert sampled.config["sample"] == 50
    rows = {(r.space, r.side, r.measure, r.on): r for r in sampled.rows}
    assert {r.estimator for r in whole.rows if r.measure == "uniformity(t=2)"} == {"exact"}
    for row in whole.rows:
        twin = rows[row.space, row.side, row.measure, row.on]
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


def test_the_layernorm_asymmetry_is_ablated_by_one_option(here: Path) -> None:
    words = ["compare", "--a", "dance.ckpt", "--b", "dance.ckpt", "--b-recipe", "dance-symmetric"]
    assert main([*words, *LENGTHS, *DATA, "--out", "ablation"]) == 0
    results = Results.read(here / "ablation")
    assert results.labels == ["dance (own recipe)", "dance (dance-symmetric)"]
    recipes: list[dict[str, Any]] = [space["recipe"] for space in results.spaces]
    assert [recipe["document_layernorm"] for recipe in recipes] == [False, True]
    assert [recipe["query_layernorm"] for recipe in recipes] == [True, True]
    a, b = (an.open("dance.ckpt", "data", recipe=recipe, device="cpu", overrides=OVERRIDES)
            for recipe in (None, "dance-symmetric"))  # fmt: skip
    assert np.array_equal(np.asarray(a.queries), np.asarray(b.queries))
    assert not np.allclose(np.asarray(a.documents), np.asarray(b.documents), atol=1e-3)
    gaps = [r for r in results.deltas if (r.side, r.measure) == ("cross", "gap")]
    assert gaps
    assert abs(gaps[0].delta) > 1e-3


OVERRIDES = {"max_query_length": 16, "max_document_length": 24}
LENGTHS = ["--max-query-length", "16", "--max-document-length", "24"]


def test_a_recipe_for_both_leaves_plain_labels(here: Path) -> None:
    words = ["compare", "--a", "dance.ckpt", "--b", "dance.ckpt", *DATA, *FEW, "--out", "plain"]
    assert main(words) == 0
    assert Results.read(here / "plain").labels == ["dance (a)", "dance (b)"]
