"""Query-document, part three: the nearest document, and the margin of the judged ones over it."""

from __future__ import annotations

import copy
import math

import numpy as np

from anisotropy.measures.base import Definition, Impossible, Measure
from anisotropy.measures.basis import need_rows, query_influence
from anisotropy.measures.facts import Facts, Pairs
from anisotropy.measures.families.uniformity import over_pairs, positive_mean
from anisotropy.neighbors import NearerCounts, sweep
from anisotropy.statistics import Estimate

_BLOCK = 8192


def nearest_distances(facts: Facts) -> np.ndarray:
    """Distance of each query to its nearest document on unit rows, shape (queries,)."""
    need_rows(facts, "documents", 1)
    nearest = facts.cross("unit").neighbors.index[:, 0]
    return facts.pair_distances(np.arange(len(nearest)), nearest)


def nearest_document_distance(facts: Facts, measure: Measure, side: str, on: str) -> Estimate:
    """Mean over queries of the distance to the nearest document."""
    need_rows(facts, "queries")
    values = nearest_distances(facts)
    return Estimate(
        float(values.mean()),
        query_influence(facts, values - values.mean()),
        n=len(values),
        unit="query",
        population="queries",
        method="closed_form",
        low=0.0,
        high=2.0,
    )


def pair_scores(facts: Facts, query: np.ndarray, document: np.ndarray) -> np.ndarray:
    """Score of each pair as the recipe defines it, best chunk, before any temperature.

    Parameters
    ----------
    facts
        The facts of the space.
    query, document
        Shape (pairs,): positions in the ids of the space.

    Returns
    -------
    numpy.ndarray of shape (pairs,)
        Float64: cosine, inner product, or minus the Euclidean distance.
    """
    queries, documents = facts.scored("queries"), facts.scored("documents")
    out = np.empty(len(query))
    for start in range(0, len(out), _BLOCK):
        part = slice(start, start + _BLOCK)
        left, _ = queries.take(query[part])
        right, starts = documents.take(document[part])
        if starts is not None:
            left = np.repeat(left, np.diff(np.append(starts, len(right))), axis=0)
        scores = _scores(left.astype(np.float64), right, facts.product)
        out[part] = scores if starts is None else np.maximum.reduceat(scores, starts)
    return out


def _scores(left: np.ndarray, right: np.ndarray, product: str) -> np.ndarray:
    if product == "euclidean":
        return -np.asarray(np.linalg.norm(left - right, axis=1))
    return np.asarray(np.einsum("ij,ij->i", left, right, dtype=np.float64))


class _BestOther:
    """Best target of each anchor that is not among its relevant ones.

    `relevant` are pairs sorted by query, `chosen` the queries that are anchors, ascending.
    """

    def __init__(self, chosen: np.ndarray, relevant: Pairs) -> None:
        mine = np.isin(relevant.query, chosen)
        self.row = np.searchsorted(chosen, relevant.query[mine])
        self.column = relevant.document[mine]
        self.index = np.full(len(chosen), -1)
        self.score = np.full(len(chosen), -np.inf)

    def update(self, anchors: slice, first: int, scores: np.ndarray) -> None:
        """Take in a block of scores."""
        column = self.column - first
        inside = (self.row >= anchors.start) & (self.row < anchors.stop)
        inside &= (column >= 0) & (column < scores.shape[1])
        block = scores.copy()
        block[self.row[inside] - anchors.start, column[inside]] = -np.inf
        best = block.argmax(axis=1)
        top = block[np.arange(len(block)), best]
        better = top > self.score[anchors]
        self.index[anchors] = np.where(better, best + first, self.index[anchors])
        self.score[anchors] = np.where(better, top, self.score[anchors])

    def settle(self, anchors: slice) -> None:
        """Nothing to do: the first of the best is the same in any spans."""

    def part(self, anchors: slice, targets: slice) -> _BestOther:
        """One that found nothing yet, of some anchors."""
        own = (self.row >= anchors.start) & (self.row < anchors.stop)
        part = copy.copy(self)
        part.row, part.column = self.row[own] - anchors.start, self.column[own] - targets.start
        part.index = np.full(anchors.stop - anchors.start, -1)
        part.score = np.full(len(part.index), -np.inf)
        return part

    def found(self) -> tuple[np.ndarray, np.ndarray]:
        """The best of the span, and their scores."""
        return self.index, self.score

    def merge(self, anchors: slice, targets: slice, found: tuple[np.ndarray, np.ndarray]) -> None:
        """Keep what is better than before."""
        index, score = found
        better = score > self.score[anchors]
        self.index[anchors] = np.where(better, index + targets.start, self.index[anchors])
        self.score[anchors] = np.where(better, score, self.score[anchors])


def best_others(facts: Facts) -> np.ndarray:
    """Best-scored document not judged relevant, for each query that has a positive.

    Returns
    -------
    numpy.ndarray of shape (queries,)
        Position of the document; -1 for queries without a positive. Taken from the ranking;
        queries whose whole list is relevant are searched anew.

    Raises
    ------
    Impossible
        If no query has a positive, or every document is relevant to one.
    """
    return facts.once("best others", lambda: _best_others(facts))


