"""A diverged run stops in one line, before anything of it is kept.

Loss and gradient are checked before a step, the weights before they are saved, the vectors of the
collection whenever it is encoded: a last step has no loss after it.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from anisotropy.errors import UsageError
from anisotropy.training.history import Row

_LOWER = "lower learning_rate"


def check_row(row: Row) -> None:
    """Stop at a loss or gradient that is NaN or infinite, before it reaches the weights.

    Raises
    ------
    UsageError
        Naming the step, the parts of the loss and what to try.
    """
    if math.isfinite(row["loss"]) and math.isfinite(row["gradient_norm"]):
        return
    parts = ", ".join(f"{k} {v:.4g}" for k, v in row.items() if k.startswith(("loss", "grad")))
    raise _diverged(
        row["stage"], row["step"], parts,
        f"{_LOWER}, or set uniformity_weight 0 where vectors are not normalized",
    )  # fmt: skip


def check_weights(network: torch.nn.Module, stage: str, step: int) -> None:
    """Stop at weights that are NaN or infinite, or whose squares are: no layer computes with them.

    Raises
    ------
    UsageError
        Naming the step and what to try.
    """
    squares = [weights.detach().float().square().sum() for weights in network.parameters()]
    if not bool(torch.stack(squares).isfinite().all()):
        raise _diverged(stage, step, "weights", _advice(step))


def check_vectors(vectors: np.ndarray, stage: str, step: int) -> None:
    """Stop at vectors of shape (n, dim) that are NaN or infinite.

    Raises
    ------
    UsageError
        Naming the step and what to try.
    """
    if not np.isfinite(vectors).all():
        raise _diverged(stage, step, "vectors", _advice(step))


def _advice(step: int) -> str:
    return _LOWER if step else "nothing is trained yet: start from another checkpoint"


def _diverged(stage: str, step: int, what: str, advice: str) -> UsageError:
    return UsageError(f"training stage {stage!r}: not finite at step {step} ({what}); {advice}")
