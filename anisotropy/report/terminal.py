"""The table that a command prints."""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections.abc import Sequence

from anisotropy.plots.compared import pairs_of
from anisotropy.plots.words import direction, verdict
from anisotropy.report.numbers import interval, number, probability, signed
from anisotropy.report.rows import (
    Line,
    brief,
    collection_of,
    doubts_of,
    named_measures,
    seeds_text,
    shown_groups,
    title_of,
    transforms_of,
)
from anisotropy.results import Results

_INDENT, _BETWEEN = "  ", "  "
_CELL = 9
_ARROW = {"down": "↓", "up": "↑", None: ""}
_ARROWS = "↓ ↑  the direction that is more isotropic, closer, more even or better"


def terminal_table(results: Results, width: int = 100) -> str:
    """The headline rows as text, doubts first, warnings and what is withheld last.

    Parameters
    ----------
    results
        Of one space, several, or two compared.
    width
        Letters a line. A comparison that is too wide for it takes two lines a row; several
        spaces that do not fit beside each other come in blocks.

    Returns
    -------
    str
        Without a final newline.
    """
    pairs = [pair for pair in pairs_of(results) if pair.deltas]
    groups = shown_groups(results)
    if pairs and groups:
        blocks = [_pair_block(pair, width, len(pairs) > 1) for pair in pairs]
    else:
        blocks = [_measured(results, groups, width)] if groups else ["no headline rows"]
    alike = _similarities(results, bool(groups))
    body = [*blocks[:-1], f"{blocks[-1]}\n{_ARROWS}" if groups else blocks[-1]]
    shown = [alike] if alike and not groups else [*body, alike]
    parts = [_opening(results, width), *shown, *_closing(results, width)]
    text = "\n\n".join(part for part in parts if part)
    # Labels and warnings may come from files: nothing in them may steer the terminal.
    return "".join(c if c == "\n" or c.isprintable() else "?" for c in text)


def _pair_block(pair: Results, width: int, titled: bool) -> str:
    table = _compared(pair, shown_groups(pair), width)
    return f"{textwrap.fill(title_of(pair), width)}\n{table}" if titled else table


def _similarities(results: Results, others: bool) -> str:
    """Similarities asked for by name, and all where they are the whole result."""
    named = named_measures(results)
    several = len(results.comparisons) > 1
    lines = [
        f"{_INDENT}{f'{row.space}: ' if several else ''}{row.side} {row.measure}{_BETWEEN}"
        f"{number(row.value)} {interval(row.ci_low, row.ci_high)}".rstrip()
        + (f" (by chance {number(row.null_mean)})" if row.null_mean == row.null_mean else "")
        for row in results.likenesses
        if row.measure in named or not others
    ]
    whom = f"with {results.comparisons[0][0]}" if several else "of the two spaces"
    return "\n".join([f"similarity {whom}", *lines]) if lines else ""


def _opening(results: Results, width: int) -> str:
    lines = [title_of(results), collection_of(results), *transforms_of(results)]
    lines += [text] if (text := seeds_text(results)) else []
    lines += [f"IN DOUBT  {label}: {doubt}" for label, doubt in doubts_of(results)]
    return _wrapped(lines, width)


def _wrapped(lines: Sequence[str], width: int) -> str:
    return "\n".join(textwrap.fill(line, width, subsequent_indent=_INDENT) for line in lines)


def _closing(results: Results, width: int) -> list[str]:
    parts = [_wrapped([f"warning: {line}" for line in results.warnings], width)]
    if results.withheld:
        noun = "row is" if len(results.withheld) == 1 else "rows are"
        parts.append(f"{len(results.withheld)} {noun} withheld; the report gives the reasons")
    return parts


Groups = Sequence[tuple[str, Sequence[Line]]]


def _compared(results: Results, groups: Groups, width: int) -> str:
    a, b = results.labels
    words = dataclasses.replace(
        results, spaces=[{"label": brief(a)}, {"label": brief(b)}], rows=[], curves=[]
    )
    head = ["", brief(a), brief(b), "delta", "95% interval", "p (Holm)", ""]
    cells = {
        id(line): [name, *_compared_cells(line, (a, b), words)]
        for _, rows in groups
        for name, line in _named(rows)
    }
    widths = [max(len(row[i]) for row in [head, *cells.values()]) for i in range(len(head))]
    wide = len(_INDENT) + sum(widths) + len(_BETWEEN) * (len(widths) - 1) <= width
    lines = [_wide(head, widths) if wide else _numbers(head, widths)]
    for group, rows in groups:
        lines.append(_heading(group, rows))
        for row in rows:
            shown = cells[id(row)]
            if wide:
                lines.append(_wide(shown, widths))
            else:
                lines += [_name_and_verdict(shown, width), _numbers(shown, widths)]
    return "\n".join(lines)


