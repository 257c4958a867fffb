"""Scores of anchors against targets by blocks, and what is kept of them.

One sweep serves every consumer at once: the nearest neighbors, the sums of exponentials, the
counts of targets nearer than a given score. The matrix of scores never exists as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from anisotropy import backend
from anisotropy.backend import Rows
from anisotropy.errors import UsageError, one_of

ANCHOR_BLOCK = 1024
TARGET_BLOCK = 16384
Product = Literal["dot", "euclidean"]


@dataclass(frozen=True, eq=False)
class Items:
    """Queries or documents, each of one vector or of several adjacent ones.

    Attributes
    ----------
    rows
        The vectors.
    starts
        Offsets of shape (items + 1,) into the rows; None where an item is a row.
    """

    rows: Rows
    starts: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rows) if self.starts is None else len(self.starts) - 1

    def take(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Vectors of the items, and the offset at which each begins (None: one each)."""
        index, starts = self.row_index(items)
        return self.rows.take(index), starts

    def row_index(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Rows of the items, and the offset at which each begins (None: one each)."""
        if self.starts is None:
            return items, None
        lengths = self.starts[items + 1] - self.starts[items]
        begins = np.concatenate(([0], np.cumsum(lengths)[:-1]))
        inside = np.arange(int(lengths.sum())) - np.repeat(begins, lengths)
        return np.repeat(self.starts[items], lengths) + inside, begins

    def step(self, limit: int) -> int:
        """How many items make a block of about `limit` rows."""
        return max(1, int(limit * len(self) / max(len(self.rows), 1)))


class Consumer(Protocol):
    """What a sweep hands its blocks of scores to."""

    def update(self, anchors: slice, first: int, scores: np.ndarray) -> None:
        """Take in scores of shape (anchors, targets from `first` on); leave them unchanged."""


@dataclass(frozen=True, eq=False)
class Neighbors:
    """Nearest targets of each anchor, best first.

    Attributes
    ----------
    anchors
        Shape (a,): which items are the anchors.
    index, scores
        Shape (a, k): target and score; -1 and minus infinity where there are fewer than k.
    n_targets
        How many targets there were to choose from.
    """

    anchors: np.ndarray
    index: np.ndarray
    scores: np.ndarray
    n_targets: int


class TopK:
    """Keep the `k` best targets of each anchor under one total order.

    Parameters
    ----------
    n
        Number of anchors.
    k
        Neighbors kept.
    ties
        Shape (targets,): among equal scores the smaller comes first.
    """

    def __init__(self, n: int, k: int, ties: np.ndarray) -> None:
        self._best = backend.Best(ties)
        self._kept = np.full((n, k), backend.Best.NOTHING)
        self._floor = np.full(n, -np.inf, dtype=np.float32)

    def update(self, anchors: slice, first: int, scores: np.ndarray) -> None:
        """Merge a block of scores into the lists."""
        block = scores.astype(np.float32, copy=False)
        kept = self._kept[anchors]
        floor = np.maximum(self._floor[anchors], backend.lower_bound_of_kth(block, kept.shape[1]))
        row, column = backend.candidates(block, floor)
        self._best.merge(kept, row, self._best.keys(block[row, column], column + first))
        self._floor[anchors] = self._best.read(kept[:, -1])[1]

    def neighbors(self, anchors: np.ndarray) -> Neighbors:
        """The lists of the given anchors."""
        index, scores = self._best.read(self._kept)
        return Neighbors(anchors, index, scores, len(self._best.target))


class KernelSums:
    """Sum over targets of exp(-t |u - v|^2) for unit vectors, a column for each t.

    Parameters
    ----------
    n
        Number of anchors.
    ts
        The values of t.
    """

    def __init__(self, n: int, ts: Sequence[float]) -> None:
        self.ts = tuple(ts)
        self.sums = np.zeros((n, len(self.ts)))

    def update(self, anchors: slice, first: int, scores: np.ndarray) -> None:
        """Add a block of cosines."""
        buffer = np.empty_like(scores)
        for column, t in enumerate(self.ts):
            np.subtract(scores, 1, out=buffer)
            np.multiply(buffer, 2 * t, out=buffer)
            np.exp(buffer, out=buffer)
            self.sums[anchors, column] += buffer.sum(axis=1)


class NearerCounts:
    """Count the targets that score above a given pair, ties apart.

    Parameters
    ----------
    anchor, target, score
        Shape (p,), sorted by anchor: the pairs. The pair's own target is not counted.
    tolerance
        Scores within it are ties.
    """

    def __init__(
        self, anchor: np.ndarray, target: np.ndarray, score: np.ndarray, tolerance: float
    ) -> None:
        self.anchor, self.target, self.score = anchor, target, score
        self.tolerance = tolerance
        self.above = np.zeros(len(anchor))
        self.tied = np.zeros(len(anchor))

    def update(self, anchors: slice, first: int, scores: np.ndarray) -> None:
        """Add a block of scores."""
        begin, end = np.searchsorted(self.anchor, [anchors.start, anchors.stop])
        step = max(1, ANCHOR_BLOCK)
        for start in range(begin, end, step):
            part = slice(start, min(start + step, end))
            self._count(part, scores[self.anchor[part] - anchors.start], first)

    def _count(self, part: slice, block: np.ndarray, first: int) -> None:
        width = block.shape[1]
        own = self.target[part] - first
        inside = np.flatnonzero((own >= 0) & (own < width))
        block[inside, own[inside]] = -np.inf
        score = self.score[part, None]
        above = np.count_nonzero(block > score + self.tolerance, axis=1)
        reach = np.count_nonzero(block >= score - self.tolerance, axis=1)
        self.above[part] += above
        self.tied[part] += reach - above


def sweep(
    anchors: Items,
    chosen: np.ndarray,
    targets: Items,
    consumers: Sequence[Consumer],
    *,
    product: Product = "dot",
    own: np.ndarray | None = None,
) -> None:
    """Score the chosen anchors against every target and hand the blocks to the consumers.

    Parameters
    ----------
    anchors, targets
        Items; of several vectors the best pair counts.
    chosen
        Which anchors, shape (a,).
    consumers
        Called with blocks of scores of shape (anchors, targets).
    product
        ``dot``, or ``euclidean`` for minus the squared distance.
    own
        Shape (a,): a target that scores minus infinity for its anchor (itself).
    """
    step = anchors.step(ANCHOR_BLOCK)
    for start in range(0, len(chosen), step):
        part = slice(start, min(start + step, len(chosen)))
        block = anchors.take(chosen[part])
        _sweep_targets(part, block, targets, consumers, product, own)


def _sweep_targets(
    part: slice,
    block: tuple[np.ndarray, np.ndarray | None],
    targets: Items,
    consumers: Sequence[Consumer],
    product: Product,
    own: np.ndarray | None,
) -> None:
    step = targets.step(TARGET_BLOCK)
    for first in range(0, len(targets), step):
        items = np.arange(first, min(first + step, len(targets)))
        scores = _scores(block, targets.take(items), product)
        if own is not None:
            _mask(scores, own[part] - first)
        for consumer in consumers:
            consumer.update(part, first, scores)


def _scores(
    anchors: tuple[np.ndarray, np.ndarray | None],
    targets: tuple[np.ndarray, np.ndarray | None],
    product: Product,
) -> np.ndarray:
    scores = backend.matmul(anchors[0], targets[0])
    if product == "euclidean":
        scores *= 2
        scores -= np.einsum("ij,ij->i", anchors[0], anchors[0])[:, None]
        scores -= np.einsum("ij,ij->i", targets[0], targets[0])[None, :]
    for axis, (_, starts) in enumerate((anchors, targets)):
        if starts is not None:
            scores = np.maximum.reduceat(scores, starts, axis=axis)
    return scores


def _mask(scores: np.ndarray, column: np.ndarray) -> None:
    row = np.flatnonzero((column >= 0) & (column < scores.shape[1]))
    scores[row, column[row]] = -np.inf


def top_neighbors(
    anchors: np.ndarray,
    targets: np.ndarray,
    k: int,
    *,
    similarity: str = "dot",
    ties: np.ndarray | None = None,
) -> Neighbors:
    """Exact nearest targets of every anchor.

    Parameters
    ----------
    anchors, targets
        Arrays or memory maps of shape (a, dim) and (n, dim).
    k
        Neighbors of each anchor; fewer where there are fewer targets.
    similarity
        ``dot``, ``cosine`` or ``euclidean`` (score: minus the squared distance).
    ties
        Shape (n,): among equal scores the smaller comes first. Default: the row number.

    Returns
    -------
    Neighbors
        `index` and `scores` of shape (a, min(k, n)).

    Raises
    ------
    UsageError
        If `similarity` is another word or `k` is below 1.
    """
    if similarity not in ("dot", "cosine", "euclidean"):
        raise UsageError(f"similarity: {one_of(similarity, ('dot', 'cosine', 'euclidean'))}")
    if k < 1:
        raise UsageError(f"k: got {k}; allowed: 1 and above")
    unit = similarity == "cosine"
    left, right = (_as_items(matrix, unit) for matrix in (anchors, targets))
    kept = TopK(len(left), min(k, len(right)), _ties(ties, len(right)))
    chosen = np.arange(len(left))
    sweep(left, chosen, right, [kept], product="euclidean" if similarity == "euclidean" else "dot")
    return kept.neighbors(chosen)


def _ties(ties: np.ndarray | None, n: int) -> np.ndarray:
    return np.arange(n) if ties is None else ties


def _as_items(matrix: np.ndarray, unit: bool) -> Items:
    rows = Rows(np.asanyarray(matrix))
    if unit:
        rows = rows.scaled(1 / np.sqrt(np.maximum(rows.squares(), np.finfo(float).tiny)))
    return Items(rows)
