"""The training loop of every stage.

All random choices are functions of the seed and the step: the order of the pairs of the seed and
the epoch, a drawn negative and the dropout of the seed and the step, the sampled negatives of the
seed and the refresh. So a run is repeated, and can be taken up, without any hidden random state.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anisotropy.errors import UsageError
from anisotropy.training.config import TrainingConfig
from anisotropy.training.data import TrainingData
from anisotropy.training.encoder import Trainable
from anisotropy.training.evaluation import ranking_quality
from anisotropy.training.forward import set_dropout
from anisotropy.training.losses import LossTerms, Objective
from anisotropy.training.mining import InProcess, Mined, Moment, NegativeSource
from anisotropy.training.optim import linear_schedule, make_optimizer

Progress = Callable[[str], None]
REPORTS = 20  # progress lines a stage
_ORDER, _DRAW, _MINE, _DROPOUT = range(4)  # what a random stream is for


@dataclass(frozen=True, eq=False)
class Batch:
    """Numbers of queries, positives, negatives and negative queries of one step."""

    queries: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray | None
    negative_queries: np.ndarray | None


def fit(
    trainable: Trainable,
    data: TrainingData,
    config: TrainingConfig,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    source: NegativeSource | None = None,
) -> list[dict[str, Any]]:
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
    source
        Where negatives come from; None searches them here, with the model as it is.

    Returns
    -------
    list of dict
        History: stage, step, learning_rate, loss and its parts, gradient_norm, where the model
        was evaluated dev_nDCG@10 and dev_RR@10, and the number of the negatives read from files.

    Raises
    ------
    UsageError
        If a loss or gradient is NaN or infinite: at once, with step and advice.
    """
    model, tell = trainable.network.train(), progress or (lambda _: None)
    set_dropout(model, config.dropout)
    objective = objective_of(config)
    optimizer = make_optimizer(
        config.optimizer, model.parameters(), lr=config.learning_rate, eps=config.eps,
        weight_decay=config.weight_decay,
    )  # fmt: skip
    history: list[dict[str, Any]] = []
    mined, source = Mined(), source or InProcess()
    for step in range(config.steps + 1):
        if wants_look(step, config, objective):
            refreshed, quality = look(trainable, data, config, objective, step, seed, source)
            mined = refreshed or mined
            history.append({"stage": config.stage, "step": step, **quality})
            tell(_line(history[-1], config))
        if step == config.steps:
            break
        rate = schedule(step, config)
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = pick(data, mined, config, step, seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_seed(seed, _DROPOUT, step))
            terms = batch_loss(trainable, data, objective, batch, config.micro_batch)
        optimizer.zero_grad()
        terms.total.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm or math.inf)
        history.append(_row(config, step + 1, rate, terms, norm))
        check_finite(history[-1])
        optimizer.step()
        if (step + 1) % max(1, config.steps // REPORTS) == 0:
            tell(_line(history[-1], config))
    model.eval()
    return history


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
    )


def schedule(step: int, config: TrainingConfig) -> float:
    """Learning rate of the step after `step` steps.

    One step ahead of upstream's schedule, whose first step has a rate of 0 and does nothing.
    """
    warmup, total = config.warmup_steps, config.steps + 1
    return linear_schedule(step + 1, warmup=warmup, total=total, peak=config.learning_rate)


def wants_look(step: int, config: TrainingConfig, objective: Objective) -> bool:
    """Tell whether the model is evaluated, or its negatives searched, before this step."""
    evaluate = config.evaluate_steps > 0 and step % config.evaluate_steps == 0
    return step in (0, config.steps) or evaluate or wants_refresh(step, config, objective)


def wants_refresh(step: int, config: TrainingConfig, objective: Objective) -> bool:
    """Tell whether negatives are refreshed before this step; evaluation never changes them."""
    due = step % config.refresh_steps == 0 and step < config.steps
    return objective.wants_negatives and due


