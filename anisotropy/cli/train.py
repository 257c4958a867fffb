"""``anisotropy train``: the bundled trainer."""

from __future__ import annotations

import argparse
from typing import Any

from anisotropy.cli.options import resolve
from anisotropy.errors import UsageError, one_of

SUMMARY = "train a stage: warmup, ance, norm, dual or dance"
STAGES = ("warmup", "ance", "norm", "dual", "dance")
DEFAULTS: dict[str, Any] = {
    "stage": None,
    "start": None,
    "data": "docstrings",
    "out": None,
    "seed": 0,
}
#: Options that go over the keys of the training configuration.
_OVER = ("device", "dtype", "tensorboard")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("stage", nargs="?", metavar="STAGE", help=", ".join(STAGES))
    parser.add_argument(
        "--from", dest="start", metavar="X", help="checkpoint to start from; warmup needs none"
    )
    parser.add_argument("--data", metavar="D", help="collection to train on (docstrings)")
    parser.add_argument("--out", metavar="Y", help="folder of the new checkpoint")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of every random choice (0)")
    parser.add_argument("--config", metavar="FILE", help="training configuration, TOML")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run that was stopped: to the same weights (save_steps in --config)",
    )
    parser.add_argument("--device", metavar="NAME", help="auto (default), cpu, cuda, cuda:1")
    parser.add_argument("--dtype", metavar="T", help="forward pass: float32 (default), bfloat16")
    parser.add_argument(
        "--tensorboard", action="store_true", help="event files in Y.tensorboard (extra train)"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")


def run(given: dict[str, Any]) -> int:
    """Train one stage."""
    path, resume = given.pop("config", None), given.pop("resume", False)
    over = {key: given.pop(key) for key in _OVER if key in given}
    options = resolve(given, DEFAULTS)
    if options["stage"] not in STAGES:
        raise UsageError(f"train: stage: {one_of(options['stage'], STAGES)}")
    if not options["out"]:
        raise UsageError("train needs --out Y: the folder of the new checkpoint")
    from anisotropy import training
    from anisotropy.cli import jobs

    folder = training.train(
        options["stage"],
        start=options["start"],
        data=options["data"],
        out=options["out"],
        config={**(training.load_config(path) if path else {}), **over},
        seed=options["seed"],
        resume=resume,
        progress=jobs.teller(options["quiet"]),
    )
    print(folder)
    return 0
