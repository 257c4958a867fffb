"""What the page shows, as plain texts: the template only places them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from anisotropy.files import dump_json
from anisotropy.plots.compared import pairs_of
from anisotropy.plots.words import beyond, definition, direction_text, gist, verdict
from anisotropy.report.cells import Cell, cell, number_cell
from anisotropy.report.claims import claims_view
from anisotropy.report.numbers import interval, number, probability, signed
from anisotropy.report.pairwise import association_table, changed_queries, similarity_table
from anisotropy.report.rows import (
    Line,
    collection_of,
    doubts_of,
    families_of,
    headline_groups,
    lines_of,
    seeds_text,
    title_of,
    transforms_of,
)
from anisotropy.results import Difference, Measurement, Results, Withheld

_HIDDEN = ("sources", "doubts")


def view_of(results: Results) -> dict[str, Any]:
    """Everything the template places, in its order."""
    pairs = pairs_of(results)
    tested = [pair for pair in pairs if pair.deltas]
    one = tested[0] if len(tested) == 1 else None
    return {
        "title": title_of(results),
        "labels": results.labels,
        "compared": bool(tested),
        "pairs": results.comparisons,
        "names": [name for pair in results.comparisons for name in pair],
        "seeds": seeds_text(results),
        "collection": collection_of(results),
        "doubts": doubts_of(results),
        "transforms": transforms_of(results),
        "headlines": [_section(pair, True, len(tested) > 1) for pair in tested]
        or [_section(results, False, False)],
        "families": _families(results, one),
        "mining": _records(_mining(results)),
        "differences": [_all_differences(pair) for pair in tested] if len(tested) > 1 else [],
        "similarities": similarity_table(results),
        "associations": association_table(results),
        "queries": [t for pair in pairs for t in changed_queries(pair, len(pairs) > 1)],
        "decided": claims_view(results),
        "claims": _records([r for r in results.claims if "parts" not in r]),
        "withheld": [(row, _where(row)) for row in results.withheld],
        "warnings": results.warnings,
        "recipes": _parts(results, "recipe"),
        "counts": _parts(results, "counts"),
        "fingerprints": [(s["label"], str(s.get("fingerprint") or "–")) for s in results.spaces],
        "about": _pairs({**results.collection, **_prefixed(results.config)}),
        "versions": _pairs(results.versions),
        "references": _references(results),
    }


def _where(row: Withheld) -> str:
    return f"{row.space} against {row.baseline}" if row.baseline else row.space


def _section(results: Results, compared: bool, titled: bool) -> dict[str, Any]:
    """Headline table of one comparison, or of all spaces, and what it says in sentences."""
    return {
        "title": title_of(results) if titled else "",
        **_headline(results, compared),
        "changes": _changes(results) if compared else _standing_out(results),
    }


def _headline(results: Results, compared: bool) -> dict[str, Any]:
    head = ["measure", *results.labels]
    head += ["difference", "95% interval", "p (Holm)", "in words"] if compared else []
    groups = [
        (group, [_headline_row(results, line, compared) for line in lines])
        for group, lines in headline_groups(results)
    ]
    return {"head": head, "groups": groups}


def _headline_row(results: Results, line: Line, compared: bool) -> dict[str, Any]:
    cells = [_value(line, label) for label in results.labels]
    row: dict[str, Any] = {
        "measure": line.measure,
        "place": f"{line.side}, on {line.on}",
        "gist": gist(line.measure),
        "direction": direction_text(line.measure),
        "cells": cells,
        "beyond": None,
    }
    if compared:
        row["cells"] = cells + _difference_cells(line.delta)
        row["beyond"] = bool(line.delta and beyond(line.delta))
        row["cells"].append(cell(verdict(results, line.delta) if line.delta else "not compared"))
    return row


def _value(line: Line, label: str) -> Cell:
    row = line.cells.get(label)
    if row is None:
        return cell("–", "")
    shown = number_cell(row.value)
    shown["interval"] = interval(row.ci_low, row.ci_high).replace("-", "−")
    shown["null"] = "" if math.isnan(row.null_mean) else _minus(number(row.null_mean, 3))
    return shown


def _difference_cells(delta: Difference | None) -> list[Cell]:
    if delta is None:
        return [cell("", ""), cell("", ""), cell("", "")]
    return [
        cell(signed(delta.delta), float(delta.delta), "number"),
        cell(
            interval(delta.ci_low, delta.ci_high),
            "" if math.isnan(delta.ci_low) else f"{delta.ci_low!r} {delta.ci_high!r}",
            "number",
        ),
        cell(probability(delta.p_holm), float(delta.p_holm), "number"),
    ]


def _changes(results: Results) -> dict[str, Any]:
    """Sentences on the headline differences beyond their uncertainty, and the names of others."""
    rows = [row for row in results.deltas if row.headline]
    return {
        "sentences": [_sentence(results, row) for row in rows if beyond(row)],
        "unclear": [f"{row.side} {row.measure}" for row in rows if beyond(row) is False],
        "unknown": [_untested(results, row) for row in rows if beyond(row) is None],
    }


def _untested(results: Results, row: Difference) -> str:
    a, b = results.labels
    values = f"{number(row.a)} in {a}, {number(row.b)} in {b}"
    return _minus(f"{row.side} {row.measure} (on {row.on}): {values}")


def _sentence(results: Results, row: Difference) -> tuple[str, str]:
    a, b = results.labels
    went = "higher" if row.delta > 0 else "lower"
    p = probability(row.p_holm)
    corrected = f", p {_equals(p)} after Holm" if p else ""
    text = (
        f"{row.side} {row.measure} (on {row.on}) is {went} in {b}: {number(row.b)} against "
        f"{number(row.a)} in {a}, a difference of {signed(row.delta)} "
        f"{interval(row.ci_low, row.ci_high)}{corrected}"
    )
    return verdict(results, row), f"{_minus(text)}."


def _standing_out(results: Results) -> dict[str, Any]:
    """Sentences on the headline values that differ from what chance alone would give."""
    lines = [line for _, lines in headline_groups(results) for line in lines]
    found = [(line, [r for r in line.cells.values() if r.null_p < 0.05]) for line in lines]
    sentences = [_against_null(line, rows) for line, rows in found if rows]
    return {"sentences": sentences, "unclear": [], "unknown": []}


def _against_null(line: Line, rows: list[Measurement]) -> tuple[str, str]:
    values = [
        f"{number(row.value)} in {row.space}, its null {number(row.null_mean, 3)} "
        f"(p {_equals(probability(row.null_p))})"
        for row in rows
    ]
    return f"{line.side} {line.measure}", _minus("; ".join(values) + ".")


def _equals(p: str) -> str:
    return p if p.startswith("<") else f"= {p}"


def _minus(text: str) -> str:
    """Hyphens in front of numbers as minus signs."""
    return re.sub(r"(?<![\w.])-(?=\d)", "−", text)


def _families(results: Results, pair: Results | None) -> list[dict[str, Any]]:
    """Every measurement by family, with the differences of the one comparison."""
    from anisotropy.measures.registry import all_families

    known = {family.name: family for family in all_families()}
    found = []
    for name, lines in families_of(lines_of(results)):
        family = known.get(name)
        found.append(
            {
                "name": name,
                "title": family.title if family else name,
                "sees": family.sees if family else "",
                "blind": family.blind if family else "",
                **_family_table(results, lines, pair),
            }
        )
    return found


def _all_differences(pair: Results) -> dict[str, Any]:
    """Every difference of one of several comparisons."""
    return {"title": title_of(pair), **_family_table(pair, lines_of(pair), pair)}


def _family_table(results: Results, lines: Iterable[Line], pair: Results | None) -> dict[str, Any]:
    head = ["measure", "side", "on", *results.labels]
    tested = ["difference", "95% interval", "p (Holm)", "in words"]
    head += [*(tested if pair else ["null"]), "n"]
    return {"head": head, "rows": [_family_row(results, line, pair) for line in lines]}


def _family_row(results: Results, line: Line, pair: Results | None) -> dict[str, Any]:
    first = line.first
    cells = [cell(line.side), cell(line.on)]
    cells += [_value(line, label) for label in results.labels]
    if pair:
        words = verdict(pair, line.delta) if line.delta else "not compared"
        changed = _difference_cells(line.delta)
        effect = line.delta.effect_size if line.delta else math.nan
        if not math.isnan(effect):
            changed[0]["interval"] = f"effect size {number(effect, 2)}"
        cells += [*changed, cell(words)]
    else:
        cells.append(number_cell(first.null_mean, 3))
    count = cell(f"{first.n:,}" if first.n else "", str(first.n), "number")
    count["interval"] = ", ".join(t for t in (first.unit, first.estimator, first.method) if t)
    cells.append(count)
    return {
        "measure": line.measure,
        "gist": "",
        "direction": direction_text(line.measure),
        "cells": cells,
    }


def _mining(results: Results) -> list[dict[str, Any]]:
    """What the rows on negatives rest on, from the curves of that name: a row a depth."""
    return [
        {
            "space": curve.space,
            "drawn": curve.side,
            "k": int(data["k"][row]),
            "center": str(data["center"][row]),
            "items N": int(data["items"][row]),
            "anchors": f"{int(data['anchors'][row]):,} of {int(data['anchors_all'][row]):,}",
            "k/N": float(data["k_share"][row]),
            "largest KL": float(data["kl_most_uneven"][row]),
            "largest Gini": float(data["gini_most_uneven"][row]),
        }
        for curve in results.curves
        if curve.name == "mining"
        for data in [curve.columns]
        for row in range(len(data["k"]))
    ]


def _records(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A table of whatever columns the records have."""
    head = list(dict.fromkeys(name for row in rows for name in row))
    cells = [
        [
            number_cell(v) if isinstance(v := row.get(name, ""), float) else cell(_text(v))
            for name in head
        ]
        for row in rows
    ]
    return {"head": head, "rows": cells}


