"""The claims: as text for a terminal, and as cells of the page. Every number is in the records."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from anisotropy.comparison.deciding import LEAST_SEEDS
from anisotropy.report.cells import (
    Cell,
    Table,
    cell,
    column,
    number_cell,
    numbers_column,
    row,
    table,
)
from anisotropy.report.numbers import interval, minus, number, probability, signed
from anisotropy.results import Results

Record = Mapping[str, Any]
_METHOD = "method"
_DIFFER = "seeds differ"
_SIGNS = {
    "supported": "+",
    "contradicted": "-",
    "no meaningful difference": "=",
    "undecided": "?",
    "mixed": "±",
    _DIFFER: "*",
}


def decided(results: Results) -> list[dict[str, Any]]:
    """The records of decided claims; records of any other shape are left out."""
    return [record for record in results.claims if isinstance(record.get("parts"), list)]


def contrasts_of(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Records by the two methods that they are between, the claims themselves first."""
    ordered = sorted(records, key=lambda record: not record.get("main"))
    found: dict[str, list[Record]] = {}
    for record in ordered:
        found.setdefault(record["contrast"], []).append(record)
    return found


def scopes_of(records: Sequence[Record], claim: str) -> tuple[Record, list[Record]]:
    """What is said of the method, and of the checkpoints of each seed, by one claim."""
    own = [record for record in records if record["claim"] == claim]
    (method,) = (record for record in own if record["scope"] == _METHOD)
    return method, [record for record in own if record["scope"] != _METHOD]


def letters_of(records: Sequence[Record]) -> list[str]:
    """Letters of the claims, in order."""
    return list(dict.fromkeys(record["claim"] for record in records))


def checkpoints_text(records: Sequence[Record]) -> str:
    """Outcomes over seeds: one word where they agree, else how many seeds say what."""
    outcomes = [record["outcome"] for record in records]
    counts = {outcome: outcomes.count(outcome) for outcome in outcomes}
    if len(counts) == 1:
        return f"{outcomes[0]} ({len(outcomes)} seeds)" if len(outcomes) > 1 else str(outcomes[0])
    return ", ".join(
        f"{outcome} ({count} of {len(outcomes)})" for outcome, count in counts.items()
    )


def shown_record(method: Record, checkpoints: Sequence[Record]) -> Record:
    """The record whose numbers a short table shows: over seeds where those are tested."""
    tested = any(part["p"] is not None for part in method["parts"])
    return method if tested or not checkpoints else checkpoints[0]


def claims_text(results: Results, width: int = 100) -> str:
    """The claims of the first contrast with their measures, and the outcomes of the others.

    Parameters
    ----------
    results
        Of a reproduction.
    width
        Letters a line.

    Returns
    -------
    str
        Without a final newline; empty where there are no decided claims.
    """
    groups = list(contrasts_of(decided(results)).items())
    if not groups:
        return ""
    name, records = groups[0]
    few = few_seeds(records)
    lines = [f"Claims: {heading(name, records)}", *([f"({few})"] if few else []), ""]
    for letter in letters_of(records):
        lines += _claim_lines(*scopes_of(records, letter), width)
    text = "\n".join([*lines, *_grid(groups[1:])])
    return "".join(c if c == "\n" or c.isprintable() else "?" for c in text)


def heading(name: str, records: Sequence[Record]) -> str:
    """The two methods, and what they differ in."""
    return f"{name.replace(' - ', ' − ')} ({records[0]['what']})"


def few_seeds(records: Sequence[Record]) -> str:
    """Why the method is undecided whatever the measures say; empty with seeds enough."""
    method, checkpoints = scopes_of(records, letters_of(records)[0])
    count = len(checkpoints)
    if count >= LEAST_SEEDS or any(part["p"] is not None for part in method["parts"]):
        return ""
    seeds = "1 seed" if count == 1 else f"{count} seeds"
    return f"{seeds}; a claim about the method needs {LEAST_SEEDS} or more"


