"""Several checkpoints a side: what is resampled, and how sure that makes the difference."""

from __future__ import annotations

import math

import numpy as np
import pytest

from anisotropy.comparison import compare_sides
from anisotropy.comparison.seeds import seed_difference
from anisotropy.errors import NotComparable, UsageError
from anisotropy.measures import measure_space
from anisotropy.measures.headline import HEADLINE
from anisotropy.statistics import Estimate, Influence, paired_difference
from tests.comparison.test_comparison import noisy
from tests.measures.making import space

KEYS = [f"q{i}" for i in range(40)]


def estimate(values: np.ndarray, keys: list[str] = KEYS) -> Estimate:
    """The mean of one value a query."""
    mean = float(values.mean())
    return Estimate(mean, (Influence(keys, values - mean),), len(values), "query", "queries")


def census(value: float) -> Estimate:
    return Estimate(value, n=100, unit="document")


def drawn(rng: np.random.Generator, seeds: int, sd: float, query: np.ndarray) -> list[Estimate]:
    return [estimate(query + sd * rng.standard_normal() + rng.normal(0, 0.3, 40))
            for _ in range(seeds)]  # fmt: skip


def test_a_census_is_welchs_test_over_seeds() -> None:
    from scipy.stats import ttest_ind

    a, b = [0.1, 0.2, 0.15, 0.4], [0.5, 0.3, 0.45]
    found = seed_difference([census(v) for v in a], [census(v) for v in b])
    wanted = ttest_ind(b, a, equal_var=False)
    low, high = wanted.confidence_interval(0.95)
    assert found.interval.p == pytest.approx(float(wanted.pvalue))
    assert (found.interval.low, found.interval.high) == pytest.approx((float(low), float(high)))
    pooled = math.sqrt((np.var(a, ddof=1) + np.var(b, ddof=1)) / 2)
    assert found.effect_size == pytest.approx((np.mean(b) - np.mean(a)) / pooled)


def test_seeds_that_agree_leave_the_paired_difference_over_queries() -> None:
    rng = np.random.default_rng(0)
    a, b = (estimate(rng.standard_normal(40)) for _ in range(2))
    found = seed_difference([a, a, a], [b, b])
    wanted = paired_difference(a, b)
    assert found.delta == pytest.approx(wanted.delta)
    assert found.interval.se == pytest.approx(wanted.interval.se)
    assert found.interval.p == pytest.approx(wanted.interval.p)


def test_variance_is_that_of_a_crossed_design() -> None:
    """Against the expected mean squares, literally, on one side; the other has none."""
    rng = np.random.default_rng(1)
    table = rng.standard_normal((3, 40)) + rng.standard_normal((3, 1)) + rng.standard_normal(40)
    a = [estimate(np.zeros(40)) for _ in range(2)]
    found = seed_difference(a, [estimate(row) for row in table])
    grand, seeds, queries = table.mean(), table.mean(axis=1), table.mean(axis=0)
    of_seeds = 40 * ((seeds - grand) ** 2).sum() / 2
    of_queries = 3 * ((queries - grand) ** 2).sum() / 39
    both = ((table - seeds[:, None] - queries + grand) ** 2).sum() / (2 * 39)
    assert found.interval.se**2 == pytest.approx((of_seeds + of_queries - both) / 120)


def test_ids_are_paired_and_must_be_the_same() -> None:
    rng = np.random.default_rng(2)
    values = [rng.standard_normal(40) for _ in range(4)]
    straight = [estimate(v) for v in values]
    order = rng.permutation(40)
    turned = estimate(values[3][order], [KEYS[i] for i in order])
    first = seed_difference(straight[:2], straight[2:])
    again = seed_difference(straight[:2], [straight[2], turned])
    assert again.interval.se == pytest.approx(first.interval.se)
    other = estimate(values[3], [f"x{i}" for i in range(40)])
    with pytest.raises(NotComparable, match="different ids"):
        seed_difference(straight[:2], [straight[2], other])


