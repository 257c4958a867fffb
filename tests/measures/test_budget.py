"""The number of anchors that a stated relative error needs."""

from __future__ import annotations

import numpy as np
import pytest

from anisotropy import EmbeddingSpace
from anisotropy.errors import UsageError
from anisotropy.measures import budget, measure_space
from anisotropy.measures.budget import PILOT, anchors_needed
from anisotropy.workflow import AnalysisOptions, analyze, compare

NAME = "uniformity(t=2)"


def clustered(n: int, seed: int, label: str = "a") -> EmbeddingSpace:
    """Documents whose mean kernels differ, so that anchors matter."""
    rng = np.random.default_rng(seed)
    centers = 2 * rng.normal(size=(6, 8)) * np.arange(1, 7)[:, None] / 6
    documents = centers[rng.integers(0, 6, n)] + rng.normal(size=(n, 8))
    return EmbeddingSpace(documents[:30], documents, label=label)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A default of 20 anchors, so that collections of thousands are large."""
    monkeypatch.setattr(budget, "ANCHORS", 20)


@pytest.mark.parametrize("target", [0.02, 0.008, 0.004])
def test_the_error_is_reached_with_hardly_more_than_is_needed(target: float) -> None:
    space = clustered(4000, 0)
    anchors = anchors_needed([space], target, [NAME])
    found = measure_space(space, [NAME], anchors=anchors)
    rows = [r for r in found.rows if r.side == "documents"]
    reached = [r.se / abs(r.value) for r in rows]
    assert max(reached) < target
    assert max(reached) > 0.7 * target
    whole = measure_space(space, [NAME], exact=True)
    for row in rows:
        true = whole.row("documents", NAME, row.on)
        assert true is not None
        assert abs(row.value - true.value) < 4 * target * abs(true.value)


def test_an_error_below_what_sampling_gives_takes_every_row() -> None:
    space = clustered(3000, 1)
    anchors = anchors_needed([space], 1e-6, [NAME])
    (row, *_) = [r for r in measure_space(space, [NAME], anchors=anchors).rows
                 if r.side == "documents"]  # fmt: skip
    assert row.estimator == "exact"


def test_small_sides_and_measures_that_are_no_estimates_need_no_pilot() -> None:
    assert anchors_needed([clustered(PILOT, 2)], 0.001, [NAME]) == budget.ANCHORS
    assert anchors_needed([clustered(3000, 2)], 0.001, ["mean_cosine"]) == budget.ANCHORS


def test_never_fewer_anchors_than_without_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default set of a small collection stays as it is, whatever error is allowed."""
    monkeypatch.undo()
    space = clustered(400, 5)
    asked = AnalysisOptions(projections=(), relative_error=0.5)
    found, plain = analyze([space], asked), analyze([space], AnalysisOptions(projections=()))
    assert found.rows == plain.rows
    assert found.config["anchors"] == plain.config["anchors"] == 5000


def test_the_space_that_needs_most_decides_for_both() -> None:
    rng = np.random.default_rng(0)
    even = EmbeddingSpace(rng.normal(size=(30, 8)), rng.normal(size=(3000, 8)), label="b")
    spaces = [clustered(3000, 3, "a"), even]
    each = [anchors_needed([one], 0.01, [NAME]) for one in spaces]
    assert anchors_needed(spaces, 0.01, [NAME]) == max(each)
    options = AnalysisOptions((NAME,), projections=(), relative_error=0.01)
    lines: list[str] = []
    results = compare(*spaces, options, say=lines.append)
    assert f"{max(each)} anchors for a relative error of 0.01" in lines
    rows = [r for r in results.rows if r.side == "documents" and r.on == "unit"]
    assert len({r.n for r in rows}) == 1
    assert all(r.se <= 0.01 * abs(r.value) for r in rows)


@pytest.mark.parametrize("bad", [0, 1, -0.1, float("nan")])
def test_what_is_no_relative_error_is_refused(bad: float) -> None:
    with pytest.raises(UsageError, match="allowed: above 0 and below 1"):
        AnalysisOptions(relative_error=bad)


def test_only_one_option_decides_the_anchors() -> None:
    with pytest.raises(UsageError, match=r"sample and relative error: .*give one"):
        AnalysisOptions(sample=9, relative_error=0.1)


def test_analyze_says_how_many_anchors() -> None:
    lines: list[str] = []
    options = AnalysisOptions((NAME,), projections=(), relative_error=0.01)
    results = analyze([clustered(3000, 4)], options, say=lines.append)
    assert any("anchors for a relative error" in line for line in lines)
    assert any("relative standard error up to" in line for line in results.warnings)
