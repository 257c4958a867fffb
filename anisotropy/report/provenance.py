"""Where results come from and what they leave out: recipes, counts, the run, rows withheld."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anisotropy.files import dump_json
from anisotropy.report.cells import Table, cell, column, row, table
from anisotropy.results import Results, Withheld

_HIDDEN = ("sources", "doubts", "notes")
Place = tuple[str, str, str]


def recipe_table(results: Results) -> Table:
    """Parts of the recipe of each space, and where each came from."""
    return _parts(results, "recipe", "recipes", sources=True)


def counts_table(results: Results) -> Table:
    """What was encoded of each space."""
    return _parts(results, "counts", "counts", sources=False)


def _parts(results: Results, key: str, name: str, sources: bool) -> Table:
    contents = [space.get(key) or {} for space in results.spaces]
    names = [n for n in dict.fromkeys(n for c in contents for n in c) if n not in _HIDDEN]
    extra = [" source"] if sources else []
    head = [column("part")]
    head += [column(label, label, *(label + x for x in extra)) for label in results.labels]
    rows = [row(cell(part), *(_part(content, part, sources) for content in contents))
            for part in names]  # fmt: skip
    return table(name, head, rows)


def _part(content: Mapping[str, Any], part: str, sources: bool) -> dict[str, Any]:
    value = text_of(content[part]) if part in content else "–"
    if not sources:
        return cell(value, value, kind="wrap")
    known = content.get("sources")
    source = text_of(known.get(part, "")) if isinstance(known, Mapping) else ""
    return cell(value, value, source, kind="wrap", small=[source])


def run_table(results: Results) -> Table:
    """Fingerprints, the collection, the configuration and the versions of a run."""
    facts: list[tuple[str, Any]] = [
        (f"fingerprint: {space['label']}", str(space.get("fingerprint") or "–"))
        for space in results.spaces
    ]
    facts += [(f"collection: {name}", value) for name, value in results.collection.items()]
    facts += [(f"config: {name}", value) for name, value in results.config.items()]
    facts += [(f"version: {name}", value) for name, value in results.versions.items()]
    rows = [row(cell(str(name)), cell(text_of(value), kind="wrap")) for name, value in facts]
    return table("run", [column("what"), column("value")], rows)


def text_of(value: Any) -> str:
    """A value from a file as text."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}" if abs(value) > 9999 else str(value)
    return dump_json(value)


def withheld_table(results: Results) -> Table:
    """What is withheld, a row once, with its reasons and every place that each concerns."""
    reasons: dict[Place, dict[str, list[str]]] = {}
    for found in results.withheld:
        own = reasons.setdefault((found.measure, found.on, found.side), {})
        own.setdefault(found.reason, []).append(_where(found))
    merged: dict[tuple[str, str, str], list[str]] = {}
    for (measure, on, side), own in reasons.items():
        why = "; ".join(
            f"{reason}{_places(results, places, len(own) > 1)}" for reason, places in own.items()
        )
        where = _all_places(results, [place for places in own.values() for place in places])
        merged.setdefault((measure, on, f"{where}\0{why}"), []).append(side)
    head = [column("measure"), column("side"), column("on"), column("where"), column("why")]
    rows = []
    for (measure, on, rest), sides in merged.items():
        where, _, why = rest.partition("\0")
        rows.append(row(cell(measure, kind="code"), cell(", ".join(sides)), cell(on),
                        cell(where, kind="wrap"), cell(why, kind="wrap")))  # fmt: skip
    return table("withheld", head, rows)


def _where(found: Withheld) -> str:
    return f"{found.space} against {found.baseline}" if found.baseline else found.space


def _places(results: Results, places: list[str], several: bool) -> str:
    return f" ({_all_places(results, places)})" if several else ""


def _all_places(results: Results, places: list[str]) -> str:
    """Places by name; in one word where they are all of their kind."""
    found = dict.fromkeys(places)
    if set(found) == set(results.labels):
        return "every space" if len(found) > 1 else next(iter(found))
    pairs = {f"{space} against {baseline}" for baseline, space in results.comparisons}
    if len(pairs) > 1 and set(found) == pairs:
        return "every comparison"
    return ", ".join(name or "every space" for name in found)
