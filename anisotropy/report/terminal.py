"""The table that a command prints."""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

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
_CELL, _LABEL = 9, 24
_ARROW = {"down": "↓", "up": "↑", None: ""}
NO_ROWS = "no headline rows"
ARROWS = "↓ ↑  the direction that is more isotropic, closer, more even or better"


@dataclass(frozen=True)
class Table:
    """Headline rows as texts, a block of them under each of the users' words.

    Attributes
    ----------
    title
        What is compared; empty where there is one table.
    head
        Names of the columns; that of the first, the measure, is empty.
    groups
        Heading and rows of each block, a text a column.
    null, compared
        Whether the last column is the null; whether this is a comparison.
    """

    title: str
    head: list[str]
    groups: list[tuple[str, list[list[str]]]]
    null: bool
    compared: bool

    @property
    def rows(self) -> list[list[str]]:
        """The rows of all blocks."""
        return [row for _, rows in self.groups for row in rows]


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
    tables = headline_tables(results)
    alike = similarity_text(results, bool(tables))
    blocks = [_block_text(table, width) for table in tables]
    body = [*blocks[:-1], f"{blocks[-1]}\n{ARROWS}", alike] if blocks else [alike or NO_ROWS]
    opening = _wrapped(opening_lines(results), width)
    closing = [_wrapped(lines, width) for lines in closing_parts(results)]
    text = "\n\n".join(part for part in [opening, *body, *closing] if part)
    return "\n".join(printable(line) for line in text.split("\n"))


def printable(line: str) -> str:
    """A line in which nothing steers the terminal: labels and warnings may come from files."""
    return "".join(c if c.isprintable() else "?" for c in line)


def headline_tables(results: Results) -> list[Table]:
    """A table a comparison, or one of all spaces; none where there are no headline rows."""
    groups = shown_groups(results)
    if not groups:
        return []
    pairs = [pair for pair in pairs_of(results) if pair.deltas]
    if pairs:
        return [_compared(pair, len(pairs) > 1) for pair in pairs]
    return [_measured(results, groups)]


def _block_text(table: Table, width: int) -> str:
    text = _compared_text(table, width) if table.compared else _measured_text(table, width)
    return f"{textwrap.fill(table.title, width)}\n{text}" if table.title else text


def similarity_text(results: Results, others: bool) -> str:
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


def opening_lines(results: Results) -> list[str]:
    """What the results are of, what was done to the embeddings, and what is in doubt."""
    lines = [title_of(results), collection_of(results), *transforms_of(results)]
    lines += [text] if (text := seeds_text(results)) else []
    return lines + [f"IN DOUBT  {label}: {doubt}" for label, doubt in doubts_of(results)]


def _wrapped(lines: Sequence[str], width: int) -> str:
    return "\n".join(textwrap.fill(line, width, subsequent_indent=_INDENT) for line in lines)


def closing_parts(results: Results) -> list[list[str]]:
    """Warnings, and how much is withheld."""
    parts = [[f"warning: {line}" for line in results.warnings]]
    if results.withheld:
        noun = "row is" if len(results.withheld) == 1 else "rows are"
        parts.append([f"{len(results.withheld)} {noun} withheld; the report gives the reasons"])
    return parts


Groups = Sequence[tuple[str, Sequence[Line]]]


def _compared(results: Results, titled: bool) -> Table:
    a, b = results.labels
    words = dataclasses.replace(
        results, spaces=[{"label": brief(a)}, {"label": brief(b)}], rows=[]
    )
    groups = [
        (
            _heading(group, rows),
            [[name, *_compared_cells(line, (a, b), words)] for name, line in _named(rows)],
        )
        for group, rows in shown_groups(results)
    ]
    head = ["", brief(a), brief(b), "delta", "95% interval", "p (Holm)", ""]
    return Table(title_of(results) if titled else "", head, groups, False, True)


def _compared_text(table: Table, width: int) -> str:
    head = table.head
    widths = [max(len(row[i]) for row in [head, *table.rows]) for i in range(len(head))]
    wide = len(_INDENT) + sum(widths) + len(_BETWEEN) * (len(widths) - 1) <= width
    lines = [_wide(head, widths) if wide else _numbers(head, widths)]
    for heading, rows in table.groups:
        lines.append(heading)
        for row in rows:
            if wide:
                lines.append(_wide(row, widths))
            else:
                lines += [_name_and_verdict(row, width), _numbers(row, widths)]
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


def _measured(results: Results, groups: Groups) -> Table:
    labels = results.labels
    null = len(labels) == 1
    shown = [
        (
            _heading(group, rows),
            [
                [name, *(_value(line, x) for x in labels), *([_null(line)] if null else [])]
                for name, line in _named(rows)
            ],
        )
        for group, rows in groups
    ]
    names = [brief(label, _LABEL) for label in labels]
    return Table("", ["", *names, *(["null"] if null else [])], shown, null, False)


def _measured_text(table: Table, width: int) -> str:
    names = max(len(row[0]) for row in table.rows)
    columns = range(1, len(table.head) - table.null)
    cell = max([_CELL, *(len(row[i]) for row in [table.head, *table.rows] for i in columns)])
    at_once = max((width - len(_INDENT) - names) // (cell + len(_BETWEEN)), 1)
    blocks = [columns[start : start + at_once] for start in range(0, len(columns), at_once)]
    return "\n\n".join(_columns_text(table, block, names, cell) for block in blocks)


def _columns_text(table: Table, columns: Sequence[int], names: int, cell: int) -> str:
    def row(texts: Sequence[str]) -> str:
        shown = [texts[i] for i in columns] + list(texts[len(texts) - table.null :])
        padded = [texts[0].ljust(names), *(text.ljust(cell) for text in shown)]
        return (_INDENT + _BETWEEN.join(padded)).rstrip()

    lines = [row(table.head)]
    for heading, rows in table.groups:
        lines += [heading, *map(row, rows)]
    return "\n".join(lines)


def _value(line: Line, label: str) -> str:
    if label not in line.cells:
        return "–"
    row = line.cells[label]
    return f"{number(row.value)} {interval(row.ci_low, row.ci_high)}".rstrip()


def _null(line: Line) -> str:
    mean = line.first.null_mean
    return "" if mean != mean else number(mean, 3)
