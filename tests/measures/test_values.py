"""Values against slow literal twins and independent implementations."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from anisotropy.measures import measure_space
from tests.measures import twins
from tests.measures.making import cone, space, unit

SIDES = ("queries", "documents")


def value(made, measure: str, side: str, on: str = "unit", **options) -> float:
    row = measure_space(made, [measure], **options).row(side, measure, on)
    assert row is not None
    return row.value


@pytest.fixture(scope="module")
def made():
    return space()


@pytest.fixture(scope="module")
def measured(made):
    return measure_space(made)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("measure", "on", "twin"),
    [
        ("mean_cosine", "unit", twins.mean_cosine),
        ("uniformity(t=2)", "unit", lambda x: twins.uniformity(x, 2)),
        ("uniformity(t=5)", "unit", lambda x: twins.uniformity(x, 5)),
        ("uniformity(t=2)", "center>unit", lambda x: twins.uniformity(x - x.mean(0), 2)),
        ("partition_isotropy", "raw", twins.partition),
        ("partition_isotropy", "unit", lambda x: twins.partition(unit(x))),
        ("effective_rank(n=all)", "raw", twins.effective_rank),
        ("effective_rank(n=all)", "unit", lambda x: twins.effective_rank(unit(x))),
    ],
)
def test_one_side(made, measured, side, measure, on, twin) -> None:
    rows = getattr(made, side)
    found = measured if "n=all" not in measure else measure_space(made, [measure])
    assert found.row(side, measure, on).value == pytest.approx(twin(rows), rel=1e-9)


@pytest.mark.parametrize("on", ["raw", "unit"])
@pytest.mark.parametrize("side", SIDES)
def test_spread_plain_and_corrected(made, side, on) -> None:
    rows = getattr(made, side)
    rows = unit(rows) if on == "unit" else rows
    plain = twins.participation(rows)
    corrected = 1 / (1 / plain - 1 / len(rows))
    found = measure_space(
        made,
        [
            "participation_ratio(corrected=False)",
            "participation_ratio",
            "isoscore",
            "isoscore(corrected=False)",
        ],
    )
    assert found.row(side, "participation_ratio(corrected=False)", on).value == pytest.approx(
        plain
    )
    assert found.row(side, "participation_ratio", on).value == pytest.approx(min(corrected, 8))
    assert found.row(side, "isoscore", on).value == pytest.approx((min(corrected, 8) - 1) / 7)
    assert found.row(side, "isoscore(corrected=False)", on).value == pytest.approx((plain - 1) / 7)
    assert found.row(side, "isoscore", on).estimator == "corrected"


def test_isoscore_agrees_with_the_package_of_its_authors(made) -> None:
    from IsoScore import IsoScore

    # Its square root of the dimension is a 32-bit float.
    theirs = float(IsoScore.IsoScore(made.documents))
    mine = value(made, "isoscore(corrected=False)", "documents", "raw")
    assert mine == pytest.approx(theirs, abs=1e-7)


def test_norm_and_gap_plain_and_corrected(made) -> None:
    q, d = unit(made.queries), unit(made.documents)
    names = [name + plain for name in ("mean_norm", "gap") for plain in ("", "(corrected=False)")]
    found = measure_space(made, names)
    plain = np.linalg.norm(q.mean(0) - d.mean(0))
    variances = np.trace(np.cov(q.T)) / len(q) + np.trace(np.cov(d.T)) / len(d)
    get = lambda side, name: found.row(side, name, "unit").value  # noqa: E731
    assert get("cross", "gap(corrected=False)") == pytest.approx(plain)
    assert get("cross", "gap") == pytest.approx(math.sqrt(plain**2 - variances))
    assert get("queries", "mean_norm(corrected=False)") == pytest.approx(np.linalg.norm(q.mean(0)))
    assert get("queries", "mean_norm") == pytest.approx(math.sqrt(twins.mean_cosine(q)))


def test_joint_values_are_those_of_the_mixture(made, measured) -> None:
    q, d = unit(made.queries), unit(made.documents)
    kernel = lambda a, b: np.exp(-2 * ((a[:, None] - b[None]) ** 2).sum(-1))  # noqa: E731
    kqq, kdd = math.exp(twins.uniformity(q, 2)), math.exp(twins.uniformity(d, 2))
    joint = math.log(kqq / 4 + kdd / 4 + kernel(q, d).mean() / 2)
    assert measured.row("joint", "uniformity(t=2)", "unit").value == pytest.approx(joint)
    cross = math.log(kernel(q, d).mean())
    assert measured.row("cross", "uniformity(t=2)", "unit").value == pytest.approx(cross)
    mean = twins.mean_cosine(q) / 4 + twins.mean_cosine(d) / 4 + q.mean(0) @ d.mean(0) / 2
    assert measured.row("joint", "mean_cosine", "unit").value == pytest.approx(mean)
    delta = q.mean(0) - d.mean(0)
    mixture = np.cov(q.T) / 2 + np.cov(d.T) / 2 + np.outer(delta, delta) / 4
    values = np.linalg.eigvalsh(mixture)
    bias = (np.trace(np.cov(q.T)) ** 2 / len(q) + np.trace(np.cov(d.T)) ** 2 / len(d)) / 4
    ratio = values.sum() ** 2 / ((values**2).sum() - bias)
    assert measured.row("joint", "participation_ratio", "unit").value == pytest.approx(ratio)
    errors = np.cov(q.T) / len(q) + np.cov(d.T) / len(d)
    s = np.sqrt(np.linalg.eigvalsh(mixture - errors / 4))
    rank = math.exp(-float((s / s.sum() * np.log(s / s.sum())).sum()))
    assert value(made, "effective_rank(n=all)", "joint") == pytest.approx(rank)


def test_equal_sides_make_joint_the_side(made) -> None:
    from tests.measures.making import remade

    twice = remade(made, made.queries, made.queries, doc_ids=made.query_ids, qrels={})
    found = measure_space(twice, ["partition_isotropy"])
    values = {s: found.row(s, "partition_isotropy", "raw").value for s in (*SIDES, "joint")}
    assert len({round(v, 12) for v in values.values()}) == 1


def test_uniformity_and_alignment_are_those_of_their_authors(made, measured) -> None:
    """Wang and Isola: pdist(x).pow(2).mul(-t).exp().mean().log(), (x - y).norm().pow(a).mean()."""
    from scipy.spatial.distance import pdist

    q, d = unit(made.queries), unit(made.documents)
    theirs = math.log(np.exp(-5 * pdist(d) ** 2).mean())
    assert measured.row("documents", "uniformity(t=5)", "unit").value == pytest.approx(theirs)
    pairs = [(int(a[1:]), int(b[1:])) for a, judged in made.qrels.items() for b in judged]
    x, y = q[[a for a, _ in pairs]], d[[b for _, b in pairs]]
    theirs = float((np.linalg.norm(x - y, axis=1) ** 2).mean())
    assert measured.row("positives", "alignment(alpha=2)", "unit").value == pytest.approx(theirs)


def test_gini_against_sklearn_free_formula() -> None:
    from anisotropy.measures.counts import gini

    assert gini(np.array([0, 0, 0, 4])) == pytest.approx(0.75)
    assert gini(np.ones(7)) == pytest.approx(0)
    assert math.isnan(gini(np.zeros(3)))


def test_neighbors_are_those_of_sklearn(made) -> None:
    from sklearn.neighbors import NearestNeighbors

    from anisotropy.neighbors import top_neighbors

    found = top_neighbors(made.queries, made.documents, 7, similarity="cosine")
    near = NearestNeighbors(n_neighbors=7, metric="cosine").fit(made.documents)
    distances, index = near.kneighbors(made.queries)
    np.testing.assert_array_equal(found.index, index)
    np.testing.assert_allclose(1 - found.scores, distances, atol=1e-6)
    euclidean = top_neighbors(made.queries, made.documents, 7, similarity="euclidean")
    near = NearestNeighbors(n_neighbors=7).fit(made.documents)
    np.testing.assert_array_equal(euclidean.index, near.kneighbors(made.queries)[1])


def test_positive_distances_and_percentiles(made, measured) -> None:
    q, d = unit(made.queries), unit(made.documents)
    pairs = [(int(a[1:]), int(b[1:])) for a, judged in made.qrels.items() for b in judged]
    table = np.linalg.norm(q[:, None] - d[None], axis=-1)
    distance = np.mean([table[a, b] for a, b in pairs])
    root = math.sqrt((table**2).mean())
    share = np.mean([twins.percentile(table[a], b) for a, b in pairs])
    get = lambda name: measured.row("positives", name, "unit").value  # noqa: E731
    assert get("positive_distance") == pytest.approx(distance)
    assert get("relative_positive_distance") == pytest.approx(distance / root)
    assert get("positive_percentile") == pytest.approx(share)


def test_ties_count_half() -> None:
    from tests.measures.making import remade

    made = space(n_queries=5, n_documents=6, positives=1)
    same = np.tile(made.documents[:1], (6, 1))
    assert value(remade(made, made.queries, same), "positive_percentile", "positives") == 0.5


def test_the_pool_is_the_training_queries() -> None:
    training = space(n_queries=90, seed=3)
    made = space(training=training)
    name = "negative_probability_kl(k=12)"
    own = value(training, name, "queries", "recipe")
    assert value(made, name, "queries", "recipe") == own
    assert value(space(), name, "queries", "recipe") != own


def test_ranking_measures(made, measured) -> None:
    scores = unit(made.queries) @ unit(made.documents).T
    run = {f"q{i}": {f"d{j}": float(s) for j, s in enumerate(row)} for i, row in enumerate(scores)}
    expected = np.mean([twins.ndcg(run[q], made.qrels[q], 10) for q in run])
    assert measured.row("ranking", "nDCG@10", "recipe").value == pytest.approx(expected)
    reversed_qrels: dict[str, dict[str, int]] = {}
    for q, judged in made.qrels.items():
        for d, grade in judged.items():
            reversed_qrels.setdefault(d, {})[q] = grade
    ranks = []
    for d, judged in reversed_qrels.items():
        ranked = sorted(run, key=lambda q: -run[q][d])[:10]
        ranks.append(next((1 / (i + 1) for i, q in enumerate(ranked) if q in judged), 0.0))
    row = measured.row("dual_ranking", "RR@10", "recipe")
    assert row.value == pytest.approx(np.mean(ranks))
    assert (row.n, row.unit) == (len(reversed_qrels), "document")


def test_every_leave_one_out_value_is_that_of_the_smaller_space() -> None:
    """Influence values against measuring again without each query."""
    from tests.measures.making import remade

    made = space(n_queries=12, n_documents=40)
    names = ["mean_cosine", "uniformity(t=2)", "participation_ratio"]
    whole = measure_space(made, names)
    for name in names:
        estimate = whole.estimates["queries", name, "unit"]
        left_out = []
        for out in range(12):
            keep = [i for i in range(12) if i != out]
            ids = [made.query_ids[i] for i in keep]
            less = remade(made, made.queries[keep], made.documents, query_ids=ids, qrels={})
            left_out.append(value(less, name, "queries"))
        jackknife = np.std(left_out, ddof=1) * 11 / math.sqrt(12)
        row = whole.row("queries", name, "unit")
        assert row.se == pytest.approx(jackknife, rel=0.12), name
        assert len(estimate.influences[0].values) == 12


@pytest.mark.parametrize(("dim", "best2", "best5"), [(2, -1.5750, -2.0570), (3, -2.0798, -2.9957),
                                                     (64, -3.8752, -9.2277),
                                                     (768, -3.9896, -9.9349)])  # fmt: skip
def test_optimum_of_uniformity(dim, best2, best5) -> None:
    from anisotropy.measures.families.uniformity import optimum

    assert optimum(2, dim) == pytest.approx(best2, abs=6e-5)
    assert optimum(5, dim) == pytest.approx(best5, abs=6e-5)


@pytest.mark.parametrize(
    ("lean", "uniform2", "uniform5", "cosine"),
    [(0.0, -3.990, -9.935, 0.0), (0.5, -3.19, -7.94, 0.2),
     (1.0, -1.994, -4.97, 0.5), (3.0, -0.400, -0.998, 0.9)],
)  # fmt: skip
def test_the_families_on_a_cone(lean, uniform2, uniform5, cosine) -> None:
    """d=768: the table of families in the project's reference, at n=1000 instead of 4000."""
    from anisotropy.spaces import EmbeddingSpace

    rows = cone(1000, 768, lean, 1).astype(np.float32)
    some = EmbeddingSpace(rows, rows[:5])
    found = measure_space(some, ["uniformity(t=2)", "uniformity(t=5)", "mean_cosine"])
    get = lambda name: found.row("queries", name, "unit").value  # noqa: E731
    assert get("uniformity(t=2)") == pytest.approx(uniform2, abs=0.03)
    assert get("uniformity(t=5)") == pytest.approx(uniform5, abs=0.08)
    assert get("mean_cosine") == pytest.approx(cosine, abs=0.01)


