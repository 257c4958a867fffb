"""How the page opens: what changed, what it means, and what is in doubt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from anisotropy.comparison.deciding import LEAST_SEEDS
from anisotropy.measures.headline import HEADLINE
from anisotropy.plots.compared import has_pair, one_pair, seeds_of
from anisotropy.plots.pools import saturation
from anisotropy.plots.style import counted
from anisotropy.plots.words import name_of, verdict
from anisotropy.report.numbers import interval, minus, number, signed
from anisotropy.report.reading import (
    DOWN,
    UP,
    Reading,
    against_null,
    overall,
    read_chance,
    read_pair,
    same_vectors,
)
from anisotropy.report.rows import (
    Line,
    doubts_of,
    headline_groups,
    no_sample,
    subcollection_of,
    title_of,
)
from anisotropy.results import Curve, Difference, Measurement, Results
from anisotropy.statistics import FEWEST_UNITS

_WARNINGS = 4
#: So many comparisons are read at once.
_OPEN = 2
_NO_ROWS = "No headline rows."
_BEYOND_CHANCE = {UP: "above chance", DOWN: "below chance"}


@dataclass(frozen=True)
class Doubt:
    """One line of what is in doubt.

    Attributes
    ----------
    word, text
        What it is about, and what it says.
    link
        Anchor of the section that says more; empty where there is none.
    grave
        Whether it may turn the conclusions around.
    """

    word: str
    text: str
    link: str = ""
    grave: bool = False


def opening(results: Results, pairs: Sequence[Results]) -> dict[str, Any]:
    """What stands above the tables: a block a comparison, or one of all spaces.

    Returns
    -------
    dict
        ``summary`` in a sentence; ``blocks``, each of a ``title``, a ``summary``, whether it is
        ``open``, ``groups`` of lines and sentences, and what is said where those are ``empty``;
        ``doubts``.
    """
    blocks = _compared(results, pairs) if pairs else [_alone(results)]
    one = blocks[0] if len(blocks) == 1 else None
    return {
        "summary": one["summary"] if one else "",
        "blocks": blocks,
        "single": one is not None,
        "doubts": in_doubt(results, pairs),
    }


def _compared(results: Results, pairs: Sequence[Results]) -> list[dict[str, Any]]:
    main = one_pair(results).labels if has_pair(results) else None
    ordered = sorted(pairs, key=lambda pair: pair.labels != main)
    return [
        {
            "id": f"read-{place}",
            "title": title_of(pair),
            "summary": overall(pair),
            "open": len(pairs) <= _OPEN or pair.labels == main,
            "empty": "There is nothing to compare." if same_vectors(pair) else _NO_ROWS,
            "groups": [
                {
                    "name": reading.group,
                    "lines": [_changed(pair, delta) for delta in reading.changed],
                    "asides": _asides(reading),
                    "meaning": [minus(text) for text in reading.meaning],
                }
                for reading in read_pair(pair)
            ],
        }
        for place, pair in enumerate(ordered, 1)
    ]


def _changed(pair: Results, delta: Difference) -> dict[str, str]:
    between = interval(delta.ci_low, delta.ci_high)
    return {
        "word": verdict(pair, delta),
        "measure": delta.measure,
        "side": delta.side,
        "numbers": minus(f"{signed(delta.delta)} {between}"),
    }


def _without_role(measure: str) -> str:
    """What both sides have in common in a text identity; shown it is whole."""
    return re.sub(r"(, )?role=\w+", "", measure)


def _asides(reading: Reading) -> list[str]:
    parts = (
        ("no clear difference", reading.unclear),
        ("not tested", reading.untested),
        ("decides nothing", reading.saturated),
    )
    return [f"{word}: {_named(rows)}" for word, rows in parts if rows]


def _named(rows: Sequence[Difference]) -> str:
    """Measures with their sides, one measure once."""
    sides: dict[str, list[str]] = {}
    for delta in rows:
        sides.setdefault(delta.measure, []).append(delta.side)
    return ", ".join(f"{measure} ({' and '.join(own)})" for measure, own in sides.items())


def _alone(results: Results) -> dict[str, Any]:
    """What stands out against chance, in one space or many that are not compared."""
    several = len(results.labels) > 1
    mining = results.find_curves("mining")
    groups = []
    for group, lines in headline_groups(results):
        measures: dict[str, list[list[Measurement]]] = {}
        for line in lines:
            if rows := _of_spaces(results, line):
                measures.setdefault(_without_role(line.measure), []).append(rows)
        said = [text for places in measures.values() for text in read_chance(places, mining)]
        groups.append(
            {
                "name": group,
                "lines": [_standing(line, _of_spaces(results, line), mining) for line in lines],
                "asides": [],
                "meaning": list(dict.fromkeys(said)) or [_nothing_to_say(group)],
            }
        )
    summary = (
        "Nothing is compared here: each value is held against what chance alone would give, at "
        "the 5% level and not corrected for the number of values."
    )
    if several:
        summary += " --baseline LABEL tests every space against one."
    return {
        "id": "read-1",
        "title": "",
        "summary": summary,
        "open": True,
        "groups": groups,
        "empty": _NO_ROWS,
    }


def _nothing_to_say(group: str) -> str:
    return f"There is no null for {group}: only a comparison says whether this is much."


def _of_spaces(results: Results, line: Line) -> list[Measurement]:
    return [line.cells[label] for label in results.labels if label in line.cells]


def _standing(line: Line, rows: Sequence[Measurement], mining: list[Curve]) -> dict[str, str]:
    found = [
        None if saturation(mining, one.side, one.measure, one.space) else against_null(one)
        for one in rows
    ]
    words = [_BEYOND_CHANCE.get(one or "", "") for one in found]
    word = words[0] if len(set(words)) == 1 else "differs between spaces"
    values = sorted(rows, key=lambda one: one.value)
    shown = [number(one.value) for one in (values[:1] + values[1:][-1:])]
    text = " to ".join(dict.fromkeys(shown))
    if len(rows) == 1:
        text += f" {interval(rows[0].ci_low, rows[0].ci_high)}"
    nulls = {number(one.null_mean, 3) for one in rows if one.null_mean == one.null_mean}
    by_chance = f"; null {nulls.pop()}" if len(nulls) == 1 else ""
    return {
        "word": word,
        "measure": line.measure,
        "side": line.side,
        "numbers": minus(f"{text.strip()}{by_chance}"),
    }


def in_doubt(results: Results, pairs: Sequence[Results]) -> list[Doubt]:
    """What a reader must know before any of it is believed, the gravest first."""
    return [
        *_recipes(results),
        *_few_queries(results),
        *_warnings(results),
        *_population(results, pairs),
        *_collection(results),
        *_rows(results, pairs),
        *_withheld(results),
    ]


def _recipes(results: Results) -> list[Doubt]:
    return [Doubt(label, text, "recipes", grave=True) for label, text in doubts_of(results)]


def _warnings(results: Results) -> list[Doubt]:
    """Warnings that bear on the headline; of more than one other only how many stand below."""
    shown = [line for line in results.warnings if bears(line)][:_WARNINGS]
    left = [line for line in results.warnings if line not in shown]
    if left and shown:
        shown += left if len(left) == 1 else [f"{len(left)} more warnings below"]
    return [Doubt("warning", line, "warnings") for line in shown]


def bears(warning: str) -> bool:
    """Whether a warning may bear on the headline: it names a row of it, or no measure at all."""
    from anisotropy.measures.registry import registry

    text = warning.lower().replace("_", " ")
    named = {
        known.name
        for known in registry()
        if len(known.name) > 2 and re.search(rf"\b{known.name.lower().replace('_', ' ')}\b", text)
    }
    headline = {name_of(entry.measure) for entry in HEADLINE}
    return not named or bool(named & headline)


def _population(results: Results, pairs: Sequence[Results]) -> list[Doubt]:
    """Whether anything is said of a method, or of checkpoints alone."""
    seeds = seeds_of(results)
    if not seeds and not pairs:
        return []
    if not seeds:
        runs = any(space.get("kind") == "run" for space in results.spaces)
        what, made = ("run", "made") if runs else ("checkpoint", "trained")
        text = f"one {what} a side: differences hold for these {what}s, not for the methods"
        return [Doubt("one seed", f"{text} that {made} them")]
    if min(seeds.values()) < LEAST_SEEDS:
        few = min(seeds.values())
        return [Doubt("few seeds", f"{few} seeds of a method are the least that can be tested")]
    return []


def _few_queries(results: Results) -> list[Doubt]:
    """Fewer queries than the interval of a value takes."""
    counts = [int((space.get("counts") or {}).get("queries") or 0) for space in results.spaces]
    n = min(filter(None, counts), default=FEWEST_UNITS)
    if n >= FEWEST_UNITS:
        return []
    text = f"{counted(n, 'query')}: fewer than {FEWEST_UNITS} units show no spread to speak of, so"
    so = "no test over the queries can be relied on" if n > 1 else "nothing of them is tested"
    return [Doubt("few queries", f"{text} {so}", "counts", grave=True)]


def _collection(results: Results) -> list[Doubt]:
    note = str(results.collection.get("note") or "")
    part = subcollection_of(results)
    found = [Doubt("collection", f"{note}: other texts may say otherwise")] if note else []
    if part:
        found.append(Doubt("collection", f"{part}: ranking among them is easier"))
    return found


def _rows(results: Results, pairs: Sequence[Results]) -> list[Doubt]:
    """Rows without a test, and the rows that were tested and not decided."""
    if not pairs:
        return []
    readings = [one for pair in pairs for one in read_pair(pair)]
    untested = {(row.side, row.measure) for one in readings for row in one.untested}
    found = []
    if untested:
        sides = {side for side, _ in untested}
        why = f" ({no_sample(results)} is no sample)" if sides == {"documents"} else ""
        rows = (
            "1 headline row has" if len(untested) == 1 else f"{len(untested)} headline rows have"
        )
        found.append(Doubt("not tested", f"{rows} no interval{why}", "headline"))
    unclear = sum(len(reading.unclear) for reading in readings)
    if unclear:
        rows = "1 tested row" if unclear == 1 else f"{unclear} tested rows"
        text = (
            f"{rows} of the headline: no clear difference, which does not mean that there is none"
        )
        found.append(Doubt("undecided", text, "headline"))
    return found


def _withheld(results: Results) -> list[Doubt]:
    places = {(row.side, row.measure, row.on) for row in results.withheld}
    if not places:
        return []
    rows = "1 row is" if len(places) == 1 else f"{len(places)} rows are"
    return [Doubt("withheld", f"{rows} not given, with the reasons", "withheld")]
