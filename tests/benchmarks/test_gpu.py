"""The parts of benchmarks/gpu.py run, with torch on the cores for the device; no timing here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from anisotropy.engine import devices
from anisotropy.neighbors import Neighbors
from benchmarks import gpu
from benchmarks.gpu import agreement, main, rows_apart

SMALL = ["--device", "cpu", "--documents", "400", "--queries", "60"]


def test_what_both_find_is_compared(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "gpu.json"
    assert main([*SMALL, "--parts", "neighbors,kernels,covariance", "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found == json.loads(capsys.readouterr().out)
    assert found["neighbors"]["common"] > 0.999
    assert 0 <= found["neighbors"]["scores_apart"] < 1e-5
    assert 0 < found["kernels"]["apart"] < 1e-5
    assert found["covariance"]["apart"] < 1e-12
    assert found["rates"]["cores"]["float32"] > 0
    assert devices.WORTH == 1e11


def test_a_part_that_fails_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "kernels", lambda *args: 1 // 0)
    assert main([*SMALL, "--parts", "kernels,covariance"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["kernels"] == {"failed": "ZeroDivisionError: integer division or modulo by zero"}
    assert found["covariance"]["rows"] == 400


def test_lists_that_differ_are_seen() -> None:
    index = np.array([[1, 2, 3], [4, 5, 6]])
    scores = np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]], dtype=np.float32)
    wanted = Neighbors(np.arange(2), index, scores, 10)
    found = Neighbors(np.arange(2), np.array([[2, 1, 3], [4, 5, 7]]), scores * 1.5, 10)
    seen = agreement(found, wanted)
    assert seen == {
        "same_places": 0.5, "same_lists": 0.0, "common": pytest.approx(5 / 6), "scores_apart": 0.5
    }  # fmt: skip


def test_measurements_that_differ_are_named() -> None:
    import pandas as pd

    place = {"side": ["queries", "documents"], "measure": ["gap", "cka"], "on": ["raw", "unit"]}
    wanted, found = (pd.DataFrame({**place, "value": values}) for values in ([1, 2], [1, 3]))
    seen = rows_apart(found, wanted)
    assert seen["largest"] == 0.5
    assert next(iter(seen["where"])) == "documents cka unit"
    with pytest.raises(AssertionError, match="not those of the cores"):
        rows_apart(found.iloc[:1], wanted)


def test_texts_and_encoder_are_made(tmp_path: Path) -> None:
    texts = gpu.made_texts(40)
    assert texts == gpu.made_texts(40)
    assert 50 < np.mean([len(text.split()) for text in texts]) < 300
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("LAYERS", 1), ("WIDTH", 64), ("VOCABULARY", 400)):
            patch.setattr(gpu, name, value)
        folder = gpu.made_encoder(tmp_path / "encoder")
    _, vectors = gpu.encoded(folder, texts, "cpu", "float32", 2048)
    assert vectors.shape == (40, 64)
    assert np.ptp(vectors) > 0
