"""One row of differences, and Holm's correction over the headline rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from anisotropy.comparison.randomization import ROUNDS, sign_flip_p
from anisotropy.comparison.seeds import seed_difference
from anisotropy.measures import HEADLINE, definition_of, parse
from anisotropy.measures.headline import RANKING, Headline
from anisotropy.measures.mining import LARGEST_SHARE, headline_k, pool_size
from anisotropy.measures.run import Key, Measured
from anisotropy.results import Difference
from anisotropy.statistics import (
    Estimate,
    Interval,
    holm,
    paired_changes,
    paired_difference,
    rounding,
)


def difference_row(
    a: Measured, b: Measured, key: Key, names: tuple[str, str], rounds: int = ROUNDS
) -> Difference:
    """Value of b minus value of a, the same units resampled in both.

    Raises
    ------
    NotComparable
        If the two were estimated on different units.
    """
    left, right = a.estimates[key], b.estimates[key]
    found = paired_difference(left, right)
    if left.population == "none" or more_than_queries(a, key):
        found = replace(found, interval=Interval(), effect_size=math.nan)
    p, test = found.interval.p, "t"
    changes = paired_changes(left, right)
    rounded = abs(found.delta) <= rounding(left.value, right.value) and p == 1
    if changes is not None and not math.isnan(p) and not rounded:
        p, test = sign_flip_p(changes, rounds=rounds, seed=a.facts.seed), "randomization"
    return replace(
        _row([a, b], key, names),
        a=left.value,
        b=right.value,
        delta=found.delta,
        se=found.interval.se,
        ci_low=found.interval.low,
        ci_high=found.interval.high,
        effect_size=found.effect_size,
        p=p,
        test=None if math.isnan(p) else test,
        n=found.n,
        unit=left.unit,
        method=None if math.isnan(found.interval.se) else left.method or right.method,
    )


def more_than_queries(one: Measured, key: Key) -> bool:
    """Whether a difference over queries has noise that resampling queries cannot show.

    Where all documents enter as a set beside the queries, two encodings that differ by noise
    alone differ in their documents too: with queries resampled such rows were called different
    in 7 to 9% of null pairs (docs/calibration.md). A mining depth of more than a twentieth of
    the pool saturates it, and decides nothing. What single axes carry changes with any rotation.
    """
    side, measure, _ = key
    if measure.startswith("rogue_dimensions"):
        return True
    estimate = one.estimates[key]
    if definition_of(measure).family == "negatives" and "k" in parse(measure).values:
        return parse(measure).whole("k") > LARGEST_SHARE * pool_size(one.facts, side) and (
            parse(measure).whole("k") != headline_k(one.facts, side)
        )
    both = side in ("joint", "cross") and estimate.population == "queries"
    return both and estimate.weights is None


def seed_row(
    a: Sequence[Measured], b: Sequence[Measured], key: Key, names: tuple[str, str]
) -> Difference:
    """Mean over the checkpoints of b minus that of a; seeds, and units in them, are resampled.

    Raises
    ------
    NotComparable
        If the values were estimated on different units.
    """
    sides: list[list[Estimate]] = [[one.estimates[key] for one in side] for side in (a, b)]
    found = seed_difference(sides[0], sides[1])
    p = found.interval.p
    return replace(
        _row([*a, *b], key, names),
        a=found.a,
        b=found.b,
        delta=found.delta,
        se=found.interval.se,
        ci_low=found.interval.low,
        ci_high=found.interval.high,
        effect_size=found.effect_size,
        p=p,
        test=None if math.isnan(p) else "t",
        n=len(a) + len(b),
        unit="seed",
        method=next((e.method for side in sides for e in side if e.method), None),
    )


def _row(spaces: Sequence[Measured], key: Key, names: tuple[str, str]) -> Difference:
    """What a row is of, before its numbers."""
    rows = [one.row(*key) for one in spaces]
    return Difference(
        side=key[0],
        family=definition_of(key[1]).family,
        measure=key[1],
        on=key[2],
        a=math.nan,
        b=math.nan,
        delta=math.nan,
        headline=all(row is not None and row.headline for row in rows),
        baseline=names[0],
        space=names[1],
    )


def adjusted(differences: Sequence[Difference], comparisons: int = 1) -> list[Difference]:
    """Holm's correction over the headline rows that are tested, effectiveness apart.

    Parameters
    ----------
    differences
        Rows of every comparison.
    comparisons
        How many there are: the family is the fixed headline set times the comparisons,
        whatever was measured or is shown.
    """
    result = list(differences)
    for ranking in (False, True):
        chosen = [
            i
            for i, row in enumerate(result)
            if row.headline and (row.family == "effectiveness") == ranking
        ]
        seeds = any(result[i].unit == "seed" for i in chosen)
        family = comparisons * family_size(ranking, seeds)
        for i, p in zip(chosen, holm([result[i].p for i in chosen], family), strict=True):
            result[i] = replace(result[i], p_holm=p)
    return result


def family_size(ranking: bool, seeds: bool) -> int:
    """Number of headline tests of one comparison.

    Geometry of the fixed documents is not tested, unless seeds are the sample.
    """
    return sum(
        (row.group == RANKING) == ranking and (seeds or not _census(row)) for row in HEADLINE
    )


def _census(row: Headline) -> bool:
    return (row.side, row.on) == ("documents", "unit")
