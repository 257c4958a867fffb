"""PCA, t-SNE and UMAP as two steps: a start, and the layout reached from a start.

Two spaces are laid out from one start, the first's, so that what differs between the two maps
comes from the spaces and not from where the optimizer began.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from anisotropy.projection.faithfulness import nearest

# Iterations of t-SNE: exaggerated and plain, for the coarse start and for the layout from it.
_START, _SETTLE = (100, 20), (100, 250)
_EXAGGERATION = 12.0
_START_SPREAD = 1e-4
_UMAP_EPOCHS = 300


@dataclass(frozen=True)
class Layout:
    """How one method lays points out.

    Attributes
    ----------
    start
        Points of shape (n, dim), perplexity and seed to start coordinates (n, 2).
    settle
        The same and start coordinates to final coordinates (n, 2).
    """

    start: Callable[[np.ndarray, float, int], np.ndarray]
    settle: Callable[[np.ndarray, float, int, np.ndarray], np.ndarray]


def principal_axes(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Coordinates on the two leading principal axes and their share of the variance.

    The sign of an axis is chosen so that its largest loading is positive.
    """
    from scipy.linalg import eigh

    centered = points - points.mean(axis=0, dtype=np.float64)
    covariance = centered.T @ centered
    dim = len(covariance)
    if dim == 1:
        return np.hstack([centered, np.zeros_like(centered)]), 1.0
    values, axes = eigh(covariance, subset_by_index=[dim - 2, dim - 1])
    axes = axes[:, ::-1] * np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]][::-1])
    total = float(np.trace(covariance))
    return centered @ axes, float(values.sum()) / total if total > 0 else float("nan")


def _pca_start(points: np.ndarray, perplexity: float, seed: int) -> np.ndarray:
    return principal_axes(points)[0]


def _pca_settle(points: np.ndarray, perplexity: float, seed: int, start: np.ndarray) -> np.ndarray:
    return principal_axes(points)[0]


def _affinities(points: np.ndarray, perplexity: float) -> Any:
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    k = min(int(3 * perplexity), len(points) - 1)
    index = PrecomputedNeighbors(*nearest(points, k))
    return PerplexityBasedNN(knn_index=index, perplexity=min(perplexity, k / 3))


def _optimize(affinities: Any, start: np.ndarray, steps: tuple[int, int], seed: int) -> np.ndarray:
    from openTSNE import TSNEEmbedding

    # openTSNE scales the affinities it is given in place while it exaggerates.
    layout = TSNEEmbedding(start, copy.deepcopy(affinities), n_jobs=1, random_state=seed)
    layout = layout.optimize(steps[0], exaggeration=_EXAGGERATION, momentum=0.5)
    return np.array(layout.optimize(steps[1], momentum=0.8))


def _tsne_start(points: np.ndarray, perplexity: float, seed: int) -> np.ndarray:
    coordinates = principal_axes(points)[0]
    spread = float(coordinates[:, 0].std())
    small = coordinates / spread * _START_SPREAD if spread > 0 else coordinates
    return _optimize(_affinities(points, perplexity), small, _START, seed)


def _tsne_settle(
    points: np.ndarray, perplexity: float, seed: int, start: np.ndarray
) -> np.ndarray:
    return _optimize(_affinities(points, perplexity), start, _SETTLE, seed)


def _umap(points: np.ndarray, perplexity: float, seed: int, start: np.ndarray) -> np.ndarray:
    """UMAP from a start; `perplexity` plays no part, 15 neighbors as is usual."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Tensorflow not installed", ImportWarning)
        from umap import UMAP
    k = min(15, len(points) - 1)
    neighbors, distances = nearest(points, k - 1)
    itself = np.arange(len(points))[:, None]
    table = (np.hstack([itself, neighbors]), np.hstack([np.zeros(itself.shape), distances]))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "precomputed_knn", UserWarning)
        model = UMAP(
            n_neighbors=k,
            init=start.astype(np.float32),
            n_epochs=_UMAP_EPOCHS,
            precomputed_knn=(*table, None),
            random_state=seed,
            n_jobs=1,
        )
        return np.asarray(model.fit_transform(points), dtype=np.float64)


def _umap_start(points: np.ndarray, perplexity: float, seed: int) -> np.ndarray:
    return _umap(points, perplexity, seed, principal_axes(points)[0])


LAYOUTS = {
    "pca": Layout(_pca_start, _pca_settle),
    "tsne": Layout(_tsne_start, _tsne_settle),
    "umap": Layout(_umap_start, _umap),
}


def rigid(coordinates: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """Rotate, reflect and shift `coordinates` to lie closest to `onto` (Procrustes).

    Distances within the map stay as they are.
    """
    center, target = coordinates.mean(axis=0), onto.mean(axis=0)
    left, _, right = np.linalg.svd((coordinates - center).T @ (onto - target))
    moved: np.ndarray = (coordinates - center) @ (left @ right) + target
    return moved
