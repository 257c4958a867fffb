"""Two sides: measured, and their differences tested."""

from __future__ import annotations

import contextvars
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from anisotropy import engine
from anisotropy.backend import one_thread_each
from anisotropy.workflow.gathering import add_compared, gather
from anisotropy.workflow.job import Job, Say, list_parts
from anisotropy.workflow.maps import add_maps, draw_maps
from anisotropy.workflow.measuring import check_files, check_labels, measure_one, with_anchors
from anisotropy.workflow.options import AnalysisOptions

if TYPE_CHECKING:
    from anisotropy.collection import Collection
    from anisotropy.measures import MeasuredSpace
    from anisotropy.progress import Share
    from anisotropy.results import Results
    from anisotropy.spaces import EmbeddingSpace


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
    check_labels([*sides[0], *sides[1]])
    check_twice(sides)
    check_files([*sides[0], *sides[1]])
    names = names or side_names([[space.label for space in side] for side in sides])
    spaces = align_all([*sides[0], *sides[1]], options.on_mismatch)
    options = with_anchors(spaces, options, say)
    count = len(sides[0])
    pair = (spaces[0], spaces[count])
    test = f"testing differences between {names[0]} and {names[1]}"
    job = Job(say, share, list_parts(spaces, [pair], options, test))
    # A thread for two spaces and one for the maps, and none inside the matrix products: passes
    # share their threads, what is between the passes of one space fills the waiting of another.
    # The maps may take longer than the measures; differences are tested meanwhile.
    with ThreadPoolExecutor(3) as pool, one_thread_each:
        maps = pool.submit(draw_maps, pair, options, job)
        measured = _measure_all(pool, spaces, options, job)
        results = gather(spaces, measured, options, collection, config, job)
        for place, about in enumerate(results.spaces):
            about["side"] = "a" if place < count else "b"
            about["method"] = names[place >= count]
        job.begin(test)
        policy = options.on_mismatch
        found = compare_sides(measured[:count], measured[count:], names, on_mismatch=policy)
    add_compared(results, found)
    add_maps(results, maps.result)
    return results


def _measure_all(
    pool: ThreadPoolExecutor, spaces: Sequence[EmbeddingSpace], options: AnalysisOptions, job: Job
) -> list[MeasuredSpace]:
    """Every space measured in a thread of the pool; none is begun once one has failed."""
    failures: list[BaseException] = []

    def measured(space: EmbeddingSpace) -> MeasuredSpace:
        if failures:
            raise CancelledError
        try:
            return measure_one(space, options, job, True)
        except BaseException as error:
            failures.append(error)
            raise

    # Threads begin with a context of their own: the measures take that of here along, which
    # says what cluster is at work, and the maps are drawn in this process.
    begun = [pool.submit(contextvars.copy_context().run, measured, space) for space in spaces]
    try:
        return [one.result() for one in begun]
    except BaseException as error:
        failures.append(error)
        engine.stop()
        raise failures[0] from None
