"""Where the time of ``analyze`` goes: phases of the main thread, and work inside the tiles.

``python -m benchmarks.profiling STORE [options of analyze]`` runs the command in this process
with clocks around what it is made of, and prints two tables. Phases are of the main thread, each
without the phases within it: wall seconds, and the cores that were busy meanwhile (CPU seconds of
the process over wall seconds). The second table adds up CPU seconds over all threads. A part of
the package that has another name by now is left out and named.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property, wraps
from pathlib import Path
from typing import Any

#: Where a phase begins: module, attribute, and what it is called.
PHASES = (
    ("anisotropy.cli.jobs", "open_side", "open the store"),
    ("anisotropy.workflow.analyzing", "gather", "gather"),
    ("anisotropy.measures.facts", "within", "pass within a side"),
    ("anisotropy.measures.facts", "across", "pass queries x documents"),
    ("anisotropy.measures.facts", "Facts._dual", "pass documents x queries"),
    ("anisotropy.measures.mining", "_lists", "pass of mining"),
    ("anisotropy.measures.families.mixing", "_pooled", "pass of the pooled sides (mixing)"),
    ("anisotropy.measures.moments", "Moments.covariance", "covariance"),
    ("anisotropy.measures.sides", "looks", "lengths, means, variances"),
    ("anisotropy.measures.sides", "Sides._alongs", "products with the means"),
    ("anisotropy.measures.families.cone", "log_mean_exp", "partition functions"),
    ("anisotropy.measures.families.cone", "_moved", "partition functions: influence"),
    ("anisotropy.measures.families.subsamples", "subsamples", "choose subsamples"),
    ("anisotropy.measures.families.subsamples", "_decompose", "spectra of subsamples"),
    ("anisotropy.measures.families.subsamples", "root_sums_without", "spectra: jackknife"),
    ("anisotropy.measures.families.separability", "held_out", "separability: fits"),
    ("anisotropy.measures.families.separability", "groups", "separability: groups"),
    ("anisotropy.measures.sides", "hash_ids", "hashes of ids"),
    ("anisotropy.measures.sides", "Sides.trec_ties", "order of ids (trec)"),
    ("anisotropy.measures.facts", "Facts.pairs", "judged pairs"),
    ("anisotropy.backend", "Rows.each", "one number a row"),
    ("anisotropy.backend", "Rows.mean", "mean"),
    ("anisotropy.measures.facts", "Facts.pair_distances", "distances of judged pairs"),
    ("anisotropy.measures.families.query_document", "pair_slack", "gap: slack of judged pairs"),
    ("anisotropy.measures.families.ranking", "_judged", "judged ranking"),
    ("anisotropy.measures.families.intrinsic", "near", "distinct neighbors"),
    ("anisotropy.measures.families.intrinsic", "exact_distances", "exact distances of neighbors"),
    ("anisotropy.measures.mining", "probabilities", "negatives: probabilities"),
    ("anisotropy.measures.families.negatives", "simulated_null", "negatives: null"),
    ("anisotropy.measures.repeats", "_first", "repeated rows"),
    ("anisotropy.measures.run", "duplicates", "duplicates"),
    ("anisotropy.measures.run", "curves", "curves"),
    ("anisotropy.measures.run", "query_curve", "curve of queries"),
    ("anisotropy.results.base", "Results.write", "write results"),
    ("anisotropy.report", "write_html", "write the report"),
    ("anisotropy.plots", "save_figures", "draw the figures"),
    ("anisotropy.report", "format_results", "terminal table"),
)
#: What runs in every thread.
TILES = (
    ("anisotropy.backend", "matmul", "matrix products of tiles"),
    ("anisotropy.neighbors.sweeping", "_seen", "views of a product"),
    ("anisotropy.neighbors.consumers", "TopK.update", "nearest neighbors"),
    ("anisotropy.neighbors.consumers", "KernelSums.update", "kernel sums"),
    ("anisotropy.neighbors.consumers", "NearerCounts.update", "counts of nearer ones"),
    ("anisotropy.backend", "Rows.take", "reading and converting rows"),
)
#: Phases below this share of the CPU time stand in one row.
_LEAST = 0.001


class Phases:
    """Wall and CPU seconds of nested phases of one thread, each less those within it."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = defaultdict(float)
        self.cpu: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._thread = threading.get_ident()
        self._stack: list[str] = []
        self._since = (time.perf_counter(), time.process_time())

    @property
    def now(self) -> str:
        """What the main thread is at."""
        return next((name for name in reversed(self._stack) if name.startswith("pass")), "other")

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count what happens inside for `name`; in other threads nothing is counted."""
        if threading.get_ident() != self._thread:
            yield
            return
        self._book()
        self._stack.append(name)
        self.calls[name] += 1
        try:
            yield
        finally:
            self._book()
            self._stack.pop()

    def _book(self) -> None:
        now = (time.perf_counter(), time.process_time())
        if self._stack:
            self.wall[self._stack[-1]] += now[0] - self._since[0]
            self.cpu[self._stack[-1]] += now[1] - self._since[1]
        self._since = now

    def table(self) -> str:
        """Phases by wall time, as Markdown."""
        total = sum(self.wall.values())
        spent = sum(self.cpu.values())
        lines = [
            "| phase | calls | wall s | CPU s | share of CPU | cores busy |",
            "|---|---:|---:|---:|---:|---:|",
        ]
        small = {name for name, cpu in self.cpu.items() if cpu < _LEAST * spent}
        for name, cpu in sorted(self.cpu.items(), key=lambda item: -item[1]):
            if name in small:
                continue
            calls, wall = self.calls[name], self.wall[name]
            lines.append(
                f"| {name} | {calls} | {wall:.2f} | {cpu:.2f} | {cpu / spent:.1%} | "
                f"{cpu / max(wall, 1e-9):.2f} |"
            )
        rest, wall = (sum(found[name] for name in small) for found in (self.cpu, self.wall))
        lines += [
            f"| {len(small)} smaller ones | | {wall:.2f} | {rest:.2f} | {rest / spent:.1%} | |"
        ]
        last = f"| all | | {total:.2f} | {spent:.2f} | 100% | {spent / total:.2f} |"
        return "\n".join([*lines, last])


class Threads:
    """CPU seconds of functions, each less those within it, added up over all threads."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._lock = threading.Lock()
        self._own = threading.local()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the CPU seconds of this thread."""
        outer = getattr(self._own, "inside", 0.0)
        self._own.inside, start = 0.0, time.thread_time()
        try:
            yield
        finally:
            took = time.thread_time() - start
            with self._lock:
                self.seconds[name] += took - self._own.inside
                self.calls[name] += 1
            self._own.inside = outer + took

    def table(self) -> str:
        """Functions by CPU time, as Markdown."""
        lines = ["| pass | inside | calls | CPU s |", "|---|---|---:|---:|"]
        for name, took in sorted(self.seconds.items(), key=lambda item: -item[1]):
            lines.append(f"| {name} | {self.calls[name]} | {took:.2f} |")
        return "\n".join(lines)


def wrap(module: str, attribute: str, around: Callable[..., Any]) -> bool:
    """Put a context around a function, method or cached property; whether it was there."""
    owner: Any = importlib.import_module(module)
    *path, name = attribute.split(".")
    for part in path:
        owner = getattr(owner, part, None)
    found = vars(owner).get(name) if owner is not None else None
    if isinstance(found, cached_property):
        found.func = within(found.func, around)
    elif callable(found):
        setattr(owner, name, within(found, around))
    return found is not None


def within(work: Callable[..., Any], around: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, called inside of a context made from its arguments."""

    @wraps(work)
    def inside(*args: Any, **kwargs: Any) -> Any:
        with around(*args):
            return work(*args, **kwargs)

    return inside


