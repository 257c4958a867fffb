"""The sweep: threads, shared products, tiles and floors change no result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from anisotropy import backend
from anisotropy.backend import Rows
from anisotropy.errors import UsageError
from anisotropy.measures import measure_space
from anisotropy.measures.facts import Facts, Plan
from anisotropy.neighbors import (
    Items,
    KernelSums,
    NearerCounts,
    TopK,
    View,
    sweep,
    sweep_views,
    sweeping,
    top_neighbors,
)
from tests.measures.making import cone, remade, space


@pytest.fixture
def threads(monkeypatch) -> Iterator[Callable[[int], None]]:
    """Sets how many threads there are."""

    def choose(number: int) -> None:
        monkeypatch.setattr(backend, "cores", lambda: number)
        backend._workers.cache_clear()

    yield choose
    backend._workers.cache_clear()


def blas_threads() -> list[int]:
    return [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]


# Threads ------------------------------------------------------------------------------------


def test_results_come_in_order_whatever_the_threads(threads) -> None:
    for number in (1, 3):
        threads(number)
        for ahead in (0, 1, None):
            assert list(backend.in_parallel(lambda x: x * x, range(50), ahead)) == [
                x * x for x in range(50)
            ]


def test_an_error_in_a_thread_arrives_and_the_limit_is_taken_back(threads) -> None:
    threads(2)
    before = blas_threads()
    with pytest.raises(ZeroDivisionError):
        list(backend.in_parallel(lambda x: 1 // x, [1, 2, 0, 4, 5, 6, 7]))
    assert blas_threads() == before
    with backend.one_thread_each, backend.one_thread_each:
        assert set(blas_threads()) == {1}
    assert blas_threads() == before


def test_parallel_work_inside_of_parallel_work_ends(threads) -> None:
    threads(2)

    def inner(x: int) -> int:
        return sum(backend.in_parallel(lambda y: x * y, range(4)))

    assert list(backend.in_parallel(inner, range(9))) == [6 * x for x in range(9)]


def test_cores_are_no_more_than_asked_for(monkeypatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert backend.cores() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "10000")
    assert 1 <= backend.cores() < 10000


def test_threads_do_not_change_a_bit(threads, monkeypatch) -> None:
    monkeypatch.setattr(backend, "BLOCK_BYTES", 1 << 14)
    monkeypatch.setattr(sweeping, "TARGET_TILE", 300)
    made = space(300, 1500, 24, dtype=np.float32, lean=1.5)
    found = []
    for number in (1, 2, 5):
        threads(number)
        result = measure_space(made, anchors=300)
        tables = (result.facts.one_set("documents", "unit"), result.facts.cross("recipe"))
        found.append((
            [(r.side, r.measure, r.on, repr(r.value), repr(r.se)) for r in result.rows],
            [(t.neighbors.index.tolist(), t.neighbors.scores.tolist(), t.kernel.tolist())
             for t in tables],
        ))  # fmt: skip
    assert found[0] == found[1] == found[2]


# Shared products ----------------------------------------------------------------------------


def lists(rows: tuple[Rows, Rows], base: tuple[Rows, Rows], k: int, product: Any) -> tuple:
    """Neighbors and kernel sums of rows, as a view of other rows that are multiplied."""
    left, right = (Items(r) for r in rows)
    kept = TopK(len(left), k, np.arange(len(right)))
    sums = KernelSums(len(left), (2.0, 5.0))
    consumers = [kept] if product == "euclidean" else [kept, sums]
    chosen = np.arange(len(left))
    view = View(left, right, consumers, product)
    sweep_views(Items(base[0]), chosen, Items(base[1]), [view])
    return kept.neighbors(chosen), sums.sums


@pytest.mark.parametrize("lean", [0.0, 1.0, 8.0])
@pytest.mark.parametrize("product", ["dot", "euclidean"])
def test_a_view_is_the_product_of_its_own_rows(lean, product) -> None:
    data = [Rows(cone(n, 32, lean, seed).astype(np.float32)) for seed, n in ((1, 90), (2, 5000))]
    base = tuple(replace(rows, shift=rows.mean()) for rows in data)
    other = [replace(rows, shift=rows.mean() / 3) for rows in data]
    meant = tuple(rows.scaled(1 / np.sqrt(rows.squares())) for rows in other)
    seen, kernel = lists(meant, base, 20, product)
    own, own_kernel = lists(meant, meant, 20, product)
    np.testing.assert_allclose(seen.scores, own.scores, atol=2e-6)
    np.testing.assert_allclose(kernel, own_kernel, rtol=1e-5)
    exact = meant[0].take(slice(None)).astype(float) @ meant[1].take(slice(None)).T.astype(float)
    gaps = -np.diff(np.sort(exact, axis=1)[:, ::-1][:, :21], axis=1)
    clear = np.minimum(gaps, np.pad(gaps, ((0, 0), (1, 0)), constant_values=1)[:, :-1]) > 1e-5
    assert clear.mean() > 0.3
    np.testing.assert_array_equal(seen.index[clear], own.index[clear])


def test_putting_a_center_back_is_as_accurate_as_a_product_of_its_own() -> None:
    rows = Rows(cone(400, 64, 30.0, 3).astype(np.float32))
    unit = rows.scaled(1 / np.sqrt(rows.squares()))
    base = replace(rows, shift=rows.mean())
    exact = rows.data.astype(float)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    best = np.sort(exact @ exact.T, axis=1)[:, ::-1][:, :10]
    seen, own = (lists((unit, unit), (b, b), 10, "dot")[0].scores for b in (base, unit))
    assert np.abs(seen - best).max() <= 2 * np.abs(own - best).max() + 1e-7


def test_rows_that_are_scaled_cannot_be_shifted_on() -> None:
    rows = Rows(cone(20, 4, 1.0, 0))
    with pytest.raises(AssertionError, match="unscaled"):
        lists((replace(rows, shift=rows.mean()),) * 2, (rows.scaled(np.ones(20)),) * 2, 3, "dot")


def plain(facts: Facts, place: tuple[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the best chunk and mean kernel over chunks, from whole matrices."""
    on, center = place
    both = [facts.items(side, on, center) for side in ("queries", "documents")]
    left, right = (items.rows.take(slice(None)) for items in both)
    scores = left @ right.T
    kernel = np.exp(4 * (scores - 1)).mean(axis=1)
    starts = both[1].starts
    best = scores if starts is None else np.maximum.reduceat(scores, starts[:-1], axis=1)
    return best, kernel


