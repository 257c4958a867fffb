"""The second process: follows checkpoints, writes sets, stops; the trainer takes them up."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from anisotropy.cli import main
from anisotropy.collection import Collection, open_collection
from anisotropy.errors import CheckpointError, CollectionError, UsageError
from anisotropy.training import (
    EncoderSizes,
    FromFiles,
    NegativeWriter,
    Trainable,
    follow,
    new_encoder,
    stage_configs,
    train,
)
from anisotropy.training import refresher as module
from anisotropy.training.negative_files import complete_sets, read_mark, read_set
from anisotropy.training.refresher import Patience, mark_finished, newest_checkpoint
from tests.training.conftest import write_collection

SIZES = EncoderSizes(vocabulary=300, hidden=16, intermediate=16, layers=1)
QUICK: dict[str, Any] = {"depth": 16, "kept": 5, "batch_size": 12, "steps": 4, "refresh_steps": 2}
NOW = Patience(poll=0.01, timeout=0.05)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_collection(tmp_path_factory.mktemp("two") / "c", n_train=48, n_dev=16)


@pytest.fixture(scope="module")
def collection(folder: Path) -> Collection:
    return open_collection(folder)


@pytest.fixture(scope="module")
def trainable(collection: Collection) -> Trainable:
    return new_encoder(collection, SIZES)


def save(trainable: Trainable, run: Path, step: int) -> Path:
    return trainable.save(run / f"checkpoint-{step}", training={"stages": []})


def config_of(stage: str = "ance", **values: Any) -> Any:
    return stage_configs(stage, {**QUICK, **values})[-1]


def test_the_newest_whole_checkpoint(trainable: Trainable, tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path / "absent") is None
    for step in (5, 20, 100):
        save(trainable, tmp_path, step)
    (tmp_path / "checkpoint-100/training.json").unlink()
    (tmp_path / "checkpoint-300").mkdir()
    (tmp_path / "checkpoint-last").mkdir()
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoint-20"
    (tmp_path / "checkpoint-300/scheduler.pt").write_bytes(b"")  # upstream's mark
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoint-300"


def test_each_new_checkpoint_gives_a_set_until_training_is_finished(
    trainable: Trainable, collection: Collection, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    save(trainable, run, 0)

    def trainer(line: str) -> None:
        """Goes on when a set is there: two checkpoints at once, then the end."""
        if "checkpoint-0" in line:
            save(trainable, run, 2)
            save(trainable, run, 10)
        else:
            save(trainable, run, 12)
            mark_finished(run)

    writer = NegativeWriter(tmp_path / "out")
    patience = Patience(poll=0.01, timeout=60)
    config = config_of("dual", chunk_factor=2)
    assert follow(run, collection, writer, config, patience=patience, progress=trainer) == 2
    marks = [read_mark(tmp_path / "out", number) for number in complete_sets(tmp_path / "out")]
    assert [Path(mark["checkpoint"]).name for mark in marks] == ["checkpoint-0", "checkpoint-10"]
    assert all(0 < mark["ndcg"] <= 1 for mark in marks)
    for number, chunk in enumerate((range(24), range(24, 48))):
        lines = read_set(tmp_path / "out", number)
        assert sorted(int(str(line.query)) for line in lines) == list(chunk)
        assert all(len(line.documents) == len(line.queries or ()) == 5 for line in lines)


def test_a_restart_goes_on_and_waits_for_what_is_new(
    trainable: Trainable, collection: Collection, tmp_path: Path
) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    save(trainable, run, 0)
    one = Patience(poll=0.01, timeout=1, sets=1)
    assert follow(run, collection, NegativeWriter(out), config_of(), patience=one) == 1
    with pytest.raises(CollectionError, match=r"no new checkpoint for 0.05 s and no file 'fini"):
        follow(run, collection, NegativeWriter(out), config_of(), patience=NOW)
    save(trainable, run, 1)
    assert follow(run, collection, NegativeWriter(out), config_of(), patience=one) == 1
    assert complete_sets(out) == [0, 1]
    first, second = (read_set(out, number) for number in (0, 1))
    assert sorted(first) != sorted(second)  # the number of the set is in the seed


def test_the_start_serves_until_the_first_checkpoint(
    trainable: Trainable, collection: Collection, tmp_path: Path
) -> None:
    start = trainable.save(tmp_path / "start.ckpt", training={})
    stop = threading.Event()
    out = tmp_path / "out"
    follow(
        tmp_path / "run", collection, NegativeWriter(out), config_of(), start=start, stop=stop,
        patience=Patience(poll=0.01, timeout=60), progress=lambda _: stop.set(),
    )  # fmt: skip
    assert read_mark(out, 0)["checkpoint"] == f"{start}/"


def test_a_checkpoint_that_is_removed_meanwhile_is_passed_over(
    trainable: Trainable, collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    first, opening = save(trainable, run, 5), module.open_trainable
    save(trainable, run, 3)

    def open_late(source: Path) -> Trainable:
        if source == first:
            shutil.rmtree(first)
        return opening(source)

    monkeypatch.setattr(module, "open_trainable", open_late)
    one = Patience(poll=0.01, timeout=1, sets=1)
    assert follow(run, collection, NegativeWriter(out), config_of(), patience=one) == 1
    assert Path(read_mark(out, 0)["checkpoint"]).name == "checkpoint-3"


def test_a_damaged_checkpoint_stops_in_one_line(
    trainable: Trainable, collection: Collection, tmp_path: Path
) -> None:
    (save(trainable, tmp_path / "run", 5) / "model.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError) as error:
        follow(tmp_path / "run", collection, NegativeWriter(tmp_path / "o"), config_of())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ance", "--out", "o"], "negatives needs --follow CHECKPOINTS and --out DIR"),
        (["anse", "--follow", "r", "--out", "o"], "stage: got 'anse'"),
        (["warmup", "--follow", "r", "--out", "o"], "mines no negatives"),
        (["ance", "--follow", "r", "--out", "o", "--names", "id"], "names: got 'id'"),
        (["ance", "--follow", "r", "--out", "o", "--poll", "0"], "poll 0.0"),
        (["ance", "--follow", "r", "--out", "o", "--sets", "0"], "sets: got 0"),
    ],
)
def test_bad_options(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    assert main(["negatives", *words]) == 2
    assert message in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before


def test_train_takes_one_of_both(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["train", "ance", "--from", "x", "--out", str(tmp_path / "y")]
    assert main([*words, "--negatives-from", "a", "--negatives-to", "b"]) == 2
    assert "--negatives-from and --negatives-to exclude each other" in capsys.readouterr().err
    with pytest.raises(UsageError, match="timeout -1"):
        FromFiles("x", timeout=-1.0)
    with pytest.raises(UsageError, match=r"stage 'warmup' \(form in_batch\) uses no negatives"):
        train("warmup", out=tmp_path / "y", negatives=FromFiles("x"))


@pytest.fixture
def started() -> Iterator[Callable[[list[str]], subprocess.Popen[str]]]:
    """Start the program in a process that is gone at the end."""
    running: list[subprocess.Popen[str]] = []

    def start(words: list[str]) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "anisotropy", *words]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_two_processes(
    trainable: Trainable,
    folder: Path,
    collection: Collection,
    tmp_path: Path,
    started: Callable[[list[str]], subprocess.Popen[str]],
) -> None:
    """The trainer here, the refresher there; nothing but files between them."""
    run, out, settings = tmp_path / "run", tmp_path / "out", tmp_path / "run.toml"
    settings.write_text("".join(f"{key} = {value}\n" for key, value in QUICK.items()))
    refresher = started(
        ["negatives", "ance", "--follow", str(run), "--data", str(folder), "--out", str(out),
         "--config", str(settings), "--poll", "0.05", "--timeout", "120"]
    )  # fmt: skip
    start = save(trainable, run, 0)
    code = main(
        ["train", "ance", "--from", str(start), "--data", str(folder), "--quiet",
         "--out", str(tmp_path / "ance.ckpt"), "--config", str(settings),
         "--negatives-from", str(out), "--negatives-timeout", "120"]
    )  # fmt: skip
    assert code == 0
    trained = tmp_path / "ance.ckpt"
    assert "negatives" in (trained / "history.csv").read_text().splitlines()[0]
    shutil.copytree(trained, run / "checkpoint-4")
    deadline = time.monotonic() + 120
    while complete_sets(out) != [0, 1] and time.monotonic() < deadline:
        time.sleep(0.02)
    refresher.send_signal(signal.SIGTERM)
    _, told = refresher.communicate(timeout=60)
    assert refresher.returncode == 0, told
    marks = [read_mark(out, number) for number in (0, 1)]
    assert [Path(mark["checkpoint"]).name for mark in marks] == ["checkpoint-0", "checkpoint-4"]
    again = train(
        "ance", start=start, data=collection, out=tmp_path / "again", config=QUICK,
        negatives=FromFiles(out, timeout=0),
    )  # fmt: skip
    (stage,) = json.loads((again / "training.json").read_text())["stages"]
    assert stage["config"]["steps"] == 4
