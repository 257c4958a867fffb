# ruff: noqa: E501  tables as they are printed
"""Reports: every number is one of the results, every text from elsewhere stays text."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from anisotropy.errors import UsageError
from anisotropy.report import FORMATS, format_results, terminal_table, write_html
from anisotropy.report.numbers import interval, number, probability, signed
from anisotropy.report.page import render_html
from anisotropy.report.pairwise import similarity_table
from anisotropy.results import Association, Results, Similarity
from tests.plots.sample import ROWS, analysis, comparison, thin

EVIL = "<script>alert(1)</script>"
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Tags, ids, texts by tag, and the urls of a page; refuses unbalanced tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.urls: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.cells: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "action", "data", "srcset"):
                self.urls.append((tag, name, value or ""))
        if tag in ("td", "th"):
            self.cells.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)
        if {"td", "th"} & set(self.open):
            self.cells[-1] += data

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def html() -> str:
    return render_html(comparison())


@pytest.fixture(scope="module")
def compared(html: str) -> Page:
    return Page(html)


def test_page_has_every_headline_row(compared: Page) -> None:
    for side, on, _, measure, values, _, headline, _ in ROWS:
        if headline:
            row = next(
                i
                for i, cell in enumerate(compared.cells)
                if cell.startswith(f"{measure} · {side}, on {on}")
            )
            shown = compared.cells[row + 1 : row + 3]
            assert [cell.split("[")[0].split("null")[0] for cell in shown] == [
                number(value).replace("-", "−") for value in values[:2]
            ]


def test_page_says_what_was_compared_and_what_is_in_doubt(compared: Page) -> None:
    words = compared.words
    order = [
        "dance against ance",
        "docstrings, not MS MARCO",
        "In doubt: read this first",
        "normalization is not recorded",
        "Headline",
        "What changed beyond its uncertainty",
        "Figures",
        "All measurements, by family",
        "Blind to: collapse to a few dimensions",
        "How alike the two spaces are",
        "Withheld",
        "a scores by dot product, b by cosine",
        "Warnings",
        "3 documents are empty",
        "Provenance",
        "training_args.bin",
        "Methods",
    ]
    places = [words.index(text, words.index("In doubt") if i > 2 else 0) for i, text in enumerate(order)]  # fmt: skip
    assert places == sorted(places)
    assert "dance more isotropic : queries mean_cosine (on unit) is lower in dance" in words
    assert "No clear difference in: cross gap" in words


def test_every_section_has_an_anchor(compared: Page) -> None:
    assert len(compared.ids) == len(set(compared.ids))
    wanted = {"doubts", "headline", "changes", "figures", "families", "similarity", "withheld",
              "warnings", "provenance", "methods", "family-cone", "figure-spectrum"}  # fmt: skip
    assert wanted <= set(compared.ids)
    for tag, name, url in compared.urls:
        if tag == "a" and url.startswith("#"):
            assert url[1:] in compared.ids, (name, url)


def test_page_loads_nothing(compared: Page, html: str) -> None:
    for tag, _, url in compared.urls:
        if tag == "a":
            assert url.startswith(("#", "https://arxiv.org/", "https://distill.pub/"))
        else:
            assert tag == "img"
            assert url.startswith("data:image/png;base64,")
    assert len(html) < 6_000_000
    assert "@import" not in html
    assert "url(" not in html
    assert compared.tags.count("script") == 1
    assert "default-src 'none'" in html


def test_script_of_the_policy_is_the_script(html: str) -> None:
    import base64
    import hashlib

    script = re.search(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = re.search(r"script-src 'sha256-([^']+)'", html)
    assert script
    assert digest
    wanted = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert digest[1].replace("&#43;", "+") == wanted


def test_texts_from_elsewhere_stay_text(tmp_path: Path) -> None:
    results = thin(comparison(EVIL, '"><img src=x onerror=alert(1)>'))
    results.collection = {"name": EVIL, "note": EVIL}
    results.warnings = [EVIL, "{{ 7 * 7 }}"]
    results.config = {EVIL: EVIL}
    results.spaces[0]["recipe"] = {"doubts": [EVIL], EVIL: EVIL, "sources": {EVIL: EVIL}}
    results.claims = [{EVIL: EVIL}]
    results.links = [Association(EVIL, EVIL, 0.5, n=9)]
    path = write_html(results, tmp_path / "deep" / "report.html")
    html = path.read_text("utf-8")
    page = Page(html)
    assert page.tags.count("script") == 1
    assert html.count("<script>") == 1
    assert "onerror=alert(1)>" not in re.sub(r"&#34;|&lt;|&gt;", "_", html)
    assert {url[:5] for tag, _, url in page.urls if tag == "img"} == {"data:"}
    assert EVIL in page.words
    assert "{{ 7 * 7 }}" in page.words
    assert "49" not in page.words.split("Warnings")[-1].split("Provenance")[0]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_analysis_of_one_or_many(count: int) -> None:
    results = thin(analysis(tuple(f"step {i}" for i in range(count))))
    page = Page(render_html(results))
    for label in results.labels:
        assert label in page.words
    assert "What stands out against chance" in page.words
    assert "similarity" not in page.ids


def test_similarities_stand_beside_their_nulls() -> None:
    results = thin(comparison())
    results.likenesses = [
        Similarity("queries", "cka", 0.81, 0.79, 0.83, 0.0127, 1203, 0.00345, 0.0671),
        Similarity("queries", "rbo(p=0.9)", 0.46, null_mean=0.02),
    ]
    table = similarity_table(results)
    first, second = (dict(zip(table["head"][1:], row["cells"], strict=True))
                     for row in table["rows"])  # fmt: skip
    shown = [first[name]["text"] for name in ("null", "null sd", "null p", "n")]
    assert shown == ["0.0127", "0.00345", "0.067", "1,203"]
    assert first["null p"]["whole"] == "0.0671"
    assert [second[name]["text"] for name in ("null sd", "null p", "n")] == ["–", "", ""]
    words = Page(render_html(results)).words
    assert all(text in words for text in ("null sd", "null p", "0.00345", "0.067"))


def test_same_results_same_page() -> None:
    assert render_html(thin(comparison())) == render_html(thin(comparison()))


def test_results_report_and_read_back(tmp_path: Path) -> None:
    results = thin(comparison())
    results.write(tmp_path)
    again = Results.read(tmp_path)
    assert again.report(tmp_path / "r.html").read_text("utf-8") == render_html(results)


def test_empty_results_have_a_page() -> None:
    page = Page(render_html(Results(spaces=[{"label": "a"}])))
    assert "No headline rows." in page.words


def test_json_is_everything_unrounded() -> None:
    content = json.loads(format_results(comparison(), "json"))
    assert content["schema"] == "anisotropy.results/1"
    assert content["measurements"][0]["value"] == 0.512
    assert content["differences"][0]["delta"] == 0.233 - 0.512
    assert content["measurements"][2]["se"] is None


def test_csv_is_every_measurement_unrounded() -> None:
    results = comparison()
    rows = list(csv.DictReader(io.StringIO(format_results(results, "csv"))))
    assert len(rows) == len(results.rows)
    for row, given in zip(rows, results.rows, strict=True):
        assert float(row["value"]) == given.value
        assert row["measure"] == given.measure
        assert math.isnan(given.se) == (row["se"] == "")


def test_latex_has_four_decimals_and_no_raw_letters() -> None:
    results = comparison(r"a_b & 50% $x$ \input{x}", "b")
    text = format_results(results, "latex")
    assert r"\toprule" in text
    assert r"a\_b \& 50\% \$x\$ \textbackslash{}input\{x\}" in text
    assert r"mean\_cosine & queries (unit) & 0.5120 & 0.2330 & $-$0.2790" in text
    begin, end = text.index(r"\begin{tabular}{"), text.index(r"\end{tabular}")
    body = [line for line in text[begin:end].splitlines() if line.endswith(r"\\")]
    counts = {len(re.findall(r"(?<!\\)&", line)) for line in body if "multicolumn" not in line}
    assert counts == {7}


def test_markdown_cells_stay_cells() -> None:
    text = format_results(comparison("a|b", "*c*"), "markdown")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {9}
    assert r"a\|b" in text
    assert "**In doubt:**" in text


def test_unknown_format_is_refused() -> None:
    with pytest.raises(UsageError, match="got 'yaml'; allowed: table, json, csv, latex, markdown"):
        format_results(comparison(), "yaml")
    assert FORMATS == ("table", "json", "csv", "latex", "markdown")


def small(count: int = 2) -> Results:
    results = comparison() if count == 2 else analysis(("ance",))
    keep = {("queries", "mean_cosine", "unit"), ("ranking", "nDCG@10", "recipe")}
    results.rows = [row for row in results.rows if (row.side, row.measure, row.on) in keep]
    results.deltas = [row for row in results.deltas if (row.side, row.measure, row.on) in keep]
    return results


WIDE = """\
dance against ance
docstrings, split dev: 1,203 queries, 8,114 documents, 1,203 judged pairs (docstrings, not MS MARCO)
IN DOUBT  ance: normalization is not recorded: nDCG@10 0.421 as dot product, 0.402 with L2; the first is used. Settle it
  with --a-recipe ance or --a-recipe dance

                           ance   dance    delta        95% interval  p (Holm)
