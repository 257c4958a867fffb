"""Distances of single queries to documents, as a person looks them up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from anisotropy.errors import EmbeddingsError, UsageError, one_of

if TYPE_CHECKING:
    import pandas as pd

    from anisotropy.spaces.space import EmbeddingSpace, Qrels

TARGETS = ("positives", "nearest", "random", "all")
METRICS = ("euclidean", "cosine", "dot")
_SHOWN = 10
_BLOCK_ROWS = 16_384
_KEPT_BYTES = 1 << 28


@dataclass(frozen=True)
class Asked:
    """Which pairs to look up, and what their distance is; see :meth:`EmbeddingSpace.distances`.

    Attributes
    ----------
    query_id, to, on, metric, random_state
        As there.
    k
        How many documents ``nearest`` and ``random`` give a query.
    """

    query_id: str | None = None
    to: str = "positives"
    on: str = "unit"
    metric: str = "euclidean"
    random_state: int = 0
    k: int = _SHOWN

    def __post_init__(self) -> None:
        for name, allowed in (("to", TARGETS), ("on", ("unit", "raw")), ("metric", METRICS)):
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name}: {one_of(getattr(self, name), allowed)}")
        if self.query_id is None and self.to == "all":
            raise UsageError("to='all' needs one query_id")
        if self.k < 1:
            raise UsageError(f"k: got {self.k}; allowed: 1 or more")


def pair_distances(space: EmbeddingSpace, asked: Asked) -> pd.DataFrame:
    """See :meth:`EmbeddingSpace.distances`."""
    columns, (values,) = look_up([[space]], asked)
    texts = {"grade": columns.pop("grade"), "text": columns.pop("text")}
    query_text = columns.pop("query_text")
    return as_frame({**columns, **values, **texts, "query_text": query_text})


def look_up(
    sides: Sequence[Sequence[EmbeddingSpace]], asked: Asked
) -> tuple[dict[str, Any], list[dict[str, np.ndarray]]]:
    """The same pairs in every space, in one order: by query, then by document.

    Parameters
    ----------
    sides
        One side or several, each of one space or of seeds, whose values are averaged. All have
        the same ids, in whatever order; that of the first counts.
    asked
        With ``nearest``, what is among the `k` best documents of any space, by rank in the
        first side, then in the others.

    Returns
    -------
    tuple of dict and list
        The columns ``query_id``, ``doc_id``, ``grade``, ``text`` and ``query_text``; and for
        each side the columns ``distance``, ``score`` and ``rank``.
    """
    first = sides[0][0]
    every = [[_Lookup(space, first.doc_ids) for space in side] for side in sides]
    spaces = [space for side in sides for space in side]
    qrels = next((space.qrels for space in spaces if space.qrels), {})
    chosen = first.query_ids if asked.query_id is None else [asked.query_id]
    places = {name: place for place, name in enumerate(first.doc_ids)}
    rng = np.random.default_rng(asked.random_state)
    judged = [_positives(qrels, name, places) for name in chosen]
    found = [
        _of_query(every, name, asked, positives, rng)
        for name, positives in zip(chosen, judged, strict=True)
    ]
    doc_ids = [first.doc_ids[place] for picked, _ in found for place in picked]
    query_ids = [
        name for name, (picked, _) in zip(chosen, found, strict=True) for _ in range(len(picked))
    ]
    columns = {
        "query_id": query_ids,
        "doc_id": doc_ids,
        "grade": [qrels.get(q, {}).get(d) for q, d in zip(query_ids, doc_ids, strict=True)],
        "text": _document_texts(spaces, doc_ids),
        "query_text": texts_of_queries(spaces, query_ids),
    }
    return columns, [_stacked([values[side] for _, values in found]) for side in range(len(sides))]


Values = dict[str, np.ndarray]


def _of_query(
    sides: Sequence[Sequence[_Lookup]],
    query_id: str,
    asked: Asked,
    positives: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, list[Values]]:
    """Documents of one query, and for each side what they have there."""
    ranked = [[one.ranked(query_id) for one in side] for side in sides]
    ranks = [np.mean([rank for _, rank in side], axis=0) for side in ranked]
    if asked.to == "nearest":
        best = np.min([rank for side in ranked for _, rank in side], axis=0)
        picked = np.flatnonzero(best <= asked.k)
        picked = picked[np.lexsort([rank[picked] for rank in reversed(ranks)])]
    elif asked.to == "random":
        n = len(ranks[0])
        picked = np.sort(rng.choice(n, size=min(asked.k, n), replace=False))
    else:
        picked = positives if asked.to == "positives" else np.arange(len(ranks[0]))
    return picked, [
        {
            "distance": _mean([one.distances(query_id, picked, asked) for one in side]),
            "score": _mean([score[picked] for score, _ in found]),
            "rank": _mean([rank[picked] for _, rank in found]),
        }
        for side, found in zip(sides, ranked, strict=True)
    ]


def _mean(seeds: Sequence[np.ndarray]) -> np.ndarray:
    """Mean over the seeds; of one the values as they are, so that ranks stay whole numbers."""
    return seeds[0] if len(seeds) == 1 else np.mean(seeds, axis=0)


def _stacked(parts: Sequence[Values]) -> Values:
    names = ("distance", "score", "rank")
    none = [np.zeros(0)]
    return {name: np.concatenate([part[name] for part in parts] or none) for name in names}


def _positives(qrels: Qrels, query_id: str, places: dict[str, int]) -> np.ndarray:
    """Places of the documents judged relevant, ascending."""
    grades = qrels.get(query_id, {})
    return np.array(sorted(places[d] for d, grade in grades.items() if grade >= 1), dtype=np.int64)


class _Lookup:
    """The documents of a space, ranked for one query at a time.

    Rows of up to 256 MB are kept as 32-bit numbers; more are read again for every query.

    Parameters
    ----------
    space
        Any space.
    doc_ids
        The same ids as those of `space`; places of documents are counted in this order.
    """

    def __init__(self, space: EmbeddingSpace, doc_ids: Sequence[str]) -> None:
        self._space = space
        self._query_rows = {name: row for row, name in enumerate(space.query_ids)}
        place = {name: number for number, name in enumerate(space.doc_ids)}
        self._own = np.array([place[name] for name in doc_ids], dtype=np.int64)
        # The one tie rule of rankings here: the larger id first, as trec_eval.
        self._ties = np.empty(len(place), dtype=np.int64)
        self._ties[sorted(place.values(), key=space.doc_ids.__getitem__, reverse=True)] = (
            np.arange(len(place))
        )

    def ranked(self, query_id: str) -> tuple[np.ndarray, np.ndarray]:
        """Score of every document as the recipe defines it, and its rank: 1 is the best."""
        score = self._scores(self._query(query_id))
        owner = self._space.document_of_row
        if owner is not None:
            best = np.full(len(self._own), -np.inf, dtype=score.dtype)
            np.maximum.at(best, owner, score)
            score = best
        rank = np.empty(len(score), dtype=np.int64)
        rank[np.lexsort((self._ties, -score))] = np.arange(1, len(score) + 1)
        return score[self._own], rank[self._own]

    def distances(self, query_id: str, picked: np.ndarray, asked: Asked) -> np.ndarray:
        """Distance to some documents, of several vectors the smallest."""
        query, own = self._query(query_id), self._own[picked]
        if self._space.document_of_row is None:
            rows = np.asarray(self._space.documents[own], dtype=np.float32)
            return self._distances(query, rows, asked)
        order, starts = self._chunks
        parts = [order[starts[place] : starts[place + 1]] for place in own]
        group = np.repeat(np.arange(len(own)), [len(part) for part in parts])
        chunks = np.concatenate([np.zeros(0, dtype=np.int64), *parts])
        rows = np.asarray(self._space.documents[chunks], dtype=np.float32)
        best = np.full(len(own), np.inf, dtype=np.float32)
        np.minimum.at(best, group, self._distances(query, rows, asked))
        return best

    def _query(self, query_id: str) -> np.ndarray:
        row = self._query_rows.get(query_id)
        if row is None:
            known = self._space.query_ids
            raise UsageError(
                f"no query has the id {query_id!r} (there are {len(known)}, "
                f"for example {known[0] if known else ''!r})"
            )
        return np.asarray(self._space.queries[row], dtype=np.float32)

    def _scores(self, query: np.ndarray) -> np.ndarray:
        """Score of every document vector."""
        if self._space.similarity == "euclidean":
            parts = [-np.linalg.norm(block - query, axis=1) for block in self._blocks()]
        else:
            query = self._unit(query[None])[0] if self._space.similarity == "cosine" else query
            parts = [block @ query for block in self._blocks()]
        return np.concatenate([np.zeros(0, dtype=np.float32), *parts])

    def _distances(self, query: np.ndarray, rows: np.ndarray, asked: Asked) -> np.ndarray:
        if asked.on == "unit" or asked.metric == "cosine":
            query, rows = self._unit(query[None])[0], self._unit(rows)
        if asked.metric == "euclidean":
            return np.asarray(np.linalg.norm(rows - query, axis=1))
        products: np.ndarray = rows @ query
        return 1 - products if asked.metric == "cosine" else -products

    def _unit(self, rows: np.ndarray) -> np.ndarray:
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        if not lengths.all():
            raise EmbeddingsError(
                f"{self._space.label}: a vector of zeros has no direction; remove or re-encode "
                "it, or use on='raw' where scores are not cosines"
            )
        unit: np.ndarray = rows / lengths
        return unit

    def _blocks(self) -> Iterable[np.ndarray]:
        """Document vectors in 32 bits, of length 1 where scores are cosines."""
        return self._read() if self._kept is None else self._kept

    @cached_property
    def _kept(self) -> list[np.ndarray] | None:
        rows, dim = self._space.documents.shape
        return list(self._read()) if 4 * rows * dim <= _KEPT_BYTES else None

    def _read(self) -> Iterator[np.ndarray]:
        documents = self._space.documents
        for start in range(0, len(documents), _BLOCK_ROWS):
            block = np.asarray(documents[start : start + _BLOCK_ROWS], dtype=np.float32)
            yield self._unit(block) if self._space.similarity == "cosine" else block

    @cached_property
    def _chunks(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of all documents one after the other, and where each begins.

        Padding-only chunks have a score, as upstream ranks, but no place in the geometry.
        """
        owner = np.asarray(self._space.document_of_row)
        order = np.argsort(owner, kind="stable")
        if self._space.padding is not None:
            first = np.concatenate(([True], owner[order][1:] != owner[order][:-1]))
            order = order[~np.asarray(self._space.padding, dtype=bool)[order] | first]
        return order, np.searchsorted(owner[order], np.arange(len(self._own) + 1))


