"""Intrinsic dimension: the project's table, repeated rows, distances in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest

from anisotropy.backend import Rows
from anisotropy.errors import UsageError
from anisotropy.measures import measure_space
from anisotropy.measures.families.intrinsic import (
    exact_distances,
    maximum_likelihood,
    two_nn,
)
from anisotropy.spaces import EmbeddingSpace
from tests.measures.making import space, unit

TWONN, MLE = "intrinsic_dimension(method=twonn)", "intrinsic_dimension(method=mle)"


def sorted_distances(rows: np.ndarray, k: int = 20) -> np.ndarray:
    from scipy.spatial.distance import cdist

    return np.sort(cdist(rows, rows), axis=1)[:, 1 : k + 1]


@pytest.mark.parametrize(
    ("dim", "two", "likelihood"),
    [(5, 5.1, 5.0), (20, 16.7, 14.5), (64, 37.9, 30.5), (256, 79.6, 64.5), (768, 140, 116)],
)
def test_gaussian_rows(dim, two, likelihood) -> None:
    """n=1000, Euclidean: the project's table; seeds differ by 4% (TwoNN) and 1%."""
    found = sorted_distances(np.random.default_rng(3).standard_normal((1000, dim)))
    assert two_nn(found[:, 0], found[:, 1]) == pytest.approx(two, rel=0.12)
    assert maximum_likelihood(found) == pytest.approx(likelihood, rel=0.04)


def test_definitions_literally() -> None:
    found = sorted_distances(np.random.default_rng(0).standard_normal((50, 3)), 6)
    logs = sorted(math.log(b / a) for a, b in found[:, :2])[:45]
    heights = [-math.log(1 - (i + 1) / 50) for i in range(45)]
    slope = sum(x * y for x, y in zip(logs, heights, strict=True)) / sum(x * x for x in logs)
    assert two_nn(found[:, 0], found[:, 1]) == pytest.approx(slope)
    each = [1 / np.mean([math.log(row[-1] / r) for r in row[:-1]]) for row in found]
    assert maximum_likelihood(found) == pytest.approx(1 / np.mean([1 / m for m in each]))


def test_scikit_dimension_agrees() -> None:
    skdim = pytest.importorskip("skdim")
    rows = np.random.default_rng(1).standard_normal((333, 16))
    found = sorted_distances(rows)
    theirs = skdim.id.TwoNN(discard_fraction=0.1).fit(rows).dimension_
    assert two_nn(found[:, 0], found[:, 1]) == pytest.approx(theirs)
    assert maximum_likelihood(found) == pytest.approx(skdim.id.MLE(K=20).fit(rows).dimension_)


@pytest.mark.parametrize("side", ["queries", "documents"])
def test_of_a_space(side) -> None:
    made = space(n_queries=80)
    found = measure_space(made, [TWONN, MLE])
    distances = sorted_distances(unit(getattr(made, side)))
    values = {TWONN: two_nn(distances[:, 0], distances[:, 1]), MLE: maximum_likelihood(distances)}
    for name, value in values.items():
        row = found.row(side, name, "unit")
        assert row.value == pytest.approx(value)
        assert bool(np.isfinite(row.se)) == (side == "queries" and name == TWONN)


@pytest.mark.parametrize("copies", [1, 30])
def test_repeated_rows_are_left_out_and_counted(copies) -> None:
    """One copy of a row, and so many that the shared lists hold little else."""
    rows = np.random.default_rng(2).standard_normal((100, 6))
    twice = np.concatenate([rows, np.repeat(rows[:5], copies, axis=0)])
    plain = measure_space(EmbeddingSpace(rows, rows), [TWONN, MLE])
    found = measure_space(EmbeddingSpace(twice, rows), [TWONN, MLE])
    for name in (TWONN, MLE):
        row = found.row("queries", name, "unit")
        assert row.value == pytest.approx(plain.row("queries", name, "unit").value)
        assert row.n == 100
    assert f"{5 * copies} repeated row(s) left out" in " ".join(found.warnings)


def test_small_distances_of_narrow_rows_are_kept() -> None:
    """Rows 1e-5 apart: in 32 bits 2 - 2 cos is rounding."""
    rng = np.random.default_rng(4)
    narrow = (np.ones(64) + 1e-4 * rng.standard_normal((30, 64))).astype("f4")
    index = np.arange(30)[None, :].repeat(30, axis=0)
    u = unit(narrow.astype(float))
    truth = np.linalg.norm(u[:, None] - u[None], axis=-1)
    np.testing.assert_allclose(exact_distances(Rows(narrow), np.arange(30), index), truth)
    lost = unit(narrow) @ unit(narrow).T
    assert np.abs(np.sqrt(np.maximum(2 - 2 * lost, 0)) / (truth + np.eye(30)) - 1).max() > 0.1


def test_what_cannot_be_measured_is_said() -> None:
    made = space(n_queries=8, n_documents=12)
    with pytest.raises(UsageError, match="8 different row"):
        measure_space(made, [MLE])
    with pytest.raises(UsageError, match="k belongs to method=mle"):
        measure_space(space(), ["intrinsic_dimension(method=twonn,k=5)"])
    with pytest.raises(UsageError, match="dropped belongs to method=twonn"):
        measure_space(space(), ["intrinsic_dimension(method=mle,dropped=0.2)"])
    with pytest.raises(UsageError, match=r"up to 0\.99"):
        measure_space(space(), ["intrinsic_dimension(method=twonn,dropped=1)"])


def test_all_ratios_may_be_used() -> None:
    found = sorted_distances(np.random.default_rng(0).standard_normal((400, 5)), 2)
    assert two_nn(found[:, 0], found[:, 1], 0.0) == pytest.approx(5, rel=0.25)
