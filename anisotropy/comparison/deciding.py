"""Claims decided: each part tested against its margin, each claim after Holm over the claims."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anisotropy.comparison.aligning import other_pools
from anisotropy.comparison.claims import NULL, OWN, Claim, Claims, Contrast, Part
from anisotropy.comparison.differences import more_than_queries
from anisotropy.comparison.withholding import first_reason
from anisotropy.errors import NotComparable, UsageError
from anisotropy.measures import MeasuredSpace
from anisotropy.statistics import (
    Estimate,
    Influence,
    holm,
    linear_influences,
    pair_by_key,
    student,
    total_error,
)

SUPPORTED, CONTRADICTED = "supported", "contradicted"
SAME, UNDECIDED, MIXED = "no meaningful difference", "undecided", "mixed"
OUTCOMES = (SUPPORTED, CONTRADICTED, SAME, UNDECIDED, MIXED)
CHECKPOINTS, METHOD = "checkpoints", "method"
#: Fewer seeds say nothing about a method.
LEAST_SEEDS = 3

Measured = Mapping[str, Sequence[MeasuredSpace]]


@dataclass(frozen=True)
class Delta:
    """What is known of the difference that a part is about.

    Attributes
    ----------
    method, against
        The two values; NaN where there is none.
    delta
        Their difference, on the scale of the part.
    se, freedom
        Standard error of `delta` and degrees of freedom of Student's t; NaN where not tested.
    n, unit
        How many units, and what they are.
    reason
        Why it is not tested; empty where it is.
    """

    method: float = math.nan
    against: float = math.nan
    delta: float = math.nan
    se: float = math.nan
    freedom: float = math.inf
    n: int = 0
    unit: str | None = None
    reason: str = ""

    @property
    def tested(self) -> bool:
        """Whether there is an interval."""
        return not self.reason


@dataclass(frozen=True)
class Judged:
    """A part with its difference, oriented so that up supports the claim.

    Attributes
    ----------
    part, delta
        What was judged.
    low, high
        Interval of the difference as measured, not oriented.
    p_for, p_against
        One-sided p that the difference is no larger than the margin, and no smaller than minus it.
    outcome
        Of the part alone: any outcome but *mixed*.
    """

    part: Part
    delta: Delta
    low: float
    high: float
    p_for: float
    p_against: float
    outcome: str

    @property
    def p(self) -> float:
        """Two-sided p that the difference is beyond the margin; NaN where it is not tested."""
        if math.isnan(self.p_for):
            return math.nan
        return min(1.0, 2 * min(self.p_for, self.p_against))


def decide_claims(
    claims: Claims, measured: Measured, seeds: Sequence[int] = (0,)
) -> list[dict[str, Any]]:
    """Decide every claim, for these checkpoints and for the method.

    Parameters
    ----------
    claims
        Written down before the run.
    measured
        Method to its measured spaces, one a seed, in the order of `seeds`; a method that is not
        there leaves out what needs it.
    seeds
        The seeds; their order pairs the checkpoints of different methods.

    Returns
    -------
    list of dict
        One record a contrast, scope and claim, as in ``results.json`` (docs/claims.md). Scope
        ``checkpoints``, one a seed: queries are the unit. Scope ``method``: the seeds are the
        unit, paired; undecided below three.

    Raises
    ------
    UsageError
        If a method does not have one space a seed.

    Notes
    -----
    A difference on one of a claim's primary parts is tested against its margin from both sides
    (Student's t). All parts must support (intersection-union test: the largest p counts); for a
    contradiction one is enough (Bonferroni over the parts). Twice the smaller of the two is the
    claim's p, and Holm's correction is over the claims of a contrast and scope. So a claim whose
    differences are all within their margins is called supported or contradicted at most in 1 -
    level of all cases.
    """
    for method, spaces in measured.items():
        if len(spaces) != len(seeds):
            raise UsageError(
                f"{method}: got {len(spaces)} spaces; needed: one of each seed {seeds}"
            )
    records = []
    for contrast in claims.contrasts:
        if contrast.method not in measured or contrast.against not in measured:
            continue
        asked = claims.asked(contrast)
        for place, seed in enumerate(seeds):
            records += _decided(asked, claims, _of_checkpoints(measured, place), CHECKPOINTS, seed,
                                contrast)  # fmt: skip
        records += _decided(asked, claims, _of_method(measured, seeds), METHOD, None, contrast)
    return [{**r, "main": r["contrast"] == claims.contrasts[0].name} for r in records]


def _decided(
    asked: Sequence[Claim],
    claims: Claims,
    find: Callable[[Part, str], Delta],
    scope: str,
    seed: int | None,
    contrast: Contrast,
) -> list[dict[str, Any]]:
    found = [
        [judge(part, find(part, claim.method), claims.level) for part in claim.parts]
        for claim in asked
    ]
    decided = judge_claims(found, claims.level)
    about = {"contrast": contrast.name, "what": contrast.what, "scope": scope, "seed": seed}
    return [
        {**about, **_record(claim, parts, verdict)}
        for claim, parts, verdict in zip(asked, found, decided, strict=True)
    ]


def judge(part: Part, delta: Delta, level: float = 0.95) -> Judged:
    """Test one difference against the margin of its part, from both sides.

    Parameters
    ----------
    part
        Direction and margin.
    delta
        The difference with its standard error.
    level
        Of the interval; a part is supported where it lies beyond the margin as a whole.
    """
    if not delta.tested or math.isnan(delta.delta):
        return Judged(part, delta, math.nan, math.nan, math.nan, math.nan, UNDECIDED)
    sign = 1.0 if part.direction == "up" else -1.0
    x = sign * delta.delta
    p_for = _beyond(x - part.margin, delta)
    p_against = _beyond(-x - part.margin, delta)
    reach = student(level, delta.freedom) * delta.se if delta.se > 0 else 0.0
    tail = (1 - level) / 2
    inside = abs(x) + reach <= part.margin
    outcome = (
        SUPPORTED if p_for < tail else CONTRADICTED if p_against < tail
        else SAME if inside else UNDECIDED
    )  # fmt: skip
    low, high = delta.delta - reach, delta.delta + reach
    return Judged(part, delta, low, high, p_for, p_against, outcome)


def _beyond(excess: float, delta: Delta) -> float:
    """One-sided p that a difference is beyond a bound which it exceeds by so much."""
    from scipy.special import ndtr, stdtr

    if not delta.se > 0:
        return 0.0 if excess > 0 else 1.0
    statistic = -excess / delta.se
    if math.isinf(delta.freedom):
        return float(ndtr(statistic))
    return float(stdtr(delta.freedom, statistic))


@dataclass(frozen=True)
class Verdict:
    """Outcome of a claim, its p and the same after Holm, and what a reader must know."""

    outcome: str
    p: float
    p_holm: float
    note: str


def judge_claims(found: Sequence[Sequence[Judged]], level: float = 0.95) -> list[Verdict]:
    """Outcomes of claims from their judged parts; Holm's correction is over them.

    Parameters
    ----------
    found
        The parts of each claim.
    level
        One minus the error allowed for all claims together.
    """
    sides = [_claim_p(parts) for parts in found]
    p = [min(1.0, 2 * min(pair)) if pair else math.nan for pair in sides]
    corrected = holm(p, len(p))
    verdicts = []
    for parts, pair, one, after in zip(found, sides, p, corrected, strict=True):
        outcome, notes = _outcome(parts, pair, after, 1 - level)
        verdicts.append(Verdict(outcome, one, after, "; ".join(notes)))
    return verdicts


def _claim_p(parts: Sequence[Judged]) -> tuple[float, float] | None:
    """One-sided p that all primary parts support, and that one of them contradicts."""
    tested = _tested(parts, "primary")
    if not tested:
        return None
    against = min(1.0, len(tested) * min(one.p_against for one in tested))
    return max(one.p_for for one in tested), against


def _tested(parts: Sequence[Judged], role: str) -> list[Judged]:
    return [one for one in parts if one.part.role == role and one.delta.tested]


def _outcome(
    parts: Sequence[Judged], sides: tuple[float, float] | None, p: float, error: float
) -> tuple[str, list[str]]:
    missing = [one for one in parts if one.part.role == "primary" and not one.delta.tested]
    notes = [f"not tested: {_name(one)} ({one.delta.reason})" for one in missing]
    if sides is None:
        return UNDECIDED, notes
    tested = _tested(parts, "primary")
    outcomes = {one.outcome for one in tested}
    if p < error:
        return _significant(parts, missing, sides[0] <= sides[1], notes, error)
    if outcomes == {SAME}:
        # What is not tested has no interval, so nothing shows that it is within its margin.
        return (UNDECIDED if missing else SAME), notes
    if SUPPORTED in outcomes and outcomes & {CONTRADICTED, SAME}:
        return MIXED, [*notes, "its measures come out differently"]
    if outcomes == {SUPPORTED} or CONTRADICTED in outcomes:
        notes.append("beyond the margin, but not after the correction for several tests")
    return UNDECIDED, notes


def _significant(
    parts: Sequence[Judged], missing: Sequence[Judged], supports: bool, notes: list[str],
    error: float,
) -> tuple[str, list[str]]:  # fmt: skip
    """A claim beyond its margins, unless something named beforehand speaks against that."""
    opposing = _opposing(parts, CONTRADICTED if supports else SUPPORTED, error)
    if opposing:
        return MIXED, [*notes, f"{' and '.join(opposing)} significantly oppose"]
    if not supports:
        # One part is enough against a claim; one that supports it makes the claim mixed.
        held = [_name(one) for one in _tested(parts, "primary") if one.outcome == SUPPORTED]
        return (
            (MIXED, [*notes, f"supported: {', '.join(held)}"]) if held else (CONTRADICTED, notes)
        )
    contrary = [_name(one) for one in missing if _points_away(one)]
    if contrary:
        return UNDECIDED, [
            *notes,
            f"not tested, but pointing the other way: {', '.join(contrary)}",
        ]
    return SUPPORTED, notes


def _opposing(parts: Sequence[Judged], outcome: str, error: float) -> list[str]:
    """Secondary parts with that outcome, corrected by Holm over the secondary ones."""
    tested = _tested(parts, "secondary")
    corrected = holm([one.p for one in tested])
    return [
        _name(one)
        for one, p in zip(tested, corrected, strict=True)
        if one.outcome == outcome and p < error
    ]


def _points_away(one: Judged) -> bool:
    wanted = 1.0 if one.part.direction == "up" else -1.0
    return wanted * one.delta.delta < 0


def _name(one: Judged) -> str:
    versus = f" against {one.part.against}" if one.part.against in (NULL, OWN) else ""
    return f"{one.part.side} {one.part.measure}{versus}"


def _record(claim: Claim, parts: Sequence[Judged], verdict: Verdict) -> dict[str, Any]:
    return {
        "claim": claim.claim,
        "text": claim.text,
        "method": claim.method,
        "outcome": verdict.outcome,
        "p": _number(verdict.p),
        "p_holm": _number(verdict.p_holm),
        "note": verdict.note,
        "parts": [_part_record(one) for one in parts],
    }


def _part_record(one: Judged) -> dict[str, Any]:
    part, delta = one.part, one.delta
    return {
        "side": part.side,
        "measure": part.measure,
        "on": part.on,
        "role": part.role,
        "against": part.against,
        "direction": part.direction,
        "margin": part.margin,
        "scale": part.scale,
        "value": _number(delta.method),
        "against_value": _number(delta.against),
        "delta": _number(delta.delta),
        "se": _number(delta.se),
        "ci_low": _number(one.low),
        "ci_high": _number(one.high),
        "p": _number(one.p),
        "n": delta.n,
        "unit": delta.unit,
        "outcome": one.outcome if delta.tested else "not tested",
        "note": delta.reason,
    }


def _number(value: float) -> float | None:
    """None for what is not there, as files have it."""
    return float(value) if math.isfinite(value) else None


def _of_checkpoints(measured: Measured, place: int) -> Callable[[Part, str], Delta]:
    """Differences between the checkpoints of one seed; the queries are the sample."""

    def find(part: Part, method: str) -> Delta:
        if reason := _missing(measured, part, method, [place]):
            return Delta(reason=reason)
        b = measured[method][place].estimates[part.key]
        against, a = _baseline(measured, part, method, place)
        known = Delta(b.value, against, _scaled(b.value, against, part), n=b.n, unit=b.unit)
        if b.population == "none":
            return _untested(known, "a whole collection is no sample; several seeds can test it")
        if a is not None and more_than_queries(measured[part.against][place], part.key):
            return _untested(known, "resampling queries cannot show its noise; seeds can")
        return _with_error(known, a, b, part)

    return find


def _with_error(known: Delta, a: Estimate | None, b: Estimate, part: Part) -> Delta:
    try:
        influences = _influences(a, b, known.against, part.scale)
    except NotComparable as error:
        return _untested(known, str(error))
    se, freedom = total_error(influences)
    if math.isnan(se) or math.isnan(known.delta):
        return _untested(known, "it carries no interval")
    # Rounding errors of units that all changed alike are no uncertainty.
    se = 0.0 if se <= 1e-12 * (abs(known.method) + abs(known.against)) else se
    return Delta(known.method, known.against, known.delta, se, freedom, known.n, known.unit)


def _influences(
    a: Estimate | None, b: Estimate, against: float, scale: str
) -> tuple[Influence, ...]:
    """Influence values of the difference: of b minus a, or of b/a - 1 (delta method)."""
    own = linear_influences(b)
    factor = 1.0 / abs(against) if scale == "relative" and against else 1.0
    if a is None:
        return tuple(Influence(p.keys, p.values * factor, p.shrink) for p in own)
    others = linear_influences(a)
    if not own or not others:
        return ()
    if len(own) != len(others):
        raise NotComparable("the two values were estimated in different ways")
    ratio = b.value / against if scale == "relative" and against else 1.0
    paired = [
        pair_by_key(Influence(x.keys, x.values * ratio, x.shrink), y)
        for x, y in zip(others, own, strict=True)
    ]
    return tuple(Influence(p.keys, p.values * factor, p.shrink) for p in paired)


def _of_method(measured: Measured, seeds: Sequence[int]) -> Callable[[Part, str], Delta]:
    """Differences of every seed's pair; the seeds are the sample."""

    def find(part: Part, method: str) -> Delta:
        places = range(len(seeds))
        if reason := _missing(measured, part, method, places):
            return Delta(reason=reason)
        values = [measured[method][i].estimates[part.key].value for i in places]
        others = [_baseline(measured, part, method, i)[0] for i in places]
        return seed_delta(values, others, part)

    return find


def seed_delta(values: Sequence[float], others: Sequence[float], part: Part) -> Delta:
    """Mean of the paired differences of seeds, with Student's t over them.

    Parameters
    ----------
    values, others
        Of the method and of what it is held against, one a seed, in the same order.
    part
        Whose scale says whether differences are relative.

    Returns
    -------
    Delta
        Not tested below three seeds.
    """
    deltas = [_scaled(b, a, part) for b, a in zip(values, others, strict=True)]
    n, mean = len(deltas), float(np.mean(deltas))
    known = Delta(float(np.mean(values)), float(np.mean(others)), mean, n=n, unit="seed")
    if n < LEAST_SEEDS:
        return _untested(known, f"{n} seed(s); a method needs {LEAST_SEEDS} or more")
    if math.isnan(mean):
        return _untested(known, "not a number in one of the seeds")
    se = float(np.std(deltas, ddof=1)) / math.sqrt(n)
    se = 0.0 if se <= 1e-12 * (abs(known.method) + abs(known.against)) else se
    return Delta(known.method, known.against, mean, se, n - 1.0, n, "seed")


def _scaled(value: float, against: float, part: Part) -> float:
    if part.scale == "absolute":
        return value - against
    return (value - against) / abs(against) if against else math.nan


def _untested(known: Delta, reason: str) -> Delta:
    return Delta(known.method, known.against, known.delta, n=known.n, unit=known.unit,
                 reason=reason)  # fmt: skip


def _missing(measured: Measured, part: Part, method: str, places: Sequence[int]) -> str:
    """Why the values of a part are not there or must not be compared; empty where they may."""
    for name in (method, part.against):
        if name not in measured and name not in (NULL, OWN):
            return f"there is no {name}"
    for place in places:
        b = measured[method][place]
        if part.against in (NULL, OWN):
            reason = _own_missing(b, part)
        else:
            a = measured[part.against][place]
            reason = first_reason([a, b], part.key, other_pools(a.space, b.space))
        if reason:
            return reason
    return ""


def _own_missing(one: MeasuredSpace, part: Part) -> str:
    if part.key not in one.estimates:
        return f"not measured in {one.space.label!r}"
    if part.against == NULL and math.isnan(one.estimates[part.key].null_mean):
        return "it has no null"
    if part.against == OWN and ("documents", *part.key[1:]) not in one.estimates:
        return f"not measured on the documents of {one.space.label!r}"
    return ""


def _baseline(
    measured: Measured, part: Part, method: str, place: int
) -> tuple[float, Estimate | None]:
    """Value that a part is held against, with its estimate where it is uncertain."""
    b = measured[method][place]
    if part.against == NULL:
        return b.estimates[part.key].null_mean, None
    if part.against == OWN:  # the documents are a census: no error of their own
        return b.estimates["documents", part.measure, part.on].value, None
    a = measured[part.against][place].estimates[part.key]
    return a.value, a
