"""Effectiveness of rankings, with one tie rule for spaces and for runs.

Ties are broken as trec_eval does: scores are compared as 32-bit floats, equal ones by document
id in descending order. A judged query that the run lacks counts 0; queries without a positive
are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from anisotropy.errors import UsageError
from anisotropy.measures.base import Definition, Family, Impossible, Measure, Parameter
from anisotropy.measures.facts import Facts, check_grades
from anisotropy.neighbors import TopK, sweep
from anisotropy.statistics import Estimate, Influence

FAMILY = Family(
    "effectiveness",
    "Ranking effectiveness",
    "whether judged documents are ranked first (ranking), and judged queries for a document "
    "(dual_ranking)",
    "everything about the space that leaves the order of the top documents as it is",
)
Run = Mapping[str, Mapping[str, float]]
Judgments = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, eq=False)
class Judged:
    """Rankings against judgments, a row a query.

    Attributes
    ----------
    keys
        Query ids.
    grades
        Shape (queries, depth): grade of the item at each rank, 0 if unjudged.
    ideal
        Shape (queries, most judged): grades of all judged items, descending, padded with 0.
    level
        Smallest grade of a positive.
    """

    keys: list[str]
    grades: np.ndarray
    ideal: np.ndarray
    level: int


def ndcg(judged: Judged, cutoff: int) -> np.ndarray:
    """NDCG at a cutoff of every query: linear gain, discount log2(rank + 1)."""
    best = _dcg(judged.ideal, cutoff)
    gained = _dcg(judged.grades, cutoff)
    return np.asarray(np.divide(gained, best, out=np.zeros_like(best), where=best > 0))


def _dcg(grades: np.ndarray, cutoff: int) -> np.ndarray:
    top = np.maximum(grades[:, :cutoff], 0)
    return np.asarray(top @ (1 / np.log2(np.arange(top.shape[1]) + 2)))


def reciprocal_rank(judged: Judged, cutoff: int) -> np.ndarray:
    """One over the rank of the first positive within the cutoff, else 0."""
    positive = judged.grades[:, :cutoff] >= judged.level
    if not positive.shape[1]:
        return np.zeros(len(positive))
    return np.where(positive.any(axis=1), 1 / (positive.argmax(axis=1) + 1.0), 0.0)


def recall(judged: Judged, cutoff: int) -> np.ndarray:
    """Share of the positives that are within the cutoff."""
    found = (judged.grades[:, :cutoff] >= judged.level).sum(axis=1)
    return np.asarray(found / (judged.ideal >= judged.level).sum(axis=1))


MEASURES: dict[str, Callable[[Judged, int], np.ndarray]] = {
    "nDCG": ndcg,
    "RR": reciprocal_rank,
    "R": recall,
}


def effectiveness(
    run: Run, qrels: Judgments, measures: Iterable[str], relevance_level: int = 1
) -> dict[str, dict[str, float]]:
    """Effectiveness of a run, query by query.

    Parameters
    ----------
    run
        Query id to document id to score.
    qrels
        Query id to document id to grade.
    measures
        Identities such as ``nDCG@10``, ``RR@10``, ``R@100``.
    relevance_level
        Smallest grade of a positive for RR and R; gains of nDCG are the grades themselves.

    Returns
    -------
    dict
        Identity to query id to value, for every judged query with a positive; 0 where the run
        lacks the query. The mean over queries is the value of the run.

    Raises
    ------
    UsageError
        If a measure is not one of effectiveness, no query has a positive, or a grade is beyond
        32 bits.
    """
    from anisotropy.measures.registry import parse_all

    asked = parse_all(measures)
    wrong = [m.text for m in asked if m.name not in MEASURES]
    if wrong:
        raise UsageError(f"not effectiveness: {', '.join(wrong)}; allowed: nDCG@k, RR@k, R@k")
    check_grades(qrels)
    keys = [q for q, judged in qrels.items() if any(g >= relevance_level for g in judged.values())]
    if not keys:
        raise UsageError(f"no query has a judgment of grade {relevance_level} or above")
    lists = (trec_order(run.get(query, {})) for query in keys)
    judged = judge_lists(lists, qrels, keys, relevance_level)
    return {
        m.text: dict(zip(keys, MEASURES[m.name](judged, m.whole("cutoff")).tolist(), strict=True))
        for m in asked
    }


def judge_lists(
    lists: Iterable[Sequence[str]], qrels: Judgments, keys: list[str], level: int
) -> Judged:
    """Rankings of documents against judgments.

    Parameters
    ----------
    lists
        Documents of each query of `keys`, best first.
    qrels
        Judgments of those queries at least.
    keys
        The queries.
    level
        Smallest grade of a positive.
    """
    grades = [[qrels[q].get(d, 0) for d in own] for q, own in zip(keys, lists, strict=True)]
    ideal = [sorted((max(g, 0) for g in qrels[q].values()), reverse=True) for q in keys]
    return Judged(keys, _padded(grades), _padded(ideal), level)


def trec_order(scores: Mapping[str, float]) -> list[str]:
    """Document ids by 32-bit score descending, then by id descending."""
    return sorted(scores, key=lambda d: (np.float32(scores[d]), d), reverse=True)


def _padded(lists: list[list[int]]) -> np.ndarray:
    out = np.zeros((len(lists), max(map(len, lists), default=0)), dtype=np.int64)
    for row, values in zip(out, lists, strict=True):
        row[: len(values)] = values
    return out


def judged_ranking(facts: Facts, side: str) -> Judged:
    """Rankings of a space against its judgments, computed once."""
    return facts.once(("judged", side), lambda: _judged(facts, side))


def _judged(facts: Facts, side: str) -> Judged:
    positives, pairs = facts.positives, facts.pairs
    if side == "ranking":
        anchors = np.unique(positives.query)
        index = facts.cross("recipe").neighbors.index[anchors]
        anchor_of, item_of, ids = pairs.query, pairs.document, facts.space.query_ids
    else:
        anchors = np.unique(positives.document)
        index = _queries_of_documents(facts, anchors)
        anchor_of, item_of, ids = pairs.document, pairs.query, facts.space.doc_ids
    grades = _lookup(anchors[:, None], index, anchor_of, item_of, pairs.grade)
    ideal = _ideal(anchors, anchor_of, pairs.grade)
    return Judged([ids[i] for i in anchors], grades, ideal, facts.relevance_level)


def _queries_of_documents(facts: Facts, anchors: np.ndarray) -> np.ndarray:
    """Ranking of the queries for each positive document, by the recipe's score."""
    queries = facts.scored("queries")
    depth = min(max(facts.plan.depth, 1), len(queries))
    lists = TopK(len(anchors), depth, facts.trec_ties("queries"))
    sweep(facts.scored("documents"), anchors, queries, [lists], product=facts.product)
    return lists.neighbors(anchors).index


