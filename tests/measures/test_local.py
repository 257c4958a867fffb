"""Hubs: literal twins, leaving out, nulls in closed form, the control for an offset."""

from __future__ import annotations

import numpy as np
import pytest

from anisotropy.measures import measure_space
from anisotropy.measures.counts import (
    CLOSED,
    STATISTICS,
    anchors_left_out,
    gini,
    occurrences,
    occurrences_without,
    robin_hood,
    skewness,
)
from anisotropy.measures.jackknife import corrected, left_out
from anisotropy.spaces import EmbeddingSpace
from anisotropy.statistics import Influence
from tests.measures import twins
from tests.measures.making import space, unit


@pytest.fixture(scope="module")
def made():
    return space()


@pytest.fixture(scope="module")
def measured(made):
    names = [f"{name}(k=10{center})" for name in STATISTICS for center in ("", ",center=sides")]
    return measure_space(made, names)


TWINS = {
    "hubness_gini": twins.gini,
    "hubness_robin_hood": twins.robin_hood,
    "hubness_skewness": twins.skewness,
    "antihub_share": lambda counts: sum(c == 0 for c in counts) / len(counts),
}


@pytest.mark.parametrize("on", ["unit", "center>unit"])
@pytest.mark.parametrize("name", TWINS)
def test_hubness(made, measured, name, on) -> None:
    q, d = made.queries, made.documents
    row = lambda side, inside="k=10": measured.row(side, f"{name}({inside})", on)  # noqa: E731
    for side, rows in (("queries", q), ("documents", d)):
        u = unit(rows - rows.mean(0)) if on != "unit" else unit(rows)
        scores = u @ u.T
        np.fill_diagonal(scores, -np.inf)
        expected = TWINS[name](twins.occurrences(scores, 10))
        assert row(side).value == pytest.approx(expected)
    center = (q.mean(0) + d.mean(0)) / 2 if on != "unit" else 0
    scores = unit(q - center) @ unit(d - center).T
    for side, table in (("ranking", scores), ("dual_ranking", scores.T)):
        assert row(side).value == pytest.approx(TWINS[name](twins.occurrences(table, 10)))
    sides = unit(q - q.mean(0)) @ unit(d - d.mean(0)).T
    for side, table in (("ranking", sides), ("dual_ranking", sides.T)):
        found = row(side, "k=10, center=sides")
        if on == "unit":
            assert found is None
        else:
            expected = TWINS[name](twins.occurrences(table, 10))
            assert found.value == pytest.approx(expected)


def test_centered_sides_are_searched_where_mining_has_no_lists(made, measured) -> None:
    from tests.measures.making import remade

    bare = remade(made, made.queries, made.documents, qrels={})
    name, place = "hubness_gini(k=10, center=sides)", "center>unit"
    found = measure_space(bare, [name])
    for side in ("ranking", "dual_ranking"):
        assert found.row(side, name, place).value == pytest.approx(
            measured.row(side, name, place).value
        )


def test_statistics_of_plain_counts() -> None:
    assert gini(np.array([0, 0, 0, 4])) == pytest.approx(0.75)
    assert robin_hood(np.array([0, 0, 0, 4])) == pytest.approx(0.75)
    assert gini(np.ones(7)) == pytest.approx(0)
    assert robin_hood(np.ones(7)) == 0
    assert np.isnan(gini(np.zeros(3)))
    assert np.isnan(robin_hood(np.zeros(3)))
    assert np.isnan(skewness(np.ones(5)))


def test_skewness_is_that_of_scipy() -> None:
    from scipy.stats import skew

    counts = np.random.default_rng(0).negative_binomial(1, 0.1, 300)
    assert skewness(counts) == pytest.approx(float(skew(counts)))


@pytest.mark.parametrize(
    ("draws", "n", "k", "expected"),
    [
        (4999, 5000, 10, (0.315, 0.00004, 0.125)),
        (4999, 5000, 200, (0.066, 0.0, 0.0276)),
        (5000, 50000, 10, (1.000, 0.368, 0.368)),
        (5000, 50000, 200, (0.222, 0.0, 0.0887)),
    ],
)
def test_nulls_in_closed_form(draws, n, k, expected) -> None:
    """The project's table of nulls, within its last digit; and a simulation."""
    names = ("hubness_skewness", "antihub_share", "hubness_robin_hood")
    p = k / (n - 1 if draws == n - 1 else n)
    found = [CLOSED[name](draws, p) for name in names]
    assert found == pytest.approx(expected, rel=0.002, abs=6e-4)
    counts = np.random.default_rng(0).binomial(draws, p, size=n)
    for name, value in zip(names, found, strict=True):
        assert STATISTICS[name](counts) == pytest.approx(
            value, abs=0.12 if "skew" in name else 0.005
        )


def test_the_null_stands_beside_the_value() -> None:
    made = space(n_queries=400, n_documents=2000, dim=16, positives=1)
    found = measure_space(made, ["antihub_share(k=10)", "hubness_skewness(k=10)"])
    row = found.row("ranking", "antihub_share(k=10)", "unit")
    assert row.null_mean == (1 - 10 / 2000) ** 400
    assert row.null_sd > 0
    row = found.row("queries", "hubness_skewness(k=10)", "unit")
    assert row.null_mean == pytest.approx((1 - 2 * (p := 10 / 399)) / np.sqrt(399 * p * (1 - p)))
    assert np.isnan(row.se)


