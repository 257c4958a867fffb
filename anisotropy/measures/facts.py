"""What the measures of one space share: rows, moments, neighbor tables, judged pairs.

Everything is computed when it is first needed, once, and kept. The depth of the neighbor
tables and the exponents of the kernels come from a plan made from all requested measures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from anisotropy.errors import UsageError
from anisotropy.measures.base import Impossible
from anisotropy.measures.passes import (
    Cross,
    Kernels,
    OneSet,
    across,
    cross_group,
    cross_place,
    kernels,
    spare_depth,
    within,
)
from anisotropy.measures.sides import Center, Sides
from anisotropy.neighbors import Neighbors, TopK, sweep

if TYPE_CHECKING:
    from anisotropy.spaces import EmbeddingSpace

__all__ = [
    "Cross",
    "Facts",
    "OneSet",
    "Pairs",
    "Plan",
    "Pool",
    "check_grades",
    "spare_depth",
]

#: Transforms that share a pass within a side.
WITHIN = ("unit", "center>unit")
LARGEST_GRADE = 2**31 - 1
_PAIR_BLOCK = 8192

F = TypeVar("F", Kernels, OneSet, Cross)
T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """What the requested measures need together.

    Attributes
    ----------
    ts
        Exponents of the uniformity kernels.
    local_k, depth
        Deepest k of the k-occurrence measures, and of the ranking (mining included).
    lists
        Whether neighbors within a side are asked for, whose pass then gives kernels as well.
    on
        The transforms that are asked for; None for all.
    """

    ts: tuple[float, ...] = ()
    local_k: int = 0
    depth: int = 0
    lists: bool = True
    on: tuple[str, ...] | None = None

    def wants(self, on: str) -> bool:
        """Whether anything is asked for under a transform."""
        return self.on is None or on in self.on


class Pool(Protocol):
    """What lists of negatives are of: a space, or a run without its vectors.

    Attributes
    ----------
    seed
        Of blocks and simulated nulls.
    """

    seed: int

    @property
    def mining(self) -> Pool:
        """The pool that negatives are drawn from."""

    def ids(self, side: str) -> Sequence[str]:
        """Ids of the queries or documents."""

    def once(self, key: Any, make: Callable[[], T]) -> T:
        """Result of `make`, computed at the first call with this key."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Judged pairs with a positive grade, sorted by query, then document.

    Attributes
    ----------
    query, document, grade
        Shape (pairs,): positions in the ids of the space, and the grade.
    positive
        Shape (pairs,), bool: whether the grade reaches the relevance level.
    """

    query: np.ndarray
    document: np.ndarray
    grade: np.ndarray
    positive: np.ndarray

    def relevant(self) -> Pairs:
        """Only the pairs that reach the relevance level."""
        keep = self.positive
        return Pairs(self.query[keep], self.document[keep], self.grade[keep], keep[keep])


class Facts(Sides):
    """Shared, lazily computed facts of one space.

    Parameters
    ----------
    space
        The space.
    plan
        Exponents and depths needed.
    seed
        Of the choice of anchors and of blocks.
    anchors
        Sides of more than twice as many rows are worked on from this many seeded anchors.
    exact
        Use all rows as anchors whatever they cost.
    relevance_level
        Smallest grade of a positive.
    progress
        Called with a line before long work.
    """

    def __init__(
        self,
        space: EmbeddingSpace,
        plan: Plan,
        *,
        seed: int = 0,
        anchors: int = 5000,
        exact: bool = False,
        relevance_level: int = 1,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(space, seed, anchors, exact)
        self.plan = plan
        self.relevance_level = relevance_level
        self.progress = progress or (lambda _: None)

    @cached_property
    def mining(self) -> Facts:
        """Facts of the space whose queries are the mining pool (itself without training)."""
        if self.space.mining is self.space:
            return self
        return Facts(
            self.space.mining,
            Plan(depth=self.plan.depth),
            seed=self.seed,
            anchors=self.anchors,
            exact=self.exact,
            relevance_level=self.relevance_level,
            progress=self.progress,
        )

    # Passes ---------------------------------------------------------------------------------

    def one_set(self, side: str, on: str) -> OneSet:
        """Kernel sums and neighbors within a side; unit and centered rows share a pass."""
        group = self._group(on)
        found = self.once(("within", side, group), lambda: within(self, side, group))[on]
        return _possible(found)

    def kernels(self, side: str, on: str) -> Kernels:
        """Kernel sums within a side; alone where nothing asks for neighbors there."""
        if self.plan.lists:
            return self.one_set(side, on)
        group = self._group(on)
        found = self.once(("kernels", side, group), lambda: kernels(self, side, group))[on]
        return _possible(found)

    def _group(self, on: str) -> tuple[str, ...]:
        """The transforms that share a pass within a side with `on`: those asked for."""
        together = tuple(one for one in WITHIN if self.plan.wants(one))
        return together if on in together else (on,)

    def cross(self, on: str, center: Center = "joint") -> Cross:
        """Kernel sums, neighbors and counts of queries against documents, best chunk each.

        Parameters
        ----------
        on
            ``unit``, ``center>unit``, or ``recipe``: the scores of the recipe, padding-only
            chunks included. Transforms that can share a pass do.
        center
            What centered rows are centered by: the ``joint`` mean, or each side's ``own``.
            ``own`` with ``recipe`` are the recipe's scores once each side is centered.
        """
        place = cross_place(self, on, center)
        group = cross_group(self, place)
        return _possible(self.once(("cross", group), lambda: across(self, group))[place])

    @cached_property
    def recipe_is_unit(self) -> bool:
        """Whether the recipe scores by the cosines of the very rows that geometry is of."""
        return self.space.similarity == "cosine" and not self.padded

    def dual(self, on: str, center: Center = "joint") -> tuple[Neighbors, bool]:
        """Nearest queries of the documents, `spare` deeper than asked; whether of some only."""
        center = center if on.startswith("center") else "none"
        return self.once(("dual", on, center), lambda: self._dual(on, center))

    def _dual(self, on: str, center: Center) -> tuple[Neighbors, bool]:
        documents, queries = (self.items(s, on, center) for s in ("documents", "queries"))
        chosen = self.choose(self.space.doc_ids)
        self.progress(f"documents x queries ({on}): {len(chosen)} x {len(queries)}")
        depth = min(max(spare_depth(self.plan.local_k), 1), len(queries))
        lists = TopK(len(chosen), depth, self.ties("queries"))
        sweep(documents, chosen, queries, [lists])
        return lists.neighbors(chosen), len(chosen) < len(documents)

    def cross_kernel(self, on: str, t: float) -> np.ndarray:
        """Mean kernel of each query with every document row, shape (queries,)."""
        return self.cross(on).kernel[:, self.plan.ts.index(t)]

    # Judged pairs ---------------------------------------------------------------------------

    @cached_property
    def pairs(self) -> Pairs:
        """Judged pairs of a positive grade whose query and document are in the space."""
        check_grades(self.space.qrels)
        place_q = {name: i for i, name in enumerate(self.space.query_ids)}
        # Of millions of documents few are judged: only these are kept by name.
        judged = {d for grades in self.space.qrels.values() for d in grades}
        place_d = {name: i for i, name in enumerate(self.space.doc_ids) if name in judged}
        found = [
            (place_q[q], place_d[d], grade)
            for q, grades in self.space.qrels.items()
            for d, grade in grades.items()
            if grade > 0 and q in place_q and d in place_d
        ]
        table = np.array(sorted(found), dtype=np.int64).reshape(-1, 3)
        query, document, grade = table[:, 0], table[:, 1], table[:, 2]
        return Pairs(query, document, grade, grade >= self.relevance_level)

    @cached_property
    def positives(self) -> Pairs:
        """The judged pairs that reach the relevance level.

        Raises
        ------
        Impossible
            If there are none.
        """
        self.need_positives()
        return self.pairs.relevant()

    def need_positives(self) -> None:
        """Raise Impossible where no judged pair reaches the relevance level."""
        if not self.pairs.positive.any():
            level = self.relevance_level
            raise Impossible(f"no judged pair of grade {level} or above in this space")

    @cached_property
    def positive_distances(self) -> np.ndarray:
        """Euclidean distance of each positive pair on unit rows, best chunk, shape (pairs,)."""
        return self.pair_distances(self.positives.query, self.positives.document)

    def pair_cosines(self, pairs: Pairs) -> np.ndarray:
        """Cosine of each pair, best chunk, shape (pairs,)."""
        return 1 - self.pair_distances(pairs.query, pairs.document) ** 2 / 2

    def pair_distances(self, query: np.ndarray, document: np.ndarray) -> np.ndarray:
        """Euclidean distance of each query and document on unit rows, best chunk.

        Both are positions in the ids of the space, shape (pairs,).
        """
        out = np.empty(len(query))
        for part, left, right, starts in self.pair_rows(query, document, "unit"):
            gap = left - right
            square = np.einsum("ij,ij->i", gap, gap)
            out[part] = square if starts is None else np.minimum.reduceat(square, starts)
        return np.sqrt(out)

    def pair_rows(
        self, query: np.ndarray, document: np.ndarray, on: str
    ) -> Iterator[tuple[slice, np.ndarray, np.ndarray, np.ndarray | None]]:
        """Rows of each query and document by blocks of pairs, a row for every chunk.

        Yields
        ------
        tuple
            Which pairs; rows of the queries (float64) and documents; where each pair begins
            among them (None: one row each).
        """
        queries, documents = self.items("queries", on), self.items("documents", on)
        for start in range(0, len(query), _PAIR_BLOCK):
            part = slice(start, start + _PAIR_BLOCK)
            left, _ = queries.take(query[part])
            right, starts = documents.take(document[part])
            if starts is not None:
                left = np.repeat(left, np.diff(np.append(starts, len(right))), axis=0)
            yield part, left.astype(np.float64), right, starts


def _possible(found: F | Impossible) -> F:
    """What was found; raises the reason where nothing could be."""
    if isinstance(found, Impossible):
        raise found
    return found


def check_grades(qrels: Mapping[str, Mapping[str, int]]) -> None:
    """Raise UsageError where a grade is too large for the arithmetic of gains."""
    for query, judged in qrels.items():
        for document, grade in judged.items():
            if not abs(grade) <= LARGEST_GRADE:
                raise UsageError(
                    f"qrels: grade {str(grade)[:30]} of query {query!r} and document "
                    f"{document!r}; allowed: up to {LARGEST_GRADE} in size"
                )
