"""Kernels alone: every pair once, samples, views and bfloat16 give the literal mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anisotropy import backend
from anisotropy.backend import Rows
from anisotropy.measures import measure_space
from anisotropy.measures.facts import Facts, Plan
from anisotropy.neighbors import kernels
from anisotropy.neighbors.kernels import PairKernels
from tests.measures.making import cone, space, unit

TS = (2.0, 5.0)


def literal(rows: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Slow twin: shape (anchors, ts)."""
    rows = rows.astype(np.float64)
    squares = ((rows[chosen][:, None, :] - rows[None, :, :]) ** 2).sum(axis=2)
    means = []
    for t in TS:
        kernel = np.exp(-t * squares)
        kernel[np.arange(len(chosen)), chosen] = 0
        means.append(kernel.sum(axis=1) / (len(rows) - 1))
    return np.stack(means, axis=1)


def views_of(rows: np.ndarray) -> tuple[Rows, list[Rows]]:
    """What is multiplied (centered), and unit rows before and after centering."""
    plain = Rows(rows)
    centered = Rows(rows, shift=plain.mean())
    both = [one.scaled(1 / np.sqrt(one.squares())) for one in (plain, centered)]
    return centered, both


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("TILE", 4), ("LEAST_BLOCK", 8), ("BLOCK", 16)):
        monkeypatch.setattr(kernels, name, value)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("held", [0, 1 << 20])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("n", [2, 3, 8, 9, 41, 600])
def test_all_rows_and_some(n: int, dtype: type, held: int, monkeypatch) -> None:
    monkeypatch.setattr(kernels, "HELD_BYTES", held)
    rows = cone(n, 6, 0.5, n).astype(dtype)
    base, views = views_of(rows)
    meant = [
        unit(rows.astype(np.float64)),
        unit(rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)),
    ]
    for chosen in (np.arange(n), np.arange(0, n, 3)[: n - 1], np.array([n - 1])):
        found = PairKernels(base, views, chosen, TS).means()
        for one, twin in zip(found, meant, strict=True):
            np.testing.assert_allclose(one, literal(twin, chosen), rtol=2e-5)


@given(n=st.integers(2, 200), tile=st.sampled_from([1, 2, 8]), blocks=st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_cuts_do_not_matter(n: int, tile: int, blocks: int) -> None:
    base, views = views_of(cone(n, 5, 0.4, 1))
    whole = PairKernels(base, views, np.arange(n), TS).means()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("TILE", tile),
            ("LEAST_BLOCK", tile * blocks),
            ("BLOCK", tile * blocks),
        ):
            patch.setattr(kernels, name, value)
        cut = PairKernels(base, views, np.arange(n), TS).means()
        some = PairKernels(base, views, np.arange(0, n, 2), TS).means()
    np.testing.assert_allclose(cut, whole, rtol=1e-9)
    np.testing.assert_allclose(some, whole[:, ::2], rtol=1e-9)


def test_threads_do_not_matter(monkeypatch) -> None:
    base, views = views_of(cone(5000, 8, 0.4, 1).astype(np.float32))
    found = []
    for number in (1, 3):
        monkeypatch.setattr(backend, "cores", lambda number=number: number)
        backend._workers.cache_clear()
        found.append(PairKernels(base, views, np.arange(5000), TS).means())
    backend._workers.cache_clear()
    np.testing.assert_array_equal(*found)


def test_bfloat16_is_for_samples_that_are_worth_it(monkeypatch) -> None:
    rows = cone(3000, 64, 0.5, 2).astype(np.float32)
    base, views = views_of(rows)
    some = np.arange(0, 3000, 2)
    monkeypatch.setattr(backend, "multiplies_bfloat16", lambda: True)
    assert not PairKernels(base, views, some, TS).bfloat16
    exact = PairKernels(base, views, some, TS).means()
    monkeypatch.setattr(kernels, "BFLOAT16_FROM", 1.0)
    assert not PairKernels(base, views, np.arange(3000), TS).bfloat16
    rounded = PairKernels(base, views, some, TS)
    assert rounded.bfloat16
    means = rounded.means()
    assert not np.array_equal(means, exact)
    # each mean within what rounding to 8 binary digits can do; the value far below its error
    np.testing.assert_allclose(means, exact, rtol=5e-3)
    np.testing.assert_allclose(np.log(means.mean(axis=1)), np.log(exact.mean(axis=1)), atol=1e-4)


def test_torch_has_its_threads_again(monkeypatch) -> None:
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    with backend.torch_in_workers():
        assert torch.get_num_threads() == 1
        assert set(backend.in_parallel(lambda _: torch.get_num_threads(), range(8))) == {1}
    assert torch.get_num_threads() == before


def test_one_number_alone_and_among_others() -> None:
    """The same rows whether kernels share the pass of neighbors or not."""
    made = space(120, 700, 12)
    asked = ["uniformity(t=2)", "uniformity(t=5)"]
    alone = measure_space(made, asked)
    among = measure_space(made, [*asked, "hubness_skewness(k=10)"])
    assert not alone.facts.plan.lists
    assert among.facts.plan.lists
    for row in alone.rows:
        other = among.row(row.side, row.measure, row.on)
        assert row.value == pytest.approx(other.value, rel=1e-6)
        assert row.se == pytest.approx(other.se, rel=1e-4, nan_ok=True)


def test_kernels_alone_look_for_no_neighbors(monkeypatch) -> None:
    monkeypatch.setattr("anisotropy.measures.facts.within", None)
    made = space(60, 300, 8)
    assert Facts(made, Plan(ts=(2.0,), lists=False)).kernels("documents", "unit").sampled is False
    sampled = Facts(made, Plan(ts=(2.0,), lists=False), anchors=20)
    assert sampled.kernels("documents", "unit").sampled is True
    assert sampled.kernels("documents", "center>unit").kernel.shape == (20, 1)
