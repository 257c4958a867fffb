"""``analyze``, ``compare`` and ``inspect`` of runs and of files of negatives, as a user types."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import anisotropy as an
from anisotropy.cli import main
from anisotropy.results import Results
from anisotropy.spaces import EmbeddingSpace
from tests.collection.preprocessed import dance
from tests.making import make_collection

Read = pytest.CaptureFixture[str]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs of 40 queries over 300 documents, judgments, and sets of negatives."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    truth = [rng.choice(300, 2, replace=False) for _ in range(40)]
    qrels = [f"q{q}\t0\td{d}\t{1 + i}" for q, own in enumerate(truth) for i, d in enumerate(own)]
    (tmp_path / "qrels.txt").write_text("\n".join(qrels))
    for name, noise in (("bad", 1.5), ("good", 0.3)):
        lines = []
        for q, own in enumerate(truth):
            scores = noise * rng.standard_normal(300)
            scores[own] += 2
            best = np.argsort(-scores)[:60]
            lines += [f"q{q} Q0 d{d} {r} {scores[d]:.6f} x" for r, d in enumerate(best, 1)]
        (tmp_path / f"{name}.trec").write_text("\n".join(lines))
    negatives = [
        f"{q}\t{q}\t{','.join(map(str, rng.choice(range(40, 80), 4, replace=False)))}\t"
        f"{(q + 1) % 40},{(q + 2) % 40}"
        for q in range(40)
    ]
    sets = tmp_path / "sets"
    sets.mkdir()
    for number in (0, 2, 10, 11):
        (sets / f"ann_training_data_{number}").write_text("\n".join(negatives) + "\n")
        if number < 11:
            mark = {"checkpoint": f"run/checkpoint-{number * 10}/", "ndcg": 0.25}
            (sets / f"ann_ndcg_{number}").write_text(json.dumps(mark))
    return tmp_path


def wrong(words: str, capsys: Read) -> str:
    assert main(words.split()) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


@pytest.mark.usefixtures("few_figures")
def test_a_run(place: Path, capsys: Read) -> None:
    words = "analyze good.trec --qrels qrels.txt --relevance-level 2 --out out --quiet"
    assert main(words.split()) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "ranking nDCG@10" in out
    assert "that the runs or the judgments name; --data" in out
    assert "relevant from grade 2" in out
    results = Results.read("out")
    (about,) = results.spaces
    assert (about["kind"], about["label"], about["recipe"]["order"]) == ("run", "good", "scores")
    assert about["counts"]["queries"] == 40
    assert {c.name for c in results.curves} == {
        "items", "mining", "negative_probability", "negative_profile", "positive_ranks", "queries",
    }  # fmt: skip
    assert {row.measure for row in results.withheld} >= {"R@100", "R@1000"}
    assert (place / "out/report.html").exists()


@pytest.mark.usefixtures("few_figures")
def test_two_runs(place: Path, capsys: Read) -> None:
    words = "compare --a bad.trec --b good.trec --label-a BAD --qrels qrels.txt --out out --quiet"
    assert main([*words.split(), "--fail-if", "delta[ranking.recipe.nDCG@10] < 0"]) == 0
    assert "good better" in capsys.readouterr().out
    results = Results.read("out")
    rows = {row.measure: row for row in results.deltas}
    first = an.analyze_runs(["bad.trec", "good.trec"], "qrels.txt")
    values = {(row.space, row.measure): row.value for row in first.rows}
    for measure, row in rows.items():
        delta = values["good", measure] - values["bad", measure]
        assert row.delta == pytest.approx(delta), measure
    ranked = rows["nDCG@10"]
    assert (ranked.test, ranked.space, ranked.baseline) == ("randomization", "good", "BAD")
    assert ranked.ci_low < ranked.delta < ranked.ci_high
    assert ranked.p_holm < 0.01
    changes = results.queries()
    gains = changes["nDCG@10_delta"].to_numpy()
    assert np.mean(gains) == pytest.approx(ranked.delta)
    assert list(gains) == sorted(gains, reverse=True)
    assert main([*words.split(), "--fail-if", "delta[ranking.recipe.nDCG@10] > 0"]) == 1


@pytest.mark.usefixtures("few_figures")
def test_several_runs_a_side_are_seeds_and_a_baseline_is_one(place: Path, capsys: Read) -> None:
    for name in ("bad", "good"):
        (place / f"{name}2.trec").write_text(
            (place / f"{name}.trec").read_text() + "\nz Q0 d1 1 1 x"
        )
    words = "--qrels qrels.txt --out out --quiet"
    a_b = "--a bad.trec bad2.trec --b good.trec good2.trec"
    assert main(f"compare {a_b} {words}".split()) == 0
    assert {row.unit for row in Results.read("out").deltas} == {"seed"}
    assert main(f"analyze bad.trec good.trec --baseline bad {words}".split()) == 0
    results = Results.read("out")
    assert results.comparisons == [("bad", "good")]
    capsys.readouterr()


def test_python(place: Path) -> None:
    qrels = {"q1": {"d3": 1}, "q2": {"d4": 1}, "q3": {"d4": 2}, "q4": {"d4": 2}, "q5": {"d4": 2}}
    run = an.read_run("good.trec")
    found = an.compare_runs(run, "bad.trec", qrels, measures=["RR@10"])
    assert found.labels == ["good", "bad"]
    assert [row.n for row in found.rows] == [5, 5]
    assert an.analyze_runs(run, qrels, order="ranks").spaces[0]["recipe"]["depth"] == 60


@pytest.mark.usefixtures("few_figures")
def test_a_dual_run_and_a_collection(place: Path, capsys: Read) -> None:
    make_collection(place / "beir")
    collection = an.open_collection(place / "beir")
    qrels = collection.qrels()
    documents = list({d: None for own in qrels.values() for d in own})
    lines = [f"{d} Q0 {q} {r} {-r} x" for d in documents
             for r, q in enumerate(sorted(qrels), 1)]  # fmt: skip
    (place / "dual.trec").write_text("\n".join(lines))
    words = "analyze dual.trec --data beir --out out --quiet"
    assert "--dual-run says so" in wrong(words, capsys)
    assert main([*words.split(), "--dual-run"]) == 0
    results = Results.read("out")
    assert {row.side for row in results.rows} <= {"dual_ranking", "queries"}
    assert results.collection["name"] == collection.name
    assert results.spaces[0]["recipe"]["ranks"] == "queries for documents"
    assert main(["analyze", "--config", "out/config.toml", "--out", "again", "--quiet"]) == 0
    again = Results.read("again").rows
    assert [(row.measure, row.value) for row in again] == [
        (row.measure, row.value) for row in results.rows
    ]
    capsys.readouterr()


@pytest.mark.usefixtures("few_figures")
@pytest.mark.parametrize("dual", [False, True])
@pytest.mark.parametrize("judged", ["", "D"])
def test_documents_are_spelled_as_the_collection_has_them(
    place: Path, judged: str, dual: bool
) -> None:
    dance(place / "cache")
    qrels = {8: [3], 6: [70]}
    (place / "own.txt").write_text(
        "".join(f"{q}\t0\t{judged}{d}\t1\n" for q, own in qrels.items() for d in own)
    )
    words = ["--data", "cache", "--qrels", "own.txt", "--measures", "RR@2"]
    words += ["--dual-run"][: int(dual)]
    found = []
    for letter in ("", "D"):
        pairs = [(q, f"{letter}{d}") for q in qrels for d in (41, 70, 3)]
        lines = [f"{d} Q0 {q}" if dual else f"{q} Q0 {d}" for q, d in pairs]
        text = "".join(f"{line} 0 {9 - r} x\n" for r, line in enumerate(lines))
        (place / f"run{letter}.trec").write_text(text)
        assert main(["analyze", f"run{letter}.trec", *words, "--out", "out", "--quiet"]) == 0
        results = Results.read("out")
        assert not [line for line in results.warnings if "counted as well" in line]
        found.append([(row.measure, row.value) for row in results.rows])
    assert found[0] == found[1]
    assert found[0]
    assert all(value > 0 for _, value in found[0])


def test_a_run_of_other_documents_is_refused(place: Path, capsys: Read) -> None:
    dance(place / "cache")
    (place / "rows.trec").write_text("8 Q0 x0 1 2.5 x\n6 Q0 x1 1 2.5 x\n")
    text = wrong("analyze rows.trec --data cache --quiet", capsys)
    assert "none of the 2 documents that it lists (such as 'x0') is one of the 5" in text


@pytest.mark.usefixtures("few_figures")
def test_judgments_of_other_documents_are_refused(place: Path, capsys: Read) -> None:
    (place / "other.txt").write_text((place / "qrels.txt").read_text().replace("\td", "\tD"))
    text = wrong("analyze good.trec --qrels other.txt --quiet", capsys)
    assert re.search(r"none of the \d+ documents judged in other.txt \(such as 'D\d+'\)", text)
    assert "of this run" in text


def test_negatives_alone_are_a_series(place: Path, capsys: Read) -> None:
    assert main(["analyze", "sets", "--out", "out"]) == 0
    out, err = capsys.readouterr()
    assert "ann_training_data_11 is not marked as whole" in err
    assert "observed_negatives_kl" in out
    results = Results.read("out")
    assert results.labels == ["sets/0", "sets/2", "sets/10"]
    assert [space["step"] for space in results.spaces] == [0, 20, 100]
    assert {space["kind"] for space in results.spaces} == {"negatives"}
    assert results.spaces[1]["recipe"]["mark"]["ndcg"] == 0.25
    assert len(results.rows) == 30
    assert main(["analyze", "sets/ann_training_data_11", "--out", "out", "--quiet"]) == 0
    capsys.readouterr()


@pytest.mark.usefixtures("few_figures")
def test_negatives_beside_a_space(place: Path, capsys: Read) -> None:
    rng = np.random.default_rng(0)
    qrels = {str(i): {str(i): 1} for i in range(40)}
    space = EmbeddingSpace(rng.normal(size=(40, 8)), rng.normal(size=(90, 8)), qrels=qrels)
    space.save("store")
    words = "analyze store --negatives sets --projection none --out out --quiet"
    assert main(words.split()) == 0
    assert "observed_negatives_kl" in capsys.readouterr().out
    results = Results.read("out")
    measures = {(row.side, row.measure) for row in results.rows}
    for role, inside in (("documents", "(role=documents)"), ("queries", "")):
        assert (role, f"observed_negatives_gini{inside}") in measures
        curve = results.find_curves("observed_items", role)[0].frame()
        assert curve["count"].sum() == (160 if role == "documents" else 80)
        assert len(curve) == (90 if role == "documents" else 40)
    assert results.spaces[0]["recipe"]["negatives"]["mark"]["checkpoint"] == "run/checkpoint-100/"


def test_the_figure_shows_what_was_drawn(place: Path) -> None:
    from anisotropy import plots, workflow

    results = workflow.analyze_negatives({"one": place / "sets/ann_training_data_0"})
    figure = plots.negative_probability(results)
    curves = results.find_curves("observed_probability")
    assert len(figure.axes) == len(curves) == 2
    for ax, curve in zip(figure.axes, curves, strict=True):
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), curve.columns["probability"])
    assert "files of negatives" in plots.FIGURES["negative_probability"].caption(results)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("analyze good.trec", "a run needs judgments: --qrels FILE"),
        ("analyze good.trec --qrels absent", "absent: no such file"),
        ("analyze good.trec sets --qrels qrels.txt", "good.trec is a run and sets is none"),
        (
            "analyze good.trec --qrels qrels.txt --transform center",
            "--transform: is for embeddings",
        ),
        ("analyze good.trec --qrels qrels.txt --recipe ance", "--recipe: is for embeddings"),
        ("analyze good.trec --qrels qrels.txt --offsets sets", "--offsets: is for embeddings"),
        (
            "compare --a good.trec --b bad.trec --qrels qrels.txt --b-recipe ance",
            "--b-recipe: is for embeddings",
        ),
        ("analyze good.trec --qrels qrels.txt --sample 5", "--sample: is for embeddings"),
        ("analyze good.trec --qrels qrels.txt --order rank", "order: got 'rank'"),
        ("analyze good.trec --qrels qrels.txt --measures gap", "gap: needs embeddings"),
        ("analyze good.trec --qrels qrels.txt --negatives sets", "--negatives: is for embeddings"),
        (
            "analyze good.trec --qrels qrels.txt --relevance-level 9",
            "grade 9 or above (highest: 2)",
        ),
        ("analyze good.trec --qrels qrels.txt --format xml", "--format"),
        ("analyze sets --order ranks", "--order: is for"),
        ("analyze sets --qrels qrels.txt", "--qrels: is for other inputs"),
        ("analyze sets --baseline x", "are not for files of negatives"),
        ("compare --a sets --b sets/ann_training_data_0", "have no intervals"),
        ("compare --a good.trec --b bad.trec", "a run needs judgments"),
        ("compare --a good.trec --b sets --qrels qrels.txt", "sets is none"),
        ("analyze docstrings --order ranks", "--order: is for a run"),
    ],
)
def test_wrong_words(place: Path, capsys: Read, words: str, part: str) -> None:
    assert part in wrong(f"{words} --quiet", capsys)


def test_wrong_files(place: Path, capsys: Read) -> None:
    (place / "cut.trec").write_text((place / "good.trec").read_text() + "\nq1 Q0 d5")
    text = wrong("analyze cut.trec --qrels qrels.txt --quiet", capsys)
    assert "cut.trec, line 2401: 3 columns, 6 in the first line" in text
    (place / "sets/ann_training_data_10").write_text("0\t0\t1,2\t3\n0\t0\t1,,2\t3\n")
    text = wrong("analyze sets --quiet", capsys)
    assert "ann_training_data_10, line 2: an empty id" in text
    (place / "sets/ann_ndcg_0").write_text("[" * 100_000)
    assert "ann_ndcg_0: not readable as JSON" in wrong("analyze sets --quiet", capsys)
    for mark in (place / "sets").glob("ann_ndcg_*"):
        mark.unlink()
    assert "ann_training_data_11 has no ann_ndcg_11" in wrong("analyze sets --quiet", capsys)
    space = EmbeddingSpace(np.eye(3), np.eye(3), qrels={"0": {"0": 1}})
    space.save("store")
    text = wrong("analyze store --negatives sets/ann_training_data_2 --quiet", capsys)
    assert "is none of the 3 documents" in text


def test_inspect(place: Path, capsys: Read) -> None:
    for thing, parts in (
        ("good.trec", ("kind         run", "depth        60 to 60 a query")),
        ("sets/ann_training_data_0", ("negatives", "4 to 4 a pair", "run/checkpoint-0/")),
        (
            "sets",
            (
                "whole sets       3: numbers 0, 2, 10",
                "unfinished sets  1: number 11",
                "run/checkpoint-100/",
            ),
        ),
    ):
        assert main(["inspect", thing]) == 0
        out = capsys.readouterr().out
        assert all(part in out for part in parts), out
    dance(place / "cache")
    for thing, parts in (
        ("cache/pid2offset.pickle", ("map of offsets", "ids       5", "70 = row 0")),
        ("cache/dev-query_qid2offset.pickle", ("map of offsets", "ids       1")),
        ("cache/real-dev-qrel.tsv", ("kind          judgments", "queries       2")),
        ("qrels.txt", ("kind          judgments", "judged_pairs  80", "1  40")),
    ):
        assert main(["inspect", thing]) == 0
        out = capsys.readouterr().out
        assert all(part in out for part in parts), out
    assert main(["inspect", "sets", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["marks"]["2"]["ndcg"] == 0.25
