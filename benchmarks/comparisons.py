"""Simulations behind docs/statistics.md: levels of tests and coverage of intervals.

python benchmarks/comparisons.py seeds          # several checkpoints a side
python benchmarks/comparisons.py associations   # Spearman with tied changes
python benchmarks/comparisons.py randomization  # sign flips of tied changes
python benchmarks/comparisons.py nulls          # two noisy, rotated encodings of the same rows
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np

from anisotropy.comparison import compare_spaces, sign_flip_p, spearman
from anisotropy.comparison.seeds import seed_difference
from anisotropy.measures import measure_space
from anisotropy.spaces import EmbeddingSpace
from anisotropy.statistics import Estimate, Influence

QUERIES = 100
KEYS = [f"q{i}" for i in range(QUERIES)]
SEEDS = ((2, 2), (3, 2), (3, 3), (5, 5))
#: Spread between seeds, of a method's effect on a query, and of both together.
SPREADS = (
    (0.1, 0.3, 0.3),
    (0, 0.3, 0.3),
    (0.1, 0, 0.3),
    (0.02, 0.5, 0.1),
    (0.05, 0.3, 1),
    (0, 1, 0),
)


def seeds(rounds: int = 4000) -> None:
    """Share of null comparisons of methods that are called different."""
    for counts in SEEDS:
        for spread in SPREADS:
            rng = np.random.default_rng(0)
            hits = sum(_seed_p(counts, spread, rng) < 0.05 for _ in range(rounds))
            print(*counts, *spread, f"{hits / rounds:.3f}", sep="\t")


def _seed_p(counts: tuple[int, int], spread: tuple[float, ...], rng: np.random.Generator) -> float:
    shared = 0.5 * rng.standard_normal(QUERIES)
    sides = []
    for count in counts:
        query = shared + spread[1] * rng.standard_normal(QUERIES)
        values = query + spread[0] * rng.standard_normal((count, 1))
        values = values + spread[2] * rng.standard_normal((count, QUERIES))
        sides.append([_estimate(row) for row in values])
    return seed_difference(sides[0], sides[1]).interval.p


def _estimate(values: np.ndarray) -> Estimate:
    mean = float(values.mean())
    return Estimate(mean, (Influence(KEYS, values - mean),), len(values), "query", "queries")


def associations(rounds: int = 500) -> None:
    """Coverage of the interval of Spearman's correlation where most changes are 0."""
    for n in (50, 200):
        for zero in (0.0, 0.6, 0.9):
            for rho in (0.0, 0.3, 0.7):
                print(n, zero, rho, f"{_coverage(n, zero, rho, rounds):.3f}", sep="\t")


def _coverage(n: int, zero: float, rho: float, rounds: int) -> float:
    from scipy.stats import spearmanr

    rng = np.random.default_rng(1)
    true = float(spearmanr(*_changes(400_000, zero, rho, rng)).statistic)
    covered = tried = 0
    while tried < rounds:
        x, y = _changes(n, zero, rho, rng)
        if np.count_nonzero(y) >= 5:
            _, low, high = spearman(x, y, seed=tried)
            covered += low <= true <= high
            tried += 1
    return covered / rounds


def _changes(
    n: int, zero: float, rho: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A change in geometry, and one in ranking on a grid with a share of zeros."""
    x = rng.standard_normal(n)
    y = rho * x + np.sqrt(1 - rho**2) * rng.standard_normal(n)
    edge = np.quantile(np.abs(np.random.default_rng(0).standard_normal(100_000)), zero)
    steps = np.sign(y) * np.ceil(3 * np.maximum(np.abs(y) - edge, 0)) / 3
    return x, (steps if zero else y)


def randomization(rounds: int = 4000) -> None:
    """Level of the sign-flip test on changes of which most are 0."""
    for n in (30, 100):
        for zero in (0.0, 0.6, 0.9):
            rng = np.random.default_rng(0)
            hits = 0
            for r in range(rounds):
                steps = rng.choice([0.25, 0.5, 1.0], n) * rng.choice([-1, 1], n)
                changes = np.where(rng.random(n) < zero, 0.0, steps)
                hits += sign_flip_p(changes, rounds=999, seed=r) <= 0.05
            print(n, zero, f"{hits / rounds:.3f}", sep="\t")


def nulls(rounds: int = 500) -> None:
    """Rejections of each default measure for two noisy, rotated encodings of the same rows."""
    hits: Counter[tuple[str, ...]] = Counter()
    for number in range(rounds):
        a, b = (measure_space(one) for one in _null_pair(np.random.default_rng(number)))
        for row in compare_spaces(a, b)[0]:
            if np.isfinite(row.p):
                hits[row.side, row.measure, row.on, str(row.test)] += row.p < 0.05
    for key, count in hits.items():
        print(*key, f"{count / rounds:.3f}", sep="\t")


def _null_pair(
    rng: np.random.Generator, n: int = 150, documents: int = 300, dim: int = 16
) -> list[EmbeddingSpace]:
    rows = rng.standard_normal((documents, dim)) / np.sqrt(dim) + 0.5 * np.eye(dim)[0]
    chosen = [rng.choice(documents, 2, replace=False) for _ in range(n)]
    near = np.array([rows[c].mean(axis=0) for c in chosen])
    near += 0.7 * rng.standard_normal(near.shape) / np.sqrt(dim)
    qrels = {str(q): {str(d): 1 + int(k == 0) for k, d in enumerate(c)}
             for q, c in enumerate(chosen)}  # fmt: skip
    spaces = []
    for label in "ab":
        turn = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
        encoded = [(x + 0.3 * rng.standard_normal(x.shape) / np.sqrt(dim)) @ turn
                   for x in (near, rows)]  # fmt: skip
        spaces.append(EmbeddingSpace(*encoded, qrels=qrels, label=label))
    return spaces


if __name__ == "__main__":
    studies = {f.__name__: f for f in (seeds, associations, randomization, nulls)}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=studies)
    studies[parser.parse_args().study]()