def _parts(results: Results, key: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Parts of recipes or counts: name, and value and source in each space."""
    contents = [space.get(key) or {} for space in results.spaces]
    names = [n for n in dict.fromkeys(n for c in contents for n in c) if n not in _HIDDEN]
    return [
        (name, [(_text(c.get(name, "–")), _text(_sources(c).get(name, ""))) for c in contents])
        for name in names
    ]


def _sources(content: Mapping[str, Any]) -> Mapping[str, Any]:
    sources = content.get("sources")
    return sources if isinstance(sources, Mapping) else {}


def _prefixed(config: Mapping[str, Any]) -> dict[str, Any]:
    return {f"config: {name}": value for name, value in config.items()}


def _pairs(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(str(name), _text(value)) for name, value in content.items()]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}" if abs(value) > 9999 else str(value)
    return dump_json(value)


def _references(results: Results) -> list[tuple[str, str, str]]:
    """Measure, formula and source, once a measure that is shown."""
    shown = dict.fromkeys(
        [r.measure for r in results.rows] + [r.measure for r in results.likenesses]
    )
    found: dict[str, tuple[str, str, str]] = {}
    for measure in shown:
        known = definition(measure)
        if known is not None:
            found.setdefault(known.name, (known.name, known.formula, known.reference))
    return list(found.values())
