"""Kill a training run at random moments, resume it, and compare with an uninterrupted one.

    python -m tests.training.killing --kills 10

Children are forked from a process that has loaded everything, and killed by SIGKILL.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from anisotropy.collection import Collection, open_collection
from anisotropy.training import train
from tests.training.conftest import write_collection
from tests.training.making import QUICK, small

#: Dropout, two stages, chunks, refreshes between saves, LAMB's own numbers, selection on dev.
CONFIG: dict[str, Any] = {**QUICK, "dropout": 0.1, "accumulation": 2, "chunk_factor": 2}
CONFIG |= {"save_steps": 1, "optimizer": "lamb", "evaluate_steps": 2, "select": "best"}
CONFIG["dual"] = {"optimizer": "adamw", "select": "last"}


def run(collection: Collection, out: Path) -> None:
    train("dance", start=small(collection), data=collection, out=out, config=CONFIG, resume=True)


def forked(collection: Collection, out: Path, wait: float | None) -> bool:
    """Run in a child; whether it came to its end before it was killed."""
    child = os.fork()
    if child == 0:
        try:
            run(collection, out)
        finally:
            os._exit(0 if (out / "training.json").is_file() else 1)
    if wait is None:
        return os.waitpid(child, 0)[1] == 0
    time.sleep(wait)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1] == 0


def digests(out: Path) -> dict[str, str]:
    names = ("model.safetensors", "history.csv", "recipe.json")
    return {name: hashlib.sha256((out / name).read_bytes()).hexdigest()[:16] for name in names}


def trial(collection: Collection, folder: Path, kills: int, seed: int) -> list[str]:
    """Kill a run some times, let it end, compare; lines of what happened."""
    source, lines = random.Random(seed), []
    small(collection)  # here, so that children find everything imported
    began = time.perf_counter()
    run(collection, folder / "whole")
    duration = time.perf_counter() - began
    for number in range(kills):
        wait = source.uniform(0.1, 1.0) * duration * 2 / (kills + 2)
        done = forked(collection, folder / "killed", wait)
        inside = folder / "killed.training"
        held = sorted(p.name for p in inside.iterdir()) if inside.is_dir() else []
        lines.append(f"kill {number + 1} after {wait:.2f} s: ended {done}, left {held}")
    assert forked(collection, folder / "killed", None)
    expected, found = digests(folder / "whole"), digests(folder / "killed")
    lines.append(f"uninterrupted {expected}")
    lines.append(f"killed        {found}")
    left = sorted(p.name for p in folder.iterdir())
    assert expected == found, lines
    assert left == ["killed", "whole"], left
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=2, help="a trial")
    parser.add_argument("--trials", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        collection = open_collection(write_collection(Path(scratch) / "words"))
        for number in range(given.trials):
            folder = Path(scratch) / f"trial-{number}"
            folder.mkdir()
            print("\n".join(trial(collection, folder, given.kills, given.seed + number)))


if __name__ == "__main__":
    main()
