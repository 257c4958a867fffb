"""Many spaces: each measured, and tested against a baseline where one is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from anisotropy.backend import one_thread_each
from anisotropy.errors import UsageError, one_of
from anisotropy.workflow.gathering import add_compared, gather
from anisotropy.workflow.job import Job, Say, list_parts
from anisotropy.workflow.maps import add_maps, draw_maps, mapped_together
from anisotropy.workflow.measuring import check_files, check_labels, measure_one, with_anchors
from anisotropy.workflow.options import AnalysisOptions

if TYPE_CHECKING:
    from anisotropy.collection import Collection
    from anisotropy.comparison import Compared
    from anisotropy.measures import MeasuredSpace
    from anisotropy.progress import Share
    from anisotropy.results import Curve, Results
    from anisotropy.spaces import EmbeddingSpace


def analyze(
    spaces: Sequence[EmbeddingSpace],
    options: AnalysisOptions | None = None,
    *,
    baseline: str | Mapping[str, str] | None = None,
    collection: Collection | None = None,
    config: Mapping[str, Any] | None = None,
    say: Say | None = None,
    share: Share | None = None,
) -> Results:
    """Measure spaces one by one, and test each against a baseline where one is named.

    Parameters
    ----------
    spaces
        One or more, with different labels.
    options
        What to measure and draw. Its ``on_mismatch`` is for spaces held against a baseline.
    baseline
        Label of the space that every other one is held against, or the baseline of each label
        that has one; None compares nothing.
    collection, config
        Provenance for the results.
    say
        Called with a line when a step begins.
    share
        Called with what is under way and the share of the job that is done, from 0 to 1.

    Returns
    -------
    Results
        Measurements, curves, what was withheld; with a baseline the differences too, corrected
        by Holm over the headline rows of all comparisons together.

    Raises
    ------
    UsageError
        If there is no other space than the baseline, or none of that label.
    NotComparable
        If two labels are the same, or the baseline is of another collection.
    """
    from anisotropy.comparison import align_all, compare_pairs

    options = options or AnalysisOptions()
    check_labels(spaces)
    check_files(spaces)
    pairs = baselines([space.label for space in spaces], baseline)
    if pairs:
        spaces = align_all(spaces, options.on_mismatch)
    options = with_anchors(spaces, options, say)
    test = f"testing differences from {', '.join(dict.fromkeys(pairs.values()))}" if pairs else ""
    job = Job(say, share, list_parts(spaces, mapped_together(spaces, bool(pairs)), options, test))
    measured, maps = _measure_all(spaces, options, job, between=bool(pairs))
    results = gather(spaces, measured, options, collection, config, job)
    if pairs:
        job.begin(test)
        of = {one.space.label: one for one in measured}
        held = [(of[first], of[other]) for other, first in pairs.items()]
        add_compared(results, compare_pairs(held, on_mismatch=options.on_mismatch))
    for drawn in maps:
        add_maps(results, drawn)
    return results


def analyze_methods(
    methods: Mapping[str, Sequence[EmbeddingSpace]],
    options: AnalysisOptions | None = None,
    *,
    baseline: str,
    collection: Collection | None = None,
    config: Mapping[str, Any] | None = None,
    say: Say | None = None,
) -> tuple[Results, dict[str, list[MeasuredSpace]]]:
    """Measure several methods, one space a seed each, and test each against a baseline.

    Parameters
    ----------
    methods
        Name to its spaces, one a seed in the same order everywhere. A space that does not depend
        on the seed stands there as often as there are seeds, and is measured once. Labels differ.
    options, collection, config, say
        As in :func:`analyze`.
    baseline
        The method that every other one is held against.

    Returns
    -------
    tuple of Results and dict
        Results as of :func:`analyze`, the differences over seeds where there are several (see
        :func:`compare`), and the measured spaces of each method, one a seed.

    Raises
    ------
    UsageError
        If there is no such method, or the methods have different numbers of spaces.
    NotComparable
        If two labels are the same, or the spaces are of different collections.
    """
    from anisotropy.comparison import align_all

    options = options or AnalysisOptions()
    counts = {name: len(own) for name, own in methods.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        shown = ", ".join(f"{count} of {name}" for name, count in counts.items())
        raise UsageError(f"methods: got {shown}; allowed: as many of each, one a seed")
    if baseline not in methods:
        raise UsageError(f"baseline: {one_of(baseline, methods)}")
    every = list({id(space): space for own in methods.values() for space in own}.values())
    check_labels(every)
    aligned = align_all(every, options.on_mismatch)
    options = with_anchors(aligned, options, say)
    test = f"testing differences from {baseline}"
    between = len(methods) > 1
    job = Job(say, None, list_parts(aligned, mapped_together(aligned, between), options, test))
    measured, maps = _measure_all(aligned, options, job, between=between)
    by_id = dict(zip(map(id, every), measured, strict=True))
    found = {name: [by_id[id(space)] for space in own] for name, own in methods.items()}
    results = gather(aligned, measured, options, collection, config, job)
    _name_methods(results, methods, every)
    job.begin(test)
    add_compared(results, _against(found, baseline, options.on_mismatch))
    for drawn in maps:
        add_maps(results, drawn)
    return results, found


def baselines(labels: Sequence[str], baseline: str | Mapping[str, str] | None) -> dict[str, str]:
    """The baseline of each space that has one.

    Raises
    ------
    UsageError
        If no space has such a label, or there is nothing to compare it with.
    """
    if baseline is None:
        return {}
    if isinstance(baseline, str):
        if len(labels) < 2:
            raise UsageError(
                f"baseline {baseline!r}: nothing to compare it with; give more spaces"
            )
        baseline = {label: baseline for label in labels if label != baseline}
    for name in (*baseline, *baseline.values()):
        if name not in labels:
            raise UsageError(f"baseline: {one_of(name, labels)}")
    return dict(baseline)


def _measure_all(
    spaces: Sequence[EmbeddingSpace], options: AnalysisOptions, job: Job, between: bool
) -> tuple[list[MeasuredSpace], list[Callable[[], list[Curve]]]]:
    """Every space measured, and functions that give the maps: of compared spaces aligned."""
    # Maps are drawn beside the measures, whose work within a space is spread over the cores.
    with ThreadPoolExecutor(1) as pool, one_thread_each:
        groups = mapped_together(spaces, between)
        maps = [pool.submit(draw_maps, group, options, job) for group in groups]
        measured = [measure_one(space, options, job, between=between) for space in spaces]
    return measured, [drawn.result for drawn in maps]


def _name_methods(
    results: Results,
    methods: Mapping[str, Sequence[EmbeddingSpace]],
    every: Sequence[EmbeddingSpace],
) -> None:
    """Put down whose space each is; several spaces of a method are its seeds."""
    owner = {id(space): name for name, own in methods.items() for space in own}
    for about, space in zip(results.spaces, every, strict=True):
        about["method"] = owner[id(space)]


def _against(
    found: Mapping[str, Sequence[MeasuredSpace]], baseline: str, on_mismatch: str
) -> Compared:
    from anisotropy.comparison import compare_methods

    sides = [
        ((baseline, name), found[baseline], own) for name, own in found.items() if name != baseline
    ]
    return compare_methods(sides, on_mismatch=on_mismatch)
