"""Negative sampling: a law over a pool, which may be too small, and which has a null."""

from __future__ import annotations

from collections.abc import Sequence

from anisotropy.report.reading.found import (
    DOWN,
    MOVED,
    SIDES,
    UNCLEAR,
    UNTESTED,
    UP,
    Found,
    against_null,
    sentence,
    state,
)
from anisotropy.report.reading.pools import saturated
from anisotropy.results import Difference
from anisotropy.statistics import rounding

_EVEN = {DOWN: "more evenly", UP: "less evenly"}
_OFFSET = {
    "same": "{0} still go the same way, so an offset between the sides is not all of it",
    "other": "{0} go the other way, so an offset between the sides has a part in it",
    UNCLEAR: "no difference is shown for {0}, so an offset between the sides may be what makes it",
}
_SCORES = {"dot": "dot product", "cosine": "cosine", "euclidean": "Euclidean distance"}


def negatives(found: Found) -> list[str]:
    """How evenly items are drawn, against chance, and whether an offset explains it."""
    rows = [row for side in SIDES if (row := found.negatives(side))]
    sentences = [saturated(found.mining, row.side, row.measure) for row in found.saturated]
    sentences.append(sentence("; ".join(_drawn(found, rows))))
    sentences.append(_against_chance(found, rows))
    moved = [row for row in rows if state(row) in MOVED]
    return [*sentences, _offset(found, moved)]


def _drawn(found: Found, rows: Sequence[Difference]) -> list[str]:
    """Sides by what they did, a phrase for each."""
    sides: dict[str, list[str]] = {}
    for row in rows:
        sides.setdefault(state(row), []).append(row.side)
    phrases = []
    for moved, names in sides.items():
        who = " and ".join(names)
        if moved in MOVED:
            phrases.append(f"{who} are drawn {_EVEN[moved]} as negatives in {found.b}")
        elif moved == UNCLEAR:
            phrases.append(f"that {who} are drawn more or less evenly as negatives is not shown")
        else:
            phrases.append(f"how evenly {who} are drawn was not tested")
    return phrases


def _against_chance(found: Found, rows: Sequence[Difference]) -> str:
    known = [
        [found.values.get((label, row.side, row.measure, row.on)) for row in rows]
        for label in (found.a, found.b)
    ]
    over = [[against_null(row) for row in own if row is not None] for own in known]
    if any(None in own or not own for own in over):
        return ""
    uneven = [UP in own for own in over]
    if all(uneven):
        return "Both spaces are more uneven than draws at random."
    if not any(uneven):
        return "That either space is more uneven than draws at random is not shown."
    which = found.a if uneven[0] else found.b
    return f"Only {which} is shown to be more uneven than draws at random."


def _offset(found: Found, rows: Sequence[Difference]) -> str:
    """What is left of the differences where each side is centered, if that can be compared."""
    controls = [
        (row, own)
        for row in rows
        if (own := found.delta(row.side, f"{row.measure[:-1]}, center=sides)", row.on)) is not None
        and abs(own.delta) > rounding(own.a, own.b)
    ]
    return _unlike(found) or _left(controls) if controls else ""


def _unlike(found: Found) -> str:
    """Why the control of the offset decides nothing; empty where both score alike.

    Under dot product centered rows keep the lengths that they then have, under cosine not.
    """
    a, b = (str((x.get("recipe") or {}).get("similarity") or "") for x in found.pair.spaces)
    if a and a == b:
        return ""
    if a and b:
        between = f"between {_SCORES.get(a, a)} and {_SCORES.get(b, b)}"
        return (
            f"The control of an offset between the sides (each side centered) is no like for like "
            f"{between}, and decides nothing here."
        )
    return (
        "The control of an offset between the sides decides nothing here: by what both score is "
        "not recorded."
    )


def _left(controls: Sequence[tuple[Difference, Difference]]) -> str:
    """Which way the differences go with each side centered, against how they went."""
    kept: dict[str, list[str]] = {}
    tested = True
    for row, own in controls:
        tested = tested and state(own) != UNTESTED
        same = "same" if (own.delta > 0) == (row.delta > 0) else "other"
        kept.setdefault(UNCLEAR if state(own) == UNCLEAR else same, []).append(row.side)
    note = "exploratory" if tested else "exploratory, in part not tested"
    parts = [_OFFSET[way].format(" and ".join(sides)) for way, sides in kept.items()]
    return f"With each side centered {'; '.join(parts)} ({note})." if parts else ""
