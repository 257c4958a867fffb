"""Offsets, margins, mixing, separability and the similarities of two spaces."""

from __future__ import annotations

import math

import numpy as np
import pytest

from anisotropy.comparison import compare_spaces
from anisotropy.errors import UsageError
from anisotropy.measures import measure_space, parse
from anisotropy.measures.facts import Facts, Plan
from anisotropy.measures.families.nearest import pair_margins
from anisotropy.measures.families.procrustes import residual
from anisotropy.measures.families.rank_overlap import rbo_ext
from anisotropy.spaces import EmbeddingSpace
from tests.measures import twins
from tests.measures.making import cone, remade, rotation, space, unit


def value(made, measure: str, side: str = "cross", on: str = "unit", **options) -> float:
    return measure_space(made, [measure], **options).row(side, measure, on).value


def scores_of(made: EmbeddingSpace) -> np.ndarray:
    q, d = made.queries, made.documents
    if made.similarity == "euclidean":
        return -np.linalg.norm(q[:, None] - d[None], axis=-1)
    return unit(q) @ unit(d).T if made.similarity == "cosine" else q @ d.T


def positives_of(made: EmbeddingSpace) -> np.ndarray:
    table = np.zeros((len(made.query_ids), len(made.doc_ids)), dtype=bool)
    for q, judged in made.qrels.items():
        for d in judged:
            table[int(q[1:]), int(d[1:])] = True
    return table


# Offsets --------------------------------------------------------------------------------------


def test_relative_gap_and_centroid_cosine_plain_and_corrected() -> None:
    made = space(lean=1.0)
    q, d = unit(made.queries), unit(made.documents)
    traces = [np.trace(np.cov(x.T)) for x in (q, d)]
    noise = [t / len(x) for t, x in zip(traces, (q, d), strict=True)]
    square = float(((q.mean(0) - d.mean(0)) ** 2).sum())
    within = np.mean([((x - x.mean(0)) ** 2).sum(1).mean() for x in (q, d)])
    plain = value(made, "relative_gap(corrected=False)")
    assert plain == pytest.approx(math.sqrt(square / within))
    corrected = math.sqrt((square - sum(noise)) / (sum(traces) / 2))
    assert value(made, "relative_gap") == pytest.approx(corrected)
    inner = float(q.mean(0) @ d.mean(0))
    lengths = [float((x.mean(0) ** 2).sum()) for x in (q, d)]
    plain = inner / math.sqrt(lengths[0] * lengths[1])
    assert value(made, "centroid_cosine(corrected=False)") == pytest.approx(plain)
    less = math.prod(a - b for a, b in zip(lengths, noise, strict=True))
    assert value(made, "centroid_cosine") == pytest.approx(min(inner / math.sqrt(less), 1))


def test_a_center_at_the_origin_has_no_direction() -> None:
    made = space(n_queries=300, n_documents=300, lean=0.0)
    with pytest.raises(UsageError, match="center of the queries is not clearly away from the or"):
        measure_space(made, ["centroid_cosine"])


def test_plain_forms_carry_no_interval() -> None:
    made = space(lean=1.0)
    for name in ("gap", "relative_gap", "centroid_cosine"):
        plain, corrected = f"{name}(corrected=False)", name
        found = measure_space(made, [plain, corrected])
        assert math.isnan(found.row("cross", plain, "unit").se)
        assert found.row("cross", corrected, "unit").se > 0


@pytest.mark.parametrize("name", ["relative_gap", "centroid_cosine"])
def test_influences_of_offsets_are_those_of_left_out_queries(name) -> None:
    made = space(n_queries=25, n_documents=60, lean=2.0, noise=1.0)
    turned = made.queries + 1.5 * np.eye(8)[1]  # a cosine away from 1, where it is cut
    made = remade(made, turned, made.documents)
    whole = measure_space(made, [name]).estimates["cross", name, "unit"]
    left = []
    for out in range(25):
        keep = np.delete(np.arange(25), out)
        ids = [made.query_ids[i] for i in keep]
        less = remade(made, made.queries[keep], made.documents, query_ids=ids, qrels={})
        estimate = measure_space(less, [name]).estimates["cross", name, "unit"]
        left.append(estimate.squared if name == "relative_gap" else estimate.value)
    jackknife = np.std(left, ddof=1) * 24 / math.sqrt(25)
    assert math.sqrt(whole.influences[0].variance) == pytest.approx(jackknife, rel=0.1)


