"""Which rows must not be compared, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from anisotropy.measures import Definition, MeasuredSpace, definition_of, parse
from anisotropy.measures.families.negatives import other_scores
from anisotropy.measures.mining import pool_size
from anisotropy.measures.run import Key

if TYPE_CHECKING:
    from anisotropy.spaces import EmbeddingSpace


def first_reason(spaces: Sequence[MeasuredSpace], key: Key, pools: str) -> str:
    """Why a row must not be compared among these spaces; empty where it may.

    Parameters
    ----------
    spaces
        Two or more; each is held against the first.
    key
        Side, measure and transform.
    pools
        How the mining pools differ, empty where they do not.
    """
    reasons = (_reason(spaces[0], other, key, pools) for other in spaces[1:])
    return next((reason for reason in reasons if reason), "")


def _reason(a: MeasuredSpace, b: MeasuredSpace, key: Key, pools: str) -> str:
    _, measure, on = key
    for one in (a, b):
        if key not in one.estimates:
            return f"not measured in {one.space.label!r}: {_why_missing(one, key)}"
    definition = definition_of(measure)
    dims = [one.facts.raw("queries").dim for one in (a, b)]
    if definition.dimension_bound and dims[0] != dims[1]:
        return f"bound to the dimension, which is {dims[0]} and {dims[1]}"
    if on == "raw" and a.facts.normalized != b.facts.normalized:
        unit = a if a.facts.normalized else b
        return f"raw rows have length 1 in {unit.space.label!r} only; compare on unit"
    if definition.family == "negatives" and pools:
        return pools
    if scores := other_scores(parse(measure), a.space, b.space):
        return scores
    if definition.score_bound and (reason := other_units(a.space, b.space)):
        return reason
    sizes = _sizes(a, key, definition), _sizes(b, key, definition)
    subsampled = any(one.estimates[key].estimator == "subsampled" for one in (a, b))
    if (definition.size_bound or subsampled) and sizes[0] != sizes[1]:
        return f"depends on the number of rows, which is {sizes[0]} and {sizes[1]}"
    if [math.isnan(one.estimates[key].value) for one in (a, b)] != [False, False]:
        return "not a number in one of the spaces"
    return ""


def other_units(a: EmbeddingSpace, b: EmbeddingSpace) -> str:
    """How the units of the recipes' scores differ; empty where they are the same."""
    for name in ("similarity", "temperature"):
        left, right = (getattr(space, name) for space in (a, b))
        if left != right:
            return f"in units of the score, whose {name} is {left} and {right}"
    return ""


def _why_missing(one: MeasuredSpace, key: Key) -> str:
    for row in one.withheld:
        if (row.side, row.measure, row.on) == key:
            return row.reason
    return "it was not asked for there"


def _sizes(one: MeasuredSpace, key: Key, definition: Definition) -> tuple[int, ...]:
    side, measure, _ = key
    counted = one.estimates[key].estimator == "subsampled"
    if counted or parse(measure).values.get("n", "all") != "all":
        return (one.estimates[key].n,)
    if definition.family == "negatives":
        return (pool_size(one.facts, side),)
    if side in ("ranking", "dual_ranking", "positives"):
        return ()
    names = ("queries", "documents") if side in ("joint", "cross") else (side,)
    return tuple(len(one.facts.raw(name)) for name in names)
