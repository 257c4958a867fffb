"""Several checkpoints a side, and several spaces against a baseline: options to reports."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

import anisotropy as an
from anisotropy.cli import main
from anisotropy.errors import GateFailed, NotComparable, UsageError
from anisotropy.gates import check_gates, parse_gates
from anisotropy.report import format_results
from anisotropy.report.page import render_html
from anisotropy.results import SCHEMA, Results
from tests.comparison.test_comparison import noisy
from tests.making import make_checkpoint, make_collection
from tests.measures.making import space

SEEDS = ["compare", "--a", "1/old", "2/old", "--b", "new-1", "new-2", "new-3", "--data", "data"]
QUICK = ["--projection", "none", "--quiet"]


@pytest.fixture(scope="module", autouse=True)
def no_figures():
    """Figures are tested elsewhere; drawing them would be most of the time here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("anisotropy.plots.save.FIGURES", {})
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, no_figures: None) -> Path:
    folder = tmp_path_factory.mktemp("place")
    names = ["1/old", "2/old", "new-1", "new-2", "new-3"]
    for seed, name in enumerate(names):
        make_checkpoint(folder / name, "dance" if "new" in name else "ance", seed=seed)
    make_collection(folder / "data", n_documents=80, n_queries=30)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("ANISOTROPY_CACHE", str(folder / "cache"))
        assert main([*SEEDS, "--out", "seeds", *QUICK]) == 0
    return folder


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    monkeypatch.setenv("ANISOTROPY_CACHE", str(place / "cache"))
    return place


def test_several_checkpoints_a_side_are_seeds(here: Path) -> None:
    results = Results.read("seeds")
    assert results.labels == ["old (1)", "old (2)", "new-1 (3)", "new-2 (4)", "new-3 (5)"]
    assert [(s["side"], s["method"]) for s in results.spaces] == [("a", "old")] * 2 + [
        ("b", "new")
    ] * 3
    assert set(results.differences.unit) == {"seed"}
    assert set(results.measurements.space) == set(results.labels)
    assert results.comparisons == [("old", "new")]
    assert len(results.queries()) == 30
    assert results.queries().text.str.startswith("the ").all()


def test_the_written_lists_repeat_the_run_with_names_and_recipes_a_side(here: Path) -> None:
    words = ["compare", "--config", "seeds/config.toml", "--out", "again", *QUICK]
    assert main([*words, "--label-b", "better", "--b-recipe", "ance"]) == 0
    again = Results.read("again")
    assert [s["method"] for s in again.spaces] == ["old"] * 2 + ["better"] * 3
    assert {s["recipe"]["name"] for s in again.spaces} == {"ance"}
    first = Results.read("seeds").measurements.query("space == 'old (1)'")
    second = again.measurements.query("space == 'old (1)'")
    pd.testing.assert_frame_equal(first, second)


def test_seeds_are_readable_everywhere(here: Path) -> None:
    results = Results.read("seeds")
    table = format_results(results, "table", width=120)
    assert table.startswith("new against old\n")
    assert "means over 2 seeds of old and 3 seeds of new" in table
    mean = results.differences.query("measure == 'nDCG@10' and side == 'ranking'").a.iloc[0]
    assert f"{mean:.4f}"[:5] in table
    for text in (
        render_html(results),
        *(format_results(results, x) for x in ("latex", "markdown")),
    ):
        assert "2 seeds of old" in text
    page = render_html(results)
    assert re.search('<th scope="col" class="number"[^>]*>old \\(1\\)</th>', page)