def _compared_cells(line: Line, labels: tuple[str, str], words: Results) -> list[str]:
    values = [number(line.cells[x].value) if x in line.cells else "–" for x in labels]
    delta = line.delta
    if delta is None:
        return [*values, "", "", "", "not compared"]
    return [
        *values,
        signed(delta.delta),
        interval(delta.ci_low, delta.ci_high),
        probability(delta.p_holm),
        verdict(words, delta),
    ]


def _name(line: Line) -> str:
    # The side names the role already.
    measure = re.sub(r"(, )?role=\w+", "", line.measure).replace("()", "")
    better, _ = direction(line.measure)
    return f"{line.side} {measure} {_ARROW[better]}".rstrip()


def _named(rows: Sequence[Line]) -> list[tuple[str, Line]]:
    """Lines with their names; with the transform where it is not the same in the whole group."""
    mixed = len({row.on for row in rows}) > 1
    return [(f"{_name(row)} {row.on}" if mixed else _name(row), row) for row in rows]


def _heading(group: str, rows: Sequence[Line]) -> str:
    return f"{group} (on {', '.join(dict.fromkeys(row.on for row in rows))})"


def _wide(cells: Sequence[str], widths: Sequence[int]) -> str:
    name = cells[0].ljust(widths[0])
    middle = [cell.rjust(w) for cell, w in zip(cells[1:-1], widths[1:-1], strict=True)]
    return (_INDENT + _BETWEEN.join([name, *middle, cells[-1]])).rstrip()


def _numbers(cells: Sequence[str], widths: Sequence[int]) -> str:
    middle = [cell.rjust(w) for cell, w in zip(cells[1:-1], widths[1:-1], strict=True)]
    return (_INDENT * 2 + _BETWEEN.join(middle)).rstrip()


def _name_and_verdict(cells: Sequence[str], width: int) -> str:
    room = width - len(_INDENT) - len(cells[-1]) - len(_BETWEEN)
    name = cells[0] if len(cells[0]) <= room else cells[0][: room - 1] + "…"
    return f"{_INDENT}{name.ljust(room)}{_BETWEEN}{cells[-1]}"


def _measured(results: Results, groups: Groups, width: int) -> str:
    names = max((len(name) for _, rows in groups for name, _ in _named(rows)), default=0)
    labels = results.labels
    single = len(labels) == 1
    texts = [_value(line, label) for _, rows in groups for line in rows for label in labels]
    cell = max([*map(len, texts), *(len(brief(label)) for label in labels)], default=_CELL)
    room = width - len(_INDENT) - names
    at_once = max(room // (cell + len(_BETWEEN)), 1)
    blocks = [labels[start : start + at_once] for start in range(0, len(labels), at_once)]
    return "\n\n".join(_block(groups, block, names, cell, single) for block in blocks)


def _block(groups: Groups, labels: Sequence[str], names: int, cell: int, null: bool) -> str:
    def row(name: str, texts: Sequence[str]) -> str:
        shown = [text.ljust(cell) for text in texts]
        return (_INDENT + _BETWEEN.join([name.ljust(names), *shown])).rstrip()

    lines = [row("", [*map(brief, labels), *(["null"] if null else [])])]
    for group, rows in groups:
        lines.append(_heading(group, rows))
        for name, line in _named(rows):
            texts = [_value(line, label) for label in labels]
            lines.append(row(name, [*texts, *([_null(line)] if null else [])]))
    return "\n".join(lines)


def _value(line: Line, label: str) -> str:
    if label not in line.cells:
        return "–"
    row = line.cells[label]
    return f"{number(row.value)} {interval(row.ci_low, row.ci_high)}".rstrip()


def _null(line: Line) -> str:
    mean = line.first.null_mean
    return "" if mean != mean else number(mean, 3)
