"""PCA, t-SNE and UMAP as two steps: a start, and the layout reached from a start.

Two spaces are laid out from one start, the first's, so that what differs between the two maps
comes from the spaces and not from where the optimizer began.
"""

from __future__ import annotations

import copy
import warnings
from typing import Any, Protocol

import numpy as np

from anisotropy.projection.faithfulness import nearest
from anisotropy.projection.forces import Gradient

#: Iterations of t-SNE: those that draw neighbors together and a few that let go, for the start;
#: plain ones from it. A layout that begins from a start is not drawn together again: it would
#: forget where it began, and two like spaces would get unlike maps.
_DRAW, _LET_GO, _SETTLE = 100, 20, 450
_EXAGGERATION = 12.0
#: Learning rate of the plain iterations, in multiples of the number of points, and momentum; usual
#: are 1 and 0.8, which leave more divergence after as many (`benchmarks/maps.py` compares).
_RATE, _MOMENTUM = 3.0, 0.9
_START_SPREAD = 1e-4
_UMAP_NEIGHBORS, _UMAP_EPOCHS = 15, 300


class Layout(Protocol):
    """How one method lays points out.

    Attributes
    ----------
    perplexity
        The one in use, lowered where points are few; NaN where it plays no part.

    Parameters
    ----------
    points
        Shape (n, dim).
    perplexity
        Of t-SNE.
    seed
        Of the optimizer.
    """

    perplexity: float

    def __init__(self, points: np.ndarray, perplexity: float, seed: int) -> None: ...

    def start(self) -> np.ndarray:
        """Coordinates (n, 2) to begin from."""

    def settle(self, start: np.ndarray) -> np.ndarray:
        """Final coordinates (n, 2), from a start."""


class Pca:
    """The two leading principal axes, from whatever start."""

    perplexity = float("nan")

    def __init__(self, points: np.ndarray, perplexity: float, seed: int) -> None:
        self._coordinates = principal_axes(points)[0]

    def start(self) -> np.ndarray:
        """The final coordinates."""
        return self._coordinates

    def settle(self, start: np.ndarray) -> np.ndarray:
        """The final coordinates."""
        return self._coordinates


class Tsne:
    """t-SNE of openTSNE on exact neighbors, from the principal axes."""

    def __init__(self, points: np.ndarray, perplexity: float, seed: int) -> None:
        from openTSNE.affinity import PerplexityBasedNN
        from openTSNE.nearest_neighbors import PrecomputedNeighbors

        k = min(int(3 * perplexity), len(points) - 1)
        index = PrecomputedNeighbors(*nearest(points, k))
        self._points, self._seed = points, seed
        self.perplexity = min(float(perplexity), k / 3)
        self._affinities = PerplexityBasedNN(knn_index=index, perplexity=self.perplexity)

    def start(self) -> np.ndarray:
        """Neighbors drawn together."""
        coordinates = principal_axes(self._points)[0]
        spread = float(coordinates[:, 0].std())
        layout = self._layout(coordinates / spread * _START_SPREAD if spread > 0 else coordinates)
        layout = layout.optimize(_DRAW, exaggeration=_EXAGGERATION, momentum=0.8)
        return np.array(layout.optimize(_LET_GO, momentum=0.8))

    def settle(self, start: np.ndarray) -> np.ndarray:
        """What the divergence falls to from the start."""
        rate = _RATE * len(start)
        layout = self._layout(start)
        return np.array(layout.optimize(_SETTLE, learning_rate=rate, momentum=_MOMENTUM))

    def _layout(self, coordinates: np.ndarray) -> Any:
        from openTSNE import TSNEEmbedding

        # openTSNE scales the affinities it is given in place while it exaggerates.
        return TSNEEmbedding(
            coordinates,
            copy.deepcopy(self._affinities),
            negative_gradient_method=Gradient(),
            n_jobs=1,
            random_state=self._seed,
        )


class Umap:
    """UMAP on exact neighbors, 15 as is usual, from the principal axes."""

    perplexity = float("nan")

    def __init__(self, points: np.ndarray, perplexity: float, seed: int) -> None:
        self._k = min(_UMAP_NEIGHBORS, len(points) - 1)
        neighbors, distances = nearest(points, self._k - 1)
        itself = np.arange(len(points))[:, None]
        self._table = (
            np.hstack([itself, neighbors]),
            np.hstack([np.zeros(itself.shape), distances]),
        )
        self._points, self._seed = points, seed

    def start(self) -> np.ndarray:
        """A first layout."""
        return self.settle(principal_axes(self._points)[0])

    def settle(self, start: np.ndarray) -> np.ndarray:
        """A layout from the start; points that are all equal stay where they are."""
        if not np.ptp(start, axis=0).any():
            return start
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Tensorflow not installed", ImportWarning)
            from umap import UMAP
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "precomputed_knn", UserWarning)
            model = UMAP(
                n_neighbors=self._k,
                init=start.astype(np.float32),
                n_epochs=_UMAP_EPOCHS,
                precomputed_knn=(*self._table, None),
                random_state=self._seed,
                n_jobs=1,
            )
            return np.asarray(model.fit_transform(self._points), dtype=np.float64)


LAYOUTS: dict[str, type[Layout]] = {"pca": Pca, "tsne": Tsne, "umap": Umap}


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


def rigid(coordinates: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """Rotate, reflect and shift `coordinates` to lie closest to `onto` (Procrustes).

    Distances within the map stay as they are.
    """
    center, target = coordinates.mean(axis=0), onto.mean(axis=0)
    left, _, right = np.linalg.svd((coordinates - center).T @ (onto - target))
    moved: np.ndarray = (coordinates - center) @ (left @ right) + target
    return moved
