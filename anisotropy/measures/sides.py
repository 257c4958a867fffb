"""The two sides of a space as rows and items, under every transform, with their moments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from anisotropy.backend import Rows, dots, each, squared_lengths
from anisotropy.errors import EmbeddingsError
from anisotropy.files import hash_ids
from anisotropy.measures.base import Impossible
from anisotropy.measures.looks import Look, looks
from anisotropy.measures.moments import Moments
from anisotropy.neighbors import Items, Product

if TYPE_CHECKING:
    from anisotropy.spaces import EmbeddingSpace

T = TypeVar("T")
Center = Literal["own", "joint", "none"]


class Sides:
    """Queries and documents of a space; whatever is computed is kept.

    Parameters
    ----------
    space
        The space.
    seed
        Of the choice of anchors and of the order that breaks ties.
    anchors
        Sides of more than twice as many rows are worked on from this many seeded anchors.
    exact
        Use all rows as anchors whatever they cost.
    """

    def __init__(self, space: EmbeddingSpace, seed: int, anchors: int, exact: bool) -> None:
        self.space = space
        self.seed = seed
        self.anchors = anchors
        self.exact = exact
        self._memory: dict[Any, Any] = {}

    def once(self, key: Any, make: Callable[[], T]) -> T:
        """Result of `make`, computed at the first call with this key."""
        if key not in self._memory:
            self._memory[key] = make()
        result: T = self._memory[key]
        return result

    def ids(self, side: str) -> Sequence[str]:
        """Ids of the queries or documents."""
        return self.space.query_ids if side == "queries" else self.space.doc_ids

    @cached_property
    def document_layout(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Order of all document rows by document, and the document of each; None: plain."""
        of_row = self.space.document_of_row
        if of_row is None:
            return None, None
        order = np.argsort(of_row, kind="stable")
        return order, np.asarray(of_row)[order]

    def units(self, side: str) -> np.ndarray | None:
        """Document of each row that counts; None where a row is a unit."""
        order, of_row = self.document_layout
        if side == "queries" or order is None or of_row is None:
            return None
        kept: np.ndarray = of_row[self._unpadded]
        return kept

    @cached_property
    def _unpadded(self) -> np.ndarray:
        """Among the ordered document rows, those that are not padding only."""
        order, of_row = self.document_layout
        if order is None or of_row is None:
            raise AssertionError("only for several vectors a document")  # pragma: no cover
        if self.space.padding is None:
            return np.arange(len(order))
        first = np.concatenate(([True], of_row[1:] != of_row[:-1]))
        return np.flatnonzero(~np.asarray(self.space.padding)[order] | first)

    def raw(self, side: str, padding: bool = False) -> Rows:
        """Rows of a side as encoded; documents without padding-only chunks unless asked."""
        if side == "queries":
            return Rows(self.space.queries)
        order, _ = self.document_layout
        if order is None:
            return Rows(self.space.documents)
        return Rows(self.space.documents, order if padding else order[self._unpadded])

    @cached_property
    def padded(self) -> bool:
        """Whether any row stands for padding only."""
        return self.space.padding is not None and bool(np.any(self.space.padding))

    def rows(self, side: str, on: str, center: Center = "own", padding: bool = False) -> Rows:
        """Rows of a side under a transform.

        Parameters
        ----------
        side
            ``queries`` or ``documents``.
        on
            ``raw``, ``unit``, ``center`` or ``center>unit``.
        center
            Mean subtracted: the side's ``own``, or the ``joint`` (m_q + m_d)/2.
        padding
            Whether padding-only chunks are among the rows.
        """
        padding = padding and self.padded
        key = ("rows", side, on, center if on.startswith("center") else "none", padding)
        return self.once(key, lambda: self._rows(side, on, center, padding))

    def _rows(self, side: str, on: str, center: Center, padding: bool) -> Rows:
        rows = self.raw(side, padding)
        if on == "raw":
            return rows
        if on.startswith("center"):
            rows = Rows(rows.data, rows.keep, self._center(side, center))
        if on == "center":
            return rows
        if padding:
            return rows.scaled(1 / self._lengths(side, rows, rows.squares()))
        squares = self._look(side, center if rows.shift is not None else "none").squares
        return rows.scaled(1 / self._lengths(side, rows, squares))

    def _look(self, side: str, center: Center) -> Look:
        """Lengths and sums of rows as they are (``none``) or centered."""
        if center == "none":
            return self.once(("look", side), lambda: looks(self.raw(side), [None]))[0]
        # Whoever asks for one center asks for the other: one reading for both.
        shifts = [self._center(side, "own"), self._center(side, "joint")]
        found = self.once(("centered look", side), lambda: looks(self.raw(side), shifts))
        return found[center == "joint"]

    def _center(self, side: str, center: Center) -> np.ndarray:
        means = {s: self.moments(s, "raw").mean for s in ("queries", "documents")}
        return means[side] if center == "own" else (means["queries"] + means["documents"]) / 2

    def _lengths(self, side: str, rows: Rows, squares: np.ndarray) -> np.ndarray:
        lengths: np.ndarray = np.sqrt(squares)
        zero = np.flatnonzero(lengths == 0)
        if not len(zero):
            return lengths
        if rows.shift is not None:
            raise Impossible(f"{side}: a row equals the mean and has no direction once centered")
        row = int(zero[0] if rows.keep is None else rows.keep[zero[0]])
        of_row = self.space.document_of_row if side == "documents" else None
        name = self.ids(side)[row if of_row is None else int(of_row[row])]
        raise EmbeddingsError(
            f"{self.space.label}: {side}: {len(zero)} all-zero row(s), first row {row} (id "
            f"{name!r}); allowed: rows with a length, since unit measures divide by it; remove or "
            "re-encode them"
        )

    def items(self, side: str, on: str, center: Center = "own", padding: bool = False) -> Items:
        """Queries, or documents with all their chunks, under a transform."""
        rows = self.rows(side, on, center, padding)
        _, of_row = self.document_layout
        if side == "queries" or of_row is None:
            return Items(rows)
        kept = of_row if padding else of_row[self._unpadded]
        return Items(rows, np.searchsorted(kept, np.arange(len(self.space.doc_ids) + 1)))

    def lengths(self, side: str) -> np.ndarray:
        """Length of every raw row."""
        return self.once(("lengths", side), lambda: np.sqrt(self._look(side, "none").squares))

    @cached_property
    def normalized(self) -> bool:
        """Whether every raw row of both sides has length 1 up to storage rounding."""
        sides = [self.lengths(side) for side in ("queries", "documents")]
        return all(bool(np.all(np.abs(lengths - 1) < 2e-3)) for lengths in sides)

    def row_ids(self, side: str) -> Sequence[str]:
        """An id for every row that counts: chunks carry their number."""
        units = self.units(side)
        if units is None:
            return self.ids(side)
        return self.once(("row ids", side), lambda: self._chunk_ids(side, units))

    def _chunk_ids(self, side: str, units: np.ndarray) -> list[str]:
        first = np.searchsorted(units, units)
        ids = self.ids(side)
        return [f"{ids[d]}#{i - f}" for i, (d, f) in enumerate(zip(units, first, strict=True))]

    def choose(self, ids: Sequence[str]) -> np.ndarray:
        """Anchors among the ids: all up to twice `anchors`, else `anchors` by seeded hash."""
        if self.exact or len(ids) <= 2 * self.anchors:
            return np.arange(len(ids))
        return np.sort(np.argsort(self._hashes(ids), kind="stable")[: self.anchors])

    def _hashes(self, ids: Sequence[str]) -> np.ndarray:
        """Seeded hash of each id, computed once a list of ids (which is kept with it)."""
        kept = self.once(("hashes", id(ids)), lambda: (ids, hash_ids(ids, self.seed)))
        return kept[1]

    def moments(self, side: str, on: str, center: Center = "own") -> Moments:
        """Mean and covariance of a side under a transform."""
        key = ("moments", side, on, center if on.startswith("center") else "none")
        return self.once(key, lambda: self._moments(side, on, center))

    def _moments(self, side: str, on: str, center: Center) -> Moments:
        rows = self.rows(side, on, center)

        def sums() -> tuple[np.ndarray, float]:
            look = self._look(side, center if on.startswith("center") else "none")
            if rows.scale is not None:
                return look.unit_total, look.unit_square
            return look.total, float(look.squares.sum())

        return Moments(rows, sums)

    def squares(self, side: str, on: str) -> np.ndarray:
        """Squared length of every row, raw or of unit length up to rounding."""
        return self._look(side, "none").squares if on == "raw" else self._alongs(side)[:, 4]

    def along_means(self, side: str, on: str) -> tuple[np.ndarray, np.ndarray]:
        """Inner products of the rows, raw or unit, with the mean of their side and the other's.

        Returns
        -------
        tuple of numpy.ndarray
            Each of shape (rows,).
        """
        own, other = self._alongs(side)[:, slice(0, 2) if on == "raw" else slice(2, 4)].T
        return own, other

    def _alongs(self, side: str) -> np.ndarray:
        """Products of raw rows with both means, of unit rows, and the squares of these."""
        other = "documents" if side == "queries" else "queries"
        raw, unit = (
            np.column_stack([self.moments(s, on).mean for s in (side, other)])
            for on in ("raw", "unit")
        )

        def products(as_encoded: np.ndarray, scaled: np.ndarray) -> np.ndarray:
            found = dots(raw, as_encoded), dots(unit, scaled), squared_lengths(scaled)
            return np.column_stack(found)

        sources = [self.raw(side), self.rows(side, "unit")]
        return self.once(("along means", side), lambda: each(sources, products))

    def ties(self, side: str, rows: bool = False) -> np.ndarray:
        """Order that breaks equal scores of neighbors: a hash of the id, not the position."""
        of_rows = rows and self.units(side) is not None
        ids = self.row_ids(side) if of_rows else self.ids(side)
        return self.once(("ties", side, of_rows), lambda: _places(self._hashes(ids)))

    def trec_ties(self, side: str) -> np.ndarray:
        """Order that breaks equal scores of rankings: ids descending, as trec_eval."""
        ids = self.ids(side)

        def make() -> np.ndarray:
            place = np.empty(len(ids), dtype=np.uint64)
            place[sorted(range(len(ids)), key=ids.__getitem__, reverse=True)] = np.arange(len(ids))
            return place

        return self.once(("trec ties", side), make)

    @property
    def product(self) -> Product:
        """Product whose order is that of the recipe on the rows of :meth:`scored`."""
        return "euclidean" if self.space.similarity == "euclidean" else "dot"

    def scored(self, side: str, center: str = "none") -> Items:
        """Items whose product is the recipe's score; each side centered first with ``sides``."""
        unit = self.space.similarity == "cosine"
        if center == "sides":
            return self.items(side, "center>unit" if unit else "center", "own", padding=True)
        return self.items(side, "unit" if unit else "raw", padding=True)


def _places(values: np.ndarray) -> np.ndarray:
    """The place of each value among all, in the type in which lists hold it (none is copied)."""
    place = np.empty(len(values), dtype=np.uint64)
    place[np.argsort(values, kind="stable")] = np.arange(len(values))
    return place
