"""Kill encodings by SIGKILL, resume them, and compare every byte with an uninterrupted one.

    python -m tests.spaces.killing --kills 20
    python -m tests.spaces.killing --kills 20 --checkpoint X --data D --shard-size 256
    python -m tests.spaces.killing --every 1

Kills come at random times, while a shard and while the manifest is being written; with
``--every 1`` before each step on the file system in turn. Children are forked from a process that
has loaded everything. Without a checkpoint the encoder is a made-up one.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from anisotropy.cli.main import main as command
from anisotropy.spaces import open_store
from anisotropy.spaces.encoding import EncodeOptions, encode_collection
from anisotropy.spaces.store.manifest import SIDES
from anisotropy.spaces.store.marks import UNFINISHED
from tests.spaces.fakes import FakeCollection, FakeEncoder

Run = Callable[[Path], None]
#: Events of ``sys.addaudithook`` that change a folder, or come just before or after a change.
STEPS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod"}


def made_up(documents: int) -> Run:
    """Encode a made-up collection in shards of four, two vectors a document."""

    def run(out: Path) -> None:
        options = EncodeOptions(shard_items=4, batch_tokens=8)
        encode_collection(FakeEncoder(chunks=2), FakeCollection(documents), [out], options)

    return run


def real(given: argparse.Namespace) -> Run:
    """The command itself."""
    words = ["encode", given.checkpoint, "--data", given.data, "--quiet"]
    words += ["--shard-size", str(given.shard_size), "--documents", given.documents]

    def run(out: Path) -> None:
        assert command([*words, "--out", str(out)]) == 0

    return run


def content(folder: Path) -> dict[str, str]:
    """What a folder holds: the digest of every file, and every folder."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "a folder"
        )
        for path in sorted(folder.rglob("*"))
    }


def started(run: Run, out: Path, before: Callable[[], None] = lambda: None) -> int:
    """Fork a child that encodes."""
    child = os.fork()
    if child == 0:
        try:
            before()
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            run(out)
            os._exit(0)
        finally:
            os._exit(1)
    return child


def finished(child: int) -> bool:
    """Wait for a child; False if it was killed."""
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL), code
    return code == 0


def kill_after(run: Run, out: Path, seconds: float) -> bool:
    """Kill a run after a time; whether it had come to its end."""
    child = started(run, out)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return finished(child)


def kill_on_sight(run: Run, out: Path, prefix: str, nth: int) -> bool:
    """Kill a run when the nth temporary file of such a name is there."""
    child, seen = started(run, out), set[str]()
    while len(seen) < nth and not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        for folder in (out, *(out / side for side in SIDES)):
            if folder.is_dir():
                seen |= {path.name for path in folder.glob(f"{prefix}*")}
    os.kill(child, signal.SIGKILL)
    return finished(child)


def kill_before_step(run: Run, out: Path, number: int) -> bool:
    """Kill a run before it opens, renames, removes or makes the numberth file or folder."""

    def watch() -> None:
        left = [number]

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            if event in STEPS and str(arguments[0]).startswith(str(out)):
                left[0] -= 1
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)

    return finished(started(run, out, watch))


def left(out: Path) -> str:
    """What a killed run left: whole shards, temporary files, manifest."""
    if not out.is_dir():
        return "no folder"
    mark = out / UNFINISHED
    names = [path.name for path in out.rglob("*") if path.is_file()]
    lines = mark.read_bytes().count(b"\n") if mark.exists() else 0
    return (
        f"{sum(name.startswith('embeddings') for name in names)} shards, "
        f"{max(lines - 1, 0)} of them recorded, "
        f"temporary {[name for name in names if name.startswith('.')]}, "
        f"manifest {'manifest.json' in names}, mark {mark.exists()}"
    )


def compare(run: Run, out: Path, expected: dict[str, str]) -> None:
    """Resume, and compare with the uninterrupted run."""
    if not out.is_dir() or (out / UNFINISHED).exists() or not any(out.iterdir()):
        assert finished(started(run, out))
    found = content(out)
    assert found == expected, set(found.items()) ^ set(expected.items())
    open_store(out, verify=True)


def every_step(run: Run, scratch: Path, stride: int) -> Iterator[str]:
    """Kill before each step in turn, until a run comes to its end."""
    run(scratch / "whole")
    expected, number, done = content(scratch / "whole"), 1 - stride, False
    while not done:
        number += stride
        out = scratch / f"step-{number}"
        done = kill_before_step(run, out, number)
        yield f"kill before step {number}: ended {done}, left {left(out)}"
        compare(run, out, expected)


def random_moments(run: Run, scratch: Path, kills: int, seed: int) -> Iterator[str]:
    """Kill at random times, and on sight of shards and of the manifest as they are written."""
    source = random.Random(seed)
    run(scratch / "warm")  # here, so that children find everything imported
    began = time.perf_counter()
    assert finished(started(run, scratch / "whole"))
    duration = time.perf_counter() - began
    expected = content(scratch / "whole")
    assert content(scratch / "warm") == expected
    shards = sum("embeddings" in name for name in expected)
    yield f"uninterrupted: {duration:.2f} s, {len(expected)} files and folders, {shards} shards"
    for number in range(kills):
        out = scratch / f"kill-{number}"
        if number % 5 == 3:
            what = ".embeddings" if number % 10 == 3 else ".manifest"
            nth = source.randint(1, shards) if what == ".embeddings" else 1
            while done := kill_on_sight(run, out, what, nth):  # too few were seen: again, earlier
                shutil.rmtree(out)
                nth = max(nth // 2, 1)
            how = f"on sight of {what} ({nth})"
        else:
            seconds = source.uniform(0, duration)
            while done := kill_after(run, out, seconds):  # faster than before: again, earlier
                shutil.rmtree(out)
                seconds *= 0.9
            how = f"after {seconds:.3f} s"
        yield f"kill {number + 1} {how}: ended {done}, left {left(out)}"
        compare(run, out, expected)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("--every", type=int, metavar="N", help="before every Nth step instead")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint")
    parser.add_argument("--data", default="docstrings")
    parser.add_argument("--documents", default="all")
    parser.add_argument("--shard-size", type=int, default=256)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        if given.checkpoint:
            lines = random_moments(real(given), place, given.kills, given.seed)
        elif given.every:
            lines = every_step(made_up(6), place, given.every)
        else:
            lines = random_moments(made_up(200), place, given.kills, given.seed)
        for line in lines:
            print(line, flush=True)
        print("every store is byte for byte that of the uninterrupted run")


if __name__ == "__main__":
    main()
