"""Several processes on the CPU: the losses of one process that accumulates."""

from __future__ import annotations

import csv
import json
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anisotropy.collection import Collection, open_collection
from anisotropy.errors import AnisotropyError, MissingExtra, UsageError
from anisotropy.training import stage_configs, train
from anisotropy.training.data import load_data
from anisotropy.training.devices import Devices, SeveralDevices, find_devices
from anisotropy.training.loop import fit
from tests.training.conftest import write_collection
from tests.training.making import QUICK, small

ROOT = Path(__file__).parents[2]
#: Rows that see each other (in the batch of a process) first, then mined negatives both ways.
CONFIG: dict[str, Any] = {**QUICK, "steps": 4, "norm": {"form": "in_batch", "dual_weight": 1.0}}
CONFIG |= {"select": "best", "evaluate_steps": 2, "save_steps": 2, "dual": {"chunk_factor": 2}}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def run_ranks(folder: Path, config: dict[str, Any], ranks: int = 2) -> list[list[str]]:
    """Run `RANKS` with the environment that a launcher gives; the lines of each process."""
    environment = {**os.environ, "WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1"}
    environment |= {"MASTER_PORT": str(free_port()), "PYTHONPATH": str(ROOT)}
    environment |= {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"}
    command = [sys.executable, "-c", RANKS, str(folder), json.dumps(config)]
    done = subprocess.run(
        command, cwd=ROOT, text=True, capture_output=True, env=environment, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [(folder / f"rank-{rank}.txt").read_text().splitlines() for rank in range(ranks)]


# One process imports everything, then becomes as many as there are ranks.
RANKS = """
import json, os, sys
from pathlib import Path
import anisotropy.measures.registry, accelerate
from anisotropy.collection import open_collection
from anisotropy.errors import AnisotropyError
from anisotropy.training import train
from tests.training.making import small

folder, config = Path(sys.argv[1]), json.loads(sys.argv[2])
collection = open_collection(folder / "words")
small(collection)  # imports what an encoder needs

def run(stage, values):
    lines = []
    try:
        train(stage, start=small(collection), data=collection, out=folder / "two", config=values,
              progress=lines.append)
    except AnisotropyError as error:
        return f"{type(error).__name__} {error}"
    return str(len(lines))

def act(rank):
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    lines = [run("dance", config), run("ance", {"learning_rate": 1e30, "steps": 2})]
    lines.append(run("ance", {"device": "cuda:1"}))
    (folder / f"rank-{rank}.txt").write_text("\\n".join(lines))

children = []
for rank in range(int(os.environ["WORLD_SIZE"])):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            act(rank)
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    children.append(child)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


def history(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As many threads as each process has: the order of sums decides the last digits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_two_processes_are_one_that_accumulates(tmp_path: Path) -> None:
    data = write_collection(tmp_path / "words")
    first, second = run_ranks(tmp_path, CONFIG)
    collection = open_collection(data)
    one = train("dance", start=small(collection), data=collection, out=tmp_path / "one",
                config={**CONFIG, "accumulation": 2})  # fmt: skip
    rows = list(zip(history(one), history(tmp_path / "two"), strict=True))
    assert len([row for row, _ in rows if row["loss"]]) == 2 * CONFIG["steps"]
    for expected, found in rows:
        for key, text in expected.items():
            if text and key != "stage":
                assert float(found[key]) == pytest.approx(float(text), abs=1e-5), (key, expected)
    record = json.loads((tmp_path / "two" / "training.json").read_text())
    assert record["processes"] == 2
    # one process tells and writes; an error of the run is an error of each, with one line
    assert int(first[0]) > 5
    assert int(second[0]) == 0
    for lines in (first, second):
        assert "not finite at step 2" in lines[1]
        assert "device: got 'cuda:1' in one of several processes; allowed: auto" in lines[2]
    assert {p.name for p in tmp_path.iterdir() if p.is_dir()} == {
        "one", "two", "two.training", "words",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            OSError(28, "No space left"),
            "the main process failed: OSError: [Errno 28] No space left",
        ),
        (ValueError("a\nb"), "the main process failed: ValueError: a"),
        (UsageError("seed: got 5"), "seed: got 5"),
        (MissingExtra("x", "train"), None),
    ],
)
def test_every_error_of_the_main_process_reaches_the_others(
    monkeypatch: pytest.MonkeyPatch, error: Exception, text: str | None
) -> None:
    utils = pytest.importorskip("accelerate.utils")
    sent: list[Any] = []

    def broadcast(box: list[Any]) -> list[Any]:
        """The main process comes first and leaves what the other one gets."""
        if not sent:
            sent.append(pickle.dumps(box))
        found: list[Any] = pickle.loads(sent[0])
        return found

    def fails() -> None:
        raise error

    monkeypatch.setattr(utils, "broadcast_object_list", broadcast)
    several = object.__new__(SeveralDevices)
    several.rank = 0
    with pytest.raises(type(error)) as here:
        several.main(fails)
    assert here.value is error
    several.rank = 1
    with pytest.raises(AnisotropyError) as there:
        several.main(fails)
    assert text is None or str(there.value) == text
    assert "\n" not in str(there.value)


def test_a_state_that_cannot_be_written_is_passed_on(made_up: Collection) -> None:
    """Saving is an act of the main process, which every process takes part in."""
    acts: list[str] = []

    class Noted(Devices):
        def main(self, action: Any) -> Any:
            acts.append(action.__name__)
            return super().main(action)

    (config,) = stage_configs("ance", {**QUICK, "steps": 3, "save_steps": 1})
    start = small(made_up)
    fit(start, load_data(made_up, start), config, devices=Noted("cpu"))  # as a rank that is not 0
    assert acts == ["_open", "act", "<lambda>", "<lambda>", "act"]


def test_shares_cover_all_rows() -> None:
    several = object.__new__(SeveralDevices)
    for count in (1, 2, 5, 9):
        several.ranks, found = 4, []
        for several.rank in range(4):
            found.append(several.share(count))
        assert len({len(share) for share in found}) == 1
        np.testing.assert_array_equal(np.concatenate(found)[:count], np.arange(count))


def test_without_accelerate(
    made_up: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    config = {**QUICK, "steps": 1, "dtype": "bfloat16"}
    train("ance", start=small(made_up), data=made_up, out=tmp_path / "x", config=config)
    with pytest.raises(MissingExtra, match=r"tensorboard = true needs the extra 'train'"):
        train("ance", start=small(made_up), data=made_up, out=tmp_path / "y",
              config={"tensorboard": True})  # fmt: skip
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(MissingExtra, match=r"several processes needs the extra 'train': pip"):
        find_devices()


def test_devices_by_name(made_up: Collection, tmp_path: Path) -> None:
    assert find_devices("cpu").device == torch.device("cpu")
    with pytest.raises(UsageError, match="device: got 'abacus', which is no device"):
        Devices("abacus")
    with pytest.raises(UsageError, match="device: got cpu, auto; allowed: the same in every"):
        train("dance", start=small(made_up), data=made_up, out=tmp_path / "x",
              config={"norm": {"device": "cpu"}})  # fmt: skip
