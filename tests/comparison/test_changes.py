"""Query by query: changes, and how those of geometry go with those of ranking."""

from __future__ import annotations

import math

import numpy as np
import pytest

from anisotropy.comparison import compare_sides, spearman
from anisotropy.comparison.associations import association_rows
from anisotropy.measures import measure_space
from anisotropy.results import Curve
from tests.comparison.test_comparison import noisy
from tests.measures.making import remade, space, unit

NAMES = ("a", "b")


@pytest.fixture(scope="module")
def pair():
    made = space(n_queries=60, n_documents=120)
    a, b = noisy(made, 0.1, 1, "a"), noisy(made, 0.8, 2, "b")
    a.query_texts = [f"text of {name}" for name in a.query_ids]
    order = np.random.default_rng(0).permutation(60)
    documents = np.random.default_rng(1).permutation(120)
    turned = remade(
        b,
        b.queries[order],
        b.documents[documents],
        query_ids=[b.query_ids[i] for i in order],
        doc_ids=[b.doc_ids[i] for i in documents],
    )
    return tuple(measure_space(one, between=True) for one in (a, turned))


@pytest.fixture(scope="module")
def found(pair):
    return compare_sides([pair[0]], [pair[1]], NAMES)


def by_query(curve: Curve, column: str) -> dict[str, float]:
    return dict(zip(curve.columns["query_id"], curve.columns[column], strict=True))


def top(one, query: str, k: int = 10) -> set[str]:
    """The k best documents by cosine, literally."""
    row = unit(one.space.queries)[one.space.query_ids.index(query)]
    scores = unit(one.space.documents) @ row
    return {one.space.doc_ids[i] for i in np.argsort(-scores)[:k]}


def test_changes_are_those_of_each_query(pair, found) -> None:
    (curve,) = found.curves
    assert (curve.name, curve.space, curve.side) == ("changes", "b", "ranking")
    delta = curve.columns["nDCG@10_delta"]
    assert np.all(np.diff(delta) <= 0)
    texts = by_query(curve, "text")
    for side, one in zip("ab", pair, strict=True):
        own = next(c for c in one.curves if c.name == "queries")
        for name in ("nDCG@10", "RR@10", "R@100", "positive_distance", "nearest_distance"):
            wanted, got = by_query(own, name), by_query(curve, f"{name}_{side}")
            assert got == pytest.approx(wanted)
    kept, density = by_query(curve, "neighbors_kept"), by_query(curve, "density_b")
    rows = unit(pair[1].space.queries)
    cosines = rows @ rows.T - 2 * np.eye(60)
    for place, query in enumerate(pair[1].space.query_ids[:20]):
        assert texts[query] == f"text of {query}"
        assert kept[query] == pytest.approx(len(top(pair[0], query) & top(pair[1], query)) / 10)
        assert density[query] == pytest.approx(np.sort(cosines[place])[-10:].mean(), abs=1e-6)


def test_relative_distances_average_to_the_measure(pair, found) -> None:
    (curve,) = found.curves
    key = ("positives", "relative_positive_distance", "unit")
    for side, one in zip("ab", pair, strict=True):
        mean = curve.columns[f"relative_positive_distance_{side}"].mean()
        assert mean == pytest.approx(one.estimates[key].value)


def test_without_documents_there_is_nothing_to_change() -> None:
    made = space(n_queries=20)
    bare = [remade(made, made.queries, made.documents[:0], doc_ids=[], qrels={}, label=x)
            for x in NAMES]  # fmt: skip
    measured = [measure_space(one, ["mean_cosine"], between=True) for one in bare]
    found = compare_sides(measured[:1], measured[1:], NAMES)
    assert found.curves == []
    assert found.associations == []
    assert found.differences


def test_associations_are_spearmans(found) -> None:
    from scipy.stats import spearmanr

    (curve,) = found.curves
    rows = {row.geometry: row for row in found.associations}
    assert {"relative_positive_distance", "positive_percentile", "density"} <= set(rows)
    for name, row in rows.items():
        x, y = curve.columns[f"{name}_delta"], curve.columns["nDCG@10_delta"]
        assert row.correlation == pytest.approx(float(spearmanr(x, y).statistic))
        assert row.ci_low < row.correlation < row.ci_high
        assert (row.effectiveness, row.n, row.method) == ("nDCG@10", 60, "bootstrap")
        assert (row.baseline, row.space) == NAMES
    assert rows["positive_percentile"].ci_high < 0


def made_curve(geometry: np.ndarray, ranked: np.ndarray) -> Curve:
    columns = {"nDCG@10_delta": ranked, "margin_delta": geometry}
    return Curve("changes", "b", "ranking", columns)


def test_too_few_changes_are_withheld_and_named() -> None:
    rng = np.random.default_rng(0)
    ranked = np.zeros(50)
    ranked[:9] = 0.5
    rows, withheld = association_rows(made_curve(rng.standard_normal(50), ranked), NAMES)
    assert rows == []
    (row,) = withheld
    assert row.measure == "association of nDCG@10 and margin"
    assert row.reason == "nDCG@10 changes for 9 of 50 queries; at least 10 are needed"
    rows, (row,) = association_rows(made_curve(np.ones(50), np.arange(50.0)), NAMES)
    assert rows == []
    assert row.reason == "margin changes alike for all queries"
    ranked[:] = rng.standard_normal(50)
    ranked[3] = math.nan
    (row,), _ = association_rows(made_curve(rng.standard_normal(50), ranked), NAMES)
    assert row.n == 49


def test_interval_is_the_bootstrap_of_resampled_rows() -> None:
    """Against drawing rows and ranking them again, one resample at a time."""
    from scipy.special import stdtrit
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    x = rng.standard_normal(80)
    y = np.where(rng.random(80) < 0.5, 0.0, np.round(x + rng.standard_normal(80), 1))
    value, low, high = spearman(x, y, rounds=2000)
    drawn = []
    for _ in range(2000):
        rows = rng.integers(80, size=80)
        drawn.append(np.arctanh(spearmanr(x[rows], y[rows]).statistic))
    reach = float(stdtrit(np.count_nonzero(y) - 1, 0.975)) * np.std(drawn, ddof=1)
    center = math.atanh(float(spearmanr(x, y).statistic))
    assert value == pytest.approx(math.tanh(center))
    assert low == pytest.approx(math.tanh(center - reach), abs=0.02)
    assert high == pytest.approx(math.tanh(center + reach), abs=0.02)
    assert spearman(x, y, rounds=50, seed=1) != spearman(x, y, rounds=50, seed=2)


@pytest.mark.parametrize("zero", [0.0, 0.6, 0.9])
def test_interval_covers_nothing_at_all(zero: float) -> None:
    """300 unrelated samples of 60: most changes of nDCG are 0."""
    rng = np.random.default_rng(0)
    covered = tried = 0
    while tried < 300:
        y = np.where(rng.random(60) < zero, 0.0, np.round(rng.standard_normal(60), 1))
        if np.count_nonzero(y) < 5:
            continue
        _, low, high = spearman(rng.standard_normal(60), y, rounds=200, seed=tried)
        covered += low <= 0 <= high
        tried += 1
    assert covered / 300 > 0.95 - 3 * math.sqrt(0.95 * 0.05 / 300)
