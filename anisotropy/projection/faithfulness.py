"""How far a map can be believed: neighbors in the space against neighbors on the map."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from anisotropy.backend import in_parallel
from anisotropy.neighbors import top_neighbors

_BLOCK = 1_024


def nearest(points: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Exact Euclidean nearest neighbors of each row among the other rows.

    Parameters
    ----------
    points
        Shape (n, dim).
    k
        Number of neighbors, below n.

    Returns
    -------
    indices, distances
        Each of shape (n, k), nearest first.
    """
    # Centered first: distances stay, and less is lost to cancellation in a narrow cone.
    found = top_neighbors(
        _centered(points), _centered(points), k, similarity="euclidean", others=True
    )
    return found.index, np.sqrt(np.maximum(-found.scores.astype(np.float64), 0.0))


def faithfulness(points: np.ndarray, coordinates: np.ndarray, k: int = 15) -> tuple[float, float]:
    """Trustworthiness and neighbor preservation of a map.

    Parameters
    ----------
    points
        Rows in the space, shape (n, dim).
    coordinates
        The same rows on the map, shape (n, 2).
    k
        Neighborhood; lowered to what n allows (below n / 2).

    Returns
    -------
    trustworthiness
        1 - 2 / (n k (2n - 3k - 1)) times the sum, over points and those of their k map
        neighbors that are no k nearest in the space, of (rank in the space - k); in [0, 1],
        1 if no neighbor on the map is false (Venna and Kaski 2001).
    neighbor_preservation
        Mean share of the k nearest in the space that are among the k nearest on the map; k/(n-1)
        is chance.
    """
    n = len(points)
    k = min(k, (n - 1) // 2)
    if k < 1:
        return np.nan, np.nan
    shown, _ = nearest(coordinates.astype(np.float64), k)
    excess, preserved = 0, 0
    for wrong, right in in_parallel(
        lambda block: _ranks(*block, shown, k), _squared_blocks(points)
    ):
        excess, preserved = excess + wrong, preserved + right
    return 1.0 - excess * 2.0 / (n * k * (2.0 * n - 3.0 * k - 1.0)), preserved / (n * k)


def _ranks(start: int, squared: np.ndarray, shown: np.ndarray, k: int) -> tuple[int, int]:
    """Ranks beyond k of the neighbors on the map, summed, and how many are k or less."""
    rows = np.arange(len(squared))
    squared[rows, start + rows] = -1.0
    mine = np.take_along_axis(squared, shown[start : start + len(rows)], axis=1)
    # The point itself counts as nearer, so the count of nearer points is the rank.
    ranks = np.stack([(squared < mine[:, [j]]).sum(axis=1) for j in range(k)], axis=1)
    return int(np.maximum(ranks - k, 0).sum()), int((ranks <= k).sum())


def _squared_blocks(points: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Squared distances of a block of rows to all rows, one block at a time."""
    points = _centered(points)
    norms = np.einsum("ij,ij->i", points, points)
    for start in range(0, len(points), _BLOCK):
        squared = points[start : start + _BLOCK] @ points.T
        squared *= -2.0
        squared += norms[start : start + _BLOCK, None] + norms
        np.maximum(squared, 0.0, out=squared)
        yield start, squared


def _centered(points: np.ndarray) -> np.ndarray:
    centered: np.ndarray = points - points.mean(axis=0, dtype=np.float64).astype(points.dtype)
    return centered


def distance_correlation(points: np.ndarray, coordinates: np.ndarray, pairs: np.ndarray) -> float:
    """Spearman correlation of the distances of `pairs` in the space and on the map.

    Parameters
    ----------
    points, coordinates
        Shapes (n, dim) and (n, 2).
    pairs
        Row indices, shape (m, 2); with fewer than 3 pairs or equal distances the result is NaN.
    """
    if len(pairs) < 3:
        return float("nan")
    from scipy.stats import rankdata

    first, second = pairs.T
    ranks = [rankdata(np.linalg.norm(x[first] - x[second], axis=1)) for x in (points, coordinates)]
    if np.ptp(ranks[0]) == 0 or np.ptp(ranks[1]) == 0:
        return float("nan")
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
