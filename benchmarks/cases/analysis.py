"""``anisotropy analyze STORE`` at growing numbers of documents, against the products it needs.

Time is that of the command a user types: start of the program, maps, report and figures included.
Beside it stand the peak of private memory, and the time in which the machine makes the matrix
products that the default set cannot do without, plus one read of the vectors. ``python -m
benchmarks.profiling STORE`` says where the rest goes.

A product of two vectors is counted once, however many measures are made of it and under how many
transforms: rows of a side with one another from the anchors (distinct pairs), queries with
documents, second moments (one half, they are symmetric) and rows along the directions of the
partition functions. Where the vectors of a recipe lie far from zero the package multiplies queries
with documents once more, centered; those made here do not.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from benchmarks import processes
from benchmarks.machine import Limits, product_rates
from benchmarks.made import Sizes, make_store
from benchmarks.processes import Finished
from benchmarks.quantities import Number, Numbers, number, slope
from benchmarks.registry import Setting
from benchmarks.timing import turns

ANCHORS = 5_000
#: Subsamples of the documents whose spectra are taken, and folds of separability.
SUBSAMPLES, FOLDS = 5, 5
#: Wall seconds after which no further turn of a size begins: so a run of all cases stays below
#: an hour on two cores.
BUDGET = 240.0


def case(setting: Setting) -> dict[str, Any]:
    """Every size, then how time grows."""
    queries, dim = setting.pick((60, 16), (500, 768), (5_000, 768))
    found: Numbers = {}
    documents = setting.pick((300, 600), (1_000, 4_000), (10_000, 100_000, 1_000_000))
    for n in documents:
        sizes = Sizes(queries, n, dim)
        found |= _size(setting, sizes, largest=n == max(documents))
    times = [found[f"typed_{n}_s"]["value"] for n in documents]
    found["exponent"] = number(
        slope(documents, times), "", "fitted exponent of time in the number of documents",
        at_most=1.05, bound="what does not grow with the documents keeps it low",
    )  # fmt: skip
    return {"sizes": f"{queries:,} queries, {dim} dimensions, float16", **found}


def _size(setting: Setting, sizes: Sizes, largest: bool) -> Numbers:
    store = make_store(setting.folder / "made", sizes)
    ended: list[Finished] = []
    rates: list[Limits] = []

    def typed() -> float:
        ended.append(analyze(store))
        return ended[-1].wall

    def rate() -> float:
        rates.append(product_rates(sizes.dim, rounds=3))
        return rates[-1].pairs / 1e9

    turns({"typed": typed, "rate": rate}, setting.pick(1, 1, 3), BUDGET)
    shutil.rmtree(store)
    return _numbers(sizes, ended, rates, setting.disk, largest)


def analyze(store: Path) -> Finished:
    """Run the command."""
    out = store.parent / "results"
    ended = processes.program("analyze", str(store), "--quiet", "--out", str(out))
    shutil.rmtree(out)
    return ended


def _numbers(
    sizes: Sizes, ended: list[Finished], rates: list[Limits], disk: float, largest: bool
) -> Numbers:
    n, found = sizes.documents, Numbers()
    read, where = sizes.bytes() / disk, f"{sizes.documents:,} documents"
    found[f"typed_{n}_s"] = number([e.wall for e in ended], "s", where)
    found[f"typed_{n}_cpu_s"] = number([e.cpu for e in ended], "s", f"{where}: CPU seconds")
    found[f"typed_{n}_mb"] = _memory([e.peak for e in ended], where, largest)
    needed = [products_seconds(sizes, rate) for rate in rates]
    over = [e.wall / (s + read) for e, s in zip(ended, needed, strict=True)]
    text = f"{where}: time over needed products and one read"
    found[f"typed_{n}_over_needed"] = _over(over, text, largest)
    found[f"needed_{n}_s"] = number(needed, "s", f"{where}: needed products")
    found[f"read_{n}_s"] = number(read, "s", f"{where}: one read of the vectors")
    return found


def _memory(peaks: list[float], where: str, largest: bool) -> Number:
    text = f"{where}: peak of private memory"
    if not largest:
        return number(peaks, "MB", text)
    return number(peaks, "MB", text, at_most=3000, bound="values of every document, and its id")


def _over(values: list[float], text: str, largest: bool) -> Number:
    if not largest:
        return number(values, "x", text)
    return number(
        values, "x", text, at_most=2.5,
        bound="exponentials and selections on the scores, second moments in float64, spectra, "
        "report and figures",
    )  # fmt: skip


def products_seconds(sizes: Sizes, rates: Limits) -> float:
    """Seconds of the needed products at the measured rates."""
    work = needed_operations(sizes)
    return sum(work[name] / getattr(rates, name) for name in work)


def needed_operations(sizes: Sizes) -> dict[str, float]:
    """Operations of the products that the default set cannot do without, by their shape."""
    q, n, d = sizes.queries, sizes.documents, sizes.dim
    drawn = min(q, n)
    apart = distinct_pairs(n) + distinct_pairs(q) + q * n
    # The pool of both sides (mixing): pairs of the documents drawn for it are no others'.
    apart += drawn * (drawn - 1) / 2 if n > drawn else 0
    rows = 2 * (n + q) + SUBSAMPLES * drawn + FOLDS * 2 * drawn * (1 - 1 / FOLDS)
    return {
        "pairs": 2.0 * apart * d,
        # Of raw and of unit rows, of subsamples, and within the sides of each fold.
        "gram": rows * d * (d + 1.0),
        # Of raw and of unit rows, along the directions of their own side and of both.
        "along": 4 * (n + q) * 2.0 * d * d,
    }


def distinct_pairs(n: int) -> float:
    """Pairs of the anchors of n rows with all of them, each once."""
    anchors = n if n <= 2 * ANCHORS else ANCHORS
    return anchors * n - anchors * (anchors + 1) / 2
