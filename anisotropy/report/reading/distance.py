"""Distance: queries moved closer only where the relative forms say so."""

from __future__ import annotations

from anisotropy.report.reading.found import (
    ABSENT,
    ALIGNMENT,
    DOWN,
    MOVED,
    PERCENTILE,
    RELATIVE,
    STRENGTH,
    UNCLEAR,
    UNTESTED,
    UP,
    Found,
    sentence,
)

_CLOSER = {DOWN: "closer", UP: "farther"}
_NEARER = {DOWN: "fewer", UP: "more"}


def distance(found: Found) -> list[str]:
    """Whether queries and relevant documents are closer, and the centers of the sides."""
    relative = found.state("positives", RELATIVE)
    rank = found.state("positives", PERCENTILE)
    return [sentence(_closer(found, relative, rank)), sentence(_centers(found))]


def _closer(found: Found, relative: str, rank: str) -> str:
    near, few = _CLOSER.get(relative), _NEARER.get(rank)
    against = f"measured against random pairs, relevant documents are {near} in {found.b}"
    ranked = f"{few} documents lie nearer to a query than its relevant one"
    if near and few:
        if relative == rank:
            return f"{against}, and {ranked}"
        return f"{against}, but {ranked}: that queries moved closer is not shown"
    if near:
        return against + ("; their rank is not shown to change" if rank == UNCLEAR else "")
    if few:
        return f"in {found.b} {ranked}" + (
            "; the distance against random pairs is not shown to change"
            if relative == UNCLEAR else ""
        )  # fmt: skip
    return _only_absolute(found) if UNCLEAR in (relative, rank) else _not_tested(relative, rank)


def _not_tested(relative: str, rank: str) -> str:
    return "whether queries moved closer was not tested" if UNTESTED in (relative, rank) else ""


def _only_absolute(found: Found) -> str:
    """Distances fall in a cone and grow out of it: the cause, where the cone went that way."""
    states = {name: found.state("positives", name) for name in (ALIGNMENT, "positive_distance")}
    name = next((name for name, one in states.items() if one in MOVED), None)
    if name is None:
        return "that queries moved closer to their documents, or away, is not shown"
    moved = states[name]
    cone = UP if moved == DOWN else DOWN
    cause = f", as a {STRENGTH[cone]} common direction makes them" if found.cone() == cone else ""
    note = "" if name == ALIGNMENT else " (exploratory)"
    return (
        f"only absolute distances {'fell' if moved == DOWN else 'grew'}{note}{cause}: that "
        "queries moved closer, or away, is not shown"
    )


def _centers(found: Found) -> str:
    gap, relative = found.state("cross", "gap"), found.state("cross", "relative_gap")
    if gap in (ABSENT, UNTESTED):
        return ""
    if gap == UNCLEAR:
        return "that the centers of the two sides moved is not shown"
    text = f"the centers of the two sides are {_apart(gap)}"
    if relative == gap:
        return f"{text}, also over the spread within the sides (exploratory)"
    if relative in MOVED:
        return f"{text}, but over the spread within the sides {_apart(relative)} (exploratory)"
    if relative == UNCLEAR:
        return f"{text}; over the spread within the sides that is not shown (exploratory)"
    return text


def _apart(moved: str) -> str:
    return "closer" if moved == DOWN else "farther apart"
