"""Runs measured: the run of a space says what the space says, and no more than its lists do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from anisotropy.collection.judgments import read_judgments
from anisotropy.collection.runs import Run, read_run, reverse_judgments
from anisotropy.errors import UsageError
from anisotropy.measures import effectiveness, measure_space
from anisotropy.measures.ranked import MeasuredRun, RankedFacts, measure_run
from anisotropy.spaces import EmbeddingSpace
from tests.measures import twins
from tests.measures.making import space

NAMES = ("negative_probability_kl", "negative_probability_gini", "negative_positive_share")


def run_of(made: EmbeddingSpace, path: Path, depth: int, dual: bool = False) -> Run:
    """The lists of a space as a TREC file, read back."""
    sides = [(made.queries, made.query_ids), (made.documents, made.doc_ids)]
    (rows, anchors), (others, items) = sides[::-1] if dual else sides
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (rows, others)]
    scores = (unit[0] @ unit[1].T).astype(np.float64)
    lines = []
    for row, name in enumerate(anchors):
        order = np.argsort(-scores[row], kind="stable")[:depth]
        lines += [f"{name} Q0 {items[i]} {r} {scores[row, i]!r} x"
                  for r, i in enumerate(order, 1)]  # fmt: skip
    path.write_text("\n".join(line.replace("np.float64(", "").replace(")", "") for line in lines))
    return read_run(path)


def measured(made: EmbeddingSpace, run: Run, dual: bool = False, **values) -> MeasuredRun:
    judgments = reverse_judgments(made.qrels) if dual else made.qrels
    items = made.query_ids if dual else made.doc_ids
    facts = RankedFacts(run, "run", judgments, items, dual=dual, **values)
    return measure_run(facts)


@pytest.fixture(scope="module")
def made() -> EmbeddingSpace:
    return space(n_queries=120, n_documents=260)


@pytest.mark.parametrize("dual", [False, True])
@pytest.mark.parametrize("level", [1, 2])
def test_the_run_of_a_space_is_the_space(made, tmp_path: Path, dual: bool, level: int) -> None:
    """Values, intervals and nulls of effectiveness and of negatives, from lists alone."""
    whole = measure_space(made, relevance_level=level)
    depth = 120 if dual else 250
    found = measured(made, run_of(made, tmp_path / "x", depth, dual), dual, relevance_level=level)
    sides = ("dual_ranking", "queries") if dual else ("ranking", "documents")
    compared = 0
    for row in whole.rows:
        if row.family not in ("effectiveness", "negatives") or row.side not in sides:
            continue
        if "center=" in row.measure:
            continue
        mine = found.row(row.side, row.measure, "recipe")
        assert mine is not None, row.measure
        for name in ("value", "se", "ci_low", "ci_high", "null_mean"):
            np.testing.assert_allclose(getattr(mine, name), getattr(row, name), rtol=1e-5,
                                       err_msg=f"{row.measure} {name}")  # fmt: skip
        assert (mine.n, mine.unit, mine.headline) == (row.n, row.unit, row.headline)
        compared += 1
    assert compared >= 10


def test_curves_are_those_of_the_space(made, tmp_path: Path) -> None:
    whole = {(c.name, c.side): c.columns for c in measure_space(made).curves}
    found = measured(made, run_of(made, tmp_path / "x", 250))
    mine = {(c.name, c.side): c.columns for c in found.curves}
    for key in (("negative_probability", "documents"), ("items", "documents")):
        for name, values in mine[key].items():
            if name not in ("text", "probability_centered"):
                np.testing.assert_array_equal(values, whole[key][name], err_msg=name)
    profile, theirs = (x["negative_profile", "documents"] for x in (mine, whole))
    for name in ("score_q50", "score_q05", "share_relevant"):
        np.testing.assert_allclose(profile[name], theirs[name], rtol=1e-5)
    by_query = whole["queries", "ranking"]
    place = {name: i for i, name in enumerate(by_query["query_id"])}
    rows = [place[name] for name in mine["queries", "ranking"]["query_id"]]
    for name in ("nDCG@10", "RR@10", "R@100", "positive_score", "margin"):
        np.testing.assert_allclose(mine["queries", "ranking"][name], by_query[name][rows],
                                   atol=1e-6, err_msg=name)  # fmt: skip


def test_the_profile_of_positives_by_rank(made, tmp_path: Path) -> None:
    """Against counting by hand."""
    run = run_of(made, tmp_path / "x", 40)
    found = measured(made, run)
    columns = next(c for c in found.curves if c.name == "positive_ranks").columns
    keys = found.facts.anchors
    for rank in (1, 7, 40):
        at = [run.ranking(q)[rank - 1] in found.facts.positives(q) for q in keys]
        upto = [[d in found.facts.positives(q) for d in run.ranking(q)[:rank]] for q in keys]
        assert columns["positives"][rank - 1] == sum(at)
        assert columns["share_relevant"][rank - 1] == pytest.approx(np.mean(at))
        assert columns["found"][rank - 1] == pytest.approx(np.mean([any(x) for x in upto]))
        shares = [sum(x) / len(found.facts.positives(q)) for x, q in zip(upto, keys, strict=True)]
        assert columns["recall"][rank - 1] == pytest.approx(np.mean(shares))


def test_what_is_deeper_than_the_lists_is_withheld(made, tmp_path: Path) -> None:
    found = measured(made, run_of(made, tmp_path / "x", 30))
    reasons = {row.measure: row.reason for row in found.withheld}
    assert reasons["R@100"] == "the run is 30 deep, less than the cutoff 100"
    assert reasons["R@1000"] == "the run is 30 deep, less than the cutoff 1000"
    assert reasons["negative_probability_kl(k=200, role=documents)"] == (
        "the run is 30 deep, less than k=200"
    )
    kept = {row.measure for row in found.rows}
    assert {"nDCG@10", "RR@10", "negative_probability_kl(k=13, role=documents)"} & kept
    assert "R@100" not in kept
    by_query = next(c for c in found.curves if c.name == "queries").columns
    assert np.isnan(by_query["R@100"]).all()
    assert np.isfinite(by_query["RR@10"]).all()


def test_measures_by_name(made, tmp_path: Path) -> None:
    facts = RankedFacts(run_of(made, tmp_path / "x", 60), "run", made.qrels, made.doc_ids)
    found = measure_run(facts, ["nDCG@20", "negative_probability_kl(k=50, role=documents)"])
    assert sorted(row.measure for row in found.rows) == [
        "nDCG@20", "negative_probability_kl(k=50, role=documents)",
    ]  # fmt: skip
    for name, part in (
        ("mean_cosine", "needs embeddings"),
        ("observed_negatives_kl", "needs embeddings"),
        ("R@100", "the run is 60 deep"),
        ("negative_probability_kl(k=50)", "lists documents, not queries"),
        ("negative_probability_kl(k=50, role=documents, center=sides)", "a run has none"),
        ("negative_probability_kl(k=50, role=documents, law=softmax)", "temperature"),
    ):
        with pytest.raises(UsageError, match=r"cannot be measured|needs embeddings") as caught:
            measure_run(facts, [name])
        assert part in str(caught.value)
    standardized = "negative_probability_kl(k=50, role=documents, law=softmax_standardized)"
    assert measure_run(facts, [standardized]).rows[0].value > 0


def test_queries_that_the_run_lacks_count_zero(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("a Q0 d 1 2 x\na Q0 e 2 1 x\nz Q0 d 1 1 x\n")
    qrels = {"a": {"d": 1}, "b": {"e": 1}, "none": {"d": 0}}
    facts = RankedFacts(read_run(tmp_path / "x"), "run", qrels, ["d", "e", "f"])
    found = measure_run(facts, ["RR@2"])
    assert found.rows[0].value == 0.5
    assert (
        "1 of 2 judged queries are not in the run (example: 'b'); they count 0"
        in (found.warnings[0])
    )
    assert "1 of 2 queries of the run have no judgment" in found.warnings[1]


def test_ranks_alone_have_no_score_profile(made, tmp_path: Path) -> None:
    run = run_of(made, tmp_path / "x", 50)
    lines = [f"{q}\t{d}\t{r}" for q in run.query_ids for r, d in enumerate(run.ranking(q), 1)]
    (tmp_path / "y.tsv").write_text("\n".join(lines))
    found, scored = measured(made, read_run(tmp_path / "y.tsv")), measured(made, run)
    assert [(r.measure, r.value) for r in found.rows] == [
        (r.measure, r.value) for r in scored.rows
    ]
    names = {curve.name for curve in found.curves}
    assert "negative_profile" not in names
    assert {"positive_ranks", "negative_probability", "items", "queries"} <= names


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "ndcg", "rr"),
    [("ance.dl19", 0.6537, 0.8574), ("ance.dl20", 0.6447, 0.7856),
     ("bm25.dl19", 0.4795, None), ("bm25.dl20", 0.4936, None)],
)  # fmt: skip
def test_real_runs(real_data: Path, name: str, ndcg: float, rr: float | None) -> None:
    folder = real_data / "msmarco_pieces"
    run = read_run(folder / f"run.{name}_passage.res.gz")
    qrels = read_judgments(folder / f"{name.split('.')[1]}_passage_qrels.txt").qrels
    items = list(dict.fromkeys([*run.doc_ids, *(d for own in qrels.values() for d in own)]))
    found = measure_run(RankedFacts(run, name, qrels, items, relevance_level=2))
    values = {row.measure: row.value for row in found.rows}
    assert values["nDCG@10"] == pytest.approx(ndcg, abs=6e-5)
    if rr is not None:
        assert values["RR@10"] == pytest.approx(rr, abs=6e-5)
    assert 0 < values["R@100"] <= values["R@1000"] <= 1
    assert not found.withheld
    profile = next(c for c in found.curves if c.name == "negative_profile").columns
    assert name.startswith("bm25") or np.all(np.diff(profile["score_q50"]) <= 0)


@pytest.mark.real_data
def test_reference_of_trec_eval(real_data: Path) -> None:
    folder = real_data / "trec_eval_reference"
    run, qrels = read_run(folder / "results.test"), read_judgments(folder / "qrels.test").qrels
    scores = {q: dict(zip(run.ranking(q), run.scores[run.part(q)].tolist(), strict=True))
              for q in run.query_ids}  # fmt: skip
    found = effectiveness(scores, qrels, ["nDCG@10", "nDCG@100000", "RR@100000"])
    means = {name: np.mean(list(own.values())) for name, own in found.items()}
    assert means["nDCG@100000"] == pytest.approx(0.4021, abs=6e-5)
    assert means["nDCG@10"] == pytest.approx(0.3016, abs=6e-5)
    assert means["RR@100000"] == pytest.approx(0.4064, abs=6e-5)
    assert not any("disagree" in line for line in run.warnings)
    q = run.query_ids[0]
    assert found["nDCG@10"][q] == pytest.approx(twins.ndcg(scores[q], qrels[q], 10))


@pytest.mark.oracle
def test_upstream_metrics(oracle: Path) -> None:
    """nDCG and RR that upstream computed of its own runs, fold by fold; both directions."""
    recorded = json.loads((oracle / "eval/metrics.json").read_text())
    compared = 0
    for name, record in recorded.items():
        if not isinstance(record, dict) or record.get("split_idx") != -1:
            continue
        # Upstream's nDCG is by score, its reciprocal rank by the order of the file.
        runs = [read_run(oracle / record["trec"], order) for order in ("scores", "ranks")]
        qrels = read_judgments(oracle / record["qrels"]).qrels
        judged = {q: own for q, own in qrels.items() if q in runs[0].query_ids}
        values = [lists_against(run, judged) for run in runs]
        assert values[0]["nDCG@10"] == pytest.approx(record["ndcg_cut_10"]), name
        assert values[0]["R@100"] == pytest.approx(record["recall_100"]), name
        assert values[1]["RR@10"] == pytest.approx(record["mrr_cut_10"]), name
        if runs[0].depth >= 10:
            items = [*runs[0].doc_ids, *(d for own in qrels.values() for d in own)]
            facts = RankedFacts(runs[0], name, judged, list(dict.fromkeys(items)))
            row = measure_run(facts, ["nDCG@10"]).rows[0]
            assert row.value == pytest.approx(record["ndcg_cut_10"]), name
        compared += 1
    assert compared >= 6


def lists_against(run: Run, judged: dict[str, dict[str, int]]) -> dict[str, float]:
    scores = {q: {d: -float(i) for i, d in enumerate(run.ranking(q))} for q in judged}
    found = effectiveness(scores, judged, ["nDCG@10", "RR@10", "R@100"])
    return {name: float(np.mean(list(own.values()))) for name, own in found.items()}