isotropy (on unit)
  queries mean_cosine ↓  0.5120  0.2330   -0.279    [-0.291, -0.267]    <0.001  dance more isotropic
ranking (on recipe)
  ranking nDCG@10 ↑      0.4213  0.4391  +0.0178  [-0.00180, 0.0374]     0.901  no clear difference
↓ ↑  the direction that is more isotropic, closer, more even or better

warning: 3 documents are empty and keep the vector of the empty text

1 row is withheld; the report gives the reasons"""

NARROW = """\
dance against ance
docstrings, split dev: 1,203 queries, 8,114 documents, 1,203 judged pairs
  (docstrings, not MS MARCO)
IN DOUBT  ance: normalization is not recorded: nDCG@10 0.421 as dot product,
  0.402 with L2; the first is used. Settle it with --a-recipe ance or --a-recipe
  dance

      ance   dance    delta        95% interval  p (Holm)
isotropy (on unit)
  queries mean_cosine ↓                                     dance more isotropic
    0.5120  0.2330   -0.279    [-0.291, -0.267]    <0.001
ranking (on recipe)
  ranking nDCG@10 ↑                                          no clear difference
    0.4213  0.4391  +0.0178  [-0.00180, 0.0374]     0.901
↓ ↑  the direction that is more isotropic, closer, more even or better

