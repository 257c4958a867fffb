"""Optimizers and the learning rate: LAMB as upstream defines it, AdamW, a linear schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer

OPTIMIZERS = ("adamw", "lamb")
WEIGHT_NORM_LIMIT = 10.0


class Lamb(Optimizer):
    """LAMB without bias correction, weight norms clamped to 10, one trust ratio a tensor.

    m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  u = m / (sqrt v + eps) + decay w;
    r = min(|w|, 10) / |u|, or 1 where either norm is 0;  w -= lr r u.

    Parameters
    ----------
    params
        Parameters or groups, as in every torch optimizer.
    lr
        Learning rate.
    betas
        Decay of the two moments.
    eps
        Added to sqrt v; ANCE and DANCE run with 1e-8.
    weight_decay
        Decay inside the update. ANCE and DANCE never pass one.
    adam
        Step as with r = 1, Adam without bias correction; r is only kept in the state.

    Notes
    -----
    The optimizer of ANCE and DANCE. Against You et al. (2020): no bias correction, and the norm
    of the weights is clamped. Keys of the state: ``step``, ``exp_avg``, ``exp_avg_sq``,
    ``weight_norm``, ``adam_norm``, ``trust_ratio``, as in an upstream ``optimizer.pt``.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        adam: bool = False,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        )
        self.adam = adam

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:
            state.update(step=0, exp_avg=torch.zeros_like(weight))
            state["exp_avg_sq"] = torch.zeros_like(weight)
        state["step"] += 1
        first, second = group["betas"]
        state["exp_avg"].mul_(first).add_(gradient, alpha=1 - first)
        state["exp_avg_sq"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        update = state["exp_avg"] / state["exp_avg_sq"].sqrt().add(group["eps"])
        if group["weight_decay"]:
            update.add_(weight, alpha=group["weight_decay"])
        state["weight_norm"] = weight.norm().clamp(0, WEIGHT_NORM_LIMIT)
        state["adam_norm"] = update.norm()
        state["trust_ratio"] = _ratio(state["weight_norm"], state["adam_norm"])
        factor = 1.0 if self.adam else state["trust_ratio"]
        weight.add_(update, alpha=-group["lr"] * factor)


def _ratio(weight_norm: Tensor, update_norm: Tensor) -> float:
    if weight_norm == 0 or update_norm == 0:
        return 1.0
    return float(weight_norm / update_norm)


def linear_schedule(step: int, *, warmup: int, total: int, peak: float = 1.0) -> float:
    """Learning rate of the next step: up from 0 in a line, then down to 0.

    Parameters
    ----------
    step
        Optimizer steps already taken.
    warmup, total
        Steps until the peak, and until 0.
    peak
        Learning rate at the peak.

    Returns
    -------
    float
        `peak` times step / warmup, then (total - step) / (total - warmup), never below 0. The
        first of several warm-up steps has a rate of 0, as upstream.
    """
    if step < warmup:
        return peak * step / max(1, warmup)
    return peak * max(0.0, (total - step) / max(1, total - warmup))


def learning_rate(name: str, step: int, *, warmup: int, steps: int, peak: float) -> float:
    """Learning rate of the step after `step` steps, of `steps` in all.

    Parameters
    ----------
    name
        ``linear``: the line of `linear_schedule` one step ahead, so that no step has a rate of 0.
        ``upstream``: the line itself; of several warm-up steps the first does nothing.
    step
        Optimizer steps already taken.
    warmup, steps, peak
        Steps up to the peak, steps in all, and the peak.
    """
    if name == "upstream":
        return linear_schedule(step, warmup=warmup, total=steps, peak=peak)
    return linear_schedule(step + 1, warmup=warmup, total=steps + 1, peak=peak)


def make_optimizer(
    name: str,
    parameters: Iterable[Any],
    *,
    lr: float,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> Optimizer:
    """Return the optimizer of a name.

    Parameters
    ----------
    name
        ``adamw`` (decoupled decay, bias correction) or ``lamb`` (see `Lamb`).
    parameters
        Parameters or groups.
    lr, eps, weight_decay
        As in every optimizer.
    """
    if name == "lamb":
        return Lamb(parameters, lr=lr, eps=eps, weight_decay=weight_decay)
    return AdamW(parameters, lr=lr, eps=eps, weight_decay=weight_decay)
