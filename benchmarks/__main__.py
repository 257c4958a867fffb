"""Every speed case of the project, or some: ``python -m benchmarks [CASE ...] [--full]``.

Without cases all of the mode are run, and ``benchmarks/results/<mode>.json`` is written after
each of them; ``python -m benchmarks.page`` makes ``docs/benchmarks.md`` of it. Named cases are
printed, and written where ``--out`` says. Small takes two to three minutes on two idle cores,
full three quarters of an hour.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import machine, processes
from benchmarks.made import Sizes, make_store
from benchmarks.page import case_lines
from benchmarks.quantities import plain
from benchmarks.registry import CASES, Case, Setting

RESULTS = Path(__file__).parent / "results"
SCHEMA = "anisotropy.benchmarks/1"


def measure(case: Case, setting: Setting) -> dict[str, Any]:
    """Numbers of a case and how long it took; or why it was left out."""
    if not case.there:
        return {"title": case.title, "skipped": "not part of this repository"}
    start = time.perf_counter()
    try:
        found = case.load()(setting)
    except ImportError as error:
        return {"title": case.title, "skipped": f"not installed: {error.name or error}"}
    taken = time.perf_counter() - start
    sizes = found.pop("sizes", "")
    return {"title": case.title, "sizes": sizes, "seconds": taken, "numbers": plain(found)}


def run(names: list[str], full: bool, out: Path | None, scratch: Path | None) -> dict[str, Any]:
    """Run cases in order, write after each."""
    about = machine.facts()
    machine.warn(about)
    rates, disk, shown = machine.limits(full)
    about["blas"] = machine.blas()  # torch brings its own
    result: dict[str, Any] = {
        "schema": SCHEMA, "mode": "full" if full else "small",
        "machine": about, "limits": shown, "cases": {},
    }  # fmt: skip
    for case in CASES:
        if case.name not in names:
            continue
        print(f"{case.name}: {case.title}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            found = measure(case, Setting(full, Path(folder), rates, disk))
        result["cases"][case.name] = found
        print("\n".join(case_lines(found)), flush=True)
        if out is not None:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def profile(documents: int, scratch: Path | None) -> None:
    """Phases of ``analyze --projection none`` of a made store of 5,000 queries."""
    machine.warn(machine.facts())
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        store = make_store(Path(folder) / "made", Sizes(5_000, documents))
        words = ["-m", "benchmarks.profiling", str(store), "--projection", "none"]
        print(processes.run(words).out)


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="default: all of the mode")
    parser.add_argument("--full", action="store_true", help="at the sizes of the targets")
    parser.add_argument("--extra", action="store_true", help="also the cases marked extra")
    parser.add_argument("--out", type=Path, help="file for the results (JSON)")
    parser.add_argument("--scratch", type=Path, help="folder for stores, on the disk to measure")
    parser.add_argument(
        "--profile", type=int, nargs="?", const=100_000, metavar="DOCUMENTS",
        help="where the time of analyze goes, phase by phase, and stop; default: of 100,000",
    )  # fmt: skip
    parser.add_argument("--list", action="store_true", help="list the cases and stop")
    asked = parser.parse_args()
    known = [case.name for case in CASES]
    if wrong := [name for name in asked.cases if name not in known]:
        parser.error(f"unknown case: {', '.join(wrong)}; allowed: {', '.join(known)}")
    if asked.list:
        for case in CASES:
            print(f"{case.name:12s} {', '.join(case.modes):12s} {case.title}")
        return
    if asked.profile:
        profile(asked.profile, asked.scratch)
        return
    mode = "full" if asked.full else "small"
    modes = {mode, "extra"} if asked.extra else {mode}
    if asked.scratch is not None and not asked.scratch.is_dir():
        parser.error(f"--scratch {asked.scratch}: no such folder; make it first")
    names = asked.cases or [case.name for case in CASES if modes & set(case.modes)]
    out = asked.out or (None if asked.cases else RESULTS / f"{mode}.json")
    start = time.perf_counter()
    run(names, asked.full, out, asked.scratch)
    print(f"{time.perf_counter() - start:.0f} s in all", file=sys.stderr)


if __name__ == "__main__":
    main()
