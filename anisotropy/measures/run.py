"""Measure one space: plan the needs, compute, say what is withheld and why."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from anisotropy.backend import one_thread_each
from anisotropy.errors import UsageError, one_of
from anisotropy.measures.base import Impossible, Measure, Place, make
from anisotropy.measures.curves import curves, query_curve
from anisotropy.measures.describing import CHAINS, SIDES
from anisotropy.measures.facts import Facts, Plan, Pool
from anisotropy.measures.headline import headline_of
from anisotropy.measures.mining import MINING_K, headline_k
from anisotropy.measures.registry import (
    GROUPS,
    default_measures,
    definition_of,
    expand,
    parse_all,
    similarity_measures,
)
from anisotropy.measures.repeats import first_of_its_kind
from anisotropy.results import Curve, Measurement, Withheld
from anisotropy.statistics import LEVEL, Estimate, interval

if TYPE_CHECKING:
    from anisotropy.spaces import EmbeddingSpace

Key = tuple[str, str, str]


class Measured(Protocol):
    """What a comparison needs of a space, or of a run, that was measured."""

    estimates: dict[Key, Estimate]

    @property
    def facts(self) -> Pool:
        """What the measures shared."""

    def row(self, side: str, measure: str, on: str) -> Measurement | None:
        """The measurement of a place; None where it was withheld or not asked for."""


#: Work within a side of more than twice as many rows uses this many seeded anchors.
ANCHORS = 5000


@dataclass(eq=False)
class MeasuredSpace:
    """What was found in one space.

    Attributes
    ----------
    space, facts
        The space, and the shared facts kept for comparisons.
    rows
        Measurements, in the order of the registry.
    withheld
        What could not be measured, and why.
    warnings
        One line each.
    estimates
        (side, measure, on) to the estimate with its influence values.
    requested
        The text identities asked for; None for the default set.
    similarities
        The similarities of two spaces asked for; None for all.
    """

    space: EmbeddingSpace
    facts: Facts
    rows: list[Measurement] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    estimates: dict[Key, Estimate] = field(default_factory=dict)
    requested: tuple[str, ...] | None = None
    similarities: tuple[Measure, ...] | None = None

    @cached_property
    def curves(self) -> list[Curve]:
        """Arrays behind the figures, computed when first asked for."""
        with one_thread_each:
            found = curves(self.facts, self.estimates)
        return [*found, self.by_query] if self.by_query is not None else found

    @cached_property
    def by_query(self) -> Curve | None:
        """The curve ``queries`` alone, for those who need none of the others."""
        return query_curve(self.facts)

    def row(self, side: str, measure: str, on: str) -> Measurement | None:
        """The measurement of a place; None where it was withheld or not asked for."""
        for row in self.rows:
            if (row.side, row.measure, row.on) == (side, measure, on):
                return row
        return None


@dataclass(frozen=True)
class Only:
    """The sides and transforms that are measured; None for all."""

    sides: tuple[str, ...] | None = None
    on: tuple[str, ...] | None = None

    @classmethod
    def of(cls, sides: Sequence[str] | None, on: Sequence[str] | None) -> Only:
        """From what a user gives.

        Raises
        ------
        UsageError
            If a side or transform is unknown, or one of the lists is empty.
        """
        return cls(_known("sides", sides, SIDES), _known("on", on, CHAINS))

    def among(self, places: Iterable[Place]) -> list[Place]:
        """Those of some places that are measured."""
        return [
            (side, on)
            for side, on in places
            if (self.sides is None or side in self.sides) and (self.on is None or on in self.on)
        ]

    def __str__(self) -> str:
        given = {"sides": self.sides, "on": self.on}
        return " and ".join(f"{name}={', '.join(these)}" for name, these in given.items() if these)


def _known(
    name: str, given: Sequence[str] | None, allowed: Iterable[str]
) -> tuple[str, ...] | None:
    """Words of a list, each of which is allowed; a word alone is a list of one."""
    if given is None:
        return None
    if not isinstance(given, Iterable):
        raise UsageError(f"{name}: {one_of(given, allowed)}")
    words = (given,) if isinstance(given, str) else tuple(given)
    if not words:
        raise UsageError(f"{name}: got an empty list; allowed: {', '.join(allowed)}")
    for word in words:
        if not isinstance(word, str) or word not in allowed:
            raise UsageError(f"{name}: {one_of(word, allowed)}")
    return words


def measure_space(
    space: EmbeddingSpace,
    measures: Sequence[str] | None = None,
    *,
    seed: int = 0,
    anchors: int = ANCHORS,
    exact: bool = False,
    relevance_level: int = 1,
    between: bool = False,
    sides: Sequence[str] | None = None,
    on: Sequence[str] | None = None,
    progress: Callable[[str], None] | None = None,
    share: Callable[[float], None] | None = None,
) -> MeasuredSpace:
    """Measure one space.

    Parameters
    ----------
    space
        Queries, documents, ids, judgments and similarity.
    measures
        Text identities; None for the default set, ``["all"]`` for every registered measure.
    seed
        Of anchors, blocks and simulated nulls.
    anchors
        Work within a side of more than twice as many rows uses this many seeded anchors.
    exact
        Use every row as an anchor.
    relevance_level
        Smallest grade of a positive.
    between
        The space is to be compared: similarities of two spaces (``cka``) among `measures` are
        kept for :func:`anisotropy.comparison.compare_spaces` instead of refused.
    sides, on
        The only sides and transforms that are measured; None for all of each measure.
    progress
        Called with a line before long work.
    share
        Called with the share of the measures that are behind, after each of them.

    Returns
    -------
    MeasuredSpace
        Rows, withheld rows, curves, warnings and estimates.

    Raises
    ------
    UsageError
        If a measure, side or transform is unknown, `measures` is empty, or one asked for by
        name cannot be measured anywhere here.
    EmbeddingsError
        If a row is all zeros.
    """
    if anchors < 2:
        raise UsageError(f"anchors: got {anchors}; allowed: 2 and above")
    asked = None if is_default(measures) else wanted_measures(measures, between=between)
    wanted = asked if asked is not None else default_measures()
    pairwise = [m for m in wanted if between and definition_of(m).between]
    chosen = [m for m in wanted if m not in pairwise]
    only = Only.of(sides, on)
    plan = replace(_plan(wanted, between), on=only.on)
    facts = Facts(space, plan, seed=seed, anchors=anchors, exact=exact,
                  relevance_level=relevance_level, progress=progress)  # fmt: skip
    found = MeasuredSpace(space, facts, requested=tuple(m.text for m in asked or ()) or None,
                          similarities=tuple(pairwise) if asked and between else None)  # fmt: skip
    named = parse_all(text for text in measures or () if text not in GROUPS)
    # Work is spread over the cores by blocks of rows; a decomposition that takes cores for
    # itself as well would wait for them, and give other digits on another number of them.
    with one_thread_each:
        for side in ("queries", "documents"):
            facts.rows(side, "unit")
        planned = _with_scaled(facts, chosen, named)
        for behind, measure in enumerate(planned, 1):
            _measure(found, measure, only, by_name=measure in named, default=asked is None)
            if share is not None:
                share(behind / len(planned))
        found.warnings[:0] = [*_oddities(facts), *_sampling(found)]
    return found


def is_default(measures: Sequence[str] | None) -> bool:
    """Whether the default set is asked for."""
    return measures is None or list(measures) == ["default"]


def wanted_measures(measures: Sequence[str] | None, *, between: bool = False) -> list[Measure]:
    """The measures that text identities and the names of groups stand for; None: the default."""
    if measures is None or is_default(measures):
        return default_measures()
    found = parse_all(expand(measures, between=between))
    for measure in found:
        if definition_of(measure).counted:
            raise UsageError(f"{measure}: is counted from files; give them with --negatives")
    return found


def _plan(measures: Sequence[Measure], between: bool = False) -> Plan:
    ts = sorted({m.number("t") for m in measures if "t" in m.values})
    local = [m.whole("k") for m in measures if definition_of(m).family == "local"]
    mining = [m.whole("k") for m in measures if definition_of(m).family == "negatives"]
    ranking = [m.whole("cutoff") for m in measures if "cutoff" in m.values]
    pairwise = [*similarity_measures(), *(m for m in measures if definition_of(m).between)]
    lists = between or bool(local)
    near = [m for m in pairwise if definition_of(m).family != "negatives"]
    local += [m.whole("k") for m in near if "k" in m.values]
    # The curves need the ranking to 100 and the mining to 200 whatever was asked.
    return Plan(tuple(ts), max(local), max([MINING_K, *mining, *ranking]), lists)


def _with_scaled(
    facts: Facts, measures: Iterable[Measure], named: Sequence[Measure]
) -> list[Measure]:
    """Beside k=200 the scaled k, where 200 is too large a part of the pool."""
    result = []
    for measure in measures:
        result.append(measure)
        if definition_of(measure).family != "negatives" or measure in named:
            continue
        k = headline_k(facts, measure.word("role"))
        if k != measure.whole("k"):
            result.append(make(definition_of(measure), {**measure.values, "k": k}))
    return result


def deciding(facts: Facts, measure: Measure, side: str) -> Measure:
    """A similarity of the default set, at the depth of mining that decides for the pool."""
    if definition_of(measure).family != "negatives":
        return measure
    return make(definition_of(measure), {**measure.values, "k": headline_k(facts, side)})


def _measure(
    found: MeasuredSpace, measure: Measure, only: Only, by_name: bool, default: bool
) -> None:
    definition = definition_of(measure)
    if definition.compute is None:
        raise UsageError(f"{measure}: compares two spaces; use it with compare")
    reasons = []
    left_out = definition.on_request if default else ()
    places = only.among([p for p in definition.places_of(measure) if p not in left_out])
    if by_name and not places:
        there = ", ".join(f"{side}.{on}" for side, on in definition.places_of(measure))
        raise UsageError(f"{measure}: not measured at {only}; allowed: {there}")
    for side, on in places:
        try:
            estimate = definition.compute(found.facts, measure, side, on)
        except Impossible as reason:
            reasons.append(Withheld(side, measure.text, on, str(reason)))
            continue
        _keep(found, measure, (side, on), estimate)
    if by_name and len(reasons) == len(places):
        raise UsageError(f"{measure}: cannot be measured here: {reasons[0].reason}")
    found.withheld.extend(reasons)


def _keep(
    found: MeasuredSpace,
    measure: Measure,
    place: tuple[str, str],
    estimate: Estimate,
) -> None:
    side, on = place
    found.estimates[side, measure.text, on] = estimate
    found.warnings.extend(note for note in estimate.notes if note not in found.warnings)
    headline = is_headline(found.facts, measure, place)
    found.rows.append(as_row(found.space.label, measure, place, estimate, headline))


def as_row(
    label: str, measure: Measure, place: tuple[str, str], estimate: Estimate, headline: bool
) -> Measurement:
    """A row of results from an estimate.

    Parameters
    ----------
    label
        Of the space.
    measure, place
        What was measured, and side and transform.
    estimate
        The value with its influence values.
    headline
        Whether the row opens the report.
    """
    limits = interval(estimate, LEVEL)
    return Measurement(
        space=label,
        side=place[0],
        family=definition_of(measure).family,
        measure=measure.text,
        on=place[1],
        value=estimate.value,
        se=limits.se,
        ci_low=limits.low,
        ci_high=limits.high,
        level=LEVEL,
        n=estimate.n,
        unit=estimate.unit,
        population=estimate.population,
        estimator=estimate.estimator,
        method=None if math.isnan(limits.se) else estimate.method,
        null_mean=estimate.null_mean,
        null_sd=estimate.null_sd,
        null_p=estimate.null_p,
        headline=headline,
    )


def is_headline(facts: Pool, measure: Measure, place: tuple[str, str]) -> bool:
    """Whether a row opens the report: of two depths of mining the one that decides."""
    if headline_of(place[0], measure.text, place[1]) is None:
        return False
    if definition_of(measure).family != "negatives":
        return True
    return measure.whole("k") == headline_k(facts, measure.word("role"))


def _oddities(facts: Facts) -> list[str]:
    """Counted things that a reader of the numbers has to know."""
    lines = []
    for side in ("queries", "documents"):
        extra = duplicates(facts, side)
        if extra:
            n = len(facts.raw(side))
            lines.append(
                f"{side}: {extra} of {n} rows repeat another row exactly; kept, they raise "
                "uniformity and crowd neighbor lists"
            )
    padding = facts.space.padding
    if padding is not None and np.any(padding):
        lines.append(
            f"documents: {int(np.count_nonzero(padding))} padding-only chunks are left out of "
            "the geometry and kept in the ranking"
        )
    return lines


def _sampling(found: MeasuredSpace) -> list[str]:
    """How many documents the rows between documents come from, and the error of that."""
    rows = [r for r in found.rows if r.side == "documents" and r.estimator == "sampled"]
    known = [r for r in rows if r.se == r.se and r.value]
    if not rows:
        return []
    anchors = len(found.facts.choose(found.facts.row_ids("documents")))
    line = f"documents: measures among {len(found.facts.raw('documents'))} rows are sampled from"
    line += f" {anchors} of them against all"
    if known:
        worst = max(known, key=lambda row: row.se / abs(row.value))
        share = worst.se / abs(worst.value)
        line += (
            f", relative standard error up to {100 * share:.2g}% ({worst.measure} on {worst.on})"
        )
    return [f"{line}; --sample sets how many, --relative-error the error, --exact takes every row"]


def duplicates(facts: Facts, side: str) -> int:
    """How many rows repeat an earlier row exactly."""
    return int(np.count_nonzero(~first_of_its_kind(facts, side)))
