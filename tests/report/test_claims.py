"""Claims on paper: every number is one of the records, everything from elsewhere stays text."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from typing import Any

import pytest

from anisotropy import plots
from anisotropy.errors import InputError, UsageError
from anisotropy.plots.claims import claims_caption, claims_rows
from anisotropy.plots.compared import drawn
from anisotropy.report import claims_text, method_table
from anisotropy.report.claims_tables import claims_csv, claims_markdown
from anisotropy.report.page import render_html
from anisotropy.results import Measurement, Results
from tests.plots.sample import analysis, comparison, thin
from tests.report.test_report import EVIL, Page


def part(delta: float | None, **more: Any) -> dict[str, Any]:
    known = delta is not None
    return {
        "side": "ranking", "measure": "nDCG@10", "on": "recipe", "role": "primary",
        "against": "ANCE", "direction": "up", "margin": 0.005, "scale": "absolute",
        "value": 0.44, "against_value": 0.4, "delta": delta, "se": 0.01 if known else None,
        "ci_low": delta - 0.02 if delta is not None else None,
        "ci_high": delta + 0.02 if delta is not None else None, "p": 0.0123 if known else None,
        "n": 77 if known else 0, "unit": "seed", "outcome": "supported" if known else "not tested",
        "note": "" if known else "too few seeds",
    } | more  # fmt: skip


def record(scope: str, seed: int | None, **more: Any) -> dict[str, Any]:
    return {
        "contrast": "DANCE - ANCE", "what": "everything at once", "scope": scope, "seed": seed,
        "claim": "f", "text": "DANCE ranks better", "method": "DANCE", "outcome": "supported",
        "p": 0.0123, "p_holm": 0.0246, "note": "", "parts": [part(0.04)], "main": True,
        "steps": [240, 0],
    } | more  # fmt: skip


def results(*records: dict[str, Any]) -> Results:
    found = thin(comparison())
    found.claims = list(records)
    return found


CLAIMS = (
    record("checkpoints", 0, outcome="undecided", parts=[part(0.0321, unit="query")]),
    record("checkpoints", 1, parts=[part(0.0654, unit="query")]),
    record("method", None, parts=[part(-0.1234, direction="down", scale="relative", margin=0.05)]),
    record("checkpoints", 0, contrast="X - Y", main=False, what="the loss alone", outcome="mixed"),
    record("checkpoints", 1, contrast="X - Y", main=False, what="the loss alone", outcome="mixed"),
    record("method", None, contrast="X - Y", main=False, what="the loss alone",
           outcome="no meaningful difference"),
)  # fmt: skip


def test_the_terminal_says_both_scopes_and_the_measures() -> None:
    text = claims_text(results(*CLAIMS))
    for line in (
        "f   DANCE ranks better",
        "for the method: supported, p (Holm) 0.025",
        "for these checkpoints: undecided (1 of 2), supported (1 of 2)",
        "ranking nDCG@10 ↓ against ANCE: -12.3% [-14.3, -10.3]%, margin 5.00%: supported",
        "the loss alone; 240 and 0 optimizer steps after ANCE",
    ):
        assert line in text
    assert re.search(r"^X - Y +=/±$", text, re.M)
    assert claims_text(comparison()) == ""


def test_without_seeds_the_checkpoints_are_shown() -> None:
    untested = record("method", None, outcome="undecided", p=None, p_holm=None, note="too few",
                      parts=[part(None)])  # fmt: skip
    text = claims_text(results(CLAIMS[1], untested))
    assert "+0.0654 [0.0454, 0.0854], margin 0.00500: supported" in text
    assert "for the method: undecided\n" in text
    assert text.startswith(
        "Claims: DANCE − ANCE (everything at once)\n"
        "(1 seed; a claim about the method needs 3 or more)\n\nf "
    )
    assert "1 seed; a claim about the method needs 3 or more." in render_html(
        results(CLAIMS[1], untested)
    )
    three = [record("checkpoints", seed) for seed in range(3)]
    assert "or more" not in claims_text(results(*three, untested))


def test_the_page_opens_with_them_and_holds_every_part() -> None:
    html = render_html(results(*CLAIMS))
    page = Page(html)
    assert html.index('id="claims"') < html.index('id="headline"')
    for words in ("DANCE ranks better", "the loss alone", "supported, p (Holm) 0.025"):
        assert words in page.words
    assert html.index('id="claims"') < html.index('id="changes"')
    for whole in ("0.0321", "0.0654", "-0.1234"):
        assert f'data-csv="[{whole}]"' in html
    assert "claims" not in Page(render_html(thin(comparison()))).ids


def test_hostile_claims_stay_text() -> None:
    parts = [part(0.04, measure=EVIL, side=EVIL, note=EVIL, against=EVIL)]
    words = dict.fromkeys(("claim", "text", "note", "what", "contrast"), EVIL)
    evil = record("checkpoints", 0, parts=parts, **words)
    html = render_html(results(evil, {**evil, "scope": "method", "seed": None}))
    assert Page(html).tags.count("script") == 1
    assert "\x1b" not in claims_text(results(
        record("method", None, text="\x1b[31m"), record("checkpoints", 0, text="\x1b[31m")
    ))  # fmt: skip


def test_the_figure_is_the_records_over_their_margins() -> None:
    found = results(*CLAIMS)
    figure = plots.claims(found)
    ax = figure.axes[0]
    points = [line for line in ax.lines if line.get_marker() == "d"]
    (point,) = points
    assert point.get_xdata()[0] == pytest.approx(0.1234 / 0.05)  # down supports
    (line,) = [one for one in ax.lines if len(one.get_xdata()) == 2 and one.get_marker() == "None"
               and list(one.get_xdata()) != [0, 0]]  # fmt: skip
    assert sorted(line.get_xdata()) == pytest.approx([(0.1234 - 0.02) / 0.05, 0.1434 / 0.05])
    assert [name for name, _ in claims_rows(found)] == ["f · ranking nDCG@10"]
    assert "resampled: 77 seeds." in claims_caption(found)


def test_the_figure_of_single_seeds_has_a_point_each() -> None:
    untested = record("method", None, parts=[part(None)])
    ((_, parts),) = claims_rows(results(*CLAIMS[:2], untested))
    assert [one["delta"] for one in parts] == [0.0321, 0.0654]
    with pytest.raises(InputError, match="no claims"):
        plots.claims(comparison())


def methods(count: int) -> Results:
    """Two methods, `count` seeds each, whose means stand in rows of their own."""
    labels = [f"{method} seed {i}" for method in ("ANCE", "DANCE") for i in range(count)]
    found = analysis(tuple(labels) if count > 1 else ("ANCE", "DANCE"))
    for place, space in enumerate(found.spaces):
        space["method"] = "DANCE" if place >= count else "ANCE"
        space["steps_after_ance"] = 240 if place >= count else 0
    if count > 1:
        mean = next(r for r in found.rows if r.measure == "nDCG@10")
        for method, value in (("ANCE", 0.4), ("DANCE", 0.5)):
            limits = {"ci_low": value - 0.01, "ci_high": value + 0.01}
            found.rows.append(replace(mean, space=method, value=value, unit="seed", **limits))
    return found


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_tables_hold_means_over_seeds_and_else_the_one_checkpoint() -> None:
    rows = read(method_table(methods(2), "effectiveness").csv())
    assert [(r["method"], r["steps_after_ance"]) for r in rows] == [
        ("ANCE", "0"),
        ("DANCE", "240"),
    ]
    assert rows[1]["ranking nDCG@10 (recipe)"] == "0.5"
    assert rows[1]["ranking nDCG@10 (recipe) ci_low"] == "0.49"
    assert rows[1]["ranking R@100 (recipe)"] == ""
    one = methods(1)
    row: Measurement = next(r for r in one.rows if (r.space, r.measure) == ("DANCE", "R@100"))
    rows = read(method_table(one, "effectiveness").csv())
    assert float(rows[1]["ranking R@100 (recipe)"]) == row.value
    wide = read(method_table(one, "ablation").csv())[0]
    assert "queries mean_cosine (unit)" in wide


def test_what_is_no_table() -> None:
    with pytest.raises(UsageError, match="effectiveness, ablation"):
        method_table(methods(1), "efectiveness")
    with pytest.raises(InputError, match="no methods"):
        method_table(comparison(), "ablation")


def test_figures_of_many_spaces_show_the_first_seed_of_each_method() -> None:
    few = methods(2)
    assert drawn(few) is few
    many = methods(7)
    assert drawn(many).labels == ["ANCE seed 0", "DANCE seed 0"]
    assert {curve.space for curve in drawn(many).curves} <= {"ANCE seed 0", "DANCE seed 0"}
    assert len(many.labels) == 14


def test_the_claims_as_csv_have_a_line_a_measure() -> None:
    known = results(*CLAIMS)
    rows = list(csv.DictReader(claims_csv(known).splitlines()))
    parts = [(record, one) for record in known.claims for one in record["parts"]]
    assert len(rows) == len(parts) > 3
    for row, (about, one) in zip(rows, parts, strict=True):
        assert (row["contrast"], row["outcome"]) == (about["contrast"], about["outcome"])
        assert row["measure_outcome"] == one["outcome"]
        assert row["delta"] == ("" if one["delta"] is None else repr(one["delta"]))


def test_the_claims_as_markdown_say_both_scopes_and_escape_texts() -> None:
    text = claims_markdown(results(*CLAIMS))
    first, second = text.split("The same claims between other methods")
    row = next(line for line in first.splitlines() if line.startswith("| f |"))
    assert "supported, p (Holm) 0.025" in row
    assert "undecided (1 of 2), supported (1 of 2)" in row
    assert "-12.3%" in row
    assert "no meaningful difference / mixed (2 seeds)" in second
    widths = {line.count(" | ") for line in first.splitlines() if line.startswith("|")}
    assert len(widths) == 1
    evil = [{**CLAIMS[0], "text": "a | b <script>"}, *CLAIMS[1:3]]
    assert "| a | b <script>" not in claims_markdown(results(*evil))
    assert claims_markdown(comparison()) == ""