@pytest.mark.parametrize("chunks", [False, True])
@pytest.mark.parametrize("similarity", ["cosine", "dot", "euclidean"])
def test_cross_tables_that_share_a_pass_are_those_of_their_own_rows(similarity, chunks) -> None:
    owner = np.sort(np.random.default_rng(0).integers(0, 150, 300)) if chunks else None
    if owner is not None:
        owner = np.unique(owner, return_inverse=True)[1]
    n = 300 if owner is None else int(owner.max()) + 1
    made = space(40, 300, 8, similarity=similarity, document_of_row=owner,
                 doc_ids=[f"d{i}" for i in range(n)], qrels={"q0": {"d1": 1}})  # fmt: skip
    facts = Facts(made, Plan((2.0,), 10, 20))
    for place in (("unit", "none"), ("center>unit", "joint"), ("center>unit", "own")):
        found = facts.cross(*place)
        best, kernel = plain(facts, place)
        np.testing.assert_allclose(found.kernel[:, 0], kernel, rtol=1e-9)
        order = np.argsort(-best, axis=1)[:, :10]
        np.testing.assert_array_equal(found.neighbors.index[:, :10], order)
    centered = facts.cross("recipe", "own").neighbors
    left, right = (facts.scored(side, "sides") for side in ("queries", "documents"))
    again = TopK(40, 20, facts.ties("documents"))
    sweep(left, np.arange(40), right, [again], product=facts.product)
    np.testing.assert_array_equal(centered.index, again.neighbors(np.arange(40)).index)


@pytest.mark.parametrize(("lean", "passes"), [(0.5, 1), (3.0, 2)])
def test_scores_of_the_recipe_are_products_of_its_own_rows(lean: float, passes: int) -> None:
    made = space(40, 300, 8, similarity="dot", dtype=np.float32, lean=lean)
    lines: list[str] = []
    facts = Facts(made, Plan((2.0,), 10, 20), progress=lines.append)
    found = facts.cross("recipe").neighbors
    alone = top_neighbors(made.queries, made.documents, 20)
    np.testing.assert_array_equal(found.scores, alone.scores)
    best, kernel = plain(facts, ("center>unit", "own"))
    centered = facts.cross("center>unit", "own")
    np.testing.assert_allclose(centered.kernel[:, 0], kernel, rtol=1e-6)
    np.testing.assert_allclose(centered.neighbors.scores[:, 0], best.max(axis=1), rtol=2e-6)
    assert len(lines) == passes


