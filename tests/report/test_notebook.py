"""Spaces and results in a notebook: the terminal's table as HTML, every text escaped."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

import anisotropy as an
from anisotropy.report import terminal_table
from anisotropy.results import Curve, Results
from tests.plots.sample import analysis, comparison

EVIL = "<script>alert(1)</script>"
HARMLESS = {"div", "p", "strong", "br", "table", "thead", "tbody", "tr", "th", "td"}


class Shown(HTMLParser):
    """Tags, attributes, and the texts of the cells of each row."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.styles: list[str] = []
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.styles += [value or "" for name, value in attrs if name == "style"]
        if tag != "br":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag in ("br", "p", "td", "th"):
            self.words += "\n"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def of(results: Results) -> Shown:
    return Shown(results._repr_html_())


def cells_of_the_terminal(results: Results) -> list[list[str]]:
    """Rows of the terminal's table, cut where two spaces are; empty cells left out."""
    lines = terminal_table(results, 1000).split("\n")
    start = next(i for i, line in enumerate(lines) if line.startswith("   "))
    stop = next(i for i, line in enumerate(lines) if line.startswith("↓ ↑"))
    return [re.split(r" {2,}", line.strip()) for line in lines[start:stop] if line.strip()]


@pytest.mark.parametrize(
    "results", [comparison(), analysis(("ance",)), analysis()], ids=["compared", "one", "two"]
)
def test_the_rows_are_those_of_the_terminal(results: Results) -> None:
    shown = of(results)
    assert [[cell for cell in row if cell] for row in shown.rows] == cells_of_the_terminal(results)
    assert len(shown.rows) > 15


def test_what_stands_around_the_table_is_there() -> None:
    lines = of(comparison()).words.split("\n")
    table = terminal_table(comparison(), 1000).split("\n")
    around = [line for line in table if line and not line.startswith("  ")]
    headings = [line for line in around if re.search(r"\(on \w+\)$", line)]
    assert len(headings) == 5
    assert [line for line in lines if line in around] == around
    assert any(line.startswith("IN DOUBT  ance: normalization") for line in lines)


def test_a_baseline_has_a_table_each() -> None:
    rng = np.random.default_rng(0)
    documents = rng.normal(size=(30, 4))
    qrels = {str(i): {str(i): 1} for i in range(20)}
    spaces = [
        an.EmbeddingSpace(documents[:20] + i, documents + i, qrels=qrels, label=name)
        for i, name in enumerate(("base", "one", "two"))
    ]
    results = an.analyze(spaces, baseline="base", measures=["mean_cosine"], projections=())
    shown = of(results)
    assert shown.tags.count("table") == 2
    for title in ("one against base", "two against base"):
        assert title in shown.words.split("\n")


def test_results_without_headline_rows_say_so() -> None:
    results = comparison()
    results.rows, results.deltas, results.likenesses = [], [], []
    assert "no headline rows" in of(results).words


def test_texts_are_escaped_and_nothing_runs_or_has_a_color() -> None:
    results = comparison(EVIL, 'b" onmouseover="alert(1)')
    results.warnings = [EVIL, "steered\x1b[2J"]
    results.collection["note"] = EVIL
    results.spaces[0]["recipe"]["doubts"] = [EVIL]
    html = results._repr_html_()
    shown = Shown(html)
    assert set(shown.tags) <= HARMLESS
    assert shown.attributes <= {"style", "colspan"}
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert EVIL in shown.words
    assert "steered?[2J" in shown.words
    colors = re.findall(r"[\w-]*color:[^;]*|background[^;]*", ";".join(shown.styles))
    assert set(colors) == {"color: inherit"}


def small_space(**settings: object) -> an.EmbeddingSpace:
    rng = np.random.default_rng(0)
    given: dict = {"qrels": {"0": {"1": 1, "2": 2}}, "label": "mine", **settings}
    return an.EmbeddingSpace(rng.normal(size=(3, 4)), rng.normal(size=(1200, 4)), **given)


def test_a_space_says_what_it_is() -> None:
    shown = Shown(small_space()._repr_html_())
    rows = dict(shown.rows)
    assert shown.words.strip().startswith("mine: an embedding space")
    assert rows == {
        "recipe": "none: embeddings as they were given",
        "similarity": "cosine",
        "dim": "4",
        "queries": "3",
        "documents": "1,200",
        "judged pairs": "2",
    }


def test_a_space_says_its_recipe_doubts_transforms_and_collection() -> None:
    space = small_space(
        recipe={"name": "dance", "doubts": ["not recorded", EVIL]},
        temperature=0.01,
        collection_info={"name": "docstrings", "split": "dev", "documents_option": "20"},
    )
    shown = Shown(an.transform(space, "center>normalize", label=EVIL)._repr_html_())
    assert set(shown.tags) <= HARMLESS
    assert [row[1] for row in shown.rows if row[0] == "in doubt"] == ["not recorded", EVIL]
    rows = dict(shown.rows)
    assert rows["recipe"] == "dance"
    assert rows["similarity"] == "cosine, divided by 0.01"
    assert rows["transform"] == "center>normalize fitted on 1,200 documents (all)"
    assert "split dev" in rows["collection"]
    assert "20 random documents" in rows["collection"]


def test_several_vectors_a_document_are_counted() -> None:
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(5), 2)
    space = an.EmbeddingSpace(
        rng.normal(size=(3, 4)), rng.normal(size=(10, 4)), document_of_row=owner,
        padding=np.arange(10) == 9,
    )  # fmt: skip
    rows = dict(Shown(space._repr_html_()).rows)
    assert (rows["documents"], rows["document vectors"], rows["padding vectors"]) == (
        "5", "10", "1",
    )  # fmt: skip


def test_results_in_text_are_one_line() -> None:
    text = repr(comparison())
    assert text.startswith("<Results of 'ance', 'dance': ")
    assert "\n" not in text
    assert len(text) < 120


def test_a_curve_is_its_table_with_the_middle_left_out() -> None:
    names = np.array([EVIL, *(f"q{i}" for i in range(29))], dtype=object)
    curve = Curve("queries", EVIL, "ranking", {"id": names, "x": np.arange(30.0)})
    html = curve._repr_html_()
    shown = Shown(html)
    assert "<script" not in html
    assert set(shown.tags) <= HARMLESS
    assert f"queries of {EVIL}, ranking" in shown.words
    assert [word for word in ("q3", "q15", "q28") if word in shown.words] == ["q3", "q28"]
    text = repr(curve)
    assert text.endswith("ranking: 30 rows of id, x; .frame() gives a DataFrame>")
    assert "\n" not in text
