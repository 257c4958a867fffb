"""The main jobs: measure spaces, compare two, and put everything into one ``Results``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from anisotropy.backend import one_thread_each
from anisotropy.errors import NotComparable, UsageError, check_seed, one_of
from anisotropy.progress import Parts, Share, notebook_job
from anisotropy.projection import METHODS, TooFewPoints
from anisotropy.results import Curve, Results
from anisotropy.spaces.store import versions

if TYPE_CHECKING:
    import pandas as pd

    from anisotropy.collection import Collection
    from anisotropy.comparison import Compared
    from anisotropy.measures import MeasuredSpace
    from anisotropy.projection.maps import Method
    from anisotropy.results import Withheld
    from anisotropy.spaces import EmbeddingSpace

Say = Callable[[str], None]
_VERSIONED = (
    "anisotropy",
    "numpy",
    "scipy",
    "scikit-learn",
    "torch",
    "transformers",
    "sentence-transformers",
    "openTSNE",
)


class Settings(TypedDict, total=False):
    """What Python calls may say besides measures, maps and seeds; see `AnalysisOptions`."""

    perplexity: float
    relevance_level: int
    exact: bool
    sample: int | None
    relative_error: float | None


@dataclass(frozen=True)
class AnalysisOptions:
    """What to measure and draw.

    Attributes
    ----------
    measures
        Text identities, or None for the default set.
    projections
        Maps of queries and documents: any of ``tsne``, ``pca``, ``umap``.
    seed
        Of every random choice: anchors, blocks, nulls, maps.
    on_mismatch
        For two spaces whose ids differ: ``error``, or ``intersect`` to use the common ones.
    perplexity
        Of t-SNE, above 1.
    relevance_level
        Smallest grade of a positive, 1 or more.
    exact
        Use every row as an anchor, whatever it costs.
    sample
        All-pairs work within a side of more than twice as many rows is done from this many
        seeded anchors, the same ids in every space, against all rows; negatives are mined
        from twice as many. None means 5,000.
    relative_error
        As many anchors, 5,000 or more, as keep the relative standard error of the uniformity
        of sampled documents below this, up to all rows: a pilot of 500 decides. At most one of
        `exact`, `sample` and `relative_error` is given.
    """

    measures: tuple[str, ...] | None = None
    projections: tuple[Method, ...] = ("tsne",)
    seed: int = 0
    on_mismatch: str = "error"
    perplexity: float = 30.0
    relevance_level: int = 1
    exact: bool = False
    sample: int | None = None
    relative_error: float | None = None

    def __post_init__(self) -> None:
        for name in self.projections:
            if name not in METHODS:
                raise UsageError(f"projection: {one_of(name, (*METHODS, 'none'))}")
        check_seed(self.seed)
        if not self.perplexity > 1:
            raise UsageError(f"perplexity: got {self.perplexity}; allowed: a number above 1")
        if self.relevance_level < 1:
            raise UsageError(f"relevance level: got {self.relevance_level}; allowed: 1 or more")
        self._check_anchors()
        if self.measures is not None:
            from anisotropy.measures import expand

            expand(self.measures)

    def _check_anchors(self) -> None:
        given = {"exact": self.exact, "sample": self.sample is not None,
                 "relative error": self.relative_error is not None}  # fmt: skip
        if sum(given.values()) > 1:
            names = " and ".join(name for name, one in given.items() if one)
            raise UsageError(f"{names}: each decides how many rows are anchors; give one")
        if self.sample is not None and self.sample < 2:
            raise UsageError(f"sample: got {self.sample}; allowed: 2 or more")
        if self.relative_error is not None:
            from anisotropy.measures.budget import check_relative_error

            check_relative_error(self.relative_error)


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
    _check_labels(spaces)
    pairs = baselines([space.label for space in spaces], baseline)
    if pairs:
        spaces = align_all(spaces, options.on_mismatch)
    options = _with_anchors(spaces, options, say)
    test = f"testing differences from {', '.join(dict.fromkeys(pairs.values()))}" if pairs else ""
    job = _Job(say, share, _parts(spaces, [[space] for space in spaces], options, test))
    measured, maps = _measure_all(spaces, options, job, between=bool(pairs))
    results = _gather(spaces, measured, options, collection, config, job)
    if pairs:
        job.begin(test)
        of = {one.space.label: one for one in measured}
        held = [(of[first], of[other]) for other, first in pairs.items()]
        _add_compared(results, compare_pairs(held, on_mismatch=options.on_mismatch))
    for drawn in maps:
        _add_maps(results, drawn)
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
    _check_labels(every)
    aligned = align_all(every, options.on_mismatch)
    options = _with_anchors(aligned, options, say)
    test = f"testing differences from {baseline}"
    job = _Job(say, None, _parts(aligned, [[space] for space in aligned], options, test))
    measured, maps = _measure_all(aligned, options, job, between=len(methods) > 1)
    by_id = dict(zip(map(id, every), measured, strict=True))
    found = {name: [by_id[id(space)] for space in own] for name, own in methods.items()}
    results = _gather(aligned, measured, options, collection, config, job)
    _name_methods(results, methods, every)
    job.begin(test)
    _add_compared(results, _against(found, baseline, options.on_mismatch))
    for drawn in maps:
        _add_maps(results, drawn)
    return results, found


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


def compare(
    a: EmbeddingSpace | Sequence[EmbeddingSpace],
    b: EmbeddingSpace | Sequence[EmbeddingSpace],
    options: AnalysisOptions | None = None,
    *,
    names: tuple[str, str] | None = None,
    collection: Collection | None = None,
    config: Mapping[str, Any] | None = None,
    say: Say | None = None,
    share: Share | None = None,
) -> Results:
    """Measure two sides of one collection and test their differences, b minus a.

    Parameters
    ----------
    a, b
        Spaces of the same queries and documents (see ``on_mismatch``), with different labels:
        one a side, or two or more a side, which are seeds of one method.
    options, collection, config, say, share
        As in :func:`analyze`.
    names
        Of the sides; default: the label, or what the labels of the seeds begin with.

    Returns
    -------
    Results
        With ``differences``, ``similarities``, ``associations`` and the curve ``changes``
        beside the measurements of every space.

    Raises
    ------
    NotComparable
        If the spaces are of different collections.
    UsageError
        If one side has one space and the other several, or a seed is given twice.
    """
    from anisotropy.comparison import align_all, check_seeds, check_twice, compare_sides
    from anisotropy.opening import side_names

    options = options or AnalysisOptions()
    sides = [[side] if not isinstance(side, Sequence) else list(side) for side in (a, b)]
    check_seeds(len(sides[0]), len(sides[1]))
    _check_labels([*sides[0], *sides[1]])
    check_twice(sides)
    names = names or side_names([[space.label for space in side] for side in sides])
    spaces = align_all([*sides[0], *sides[1]], options.on_mismatch)
    options = _with_anchors(spaces, options, say)
    count = len(sides[0])
    pair = (spaces[0], spaces[count])
    test = f"testing differences between {names[0]} and {names[1]}"
    job = _Job(say, share, _parts(spaces, [pair], options, test))
    # A thread for two spaces and one for the maps, and none inside the matrix products: passes
    # share their threads, what is between the passes of one space fills the waiting of another.
    with ThreadPoolExecutor(3) as pool, one_thread_each:
        maps = pool.submit(_maps, pair, options, job)
        measured = list(pool.map(lambda one: _measure(one, options, job, between=True), spaces))
    results = _gather(spaces, measured, options, collection, config, job)
    for place, about in enumerate(results.spaces):
        about["side"] = "a" if place < count else "b"
        about["method"] = names[place >= count]
    job.begin(test)
    policy = options.on_mismatch
    found = compare_sides(measured[:count], measured[count:], names, on_mismatch=policy)
    _add_compared(results, found)
    _add_maps(results, maps.result)
    return results


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


def measure(
    space: EmbeddingSpace,
    measures: Sequence[str] | None = None,
    *,
    seed: int = 0,
    **settings: Unpack[Settings],
) -> pd.DataFrame:
    """Measure one space.

    Parameters
    ----------
    space
        What to measure.
    measures
        Text identities such as ``"uniformity(t=2)"``; None for the default set.
    seed
        Of every random choice.
    **settings
        ``sample``, ``exact``, ``relative_error``, ``relevance_level``: fields of
        :class:`AnalysisOptions`.

    Returns
    -------
    pandas.DataFrame
        One row a measurement, with the columns of ``results.csv``.

    Examples
    --------
    >>> import numpy as np
    >>> import anisotropy as an
    >>> rng = np.random.default_rng(0)
    >>> queries, documents = rng.normal(size=(50, 8)) + 1, rng.normal(size=(60, 8))
    >>> x = an.EmbeddingSpace(queries=queries, documents=documents)
    >>> frame = an.measure(x, ["mean_cosine"])
    >>> round(float(frame.query("side == 'queries' and on == 'unit'").value.iloc[0]), 1)
    0.5
    """
    chosen = tuple(measures) if measures is not None else None
    options = AnalysisOptions(measures=chosen, projections=(), seed=seed, **settings)
    with notebook_job(_measuring(space)) as share:
        options = _with_anchors([space], options, None)
        rows = _measure(space, options, _Job(None, share, [_measuring(space)])).rows
    return Results([], rows=rows).measurements


def write(results: Results, folder: str | Path) -> list[Path]:
    """Write results, report and figures into a folder.

    Returns
    -------
    list of Path
        ``report.html`` and the figures.
    """
    from anisotropy.plots import save_figures
    from anisotropy.report import write_html

    folder = Path(folder)
    results.write(folder)
    return [
        write_html(results, folder / "report.html"),
        *save_figures(results, folder / "figures"),
    ]


def _measuring(space: EmbeddingSpace) -> str:
    return f"measuring {space.label}"


def _curves(space: EmbeddingSpace) -> str:
    return f"curves of {space.label}"


def _drawing(method: str, spaces: Sequence[EmbeddingSpace]) -> str:
    return f"drawing the {method} map of {' and '.join(space.label for space in spaces)}"


class _Job(Parts):
    """What is to be done, told in lines as it begins and in shares as it goes on."""

    def __init__(self, say: Say | None, share: Share | None, parts: Sequence[str]) -> None:
        super().__init__(share, parts)
        self._say = say

    def begin(self, text: str) -> Callable[[float], None]:
        """Tell that a part begins; called with shares, the function returned tells of it."""
        _tell(self._say, text)
        self(text, 0.0)
        return lambda share: self(text, share)


def _parts(
    spaces: Sequence[EmbeddingSpace],
    drawn: Sequence[Sequence[EmbeddingSpace]],
    options: AnalysisOptions,
    test: str = "",
) -> list[str]:
    """What `spaces` are measured for, maps of some of them, and a test where there is one."""
    maps = [_drawing(method, own) for own in drawn for method in options.projections]
    tests = [test] if test else []
    return [*map(_measuring, spaces), *maps, *map(_curves, spaces), *tests]


def _check_labels(spaces: Sequence[EmbeddingSpace]) -> None:
    labels = [space.label for space in spaces]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise NotComparable(f"two spaces are labeled {twice!r}; give them different labels")


def _measure_all(
    spaces: Sequence[EmbeddingSpace], options: AnalysisOptions, job: _Job, between: bool
) -> tuple[list[MeasuredSpace], list[Callable[[], list[Curve]]]]:
    """Every space measured, and a function a space that gives its maps."""
    # Maps are drawn beside the measures, whose work within a space is spread over the cores.
    with ThreadPoolExecutor(1) as pool, one_thread_each:
        maps = [pool.submit(_maps, [space], options, job) for space in spaces]
        measured = [_measure(space, options, job, between=between) for space in spaces]
    return measured, [drawn.result for drawn in maps]


def _add_compared(results: Results, found: Compared) -> None:
    results.deltas += found.differences
    results.likenesses += found.similarities
    results.links += found.associations
    results.withheld += found.withheld
    results.curves += found.curves


def _add_maps(results: Results, draw: Callable[[], list[Curve]]) -> None:
    """A map of too few points is left out and said so; everything else is kept."""
    try:
        results.curves += draw()
    except TooFewPoints as error:
        results.warnings.append(f"no map: {error}")


def _measure(
    space: EmbeddingSpace, options: AnalysisOptions, job: _Job, between: bool = False
) -> MeasuredSpace:
    from anisotropy.measures import measure_space
    from anisotropy.measures.run import ANCHORS

    part = job.begin(_measuring(space))
    chosen = list(options.measures) if options.measures is not None else None
    return measure_space(
        space,
        chosen,
        seed=options.seed,
        exact=options.exact,
        anchors=ANCHORS if options.sample is None else options.sample,
        relevance_level=options.relevance_level,
        between=between,
        share=part,
    )


def _with_anchors(
    spaces: Sequence[EmbeddingSpace], options: AnalysisOptions, say: Say | None
) -> AnalysisOptions:
    """The options with the number of anchors that the relative error needs, one for all spaces."""
    if options.relative_error is None:
        return options
    from anisotropy.measures.budget import anchors_needed

    sample = anchors_needed(
        spaces, options.relative_error, options.measures, seed=options.seed, progress=say
    )
    _tell(say, f"{sample} anchors for a relative error of {options.relative_error:g}")
    return replace(options, sample=sample, relative_error=None)


def _tell(say: Say | None, line: str) -> None:
    if say is not None:
        say(line)


def _gather(
    spaces: Sequence[EmbeddingSpace],
    measured: Sequence[MeasuredSpace],
    options: AnalysisOptions,
    collection: Collection | None,
    config: Mapping[str, Any] | None,
    job: _Job,
) -> Results:
    from anisotropy.measures.run import ANCHORS

    results = Results(
        spaces=[_provenance(space) for space in spaces],
        collection=_describe(spaces[0], collection),
        config={
            "measures": list(options.measures or ("default",)),
            **(config or {}),
            "anchors": "all" if options.exact else options.sample or ANCHORS,
        },
        versions=versions(_VERSIONED),
        warnings=list(collection.warnings) if collection is not None else [],
        opened={space.label: space for space in spaces},
    )
    for item in measured:
        results.rows += item.rows
        job(_curves(item.space), 0.0)
        results.curves += item.curves
        job(_curves(item.space), 1.0)
        results.curves += _history(item.space)
        results.warnings += [line for line in item.warnings if line not in results.warnings]
    results.withheld += _withheld(measured)
    return results


def _history(space: EmbeddingSpace) -> list[Curve]:
    """How the checkpoint was trained, where it was here."""
    known = space.history
    return [] if known is None else [Curve("history", space.label, "training", known)]


def _withheld(measured: Sequence[MeasuredSpace]) -> list[Withheld]:
    """What could not be measured, once where it could not in any of the spaces."""
    where: dict[Withheld, list[str]] = {}
    for item in measured:
        for row in item.withheld:
            where.setdefault(row, []).append(item.space.label)
    return [
        replace(row, space=label)
        for row, labels in where.items()
        for label in ([""] if len(labels) == len(measured) else labels)
    ]


def _provenance(space: EmbeddingSpace) -> dict[str, Any]:
    return {
        "label": space.label,
        "step": space.step,
        "recipe": space.recipe,
        "counts": space.counts,
        "fingerprint": space.fingerprint,
    }


def _describe(space: EmbeddingSpace, collection: Collection | None) -> dict[str, Any]:
    """What was encoded, as the store says; else as the collection does."""
    described = dict(space.collection_info)
    if described.get("documents_option") == "all":
        del described["documents_option"]
    if collection is not None:
        described = {
            "name": collection.name,
            "note": collection.note,
            "split": collection.split,
            "fingerprint": collection.fingerprint,
            "documents": collection.n_documents,
            **described,
        }
    return described


def _maps(spaces: Sequence[EmbeddingSpace], options: AnalysisOptions, job: _Job) -> list[Curve]:
    from anisotropy.projection import join_maps, project, project_pair

    curves: list[Curve] = []
    settings: Any = {"perplexity": options.perplexity, "random_state": options.seed}
    for method in options.projections:
        part = job.begin(_drawing(method, spaces))
        if len(spaces) == 2:
            curves += project_pair(spaces[0], spaces[1], method=method, **settings)
        else:
            curves.append(project(spaces[0], method=method, **settings))
        part(1.0)
    return join_maps(curves)
