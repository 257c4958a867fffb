"""Runs as files: both layouts, the order of trec_eval, what disagrees, what is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from anisotropy.collection.judgments import read_judgments
from anisotropy.collection.runs import Run, is_run, judged_for, label_of, read_run
from anisotropy.errors import AnisotropyError, CollectionError, UsageError
from anisotropy.measures.families.ranking import trec_order

LINES = [
    "q1 Q0 a 1 3.5 tag", "q1 Q0 b 2 2.5 tag", "q2 Q0 b 1 -1.0 tag", "q2 Q0 c 2 -2e-05 tag",
    "q1 Q0 c 3 0.5 tag",
]  # fmt: skip


def written(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def lists(run: Run) -> dict[str, list[str]]:
    return {query: run.ranking(query) for query in run.query_ids}


@pytest.mark.parametrize("form", ["spaces", "tabs", "gzip", "blank lines"])
def test_trec(tmp_path: Path, form: str) -> None:
    path = written(tmp_path / "x.trec", LINES)
    if form == "tabs":
        written(path, [line.replace(" ", "\t") for line in LINES])
    if form == "gzip":
        path.write_bytes(gzip.compress(path.read_bytes()))
    if form == "blank lines":
        written(path, ["", *LINES, "  ", ""])
    run = read_run(path)
    assert lists(run) == {"q1": ["a", "b", "c"], "q2": ["c", "b"]}
    assert (run.depth, run.order, run.ranking("nobody")) == (3, "scores", [])
    assert run.scores is not None
    assert run.scores[run.part("q2")].tolist() == [-2e-05, -1.0]


@pytest.mark.parametrize("first", [0, 1])
def test_ranks_alone(tmp_path: Path, first: int) -> None:
    lines = [f"q\td\t{1 + first}", f"q\tb\t{first}", f"p\ta\t{first}"]
    path = written(tmp_path / "run.tsv", lines if first == 0 else lines[1:] + lines[:1])
    run = read_run(path)
    assert lists(run) == {"q": ["b", "d"], "p": ["a"]}
    assert (run.scores, run.order) == (None, "ranks")


@pytest.mark.parametrize("seed", range(5))
def test_the_order_is_that_of_trec_eval(tmp_path: Path, seed: int) -> None:
    """Against the literal rule, with many ties, some only as 32-bit numbers."""
    rng = np.random.default_rng(seed)
    scores = {
        f"q{q}": {
            f"é{i}" if i % 7 == 0 else f"d{i}": float(700 + rng.integers(0, 9) + e)
            for i, e in enumerate(rng.choice([0, 1e-6], 40))
        }
        for q in range(6)
    }
    lines = [f"{q} Q0 {d} 1 {s!r} x" for q, own in scores.items() for d, s in own.items()]
    run = read_run(written(tmp_path / "x", [lines[i] for i in rng.permutation(len(lines))]))
    assert lists(run).keys() == scores.keys()
    assert all(run.ranking(q) == trec_order(own) for q, own in scores.items())


def test_a_repeated_document_is_kept_once_at_its_best(tmp_path: Path) -> None:
    lines = ["q Q0 a 1 9 x", "q Q0 b 2 8 x", "q Q0 a 3 7 x", "p Q0 a 1 1 x"]
    run = read_run(written(tmp_path / "x", lines))
    assert lists(run) == {"q": ["a", "b"], "p": ["a"]}
    (line,) = run.warnings
    assert "1 lines repeat a document" in line
    assert "line 3, query 'q', document 'a'" in line
    assert lists(read_run(tmp_path / "x", "ranks")) == lists(run)


def test_ranks_that_contradict_scores_are_told(tmp_path: Path) -> None:
    """Upstream's conversion deletes the minus of scores: -2 before -7 became 2 before 7."""
    lines = ["q Q0 a 1 3 x", "q Q0 b 2 2 x", "q Q0 c 3 7 x", "p Q0 a 1 3 x", "p Q0 b 2 1 x"]
    path = written(tmp_path / "x", lines)
    by_score, by_rank = read_run(path), read_run(path, "ranks")
    assert by_score.ranking("q") == ["c", "a", "b"]
    assert by_rank.ranking("q") == ["a", "b", "c"]
    assert "disagree in 1 of 2 queries (example: 'q'); ordered by scores" in by_score.warnings[0]
    assert "ordered by ranks; --order scores" in by_rank.warnings[0]
    assert by_score.fingerprint != by_rank.fingerprint


