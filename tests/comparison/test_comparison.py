"""Two spaces: pairing by id, what is withheld, nulls."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from anisotropy.comparison import align_spaces, compare_spaces, sign_flip_p
from anisotropy.errors import NotComparable, UsageError
from anisotropy.measures import HEADLINE, measure_space
from anisotropy.spaces import EmbeddingSpace
from anisotropy.statistics import Influence, holm
from tests.measures import twins
from tests.measures.making import remade, rotation, space, unit

#: Similarities of two spaces in the default set.
LIKENESSES = {"cka", "procrustes", "mutual_knn(k=10)", "rbo(p=0.9)"}


def noisy(made: EmbeddingSpace, amount: float, seed: int, label: str) -> EmbeddingSpace:
    """A rotated encoding of the same rows with noise."""
    rng = np.random.default_rng(seed)
    dim = made.queries.shape[1]
    turn = rotation(dim, seed)
    rows = [
        (x + amount * rng.standard_normal(x.shape) / np.sqrt(dim)) @ turn
        for x in (made.queries, made.documents)
    ]
    return remade(made, *rows, label=label)


@pytest.fixture(scope="module")
def pair():
    made = space(n_queries=200, n_documents=400)
    return tuple(measure_space(noisy(made, a, s, n)) for a, s, n in [(0.1, 1, "a"), (0.6, 2, "b")])


MOVED = ("negative_probability_shift(k=10)", "negative_probability_agreement(k=10)")
SIMILARITIES = ("cka", "mutual_knn(k=10)", *MOVED)


def test_a_space_against_its_rotation_shows_nothing() -> None:
    made = space(n_queries=80)
    turned = remade(made, made.queries @ rotation(8), made.documents @ rotation(8), label="b")
    differences, similarities, withheld = compare_spaces(
        measure_space(made), measure_space(turned)
    )
    assert withheld == []
    for row in differences:
        if row.measure == "rogue_dimensions(k=3)":  # follows the axes, on purpose
            continue
        assert row.delta == pytest.approx(0, abs=1e-6), row
        assert math.isnan(row.p) or row.p > 0.01, row
    for row in similarities:
        same = 0 if "shift" in row.measure or row.measure == "procrustes" else 1
        assert row.value == pytest.approx(same, abs=1e-6), row


def test_every_row_is_compared_and_the_headline_is_marked(pair) -> None:
    a, b = pair
    differences, _, withheld = compare_spaces(a, b)
    assert len(differences) + len(withheld) == len(a.estimates)
    headline = [row for row in differences if row.headline]
    assert len(headline) == len(HEADLINE)
    for row in differences:
        assert row.delta == pytest.approx(row.b - row.a)
        assert math.isnan(row.p_holm) or row.headline
    worse = next(r for r in headline if r.measure == "nDCG@10")
    assert worse.delta < 0
    assert worse.p_holm < 0.05


def test_census_rows_have_no_test(pair) -> None:
    differences, _, _ = compare_spaces(*pair)
    for row in differences:
        if row.side == "documents" and row.measure == "mean_cosine":
            assert math.isnan(row.p)
            assert math.isnan(row.se)


def test_pairs_by_id_whatever_the_order(pair) -> None:
    a, b = pair
    rng = np.random.default_rng(0)
    q, d = rng.permutation(200), rng.permutation(400)
    old = b.space
    shuffled = remade(
        old,
        old.queries[q],
        old.documents[d],
        query_ids=[old.query_ids[i] for i in q],
        doc_ids=[old.doc_ids[i] for i in d],
    )
    straight, likeness, _ = compare_spaces(a, b)
    turned, likeness_turned, _ = compare_spaces(a, measure_space(shuffled))
    for x, y in zip(straight, turned, strict=True):
        for name in ("delta", "se", "p"):
            left, right = getattr(x, name), getattr(y, name)
            assert right == pytest.approx(left, abs=1e-7, rel=1e-6, nan_ok=True), x.measure
    for x, y in zip(likeness, likeness_turned, strict=True):
        assert x.value == pytest.approx(y.value)
        assert x.ci_low == pytest.approx(y.ci_low, nan_ok=True)


def test_per_query_differences_are_paired(pair) -> None:
    from scipy.stats import ttest_1samp

    a, b = pair
    row = next(r for r in compare_spaces(a, b)[0] if r.measure == "RR@10" and r.side == "ranking")
    x, y = (next(c for c in s.curves if c.name == "queries").columns["RR@10"] for s in (a, b))
    low, high = ttest_1samp(y - x, 0).confidence_interval(0.95)
    assert (row.ci_low, row.ci_high) == pytest.approx((float(low), float(high)))
    assert row.p == sign_flip_p(y - x)
    assert row.test == "randomization"
    assert row.effect_size == pytest.approx(np.mean(y - x) / np.std(y - x, ddof=1))


def test_other_ids_are_refused_or_intersected() -> None:
    made = space()
    keep = np.arange(0, 150, 2)
    qrels = {q: {d: g for d, g in j.items() if int(d[1:]) % 2 == 0} for q, j in made.qrels.items()}
    less = remade(made, made.queries[:50], made.documents[keep],
                  query_ids=made.query_ids[:50], doc_ids=[made.doc_ids[i] for i in keep],
                  qrels={q: j for q, j in qrels.items() if int(q[1:]) < 50})  # fmt: skip
    with pytest.raises(NotComparable, match="60 ids in 'made', 50 in 'made', 50 in both"):
        align_spaces(made, less)
    with pytest.raises(NotComparable, match="60 ids"):
        compare_spaces(measure_space(made, ["gap"]), measure_space(less, ["gap"]))
    with pytest.raises(UsageError, match="did you mean 'intersect'"):
        align_spaces(made, less, "intersection")
    a, b = align_spaces(made, less, "intersect")
    assert a.query_ids == b.query_ids
    assert a.doc_ids == b.doc_ids
    assert a.qrels == b.qrels
    differences, _, _ = compare_spaces(measure_space(a), measure_space(b))
    assert all(row.delta == pytest.approx(0, abs=1e-12) for row in differences)


def test_intersection_keeps_the_chunks_of_a_document() -> None:
    made = space(n_documents=30)
    documents = np.repeat(made.documents, 2, axis=0)
    documents[1::2] += 1
    chunked = remade(made, made.queries, documents, document_of_row=np.repeat(np.arange(30), 2))
    part = remade(made, made.queries, made.documents[:20], doc_ids=made.doc_ids[:20], qrels={})
    a, _ = align_spaces(chunked, part, "intersect")
    assert len(a.documents) == 40
    np.testing.assert_array_equal(a.documents, documents[:40])
    np.testing.assert_array_equal(a.document_of_row, np.repeat(np.arange(20), 2))


def test_other_judgments_are_refused() -> None:
    made = space()
    other = remade(made, made.queries, made.documents, qrels={"q0": {"d0": 1}}, label="other")
    with pytest.raises(NotComparable, match="judgments of 'made' and 'other' differ"):
        compare_spaces(measure_space(made, ["gap"]), measure_space(other, ["gap"]))


def test_other_dimensions_withhold_only_what_is_bound_to_them() -> None:
    made = space(dim=8)
    wide = remade(made, np.pad(made.queries, ((0, 0), (0, 8))),
                  np.pad(made.documents, ((0, 0), (0, 8))), label="wide")  # fmt: skip
    differences, similarities, withheld = compare_spaces(measure_space(made), measure_space(wide))
    bound = {"participation_ratio", "effective_rank", "rankme", "stable_rank",
             "wasserstein_uniformity", "procrustes"}  # fmt: skip
    # More than 10 dimensions are needed, which only one of the two has.
    assert {w.measure for w in withheld} == bound | {"variance_explained(k=10)"}
    assert all("8 and 16" in w.reason for w in withheld if w.measure in bound)
    assert {"mean_cosine", "isoscore", "uniformity(t=2)"} <= {d.measure for d in differences}
    assert {(s.side, s.measure) for s in similarities} == {
        *((side, m) for side in ("queries", "documents") for m in SIMILARITIES),
        ("ranking", "rbo(p=0.9)"),
    }


def test_raw_against_normalized_is_withheld() -> None:
    made = space()
    normal = remade(made, unit(made.queries), unit(made.documents), label="unit")
    differences, _, withheld = compare_spaces(measure_space(made), measure_space(normal))
    assert {w.on for w in withheld} == {"raw"}
    assert all("length 1 in 'unit' only" in w.reason for w in withheld)
    assert not any(d.on == "raw" for d in differences)


def test_rows_of_one_space_only_are_withheld_with_its_reason() -> None:
    made = space()
    bare = remade(made, made.queries, made.documents, qrels={}, label="bare")
    _, _, withheld = compare_spaces(measure_space(made), measure_space(bare))
    reason = next(w.reason for w in withheld if w.measure == "nDCG@10" and w.side == "ranking")
    assert reason.startswith("not measured in 'bare': no judged pair")


def test_cka_is_the_gram_form_and_overlap_is_counted() -> None:
    made = space()
    other = noisy(made, 1.0, 3, "b")
    names = ["gap"]
    _, found, _ = compare_spaces(measure_space(made, names), measure_space(other, names))
    values = {(s.side, s.measure): s for s in found}
    for side in ("queries", "documents"):
        x, y = unit(getattr(made, side)), unit(getattr(other, side))
        assert values[side, "cka"].value == pytest.approx(twins.cka(x, y), abs=1e-10)
        lists = []
        for rows in (x, y):
            scores = rows @ rows.T
            np.fill_diagonal(scores, -np.inf)
            lists.append(np.argsort(-scores, axis=1)[:, :10])
        kept = np.mean([len(set(a) & set(b)) for a, b in zip(*lists, strict=True)]) / 10
        row = values[side, "mutual_knn(k=10)"]
        assert row.value == pytest.approx(kept)
        assert row.null_mean == pytest.approx(10 / (len(x) - 1))
    queries = values["queries", "cka"]
    assert queries.ci_low < queries.value < queries.ci_high


def test_unrelated_spaces_have_no_similarity() -> None:
    a, b = space(n_queries=300, dim=64, seed=1), space(n_queries=300, dim=64, seed=2)
    other = remade(a, b.queries, b.documents, label="other")
    _, found, _ = compare_spaces(measure_space(a, ["gap"]), measure_space(other, ["gap"]))
    for row in found:
        # Ranks of 150 documents or 300 queries differ from chance by their own noise.
        mined = row.measure.startswith("negative")
        assert abs(row.value - row.null_mean) < (0.2 if mined else 0.03), row


def test_holm() -> None:
    adjusted = holm([0.01, math.nan, 0.04, 0.03])
    assert adjusted[0] == pytest.approx(0.03)
    assert math.isnan(adjusted[1])
    assert adjusted[2:] == pytest.approx([0.06, 0.06])
    assert holm([0.01], tests=9) == pytest.approx([0.09])


def test_what_is_asked_for_never_changes_a_p_value(pair) -> None:
    a, b = pair
    all_rows = {(d.side, d.measure, d.on): d for d in compare_spaces(a, b)[0]}
    few = compare_spaces(*(measure_space(s.space, ["gap"]) for s in (a, b)))[0]
    for row in few:
        assert row.p == pytest.approx(all_rows[row.side, row.measure, row.on].p)
        assert row.p_holm >= all_rows[row.side, row.measure, row.on].p_holm - 1e-12


def test_an_interval_that_one_space_withholds_leaves_the_difference() -> None:
    from anisotropy.comparison import compare_spaces
    from anisotropy.measures import measure_space
    from anisotropy.spaces import EmbeddingSpace

    rng = np.random.default_rng(0)
    queries, documents = rng.normal(size=(200, 16)), rng.normal(size=(300, 16))
    cone = np.eye(16)[0] * 1.5
    measured = [
        measure_space(EmbeddingSpace(queries + c, documents + c), ["partition_isotropy"])
        for c in (cone, 0 * cone)
    ]
    intervals = [one.row("queries", "partition_isotropy", "unit") for one in measured]
    assert [bool(np.isnan(row.ci_low)) for row in intervals if row] == [False, True]
    rows = [r for r in compare_spaces(measured[0], measured[1])[0] if r.side == "queries"]
    assert rows
    assert all(np.isfinite(row.delta) and np.isnan(row.ci_low) for row in rows if row.on == "unit")
    assert all((row.method is None) == np.isnan(row.se) for row in rows)


def with_pool(made: EmbeddingSpace, ids: list[str], seed: int, label: str) -> EmbeddingSpace:
    """The same space with a pool of training queries near its documents."""
    rng = np.random.default_rng(seed)
    near = rng.integers(len(made.documents), size=len(ids))
    rows = made.documents[near] + 0.3 * rng.standard_normal((len(ids), made.dim))
    qrels = {q: {made.doc_ids[d]: 1} for q, d in zip(ids, near, strict=True)}
    pool = remade(made, rows, made.documents, query_ids=ids, qrels=qrels)
    return remade(made, made.queries, made.documents, training=pool, label=label)


LAWS = ["negative_probability_kl(k=10)", "negative_probability_gini(k=10, role=documents)"]


def test_negatives_of_other_pools_are_withheld() -> None:
    made = space()
    few = with_pool(made, [f"t{i}" for i in range(60)], 1, "few")
    many = with_pool(made, [f"u{i}" for i in range(300)], 2, "many")
    a, b = (measure_space(one, [*LAWS, "gap"]) for one in (few, many))
    differences, _, withheld = compare_spaces(a, b)
    assert {row.measure for row in differences} == {"gap"}
    assert {row.measure for row in withheld} == {*LAWS, *MOVED}
    expected = (
        "mined from other queries: 60 in the pool of 'few', 300 in that of 'many', 0 in both"
    )
    assert {row.reason for row in withheld if row.measure in LAWS} == {expected}


def test_negatives_of_the_same_pool_are_compared_in_any_order() -> None:
    made = space()
    first = with_pool(made, [f"t{i}" for i in range(60)], 1, "a")
    pool = first.training
    assert pool is not None
    turned = remade(pool, pool.queries[::-1], pool.documents, query_ids=pool.query_ids[::-1])
    second = remade(made, made.queries, made.documents, training=turned, label="b")
    a, b = (measure_space(one, LAWS) for one in (first, second))
    differences, _, withheld = compare_spaces(a, b)
    assert withheld == []
    assert [row.delta for row in differences] == pytest.approx([0, 0], abs=1e-9)
    few = remade(turned, turned.queries, turned.documents, qrels={"t0": {"d0": 1}})
    other = remade(made, made.queries, made.documents, training=few, label="c")
    _, _, withheld = compare_spaces(a, measure_space(other, LAWS))
    assert {row.reason for row in withheld if row.measure in LAWS} == {
        "the judgments of the mining pools of 'a' and 'c' differ"
    }


def test_a_row_that_cannot_be_paired_is_withheld_and_the_others_stay() -> None:
    made = space()
    a, b = (measure_space(made, ["gap", "RR@10"]) for _ in range(2))
    key = ("ranking", "RR@10", "recipe")
    part = b.estimates[key].influences[0]
    lost = Influence([f"x{i}" for i in range(len(part.values))], part.values)
    b.estimates[key] = replace(b.estimates[key], influences=(lost,))
    differences, _, withheld = compare_spaces(a, b)
    assert {(row.side, row.measure) for row in withheld} == {("ranking", "RR@10")}
    assert withheld[0].reason == "the two values were estimated on different ids"
    assert {"gap", "RR@10"} == {row.measure for row in differences}


def known(label: str, fingerprint: str) -> EmbeddingSpace:
    made = space()
    about = {"fingerprint": fingerprint}
    return EmbeddingSpace(made.queries, made.documents, label=label, collection_info=about)


def test_different_collections_with_the_same_ids_stop_the_run() -> None:
    a, b, blank = known("a", "aa11"), known("b", "bb22"), known("c", "")
    with pytest.raises(NotComparable, match="'a' and 'b' are of different collections"):
        align_spaces(a, b)
    first, second = (measure_space(one, ["gap"]) for one in (a, b))
    with pytest.raises(NotComparable, match="aa11 and bb22"):
        compare_spaces(first, second)
    assert align_spaces(a, b, "intersect") == (a, b)
    assert compare_spaces(first, second, on_mismatch="intersect")[0]
    assert align_spaces(a, blank) == (a, blank)
    assert compare_spaces(first, measure_space(blank, ["gap"]))[0]
    with pytest.raises(UsageError, match="did you mean 'intersect'"):
        compare_spaces(first, second, on_mismatch="intersec")


@pytest.mark.parametrize(
    ("measures", "expected"),
    [
        (None, LIKENESSES | set(MOVED)),
        (["all"], LIKENESSES),
        (["cka"], {"cka"}),
        (["mutual_knn(k=25)"], {"mutual_knn(k=25)"}),
        (["gap"], set()),
    ],
)
def test_similarities_are_those_asked_for(measures, expected) -> None:
    made = space(n_queries=40)
    pair = [measure_space(x, measures, between=True) for x in (made, noisy(made, 0.5, 1, "b"))]
    differences, found, withheld = compare_spaces(*pair)
    assert {row.measure for row in found} == expected
    assert bool(differences) == bool(pair[0].estimates)
    assert not {w.measure for w in withheld} & expected
    if measures == ["mutual_knn(k=25)"]:
        other = measure_space(pair[1].space, ["gap"], between=True)
        assert {row.measure for row in compare_spaces(pair[0], other)[1]} == expected