def _best_others(facts: Facts) -> np.ndarray:
    pairs = facts.positives
    n = len(facts.space.doc_ids)
    chosen = np.unique(pairs.query)
    lists = facts.cross("recipe").neighbors.index[chosen]
    relevant = np.isin(chosen[:, None] * n + lists, pairs.query * n + pairs.document)
    other = ~relevant & (lists >= 0)
    best = np.full(len(facts.space.query_ids), -1)
    best[chosen] = lists[np.arange(len(lists)), other.argmax(axis=1)]
    missing = chosen[~other.any(axis=1)]
    if len(missing):
        search = _BestOther(missing, pairs)
        documents = facts.scored("documents")
        sweep(facts.scored("queries"), missing, documents, [search], product=facts.product)
        best[missing] = search.index
        if (search.index < 0).any():
            name = facts.space.query_ids[missing[search.index < 0][0]]
            raise Impossible(f"every document is judged relevant to the query {name!r}")
    return best


def pair_margins(facts: Facts) -> np.ndarray:
    """Score of each judged pair less that of the best document not judged relevant.

    Returns
    -------
    numpy.ndarray of shape (pairs,)
        In the order of ``facts.positives``, in units of :func:`pair_scores`.
    """
    return facts.once("pair margins", lambda: _pair_margins(facts))


def _pair_margins(facts: Facts) -> np.ndarray:
    pairs = facts.positives
    queries, of_pair = np.unique(pairs.query, return_inverse=True)
    others = pair_scores(facts, queries, best_others(facts)[queries])
    return np.asarray(positive_scores(facts) - others[of_pair])


def positive_scores(facts: Facts) -> np.ndarray:
    """Score of each judged pair, in the order of ``facts.positives``, shape (pairs,)."""
    pairs = facts.positives
    return facts.once("positive scores", lambda: pair_scores(facts, pairs.query, pairs.document))


def positive_ranks(facts: Facts) -> np.ndarray:
    """Rank of each judged pair's document by the recipe's score, from 1, among all documents.

    Returns
    -------
    numpy.ndarray of shape (pairs,)
        In the order of ``facts.positives``: the place in the ranking where it reaches so far,
        else 1 + the documents that score more.
    """
    return facts.once("positive ranks", lambda: _positive_ranks(facts))


def _positive_ranks(facts: Facts) -> np.ndarray:
    pairs, lists = facts.positives, facts.cross("recipe").neighbors.index
    ranks = np.zeros(len(pairs.query), dtype=np.int64)
    for start in range(0, len(ranks), _BLOCK):
        part = slice(start, start + _BLOCK)
        found = lists[pairs.query[part]] == pairs.document[part, None]
        ranks[part] = np.where(found.any(axis=1), found.argmax(axis=1) + 1, 0)
    beyond = np.flatnonzero(ranks == 0)
    if len(beyond):
        above = _scoring_more(facts, pairs.query[beyond], pairs.document[beyond])
        ranks[beyond] = 1 + np.maximum(above, lists.shape[1])
    return ranks


def _scoring_more(facts: Facts, query: np.ndarray, document: np.ndarray) -> np.ndarray:
    """How many documents score more than that of each pair; pairs sorted by query."""
    anchors, of_pair = np.unique(query, return_inverse=True)
    score = pair_scores(facts, query, document)
    if facts.product == "euclidean":
        score = -(score**2)
    counts = NearerCounts(of_pair, document, score, 0.0)
    sweep(facts.scored("queries"), anchors, facts.scored("documents"), [counts],
          product=facts.product)  # fmt: skip
    return counts.above


def margin(facts: Facts, measure: Measure, side: str, on: str) -> Estimate:
    """Mean margin of the judged pairs."""
    value, influence = positive_mean(facts, pair_margins(facts))
    return Estimate(value, query_influence(facts, influence), **over_pairs(facts))


DEFINITIONS = (
    Definition(
        name="nearest_document_distance",
        family="query_document",
        formula="mean over queries of the distance of unit rows to the nearest document",
        low=0.0,
        high=2.0,
        up="documents far",
        better="down",
        word="closer",
        sees="how near a query comes to any document, judged or not",
        blind="whether that document is relevant",
        reference="project definition",
        note="Falls with the size of the collection: compared between equal document sets only, "
        "and estimated for this one. Best chunk. Any common direction shrinks it.",
        needs=("neighbors",),
        places=(("cross", "unit"),),
        size_bound=True,
        compute=nearest_document_distance,
    ),
    Definition(
        name="margin",
        family="query_document",
        formula="mean over judged pairs of s(q, d+) - max of s(q, d) over the documents d not "
        "judged relevant",
        low=-math.inf,
        high=math.inf,
        up="positives above the rest",
        better="up",
        word="better",
        sees="the score that separates a judged document from the best other one",
        blind="everything below that best other document",
        reference="project definition",
        note="In units of the recipe's score before any temperature: cosine, inner product, or "
        "minus the Euclidean distance. Spaces whose similarity or temperature differ are not "
        "compared. Relevant documents that nobody judged make it negative; judged ones below the "
        "relevance level are among the others. Pairs are averaged, queries are the clusters; "
        "best chunk each, padding-only chunks included as in upstream's ranking. Estimated "
        "for this collection.",
        needs=("positives", "neighbors"),
        places=(("positives", "recipe"),),
        score_bound=True,
        compute=margin,
    ),
)
