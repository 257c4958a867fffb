"""Effectiveness of runs: literal twins, pytrec_eval, ir_measures, and real runs."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from anisotropy.errors import UsageError
from anisotropy.measures import effectiveness
from tests.measures import twins

MEASURES = ["nDCG@10", "RR@10", "R@100"]


def means(run, qrels, measures=tuple(MEASURES), level: int = 1) -> dict[str, float]:
    found = effectiveness(run, qrels, measures, level)
    return {name: float(np.mean(list(each.values()))) for name, each in found.items()}


def random_run(seed: int) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, int]]]:
    """Scores with many ties, some only as 32-bit floats; grades 0 to 3."""
    rng = np.random.default_rng(seed)
    run, qrels = {}, {}
    for q in range(12):
        documents = [f"d{i}" for i in rng.choice(300, 150, replace=False)]
        scores = 700 + rng.integers(0, 40, 150) + rng.choice([0, 1e-6], 150)
        run[f"q{q}"] = dict(zip(documents, scores.tolist(), strict=True))
        judged = rng.choice(300, 30, replace=False)
        qrels[f"q{q}"] = {f"d{i}": int(g) for i, g in zip(judged, rng.integers(0, 4, 30),
                                                          strict=True)}  # fmt: skip
    return run, qrels


def test_trec_eval_breaks_ties_by_id_descending_and_compares_32_bits() -> None:
    qrels = {"q": {"b": 1}}
    assert means({"q": {"a": 1.0, "b": 1.0}}, qrels)["RR@10"] == 1
    assert means({"q": {"c": 1.0, "b": 1.0}}, qrels)["RR@10"] == 0.5
    assert means({"q": {"c": 700.0, "b": 700.00001}}, qrels)["RR@10"] == 0.5


def test_graded_gain_is_linear() -> None:
    run = {"q": {"a": 3.0, "b": 2.0, "c": 1.0}}
    found = means(run, {"q": {"a": 2, "b": 1, "c": 3}})
    assert found["nDCG@10"] == pytest.approx(0.8675, abs=5e-5)


def test_missing_queries_count_zero_and_queries_without_positives_are_left_out() -> None:
    qrels = {"q": {"a": 1}, "lost": {"a": 1}, "none": {"a": 0}}
    found = effectiveness({"q": {"a": 1.0}, "unjudged": {"a": 1.0}}, qrels, ["RR@10"])
    assert found == {"RR@10": {"q": 1.0, "lost": 0.0}}
    graded = effectiveness({"q": {"a": 1.0}}, {"q": {"a": 1}, "p": {"a": 2}}, ["R@5"], 2)
    assert graded == {"R@5": {"p": 0.0}}


def test_only_effectiveness_is_taken() -> None:
    with pytest.raises(UsageError, match="not effectiveness: gap"):
        effectiveness({}, {"q": {"a": 1}}, ["gap"])
    with pytest.raises(UsageError, match="no query has a judgment of grade 3"):
        effectiveness({}, {"q": {"a": 1}}, ["RR@10"], 3)


@pytest.mark.parametrize("seed", range(4))
def test_twin_and_trec_eval_agree(seed) -> None:
    pytrec_eval = pytest.importorskip("pytrec_eval")
    run, qrels = random_run(seed)
    found = effectiveness(run, qrels, ["nDCG@10", "R@100", "RR@1000"])
    theirs = pytrec_eval.RelevanceEvaluator(
        qrels, {"ndcg_cut.10", "recall.100", "recip_rank"}
    ).evaluate(run)
    for q in run:
        assert found["nDCG@10"][q] == pytest.approx(twins.ndcg(run[q], qrels[q], 10))
        assert found["nDCG@10"][q] == pytest.approx(theirs[q]["ndcg_cut_10"])
        assert found["R@100"][q] == pytest.approx(theirs[q]["recall_100"])
        assert found["RR@1000"][q] == pytest.approx(theirs[q]["recip_rank"])


def test_ir_measures_agrees_on_rankings_without_ties() -> None:
    ir_measures = pytest.importorskip("ir_measures")
    run, qrels = random_run(9)
    free = {q: dict(zip(scores, np.linspace(9, 1, len(scores)).tolist(), strict=True))
            for q, scores in run.items()}  # fmt: skip
    asked = [ir_measures.parse_measure(name) for name in MEASURES]
    theirs = ir_measures.calc_aggregate(asked, qrels, free)
    mine = means(free, qrels)
    for measure in asked:
        assert mine[str(measure)] == pytest.approx(theirs[measure])


def read_run(path: Path) -> dict[str, dict[str, float]]:
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    run: dict[str, dict[str, float]] = {}
    for line in text.splitlines():
        query, _, document, _, score, _ = line.split()
        run.setdefault(query, {})[document] = float(score)
    return run


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = {}
    for line in path.read_text().splitlines():
        query, _, document, grade = line.split()
        qrels.setdefault(query, {})[document] = int(grade)
    return qrels


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("year", "ndcg", "rr", "method"),
    [("19", 0.6537, 0.8574, "ance"), ("20", 0.6447, 0.7856, "ance"),
     ("19", 0.4795, None, "bm25"), ("20", 0.4936, None, "bm25")],
)  # fmt: skip
def test_real_runs_of_ance(real_data: Path, year, ndcg, rr, method) -> None:
    """TREC DL passage, relevance level 2: numbers recomputed by others."""
    folder = real_data / "msmarco_pieces"
    run = read_run(folder / f"run.{method}.dl{year}_passage.res.gz")
    qrels = read_qrels(folder / f"dl{year}_passage_qrels.txt")
    found = means(run, qrels, ["nDCG@10", "RR@10"], 2)
    assert found["nDCG@10"] == pytest.approx(ndcg, abs=6e-5)
    if rr is not None:
        assert found["RR@10"] == pytest.approx(rr, abs=6e-5)


@pytest.mark.real_data
def test_reference_of_trec_eval(real_data: Path) -> None:
    """Query by query, against the output that trec_eval ships; its means as printed."""
    folder = real_data / "trec_eval_reference"
    run, qrels = read_run(folder / "results.test"), read_qrels(folder / "qrels.test")
    found = effectiveness(run, qrels, ["nDCG@10", "RR@1000", "R@100"])
    names = {"ndcg_cut_10": "nDCG@10", "recip_rank": "RR@1000", "recall_100": "R@100"}
    compared = 0
    for line in (folder / "out.test.aq").read_text().splitlines():
        name, query, value = line.split()
        if name in names and query != "all":
            mine = found[names[name]][query]
            assert mine == pytest.approx(float(value), abs=6e-5), line
            compared += 1
    assert compared == 9
    found_means = means(run, qrels, ["nDCG@10", "RR@1000"])
    assert found_means["nDCG@10"] == pytest.approx(0.3016, abs=6e-5)
    assert found_means["RR@1000"] == pytest.approx(0.4064, abs=6e-5)
