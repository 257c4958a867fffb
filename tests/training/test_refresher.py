"""The second process: follows checkpoints, writes sets, stops; the trainer takes them up."""

from __future__ import annotations

import csv
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anisotropy.cli import main
from anisotropy.cli.negatives import _stopping
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
from anisotropy.training.batches import pick
from anisotropy.training.data import load_data
from anisotropy.training.devices import Devices
from anisotropy.training.encoder import start_encoder
from anisotropy.training.following import mark_finished, newest_checkpoint
from anisotropy.training.gradients import Task
from anisotropy.training.looking import look
from anisotropy.training.loop import objective_of
from anisotropy.training.mining import Mined
from anisotropy.training.negative_files import complete_sets, read_mark, read_set
from anisotropy.training.refresher import Patience
from tests.training.conftest import write_collection
from tests.training.killing import digests
from tests.training.making import InLine, Killed, kill_before

SIZES = EncoderSizes(vocabulary=300, hidden=16, intermediate=16, layers=1)
QUICK: dict[str, Any] = {"depth": 16, "kept": 5, "batch_size": 12, "steps": 4, "refresh_steps": 2}
QUICK |= {"save_steps": 2}
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


def test_the_refresher_computes_as_the_trainer(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same cuts of the start, the same forward pass, bit by bit the same vectors."""
    values = {"start_layers": 1, "max_query_length": 6, "max_document_length": 7}
    config = config_of("dual", dtype="bfloat16", device="cpu", **values)
    sizes = dataclasses.replace(SIZES, layers=2)
    start = new_encoder(collection, sizes).save(tmp_path / "start.ckpt", training={})
    encode, seen = Trainable.encode, []

    def noted(self: Trainable, side: Any, tokens: Any, *given: Any, **options: Any) -> Any:
        found = encode(self, side, tokens, *given, **options)
        seen.append(found)
        return found

    opened = start_encoder(start, collection, [config], 0)
    data = load_data(collection, opened)
    task = Task(opened, data, config, objective_of(config), Devices("cpu"), 0)
    monkeypatch.setattr(Trainable, "encode", noted)
    look(task, 0, Mined())
    one = Patience(poll=0.01, timeout=1, sets=1)
    writer = NegativeWriter(tmp_path / "out")
    follow(tmp_path / "run", collection, writer, config, start=start, patience=one)
    assert len(seen) == 6  # documents, dev and training queries, twice
    for here, there in zip(seen[:3], seen[3:], strict=True):
        np.testing.assert_array_equal(here, there)
    full = encode(opened, "documents", data.documents)
    assert not np.array_equal(seen[0], full)
    np.testing.assert_allclose(seen[0], full, atol=0.1)


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
        (["--out", "o"], "negatives needs a STAGE: warmup, ance, norm, dual or dance"),
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
    with pytest.raises(
        UsageError, match=r"stage 'warmup' \(form in_batch, hard_negatives 0\) uses"
    ):
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
    folder: Path,
    collection: Collection,
    tmp_path: Path,
    started: Callable[[list[str]], subprocess.Popen[str]],
) -> None:
    """The trainer here, the refresher there; nothing but files between them."""
    out, sets, settings = tmp_path / "x", tmp_path / "sets", tmp_path / "run.toml"
    settings.write_text("".join(f"{key} = {value}\n" for key, value in QUICK.items()))
    refresher = started(
        ["negatives", "ance", "--follow", f"{out}.checkpoints", "--data", str(folder), "--out",
         str(sets), "--config", str(settings), "--poll", "0.02", "--timeout", "120"]
    )  # fmt: skip
    train(
        "ance", start=new_encoder(collection, SIZES), data=collection, out=out, config=QUICK,
        negatives=FromFiles(sets, timeout=120, poll=0.02),
    )  # fmt: skip
    _, told = refresher.communicate(timeout=60)
    assert refresher.returncode == 0, told
    assert read_mark(sets, 0)["checkpoint"] == f"{out}.checkpoints/checkpoint-0/"
    assert "training is finished" in told
    with (out / "history.csv").open(newline="") as file:
        read = [row["negatives_set"] for row in csv.DictReader(file)]
    assert read[0] == "0"


def test_a_run_leaves_checkpoints_for_who_follows(collection: Collection, tmp_path: Path) -> None:
    """Steps are counted through norm and dual; the first one has the head of the stage."""
    out, start = tmp_path / "x", new_encoder(collection, SIZES)
    assert not start.recipe.normalize
    source = InLine(out, tmp_path / "sets", collection, config_of("dance"))
    train("dance", start=start, data=collection, out=out, config=QUICK, negatives=source)
    names = [f"checkpoint-{step}" for step in (0, 2, 4, 6)]
    assert source.seen == [([name], True) for name in names]
    marks = [read_mark(tmp_path / "sets", number) for number in range(4)]
    assert [Path(mark["checkpoint"]).name for mark in marks] == names
    assert [path.name for path in source.run.iterdir()] == ["finished"]
    (source.run / "notes").write_text("keep me")
    with pytest.raises(UsageError, match=r"x.checkpoints holds 'notes', which is no checkpoint"):
        train("dance", start=start, data=collection, out=out, config=QUICK, negatives=source)


@pytest.fixture
def sets(trainable: Trainable, collection: Collection, tmp_path: Path) -> Path:
    """One set, with negatives of both kinds."""
    save(trainable, tmp_path / "run", 0)
    one = Patience(poll=0.01, timeout=1, sets=1)
    writer = NegativeWriter(tmp_path / "sets")
    follow(tmp_path / "run", collection, writer, config_of("dual"), patience=one)
    return tmp_path / "sets"


def test_a_killed_run_takes_up_its_set_again(
    collection: Collection, tmp_path: Path, sets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    read = FromFiles(sets, timeout=0, progress=told.append)
    config = {**QUICK, "save_steps": 1, "dropout": 0.1}

    def run(name: str, negatives: Any = read, **values: Any) -> Path:
        return train(
            "dance", start=new_encoder(collection, SIZES), data=collection, out=tmp_path / name,
            config=config, negatives=negatives, **values,
        )  # fmt: skip

    whole = run("whole")
    with monkeypatch.context() as patched:
        kill_before(patched, "state-1-3")
        with pytest.raises(Killed):
            run("x")
    assert newest_checkpoint(tmp_path / "x.checkpoints") == tmp_path / "x.checkpoints/checkpoint-6"
    with pytest.raises(UsageError, match="negatives: 'files' there, 'searched' now"):
        run("x", None, resume=True)
    told.clear()
    again = FromFiles(sets, timeout=0, progress=told.append)
    assert digests(run("x", again, resume=True)) == digests(whole)
    assert told == []  # it goes on with the set in force, which is not read again


def test_hard_negatives_of_a_batch_from_files(
    trainable: Trainable, collection: Collection, sets: Path
) -> None:
    (config,) = stage_configs("warmup", {**QUICK, "hard_negatives": 2})
    data = load_data(collection, trainable)
    task = Task(trainable, data, config, objective_of(config), Devices("cpu"), 0)
    mined, quality = look(task, 0, Mined(), negatives=FromFiles(sets, timeout=0))
    assert quality["negatives_set"] == 0
    batch = pick(data, mined, config, 0, 0)
    lines = {str(line.query): line for line in read_set(sets, 0)}
    assert batch.negatives is not None
    assert batch.negative_queries is not None
    assert batch.negatives.shape == batch.negative_queries.shape == (12, 2)
    rows = zip(batch.queries, batch.negatives, batch.negative_queries, strict=True)
    for query, documents, queries in rows:
        line = lines[str(query)]
        assert {str(d) for d in documents} <= set(line.documents)
        assert {str(q) for q in queries} <= set(line.queries or ())


def test_train_reads_sets_from_the_command_line(
    trainable: Trainable, folder: Path, tmp_path: Path, sets: Path
) -> None:
    settings, out = tmp_path / "run.toml", tmp_path / "x"
    settings.write_text("".join(f"{key} = {value}\n" for key, value in QUICK.items()))
    start = save(trainable, tmp_path / "run", 0)
    words = ["train", "ance", "--from", str(start), "--data", str(folder), "--out", str(out)]
    words += ["--config", str(settings), "--negatives-from", str(sets), "--quiet"]
    assert main([*words, "--negatives-timeout", "0"]) == 0
    assert "negatives_set" in (out / "history.csv").read_text().splitlines()[0]


def test_sigterm_sets_the_event() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with _stopping() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(5)
    assert signal.getsignal(signal.SIGTERM) is before
