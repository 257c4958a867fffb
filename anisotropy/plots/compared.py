"""Each comparison in results as results of two sides, for tables and figures."""

from __future__ import annotations

import dataclasses
from typing import Any

from anisotropy.errors import InputError, UsageError, one_of
from anisotropy.plots import style
from anisotropy.results import Curve, Difference, Measurement, Results

#: As many spaces as there are colors and markers.
_MOST = 8


def pairs_of(results: Results) -> list[Results]:
    """One view a comparison, with exactly two labels: the baseline, then the other.

    A side of several checkpoints shows under its name, with the means that the differences
    are of; its rows are then those differences alone.
    """
    return [_pair(results, baseline, space) for baseline, space in results.comparisons]


def one_pair(results: Results, space: str | None = None) -> Results:
    """The view of one comparison.

    Parameters
    ----------
    results
        With comparisons.
    space
        What is compared with its baseline. None: of one comparison that, of several in a
        reproduction that of its claims.

    Raises
    ------
    InputError
        If there is none, or no way to tell which.
    UsageError
        If no comparison is of that space.
    """
    known = {other: (baseline, other) for baseline, other in results.comparisons}
    if not known:
        raise InputError("nothing is compared in these results")
    if space is None:
        space = _of_claims(results) if len(known) > 1 else next(iter(known))
    if space is None:
        raise InputError(f"{len(known)} comparisons in these results: {', '.join(known)}")
    if space not in known:
        raise UsageError(f"pair: {one_of(space, known)}")
    return _pair(results, *known[space])


def has_pair(results: Results) -> bool:
    """Whether :func:`one_pair` knows which comparison."""
    pairs = results.comparisons
    return len(pairs) == 1 or (len(pairs) > 1 and _of_claims(results) is not None)


def _of_claims(results: Results) -> str | None:
    """The space that the claims of a reproduction are about, where it was compared."""
    contrasts = {record.get("contrast") for record in results.claims if record.get("main")}
    found = [b for a, b in results.comparisons if f"{b} - {a}" in contrasts]
    return found[0] if found else None


def seeds_of(results: Results) -> dict[str, int]:
    """Name of a side to the number of its checkpoints, for sides of more than one."""
    names = [str(space["method"]) for space in results.spaces if space.get("method")]
    return {name: names.count(name) for name in dict.fromkeys(names) if names.count(name) > 1}


def drawn(results: Results) -> Results:
    """What figures of spaces show: of more than 8 spaces, the first seed of each method."""
    if len(results.spaces) <= _MOST or not seeds_of(results):
        return results
    first: dict[str, dict[str, Any]] = {}
    for space in results.spaces:
        first.setdefault(str(space.get("method")), space)
    labels = {space["label"] for space in first.values()}
    names = {*labels, *first}
    return dataclasses.replace(
        results,
        spaces=list(first.values()),
        rows=[row for row in results.rows if row.space in names],
        curves=[curve for curve in results.curves if curve.space in names],
    )


def _pair(results: Results, baseline: str, space: str) -> Results:
    both = (baseline, space)
    meant = (both, ("", ""))
    deltas = [row for row in results.deltas if (row.baseline, row.space) in meant]
    seeds = seeds_of(results)
    rows = [row for row in results.rows if row.space in both]
    if seeds:
        rows = [_mean(row, name) for name in both for row in deltas]
    return dataclasses.replace(
        results,
        spaces=[_side(results, name) for name in both],
        rows=rows,
        deltas=deltas,
        likenesses=[r for r in results.likenesses if (r.baseline, r.space) in meant],
        links=[r for r in results.links if (r.baseline, r.space) in meant],
        curves=_curves(results, both),
    )


def _curves(results: Results, both: tuple[str, str]) -> list[Curve]:
    """What changed query by query, and the mined lists of each side under its name."""
    changes = [curve for curve in results.find_curves("changes") if curve.space == both[1]]
    sides = {
        space["label"]: name
        for space in results.spaces
        for name in both
        if name in (space["label"], space.get("method"))
    }
    mining = [
        dataclasses.replace(curve, space=sides[curve.space])
        for curve in results.find_curves("mining")
        if curve.space in sides
    ]
    return [*changes, *mining]


def _side(results: Results, name: str) -> dict[str, Any]:
    """What is known of a side, under its name, with the color that it has among all spaces.

    Of several checkpoints that of the first, without its fingerprint, which is of it alone.
    """
    known = (s for s in results.spaces if name in (s.get("method") or s["label"], s["label"]))
    first, *others = [*known] or [{}]
    own = {**first, "fingerprint": ""} if others else {**first}
    place = style.place_of(results, own["label"]) if own else len(results.spaces)
    return {**own, "label": name, "place": place}


def _mean(row: Difference, name: str) -> Measurement:
    """What a difference says of one side."""
    value = row.a if name == row.baseline else row.b
    return Measurement(
        name, row.side, row.family, row.measure, row.on, value, n=row.n, unit=row.unit,
        method=row.method, headline=row.headline,
    )  # fmt: skip
