"""Results as text in the formats of ``--format``."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Callable, Sequence

from anisotropy.errors import UsageError, one_of
from anisotropy.files import dump_json
from anisotropy.plots.compared import pairs_of
from anisotropy.plots.words import verdict
from anisotropy.report.numbers import interval, number, probability, signed
from anisotropy.report.rows import (
    Line,
    collection_of,
    doubts_of,
    headline_groups,
    seeds_text,
    title_of,
)
from anisotropy.report.terminal import terminal_table
from anisotropy.results import Results

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    # Without T1 fonts these three come out as other signs.
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
}
_LATEX_LETTER = re.compile("|".join(re.escape(letter) for letter in _LATEX))
_MARKDOWN_LETTER = re.compile(r"([\\`*_\[\]<>#|~])")


def format_results(results: Results, format: str = "table", width: int | None = None) -> str:
    """Results as text.

    Parameters
    ----------
    results
        What to show.
    format
        ``table`` (headline rows, for a terminal), ``json`` (everything, as in
        ``results.json``), ``csv`` (all measurements, as in ``results.csv``), ``latex``
        (headline rows, booktabs, four decimals) or ``markdown`` (headline rows).
    width
        Letters a line of ``table``; default: of the terminal, 80 to 160.

    Returns
    -------
    str
        Without a final newline.

    Raises
    ------
    UsageError
        If the format is unknown.
    """
    if format not in FORMATS:
        raise UsageError(f"format: {one_of(format, FORMATS)}")
    if format == "table":
        columns = width or shutil.get_terminal_size((100, 24)).columns
        return terminal_table(results, width or min(max(columns, 80), 160))
    return _WRITERS[format](results)


def _json(results: Results) -> str:
    return dump_json(results.as_dict(), indent=1)


def _csv(results: Results) -> str:
    return results.measurements.to_csv(index=False, lineterminator="\n").rstrip("\n")


def _latex(results: Results) -> str:
    lines = [f"% {_one_line(title_of(results))}; {_one_line(collection_of(results))}"]
    lines += [f"% {_one_line(text)}"] if (text := seeds_text(results)) else []
    lines += [f"% in doubt: {_one_line(f'{who}: {what}')}" for who, what in doubts_of(results)]
    views = _views(results)
    for view in views:
        lines += [f"% {_one_line(title_of(view))}"] if len(views) > 1 else []
        lines += _tabular(view)
    return "\n".join(lines)


def _views(results: Results) -> list[Results]:
    """What there is a table of: each comparison, or all spaces side by side."""
    return [pair for pair in pairs_of(results) if pair.deltas] or [results]


def _tabular(results: Results) -> list[str]:
    head, groups = _table(results, _four_decimals)
    columns = "ll" + "r" * (len(head) - 2)
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", _latex_row(head), r"\midrule"]
    for place, (group, rows) in enumerate(groups):
        lines += [r"\addlinespace"] * bool(place)
        lines.append(rf"\multicolumn{{{len(head)}}}{{l}}{{\emph{{{latex_text(group)}}}}} \\")
        lines += [_latex_row(row) for row in rows]
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(latex_text(cell) for cell in cells) + r" \\"


def latex_text(text: str) -> str:
    """Text for LaTeX: what it takes for commands escaped, signs and dashes as it sets them."""
    escaped = _LATEX_LETTER.sub(lambda found: _LATEX[found[0]], _one_line(text))
    escaped = re.sub(r"-(?=-)", "-{}", escaped)  # no dash out of two hyphens
    return re.sub(r"(?<![\w–-])-(?=\d)", "$-$", escaped).replace("–", "--")


def _markdown(results: Results) -> str:
    lines = [
        f"**{markdown_text(title_of(results))}** on {markdown_text(collection_of(results))}",
        "",
    ]
    for who, what in doubts_of(results):
        lines += [f"**In doubt:** {markdown_text(f'{who}: {what}')}", ""]
    lines += [markdown_text(text), ""] if (text := seeds_text(results)) else []
    views = _views(results)
    for view in views:
        lines += [f"**{markdown_text(title_of(view))}**", ""] if len(views) > 1 else []
        lines += [*_markdown_table(view), ""]
    if results.withheld:
        return "\n".join([*lines, f"{len(results.withheld)} withheld."])
    return "\n".join(lines[:-1])


def _markdown_table(results: Results) -> list[str]:
    head, groups = _table(results, number)
    lines = [markdown_row(head), markdown_row(["---"] * 2 + ["---:"] * (len(head) - 2), True)]
    for group, rows in groups:
        lines.append(markdown_row([f"**{group}**"] + [""] * (len(head) - 1), True))
        lines += [markdown_row(row) for row in rows]
    return lines


def markdown_row(cells: Sequence[str], ready: bool = False) -> str:
    """A line of a table; cells are escaped unless they are `ready`."""
    shown = [cell if ready else markdown_text(cell) for cell in cells]
    return f"| {' | '.join(shown)} |"


def markdown_text(text: str) -> str:
    """Text for Markdown: on one line, its own marks escaped."""
    return _MARKDOWN_LETTER.sub(r"\\\1", _one_line(text))


def _four_decimals(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4f}"


Show = Callable[[float], str]


def _table(results: Results, show: Show) -> tuple[list[str], list[tuple[str, list[list[str]]]]]:
    """Header and, group by group, the cells of the headline rows."""
    labels = results.labels
    compared = bool(results.deltas)
    head = ["measure", "side (on)", *labels]
    head += ["delta", "95% interval", "p (Holm)", "verdict"] if compared else []
    groups = [
        (group, [_cells(results, line, show, compared) for line in lines])
        for group, lines in headline_groups(results)
    ]
    return head, groups


def _cells(results: Results, line: Line, show: Show, compared: bool) -> list[str]:
    values = [show(line.cells[x].value) if x in line.cells else "–" for x in results.labels]
    cells = [line.measure, f"{line.side} ({line.on})", *values]
    if not compared:
        return cells
    delta = line.delta
    if delta is None:
        return [*cells, "", "", "", "not compared"]
    if show is number:
        change, between = signed(delta.delta), interval(delta.ci_low, delta.ci_high)
    else:
        change = show(delta.delta)
        missing = math.isnan(delta.ci_low) or math.isnan(delta.ci_high)
        between = "" if missing else f"[{show(delta.ci_low)}, {show(delta.ci_high)}]"
    return [*cells, change, between, probability(delta.p_holm), verdict(results, delta)]


_WRITERS: dict[str, Callable[[Results], str]] = {
    "json": _json,
    "csv": _csv,
    "latex": _latex,
    "markdown": _markdown,
}
FORMATS = ("table", *_WRITERS)
