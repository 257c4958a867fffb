"""What an analysis of very many vectors reads, computes, holds: the numbers of docs/planning.md.

``python -m benchmarks.planning measure [--small] [--store STORE ...]`` measures on this machine
and writes ``docs/planning.json``; ``python -m benchmarks.planning page`` writes the page from it.
``--store`` adds stores of real vectors to the measurements of approximate indexes.

What grows with the number of documents is the difference of two runs of different sizes, so that
samples of fixed size drop out. Passes are counted while the default set is computed, with its
curves; seconds are CPU seconds, which a busy machine disturbs less than the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from anisotropy import backend
from anisotropy.backend import Rows
from anisotropy.measures import measure_space, passes, run
from anisotropy.neighbors import Items, KernelSums, TopK, View, sweep_views, sweeping
from anisotropy.spaces import EmbeddingSpace
from benchmarks import approximate
from benchmarks.made import Sizes, make_store
from benchmarks.processes import program

ROOT = Path(__file__).parent.parent
JSON, PAGE = ROOT / "docs" / "planning.json", ROOT / "docs" / "planning.md"
TEMPLATE = Path(__file__).with_suffix(".md")
MIB = 2**20


# Rates --------------------------------------------------------------------------------------


def rates(dim: int, small: bool) -> dict[str, float]:
    """What one core and the disk do: products in FLOP a second, reading in bytes a second."""
    rng = np.random.default_rng(0)
    tile, targets = (rng.random((n, dim), dtype=np.float32) for n in (256, 4096))
    rows = rng.random((2048, dim))
    rounds = 3 if small else 10
    with backend.one_thread_each:
        single = _per_cpu_second(lambda: tile @ targets.T, rounds)
        double = _per_cpu_second(lambda: rows.T @ rows, rounds)
    return {
        "float32_flop_s": 2.0 * len(tile) * len(targets) * dim * single,
        "float64_flop_s": 2.0 * len(rows) * dim**2 * double,
        "read_bytes_s": _read_rate((64 if small else 512) * MIB),
    }


def _per_cpu_second(work: Any, rounds: int) -> float:
    work()
    start = time.process_time()
    for _ in range(rounds):
        work()
    return rounds / (time.process_time() - start)


def _read_rate(size: int) -> float:
    """Bytes a second of wall clock of a file that the system was asked to forget."""
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(size // (8 * MIB)):
            file.write(os.urandom(8 * MIB))
        file.flush()
        os.fsync(file.fileno())
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        file.seek(0)
        start = time.perf_counter()
        while file.read(8 * MIB):
            pass
        return size / (time.perf_counter() - start)


# Passes -------------------------------------------------------------------------------------


@dataclass
class Seen:
    """What the measures read and multiplied, by measure and by what they read it for.

    Attributes
    ----------
    documents
        The rows that are counted.
    rows, flop, cpu_s
        Rows read, FLOP of the sweeps, CPU seconds inside of passes.
    """

    documents: Any
    rows: Counter[tuple[str, str]] = field(default_factory=Counter)
    flop: Counter[tuple[str, str]] = field(default_factory=Counter)
    cpu_s: Counter[tuple[str, str]] = field(default_factory=Counter)
    measure: str = "all of them"
    purpose: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.measure, self.purpose

    @contextmanager
    def inside(self, purpose: str) -> Iterator[None]:
        """Count what happens as read for a purpose."""
        before, self.purpose = self.purpose, purpose
        start = time.process_time()
        try:
            yield
        finally:
            self.cpu_s[self.key] += time.process_time() - start
            self.purpose = before


#: Functions through which all that reads rows goes.
_DOORS = ("squares", "dot", "each", "fold", "<lambda>")


def _purpose() -> str:
    """Which function of the measures asked for a pass."""
    frame = sys._getframe(2)
    while frame is not None:
        name, where = frame.f_code.co_name, frame.f_globals.get("__name__", "")
        if where.startswith("anisotropy.measures") and name not in _DOORS:
            return frame.f_code.co_qualname.replace(".<locals>.<dictcomp>.<lambda>", "")
        frame = frame.f_back  # type: ignore[assignment]
    return "?"


@contextmanager
def counting(documents: Any) -> Iterator[Seen]:
    """Count rows read and products made of some documents while measures are computed."""
    seen = Seen(documents)
    take, matmul, sweep_views, measure = (
        Rows.take,
        backend.matmul,
        passes.sweep_views,
        run._measure,
    )

    def counted_take(rows: Rows, index: Any) -> np.ndarray:
        block = take(rows, index)
        if rows.data is documents:
            seen.rows[seen.key] += len(block)
        return block

    def counted_matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        seen.flop[seen.key] += 2 * len(a) * len(b) * a.shape[1]
        return matmul(a, b)

    def counted_sweep(*args: Any, **options: Any) -> None:
        with seen.inside(f"sweep of {_purpose()}"):
            sweep_views(*args, **options)

    def counted_measure(found: Any, measured: Any, *only: Any, **options: Any) -> None:
        seen.measure = measured.text
        measure(found, measured, *only, **options)
        seen.measure = "curves"

    def through(owner: Any, name: str) -> Any:
        original = getattr(owner, name)

        def walk(*args: Any) -> Iterator[Any]:
            with seen.inside(_purpose()):
                yield from original(*args)

        return mock.patch.object(owner, name, walk)

    with (
        mock.patch.object(Rows, "take", counted_take),
        mock.patch.object(backend, "matmul", counted_matmul),
        mock.patch.object(sweeping, "sweep_views", counted_sweep),
        mock.patch.object(passes, "sweep_views", counted_sweep),
        mock.patch.object(run, "_measure", counted_measure),
        through(backend, "_states"),
        through(Rows, "blocks"),
    ):
        yield seen


def passes_of(
    similarity: str,
    dim: int,
    sizes: tuple[int, int],
    anchors: int,
    measures: list[str] | None = None,
) -> dict[str, Any]:
    """Passes over the documents that measures make, and what one document costs.

    Of the default set (no `measures`) with its curves.
    """
    counts, times = [], []
    queries = anchors // 2
    for n in sizes:
        made = approximate.made_space(queries, n, dim)
        space = EmbeddingSpace(made.queries, made.documents, qrels=made.qrels,
                               similarity=similarity)  # fmt: skip
        with counting(space.documents) as seen:
            start = time.process_time()
            found = measure_space(space, measures, anchors=anchors)
            seen.measure = "curves"
            _ = measures or found.curves
            times.append(time.process_time() - start)
        counts.append(seen)
    step = sizes[1] - sizes[0]
    rows = []
    for key in counts[1].rows:
        few, many = counts
        one = {
            "measure": key[0], "purpose": key[1],
            "passes": (many.rows[key] - few.rows[key]) / step,
            "products": (many.flop[key] - few.flop[key]) / (2 * dim * step),
            "cpu_s_a_row": (many.cpu_s[key] - few.cpu_s[key]) / step,
        }  # fmt: skip
        if one["passes"] > 0.01:
            rows.append(one)
    return {
        "similarity": similarity, "dim": dim, "sizes": list(sizes), "anchors": anchors,
        "queries": queries, "cpu_s_a_row": (times[1] - times[0]) / step, "rows": rows,
    }  # fmt: skip


def sweeps(dim: int, sizes: tuple[int, int], anchors: int) -> dict[str, float]:
    """FLOP a CPU second of the two sweeps of the default set, lists and exponentials included.

    Measured by themselves and far into the documents, since lists fill at the beginning.
    """
    rng = np.random.default_rng(0)
    data = rng.standard_normal((sizes[1], dim), dtype=np.float32).astype(np.float16)
    seconds: dict[str, list[float]] = {"within": [], "across": []}
    for n in sizes:
        for name, (base, seen) in _seen(data[:n]).items():
            views = [
                View(
                    Items(one),
                    Items(one),
                    [TopK(anchors, k, np.arange(n)), KernelSums(anchors, ts)],
                )
                for one, k, ts in seen
            ]
            start = time.process_time()
            sweep_views(Items(base), np.arange(anchors), Items(base), views)
            seconds[name].append(time.process_time() - start)
    flop = 2.0 * anchors * (sizes[1] - sizes[0]) * dim
    return {f"{name}_flop_s": flop / (many - few) for name, (few, many) in seconds.items()}


def _seen(data: np.ndarray) -> dict[str, tuple[Rows, list[tuple[Rows, int, tuple[float, ...]]]]]:
    """Rows that each sweep multiplies, and its views: rows, neighbors kept, kernels."""
    raw, ts = Rows(data), (2.0, 5.0)
    centers = [Rows(data, shift=np.full(data.shape[1], size)) for size in (0.1, 0.05)]
    unit, own, joint = (rows.scaled(1 / np.sqrt(rows.squares())) for rows in (raw, *centers))
    return {
        "within": (centers[0], [(own, 20, ts), (unit, 20, ts)]),
        "across": (raw, [(raw, 200, ()), (unit, 20, ts), (own, 20, ts), (joint, 20, ts)]),
    }


# What every row holds -----------------------------------------------------------------------


def held(sizes: tuple[int, int]) -> dict[str, float]:
    """Memory and CPU seconds a document of the default ``analyze`` besides its vector."""
    found = []
    for n in sizes:
        with tempfile.TemporaryDirectory() as scratch:
            store = Path(scratch) / "made"
            make_store(store, Sizes(200, n, 8), similarity="cosine")
            words = ("--sample", "200", "--projection", "none", "--quiet")
            found.append(program("analyze", str(store), *words, "--out", f"{scratch}/results"))
    step = sizes[1] - sizes[0]
    return {
        "bytes_a_row": (found[1].peak - found[0].peak) * 1e6 / step,
        "cpu_s_a_row": (found[1].cpu - found[0].cpu) / step,
        "sizes": list(sizes),  # type: ignore[dict-item]
        "dim": 8,
    }


# All of it ----------------------------------------------------------------------------------


PARTS = ("rates", "passes", "held", "approximate")


def part(name: str, small: bool, stores: list[Path]) -> Any:
    """One part of the numbers of the page."""
    dim = 64 if small else 768
    if name == "rates":
        sizes = (8_000, 16_000) if small else (40_000, 80_000)
        return {"dim": dim, **rates(dim, small), **sweeps(dim, sizes, 512)}
    if name == "passes":
        sizes = (3_000, 6_000) if small else (8_000, 16_000)
        return [passes_of(similarity, dim, sizes, 400) for similarity in ("cosine", "dot")]
    if name == "held":
        return held((20_000, 40_000) if small else (40_000, 120_000))
    return approximate.run(small, stores)


def machine() -> dict[str, Any]:
    """What it was measured on."""
    import faiss

    return {
        "processor": _processor(), "cores": backend.cores(), "numpy": np.__version__,
        "python": platform.python_version(), "faiss": faiss.__version__,
    }  # fmt: skip


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")


def main() -> None:
    """Measure, or write the page."""
    from benchmarks.planning_page import page

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("do", choices=("measure", "page"))
    parser.add_argument("--small", action="store_true", help="a minute or two, numbers of no use")
    parser.add_argument("--store", type=Path, nargs="*", default=[], help="real vectors")
    parser.add_argument("--out", type=Path, default=JSON)
    parser.add_argument(
        "--only",
        nargs="*",
        choices=PARTS,
        default=PARTS,
        help="parts to measure anew; the others stay as they are in the file",
    )
    given = parser.parse_args()
    if given.do == "measure":
        before = set(PARTS) - set(given.only)
        found = json.loads(given.out.read_text("utf-8")) if before else {}
        found |= {"small": given.small, "machine": machine()}
        found |= {name: part(name, given.small, given.store) for name in given.only}
        given.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    else:
        PAGE.write_text(page(json.loads(JSON.read_text("utf-8"))), "utf-8")


if __name__ == "__main__":
    main()
