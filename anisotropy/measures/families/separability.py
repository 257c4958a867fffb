"""Query-document, part five: whether a linear classifier can tell the sides apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from anisotropy.files import hash_ids
from anisotropy.measures.base import Definition, Measure
from anisotropy.measures.facts import Facts
from anisotropy.measures.families.equal_sides import SIDES, EqualSides, equal_sides
from anisotropy.statistics import Estimate, Influence, null_z

FOLDS = 5
LEAST = 10


def discriminant(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Direction of Fisher's linear discriminant, its covariance shrunk as by Ledoit and Wolf.

    Parameters
    ----------
    rows
        Shape (n, dim).
    labels
        Shape (n,), bool: the class that the direction points to.

    Returns
    -------
    numpy.ndarray of shape (dim,)
        The shrunk covariance within the classes, inverted, times the difference of the means.
        It turns with the rows.
    """
    from sklearn.covariance import ledoit_wolf

    means = [rows[labels == label].mean(axis=0) for label in (False, True)]
    within = rows - np.where(labels[:, None], means[1], means[0])
    covariance, _ = ledoit_wolf(within, assume_centered=True)
    scale = max(float(np.trace(covariance)) / len(covariance), np.finfo(float).tiny)
    ridge = covariance + 1e-9 * scale * np.eye(len(covariance))
    return np.asarray(np.linalg.solve(ridge, means[1] - means[0]))


def placements(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Placement values of two samples of scores (DeLong et al. 1988).

    Returns
    -------
    tuple of arrays of shape (len(low),) and (len(high),)
        Share of the other sample on the right side of each score, ties by half. The mean of
        either is the area under the ROC curve.
    """
    ordered = np.sort(high), np.sort(low)
    above = [
        (np.searchsorted(others, mine, "left") + np.searchsorted(others, mine, "right"))
        / (2 * len(others))
        for others, mine in zip(ordered, (low, high), strict=True)
    ]
    return 1 - above[0], above[1]


def groups(facts: Facts, sides: EqualSides) -> np.ndarray:
    """Number of the group of each row: what is in one group must not be in two folds.

    Rows are in one group where their vectors are the same, their texts are the same, or they
    are chunks of one document.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    keys = [*_keys(facts, sides)]
    known: dict[object, int] = {}
    row, column = [], []
    for number, mine in keys:
        row.append(number)
        column.append(len(sides.rows) + known.setdefault(mine, len(known)))
    size = len(sides.rows) + len(known)
    links = coo_array((np.ones(len(row)), (row, column)), shape=(size, size))
    found: np.ndarray = connected_components(links, directed=False)[1]
    return found[: len(sides.rows)]


def _keys(facts: Facts, sides: EqualSides) -> list[tuple[int, object]]:
    """What ties a row to others: (row of the pool, vector, text or document)."""
    found: list[tuple[int, object]] = [(i, row.tobytes()) for i, row in enumerate(sides.rows)]
    for start, side in ((0, "queries"), (sides.n, "documents")):
        units, chosen = facts.units(side), sides.chosen[side]
        owner = chosen if units is None else units[chosen]
        space = facts.space
        texts = space.query_texts if side == "queries" else space.doc_texts
        for i, item in enumerate(owner.tolist()):
            found.append((start + i, (side, item)))
            if texts is not None:
                found.append((start + i, ("text", texts[item])))
    return found


def folds(facts: Facts, sides: EqualSides) -> np.ndarray:
    """Fold of each row of the pool: groups whole, both sides even, by a seeded hash."""
    group = groups(facts, sides)
    _, of_row = np.unique(group, return_inverse=True)
    labels = np.arange(len(group)) >= sides.n
    hashes = hash_ids(sides.ids, facts.seed)
    size = np.bincount(of_row)
    first = np.full(len(size), np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(first, of_row, hashes)
    # Groups of documents follow those of queries, so that either kind is dealt out evenly.
    share = np.bincount(of_row, weights=labels) / size
    dealt = np.empty(len(size), dtype=np.int64)
    dealt[np.lexsort((first, share))] = np.arange(len(size)) % FOLDS
    return np.asarray(dealt[of_row])


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Area under the ROC curve on held-out rows.

    Attributes
    ----------
    value
        Mean over the folds, a fold weighing as many pairs as it has.
    placement
        Shape (2 n,): placement value of each row, in its own fold.
    null_sd
        Spread of the value where the sides do not differ, folds independent.
    """

    value: float
    placement: np.ndarray
    null_sd: float


def held_out(sides: EqualSides, fold: np.ndarray) -> HeldOut:
    """Fit on all folds but one, score that one; all in turn."""
    rows = sides.rows.astype(np.float64)
    labels = np.arange(len(rows)) >= sides.n
    placement = np.full(len(rows), np.nan)
    areas, weights, variances = [], [], []
    for number in range(FOLDS):
        test = fold == number
        low, high = test & ~labels, test & labels
        n, m = int(low.sum()), int(high.sum())
        if not n or not m:
            continue
        score = rows[test] @ discriminant(rows[~test], labels[~test])
        placement[low], placement[high] = placements(score[~labels[test]], score[labels[test]])
        areas.append(float(placement[low].mean()))
        weights.append(float(n * m))
        variances.append((n + m + 1) / (12 * n * m))
    share = np.array(weights) / sum(weights)
    spread = math.sqrt(float(share**2 @ np.array(variances)))
    return HeldOut(float(share @ areas), placement, spread)


def separability(facts: Facts, measure: Measure, side: str, on: str) -> Estimate:
    """Held-out area under the ROC curve of a linear classifier."""
    sides = equal_sides(facts, on, LEAST)
    facts.progress(f"classifier of the sides ({on}): {len(sides.rows)} rows, {FOLDS} folds")
    found = held_out(sides, folds(facts, sides))
    n = sides.n
    return Estimate(
        found.value,
        _influences(facts, sides, found),
        n=n,
        unit="query",
        population="queries",
        estimator="subsampled" if n < max(len(facts.raw(s)) for s in SIDES) else "exact",
        method="closed_form",
        low=0.0,
        high=1.0,
        null_mean=0.5,
        null_sd=found.null_sd,
        null_p=null_z(found.value, 0.5, found.null_sd),
    )


def _influences(facts: Facts, sides: EqualSides, found: HeldOut) -> tuple[Influence, ...]:
    """Placement values given the classifiers; of documents too, drawn or not."""
    queries, documents = np.split(np.nan_to_num(found.placement, nan=found.value), 2)
    names = np.split(np.array(sides.ids, dtype=object), 2)
    return (
        Influence(list(names[0]), queries - queries.mean()),
        Influence(list(names[1]), documents - documents.mean()),
    )


DEFINITIONS = (
    Definition(
        name="separability",
        family="query_document",
        formula="area under the ROC curve of a linear discriminant (covariance within the sides "
        "shrunk by Ledoit and Wolf), query against document, mean over 5 held-out folds",
        low=0.0,
        high=1.0,
        up="sides apart",
        better="down",
        word="closer",
        sees="any one direction along which the sides differ: 0.5 none, 1 apart",
        blind="how far apart they are once they separate; one rogue axis is enough for 1",
        reference="project definition; DeLong et al. 1988 (placement values)",
        note="Equally many rows of both sides, drawn by a seeded hash of the ids, at most 2,000 "
        "of each unless exact; grows with n as the classifier does. The same vectors, the same "
        "texts and the chunks of one document stay in one fold.",
        needs=("moments",),
        places=(("cross", "unit"),),
        size_bound=True,
        compute=separability,
    ),
)
