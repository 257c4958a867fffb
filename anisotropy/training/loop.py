"""The training loop of every stage.

All random choices are functions of the seed, the stage's stream and the step: the order of the
pairs of the epoch, a drawn negative and the dropout of the loss, the sampled negatives of the
refresh. So a run is repeated, and taken up after a kill, without any hidden random state.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from anisotropy.errors import UsageError
from anisotropy.training.batches import Batch, pick
from anisotropy.training.checkpoints import Best, State, copied
from anisotropy.training.config import TrainingConfig
from anisotropy.training.data import TrainingData
from anisotropy.training.devices import Devices, find_devices
from anisotropy.training.encoder import Trainable
from anisotropy.training.evaluation import SELECTION
from anisotropy.training.finite import check_row, check_weights
from anisotropy.training.forward import set_dropout
from anisotropy.training.gradients import Task, add_gradients
from anisotropy.training.history import Row
from anisotropy.training.looking import look, wants_look
from anisotropy.training.losses import LossTerms, Objective
from anisotropy.training.mining import InProcess, Mined, NegativeSource
from anisotropy.training.optim import learning_rate, make_optimizer

Progress = Callable[[str], None]
Batches = Callable[[int], Batch]
REPORTS = 20  # progress lines a stage
_PARTS = {
    "loss": "total",
    "loss_retrieval": "retrieval",
    "loss_dual": "dual",
    "loss_alignment": "alignment",
    "loss_uniformity": "uniformity",
}


class Recorder(Protocol):
    """Where a run leaves its traces; see `recording.Recording`."""

    def begin(self, trainable: Trainable, config: TrainingConfig, step: int) -> None:
        """Take the model of a stage, which begins or goes on at this step."""

    def row(self, row: Row) -> None:
        """Take a row of the history."""

    def save(self, state: State) -> None:
        """Keep a state to resume from."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a stage did.

    Attributes
    ----------
    history
        Rows: stage, step, learning_rate, loss and its parts, gradient_norm; where the model was
        evaluated, columns ``dev_<side>_<measure>`` (`evaluation.validate`); where negatives were
        read from files, ``negatives_set``, the number of the set.
    selected_step
        Steps after which the weights were as they are now.
    seconds, cpu_seconds
        Spent, also before a kill that it was resumed from.
    """

    history: list[Row]
    selected_step: int
    seconds: float
    cpu_seconds: float


def fit(
    trainable: Trainable,
    data: TrainingData,
    config: TrainingConfig,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    devices: Devices | None = None,
    batches: Batches | None = None,
    negatives: NegativeSource | None = None,
    recorder: Recorder | None = None,
    state: State | None = None,
) -> Fitted:
    """Train a model in place.

    Parameters
    ----------
    trainable
        Its recipe decides normalization; see `stages.prepared`.
    data
        Tokenized collection.
    config
        Of one stage, its ``form`` and ``head`` resolved.
    seed
        Of every random choice.
    progress
        Called with a line of text now and then.
    devices
        Where to compute; by default as the configuration and the launcher say.
    batches
        Batch of a loss by its number, counted from 0 through steps, accumulation and devices;
        then there is no refresh. By default the collection's pairs with the negatives in force.
    negatives
        Where negatives come from; by default a search with the model as it is.
    recorder
        Gets every row of the history, and a state every ``save_steps``.
    state
        State of this stage to go on from.

    Returns
    -------
    Fitted

    Raises
    ------
    UsageError
        If a loss, gradient, weight or vector is NaN or infinite: at once, with step and advice;
        or if ``select`` is ``best`` and there is nothing to evaluate on.
    """
    if config.select == "best" and data.dev is None:
        raise UsageError(
            "select: got 'best', but the collection has no dev split; allowed here: last"
        )
    devices = devices or find_devices(config.device)
    task = Task(trainable, data, config, objective_of(config), devices, seed)
    tell = progress or (lambda _: None)
    stage = _Stage(task, tell, batches, negatives or InProcess(), recorder)
    return stage.run(state)


@dataclass(eq=False)
class _Stage:
    """One stage on its way."""

    task: Task
    tell: Progress
    batches: Batches | None
    negatives: NegativeSource
    recorder: Recorder | None
    mined: Mined = field(default_factory=Mined)
    best: Best | None = None
    history: list[Row] = field(default_factory=list)
    first: int = 0
    spent: tuple[float, float] = (0.0, 0.0)

    def run(self, state: State | None) -> Fitted:
        self.began = time.perf_counter(), time.process_time()
        config, network = self.task.config, self.task.trainable.network
        network.to(self.task.devices.device).train()
        set_dropout(network, config.dropout)
        self.optimizer = make_optimizer(
            config.optimizer, network.parameters(), lr=config.learning_rate, eps=config.eps,
            weight_decay=config.weight_decay,
        )  # fmt: skip
        if state is not None:
            self._take_up(state)
        self.task.devices.main(self._open)
        for step in range(self.first, config.steps):
            self._look(step)
            self._step(step)
            self._save(step + 1)
        check_weights(network, config.stage, config.steps)
        self._look(config.steps)
        selected = self._select()
        network.eval()
        return Fitted(self.history, selected, *self._time())

    def _open(self) -> None:
        if self.recorder is not None:
            self.recorder.begin(self.task.trainable, self.task.config, self.first)

    def _take_up(self, state: State) -> None:
        self.task.trainable.network.load_state_dict(state.weights)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state.optimizer, "param_groups": groups})
        self.mined, self.best, self.first = state.mined, state.best, state.step
        self.spent = state.seconds, state.cpu_seconds
        self.negatives.hold(self.mined)

    def _time(self) -> tuple[float, float]:
        wall, cpu = time.perf_counter() - self.began[0], time.process_time() - self.began[1]
        return self.spent[0] + wall, self.spent[1] + cpu

    def _look(self, step: int) -> None:
        config = self.task.config
        if not wants_look(step, config, self.task.objective):
            return
        self.mined, quality = look(
            self.task, step, self.mined,
            negatives=self.negatives, search=self.batches is None, tell=self.tell,
        )  # fmt: skip
        self._add({"stage": config.stage, "step": step, **quality})
        self.tell(_line(self.history[-1], config))
        if config.select == "best" and (self.best is None or quality[SELECTION] > self.best.value):
            self.best = Best(quality[SELECTION], step, copied(self.task.trainable.network))

    def _step(self, step: int) -> None:
        config, parameters = self.task.config, list(self.task.trainable.network.parameters())
        rate = schedule(step, config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        parts = self._losses(step)
        self.task.devices.average_gradients(parameters)
        norm = torch.nn.utils.clip_grad_norm_(parameters, config.max_grad_norm or math.inf)
        row = {"stage": config.stage, "step": step + 1, "learning_rate": rate, **parts}
        self._add({**row, "gradient_norm": norm.item()})
        check_row(self.history[-1])
        self.optimizer.step()
        if (step + 1) % max(1, config.steps // REPORTS) == 0:
            self.tell(_line(self.history[-1], config))

    def _losses(self, step: int) -> dict[str, float]:
        """Add up the gradients of this process; means of the losses of all."""
        task, devices = self.task, self.task.devices
        count, found = task.config.accumulation, []
        for number in range(count):
            unit = (step * count + number) * devices.ranks + devices.rank
            batch = (
                self.batches(unit)
                if self.batches is not None
                else pick(task.data, self.mined, task.config, unit, task.seed)
            )
            found.append(_parts(add_gradients(task, batch, unit, 1 / count)))
        means = devices.average(
            torch.stack([torch.stack(list(p.values())) for p in found]).mean(0)
        )
        return dict(zip(found[0], means.tolist(), strict=True))

    def _save(self, step: int) -> None:
        """Keep a state, but for the last step, after which comes the end of the stage."""
        config = self.task.config
        due = config.save_steps > 0 and step % config.save_steps == 0 and step < config.steps
        if due:
            check_weights(self.task.trainable.network, config.stage, step)
            # By all processes: where the main one cannot write, none goes on.
            self.task.devices.main(lambda: self._keep(step))

    def _keep(self, step: int) -> None:
        if self.recorder is None:
            return
        weights, moments = copied(self.task.trainable.network), self.optimizer.state_dict()
        state = State(0, step, weights, moments["state"], self.mined, self.best)
        seconds, cpu_seconds = self._time()
        self.recorder.save(replace(state, seconds=seconds, cpu_seconds=cpu_seconds))

    def _select(self) -> int:
        if self.best is None:
            return self.task.config.steps
        self.task.trainable.network.load_state_dict(self.best.weights)
        return self.best.step

    def _add(self, row: Row) -> None:
        self.history.append(row)
        if self.recorder is not None:
            self.recorder.row(row)


def objective_of(config: TrainingConfig) -> Objective:
    """Return the objective of a resolved configuration."""
    return Objective(
        form=config.form,
        temperature=config.temperature,
        prime_weight=config.prime_weight,
        dual_weight=config.dual_weight,
        alignment_weight=config.alignment_weight,
        uniformity_weight=config.uniformity_weight,
        uniformity_t=config.uniformity_t,
        hard_negatives=config.hard_negatives > 0,
    )


def schedule(step: int, config: TrainingConfig) -> float:
    """Learning rate of the step after `step` steps."""
    return learning_rate(
        config.schedule, step, warmup=config.warmup_steps, steps=config.steps,
        peak=config.learning_rate,
    )  # fmt: skip


def _parts(terms: LossTerms) -> dict[str, Tensor]:
    found = {name: getattr(terms, part) for name, part in _PARTS.items()}
    return {name: value.detach() for name, value in found.items() if value is not None}


def _line(row: dict[str, Any], config: TrainingConfig) -> str:
    names = {"loss": "loss", SELECTION: "dev nDCG@10"}
    values = [f"{text} {row[key]:.4f}" for key, text in names.items() if key in row]
    return " · ".join([f"{config.stage} {row['step']}/{config.steps}", *values])