def test_only_the_relative_distances_survive_a_growing_common_direction() -> None:
    """Section 12's cone: absolute distances shrink, relative ones and the ranking stay."""
    rng = np.random.default_rng(0)
    base = rng.standard_normal((400, 64)) / 8
    queries = base + 0.5 * rng.standard_normal(base.shape) / 8
    qrels = {str(i): {str(i): 1} for i in range(400)}
    found = {}
    for lean in (0.0, 1.0, 5.0):
        shift = np.zeros(65)
        shift[64] = lean
        rows = [np.concatenate([unit(x), np.zeros((400, 1))], 1) + shift for x in (queries, base)]
        names = ["positive_distance", "relative_positive_distance", "positive_percentile"]
        measured = measure_space(EmbeddingSpace(*rows, qrels=qrels), names)
        found[lean] = [measured.row("positives", name, "unit").value for name in names]
    assert found[5.0][0] < found[0.0][0] / 4
    for lean in (1.0, 5.0):
        assert found[lean][1] == pytest.approx(found[0.0][1], rel=0.02)
        assert found[lean][2] == pytest.approx(found[0.0][2], abs=1e-9)


# Nearest document and margin ------------------------------------------------------------------


@pytest.mark.parametrize("similarity", ["dot", "cosine", "euclidean"])
def test_margins(similarity) -> None:
    made = space(similarity=similarity)
    scores, positive = scores_of(made), positives_of(made)
    best = np.where(positive, -np.inf, scores).max(axis=1)
    each = [scores[q, d] - best[q] for q, d in zip(*np.nonzero(positive), strict=True)]
    facts = Facts(made, Plan(depth=200))
    np.testing.assert_allclose(pair_margins(facts), each)
    assert value(made, "margin", "positives", "recipe") == pytest.approx(np.mean(each))
    shallow = Facts(made, Plan(depth=1))
    np.testing.assert_allclose(pair_margins(shallow), each)
    curve = next(c for c in measure_space(made).curves if c.name == "queries")
    most = [max(m for m, q in zip(each, np.nonzero(positive)[0], strict=True) if q == i)
            for i in range(60)]  # fmt: skip
    np.testing.assert_allclose(curve.columns["margin"], most)
    top = np.where(positive, scores, -np.inf).max(axis=1)
    np.testing.assert_allclose(curve.columns["positive_score"], top)


def test_nearest_document_distance_and_chunks() -> None:
    made = space()
    table = np.linalg.norm(unit(made.queries)[:, None] - unit(made.documents)[None], axis=-1)
    expected = table.min(axis=1).mean()
    assert value(made, "nearest_document_distance") == pytest.approx(expected, abs=1e-12)
    far = np.concatenate([made.documents, -made.queries.mean(0) + 0 * made.documents])
    chunks = remade(made, made.queries, far, document_of_row=np.tile(np.arange(150), 2))
    assert value(chunks, "nearest_document_distance") == pytest.approx(expected, abs=1e-12)
    plain, with_chunks = (value(x, "margin", "positives", "recipe") for x in (made, chunks))
    assert with_chunks == pytest.approx(plain)


def test_a_query_to_which_everything_is_relevant_has_no_margin() -> None:
    made = space(n_queries=4, n_documents=5, positives=5)
    with pytest.raises(UsageError, match="every document is judged relevant to the query 'q0'"):
        measure_space(made, ["margin"])


@pytest.mark.parametrize("changed", [{"similarity": "dot"}, {"temperature": 0.01}])
def test_margins_in_other_units_are_not_compared(changed) -> None:
    a = space()
    b = EmbeddingSpace(a.queries, a.documents, query_ids=a.query_ids, doc_ids=a.doc_ids,
                       qrels=a.qrels, label="other", **changed)  # fmt: skip
    measured = [measure_space(x, ["margin", "positive_distance"]) for x in (a, b)]
    differences, _, withheld = compare_spaces(*measured)
    assert [row.measure for row in differences] == ["positive_distance"]
    reasons = {w.measure: w.reason for w in withheld}
    assert next(iter(changed)) in reasons["margin"]


# Mixing and separability ----------------------------------------------------------------------


def test_mixing_is_that_of_its_definition() -> None:
    made = space(n_queries=50, n_documents=50)
    rows = np.concatenate([unit(made.queries), unit(made.documents)])
    scores = rows @ rows.T
    np.fill_diagonal(scores, -np.inf)
    nearest = np.argsort(-scores, axis=1)[:, :10]
    for side, own in (("queries", slice(0, 50)), ("documents", slice(50, 100))):
        other = (nearest[own] >= 50) == (side == "queries")
        expected = other.mean() / (50 / 99)
        assert value(made, "mixing(k=10)", side) == pytest.approx(expected)


