"""Gradients of one optimizer step: several losses added up, each over one batch.

Plain, or cached (GradCache; Gao et al., 2021, "Scaling Deep Contrastive Learning Batch Size under
Memory Limited Setup"): vectors without graph, the loss on the vectors, and a second forward pass a
chunk that takes the gradients of the vectors back to the weights. Dropout is drawn twice alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anisotropy.training.batches import Batch
from anisotropy.training.config import TrainingConfig
from anisotropy.training.data import TrainingData
from anisotropy.training.devices import Devices
from anisotropy.training.encoder import Trainable
from anisotropy.training.forward import Side, Tokens
from anisotropy.training.losses import LossTerms, Objective
from anisotropy.training.streams import (
    RandomState,
    dropout_stream,
    random_state,
    set_random_state,
)


@dataclass(frozen=True, eq=False)
class Task:
    """What stays the same from loss to loss.

    Attributes
    ----------
    trainable, data, config, objective
        What is trained, on what, and how.
    devices
        Where.
    seed
        Of every random choice.
    """

    trainable: Trainable
    data: TrainingData
    config: TrainingConfig
    objective: Objective
    devices: Devices
    seed: int

    def vectors(self, side: Side, tokens: Tokens) -> Tensor:
        """Float32 vectors of token lists in their order."""
        with self.devices.autocast(self.config.dtype):
            found = self.trainable.vectors(side, tokens, self.config.micro_batch)
        return found.float()


def add_gradients(task: Task, batch: Batch, unit: int, share: float) -> LossTerms:
    """Add `share` times the gradient of one loss to the parameters' gradients.

    Parameters
    ----------
    task
        Model, data, configuration.
    batch
        What the loss sees.
    unit
        Number of the loss; its dropout is a function of it.
    share
        1 / losses a step.

    Returns
    -------
    LossTerms
        Of this loss, not multiplied by `share`.
    """
    with dropout_stream(task.seed, task.config.stream, unit, task.devices.device):
        if task.config.cache_gradients:
            return _cached(task, batch, share)
        sides = _sides(task.data, batch)
        terms = loss_of(task, batch, *(task.vectors(side, tokens) for side, tokens in sides))
        (terms.total * share).backward()  # type: ignore[no-untyped-call]
    return terms


def _sides(data: TrainingData, batch: Batch) -> list[tuple[Side, list[list[int]]]]:
    """Documents, then queries: the batch's own ones, then the negatives."""
    documents = _joined(batch.positives, batch.negatives)
    queries = _joined(batch.queries, batch.negative_queries)
    return [
        ("documents", [data.documents[row] for row in documents]),
        ("queries", [data.train.tokens[row] for row in queries]),
    ]


def _joined(rows: np.ndarray, more: np.ndarray | None) -> np.ndarray:
    return rows if more is None else np.concatenate([rows, more.ravel()])


def loss_of(task: Task, batch: Batch, documents: Tensor, queries: Tensor) -> LossTerms:
    """Loss of a batch from its vectors, in the order of `_sides`."""
    size = len(batch.queries)
    a, b = documents[:size], documents[size:] if batch.negatives is not None else None
    q, n = queries[:size], queries[size:] if batch.negative_queries is not None else None
    if task.objective.form == "in_batch":
        return task.objective(q, a, b, n, **_ignored(task, batch))
    if task.objective.form == "multi_negative":
        b, n = (x if x is None else x.view(size, -1, x.shape[1]) for x in (b, n))
    return task.objective(q, a, b, n)


def _ignored(task: Task, batch: Batch) -> dict[str, Tensor]:
    documents = _joined(batch.positives, batch.negatives)
    queries = _joined(batch.queries, batch.negative_queries)
    found = {"ignore": task.data.other_positives(batch.queries, documents)}
    if task.objective.dual_weight:
        found["dual_ignore"] = task.data.other_queries(batch.positives, queries)
    return {k: torch.from_numpy(mask).to(task.devices.device) for k, mask in found.items()}


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Token lists of one forward pass: their places among the vectors, and the dropout drawn."""

    side: Side
    tokens: list[list[int]]
    rows: Tensor
    state: RandomState


def _cached(task: Task, batch: Batch, share: float) -> LossTerms:
    chunks: list[list[_Chunk]] = []
    leaves: list[Tensor] = []
    for side, tokens in _sides(task.data, batch):
        vectors, passes = _without_graph(task, side, tokens)
        chunks.append(passes)
        leaves.append(vectors.requires_grad_())
    terms = loss_of(task, batch, *leaves)
    (terms.total * share).backward()  # type: ignore[no-untyped-call]
    for vectors, passes in zip(leaves, chunks, strict=True):
        for chunk in passes:
            _take_back(task, chunk, vectors.grad)
    return terms


def _without_graph(
    task: Task, side: Side, tokens: Sequence[list[int]]
) -> tuple[Tensor, list[_Chunk]]:
    """Vectors in the order of `tokens`; chunks of similar lengths, as in one plain pass."""
    device, size = task.devices.device, task.config.micro_batch
    order = np.argsort([len(ids) for ids in tokens], kind="stable")
    chunks, found = [], []
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        chunk = _Chunk(
            side, [tokens[row] for row in rows],
            torch.from_numpy(rows).to(device), random_state(device),
        )  # fmt: skip
        with torch.no_grad():
            found.append(task.vectors(side, chunk.tokens))
        chunks.append(chunk)
    stacked = torch.cat(found)
    vectors = torch.empty_like(stacked)
    vectors[torch.cat([chunk.rows for chunk in chunks])] = stacked
    return vectors, chunks


def _take_back(task: Task, chunk: _Chunk, gradient: Any) -> None:
    set_random_state(chunk.state, task.devices.device)
    vectors = task.vectors(chunk.side, chunk.tokens)
    torch.autograd.backward(vectors, gradient[chunk.rows])
