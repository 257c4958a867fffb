"""Who ranks better: every checkpoint of a reproduction against baselines, query by query.

::

    python analyses/ranking.py reproduction --data docstrings --out ranking \
        --method "MNRL=baselines/0.st baselines/1.st baselines/2.st" \
        --against "warm start" BM25 MNRL

A row a method: its mean over seeds with the interval of a mean over the test queries, and its
difference from each baseline, paired by query (by query and seed where both have seeds). A
checkpoint of seed s is compared with the baseline's of seed s, so the order of paths matters.
The p are those of a randomization test that swaps the two methods within a query, with Holm's
correction over the methods of a baseline. Intervals and p say what other queries would show of
these checkpoints; ``over seeds`` beside them, from three seeds on, what another seed would: the
mean difference within a seed, with Student's t over the seeds.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
import anisotropy as an
from anisotropy.comparison import sign_flip_p
from anisotropy.comparison.claims import METHODS, STEP_ZERO, WARM
from anisotropy.errors import AnisotropyError, UsageError
from anisotropy.files import write_text
from anisotropy.measures import measure_space
from anisotropy.measures.families.ranking import effectiveness
from anisotropy.reproduction.plan import FILES
from anisotropy.statistics import Estimate, Influence, holm, interval, student

if TYPE_CHECKING:
    from anisotropy.collection import Collection

MEASURE = "nDCG@10"
BM25 = "BM25"
FEWEST_SEEDS = 3
#: Assignments of signs: enough for a p near .05 after Holm not to depend on which are drawn.
ROUNDS = 99_999
Tell = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Ranked:
    """What one method reaches on every query.

    Attributes
    ----------
    values
        Shape (seeds, queries); one row where there are no seeds.
    """

    name: str
    values: np.ndarray

    def mean(self) -> tuple[float, float, float]:
        """Mean over queries and seeds, with the 95% interval over queries."""
        found = interval(_estimate(self.values.mean(axis=0)))
        return float(self.values.mean()), found.low, found.high


@dataclass(frozen=True)
class Gain:
    """A method minus a baseline.

    Attributes
    ----------
    delta, ci_low, ci_high, p, p_holm
        Mean over queries, its 95% interval (Student's t over queries), randomization test.
    seeds_low, seeds_high
        95% interval over seeds; NaN for fewer than three.
    """

    method: str
    against: str
    delta: float
    ci_low: float
    ci_high: float
    p: float
    p_holm: float
    seeds_low: float
    seeds_high: float


def _estimate(values: np.ndarray) -> Estimate:
    keys = [str(number) for number in range(len(values))]
    mean = float(values.mean())
    return Estimate(
        mean, (Influence(keys, values - mean),), n=len(values), unit="query",
        population="queries", scale="share", low=0.0, high=1.0, weights=np.ones(len(values)),
    )  # fmt: skip


def gains(ranked: Sequence[Ranked], against: str) -> list[Gain]:
    """Every other method minus a baseline.

    Raises
    ------
    UsageError
        If there is no such method.
    """
    base = next((one for one in ranked if one.name == against), None)
    if base is None:
        known = ", ".join(one.name for one in ranked)
        raise UsageError(f"against: got {against!r}; allowed: {known}")
    others = [one for one in ranked if one is not base]
    found = [_changes(one, base) for one in others]
    ps = [sign_flip_p(changes.mean(axis=0), rounds=ROUNDS) for changes in found]
    return [
        _gain(one.name, against, changes, p, adjusted)
        for one, changes, p, adjusted in zip(others, found, ps, holm(ps), strict=True)
    ]


def _changes(one: Ranked, base: Ranked) -> np.ndarray:
    """Shape (seeds, queries): differences within a seed, one that has none against each."""
    counts = {len(each.values) for each in (one, base)} - {1}
    if len(counts) > 1:
        raise UsageError(
            f"{one.name} has {len(one.values)} seeds and {base.name} {len(base.values)}; "
            "allowed: as many of each, or one"
        )
    return np.asarray(one.values - base.values)


def _gain(name: str, against: str, changes: np.ndarray, p: float, adjusted: float) -> Gain:
    delta = float(changes.mean())
    low, high = _student(changes.mean(axis=0))
    enough = len(changes) >= FEWEST_SEEDS
    seeds = _student(changes.mean(axis=1)) if enough else (math.nan, math.nan)
    return Gain(name, against, delta, low, high, p, adjusted, *seeds)


def _student(values: np.ndarray) -> tuple[float, float]:
    reach = student(0.95, len(values) - 1.0) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return float(values.mean()) - reach, float(values.mean()) + reach


def reproduced(folder: str | Path) -> dict[str, list[Path]]:
    """Checkpoints of each method in a folder of ``anisotropy reproduce``, by seed.

    Raises
    ------
    UsageError
        If there are none, or a seed lacks one that another has.
    """
    from anisotropy.files import read_json

    place = Path(folder) / "checkpoints"
    seeds = sorted((path for path in place.glob("*") if path.name.isdecimal()),
                   key=lambda path: int(path.name))  # fmt: skip
    found: dict[str, list[Path]] = {}
    for method in METHODS:
        if method == STEP_ZERO:  # the same weights as ANCE
            continue
        own = [seed / f"{FILES[method]}.ckpt" for seed in seeds]
        there = [path for path in own if path.is_dir()]
        if there and len(there) < len(own):
            raise UsageError(f"{place}: {method} is not there for every seed; finish the run")
        if there:
            found[method] = there
    if not found:
        raise UsageError(f"{folder}: no checkpoints/SEED/NAME.ckpt; needed: a reproduction")
    start = read_json(Path(folder) / "run.json").get("start")
    return {**({WARM: [Path(start)]} if start else {}), **found}


def rank(
    methods: Mapping[str, Sequence[str | Path]],
    collection: Collection,
    *,
    tell: Tell = lambda _: None,
) -> list[Ranked]:
    """Per-query effectiveness of every method, and of BM25.

    Parameters
    ----------
    methods
        Name to the checkpoints of its seeds.
    collection
        With the split to rank.
    tell
        Called with lines of text.
    """
    queries, ranked = _bm25(collection)
    found = [ranked]
    for name, paths in methods.items():
        rows = []
        for path in paths:
            tell(f"{name}: {path}")
            rows.append(_of_space(path, collection, queries))
        found.append(Ranked(name, np.array(rows)))
    return found


def _bm25(collection: Collection) -> tuple[list[str], Ranked]:
    from anisotropy.training.bm25 import bm25_ranking

    run = {query: dict(found) for query, found in bm25_ranking(collection, depth=100).items()}
    values = effectiveness(run, collection.qrels(), [MEASURE])[MEASURE]
    return list(values), Ranked(BM25, np.array([list(values.values())]))


def _of_space(path: str | Path, collection: Collection, queries: Sequence[str]) -> np.ndarray:
    from anisotropy.opening import open_space

    space = open_space(path, collection)
    estimate = measure_space(space, [MEASURE]).estimates["ranking", MEASURE, "recipe"]
    (influence,) = estimate.influences
    by_query = dict(zip(map(str, influence.keys), influence.values + estimate.value, strict=True))
    return np.array([by_query[query] for query in queries])


def table_csv(ranked: Sequence[Ranked], found: Sequence[Gain]) -> str:
    """A line a method and baseline."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["method", "seeds", "queries", MEASURE, "ci_low", "ci_high", "against",
                     "delta", "delta_low", "delta_high", "p", "p_holm", "seeds_low",
                     "seeds_high"])  # fmt: skip
    for one in ranked:
        about = [one.name, *one.values.shape, *one.mean()]
        own = [gain for gain in found if gain.method == one.name]
        rest = [[g.against, g.delta, g.ci_low, g.ci_high, g.p, g.p_holm, g.seeds_low,
                 g.seeds_high] for g in own]  # fmt: skip
        for more in rest or [[""] * 8]:
            writer.writerow([*about, *more])
    return file.getvalue()