def test_influences_of_mixing_are_those_of_left_out_queries() -> None:
    """Not the variance: what two queries do together is taken off it."""
    made = space(n_queries=40, n_documents=40, lean=0.3)
    k = 5
    whole = measure_space(made, ["mixing(k=5)"])
    rows = np.concatenate([unit(made.queries), unit(made.documents)])
    shares = []
    for out in range(40):
        keep = np.delete(np.arange(80), out)
        scores = rows[keep] @ rows[keep].T
        np.fill_diagonal(scores, -np.inf)
        nearest = np.argsort(-scores, axis=1)[:, :k]
        shares.append((keep[nearest[keep < 40]] >= 40).mean() * 79 / 40)
    expected = -39 * (np.array(shares) - np.mean(shares))
    found = whole.estimates["queries", "mixing(k=5)", "unit"].influences[0]
    np.testing.assert_allclose(found.values - found.values.mean(), expected, atol=1e-9)
    assert not whole.estimates["documents", "mixing(k=5)", "unit"].influences


def test_mixing_tells_mixed_from_apart_and_knows_its_null() -> None:
    rng = np.random.default_rng(0)
    same = EmbeddingSpace(rng.standard_normal((500, 16)), rng.standard_normal((1500, 16)))
    row = measure_space(same, ["mixing(k=10)"]).row("queries", "mixing(k=10)", "unit")
    assert row.estimator == "subsampled"
    assert row.n == 500
    assert abs(row.value - 1) < 4 * row.null_sd
    assert row.null_p > 1e-3
    shift = np.zeros(16)
    shift[0] = 30.0
    apart = EmbeddingSpace(same.queries + shift, same.documents - shift)
    row = measure_space(apart, ["mixing(k=10)"]).row("queries", "mixing(k=10)", "unit")
    assert row.value == 0
    assert row.null_p < 1e-6


def test_separability_of_identical_laws_is_chance_and_of_one_axis_is_not() -> None:
    """Section 6: in-sample 1.00 at n = 500 in 768 dimensions; held out about a half."""
    rng = np.random.default_rng(0)
    same = EmbeddingSpace(rng.standard_normal((500, 768)), rng.standard_normal((500, 768)))
    row = measure_space(same, ["separability"]).row("cross", "separability", "unit")
    assert 0.42 < row.value < 0.58
    shift = np.zeros(8)
    shift[0] = 9.0
    small = rng.standard_normal((200, 8))
    apart = EmbeddingSpace(small[:100] + shift, small[100:])
    assert value(apart, "separability") > 0.99
    turn = rotation(8)
    turned = EmbeddingSpace(apart.queries @ turn, apart.documents @ turn)
    assert value(turned, "separability") == pytest.approx(value(apart, "separability"))


