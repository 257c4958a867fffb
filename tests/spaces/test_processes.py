"""Several processes that share an encoding: the store of one, whoever fails."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anisotropy.encoders.processes import Processes, passed_on
from anisotropy.errors import MissingExtra, StoreError, UsageError
from anisotropy.spaces import open_store
from anisotropy.spaces.encoding import EncodeOptions, encode_collection
from tests.spaces.fakes import FakeCollection, FakeEncoder, FakeRecipe
from tests.spaces.killing import content

ROOT = Path(__file__).parents[2]
SMALL = EncodeOptions(shard_items=4, batch_tokens=8)


class Team(Processes):
    """Threads in the place of processes, which meet as those do."""

    def __init__(self, rank: int, table: list[Any], barrier: threading.Barrier) -> None:
        self.rank, self.ranks = rank, len(table)
        self._table, self._barrier = table, barrier

    def told(self, value: Any) -> list[Any]:
        self._barrier.wait(20)
        self._table[self.rank] = value
        self._barrier.wait(20)
        found = list(self._table)
        self._barrier.wait(20)
        return found

    def main(self, action: Callable[[], Any]) -> Any:
        value, problem = None, None
        if self.is_main:
            try:
                value = action()
            except Exception as error:
                problem = error
        value, problem = self.told((value, problem))[0]
        if problem is not None:
            raise problem if self.is_main else passed_on(problem)
        return value


def together(encoders: list[FakeEncoder], folders: list[Path], documents: int = 30) -> list[str]:
    """Encode with a thread an encoder; the error of each, or an empty text."""
    ranks = len(encoders)
    table: list[Any] = [None] * ranks
    barrier, found = threading.Barrier(ranks), ["did not end"] * ranks

    def act(rank: int) -> None:
        team = Team(rank, table, barrier)
        try:
            encode_collection(
                encoders[rank], FakeCollection(documents), folders, SMALL, processes=team
            )
            found[rank] = ""
        except Exception as error:
            found[rank] = str(error)

    workers = [threading.Thread(target=act, args=(rank,)) for rank in range(ranks)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    return found


def alone(out: Path, documents: int = 30, chunks: int = 1) -> dict[str, str]:
    encode_collection(FakeEncoder(chunks=chunks), FakeCollection(documents), [out], SMALL)
    return content(out)


@pytest.mark.parametrize("ranks", [1, 2, 3, 12])
@pytest.mark.parametrize("chunks", [1, 2])
def test_the_bytes_are_those_of_one_process(tmp_path: Path, ranks: int, chunks: int) -> None:
    encoders = [FakeEncoder(chunks=chunks) for _ in range(ranks)]
    assert together(encoders, [tmp_path / "s"]) == [""] * ranks
    assert content(tmp_path / "s") == alone(tmp_path / "one", chunks=chunks)
    shares = [sum(map(len, encoder.batches)) for encoder in encoders]
    assert sum(shares) == 36
    if ranks == 2:
        assert abs(shares[0] - shares[1]) <= 4  # a shard


def test_two_readings(tmp_path: Path) -> None:
    readings = (FakeRecipe("one"), FakeRecipe("two", 2.0))
    encoders = [FakeEncoder(readings=readings) for _ in range(2)]
    assert together(encoders, [tmp_path / "1", tmp_path / "2"]) == ["", ""]
    for name in "12":
        open_store(tmp_path / name, verify=True)


class Breaking(FakeEncoder):
    """Fails at a batch as a library does."""

    def encode_tokens(self, side: str, tokens: Any) -> list[Any]:
        if len(self.batches) == 3:
            raise RuntimeError("out of memory\ntried to allocate")
        return super().encode_tokens(side, tokens)


def test_whoever_fails_all_stop_and_any_number_goes_on(tmp_path: Path) -> None:
    whole = alone(tmp_path / "one")
    for rank in (0, 1):
        out = tmp_path / f"failed-{rank}"
        encoders: list[FakeEncoder] = [FakeEncoder(), FakeEncoder()]
        encoders[rank] = Breaking()
        found = together(encoders, [out])
        assert found[rank] == "out of memory\ntried to allocate"  # as it was
        assert found[1 - rank] == f"process {rank} failed: RuntimeError: out of memory"
        with pytest.raises(StoreError, match="unfinished"):
            open_store(out)
        rest = [FakeEncoder() for _ in range(3)]
        assert together(rest, [out]) == ["", "", ""]
        assert content(out) == whole
        assert sum(sum(map(len, encoder.batches)) for encoder in rest) < 36


def test_a_folder_that_is_in_use_is_refused_by_all(tmp_path: Path) -> None:
    alone(tmp_path / "s")
    found = together([FakeEncoder(), FakeEncoder()], [tmp_path / "s"])
    assert found[0] == found[1]
    assert "already holds a finished store" in found[0]


def test_a_shard_that_does_not_arrive_is_named(tmp_path: Path) -> None:
    """As where the processes do not see the same folder."""

    class Elsewhere(FakeEncoder):
        def encode_tokens(self, side: str, tokens: Any) -> list[Any]:
            for path in (tmp_path / "s" / "documents").glob("embeddings-00001.npy"):
                path.unlink()
            return super().encode_tokens(side, tokens)

    found = together([Elsewhere(), FakeEncoder()], [tmp_path / "s"])
    assert found[0] == found[1]
    assert "embeddings-00001.npy: gone or changed since it was written" in found[0]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


# One process imports everything, then becomes as many as there are ranks.
RANKS = """
import json, os, sys
import accelerate, torch
from anisotropy.cli.main import main
from tests.spaces.test_processes import words

