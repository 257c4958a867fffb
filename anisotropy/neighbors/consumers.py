"""What is kept of a sweep: each consumer takes in tiles of scores.

Tiles of different anchors come from different threads, those of the same anchors one after the
other in the order of the targets. So a consumer keeps what it keeps by anchor, and its results
do not depend on the number of threads.

Targets come in spans. What another process made of some anchors and one span is merged in the
order of the spans; a sum that is not exact is therefore taken of each span, then of the spans.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from anisotropy import backend


class Consumer(Protocol):
    """What a sweep hands its tiles of scores to."""

    def update(self, anchors: slice, first: int, scores: np.ndarray) -> None:
        """Take in scores of shape (anchors, targets from `first` on); leave them unchanged."""

    def settle(self, anchors: slice) -> None:
        """End a span of targets for these anchors."""

    def part(self, anchors: slice, targets: slice) -> Consumer:
        """An empty one for some anchors and a span of targets, both numbered from 0.

        It is sent to where they are multiplied, so it holds no more than it needs there.
        """

    def found(self) -> Any:
        """What it took in, as little as there is to it, once all anchors are settled."""

    def merge(self, anchors: slice, targets: slice, found: Any) -> None:
        """Take in what a part for these found; spans come in order."""


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


_making = threading.Lock()


def _no_lists(n: int, k: int) -> np.ndarray:
    return np.full((n, k), backend.Best.NOTHING)


class TopK:
    """Keep the `k` best targets of each anchor under one total order.

    Candidates are collected until there are about `k` an anchor, then merged into the sorted
    lists at once: each merge raises the floor that candidates have to reach, so merges become
    rarer as the sweep goes on.

    Parameters
    ----------
    n
        Number of anchors.
    k
        Neighbors kept.
    ties
        Shape (targets,): among equal scores the smaller comes first.
    """

    #: Candidates an anchor, in multiples of k, beyond which the tile itself gives a floor.
    CROWDED = 4

    def __init__(self, n: int, k: int, ties: np.ndarray) -> None:
        self.best = backend.Best(ties)
        self.n, self.k = n, k
        self.floor = np.full(n, -np.inf, dtype=np.float32)
        self._waiting: dict[tuple[int, int], list[tuple[np.ndarray, np.ndarray]]] = {}
        self._lists: np.ndarray | None = None

    @property
    def _kept(self) -> np.ndarray:
        """The lists; not there before they are needed, so that an empty one is sent as nothing."""
        if self._lists is None:
            with _making:  # for all threads the same
                if self._lists is None:
                    self._lists = _no_lists(self.n, self.k)
        return self._lists

    def update(self, anchors: slice, first: int, scores: np.ndarray) -> None:
        """Take in the candidates of a tile."""
        block = scores.astype(np.float32, copy=False)
        row, column = self._candidates(block, self.floor[anchors])
        waiting = self._waiting.setdefault((anchors.start, anchors.stop), [])
        waiting.append((row, self.best.keys(block[row, column], column + first)))
        if sum(len(row) for row, _ in waiting) >= len(block) * self.k:
            self._merge(anchors, waiting)

    def _candidates(self, block: np.ndarray, floor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        most = self.CROWDED * self.k * len(block)
        if block.shape[1] <= self.k or np.isfinite(floor).any():
            place = backend.candidates(block, floor)
            if len(place[0]) <= most:
                return place
        bound = backend.lower_bound_of_kth(block, self.k)
        return backend.candidates(block, np.maximum(floor, bound))

    def _merge(self, anchors: slice, waiting: list[tuple[np.ndarray, np.ndarray]]) -> None:
        row, keys = waiting[0]
        if len(waiting) > 1:
            row, keys = (np.concatenate(part) for part in zip(*waiting, strict=True))
            order = np.argsort(row, kind="stable")
            row, keys = row[order], keys[order]
        waiting.clear()
        self.best.merge(self._kept[anchors], row, keys)
        self._raise(anchors)

    def _raise(self, anchors: slice) -> None:
        """Raise the floor to the last of the lists."""
        last = self.best.scores(self._kept[anchors, -1])
        self.floor[anchors] = np.maximum(self.floor[anchors], last)

    def _merge_waiting(self) -> None:
        for (start, stop), waiting in self._waiting.items():
            if waiting:
                self._merge(slice(start, stop), waiting)

    def settle(self, anchors: slice) -> None:
        """Nothing to do: a list is exact in any order."""

    def part(self, anchors: slice, targets: slice) -> TopK:
        """An empty one; what does not reach the lists so far is left out."""
        part = TopK(anchors.stop - anchors.start, self.k, self.best.ties[:0])
        part.best = self.best.span(targets)
        part.floor = self.floor[anchors].copy()
        return part

    def found(self) -> tuple[np.ndarray, np.ndarray]:
        """How many candidates each anchor has, shape (anchors,), and their keys, one by one."""
        self._merge_waiting()
        there = self._kept != backend.Best.NOTHING
        return np.count_nonzero(there, axis=1), self._kept[there]

    def merge(self, anchors: slice, targets: slice, found: tuple[np.ndarray, np.ndarray]) -> None:
        """Put the candidates of a part into the lists."""
        counts, keys = found
        if len(keys):
            kept = self._kept[anchors]
            if (kept[:, 0] == backend.Best.NOTHING).all():
                self.best.fill(kept, counts, keys)
            else:
                self.best.merge(kept, np.repeat(np.arange(len(counts)), counts), keys)
            self._raise(anchors)

    def neighbors(self, anchors: np.ndarray) -> Neighbors:
        """The lists of the given anchors."""
        self._merge_waiting()
        index, scores = self.best.read(self._kept)
        return Neighbors(anchors, index, scores, len(self.best.target))


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
        self._span = np.zeros_like(self.sums)

    def update(self, anchors: slice, first: int, scores: np.ndarray) -> None:
        """Add a tile of cosines."""
        if not self.ts:
            return
        below_one = scores - 1
        kernel = np.empty_like(below_one)
        for column, t in enumerate(self.ts):
            np.multiply(below_one, 2 * t, out=kernel)
            np.exp(kernel, out=kernel)
            self._span[anchors, column] += kernel.sum(axis=1)

    def settle(self, anchors: slice) -> None:
        """Add the sums of a span to those before."""
        self.sums[anchors] += self._span[anchors]
        self._span[anchors] = 0

    def part(self, anchors: slice, targets: slice) -> KernelSums:
        """One of the same kernels, without sums."""
        return KernelSums(anchors.stop - anchors.start, self.ts)

    def found(self) -> np.ndarray:
        """Sums of the span."""
        return self.sums

    def merge(self, anchors: slice, targets: slice, found: np.ndarray) -> None:
        """Add the sums of a span to those before."""
        self.sums[anchors] += found


class NearerCounts:
    """Count the targets that score above a given pair, ties apart.

    Parameters
    ----------
    anchor, target, score
        Shape (p,), sorted by anchor: the pairs. The pair's own target is not counted.
    tolerance
        Scores within it are ties.
    """

    #: Pairs whose rows of scores are looked at together.
    PAIRS = 256

    def __init__(
        self, anchor: np.ndarray, target: np.ndarray, score: np.ndarray, tolerance: float
    ) -> None:
        self.anchor, self.target = anchor, target
        self.high, self.low = score + tolerance, score - tolerance
        self.above = np.zeros(len(anchor))
        self.tied = np.zeros(len(anchor))

    def update(self, anchors: slice, first: int, scores: np.ndarray) -> None:
        """Add a tile of scores."""
        begin, end = self.pairs(anchors)
        for start in range(begin, end, self.PAIRS):
            part = slice(start, min(start + self.PAIRS, end))
            self._count(part, scores[self.anchor[part] - anchors.start], first)

    def pairs(self, anchors: slice) -> tuple[int, int]:
        """The first of the pairs of some anchors, and the one after the last."""
        begin, end = np.searchsorted(self.anchor, [anchors.start, anchors.stop])
        return int(begin), int(end)

    def settle(self, anchors: slice) -> None:
        """Nothing to do: counts are exact."""

    def part(self, anchors: slice, targets: slice) -> NearerCounts:
        """Counts of nothing yet for the pairs of some anchors."""
        own = slice(*self.pairs(anchors))
        part = copy.copy(self)
        part.anchor = self.anchor[own] - anchors.start
        part.target = self.target[own] - targets.start
        part.high, part.low = self.high[own], self.low[own]
        part.above, part.tied = np.zeros((2, len(part.anchor)))
        return part

    def found(self) -> tuple[np.ndarray, np.ndarray]:
        """Both counts."""
        return self.above, self.tied

    def merge(self, anchors: slice, targets: slice, found: tuple[np.ndarray, np.ndarray]) -> None:
        """Add both counts."""
        own = slice(*self.pairs(anchors))
        self.above[own] += found[0]
        self.tied[own] += found[1]

    def _count(self, part: slice, block: np.ndarray, first: int) -> None:
        width = block.shape[1]
        own = self.target[part] - first
        inside = np.flatnonzero((own >= 0) & (own < width))
        block[inside, own[inside]] = -np.inf
        high = _rounded(self.high[part], block.dtype, np.floor)[:, None]
        low = _rounded(self.low[part], block.dtype, np.ceil)[:, None]
        above = np.count_nonzero(block > high, axis=1)
        reach = np.count_nonzero(block >= low, axis=1)
        self.above[part] += above
        self.tied[part] += reach - above


def _rounded(values: np.ndarray, dtype: np.dtype[np.floating], way: np.ufunc) -> np.ndarray:
    """The nearest numbers of a type below (``np.floor``) or above (``np.ceil``) float64 ones.

    A float32 score exceeds a float64 bound just when it exceeds the bound rounded down, and
    reaches it just when it reaches the bound rounded up; so nothing is compared in float64.
    """
    near = values.astype(dtype)
    wrong = near > values if way is np.floor else near < values
    toward = np.asarray(-np.inf if way is np.floor else np.inf, dtype)
    return np.asarray(np.where(wrong, np.nextafter(near, toward), near))