def test_duplicates_do_not_leak_between_folds() -> None:
    """Each row twice, in the same side: to remember is not to separate."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((2, 60, 80))
    twice = EmbeddingSpace(np.repeat(rows[0], 2, axis=0), np.repeat(rows[1], 2, axis=0))
    assert value(twice, "separability") < 0.65
    texts = {"query_texts": [str(i // 2) for i in range(120)], "doc_texts": ["d"] * 120}
    from anisotropy.measures.families.equal_sides import equal_sides
    from anisotropy.measures.families.separability import folds, groups

    noisy = twice.queries + 1e-3 * rng.standard_normal((120, 80))
    facts = Facts(EmbeddingSpace(noisy, rng.standard_normal((120, 80)), **texts), Plan())
    sides = equal_sides(facts, "unit", 10)
    group, fold = groups(facts, sides), folds(facts, sides)
    assert len(np.unique(group)) == 61
    assert all(len(np.unique(fold[group == g])) == 1 for g in np.unique(group))


def test_the_area_is_that_of_sklearn() -> None:
    from sklearn.metrics import roc_auc_score

    from anisotropy.measures.families.separability import placements

    rng = np.random.default_rng(0)
    low, high = rng.integers(0, 9, 30).astype(float), rng.integers(2, 11, 20).astype(float)
    expected = roc_auc_score([0] * 30 + [1] * 20, np.concatenate([low, high]))
    for each in placements(low, high):
        assert each.mean() == pytest.approx(expected)


# Similarities ---------------------------------------------------------------------------------


def likeness(a: EmbeddingSpace, b: EmbeddingSpace, measure: str):
    name = parse(measure).text
    measured = [measure_space(x, [name], between=True) for x in (a, b)]
    return {row.side: row for row in compare_spaces(*measured)[1]}


def noisy(made: EmbeddingSpace, noise: float, seed: int = 1) -> EmbeddingSpace:
    rng = np.random.default_rng(seed)
    turn = rotation(made.dim, seed)
    rows = [x + noise * rng.standard_normal(x.shape) for x in (made.queries, made.documents)]
    return remade(made, rows[0] @ turn, rows[1] @ turn, label=f"noisy {seed}")


def test_unbiased_cka_is_the_gram_form_to_twelve_digits() -> None:
    a = space(n_queries=70)
    b = noisy(a, 0.3)
    found = likeness(a, b, "cka")
    for side in ("queries", "documents"):
        x, y = unit(getattr(a, side)), unit(getattr(b, side))
        assert found[side].value == pytest.approx(twins.cka(x, y), rel=1e-12)


@pytest.mark.parametrize(("n", "left"), [(256, 0.17), (1000, 0.64)])
def test_independent_gaussians_of_the_reference(n, left) -> None:
    """Section 9, d = 768: unbiased CKA 0.00, Procrustes 0.17 and 0.64 though nothing is shared."""
    rng = np.random.default_rng(n)
    a, b = (EmbeddingSpace(rng.standard_normal((n, 768)), rng.standard_normal((12, 768)))
            for _ in range(2))  # fmt: skip
    row = likeness(a, b, "procrustes")["queries"]
    assert row.value == pytest.approx(left, abs=0.015)
    assert row.null_mean == pytest.approx(row.value, abs=0.015)
    if n == 256:
        assert abs(likeness(a, b, "cka")["queries"].value) < 0.02


def test_procrustes_is_zero_for_a_rotation_and_needs_equal_dimensions() -> None:
    made = space()
    row = likeness(made, noisy(made, 0.0), "procrustes")["documents"]
    assert row.value == pytest.approx(0, abs=1e-9)
    assert row.null_p < 1e-6
    x, y = (z - z.mean(0) for z in (made.queries, made.documents[:60]))
    x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
    u, _, vt = np.linalg.svd(x.T @ y)
    assert residual(x, y) == pytest.approx(float(((x @ (u @ vt) - y) ** 2).sum()))
    narrow = remade(made, made.queries[:, :5], made.documents[:, :5])
    a, b = (measure_space(z, ["procrustes"], between=True) for z in (made, narrow))
    _, found, withheld = compare_spaces(a, b)
    assert not found
    assert all("equal dimensions" in w.reason for w in withheld)


def test_rbo_is_the_extrapolated_form_of_its_paper() -> None:
    rng = np.random.default_rng(0)
    x, y = (np.array([rng.permutation(30)[:12] for _ in range(6)]) for _ in range(2))
    for p in (0.5, 0.9):
        for one, other, found in zip(x, y, rbo_ext(x, y, p), strict=True):
            common = [len(set(one[:j]) & set(other[:j])) for j in range(1, 13)]
            expected = common[-1] / 12 * p**12
            expected += (1 - p) / p * sum(c / j * p**j for j, c in enumerate(common, 1))
            assert found == pytest.approx(expected)
    np.testing.assert_allclose(rbo_ext(x, x, 0.9), 1)
    assert rbo_ext(x, x + 100, 0.9).max() == 0


def test_rbo_of_two_spaces() -> None:
    made = space()
    same = likeness(made, noisy(made, 0.0), "rbo")["ranking"]
    assert same.value == pytest.approx(1)
    other = likeness(made, noisy(made, 9.0), "rbo")["ranking"]
    assert abs(other.value - other.null_mean) < 4 * other.null_sd
    assert same.null_p < 1e-6
    with pytest.raises(UsageError, match=r"p: got 1.0; allowed: up to 0.999"):
        parse("rbo(p=1.0)")


def test_nulls_are_those_of_random_matchings() -> None:
    """CKA: sqrt(2/(n(n - 3))); mutual neighbors: k/(n - 1); both against permuted rows."""
    rng = np.random.default_rng(0)
    made = space(n_queries=60, lean=0.2)
    other = noisy(made, 0.5)
    rows = [likeness(made, other, name)["queries"] for name in ("cka", "mutual_knn(k=5)")]
    x, y = unit(made.queries), unit(other.queries)
    permuted = [twins.cka(x, y[rng.permutation(60)]) for _ in range(300)]
    assert np.std(permuted) == pytest.approx(rows[0].null_sd, rel=0.15)
    assert abs(np.mean(permuted)) < 4 * rows[0].null_sd / math.sqrt(300)
    lists = [np.argsort(-(z @ z.T) + 9 * np.eye(60), axis=1)[:, :5] for z in (x, y)]
    shares = []
    for _ in range(300):
        name = rng.permutation(60)
        renamed = {int(name[i]): {int(name[j]) for j in lists[1][i]} for i in range(60)}
        shares.append(np.mean([len(renamed[i] & set(lists[0][i].tolist())) for i in range(60)]))
    assert rows[1].null_mean == pytest.approx(5 / 59)
    assert np.mean(shares) / 5 == pytest.approx(5 / 59, rel=0.05)
    assert np.std(shares) / 5 == pytest.approx(rows[1].null_sd, rel=0.3)


def test_influences_of_mutual_neighbors_are_those_of_left_out_items() -> None:
    from anisotropy.measures.families.similarity import _overlap_influence

    rng = np.random.default_rng(0)
    x, y = cone(40, 4, 0.3, 1), cone(40, 4, 0.3, 1) + 0.3 * rng.standard_normal((40, 4))
    k = 4

    def lists(rows: np.ndarray, depth: int) -> np.ndarray:
        scores = unit(rows) @ unit(rows).T
        np.fill_diagonal(scores, -np.inf)
        return np.argsort(-scores, axis=1)[:, :depth]

    def mean(keep: np.ndarray) -> float:
        pairs = zip(lists(x[keep], k), lists(y[keep], k), strict=True)
        return float(np.mean([len(set(a) & set(b)) for a, b in pairs])) / k

    values = np.array([mean(np.delete(np.arange(40), out)) for out in range(40)])
    ids = [str(i) for i in range(40)]
    found = _overlap_influence(ids, lists(x, k + 1), lists(y, k + 1), np.arange(40), k).values
    np.testing.assert_allclose(found - found.mean(), -39 * (values - values.mean()), atol=1e-9)


def coverage(scale: str, law, mean: float, n: int, rounds: int = 1500) -> float:
    from anisotropy.statistics import Estimate, Influence, interval

    rng, hits = np.random.default_rng(0), 0
    for _ in range(rounds):
        sample = law(rng, n)
        value = float(sample.mean())
        parts, even = (Influence(range(n), sample - value),), np.ones(n)
        found = interval(Estimate(value, parts, scale=scale, low=0.0, high=1.0, weights=even))
        hits += found.low <= mean <= found.high
    return hits / rounds


def test_an_interval_of_a_skewed_mean_covers_where_the_plain_one_does_not() -> None:
    def skewed(rng: np.random.Generator, n: int) -> np.ndarray:
        return np.minimum(rng.lognormal(0, 1, n) / 100, 1.0)

    mean = float(skewed(np.random.default_rng(1), 2_000_000).mean())
    assert coverage("linear", skewed, mean, 60) < 0.91
    assert 0.925 < coverage("skewed", skewed, mean, 60) < 0.97


def test_an_interval_of_a_mean_that_few_queries_make_covers() -> None:
    """One query in ten is off, most by little; of one in a hundred there is no interval."""

    def off(rng: np.random.Generator, n: int, share: float = 0.1) -> np.ndarray:
        return np.where(rng.random(n) < share, np.minimum(rng.lognormal(0, 1, n) / 100, 1.0), 0.0)

    mean = float(off(np.random.default_rng(1), 2_000_000).mean())
    assert coverage("linear", off, mean, 250) < 0.91
    assert coverage("skewed", off, mean, 250) > 0.93
    assert coverage("skewed", lambda rng, n: off(rng, n, 0.01), mean / 10, 250, 50) == 0


def test_a_set_of_values_takes_less_than_the_reach_of_a_point_on_either_side() -> None:
    """Imbens and Manski (2004): 95% at either end of the set, whatever its width."""
    from anisotropy.statistics import Estimate, Influence, interval

    rng, rounds = np.random.default_rng(0), 2000
    for slack in (0.0, 0.025, 1.5):
        hits = np.zeros(2)
        for _ in range(rounds):
            sample = rng.standard_normal(400)
            mean = 100 + float(sample.mean())
            found = interval(Estimate(
                mean**0.5, (Influence(range(400), sample),), scale="square", squared=mean,
                slack=slack,
            ))  # fmt: skip
            hits += [found.low**2 <= true <= found.high**2 for true in (100, 100 + slack)]
        np.testing.assert_allclose(hits / rounds, 0.95, atol=0.016)
