"""Small encoders and tasks for tests of the loop; a kill, a second process in the same one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from anisotropy.collection import Collection
from anisotropy.encoders import open_encoder
from anisotropy.training import (
    EncoderSizes,
    FromFiles,
    NegativeWriter,
    Trainable,
    TrainingConfig,
    follow,
    new_encoder,
    open_trainable,
)
from anisotropy.training.batches import Batch, pick
from anisotropy.training.data import load_data
from anisotropy.training.devices import Devices
from anisotropy.training.following import newest_checkpoint
from anisotropy.training.forward import set_dropout
from anisotropy.training.gradients import Task, add_gradients
from anisotropy.training.looking import look
from anisotropy.training.loop import objective_of
from anisotropy.training.losses import LossTerms
from anisotropy.training.mining import Mined, Moment
from anisotropy.training.refresher import Patience
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


class Killed(BaseException):
    """Stands for the end of the process."""


def kill_before(patched: pytest.MonkeyPatch, name: str) -> None:
    """End the process before the state of this name is whole."""
    rename = Path.rename

    def dies(self: Path, target: Path) -> Path:
        if self.name == f".{name}":
            raise Killed
        return rename(self, target)

    patched.setattr(Path, "rename", dies)


class InLine(FromFiles):
    """A refresher that has always just mined the newest checkpoint."""

    def __init__(self, out: Path, sets: Path, collection: Collection, config: Any) -> None:
        super().__init__(sets, timeout=0)
        self.run, self.collection, self.config = Path(f"{out}.checkpoints"), collection, config
        self.seen: list[tuple[list[str], bool]] = []

    def refresh(self, moment: Moment) -> Mined:
        newest = newest_checkpoint(self.run)
        assert newest is not None
        left = sorted(path.name for path in self.run.iterdir())
        self.seen.append((left, open_encoder(newest).recipe.normalize))
        there = open_trainable(newest).model.state_dict()
        here = moment.trainable.network.state_dict()
        assert all(torch.equal(there[key], here[key]) for key in there)
        one = Patience(poll=0.01, timeout=1, sets=1)
        follow(self.run, self.collection, NegativeWriter(self.folder), self.config, patience=one)
        return super().refresh(moment)