@pytest.mark.parametrize(
    ("similarity", "scale"),
    [("cosine", 1), ("cosine", 1e-24), ("cosine", 1e18), ("dot", 1), ("euclidean", 1)],
)
def test_rankings_do_not_depend_on_what_else_is_asked(similarity: str, scale: float) -> None:
    made = space(40, 150, 8, similarity=similarity, dtype=np.float32)
    made = remade(made, made.queries * np.float32(scale), made.documents * np.float32(scale))
    found = [
        Facts(made, plan).cross("recipe").neighbors
        for plan in (Plan((), 0, 20), Plan((2.0,), 10, 20), Plan((2.0,), 0, 20))
    ]
    for one in found[1:]:
        np.testing.assert_array_equal(one.index[:, :20], found[0].index[:, :20])
        np.testing.assert_array_equal(one.scores[:, :20], found[0].scores[:, :20])
    assert len(np.unique(found[0].scores)) > 700


# Consumers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["ascending", "descending", "shuffled", "equal"])
def test_lists_are_a_full_sort_in_any_order_of_targets(order, monkeypatch) -> None:
    monkeypatch.setattr(sweeping, "TARGET_TILE", 400)
    values = np.arange(4000, dtype=np.float32)
    values = {
        "ascending": values,
        "descending": values[::-1].copy(),
        "shuffled": np.random.default_rng(0).permutation(values),
        "equal": values * 0,
    }[order]
    ties = np.random.default_rng(1).permutation(4000)
    anchors = np.linspace(0.5, 2, 70, dtype=np.float32)[:, None]
    found = top_neighbors(anchors, values[:, None], 25, ties=ties)
    expected = np.lexsort((ties, -values))[:25]
    np.testing.assert_array_equal(found.index, np.tile(expected, (70, 1)))


def test_counts_compare_float32_scores_with_float64_bounds() -> None:
    rng = np.random.default_rng(0)
    scores = rng.choice(np.linspace(0.3, 0.3001, 200).astype(np.float32), (50, 400))
    bound = scores[:, 7].astype(float) + rng.choice([0, 1e-12, -1e-12, 1e-6, 3e-9], 50)
    tolerance = 1e-6
    counts = NearerCounts(np.arange(50), np.full(50, 7), bound, tolerance)
    counts.update(slice(0, 50), 0, scores)
    others = np.delete(scores.astype(float), 7, axis=1)
    above = (others > (bound + tolerance)[:, None]).sum(axis=1)
    reach = (others >= (bound - tolerance)[:, None]).sum(axis=1)
    np.testing.assert_array_equal(counts.above, above)
    np.testing.assert_array_equal(counts.tied, reach - above)


def test_lists_merge_however_unevenly_candidates_come() -> None:
    rng = np.random.default_rng(0)
    best, k = backend.Best(rng.permutation(3000)), 7
    kept = np.full((6, k), backend.Best.NOTHING)
    seen = np.full((6, 3000), -np.inf, dtype=np.float32)
    for counts in ([0, 1, 7, 8, 2000, 3], [5, 0, 0, 900, 1, 40], [0, 0, 0, 0, 0, 1]):
        row = np.repeat(np.arange(6), counts)
        column = np.concatenate([rng.choice(3000, count, replace=False) for count in counts])
        fresh = seen[row, column] == -np.inf
        row, column = row[fresh], column[fresh]
        seen[row, column] = rng.integers(0, 9, len(row))
        best.merge(kept, row, best.keys(seen[row, column], column))
    order = np.lexsort((np.broadcast_to(best.ties, seen.shape), -seen), axis=1)[:, :k]
    expected = np.where(np.take_along_axis(seen, order, axis=1) > -np.inf, order, -1)
    assert np.array_equal(best.read(kept)[0], expected)


class _Many:
    """So many targets that an array of them would not fit."""

    def __len__(self) -> int:
        return 2**32 + 1


def test_more_targets_than_a_key_can_number_are_refused() -> None:
    with pytest.raises(UsageError, match="got 4294967297 targets; allowed: 4294967296"):
        backend.Best(_Many())  # type: ignore[arg-type]


@pytest.mark.parametrize("bits", [30, 32])
def test_the_largest_numbers_of_targets_merge(bits: int) -> None:
    best = backend.Best(np.arange(4))
    best.bits = bits
    scores = np.random.default_rng(0).normal(size=(9, 40)).astype(np.float32)
    kept = np.full((9, 5), backend.Best.NOTHING)
    row = np.repeat(np.arange(9), 40)
    best.merge(kept, row, best.keys(scores.ravel(), np.tile(np.arange(40) % 4, 9)))
    expected = -np.sort(-scores, axis=1)[:, :5]
    assert np.array_equal(best.read(kept)[1], expected)
