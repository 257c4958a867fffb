"""A look at the whole collection: evaluation on dev, and the refresh of negatives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from anisotropy.training.config import TrainingConfig
from anisotropy.training.evaluation import SELECTION, validate
from anisotropy.training.finite import check_vectors
from anisotropy.training.forward import Side, Tokens
from anisotropy.training.gradients import Task
from anisotropy.training.history import SET
from anisotropy.training.losses import Objective
from anisotropy.training.mining import InProcess, Mined, Moment, NegativeSource
from anisotropy.training.streams import MINE, generator


def wants_look(step: int, config: TrainingConfig, objective: Objective) -> bool:
    """Tell whether the model is evaluated, or its negatives refreshed, before this step."""
    if step in (0, config.steps):
        return True
    evaluate = config.evaluate_steps > 0 and step % config.evaluate_steps == 0
    return evaluate or wants_refresh(step, config, objective)


def wants_refresh(step: int, config: TrainingConfig, objective: Objective) -> bool:
    """Tell whether negatives are refreshed before this step."""
    last = step == config.steps
    return objective.wants_negatives and step % config.refresh_steps == 0 and not last


def look(
    task: Task,
    step: int,
    mined: Mined,
    *,
    negatives: NegativeSource | None = None,
    search: bool = True,
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[Mined, dict[str, float]]:
    """Encode everything once; evaluate on dev, and refresh negatives where they are due.

    Parameters
    ----------
    task
        Model, data, configuration.
    step
        Steps taken.
    mined
        Negatives in force, returned where none are due.
    negatives
        Where they come from; by default they are searched here.
    search
        Whether negatives are refreshed at all.
    tell
        Called where a measure cannot be taken.

    Returns
    -------
    Mined
        Negatives in force from now on.
    dict
        Columns of the history; empty without dev queries.

    Raises
    ------
    UsageError
        If a vector is NaN or infinite.
    """
    data, source = task.data, negatives or InProcess()
    due = search and wants_refresh(step, task.config, task.objective)
    searched, has_dev = due and source.wants_vectors(task.config), data.dev is not None

    def encode(side: Side, tokens: Tokens) -> np.ndarray:
        dtype, stage = task.config.dtype, task.config.stage
        found = task.trainable.encode(side, tokens, devices=task.devices, dtype=dtype)
        check_vectors(found, stage, step)
        return found

    # Encoded by all processes, so outside of what the main one does alone.
    documents = encode("documents", data.documents) if searched or has_dev else None
    dev = None if data.dev is None else encode("queries", data.dev.tokens)
    train = encode("queries", data.train.tokens) if searched else None

    def act() -> tuple[Mined | None, dict[str, float]]:
        quality: dict[str, float] = {}
        if data.dev is not None and dev is not None and documents is not None:
            quality, problem = validate(dev, documents, data.dev)
            if problem:
                tell(f"geometry at step {step} not measured: {problem}")
        if not due:
            return None, quality
        moment = moment_of(task, step, documents, train, quality.get(SELECTION))
        found = source.refresh(moment)
        return found, quality if found.number is None else {**quality, SET: found.number}

    found, quality = task.devices.main(act)
    return mined if found is None else found, quality


def moment_of(
    task: Task,
    step: int,
    documents: np.ndarray | None,
    queries: np.ndarray | None,
    quality: float | None,
) -> Moment:
    """What the refresh before this step is asked with."""
    config = task.config
    return Moment(
        task.trainable, task.data, config, task.objective.wants_negative_queries,
        step // config.refresh_steps, step, generator(task.seed, config.stream, MINE, step),
        documents, queries, quality, config.accumulation * task.devices.ranks,
    )  # fmt: skip
