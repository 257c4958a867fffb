"""Small encoders and tasks for tests of the loop."""

from __future__ import annotations

from typing import Any

import torch

from anisotropy.collection import Collection
from anisotropy.training import EncoderSizes, Trainable, TrainingConfig, new_encoder
from anisotropy.training.batches import Batch, pick
from anisotropy.training.data import load_data
from anisotropy.training.devices import Devices
from anisotropy.training.forward import set_dropout
from anisotropy.training.gradients import Task, add_gradients
from anisotropy.training.looking import look
from anisotropy.training.loop import objective_of
from anisotropy.training.losses import LossTerms
from anisotropy.training.mining import Mined
from anisotropy.training.stages import prepared

SIZES = EncoderSizes(vocabulary=330, hidden=16, layers=1, intermediate=16)
QUICK: dict[str, Any] = {"steps": 6, "batch_size": 8, "warmup_steps": 2, "refresh_steps": 3}
QUICK |= {"depth": 20, "kept": 5, "learning_rate": 1e-3}


def small(collection: Collection, seed: int = 0) -> Trainable:
    return new_encoder(collection, SIZES, seed=seed)


def make_task(collection: Collection, **values: Any) -> Task:
    """A task on a small encoder in training mode, its form and head resolved."""
    config = TrainingConfig(**{**QUICK, "head": "dance", "temperature": 0.1, **values})
    trainable, config = prepared(small(collection), config)
    set_dropout(trainable.network.train(), config.dropout)
    data = load_data(collection, trainable)
    return Task(trainable, data, config, objective_of(config), Devices("cpu"), 0)


def first_batch(task: Task, unit: int = 0) -> Batch:
    mined, _ = look(task, 0, Mined())
    return pick(task.data, mined, task.config, unit, task.seed)


def gradients(
    task: Task, batch: Batch, unit: int = 0, share: float = 1.0
) -> tuple[LossTerms, dict[str, torch.Tensor]]:
    task.trainable.network.zero_grad()
    terms = add_gradients(task, batch, unit, share)
    named = task.trainable.network.named_parameters()
    return terms, {name: p.grad.clone() for name, p in named if p.grad is not None}
