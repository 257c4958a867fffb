"""Ranking, and what geometry has to do with it: never more than an association."""

from __future__ import annotations

import math
from collections.abc import Mapping

from anisotropy.comparison.changes import RANKED
from anisotropy.measures.headline import RANKING
from anisotropy.plots.words import group_of
from anisotropy.report.numbers import interval, number
from anisotropy.report.reading.found import (
    DOWN,
    MOVED,
    RELATIVE,
    UNCLEAR,
    UNTESTED,
    UP,
    Found,
    sentence,
    state,
)
from anisotropy.results import Results

#: What ranking did: better, worse, both, not shown, not tested.
_RANKED = (
    "the ranking of {0} is better in {1}{2}",
    "the ranking of {0} is worse in {1}{2}",
    "measures of the ranking of {0} disagree",
    "no change in the ranking of {0} is shown",
    "the ranking of {0} was not tested",
)
_RANKINGS = {"ranking": "documents", "dual_ranking": "queries for documents"}


def ranking(found: Found) -> list[str]:
    """Whether ranking moved, both ways; and the associations over the queries."""
    return [sentence("; ".join(ranked(found.pair))), _associated(found)]


def _associated(found: Found) -> str:
    both = (RELATIVE, RANKED)
    links = (x for x in found.pair.links if (x.geometry, x.effectiveness) == both)
    link = next(links, None)
    if link is None or math.isnan(link.ci_low) or math.isnan(link.ci_high):
        return ""
    value = f"Spearman {number(link.correlation, 2)} {interval(link.ci_low, link.ci_high, 2)}"
    if link.ci_low <= 0 <= link.ci_high:
        return (
            f"Query by query, no association of gains in {RANKED} with relevant documents coming "
            f"closer is shown ({value}; exploratory)."
        )
    way = "closer" if link.correlation < 0 else "away"
    return (
        f"Query by query, gains in {RANKED} go with relevant documents moving {way} ({value}): an "
        "exploratory association, not a cause."
    )


def ranked(pair: Results) -> list[str]:
    """A phrase on the ranking of documents and on that of queries, or one where they agree."""
    rows = [d for d in pair.deltas if d.headline and group_of(d) == RANKING]
    found: dict[tuple[int, str], list[str]] = {}
    for side, words in _RANKINGS.items():
        states = {row.measure: state(row) for row in rows if row.side == side}
        if states:
            found.setdefault((_place_of(set(states.values())), _by(states)), []).append(words)
    return [
        _RANKED[place].format(" and of ".join(sides), pair.labels[1], by)
        for (place, by), sides in found.items()
    ]


def _by(states: Mapping[str, str]) -> str:
    """The measures that moved, where the others did not."""
    moved = [measure for measure, one in states.items() if one in MOVED]
    return f" by {' and '.join(moved)}" if 0 < len(moved) < len(states) else ""


def _place_of(states: set[str]) -> int:
    if {UP, DOWN} <= states:
        return 2
    return next(i for i, x in ((0, UP), (1, DOWN), (3, UNCLEAR), (4, UNTESTED)) if x in states)
