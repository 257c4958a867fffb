"""Negative sampling: laws against literal twins, leaving out, corrections, curves."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path

import numpy as np
import pytest

import anisotropy as an
from anisotropy.comparison import compare_spaces
from anisotropy.comparison.changes import changes_curve
from anisotropy.errors import UsageError
from anisotropy.measures import measure_space
from anisotropy.measures.counts import gini
from anisotropy.measures.mining import Law, Mined, probabilities
from anisotropy.measures.thinned import Thinned, leaving
from anisotropy.measures.unevenness import (
    OF_ENTROPY,
    STATISTICS,
    anchors_left_out,
    entropy,
    every,
    largest,
    missing_entropy,
)
from tests.measures import twins
from tests.measures.making import remade, space, unit

ROLES = ("queries", "documents")
BY_ANCHOR = ("index", "score", "positive", "anchors", "pairs", "there")


def tables(made, center: str) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the recipe and judged pairs, queries by documents."""
    q, d = made.queries, made.documents
    if center == "sides":
        q, d = q - q.mean(0), d - d.mean(0)
    if made.similarity == "cosine":
        q, d = unit(q), unit(d)
    scores = q @ d.T
    if made.similarity == "euclidean":
        scores = -np.linalg.norm(q[:, None] - d[None], axis=-1)
    positive = np.zeros(scores.shape, dtype=bool)
    for a, judged in made.qrels.items():
        for b in judged:
            positive[int(a[1:]), int(b[1:])] = True
    return scores, positive


def identity(name: str, **given: object) -> str:
    default = {"role": "queries", "center": "none", "law": "uniform", "anchors": "documents"}
    inside = [f"{key}={value}" for key, value in given.items() if default.get(key) != value]
    return f"negative_probability_{name}({', '.join(['k=12', *inside])})"


def expected(made, role, center, law="uniform", anchors="documents") -> np.ndarray:
    scores, positive = tables(made, center)
    if role == "queries":
        scores, positive = scores.T, positive.T
    weights = positive.sum(1) if anchors == "pairs" else np.ones(len(scores))
    rows = np.flatnonzero(positive.any(1)) if role == "queries" else np.arange(len(scores))
    return twins.law(scores[rows], positive[rows], 12, law, made.temperature, weights[rows])


@pytest.mark.parametrize("center", ["none", "sides"])
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("similarity", ["dot", "cosine", "euclidean"])
def test_mining(role, center, similarity) -> None:
    made = space(similarity=similarity)
    p = expected(made, role, center)
    names = [identity(name, role=role, center=center) for name in STATISTICS]
    found = measure_space(made, names)
    kl, evenness, uneven, effective, coverage = (
        found.row(role, name, "recipe").value for name in names
    )
    assert kl == pytest.approx(twins.kl(p))
    assert evenness == pytest.approx(1 - twins.kl(p) / math.log(len(p)))
    assert uneven == pytest.approx(twins.gini(p))
    assert effective == pytest.approx(math.exp(-twins.kl(p)))
    assert coverage == np.mean(p > 0)


@pytest.mark.parametrize("law", ["softmax", "softmax_standardized"])
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("similarity", "temperature"), [("cosine", 0.1), ("dot", 1.0), ("euclidean", 0.3)]
)
def test_softmax(role, law, similarity, temperature) -> None:
    made = space(similarity=similarity, temperature=temperature)
    name = identity("kl", role=role, law=law)
    p = expected(made, role, "none", law)
    assert measure_space(made, [name]).row(role, name, "recipe").value == pytest.approx(
        twins.kl(p), rel=1e-5
    )


@pytest.mark.parametrize("role", ROLES)
def test_anchors_as_often_as_judged(role) -> None:
    made = space()
    name = identity("kl", role=role, anchors="pairs")
    row = measure_space(made, [name]).row(role, name, "recipe")
    assert row.value == pytest.approx(twins.kl(expected(made, role, "none", anchors="pairs")))
    table = an.negative_probability(made, role, k=12, anchors="pairs")
    assert table.probability.sum() == pytest.approx(1)


def test_a_standardized_softmax_does_not_depend_on_the_scale_of_scores() -> None:
    made = space(similarity="dot")
    larger = remade(made, 9 * made.queries, made.documents)
    for law, equal in (("softmax_standardized", True), ("softmax", False)):
        name = identity("kl", law=law)
        values = [measure_space(x, [name]).row("queries", name, "recipe").value
                  for x in (made, larger)]  # fmt: skip
        assert (abs(values[0] - values[1]) < 1e-5) is equal


