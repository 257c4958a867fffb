"""``anisotropy inspect``: what a thing is; encodes nothing."""

from __future__ import annotations

import argparse
from typing import Any

from anisotropy.cli.options import (
    DUMP_DEFAULTS,
    ENCODER_DEFAULTS,
    add_common_options,
    add_dump_options,
    add_encoder_options,
    resolve,
)
from anisotropy.errors import UsageError, one_of

SUMMARY = "what a checkpoint, store, dump, collection, run or file of negatives is"
_FORMATS = ("table", "json")
DEFAULTS: dict[str, Any] = {
    "thing": None,
    **ENCODER_DEFAULTS,
    **DUMP_DEFAULTS,
    "split": None,
    "verify": False,
    "format": "table",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "thing",
        nargs="?",
        metavar="X",
        help="checkpoint, store, dump, collection, run or negatives",
    )
    parser.add_argument("--verify", action="store_true", help="check every checksum of a store")
    parser.add_argument("--format", metavar="F", help=f"printed as {', '.join(_FORMATS)}")
    add_encoder_options(parser)
    add_dump_options(parser)
    add_common_options(parser)


def run(given: dict[str, Any]) -> int:
    """Describe."""
    options = resolve(given, DEFAULTS)
    if not options["thing"]:
        raise UsageError("inspect needs X, such as a checkpoint, store, dump or collection")
    if options["format"] not in _FORMATS:
        raise UsageError(f"--format: {one_of(options['format'], _FORMATS)}")
    from anisotropy.cli import jobs
    from anisotropy.files import dump_json
    from anisotropy.inspection import as_text, describe

    found = describe(
        options["thing"],
        encoder=jobs.encoder_options(options),
        dump=jobs.dump_options(options),
        verify=options["verify"],
    )
    print(dump_json(found, indent=1) if options["format"] == "json" else as_text(found))
    return 0
