"""Every case runs at tiny sizes and the page says what the results do; nothing is timed."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from benchmarks import machine, page, processes
from benchmarks.__main__ import SCHEMA, measure
from benchmarks.cases import analysis, neighbors, uniformity
from benchmarks.machine import Limits
from benchmarks.made import Made, Sizes, drawn, make_store
from benchmarks.profiling import Phases, Threads
from benchmarks.quantities import missed_by, number, plain, slope
from benchmarks.registry import CASES, Case, Setting
from benchmarks.timing import turns

LIMITS = Limits(1e9, 1e9, 1e9, 1e9)


def setting(folder: Path) -> Setting:
    return Setting(False, folder, LIMITS, 1e9, tiny=True)


def run(name: str, folder: Path) -> dict[str, Any]:
    (case,) = (case for case in CASES if case.name == name)
    found = measure(case, setting(folder))
    assert "skipped" not in found, found
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["uniformity", "neighbors", "startup"])
def test_a_case_runs_and_has_targets(name: str, tmp_path: Path) -> None:
    found = run(name, tmp_path)
    targets = [one for one in found["numbers"].values() if "target" in one]
    assert targets
    assert all(one["bound"] and np.isfinite(one["value"]) for one in targets)
    assert json.loads(json.dumps(found))["numbers"]
    assert len(list(page.case_lines(found))) > len(found["numbers"])


@pytest.mark.slow
def test_the_analysis_of_one_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words: list[tuple[str, ...]] = []

    def program(*given: str, **_: Any) -> processes.Finished:
        words.append(given)
        (tmp_path / "results").mkdir()
        return processes.Finished(1.0 + len(words), 1.0, 5.0, "")

    monkeypatch.setattr(processes, "program", program)
    found = run("analysis", tmp_path)["numbers"]
    assert len(words) == 2
    assert all(given[0] == "analyze" and Path(given[1]).name == "made" for given in words)
    assert {"typed_300_s", "typed_600_mb", "typed_600_over_needed", "exponent"} <= found.keys()
    assert "target" in found["typed_600_over_needed"]
    assert "target" not in found["typed_300_over_needed"]


@pytest.mark.slow
def test_stores_of_the_demo_compare(tmp_path: Path) -> None:
    from anisotropy.spaces.store import open_store
    from benchmarks.cases.shell import demo_store

    a, b = (open_store(demo_store(tmp_path / name, (20, 90, 30), 8, seed))
            for seed, name in enumerate("ab"))  # fmt: skip
    assert a.counts["training_queries"] == 30
    assert a.qrels == b.qrels
    assert 0 < np.abs(np.asarray(a.documents) - np.asarray(b.documents)).mean() < 1


def test_a_case_that_is_not_there_or_not_installed(tmp_path: Path) -> None:
    gone = Case("gone", "Gone", "no_such_module:case")
    assert measure(gone, setting(tmp_path)) == {
        "title": "Gone", "skipped": "not part of this repository",
    }  # fmt: skip
    assert list(page.case_lines(measure(gone, setting(tmp_path)))) == [
        "Left out: not part of this repository."
    ]


def test_every_case_that_is_there_loads() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    there = [case for case in CASES if case.there]
    assert {"uniformity", "analysis", "neighbors", "startup", "compare"} <= {c.name for c in there}
    assert all(callable(case.load()) for case in there)


def test_the_ways_of_uniformity_agree() -> None:
    queries, rows = drawn(Sizes(8, 200, 16))
    value = uniformity.published(rows)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    by_scipy = np.log(np.exp(-2 * pdist(unit, "sqeuclidean")).mean())
    assert by_scipy == pytest.approx(value, abs=1e-5)
    assert uniformity.ours(queries, rows) == pytest.approx(value, abs=1e-5)


def test_neighbors_agree_and_a_wrong_one_is_seen(tmp_path: Path) -> None:
    neighbors.write(tmp_path, 10, 300, 16)
    queries, documents = (np.load(tmp_path / f"{n}.npy") for n in ("queries", "documents"))
    for name, way in (("ours", neighbors.by_us), ("faiss", neighbors.by_faiss)):
        index, scores, _ = way(queries, documents, 7)
        np.save(tmp_path / f"{name}-index.npy", index)
        np.save(tmp_path / f"{name}-scores.npy", scores)
    assert neighbors.agreement(tmp_path) == 1
    index[0, 3], scores[0, 3] = -1, scores[0, 3] - 1
    np.save(tmp_path / "faiss-index.npy", index)
    np.save(tmp_path / "faiss-scores.npy", scores)
    assert neighbors.agreement(tmp_path) == 1 - 1 / 70


def test_needed_operations_against_counting() -> None:
    """Distinct pairs of anchors with all rows, counted one by one."""
    for n, anchors in ((9, 9), (30, 7)):
        counted = {frozenset(pair) for pair in itertools.product(range(anchors), range(n))
                   if len(set(pair)) == 2}  # fmt: skip
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(analysis, "ANCHORS", 7)
            assert analysis.distinct_pairs(n) == len(counted)
    small, more = (analysis.needed_operations(Sizes(50, n, 8)) for n in (100, 200))
    assert all(more[shape] > small[shape] for shape in small)
    slow = Limits(1e8, 1e9, 1e9, 1e9)
    sizes = Sizes(50, 100, 8)
    more_s = analysis.products_seconds(sizes, slow) - analysis.products_seconds(sizes, LIMITS)
    assert more_s == pytest.approx(9 * small["pairs"] / 1e9)


def test_made_stores_do_not_depend_on_how_they_are_drawn(tmp_path: Path) -> None:
    from anisotropy.spaces.store import open_store

    sizes = Sizes(20, 9_000, 8)
    space = open_store(make_store(tmp_path / "made", sizes))
    queries, documents = drawn(sizes)
    assert space.documents.dtype == np.float16
    np.testing.assert_array_equal(np.asarray(space.documents), documents.astype(np.float16))
    np.testing.assert_array_equal(np.asarray(space.queries), queries.astype(np.float16))
    assert space.qrels == Made(20, 9_000, 8).qrels()
    near = [q @ documents[[int(d[1:]) for d in space.qrels[f"q{i}"]]].mean(0)
            for i, q in enumerate(queries)]  # fmt: skip
    assert np.mean(near) > (queries @ documents.T).mean()


def test_numbers_and_targets() -> None:
    one = number([3.0, 1.0, 2.0], "x", "ratio", at_least=4, bound="b")
    assert (one["value"], one["low"], one["high"], one["turns"]) == (2, 1, 3, 3)
    assert missed_by(one) == 0.5
    assert missed_by(number(2.0, "x", "", at_most=1)) == 1
    assert missed_by(number(1.0, "x", "", at_most=1)) == 0
    assert slope([10, 100, 1000], [1, 10, 100]) == pytest.approx(1)
    assert plain({"a": {"b": 1, "c": "text"}, "d": one, "e": True}) == {
        "a.b": number(1, "", "a.b"), "d": one,
    }  # fmt: skip


def test_turns_alternate_and_stop() -> None:
    seen: list[str] = []

    def way(name: str) -> float:
        seen.append(name)
        return len(seen)

    ways = {name: lambda name=name: way(name) for name in "ab"}
    assert turns(ways, 2) == {"a": [1, 3], "b": [2, 4]}  # type: ignore[arg-type]
    assert "".join(seen) == "abab"
    assert turns(ways, 9, budget=0) == {"a": [5], "b": [6]}  # type: ignore[arg-type]


def test_memory_of_a_process_is_seen() -> None:
    """A process that holds 80 MB for a moment; a mapped file would not count."""
    code = "import time; x = bytearray(80_000_000); x[::4096] = b'1' * len(x[::4096]); "
    held = processes.run(["-c", code + "time.sleep(.2); print('{}')"]).peak
    assert 80 < held - processes.run(["-c", "import time; time.sleep(.2)"]).peak < 100
    with pytest.raises(RuntimeError, match="exit code 3"):
        processes.run(["-c", "raise SystemExit(3)"])


def test_phases_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    now = itertools.count()
    for clock in ("perf_counter", "process_time", "thread_time"):
        monkeypatch.setattr(f"benchmarks.profiling.time.{clock}", lambda: next(now))
    phases, threads = Phases(), Threads()
    with phases.phase("outer"):
        now = itertools.count(100)
        with phases.phase("inner"), threads.phase("work"):
            now = itertools.count(1000)
    assert phases.wall["inner"] > 800
    assert 90 < phases.wall["outer"] < 110
    assert threads.seconds["work"] > 800
    assert "| inner | 1 |" in phases.table()
    assert "| work | 1 |" in threads.table()


def test_the_machine_is_described() -> None:
    about = machine.facts()
    assert about["versions"]["numpy"] == np.__version__
    assert about["cpu"]
    assert about["cores"] >= 1
    assert machine.pairs_rate(16, rounds=1) > 0
    assert min(machine.bandwidth(1 << 16, rounds=1)) > 0
    assert machine.disk_rate(8 << 20) > 0


def result() -> dict[str, Any]:
    numbers = {
        "met": number([2.0, 3.0], "x", "first", at_least=1, bound="nothing"),
        "missed": number(0.5, "share", "second", at_least=0.6, bound="products"),
        "plain": number(7, "s", "third"),
    }
    about = machine.facts() | {"busy": True, "load": 3.5, "blas": machine.blas()}
    cases = {"one": {"title": "One", "seconds": 1.0, "numbers": numbers},
             "two": {"title": "Two", "skipped": "not installed: dask"}}  # fmt: skip
    return {"schema": SCHEMA, "mode": "small", "machine": about, "limits": {}, "cases": cases}


def test_the_page_says_what_is_met_and_what_is_not() -> None:
    text = page.page(result() | {"mode": "full"})
    assert "| first | at least 1.00× | 2.50× [2.00, 3.00] | met | nothing |" in text
    assert "| second | at least 60% | 50% | **missed by 17%** | products |" in text
    assert "| third | 7.00 s | 1 |" in text
    assert "Left out: not installed: dask." in text
    assert "**The machine was busy** (load 3.5" in text
    assert "small run" not in text
    idle = result()["machine"] | {"busy": False}
    small = page.page(result() | {"machine": idle})
    assert "busy" not in small
    assert "**A small run**" in small
    assert "| second | at least 60% | 50% | not decided | products |" in small


def test_the_page_is_that_of_the_results() -> None:
    stored = json.loads(page.latest().read_text("utf-8"))
    assert stored["schema"] == SCHEMA
    assert page.PAGE.read_text("utf-8") == page.page(stored), "run python -m benchmarks.page"