def table_markdown(ranked: Sequence[Ranked], found: Sequence[Gain], against: Sequence[str]) -> str:
    """A row a method, a column a baseline; bold where Holm's p is below .05."""
    seeds = max(len(one.values) for one in ranked)
    heads = ["", f"{MEASURE} [95%]", *(f"− {name}" for name in against)]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for one in ranked:
        mean, low, high = one.mean()
        cells = [one.name, f"{mean:.4f} [{low:.4f}, {high:.4f}]"]
        for name in against:
            gain = next((g for g in found if (g.method, g.against) == (one.name, name)), None)
            cells.append("" if gain is None else _cell(gain))
        lines.append("| " + " | ".join(cells) + " |")
    over = ", after the stroke that over seeds" if seeds >= FEWEST_SEEDS else ""
    lines += [
        "",
        f"{seeds} seed(s), {ranked[0].values.shape[1]} queries. In brackets the 95% interval over "
        f"queries{over}; bold: p < .05 for these checkpoints (randomization over queries, Holm "
        "within a column).",
    ]
    return "\n".join(lines) + "\n"


def _cell(gain: Gain) -> str:
    delta = f"{gain.delta:+.4f}"
    shown = f"**{delta}**" if gain.p_holm < 0.05 else delta
    seeds = (
        "" if math.isnan(gain.seeds_low) else f" / [{gain.seeds_low:+.4f}, {gain.seeds_high:+.4f}]"
    )
    return f"{shown} [{gain.ci_low:+.4f}, {gain.ci_high:+.4f}]{seeds}"


