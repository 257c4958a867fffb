"""What spaces and results look like in a notebook: tables without scripts, colors or style sheets.

Colors are those of the page around, so that they are readable in light and dark themes, and an
untrusted notebook, whose scripts and style sheets are taken out, looks the same.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from anisotropy.report.rows import collection_of, transform_text
from anisotropy.report.terminal import (
    ARROWS,
    NO_ROWS,
    Table,
    closing_parts,
    headline_tables,
    opening_lines,
    printable,
    similarity_text,
)
from anisotropy.results import Curve, Results

if TYPE_CHECKING:
    from anisotropy.spaces import EmbeddingSpace

#: Rows of a curve, of which the middle ones are left out.
CURVE_ROWS = 10
_LEFT, _RIGHT = "text-align: left", "text-align: right"
# Said aloud, since a page without a doctype gives tables a color of their own.
_TABLE = "margin: 0.5em 0; table-layout: auto; color: inherit"
_AROUND = "overflow-x: auto"
_CELL = "white-space: nowrap; font-variant-numeric: tabular-nums"


def results_html(results: Results) -> str:
    """The headline rows of the terminal's table, with what stands above and below it.

    Parameters
    ----------
    results
        Of one space, several, or two compared.

    Returns
    -------
    str
        HTML to be put into a page. Every text from elsewhere is escaped.
    """
    title, *lines = opening_lines(results)
    tables = headline_tables(results)
    alike = similarity_text(results, bool(tables))
    parts = [_paragraph([title, *lines], strong=True), *map(_table, tables)]
    parts += [_paragraph([ARROWS])] if tables else []
    parts += [_paragraph(alike.split("\n"))] if alike else []
    parts += [_paragraph([NO_ROWS])] if not tables and not alike else []
    parts += [_paragraph(lines) for lines in closing_parts(results) if lines]
    return _tag("div", "".join(parts), _AROUND)


def space_html(space: EmbeddingSpace) -> str:
    """What a space is: its recipe and what is in doubt, similarity, counts and collection.

    Parameters
    ----------
    space
        Any space.

    Returns
    -------
    str
        HTML to be put into a page. Every text from elsewhere is escaped.
    """
    rows = "".join(
        _tag("tr", _tag("th", _text(name), _LEFT) + _tag("td", _text(value), _LEFT))
        for name, value in _about(space)
    )
    title = _paragraph([f"{space.label}: an embedding space"], strong=True)
    return _tag("div", title + _tag("table", _tag("tbody", rows), _TABLE), _AROUND)


def curve_html(curve: Curve) -> str:
    """What a curve is, and its table as pandas shows it.

    Parameters
    ----------
    curve
        Any curve.

    Returns
    -------
    str
        HTML to be put into a page. Every text from elsewhere is escaped.
    """
    table = curve.frame().to_html(max_rows=CURVE_ROWS, border=0, escape=True)
    title = f"{curve.name} of {curve.space}, {curve.side}"
    return _tag("div", _paragraph([title], strong=True) + table, _AROUND)


def _about(space: EmbeddingSpace) -> Iterable[tuple[str, str]]:
    """Name and value of each row."""
    recipe, counts = space.recipe, space.counts
    yield "recipe", str(recipe.get("name") or "none: embeddings as they were given")
    for doubt in recipe.get("doubts") or ():
        yield "in doubt", str(doubt)
    for note in recipe.get("transform") or ():
        yield "transform", transform_text(note)
    divided = f", divided by {space.temperature:g}" if space.temperature != 1 else ""
    yield "similarity", f"{space.similarity}{divided}"
    yield "dim", str(space.dim)
    for name, count in counts.items():
        same = name == "document_vectors" and count == counts["documents"]
        if name != "dim" and not same and (count or name in ("queries", "documents")):
            yield name.replace("_", " "), f"{count:,}"
    if space.collection_info:
        yield "collection", collection_of(Results([], collection=space.collection_info))


def _table(table: Table) -> str:
    """A table with the very cells of the terminal's; words to the left, numbers to the right."""
    last = len(table.head) - 1 if table.compared else -1
    sides = [_LEFT if i in (0, last) else _RIGHT for i in range(len(table.head))]
    rows = []
    for heading, lines in table.groups:
        rows.append(f'<tr><th colspan="{len(sides)}" style="{_LEFT}">{_text(heading)}</th></tr>')
        rows += [_row("td", line, sides) for line in lines]
    content = _tag("thead", _row("th", table.head, sides)) + _tag("tbody", "".join(rows))
    title = _paragraph([table.title]) if table.title else ""
    return title + _tag("table", content, _TABLE)


def _row(tag: str, texts: Sequence[str], sides: Sequence[str]) -> str:
    cells = [
        _tag(tag, _text(text), f"{side}; {_CELL}") for text, side in zip(texts, sides, strict=True)
    ]
    return _tag("tr", "".join(cells))


def _paragraph(lines: Sequence[str], strong: bool = False) -> str:
    shown = [_text(line) for line in lines]
    if strong:
        shown[0] = _tag("strong", shown[0])
    return _tag("p", "<br>".join(shown))


def _tag(name: str, content: str, style: str = "") -> str:
    attribute = f' style="{style}"' if style else ""
    return f"<{name}{attribute}>{content}</{name}>"


def _text(text: str) -> str:
    """`text` as text of a page; what does not print is a question mark, as in the terminal."""
    return html.escape(printable(text))
