"""Approximate neighbors: what they share with exact ones, and what they may miss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from anisotropy import backend
from anisotropy.backend import Rows
from anisotropy.errors import AnisotropyError, EmbeddingsError, UsageError
from anisotropy.neighbors import FaissIndex, NeighborIndex, recall, top_neighbors
from anisotropy.spaces.rows import ShardedRows

SIMILARITIES = ("dot", "cosine", "euclidean")


def clustered(n: int, dim: int = 24, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(9).normal(size=(40, dim))
    rows = centers[rng.integers(0, 40, n)] + 0.7 * rng.normal(size=(n, dim))
    return (rows * rng.uniform(0.9, 1.1, (n, 1)) + 0.5).astype(np.float32)


TARGETS, ANCHORS = clustered(1500), clustered(120, seed=1)
#: All lists, or so many candidates that the walk reaches everything that is linked.
WHOLE = ("ivf(nlist=20, nprobe=20)", "hnsw(ef_search=1500)")


@pytest.mark.parametrize("index", WHOLE)
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("k", [1, 30])
def test_a_search_of_everything_is_exact(similarity: str, index: str, k: int) -> None:
    exact = top_neighbors(ANCHORS, TARGETS, k, similarity=similarity)
    found = top_neighbors(ANCHORS, TARGETS, k, similarity=similarity, index=index)
    if index.startswith("ivf") or similarity != "dot":
        assert np.array_equal(found.index, exact.index)
        np.testing.assert_allclose(found.scores, exact.scores, rtol=2e-5, atol=2e-5)
    else:  # a graph of near targets need not link what only its length makes a neighbor
        assert recall(found.index, exact.index) > 0.98
    assert found.n_targets == exact.n_targets == 1500
    assert (found.index.dtype, found.scores.dtype) == (exact.index.dtype, exact.scores.dtype)


@pytest.mark.parametrize("index", WHOLE)
def test_own_rows_are_left_out(index: str) -> None:
    found = top_neighbors(TARGETS, TARGETS, 10, similarity="cosine", others=True, index=index)
    exact = top_neighbors(TARGETS, TARGETS, 10, similarity="cosine", others=True)
    assert np.array_equal(found.index, exact.index)
    assert not np.any(found.index == np.arange(1500)[:, None])


def test_more_lists_find_more() -> None:
    exact = top_neighbors(ANCHORS, TARGETS, 20).index
    shares = [
        recall(
            top_neighbors(ANCHORS, TARGETS, 20, index=f"ivf(nlist=30, nprobe={p})").index, exact
        )
        for p in (1, 3, 10, 30)
    ]
    assert shares == sorted(shares)
    assert shares[0] < 0.9
    assert shares[-1] == 1


def test_more_candidates_find_more() -> None:
    targets, anchors = (np.random.default_rng(s).normal(size=(2000, 64)) for s in (0, 1))
    exact = top_neighbors(anchors[:100], targets, 5).index
    low, high = (
        recall(top_neighbors(anchors[:100], targets, 5, index=f"hnsw(m=4, ef_search={e})").index,
               exact)
        for e in (5, 500)
    )  # fmt: skip
    assert low + 0.1 < high


def test_short_lists_end_in_nothing() -> None:
    found = top_neighbors(ANCHORS, TARGETS[:300], 200, index="ivf(nlist=30, nprobe=1)")
    short = found.index < 0
    assert short[:, -1].all()
    assert not short[:, 0].any()
    assert np.array_equal(short, np.isneginf(found.scores))
    assert np.all(np.diff(short.astype(int), axis=1) >= 0)


def test_lists_are_no_longer_than_there_are_targets() -> None:
    for others in (False, True):
        given = TARGETS[:7]
        found = top_neighbors(given, given, 50, others=others, index="ivf(nlist=2, nprobe=2)")
        assert found.index.shape == (7, 7 - others)
        assert np.all(np.sort(found.index, axis=1) >= 0)


@pytest.mark.parametrize("index", ["ivf(nlist=25, nprobe=2)", "hnsw(m=4, ef_search=10)"])
def test_one_seed_one_result(index: str) -> None:
    def search(seed: int) -> np.ndarray:
        found = top_neighbors(ANCHORS, TARGETS, 10, index=index, random_state=seed)
        return found.index

    first = search(0)
    assert np.array_equal(first, search(0))
    assert not np.array_equal(first, search(1))


def test_the_threads_of_faiss_are_given_back() -> None:
    import faiss

    faiss.omp_set_num_threads(3)
    try:
        top_neighbors(ANCHORS, TARGETS, 5, index="ivf")
        assert faiss.omp_get_max_threads() == 3
    finally:
        faiss.omp_set_num_threads(backend.cores())


def test_equal_scores_follow_the_ties() -> None:
    targets = np.concatenate([TARGETS[:100]] * 3)
    ties = np.random.default_rng(0).permutation(300)
    for index in ("exact", "ivf(nlist=3, nprobe=3)"):
        found = top_neighbors(TARGETS[:100], targets, 3, similarity="euclidean", ties=ties,
                              index=index)  # fmt: skip
        assert np.array_equal(found.index % 100, np.repeat(np.arange(100)[:, None], 3, axis=1))
        assert np.all(np.diff(ties[found.index], axis=1) > 0)


@pytest.mark.parametrize("index", ["exact", "ivf(nlist=20, nprobe=4)"])
def test_files_are_read_block_by_block(
    index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = TARGETS.astype(np.float16)
    for number, part in enumerate(np.split(half, 3)):
        np.save(tmp_path / f"{number}.npy", part)
    shards = [np.load(tmp_path / f"{number}.npy", mmap_mode="r") for number in range(3)]
    monkeypatch.setattr(backend, "BLOCK_BYTES", 64 * 24 * 4)
    monkeypatch.setattr(ShardedRows, "__array__", _never)
    expected = top_neighbors(ANCHORS, half, 10, similarity="cosine", index=index)
    found = top_neighbors(ANCHORS, ShardedRows(shards), 10, similarity="cosine", index=index)
    assert np.array_equal(found.index, expected.index)
    assert np.array_equal(found.scores, expected.scores)


def _never(*_: object, **__: object) -> np.ndarray:
    raise AssertionError("the whole was copied")


@pytest.mark.parametrize("factor", [1e-7, 1e6])
def test_short_and_long_rows_fit_in_16_bits(factor: float) -> None:
    found = top_neighbors(ANCHORS, TARGETS * np.float32(factor), 10, index=WHOLE[0])
    exact = top_neighbors(ANCHORS, TARGETS * np.float32(factor), 10)
    assert np.array_equal(found.index, exact.index)


def test_a_row_that_does_not_fit_is_refused() -> None:
    targets = TARGETS.copy()
    targets[700] *= 1e9
    with pytest.raises(EmbeddingsError, match="index='exact'"):
        top_neighbors(ANCHORS, targets, 5, index="ivf(nlist=1)")


def test_an_index_is_its_text() -> None:
    for text in ("exact", "ivf", "ivf(nlist=10, nprobe=3)", "hnsw(m=8, ef_search=9)"):
        assert str(NeighborIndex.parse(text)) == text
        assert NeighborIndex.parse(f" {text} ") == NeighborIndex.parse(text)
    assert str(NeighborIndex.parse("ivf( nprobe=3,nlist=10 )")) == "ivf(nlist=10, nprobe=3)"


def test_what_is_left_out_is_filled_in() -> None:
    assert str(NeighborIndex.parse("ivf").filled(1_000_000, 10)) == "ivf(nlist=4000, nprobe=500)"
    assert str(NeighborIndex.parse("ivf").filled(100, 10)) == "ivf(nlist=2, nprobe=2)"
    assert str(NeighborIndex.parse("ivf(nprobe=1)").filled(20, 5)) == "ivf(nlist=1, nprobe=1)"
    filled = NeighborIndex.parse("hnsw(m=8)").filled(1000, 200)
    assert str(filled) == "hnsw(m=8, ef_construction=100, ef_search=400)"
    assert NeighborIndex().filled(10, 1) == NeighborIndex()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ivff", r"index: got 'ivff'; allowed: exact, ivf, hnsw \(did you mean 'ivf'\?\)"),
        ("ivf(", "allowed: exact, ivf, hnsw"),
        ("ivf(m=3)", "parameter of ivf: got 'm'; allowed: nlist, nprobe"),
        ("exact(k=3)", "parameter of exact: got 'k'; allowed: none"),
        ("ivf(nprobe=0)", "nprobe: got '0'; allowed: a whole number, 1 and above"),
        ("ivf(nprobe=x)", "nprobe: got 'x'"),
        ("ivf(nprobe)", "nprobe: got ''"),
        ("ivf(nprobe=1, nprobe=2)", "got 'nprobe' twice"),
        ("hnsw(m=1)", "m: got '1'; allowed: a whole number, 2 and above"),
        ("ivf(nlist=2000)", "nlist: got 2000; allowed: 1 to 1500, the number of targets"),
        ("ivf(nlist=9, nprobe=10)", "nprobe: got 10; allowed: 1 to 9, the number of lists"),
    ],
)
def test_an_error_names_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        top_neighbors(ANCHORS, TARGETS, 3, index=text)


def test_recall_is_a_share() -> None:
    exact = np.array([[1, 2], [3, 4]])
    assert recall(np.array([[2, 9, 1], [-1, -1, 7]]), exact) == 0.5
    assert recall(exact[::-1], exact) == 0
    assert recall(np.array([[2, 1]]), np.array([[1, -1]])) == 1
    for wrong in ((exact[:1], exact), (exact, np.full((2, 2), -1))):
        with pytest.raises(AnisotropyError, match="recall: got"):
            recall(*wrong)


def test_a_built_index_is_searched_again_and_weighed() -> None:
    how = NeighborIndex.parse("ivf(nlist=20, nprobe=1)")
    built = FaissIndex(Rows(TARGETS), how, "dot")
    few = built.search(Rows(ANCHORS), 10)
    every = built.search(Rows(ANCHORS), 10, how=NeighborIndex.parse("ivf(nlist=20, nprobe=20)"))
    exact = top_neighbors(ANCHORS, TARGETS, 10).index
    assert recall(few.index, exact) < recall(every.index, exact) == 1
    vectors, numbers = 2 * 24 * 1500, 8 * 1500
    assert vectors + numbers < built.n_bytes < 1.3 * (vectors + numbers) + 20 * 24 * 4


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def search(threads: int, index: str) -> np.ndarray:
        monkeypatch.setattr(backend, "cores", lambda: threads)
        return top_neighbors(ANCHORS, TARGETS, 10, index=index).index

    for index in ("ivf(nlist=25, nprobe=2)", "hnsw(m=4, ef_search=10)"):
        assert np.array_equal(search(1, index), search(2, index))
