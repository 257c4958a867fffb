"""What is there to be read: the rows of a comparison by place, and what one row says."""

from __future__ import annotations

import math
from dataclasses import dataclass

from anisotropy.plots.words import SIGNIFICANT, beyond, decides_nothing
from anisotropy.results import Difference, Measurement, Results
from anisotropy.statistics import rounding

#: Which way a row goes, or why that is not said.
UP, DOWN, UNCLEAR, UNTESTED, ABSENT = "up", "down", "unclear", "untested", "absent"
#: What the rules ask for, by text identity; of negative sampling what it begins with.
MEAN_COSINE, SPECTRUM = "mean_cosine", "participation_ratio"
SPREAD_OUT, ALIGNMENT = "uniformity(t=2)", "alignment(alpha=2)"
RELATIVE, PERCENTILE = "relative_positive_distance", "positive_percentile"
KL = "negative_probability_kl("
MOVED = (UP, DOWN)
#: What a common direction is that moved so.
STRENGTH = {DOWN: "weaker", UP: "stronger"}
SIDES = ("queries", "documents")


@dataclass(frozen=True)
class Reading:
    """What the headline rows under one of the users' words say.

    Attributes
    ----------
    group
        The users' word.
    changed, unclear, untested
        Headline differences beyond their uncertainty; tested ones that are not; the others.
    saturated
        Those of lists that are too long for their pool: they decide nothing, and are in none of
        the others.
    meaning
        Sentences, the more important ones first.
    """

    group: str
    changed: tuple[Difference, ...]
    unclear: tuple[Difference, ...]
    untested: tuple[Difference, ...]
    saturated: tuple[Difference, ...]
    meaning: tuple[str, ...]


class Found:
    """The rows of one comparison, by place.

    Parameters
    ----------
    pair
        View of two labels, with the curves ``mining`` of both sides.

    Attributes
    ----------
    headline, saturated
        Headline differences that decide something, and those that decide nothing since their
        lists are too long for the pool.
    """

    def __init__(self, pair: Results) -> None:
        self.pair, self.mining = pair, pair.find_curves("mining")
        self.a, self.b = pair.labels
        self.deltas = {(d.side, d.measure, d.on): d for d in pair.deltas}
        self.values = {(r.space, r.side, r.measure, r.on): r for r in pair.rows}
        rows = [d for d in pair.deltas if d.headline]
        self.saturated = [d for d in rows if decides_nothing(pair, d)]
        self.headline = [d for d in rows if d not in self.saturated]

    def delta(self, side: str, measure: str, on: str = "unit") -> Difference | None:
        """The difference of a place, if there is one."""
        return self.deltas.get((side, measure, on))

    def state(self, side: str, measure: str, on: str = "unit") -> str:
        """Which way a place moved."""
        return state(self.delta(side, measure, on))

    def cone(self) -> str:
        """Which way the common direction of the queries moved; unclear against the documents'."""
        moved, other = self.state("queries", MEAN_COSINE), self.delta("documents", MEAN_COSINE)
        if other is None or moved not in MOVED or abs(other.delta) <= rounding(other.a, other.b):
            return moved
        return moved if (other.delta > 0) == (moved == UP) else UNCLEAR

    def negatives(self, side: str) -> Difference | None:
        """The row on negative sampling of a side that decides something, at whatever depth."""
        rows = (d for d in self.headline if d.measure.startswith(KL))
        return next((d for d in rows if d.side == side), None)


def state(row: Difference | None) -> str:
    """Which way a difference goes: ``up``, ``down``, or why that is not said."""
    if row is None:
        return ABSENT
    clear = beyond(row)
    if clear is None or math.isnan(row.delta):
        return UNTESTED
    if not clear:
        return UNCLEAR
    return UP if row.delta > 0 else DOWN


def against_null(row: Measurement) -> str | None:
    """Above (``up``) or below the value of chance, not shown, or None where there is no null.

    By the p of the null where there is one, else where the interval leaves its mean out.
    """
    if math.isnan(row.null_mean):
        return None
    if not math.isnan(row.null_p):
        clear = row.null_p < SIGNIFICANT
    elif math.isnan(row.ci_low) or math.isnan(row.ci_high):
        return None
    else:
        clear = not row.ci_low <= row.null_mean <= row.ci_high
    if not clear:
        return UNCLEAR
    return UP if row.value > row.null_mean else DOWN


def sentence(text: str) -> str:
    """A text with a capital and a full stop; nothing of nothing."""
    return f"{text[:1].upper()}{text[1:]}." if text else ""
