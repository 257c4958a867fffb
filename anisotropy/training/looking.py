"""A look at the whole collection: evaluation on dev, and the search for negatives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from anisotropy.training.batches import Mined
from anisotropy.training.config import TrainingConfig
from anisotropy.training.evaluation import validate
from anisotropy.training.forward import Side
from anisotropy.training.gradients import Task
from anisotropy.training.losses import Objective
from anisotropy.training.negatives import mine
from anisotropy.training.streams import MINE, generator

BATCH = 128  # sequences a forward pass without gradients


def wants_look(step: int, config: TrainingConfig, objective: Objective) -> bool:
    """Tell whether the model is evaluated, or its negatives searched, before this step."""
    if step in (0, config.steps):
        return True
    evaluate = config.evaluate_steps > 0 and step % config.evaluate_steps == 0
    return evaluate or wants_refresh(step, config, objective)


def wants_refresh(step: int, config: TrainingConfig, objective: Objective) -> bool:
    """Tell whether negatives are searched before this step."""
    last = step == config.steps
    return objective.wants_negatives and step % config.refresh_steps == 0 and not last


def look(
    task: Task,
    step: int,
    mined: Mined,
    *,
    search: bool = True,
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[Mined, dict[str, float]]:
    """Encode everything once; evaluate on dev, and search negatives where they are due.

    Parameters
    ----------
    task
        Model, data, configuration.
    step
        Steps taken.
    mined
        Negatives in force, returned where none are due.
    search
        Whether negatives are searched at all.
    tell
        Called where a measure cannot be taken.

    Returns
    -------
    Mined
        Negatives in force from now on.
    dict
        Columns of the history; empty without dev queries.
    """
    data, refresh = task.data, search and wants_refresh(step, task.config, task.objective)
    if data.dev is None and not refresh:
        return mined, {}
    documents = encoded(task, "documents", data.documents)
    dev = encoded(task, "queries", data.dev.tokens) if data.dev is not None else None
    train = encoded(task, "queries", data.train.tokens) if refresh else None

    def act() -> tuple[Mined, dict[str, float]]:
        quality: dict[str, float] = {}
        if dev is not None and data.dev is not None:
            quality, problem = validate(dev, documents, data.dev)
            if problem:
                tell(f"geometry at step {step} not measured: {problem}")
        return mined if train is None else refreshed(task, step, train, documents), quality

    return task.devices.main(act)


def refreshed(task: Task, step: int, queries: np.ndarray, documents: np.ndarray) -> Mined:
    """Search the negatives of training queries, and of their positives where the loss is dual."""
    data, source = task.data, generator(task.seed, MINE, step)
    limits = {"depth": task.config.depth, "kept": task.config.kept}
    mined = Mined(mine(queries, documents, data.train.positives, **limits, generator=source))
    if task.objective.wants_negative_queries:
        anchors = data.positive_documents
        owners = data.queries_of(anchors)
        mined.queries = mine(documents[anchors], queries, owners, **limits, generator=source)
        mined.row_of_document = {int(document): row for row, document in enumerate(anchors)}
    return mined


def encoded(task: Task, side: Side, tokens: list[list[int]]) -> np.ndarray:
    """Vectors without gradients and dropout, shape (n, dim); each process encodes a share."""
    network = task.trainable.network
    training = network.training
    network.eval()
    share = [tokens[row] for row in task.devices.share(len(tokens))]
    with torch.no_grad(), task.devices.autocast(task.config.dtype):
        found = task.trainable.vectors(side, share, BATCH).float()
    network.train(training)
    return task.devices.gathered(found, len(tokens))
