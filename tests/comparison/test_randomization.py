"""Randomization of per-query changes: exact where few, calibrated where tied."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from anisotropy.comparison import compare_spaces, sign_flip_p
from anisotropy.measures import measure_space
from anisotropy.statistics import paired_changes
from tests.comparison.test_comparison import noisy
from tests.measures.making import space


def literal(changes: np.ndarray) -> float:
    """Every assignment of signs, one by one."""
    signs = itertools.product((-1, 1), repeat=len(changes))
    sums = [abs(sum(s * c for s, c in zip(row, changes, strict=True))) for row in signs]
    return float(np.mean(np.array(sums) >= abs(changes.sum()) - 1e-9))


@pytest.mark.parametrize("n", [1, 2, 5, 10])
def test_few_changes_are_counted_exactly(n: int) -> None:
    rng = np.random.default_rng(n)
    for values in (rng.standard_normal(n) + 0.5, rng.choice([-0.5, 0.5, 1.0], n)):
        with_zeros = np.concatenate([values, np.zeros(30)])
        assert sign_flip_p(with_zeros) == pytest.approx(literal(values))


def test_scipy_agrees() -> None:
    from scipy.stats import permutation_test

    values = np.random.default_rng(0).standard_normal(11) + 0.4
    wanted = permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip_p(values) == pytest.approx(float(wanted.pvalue))


def test_many_changes_are_drawn_with_a_seed_and_never_zero() -> None:
    values = np.random.default_rng(0).standard_normal(200)
    assert sign_flip_p(values, seed=1) == sign_flip_p(values, seed=1)
    assert sign_flip_p(values, seed=1) != sign_flip_p(values, seed=2)
    assert sign_flip_p(values + 5) == pytest.approx(1e-4)
    assert sign_flip_p(values + 5, rounds=99) == pytest.approx(0.01)
    assert sign_flip_p(np.zeros(20)) == 1.0
    exact, drawn = sign_flip_p(values[:16] + 0.3), sign_flip_p(np.tile(values[:16] + 0.3, 2))
    assert drawn < exact


@pytest.mark.parametrize("zero", [0.0, 0.6, 0.9])
def test_level_with_tied_changes(zero: float) -> None:
    """1,000 null samples of changes on a grid, most of them zero."""
    rng = np.random.default_rng(0)
    rejected = 0
    for _ in range(1000):
        steps = rng.choice([0.25, 0.5, 1.0], 60) * rng.choice([-1, 1], 60)
        changes = np.where(rng.random(60) < zero, 0.0, steps)
        rejected += sign_flip_p(changes, rounds=199, seed=int(rng.integers(1 << 30))) <= 0.05
    assert rejected / 1000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1000)


def test_changes_of_pair_means_are_by_query() -> None:
    """Queries with several positives weigh as many times; their pairs flip together."""
    made = space(n_queries=40, positives=3)
    qrels = {q: dict(list(j.items())[: 1 + i % 3]) for i, (q, j) in enumerate(made.qrels.items())}
    made.qrels = qrels
    a, b = (measure_space(noisy(made, x, s, n)) for x, s, n in ((0.1, 1, "a"), (0.5, 2, "b")))
    for name in ("positive_distance", "positive_percentile", "alignment(alpha=2)"):
        key = ("positives", name, "unit")
        changes = paired_changes(a.estimates[key], b.estimates[key])
        assert changes is not None
        delta = b.estimates[key].value - a.estimates[key].value
        assert changes.mean() == pytest.approx(delta)
    sizes = np.array([len(judged) for judged in qrels.values()])
    distances = [
        np.bincount(one.facts.positives.query, weights=one.facts.positive_distances, minlength=40)
        for one in (a, b)
    ]
    key = ("positives", "positive_distance", "unit")
    wanted = (distances[1] - distances[0]) / sizes.mean()
    assert paired_changes(a.estimates[key], b.estimates[key]) == pytest.approx(wanted)
    rows = {(r.side, r.measure): r for r in compare_spaces(a, b)[0]}
    assert rows["positives", "positive_distance"].p == sign_flip_p(wanted)
    flipped = {name for (_, name), row in rows.items() if row.test == "randomization"}
    assert {"nDCG@10", "RR@10", "R@100", "positive_percentile"} <= flipped
    assert not flipped & {"relative_positive_distance", "mean_cosine", "gap"}