def test_ties_that_ranks_break_otherwise_are_told(tmp_path: Path) -> None:
    run = read_run(written(tmp_path / "x", ["q Q0 a 1 700.00001 x", "q Q0 b 2 700 x"]))
    assert run.ranking("q") == ["b", "a"]
    (line,) = run.warnings
    assert "equal score (as 32-bit numbers)" in line
    assert not read_run(tmp_path / "x", "ranks").warnings
    assert not read_run(written(tmp_path / "y", LINES)).warnings[1:]


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("q1 Q0 a", "3 columns, 6 in the first line"),
        ("q1 Q0 a 1", "4 columns; allowed: TREC"),
        ("q1 Q0 a first 2 x", "rank 'first' is not a whole number"),
        ("q1 Q0 a -1 2 x", "rank '-1'; allowed: 0 to"),
        ("q1 Q0 a 1 high x", "score 'high' is not a number"),
        ("q1 Q0 a 1 nan x", "score 'nan'; allowed: finite"),
        ("q1 Q0 a 1 1e39 x", "score '1e39'; allowed: finite"),
        ("q1\tQ0\t\t1\t2\tx", "empty document id"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, part: str) -> None:
    path = written(tmp_path / "x.trec", [*LINES, line])
    with pytest.raises(CollectionError, match="line 6: ") as caught:
        read_run(path)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_fillers_of_a_search_are_left_out(tmp_path: Path) -> None:
    lines = [*LINES, "q1 Q0 z 4 -3.4028235e+38 x", "q3 Q0 z 1 -3.4028235e+38 x"]
    run = read_run(written(tmp_path / "x", lines))
    assert lists(run) == {"q1": ["a", "b", "c"], "q2": ["c", "b"]}
    assert "2 lines have the lowest number" in run.warnings[0]


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match="no lines in it"):
        read_run(written(tmp_path / "empty", [""]))
    with pytest.raises(CollectionError, match="no such file"):
        read_run(tmp_path / "absent")
    (tmp_path / "bytes").write_bytes(b"q Q0 \xff 1 2 x\n")
    with pytest.raises(CollectionError, match="line 1: not UTF-8"):
        read_run(tmp_path / "bytes")
    whole = gzip.compress("\n".join(LINES).encode())
    (tmp_path / "cut.gz").write_bytes(whole[:-10])
    with pytest.raises(CollectionError, match="damaged gzip"):
        read_run(tmp_path / "cut.gz")
    with pytest.raises(UsageError, match="order"):
        read_run(written(tmp_path / "x", LINES), "score")


def test_what_is_a_run(tmp_path: Path) -> None:
    assert is_run(written(tmp_path / "x", LINES))
    assert is_run(written(tmp_path / "y", ["1\t20\t1", "1\t21\t2"]))
    for number, lines in enumerate(
        [[], ["{}"], ["q d 1 2"], ["0\t5\t8,6,7"], ["0\t5\t8", "1\t5\t2"], ["query-id\tx\tscore"]]
    ):
        assert not is_run(written(tmp_path / f"no{number}", lines)), lines
    assert is_run(written(tmp_path / "z", [LINES[0], "damaged"]))  # reading tells the line
    assert is_run(written(tmp_path / "any.trec", ["damaged"]))
    assert not is_run(written(tmp_path / "ann_training_data_0", ["0\t5\t1"]))
    assert not is_run(tmp_path)
    assert not is_run(tmp_path / "absent")
    (tmp_path / "weights").write_bytes(bytes(range(256)))
    assert not is_run(tmp_path / "weights")


