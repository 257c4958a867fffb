"""What one comparison means: a reading a group, and one sentence over all of them."""

from __future__ import annotations

from collections.abc import Sequence

from anisotropy.measures.headline import DISTANCE, ISOTROPY, NEGATIVES, RANKING, UNIFORMITY
from anisotropy.plots.words import beyond, group_of
from anisotropy.report.reading.distance import distance
from anisotropy.report.reading.found import MOVED, UNCLEAR, Found, Reading, sentence, state
from anisotropy.report.reading.isotropy import isotropy
from anisotropy.report.reading.negatives import negatives
from anisotropy.report.reading.ranking import ranked, ranking
from anisotropy.report.reading.uniformity import uniformity
from anisotropy.results import Curve, Results

GROUPS = (ISOTROPY, UNIFORMITY, DISTANCE, NEGATIVES, RANKING)
_CHANGED = "the geometry changed"
_RULES = {
    ISOTROPY: isotropy,
    UNIFORMITY: uniformity,
    DISTANCE: distance,
    NEGATIVES: negatives,
    RANKING: ranking,
}


def read_pair(pair: Results, mining: Sequence[Curve] = ()) -> list[Reading]:
    """One reading a group that has headline differences, in the users' order.

    Parameters
    ----------
    pair
        View of one comparison, with two labels.
    mining
        Curves ``mining`` of its spaces, which say how deep the mined lists are.
    """
    found = Found(pair, mining)
    readings = []
    for group in GROUPS:
        rows = [d for d in pair.deltas if d.headline and group_of(d) == group]
        if rows:
            changed, unclear, untested = (
                tuple(d for d in rows if beyond(d) is x) for x in (True, False, None)
            )
            meaning = tuple(filter(None, _RULES[group](found))) or ("Not tested.",)
            readings.append(Reading(group, changed, unclear, untested, meaning))
    return readings


def overall(pair: Results) -> str:
    """Whether the geometry moved, and whether ranking did; empty without a headline row."""
    rows = [d for d in pair.deltas if d.headline]
    if not rows:
        return ""
    states = [state(row) for row in rows]
    if UNCLEAR in states and not set(states) & set(MOVED):
        return f"Of what was tested, no difference between {' and '.join(pair.labels)} is shown."
    ranking = [state(row) for row in rows if group_of(row) == RANKING]
    geometry = _geometry([state(row) for row in rows if group_of(row) != RANKING])
    text = sentence("; ".join([geometry, *(ranked(pair) or ["ranking was not compared"])]))
    both = geometry == _CHANGED and bool(set(ranking) & set(MOVED))
    return f"{text} Whether the one causes the other is not shown." if both else text


def _geometry(states: Sequence[str]) -> str:
    if not states:
        return "the geometry was not compared"
    if set(states) & set(MOVED):
        return _CHANGED
    return (
        "no change of the geometry is shown"
        if UNCLEAR in states
        else "the geometry was not tested"
    )
