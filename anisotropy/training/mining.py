"""One refresh: which queries are in force, what is excluded, where their negatives come from.

A refresh is asked for at a `Moment` and answered by a source: `InProcess` searches with the model
at hand (and may write what it found), `exchange.FromFiles` takes what a second process wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from anisotropy.errors import UsageError
from anisotropy.training.config import TrainingConfig
from anisotropy.training.negatives import Negatives, draw_random, mine, mine_lists

if TYPE_CHECKING:
    from anisotropy.training.data import TrainingData
    from anisotropy.training.encoder import Trainable


@dataclass
class Mined:
    """Negatives in force: documents for training queries, queries for positive documents.

    Attributes
    ----------
    documents
        Rows are training queries.
    queries
        Rows are given by `row_of_document`.
    row_of_document
        Document number to row of `queries`.
    pairs
        Shape (p, 2): the pairs in force; None = all of the training data.
    since
        Number of the loss from which the order of the pairs counts.
    number
        Of the file they were read from; None where they were mined here.
    """

    documents: Negatives | None = None
    queries: Negatives | None = None
    row_of_document: dict[int, int] = field(default_factory=dict)
    pairs: np.ndarray | None = None
    since: int = 0
    number: int | None = None

    def batch(
        self,
        every: np.ndarray,
        size: int,
        unit: int,
        generator: Callable[[int], np.random.Generator],
    ) -> np.ndarray:
        """Pairs of a loss.

        They come in a new random order each epoch; a batch that reaches the end of one goes on in
        the next. A batch larger than the pairs in force repeats some.

        Parameters
        ----------
        every
            All pairs of the training data.
        size
            Pairs a loss.
        unit
            Number of the loss, `since` or more.
        generator
            Of the number of an epoch.

        Returns
        -------
        numpy.ndarray of shape (size, 2)
        """
        pairs = every if self.pairs is None else self.pairs
        first, n = (unit - self.since) * size, len(pairs)
        last = first + size
        rows = [
            generator(self.since + epoch).permutation(n)[
                max(0, first - epoch * n) : last - epoch * n
            ]
            for epoch in range(first // n, (last - 1) // n + 1)
        ]
        chosen: np.ndarray = pairs[np.concatenate(rows)]
        return chosen

    def draw(
        self,
        queries: np.ndarray,
        positives: np.ndarray,
        width: int,
        generator: np.random.Generator,
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Draw negatives of the pairs of a batch.

        Parameters
        ----------
        queries, positives
            Shape (B,): the pairs.
        width
            Negatives a pair, m.
        generator
            Source of the choice, documents first.

        Returns
        -------
        tuple of two numpy.ndarray of shape (B, m), or None
            Negative documents, and negative queries; None where there are none in force.
        """
        documents = None
        if self.documents is not None:
            documents = self.documents.draw_several(queries, width, generator)
        if self.queries is None:
            return documents, None
        rows = np.array([self.row_of_document[int(document)] for document in positives])
        return documents, self.queries.draw_several(rows, width, generator)

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything as named arrays, for a file to resume from; `from_arrays` reads them."""
        found: dict[str, np.ndarray] = {"since": np.array(self.since)}
        for name, side in (("documents", self.documents), ("queries", self.queries)):
            if side is not None:
                found[f"{name}.items"], found[f"{name}.counts"] = side.items, side.counts
        if self.queries is not None:
            found["rows"] = np.array(list(self.row_of_document.items()), dtype=np.int64)
        if self.pairs is not None:
            found["pairs"] = self.pairs
        if self.number is not None:
            found["number"] = np.array(self.number)
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Mined:
        """Read what `arrays` gave."""

        def side(name: str) -> Negatives | None:
            items = arrays.get(f"{name}.items")
            return None if items is None else Negatives(items, arrays[f"{name}.counts"])

        rows = arrays.get("rows", np.empty((0, 2), dtype=np.int64))
        number = arrays.get("number")
        return cls(
            side("documents"), side("queries"), {int(a): int(b) for a, b in rows},
            arrays.get("pairs"), int(arrays["since"]), None if number is None else int(number),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Moment:
    """What a refresh is asked with.

    Attributes
    ----------
    trainable, data, config
        The model as it is now, the tokenized collection, the stage.
    both
        Whether negative queries are wanted as well.
    number
        Of the refresh, from 0: decides the chunk.
    step
        Of the stage.
    generator
        Source of every choice.
    documents, queries
        Vectors of all documents and of all training queries, shape (n, dim), where they are at
        hand.
    quality
        nDCG@10 on dev, where it is known.
    losses
        Losses a step, through accumulation and devices.
    """

    trainable: Trainable
    data: TrainingData
    config: TrainingConfig
    both: bool
    number: int
    step: int
    generator: np.random.Generator
    documents: np.ndarray | None = None
    queries: np.ndarray | None = None
    quality: float | None = None
    losses: int = 1

    @property
    def unit(self) -> int:
        """Number of the next loss."""
        return self.step * self.losses


class NegativeSource(Protocol):
    """Where the loop gets its negatives from.

    Attributes
    ----------
    reads_files
        Whether they come from a second process, which follows the checkpoints of this one.
    """

    reads_files: bool

    def wants_vectors(self, config: TrainingConfig) -> bool:
        """Tell whether a refresh searches with the vectors of the model."""
        ...

    def refresh(self, moment: Moment) -> Mined:
        """Return the negatives that hold from this step on."""
        ...

    def hold(self, mined: Mined) -> None:
        """Take up what was in force before an interruption."""
        ...


class InProcess:
    """Negatives of the model at hand.

    Parameters
    ----------
    writer
        Called with each refresh and what came of it, for instance `exchange.NegativeWriter`.
    """

    reads_files = False

    def __init__(self, writer: Callable[[Moment, Mined], object] | None = None) -> None:
        self._writer = writer

    def wants_vectors(self, config: TrainingConfig) -> bool:
        """Tell whether a side is searched with the model."""
        searched = (
            config.document_negatives,
            config.query_negatives if config.mines_queries else "",
        )
        return "model" in searched

    def refresh(self, moment: Moment) -> Mined:
        """Search now."""
        mined = mine_moment(moment)
        if self._writer is not None:
            self._writer(moment, mined)
        return mined

    def hold(self, mined: Mined) -> None:
        """Nothing to take up: a search depends on the model alone."""


def mine_moment(moment: Moment) -> Mined:
    """Mine the negatives of a refresh.

    The training queries in force are all, or the chunk ``number mod chunk_factor`` of them; the
    items searched are always all documents and all training queries. With ``exclude`` ``recorded``
    the pairs in force are each query with its recorded positive alone, as upstream trains.

    Parameters
    ----------
    moment
        Its `config` gives the law; its generator the sample, negative documents first.

    Returns
    -------
    Mined

    Raises
    ------
    UsageError
        If there are fewer training queries than chunks.
    CollectionError
        If an anchor has no negative; see `negatives.mine`.
    """
    data, config = moment.data, moment.config
    rows = chunk_rows(len(data.train.tokens), config.chunk_factor, moment.number)
    pairs = pairs_in_force(data, config, rows)
    search = _Search(moment)
    found = search.documents(rows)
    mined = Mined(found if config.chunk_factor == 1 else found.spread(rows, len(data.train.ids)))
    if config.chunk_factor > 1 or config.exclude == "recorded":
        mined.pairs = pairs
        mined.since = moment.unit if config.chunk_factor > 1 else 0
    if moment.both:
        anchors = np.unique(pairs[:, 1])
        mined.queries = search.queries(anchors)
        mined.row_of_document = {int(document): row for row, document in enumerate(anchors)}
    return mined


def chunk_rows(n: int, factor: int, number: int) -> np.ndarray:
    """Training queries of a refresh: upstream's ``ann_chunk_factor``.

    Parameters
    ----------
    n
        Training queries.
    factor
        Chunks; 1 = all queries each time.
    number
        Of the refresh, from 0.

    Returns
    -------
    numpy.ndarray
        With i = number mod factor and m = n // factor the rows m i to m (i + 1) - 1; the last
        chunk runs to n.

    Raises
    ------
    UsageError
        If there are more chunks than queries.
    """
    if factor > n:
        raise UsageError(f"chunk_factor: got {factor}; allowed: at most {n}, the training queries")
    chunk, size = number % factor, n // factor
    return np.arange(size * chunk, n if chunk == factor - 1 else size * (chunk + 1))


def pairs_in_force(data: TrainingData, config: TrainingConfig, rows: np.ndarray) -> np.ndarray:
    """Pairs (query, document) of these training queries, shape (p, 2)."""
    if config.exclude == "recorded":
        return np.stack([rows, data.train.recorded[rows]], axis=1)
    chosen: np.ndarray = data.pairs[np.isin(data.pairs[:, 0], rows)]
    return chosen


class _Search:
    """The two searches of a refresh; vectors are computed when first needed."""

    def __init__(self, moment: Moment) -> None:
        self.moment, self.data, self.config = moment, moment.data, moment.config
        given = {"documents": moment.documents, "queries": moment.queries}
        self._vectors = {side: vectors for side, vectors in given.items() if vectors is not None}

    def documents(self, rows: np.ndarray) -> Negatives:
        """Negative documents of training queries."""
        train = self.data.train
        if self.config.exclude == "recorded":
            own = [frozenset({int(train.recorded[row])}) for row in rows]
        else:
            own = [train.positives[row] for row in rows]
        lists = self.data.lexical.documents
        return self._found(self.config.document_negatives, "documents", rows, own, lists)

    def queries(self, anchors: np.ndarray) -> Negatives:
        """Negative training queries of documents."""
        if self.config.exclude == "recorded":
            own = self.data.recorders_of(anchors)
        else:
            own = self.data.queries_of(anchors)
        lists = self.data.lexical.queries
        return self._found(self.config.query_negatives, "queries", anchors, own, lists)

    def _found(
        self,
        origin: str,
        items: str,
        anchors: np.ndarray,
        own: list[frozenset[int]],
        lists: Callable[[np.ndarray, int], np.ndarray],
    ) -> Negatives:
        kept, order, generator = self.config.kept, self.config.order, self.moment.generator
        n = len(self.data.documents if items == "documents" else self.data.train.tokens)
        if origin == "random":
            return draw_random(n, own, kept=kept, generator=generator)
        depth = min(self.config.depth, n)
        if origin == "bm25":
            ranked = lists(anchors, depth)
            return mine_lists(ranked, n, own, kept=kept, order=order, generator=generator)
        side = "queries" if items == "documents" else "documents"
        return mine(
            self._vector(side)[anchors], self._vector(items), own,
            depth=depth, kept=kept, order=order, generator=generator,
        )  # fmt: skip

    def _vector(self, side: str) -> np.ndarray:
        if side not in self._vectors:
            tokens = self.data.documents if side == "documents" else self.data.train.tokens
            self._vectors[side] = self.moment.trainable.encode(
                side,  # type: ignore[arg-type]
                tokens,
                dtype=self.config.dtype,
            )
        return self._vectors[side]