@pytest.mark.parametrize(("lean", "partition"), [(0.0, 0.7527), (1.0, 0.1410)])
def test_partition_isotropy_by_its_definition(lean, partition) -> None:
    """N(0, I), d=64, n=4000, and 1 added on one axis: both signs of every eigenvector."""
    from anisotropy.spaces import EmbeddingSpace

    rows = np.random.default_rng(2).standard_normal((4000, 64))
    rows[:, 0] += lean
    found = value(EmbeddingSpace(rows, rows[:5]), "partition_isotropy", "queries", "raw")
    assert found == pytest.approx(partition, abs=0.02)


def test_bias_and_correction_of_the_spectrum() -> None:
    """Isotropic rows, d=768, n=384: plain PR 256 (IsoScore .333), effective rank 355."""
    from anisotropy.spaces import EmbeddingSpace

    rows = np.random.default_rng(0).standard_normal((384, 768))
    found = measure_space(EmbeddingSpace(rows, rows[:5]), [
        "participation_ratio(corrected=False)", "participation_ratio",
        "isoscore(corrected=False)", "effective_rank(n=all)"])  # fmt: skip
    get = lambda name: found.row("queries", name, "raw").value  # noqa: E731
    assert get("participation_ratio(corrected=False)") == pytest.approx(256, abs=3)
    assert get("isoscore(corrected=False)") == pytest.approx(0.333, abs=0.004)
    assert get("effective_rank(n=all)") == pytest.approx(355, abs=1.5)
    assert get("participation_ratio") == pytest.approx(766, abs=25)


def test_order_of_pairs_does_not_depend_on_how_judgments_are_listed() -> None:
    made = space()
    from tests.measures.making import remade

    turned = {q: dict(reversed(j.items())) for q, j in reversed(made.qrels.items())}
    again = remade(made, made.queries, made.documents, qrels=turned)
    for a, b in itertools.zip_longest(measure_space(made).rows, measure_space(again).rows):
        np.testing.assert_equal(a, b)
