"""Scores of anchors against targets by tiles, and what is kept of them.

One sweep serves every consumer at once: the nearest neighbors, the sums of exponentials, the
counts of targets nearer than a given score. The matrix of scores never exists as a whole.
"""

from anisotropy.neighbors.consumers import Consumer, KernelSums, NearerCounts, Neighbors, TopK
from anisotropy.neighbors.sweeping import Items, Product, View, sweep, sweep_views, top_neighbors

__all__ = [
    "Consumer",
    "Items",
    "KernelSums",
    "NearerCounts",
    "Neighbors",
    "Product",
    "TopK",
    "View",
    "sweep",
    "sweep_views",
    "top_neighbors",
]
