"""A run that was killed goes on to the same weights; whatever else is in the way is refused."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anisotropy.cli import main
from anisotropy.collection import Collection, open_collection
from anisotropy.errors import CheckpointError, UsageError
from anisotropy.training import FromFiles, stage_configs, train
from anisotropy.training.checkpoints import State, TrainingFolder
from anisotropy.training.history import HistoryFile, read_history
from anisotropy.training.mining import Mined
from anisotropy.training.negatives import Negatives
from tests.training.conftest import write_collection
from tests.training.killing import digests
from tests.training.making import QUICK, InLine, small

ROOT = Path(__file__).parents[2]
CONFIG = {**QUICK, "save_steps": 2, "dropout": 0.1}
IN_THE_WAY = r"{} holds an unfinished run \(stage {}, step {}\): go on with it by --resume"


class Killed(BaseException):
    """Stands for the end of the process."""


def killed(
    monkeypatch: pytest.MonkeyPatch, after: int, out: Path, collection: Collection, **values: Any
) -> None:
    """Run until the step numbered `after` would be written into the history."""
    append, seen = TrainingFolder.append, []

    def counted(self: TrainingFolder, row: dict[str, Any]) -> None:
        seen.append(row)
        if len(seen) > after:
            raise Killed
        append(self, row)

    monkeypatch.setattr(TrainingFolder, "append", counted)
    with pytest.raises(Killed):
        run(out, collection, **values)
    monkeypatch.undo()


def run(out: Path, collection: Collection, stage: str = "ance", **values: Any) -> Path:
    given = {"config": CONFIG, **values}
    return train(stage, start=small(collection), data=collection, out=out, **given)


def test_killed_at_random_moments_and_resumed() -> None:
    """Two SIGKILLs in a process of its own: `killing` compares with the uninterrupted run."""
    command = [sys.executable, "-m", "tests.training.killing", "--kills", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("kill ") == 2


@pytest.mark.parametrize("after", [1, 7, 9, 13])
def test_resumed_is_uninterrupted(
    made_up: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Before the first state; after a refresh; between the stages; in the second one."""
    out = tmp_path / "x"
    killed(monkeypatch, after, out, made_up, stage="dance")
    lines: list[str] = []
    resumed = run(out, made_up, stage="dance", resume=True, progress=lines.append)
    told = [line.split(" · ")[0] for line in lines if "resumed from" in line]
    assert told == {1: [], 7: ["norm 4/6"], 9: ["dual 0/6"], 13: ["dual 2/6"]}[after]
    whole = run(tmp_path / "y", made_up, stage="dance", config={**CONFIG, "save_steps": 0})
    assert digests(resumed) == digests(whole)
    record = json.loads((resumed / "training.json").read_text())
    assert [stage["selected_step"] for stage in record["stages"]] == [6, 6]
    assert not (tmp_path / "x.training").exists()


