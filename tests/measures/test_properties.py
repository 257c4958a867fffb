"""What must not change a value: rotation, order, scale, chunks of memory, storage type."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from anisotropy import backend
from anisotropy.errors import EmbeddingsError, UsageError
from anisotropy.measures import MeasuredSpace, measure_space
from anisotropy.neighbors import sweeping
from anisotropy.spaces import EmbeddingSpace
from tests.measures.making import remade, rotation, space


def values(found: MeasuredSpace, on: str | None = None) -> dict[tuple[str, str, str], float]:
    return {(r.side, r.measure, r.on): r.value for r in found.rows if on is None or r.on == on}


def errors(found: MeasuredSpace) -> dict[tuple[str, str, str], float]:
    return {(r.side, r.measure, r.on): r.se for r in found.rows}


def same(a, b, tolerance: float = 1e-6) -> None:
    assert a.keys() == b.keys()
    for key in a:
        assert b[key] == pytest.approx(a[key], rel=tolerance, abs=tolerance, nan_ok=True), key


@pytest.fixture(scope="module")
def made() -> EmbeddingSpace:
    return space()


@pytest.fixture(scope="module")
def found(made) -> MeasuredSpace:
    return measure_space(made)


def test_rotation_changes_nothing(made, found) -> None:
    turn = rotation(8)
    turned = measure_space(remade(made, made.queries @ turn, made.documents @ turn))
    axes = "rogue_dimensions(k=3)"  # follows the axes, on purpose
    before, after = (
        [{key: x for key, x in kind(one).items() if key[1] != axes} for kind in (values, errors)]
        for one in (found, turned)
    )
    same(before[0], after[0])
    same(before[1], after[1], 1e-5)


def test_order_of_rows_changes_nothing(made, found) -> None:
    rng = np.random.default_rng(0)
    q, d = rng.permutation(60), rng.permutation(150)
    shuffled = remade(
        made,
        made.queries[q],
        made.documents[d],
        query_ids=[made.query_ids[i] for i in q],
        doc_ids=[made.doc_ids[i] for i in d],
    )
    again = measure_space(shuffled)
    same(values(found), values(again), 1e-9)
    same(errors(found), errors(again), 1e-9)


def test_scale_changes_only_raw_rows(made, found) -> None:
    scaled = measure_space(remade(made, 3 * made.queries, 3 * made.documents))
    for on in ("unit", "recipe", "center>unit"):
        same(values(found, on), values(scaled, on), 1e-9)
    key = ("queries", "partition_isotropy", "raw")
    assert values(found)[key] != pytest.approx(values(scaled)[key])


def test_small_blocks_give_the_same(made, found, monkeypatch) -> None:
    monkeypatch.setattr(backend, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(sweeping, "ANCHORS_HELD", 40)
    monkeypatch.setattr(sweeping, "ANCHOR_TILE", 7)
    monkeypatch.setattr(sweeping, "LEAST_ANCHOR_TILE", 7)
    monkeypatch.setattr(sweeping, "TARGET_TILE", 13)
    again = measure_space(made)
    same(values(found), values(again), 1e-9)
    same(errors(found), errors(again), 1e-9)


def test_float32_is_close_to_float64(made, found) -> None:
    narrow = remade(made, made.queries.astype("f4"), made.documents.astype("f4"))
    same(values(found), values(measure_space(narrow)), 2e-4)


def test_a_float16_memory_map_is_its_float64_copy(made, tmp_path: Path) -> None:
    half = made.documents.astype(np.float16)
    np.save(tmp_path / "d.npy", half)
    mapped = np.load(tmp_path / "d.npy", mmap_mode="r")
    on_disk = measure_space(remade(made, made.queries, mapped))
    in_memory = measure_space(remade(made, made.queries, half.astype(float)))
    same(values(on_disk), values(in_memory), 2e-4)


def test_the_seed_decides_anchors_and_nothing_else(made) -> None:
    names = ["uniformity(t=2)", "mean_cosine"]
    one, other = (measure_space(made, names, anchors=20, seed=s) for s in (1, 2))
    key = ("documents", "uniformity(t=2)", "unit")
    assert values(one)[key] != values(other)[key]
    assert one.row(*key).estimator == "sampled"
    assert one.row(*key).se > 0
    exact = measure_space(made, names, anchors=20, exact=True)
    assert exact.row(*key).estimator == "exact"
    assert abs(values(one)[key] - values(exact)[key]) < 4 * one.row(*key).se
    key = ("documents", "mean_cosine", "unit")
    assert values(one)[key] == values(other)[key]


def test_one_chunk_a_document_is_no_chunks(made, found) -> None:
    rows = np.arange(150)
    again = measure_space(remade(made, made.queries, made.documents, document_of_row=rows))
    same(values(found), values(again), 1e-9)


def test_padding_is_left_out_of_the_geometry_and_kept_in_the_ranking(made, found) -> None:
    far = np.zeros((150, 8))
    far[:, 7] = -9.0
    documents = np.stack([made.documents, far], axis=1).reshape(300, 8)
    chunks = {
        "document_of_row": np.repeat(np.arange(150), 2),
        "padding": np.tile([False, True], 150),
    }
    again = measure_space(remade(made, made.queries, documents, **chunks))
    for on in ("raw", "unit"):
        same(values(found, on), values(again, on), 1e-9)
    assert any("150 padding-only" in line for line in again.warnings)


def test_the_best_chunk_counts(made) -> None:
    documents = np.concatenate([made.documents, made.documents[::-1]])
    of_row = np.concatenate([np.arange(150), np.arange(150)[::-1]])
    twice = measure_space(remade(made, made.queries, documents, document_of_row=of_row))
    once = measure_space(made)
    for key in [("ranking", "nDCG@10", "recipe"), ("positives", "positive_distance", "unit"),
                ("positives", "positive_percentile", "unit")]:  # fmt: skip
        assert values(twice)[key] == pytest.approx(values(once)[key]), key


def test_duplicates_are_counted(made) -> None:
    documents = made.documents.copy()
    documents[3] = documents[4] = documents[5]
    lines = measure_space(remade(made, made.queries, documents), ["mean_cosine"]).warnings
    assert any(line.startswith("documents: 2 of 150 rows repeat") for line in lines)


def test_an_all_zero_row_is_named() -> None:
    made = space()
    queries = made.queries.copy()
    queries[7] = 0
    with pytest.raises(EmbeddingsError, match=r"queries: 1 all-zero.*row 7 \(id 'q7'\)"):
        measure_space(remade(made, queries, made.documents), ["mean_cosine"])


def test_what_cannot_be_measured_is_withheld_and_named() -> None:
    made = space(qrels={})
    found = measure_space(made)
    reasons = {(w.side, w.measure): w.reason for w in found.withheld}
    for key in [("positives", "alignment(alpha=2)"), ("ranking", "nDCG@10"),
                ("queries", "negative_probability_kl(k=200)")]:  # fmt: skip
        assert "no judged pair" in reasons[key]
    assert found.row("queries", "mean_cosine", "unit") is not None
    assert {c.name for c in found.curves} >= {"spectrum", "distances", "queries"}


def test_too_few_rows_are_withheld_by_default_and_an_error_by_name() -> None:
    made = space(n_queries=8, n_documents=9, positives=1)
    found = measure_space(made)
    assert any("more than k=10" in w.reason for w in found.withheld)
    with pytest.raises(UsageError, match=r"hubness_gini\(k=10\): cannot be measured here"):
        measure_space(made, ["hubness_gini(k=10)"])


@pytest.mark.parametrize(("queries", "documents"), [(1, 30), (30, 1), (1, 1), (2, 2), (0, 5)])
def test_tiny_spaces_run_through(queries, documents) -> None:
    rng = np.random.default_rng(0)
    judged = {"0": {"0": 1}} if queries else {}
    tiny = EmbeddingSpace(
        rng.standard_normal((queries, 4)), rng.standard_normal((documents, 4)), qrels=judged
    )
    found = measure_space(tiny)
    assert found.withheld
    assert all(np.isfinite(c.columns["share"]).all() for c in found.curves if c.name == "spectrum")


def test_identical_rows_have_no_spread() -> None:
    rows = np.tile(np.array([[1.0, 2.0, 3.0]]), (30, 1))
    found = measure_space(EmbeddingSpace(rows, rows))
    reasons = {(w.side, w.measure, w.on): w.reason for w in found.withheld}
    assert "no spread" in reasons["queries", "participation_ratio", "unit"]
    assert "equals the mean" in reasons["queries", "uniformity(t=2)", "center>unit"]
    assert found.row("queries", "uniformity(t=2)", "unit").value == pytest.approx(0, abs=1e-6)


def test_small_pools_get_the_scaled_k_and_the_headline_follows() -> None:
    found = measure_space(space(n_queries=300, n_documents=4100, dim=4, positives=1))
    rows = {r.measure: r for r in found.rows if r.family == "negatives"}
    assert not rows["negative_probability_kl(k=200)"].headline
    assert rows["negative_probability_kl(k=10)"].headline
    assert rows["negative_probability_kl(k=200, role=documents)"].headline
    assert "negative_probability_kl(k=10, role=documents)" not in rows
    assert any("saturates it (largest Gini 0.333" in line for line in found.warnings)


def test_curves_have_their_columns(found) -> None:
    columns = {(c.name, c.side): c.columns for c in found.curves}
    spectrum = columns["spectrum", "queries"]
    assert spectrum["share"].sum() == pytest.approx(1)
    assert np.all(np.diff(spectrum["eigenvalue"]) <= 0)
    distances = columns["distances", "cross"]
    width = distances["bin_high"] - distances["bin_low"]
    for name in ("random", "positives", "nearest"):
        assert (distances[name] * width).sum() == pytest.approx(1)
    mined = columns["negative_probability", "queries"]
    assert mined["cumulative"][-1] == pytest.approx(1)
    assert np.all(np.diff(mined["probability"]) <= 0)
    queries = columns["queries", "ranking"]
    mean = found.row("ranking", "nDCG@10", "recipe").value
    assert np.nanmean(queries["nDCG@10"]) == pytest.approx(mean)
    assert len(queries["query_id"]) == 60


def test_progress_reports_the_long_passes(made) -> None:
    lines: list[str] = []
    measure_space(made, ["uniformity(t=2)"], progress=lines.append)
    assert any("queries x documents" in line for line in lines)


def topk(scores: np.ndarray, k: int) -> np.ndarray:
    """Columns of the largest scores, as the sweep finds them in one block."""
    from anisotropy.backend import Best, candidates, lower_bound_of_kth

    best = Best(np.arange(scores.shape[1]))
    kept = np.full((len(scores), k), best.NOTHING)
    row, column = candidates(scores, lower_bound_of_kth(scores, k))
    best.merge(kept, row, best.keys(scores[row, column], column))
    return best.read(kept)[0]


def test_top_neighbors_breaks_ties_by_the_given_order() -> None:
    from anisotropy.neighbors import top_neighbors

    anchors, targets = np.ones((1, 2)), np.ones((5, 2))
    assert top_neighbors(anchors, targets, 3).index.tolist() == [[0, 1, 2]]
    order = np.array([4, 3, 2, 1, 0])
    assert top_neighbors(anchors, targets, 3, ties=order).index.tolist() == [[4, 3, 2]]
    scores = np.array([[-1.0, 0.0, -0.0, 5.0, -np.inf]], dtype=np.float32)
    assert topk(scores, 5).tolist() == [[3, 1, 2, 0, -1]]
    with pytest.raises(UsageError, match="did you mean 'cosine'"):
        top_neighbors(anchors, targets, 1, similarity="cosin")


@pytest.mark.parametrize("n", [1, 5, 300, 5000])
def test_topk_is_a_full_sort(n) -> None:
    rng = np.random.default_rng(n)
    scores = np.round(rng.standard_normal((9, n)), 2).astype(np.float32)
    k = min(n, 40)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(topk(scores, k), expected)


def test_the_whole_default_set_runs_on_sampled_anchors_and_says_so(made) -> None:
    found = measure_space(made, anchors=20)
    row = found.row("documents", "hubness_gini(k=10)", "unit")
    assert (row.estimator, row.n, row.population) == ("subsampled", 20, "none")
    assert np.isnan(row.se)
    again = measure_space(made, anchors=20)
    for a, b in zip(found.rows, again.rows, strict=True):
        np.testing.assert_equal(a, b)


def test_shards_are_read_as_one_array(made, found) -> None:
    from anisotropy.spaces.rows import ShardedRows

    shards = ShardedRows([made.documents[:70], made.documents[70:]])
    same(values(found), values(measure_space(remade(made, made.queries, shards))), 1e-9)


def test_every_registered_measure_can_be_asked_for(made) -> None:
    found = measure_space(made, ["all"])
    assert {r.measure for r in found.rows} >= {r.measure for r in measure_space(made).rows}
    with pytest.raises(UsageError, match="cka: compares two spaces"):
        measure_space(made, ["cka"])


def test_grades_too_large_for_the_arithmetic_are_one_line(made) -> None:
    from anisotropy.measures import effectiveness

    qrels = {"q0": {"d0": 2**70}}
    big = remade(made, made.queries, made.documents, qrels=qrels)
    with pytest.raises(UsageError, match=r"grade 118.* of query 'q0' and document 'd0'; allowed"):
        measure_space(big, ["nDCG@10"])
    with pytest.raises(UsageError, match="allowed: up to 2147483647"):
        effectiveness({"q0": {"d0": 1.0}}, qrels, ["nDCG@10"])


def test_negative_probabilities_are_the_law_and_need_judgments(made) -> None:
    from anisotropy.measures import negative_probabilities

    for role, ids in (("queries", made.query_ids), ("documents", made.doc_ids)):
        found, p = negative_probabilities(made, role, k=5)
        assert found == list(ids)
        assert p.sum() == pytest.approx(1)
    bare = remade(made, made.queries, made.documents, qrels={}, label="bare")
    with pytest.raises(UsageError, match="bare: no negative-sampling probabilities: no judged"):
        negative_probabilities(bare)
    with pytest.raises(UsageError, match="did you mean 'queries'"):
        negative_probabilities(made, "querie")
    with pytest.raises(UsageError, match="k: got 0"):
        negative_probabilities(made, k=0)


def test_similarities_are_refused_unless_two_spaces_are_meant(made) -> None:
    with pytest.raises(UsageError, match="cka: compares two spaces; use it with compare"):
        measure_space(made, ["cka"])
    found = measure_space(made, ["cka", "gap"], between=True)
    assert {row.measure for row in found.rows} == {"gap"}
    assert [m.text for m in found.similarities or ()] == ["cka"]
    with pytest.raises(UsageError, match="empty list"):
        measure_space(made, [])