def test_labels() -> None:
    assert label_of("runs/run.ance.dl19.res.gz") == "run.ance.dl19"
    assert label_of("dev_query_20.formatted.trec") == "dev_query_20.formatted"
    assert label_of(".gz") == ".gz"


def test_judgments_of_either_direction(tmp_path: Path) -> None:
    qrels = {"q1": {"a": 2, "b": 0}, "q2": {"a": 1}}
    run = read_run(written(tmp_path / "x", LINES))
    assert judged_for(run, qrels, dual=False, where="f") is qrels
    dual = read_run(written(tmp_path / "d", ["a Q0 q1 1 2 x", "a Q0 q2 2 1 x"]))
    turned = {"a": {"q1": 2, "q2": 1}, "b": {"q1": 0}}
    assert judged_for(dual, qrels, dual=True, where="f") == turned
    assert judged_for(dual, turned, dual=True, where="f") == turned  # upstream's reversed file
    with pytest.raises(AnisotropyError, match=r"d: none of its 1 queries .*--dual-run says so"):
        judged_for(dual, qrels, dual=False, where="f")
    with pytest.raises(AnisotropyError, match="give the judgments of this run"):
        judged_for(run, {"other": {"z": 1}}, dual=False, where="f")


@pytest.mark.oracle
def test_upstream_runs(oracle: Path) -> None:
    """Every run that upstream wrote: the order of its lines is the order of the scores."""
    paths = sorted(oracle.glob("dumps/*/*.trec"))
    assert len(paths) > 15
    for path in paths:
        run = read_run(path)
        rows = [line.split() for line in path.read_text().splitlines()]
        fillers = [row for row in rows if float(row[4]) < -3e38]
        rows = [row for row in rows if float(row[4]) > -3e38]
        assert len(run.documents) == len(rows)
        assert [(q, d) for q in run.query_ids for d in run.ranking(q)] == [
            (row[0], row[2]) for row in rows
        ]
        assert bool(run.warnings) == bool(fillers), run.warnings
        assert not fillers or f"{len(fillers)} lines have the lowest number" in run.warnings[0]


@pytest.mark.oracle
def test_lost_signs_and_repeated_documents(oracle: Path) -> None:
    path = oracle / "eval/negative_scores.formatted.trec"
    run = read_run(path)
    assert "disagree in 3 of 4 queries (example: '77')" in run.warnings[0]
    whole = read_run(oracle / "eval/negative_scores.trec")
    assert "disagree in 1 of 4 queries (example: '3')" in whole.warnings[0]  # -0.125, -1e-05
    ranked = read_run(path, "ranks")
    for place, query in enumerate(ranked.query_ids):
        found = [row.split()[2] for row in path.read_text().splitlines() if row.startswith(query)]
        assert ranked.ranking(query) == found
        assert len(whole.ranking(str(place))) == len(found)
    repeated = read_run(oracle / "eval/maxp_duplicates.trec")
    kept = read_run(oracle / "eval/maxp_dedup_by_Calculate_Metrics.trec")
    assert lists(repeated) == lists(kept)
    assert "3 lines repeat" in repeated.warnings[0]


@pytest.mark.real_data
def test_real_runs_and_judgments(real_data: Path) -> None:
    folder = real_data / "msmarco_pieces"
    for name, queries in (("ance.dl19", 43), ("ance.dl20", 54), ("bm25.dl20", 54)):
        path = folder / f"run.{name}_passage.res.gz"
        assert is_run(path)
        run = read_run(path)
        assert (len(run.query_ids), run.depth) == (queries, 1000)
    for path in folder.glob("*qrels*"):
        assert not is_run(path)
        assert read_judgments(path).qrels
