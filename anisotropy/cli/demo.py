"""``anisotropy demo``: a small ANCE and DANCE from scratch, then ``compare``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from anisotropy.cli.options import add_common_options, resolve

SUMMARY = "train a small ANCE and DANCE on docstrings and compare them; minutes on two cores"
DEFAULTS: dict[str, Any] = {"out": "demo", "seed": 0}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("--out", metavar="DIR", help="folder for everything (demo)")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of every random choice (0)")
    add_common_options(parser)


def run(given: dict[str, Any]) -> int:
    """Train, then compare."""
    options = resolve(given, DEFAULTS)
    start = time.monotonic()
    from anisotropy.cli import compare, jobs
    from anisotropy.training import train_demo

    folder, say = Path(options["out"]), jobs.teller(options["quiet"])
    train_demo(folder, seed=options["seed"], progress=say)
    trained = time.monotonic()
    code = compare.run(
        {
            "a": str(folder / "ance.ckpt"),
            "b": str(folder / "dance.ckpt"),
            "out": str(folder / "compare"),
            "quiet": options["quiet"],
        }
    )
    if say is not None:
        done = time.monotonic()
        say(f"training: {trained - start:.0f} s, encoding and comparing: {done - trained:.0f} s")
    return code