children = []
for rank in range(2):
    child = os.fork()
    if child == 0:
        code = 9
        try:
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            code = main(words(sys.argv[1], sys.argv[2]))
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    children.append(child)
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]))
"""


def words(checkpoint: str, out: str) -> list[str]:
    data = str(Path(checkpoint).parent / "words")
    given = ["encode", checkpoint, "--data", data, "--out", out]
    return [*given, "--shard-size", "16", "--quiet"]


def run_ranks(checkpoint: Path, out: Path) -> tuple[list[int], list[str], list[str]]:
    """Exit codes, lines on stdout, lines on stderr of two processes."""
    environment = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    environment |= {"MASTER_PORT": str(free_port()), "PYTHONPATH": str(ROOT)}
    environment |= {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", RANKS, str(checkpoint), str(out)]
    done = subprocess.run(
        command, cwd=ROOT, text=True, capture_output=True, env=environment, timeout=240
    )
    *lines, codes = done.stdout.splitlines()
    return json.loads(codes), lines, done.stderr.splitlines()


def test_the_command_in_two_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from anisotropy.cli.main import main
    from anisotropy.collection import open_collection
    from tests.training.conftest import write_collection
    from tests.training.making import small

    monkeypatch.delenv("WORLD_SIZE", raising=False)
    collection = open_collection(write_collection(tmp_path / "words"))
    small(collection).save(tmp_path / "start.ckpt", training={})
    codes, lines, errors = run_ranks(tmp_path / "start.ckpt", tmp_path / "two")
    assert codes == [0, 0], errors
    assert lines == [str(tmp_path / "two")]  # the main process alone
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert main(words(str(tmp_path / "start.ckpt"), str(tmp_path / "one"))) == 0
    finally:
        torch.set_num_threads(before)
    assert content(tmp_path / "two") == content(tmp_path / "one")


def test_devices_are_the_launchers_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    from anisotropy.encoders.processes import SeveralProcesses

    with pytest.raises(UsageError, match="device: got 'cuda:1' in one of several processes; all"):
        SeveralProcesses("cuda:1")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(MissingExtra, match="encoding in several processes needs the extra 'tra"):
        SeveralProcesses("auto", "encoding")