def parser() -> argparse.ArgumentParser:
    """Build the command line."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("reproduction", help="folder of anisotropy reproduce")
    made.add_argument("--data", default="docstrings", help="its collection")
    made.add_argument("--split", default="test")
    made.add_argument("--method", action="append", default=[], metavar="NAME=PATHS",
                      help="one more method: its checkpoints by seed, between spaces")  # fmt: skip
    made.add_argument("--against", nargs="+", default=["warm start", BM25], metavar="NAME")
    made.add_argument("--out", required=True, help="folder of ranking.csv and ranking.md")
    return made


def _named(texts: Sequence[str]) -> dict[str, list[str]]:
    found = {}
    for text in texts:
        name, equals, paths = text.partition("=")
        if not (name and equals and paths.split()):
            raise UsageError(f"--method: got {text!r}; allowed: NAME=PATH [PATH ...]")
        found[name] = paths.split()
    return found


def _methods(options: argparse.Namespace) -> dict[str, Sequence[str | Path]]:
    """Every method to rank, names and numbers of seeds checked before anything is encoded."""
    own, more = reproduced(options.reproduction), _named(options.method)
    if twice := sorted({*own, BM25} & set(more)):
        raise UsageError(f"--method: {twice[0]!r} is there already; choose another name")
    methods: dict[str, Sequence[str | Path]] = {**own, **more}
    for name in options.against:
        if name not in (BM25, *methods):
            raise UsageError(f"--against: got {name!r}; allowed: {', '.join((BM25, *methods))}")
    if len(set(options.against)) < len(options.against):
        raise UsageError("--against: a name is given twice; give each once")
    seeds = {name: len(paths) for name, paths in methods.items() if len(paths) > 1}
    if len(set(seeds.values())) > 1:
        shown = ", ".join(f"{count} of {name}" for name, count in seeds.items())
        raise UsageError(f"checkpoints: got {shown}; allowed: as many of each, or one")
    if Path(options.out).is_file():
        raise UsageError(f"--out: {options.out} is a file; allowed: a folder")
    return methods


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = parser().parse_args(words)
    try:
        methods = _methods(options)
        collection = an.open_collection(options.data, split=options.split)
        ranked = rank(methods, collection, tell=lambda line: print(line, file=sys.stderr))
        found = [gain for name in options.against for gain in gains(ranked, name)]
    except AnisotropyError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "ranking.csv", table_csv(ranked, found))
    table = table_markdown(ranked, found, options.against)
    write_text(folder / "ranking.md", table)
    print(table, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
