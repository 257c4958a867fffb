"""The ways that benchmarks/training.py times do the same work; no timing here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anisotropy.collection import open_collection
from anisotropy.training import EncoderSizes
from benchmarks.training import (
    COLUMNS,
    STEP_ONLY,
    Bench,
    Library,
    Setting,
    forward_operations,
    machine,
    measure,
    table,
)
from tests.training.conftest import write_collection

SIZES = EncoderSizes(400, 32, 2, 2, 48, max_query_length=16, max_document_length=24)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = write_collection(tmp_path_factory.mktemp("bench") / "words")
    return Bench(open_collection(folder), Setting(SIZES, 8, 4, turns=1, steps=1))


def losses(bench: Bench, tmp_path: Path) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Loss and gradient of the head by ours, upstream's and the library's trainer."""
    (step,) = bench.draw(1)
    found: list[Any] = []
    grads = []
    for way in (bench.ours, bench.upstream):
        trainable = bench.copy()
        found.append(way(trainable, step))
        found[-1].backward()
        grads.append(trainable.model.embeddingHead.weight.grad)
    library = Library(bench)
    trainer = library.trainer([step], str(tmp_path))
    (batch,) = trainer.get_train_dataloader()
    features, _ = trainer.collect_features(batch)
    assert len(features) == len(COLUMNS)
    found.append(trainer.loss(features, None))
    found[-1].backward()
    grads.append(library.model[2].linear.weight.grad)
    return found, grads


def test_every_way_has_the_same_loss_and_gradient(bench: Bench, tmp_path: Path) -> None:
    found, grads = losses(bench, tmp_path)
    values = [loss.item() for loss in found]
    np.testing.assert_allclose(values, values[0], rtol=1e-5)
    for grad in grads[1:]:
        np.testing.assert_allclose(grad.numpy(), grads[0].numpy(), atol=1e-5)


def test_with_the_fourth_column_too(bench: Bench) -> None:
    (step,) = bench.draw(1)
    start = bench.copy()
    ours, theirs = (way(start, step, fourth=True).item() for way in (bench.ours, bench.upstream))
    assert abs(ours - theirs) < 1e-5
    assert abs(ours - bench.ours(start, step).item()) > 1e-3


def test_operations_are_counted() -> None:
    """Against torch's own count of the products of a whole model."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from anisotropy.encoders import new_roberta

    model = new_roberta(
        50, hidden_size=32, layers=2, heads=2, intermediate_size=48, positions=26
    ).eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):  # others are not counted
        model(torch.full((1, 20), 7), torch.tensor([20]))
    assert counter.get_total_flops() == forward_operations(20, SIZES, whole=True)
    assert forward_operations(20, SIZES) < 0.7 * forward_operations(20, SIZES, whole=True)


def test_a_run_from_end_to_end(bench: Bench) -> None:
    result = measure(bench)
    ways = result["ways"]
    assert len(ways) == 6
    assert STEP_ONLY in ways
    assert (ways["ours"]["ratio"], ways["ours, negative queries"]["ratio"]) == (1.0, 1.0)
    assert all(row["pairs_a_second"] > 0 for row in ways.values())
    assert result["upstream_operations_ratio"] > 1
    result |= {"machine": machine(), "setting": {"turns": 1, "steps": 1, "batch": 8}}
    assert json.loads(json.dumps(result))["machine"]["versions"]["torch"]
    assert table(result).count("\n| ") == 6
