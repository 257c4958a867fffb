"""Uniformity of n vectors: ours, sampled and exact, against the definition as it was published.

The definition: ``torch.pdist(x, p=2).pow(2).mul(-t).exp().mean().log()`` (Wang and Isola 2020).
Ours gives that one value where documents and unit rows alone are asked for, else seven: of both
sides, both together and across, of unit and of centered rows. Memory is that of processes of
their own, above what they held with the vectors in memory and everything imported, and above the
vectors alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import processes
from benchmarks.machine import pairs_rate
from benchmarks.made import Sizes, drawn
from benchmarks.processes import resident, say
from benchmarks.quantities import Number, Numbers, number, ratios
from benchmarks.registry import Setting
from benchmarks.timing import seconds, turns

T = 2.0
MEASURE = f"uniformity(t={T:g})"
QUERIES = 8
#: The value that was published: others are not computed.
ONE = {"sides": "documents", "on": "unit"}


def case(setting: Setting) -> dict[str, Any]:
    """All ways in turns, then their memory."""
    n, dim = setting.pick((300, 32), (6_000, 768), (20_000, 768))
    count = setting.pick(1, 1, 3)
    queries, rows = drawn(Sizes(QUERIES, n, dim))
    ours(queries, rows[:64])  # imports
    published(rows[:64])
    values: dict[str, float] = {}
    ways = {
        "default": timed("default", lambda: ours(queries, rows, **ONE), values),
        "exact": timed("exact", lambda: ours(queries, rows, exact=True, **ONE), values),
        "seven": timed("seven", lambda: ours(queries, rows), values),
        "seven_exact": timed("seven_exact", lambda: ours(queries, rows, exact=True), values),
        "published": timed("published", lambda: published(rows), values),
        "rate": lambda: pairs_rate(dim),
    }
    taken = turns(ways, count)
    np.save(setting.folder / "rows.npy", rows)
    np.save(setting.folder / "queries.npy", queries)
    peaks = {how: memory(setting.folder, how) for how in ("default", "exact", "published")}
    products = float(n) * (n - 1) * dim
    numbers = {**_times(taken, products), **_values(values), **_peaks(peaks, n * dim * 4 / 1e6)}
    return {"sizes": f"{n:,} x {dim}, t = {T:g}", **numbers}


def timed(name: str, work: Callable[[], float], values: dict[str, float]) -> Callable[[], float]:
    """The same work by its seconds; its value is kept."""

    def way() -> float:
        return seconds(lambda: values.update({name: work()}))

    return way


def ours(queries: np.ndarray, documents: np.ndarray, **settings: Any) -> float:
    """Uniformity of the documents as a user measures it."""
    import anisotropy as an

    space = an.EmbeddingSpace(queries=queries, documents=documents)
    found = an.measure(space, [MEASURE], **settings)
    row = found[(found.side == "documents") & (found.on == "unit")]
    return float(row.value.iloc[0])


def published(rows: np.ndarray) -> float:
    """The published definition, on rows of length 1."""
    import torch
    from torch.nn.functional import normalize

    x = normalize(torch.from_numpy(rows))
    return float(torch.pdist(x, p=2).pow(2).mul(-T).exp().mean().log())


def memory(folder: Path, how: str) -> dict[str, float]:
    """Peak of a process that does it once, and what it held just before."""
    found = processes.run(["-m", "benchmarks.cases.uniformity", str(folder), how])
    return {"peak": found.peak, **found.answer}


def _times(taken: dict[str, list[float]], products: float) -> Numbers:
    share = [products / rate / s for rate, s in zip(taken["rate"], taken["exact"], strict=True)]
    found = {
        f"{name}_s": number(taken[name], "s", text)
        for name, text in (
            ("default", "ours, default (sampled anchors where there are many)"),
            ("exact", "ours, `exact=True`"),
            ("seven", "ours, default, all seven values of the measure"),
            ("seven_exact", "ours, `exact=True`, all seven values"),
            ("published", "the published definition, `torch.pdist`"),
        )
    }
    least, bound = products / float(np.median(taken["rate"])), "the matrix products of all pairs"
    found["products_s"] = number(least, "s", f"{bound}, n(n-1)d, at the measured rate")
    found["default_ratio"] = number(
        ratios(taken["published"], taken["default"]), "x",
        "default against the published definition", at_least=20,
        bound="products of the anchors with all rows in bfloat16, and exponentials",
    )  # fmt: skip
    found["exact_ratio"] = number(
        ratios(taken["published"], taken["exact"]), "x",
        "exact against the published definition", at_least=6, bound=bound,
    )  # fmt: skip
    found["exact_share"] = number(
        share, "share", "exact: n(n-1)d over the time at the measured rate", at_least=0.6,
        bound="exponentials",
    )  # fmt: skip
    return found


def _values(values: dict[str, float]) -> Numbers:
    off = {how: abs(values[how] - values["published"]) for how in ("default", "exact")}
    largest = abs(values["published"])
    return {
        "value": number(values["published"], "", "value of the published definition"),
        "default_difference": number(
            off["default"] / largest, "share", "default: relative difference of the value",
            at_most=5e-3, bound="the error of sampled anchors, which the results state",
        ),
        "exact_difference": number(
            off["exact"] / largest, "share", "exact: relative difference of the value",
            at_most=5e-4, bound="rounding",
        ),
    }  # fmt: skip


def _peaks(peaks: dict[str, dict[str, float]], data: float) -> Numbers:
    found: Numbers = {}
    for how, one in peaks.items():
        text = f"{how}: peak of private memory above vectors and libraries"
        found[f"{how}_mb"] = _memory(how, one["peak"] - one["before"], text, "tiles of scores")
        above = f"{how}: peak of private memory above the vectors alone, libraries included"
        found[f"{how}_with_imports_mb"] = _memory(
            how, one["peak"] - data, above, "tiles of scores; the interpreter, NumPy and torch"
        )
    return found


def _memory(how: str, value: float, text: str, bound: str) -> Number:
    if how == "published":
        return number(value, "MB", text)
    return number(value, "MB", text, at_most=300, bound=bound)


def main() -> None:
    """Do it once in this process, with little first so that everything is imported."""
    folder, how = Path(sys.argv[1]), sys.argv[2]
    queries, rows = np.load(folder / "queries.npy"), np.load(folder / "rows.npy")
    once: dict[str, Callable[[np.ndarray], Any]] = {
        "default": lambda part: ours(queries, part, **ONE),
        "exact": lambda part: ours(queries, part, exact=True, **ONE),
        "published": published,
    }
    once[how](rows[:64])
    before = resident() * 1024 / 1e6
    start = time.perf_counter()
    once[how](rows)
    say(before=before, seconds=time.perf_counter() - start)


if __name__ == "__main__":
    main()
