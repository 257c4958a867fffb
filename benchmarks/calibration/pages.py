"""The results as a page and as a file of all numbers."""

from __future__ import annotations

import csv
import math
import platform
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.measures import measure_space
from anisotropy.measures.registry import definition_of
from benchmarks.calibration import levels, pairs
from benchmarks.calibration.coverage import HIGHEST, LOWEST, Covered
from benchmarks.calibration.measuring import Row, everything, generator, named
from benchmarks.calibration.plan import Run
from benchmarks.calibration.scenarios import draw

HEADER = (
    "kind", "scenario", "design", "side", "measure", "on", "target", "truth", "rate", "low",
    "high", "below", "above", "se_over_sd", "bias_over_sd", "sd", "replicates", "withheld",
    "verdict",
)  # fmt: skip
TEXT = Path(__file__).parent / "page.md"


def write(run: Run, folder: Path) -> None:
    """Write ``calibration.md`` and ``calibration.csv``."""
    folder.mkdir(parents=True, exist_ok=True)
    coverage, nulls, power = list(run.coverage()), levels.nulls(run), levels.power(run)
    with (folder / "calibration.csv").open("w", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(HEADER)
        for one in coverage:
            lines.writerow(_coverage_line(one))
        for level in (*nulls, *levels.families(run), *power):
            lines.writerow(_level_line(level))
    parts = {
        "setup": "\n".join(_setup(run)),
        "scenarios": "\n".join(_scenarios(run)),
        "coverage": "\n".join(_coverage(run, coverage, sampled=False)),
        "sampled": "\n".join(_coverage(run, coverage, sampled=True)),
        "verdicts": "\n".join(_verdicts(coverage)),
        "withheld": "\n".join(_withheld(run)),
        "null": "\n".join(_levels(run, [n for n in nulls if n.design != "noisy documents"])),
        "families": "\n".join(_families(run)),
        "noisy": "\n".join(_levels(run, [n for n in nulls if n.design == "noisy documents"])),
        "power": "\n".join(_power(run, power)),
    }
    text = TEXT.read_text("utf-8")
    for name, part in parts.items():
        empty = part.count("\n") == 1 and part.startswith("|")
        text = text.replace(f"<!-- {name} -->", "Not part of this run." if empty else part)
    (folder / "calibration.md").write_text(text, "utf-8")
    print("\n".join(_verdicts(coverage)))


def _coverage_line(one: Covered) -> list[Any]:
    return ["coverage", one.scenario, one.design, *one.row, one.target, one.truth, one.coverage,
            one.low, one.high, one.below, one.above, one.se_ratio, one.bias, one.sd,
            one.replicates, one.withheld, one.verdict]  # fmt: skip


def _level_line(one: levels.Level) -> list[Any]:
    nothing = [""] * 2
    return [one.kind, one.scenario, one.design, *one.row, "", one.delta, one.rate, one.low,
            one.high, *nothing, "", "", one.sd, one.replicates, one.withheld,
            one.verdict]  # fmt: skip


def _row(cells: Iterable[object]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _head(*names: str) -> list[str]:
    return [_row(names), _row("---" for _ in names)]


def _setup(run: Run) -> Iterator[str]:
    size = run.size
    yield (
        f"{size.replicates} replicates of every measure, {max(size.cheap, size.replicates)} of "
        f"those that seek no neighbors; {size.pairs} null pairs; {size.planted} pairs with each "
        f"planted change. A population is shown by {size.truths} samples of {size.large:,} rows. "
        "Every replicate has a generator of its own, seeded by its name and number. "
        f"anisotropy {version('anisotropy')}, numpy {np.__version__}, scipy {version('scipy')}, "
        f"Python {platform.python_version()}."
    )


def _scenarios(run: Run) -> Iterator[str]:
    yield from _head("scenario", "law", "queries", "documents", "dim", "positives a query", "pool")
    for name in run.size.scenarios:
        s = named(name)
        low, high = s.positives
        law = (s.shape.__doc__ or "").rstrip(".")
        if s.offset:
            law += f"; queries moved by {s.offset:g}"
        if s.written:
            law += f", each a document with noise of {s.written:g}"
        pool = f"{s.pool} training queries" if s.pool else "the queries"
        yield _row([name, law, s.queries, s.documents, s.dim, f"{low} to {high}", pool])


def _coverage(run: Run, found: Sequence[Covered], *, sampled: bool) -> Iterator[str]:
    table: dict[tuple[str, Row, str], dict[str, str]] = {}
    for one in found:
        if ("sampled" in one.design) == sampled:
            cells = table.setdefault((one.design, one.row, one.target), {})
            cells[one.scenario] = _cell(one)
    names = run.size.scenarios
    yield from _head("measure", "side", "on", "drawn" if sampled else "about", *names)
    for (design, (side, measure, on), target), cells in sorted(table.items(), key=_by_family):
        about = design.removeprefix("sampled ") if sampled else target
        yield _row([f"`{measure}`", side, on, about, *(cells.get(n, "–") for n in names)])


def _by_family(item: tuple[tuple[str, Row, str], Any]) -> tuple[Any, ...]:
    design, (side, measure, on), _ = item[0]
    order = list(dict.fromkeys(d.name for d in everything_defined()))
    return (order.index(definition_of(measure).name), measure, side, on, design)


def everything_defined() -> tuple[Any, ...]:
    """All definitions in the order of the registry."""
    from anisotropy.measures.registry import registry

    return registry()


def _cell(one: Covered) -> str:
    if one.sd == 0:
        return "constant"
    mark = {"low": " **low**", "high": f" {_reason(one)}"}.get(one.verdict, "")
    share = one.withheld / one.replicates
    return f"{100 * one.coverage:.1f}{mark}" + (f" ({share:.0%} withheld)" if share else "")


def _reason(one: Covered) -> str:
    return "(degenerate)" if one.degenerate else "**high**"


def _verdicts(found: Sequence[Covered]) -> Iterator[str]:
    low = [one for one in found if one.verdict == "low"]
    high = [one for one in found if one.verdict == "high" and not one.degenerate]
    excused = [one for one in found if one.verdict == "high" and one.degenerate]
    tested = [one for one in found if one.sd > 0]
    yield (
        f"Of {len(tested)} rows with an interval, {len(low)} are below {LOWEST:.0%} beyond "
        f"binomial error and {len(high)} above {HIGHEST:.1%} away from degenerate cases "
        f"({len(excused)} in degenerate cases)."
    )
    for one in low + high:
        side, measure, on = one.row
        yield (
            f"* {one.verdict}: {one.scenario}, `{measure}` on {side} ({on}, {one.design}): "
            f"{one.coverage:.1%} [{one.low:.1%}, {one.high:.1%}], "
            f"interval below {one.below:.1%}, above {one.above:.1%}, se/sd {one.se_ratio:.2f}, "
            f"bias {one.bias:+.2f} sd"
        )
    yield from sorted({f"* degenerate: {one.degenerate}" for one in excused})


def _withheld(run: Run) -> Iterator[str]:
    """Rows that are measured and never carry an interval, documents apart."""
    rows: dict[str, set[str]] = {}
    for name in run.size.scenarios:
        drawn = draw(named(name), generator(name, "pilot"), "queries")
        found = measure_space(drawn.space(), run.size.only or everything(name))
        for row in found.rows:
            if row.side != "documents" or row.unit != "document":
                key = f"`{definition_of(row.measure).name}` on {row.side} ({row.on})"
                rows.setdefault(key, set()).add("" if math.isnan(row.ci_low) else name)
    for key, given in rows.items():
        if given == {""}:
            yield f"* {key}"


def _levels(run: Run, found: Sequence[levels.Level]) -> Iterator[str]:
    table: dict[tuple[str, Row, str], dict[str, str]] = {}
    for one in found:
        mark = " **high**" if one.verdict else ""
        table.setdefault((one.design, one.row, ""), {})[one.scenario] = (
            f"{100 * one.rate:.1f}{mark}"
        )
    names = run.size.scenarios
    yield from _head("measure", "side", "on", "noise on", *names)
    for (design, (side, measure, on), _), cells in sorted(table.items(), key=_by_family):
        noise = " and ".join(pairs.NULLS[design][1])
        yield _row([f"`{measure}`", side, on, noise, *(cells.get(n, "–") for n in names)])


def _families(run: Run) -> Iterator[str]:
    names = run.size.scenarios
    yield from _head("headline family", "noise on", *names)
    table: dict[tuple[str, str], dict[str, str]] = {}
    for one in levels.families(run):
        mark = " **high**" if one.verdict else ""
        table.setdefault((one.row[1], one.design), {})[one.scenario] = (
            f"{100 * one.rate:.1f}{mark}"
        )
    for (family, design), cells in table.items():
        noise = " and ".join(pairs.NULLS[design][1])
        yield _row([family, noise, *(cells.get(n, "–") for n in names)])


def _power(run: Run, found: Sequence[levels.Level]) -> Iterator[str]:
    designs = list(dict.fromkeys(one.design for one in found))
    table: dict[tuple[str, Row, str], dict[str, str]] = {}
    for one in found:
        cells = table.setdefault(("", one.row, ""), {})
        cells[one.design] = f"{100 * one.rate:.0f}"
    yield from _head("measure", "side", "on", *(d.replace(":", " ") for d in designs))
    for (_, (side, measure, on), _), cells in sorted(table.items(), key=_by_family):
        yield _row([f"`{measure}`", side, on, *(cells.get(d, "–") for d in designs)])