def _lookup(
    anchor: np.ndarray, item: np.ndarray, of: np.ndarray, to: np.ndarray, grade: np.ndarray
) -> np.ndarray:
    """Grade of each (anchor, item), 0 where there is none."""
    width = int(max(item.max(initial=0), to.max(initial=0))) + 1
    order = np.argsort(of * width + to)
    known = (of * width + to)[order]
    wanted = anchor * width + item
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where((known[place] == wanted) & (item >= 0), grade[order][place], 0)


def _ideal(anchors: np.ndarray, of: np.ndarray, grade: np.ndarray) -> np.ndarray:
    order = np.lexsort((-grade, of))
    starts = np.searchsorted(of[order], anchors)
    ends = np.searchsorted(of[order], anchors, side="right")
    return _padded([grade[order][s:e].tolist() for s, e in zip(starts, ends, strict=True)])


def ranking_measure(facts: Facts, measure: Measure, side: str, on: str) -> Estimate:
    """Mean effectiveness over the judged queries (documents in the dual task)."""
    return mean_effectiveness(judged_ranking(facts, side), measure, side)


def mean_effectiveness(judged: Judged, measure: Measure, side: str) -> Estimate:
    """Mean of a measure over the rows of `judged`, with the influence of each.

    Raises
    ------
    Impossible
        If there are fewer than 2.
    """
    if len(judged.keys) < 2:
        raise Impossible(f"{side}: {len(judged.keys)} judged, at least 2 are needed")
    values = MEASURES[measure.name](judged, measure.whole("cutoff"))
    dual = side == "dual_ranking"
    return Estimate(
        float(values.mean()),
        (Influence(judged.keys, values - values.mean()),),
        n=len(values),
        unit="document" if dual else "query",
        population="documents" if dual else "queries",
        method="closed_form",
        scale="share",
        low=0.0,
        high=1.0,
        weights=np.ones(len(values)),
    )


_NOTE = (
    "Scores as the recipe defines them, compared as 32-bit floats; equal scores by id "
    "descending, as trec_eval. Queries without a positive are left out, judged queries missing "
    "from a run count 0. dual_ranking: reversed judgments, the positive documents rank the "
    "queries of the evaluated split, which are taken as they are. Depths up to 200 cost nothing "
    "more; deeper ones, such as R@1000, deepen every list of the run and are taken only by name. "
    "The interval is that of a binomial share at the effective number of queries (Korn and "
    "Graubard 1998): it stays honest near 0 and 1, where a symmetric one does not."
)


def _definition(
    name: str, cutoff: int, formula: str, sees: str, blind: str, cutoffs: tuple[int, ...] = ()
) -> Definition:
    return Definition(
        name=name,
        family="effectiveness",
        formula=formula,
        low=0.0,
        high=1.0,
        up="better",
        better="up",
        word="better",
        sees=sees,
        blind=blind,
        reference="trec_eval",
        note=_NOTE,
        needs=("neighbors", "positives"),
        places=(("ranking", "recipe"), ("dual_ranking", "recipe")),
        parameters=(
            Parameter(
                "cutoff", cutoff, always=True, low=1, meaning="ranks that count, after the @"
            ),
        ),
        defaults=tuple({"cutoff": each} for each in cutoffs or (cutoff,)),
        compute=ranking_measure,
    )


DEFINITIONS = (
    _definition(
        "nDCG",
        10,
        "sum of grade/log2(rank + 1) over the top k, over its maximum from all judged",
        "graded positives near the top",
        "anything below the cutoff; unjudged documents count as not relevant",
    ),
    _definition(
        "RR",
        10,
        "1/rank of the first positive within the top k, else 0",
        "the first positive",
        "all other positives",
        (10, 100),
    ),
    _definition(
        "R",
        100,
        "positives within the top k over all positives",
        "whether positives are reached at all",
        "their order within the cutoff",
    ),
)
