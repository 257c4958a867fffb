"""Uniformity follows the cone, and alignment follows both."""

from __future__ import annotations

from anisotropy.report.numbers import number
from anisotropy.report.reading.found import (
    ALIGNMENT,
    DOWN,
    MEAN_COSINE,
    MOVED,
    SIDES,
    SPREAD_OUT,
    STRENGTH,
    UNCLEAR,
    UNTESTED,
    UP,
    Found,
    sentence,
    state,
)

_SPREAD = {
    DOWN: "the {0} are more spread out on the sphere in {1}",
    UP: "the {0} are more clumped on the sphere in {1}",
    UNCLEAR: "that the {0} spread out or clumped is not shown",
    UNTESTED: "whether the {0} spread out was not tested",
}
_ALIGNED = {
    DOWN: "relevant pairs are closer in absolute terms",
    UP: "relevant pairs are farther apart in absolute terms",
    UNCLEAR: "that relevant pairs moved closer or apart is not shown",
    UNTESTED: "whether relevant pairs moved was not tested",
}
_PAIRS = {DOWN: "relevant pairs are closer", UP: "relevant pairs are farther apart"}
_WENT = {DOWN: "spread out", UP: "clumped"}


def uniformity(found: Found) -> list[str]:
    """Whether the sides spread out, what the cone has to do with it, and the relevant pairs."""
    return [*_spread(found), sentence(_aligned(found))]


def _aligned(found: Found) -> str:
    """The relevant pairs: against the spread, along with it, or as the cone makes them."""
    spread, documents = (found.state(side, SPREAD_OUT) for side in SIDES)
    aligned = found.state("positives", ALIGNMENT)
    if aligned not in MOVED or spread not in MOVED:
        return _ALIGNED.get(aligned, "")
    if aligned == spread:
        who = "space" if documents == spread else "queries"
        return f"{_PAIRS[aligned]} although the {who} {_WENT[spread]}"
    if found.cone() == spread:
        cone = STRENGTH[spread]
        return f"{_PAIRS[aligned]}, as random pairs are with a {cone} common direction"
    return f"{_PAIRS[aligned]}, while the queries {_WENT[spread]}"


def _spread(found: Found) -> list[str]:
    """A sentence for the queries, and for the documents where those are tested."""
    queries, documents = (found.state(side, SPREAD_OUT) for side in SIDES)
    cones = {found.state(side, MEAN_COSINE) for side in SIDES}
    same = queries == documents and (queries == UNCLEAR or (queries in MOVED and len(cones) == 1))
    sides = [("queries", "queries and documents" if same else "queries")]
    if not same and documents in (*MOVED, UNCLEAR):
        sides.append(("documents", "documents"))
    return [_spread_of(found, side, who) for side, who in sides]


def _spread_of(found: Found, side: str, who: str) -> str:
    spread = found.state(side, SPREAD_OUT)
    text = _SPREAD.get(spread, "").format(who, found.b)
    return sentence(text + (_with_the_cone(found, side, spread) if spread in MOVED else ""))


def _with_the_cone(found: Found, side: str, spread: str) -> str:
    cone = found.state(side, MEAN_COSINE)
    if cone == UNCLEAR:
        return ", though no change of the common direction is shown"
    if cone != spread:
        return f", though the common direction is {STRENGTH[cone]}" if cone in MOVED else ""
    row = found.delta(side, SPREAD_OUT, "center>unit")
    rest = ""
    if row is not None:
        note = "exploratory" if state(row) != UNTESTED else "exploratory, not tested"
        rest = f" ({side} without it: {number(row.b)}, from {number(row.a)}; {note})"
    return f", as a {STRENGTH[cone]} common direction alone makes them{rest}"
