"""Equally many rows of both sides, chosen by the hash of their ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anisotropy.files import hash_ids
from anisotropy.measures.base import Impossible
from anisotropy.measures.facts import Facts

#: Rows a side beyond which both sides are thinned: these measures cost n^2 or a classifier.
CAP = 2000
SIDES = ("queries", "documents")


@dataclass(frozen=True, eq=False)
class EqualSides:
    """The pool of n queries and n document rows, queries first.

    Attributes
    ----------
    rows
        Shape (2 n, dim).
    chosen
        The rows taken of each side, shape (n,) each.
    ids
        An id for each row of the pool, unlike between the sides.
    """

    rows: np.ndarray
    chosen: dict[str, np.ndarray]
    ids: list[str]

    @property
    def n(self) -> int:
        """Rows of a side."""
        return len(self.rows) // 2

    def drawn(self, facts: Facts, side: str) -> float:
        """Share of the rows of a side that are in the pool."""
        return self.n / len(facts.raw(side))


def equal_sides(facts: Facts, on: str, least: int) -> EqualSides:
    """As many rows of either side as the smaller has, at most :data:`CAP` unless exact.

    Centered rows are centered by the joint mean of all rows.

    Raises
    ------
    Impossible
        If a side has fewer than `least` rows.
    """
    sizes = {s: len(facts.raw(s)) for s in SIDES}
    for side, size in sizes.items():
        if size < least:
            raise Impossible(f"{side}: {size} row(s), at least {least} are needed")
    return facts.once(("equal sides", on), lambda: _equal_sides(facts, on, sizes))


def _equal_sides(facts: Facts, on: str, sizes: dict[str, int]) -> EqualSides:
    n = min(sizes.values()) if facts.exact else min(CAP, *sizes.values())
    # The first chunk of a document goes by its name, so that one chunk each is no chunks.
    ids = {s: [name.removesuffix("#0") if facts.units(s) is not None else name
               for name in facts.row_ids(s)] for s in SIDES}  # fmt: skip
    chosen = {s: _lowest(ids[s], n, facts.seed) for s in SIDES}
    blocks = [facts.rows(s, on, "joint").take(chosen[s]) for s in SIDES]
    names = [f"{s}:{ids[s][i]}" for s in SIDES for i in chosen[s]]
    return EqualSides(np.concatenate(blocks), chosen, names)


def _lowest(ids: Sequence[str], n: int, seed: int) -> np.ndarray:
    """Rows with the n smallest hashes, in their own order."""
    return np.sort(np.argsort(hash_ids(ids, seed), kind="stable")[:n])