def test_softmax_of_other_temperatures_is_not_compared() -> None:
    made = space()
    other = remade(made, made.queries, made.documents, label="other", temperature=0.01)
    names = [identity("kl", law=law) for law in ("uniform", "softmax", "softmax_standardized")]
    found, _, withheld = compare_spaces(*(measure_space(x, names) for x in (made, other)))
    assert {row.measure for row in found} == {names[0], names[2]}
    reason = next(row.reason for row in withheld if row.measure == names[1])
    assert "cosine/1 and cosine/0.01" in reason


@pytest.mark.parametrize("role", ROLES)
def test_kept_lists_are_noisier_than_their_expectation(role) -> None:
    made = space()
    names = [identity("kl", role=role), identity("kl", role=role, kept=3)]
    whole, kept = (measure_space(made, names).row(role, name, "recipe") for name in names)
    scores, positive = tables(made, "none")
    if role == "queries":
        scores, positive = scores.T, positive.T
    rows = np.flatnonzero(positive.any(1)) if role == "queries" else np.arange(len(scores))
    literal = twins.kept(scores[rows], positive[rows], 12, 3, 30)
    assert kept.value > whole.value
    assert kept.value == pytest.approx(np.mean(literal), abs=4 * np.std(literal) / math.sqrt(20))
    assert 0 < kept.se < 0.02
    assert kept.population == "none"
    everything = identity("kl", role=role, kept=50)
    row = measure_space(made, [everything]).row(role, everything, "recipe")
    assert row.value == pytest.approx(whole.value)
    with pytest.raises(UsageError, match="use it with law=uniform"):
        measure_space(made, [identity("kl", role=role, law="softmax", kept=3)])


def some_lists(law_seed: int = 0, anchors: int = 9, n: int = 15, depth: int = 6) -> Mined:
    rng = np.random.default_rng(law_seed)
    index = np.array([rng.choice(n, depth, replace=False) for _ in range(anchors)])
    score = -np.sort(-rng.random(index.shape), axis=1)
    pairs = rng.integers(1, 4, size=(anchors, 1))
    keys = [str(i) for i in range(anchors)]
    return Mined(index, score, rng.random(index.shape) < 0.2, n, np.arange(anchors), keys,
                 anchors, pairs, pairs > 0)  # fmt: skip


def without_anchor(found: Mined, i: int) -> Mined:
    parts = {name: np.delete(getattr(found, name), i, 0) for name in BY_ANCHOR}
    return dataclasses.replace(found, keys=found.keys[:-1], total=found.total - 1, **parts)


@pytest.mark.parametrize("anchors", ["documents", "pairs"])
@pytest.mark.parametrize("law", ["uniform", "softmax"])
def test_mining_anchors_left_out_are_exact(law, anchors) -> None:
    found, chosen = some_lists(), Law(5, law, anchors)
    values = anchors_left_out(found, chosen)
    assert values.keys() == {"entropy_nats", *OF_ENTROPY}
    for name in OF_ENTROPY:
        exact = [
            STATISTICS[name](probabilities(without_anchor(found, i), chosen)) for i in range(9)
        ]
        np.testing.assert_allclose(values[name], exact, atol=1e-9)


@pytest.mark.parametrize("out", [(3,), (0, 4)])
def test_blocks_of_queries_leave_with_their_documents(out) -> None:
    """Probabilities without blocks of queries are those of the space without them."""
    from anisotropy.measures.facts import Facts, Plan
    from anisotropy.measures.mining import mined
    from anisotropy.statistics import BLOCKS, blocks_of

    made = space(n_queries=60)
    block = blocks_of(made.query_ids, BLOCKS, 0)
    keep = ~np.isin(block, out)
    ids = [name for name, stays in zip(made.query_ids, keep, strict=True) if stays]
    less = remade(made, made.queries[keep], made.documents, query_ids=ids,
                  qrels={q: made.qrels[q] for q in ids})  # fmt: skip
    for role in ROLES:
        found = mined(Facts(made, Plan(depth=12)), role, "none")
        for anchors in ("documents", "pairs"):
            law = Law(12, anchors=anchors)
            items = block if role == "queries" else None
            p = probabilities(found, law, out, items)
            small = probabilities(mined(Facts(less, Plan(depth=12)), role, "none"), law)
            np.testing.assert_allclose(p[keep] if role == "queries" else p, small, atol=1e-12)


