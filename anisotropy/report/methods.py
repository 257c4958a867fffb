"""Tables of methods: a row a method, a column a measure; as CSV and LaTeX."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from anisotropy.errors import InputError, UsageError, one_of
from anisotropy.files import write_text
from anisotropy.report.claims_tables import claims_csv, claims_markdown
from anisotropy.report.formats import latex_text
from anisotropy.report.rows import headline_groups
from anisotropy.results import Measurement, Results

TABLES = ("effectiveness", "ablation")
_EFFECTIVENESS = "effectiveness"
#: Columns of a block of a LaTeX table, and letters of a line of its head.
_COLUMNS, _LETTERS = 4, 16
_LATEX_NOTE = r"% needs \usepackage{booktabs}; below the values their 95% intervals"
Place = tuple[str, str, str]


@dataclass(frozen=True)
class MethodTable:
    """A table of methods.

    Attributes
    ----------
    name
        ``effectiveness`` or ``ablation``.
    places
        Side, measure and transform of each column.
    rows
        Method, optimizer steps after ANCE (None = not known), and a measurement a column, None
        where there is none: of its seeds together, or of its one checkpoint.
    """

    name: str
    places: tuple[Place, ...]
    rows: tuple[tuple[str, int | None, tuple[Measurement | None, ...]], ...]

    def csv(self) -> str:
        """Whole numbers: value and interval of every column."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        names = [f"{side} {measure} ({on})" for side, measure, on in self.places]
        parts = ("", " ci_low", " ci_high")
        writer.writerow(["method", "steps_after_ance", *(n + p for n in names for p in parts)])
        for method, steps, cells in self.rows:
            values = [x for row in cells for x in _numbers(row)]
            writer.writerow([method, "" if steps is None else steps, *values])
        return file.getvalue()

    def latex(self) -> str:
        """A booktabs table, values to four decimals over their intervals.

        Of more than four columns the others stand below, in blocks of the same methods: a row of
        them all is wider than a page.
        """
        wide = min(len(self.places), _COLUMNS)
        lines = [_LATEX_NOTE, rf"\begin{{tabular}}{{l{'r' * wide}}}", r"\toprule"]
        for start in range(0, len(self.places), _COLUMNS):
            block = slice(start, start + _COLUMNS)
            lines += [r"\midrule"] * bool(start)
            lines += [_latex_row("method", map(_latex_head, self.places[block]), wide)]
            lines += [r"\midrule"]
            for method, _, cells in self.rows:
                lines += [_latex_row(latex_text(method), map(_latex_cell, cells[block]), wide)]
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _numbers(row: Measurement | None) -> list[str]:
    if row is None:
        return ["", "", ""]
    values = (row.value, row.ci_low, row.ci_high)
    return ["" if math.isnan(value) else repr(float(value)) for value in values]


def _latex_row(first: str, cells: Iterable[str], wide: int) -> str:
    """A row, filled up; the line break before it must not take its first cell for an argument."""
    shown = [f"{{}}{first}" if first[:1] in ("[", "*") else first, *cells]
    return " & ".join([*shown, *[""] * (wide + 1 - len(shown))]) + r" \\"


def _latex_head(place: Place) -> str:
    """Side, measure and transform over each other, long identities in lines of their parts."""
    side, measure, on = place
    text = r"\\".join(latex_text(line) for line in (side, *_lines(measure), f"({on})"))
    return rf"\shortstack[r]{{{text}}}"


def _lines(measure: str) -> list[str]:
    """A text identity in lines of at most 16 letters, broken behind its parts."""
    lines = [""]
    for part in re.findall(r"\(?[^_(,]+(?:_|, ?)?", measure):
        if lines[-1] and len(lines[-1] + part) > _LETTERS:
            lines.append("")
        lines[-1] += part
    return [line.strip() for line in lines]


def _latex_cell(row: Measurement | None) -> str:
    if row is None or math.isnan(row.value):
        return "--"
    value = latex_text(f"{row.value:.4f}")
    if math.isnan(row.ci_low) or math.isnan(row.ci_high):
        return value
    between = latex_text(f"[{row.ci_low:.4f}, {row.ci_high:.4f}]")
    return rf"\shortstack[r]{{{value}\\{{\tiny {between}}}}}"


def method_table(results: Results, name: str) -> MethodTable:
    """One of the tables of a reproduction.

    Parameters
    ----------
    results
        With the method of each space.
    name
        ``effectiveness``: ranking both ways. ``ablation``: the headline measures.

    Raises
    ------
    UsageError
        If there is no table of that name.
    InputError
        If the results have no methods.
    """
    if name not in TABLES:
        raise UsageError(f"table: {one_of(name, TABLES)}")
    methods = list(dict.fromkeys(str(s["method"]) for s in results.spaces if s.get("method")))
    if not methods:
        raise InputError("these results have no methods; they are not of reproduce")
    places = _places(results, name)
    known = {(row.space, row.side, row.measure, row.on): row for row in results.rows}
    rows = []
    for method in methods:
        spaces = [space for space in results.spaces if space.get("method") == method]
        of = method if len(spaces) > 1 else str(spaces[0]["label"])
        cells = tuple(known.get((of, *place)) for place in places)
        rows.append((method, spaces[0].get("steps_after_ance"), cells))
    return MethodTable(name, places, tuple(rows))


def _places(results: Results, name: str) -> tuple[Place, ...]:
    if name == _EFFECTIVENESS:
        rows: Sequence[Measurement] = [r for r in results.rows if r.family == _EFFECTIVENESS]
        return tuple(dict.fromkeys((row.side, row.measure, row.on) for row in rows))
    lines = [line for _, group in headline_groups(results) for line in group]
    return tuple((line.side, line.measure, line.on) for line in lines)


def write_tables(results: Results, folder: str | Path) -> list[Path]:
    """Write every table as ``NAME.csv`` and ``NAME.tex``; the claims as ``.csv`` and ``.md``."""
    paths = []
    for name in TABLES:
        table = method_table(results, name)
        for suffix, text in (("csv", table.csv()), ("tex", table.latex())):
            paths.append(Path(folder) / f"{name}.{suffix}")
            write_text(paths[-1], text)
    for suffix, text in (("csv", claims_csv(results)), ("md", claims_markdown(results))):
        paths.append(Path(folder) / f"claims.{suffix}")
        write_text(paths[-1], text)
    return paths
