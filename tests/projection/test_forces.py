"""Forces of t-SNE against their sums written out, and against openTSNE's."""

from __future__ import annotations

import numpy as np
import pytest
from openTSNE.tsne import kl_divergence_bh, kl_divergence_fft
from scipy.sparse import csr_array, random_array

from anisotropy.projection.forces import Gradient, Repulsion, attraction


def points(n: int = 400, width: tuple[float, float] = (5.0, 5.0), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 2)) * width + 7


def affinities(n: int, seed: int = 0) -> csr_array:
    found = random_array((n, n), density=0.05, format="csr", rng=np.random.default_rng(seed))
    found = csr_array(found + found.T + 0.01 * csr_array(np.eye(n)[::-1]))
    return csr_array(found / found.sum())


def slow_repulsion(coordinates: np.ndarray) -> tuple[np.ndarray, float]:
    apart = coordinates[:, None] - coordinates[None]
    near = 1 / (1 + (apart**2).sum(axis=2))
    return (apart * near[:, :, None] ** 2).sum(axis=1), float(near.sum()) - len(coordinates)


@pytest.mark.parametrize("width", [(1e-4, 2e-4), (0.3, 0.1), (3, 3), (20, 5), (60, 60), (0, 9)])
def test_repulsion_is_the_sum_over_pairs(width: tuple[float, float]) -> None:
    coordinates = points(width=width)
    pushed, total = Repulsion()(coordinates)
    slow, slow_total = slow_repulsion(coordinates)
    nothing = csr_array(([0.0] * 400, (range(400), range(400))), shape=(400, 400))
    settings = {"n_interpolation_points": 3, "min_num_intervals": 50, "ints_in_interval": 1}
    theirs = -slow_total * kl_divergence_fft(coordinates.copy(), nothing, 1, settings)[1]
    miss, their_miss = (np.linalg.norm(f - slow) / np.linalg.norm(slow) for f in (pushed, theirs))
    assert miss < max(0.001, 0.4 * their_miss)
    assert total == pytest.approx(slow_total, rel=0.01)


def test_repulsion_does_not_depend_on_what_came_before() -> None:
    used = Repulsion()
    for width in ((3, 3), (30, 9), (3, 3)):
        coordinates = points(width=width)
        np.testing.assert_array_equal(used(coordinates)[0], Repulsion()(coordinates)[0])


@pytest.mark.parametrize("n", [5, 400])
def test_equal_points_do_not_push(n: int) -> None:
    pushed, total = Repulsion()(np.ones((n, 2)))
    np.testing.assert_array_equal(pushed, np.zeros((n, 2)))
    assert total == n * (n - 1)


def test_few_points_are_summed_exactly() -> None:
    coordinates = points(40, (100.0, 1.0))
    pushed, total = Repulsion()(coordinates)
    slow, slow_total = slow_repulsion(coordinates)
    np.testing.assert_allclose(pushed, slow, rtol=1e-12, atol=1e-15)
    assert total == pytest.approx(slow_total, rel=1e-9)


def test_a_grid_does_not_outgrow_memory() -> None:
    coordinates = points(400, (40_000.0, 40_000.0))
    pushed, total = Repulsion()(coordinates)
    assert np.isfinite(pushed).all()
    assert np.isfinite(total)


def test_attraction_is_the_sum_over_neighbors() -> None:
    coordinates, p = points(60), affinities(60)
    apart = coordinates[:, None] - coordinates[None]
    weight = p.toarray() / (1 + (apart**2).sum(axis=2))
    slow = (apart * weight[:, :, None]).sum(axis=1)
    np.testing.assert_allclose(attraction(coordinates, p), slow, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("exaggeration", [1.0, 12.0])
def test_gradient_is_that_of_opentsne(exaggeration: float) -> None:
    coordinates, p = points(), affinities(400) * exaggeration
    expected = kl_divergence_bh(coordinates.copy(), p, 1, {"theta": 0.0})[1]
    found = Gradient()(coordinates, p, dof=1)[1]
    assert np.linalg.norm(found - expected) < 0.012 * np.linalg.norm(expected)
