"""Training histories: stages in order, chains of checkpoints, damaged files."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anisotropy.encoders.folders import CHECKPOINT_FORMAT
from anisotropy.encoders.histories import WINDOW, read_history
from anisotropy.errors import CheckpointError

Stage = tuple[str, int, int]


def write(folder: Path, stages: list[Stage], start: Path | str | None = None) -> Path:
    """A checkpoint's record and history: (name, steps, selected step) a stage."""
    folder.mkdir()
    record: dict[str, Any] = {
        "format": CHECKPOINT_FORMAT,
        "start": None if start is None else str(start),
        "stages": [{"config": {"steps": n}, "selected_step": end} for _, n, end in stages],
    }
    (folder / "training.json").write_text(json.dumps(record))
    with (folder / "history.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["stage", "step", "dev", "loss"])
        writer.writeheader()
        for name, steps, _ in stages:
            writer.writerow({"stage": name, "step": 0, "dev": 0.1})
            for step in range(1, steps + 1):
                writer.writerow({"stage": name, "step": step, "loss": step / 10})
            writer.writerow({"stage": name, "step": steps, "dev": 0.2})
    return folder


def test_stages_of_one_file_follow_each_other(tmp_path: Path) -> None:
    found = read_history(write(tmp_path / "a", [("warmup", 3, 3), ("ance", 2, 2), ("ance", 2, 2)]))
    assert found is not None
    assert list(found["step"]) == [0, 1, 2, 3, 3, 3, 4, 5, 5, 5, 6, 7, 7]
    assert list(found["part"]) == [0] * 5 + [1] * 4 + [2] * 4
    assert list(found["stage"][:6]) == ["warmup"] * 5 + ["ance"]
    assert list(found["stage_step"][5:9]) == [0, 1, 2, 2]
    assert np.isnan(found["loss"][0])
    assert found["dev"][4] == 0.2
    assert {len(column) for column in found.values()} == {13}


def test_a_chain_of_checkpoints_is_one_history(tmp_path: Path) -> None:
    first = write(tmp_path / "a", [("ance", 3, 3)])
    found = read_history(write(tmp_path / "b", [("norm", 2, 2)], first))
    alone = read_history(first)
    assert found is not None
    assert alone is not None
    assert list(found["step"][-4:]) == [3, 4, 5, 5]
    for name, column in alone.items():
        np.testing.assert_array_equal(found[name][: len(column)], column)
    gone = read_history(write(tmp_path / "c", [("norm", 2, 2)], tmp_path / "not there"))
    assert gone is not None
    assert gone["step"][-1] == 2


def test_what_lies_behind_the_weights_that_went_on_is_left_out(tmp_path: Path) -> None:
    found = read_history(write(tmp_path / "a", [("ance", 4, 2), ("dual", 3, 1)]))
    assert found is not None
    assert list(found["step"][found["part"] == 0]) == [0, 1, 2]
    # Of the last stage everything is shown: that it got worse is why an earlier step was taken.
    assert list(found["step"][found["part"] == 1]) == [2, 3, 4, 5, 5]


def test_loss_mean_is_the_mean_of_the_last_losses_of_the_stage(tmp_path: Path) -> None:
    found = read_history(write(tmp_path / "a", [("warmup", 30, 30), ("ance", 2, 2)]))
    assert found is not None
    for part in (0, 1):
        losses: list[float] = []
        mine = found["part"] == part
        for loss, mean in zip(found["loss"][mine], found["loss_mean"][mine], strict=True):
            if np.isnan(loss):
                assert np.isnan(mean)
                continue
            losses.append(loss)
            assert mean == pytest.approx(np.mean(losses[-WINDOW:]))


def test_what_was_not_trained_here_has_none(tmp_path: Path) -> None:
    assert read_history("org/name") is None
    folder = write(tmp_path / "a", [("ance", 1, 1)])
    (folder / "training.json").write_text("{}")
    assert read_history(folder) is None
    other = write(tmp_path / "b", [("ance", 1, 1)])
    (other / "history.csv").unlink()
    assert read_history(other) is None


def test_a_chain_that_bites_its_tail_ends(tmp_path: Path) -> None:
    found = read_history(write(tmp_path / "a", [("ance", 1, 1)], tmp_path / "a"))
    assert found is not None
    assert found["step"][-1] == 1


@pytest.mark.parametrize(
    "text",
    [
        "stage,step\nance,x\n",
        "step\n1\n",
        "stage,step\nance\n",
        "stage,step\nance,1\0\n",
        "stage,step\n1,\xff",
    ],
)
def test_damage_is_one_line(tmp_path: Path, text: str) -> None:
    folder = write(tmp_path / "a", [("ance", 1, 1)])
    (folder / "history.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointError, match=r"history\.csv: not readable as a history"):
        read_history(folder)


def test_words_in_a_column_of_numbers_are_no_number(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", [("ance", 1, 1)])
    (folder / "history.csv").write_text("stage,step,loss,note\nance,1,0.5,hello\n")
    found = read_history(folder)
    assert found is not None
    assert np.isnan(found["note"][0])
    assert found["loss"][0] == 0.5