def install(phases: Phases, threads: Threads) -> list[str]:
    """Set all clocks; returns what is not there."""
    missing = []
    for module, attribute, name in PHASES:
        there = wrap(module, attribute, lambda *args, n=name: phases.phase(named(n, args)))
        missing += [] if there else [f"{module}.{attribute}"]
    for module, attribute, name in TILES:
        there = wrap(module, attribute, lambda *_, n=name: threads.phase(f"{phases.now} | {n}"))
        missing += [] if there else [f"{module}.{attribute}"]

    def measured(_: Any, measure: Any, *__: Any, **___: Any) -> AbstractContextManager[None]:
        return phases.phase(f"measure {measure.text.split('(')[0]}")

    missing += [] if wrap("anisotropy.measures.run", "_measure", measured) else ["_measure"]
    return missing


def named(name: str, args: Sequence[Any]) -> str:
    """A phase with what tells its calls apart: the side, and how many rows."""
    words = [part for part in args[:4] if isinstance(part, str) and len(part) < 20]
    rows = getattr(args[0], "rows", args[0]) if args else None
    many = f" of {len(rows):,} rows" if type(rows).__name__ == "Rows" else ""
    return " ".join([name, *words]) + many


def main() -> None:
    """Run ``analyze`` with clocks, print the tables."""
    began = time.perf_counter()
    phases, threads = Phases(), Threads()
    with phases.phase("imports"):
        from anisotropy.cli import main as run

        for module in ("anisotropy.opening", "anisotropy.workflow", "anisotropy.plots"):
            importlib.import_module(module)
        missing = install(phases, threads)
    with tempfile.TemporaryDirectory() as out, phases.phase("everything else"):
        words = ["analyze", *sys.argv[1:], "--quiet", "--out", str(Path(out) / "results")]
        words += ["--format", "json"]
        code = _silently(run, words)
    print(phases.table(), threads.table(), sep="\n\n")
    print(f"\n{time.perf_counter() - began:.1f} s in all, exit code {code}")
    if missing:
        print(f"not found: {', '.join(missing)}")


def _silently(run: Callable[[Sequence[str]], int], words: Sequence[str]) -> int:
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()):
        return run(words)


if __name__ == "__main__":
    main()
