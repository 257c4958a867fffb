"""The demonstration in small: two checkpoints, the second grown from the first, repeatable."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anisotropy.collection import Collection
from anisotropy.encoders import open_encoder
from anisotropy.training import EncoderSizes, demo, train_demo


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = {"steps": 4, "batch_size": 8, "refresh_steps": 2, "depth": 20, "kept": 5}
    monkeypatch.setattr(demo, "SIZES", EncoderSizes(vocabulary=330, hidden=16, intermediate=16))
    monkeypatch.setattr(
        demo, "PLAN", {stage: {**plan, **quick} for stage, plan in demo.PLAN.items()}
    )


@pytest.mark.usefixtures("_small")
def test_the_demo_leaves_an_ance_and_a_dance(made_up: Collection, tmp_path: Path) -> None:
    ance, dance = train_demo(tmp_path, data=made_up)
    assert [path.name for path in (ance, dance)] == ["ance.ckpt", "dance.ckpt"]
    assert stages(ance) == ["warmup", "ance"]
    assert stages(dance) == ["warmup", "ance", "norm", "dual"]
    assert (ance / "history.csv").read_text() in (dance / "history.csv").read_text()
    assert [open_encoder(path).recipe.normalize for path in (ance, dance)] == [False, True]
    again = train_demo(tmp_path / "again", data=made_up)
    for first, second in zip((ance, dance), again, strict=True):
        assert open_encoder(first).fingerprint == open_encoder(second).fingerprint


def stages(folder: Path) -> list[str]:
    record = json.loads((folder / "training.json").read_text())
    return [stage["config"]["stage"] for stage in record["stages"]]
