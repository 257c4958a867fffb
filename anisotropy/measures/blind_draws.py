"""Mining blindly: the lists that were found, with their sizes and weights, of random items."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

import numpy as np

from anisotropy.measures.mining import Law, Mined, spread

Draw = Callable[[np.random.Generator], np.ndarray]
#: Number of items of a list, weight of one of them, and how many such lists there are.
Group = tuple[int, float, int]


def blind_lists(groups: Iterable[Group], n: int) -> Draw:
    """Weight that falls on each of n items when lists pick their items evenly, each once.

    Items are drawn apart from each other: a list of s items holds each with probability s/n.
    Draws in which few lists hold nothing at all are drawn again.
    """
    kept = list(groups)

    def draw(rng: np.random.Generator) -> np.ndarray:
        total = np.zeros(n)
        while kept and not total.any():
            for size, weight, lists in kept:
                total += weight * rng.binomial(lists, min(size / n, 1.0), size=n)
        return total

    return draw


def blind_mining(found: Mined, law: Law, anchors: int, kept: int = 0) -> Draw:
    """The lists of mining as they are, positives left out, with random items.

    Parameters
    ----------
    found, law
        What was mined, and how anchors draw and weigh.
    anchors
        How many anchors there are, of which the lists may be a sample.
    kept
        Items that an anchor keeps of its list; 0 for all.
    """
    _, weight, anchor = spread(found, law)
    if law.law != "uniform":
        return functools.partial(_one_by_one, weight=weight, anchor=anchor, n=found.n)
    sizes = (weight > 0).sum(axis=1)
    sizes = np.minimum(sizes, kept) if kept else sizes
    pairs = np.stack([sizes, anchor], axis=1)[(sizes > 0) & (anchor > 0)]
    kinds, counts = np.unique(pairs, axis=0, return_counts=True)
    scale = anchors / len(sizes)
    groups = [
        (int(size), each / size, round(number * scale))
        for (size, each), number in zip(kinds, counts.tolist(), strict=True)
    ]
    return blind_lists(groups, found.n)


def _one_by_one(
    rng: np.random.Generator, *, weight: np.ndarray, anchor: np.ndarray, n: int
) -> np.ndarray:
    total = np.zeros(n)
    for row, of_anchor in zip(weight, anchor, strict=True):
        given = row[row > 0] * of_anchor
        total[rng.choice(n, size=len(given), replace=False)] += given
    return total
