"""The page on planning: it says what was measured, and its formulas are those of the text."""

from __future__ import annotations

import json

import numpy as np
import pytest

from anisotropy.backend import Rows
from anisotropy.measures.facts import Facts, Plan
from anisotropy.neighbors import top_neighbors
from benchmarks import approximate, planning, planning_page

FOUND = json.loads(planning.JSON.read_text("utf-8"))


def test_the_page_is_made_of_the_measured_numbers() -> None:
    assert planning.PAGE.read_text("utf-8") == planning_page.page(FOUND)
    assert not FOUND["small"]
    assert {r["data"] for r in FOUND["approximate"]["records"]} > {"made 40,000 x 96"}


def test_a_number_that_changes_shows_on_the_page() -> None:
    other = json.loads(json.dumps(FOUND))
    other["held"]["bytes_a_row"] *= 2
    other["approximate"]["records"][0]["recall"] = 0.12345
    text = planning_page.page(other)
    assert text != planning_page.page(FOUND)
    assert "0.123" in text


def test_what_the_page_says_in_words_is_what_was_found() -> None:
    found = FOUND["approximate"]["records"]
    negatives, hubs = ([r for r in found if r["use"] == use] for use in ("negatives", "hubs"))
    kl = "negative_probability_kl(k=200, role=documents)"
    for record in negatives:
        change = record["measures"][kl]["change_in_se"]
        off = planning_page.worst(record, planning_page.NEGATIVES)
        assert off > 1 or record["ratio"] < 1.1
        assert record["kind"] == "ivf" or change > 0
        if "nprobe=96" in record["index"] or "nprobe=400" in record["index"]:
            assert off < 1
    fast = [r["ratio"] for r in hubs if planning_page.worst(r, planning_page.HUBS) < 1]
    assert max(fast) > 1.5
    for record in hubs:
        if "ef_search=64" in record["index"] or "ef_search=256" in record["index"]:
            assert planning_page.worst(record, planning_page.HUBS) < 1


def test_time_grows_as_the_formula_says() -> None:
    cost = planning_page.costs(FOUND)
    one, ten = (planning_page.analysis(cost, n, 4) for n in (10**7, 10**8))
    assert all(ten[name] == pytest.approx(10 * one[name]) for name in one)
    more = planning_page.analysis(cost, 10**7, 8)
    assert more["sweeps"] == pytest.approx(one["sweeps"] / 2)
    assert (more["read"], more["ids"]) == (one["read"], one["ids"])


def test_an_index_pays_from_where_both_cost_the_same() -> None:
    for n in (10**5, 10**8):
        lists, probed, anchors = planning_page.break_even(n)
        build = n * lists + 64 * 10 * lists**2
        assert anchors * n == pytest.approx(build + anchors * (lists + probed * n / lists))


def test_passes_are_counted_by_what_they_are_for() -> None:
    rows = np.random.default_rng(0).normal(size=(500, 8))
    with planning.counting(rows) as seen:
        Rows(rows).mean()
        for _ in Rows(rows).blocks():
            pass
        top_neighbors(rows[:20], rows, 3)
        Rows(rows + 1).mean()
    assert sum(seen.rows.values()) == 1500
    assert sum(seen.flop.values()) == 2 * 20 * 500 * 8
    with planning.counting(rows) as seen:
        assert Rows.take(Rows(rows), slice(0, 3)).shape == (3, 8)
    assert "counted" not in Rows.take.__qualname__


def test_passes_of_a_side_are_whole() -> None:
    asked = ["hubness_skewness(k=10)", "uniformity(t=2)", "partition_isotropy"]
    counted = planning.passes_of("cosine", 8, (1000, 1400), 100, asked)
    by = {(r["measure"], r["purpose"]): r for r in counted["rows"]}
    sweep = by["hubness_skewness(k=10)", "sweep of within"]
    assert sweep["passes"] == pytest.approx(1)
    assert sweep["products"] == pytest.approx(100)
    assert by["partition_isotropy", "scatter"]["passes"] == pytest.approx(2)


def test_exact_lists_change_nothing_and_worse_ones_do() -> None:
    space = approximate.made_space(60, 500, 16)
    facts = Facts(space, Plan((), approximate.HUBS_K, 20), exact=True)
    use = approximate.hubs_use(facts)
    assert use.values(use.exact) == pytest.approx({
        name: approximate._estimate(facts, name, "documents", "unit").value for name in use.errors
    })  # fmt: skip
    found = approximate.popularity(use, use.exact)
    assert found["hubs"] == found["others"] == found["start"] == found["end"] == 1
    assert found["wrong_in_hubs"] is None
    lost = approximate.popularity(use, top_neighbors(
        use.anchors.take(slice(None)), space.documents, 10, similarity="cosine", others=True,
        index="ivf(nlist=20, nprobe=1)",
    ))  # fmt: skip
    assert 0 < (lost["others"] or 0) < 1


def test_a_standard_error_is_that_of_a_mean() -> None:
    values = np.random.default_rng(0).normal(size=(20, 50))
    left = [float(np.delete(values, b, axis=0).mean()) for b in range(20)]
    expected = values.mean(axis=1).std(ddof=1) / np.sqrt(20)
    assert approximate._jackknife(left) == pytest.approx(expected)
