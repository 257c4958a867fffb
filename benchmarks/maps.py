"""t-SNE of many texts: time and divergence against scikit-learn's and openTSNE's defaults.

``python -m benchmarks.maps [--points 10000] [--vectors FILE.npy] [--turns 1]``

Without ``--vectors`` the points are texts of the built-in collection as latent semantic vectors
of 768 dimensions (TF-IDF, truncated SVD, unit length): real text, and nothing to download. All
three make their map from those rows in one process, one after the other, as a user would: from
rows to coordinates, neighbors included, perplexity 30, seed 0, everything else at its default
(openTSNE's is one thread; scikit-learn takes the threads of OpenMP). The divergence is computed
here for all of them in the same way, exactly, against the affinities of exact neighbors. Beside
the seconds stands the time in which the same cores make the products of all pairs of rows.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.backend import cores, one_thread_each
from anisotropy.projection.layouts import LAYOUTS

DIM, PERPLEXITY = 768, 30.0


def latent(n: int) -> np.ndarray:
    """Unit rows of shape (n, 768): texts of the built-in collection, seeded choice."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    from anisotropy.collection import open_collection

    collection = open_collection("docstrings", split="train")
    texts = [document.text for document in collection.documents()]
    for split in collection.splits:
        texts += [query.text for query in collection.queries(split)]
    counts = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(texts)
    rows = unit(TruncatedSVD(DIM, n_iter=2, random_state=0).fit_transform(counts))
    return rows[np.sort(np.random.default_rng(0).permutation(len(rows))[:n])]


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1; rows of zeros are left out."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    keep = lengths[:, 0] > 0
    return np.asarray(rows[keep] / lengths[keep], dtype=np.float32)


def ours(points: np.ndarray) -> np.ndarray:
    """The map of `project`, without its sampling and its faithfulness."""
    with one_thread_each:
        layout = LAYOUTS["tsne"](points, PERPLEXITY, 0)
        return layout.settle(layout.start())


def scikit_learn(points: np.ndarray) -> np.ndarray:
    """scikit-learn's, at its defaults."""
    from sklearn.manifold import TSNE

    return np.asarray(TSNE(perplexity=PERPLEXITY, random_state=0).fit_transform(points))


def opentsne(points: np.ndarray) -> np.ndarray:
    """openTSNE's, at its defaults."""
    from openTSNE import TSNE

    return np.array(TSNE(perplexity=PERPLEXITY, random_state=0).fit(points))


def affinities(points: np.ndarray) -> Any:
    """Symmetric affinities of exact neighbors, summing to 1."""
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    from anisotropy.projection.faithfulness import nearest

    index = PrecomputedNeighbors(*nearest(points, int(3 * PERPLEXITY)))
    return PerplexityBasedNN(knn_index=index, perplexity=PERPLEXITY).P.tocoo()


def divergence(pairs: Any, coordinates: np.ndarray) -> float:
    """Kullback-Leibler divergence of the map from the affinities, every pair summed."""
    at = coordinates.astype(np.float64)
    lengths = np.einsum("ij,ij->i", at, at)
    total = -float(len(at))
    for start in range(0, len(at), 1024):
        rows = slice(start, start + 1024)
        apart = lengths[rows, None] + lengths - 2 * at[rows] @ at.T
        total += float((1 / (1 + np.maximum(apart, 0))).sum())
    near = ((at[pairs.row] - at[pairs.col]) ** 2).sum(axis=1)
    return float((pairs.data * (np.log(pairs.data) + np.log1p(near))).sum() + np.log(total))


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """Time of a call, and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def turn(points: np.ndarray, pairs: Any) -> dict[str, tuple[float, float, str]]:
    """Seconds, divergence and a hash of the bytes of each map."""
    found = {}
    for make in (ours, opentsne, scikit_learn):
        took, coordinates = seconds(lambda make=make: make(points))  # type: ignore[misc]
        digest = hashlib.sha256(coordinates.tobytes()).hexdigest()[:12]
        found[make.__name__] = took, divergence(pairs, coordinates), digest
        print(f"{make.__name__}: {took:.1f} s, KL {found[make.__name__][1]:.3f}, {digest}")
    return found


def report(turns: list[dict[str, tuple[float, float, str]]], products: float) -> None:
    """Median ratios of one run, ours against each."""
    digests = {found["ours"][2] for found in turns}
    for name in ("opentsne", "scikit_learn"):
        ratios = [found[name][0] / found["ours"][0] for found in turns]
        excess = turns[0]["ours"][1] / turns[0][name][1] - 1
        print(f"{np.median(ratios):.2f} times as fast as {name}, KL {excess:+.1%}")
    took = np.median([found["ours"][0] for found in turns])
    print(f"{took / products:.0f} times the time of all products")
    print(f"{'same' if len(digests) == 1 else 'DIFFERENT'} bytes in {len(turns)} turns")


def main() -> None:
    """Make the maps, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--vectors", type=Path, help="rows of shape (n, dim), .npy")
    parser.add_argument("--turns", type=int, default=1)
    asked = parser.parse_args()
    if asked.vectors:
        points = unit(np.load(asked.vectors, allow_pickle=False)[: asked.points])
    else:
        points = latent(asked.points)
    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    print(f"{len(points):,} x {points.shape[1]}, {cores()} cores, OMP_NUM_THREADS {threads}")
    pairs = affinities(points)
    _ = points @ points[:100].T
    products = seconds(lambda: points @ points.T)[0]
    report([turn(points, pairs) for _ in range(asked.turns)], products)


if __name__ == "__main__":
    main()
