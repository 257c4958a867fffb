"""LAMB and the schedule against literal twins and recorded traces."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from anisotropy.training.optim import Lamb, learning_rate, linear_schedule, make_optimizer


def twin(weight: np.ndarray, gradients: list[np.ndarray], lr: float, decay: float) -> np.ndarray:
    w, m, v = weight.astype(float), 0.0 * weight, 0.0 * weight
    for g in gradients:
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        u = m / (np.sqrt(v) + 1e-8) + decay * w
        norm, size = min(np.sqrt((w**2).sum()), 10.0), np.sqrt((u**2).sum())
        w = w - lr * (norm / size if norm > 0 and size > 0 else 1.0) * u
    return w


@pytest.mark.parametrize("scale", [0.0, 0.1, 30.0])
def test_lamb_is_its_formula(scale: float) -> None:
    generator = np.random.default_rng(1)
    start = scale * generator.normal(size=(4, 3))
    gradients = [generator.normal(size=(4, 3)) for _ in range(3)]
    weight = torch.nn.Parameter(torch.tensor(start))
    optimizer = make_optimizer("lamb", [weight], lr=0.01, weight_decay=0.1)
    for gradient in gradients:
        weight.grad = torch.tensor(gradient)
        optimizer.step()
    np.testing.assert_allclose(weight.detach(), twin(start, gradients, 0.01, 0.1), rtol=1e-12)


def test_lamb_skips_parameters_without_gradient_and_keeps_upstreams_state() -> None:
    moved, still = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    optimizer = Lamb([moved, still], lr=0.1)
    moved.grad = torch.tensor([1.0, -1.0])
    optimizer.step()
    assert torch.equal(still, torch.ones(2))
    assert still not in optimizer.state
    names = ["step", "exp_avg", "exp_avg_sq", "weight_norm", "adam_norm", "trust_ratio"]
    assert list(optimizer.state[moved]) == names


def test_adamw_is_the_other_optimizer() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = make_optimizer("adamw", [weight], lr=0.1, weight_decay=0.5)
    weight.grad = torch.full((3,), 7.0)
    optimizer.step()
    # bias-corrected first step: sign of the gradient times lr, after the decoupled decay
    np.testing.assert_allclose(weight.detach(), 1 - 0.1 * 0.5 - 0.1, rtol=1e-6)


def test_schedule_goes_up_and_down_in_lines() -> None:
    rates = [linear_schedule(step, warmup=2, total=6, peak=4.0) for step in range(8)]
    assert rates == [0.0, 2.0, 4.0, 3.0, 2.0, 1.0, 0.0, 0.0]
    assert linear_schedule(0, warmup=0, total=4) == 1.0


def test_upstreams_schedule_is_one_step_behind() -> None:
    def rates(name: str) -> list[float]:
        return [learning_rate(name, n, warmup=2, steps=5, peak=6.0) for n in range(5)]

    assert rates("upstream") == [0.0, 3.0, 6.0, 4.0, 2.0]
    assert rates("linear") == [3.0, 6.0, 4.5, 3.0, 1.5]


TRACES = {"lamb": {}, "lamb_wd0.01": {"weight_decay": 0.01}, "lamb_adam": {"adam": True}}


@pytest.mark.oracle
@pytest.mark.parametrize("trace", TRACES)
def test_recorded_traces(oracle: Path, trace: str) -> None:
    arrays = np.load(oracle / "optim" / "optimizers.npz")
    states = json.loads((oracle / "optim" / "lamb_state.json").read_text())
    for name in ("w", "big", "bias", "zero"):
        weight = torch.nn.Parameter(torch.tensor(arrays[f"{trace}/init/{name}"]))
        optimizer = Lamb([weight], lr=recorded_rate(arrays, trace), **TRACES[trace])
        for step in range(6):
            weight.grad = torch.tensor(arrays[f"{trace}/grad{step}/{name}"])
            optimizer.step()
            expected = arrays[f"{trace}/param{step + 1}/{name}"]
            np.testing.assert_allclose(weight.detach(), expected, atol=1e-6, rtol=0)
            if trace in states:
                check_state(optimizer.state[weight], states[trace][name][step])


def recorded_rate(arrays: np.lib.npyio.NpzFile, trace: str) -> float:
    """Rate that explains the first step of the tensor of norm 0, whose trust ratio is 1."""
    gradient, after = arrays[f"{trace}/grad0/zero"], arrays[f"{trace}/param1/zero"]
    update = 0.1 * gradient / (np.sqrt(0.001 * gradient.astype(float) ** 2) + 1e-8)
    return float(f"{np.median(-after / update):.3g}")


def check_state(state: dict[str, float], expected: dict[str, float]) -> None:
    for key in ("step", "weight_norm", "adam_norm", "trust_ratio"):
        assert float(state[key]) == pytest.approx(expected[key], rel=1e-5)


@pytest.mark.oracle
def test_recorded_schedules(oracle: Path) -> None:
    recorded = json.loads((oracle / "optim" / "linear_schedule.json").read_text())["schedules"]
    for name, rows in recorded.items():
        warmup, total, peak = re.fullmatch(r"warmup=(\d+),total=(\d+),base=(.+)", name).groups()
        for taken, rate in rows:
            found = linear_schedule(taken, warmup=int(warmup), total=int(total), peak=float(peak))
            assert found == pytest.approx(rate, rel=1e-12, abs=1e-18)
