"""How many anchors a stated relative error needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from anisotropy.errors import UsageError
from anisotropy.measures.registry import definition_of
from anisotropy.measures.run import ANCHORS, measure_space, wanted_measures
from anisotropy.results import Measurement

if TYPE_CHECKING:
    from anisotropy.spaces import EmbeddingSpace

#: Anchors of the pilot: its standard error is known to some 3%.
PILOT = 500
#: What that may be too small by.
MARGIN = 1.1


def anchors_needed(
    spaces: Sequence[EmbeddingSpace],
    relative_error: float,
    measures: Sequence[str] | None = None,
    *,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> int:
    """Anchors that keep the uniformity of sampled documents within a relative error.

    Never fewer than the default, which other measures of large sides are taken with. A pilot of
    500 anchors shows the variance v of one anchor. With m of n rows as anchors, drawn without
    replacement, the squared error is (v/m)(1 - m/n), which is solved for m. Measures whose value
    has another meaning at another number of anchors (counts of neighbors), or whose error of
    sampling is not known, are not asked.

    Parameters
    ----------
    spaces
        All spaces of a comparison: the one that needs most decides, so that all use the same.
    relative_error
        Standard error over the size of the value, above 0 and below 1.
    measures
        Text identities; None for the default set.
    seed
        Of the choice of anchors.
    progress
        Called with a line before long work.

    Returns
    -------
    int
        A value for `anchors` of :func:`measure_space`: 5,000 or more, at most the number of
        documents, which uses every row.

    Raises
    ------
    UsageError
        If the relative error is out of range.
    """
    check_relative_error(relative_error)
    sampled = [m.text for m in wanted_measures(measures) if _estimates(m.text)]
    needed = ANCHORS
    for space in spaces if sampled else ():
        found = measure_space(space, sampled, seed=seed, anchors=PILOT, progress=progress)
        n = len(found.facts.row_ids("documents"))
        rows = (row for row in found.rows if row.side == "documents")
        needed = max([needed, *(_needed(row, n, relative_error) for row in rows)])
    return needed


def check_relative_error(given: float) -> None:
    """Raise UsageError where a relative error is none."""
    if not 0 < given < 1:
        raise UsageError(
            f"relative error: got {given:g}; allowed: above 0 and below 1, such as 0.001"
        )


def _estimates(measure: str) -> bool:
    """Whether a measure of documents is a mean over anchors."""
    return "pairs" in definition_of(measure).needs


def _needed(row: Measurement, n: int, relative_error: float) -> int:
    """Anchors that one row needs; the solved equation is in `anchors_needed`."""
    if row.estimator != "sampled" or not row.se > 0 or not row.value:
        return 0
    variance = row.se**2 * PILOT / (1 - PILOT / n)
    allowed = (relative_error * row.value / MARGIN) ** 2
    return min(math.ceil(variance / (allowed + variance / n)), n)
