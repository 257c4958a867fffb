"""``anisotropy compare``: the main job."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anisotropy.cli.options import (
    DATA_DEFAULTS,
    ENCODER_DEFAULTS,
    MEASURE_DEFAULTS,
    OUTPUT_DEFAULTS,
    add_data_options,
    add_encoder_options,
    add_measure_options,
    add_output_options,
    add_transform_options,
    resolve,
)
from anisotropy.errors import UsageError

if TYPE_CHECKING:
    from anisotropy.transforms import Transform

SUMMARY = "what changed between two checkpoints, and whether it matters for ranking"
_SIDES = ("a", "b")
_SIDED = ("recipe", "tokenizer", "backbone", "transform")
DEFAULTS: dict[str, Any] = {
    "a": None,
    "b": None,
    **DATA_DEFAULTS,
    **ENCODER_DEFAULTS,
    **MEASURE_DEFAULTS,
    **OUTPUT_DEFAULTS,
    **{f"{side}_{name}": None for side in _SIDES for name in _SIDED},
    "transform": [],
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
    add_transform_options(parser, sides=True)
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
    from anisotropy.transforms import transform

    jobs.check_format(options)
    gates = parse_gates(options["fail_if"])
    chosen = jobs.analysis_options(options)
    encode = jobs.encode_options(options)
    interventions = _interventions(options)
    labels = _labels(options, [default_label(options[side]) for side in _SIDES], interventions)
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
        for side, label in zip(_SIDES, labels, strict=True)
    ]
    spaces = [
        space if one is None else transform(space, one, label=space.label)
        for space, one in zip(spaces, interventions, strict=True)
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


def _interventions(options: dict[str, Any]) -> list[Transform | None]:
    """The transform of each side; ``--a-transform`` goes before ``--transform``."""
    from anisotropy.cli import jobs

    if len(options["transform"]) > 1:
        raise UsageError(
            f"--transform: got {len(options['transform'])} for one comparison; allowed: one "
            "(join steps by >, as in center>normalize); analyze takes several"
        )
    texts = [options[f"{side}_transform"] for side in _SIDES]
    chosen = [[text] if text is not None else options["transform"] for text in texts]
    return [next(iter(jobs.transforms(given)), None) for given in chosen]


def _labels(
    options: dict[str, Any], names: list[str], interventions: list[Transform | None]
) -> list[str]:
    """Labels as given; else the names of the sources, and what else tells the sides apart."""
    recipes = [options["a_recipe"], options["b_recipe"]]
    if names[0] == names[1] and recipes[0] != recipes[1]:
        recipes = [Path(recipe or options["recipe"] or "own recipe").name for recipe in recipes]
        names = [f"{name} ({recipe})" for name, recipe in zip(names, recipes, strict=True)]
    elif names[0] == names[1] and interventions[0] == interventions[1]:
        names = [f"{name} ({side})" for name, side in zip(names, _SIDES, strict=True)]
    labels = [
        options[f"label_{side}"] or (name if one is None else f"{name} | {one}")
        for side, name, one in zip(_SIDES, names, interventions, strict=True)
    ]
    if labels[0] == labels[1]:
        labels = [f"{label} ({side})" for label, side in zip(labels, _SIDES, strict=True)]
    return labels


def _slug(labels: list[str]) -> str:
    text = "-vs-".join(labels)
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in text)
