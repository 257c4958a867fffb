"""Two spaces of the same collection: paired differences, similarity, what is withheld."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from anisotropy.errors import NotComparable, UsageError, one_of
from anisotropy.measures import (
    HEADLINE,
    Definition,
    Measure,
    MeasuredSpace,
    definition_of,
    similarity_measures,
)
from anisotropy.measures.base import Impossible
from anisotropy.measures.families.negatives import other_scores
from anisotropy.measures.headline import RANKING
from anisotropy.measures.mining import pool_size
from anisotropy.measures.registry import parse
from anisotropy.measures.run import Key, deciding
from anisotropy.results import Difference, Similarity, Withheld
from anisotropy.statistics import holm, paired_difference

if TYPE_CHECKING:
    from anisotropy.spaces import EmbeddingSpace

Qrels = dict[str, dict[str, int]]
POLICIES = ("error", "intersect")


def compare_spaces(
    a: MeasuredSpace, b: MeasuredSpace, *, on_mismatch: str = "error"
) -> tuple[list[Difference], list[Similarity], list[Withheld]]:
    """Compare two measured spaces of the same queries and documents.

    Parameters
    ----------
    a, b
        Results of :func:`anisotropy.measures.measure_space`. Differences are b minus a. Ids may
        come in another order: everything is paired by id.
    on_mismatch
        ``error``: refuse two collections that are known to differ. ``intersect``: the spaces
        come from :func:`align_spaces`, which kept what they have in common.

    Returns
    -------
    tuple
        Differences of every row measured in both, similarities of the two spaces (those asked
        for where they were measured with ``between=True``), and rows that are not comparable,
        with the reason. Holm's correction covers the headline rows,
        effectiveness apart, whatever was asked for.

    Raises
    ------
    NotComparable
        If collections, ids or judgments differ (see :func:`align_spaces`).
    UsageError
        If `on_mismatch` is another word.
    """
    _same_collection(a.space, b.space, on_mismatch)
    for line in _mismatches(a.space, b.space):
        raise NotComparable(f"{line}; use on_mismatch='intersect' or the same collection")
    _same_judgments(a.space, b.space)
    differences, withheld = [], []
    pools = _other_pools(a.space, b.space)
    for key in dict.fromkeys([*a.estimates, *b.estimates]):
        try:
            _refuse(a, b, key, pools)
            differences.append(_difference(a, b, key))
        except NotComparable as reason:
            withheld.append(Withheld(key[0], key[1], key[2], str(reason)))
    similarities, missing = _similarities(a, b)
    return _adjusted(differences), similarities, withheld + missing


def _mismatches(a: EmbeddingSpace, b: EmbeddingSpace) -> Iterator[str]:
    for side, left, right in (
        ("queries", a.query_ids, b.query_ids),
        ("documents", a.doc_ids, b.doc_ids),
    ):
        first, second = set(left), set(right)
        if first != second:
            yield (
                f"{side}: {len(first)} ids in {a.label!r}, {len(second)} in {b.label!r}, "
                f"{len(first & second)} in both"
            )


def _same_collection(a: EmbeddingSpace, b: EmbeddingSpace, on_mismatch: str) -> None:
    """Ids may agree by chance (0, 1, 2, ...) where the texts are others."""
    if on_mismatch not in POLICIES:
        raise UsageError(f"on_mismatch: {one_of(on_mismatch, POLICIES)}")
    known = [str(getattr(space, "collection_fingerprint", "")) for space in (a, b)]
    if on_mismatch == "error" and all(known) and known[0] != known[1]:
        raise NotComparable(
            f"{a.label!r} and {b.label!r} are of different collections (fingerprints {known[0]} "
            f"and {known[1]}); use on_mismatch='intersect' or the same collection"
        )


def _other_pools(a: EmbeddingSpace, b: EmbeddingSpace) -> str:
    """How the mining pools differ; empty where they are the same."""
    first, second = set(a.mining.query_ids), set(b.mining.query_ids)
    if first != second:
        return (
            f"mined from other queries: {len(first)} in the pool of {a.label!r}, {len(second)} "
            f"in that of {b.label!r}, {len(first & second)} in both"
        )
    if a.mining.qrels is not b.mining.qrels and _plain(a.mining) != _plain(b.mining):
        return f"the judgments of the mining pools of {a.label!r} and {b.label!r} differ"
    return ""


def _same_judgments(a: EmbeddingSpace, b: EmbeddingSpace) -> None:
    if a.qrels and b.qrels and a.qrels is not b.qrels and _plain(a) != _plain(b):
        raise NotComparable(
            f"the judgments of {a.label!r} and {b.label!r} differ; give both the same qrels"
        )


def _plain(space: EmbeddingSpace) -> dict[str, dict[str, int]]:
    return {query: dict(judged) for query, judged in space.qrels.items()}


def align_spaces(
    a: EmbeddingSpace, b: EmbeddingSpace, on_mismatch: str = "error"
) -> tuple[EmbeddingSpace, EmbeddingSpace]:
    """Bring two spaces to the same queries and documents.

    Parameters
    ----------
    a, b
        The spaces.
    on_mismatch
        ``error``: refuse different collections and ids. ``intersect``: keep what both have.

    Returns
    -------
    tuple
        The two spaces, unchanged where their ids are the same.

    Raises
    ------
    NotComparable
        If collections or ids differ and `on_mismatch` is ``error``, or nothing is common.
    UsageError
        If `on_mismatch` is another word.
    """
    _same_collection(a, b, on_mismatch)
    lines = list(_mismatches(a, b))
    if not lines:
        return a, b
    if on_mismatch == "error":
        raise NotComparable(f"{'; '.join(lines)}; on_mismatch='intersect' keeps the common ones")
    queries = _common(a.query_ids, b.query_ids)
    documents = _common(a.doc_ids, b.doc_ids)
    if not queries or not documents:
        raise NotComparable(f"{'; '.join(lines)}; nothing to compare")
    return a.restrict(queries, documents), b.restrict(queries, documents)


def _common(left: list[str], right: list[str]) -> list[str]:
    known = set(right)
    return [name for name in left if name in known]


def _refuse(a: MeasuredSpace, b: MeasuredSpace, key: Key, pools: str) -> None:
    """Raise NotComparable, with the reason, where a row must not be compared."""
    reason = _reason(a, b, key, pools)
    if reason:
        raise NotComparable(reason)


def _reason(a: MeasuredSpace, b: MeasuredSpace, key: Key, pools: str) -> str:
    """Why a row must not be compared; empty where it may."""
    side, measure, on = key
    for one in (a, b):
        if key not in one.estimates:
            return f"not measured in {one.space.label!r}: {_why_missing(one, key)}"
    definition = definition_of(measure)
    dims = [one.facts.raw("queries").dim for one in (a, b)]
    if definition.dimension_bound and dims[0] != dims[1]:
        return f"bound to the dimension, which is {dims[0]} and {dims[1]}"
    if on == "raw" and a.facts.normalized != b.facts.normalized:
        unit = a if a.facts.normalized else b
        return f"raw rows have length 1 in {unit.space.label!r} only; compare on unit"
    if definition.family == "negatives" and pools:
        return pools
    if scores := other_scores(parse(measure), a.space, b.space):
        return scores
    sizes = _sizes(a, side, definition), _sizes(b, side, definition)
    if definition.size_bound and sizes[0] != sizes[1]:
        return f"depends on the number of rows, which is {sizes[0]} and {sizes[1]}"
    if [math.isnan(one.estimates[key].value) for one in (a, b)] != [False, False]:
        return "not a number in one of the spaces"
    return ""


def _why_missing(one: MeasuredSpace, key: Key) -> str:
    for row in one.withheld:
        if (row.side, row.measure, row.on) == key:
            return row.reason
    return "it was not asked for there"


def _sizes(one: MeasuredSpace, side: str, definition: Definition) -> tuple[int, ...]:
    if definition.family == "negatives":
        return (pool_size(one.facts, side),)
    if side in ("ranking", "dual_ranking", "positives"):
        return ()
    names = ("queries", "documents") if side in ("joint", "cross") else (side,)
    return tuple(len(one.facts.raw(name)) for name in names)


def _difference(a: MeasuredSpace, b: MeasuredSpace, key: Key) -> Difference:
    side, measure, on = key
    left, right = a.estimates[key], b.estimates[key]
    found = paired_difference(left, right)
    return Difference(
        side=side,
        family=definition_of(measure).family,
        measure=measure,
        on=on,
        a=left.value,
        b=right.value,
        delta=found.delta,
        se=found.interval.se,
        ci_low=found.interval.low,
        ci_high=found.interval.high,
        effect_size=found.effect_size,
        p=found.interval.p,
        n=found.n,
        unit=left.unit,
        method=left.method or right.method,
        headline=_headline(a, key) and _headline(b, key),
    )


def _headline(one: MeasuredSpace, key: Key) -> bool:
    row = one.row(*key)
    return row is not None and row.headline


def _adjusted(differences: list[Difference]) -> list[Difference]:
    """Holm over the headline rows that are tested, effectiveness apart."""
    result = list(differences)
    for ranking in (False, True):
        chosen = [
            i
            for i, row in enumerate(result)
            if row.headline and (row.family == "effectiveness") == ranking
        ]
        adjusted = holm([result[i].p for i in chosen], _family_size(ranking))
        for i, p in zip(chosen, adjusted, strict=True):
            result[i] = replace(result[i], p_holm=p)
    return result


def _family_size(ranking: bool) -> int:
    """Number of headline tests: geometry of the fixed documents is not tested."""
    return sum(
        (row.group == RANKING) == ranking and (row.side, row.on) != ("documents", "unit")
        for row in HEADLINE
    )


def _similarities(a: MeasuredSpace, b: MeasuredSpace) -> tuple[list[Similarity], list[Withheld]]:
    found, withheld = [], []
    named, by_name = _similarities_asked(a, b)
    for one in named:
        definition: Definition = definition_of(one)
        for side, on in definition.places:
            measure = one if by_name else deciding(a.facts, one, side)
            try:
                if definition.between is not None:
                    found.append(definition.between(a.facts, b.facts, measure, side))
            except Impossible as reason:
                withheld.append(Withheld(side, measure.text, on, str(reason)))
    return found, withheld


def _similarities_asked(a: MeasuredSpace, b: MeasuredSpace) -> tuple[list[Measure], bool]:
    """Those asked for in either space, and True; all where neither was asked about two spaces."""
    asked = [one.similarities for one in (a, b) if one.similarities is not None]
    if not asked:
        return similarity_measures(), False
    return list(dict.fromkeys(measure for measures in asked for measure in measures)), True
