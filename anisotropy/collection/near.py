"""Groups of texts that are the same or almost the same.

Texts are sets of three-word shingles (lower case, signs dropped). MinHash signatures of 128
values in 32 bands (Broder 1997) propose pairs; a pair is kept when the Jaccard similarity of
the two sets is at least 0.7, and kept pairs are joined transitively. At that similarity a pair
is proposed with probability 1 - (1 - 0.7^4)^32 > 0.9998.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

import numpy as np

from anisotropy.files import hash_ids

SIMILARITY = 0.7
_SHINGLE = 3
_BANDS = 32
_ROWS = 4


class Groups:
    """Items 0 to n - 1 joined into groups (union-find)."""

    def __init__(self, n: int) -> None:
        self._parent = list(range(n))

    def find(self, item: int) -> int:
        """Smallest item of the group of `item`."""
        while self._parent[item] != item:
            self._parent[item] = self._parent[self._parent[item]]
            item = self._parent[item]
        return item

    def join(self, one: int, other: int) -> None:
        """Make one group of two."""
        low, high = sorted((self.find(one), self.find(other)))
        self._parent[high] = low


def near_duplicates(texts: Sequence[Sequence[str]], groups: Groups) -> None:
    """Join in `groups` the texts that are almost the same.

    Parameters
    ----------
    texts
        The words of each text.
    groups
        Of as many items; joined in place.
    """
    shingles = _shingles(texts)
    for one, other in _proposed(shingles):
        if groups.find(one) != groups.find(other) and _are_near(shingles[one], shingles[other]):
            groups.join(one, other)


def _are_near(one: np.ndarray, other: np.ndarray) -> bool:
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared >= SIMILARITY * (len(one) + len(other) - shared)


def _shingles(texts: Sequence[Sequence[str]]) -> list[np.ndarray]:
    vocabulary = sorted({word for words in texts for word in words})
    code = dict(zip(vocabulary, hash_ids(vocabulary), strict=True))
    factors = hash_ids(["first", "second", "third"], seed=_SHINGLE) | np.uint64(1)
    return [
        _shingle(np.array([code[word] for word in words], np.uint64), factors) for words in texts
    ]


def _shingle(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    size = max(len(codes) - _SHINGLE + 1, 1)
    total = np.zeros(size, np.uint64)
    for place, factor in enumerate(factors):
        part = codes[place : place + size]
        total[: len(part)] += part * factor
    return np.unique(total)


def _proposed(shingles: Sequence[np.ndarray]) -> Iterator[tuple[int, int]]:
    seen: set[tuple[int, int]] = set()
    for band in _bands(shingles):
        buckets: dict[bytes, list[int]] = defaultdict(list)
        for item, row in enumerate(band):
            buckets[row.tobytes()].append(item)
        fresh = [pair for bucket in buckets.values() for pair in combinations(bucket, 2)]
        yield from (pair for pair in fresh if pair not in seen)
        seen.update(fresh)


def _bands(shingles: Sequence[np.ndarray]) -> Iterable[np.ndarray]:
    if not shingles:
        return
    values = np.concatenate(shingles)
    # A multiplication keeps what is in the low bits apart from the high ones: fold them in first.
    values ^= values >> np.uint64(31)
    starts = np.cumsum([0, *(len(shingle) for shingle in shingles[:-1])])
    for band in range(_BANDS):
        names = [f"{band}/{row}" for row in range(_ROWS)]
        factors = hash_ids(names, seed=1) | np.uint64(1)
        yield np.stack(
            [np.minimum.reduceat(_mixed(values, factors[[row]]), starts) for row in range(_ROWS)],
            axis=1,
        )


def _mixed(values: np.ndarray, factor: np.ndarray) -> np.ndarray:
    mixed: np.ndarray = values * factor
    mixed ^= mixed >> np.uint64(29)
    return mixed
