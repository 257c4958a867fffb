"""The registry describes itself: in the terminal, as JSON, and in the committed pages."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

from anisotropy.cli import main
from anisotropy.comparison import compare_spaces
from anisotropy.measures import all_families, definition_of, measure_space, registry
from anisotropy.measures.listing import format_registry
from anisotropy.measures.pages import CHAINS, SIDES, escaped, pages
from tests.measures.making import space

COMMITTED = Path(__file__).parents[2] / "docs" / "measures"


def test_the_committed_pages_are_those_of_the_registry() -> None:
    made = pages()
    assert {path.name for path in COMMITTED.iterdir()} == set(made)
    for name, text in made.items():
        there = (COMMITTED / name).read_text("utf-8")
        assert there == text, f"docs/measures/{name} is out of date: run `make docs`"


def test_every_parameter_says_what_it_means() -> None:
    silent = {f"{d.name}({p.name})" for d in registry() for p in d.parameters if not p.meaning}
    assert not silent


def test_no_definition_points_to_a_file_that_readers_do_not_have() -> None:
    pointing = {d.name for d in registry() if ".md" in d.reference + d.note + d.formula}
    assert not pointing


def test_sides_and_transforms_are_explained() -> None:
    assert {side for d in registry() for side in d.sides} <= set(SIDES)
    assert {on for d in registry() for on in d.transforms} <= set(CHAINS)


def test_a_null_is_explained_where_there_is_one_and_only_there() -> None:
    made = space(n_queries=260, n_documents=300, positives=1)
    found = measure_space(made, ["all", "default", "spectral_decay(low=1, high=6)"], between=True)
    nulls = {r.measure: r.null_mean for r in found.rows if not math.isnan(r.null_mean)}
    alike = compare_spaces(found, found)[1]
    nulls |= {s.measure: s.null_mean for s in alike if not math.isnan(s.null_mean)}
    with_null = {definition_of(measure).name for measure in nulls}
    explained = {d.name for d in registry() if d.null and not d.counted}
    assert with_null == explained


def test_links_lead_to_headings() -> None:
    made = pages()
    anchors = {
        name: {heading.lower() for heading in re.findall(r"^## (.+)$", text, re.M)}
        for name, text in made.items()
    }
    links = [
        (page, anchor)
        for text in made.values()
        for page, anchor in re.findall(r"\]\(([\w.]+)#?([^)]*)\)", text)
    ]
    assert len(links) > len(registry())
    for page, anchor in links:
        assert page in made
        assert not anchor or anchor in anchors[page], (page, anchor)


@pytest.mark.parametrize("definition", registry(), ids=lambda d: d.name)
def test_one_definition_in_the_terminal(definition, capsys) -> None:
    assert main(["measures", definition.name]) == 0
    shown = capsys.readouterr().out
    assert all(len(line) <= 88 for line in shown.splitlines())
    words = " ".join(shown.split())
    for text in (definition.formula, definition.sees, definition.blind, definition.reference):
        assert " ".join(text.split()) in words
    for parameter in definition.parameters:
        assert f"{parameter.name}=" in words


def test_every_measure_is_in_the_table_and_once() -> None:
    table = format_registry()
    for family in all_families():
        assert family.title in table
    for definition in registry():
        assert len(re.findall(rf"^    {definition.name}\b.*  up: ", table, re.M)) == 1
    assert format_registry(["gap", "gap(corrected=False)"]).count("gap · ") == 1


def test_json_holds_every_definition(capsys) -> None:
    assert main(["measures", "--format", "json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [r["name"] for r in records] == [d.name for d in registry()]
    k = next(r for r in records if r["name"] == "hubness_gini")["parameters"][0]
    assert (k["name"], k["default"], k["allowed"]) == ("k", 10, "a whole number, 1 and above")


def test_pages_are_written_where_they_are_asked_for(tmp_path, capsys) -> None:
    assert main(["measures", "--out", str(tmp_path / "pages")]) == 0
    assert (tmp_path / "pages" / "cone.md").read_text("utf-8") == pages()["cone.md"]
    assert len(capsys.readouterr().out.splitlines()) == len(pages())
    assert main(["measures", "gap", "--out", str(tmp_path)]) == 2
    assert "give it alone" in capsys.readouterr().err


def test_text_is_not_taken_for_markup() -> None:
    assert escaped("m_q*x |a| <b> [c]") == r"m\_q\*x \|a\| \<b> \[c]"
