"""What the measures of one space share: rows, moments, neighbor tables, judged pairs.

Everything is computed when it is first needed, once, and kept. The depth of the neighbor
tables and the exponents of the kernels come from a plan made from all requested measures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from anisotropy.errors import UsageError
from anisotropy.measures.base import Impossible
from anisotropy.measures.sides import Center, Sides
from anisotropy.neighbors import Items, KernelSums, NearerCounts, Neighbors, Product, TopK, sweep

if TYPE_CHECKING:
    from anisotropy.spaces import EmbeddingSpace

TIE_TOLERANCE = 1e-6
LARGEST_GRADE = 2**31 - 1
_PAIR_BLOCK = 8192


@dataclass(frozen=True)
class Plan:
    """What the requested measures need together.

    Attributes
    ----------
    ts
        Exponents of the uniformity kernels.
    local_k, depth
        Deepest k of the k-occurrence measures, and of the ranking (mining included).
    """

    ts: tuple[float, ...] = ()
    local_k: int = 0
    depth: int = 0


@dataclass(frozen=True, eq=False)
class OneSet:
    """Anchors of a side against all rows of that side, themselves excluded.

    Attributes
    ----------
    chosen
        Rows that are anchors.
    kernel
        Shape (anchors, len(ts)): mean kernel of an anchor with all other rows.
    neighbors
        Nearest other rows, `spare` deeper than asked, for leaving blocks out.
    sampled
        Whether the anchors are fewer than the rows.
    """

    chosen: np.ndarray
    kernel: np.ndarray
    neighbors: Neighbors
    sampled: bool


@dataclass(frozen=True, eq=False)
class Cross:
    """Queries against all documents.

    Attributes
    ----------
    kernel
        Shape (queries, len(ts)): mean kernel of a query with all document rows.
    neighbors
        Nearest documents.
    nearer, tied
        For each judged pair how many other documents are strictly nearer than its document,
        and how many are as near.
    """

    kernel: np.ndarray
    neighbors: Neighbors
    nearer: np.ndarray
    tied: np.ndarray


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
        """Kernel sums and neighbors within a side."""
        return self.once(("one set", side, on), lambda: self._one_set(side, on))

    def _one_set(self, side: str, on: str) -> OneSet:
        rows = self.rows(side, on)
        n = len(rows)
        if n < 2:
            raise Impossible(f"{side}: {n} row(s), at least 2 are needed")
        chosen = self.choose(self.row_ids(side))
        self.progress(f"{side} among themselves ({on}): {len(chosen)} x {n}")
        depth = min(spare_depth(self.plan.local_k), n - 1)
        lists = TopK(len(chosen), max(depth, 1), self.ties(side, rows=True))
        sums = KernelSums(len(chosen), self.plan.ts)
        items = Items(rows)
        sweep(items, chosen, items, [lists, sums], own=chosen)
        return OneSet(chosen, sums.sums / (n - 1), lists.neighbors(chosen), len(chosen) < n)

    def cross(self, on: str, center: Center = "joint") -> Cross:
        """Kernel sums, neighbors and counts of queries against documents, best chunk each.

        ``recipe`` means the scores of the recipe and includes padding-only chunks; it shares
        the pass on unit rows where the two are the same. `center` is what centered rows are
        centered by: the ``joint`` mean, or each side's ``own``.
        """
        if on == "recipe" and self._recipe_is_unit:
            on = "unit"
        center = center if on.startswith("center") else "none"
        return self.once(("cross", on, center), lambda: self._cross(on, center))

    @cached_property
    def _recipe_is_unit(self) -> bool:
        padding = self.space.padding
        plain = padding is None or not np.any(padding)
        return self.space.similarity == "cosine" and plain

    def _cross(self, on: str, center: Center) -> Cross:
        queries, documents, product = self._sides(on, center)
        self.progress(f"queries x documents ({on}): {len(queries)} x {len(documents)}")
        ranked = on == "recipe" or (on == "unit" and self._recipe_is_unit)
        depth = max(self.plan.depth if ranked else self.plan.local_k, 1)
        ties = self.trec_ties("documents") if ranked else self.ties("documents")
        lists = TopK(len(queries), min(depth, len(documents)), ties)
        unit = on != "recipe"
        sums = KernelSums(len(queries), self.plan.ts if unit and documents.starts is None else ())
        pairs = self.pairs.relevant() if on == "unit" else _NO_PAIRS
        counts = NearerCounts(
            pairs.query, pairs.document, self._pair_cosines(pairs), TIE_TOLERANCE
        )
        chosen = np.arange(len(queries))
        sweep(queries, chosen, documents, [lists, sums, counts], product=product)
        kernel = sums.sums / max(len(documents), 1)
        return Cross(kernel, lists.neighbors(chosen), counts.above, counts.tied)

    def _sides(self, on: str, center: Center) -> tuple[Items, Items, Product]:
        if on != "recipe":
            return self.items("queries", on, center), self.items("documents", on, center), "dot"
        return self.scored("queries"), self.scored("documents"), self.product

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
        if self.document_layout[0] is None:
            return self.cross(on).kernel[:, self.plan.ts.index(t)]
        return self.once(("kernel", on), lambda: self._row_kernel(on))[:, self.plan.ts.index(t)]

    def _row_kernel(self, on: str) -> np.ndarray:
        """Kernel sums over chunks, where the ranking keeps only the best one."""
        queries = Items(self.rows("queries", on, "joint"))
        documents = Items(self.rows("documents", on, "joint"))
        sums = KernelSums(len(queries), self.plan.ts)
        sweep(queries, np.arange(len(queries)), documents, [sums])
        return sums.sums / len(documents)

    # Judged pairs ---------------------------------------------------------------------------

    @cached_property
    def pairs(self) -> Pairs:
        """Judged pairs of a positive grade whose query and document are in the space."""
        check_grades(self.space.qrels)
        place_q = {name: i for i, name in enumerate(self.space.query_ids)}
        place_d = {name: i for i, name in enumerate(self.space.doc_ids)}
        found = [
            (place_q[q], place_d[d], grade)
            for q, judged in self.space.qrels.items()
            for d, grade in judged.items()
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

    def _pair_cosines(self, pairs: Pairs) -> np.ndarray:
        return 1 - self.pair_distances(pairs.query, pairs.document) ** 2 / 2

    def pair_distances(self, query: np.ndarray, document: np.ndarray) -> np.ndarray:
        """Euclidean distance of each query and document on unit rows, best chunk.

        Both are positions in the ids of the space, shape (pairs,).
        """
        out = np.empty(len(query))
        if not len(out):
            return out
        queries, documents = self.items("queries", "unit"), self.items("documents", "unit")
        for start in range(0, len(out), _PAIR_BLOCK):
            part = slice(start, start + _PAIR_BLOCK)
            left, _ = queries.take(query[part])
            right, starts = documents.take(document[part])
            if starts is not None:
                left = np.repeat(left, np.diff(np.append(starts, len(right))), axis=0)
            gap = left.astype(np.float64) - right
            square = np.einsum("ij,ij->i", gap, gap)
            out[part] = square if starts is None else np.minimum.reduceat(square, starts)
        return np.sqrt(out)


_NOTHING = np.zeros(0, dtype=np.int64)
_NO_PAIRS = Pairs(_NOTHING, _NOTHING, _NOTHING, _NOTHING.astype(bool))


def check_grades(qrels: Mapping[str, Mapping[str, int]]) -> None:
    """Raise UsageError where a grade is too large for the arithmetic of gains."""
    for query, judged in qrels.items():
        for document, grade in judged.items():
            if not abs(grade) <= LARGEST_GRADE:
                raise UsageError(
                    f"qrels: grade {str(grade)[:30]} of query {query!r} and document "
                    f"{document!r}; allowed: up to {LARGEST_GRADE} in size"
                )


def spare_depth(k: int, blocks: int = 20) -> int:
    """Depth at which a list still holds `k` items when two blocks of them are left out."""
    share = 2 * k / blocks
    return k + int(np.ceil(share + 6 * np.sqrt(share) + 3)) if k else 0
