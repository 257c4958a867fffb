"""Runs and files of negatives as inputs of ``analyze`` and ``compare``: lists, no embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anisotropy.cli.options import (
    DUMP_DEFAULTS,
    ENCODER_DEFAULTS,
    RUN_DEFAULTS,
    sided_dump_defaults,
)
from anisotropy.errors import UsageError

if TYPE_CHECKING:
    from anisotropy.collection import Collection
    from anisotropy.collection.runs import Run
    from anisotropy.results import Results
    from anisotropy.workflow.ranking import Judged

RUN, NEGATIVES = "run", "negatives"
_WORDS = {RUN: "a run", NEGATIVES: "a file of negatives"}
#: Options that say something of embeddings, with the value that says nothing.
_OF_EMBEDDINGS: dict[str, Any] = {
    **{name: value for name, value in ENCODER_DEFAULTS.items() if value is None},
    **{name: None for name in DUMP_DEFAULTS if name not in ("qrels", "offsets")},
    **sided_dump_defaults(),
    **{f"{side}_{name}": None for side in "ab" for name in ("recipe", "tokenizer", "backbone")},
    **dict.fromkeys(("sample", "relative_error", "scheduler"), None),
    **{"exact": False, "documents": "all", "transform": []},
}


def kind_of(sources: Sequence[str]) -> str | None:
    """``run`` or ``negatives`` where the sources are that; None where none of them is.

    Raises
    ------
    UsageError
        If some are and others are not.
    """
    from anisotropy.collection.negative_files import is_negatives
    from anisotropy.collection.runs import is_run
    from anisotropy.opening import holds_vectors

    def kind(source: str) -> str | None:
        if holds_vectors(source):  # a folder of mining may hold its vectors too
            return None
        return RUN if is_run(source) else NEGATIVES if is_negatives(source) else None

    kinds = [kind(source) for source in sources]
    if len(set(kinds)) < 2:
        return kinds[0]
    first = next(place for place, kind in enumerate(kinds) if kind is not None)
    other = next(place for place, kind in enumerate(kinds) if kind != kinds[first])
    raise UsageError(
        f"{sources[first]} is {_WORDS[str(kinds[first])]} and {sources[other]} is none; what is "
        "measured together has to be of one kind"
    )


def check_options(options: Mapping[str, Any], kind: str | None) -> None:
    """Refuse options that say nothing of what is measured.

    Raises
    ------
    UsageError
        If one was given.
    """
    wrong = RUN_DEFAULTS if kind != RUN else {}
    what = "a run"
    if kind is not None and not wrong:
        wrong, what = {**_OF_EMBEDDINGS, "offsets": None}, "embeddings"
    elif kind == NEGATIVES:
        wrong, what = {**wrong, **_OF_EMBEDDINGS, "qrels": None, "data": None}, "other inputs"
    for name, default in wrong.items():
        if options.get(name, default) != default:
            option = f"--{name.replace('_', '-')}"
            is_what = _WORDS[kind] if kind else "none"
            raise UsageError(f"{option}: is for {what}; what is given here is {is_what}")


def analyze(options: dict[str, Any], sources: Sequence[str], kind: str) -> tuple[Results, str]:
    """Measure runs or files of negatives; the results, and the name of their folder."""
    from anisotropy.cli import jobs
    from anisotropy.collection.runs import label_of
    from anisotropy.opening import distinct_labels
    from anisotropy.workflow import observed, ranking

    chosen, say = jobs.analysis_options(options), jobs.teller(options["quiet"])
    if kind == NEGATIVES:
        if options["baseline"] is not None or options["measures"] != "default":
            raise UsageError("--baseline and --measures: are not for files of negatives")
        found = _sets(sources, say)
        results = observed.analyze_negatives(
            found, chosen, offsets=options["offsets"], config=options, say=say
        )
        return results, label_of(sources[0])
    labels = distinct_labels([label_of(source) for source in sources])
    runs = {label: _read(s, options) for label, s in zip(labels, sources, strict=True)}
    judged = _judged(options)
    results = ranking.analyze_runs(
        runs, judged, chosen, baseline=options["baseline"], config=options, say=say
    )
    return results, labels[0]


def compare(options: dict[str, Any], sources: Mapping[str, Sequence[str]]) -> Results:
    """Compare runs of two sides."""
    from anisotropy.cli import jobs
    from anisotropy.collection.runs import label_of
    from anisotropy.opening import distinct_labels, side_names
    from anisotropy.workflow import ranking

    given = [options["label_a"], options["label_b"]]
    plain = [[label_of(source) for source in sources[side]] for side in ("a", "b")]
    labels = distinct_labels([label for side in plain for label in side])
    count = len(plain[0])
    sides = [labels[:count], labels[count:]]
    if count == 1 and len(sides[1]) == 1:
        sides = [[name or own[0]] for name, own in zip(given, sides, strict=True)]
    names = tuple(name or own for name, own in zip(given, side_names(sides), strict=True))
    runs = [
        {label: _read(source, options) for label, source in zip(own, found, strict=True)}
        for own, found in zip(sides, (sources["a"], sources["b"]), strict=True)
    ]
    return ranking.compare_two_runs(
        runs[0], runs[1], _judged(options), jobs.analysis_options(options),
        names=(names[0], names[1]), config=options, say=jobs.teller(options["quiet"]),
    )  # fmt: skip


def _read(source: str, options: Mapping[str, Any]) -> Run:
    from anisotropy.collection.runs import read_run

    return read_run(source, options["order"])


def _judged(options: dict[str, Any]) -> Judged:
    from anisotropy.cli import jobs
    from anisotropy.collection import open_collection
    from anisotropy.workflow.ranking import judgments_of

    collection: Collection | None = None
    if options["data"] is not None:
        collection = open_collection(
            options["data"], split=options["split"], progress=jobs.teller(options["quiet"])
        )
    return judgments_of(options["qrels"], collection, dual=options["dual_run"])


def _sets(sources: Sequence[str], say: Any) -> dict[str, Path]:
    """Label to file: each file, and every whole set of each folder in numeric order."""
    from anisotropy.collection.negative_files import (
        all_sets,
        complete_sets,
        negatives_file,
        set_file,
    )
    from anisotropy.collection.runs import label_of
    from anisotropy.opening import distinct_labels
    from anisotropy.workflow.job import tell

    found: list[tuple[str, Path]] = []
    for source in sources:
        folder = Path(source)
        if not folder.is_dir():
            found.append((label_of(source), folder))
            continue
        negatives_file(folder)  # refuses a folder without a whole set
        whole = complete_sets(folder)
        found += [(f"{folder.resolve().name}/{n}", set_file(folder, n)) for n in whole]
        for number in set(all_sets(folder)) - set(whole):
            tell(say, f"left out: {set_file(folder, number)} is not marked as whole")
    labels = distinct_labels([label for label, _ in found])
    return {label: path for label, (_, path) in zip(labels, found, strict=True)}
