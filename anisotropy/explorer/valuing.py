"""Numbers of one space for every query and document, as the measures know them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from anisotropy.measures import MeasuredSpace
from anisotropy.measures.base import Impossible
from anisotropy.measures.counts import occurrences
from anisotropy.measures.facts import Facts, Pairs, Plan
from anisotropy.measures.families.local import neighbor_table
from anisotropy.measures.families.nearest import pair_scores, positive_ranks, positive_scores
from anisotropy.measures.mining import MINING_K, Law, headline_k, mined, probabilities

if TYPE_CHECKING:
    from anisotropy.spaces import EmbeddingSpace

SIDES = ("queries", "documents")
#: Neighbors of the k-occurrence, of the density and of what is kept.
NEAR = 10


@dataclass(frozen=True, eq=False)
class Occurrence:
    """How often items of one side are among the 10 nearest of the other, by cosine.

    Attributes
    ----------
    counts
        Shape (items,); NaN where there are too few items to choose from.
    anchors
        How many items of the other side were asked; 0 where none could be.
    """

    counts: np.ndarray
    anchors: int

    @property
    def chance(self) -> float:
        """Expected count where each anchor takes its 10 nearest at random."""
        return self.anchors * NEAR / len(self.counts)

    @property
    def relative(self) -> np.ndarray:
        """Counts in multiples of chance."""
        return self.counts / self.chance if self.anchors else self.counts


@dataclass(frozen=True, eq=False)
class Drawn:
    """How often mining draws the items of a side as negatives.

    Attributes
    ----------
    probability
        Shape (items,), NaN outside the pool.
    k, anchors
        Depth of the lists and how many there are; 0 where nothing can be mined.
    items
        Size of the pool: an even draw has the probability 1/items.
    """

    probability: np.ndarray
    k: int = 0
    anchors: int = 0
    items: int = 0

    @property
    def even(self) -> np.ndarray:
        """Probabilities in multiples of an even draw."""
        return self.probability * self.items


class Valued:
    """One space with its numbers, all in the order of the ids of the first space.

    Parameters
    ----------
    space
        The space.
    ids
        Ids of the queries and of the documents of the first space; those of `space` in any order.
    seed, relevance_level
        Of the measures.
    depth
        How deep the rankings are at least; 200, as mining, where that is less.
    """

    def __init__(
        self,
        space: EmbeddingSpace,
        ids: tuple[Sequence[str], Sequence[str]],
        *,
        seed: int,
        relevance_level: int,
        depth: int,
    ) -> None:
        plan = Plan(local_k=NEAR, depth=max(MINING_K, depth))
        self.facts = Facts(space, plan, seed=seed, relevance_level=relevance_level)
        self.measured = MeasuredSpace(space, self.facts)
        self.space = space
        self.order = {
            side: _places(ids[number], self.facts.ids(side)) for number, side in enumerate(SIDES)
        }

    def back(self, side: str) -> np.ndarray:
        """Position in the first space of each item of this one."""
        return np.argsort(self.order[side])

    @cached_property
    def ranking(self) -> np.ndarray:
        """Documents of each query by the recipe's score, best first, shape (queries, depth)."""
        index = self.facts.cross("recipe").neighbors.index[self.order["queries"]]
        return np.where(index >= 0, self.back("documents")[index], -1)

    def distances(self, query: np.ndarray, document: np.ndarray) -> np.ndarray:
        """Euclidean distance of pairs on unit rows, best chunk; positions of the first space."""
        return self.facts.pair_distances(*self._own(query, document))

    def scores(self, query: np.ndarray, document: np.ndarray) -> np.ndarray:
        """The recipe's score of pairs, best chunk; positions of the first space."""
        return pair_scores(self.facts, *self._own(query, document))

    def _own(self, query: np.ndarray, document: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.order["queries"][query], self.order["documents"][document]

    @cached_property
    def pairs(self) -> Pairs:
        """Judged pairs of a positive grade, by query, as positions of the first space."""
        pairs = self.facts.pairs
        query, document = self.back("queries")[pairs.query], self.back("documents")[pairs.document]
        order = np.lexsort((document, query))
        return Pairs(query[order], document[order], pairs.grade[order], pairs.positive[order])

    @cached_property
    def positives(self) -> dict[str, np.ndarray]:
        """Of every positive: rank, score and distance, in the order of the positive `pairs`."""
        if not self.facts.pairs.positive.any():
            return {name: np.zeros(0) for name in ("rank", "score", "distance")}
        found = self.facts.positives
        order = np.lexsort(
            (self.back("documents")[found.document], self.back("queries")[found.query])
        )
        return {
            "rank": positive_ranks(self.facts)[order],
            "score": positive_scores(self.facts)[order],
            "distance": self.facts.positive_distances[order],
        }

    @cached_property
    def best_rank(self) -> np.ndarray:
        """Rank of the best positive of each query; NaN where a query has none."""
        best = np.full(len(self.order["queries"]), np.nan)
        query = self.pairs.query[self.pairs.positive]
        np.fmin.at(best, query, self.positives["rank"].astype(float))
        return best

    @cached_property
    def query_values(self) -> dict[str, np.ndarray]:
        """Columns of the curve ``queries`` by name."""
        curve = self.measured.by_query
        if curve is None:
            return {}
        numbers = {n: v for n, v in curve.columns.items() if np.issubdtype(v.dtype, np.number)}
        return {name: np.asarray(v)[self.order["queries"]] for name, v in numbers.items()}

    def occurrence(self, side: str) -> Occurrence:
        """How many items of the other side have each item among their 10 nearest."""
        place = "ranking" if side == "documents" else "dual_ranking"
        with contextlib.suppress(Impossible):
            table, _ = neighbor_table(self.facts, place, "unit", "none")
            if table.n_targets > NEAR:
                counts = occurrences(table.index, NEAR, table.n_targets)
                return Occurrence(counts[self.order[side]].astype(float), len(table.anchors))
        return Occurrence(np.full(len(self.order[side]), np.nan), 0)

    def density(self, side: str) -> np.ndarray:
        """Mean cosine with the 10 nearest others of the same side, NaN where it is not known.

        Of a document with several vectors it is that of the first; of more than 10,000 rows
        only seeded anchors have one.
        """
        rows = np.full(len(self.facts.row_ids(side)), np.nan)
        with contextlib.suppress(Impossible):
            found = self.facts.one_set(side, "unit")
            if len(rows) > NEAR:
                rows[found.chosen] = found.neighbors.scores[:, :NEAR].mean(axis=1)
        return np.asarray(rows[self.first_rows(side)][self.order[side]])

    def first_rows(self, side: str) -> np.ndarray:
        """The first row of each item of this space that counts."""
        units = self.facts.units(side)
        if units is None:
            return np.arange(len(self.facts.ids(side)))
        return np.asarray(np.unique(units, return_index=True)[1])

    def drawn(self, side: str) -> Drawn:
        """How often mining draws each item as a negative, at the depth of the headline row."""
        pool = self.facts.mining
        with contextlib.suppress(Impossible):
            found, k = mined(self.facts, side, "none"), headline_k(self.facts, side)
            if found.n > k:
                known = dict(zip(pool.ids(side), probabilities(found, Law(k)), strict=True))
                own = np.array([known.get(name, np.nan) for name in self.facts.ids(side)])
                return Drawn(own[self.order[side]], k, len(found.keys), found.n)
        return Drawn(np.full(len(self.order[side]), np.nan))


def _places(wanted: Sequence[str], ids: Sequence[str]) -> np.ndarray:
    """Position among `ids` of each wanted id."""
    place = {name: number for number, name in enumerate(ids)}
    return np.array([place[name] for name in wanted], dtype=np.int64)
