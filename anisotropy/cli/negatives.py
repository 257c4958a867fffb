"""``anisotropy negatives``: mine negatives beside a training run, as a process of its own."""

from __future__ import annotations

import argparse
import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

from anisotropy.cli.options import resolve
from anisotropy.cli.train import check_stage
from anisotropy.errors import UsageError

SUMMARY = "follow the checkpoints of a training run and write negatives for it"
DEFAULTS: dict[str, Any] = {
    "stage": None,
    "follow": None,
    "start": None,
    "data": "docstrings",
    "out": None,
    "names": "offsets",
    "grouping": 0,
    "poll": 5.0,
    "timeout": 3600.0,
    "sets": None,
    "seed": 0,
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add = parser.add_argument
    add(
        "stage",
        nargs="?",
        metavar="STAGE",
        help="the stage that is trained; dance mines both ways",
    )
    add(
        "--follow", metavar="CHECKPOINTS", help="folder where the trainer writes checkpoint-<step>"
    )
    add(
        "--from",
        dest="start",
        metavar="X",
        help="checkpoint to mine with until the first is there",
    )
    add("--data", metavar="D", help="collection of the trainer (docstrings)")
    add("--out", metavar="DIR", help="folder of the sets: the trainer's --negatives-from")
    add("--names", metavar="N", help="items are named by offsets (default) or ids")
    add(
        "--grouping", type=int, metavar="G", help="write grouped files, G pairs a group (0: plain)"
    )
    add("--poll", type=float, metavar="S", help="seconds between two looks (5)")
    add("--timeout", type=float, metavar="S", help="give up after S seconds without news (3600)")
    add("--sets", type=int, metavar="N", help="stop after N sets (default: when training is done)")
    add("--seed", type=int, metavar="N", help="seed of the samples (0)")
    add("--config", metavar="FILE", help="the trainer's configuration, TOML")
    add("--quiet", action="store_true", help="no progress on stderr")


def run(given: dict[str, Any]) -> int:
    """Follow a training run; SIGTERM ends it after the set at work."""
    config = given.pop("config", None)
    options = resolve(given, DEFAULTS)
    check_stage("negatives", options["stage"])
    if not options["follow"] or not options["out"]:
        raise UsageError("negatives needs --follow CHECKPOINTS and --out DIR")
    from anisotropy.cli import jobs
    from anisotropy.training import load_config, stage_configs
    from anisotropy.training.exchange import NegativeWriter
    from anisotropy.training.refresher import Patience, follow

    seed, tell = options["seed"], jobs.teller(options["quiet"])
    patience = Patience(options["poll"], options["timeout"], options["sets"])
    writer = NegativeWriter(
        options["out"], names=options["names"], grouping=options["grouping"], seed=seed
    )
    configs = stage_configs(options["stage"], load_config(config) if config else None)
    with _stopping() as stop:
        follow(
            options["follow"], options["data"], writer, configs[-1],
            start=options["start"], seed=seed, patience=patience, stop=stop, progress=tell,
        )  # fmt: skip
    print(options["out"])
    return 0


@contextlib.contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM sets."""
    stop = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)
