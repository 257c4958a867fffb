"""Arrays of a run: what stands at each rank, the law of mining from its lists, its queries."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np

from anisotropy.measures.base import Impossible
from anisotropy.measures.families.ranking import ndcg, recall, reciprocal_rank
from anisotropy.measures.mining import MINING_K, Law, Mined, probabilities
from anisotropy.measures.negative_curves import (
    basis_row,
    item_columns,
    profile_columns,
    sorted_columns,
)
from anisotropy.measures.ranked import RankedFacts
from anisotropy.results import Curve

_PER_QUERY = {"nDCG@10": (ndcg, 10), "RR@10": (reciprocal_rank, 10), "R@100": (recall, 100)}


def ranked_curves(facts: RankedFacts) -> list[Curve]:
    """Every curve that this run allows; see ``docs/curves.md``."""
    found: list[Curve] = []
    for maker in (_negatives(facts), _ranks(facts), _queries(facts)):
        with contextlib.suppress(Impossible):
            found.extend(maker)
    return found


def _negatives(facts: RankedFacts) -> Iterator[Curve]:
    """Law, items, profile and what they rest on, at the depth that decides."""
    k, role, label = facts.decisive, facts.role, facts.label
    found = facts.mined(k)
    if found.n <= k:
        return
    p = probabilities(found, Law(k))
    yield Curve("negative_probability", label, role, sorted_columns(p))
    yield Curve("items", label, role, item_columns(found, p, k, facts.items))
    depth = min(k, int((found.index >= 0).sum(axis=1).max(initial=0)))
    if facts.run.scores is not None and depth:
        yield Curve("negative_profile", label, role, profile_columns(found, depth, _own(facts)))
    yield Curve("mining", label, role, _basis(facts, found, k))


def _basis(facts: RankedFacts, found: Mined, k: int) -> dict[str, np.ndarray]:
    rows = [basis_row(found, k, "none")]
    if k < MINING_K < found.n:
        with contextlib.suppress(Impossible):
            rows.append(basis_row(facts.mined(MINING_K), MINING_K, "none"))
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _own(facts: RankedFacts) -> np.ndarray:
    """Score of the best positive that is listed, for each anchor; NaN where none is."""
    return _first(facts)[1]


def _first(facts: RankedFacts) -> tuple[np.ndarray, np.ndarray]:
    """Rank and score of the first positive of each anchor; NaN where none is listed."""
    positive = facts.judged.grades >= facts.judged.level
    rank = np.full(len(positive), np.nan)
    score = np.full(len(positive), np.nan)
    if positive.shape[1]:
        rank = np.where(positive.any(axis=1), positive.argmax(axis=1) + 1.0, np.nan)
    for row, (name, place) in enumerate(zip(facts.anchors, rank, strict=True)):
        if facts.run.scores is not None and place == place:
            score[row] = facts.run.scores[facts.run.part(name)][int(place) - 1]
    return rank, score


def _ranks(facts: RankedFacts) -> Iterator[Curve]:
    """Where the positives stand: one row a rank."""
    judged, depth = facts.judged, facts.run.depth
    positive = facts.grades(depth) >= judged.level
    lengths = np.array([len(facts.run.ranking(name)) for name in judged.keys])
    listed = (lengths[:, None] > np.arange(depth)).sum(axis=0)
    share = np.cumsum(positive, axis=1) / (judged.ideal >= judged.level).sum(axis=1)[:, None]
    columns = {
        "rank": np.arange(1, depth + 1),
        "listed": listed,
        "positives": positive.sum(axis=0),
        "share_relevant": positive.sum(axis=0) / np.maximum(listed, 1),
        "recall": share.mean(axis=0),
        "found": np.maximum.accumulate(positive, axis=1).mean(axis=0),
    }
    yield Curve("positive_ranks", facts.label, facts.side, columns)


def _queries(facts: RankedFacts) -> Iterator[Curve]:
    """One row a judged query (document, of a dual run); NaN beyond the depth of the run."""
    judged = facts.judged
    first, score = _first(facts)
    columns = {"query_id": np.array(facts.anchors, dtype=object)}
    for name, (value, cutoff) in _PER_QUERY.items():
        known = cutoff <= facts.run.depth or facts.whole
        columns[name] = value(judged, cutoff) if known else np.full(len(first), np.nan)
    columns |= {"first_positive_rank": first, "positive_score": score}
    columns["margin"] = score - _best_other(facts)
    yield Curve("queries", facts.label, facts.side, columns)


def _best_other(facts: RankedFacts) -> np.ndarray:
    """Score of the first item that is not positive, for each anchor; NaN where there is none."""
    score = np.full(len(facts.anchors), np.nan)
    for row, name in enumerate(facts.anchors):
        own = facts.run.part(name)
        count = own.stop - own.start
        other = np.flatnonzero(facts.judged.grades[row, :count] < facts.judged.level)
        if facts.run.scores is not None and len(other):
            score[row] = facts.run.scores[own][other[0]]
    return score
