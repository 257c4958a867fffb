"""The calibration benchmark runs, and would notice intervals that do not cover."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from anisotropy.measures import measure_space
from anisotropy.measures.registry import registry
from anisotropy.spaces import EmbeddingSpace
from anisotropy.statistics import Estimate, Influence, interval
from benchmarks.calibration import targets
from benchmarks.calibration.coverage import Covered, covered, wilson
from benchmarks.calibration.levels import level
from benchmarks.calibration.pages import write
from benchmarks.calibration.plan import Run, Size

NAMES = ("mean_cosine", "gap", "nDCG@10", "uniformity(t=2)")


@pytest.mark.slow
def test_a_small_calibration_covers_and_writes_its_pages(tmp_path: Path) -> None:
    size = Size(replicates=30, cheap=30, pairs=2, planted=2, truths=2, large=2500,
                scenarios=("cone",), only=NAMES, effects=("cone:0.2",))  # fmt: skip
    run = Run(size, tmp_path / "work")
    run.finish(1)
    found = {(c.design, *c.row): c for c in run.coverage()}
    for key, one in found.items():
        assert one.coverage >= 0.7 or one.replicates < 30, (key, one)
        assert one.sd > 0, key
    assert {key[2] for key in found} >= set(NAMES)
    assert ("both", "cross", "gap", "unit") in found
    assert ("sampled queries", "queries", "uniformity(t=2)", "unit") in found
    calls = run.planted("cone:0.2")["queries", "mean_cosine", "unit"]
    assert np.mean(calls[:, 2] < 0.05) == 1
    write(run, tmp_path / "docs")
    page = (tmp_path / "docs" / "calibration.md").read_text("utf-8")
    assert "<!--" not in page
    assert "`uniformity(t=2)`" in page
    lines = (tmp_path / "docs" / "calibration.csv").read_text("utf-8").splitlines()
    assert len({line.count(",") for line in lines if '"' not in line}) == 1
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "work").iterdir()}
    run.finish(1)
    assert before == {file: file.stat().st_mtime_ns for file in (tmp_path / "work").iterdir()}


def made(errors: float, n: int = 400) -> Covered:
    """Intervals of `errors` standard errors around normal values."""
    values = np.random.default_rng(0).standard_normal(n)
    rows = np.stack([values, np.ones(n), values - errors, values + errors], axis=1)
    return covered("cone", "queries", ("queries", "mean_cosine", "unit"), rows, 0.0)


def test_verdicts_of_coverage() -> None:
    assert [made(errors).verdict for errors in (1.5, 1.96, 4.0)] == ["low", "", "high"]
    assert wilson(0.95, 100) == pytest.approx((0.888, 0.978), abs=1e-3)
    false_calls = np.full((400, 4), 0.01)
    false_calls[40:, 2] = 0.5
    row = ("queries", "mean_cosine", "unit")
    assert level("null", "cone", "queries", row, false_calls).verdict == "high"


def test_every_measure_has_a_target() -> None:
    names = targets.measures()
    assert {name.partition("(")[0].partition("@")[0] for name in names} == {
        d.name for d in registry() if d.compute is not None
    }
    assert targets.target("gap") == targets.POPULATION
    assert targets.target("gap(corrected=False)") == targets.EXPECTED
    assert targets.target("hubness_gini(k=10)") == targets.EXPECTED


def share(values: list[float]) -> tuple[float, float]:
    array = np.array(values, dtype=float)
    keys = [str(i) for i in range(len(array))]
    mean = float(array.mean())
    found = interval(Estimate(mean, (Influence(keys, array - mean),), scale="share"))
    return found.low, found.high


def test_the_interval_of_a_share() -> None:
    """Zeros and ones: Clopper and Pearson's interval of a proportion, a little wider by t."""
    exact = binomtest(90, 100).proportion_ci(method="exact")
    low, high = share([1.0] * 90 + [0.0] * 10)
    assert (low, high) == pytest.approx((exact.low, exact.high), abs=2e-3)
    assert low < exact.low
    low, high = share([1.0] * 100)
    assert high == 1
    assert low == pytest.approx(binomtest(100, 100).proportion_ci(method="exact").low, abs=2e-3)
    assert share([0.5] * 10) == (0.5, 0.5)
    assert share([0.0] * 5)[0] == 0


def test_anchors_of_queries_count_both_errors() -> None:
    """The spread over draws of queries and of anchors is what the interval says it is."""
    rng = np.random.default_rng(5)
    values, errors = [], []
    for seed in range(150):
        rows = rng.standard_normal((120, 4)) + np.eye(4)[0]
        space = EmbeddingSpace(rows, rows[:3])
        row = measure_space(space, ["uniformity(t=2)"], anchors=40, seed=seed).row(
            "queries", "uniformity(t=2)", "unit"
        )
        assert row is not None
        assert row.estimator == "sampled"
        values.append(row.value)
        errors.append(row.se)
    assert np.mean(errors) / np.std(values) == pytest.approx(1, abs=0.2)