def look(
    trainable: Trainable,
    data: TrainingData,
    config: TrainingConfig,
    objective: Objective,
    step: int,
    seed: int,
    source: NegativeSource | None = None,
) -> tuple[Mined | None, dict[str, float]]:
    """Encode everything once; evaluate on dev, and refresh negatives where it is time for it."""
    documents = trainable.encode("documents", data.documents)
    quality = {}
    if data.dev is not None:
        queries = trainable.encode("queries", data.dev.tokens)
        gains, ranks = ranking_quality(queries, documents, data.dev.positives)
        quality = {"dev_nDCG@10": float(gains.mean()), "dev_RR@10": float(ranks.mean())}
    if not wants_refresh(step, config, objective):
        return None, quality
    moment = Moment(
        trainable, data, config, objective.wants_negative_queries, step // config.refresh_steps,
        step, _generator(seed, _MINE, step), documents, quality.get("dev_nDCG@10"),
    )  # fmt: skip
    mined = (source or InProcess()).refresh(moment)
    if mined.number is not None:
        quality["negatives"] = mined.number
    return mined, quality


def pick(data: TrainingData, mined: Mined, config: TrainingConfig, step: int, seed: int) -> Batch:
    """Choose the pairs and negatives of a step: a function of the seed, the step and `mined`."""
    pairs = mined.batch(
        data.pairs, config.batch_size, step, lambda epoch: _generator(seed, _ORDER, epoch)
    )
    queries, positives = pairs.T
    return Batch(
        queries, positives, *mined.draw(queries, positives, _generator(seed, _DRAW, step))
    )


def batch_loss(
    trainable: Trainable, data: TrainingData, objective: Objective, batch: Batch, micro_batch: int
) -> LossTerms:
    """Encode a batch, each side once, and compute its loss."""
    a, b = _encoded(
        trainable, "documents", data.documents, (batch.positives, batch.negatives), micro_batch
    )
    q, n = _encoded(
        trainable,
        "queries",
        data.train.tokens,
        (batch.queries, batch.negative_queries),
        micro_batch,
    )
    if objective.form != "in_batch":
        return objective(q, a, b, n)
    ignore = torch.from_numpy(data.other_positives(batch.queries, batch.positives))
    return objective(q, a, ignore=ignore.to(q.device))


def _encoded(
    trainable: Trainable,
    side: Any,
    tokens: list[list[int]],
    numbers: tuple[np.ndarray, np.ndarray | None],
    micro_batch: int,
) -> tuple[Tensor, Tensor | None]:
    rows = np.concatenate([part for part in numbers if part is not None])
    found = trainable.vectors(side, [tokens[row] for row in rows], micro_batch)
    size = len(numbers[0])
    return found[:size], found[size:] if numbers[1] is not None else None


def check_finite(row: dict[str, Any]) -> None:
    """Stop at a loss or gradient that is NaN or infinite, before it reaches the weights.

    Raises
    ------
    UsageError
        Naming the step, the parts of the loss and what to try.
    """
    if math.isfinite(row["loss"]) and math.isfinite(row["gradient_norm"]):
        return
    parts = ", ".join(f"{k} {v:.4g}" for k, v in row.items() if k.startswith(("loss", "grad")))
    raise UsageError(
        f"training stage {row['stage']!r}: not finite at step {row['step']} ({parts}); lower "
        "learning_rate, or set uniformity_weight 0 where vectors are not normalized"
    )


def _parts(terms: LossTerms) -> dict[str, float]:
    names = {"loss": "total", "loss_retrieval": "retrieval", "loss_dual": "dual"}
    names |= {"loss_alignment": "alignment", "loss_uniformity": "uniformity"}
    found = {name: getattr(terms, part) for name, part in names.items()}
    return {name: value.item() for name, value in found.items() if value is not None}


def _row(
    config: TrainingConfig, step: int, rate: float, terms: LossTerms, norm: Tensor
) -> dict[str, Any]:
    row = {"stage": config.stage, "step": step, "learning_rate": rate}
    return {**row, **_parts(terms), "gradient_norm": norm.item()}


def _line(row: dict[str, Any], config: TrainingConfig) -> str:
    names = {"loss": "loss", "dev_nDCG@10": "dev nDCG@10"}
    values = [f"{text} {row[key]:.4f}" for key, text in names.items() if key in row]
    return " · ".join([f"{config.stage} {row['step']}/{config.steps}", *values])


def _seed(seed: int, purpose: int, number: int) -> int:
    return int(np.random.SeedSequence([seed, purpose, number]).generate_state(1)[0])


def _generator(seed: int, purpose: int, number: int) -> np.random.Generator:
    return np.random.default_rng([seed, purpose, number])