def test_a_withheld_interval_stays_withheld() -> None:
    bare = Estimate(0.5, (), 40, "query", "queries")
    found = seed_difference([bare, bare], [bare, estimate(np.arange(40.0))])
    assert math.isnan(found.interval.p)
    assert math.isnan(found.interval.low)


@pytest.mark.parametrize("seeds", [(3, 3), (5, 4)])
@pytest.mark.parametrize(("sd", "query_sd"), [(0.2, 0.3), (0.0, 0.3), (0.2, 0.0)])
def test_level_with_few_seeds(seeds: tuple[int, int], sd: float, query_sd: float) -> None:
    """600 null pairs: rejected at 5%, never more than that beyond binomial error."""
    rng = np.random.default_rng(3)
    rejected = 0
    for _ in range(600):
        sides = [drawn(rng, n, sd, query_sd * rng.standard_normal(40)) for n in seeds]
        rejected += seed_difference(*sides).interval.p < 0.05
    assert rejected / 600 < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 600)


@pytest.fixture(scope="module")
def sides():
    made = space(n_queries=60, n_documents=120)
    parts = [("a1", 0.2), ("a2", 0.2), ("a3", 0.2), ("b1", 1.5), ("b2", 1.5)]
    measured = [
        measure_space(noisy(made, amount, seed, label), between=True)
        for seed, (label, amount) in enumerate(parts)
    ]
    return measured[:3], measured[3:]


def test_every_row_is_over_seeds_and_the_census_is_tested(sides) -> None:
    a, b = sides
    found = compare_sides(a, b, ("old", "new"))
    assert {row.unit for row in found.differences} == {"seed"}
    assert {row.n for row in found.differences} == {5}
    assert {(row.baseline, row.space) for row in found.differences} == {("old", "new")}
    headline = [row for row in found.differences if row.headline]
    assert len(headline) == len(HEADLINE)
    for row in headline:
        values = [[one.estimates[row.side, row.measure, row.on].value for one in s] for s in sides]
        assert (row.a, row.b) == pytest.approx(tuple(map(np.mean, values)))
        assert row.test == "t"
        assert 0 < row.p <= row.p_holm <= 1
    smallest = min((r for r in headline if r.family != "effectiveness"), key=lambda r: r.p)
    assert smallest.p_holm == pytest.approx(min(12 * smallest.p, 1))
    (curve,) = found.curves
    mean = np.mean([s.curves[-1].columns["nDCG@10"] for s in a], axis=0)
    assert sorted(curve.columns["nDCG@10_a"]) == pytest.approx(sorted(mean))
    assert all(math.isnan(row.ci_low) for row in found.similarities)


def test_one_against_several_is_refused(sides) -> None:
    a, b = sides
    with pytest.raises(UsageError, match=r"got 1 checkpoint\(s\) of a and 2 of b"):
        compare_sides(a[:1], b, ("old", "new"))


@pytest.mark.parametrize(("shift", "found"), [(1e-8, False), (1e-4, True)])
def test_rounding_is_no_finding_and_more_than_that_is(shift: float, found: bool) -> None:
    """Every query moves the same way by next to nothing: t would be enormous."""
    rng = np.random.default_rng(0)
    values = 0.6 + 0.1 * rng.normal(size=len(KEYS))
    moved = [values + shift * (1 + 0.01 * rng.normal(size=len(KEYS))) for _ in range(3)]
    pair = paired_difference(estimate(values), estimate(moved[0])).interval
    seeds = seed_difference(
        [estimate(values)] * 3, [estimate(one) for one in moved]
    ).interval  # fmt: skip
    for interval in (pair, seeds):
        assert (interval.low > 0) == found
        assert interval.p < 0.01 if found else interval.p == 1


@pytest.mark.parametrize("n", [2, 4, 5])
def test_a_difference_of_few_units_stands_alone(n: int) -> None:
    values = np.linspace(0.1, 0.5, n)
    moved = values + np.linspace(0.2, 0.3, n)
    interval = paired_difference(estimate(values, KEYS[:n]), estimate(moved, KEYS[:n])).interval
    assert math.isnan(interval.low) == math.isnan(interval.p) == (n < 5)