def test_an_offset_makes_hubs_and_centering_each_side_removes_them() -> None:
    """Simulated in the project's reference, equal n: raw .92, joint mean .80, sides .19, none .18.

    A shift of 1 and k=10; there 5000 rows, here 1500, a little more even.
    """
    rng = np.random.default_rng(1)
    sides = [unit(rng.standard_normal((1500, 32))) for _ in range(2)]
    plain = EmbeddingSpace(*sides)
    shifted = EmbeddingSpace(sides[0] + np.eye(32)[0], sides[1])
    names = ["hubness_gini(k=10)", "hubness_gini(k=10,center=sides)"]
    before, after = measure_space(plain, names), measure_space(shifted, names)
    get = lambda found, on, name="hubness_gini(k=10)": found.row("ranking", name, on).value  # noqa: E731
    assert get(before, "unit") == pytest.approx(0.18, abs=0.03)
    assert get(after, "unit") == pytest.approx(0.92, abs=0.06)
    assert get(after, "center>unit") == pytest.approx(0.80, abs=0.1)
    sides_name = "hubness_gini(k=10, center=sides)"
    assert get(after, "center>unit", sides_name) == pytest.approx(0.19, abs=0.03)


@pytest.mark.parametrize(
    ("lean", "skew", "hood", "antihubs"),
    [(0.0, (0.25, 0.5), (0.115, 0.135), (0, 0.001)), (1.0, (8, 30), (0.76, 0.83), (0.57, 0.66))],
)
def test_a_shift_of_the_anchors(lean, skew, hood, antihubs) -> None:
    """5000 targets on the sphere in 32 dimensions, 5000 shifted anchors, k=10; the table."""
    from anisotropy.neighbors import top_neighbors

    rng = np.random.default_rng(5)
    targets, anchors = (unit(rng.standard_normal((5000, 32))).astype("f4") for _ in range(2))
    anchors = anchors + np.float32(lean) * np.eye(32, dtype="f4")[0]
    counts = occurrences(top_neighbors(anchors, targets, 10).index, 10, 5000)
    for (low, high), name in zip(
        (skew, hood, antihubs),
        ("hubness_skewness", "hubness_robin_hood", "antihub_share"),
        strict=True,
    ):
        assert low <= STATISTICS[name](counts) <= high


def test_anchors_left_out_are_exact() -> None:
    rng = np.random.default_rng(0)
    index = np.array([rng.choice(15, 4, replace=False) for _ in range(9)])
    for name in ("hubness_gini", "hubness_robin_hood", "antihub_share"):
        exact = [
            STATISTICS[name](occurrences(np.delete(index, i, axis=0), 4, 15))
            for i in range(len(index))
        ]
        values = anchors_left_out(index, 4, 15, name)
        np.testing.assert_allclose(
            values - values.mean(), -8 * (exact - np.mean(exact)), atol=1e-9
        )


@pytest.mark.parametrize("out", [(2,), (0, 3)])
def test_blocks_left_out_are_those_of_the_smaller_set(out) -> None:
    rng = np.random.default_rng(1)
    u = unit(rng.standard_normal((40, 5)))
    scores = u @ u.T
    np.fill_diagonal(scores, -np.inf)
    order = np.argsort(-scores, axis=1)
    block = np.arange(40) % 5
    found = occurrences_without(order[:, :32], 6, 40, out, anchor_block=block, target_block=block)
    keep = np.flatnonzero(~np.isin(block, out))
    small = np.argsort(-scores[np.ix_(keep, keep)], axis=1)
    np.testing.assert_array_equal(found, occurrences(small, 6, len(keep)))


def test_interactions_are_taken_off_the_variance() -> None:
    """A pure interaction, x_i x_j: its jackknife variance is twice too large; a mean's right."""
    rng = np.random.default_rng(0)
    ratios: dict[str, list[float]] = {"pairs": [], "mean": []}
    for _ in range(200):
        x = rng.standard_normal(20)

        def without(out, x=x):
            left = np.delete(x, list(out))
            m = len(left)
            return np.array([(left.sum() ** 2 - (left**2).sum()) / (m * (m - 1)), left.mean()])

        values, excess = left_out(without(()), without, 20)
        for column, name in enumerate(ratios):
            one = Influence(list(range(20)), -19 * (values[:, column] - values[:, column].mean()))
            ratios[name].append((one.variance, excess[column]))
    pairs, mean = (np.array(r).mean(axis=0) for r in ratios.values())
    truth = 2 / (20 * 19)
    assert pairs[0] > 1.7 * truth
    assert pairs[0] - pairs[1] == pytest.approx(truth, rel=0.25)
    assert mean[1] < 1e-20


def test_the_correction_halves_the_variance_at_most() -> None:
    one = Influence([0, 1, 2], np.array([1.0, -1.0, 0.0]))
    assert corrected(one, 10.0).variance == pytest.approx(one.variance / 2)
    assert corrected(one, 0.0).variance == pytest.approx(one.variance)
    still = Influence([0, 1], np.zeros(2))
    assert corrected(still, 1.0) is still
