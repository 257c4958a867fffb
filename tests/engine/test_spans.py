"""Any cut into spans gives the whole: every accumulator, against what it is of all at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anisotropy import backend
from anisotropy.backend import Rows, added
from anisotropy.measures.facts import Pairs
from anisotropy.measures.families.nearest import _BestOther
from anisotropy.measures.repeats import row_keys
from anisotropy.neighbors import KernelSums, NearerCounts, TopK, consumers

Cuts = tuple[list[slice], list[slice]]


@st.composite
def cuts(draw: st.DrawFn) -> tuple[int, int, list[slice], list[slice]]:
    """Numbers of anchors and targets, and chunks and spans of them."""
    found: list[Any] = []
    for most in (12, 60):
        n = draw(st.integers(2, most))
        inner = draw(st.lists(st.integers(1, n - 1), max_size=5, unique=True))
        bounds = [0, *sorted(inner), n]
        found.append([slice(a, b) for a, b in pairwise(bounds)])
    return found[0][-1].stop, found[1][-1].stop, *found


def scores_of(m: int, n: int, seed: int) -> np.ndarray:
    """Few different values: ties everywhere."""
    rng = np.random.default_rng(seed)
    return rng.choice(np.linspace(-1, 1, 9), (m, n)).astype(np.float32)


def fed(whole: Any, scores: np.ndarray, chunks: list[slice], spans: list[slice]) -> Any:
    """A consumer that met its tiles here, span by span."""
    for span in spans:
        for chunk in chunks:
            middle = (span.start + span.stop) // 2
            for part in (slice(span.start, middle), slice(middle, span.stop)):
                if part.stop > part.start:
                    whole.update(chunk, part.start, scores[chunk, part].copy())
            whole.settle(chunk)
    return whole


def merged(whole: Any, scores: np.ndarray, chunks: list[slice], spans: list[slice]) -> Any:
    """A consumer whose parts met their tiles elsewhere, each sent as it is made."""
    for chunk in chunks:
        for span in spans:
            part = whole.part(chunk, span)
            own = scores[chunk, span]
            fed(part, own, [slice(0, len(own))], [slice(0, own.shape[1])])
            whole.merge(chunk, span, part.found())
    return whole


def three(make: Callable[[], Any], given: tuple, seed: int, read: Callable[[Any], Any]) -> list:
    """What is read of a consumer of all at once, of spans here, and of merged spans."""
    m, n, chunks, spans = given
    scores = scores_of(m, n, seed)
    ways = ((fed, [slice(0, m)], [slice(0, n)]), (fed, chunks, spans), (merged, chunks, spans))
    return [read(way(make(), scores, *how)) for way, *how in ways]


@settings(max_examples=60, deadline=None)
@given(cuts(), st.integers(0, 99), st.integers(1, 8))
def test_lists(given: tuple, seed: int, k: int) -> None:
    m, n, _, _ = given
    ties = np.random.default_rng(seed).permutation(n)

    def read(kept: TopK) -> list[Any]:
        found = kept.neighbors(np.arange(m))
        return [found.index.tolist(), found.scores.tolist(), found.n_targets]

    whole, here, there = three(lambda: TopK(m, min(k, n), ties), given, seed, read)
    assert whole == here == there
    order = np.lexsort((np.tile(ties, (m, 1)), -scores_of(m, n, seed)))[:, : min(k, n)]
    assert whole[0] == order.tolist()


def test_all_threads_fill_the_same_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    made = consumers._no_lists

    def slowly(n: int, k: int) -> np.ndarray:
        time.sleep(0.05)  # time for the others to come
        return made(n, k)

    monkeypatch.setattr(consumers, "_no_lists", slowly)
    kept = TopK(8, 2, np.arange(3))
    scores = np.arange(3, dtype=np.float32)[None, :]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda a: kept.update(slice(a, a + 1), 0, scores), range(8)))
    assert kept.neighbors(np.arange(8)).index.tolist() == [[2, 1]] * 8


def test_what_is_sent_for_lists_is_small() -> None:
    import pickle

    whole = TopK(4000, 200, np.arange(100_000))
    part = whole.part(slice(0, 4000), slice(1000, 2000))
    assert len(pickle.dumps(part)) < 4000 * 4 + 1000 * 8 + 2000


@settings(max_examples=40, deadline=None)
@given(cuts(), st.integers(0, 99))
def test_counts(given: tuple, seed: int) -> None:
    m, n, _, _ = given
    rng = np.random.default_rng(seed)
    anchor, target = np.sort(rng.integers(0, m, 15)), rng.integers(0, n, 15)
    score = scores_of(m, n, seed)[anchor, target].astype(float)
    make = lambda: NearerCounts(anchor, target, score, 1e-6)  # noqa: E731
    read = lambda one: [one.above.tolist(), one.tied.tolist()]  # noqa: E731
    whole, here, there = three(make, given, seed, read)
    assert whole == here == there


@settings(max_examples=40, deadline=None)
@given(cuts(), st.integers(0, 99))
def test_best_others(given: tuple, seed: int) -> None:
    m, n, _, _ = given
    rng = np.random.default_rng(seed)
    query = np.sort(rng.integers(0, m, 15))
    pairs = Pairs(query, rng.integers(0, n, 15), np.ones(15), np.ones(15, dtype=bool))
    read = lambda one: [one.index.tolist(), one.score.tolist()]  # noqa: E731
    whole, here, there = three(lambda: _BestOther(np.arange(m), pairs), given, seed, read)
    assert whole == here == there


@settings(max_examples=40, deadline=None)
@given(cuts(), st.integers(0, 99))
def test_sums_of_kernels(given: tuple, seed: int) -> None:
    m, _, _, _ = given
    whole, here, there = three(
        lambda: KernelSums(m, (2.0, 5.0)), given, seed, lambda one: one.sums
    )
    np.testing.assert_array_equal(here, there)
    np.testing.assert_allclose(whole, here, rtol=1e-6)  # a tile is summed in float32


# Rows ---------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**7), st.integers(1, 5000), st.integers(1, 20))
def test_spans_are_whole_blocks_and_not_too_many(n: int, step: int, least: int) -> None:
    found = backend.spans(n, step, least)
    assert len(found) <= backend.MOST_SPANS
    assert [span.start for span in found] == [0, *(span.stop for span in found)][: len(found)]
    assert (found[-1].stop if found else 0) == n
    assert all((span.stop - span.start) % step == 0 for span in found[:-1])
    assert all(span.stop - span.start >= min(step * least, n) for span in found[:-1])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 200), st.integers(1, 4), st.integers(1, 500), st.data())
def test_sums_over_rows(n: int, blocks: int, size: int, data: st.DataObject) -> None:
    values = np.random.default_rng(n).integers(-9, 9, (n, 3)).astype(np.float32)
    keep = data.draw(st.sampled_from([None, np.arange(n)[::2]]))
    rows = Rows(values, keep)
    taken = values if keep is None else values[keep]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "BLOCK_BYTES", size)
        patch.setattr(backend, "SPAN_BLOCKS", blocks)
        total = rows.fold(lambda block: block.sum(axis=0), added, np.zeros(3))
        each = rows.each(lambda block: block[:, 1])
        spans = [rows.span(span) for span in backend.cut(len(rows), 7)]
    np.testing.assert_array_equal(total, taken.sum(axis=0))
    np.testing.assert_array_equal(each, taken[:, 1])
    read = [span.take(slice(None)) for span in spans] or [taken[:0]]
    np.testing.assert_array_equal(np.concatenate(read), taken)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 30), st.integers(0, 30), st.integers(1, 3),
    st.sampled_from(["C", "F"]), st.sampled_from(["<f2", "<f4", ">f4"]),
)  # fmt: skip
def test_arrays_are_found_where_they_lie(
    tmp_path_factory: Any, start: int, length: int, step: int, order: Any, dtype: str
) -> None:
    import pickle

    from anisotropy.engine import places

    path = Path(tmp_path_factory.mktemp("places")) / "x.npy"
    np.save(path, np.asarray(np.random.default_rng(0).random((64, 5)), dtype, order=order))
    whole = np.load(path, mmap_mode="r")
    wanted = whole[start : start + length : step]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, "SMALL", 0)
        content = places.packed({"x": wanted, "y": np.asarray(wanted)[:, 1:]})
    found = pickle.loads(content)
    np.testing.assert_array_equal(found["x"], wanted)
    np.testing.assert_array_equal(found["y"], wanted[:, 1:])
    assert found["x"].dtype == whole.dtype
    if wanted.size:
        assert b"x.npy" in content
        assert not found["x"].flags.writeable


def test_numpy_pickles_as_before(tmp_path: Path) -> None:
    import pickle

    np.save(tmp_path / "x.npy", np.arange(12.0).reshape(4, 3))
    found = pickle.dumps(np.load(tmp_path / "x.npy", mmap_mode="r"))
    (tmp_path / "x.npy").unlink()
    np.testing.assert_array_equal(pickle.loads(found), np.arange(12.0).reshape(4, 3))


# Hashes of rows -----------------------------------------------------------------------------


def test_hashes_tell_rows_of_signs_apart() -> None:
    rng = np.random.default_rng(0)
    rows = rng.choice(np.array([-1, 1], dtype=np.float32), (20_000, 40))
    different = len(np.unique(rows, axis=0))
    assert different > 19_900
    assert len(np.unique(row_keys(rows))) == different


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hashes_do_not_depend_on_where_a_row_stands(dtype: Any) -> None:
    rows = np.random.default_rng(0).random((40, 7)).astype(dtype)
    keys = row_keys(rows)
    np.testing.assert_array_equal(keys[::-1], row_keys(rows[::-1]))
    np.testing.assert_array_equal(keys[5:6], row_keys(rows[5:6]))
    assert len(np.unique(keys)) == 40


# Reading ------------------------------------------------------------------------------------


def test_every_float16_is_widened_to_what_it_is() -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)]
    found = Rows(finite[:, None]).take(slice(None))[:, 0]
    assert np.array_equal(found.view(np.uint32), finite.astype(np.float32).view(np.uint32))


@pytest.mark.parametrize("odd", [np.inf, -np.inf, np.nan, -np.nan])
def test_float16_that_are_not_finite_stay_what_they_are(odd: float) -> None:
    rows = np.array([[1, odd], [-2, 3]], dtype=np.float16)
    found = Rows(rows).take(slice(None))
    np.testing.assert_array_equal(found, rows.astype(np.float32))


def test_float16_is_read_in_any_layout() -> None:
    rows = np.random.default_rng(0).standard_normal((40, 12)).astype(np.float16)
    for layout in (rows[::3], rows[:, ::2], np.asfortranarray(rows), rows.astype(">f2")):
        found = Rows(layout).take(slice(None))
        np.testing.assert_array_equal(found, layout.astype(np.float32))
        assert found.flags.c_contiguous
    few = np.array([7, 2, 30])
    np.testing.assert_array_equal(Rows(rows, few).take(slice(1, 3)), rows[[2, 30]].astype("f4"))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_lengths_and_products_are_summed_in_float64(dtype: type) -> None:
    rng = np.random.default_rng(1)
    values = (rng.standard_normal((300, 33)) * 100).astype(dtype)
    rows, vector = Rows(values), rng.standard_normal(33)
    np.testing.assert_allclose(rows.squares(), (values.astype(float) ** 2).sum(1), rtol=1e-14)
    np.testing.assert_allclose(rows.dot(vector), values.astype(float) @ vector, atol=1e-11)
