"""Tables of measured values and their differences: the headline, and the families."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from anisotropy.plots.compared import seeds_of
from anisotropy.plots.words import ahead, direction_text, gist, verdict
from anisotropy.report.cells import (
    Cell,
    Column,
    Row,
    Table,
    cell,
    column,
    grouped,
    numbers_column,
    row,
    silent,
    silent_column,
    table,
)
from anisotropy.report.numbers import interval, minus, number, probability, signed
from anisotropy.report.rows import Line, families_of, headline_groups, lines_of
from anisotropy.results import Difference, Measurement, Results

_PLACE = ("measure", "side", "on")
_OF_VALUE = ("", " se", " ci_low", " ci_high", " null_mean", " null_sd", " null_p")
_DIFFERENCE = (
    numbers_column("difference", "delta", "se", "effect_size"),
    numbers_column("95% interval", "ci_low", "ci_high"),
    numbers_column("p", "p", "p_holm"),
    column("in words"),
)
_N = numbers_column("n", "n", "unit", "estimator", "method")


def shown_spaces(results: Results) -> list[str]:
    """What values are shown of: methods where results hold means over seeds, else spaces."""
    methods = list(dict.fromkeys(str(s["method"]) for s in results.spaces if s.get("method")))
    measured = {found.space for found in results.rows}
    return methods if seeds_of(results) and measured.issuperset(methods) else results.labels


def headline_table(results: Results, pairs: Sequence[Results]) -> Table:
    """The headline rows under the users' words, with the difference of every comparison."""
    if len(pairs) == 1:
        return _headline_of_pair(pairs[0])
    if pairs:
        return _headline_of_pairs(results, pairs)
    names = shown_spaces(results)
    head = [column("measure", *_PLACE), *map(_value_column, names), _null_column()]
    groups = [
        (group, "", [row(_headline_name(x), *_values(x, names), _null(x, names)) for x in lines])
        for group, lines in headline_groups(results)
    ]
    kind = "headline cards narrow" if len(names) == 1 else "headline cards"
    return grouped("headline", head, groups, kind)


def _headline_of_pair(pair: Results) -> Table:
    head = [column("measure", *_PLACE), *map(_value_column, pair.labels), _null_column()]
    groups = [
        (group, "", [_headline_row(pair, line) for line in lines])
        for group, lines in headline_groups(pair)
    ]
    return grouped("headline", [*head, *_DIFFERENCE], groups, "headline cards")


def _headline_row(pair: Results, line: Line) -> Row:
    cells = [*_values(line, pair.labels), _null(line, pair.labels)]
    return row(
        _headline_name(line), *cells, *_difference(pair, line.delta), kind=_clear(pair, line.delta)
    )


def _headline_of_pairs(results: Results, pairs: Sequence[Results]) -> Table:
    """A column a comparison: the difference, its interval, and what it says."""
    baseline = pairs[0].labels[0]
    head = [column("measure", *_PLACE), _value_column(baseline)]
    parts = ("", " delta", " ci_low", " ci_high", " p_holm", " in words")
    head += [numbers_column(b, *(f"{b}{x}" for x in parts)) for _, b in map(_labels, pairs)]
    deltas = [{(d.side, d.on, d.measure): d for d in pair.deltas} for pair in pairs]
    groups = []
    for group, lines in headline_groups(results):
        rows = []
        for line in lines:
            own = [found.get((line.side, line.on, line.measure)) for found in deltas]
            cells = [_change(pair, delta) for pair, delta in zip(pairs, own, strict=True)]
            rows.append(row(_headline_name(line), _baseline(line, baseline, own), *cells))
        groups.append((group, "", rows))
    return grouped("headline", head, groups, "headline cards")


def _labels(pair: Results) -> tuple[str, str]:
    a, b = pair.labels
    return a, b