def _grid(groups: Sequence[tuple[str, Sequence[Record]]]) -> list[str]:
    """A line a contrast, a sign a claim: of the method, then of the checkpoints."""
    if not groups:
        return []
    letters = letters_of([record for _, records in groups for record in records])
    wide = max(len(name) for name, _ in groups)
    lines = ["", "The same claims between other methods (the method / these checkpoints)"]
    lines.append(" " * (wide + 2) + "".join(x.ljust(6) for x in letters).rstrip())
    for name, records in groups:
        known = letters_of(records)
        signs = [_signs(*scopes_of(records, x)) if x in known else "" for x in letters]
        lines.append(name.ljust(wide + 2) + "".join(sign.ljust(6) for sign in signs).rstrip())
        lines.append(f"    {records[0]['what']}{_steps(records[0])}")
    return [*lines, ", ".join(f"{sign} {outcome}" for outcome, sign in _SIGNS.items())]


def _signs(method: Record, checkpoints: Sequence[Record]) -> str:
    outcomes = {record["outcome"] for record in checkpoints}
    (one,) = outcomes if len(outcomes) == 1 else (_DIFFER,)
    return f"{_SIGNS[method['outcome']]}/{_SIGNS[one]}"


def _claim_lines(method: Record, checkpoints: Sequence[Record], width: int) -> list[str]:
    record = shown_record(method, checkpoints)
    lines = textwrap.wrap(f"{record['claim']:<3} {record['text']}", width)
    lines.append(f"    for the method: {outcome_text(method)}")
    lines.append(f"    for these checkpoints: {checkpoints_text(checkpoints)}")
    lines += [f"      {part_text(part)}" for part in record["parts"]]
    if record["note"]:
        lines += textwrap.wrap(
            f"note: {record['note']}", width, initial_indent="      ", subsequent_indent="      "
        )
    return lines


def outcome_text(record: Record) -> str:
    """Outcome with its corrected p, where it has one."""
    p = probability(_value(record["p_holm"]))
    return f"{record['outcome']}{f', p (Holm) {p}' if p else ''}"


def part_text(part: Record) -> str:
    """A measure of a claim: what is asked, what was found, what follows."""
    arrow = "↑" if part["direction"] == "up" else "↓"
    role = "" if part["role"] == "primary" else f" ({part['role']})"
    name = f"{part['side']} {part['measure']} {arrow} against {part['against']}{role}"
    if part["delta"] is None:
        return f"{name}: {part['outcome']}, {part['note']}"
    margin = f", margin {_scaled(part, part['margin'])}" if part["role"] == "primary" else ""
    return f"{name}: {_difference(part)}{margin}: {part['outcome']}"


def _difference(part: Record) -> str:
    delta = _scaled(part, part["delta"], sign=True)
    low, high = _value(part["ci_low"]), _value(part["ci_high"])
    if part["scale"] == "relative":
        low, high = 100 * low, 100 * high
    between = interval(low, high)
    unit = "%" if part["scale"] == "relative" and between else ""
    return f"{delta} {between}{unit}".rstrip()


def _scaled(part: Record, value: float | None, sign: bool = False) -> str:
    relative = part["scale"] == "relative"
    known = _value(value) * (100 if relative else 1)
    text = signed(known) if sign else number(known, 3)
    return f"{text}%" if relative else text


