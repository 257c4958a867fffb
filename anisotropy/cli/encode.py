"""``anisotropy encode``: embeddings to a store."""

from __future__ import annotations

import argparse
from typing import Any

from anisotropy.cli.options import (
    DATA_DEFAULTS,
    ENCODER_DEFAULTS,
    add_common_options,
    add_data_options,
    add_encoder_options,
    resolve,
)
from anisotropy.errors import UsageError

SUMMARY = "encode a collection into a store; run it again to finish one that was interrupted"
DEFAULTS: dict[str, Any] = {
    "checkpoint": None,
    "out": None,
    "seed": 0,
    **DATA_DEFAULTS,
    **ENCODER_DEFAULTS,
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("checkpoint", nargs="?", metavar="X", help="checkpoint or hub id")
    parser.add_argument("--out", metavar="STORE", help="folder of the store")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of --documents N (0)")
    add_data_options(parser)
    add_encoder_options(parser)
    add_common_options(parser)


def run(given: dict[str, Any]) -> int:
    """Encode."""
    options = resolve(given, DEFAULTS)
    needed = {"a checkpoint": options["checkpoint"], "--out STORE": options["out"]}
    if missing := [name for name, given in needed.items() if not given]:
        raise UsageError(f"encode: {' and '.join(missing)} missing; give both")
    from anisotropy.cli import jobs
    from anisotropy.encoders.processes import is_main
    from anisotropy.opening import encode_to_store

    options["quiet"] = options["quiet"] or not is_main()
    options["data"] = options["data"] or "docstrings"
    collection = jobs.open_data(options, [options["checkpoint"]])
    assert collection is not None, "named above"  # noqa: S101
    folder = encode_to_store(
        options["checkpoint"],
        collection,
        options["out"],
        encoder=jobs.encoder_options(options),
        encode=jobs.encode_options(options),
        progress=jobs.progress_bars(options["quiet"]),
        tell=jobs.teller(options["quiet"]),
    )
    if is_main():
        print(folder)
    return 0
