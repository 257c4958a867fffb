"""``anisotropy compare``: the main job."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from anisotropy.cli.options import (
    DATA_DEFAULTS,
    ENCODER_DEFAULTS,
    MEASURE_DEFAULTS,
    OUTPUT_DEFAULTS,
    add_data_options,
    add_encoder_options,
    add_measure_options,
    add_output_options,
    resolve,
)
from anisotropy.errors import UsageError

SUMMARY = "what changed between two checkpoints, and whether it matters for ranking"
_SIDED = ("recipe", "tokenizer", "backbone")
DEFAULTS: dict[str, Any] = {
    "a": None,
    "b": None,
    **DATA_DEFAULTS,
    **ENCODER_DEFAULTS,
    **MEASURE_DEFAULTS,
    **OUTPUT_DEFAULTS,
    **{f"{side}_{name}": None for side in ("a", "b") for name in _SIDED},
    "label_a": None,
    "label_b": None,
    "on_mismatch": "error",
    "fail_if": [],
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("--a", metavar="X", help="checkpoint, store or hub id")
    parser.add_argument("--b", metavar="Y", help="what to compare it with")
    parser.add_argument("--label-a", metavar="NAME", help="name of A in tables and figures")
    parser.add_argument("--label-b", metavar="NAME", help="name of B")
    parser.add_argument(
        "--on-mismatch", metavar="M", help="different ids: error (default) or intersect"
    )
    parser.add_argument(
        "--fail-if",
        action="append",
        metavar="GATE",
        help='exit 1 when true, e.g. "delta[ranking.recipe.nDCG@10] < -0.005" (repeatable)',
    )
    add_data_options(parser)
    add_encoder_options(parser, sides=True)
    add_measure_options(parser)
    add_output_options(parser)


def run(given: dict[str, Any]) -> int:
    """Compare, write, print."""
    options = resolve(given, DEFAULTS)
    if not options["a"] or not options["b"]:
        raise UsageError("compare needs --a X and --b Y: two checkpoints, stores or hub ids")
    from anisotropy import workflow
    from anisotropy.cli import jobs
    from anisotropy.gates import check_gates, parse_gates
    from anisotropy.opening import default_label, open_space

    jobs.check_format(options)
    gates = parse_gates(options["fail_if"])
    chosen = jobs.analysis_options(options)
    encode = jobs.encode_options(options)
    labels = [options[f"label_{s}"] or default_label(options[s]) for s in ("a", "b")]
    if labels[0] == labels[1]:
        labels = [f"{labels[0]} (a)", f"{labels[1]} (b)"]
    folder = Path(options["out"] or f"anisotropy-results/{_slug(labels)}")
    jobs.prepare_out(folder)
    collection = jobs.open_data(options, [options["a"], options["b"]])
    spaces = [
        open_space(
            options[side],
            collection,
            encoder=jobs.encoder_options(options, side),
            encode=encode,
            label=label,
            progress=jobs.progress_bars(options["quiet"]),
        )
        for side, label in zip(("a", "b"), labels, strict=True)
    ]
    results = workflow.compare(
        spaces[0],
        spaces[1],
        chosen,
        collection=collection,
        config=options,
        say=jobs.teller(options["quiet"]),
    )
    jobs.deliver(results, folder, options, "compare")
    return check_gates(results, gates)


def _slug(labels: list[str]) -> str:
    text = "-vs-".join(labels)
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in text)