@pytest.mark.parametrize(
    ("text", "fires"),
    [
        ("value[a.queries.unit.mean_cosine] > 2", False),
        ("value[old.queries.unit.mean_cosine] <= 1", True),
        ("value[old (1).queries.unit.mean_cosine] <= 1", True),
        ("delta[ranking.recipe.nDCG@10] > -2", True),
        ("delta[new.ranking.recipe.nDCG@10] < -2", False),
    ],
)
def test_gates_over_seeds(here: Path, text: str, fires: bool) -> None:
    results, gates = Results.read("seeds"), parse_gates([text])
    if fires:
        with pytest.raises(GateFailed):
            check_gates(results, gates)
    else:
        assert check_gates(results, gates) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["compare", "--a", "1/old", "2/old", "--b", "new-1"], "got 2 checkpoint(s) of a and 1"),
        (["compare", "--a", "1/old", "1/old", "--b", "new-1", "new-2"], "are the same checkpoint"),
        (["analyze", "1/old", "new-1", "--baseline", "odl"], "did you mean 'old'"),
        (["analyze", "1/old", "--baseline", "old"], "nothing to compare it with"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main([*words, "--data", "data", "--out", "bad", *QUICK]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert said in err


def test_analyze_against_a_baseline(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["analyze", "1/old", "new-1", "new-2", "--data", "data", "--out", "base", *QUICK]
    gate = "delta[new-2.ranking.recipe.nDCG@10] > -2"
    assert main([*words, "--baseline", "old", "--fail-if", gate]) == 1
    table = capsys.readouterr().out
    results = Results.read("base")
    assert results.comparisons == [("old", "new-1"), ("old", "new-2")]
    assert set(results.differences.space) == {"new-1", "new-2"}
    assert len(results.find_curves("changes")) == 2
    assert len(results.queries()) == 60
    assert set(pd.read_csv("base/differences.csv").space) == {"new-1", "new-2"}
    assert "2 embedding spaces against old" in table
    assert "\nnew-1 against old\n" in table
    assert "\nnew-2 against old\n" in table
    with pytest.raises(UsageError, match="2 rows"):
        check_gates(results, parse_gates(["delta[ranking.recipe.nDCG@10] > -2"]))
    page = render_html(results)
    for text in ("All differences", "new-2 against old", "all comparisons"):
        assert text in page
    for form in ("latex", "markdown"):
        assert format_results(results, form).count("new-1 against old") == 1


def three() -> list[an.EmbeddingSpace]:
    made = space(n_queries=60, n_documents=120)
    parts = [("a", 0.1), ("b", 0.3), ("c", 1.5)]
    return [noisy(made, amount, seed, label) for seed, (label, amount) in enumerate(parts)]


def test_holm_covers_every_comparison() -> None:
    a, b, c = three()
    both = an.analyze([b, a, c], projections=(), baseline="a")
    alone = an.compare(a, c, projections=())
    rows = both.differences.query("headline and space == 'c'").set_index(["side", "measure"])
    single = alone.differences.query("headline").set_index(["side", "measure"])
    for effectiveness in (True, False):
        mine = rows[(rows.family == "effectiveness") == effectiveness].dropna(subset="p")
        first = mine.p.idxmin()
        family = 2 * (3 if effectiveness else 9)
        assert mine.p_holm[first] <= min(family * mine.p[first], 1) + 1e-12
        assert (mine.p_holm >= single.p_holm[mine.index] - 1e-12).all()
    assert set(both.withheld and {w.baseline for w in both.withheld}) <= {"", "a"}
    assert set(both.similarities.space) == {"b", "c"}
    assert set(both.associations.baseline) == {"a"}


def test_a_baseline_of_other_ids_is_refused_or_intersected() -> None:
    a, b, c = three()
    part = c.restrict(c.query_ids[:40], c.doc_ids)
    with pytest.raises(NotComparable, match="60 ids in 'a', 40 in 'c'"):
        an.analyze([a, b, part], projections=(), baseline="a")
    results = an.analyze(
        [a, b, part], projections=(), baseline="a", on_mismatch="intersect", measures=["nDCG@10"]
    )
    assert {s["counts"]["queries"] for s in results.spaces} == {40}
    assert len(an.analyze([a, part], projections=(), measures=["gap"]).rows) == 2


def test_from_python_lists_are_seeds() -> None:
    a, b, c = three()
    d = noisy(space(n_queries=60, n_documents=120), 1.4, 9, "d")
    results = an.compare([a, b], [c, d], projections=(), measures=["nDCG@10", "cka"])
    assert set(results.differences.unit) == {"seed"}
    assert results.comparisons == [("a", "b")]
    assert [s["side"] for s in results.spaces] == ["a", "a", "b", "b"]


def test_rows_asked_for_by_name_are_shown() -> None:
    a, b, _ = three()
    named = an.compare(a, b, projections=(), measures=["mean_cosine", "antihub_share", "cka"])
    table = format_results(named, "table", width=120)
    for text in (
        "joint mean_cosine",
        "center>unit",
        "antihub_share",
        "similarity of the two",
        "cka",
    ):
        assert text in table
    default = format_results(an.compare(a, b, projections=()), "table", width=120)
    assert "joint" not in default
    assert "cka" not in default


def test_the_page_shows_changed_queries_with_their_texts_escaped() -> None:
    a, _, c = three()
    a.query_texts = [f"<b>{name}</b>" for name in a.query_ids]
    page = render_html(an.compare(a, c, projections=()))
    assert "Largest losses" in page
    assert "&lt;b&gt;q" in page
    assert "<b>q" not in page
    assert "Association, not cause" in page


def test_older_results_still_open(here: Path, tmp_path: Path) -> None:
    a, b, _ = three()
    an.compare(a, b, projections=(), measures=["nDCG@10", "gap", "cka"]).write(tmp_path)
    path = tmp_path / "results.json"
    content = json.loads(path.read_text())
    assert content["schema"] == SCHEMA
    assert content["associations"][0]["method"] == "bootstrap"
    for table in ("differences", "similarities", "withheld"):
        for row in content[table]:
            for name in ("space", "baseline", "test"):
                row.pop(name, None)
    content["associations"] = []
    content["spaces"] = [{k: v for k, v in s.items() if k not in ("side", "method")}
                         for s in content["spaces"]]  # fmt: skip
    path.write_text(json.dumps(content))
    old = Results.read(tmp_path)
    assert old.comparisons == [("a", "b")]
    assert format_results(old, "table", width=120).startswith("b against a\n")
    assert "b minus a" in render_html(old)


def test_one_checkpoint_given_twice_is_no_second_seed(place, monkeypatch, capsys) -> None:
    monkeypatch.chdir(place)
    argv = ["compare", "--a", "1/old", "./1/../1/old", "--b", "new-1", "new-2", "--data", "data"]
    assert main([*argv, *QUICK]) == 2
    assert "are the same checkpoint" in capsys.readouterr().err
