"""Isotropy: the common direction (cone) and the spectrum around it are two findings."""

from __future__ import annotations

import math

from anisotropy.report.numbers import number
from anisotropy.report.reading.found import (
    ABSENT,
    DOWN,
    MEAN_COSINE,
    MOVED,
    SIDES,
    SPECTRUM,
    UNCLEAR,
    UNTESTED,
    UP,
    Found,
    sentence,
    state,
)
from anisotropy.report.rows import no_sample
from anisotropy.statistics import rounding

_CONE = {
    DOWN: "the common direction of the {0} is weaker in {1}",
    UP: "the common direction of the {0} is stronger in {1}",
    UNCLEAR: "that the common direction of the {0} changed is not shown",
    UNTESTED: "the common direction of the {0} was not tested",
}
_SPECTRUM = {
    UP: "the variance around it spreads over more directions",
    DOWN: "the variance around it sits in fewer directions",
    UNCLEAR: "that the spread around it changed is not shown",
    UNTESTED: "the spread around it was not tested",
}
_CONE_AND_SPECTRUM = {
    (DOWN, DOWN): "less of a cone, more collapsed",
    (UP, UP): "more of a cone, less collapsed",
    (DOWN, UNCLEAR): "the cone changed, the shape not visibly",
    (UP, UNCLEAR): "the cone changed, the shape not visibly",
}


def isotropy(found: Found) -> list[str]:
    """The common direction, and the centered spectrum, of queries; then of documents."""
    places = [(found.state(x, MEAN_COSINE), found.state(x, SPECTRUM)) for x in SIDES]
    documents = set(places[1]) - {ABSENT}
    if documents == {UNTESTED}:
        return [_isotropy_of(found, "queries"), _documents_along(found)]
    if places[0] == places[1] and UNTESTED not in documents:
        return [_isotropy_of(found, "queries", "queries and documents")]
    return [_isotropy_of(found, side) for side in SIDES]


def _isotropy_of(found: Found, side: str, who: str = "") -> str:
    cone, spectrum = found.state(side, MEAN_COSINE), found.state(side, SPECTRUM)
    first = _CONE.get(cone, "").format(who or side, found.b)
    second = _SPECTRUM.get(spectrum, "")
    if second and spectrum in MOVED and not who:
        second += _of_all(found, side)
    if cone == spectrum == UNCLEAR:
        return (
            f"No change of the common direction of the {who or side}, or of the spread around it, "
            "is shown."
        )
    if not first or not second:
        return sentence(first or second.replace("around it", f"of the {who or side}"))
    apart = (cone, spectrum) in ((UP, UP), (DOWN, DOWN))
    between = ", but " if apart else "; " if UNCLEAR in (cone, spectrum) else ", and "
    note = _CONE_AND_SPECTRUM.get((cone, spectrum), "")
    return sentence(f"{first}{between}{second}{f': {note}' if note else ''}")


def _of_all(found: Found, side: str) -> str:
    """The numbers of directions, of how many there are: a change may be clear and small."""
    rows = [found.values.get((label, side, SPECTRUM, "unit")) for label in (found.a, found.b)]
    delta = found.delta(side, SPECTRUM)
    whole = rows[1].null_mean if rows[1] is not None else math.nan
    of = "" if math.isnan(whole) else f" of {number(whole, 3)}"
    return f" ({number(delta.b, 3)}{of}, from {number(delta.a, 3)})" if delta else ""


def _documents_along(found: Found) -> str:
    """Whether the documents, which are no sample, moved as the queries did."""
    rows = [found.delta("documents", name) for name in (MEAN_COSINE, SPECTRUM)]
    pairs = [(row, found.delta("queries", row.measure)) for row in rows if row is not None]
    along = [
        (doc.delta > 0) == (query.delta > 0)
        for doc, query in pairs
        if query is not None and state(query) in MOVED and abs(doc.delta) > rounding(doc.a, doc.b)
    ]
    if not along:
        return ""
    way = "the same way" if all(along) else "differently" if any(along) else "the other way"
    return f"The documents, {no_sample(found.pair)} and so not tested, moved {way}."