def _baseline(line: Line, name: str, deltas: Sequence[Difference | None]) -> Cell:
    """Value of the baseline; over its seeds that which the differences are from."""
    known = next((delta for delta in deltas if delta is not None), None)
    if name in line.cells or known is None:
        return _value(line, name)
    none = (math.nan,) * (len(_OF_VALUE) - 1)
    return cell(number(known.a), known.a, *none, kind="number")


def _change(pair: Results, delta: Difference | None) -> Cell:
    if delta is None:
        return cell("", *([math.nan] * 5), "not compared", small=["not compared"], kind="number")
    words = verdict(pair, delta)
    return cell(
        signed(delta.delta),
        delta.b, delta.delta, delta.ci_low, delta.ci_high, delta.p_holm, words,
        small=[minus(interval(delta.ci_low, delta.ci_high)), words],
        kind=f"number {_clear(pair, delta)}".strip(),
    )  # fmt: skip


def _clear(pair: Results, delta: Difference | None) -> str:
    if delta is None:
        return ""
    return "unclear" if ahead(pair, delta) is None else "clear"


def _headline_name(line: Line) -> Cell:
    """Measure and place, what it says, and which way carries a word."""
    about = "; ".join(t for t in (gist(line.measure), direction_text(line.measure)) if t)
    name = cell(line.measure, line.measure, line.side, line.on, kind="code", small=[about])
    return {**name, "after": f"{line.side}, on {line.on}"}


def _value_column(name: str) -> Column:
    return numbers_column(name, *(f"{name}{part}" for part in _OF_VALUE))


def _values(line: Line, names: Iterable[str]) -> list[Cell]:
    return [_value(line, name) for name in names]


def _value(line: Line, name: str) -> Cell:
    found = line.cells.get(name)
    if found is None:
        return cell("–", *([math.nan] * len(_OF_VALUE)), kind="number")
    return cell(
        number(found.value),
        found.value, found.se, found.ci_low, found.ci_high,
        found.null_mean, found.null_sd, found.null_p,
        small=[minus(interval(found.ci_low, found.ci_high))], kind="number",
    )  # fmt: skip


def _null_column() -> Column:
    return silent_column("null", "number")


def _null(line: Line, names: Iterable[str]) -> Cell:
    """The values of chance alone; one where they are the same in every space."""
    rows = [line.cells[name] for name in names if name in line.cells]
    texts = [number(found.null_mean, 3) for found in rows if not math.isnan(found.null_mean)]
    return silent(", ".join(dict.fromkeys(texts)), "number")


def _difference(pair: Results, delta: Difference | None) -> list[Cell]:
    nan = math.nan
    if delta is None:
        return [
            cell("", nan, nan, nan, kind="number"), cell("", nan, nan, kind="number"),
            cell("", nan, nan, kind="number"), cell("not compared"),
        ]  # fmt: skip
    effect = "" if math.isnan(delta.effect_size) else f"effect {number(delta.effect_size, 2)}"
    holm = probability(delta.p_holm)
    return [
        cell(signed(delta.delta), delta.delta, delta.se, delta.effect_size,
             small=[minus(effect)], kind="number"),
        cell(interval(delta.ci_low, delta.ci_high), delta.ci_low, delta.ci_high, kind="number"),
        cell(probability(delta.p), delta.p, delta.p_holm, small=[f"Holm {holm}" if holm else ""],
             kind="number"),
        cell(verdict(pair, delta)),
    ]  # fmt: skip


def families(results: Results, pairs: Sequence[Results]) -> list[dict[str, Any]]:
    """Every family that was measured: what it sees, and its tables."""
    from anisotropy.measures.registry import all_families

    known = {family.name: family for family in all_families()}
    one = pairs[0] if len(pairs) == 1 else None
    found = []
    for name, lines in families_of(lines_of(results)):
        family = known.get(name)
        tables = [_family_table(results, name, lines, one)]
        if len(pairs) > 1:
            tables.append(_family_differences(name, lines, pairs))
        found.append(
            {
                "name": name,
                "title": family.title if family else name,
                "sees": family.sees if family else "",
                "blind": family.blind if family else "",
                "tables": [made for made in tables if made["count"]],
            }
        )
    return found


