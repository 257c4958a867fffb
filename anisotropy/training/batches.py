"""Which pairs and negatives a loss sees: a function of the seed and the number of the loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from anisotropy.training.config import TrainingConfig
from anisotropy.training.data import TrainingData
from anisotropy.training.negatives import Negatives
from anisotropy.training.streams import DRAW, ORDER, generator


@dataclass
class Mined:
    """Negatives in force: documents for training queries, queries for positive documents."""

    documents: Negatives | None = None
    queries: Negatives | None = None
    row_of_document: dict[int, int] = field(default_factory=dict)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything as arrays, to save; `from_arrays` reads them."""
        found: dict[str, np.ndarray] = {}
        for name in ("documents", "queries"):
            negatives = getattr(self, name)
            if negatives is not None:
                found |= {f"{name}.items": negatives.items, f"{name}.counts": negatives.counts}
        if self.row_of_document:
            found["anchors"] = np.array(list(self.row_of_document), np.int64)
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Mined:
        """Return what `arrays` was made from."""

        def negatives(name: str) -> Negatives | None:
            if f"{name}.items" not in arrays:
                return None
            return Negatives(arrays[f"{name}.items"], arrays[f"{name}.counts"])

        anchors = arrays["anchors"].tolist() if "anchors" in arrays else []
        rows = {document: row for row, document in enumerate(anchors)}
        return cls(negatives("documents"), negatives("queries"), rows)


@dataclass(frozen=True, eq=False)
class Batch:
    """Numbers of what one loss sees.

    Attributes
    ----------
    queries, positives
        Shape (B,): training queries, and the document of each.
    negatives
        Shape (B, m): documents; None where the loss has none of its own.
    negative_queries
        Shape (B, m): training queries, negatives of the positives; None likewise.
    """

    queries: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray | None = None
    negative_queries: np.ndarray | None = None


def pick(data: TrainingData, mined: Mined, config: TrainingConfig, unit: int, seed: int) -> Batch:
    """Choose the pairs and negatives of a loss: a function of the seed, `unit` and `mined`.

    Pairs come in a new random order each epoch; a batch that reaches the end of one goes on in the
    next. A batch larger than the collection repeats pairs.

    Parameters
    ----------
    data
        Tokenized collection.
    mined
        Negatives in force.
    config
        Of the stage.
    unit
        Number of the loss: losses are counted through steps, accumulation and devices.
    seed
        Of every random choice.
    """
    queries, positives = data.pairs[_rows(len(data.pairs), config.batch_size, unit, seed)].T
    width, source = config.hard_negatives or config.negatives, generator(seed, DRAW, unit)
    negatives = draw(mined.documents, queries, width, source) if mined.documents else None
    if mined.queries is None:
        return Batch(queries, positives, negatives)
    rows = np.array([mined.row_of_document[int(document)] for document in positives])
    return Batch(queries, positives, negatives, draw(mined.queries, rows, width, source))


def _rows(pairs: int, size: int, unit: int, seed: int) -> np.ndarray:
    first, last = unit * size, (unit + 1) * size
    chosen = [
        generator(seed, ORDER, epoch).permutation(pairs)[
            max(0, first - epoch * pairs) : last - epoch * pairs
        ]
        for epoch in range(first // pairs, (last - 1) // pairs + 1)
    ]
    return np.concatenate(chosen)


def draw(
    negatives: Negatives, anchors: np.ndarray, width: int, source: np.random.Generator
) -> np.ndarray:
    """Draw negatives for each anchor, without replacement.

    Parameters
    ----------
    negatives
        What was mined.
    anchors
        Shape (B,).
    width
        Negatives an anchor, m.
    source
        Of the choice.

    Returns
    -------
    numpy.ndarray of shape (B, m)
        Item numbers. An anchor that has fewer than m meets each of them before one comes again.
    """
    if width == 1:
        return negatives.draw(anchors, source)[:, None]
    counts = negatives.counts[anchors][:, None]
    keys = source.random((len(anchors), negatives.items.shape[1]))
    keys[np.arange(keys.shape[1]) >= counts] = 2.0  # behind every real one
    columns = np.take_along_axis(np.argsort(keys, axis=1), np.arange(width) % counts, axis=1)
    drawn: np.ndarray = negatives.items[anchors[:, None], columns]
    return drawn