@pytest.mark.parametrize("depth", [5, 9, 40])
@pytest.mark.parametrize("anchors", ["documents", "pairs"])
def test_lists_without_blocks_are_those_gone_through(anchors, depth) -> None:
    """Of any lists: short ones, too short to be filled up again, and positives everywhere."""
    rng = np.random.default_rng(depth)
    found, block = some_lists(anchors=30, n=60, depth=depth), rng.integers(0, 6, 60)
    pairs = rng.integers(0, 3, size=(30, 6)) * (rng.random((30, 6)) < 0.4)
    ends = rng.integers(0, depth + 1, 30)
    full = rng.random(30) < 0.3
    index = np.where((np.arange(depth) < ends[:, None]) | full[:, None], found.index, -1)
    found = dataclasses.replace(found, index=index, pairs=pairs, there=pairs > 0)
    law = Law(5, anchors=anchors)
    thinned = Thinned(found, law, block)
    for out in ((), (0,), (2, 5), (1, 2, 3), range(6)):
        literal = probabilities(found, law, out, block)
        np.testing.assert_allclose(thinned.probabilities(out), literal, atol=1e-15)


def test_statistics_of_one_pass_are_those_of_each() -> None:
    p = probabilities(some_lists(), Law(5))
    np.testing.assert_allclose(every(p), [f(p) for f in STATISTICS.values()])


def test_saturated_pool_has_its_most_uneven_values() -> None:
    """A pool whose anchors all agree reaches the attainable values that are printed."""
    p = np.zeros(50)
    p[:8] = 1 / 8
    for name, statistic in STATISTICS.items():
        assert statistic(p) == pytest.approx(largest(name, 50, 8))
    assert entropy(p) == pytest.approx(math.log(8))
    assert gini(p) == pytest.approx(1 - 8 / 50)


def test_entropy_of_sampled_anchors_is_corrected() -> None:
    """400 of 4000 anchors, lists of 20 among 2000: the correction takes most of the bias."""
    rng = np.random.default_rng(0)
    n, total, m, k = 2000, 4000, 400, 20
    popular = rng.random(n) ** 3 + 0.05
    index = np.argsort(-np.log(popular) - rng.gumbel(size=(total, n)) * -1, axis=1)[:, :k]
    ones = np.ones((total, 1), dtype=int)
    whole = Mined(index, np.zeros(index.shape), np.zeros(index.shape, bool), n, np.arange(total),
                  [str(i) for i in range(total)], total, ones, ones > 0)  # fmt: skip
    truth = entropy(probabilities(whole, Law(k)))
    assert missing_entropy(whole, Law(k)) == 0
    plain, better = [], []
    for _ in range(5):
        rows = np.sort(rng.choice(total, m, replace=False))
        parts = {name: getattr(whole, name)[rows] for name in BY_ANCHOR}
        some = dataclasses.replace(whole, keys=[str(i) for i in rows], **parts)
        plain.append(entropy(probabilities(some, Law(k))) - truth)
        better.append(plain[-1] + missing_entropy(some, Law(k)))
    assert np.mean(plain) < -0.03
    assert abs(np.mean(better)) < 0.2 * abs(np.mean(plain))


def test_sampled_anchors_say_so() -> None:
    made = space(n_queries=60, n_documents=150)
    names = [identity("kl", role="documents"), identity("gini", role="documents")]
    found = measure_space(made, names, anchors=10)
    kl, uneven = (found.row("documents", name, "recipe") for name in names)
    assert (kl.estimator, uneven.estimator) == ("corrected", "subsampled")
    assert np.isnan([kl.ci_low, uneven.ci_low]).all()
    assert kl.value < twins.kl(expected(made, "documents", "none")) + 0.5


@pytest.mark.parametrize("role", ROLES)
def test_share_of_judged_positives(role) -> None:
    made = space(positives=3)
    scores, positive = tables(made, "none")
    found = measure_space(made, [f"negative_positive_share(k=12,role={role})"])
    expected_share = twins.positive_share(scores, positive, 12, role)
    row = next(r for r in found.rows if r.family == "negatives")
    assert row.value == pytest.approx(expected_share)
    assert row.ci_low < row.value < row.ci_high


def test_one_positive_a_query_leaves_none_among_the_negatives() -> None:
    made = space(positives=1)
    found = measure_space(made, ["negative_positive_share(k=12,role=documents)"])
    assert found.rows[0].value == 0


