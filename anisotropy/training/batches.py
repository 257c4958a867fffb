"""Which pairs and negatives a loss sees: a function of the seed and the number of the loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anisotropy.training.config import TrainingConfig
from anisotropy.training.data import TrainingData
from anisotropy.training.mining import Mined
from anisotropy.training.streams import DRAW, ORDER, generator


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
        Negatives in force, and the pairs in force with them.
    config
        Of the stage.
    unit
        Number of the loss: losses are counted through steps, accumulation and devices.
    seed
        Of every random choice.
    """
    queries, positives = mined.batch(
        data.pairs,
        config.batch_size,
        unit,
        lambda epoch: generator(seed, config.stream, ORDER, epoch),
    ).T
    width = config.hard_negatives or config.negatives
    drawn = mined.draw(queries, positives, width, generator(seed, config.stream, DRAW, unit))
    return Batch(queries, positives, *drawn)
