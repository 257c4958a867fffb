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
    add_comparison_options,
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
    parser.add_argument(
        "--a", nargs="+", metavar="X", help="checkpoint, store or hub id; several are seeds"
    )
    parser.add_argument("--b", nargs="+", metavar="Y", help="what to compare it with")
    parser.add_argument("--label-a", metavar="NAME", help="name of A in tables and figures")
    parser.add_argument("--label-b", metavar="NAME", help="name of B")
    add_comparison_options(parser)
    add_data_options(parser)
    add_encoder_options(parser, sides=True)
    add_measure_options(parser)
    add_output_options(parser)


def run(given: dict[str, Any]) -> int:
    """Compare, write, print."""
    options = resolve(given, DEFAULTS)
    sources = {side: _listed(options[side]) for side in ("a", "b")}
    if not sources["a"] or not sources["b"]:
        raise UsageError("compare needs --a X and --b Y: two checkpoints, stores or hub ids")
    from anisotropy import workflow
    from anisotropy.cli import jobs
    from anisotropy.comparison import check_seeds
    from anisotropy.gates import check_gates, parse_gates
    from anisotropy.opening import open_space

    check_seeds(len(sources["a"]), len(sources["b"]))
    jobs.check_format(options)
    gates = parse_gates(options["fail_if"])
    chosen = jobs.analysis_options(options)
    encode = jobs.encode_options(options)
    labels, names = _labels(sources, options)
    folder = Path(options["out"] or f"anisotropy-results/{_slug(names)}")
    jobs.prepare_out(folder)
    collection = jobs.open_data(options, [*sources["a"], *sources["b"]])
    spaces = {
        side: [
            open_space(
                source,
                collection,
                encoder=jobs.encoder_options(options, side),
                encode=encode,
                label=label,
                progress=jobs.progress_bars(options["quiet"]),
            )
            for source, label in zip(sources[side], labels[side], strict=True)
        ]
        for side in ("a", "b")
    }
    results = workflow.compare(
        spaces["a"],
        spaces["b"],
        chosen,
        names=names,
        collection=collection,
        config=options,
        say=jobs.teller(options["quiet"]),
    )
    jobs.deliver(results, folder, options, "compare")
    return check_gates(results, gates)


def _listed(sources: str | list[str] | None) -> list[str]:
    return [sources] if isinstance(sources, str) else list(sources or ())


def _labels(
    sources: dict[str, list[str]], options: dict[str, Any]
) -> tuple[dict[str, list[str]], tuple[str, str]]:
    """Labels of the spaces of each side, and the names of the sides."""
    from anisotropy.opening import default_label, distinct_labels, side_names

    own = {side: [default_label(source) for source in found] for side, found in sources.items()}
    given = {side: options[f"label_{side}"] for side in ("a", "b")}
    if len(sources["a"]) > 1:
        every = distinct_labels([*own["a"], *own["b"]])
        own = {"a": every[: len(own["a"])], "b": every[len(own["a"]) :]}
        plain = side_names([own["a"], own["b"]])
        return own, side_names([[given["a"] or plain[0]], [given["b"] or plain[1]]])
    names = side_names([[given[side] or own[side][0]] for side in ("a", "b")])
    return {"a": [names[0]], "b": [names[1]]}, names


def _slug(names: tuple[str, str]) -> str:
    text = "-vs-".join(names)
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in text)