def _value(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _steps(record: Record) -> str:
    known = record.get("steps") or [None, None]
    if None in known:
        return ""
    return f"; {known[0]} and {known[1]} optimizer steps after ANCE"


def claims_view(results: Results) -> dict[str, Any]:
    """What the page shows of decided claims.

    Returns
    -------
    dict
        ``what`` the claims are between and ``few`` seeds; tables ``claims`` (outcomes),
        ``measures`` of these, ``others`` (the same claims between other methods) and every
        ``parts``. Empty where nothing was decided.
    """
    groups = contrasts_of(decided(results))
    if not groups:
        return {}
    (first, records), *rest = groups.items()
    return {
        "what": f"{heading(first, records)}{_steps(records[0])}",
        "few": few_seeds(records),
        "claims": _outcomes(records),
        "measures": _measures(records),
        "others": _others(rest),
        "parts": _all_parts(groups),
    }


def _outcomes(records: Sequence[Record]) -> Table:
    head = [column("", "letter", "claim"), column("for the method", "method", "p_holm"),
            column("for these checkpoints")]  # fmt: skip
    rows = []
    for letter in letters_of(records):
        method, checkpoints = scopes_of(records, letter)
        claim = {**cell(letter, letter, method["text"]), "after": method["text"]}
        said, of_checkpoints = outcome_text(method), checkpoints_text(checkpoints)
        outcome = cell(
            said, method["outcome"], _value(method["p_holm"]), kind=_bold(method["outcome"])
        )
        rows.append(row(claim, outcome, cell(of_checkpoints, kind=_bold(of_checkpoints))))
    return table("claims", head, rows, "claims")


def _bold(outcome: str) -> str:
    return "clear" if outcome.startswith("supported") else ""


def _measures(records: Sequence[Record]) -> Table:
    head = [column("claim"), column("measures"), column("note")]
    rows = []
    for letter in letters_of(records):
        shown = shown_record(*scopes_of(records, letter))
        lines = [minus(part_text(part)) for part in shown["parts"]]
        measures = cell("", "; ".join(lines), kind="wrap", small=lines)
        rows.append(row(cell(letter), measures, cell(str(shown["note"]), kind="wrap")))
    return table("claim-measures", head, rows)


def _others(groups: Sequence[tuple[str, Sequence[Record]]]) -> Table | None:
    """Outcomes of the claims between other methods, a row a contrast."""
    if not groups:
        return None
    letters = list(dict.fromkeys(r["claim"] for _, records in groups for r in records))
    rows = []
    for name, records in groups:
        known = set(letters_of(records))
        cells = [_both(*scopes_of(records, x)) if x in known else cell("", "", "")
                 for x in letters]  # fmt: skip
        what = f"{records[0]['what']}{_steps(records[0])}"
        rows.append(row(cell(name, name, what, small=[what]), *cells))
    head = [column("between", "between", "what")]
    head += [column(x, f"{x} method", f"{x} checkpoints") for x in letters]
    return table("attribution", head, rows)


def _both(method: Record, checkpoints: Sequence[Record]) -> Cell:
    of_checkpoints = checkpoints_text(checkpoints)
    return cell(method["outcome"], method["outcome"], of_checkpoints,
                small=[f"checkpoints: {of_checkpoints}"])  # fmt: skip


def _all_parts(groups: Mapping[str, Sequence[Record]]) -> Table:
    head = [
        column("between"),
        column("claim"),
        column("scope", "scope", "seed"),
        column("measure", "measure", "side", "on"),
        column("against"),
        column("role", "role", "direction", "scale"),
        numbers_column("difference"),
        numbers_column("95% interval", "ci_low", "ci_high"),
        numbers_column("margin"),
        numbers_column("p"),
        numbers_column("n"),
        column("outcome", "outcome", "note"),
    ]
    rows = []
    for name, records in groups.items():
        for record in records:
            seed = "" if record["seed"] is None else f", seed {record['seed']}"
            scope = cell(f"{record['scope']}{seed}", record["scope"], record["seed"])
            about = [cell(name), cell(record["claim"]), scope]
            rows += [row(*about, *_part_cells(part)) for part in record["parts"]]
    return table("claim-parts", head, rows)


def _part_cells(part: Record) -> list[Cell]:
    low, high = _value(part["ci_low"]), _value(part["ci_high"])
    relative = " (relative)" if part["scale"] == "relative" else ""
    p = _value(part["p"])
    return [
        cell(f"{part['side']} {part['measure']} (on {part['on']})",
             part["measure"], part["side"], part["on"]),
        cell(part["against"]),
        cell(f"{part['role']}, {part['direction']}{relative}",
             part["role"], part["direction"], part["scale"]),
        number_cell(_value(part["delta"]), 3),
        cell(interval(low, high), low, high, kind="number"),
        number_cell(_value(part["margin"]), 3),
        cell(probability(p), p, kind="number"),
        cell(f"{part['n']:,}" if part["n"] else "", part["n"], kind="number"),
        cell(part["outcome"], part["outcome"], part["note"], small=[part["note"]]),
    ]  # fmt: skip
