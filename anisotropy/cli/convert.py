"""``anisotropy convert``: a checkpoint, or embeddings, in another layout."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from anisotropy.cli.options import (
    DUMP_DEFAULTS,
    RECIPE_DEFAULTS,
    STORE_DEFAULTS,
    add_common_options,
    add_dump_options,
    add_recipe_options,
    add_store_options,
    resolve,
)
from anisotropy.errors import UsageError

SUMMARY = "write a checkpoint or embeddings in another layout, for the tools that read it"
DEFAULTS: dict[str, Any] = {
    "source": None,
    "to": None,
    "out": None,
    **RECIPE_DEFAULTS,
    **DUMP_DEFAULTS,
    **STORE_DEFAULTS,
    "data": None,
    "split": None,
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("source", nargs="?", metavar="X", help="checkpoint, hub id, store or dump")
    parser.add_argument(
        "--to",
        metavar="LAYOUT",
        help="sentence-transformers or upstream (checkpoints); store, parquet or npz (embeddings)",
    )
    parser.add_argument("--out", metavar="Y", help="new folder (npz: new file)")
    add_recipe_options(parser)
    add_dump_options(parser)
    parser.add_argument(
        "--data", metavar="D", help="collection of a dump: ids of its rows, judgments, texts"
    )
    parser.add_argument("--split", metavar="S", help="queries of a dump that has several splits")
    add_store_options(parser)
    add_common_options(parser)


def run(given: dict[str, Any]) -> int:
    """Convert; what the layout does not hold is said on stderr."""
    options = resolve(given, DEFAULTS)
    if not (options["source"] and options["to"] and options["out"]):
        raise UsageError("convert needs a checkpoint, store or dump, --to LAYOUT and --out Y")
    from anisotropy.cli import jobs
    from anisotropy.conversion import convert

    encoder = jobs.encoder_options({**options, "device": "cpu", "dtype": "float32"})
    done = convert(
        options["source"],
        options["to"],
        options["out"],
        encoder=encoder,
        dump=jobs.dump_options(options),
        data=options["data"],
        verify=options["verify"],
    )
    for note in done.notes if not options["quiet"] else ():
        print(f"note: {note}", file=sys.stderr)
    print(done.path)
    return 0
