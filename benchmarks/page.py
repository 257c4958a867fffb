"""``docs/benchmarks.md`` from the results: ``python -m benchmarks.page [RESULTS.json]``.

Without a file, from the full results where there are any, else from the small ones.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.quantities import Number, missed_by
from benchmarks.registry import CASES

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
INTRODUCTION = """\
# Speed and memory

This page is written by `python -m benchmarks.page` from `benchmarks/results/{mode}.json`. `make
bench` measures small sizes (two to three minutes), `make bench BENCH=full` those of the targets
(three quarters of an hour), each on an idle machine, and writes this page of what it measured.

Seconds of one machine say little about another. Every case therefore stands beside what a user
would run instead and beside what the machine itself can do, measured in the same run: the ways
take turns, and a ratio is the median of the ratios of single turns. Brackets hold the extremes.
`python -m benchmarks CASE` runs one case, `--list` names them, and
`python -m benchmarks --profile` shows where the time of `analyze` goes.
"""
SMALL = """
**A small run**: the sizes are far below those that the targets are set for, so it says whether
everything works and not whether a target is met.
"""
BUSY = """
**The machine was busy** (load {load} before anything was started): these times say little.
"""


def latest() -> Path:
    """Results the page is made of."""
    full, small = (HERE / "results" / f"{mode}.json" for mode in ("full", "small"))
    return full if full.exists() else small


def page(result: dict[str, Any]) -> str:
    """The whole page."""
    lines = [INTRODUCTION.format(mode=result["mode"])]
    lines += [SMALL] if result["mode"] == "small" else []
    lines += [BUSY.format(**result["machine"])] if result["machine"]["busy"] else []
    lines += ["\n## Targets\n", *_targets(result["cases"], result["mode"] == "full")]
    lines += ["\n## The machine\n", *_machine(result["machine"]), ""]
    lines += _table(result["limits"])
    for found in result["cases"].values():
        lines += [f"\n## {found['title']}\n", *_sizes(found), *case_lines(found)]
    lines += _left(result)
    return "\n".join(line.rstrip("\n") for line in lines) + "\n"


def _left(result: dict[str, Any]) -> list[str]:
    """Cases of the mode that are not among the results: a run that was ended early."""
    cases = (case for case in CASES if result["mode"] in case.modes)
    left = [f"`{case.name}`" for case in cases if case.name not in result["cases"]]
    return [f"\nThis run was ended before: {', '.join(left)}."] if left else []


def _sizes(found: dict[str, Any]) -> list[str]:
    """What the case is of, where one size is that of all its rows."""
    return [f"{found['sizes']}.\n"] if found.get("sizes") else []


def case_lines(found: dict[str, Any]) -> Iterator[str]:
    """The numbers of a case as a table; or why there are none."""
    if "skipped" in found:
        yield f"Left out: {found['skipped']}."
        return
    yield from _table(found["numbers"])
    yield f"\n{found['seconds']:.0f} s in all."


def _targets(cases: dict[str, Any], decided: bool) -> Iterator[str]:
    yield from _head("case", "what", "target", "measured", "", "bounded by", right=(3,))
    for name, case in cases.items():
        of = f"`{name}`" + (f": {case['sizes']}" if case.get("sizes") else "")
        for one in case.get("numbers", {}).values():
            if "target" in one:
                word = verdict(one) if decided else "not decided"
                yield _row([of, one["text"], _target(one), _shown(one), word, one["bound"]])


def verdict(one: Number) -> str:
    """Met, or missed by how much."""
    by = missed_by(one)
    return "met" if by <= 0 else f"**missed by {by:.0%}**" if by >= 0.01 else "**just missed**"


def _target(one: Number) -> str:
    return f"{one['target']['way']} {_value(one['target']['value'], one['unit'])}"


def _machine(about: dict[str, Any]) -> Iterator[str]:
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    flags = ", ".join(about["flags"]) or "none of those looked for"
    threads = about["omp_num_threads"]
    yield (
        f"{about['cpu']}, {about['cores']} cores"
        f"{f' (OMP_NUM_THREADS {threads})' if threads else ''}, {about['memory_gb']} GB, {flags}; "
        f"{about['system']}; load {about['load']} before the run. Python {about['python']}, "
        f"{versions}. Products: {', '.join(about['blas'])}."
    )


def _table(numbers: dict[str, Number]) -> Iterator[str]:
    yield from _head("", "median", "turns", right=(1, 2))
    for one in numbers.values():
        yield _row([one["text"], _shown(one), one["turns"]])


def _shown(one: Number) -> str:
    value, unit = _value(one["value"], one["unit"]), one["unit"]
    if one["low"] == one["high"]:
        return value
    low, high = (_value(one[end], unit, bare=True) for end in ("low", "high"))
    return f"{value} [{low}, {high}]"


def _value(value: float, unit: str, bare: bool = False) -> str:
    if unit == "share":
        digits = 0 if 0.1 <= abs(value) < 0.9995 or value in (0, 1) else 3
        return f"{100 * value:.{digits}f}%"
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 20 else 2
    number = f"{value:,.{digits}f}"
    return number if bare or not unit else f"{number}{'×' if unit == 'x' else f' {unit}'}"


def _row(cells: Iterable[object]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _head(*names: str, right: tuple[int, ...] = ()) -> Iterator[str]:
    yield _row(names)
    yield "|" + "|".join("---:" if i in right else "---" for i in range(len(names))) + "|"


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("results", nargs="?", type=Path, default=latest(), metavar="RESULTS.json")
    source = parser.parse_args().results
    if not source.is_file():
        parser.error(f"{source}: no such file; python -m benchmarks writes one")
    PAGE.write_text(page(json.loads(source.read_text("utf-8"))), encoding="utf-8")
    print(f"{PAGE} from {source}")


if __name__ == "__main__":
    main()