def query_texts(space: EmbeddingSpace) -> dict[str, str]:
    """Texts of the queries by id, from the space or its collection; empty where unknown."""
    if space.query_texts is not None:
        return dict(zip(space.query_ids, space.query_texts, strict=True))
    if space.collection is None or not space.collection.has_texts:
        return {}
    return {query.query_id: query.text for query in space.collection.queries()}


def texts_of_queries(
    spaces: Iterable[EmbeddingSpace], query_ids: Sequence[str]
) -> list[str | None]:
    """Text of each query, from the first space that knows texts; None where unknown."""
    known = next((texts for space in spaces if (texts := query_texts(space))), {})
    return [known.get(name) for name in query_ids]


def _document_texts(spaces: Iterable[EmbeddingSpace], doc_ids: list[str]) -> list[str | None]:
    """Texts from the first space that has them, each document read once."""
    for space in spaces:
        if space.doc_texts is not None:
            texts = dict(zip(space.doc_ids, space.doc_texts, strict=True))
            return [texts[name] for name in doc_ids]
        if space.collection is not None and space.collection.has_texts:
            found = space.collection.texts(list(dict.fromkeys(doc_ids)))
            return [found[name].text if name in found else None for name in doc_ids]
    return [None] * len(doc_ids)


def as_frame(columns: dict[str, Any]) -> pd.DataFrame:
    """A DataFrame of looked-up columns, with grades that may be missing."""
    import pandas as pd

    return pd.DataFrame({**columns, "grade": pd.array(columns["grade"], dtype="Int64")})
