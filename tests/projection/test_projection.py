"""Maps: the same for a seed, aligned for two spaces, honest about what they keep."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import anisotropy
from anisotropy.errors import EmbeddingsError, UsageError
from anisotropy.projection import (
    MapOptions,
    MapPoints,
    TooFewPoints,
    join_maps,
    project,
    project_pair,
)
from anisotropy.projection.faithfulness import distance_correlation, faithfulness, nearest
from anisotropy.projection.layouts import principal_axes, rigid
from anisotropy.projection.sample import choose_points, unit_points
from anisotropy.spaces import EmbeddingSpace


def clustered(
    n: int = 120, noise: float = 0.15, seed: int = 0, label: str = "a"
) -> EmbeddingSpace:
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(8, 24))
    documents = centers[np.arange(n) % 8] + noise * rng.normal(size=(n, 24))
    queries = documents[: n // 2] + noise * rng.normal(size=(n // 2, 24))
    return EmbeddingSpace(
        queries,
        documents,
        query_ids=[f"q{i}" for i in range(n // 2)],
        doc_ids=[f"d{i}" for i in range(n)],
        qrels={f"q{i}": {f"d{i}": 1, f"d{n - 1}": 0} for i in range(n // 2)},
        label=label,
    )


def xy(curve) -> np.ndarray:
    return np.column_stack([curve.columns["x"], curve.columns["y"]])


def group(names: np.ndarray) -> np.ndarray:
    return np.array([int(name[1:]) % 8 for name in names])


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_same_seed_same_bytes(method: str) -> None:
    first, second = (project(clustered(), method) for _ in range(2))
    for name, values in first.columns.items():
        np.testing.assert_array_equal(values, second.columns[name], err_msg=name)
    assert first.name == "coordinates"
    assert (first.space, first.side) == ("a", "joint")


def test_another_seed_another_sample() -> None:
    a, b = (project(clustered(), "pca", n=40, random_state=seed) for seed in (0, 1))
    assert set(a.columns["id"]) != set(b.columns["id"])


def test_tsne_keeps_clusters() -> None:
    space = clustered()
    curve = project(space, "tsne")
    assert len(curve.columns["id"]) == 180
    assert curve.columns["trustworthiness"][0] > 0.95
    assert curve.columns["neighbor_preservation"][0] > 0.5
    indices, _ = nearest(xy(curve), 5)
    groups = group(curve.columns["id"])
    assert (groups[indices] == groups[:, None]).mean() > 0.95
    assert set(curve.columns["side"]) == {"query", "document"}


@pytest.mark.slow
def test_umap_keeps_clusters_and_is_aligned() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        a, b = project_pair(clustered(80), clustered(80, label="b"), "umap")
    assert a.columns["trustworthiness"][0] > 0.9
    np.testing.assert_allclose(xy(a), xy(b), atol=1e-6)


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_equal_spaces_do_not_move(method: str) -> None:
    a, b = project_pair(clustered(), clustered(label="b"), method)
    np.testing.assert_allclose(xy(a), xy(b), atol=1e-8 * np.ptp(xy(a)))
    np.testing.assert_array_equal(xy(a), xy(project(clustered(), method)))
    assert (a.space, b.space) == ("a", "b")


def test_a_little_noise_moves_little() -> None:
    rng = np.random.default_rng(5)
    before, after = clustered(300, noise=1.0), clustered(300, noise=1.0, label="b")
    for side in ("queries", "documents"):
        rows = getattr(after, side)
        setattr(after, side, rows + 0.01 * rng.normal(size=rows.shape).astype(rows.dtype))
    a, b = (xy(curve) for curve in project_pair(before, after, "tsne"))
    size = np.sqrt(((a - a.mean(axis=0)) ** 2).sum(axis=1).mean())
    assert np.median(np.linalg.norm(a - b, axis=1)) < 0.1 * size


def test_several_are_aligned_with_the_first() -> None:
    spaces = [clustered(label=label) for label in ("a", "b", "c")]
    maps = MapPoints(spaces).draw("tsne")
    assert [curve.space for curve in maps] == ["a", "b", "c"]
    assert {name for curve in maps for name in curve.columns["start"]} == {"a"}
    for curve in maps[1:]:
        np.testing.assert_allclose(xy(curve), xy(maps[0]), atol=1e-8 * np.ptp(xy(maps[0])))


_HASHES = """
import hashlib, sys, numpy as np
from anisotropy.projection import project
from tests.projection.test_projection import clustered, xy
for method in ("pca", "tsne", "umap"):
    print(hashlib.sha256(xy(project(clustered(500, noise=1.0), method)).tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_same_bytes_with_any_number_of_threads() -> None:
    found = {
        subprocess.run(
            [sys.executable, "-c", _HASHES],
            env={**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "3")
    }
    assert len(found) == 1


def test_only_what_changed_moves() -> None:
    before, after = clustered(), clustered(label="b")
    after.documents = after.documents.copy()
    after.documents[0] = after.documents[1]
    a, b = project_pair(before, after, "tsne")
    moved = np.linalg.norm(xy(a) - xy(b), axis=1)
    changed = list(a.columns["id"]).index("d0")
    assert moved[changed] == moved.max()
    assert np.median(moved) < 0.1 * moved[changed]


def test_pair_of_other_order_and_dimension_shows_the_same_ids() -> None:
    a = clustered()
    order = np.random.default_rng(3).permutation(120)
    wider = np.hstack([a.documents, np.zeros((120, 2))])
    b = EmbeddingSpace(
        np.hstack([a.queries, np.zeros((60, 2))])[::-1],
        wider[order],
        query_ids=a.query_ids[::-1],
        doc_ids=[a.doc_ids[i] for i in order],
        qrels=a.qrels,
        label="b",
    )
    one, two = project_pair(a, b, "pca", n=50)
    assert list(one.columns["id"]) == list(two.columns["id"])
    np.testing.assert_allclose(xy(one), xy(two), atol=1e-5)


def test_sample_keeps_positives_negatives_and_others() -> None:
    space = clustered(300)
    sample = choose_points([space], 90, 0)
    assert len(sample.query_ids) + len(sample.doc_ids) == 90
    assert {f"d{name[1:]}" for name in sample.query_ids} <= set(sample.doc_ids)
    assert len(sample.positives) == len(sample.negatives) == len(sample.query_ids)
    brought = len(set(sample.positives[:, 1]) | set(sample.negatives[:, 1]))
    # One query more, with its positive and its negative, would not have fitted.
    assert 0.75 * 90 - 3 < len(sample.query_ids) + brought <= 0.75 * 90
    assert (sample.n_queries, sample.n_documents) == (150, 300)
    for query, document in sample.positives:
        assert sample.query_ids[query][1:] == sample.doc_ids[document][1:]
    curve = project(space, "pca", n=90)
    shown = curve.columns["id"][curve.columns["positive"]]
    assert set(shown) == {f"d{name[1:]}" for name in sample.query_ids}
    hard = curve.columns["id"][curve.columns["negative"]]
    assert set(hard) == {sample.doc_ids[place] for _, place in sample.negatives}


@pytest.mark.parametrize("similarity", ["dot", "cosine", "euclidean"])
def test_negative_is_the_best_ranked_that_is_not_relevant(similarity: str) -> None:
    a, b = clustered(300, seed=1), clustered(300, seed=2, label="b")
    for space in (a, b):
        space.similarity = similarity
    sample = choose_points([a, b], 90, 0)
    found = {(sample.query_ids[q], sample.doc_ids[d]) for q, d in sample.negatives}
    for name in sample.query_ids:
        slow = set()
        for space in (a, b):
            rows = np.asarray(space.documents, dtype=float)
            query = np.asarray(space.queries[int(name[1:])], dtype=float)
            scores = {
                "dot": rows @ query,
                "cosine": rows @ query / np.linalg.norm(rows, axis=1),
                "euclidean": -np.linalg.norm(rows - query, axis=1),
            }[similarity]
            scores[int(name[1:])] = -np.inf
            slow.add((name, f"d{scores.argmax()}"))
        assert slow == {pair for pair in found if pair[0] == name}


def test_negatives_are_found_beyond_documents_that_the_other_space_lacks() -> None:
    a = clustered(100)
    rng = np.random.default_rng(4)
    # Nearer to every query than any document that both have.
    foreign = np.repeat(a.queries, 12, axis=0) + 1e-3 * rng.normal(size=(600, 24))
    b = EmbeddingSpace(
        a.queries,
        np.vstack([foreign, a.documents]),
        query_ids=a.query_ids,
        doc_ids=[f"x{i}" for i in range(600)] + a.doc_ids,
        qrels=a.qrels,
        label="b",
    )
    both, alone = choose_points([a, b], 60, 0), choose_points([a], 60, 0)
    assert len(alone.negatives) == len(alone.query_ids)
    assert both.query_ids == alone.query_ids
    np.testing.assert_array_equal(both.negatives, alone.negatives)


def test_positives_are_those_of_the_relevance_level() -> None:
    space = clustered(60)
    space.qrels = {f"q{i}": {f"d{i}": 2, f"d{i + 8}": 1} for i in range(30)}
    rows = space.documents / np.linalg.norm(space.documents, axis=1, keepdims=True)
    for level, each in ((1, 2), (2, 1), (3, 0)):
        sample = choose_points([space], 90, 0, level)
        assert len(sample.positives) == each * 30
        negatives = {sample.query_ids[q]: sample.doc_ids[d] for q, d in sample.negatives}
        for i in range(30):
            scores = rows @ space.queries[i]
            grades = space.qrels[f"q{i}"]
            scores[[int(d[1:]) for d, grade in grades.items() if grade >= level]] = -np.inf
            assert negatives[f"q{i}"] == f"d{scores.argmax()}"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["pca", "tsne", "umap"])
def test_a_collapsed_space_is_a_point_and_leaves_the_other_its_map(method: str) -> None:
    collapsed, other = clustered(60), clustered(60, label="b")
    for side in ("queries", "documents"):
        setattr(collapsed, side, np.ones_like(getattr(collapsed, side)))
    a, b = project_pair(collapsed, other, method)
    assert np.ptp(xy(a), axis=0).max() < 1e-6
    assert b.columns["trustworthiness"][0] > (0.7 if method == "pca" else 0.9)


def test_perplexity_is_the_one_in_use() -> None:
    curve = project(clustered(40), "tsne", perplexity=500)
    assert set(curve.columns["perplexity"]) == {59 / 3}
    assert set(project(clustered(40), "tsne", perplexity=5).columns["perplexity"]) == {5}
    assert np.isnan(project(clustered(40), "pca").columns["perplexity"]).all()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"perplexity": np.inf}, "perplexity: got inf; allowed: a number above 1"),
        ({"perplexity": 1}, "perplexity: got 1;"),
        ({"random_state": -1}, "seed: got -1;"),
        ({"random_state": 2**32}, "seed: got 4294967296;"),
        ({"relevance_level": 0}, "relevance level: got 0;"),
        ({"n": 20.5}, "n: got 20.5;"),
    ],
)
def test_options_are_checked(settings: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        project(clustered(40), **settings)
    with pytest.raises(UsageError, match="a map needs a space"):
        MapPoints([], MapOptions())


def test_the_public_function_passes_every_option_on() -> None:
    space = clustered(60)
    space.qrels = {f"q{i}": {f"d{i}": 2, f"d{i + 8}": 1} for i in range(30)}
    options = {"n": 70, "perplexity": 4.0, "random_state": 3, "relevance_level": 2}
    public = anisotropy.project(space, "tsne", **options)
    own = project(space, "tsne", **options)
    for name, values in own.columns.items():
        np.testing.assert_array_equal(public.columns[name], values, err_msg=name)
    for name, value in {
        "n": 60,
        "perplexity": 5.0,
        "random_state": 4,
        "relevance_level": 1,
    }.items():
        other = anisotropy.project(space, "tsne", **{**options, name: value})
        same = all(
            np.array_equal(other.columns[column], values)
            for column, values in own.columns.items()
            if column not in ("perplexity", "random_state")
        )
        assert not same, name


def test_several_spaces_are_not_one_map() -> None:
    with pytest.raises(
        UsageError,
        match=r"got a list of 2; allowed: one space; anisotropy\.projection\.project_pair",
    ):
        anisotropy.project([clustered(40), clustered(40, label="b")])  # type: ignore[arg-type]


def test_many_positives_take_three_quarters_at_most() -> None:
    space = clustered(300)
    space.qrels = {
        query_id: {f"d{(i * 9 + j) % 300}": 1 for j in range(9)}
        for i, query_id in enumerate(space.query_ids)
    }
    sample = choose_points([space], 100, 0)
    brought = set(sample.positives[:, 1]) | set(sample.negatives[:, 1])
    assert len(sample.query_ids) + len(brought) <= 75
    assert len(sample.query_ids) + len(sample.doc_ids) == 100


def test_sample_does_not_depend_on_file_order() -> None:
    space = clustered(200)
    back = EmbeddingSpace(
        space.queries[::-1],
        space.documents[::-1],
        query_ids=space.query_ids[::-1],
        doc_ids=space.doc_ids[::-1],
        qrels=space.qrels,
    )
    first, second = (choose_points([s], 60, 4) for s in (space, back))
    assert first.query_ids == second.query_ids
    assert first.doc_ids == second.doc_ids


def test_document_of_several_vectors_is_its_first_that_is_no_padding() -> None:
    rows = np.eye(6)
    space = EmbeddingSpace(
        np.eye(6)[:3],
        rows,
        document_of_row=np.array([0, 0, 1, 1, 2, 2]),
        padding=np.array([True, False, False, True, False, False]),
        doc_ids=["x", "y", "z"],
    )
    sample = choose_points([space], 10, 0)
    points = unit_points(space, sample)[3:]
    first = {name: int(np.argmax(row)) for name, row in zip(sample.doc_ids, points, strict=True)}
    assert first == {"x": 1, "y": 2, "z": 4}


def test_faithfulness_equals_scikit_learn() -> None:
    from sklearn.manifold import trustworthiness

    rng = np.random.default_rng(0)
    points, flat = rng.normal(size=(90, 10)), rng.normal(size=(90, 2))
    ours, kept = faithfulness(points, flat, 7)
    assert ours == pytest.approx(trustworthiness(points, flat, n_neighbors=7), abs=1e-12)
    near, shown = nearest(points, 7)[0], nearest(flat, 7)[0]
    slow = np.mean([len(set(a) & set(b)) / 7 for a, b in zip(near, shown, strict=True)])
    assert kept == pytest.approx(slow)
    assert faithfulness(flat, flat, 7) == (1.0, 1.0)


def test_nearest_by_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    from anisotropy.projection import faithfulness as module

    points = np.random.default_rng(1).normal(size=(50, 4))
    whole = nearest(points, 6)
    monkeypatch.setattr(module, "_BLOCK", 7)
    parts = nearest(points, 6)
    np.testing.assert_array_equal(whole[0], parts[0])
    far = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(far, np.inf)
    np.testing.assert_allclose(whole[1], np.sort(far, axis=1)[:, :6], atol=1e-7)


def test_principal_axes_are_those_of_scikit_learn() -> None:
    from sklearn.decomposition import PCA

    points = np.random.default_rng(2).normal(size=(60, 5)) * [5, 3, 1, 1, 1]
    model = PCA(2).fit(points)
    coordinates, share = principal_axes(points)
    np.testing.assert_allclose(np.abs(coordinates), np.abs(model.transform(points)), atol=1e-9)
    assert share == pytest.approx(model.explained_variance_ratio_.sum())


def test_rigid_undoes_a_rotation_and_keeps_distances() -> None:
    points = np.random.default_rng(3).normal(size=(30, 2))
    turn = np.array([[0, -1], [-1, 0]])
    np.testing.assert_allclose(rigid(points @ turn + 5, points), points, atol=1e-12)
    doubled = rigid(2 * points, points)
    np.testing.assert_allclose(np.ptp(doubled, axis=0), 2 * np.ptp(points, axis=0))


def test_distance_correlation_of_few_pairs_is_unknown() -> None:
    points = np.random.default_rng(3).normal(size=(30, 2))
    pairs = np.array([[0, 1], [2, 3], [4, 5], [6, 7]])
    assert distance_correlation(points, points, pairs) == pytest.approx(1)
    assert np.isnan(distance_correlation(points, points, pairs[:2]))


def test_join_maps_has_one_curve_a_space() -> None:
    space = clustered(40)
    joined = join_maps([project(space, "pca"), project(space, "tsne", perplexity=5)])
    assert len(joined) == 1
    assert sorted(set(joined[0].columns["method"])) == ["pca", "tsne"]
    assert len(joined[0].columns["x"]) == 120


def test_very_small_space_has_a_map() -> None:
    space = EmbeddingSpace(np.eye(4)[:2], np.eye(4)[1:])
    for method in ("pca", "tsne"):
        assert np.isfinite(xy(project(space, method))).all()


def test_mistakes_are_one_line() -> None:
    space = clustered(40)
    with pytest.raises(UsageError, match="got 'tnse'; allowed: pca, tsne, umap"):
        project(space, "tnse")
    with pytest.raises(UsageError, match="5 points or more"):
        project(space, n=3)
    with pytest.raises(UsageError, match="perplexity: got 0"):
        project(space, perplexity=0)
    with pytest.raises(UsageError, match="got 1 queries and 2 documents"):
        project(EmbeddingSpace(np.eye(3)[:1], np.eye(3)[:2]))
    space.documents = space.documents.copy()
    space.documents[3] = 0
    with pytest.raises(EmbeddingsError, match=r"all-zero row.*'d3'"):
        project(space)
    space.similarity = "dot"
    with pytest.raises(EmbeddingsError, match="embedding of 'd3' is all zeros"):
        project(space)


def test_too_few_points_can_be_told_from_a_mistake() -> None:
    small = EmbeddingSpace(np.eye(4)[:2], np.eye(4)[:2])
    with pytest.raises(TooFewPoints, match="got 2 queries and 2 documents"):
        project(small)
    with pytest.raises(TooFewPoints, match="got 2 queries and 2 documents"):
        project_pair(small, small)
    with pytest.raises(UsageError) as caught:
        project(small, n=3)
    assert not isinstance(caught.value, TooFewPoints)


@pytest.mark.parametrize("seed", [2**63, -(2**63) - 1, 10**30])
def test_a_huge_seed_is_one_line(seed: int) -> None:
    with pytest.raises(UsageError, match=f"seed: got {seed}; allowed"):
        project(clustered(40), random_state=seed)
