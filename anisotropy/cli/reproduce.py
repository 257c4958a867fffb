"""``anisotropy reproduce``: the paper's checkpoints, and each of its claims decided."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from anisotropy.cli.options import (
    FORMATS,
    MEASURE_DEFAULTS,
    add_common_options,
    add_data_options,
    add_measure_options,
    resolve,
)

SUMMARY = "the paper's four checkpoints, given or trained, and each of its claims decided"
_METHODS = ("ance", "norm", "dual", "dance")
DEFAULTS: dict[str, Any] = {
    **{name: [] for name in _METHODS},
    "start": None,
    "seeds": None,
    "data": "docstrings",
    "split": "test",
    "documents": "all",
    "claims": None,
    "controls": None,
    "device": "auto",
    "batch_size": None,
    "shard_size": None,
    "dtype": "float32",
    "store_dtype": "float32",
    **MEASURE_DEFAULTS,
    "projection": "none",
    "out": "reproduction",
    "format": "table",
    "training": None,
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    for name in _METHODS:
        parser.add_argument(
            f"--{name}", nargs="+", action="extend", metavar="P",
            help="checkpoint to use, one a seed in order (repeatable)",
        )  # fmt: skip
    parser.add_argument("--start", metavar="P", help="warm start of what is trained (a small "
                        "encoder from scratch)")  # fmt: skip
    parser.add_argument("--seeds", nargs="+", type=int, metavar="N", help="one training of "
                        "everything a seed (0 1 2); the method is decided from 3")  # fmt: skip
    parser.add_argument("--training", metavar="FILE", help="training configuration: TOML with "
                        "tables sizes, warmup, ance, norm, dual")  # fmt: skip
    parser.add_argument("--claims", metavar="FILE", help="claims or margins, JSON or TOML; "
                        "written to DIR/claims.json before anything else")  # fmt: skip
    parser.add_argument(
        "--controls", action=argparse.BooleanOptionalAction,
        help="ANCE continued and DANCE symmetric (default: if anything is trained)",
    )  # fmt: skip
    add_data_options(parser)
    add_measure_options(parser)
    parser.add_argument("--device", metavar="NAME", help="auto (default), cpu, cuda, cuda:1, mps")
    parser.add_argument("--batch-size", type=int, metavar="N", help="tokens a batch")
    parser.add_argument("--out", metavar="DIR", help="folder of everything (reproduction)")
    parser.add_argument("--format", metavar="F", help=f"printed as {', '.join(FORMATS)}")
    add_common_options(parser)


def run(given: dict[str, Any]) -> int:
    """Train what is missing, analyze, decide, write, print."""
    options = resolve(given, DEFAULTS)
    from anisotropy.cli import jobs
    from anisotropy.cli.options import write_config
    from anisotropy.opening import EncoderOptions
    from anisotropy.report import claims_text, format_results
    from anisotropy.reproduction import Given, reproduce

    jobs.check_format(options)
    results = reproduce(
        options["out"],
        given=Given(**{name: options[name] for name in (*_METHODS, "start")}),
        data=options["data"],
        split=options["split"],
        seeds=options["seeds"],
        config=options["training"],
        claims=options["claims"],
        controls=options["controls"],
        options=jobs.analysis_options(options),
        encoder=EncoderOptions(device=options["device"], dtype=options["dtype"]),
        encode=jobs.encode_options(options),
        settings={name: value for name, value in options.items() if value not in (None, [])},
        say=jobs.teller(options["quiet"]),
        progress=jobs.progress_bars(options["quiet"]),
    )
    write_config(Path(options["out"]), "reproduce", options)
    table = options["format"] == "table"
    print(claims_text(results) if table else format_results(results, options["format"]))
    if (say := jobs.teller(options["quiet"])) is not None:
        say(f"\nreport: {Path(options['out']) / 'report.html'}")
    return 0
