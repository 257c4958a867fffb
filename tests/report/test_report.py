# ruff: noqa: E501  tables as they are printed
"""Reports: every number is one of the results, every text from elsewhere stays text."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from anisotropy.errors import UsageError
from anisotropy.report import FORMATS, format_results, terminal_table, write_html
from anisotropy.report.numbers import interval, minus, number, probability, signed
from anisotropy.report.page import render_html
from anisotropy.report.pairwise import similarity_table
from anisotropy.report.provenance import withheld_table
from anisotropy.report.references import linked
from anisotropy.report.rows import collection_of
from anisotropy.report.view import view_of
from anisotropy.results import Association, Results, Similarity, Withheld
from tests.plots.sample import ROWS, analysis, comparison, reproduction, thin

KL = "negative_probability_kl("
EVIL = "<script>alert(1)</script>"
SOURCES = (
    "https://arxiv.org/",
    "https://doi.org/",
    "https://distill.pub/",
    "https://www.jmlr.org/",
)
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Tags, ids, texts by tag, and the urls of a page; refuses unbalanced tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.headings: list[str] = []
        self.nav: list[str] = []
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
                self.headings += [value or ""] * (tag in ("h1", "h2", "h3", "h4"))
            if name == "href" and "nav" in self.open:
                self.nav.append((value or "")[1:])
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
                if cell.startswith(f"{measure} {side}, on {on}")
            )
            shown = compared.cells[row + 1 : row + 3]
            assert [cell.split("[")[0] for cell in shown] == [
                number(value).replace("-", "−") for value in values[:2]
            ]


def test_page_says_what_was_compared_and_what_is_in_doubt(compared: Page) -> None:
    words = compared.words
    order = [
        "dance against ance",
        "docstrings, not MS MARCO",
        "The geometry changed; no change in the ranking of documents is shown",
        "What changed, and what it means",
        "dance more isotropic mean_cosine queries −0.279 [−0.291, −0.267]",
        "The common direction of the queries and documents is weaker in dance",
        "What is in doubt",
        "normalization is not recorded",
        "3 documents are empty",
        "one checkpoint a side",
        "Headline",
        "Families",
        "Blind to collapse to a few dimensions",
        "Maps",
        "Training",
        "Which queries changed",
        "How alike the two spaces are",
        "Provenance",
        "training_args.bin",
        "Warnings",
        "3 documents are empty",
        "Withheld",
        "a scores by dot product, b by cosine",
        "Methods",
        "arXiv 2005.10242",
        "Holm, Scand. J. Statist.",
    ]
    place = words.index("docstrings, split dev")
    for text in order[1:]:
        place = words.index(text, place)
    assert words.startswith(f"{order[0]}: anisotropy")
    assert "no clear difference: gap (cross)" in words


def test_lists_that_saturate_their_pool_decide_nothing_in_every_table() -> None:
    results = thin(comparison())
    results.deltas = [
        replace(d, ci_low=d.delta - 0.01, ci_high=d.delta + 0.01, p_holm=0.001)
        for d in comparison().deltas
        if d.measure.startswith(KL)
    ]
    for form in ("table", "latex", "markdown"):
        assert format_results(results, form).count("dance more even") == 2
    results.curves = comparison().find_curves("mining")
    for form in ("table", "latex", "markdown"):
        text = format_results(results, form)
        assert text.count("dance more even") == 1  # the documents, of which there are enough
        assert text.count("saturated: decides nothing") == 1
    html = render_html(results)
    assert html.count('<tr class="clear"') == 2  # the headline, and the family
    assert html.count("saturated: decides nothing") == 2


def test_a_minus_is_one_everywhere_and_numbers_stay_whole() -> None:
    """Also in the exponents of intervals, which no line of a print may be broken in."""
    results = thin(comparison())
    tiny = {"value": -2.46e-8, "ci_low": -3.5e-8, "ci_high": -1.25e-8}
    results.rows = [replace(row, **tiny) for row in results.rows]
    small = {"delta": -2.46e-8, "se": 1e-9, "ci_low": -3.5e-8, "ci_high": -1.25e-8}
    results.deltas = [replace(row, **small) for row in results.deltas]
    html = render_html(results)
    shown = re.sub(r"<(style|script).*?</\1>", "", html, flags=re.S)
    texts = " ".join(re.findall(r">([^<>]+)<", shown))
    assert not re.findall(r"\S*(?<![\w.])-\d\S*|\S*\de-\d\S*", texts)
    one, other = "[−3.50e−08,", "−1.25e−08]"
    assert f'<small><span class="whole">{one}</span> <span class="whole">{other}</span>' in html
    lead = f'<span class="figure"><span class="whole">−2.46e−08</span> <span class="whole">{one}'
    assert lead in html
    assert ".whole { white-space: nowrap; }" in html


def test_a_minus_is_of_numbers_alone() -> None:
    text = "model-2 e5-base 2024-01-31 1e-6x all-MiniLM-L6-v2"
    assert minus(text) == text
    assert minus("-0.5 (-2%) 1,000-2 1.5e-08.") == "−0.5 (−2%) 1,000-2 1.5e−08."


def test_one_is_not_several() -> None:
    results = thin(comparison())
    for space in results.spaces:
        space["counts"] |= {"queries": 1, "documents": 1, "judged_pairs": 1}
    assert "dev: 1 query, 1 document, 1 judged pair (" in collection_of(results)
    assert ": 1,203 queries, 8,114 documents, 1,203 judged pairs (" in collection_of(comparison())


def test_every_section_has_an_anchor(compared: Page) -> None:
    assert len(compared.ids) == len(set(compared.ids))
    links = {url[1:] for tag, _, url in compared.urls if tag == "a" and url.startswith("#")}
    assert links <= set(compared.ids)
    assert len(compared.headings) > 25
    for heading in compared.headings[1:]:  # the first is the title
        assert heading in links
    wanted = {"doubts", "headline", "changes", "families", "maps", "training", "queries",
              "similarity", "provenance", "warnings", "withheld", "methods"}  # fmt: skip
    assert set(compared.nav) == wanted
    assert {"family-cone", "figure-spectrum", "mining", "recipes", "references"} <= links


def test_a_figure_stands_in_its_family(html: str) -> None:
    places = {
        "headline": ["differences"],
        "family-cone": ["cosines"],
        "family-spread": ["spectrum"],
        "family-uniformity": ["uniformity_alignment"],
        "family-local": ["hubness"],
        "family-query_document": ["distances", "movement"],
        "family-negatives": ["negative_probability", "lorenz", "negative_profile"],
        "maps": ["tsne"],
        "training": ["history"],
    }
    found: dict[str, list[str]] = {}
    heading = ""
    for kind, name in re.findall(r'<(h[23]|figure) id="(?:figure-)?([^"]+)"', html):
        if kind == "figure":
            found.setdefault(heading, []).append(name)
        else:
            heading = name
    assert found == places


def test_figures_have_a_text_of_their_own(html: str) -> None:
    texts = re.findall(r'<img [^>]*alt="([^"]*)"', html)
    assert len(texts) == len(set(texts)) == 12
    assert all(40 < len(text) < 400 for text in texts)
    (spectrum,) = [text for text in texts if text.startswith("Spectrum. ")]
    assert "Eigenvalues of the centered covariance" in spectrum


def test_page_loads_nothing(compared: Page, html: str) -> None:
    for tag, _, url in compared.urls:
        if tag == "a":
            assert url.startswith(("#", *SOURCES))
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
    assert "49" not in page.words.split("Warnings")[-1].split("Withheld")[0]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_analysis_of_one_or_many(count: int) -> None:
    results = thin(analysis(tuple(f"step {i}" for i in range(count))))
    page = Page(render_html(results))
    for label in results.labels:
        assert label in page.words
    assert "What stands out, and what it means" in page.words
    assert "Nothing is compared here" in page.words
    assert ("--baseline LABEL" in page.words) == (count > 1)
    assert "similarity" not in page.ids


def test_similarities_stand_beside_their_nulls() -> None:
    results = thin(comparison())
    results.likenesses = [
        Similarity("queries", "cka", 0.81, 0.79, 0.83, 0.0127, 1203, 0.00345, 0.0671),
        Similarity("queries", "rbo(p=0.9)", 0.46, null_mean=0.02),
    ]
    table = similarity_table(results)
    names = [column["text"] for column in table["head"]]
    first, second = (dict(zip(names, row["cells"], strict=True))
                     for row in table["groups"][0]["rows"])  # fmt: skip
    shown = [first[name]["text"] for name in ("null", "null sd", "null p", "n")]
    assert shown == ["0.0127", "0.00345", "0.067", "1,203"]
    assert first["null p"]["csv"] == "[0.0671]"
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
    assert page.nav == ["changes", "headline", "provenance", "warnings", "withheld", "methods"]


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

    rng = np.random.default_rng(0)
    documents = rng.normal(size=(60, 6))
    qrels = {str(i): {str(i): 1} for i in range(30)}
    space = an.EmbeddingSpace(documents[:40], documents, qrels=qrels, label="x")
    results = an.analyze([space], measures=["negative_probability_kl(k=10)"], projections=[])
    (family,) = [made for made in view_of(results)["families"] if made["name"] == "negatives"]
    table = family["mining"]
    names = [column["text"] for column in table["head"]]
    rows = [
        dict(zip(names, (c["text"] for c in row["cells"]), strict=True))
        for row in table["groups"][0]["rows"]
    ]
    (row,) = [r for r in rows if (r["drawn"], r["k"], r["center"]) == ("queries", "10", "none")]
    assert (row["items N"], row["anchors"], row["k/N"]) == ("40", "30 of 30", "0.2500")
    assert float(row["largest Gini"]) == 0.75
    page = Page(render_html(results)).words
    assert "Lists of 10 hold 25.0% of the pool of 40 queries and saturate it" in page


def test_what_is_withheld_is_listed_once_with_all_its_places() -> None:
    results = analysis(("a", "b", "c"))
    gone = ("margin", "recipe")
    results.withheld = [
        *(Withheld(side, *gone, "no judgments", name)
          for name in ("a", "b", "c") for side in ("queries", "documents")),
        Withheld("cross", "gap", "raw", "lengths differ", "b", "a"),
        Withheld("cross", "gap", "raw", "lengths differ", "c", "a"),
        Withheld("cross", "gap", "raw", "dimensions differ", "c", "b"),
        Withheld("joint", "isoscore", "unit", "too few rows"),
    ]  # fmt: skip
    table = withheld_table(results)
    rows = [[cell["text"] for cell in row["cells"]] for row in table["groups"][0]["rows"]]
    assert rows == [
        ["margin", "queries, documents", "recipe", "every space", "no judgments"],
        ["gap", "cross", "raw", "b against a, c against a, c against b",
         "lengths differ (b against a, c against a); dimensions differ (c against b)"],
        ["isoscore", "joint", "unit", "every space", "too few rows"],
    ]  # fmt: skip


def test_several_comparisons_stand_in_one_headline_table() -> None:
    results = reproduction(2)
    results.curves = []
    page = Page(render_html(results))
    assert page.tags.count("details") > 3
    assert page.words.count("means over 2 seeds of each method") == 1
    for method in ("ANCE w. Norm", "ANCE w. Dual", "DANCE"):
        assert f"{method} against ANCE" in page.words
    order = [page.ids.index(x) for x in ("claims", "changes", "headline", "claim-measures")]
    assert order == sorted(order)
    table = view_of(results)["headline"]
    assert table["count"] == sum(row[6] for row in ROWS) <= 15
    names = [column["text"] for column in table["head"]]
    assert names == ["measure", "ANCE", "ANCE w. Norm", "ANCE w. Dual", "DANCE"]
    first = table["groups"][0]["rows"][0]["cells"][2]
    delta = next(d for d in results.deltas if d.measure == "mean_cosine")
    assert json.loads(first["csv"])[:2] == [delta.b, delta.delta]


def test_values_of_methods_are_their_means() -> None:
    """Where results hold means over seeds, tables show those and not every seed."""
    (cone, *_) = view_of(reproduction(2))["families"]
    names = [column["text"] for column in cone["tables"][0]["head"]]
    assert names == ["measure", "ANCE", "ANCE w. Norm", "ANCE w. Dual", "DANCE", "null", "n"]


def test_links_are_only_made_of_addresses() -> None:
    text = f"A (arXiv 2005.10242); doi:10.1214/aos/1176325770. {EVIL} javascript:alert(1)"
    assert [url for _, url in linked(text) if url] == [
        "https://arxiv.org/abs/2005.10242", "https://doi.org/10.1214/aos/1176325770",
    ]  # fmt: skip
    assert "".join(piece for piece, _ in linked(text)) == text


def test_only_statistics_that_were_used_are_named() -> None:
    results = thin(comparison())
    words = Page(render_html(results)).words
    assert "Efron and Stein" in words
    assert "van der Maaten" not in words  # no map in these
    assert "Spearman, Am. J. Psychol." not in words
    results.links = [Association("margin", "nDCG@10", 0.5, n=9)]
    assert "Spearman, Am. J. Psychol." in Page(render_html(results)).words
