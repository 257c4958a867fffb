"""The rows that open a report: fixed, so that Holm's correction has a fixed family of tests."""

from __future__ import annotations

from dataclasses import dataclass

ISOTROPY = "isotropy"
UNIFORMITY = "uniformity and alignment"
DISTANCE = "query-document distance"
NEGATIVES = "negative sampling"
RANKING = "ranking"


@dataclass(frozen=True)
class Headline:
    """One row under the users' words.

    Attributes
    ----------
    group
        The heading.
    side, measure, on
        The row. For negative sampling k may be another where the pool is small.
    direction
        ``up`` or ``down``: the direction that `word` names.
    word
        "more isotropic", "closer", "more even" or "better".
    """

    group: str
    side: str
    measure: str
    on: str
    direction: str
    word: str


def _isotropy(group: str, side: str, measure: str, direction: str) -> Headline:
    return Headline(group, side, measure, "unit", direction, "more isotropic")


def _closer(group: str, side: str, measure: str) -> Headline:
    return Headline(group, side, measure, "unit", "down", "closer")


def _even(side: str, measure: str) -> Headline:
    return Headline(NEGATIVES, side, measure, "recipe", "down", "more even")


def _better(side: str, measure: str) -> Headline:
    return Headline(RANKING, side, measure, "recipe", "up", "better")


HEADLINE: tuple[Headline, ...] = (
    _isotropy(ISOTROPY, "queries", "mean_cosine", "down"),
    _isotropy(ISOTROPY, "documents", "mean_cosine", "down"),
    _isotropy(ISOTROPY, "queries", "participation_ratio", "up"),
    _isotropy(ISOTROPY, "documents", "participation_ratio", "up"),
    _isotropy(UNIFORMITY, "queries", "uniformity(t=2)", "down"),
    _isotropy(UNIFORMITY, "documents", "uniformity(t=2)", "down"),
    _closer(UNIFORMITY, "positives", "alignment(alpha=2)"),
    _closer(DISTANCE, "cross", "gap"),
    _closer(DISTANCE, "positives", "relative_positive_distance"),
    _closer(DISTANCE, "positives", "positive_percentile"),
    _even("queries", "negative_probability_kl(k=200)"),
    _even("documents", "negative_probability_kl(k=200, role=documents)"),
    _better("ranking", "nDCG@10"),
    _better("ranking", "R@100"),
    _better("dual_ranking", "RR@10"),
)


def headline_of(side: str, measure: str, on: str) -> Headline | None:
    """The headline a row would stand under, whatever its k for negative sampling."""
    for row in HEADLINE:
        same = row.measure == measure or (
            row.group == NEGATIVES and _without_k(row.measure) == _without_k(measure)
        )
        if same and (row.side, row.on) == (side, on):
            return row
    return None


def _without_k(measure: str) -> str:
    import re

    return re.sub(r"k=\d+", "k", measure)