def _by_measure(lines: Iterable[Line]) -> list[tuple[str, list[Line]]]:
    measures: dict[str, list[Line]] = {}
    for line in lines:
        measures.setdefault(line.measure, []).append(line)
    return list(measures.items())


def _about(measure: str) -> str:
    return "; ".join(text for text in (gist(measure), direction_text(measure)) if text)


def _place(line: Line) -> Cell:
    return cell(f"{line.side}, on {line.on}", line.measure, line.side, line.on)


def _family_table(
    results: Results, name: str, lines: Iterable[Line], pair: Results | None
) -> Table:
    names = shown_spaces(results)
    head = [column("measure", *_PLACE), *map(_value_column, names), _null_column()]
    groups = [
        (measure, _about(measure), [_family_row(line, names, pair) for line in own])
        for measure, own in _by_measure(lines)
    ]
    return grouped(name, [*head, *(_DIFFERENCE if pair else ()), _N], groups, "family")


def _family_row(line: Line, names: Sequence[str], pair: Results | None) -> Row:
    cells = [_place(line), *_values(line, names), _null(line, names)]
    if pair is None:
        return row(*cells, _count(line.first))
    kind = _clear(pair, line.delta)
    return row(*cells, *_difference(pair, line.delta), _count(line.first), kind=kind)


def _count(found: Measurement) -> Cell:
    how = ", ".join(text for text in (found.unit, found.estimator, found.method) if text)
    return cell(
        f"{found.n:,}" if found.n else "",
        found.n, found.unit, found.estimator, found.method, small=[how], kind="number",
    )  # fmt: skip


def _family_differences(name: str, lines: Iterable[Line], pairs: Sequence[Results]) -> Table:
    """Every difference of a family, comparison by comparison."""
    deltas: list[Mapping[tuple[str, str, str], Difference]] = [
        {(d.side, d.on, d.measure): d for d in pair.deltas} for pair in pairs
    ]
    head = [column("measure", *_PLACE), column("space"), column("against"), *_DIFFERENCE]
    groups = []
    for measure, own in _by_measure(lines):
        rows = [
            row(_place(line), cell(pair.labels[1]), cell(pair.labels[0]),
                *_difference(pair, delta), kind=_clear(pair, delta))
            for line in own
            for pair, known in zip(pairs, deltas, strict=True)
            if (delta := known.get((line.side, line.on, line.measure))) is not None
        ]  # fmt: skip
        if rows:
            groups.append((measure, _about(measure), rows))
    return grouped(f"{name}-differences", head, groups, "family")


def mining_table(results: Results) -> Table:
    """What the rows on negatives rest on, from the curves of that name: a row a depth."""
    head = [column("space"), column("drawn"), numbers_column("k"), column("center"),
            numbers_column("items N"), numbers_column("anchors", "anchors", "anchors_all"),
            numbers_column("k/N"), numbers_column("largest KL"),
            numbers_column("largest Gini")]  # fmt: skip
    rows = [
        row(
            cell(curve.space), cell(curve.side), _whole(data["k"][i]),
            cell(str(data["center"][i])), _whole(data["items"][i]),
            cell(f"{int(data['anchors'][i]):,} of {int(data['anchors_all'][i]):,}",
                 int(data["anchors"][i]), int(data["anchors_all"][i]), kind="number"),
            _share(data["k_share"][i]), _share(data["kl_most_uneven"][i]),
            _share(data["gini_most_uneven"][i]),
        )
        for curve in results.find_curves("mining")
        for data in [curve.columns]
        for i in range(len(data["k"]))
    ]  # fmt: skip
    return table("mining", head, rows)


def _whole(value: Any) -> Cell:
    return cell(f"{int(value):,}", int(value), kind="number")


def _share(value: Any) -> Cell:
    return cell(number(float(value)), float(value), kind="number")
