"""Slow, literal twins of the fast computations: loops over the definitions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import numpy as np

from tests.measures.making import unit


def pairs_mean(rows: np.ndarray, function) -> float:
    return float(np.mean([function(a, b) for a, b in itertools.combinations(rows, 2)]))


def mean_cosine(rows: np.ndarray) -> float:
    return pairs_mean(unit(rows), lambda a, b: float(a @ b))


def uniformity(rows: np.ndarray, t: float) -> float:
    return math.log(
        pairs_mean(unit(rows), lambda a, b: math.exp(-t * float(((a - b) ** 2).sum())))
    )


def partition(rows: np.ndarray) -> float:
    _, vectors = np.linalg.eigh(rows.T @ rows)
    sums = [
        sum(math.exp(sign * float(v @ x)) for x in rows) for v in vectors.T for sign in (-1, 1)
    ]
    return min(sums) / max(sums)


def participation(rows: np.ndarray) -> float:
    values = np.linalg.eigvalsh(np.cov(rows.T))
    return float(values.sum() ** 2 / (values**2).sum())


def effective_rank(rows: np.ndarray) -> float:
    s = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)
    q = s[s > 1e-9] / s.sum()
    return math.exp(-sum(x * math.log(x) for x in q))


def occurrences(scores: np.ndarray, k: int) -> np.ndarray:
    """Of each column, how many rows have it among their k largest."""
    counts = np.zeros(scores.shape[1], dtype=int)
    for row in scores:
        for column in sorted(range(len(row)), key=lambda j: -row[j])[:k]:
            counts[column] += 1
    return counts


def gini(counts: np.ndarray) -> float:
    """Mean absolute difference of two items over twice the mean."""
    differences = [abs(float(a) - float(b)) for a in counts for b in counts]
    return float(np.mean(differences)) / (2 * float(np.mean(counts)))


def mining(scores: np.ndarray, positive: np.ndarray, k: int) -> np.ndarray:
    """Rows are anchors: each spreads 1 over its k best columns that are not positive."""
    p = np.zeros(scores.shape[1])
    for row, mine in zip(scores, positive, strict=True):
        best = [j for j in sorted(range(len(row)), key=lambda j: -row[j])[:k] if not mine[j]]
        for j in best:
            p[j] += 1 / len(best)
    return p / p.sum()


def kl(p: np.ndarray) -> float:
    return sum(x * math.log(x * len(p)) for x in p if x > 0)


def percentile(distances: np.ndarray, positive: int) -> float:
    """Share of the other documents nearer than the positive, ties by half."""
    others = [d for j, d in enumerate(distances) if j != positive]
    own = distances[positive]
    nearer = sum(d < own - 1e-9 for d in others)
    tied = sum(abs(d - own) <= 1e-9 for d in others)
    return float(nearer + tied / 2) / len(others)


def unbiased_hsic(k: np.ndarray, other: np.ndarray) -> float:
    """Gram form of Song et al. (2012)."""
    n = len(k)
    k, other = k - np.diag(np.diag(k)), other - np.diag(np.diag(other))
    one = np.ones(n)
    first = np.trace(k @ other)
    second = (one @ k @ one) * (one @ other @ one) / ((n - 1) * (n - 2))
    third = 2 / (n - 2) * (one @ k @ other @ one)
    return float(first + second - third) / (n * (n - 3))


def cka(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    k, other = x @ x.T, y @ y.T
    return unbiased_hsic(k, other) / math.sqrt(unbiased_hsic(k, k) * unbiased_hsic(other, other))


def ndcg(run: Mapping[str, float], judged: Mapping[str, int], cutoff: int) -> float:
    ranked = sorted(run, key=lambda d: (np.float32(run[d]), d), reverse=True)[:cutoff]
    gained = sum(judged.get(d, 0) / math.log2(i + 2) for i, d in enumerate(ranked))
    best = sorted(judged.values(), reverse=True)[:cutoff]
    return gained / sum(g / math.log2(i + 2) for i, g in enumerate(best))


def robin_hood(counts: np.ndarray) -> float:
    mean = sum(counts) / len(counts)
    return float(sum(abs(c - mean) for c in counts)) / (2 * float(sum(counts)))


def skewness(counts: np.ndarray) -> float:
    mean = sum(counts) / len(counts)
    second, third = (sum((c - mean) ** p for c in counts) / len(counts) for p in (2, 3))
    return float(third / second**1.5)


def law(
    scores: np.ndarray,
    positive: np.ndarray,
    k: int,
    name: str,
    temperature: float,
    weights: np.ndarray,
) -> np.ndarray:
    """Rows are anchors: each spreads its weight over its k best columns that are not positive."""
    p = np.zeros(scores.shape[1])
    for row, mine, weight in zip(scores, positive, weights, strict=True):
        best = [j for j in sorted(range(len(row)), key=lambda j: -row[j])[:k] if not mine[j]]
        mean = sum(row[j] for j in best) / len(best)
        sd = math.sqrt(sum((row[j] - mean) ** 2 for j in best) / len(best))
        share = {
            "uniform": lambda j: 1.0,
            "softmax": lambda j, row=row: math.exp(row[j] / temperature),
            "softmax_standardized": lambda j, row=row, mean=mean, sd=sd: math.exp(
                (row[j] - mean) / sd
            ),
        }[name]
        total = sum(share(j) for j in best)
        for j in best:
            p[j] += weight * share(j) / total
    return p / p.sum()


def kept(
    scores: np.ndarray, positive: np.ndarray, k: int, number: int, rounds: int
) -> list[float]:
    """KL of the counts when every anchor keeps some of its list, a value a round."""
    rng = np.random.default_rng(99)
    values = []
    for _ in range(rounds):
        p = np.zeros(scores.shape[1])
        for row, mine in zip(scores, positive, strict=True):
            best = [j for j in sorted(range(len(row)), key=lambda j: -row[j])[:k] if not mine[j]]
            for j in rng.choice(best, min(number, len(best)), replace=False):
                p[j] += 1 / min(number, len(best))
        values.append(kl(p / p.sum()))
    return values


def positive_share(scores: np.ndarray, positive: np.ndarray, k: int, role: str) -> float:
    """Each positive of a query is the recorded, and dropped, one with equal chance."""
    chance = positive / np.maximum(positive.sum(1, keepdims=True), 1)
    if role == "queries":
        scores, positive, chance = scores.T, positive.T, chance.T
    shares = []
    for row, mine, dropped in zip(scores, positive, chance, strict=True):
        if mine.any():
            best = sorted(range(len(row)), key=lambda j: -row[j])[:k]
            gone = sum(dropped[j] for j in best)
            shares.append((sum(mine[j] for j in best) - gone) / (len(best) - gone))
    return float(np.mean(shares))
