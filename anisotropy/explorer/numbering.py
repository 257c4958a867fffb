"""Numbers for the items of the page: what is on the maps first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from anisotropy.explorer.data import DOCUMENT, NO_ITEM, QUERY, WORDS

SIDES = ("queries", "documents")


class Numbering:
    """Items of the page by their side and their position among the ids of the first space.

    Parameters
    ----------
    sizes
        Number of queries and of documents there are.
    shown
        Side (0 or 1) and position of each point of the maps, in their order.

    Attributes
    ----------
    sides, positions
        Of every item so far.
    """

    def __init__(self, sizes: tuple[int, int], shown: tuple[np.ndarray, np.ndarray]) -> None:
        self._numbers = [np.full(size, NO_ITEM, dtype=np.int64) for size in sizes]
        self.sides = np.zeros(0, dtype=np.uint8)
        self.positions = np.zeros(0, dtype=np.int64)
        for side in (QUERY, DOCUMENT):
            self.add(side, shown[1][shown[0] == side])

    def __len__(self) -> int:
        return len(self.sides)

    def add(self, side: int, positions: np.ndarray) -> None:
        """Number what has none yet, in the order given."""
        new = positions[self._numbers[side][positions] == NO_ITEM]
        new = new[np.sort(np.unique(new, return_index=True)[1])]
        self._numbers[side][new] = len(self) + np.arange(len(new))
        self.sides = np.append(self.sides, np.full(len(new), side, dtype=np.uint8))
        self.positions = np.append(self.positions, new)

    def add_all(self, side: int, lists: Iterable[np.ndarray]) -> None:
        """Number the items of several lists."""
        for positions in lists:
            self.add(side, positions)

    def of(self, side: int, positions: np.ndarray) -> np.ndarray:
        """Number of each position, -1 where it has none or is below 0."""
        found = self._numbers[side][np.maximum(positions, 0)]
        return np.asarray(np.where(positions < 0, NO_ITEM, found))

    def queries(self) -> np.ndarray:
        """Numbers of the items that are queries."""
        return np.flatnonzero(self.sides == QUERY)

    def spread(self, by_side: Sequence[np.ndarray], n: int) -> np.ndarray:
        """The values of the first `n` items from those of all queries and all documents."""
        out = np.empty(n)
        for side, values in enumerate(by_side):
            mine = np.flatnonzero(self.sides[:n] == side)
            out[mine] = values[self.positions[mine]]
        return out


def shown_points(
    ids: Sequence[str], sides: Sequence[str], known: tuple[Sequence[str], Sequence[str]]
) -> tuple[np.ndarray, np.ndarray]:
    """Side and position of the points of a map.

    Parameters
    ----------
    ids, sides
        Columns ``id`` and ``side`` of the coordinates.
    known
        Ids of all queries and of all documents.
    """
    places = [{name: number for number, name in enumerate(names)} for names in known]
    side = np.array([WORDS.index(word) for word in sides], dtype=np.uint8)
    found = [places[which][name] for which, name in zip(side, ids, strict=True)]
    return side, np.array(found, dtype=np.int64)