def test_movement_between_two_spaces() -> None:
    a = space()
    rng = np.random.default_rng(3)
    b = remade(a, a.queries + 0.3 * rng.standard_normal(a.queries.shape), a.documents, label="b")
    names = ["negative_probability_shift(k=12)", "negative_probability_agreement(k=12)"]
    measured = [measure_space(x, names, between=True) for x in (a, b)]
    found = {(row.side, row.measure): row for row in compare_spaces(*measured)[1]}
    for role in ROLES:
        p, q = (expected(x, role, "none") for x in (a, b))
        shift, agreement = (found[role, name] for name in names)
        assert shift.value == pytest.approx(np.abs(p - q).sum() / 2)
        from scipy.stats import spearmanr

        assert agreement.value == pytest.approx(spearmanr(p.round(9), q.round(9)).statistic)
        # 12 of 60 queries saturate the pool: every list holds much the same.
        assert np.isnan(shift.ci_low) == (role == "queries" or 0.05 * len(a.doc_ids) < 12)
        assert 0 < shift.value < shift.null_mean
    shallow = [
        measure_space(x, ["negative_probability_shift(k=10)"], between=True) for x in (a, b)
    ]
    assert all(row.ci_low < row.value < row.ci_high for row in compare_spaces(*shallow)[1])
    order = rng.permutation(60)
    turned = remade(b, b.queries[order], b.documents, label="b",
                    query_ids=[b.query_ids[i] for i in order])  # fmt: skip
    again = compare_spaces(measured[0], measure_space(turned, names, between=True))[1]
    for row in again:
        assert row.value == pytest.approx(found[row.side, row.measure].value)
        assert row.ci_low == pytest.approx(found[row.side, row.measure].ci_low, nan_ok=True)


def test_a_space_has_not_moved_from_itself() -> None:
    a = space()
    b = remade(a, a.queries, a.documents, label="b")
    names = ["negative_probability_shift(k=12)", "negative_probability_agreement(k=12)"]
    found = compare_spaces(*(measure_space(x, names, between=True) for x in (a, b)))[1]
    assert [row.value for row in found] == pytest.approx([0, 0, 1, 1])


def test_only_a_saturated_pool_is_warned_of() -> None:
    made = space(n_queries=60, n_documents=300)
    warnings = measure_space(made).warnings
    assert any("role=queries, k=10: k is 16.7% of the pool of 60" in line for line in warnings)
    assert any("role=documents, k=200" in line for line in warnings)
    assert not any("role=documents, k=10" in line for line in warnings)


def documented() -> dict[str, set[str]]:
    text = (Path(__file__).parents[2] / "docs/curves.md").read_text("utf-8")
    sections = re.split(r"^## `(\w+)`", text, flags=re.MULTILINE)[1:]
    return {
        name: {column for row in re.findall(r"^\|(.*?)\|", body, re.MULTILINE)
               for column in re.findall(r"`([^`]+)`", row)}
        for name, body in zip(sections[::2], sections[1::2], strict=True)
    }  # fmt: skip


def test_every_curve_and_column_is_documented() -> None:
    made = space(query_texts=[f"query {i}" * 40 for i in range(60)])
    found = measure_space(made)
    changes = changes_curve([found], [found], ("a", "b"))
    assert changes is not None
    curves = [*found.curves, changes, an.project(made, "pca")]
    told = documented()
    # Columns of numbers come in threes, of which the page tells once.
    names = {name.removesuffix("_delta") for name in changes.columns if name.endswith("_delta")}
    shown = ("NAME_a", "NAME_b", "NAME_delta")
    assert names == told["queries"] - {"query_id"} | {"relative_positive_distance", "density"}
    told["changes"] -= {*shown, "queries", "relative_positive_distance", "density"}
    told["changes"] |= {text.replace("NAME", name) for name in names for text in shown}
    of_training = {"step", "stage", "stage_step", "part", "loss_mean", "loss"}
    assert told.pop("history") >= of_training  # no vectors make it
    for name in ("positive_ranks", "observed_probability", "observed_items"):
        assert told.pop(name)  # of runs and of files of negatives
    assert {curve.name for curve in curves} == set(told)
    for curve in curves:
        assert set(curve.columns) == told[curve.name], curve.name


