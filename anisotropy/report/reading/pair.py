"""What one comparison means: a reading a group, and one sentence over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anisotropy.measures.headline import DISTANCE, ISOTROPY, NEGATIVES, RANKING, UNIFORMITY
from anisotropy.plots.words import group_of
from anisotropy.report.reading.distance import distance
from anisotropy.report.reading.found import (
    MOVED,
    UNCLEAR,
    UNTESTED,
    Found,
    Reading,
    sentence,
    state,
)
from anisotropy.report.reading.isotropy import isotropy
from anisotropy.report.reading.negatives import negatives
from anisotropy.report.reading.ranking import ranked, ranking
from anisotropy.report.reading.uniformity import uniformity
from anisotropy.results import Difference, Results

GROUPS = (ISOTROPY, UNIFORMITY, DISTANCE, NEGATIVES, RANKING)
_GEOMETRY, _LISTS = "the geometry", "how evenly negatives are drawn"
_CHANGED = f"{_GEOMETRY} changed"
_RULES = {
    ISOTROPY: isotropy,
    UNIFORMITY: uniformity,
    DISTANCE: distance,
    NEGATIVES: negatives,
    RANKING: ranking,
}


def same_vectors(pair: Results) -> bool:
    """Whether both sides are the same checkpoint under the same recipe, and nothing moved."""
    a, b = pair.spaces
    if not a.get("fingerprint") or a["fingerprint"] != b.get("fingerprint"):
        return False
    moved = any(state(row) in MOVED for row in pair.deltas if row.headline)
    return _recipe(a) == _recipe(b) and not moved


def _recipe(space: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the vectors besides the weights, and not where it is from."""
    known = space.get("recipe") or {}
    return {key: known[key] for key in known if key not in ("name", "sources", "doubts", "notes")}


def read_pair(pair: Results) -> list[Reading]:
    """One reading a group that has headline differences, in the users' order.

    None where both sides are the same vectors.

    Parameters
    ----------
    pair
        View of one comparison, with two labels, and the curves ``mining`` of its spaces, which
        say how deep the mined lists are.
    """
    if same_vectors(pair):
        return []
    found = Found(pair)
    groups = {group_of(row) for row in (*found.headline, *found.saturated)}
    return [_read(found, group) for group in GROUPS if group in groups]


def _read(found: Found, group: str) -> Reading:
    rows = _of_group(found.headline, group)
    changed, unclear, untested = (
        tuple(row for row in rows if state(row) in states)
        for states in (MOVED, (UNCLEAR,), (UNTESTED,))
    )
    meaning = tuple(filter(None, _RULES[group](found))) or ("Not tested.",)
    full = tuple(_of_group(found.saturated, group))
    return Reading(group, changed, unclear, untested, full, meaning)


def _of_group(rows: Sequence[Difference], group: str) -> list[Difference]:
    return [row for row in rows if group_of(row) == group]


def overall(pair: Results) -> str:
    """Whether the geometry moved, and whether ranking did; empty without a headline row.

    Parameters
    ----------
    pair
        As in :func:`read_pair`: what decides nothing there decides nothing here.
    """
    runs = any(space.get("kind") == "run" for space in pair.spaces)
    if same_vectors(pair):
        same = "run (same fingerprint)" if runs else "vectors (same fingerprint, same recipe)"
        return f"{' and '.join(pair.labels)} are the same {same}."
    found = Found(pair)
    rows = found.headline
    if not rows and not found.saturated:
        return ""
    states = [state(row) for row in rows]
    if UNCLEAR in states and not set(states) & set(MOVED):
        return f"Of what was tested, no difference between {' and '.join(pair.labels)} is shown."
    ranking = [state(row) for row in rows if group_of(row) == RANKING]
    geometry = _geometry(
        [state(row) for row in rows if group_of(row) != RANKING], bool(found.saturated)
    )
    of = geometry.replace(_GEOMETRY, _LISTS) if runs else geometry
    text = sentence("; ".join([of, *(ranked(pair) or ["ranking was not compared"])]))
    both = geometry == _CHANGED and bool(set(ranking) & set(MOVED))
    return f"{text} Whether the one causes the other is not shown." if both else text


def _geometry(states: Sequence[str], saturated: bool) -> str:
    if not states:
        decided = "what was compared of the geometry decides nothing"
        return decided if saturated else "the geometry was not compared"
    if set(states) & set(MOVED):
        return _CHANGED
    return (
        "no change of the geometry is shown"
        if UNCLEAR in states
        else "the geometry was not tested"
    )
