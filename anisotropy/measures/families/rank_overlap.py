"""Similarity, part three: agreement of the rankings of the two spaces."""

from __future__ import annotations

import math

import numpy as np

from anisotropy.files import hash_ids
from anisotropy.measures.base import Definition, Impossible, Measure, Parameter
from anisotropy.measures.facts import Facts
from anisotropy.measures.families.similarity import reach, row_order
from anisotropy.results import Similarity
from anisotropy.statistics import Influence, null_z

#: Ranks compared; what lies beyond is taken to agree as these do.
DEPTH = 200
#: Fewest other queries that each one is matched with for the null, and all matches wanted.
SHIFTS = 5
MATCHED = 10_000


def rbo_ext(x: np.ndarray, y: np.ndarray, p: float) -> np.ndarray:
    """Extrapolated rank-biased overlap of two rankings, row by row.

    With A_j the share of the top j that both have, and D the depth:
    (1 - p) sum_j p^(j-1) A_j + p^D A_D. The second term takes every A_j beyond D as A_D.

    Parameters
    ----------
    x, y
        Shape (rankings, D): items, best first, none twice in a row, all at least 0.
    p
        Chance of looking one rank further, between 0 and 1.

    Returns
    -------
    numpy.ndarray of shape (rankings,)
        0 for disjoint rankings, 1 for the same one.
    """
    depth = x.shape[1]
    rank = np.arange(1, depth + 1)
    agreement = np.cumsum(_first_common(x, y), axis=1) / rank
    weight = (1 - p) * p ** (rank - 1.0)
    weight[-1] += p**depth
    # The weights sum to one, up to rounding.
    return np.asarray(np.minimum(agreement @ weight, 1.0))


def _first_common(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How many items are in both rankings from each rank on, shape (rankings, depth)."""
    n, depth = x.shape
    width = int(max(x.max(initial=0), y.max(initial=0))) + 1
    row = np.arange(n)[:, None] * width
    _, in_x, in_y = np.intersect1d(
        (row + x).ravel(), (row + y).ravel(), assume_unique=True, return_indices=True
    )
    later = np.maximum(in_x % depth, in_y % depth)
    counts = np.bincount(in_x // depth * depth + later, minlength=n * depth)
    return counts.reshape(n, depth)


def rbo(a: Facts, b: Facts, measure: Measure, side: str) -> Similarity:
    """Mean agreement of the rankings of the documents over the queries."""
    x, y = _rankings(a, b)
    p = measure.number("p")
    values = rbo_ext(x, y, p)
    value = float(values.mean())
    low, high = reach(value, Influence(a.space.query_ids, values - value), 0.0)
    mean, spread = _null(x, y, p, hash_ids(a.space.query_ids, a.seed))
    return Similarity(side, measure.text, value, low, high, mean, len(values), spread,
                      null_z(value, mean, spread))  # fmt: skip


def _rankings(a: Facts, b: Facts) -> tuple[np.ndarray, np.ndarray]:
    """Documents of a in the rankings of both, a row a query of a, equally deep."""
    n = len(a.space.query_ids)
    if n < 3:
        raise Impossible(f"queries: {n} row(s), at least 3 are needed")
    depth = min(DEPTH, len(a.space.doc_ids))
    x, y = (facts.cross("recipe").neighbors.index[:, :depth] for facts in (a, b))
    if x.shape[1] < depth or y.shape[1] < depth:
        raise Impossible(f"rankings of {x.shape[1]} and {y.shape[1]} documents, not {depth}")
    queries, documents = row_order(a, b, "queries"), _document_order(a, b)
    y = y if queries is None else y[queries]
    return x, y if documents is None else documents[y]


def _document_order(a: Facts, b: Facts) -> np.ndarray | None:
    """Place in a of each document of b; None where they are in the same order."""
    if a.space.doc_ids == b.space.doc_ids:
        return None
    place = {name: i for i, name in enumerate(a.space.doc_ids)}
    return np.array([place[name] for name in b.space.doc_ids])


def _null(x: np.ndarray, y: np.ndarray, p: float, order: np.ndarray) -> tuple[float, float]:
    """Mean and spread of the mean where each query meets the ranking of another one."""
    place = np.argsort(order, kind="stable")
    n = len(place)
    count = min(max(SHIFTS, MATCHED // n), n - 1)
    shifts = np.unique(np.linspace(1, n - 1, count).astype(int))
    values = [rbo_ext(x[place], np.roll(y[place], s, axis=0), p) for s in shifts]
    spread = float(np.std(values)) * math.sqrt((1 + 1 / len(shifts)) / n)
    return float(np.mean(values)), spread


DEFINITIONS = (
    Definition(
        name="rbo",
        family="similarity",
        formula="(1 - p) sum over ranks j of p^(j-1) A_j, A_j the share of the top j that both "
        "rankings have; extrapolated (RBO_ext): beyond the last rank D it stays A_D",
        low=0.0,
        high=1.0,
        up="same ranking",
        sees="whether a query gets the same documents in the same order",
        blind="scores, and whether the documents are relevant",
        reference="Webber, Moffat and Zobel 2010 (A similarity measure for indefinite rankings)",
        note="Rankings by the recipe to rank 200, fewer where there are fewer documents; p = 0.9 "
        "puts 86% of the weight on the top 10.",
        null="each query with the ranking of another query, which hubs raise above chance",
        needs=("neighbors",),
        places=(("ranking", "recipe"),),
        parameters=(
            Parameter(
                "p",
                0.9,
                always=True,
                low=0.01,
                high=0.999,
                meaning="chance of looking one rank further: larger p, deeper",
            ),
        ),
        between=rbo,
    ),
)