def test_killed_while_a_state_is_written(
    made_up: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(self: Path, target: Path) -> Path:
        if self.name == ".state-0-4":
            (self / "weights.safetensors").write_bytes(b"half")
            raise Killed
        return rename(self, target)

    rename = Path.rename
    monkeypatch.setattr(Path, "rename", dies)
    out = tmp_path / "x"
    with pytest.raises(Killed):
        run(out, made_up)
    monkeypatch.undo()
    names = sorted(p.name for p in (tmp_path / "x.training").iterdir())
    assert names == [".state-0-4", "history.csv", "state-0-2"]
    assert digests(run(out, made_up, resume=True)) == digests(run(tmp_path / "y", made_up))


def test_an_unfinished_run_is_not_lost(
    made_up: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "x"
    killed(monkeypatch, 4, out, made_up)
    with pytest.raises(UsageError, match=IN_THE_WAY.format(".*x.training", 1, 2)) as caught:
        run(out, made_up)
    assert "delete that folder to start anew" in str(caught.value)
    assert "\n" not in str(caught.value)
    other = open_collection(write_collection(tmp_path / "words", seed=1))
    for change, message in (
        ({"seed": 3}, "seed: 0 there, 3 now"),
        ({"config": {**CONFIG, "learning_rate": 2e-3}}, r"ance.learning_rate: 0.001 there, 0.002"),
        ({"data": other}, "collection: .* there"),
        ({"start": small(made_up, seed=1)}, "start: .* there"),
        ({"stage": "dance"}, "configuration.ance: .* there, None now"),
    ):
        given: dict[str, Any] = {"stage": "ance", "start": small(made_up), "data": made_up}
        given |= {"config": CONFIG, **change}
        with pytest.raises(UsageError, match=f"x.training is of another run: .*{message}") as err:
            train(**given, out=out, resume=True)
        assert "\n" not in str(err.value)
    run(out, made_up, resume=True, config={**CONFIG, "save_steps": 3})  # may differ


def test_resume_begins_and_ends(made_up: Collection, tmp_path: Path) -> None:
    out = run(tmp_path / "x", made_up, resume=True)
    before = (out / "model.safetensors").stat().st_mtime_ns
    assert run(out, made_up, resume=True) == out
    assert (out / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(UsageError, match=r"--resume: .*x is the checkpoint of another run"):
        run(out, made_up, resume=True, seed=1)
    run(out, made_up, seed=1)
    assert (out / "model.safetensors").stat().st_mtime_ns != before


def test_a_failed_stage_keeps_the_finished_one(made_up: Collection, tmp_path: Path) -> None:
    config = {**CONFIG, "save_steps": 0, "dual": {"learning_rate": 1e30}}
    with pytest.raises(UsageError, match="stage 'dual': not finite at step 2"):
        run(tmp_path / "x", made_up, stage="dance", config=config)
    names = sorted(p.name for p in (tmp_path / "x.training").iterdir())
    assert names == ["history.csv", "state-1-0"]


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("resume", [False, True])
def test_a_second_start_leaves_a_running_one_alone(
    made_up: Collection, tmp_path: Path, resume: bool
) -> None:
    """The second one comes while a state is half written; the first goes on to its end."""
    out, tried = tmp_path / "x", []

    def second(line: str) -> None:
        if tried or "4/6" not in line:
            return
        (tmp_path / "x.training/.state-0-4").mkdir()
        before = everything(tmp_path)
        assert "x.checkpoints/checkpoint-2/training.json" in before
        with pytest.raises(UsageError, match="another process is training into") as e:
            run(out, made_up, resume=resume, negatives=FromFiles(tmp_path / "none", timeout=0))
        tried.append("\n" not in str(e.value))
        assert everything(tmp_path) == before
        assert (tmp_path / "x.training/.state-0-4").is_dir()

    config = {**CONFIG, "refresh_steps": 2}
    source = InLine(out, tmp_path / "sets", made_up, stage_configs("ance", config)[-1])
    run(out, made_up, config=config, progress=second, negatives=source)
    assert tried == [True]
    assert not (tmp_path / "x.training").exists()


def test_the_lock_goes_with_its_process(made_up: Collection, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; "
        "from anisotropy.locking import FileLock; "
        "lock = FileLock(Path(sys.argv[1]) / 'lock', ''); lock.take(); print('held', flush=True); "
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "x.training")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match="another process is training into"):
            TrainingFolder(tmp_path / "x", {}).begin(True)
        holder.kill()
    assert (tmp_path / "x.training/lock").is_file()
    folder = TrainingFolder(tmp_path / "x", {})
    assert folder.begin(True) is None
    folder.close()
    assert [path.name for path in (tmp_path / "x.training").iterdir()] == ["history.csv"]


def test_what_is_no_state_is_left_alone(made_up: Collection, tmp_path: Path) -> None:
    folder = tmp_path / "x.training"
    (folder / "notes").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"x.training holds 'notes', which is no training state"):
        run(tmp_path / "x", made_up)
    assert (folder / "notes").is_dir()


@pytest.mark.parametrize("name", ["state.json", "weights.safetensors", "negatives.npz"])
def test_a_damaged_state_is_one_line(
    made_up: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    out = tmp_path / "x"
    killed(monkeypatch, 4, out, made_up)
    (tmp_path / "x.training" / "state-0-2" / name).write_bytes(b"{}")
    with pytest.raises(CheckpointError, match="state-0-2") as caught:
        run(out, made_up, resume=True)
    assert "\n" not in str(caught.value)


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    import torch

    mined = Mined(Negatives(np.arange(6).reshape(3, 2), np.array([2, 2, 1])))
    mined.queries, mined.row_of_document = mined.documents, {7: 0, 4: 1, 9: 2}
    optimizer = {3: {"step": 5, "exp_avg": torch.ones(2), "trust_ratio": 0.1 + 0.2}}
    rows = [{"stage": "ance", "step": 1, "loss": 1 / 3}, {"stage": "ance", "step": 2, "new": 1e-9}]
    state = State(1, 2, {"w": torch.zeros(2, 3)}, optimizer, mined, None, ({"a": 1},), 0.5, 0.25)
    folder = TrainingFolder(tmp_path / "x", {"seed": 1})
    assert folder.begin(False) is None
    for row in rows:
        folder.append(row)
    folder.save(dataclasses.replace(state, rows=rows))
    folder.append({"stage": "ance", "step": 3, "loss": 9.0})
    folder.close()
    again = TrainingFolder(tmp_path / "x", {"seed": 1})
    found = again.begin(True)
    assert found is not None
    assert (found.stage, found.step, found.rows, found.done) == (1, 2, rows, ({"a": 1},))
    assert (found.seconds, found.cpu_seconds) == (0.5, 0.25)
    assert found.optimizer[3]["trust_ratio"] == 0.1 + 0.2
    assert found.optimizer[3]["step"] == 5
    assert torch.equal(found.optimizer[3]["exp_avg"], torch.ones(2))
    assert found.mined.row_of_document == mined.row_of_document
    assert found.mined.documents is not None
    np.testing.assert_array_equal(found.mined.documents.items, mined.documents.items)
    again.close()
    assert len((tmp_path / "x.training" / "history.csv").read_text().splitlines()) == 3


def test_the_history_grows_while_one_looks(tmp_path: Path) -> None:
    file = HistoryFile(tmp_path / "h.csv")
    for row in ({"stage": "a", "step": 1, "loss": 0.1}, {"stage": "a", "step": 2, "odd": 1e-17}):
        file.append(row)
        assert read_history(file.path, 9)[-1] == row
    file.close()
    with file.path.open("a") as half:
        half.write("a,3,0.0")
    assert read_history(file.path, 2) == file.rows
    with file.path.open() as text:
        assert next(csv.reader(text))[-1] == "odd"


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_collection(tmp_path / "words")
    start = train("warmup", start=small(open_collection(folder)), data=folder,
                  out=tmp_path / "start", config={"steps": 1})  # fmt: skip
    (tmp_path / "c.toml").write_text("".join(f"{k} = {v}\n" for k, v in CONFIG.items()))
    words = ["train", "ance", "--from", str(start), "--data", str(folder), "--out"]
    words += [str(tmp_path / "x"), "--config", str(tmp_path / "c.toml"), "--device", "cpu"]
    with monkeypatch.context() as patch:
        killed_save = TrainingFolder.save

        def dies(self: TrainingFolder, state: State) -> None:
            killed_save(self, state)
            raise KeyboardInterrupt

        patch.setattr(TrainingFolder, "save", dies)
        assert main(words) == 130
    assert main(words) == 2
    assert "go on with it by --resume" in capsys.readouterr().err
    assert main([*words, "--resume"]) == 0
    record = json.loads((tmp_path / "x" / "training.json").read_text())
    assert record["stages"][0]["config"]["device"] == "cpu"
