"""Do the intervals cover, and are null pairs left alone? Small versions of the calibration."""

from __future__ import annotations

import math

import numpy as np
import pytest

from anisotropy.comparison import compare_spaces
from anisotropy.measures import measure_space
from anisotropy.spaces import EmbeddingSpace
from tests.measures.making import rotation, unit

ROUNDS = 150
NAMES = ["mean_cosine", "participation_ratio", "uniformity(t=2)", "alignment(alpha=2)"]
# 95% nominal; three binomial standard errors of 150 rounds are 5%.
LOW, HIGH = 0.90, 1.0


def draw(rng: np.random.Generator, n: int, dim: int = 6, lean: float = 0.6) -> np.ndarray:
    rows = rng.standard_normal((n, dim)) / np.sqrt(dim)
    rows[:, 0] += lean
    rows[:, 1] *= 2
    return rows


def judged_space(rng: np.random.Generator, n: int) -> EmbeddingSpace:
    """One to five positives a query, all off by the query's own amount (correlated)."""
    queries = draw(rng, n)
    counts = rng.integers(1, 6, n)
    owner = np.repeat(np.arange(n), counts)
    own = 0.3 * rng.standard_normal((n, 6))[owner]
    documents = queries[owner] + own + 0.3 * rng.standard_normal((len(owner), 6))
    qrels: dict[str, dict[str, int]] = {str(i): {} for i in range(n)}
    for document, query in enumerate(owner):
        qrels[str(query)][str(document)] = 1
    return EmbeddingSpace(queries, documents, qrels=qrels)


@pytest.mark.slow
def test_intervals_over_queries_cover() -> None:
    rng = np.random.default_rng(0)
    large = measure_space(judged_space(rng, 4000), NAMES)
    places = {"mean_cosine": "queries", "participation_ratio": "queries",
              "uniformity(t=2)": "queries", "alignment(alpha=2)": "positives"}  # fmt: skip
    hits = dict.fromkeys(NAMES, 0)
    for _ in range(ROUNDS):
        found = measure_space(judged_space(rng, 50), NAMES)
        for name, side in places.items():
            truth, row = (x.row(side, name, "unit") for x in (large, found))
            hits[name] += row.ci_low <= truth.value <= row.ci_high
    for name, count in hits.items():
        assert LOW <= count / ROUNDS <= HIGH, (name, count / ROUNDS)


@pytest.mark.slow
def test_the_corrected_gap_covers_where_the_plain_one_cannot() -> None:
    """Many dimensions and few rows: the plain gap is biased up beyond its interval."""
    rng = np.random.default_rng(1)
    offset = 0.08
    sides = [draw(rng, 200_000, 48), draw(rng, 200_000, 48)]
    sides[0][:, 1] += offset
    truth = np.linalg.norm(unit(sides[0]).mean(axis=0) - unit(sides[1]).mean(axis=0))
    hits = {"gap": 0, "gap(corrected=False)": 0}
    for _ in range(ROUNDS):
        queries, documents = draw(rng, 60, 48), draw(rng, 150, 48)
        queries[:, 1] += offset
        for row in measure_space(EmbeddingSpace(queries, documents), list(hits)).rows:
            hits[row.measure] += row.ci_low <= truth <= row.ci_high
    assert hits["gap"] / ROUNDS >= LOW
    assert hits["gap(corrected=False)"] / ROUNDS < 0.5


@pytest.mark.slow
def test_null_pairs_are_not_called_different_too_often() -> None:
    """Two noisy, differently rotated encodings of the same rows; documents as well."""
    rng = np.random.default_rng(2)
    rounds = 100
    latent_documents = draw(rng, 80)
    names = ["mean_cosine", "participation_ratio", "uniformity(t=2)", "gap", "mean_norm"]
    calls: dict[tuple[str, str], list[bool]] = {}
    for round_number in range(rounds):
        latent = draw(rng, 50)
        measured = [
            measure_space(_noisy(rng, latent, latent_documents, 2 * round_number + i), names)
            for i in (0, 1)
        ]
        for row in compare_spaces(*measured)[0]:
            if row.side == "queries" and not math.isnan(row.p):
                calls.setdefault((row.measure, row.on), []).append(row.p < 0.05)
    assert len(calls) >= 4
    for key, called in calls.items():
        assert np.mean(called) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / rounds), key


def _noisy(
    rng: np.random.Generator, queries: np.ndarray, documents: np.ndarray, seed: int
) -> EmbeddingSpace:
    turn = rotation(queries.shape[1], seed)
    rows = [(x + 0.2 * rng.standard_normal(x.shape)) @ turn for x in (queries, documents)]
    return EmbeddingSpace(*rows, label=str(seed))


def test_a_planted_difference_is_found() -> None:
    rng = np.random.default_rng(3)
    queries, documents = draw(rng, 150), draw(rng, 80)
    flat = queries - [0.3, 0, 0, 0, 0, 0]
    a, b = (measure_space(EmbeddingSpace(q, documents), ["mean_cosine"]) for q in (queries, flat))
    row = next(r for r in compare_spaces(a, b)[0] if (r.side, r.on) == ("queries", "unit"))
    assert row.ci_high < 0
    assert row.p < 1e-6
