"""LaTeX without a TeX at hand: read by the rules that TeX reads by, hostile labels included."""

from __future__ import annotations

import re

import pytest

from anisotropy.plots import FIGURES, available
from anisotropy.report import format_results
from anisotropy.report.drawing import figure_latex
from anisotropy.report.formats import latex_text
from anisotropy.report.methods import method_table
from anisotropy.results import Results
from tests.plots.sample import analysis, comparison, reproduction

HOSTILE = r"[a_b] & 50% $x$ <b>#1</b> \input{x} {~^} |--| 100 %"
#: Everything that the tables and figures may say, of LaTeX itself, graphicx and booktabs.
COMMANDS = {
    "begin", "end", "multicolumn", "emph", "shortstack", "tiny", "centering", "caption", "label",
    "textbackslash", "textasciitilde", "textasciicircum", "textless", "textgreater", "textbar",
    "ldots", "pm", "rho", "cdot", "to", "leftarrow", "ge", "le",
    "includegraphics", "textwidth", "columnwidth",
    "toprule", "midrule", "bottomrule", "addlinespace",
}  # fmt: skip
TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[^\\]", re.DOTALL)


def tokens(text: str) -> list[str]:
    """Tokens with comments and the spaces behind the names of commands gone."""
    lines = [re.sub(r"(?<!\\)%.*", "", line) for line in text.splitlines()]
    return TOKEN.findall("\n".join(line for line in lines if line.strip()))


def check(text: str) -> None:
    """Braces and environments are closed, commands known, special letters escaped."""
    depth, math, environments = 0, False, []
    # Names of files and labels are not set.
    found = tokens(re.sub(r"(\\includegraphics.*?|\\label)\{[\w:]+\}", r"\1{}", text))
    for place, token in enumerate(found):
        depth += (token == "{") - (token == "}")
        math ^= token == "$"
        assert depth >= 0, "".join(found[:place])
        assert token not in ("#", "~"), token
        assert math or token not in "_^<>|", token
        if token.startswith("\\") and token[1:].isalpha():
            assert token[1:] in COMMANDS, token
    for kind, name in re.findall(r"\\(begin|end)\{([a-z]+\*?)\}", "".join(found)):
        if kind == "begin":
            environments.append(name)
        else:
            assert environments.pop() == name
    assert (depth, math, environments) == (0, False, [])


def tables(text: str) -> list[tuple[int, list[list[str]]]]:
    """Columns and rows of each tabular, split where no brace is open."""
    made = []
    for spec, body in re.findall(
        r"\\begin\{tabular\}\{([lr]+)\}\n(.*?)\\end\{tabular\}", text, re.DOTALL
    ):
        rows, depth = [[""]], 0
        for token in tokens(body):
            depth += (token == "{") - (token == "}")
            if depth == 0 and token == r"\\":
                rows.append([""])
            elif depth == 0 and token == "&":
                rows[-1].append("")
            elif token not in (r"\toprule", r"\midrule", r"\bottomrule", r"\addlinespace"):
                rows[-1][-1] += token
        assert not "".join(rows[-1]).strip()
        made.append((len(spec), [[cell.strip() for cell in row] for row in rows[:-1]]))
    return made


def width(row: list[str]) -> int:
    """Columns that a row fills."""
    spans = re.findall(r"^\\multicolumn\{(\d+)\}", row[0])
    return len(row) + sum(int(span) - 1 for span in spans)


def hostile_reproduction(seeds: int) -> Results:
    results = reproduction(seeds)
    for space in results.spaces:
        space["method"] = f"{HOSTILE} {space['method']}"
    for row in results.rows:
        object.__setattr__(row, "space", f"{HOSTILE} {row.space}")
    return results


@pytest.mark.parametrize(
    "text",
    [
        format_results(comparison(HOSTILE, f"*{HOSTILE}"), "latex"),
        format_results(analysis((HOSTILE, "b", "c")), "latex"),
        format_results(reproduction(), "latex"),
        method_table(hostile_reproduction(2), "ablation").latex(),
        method_table(hostile_reproduction(2), "effectiveness").latex(),
    ],
    ids=["comparison", "analysis", "reproduction", "ablation", "effectiveness"],
)
def test_tables_are_latex(text: str) -> None:
    check(text)
    found = tables(text)
    assert found
    for columns, rows in found:
        assert {width(row) for row in rows} == {columns}
        # A row break takes what begins so for its argument.
        assert not [row[0] for row in rows if row[0][:1] in ("[", "*")]


@pytest.mark.parametrize("name", [kind.name for kind in available(reproduction())])
def test_figures_are_latex(name: str) -> None:
    results = reproduction() if name == "claims" else comparison(HOSTILE, f"*{HOSTILE}")
    text = figure_latex(name, FIGURES[name].caption(results), wide=False)
    check(text)
    assert rf"\includegraphics[width=\columnwidth]{{{name}}}" in text


def test_the_check_can_fail() -> None:
    for wrong in ("a_b", r"\begin{tabular}{l} a \end{table}", "{", "$x", r"\write18{x}", "#1"):
        with pytest.raises((AssertionError, IndexError)):
            check(wrong)
    assert tables("\\begin{tabular}{ll}\na & {b & c\\\\d} \\\\\n\\end{tabular}") == [
        (2, [["a", r"{b & c\\d}"]])
    ]


def test_a_method_table_holds_every_value_in_blocks_of_four() -> None:
    results = reproduction(1)
    table = method_table(results, "ablation")
    ((columns, rows),) = tables(table.latex())
    assert columns == 5
    methods = [method for method, *_ in table.rows]
    starts = [place for place, row in enumerate(rows) if row[0] == "method"]
    assert len(starts) == -(-len(table.places) // 4) > 1
    for block, start in enumerate(starts):
        assert [row[0] for row in rows[start + 1 : start + 5]] == methods
        for column in range(4):
            heads = {row[column + 1] for row in rows[start : start + 1]}
            if 4 * block + column >= len(table.places):
                assert heads == {""}
                continue
            side, measure, on = table.places[4 * block + column]
            head = re.sub(r"\\\\|\s", "", heads.pop())
            assert latex_text(f"{side}{measure}({on})").replace(" ", "") in head
            for row, (_, _, cells) in zip(rows[start + 1 :], table.rows, strict=False):
                cell = cells[4 * block + column]
                assert cell is not None
                assert f"{abs(cell.value):.4f}" in row[column + 1]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("p < 0.001", r"p \textless{} 0.001"), ("a--b", "a-{}-b"), ("1–2", "1--2"), ("-1", "$-$1"),
        ("a\n\nb", "a b"), ("a-1", "a-1"), ("a|b>", r"a\textbar{}b\textgreater{}"),
    ],
)  # fmt: skip
def test_letters_that_latex_reads_otherwise(text: str, wanted: str) -> None:
    assert latex_text(text) == wanted
