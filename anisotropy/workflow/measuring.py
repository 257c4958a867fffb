"""One space measured, from as many anchors as the options ask for."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

from anisotropy import engine
from anisotropy.backend import check_in_files
from anisotropy.errors import NotComparable
from anisotropy.progress import notebook_job, notebook_lines
from anisotropy.results import Results
from anisotropy.workflow.job import Job, Say, measuring_text, tell
from anisotropy.workflow.options import AnalysisOptions, Settings

if TYPE_CHECKING:
    import pandas as pd

    from anisotropy.measures import MeasuredSpace
    from anisotropy.spaces import EmbeddingSpace


def measure(
    space: EmbeddingSpace,
    measures: Sequence[str] | None = None,
    *,
    sides: Sequence[str] | None = None,
    on: Sequence[str] | None = None,
    seed: int = 0,
    scheduler: Any = None,
    device: str = "auto",
    **settings: Unpack[Settings],
) -> pd.DataFrame:
    """Measure one space.

    Parameters
    ----------
    space
        What to measure.
    measures
        Text identities such as ``"uniformity(t=2)"``; None for the default set.
    sides, on
        Sides such as ``"documents"`` and transforms such as ``"unit"``, a word or a list; None
        for all on which a measure is defined. What is not asked for is not computed.
    seed
        Of every random choice.
    scheduler
        Address of a Dask scheduler, or a connected ``distributed.Client``, whose workers then read
        the vectors and compute (extra ``cluster``); None computes in this process.
    device
        Where large products are made: ``auto`` (a CUDA device where there is one), ``cpu``,
        ``cuda:1``.
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
    >>> frame = an.measure(x, ["mean_cosine"], sides="queries", on="unit")
    >>> round(float(frame.value.iloc[0]), 1)
    0.5
    """
    chosen = tuple(measures) if measures is not None else None
    options = AnalysisOptions(measures=chosen, projections=(), seed=seed, **settings)
    say = notebook_lines() or warnings.warn
    with (
        engine.on(scheduler),
        engine.on_device(device, say),
        notebook_job(measuring_text(space)) as share,
    ):
        check_files([space])
        options = with_anchors([space], options, None)
        job = Job(None, share, [measuring_text(space)])
        rows = measure_one(space, options, job, sides=sides, on=on).rows
    return Results([], rows=rows).measurements


def measure_one(
    space: EmbeddingSpace,
    options: AnalysisOptions,
    job: Job,
    between: bool = False,
    sides: Sequence[str] | None = None,
    on: Sequence[str] | None = None,
) -> MeasuredSpace:
    """Measure one space as the options say; `between` where it is to be compared."""
    from anisotropy.measures import measure_space
    from anisotropy.measures.run import ANCHORS

    text = measuring_text(space)
    part = job.begin(text)
    chosen = list(options.measures) if options.measures is not None else None
    return measure_space(
        space,
        chosen,
        seed=options.seed,
        exact=options.exact,
        anchors=ANCHORS if options.sample is None else options.sample,
        relevance_level=options.relevance_level,
        between=between,
        sides=sides,
        on=on,
        progress=lambda line: job.at(text, line),
        share=part,
    )


def with_anchors(
    spaces: Sequence[EmbeddingSpace], options: AnalysisOptions, say: Say | None
) -> AnalysisOptions:
    """The options with the number of anchors that the relative error needs, one for all spaces."""
    if options.relative_error is None:
        return options
    from anisotropy.measures.budget import anchors_needed

    sample = anchors_needed(
        spaces, options.relative_error, options.measures, seed=options.seed, progress=say
    )
    tell(say, f"{sample} anchors for a relative error of {options.relative_error:g}")
    return replace(options, sample=sample, relative_error=None)


def check_files(spaces: Sequence[EmbeddingSpace]) -> None:
    """Refuse vectors that the workers of a cluster cannot read, where one is at work."""
    for space in spaces:
        for name in ("queries", "documents"):
            check_in_files(getattr(space, name), f"{space.label}: {name}")


def check_labels(spaces: Sequence[EmbeddingSpace]) -> None:
    """Refuse two spaces of one label."""
    labels = [space.label for space in spaces]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise NotComparable(f"two spaces are labeled {twice!r}; give them different labels")
