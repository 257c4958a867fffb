"""Scores of anchors against targets by tiles, and what is kept of them.

One sweep serves every consumer at once: the nearest neighbors, the sums of exponentials, the
counts of targets nearer than a given score. The matrix of scores never exists as a whole.
Where it is asked for, an approximate index finds the neighbors instead.
"""

from anisotropy.neighbors.approximate import FaissIndex, recall
from anisotropy.neighbors.consumers import Consumer, KernelSums, NearerCounts, Neighbors, TopK
from anisotropy.neighbors.indexes import NeighborIndex
from anisotropy.neighbors.sweeping import Items, Product, View, sweep, sweep_views, top_neighbors

__all__ = [
    "Consumer",
    "FaissIndex",
    "Items",
    "KernelSums",
    "NearerCounts",
    "NeighborIndex",
    "Neighbors",
    "Product",
    "TopK",
    "View",
    "recall",
    "sweep",
    "sweep_views",
    "top_neighbors",
]
