"""Negatives from the current model: exact search, positives left out, a seeded sample.

The law of ANCE and DANCE: the `depth` best items of an anchor, its positives skipped, `kept` of
the rest sampled without replacement, one of these drawn at each step. So until the next refresh an
anchor meets a uniform sample of its top `depth`. Upstream skips one positive of several judged
ones; here all of them are skipped, so no judged pair is ever trained apart.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from anisotropy.errors import CollectionError
from anisotropy.neighbors import top_neighbors


@dataclass(frozen=True, eq=False)
class Negatives:
    """Negatives of each anchor, until the next refresh.

    Attributes
    ----------
    items
        Shape (anchors, kept): item numbers, -1 after the last where there are fewer.
    counts
        Shape (anchors,): how many there are, at least 1.
    """

    items: np.ndarray
    counts: np.ndarray

    def draw(self, anchors: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Draw one negative for each of the given anchors.

        Parameters
        ----------
        anchors
            Shape (B,), anchor numbers, repeats allowed.
        generator
            Source of the choice.

        Returns
        -------
        numpy.ndarray of shape (B,)
            Item numbers, uniform over the anchor's kept negatives.
        """
        column = generator.integers(0, self.counts[anchors])
        chosen: np.ndarray = self.items[anchors, column]
        return chosen


def mine(
    anchors: np.ndarray,
    items: np.ndarray,
    positives: Sequence[Collection[int]],
    *,
    depth: int = 200,
    kept: int = 20,
    generator: np.random.Generator,
) -> Negatives:
    """Search the negatives of every anchor.

    Parameters
    ----------
    anchors, items
        Vectors of shape (a, dim) and (n, dim): queries and documents, or the reverse. Scores are
        inner products, which are cosines where the model normalizes.
    positives
        For each anchor the item numbers that are never its negatives.
    depth, kept
        Items searched, and negatives sampled from them.
    generator
        Source of the sample.

    Returns
    -------
    Negatives
        Uniform samples without replacement from each anchor's top `depth` minus its positives.

    Raises
    ------
    CollectionError
        If all of an anchor's `depth` best items are its positives.
    """
    best = top_neighbors(anchors, items, min(depth, len(items))).index
    allowed = best >= 0
    for row, own in enumerate(positives):
        allowed[row] &= ~np.isin(best[row], np.fromiter(own, np.int64))
    if not allowed.any(axis=1).all():
        row = int(np.flatnonzero(~allowed.any(axis=1))[0])
        raise CollectionError(
            f"negatives: all {best.shape[1]} nearest items of anchor {row} are its positives; "
            "raise depth, or use a larger collection"
        )
    return sample(best, allowed, kept, generator)


def sample(
    ranked: np.ndarray, allowed: np.ndarray, kept: int, generator: np.random.Generator
) -> Negatives:
    """Sample columns of each row without replacement.

    Parameters
    ----------
    ranked
        Shape (a, depth), item numbers.
    allowed
        Shape (a, depth), boolean.
    kept
        Sampled a row at most.
    generator
        Source of the sample.

    Returns
    -------
    Negatives
    """
    keys = np.where(allowed, generator.random(ranked.shape), 2.0)
    order = np.argsort(keys, axis=1, kind="stable")[:, :kept]
    counts = np.minimum(allowed.sum(axis=1), order.shape[1])
    items = np.take_along_axis(ranked, order, axis=1)
    items[np.arange(order.shape[1]) >= counts[:, None]] = -1
    return Negatives(items, counts)
