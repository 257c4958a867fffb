"""``anisotropy train``: the bundled trainer."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from anisotropy.cli.options import resolve
from anisotropy.errors import UsageError, one_of

if TYPE_CHECKING:
    from anisotropy.training.mining import NegativeSource

SUMMARY = "train a stage: warmup, ance, norm, dual or dance"
STAGES = ("warmup", "ance", "norm", "dual", "dance")
DEFAULTS: dict[str, Any] = {
    "stage": None,
    "start": None,
    "data": "docstrings",
    "out": None,
    "seed": 0,
    "negatives_from": None,
    "negatives_to": None,
    "negatives_timeout": 3600.0,
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
    parser.add_argument(
        "--negatives-from", metavar="DIR", help="take negatives that 'anisotropy negatives' writes"
    )
    parser.add_argument(
        "--negatives-timeout",
        type=float,
        metavar="S",
        help="wait so long for the first set (3600)",
    )
    parser.add_argument(
        "--negatives-to", metavar="DIR", help="write the mined negatives in upstream's format"
    )
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
    check_stage("train", options["stage"])
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
        negatives=_negatives(options),
    )
    print(folder)
    return 0


def check_stage(command: str, stage: str | None) -> None:
    """Refuse a stage that is not given, or is none.

    Raises
    ------
    UsageError
        If so.
    """
    if stage is None:
        raise UsageError(f"{command} needs a STAGE: {', '.join(STAGES[:-1])} or {STAGES[-1]}")
    if stage not in STAGES:
        raise UsageError(f"{command}: stage: {one_of(stage, STAGES)}")


def _negatives(options: dict[str, Any]) -> NegativeSource | None:
    """Where negatives come from, and whether they are written; None = the default."""
    if options["negatives_from"] and options["negatives_to"]:
        raise UsageError("train: --negatives-from and --negatives-to exclude each other")
    if not options["negatives_from"] and not options["negatives_to"]:
        return None
    from anisotropy.cli.jobs import teller
    from anisotropy.training.exchange import FromFiles, NegativeWriter
    from anisotropy.training.mining import InProcess

    if options["negatives_to"]:
        return InProcess(NegativeWriter(options["negatives_to"], seed=options["seed"]))
    wait, tell = options["negatives_timeout"], teller(options["quiet"])
    return FromFiles(options["negatives_from"], timeout=wait, progress=tell)
