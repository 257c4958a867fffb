"""The ways that benchmarks/encoding.py times do the same work; no timing here."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from anisotropy.collection import open_collection
from benchmarks import encoding
from benchmarks.encoding import (
    LIBRARY_BF16,
    OURS,
    OURS_BF16,
    Setting,
    forward_operations,
    made_up,
    run,
    table,
    targets,
)
from tests.training.conftest import write_collection


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    place = tmp_path_factory.mktemp("bench")
    data = write_collection(place / "words")
    folder = made_up(place / "model", open_collection(data), hidden=64, layers=2)
    setting = Setting(documents=12, padded=3, turns=1, batches=(4,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "RATE_SECONDS", 0.01)
        return run(folder, str(data), setting=setting)


def test_every_way_gives_the_same_vectors(result: dict[str, Any]) -> None:
    for name, close in result["agreement"].items():
        assert close["min"] >= (0.999 if "bfloat16" in name else 0.999999), name
    assert result["agreement"][OURS_BF16]["min"] >= result["agreement"][LIBRARY_BF16]["min"]


def test_a_run_from_end_to_end(result: dict[str, Any]) -> None:
    assert len(result["ways"]) == 6
    assert result["ways"][OURS]["speed"] == 1.0
    assert all(row["documents_a_second"] > 0 for row in result["ways"].values())
    assert result["padded_operations_ratio"] > 5  # short texts
    found = targets(json.loads(json.dumps(result)))
    assert found["cosine of bfloat16, smallest"]["at_least"] == 0.9998
    assert table(result).count("\n| ") == 5 + 1 + 7 + 1


def test_operations_are_counted() -> None:
    """Against torch's own count."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=48, max_position_embeddings=24,
    )  # fmt: skip
    model = BertModel(config, add_pooling_layer=False).eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):  # others are not counted
        model(torch.full((1, 20), 7))
    assert counter.get_total_flops() == forward_operations(20, config)


def test_agreement_sees_a_difference() -> None:
    rows = np.eye(4, dtype=np.float32)
    other = rows.copy()
    other[2] = rows[1]
    found = encoding.agreement({OURS: rows, "x": other[:3]})
    assert found["x"] == {"min": 0.0, "median": 1.0}
