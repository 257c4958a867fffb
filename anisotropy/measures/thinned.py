"""Draws from mined lists when blocks of queries are left out, without reading all lists again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.sparse import csr_array

from anisotropy.measures.facts import spare_depth
from anisotropy.measures.mining import Law, Mined, probabilities, spread


class Thinned:
    """Probabilities of the items where blocks of queries, who are the items, are left out.

    Those of :func:`anisotropy.measures.mining.probabilities` under the uniform law. What is within
    the depth k of a list stays within it when others leave: it is found once for all blocks. Only
    what follows it is gone through, to fill the places that became free.

    Parameters
    ----------
    found, law
        The lists, and how anchors draw from them.
    block
        Shape (items,): block of each item.
    """

    def __init__(self, found: Mined, law: Law, block: np.ndarray) -> None:
        self.found, self.law, self.block = found, law, block
        index, positive = found.index[:, : law.k], found.positive[:, : law.k]
        there = index >= 0
        self._listed = _by_block(index, there, block)
        self._positive = _by_block(index, there & positive, block)
        drawn = there & ~positive
        anchor = np.repeat(np.arange(len(index)), drawn.sum(axis=1))
        shape = (found.n, len(index))
        self._drawn = csr_array((np.ones(len(anchor)), (index[drawn], anchor)), shape=shape)

    def probabilities(self, out: Sequence[int] = ()) -> np.ndarray:
        """Probability of each item to be drawn, shape (n,); 0 for those in the blocks left out."""
        out = list(out)
        anchor, stays = self.found.weights(self.law.anchors, out), ~np.isin(self.block, out)
        rows, items = self._moved_up(self._listed[:, out].sum(axis=1), stays)
        sizes = (self._listed - self._positive).sum(axis=1)
        sizes -= (self._listed - self._positive)[:, out].sum(axis=1)
        sizes += np.bincount(rows, minlength=len(sizes))
        each = anchor / np.maximum(sizes, 1)
        mass = np.where(stays, self._drawn @ each, 0.0)
        mass += np.bincount(items, weights=each[rows], minlength=len(mass))
        return _shares(mass, float(anchor[sizes > 0].sum()))

    def _moved_up(self, free: np.ndarray, stays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Anchors and items of what fills the free places, positives of the anchor left out."""
        k, depth = self.law.k, self.found.index.shape[1]
        # Beyond the spare depth is looked only where that does not fill every list.
        for end in (min(spare_depth(k), depth), depth):
            index = self.found.index[:, k:end]
            taken = stays[index] & (index >= 0)
            place = np.cumsum(taken, axis=1, dtype=np.int32)
            if end == depth or (place.max(axis=1, initial=0) >= free).all():
                break
        taken &= (place <= free[:, None]) & ~self.found.positive[:, k:end]
        row, column = np.nonzero(taken)
        return row, index[row, column]


def leaving(
    found: Mined, law: Law, block: np.ndarray | None
) -> Callable[[Sequence[int]], np.ndarray]:
    """Probabilities of the items as a function of the blocks of queries that are left out.

    Parameters
    ----------
    found, law
        The lists, and how anchors draw from them.
    block
        Block of each item where the items are the queries; None where they are the documents, of
        which none is left out.
    """
    if block is None:
        mass, total = mass_of_blocks(found, law)

        def of_documents(out: Sequence[int]) -> np.ndarray:
            stays = np.ones(len(total))
            stays[list(out)] = 0
            return _shares(stays @ mass, float(stays @ total))

        return of_documents
    if law.law == "uniform":
        return Thinned(found, law, block).probabilities
    return lambda out: probabilities(found, law, out, block)


def _shares(mass: np.ndarray, total: float) -> np.ndarray:
    """What falls on each item, of what there is to draw."""
    return np.asarray(mass / total if total > 0 else mass)


def mass_of_blocks(found: Mined, law: Law) -> tuple[np.ndarray, np.ndarray]:
    """Of the anchors in each block of queries: probability of each item, and their weight."""
    index, weight, anchor = spread(found, law)
    anchor = anchor * weight.any(axis=1)
    blocks = found.there.shape[1]
    mass, total = np.zeros((blocks, found.n)), np.zeros(blocks)
    for block in range(blocks):
        rows = found.there[:, block]
        drawn = (weight[rows] * anchor[rows, None]).ravel()
        mass[block] = np.bincount(index[rows].ravel(), weights=drawn, minlength=found.n)
        total[block] = anchor[rows].sum()
    return mass, total


def _by_block(index: np.ndarray, counted: np.ndarray, block: np.ndarray) -> np.ndarray:
    """How many counted entries of each list are in each block, shape (lists, blocks)."""
    blocks = int(block.max()) + 1
    row = np.arange(len(index))[:, None] * blocks
    place = (row + block[np.maximum(index, 0)])[counted]
    return np.bincount(place, minlength=len(index) * blocks).reshape(len(index), blocks)
