"""Runs against each other: the same judged queries, the lists of two searches."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from anisotropy.comparison.changes import KEPT, RANKED
from anisotropy.comparison.comparing import Compared, check_seeds
from anisotropy.comparison.differences import adjusted, difference_row, family_size, seed_row
from anisotropy.comparison.randomization import ROUNDS
from anisotropy.errors import NotComparable
from anisotropy.measures.ranked import MeasuredRun
from anisotropy.measures.run import Key
from anisotropy.results import Curve, Difference, Withheld

Sides = tuple[tuple[str, str], Sequence[MeasuredRun], Sequence[MeasuredRun]]
#: Scores of two searches are in units of their own.
_IN_SCORES = ("positive_score", "margin")


def compare_runs(sides: Sequence[Sides]) -> Compared:
    """Compare measured runs of the same judgments, b minus a.

    Parameters
    ----------
    sides
        For each comparison the names of the two, and their runs: one each, or two or more each,
        which are seeds.

    Returns
    -------
    Compared
        Differences, what is not comparable, and a curve ``changes`` a comparison. Holm's family
        is the fixed headline set times the number of comparisons.

    Raises
    ------
    UsageError
        If one side has several runs and the other a single one.
    """
    found = Compared()
    rounds = (
        max(ROUNDS, 100 * family_size(False, False) * len(sides)) if len(sides) > 1 else ROUNDS
    )
    for names, a, b in sides:
        check_seeds(len(a), len(b))
        for key in dict.fromkeys(key for one in (*a, *b) for key in one.estimates):
            try:
                found.differences.append(_difference(a, b, key, names, rounds))
            except NotComparable as error:
                found.withheld.append(Withheld(*key, str(error), names[1], names[0]))
        if a[0].facts.anchors:
            found.curves.append(run_changes(a, b, names))
    found.differences = adjusted(found.differences, len(sides))
    return found


def _difference(
    a: Sequence[MeasuredRun],
    b: Sequence[MeasuredRun],
    key: Key,
    names: tuple[str, str],
    rounds: int,
) -> Difference:
    for one in (*a, *b):
        if key not in one.estimates:
            raise NotComparable(f"not measured in {one.facts.label!r}: {_why_missing(one, key)}")
        if math.isnan(one.estimates[key].value):
            raise NotComparable(f"not a number in {one.facts.label!r}")
    if len(a) > 1:
        return seed_row(a, b, key, names)
    return difference_row(a[0], b[0], key, names, rounds)


def _why_missing(one: MeasuredRun, key: Key) -> str:
    reasons = (row.reason for row in one.withheld if (row.side, row.measure, row.on) == key)
    return next(reasons, "it was not asked for there")


def run_changes(
    a: Sequence[MeasuredRun], b: Sequence[MeasuredRun], names: tuple[str, str]
) -> Curve:
    """The curve ``changes``: one row a judged query, the largest gain in nDCG@10 first.

    Columns are those of spaces that runs have; ``neighbors_kept`` is the share of the first ten
    that both list.
    """
    facts = a[0].facts
    columns: dict[str, np.ndarray] = {"query_id": np.array(facts.anchors, dtype=object)}
    kept = [_kept(x, y) for x, y in zip(a, b, strict=False)]
    columns["neighbors_kept"] = np.mean(kept, axis=0)
    tables = [[_values(one) for one in side] for side in (a, b)]
    for name in tables[0][0]:
        x, y = (np.mean([table[name] for table in side], axis=0) for side in tables)
        columns |= {f"{name}_a": x, f"{name}_b": y}
        if name not in _IN_SCORES:
            columns[f"{name}_delta"] = y - x
    order = np.argsort(-columns[f"{RANKED}_delta"], kind="stable")  # NaN last
    return Curve("changes", names[1], facts.side, {n: v[order] for n, v in columns.items()})


def _values(one: MeasuredRun) -> dict[str, np.ndarray]:
    curve = next(curve for curve in one.curves if curve.name == "queries")
    return {n: v for n, v in curve.columns.items() if v.dtype != object}


def _kept(a: MeasuredRun, b: MeasuredRun) -> np.ndarray:
    """Share of the first ten that are the same, query by query."""
    runs = (a.facts.run, b.facts.run)
    k = min(KEPT, *(run.depth for run in runs))
    lists = ([set(run.ranking(name)[:k]) for name in a.facts.anchors] for run in runs)
    return np.array([len(x & y) / k for x, y in zip(*lists, strict=True)])
