"""``anisotropy compare``: the main job."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anisotropy.cli.options import (
    CLUSTER_DEFAULTS,
    DATA_DEFAULTS,
    DUMP_DEFAULTS,
    ENCODER_DEFAULTS,
    MEASURE_DEFAULTS,
    OUTPUT_DEFAULTS,
    RUN_DEFAULTS,
    STORE_DEFAULTS,
    add_cluster_options,
    add_comparison_options,
    add_data_options,
    add_dump_options,
    add_encoder_options,
    add_measure_options,
    add_output_options,
    add_run_options,
    add_store_options,
    add_transform_options,
    resolve,
    sided_dump_defaults,
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
    **DUMP_DEFAULTS,
    **sided_dump_defaults(),
    **ENCODER_DEFAULTS,
    **RUN_DEFAULTS,
    **STORE_DEFAULTS,
    **MEASURE_DEFAULTS,
    **OUTPUT_DEFAULTS,
    **CLUSTER_DEFAULTS,
    **{f"{side}_{name}": None for side in _SIDES for name in _SIDED},
    "transform": [],
    "label_a": None,
    "label_b": None,
    "on_mismatch": "error",
    "fail_if": [],
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "--a", nargs="+", metavar="X", help="checkpoint, store, dump or hub id; several are seeds"
    )
    parser.add_argument("--b", nargs="+", metavar="Y", help="what to compare it with")
    parser.add_argument("--label-a", metavar="NAME", help="name of A in tables and figures")
    parser.add_argument("--label-b", metavar="NAME", help="name of B")
    add_comparison_options(parser)
    add_cluster_options(parser)
    add_data_options(parser)
    add_store_options(parser)
    add_encoder_options(parser, sides=True, analysis=True)
    add_dump_options(parser, sides=True)
    add_run_options(parser)
    add_measure_options(parser)
    add_transform_options(parser, sides=True)
    add_output_options(parser)


def run(given: dict[str, Any]) -> int:
    """Compare, write, print."""
    options = resolve(given, DEFAULTS)
    sources = {side: _listed(options[side]) for side in ("a", "b")}
    if not sources["a"] or not sources["b"]:
        raise UsageError("compare needs --a X and --b Y: checkpoints, stores, dumps or hub ids")
    from anisotropy.cli import lists
    from anisotropy.comparison import check_seeds

    check_seeds(len(sources["a"]), len(sources["b"]))
    _check_given_once(sources)
    kind = lists.kind_of([*sources["a"], *sources["b"]])
    lists.check_options(options, kind)
    if kind == lists.NEGATIVES:
        raise UsageError("compare: files of negatives have no intervals; analyze takes several")
    return _runs(options, sources) if kind else _spaces(options, sources)


def _runs(options: dict[str, Any], sources: dict[str, list[str]]) -> int:
    """Compare runs."""
    from anisotropy.cli import jobs, lists
    from anisotropy.gates import check_gates, parse_gates

    jobs.check_format(options)
    gates = parse_gates(options["fail_if"])
    if options["out"] is not None:
        jobs.prepare_out(Path(options["out"]))
    results = lists.compare(options, sources)
    names = [str(entry["method"]) for entry in results.spaces]
    folder = Path(options["out"] or f"anisotropy-results/{jobs.slug([names[0], names[-1]])}")
    jobs.prepare_out(folder)
    jobs.deliver(results, folder, options, "compare")
    return check_gates(results, gates)


def _spaces(options: dict[str, Any], sources: dict[str, list[str]]) -> int:
    """Compare embeddings."""
    from anisotropy import engine, workflow
    from anisotropy.cli import jobs
    from anisotropy.gates import check_gates, parse_gates
    from anisotropy.progress import terminal_job
    from anisotropy.transforms import transform

    jobs.check_format(options)
    gates = parse_gates(options["fail_if"])
    chosen = jobs.analysis_options(options)
    encode = jobs.encode_options(options)
    interventions = _interventions(options)
    labels, names = _labels(sources, options, interventions)
    folder = Path(options["out"] or f"anisotropy-results/{jobs.slug(names)}")
    jobs.prepare_out(folder)
    say = jobs.teller(options["quiet"])
    with engine.on(options["scheduler"], say), engine.on_device(options["device"], say):
        collection = jobs.open_data(options, [*sources["a"], *sources["b"]])
        spaces = {
            side: [
                jobs.open_side(options, source, side, label, collection, encode)
                for source, label in zip(sources[side], labels[side], strict=True)
            ]
            for side in _SIDES
        }
        for side, one in interventions.items():
            if one is not None:
                spaces[side] = [transform(space, one, label=space.label) for space in spaces[side]]
        with terminal_job("comparing", say) as share:
            results = workflow.compare(
                spaces["a"],
                spaces["b"],
                chosen,
                names=names,
                collection=collection,
                config=options,
                say=say,
                share=share,
            )
    jobs.deliver(results, folder, options, "compare")
    return check_gates(results, gates)


def _check_given_once(sources: dict[str, list[str]]) -> None:
    """Raise UsageError where a side names one checkpoint twice: that is no second seed."""
    for side, given in sources.items():
        places = [Path(source).resolve() for source in given]
        for number, place in enumerate(places):
            if place in places[:number]:
                first = given[places.index(place)]
                raise UsageError(
                    f"--{side}: {first!r} and {given[number]!r} are the same checkpoint; several "
                    "a side are seeds, each another one"
                )


def _listed(sources: str | list[str] | None) -> list[str]:
    return [sources] if isinstance(sources, str) else list(sources or ())


def _interventions(options: dict[str, Any]) -> dict[str, Transform | None]:
    """The transform of each side; ``--a-transform`` goes before ``--transform``."""
    from anisotropy.cli import jobs

    if len(options["transform"]) > 1:
        raise UsageError(
            f"--transform: got {len(options['transform'])} for one comparison; allowed: one "
            "(join steps by >, as in center>normalize); analyze takes several"
        )
    own = {side: options[f"{side}_transform"] for side in _SIDES}
    chosen = {s: options["transform"] if text is None else [text] for s, text in own.items()}
    return {side: next(iter(jobs.transforms(texts)), None) for side, texts in chosen.items()}


def _labels(
    sources: dict[str, list[str]],
    options: dict[str, Any],
    interventions: dict[str, Transform | None],
) -> tuple[dict[str, list[str]], tuple[str, str]]:
    """Labels of the spaces of each side, and the names of the sides."""
    from anisotropy.opening import default_label, distinct_labels, side_names

    own = {side: [default_label(source) for source in found] for side, found in sources.items()}
    given = [options[f"label_{side}"] for side in _SIDES]
    if len(sources["a"]) == 1:
        first = _told_apart([own[side][0] for side in _SIDES], options, interventions)
        names = side_names([[label or name] for label, name in zip(given, first, strict=True)])
        return {side: [name] for side, name in zip(_SIDES, names, strict=True)}, names
    every = distinct_labels([*own["a"], *own["b"]])
    own = {"a": every[: len(own["a"])], "b": every[len(own["a"]) :]}
    plain = _told_apart(list(side_names([own["a"], own["b"]])), options, interventions)
    labels = {
        side: [name if one is None else f"{name} | {one}" for name in own[side]]
        for side, one in interventions.items()
    }
    return labels, side_names([[g or name] for g, name in zip(given, plain, strict=True)])


def _told_apart(
    names: list[str], options: dict[str, Any], interventions: dict[str, Transform | None]
) -> list[str]:
    """Names of the sides with the recipe, where only it differs, and the intervention."""
    recipes = [options["a_recipe"], options["b_recipe"]]
    if names[0] == names[1] and recipes[0] != recipes[1]:
        recipes = [Path(recipe or options["recipe"] or "own recipe").name for recipe in recipes]
        names = [f"{name} ({recipe})" for name, recipe in zip(names, recipes, strict=True)]
    chosen = [interventions[side] for side in _SIDES]
    if names[0] == names[1] and chosen[0] == chosen[1]:
        names = [f"{name} ({side})" for name, side in zip(names, _SIDES, strict=True)]
    return [n if one is None else f"{n} | {one}" for n, one in zip(names, chosen, strict=True)]