warning: 3 documents are empty and keep the vector of the empty text

1 row is withheld; the report gives the reasons"""

ONE = """\
ance
docstrings, split dev: 1,203 queries, 8,114 documents, 1,203 judged pairs
  (docstrings, not MS MARCO)

                         ance                   null
isotropy (on unit)
  queries mean_cosine ↓  0.5120 [0.500, 0.524]  0
ranking (on recipe)
  ranking nDCG@10 ↑      0.4213 [0.402, 0.441]
↓ ↑  the direction that is more isotropic, closer, more even or better"""


def test_terminal_table_is_exactly_this() -> None:
    assert terminal_table(small(), 120) == WIDE
    assert terminal_table(small(), 80) == NARROW
    assert terminal_table(small(1), 80) == ONE
    assert format_results(small(), "table", width=80) == NARROW


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("count", [2, 7])
def test_no_line_is_wider_than_asked(width: int, count: int) -> None:
    labels = tuple(f"a long label of checkpoint {i}" for i in range(count))
    results = comparison(*labels) if count == 2 else analysis(labels)
    table = terminal_table(results, width)
    assert max(map(len, table.splitlines())) <= width
    assert table.count("queries mean_cosine") >= 1


def test_terminal_is_not_steered() -> None:
    results = comparison("a\x1b[2J", "b")
    results.warnings = ["x\x1b]0;title\x07"]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", terminal_table(results, 100))


def test_numbers() -> None:
    nan = math.nan
    assert number(0.512345) == "0.5123"
    assert number(-12345.678) == "-12,346"
    assert number(nan) == "–"
    assert number(math.inf) == "∞"
    assert number(0.0) == "0"
    assert number(3e-9) == "3.000e-09"
    assert signed(0.5) == "+0.500"
    assert interval(nan, 1.0) == ""
    assert interval(-1.0, 1.0) == "[-1.00, 1.00]"
    assert [probability(p) for p in (nan, 0.0002, 0.05)] == ["", "<0.001", "0.050"]


def test_a_subcollection_is_labeled_wherever_the_collection_is() -> None:
    results = thin(comparison())
    label = "subcollection: all judged and 12 random documents"
    assert label not in render_html(results)
    results.collection["documents_option"] = "12"
    assert label in Page(render_html(results)).words
    assert label in " ".join(terminal_table(results).split())
    for form in FORMATS:
        if form not in ("csv", "json"):
            assert label in format_results(results, form), form
    results.collection["documents_option"] = "all"
    assert "subcollection" not in render_html(results)


def test_similarities_alone_make_a_page() -> None:
    results = comparison()
    results.rows, results.deltas, results.curves, results.withheld = [], [], [], []
    words = Page(render_html(results)).words
    assert "cka" in words
    table = terminal_table(results)
    assert table.startswith("dance against ance")
    assert "queries cka" in table
    assert "0.81" in table


def test_the_report_says_what_the_rows_on_negatives_rest_on() -> None:
    """N, anchors, k/N and the largest values, from the curve ``mining``."""
    import numpy as np

    import anisotropy as an
    from anisotropy.report.view import view_of

    rng = np.random.default_rng(0)
    documents = rng.normal(size=(60, 6))
    qrels = {str(i): {str(i): 1} for i in range(30)}
    space = an.EmbeddingSpace(documents[:40], documents, qrels=qrels, label="x")
    results = an.analyze([space], measures=["negative_probability_kl(k=10)"], projections=[])
    table = view_of(results)["mining"]
    rows = [
        dict(zip(table["head"], (c["text"] for c in row), strict=True)) for row in table["rows"]
    ]
    (row,) = [r for r in rows if (r["drawn"], r["k"], r["center"]) == ("queries", "10", "none")]
    assert (row["items N"], row["anchors"], row["k/N"]) == ("40", "30 of 30", "0.2500")
    assert float(row["largest Gini"]) == 0.75
