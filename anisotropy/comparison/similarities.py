"""How alike two spaces are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from anisotropy.backend import one_thread_each
from anisotropy.measures import Definition, Measure, MeasuredSpace, definition_of
from anisotropy.measures.base import Impossible
from anisotropy.measures.registry import similarity_measures
from anisotropy.measures.run import deciding
from anisotropy.results import Similarity, Withheld


def similarity_rows(
    a: Sequence[MeasuredSpace], b: Sequence[MeasuredSpace], names: tuple[str, str]
) -> tuple[list[Similarity], list[Withheld]]:
    """Similarities asked for in any of the spaces; all where none was asked about two spaces.

    Several checkpoints a side are taken in pairs, in order, and the mean is given; it has no
    interval.
    """
    found, withheld = [], []
    asked, by_name = _asked([*a, *b])
    for one in asked:
        definition: Definition = definition_of(one)
        for side, on in definition.places:
            measure = one if by_name else deciding(a[0].facts, one, side)
            try:
                found.append(_similarity(a, b, definition, measure, side))
            except Impossible as reason:
                row = Withheld(side, measure.text, on, str(reason))
                withheld.append(replace(row, baseline=names[0], space=names[1]))
    return [replace(row, baseline=names[0], space=names[1]) for row in found], withheld


def _asked(spaces: Sequence[MeasuredSpace]) -> tuple[list[Measure], bool]:
    """The similarities, and whether they were asked for by name."""
    asked = [one.similarities for one in spaces if one.similarities is not None]
    if not asked:
        return similarity_measures(), False
    return list(dict.fromkeys(measure for measures in asked for measure in measures)), True


def _similarity(
    a: Sequence[MeasuredSpace],
    b: Sequence[MeasuredSpace],
    definition: Definition,
    measure: Measure,
    side: str,
) -> Similarity:
    between = definition.between
    assert between is not None, "a similarity of two spaces"  # noqa: S101
    # Small decompositions are slower in several threads than in one.
    with one_thread_each:
        rows = [between(x.facts, y.facts, measure, side) for x, y in zip(a, b, strict=False)]
    if len(rows) == 1:
        return rows[0]
    value = float(np.mean([row.value for row in rows]))
    null = float(np.mean([row.null_mean for row in rows]))
    row = replace(rows[0], value=value, null_mean=null, null_sd=math.nan, null_p=math.nan)
    return replace(row, ci_low=math.nan, ci_high=math.nan)