def test_curves_of_the_negatives() -> None:
    made = space(n_queries=300, n_documents=400, query_texts=["x" * 300] * 300)
    curves = {(c.name, c.side): c.columns for c in measure_space(made).curves}
    table = an.negative_probability(made, "queries", k=10).set_index("id").probability
    items = curves["items", "queries"]
    assert items["probability"] == pytest.approx(table[list(items["item_id"])].to_numpy())
    assert items["rank"][np.argmax(items["probability"])] == 1
    assert set(items["text"]) == {"x" * 200}
    assert items["k_occurrence"].sum() == 10 * curves["mining", "queries"]["anchors"][0]
    assert not np.allclose(items["probability"], items["probability_centered"])
    lorenz = curves["negative_probability", "queries"]
    area = 2 * np.trapezoid(lorenz["share_of_items"] - lorenz["lorenz"], lorenz["share_of_items"])
    assert area == pytest.approx(gini(items["probability"]), abs=0.02)
    profile = curves["negative_profile", "documents"]
    assert np.all(np.diff([profile[f"positive_q{q}"][0] for q in ("05", "50", "95")]) > 0)
    assert np.all(np.diff(profile["score_mean"]) < 0)
    assert np.all(np.diff(profile["gap_to_positive"]) > 0)
    scores, positive = tables(made, "none")
    order = np.argsort(-scores, axis=1)[:, :10]
    hit = np.take_along_axis(positive, order, axis=1)
    assert profile["share_relevant"] == pytest.approx(hit.mean(axis=0))
    best = np.take_along_axis(scores, order, axis=1)
    own = np.array([row[mine].mean() for row, mine in zip(scores, positive, strict=True)])
    assert profile["positive_q50"] == pytest.approx([np.median(own)] * 10, abs=1e-6)
    gap = np.where(hit, np.nan, own[:, None] - best)
    assert profile["gap_to_positive"] == pytest.approx(np.nanmean(gap, axis=0), abs=1e-6)
    basis = curves["mining", "documents"]
    assert list(basis["k"]) == [10, 10, 200, 200]
    assert basis["gini_most_uneven"][0] == 1 - 10 / 400


def test_near_duplicates_of_the_positive_are_counted() -> None:
    made = space(n_queries=300, n_documents=400, positives=1, noise=0.1)
    documents = made.documents.copy()
    place = {next(iter(j)): i for i, j in enumerate(made.qrels.values())}
    spare = [i for i in range(400) if f"d{i}" not in place]
    first = int(next(iter(made.qrels["q0"]))[1:])
    documents[spare] = documents[first] + 1e-4
    twin = remade(made, made.queries, documents)
    curves = {(c.name, c.side): c.columns for c in measure_space(twin).curves}
    near = curves["negative_profile", "documents"]["share_near_positive"]
    assert near.max() > 0
    assert np.all(near <= 1)


@pytest.mark.parametrize(("positives", "k"), [(1, 12), (4, 12), (1, 40)])
def test_lists_of_random_items_are_at_their_null(positives, k) -> None:
    """Lists drawn blindly, with the positives' places left out, look as even as the null says."""
    from anisotropy.measures.blind_draws import blind_lists

    rng, n, anchors = np.random.default_rng(0), 60, 200
    literal = []
    for _ in range(400):
        drawn = np.zeros(n)
        for _ in range(anchors):
            drawn[rng.choice(n, size=k - positives, replace=False)] += 1 / (k - positives)
        literal.append(twins.kl(drawn / drawn.sum()))
    blind = blind_lists([(k - positives, 1 / (k - positives), anchors)], n)
    quick = [twins.kl((drawn := blind(rng)) / drawn.sum()) for _ in range(400)]
    assert np.mean(quick) == pytest.approx(np.mean(literal), rel=0.06)


@pytest.mark.parametrize("anchors", ["documents", "pairs"])
@pytest.mark.parametrize("law", ["uniform", "softmax"])
@pytest.mark.parametrize("role", ROLES)
def test_leaving_is_leaving_out(role, law, anchors) -> None:
    from anisotropy.measures.facts import Facts, Plan
    from anisotropy.measures.mining import mined
    from anisotropy.statistics import BLOCKS, blocks_of

    made, chosen = space(n_queries=60), Law(12, law, anchors)
    found = mined(Facts(made, Plan(depth=12)), role, "none")
    block = blocks_of(made.query_ids, BLOCKS, 0) if role == "queries" else None
    without = leaving(found, chosen, block)
    for out in ((), (3,), (0, 4)):
        literal = probabilities(found, chosen, out, block)
        np.testing.assert_allclose(without(out), literal, atol=1e-15)
