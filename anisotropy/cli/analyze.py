"""``anisotropy analyze``: the measures of one or many spaces."""

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
)
from anisotropy.errors import UsageError

if TYPE_CHECKING:
    from anisotropy.spaces import EmbeddingSpace
    from anisotropy.transforms import Transform

SUMMARY = "what one embedding space looks like, or several side by side"
DEFAULTS: dict[str, Any] = {
    "spaces": [],
    "transform": [],
    "negatives": None,
    **DATA_DEFAULTS,
    **DUMP_DEFAULTS,
    **ENCODER_DEFAULTS,
    **RUN_DEFAULTS,
    **STORE_DEFAULTS,
    **MEASURE_DEFAULTS,
    **OUTPUT_DEFAULTS,
    **CLUSTER_DEFAULTS,
    "baseline": None,
    "on_mismatch": "error",
    "fail_if": [],
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "spaces",
        nargs="*",
        metavar="X",
        help="checkpoints, stores, dumps or hub ids; a folder of checkpoint-<step> is a series; "
        "or runs, or files of negatives",
    )
    parser.add_argument(
        "--baseline", metavar="LABEL", help="test every other space against this one"
    )
    add_comparison_options(parser)
    add_cluster_options(parser)
    add_data_options(parser)
    add_store_options(parser)
    add_encoder_options(parser, analysis=True)
    add_dump_options(parser)
    add_run_options(parser)
    parser.add_argument(
        "--negatives",
        metavar="PATH",
        help="ann_training_data of a mining run, or its folder: what was drawn beside what is "
        "expected",
    )
    add_measure_options(parser)
    add_transform_options(parser)
    add_output_options(parser)


def run(given: dict[str, Any]) -> int:
    """Measure, write, print."""
    options = resolve(given, DEFAULTS)
    if not options["spaces"]:
        raise UsageError("analyze needs one or more checkpoints, stores, dumps or hub ids")
    from anisotropy.cli import lists

    kind = lists.kind_of(options["spaces"])
    lists.check_options(options, kind)
    return _lists(options, options["spaces"], kind) if kind else _spaces(options)


def _lists(options: dict[str, Any], sources: list[str], kind: str) -> int:
    """Measure runs or files of negatives."""
    from anisotropy.cli import jobs, lists
    from anisotropy.gates import check_gates, parse_gates

    jobs.check_format(options)
    gates = parse_gates(options["fail_if"])
    if options["negatives"] is not None:
        raise UsageError("--negatives: is for embeddings; give the file or folder by itself")
    if options["out"] is not None:
        jobs.prepare_out(Path(options["out"]))
    results, name = lists.analyze(options, sources, kind)
    folder = Path(options["out"] or f"anisotropy-results/{_name([name])}")
    jobs.prepare_out(folder)
    jobs.deliver(results, folder, options, "analyze")
    return check_gates(results, gates)


def _spaces(options: dict[str, Any]) -> int:
    """Measure embeddings."""
    from anisotropy import engine, workflow
    from anisotropy.cli import jobs
    from anisotropy.gates import check_gates, parse_gates
    from anisotropy.opening import default_label, distinct_labels, expand
    from anisotropy.progress import terminal_job

    jobs.check_format(options)
    gates = parse_gates(options["fail_if"])
    chosen = jobs.analysis_options(options)
    interventions = jobs.transforms(options["transform"])
    encode = jobs.encode_options(options)
    sources, skipped = expand(options["spaces"])
    say = jobs.teller(options["quiet"])
    for line in skipped:
        if say is not None:
            say(line)
    labels = distinct_labels([default_label(source) for source in sources])
    baseline = _baseline(labels, interventions, options["baseline"])
    workflow.baselines(_with_interventions(labels, interventions), baseline)
    _check_negatives(options, len(sources))
    folder = Path(options["out"] or f"anisotropy-results/{_name(labels)}")
    jobs.prepare_out(folder)
    with engine.on(options["scheduler"], say), engine.on_device(options["device"], say):
        collection = jobs.open_data(options, sources)
        opened = [
            jobs.open_side(options, source, None, label, collection, encode)
            for source, label in zip(sources, labels, strict=True)
        ]
        spaces = [space for one in opened for space in (one, *_after(one, interventions))]
        with terminal_job("analyzing", say) as share:
            results = workflow.analyze(
                spaces,
                chosen,
                baseline=baseline,
                collection=collection,
                config=options,
                say=say,
                share=share,
            )
    results.warnings += skipped
    if options["negatives"] is not None:
        workflow.add_observed(
            results,
            opened[0],
            options["negatives"],
            offsets=options["offsets"] or _maps_of(options["data"]),
            seed=options["seed"],
        )
    jobs.deliver(results, folder, options, "analyze")
    return check_gates(results, gates)


def _maps_of(data: str | None) -> str | None:
    """The collection, where it is a preprocessed folder, whose rows files of negatives name."""
    from anisotropy.collection.upstream_folder import is_upstream

    return data if data is not None and is_upstream(Path(data)) else None


def _check_negatives(options: dict[str, Any], spaces: int) -> None:
    """Refuse before any work what cannot be read, or whose space is not known."""
    from anisotropy.collection.negative_files import negatives_file, roles_in

    if options["negatives"] is None:
        return
    if spaces > 1:
        raise UsageError(f"--negatives: is of one space; got {spaces}")
    roles_in(negatives_file(options["negatives"]))


def _after(space: EmbeddingSpace, interventions: list[Transform]) -> list[EmbeddingSpace]:
    """The space after each intervention."""
    from anisotropy.transforms import transform

    return [transform(space, one) for one in interventions]


def _with_interventions(labels: list[str], interventions: list[Transform]) -> list[str]:
    """Labels of all spaces: of each as it is, then after each intervention."""
    return [name for one in labels for name in (one, *_names_after(one, interventions))]


def _names_after(label: str, interventions: list[Transform]) -> list[str]:
    return [f"{label} | {one}" for one in interventions]


def _baseline(
    labels: list[str], interventions: list[Transform], given: str | None
) -> str | dict[str, str] | None:
    """The baseline asked for; else each space as it is, for itself after an intervention."""
    if given is not None or not interventions:
        return given
    return {after: one for one in labels for after in _names_after(one, interventions)}


def _name(labels: list[str]) -> str:
    """Name of the results folder."""
    first = "".join(c if c.isalnum() or c in "._-" else "_" for c in labels[0])
    return first if len(labels) == 1 else f"{first}-and-{len(labels) - 1}-more"
