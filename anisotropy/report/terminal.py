"""The table that a command prints."""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections.abc import Sequence

from anisotropy.plots.words import direction, verdict
from anisotropy.report.numbers import interval, number, probability, signed
from anisotropy.report.rows import (
    Line,
    brief,
    collection_of,
    doubts_of,
    headline_groups,
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
    groups = headline_groups(results)
    compared = len(results.labels) == 2 and bool(results.deltas)
    body = _compared(results, groups, width) if compared else _measured(results, groups, width)
    body = f"{body}\n{_ARROWS}" if groups else _without_headline(results)
    parts = [_opening(results, width), body, *_closing(results, width)]
    text = "\n\n".join(part for part in parts if part)
    # Labels and warnings may come from files: nothing in them may steer the terminal.
    return "".join(c if c == "\n" or c.isprintable() else "?" for c in text)


def _without_headline(results: Results) -> str:
    """Similarities are the whole result where only they were asked for."""
    lines = [
        f"{_INDENT}{row.side} {row.measure}{_BETWEEN}{number(row.value)} "
        f"{interval(row.ci_low, row.ci_high)}".rstrip()
        for row in results.likenesses
    ]
    return "\n".join(["similarity of the two spaces", *lines] if lines else ["no headline rows"])


def _opening(results: Results, width: int) -> str:
    lines = [title_of(results), collection_of(results), *transforms_of(results)]
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
    cells = {id(line): _compared_cells(line, (a, b), words) for _, rows in groups for line in rows}
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
        return [_name(line), *values, "", "", "", "not compared"]
    return [
        _name(line),
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
    names = max((len(_name(line)) for _, rows in groups for line in rows), default=0)
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
        for line in rows:
            texts = [_value(line, label) for label in labels]
            lines.append(row(_name(line), [*texts, *([_null(line)] if null else [])]))
    return "\n".join(lines)


def _value(line: Line, label: str) -> str:
    if label not in line.cells:
        return "–"
    row = line.cells[label]
    return f"{number(row.value)} {interval(row.ci_low, row.ci_high)}".rstrip()


def _null(line: Line) -> str:
    mean = line.first.null_mean
    return "" if mean != mean else number(mean, 3)
