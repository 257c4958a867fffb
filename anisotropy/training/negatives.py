"""Negatives of anchors: ranked items, positives left out, a seeded sample.

The law of ANCE and DANCE: the `depth` best items of an anchor, its positives skipped, `kept` of
the rest sampled without replacement, one of these drawn at each step. So until the next refresh an
anchor meets a uniform sample of its top `depth`. Upstream skips one positive of several judged
ones; which ones are skipped here is the caller's choice (`mining`), by default all of them, so
that no judged pair is ever trained apart.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from anisotropy.errors import CollectionError
from anisotropy.neighbors import top_neighbors


@dataclass(frozen=True, eq=False)
class Negatives:
    """Negatives of each anchor, until the next refresh.

    Attributes
    ----------
    items
        Shape (anchors, kept): item numbers, -1 after the last where there are fewer.
    counts
        Shape (anchors,): how many there are; 0 for an anchor that is not in force.
    """

    items: np.ndarray
    counts: np.ndarray

    def draw(self, anchors: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Draw one negative for each of the given anchors.

        Parameters
        ----------
        anchors
            Shape (B,), anchor numbers, repeats allowed, each with a negative at least.
        generator
            Source of the choice.

        Returns
        -------
        numpy.ndarray of shape (B,)
            Item numbers, uniform over the anchor's kept negatives.
        """
        column = generator.integers(0, self.counts[anchors])
        chosen: np.ndarray = self.items[anchors, column]
        return chosen

    def draw_several(
        self, anchors: np.ndarray, width: int, generator: np.random.Generator
    ) -> np.ndarray:
        """Draw negatives for each of the given anchors, without replacement.

        Parameters
        ----------
        anchors, generator
            As of `draw`.
        width
            Negatives an anchor, m.

        Returns
        -------
        numpy.ndarray of shape (B, m)
            Item numbers. An anchor that has fewer than m meets each of them before one comes
            again.
        """
        if width == 1:
            return self.draw(anchors, generator)[:, None]
        counts = self.counts[anchors][:, None]
        keys = generator.random((len(anchors), self.items.shape[1]))
        keys[np.arange(keys.shape[1]) >= counts] = 2.0  # behind every real one
        columns = np.take_along_axis(np.argsort(keys, axis=1), np.arange(width) % counts, axis=1)
        drawn: np.ndarray = self.items[anchors[:, None], columns]
        return drawn

    def of(self, anchor: int) -> list[int]:
        """Item numbers of one anchor."""
        found: list[int] = self.items[anchor, : self.counts[anchor]].tolist()
        return found

    def spread(self, anchors: np.ndarray, n: int) -> Negatives:
        """Return the same lists at the rows `anchors` of `n`; the other rows are empty."""
        items = np.full((n, self.items.shape[1]), -1, dtype=self.items.dtype)
        counts = np.zeros(n, dtype=self.counts.dtype)
        items[anchors], counts[anchors] = self.items, self.counts
        return Negatives(items, counts)


def mine(
    anchors: np.ndarray,
    items: np.ndarray,
    positives: Sequence[Collection[int]],
    *,
    depth: int = 200,
    kept: int = 20,
    order: str = "sampled",
    generator: np.random.Generator,
) -> Negatives:
    """Search the negatives of every anchor, exactly.

    Parameters
    ----------
    anchors, items
        Vectors of shape (a, dim) and (n, dim): queries and documents, or the reverse. Scores are
        inner products, which are cosines where the model normalizes.
    positives
        For each anchor the item numbers that are never its negatives.
    depth, kept
        Items searched, and negatives kept of them.
    order
        ``sampled``, or ``best``: the best-ranked, without any chance (upstream's
        ``ann_measure_topk_mrr``).
    generator
        Source of the sample; ``best`` takes nothing from it.

    Returns
    -------
    Negatives
        Each anchor's top `depth` minus its positives: uniform samples without replacement, or
        the best.

    Raises
    ------
    CollectionError
        If all of an anchor's `depth` best items are its positives.
    """
    best = top_neighbors(anchors, items, min(depth, len(items))).index
    allowed = allowed_items(best, positives)
    if not allowed.any(axis=1).all():
        row = int(np.flatnonzero(~allowed.any(axis=1))[0])
        raise CollectionError(
            f"negatives: all {best.shape[1]} nearest items of anchor {row} are its positives; "
            "raise depth, or use a larger collection"
        )
    return choose(best, allowed, kept, order, generator)


def allowed_items(ranked: np.ndarray, positives: Sequence[Collection[int]]) -> np.ndarray:
    """Tell which ranked items may be negatives: boolean, the shape of `ranked`."""
    allowed = ranked >= 0
    for row, own in enumerate(positives):
        allowed[row] &= ~np.isin(ranked[row], np.fromiter(own, np.int64))
    return allowed


def choose(
    ranked: np.ndarray,
    allowed: np.ndarray,
    kept: int,
    order: str,
    generator: np.random.Generator,
) -> Negatives:
    """Choose allowed columns of each row.

    Parameters
    ----------
    ranked
        Shape (a, depth), item numbers, best first.
    allowed
        Shape (a, depth), boolean.
    kept
        Chosen a row at most.
    order
        ``sampled`` (without replacement) or ``best``.
    generator
        Source of the sample.

    Returns
    -------
    Negatives
    """
    depth = ranked.shape[1]
    keys = generator.random(ranked.shape) if order == "sampled" else np.arange(depth) / depth
    columns = np.argsort(np.where(allowed, keys, 2.0), axis=1, kind="stable")[:, :kept]
    counts = np.minimum(allowed.sum(axis=1), columns.shape[1])
    items = np.take_along_axis(ranked, columns, axis=1)
    items[np.arange(columns.shape[1]) >= counts[:, None]] = -1
    return Negatives(items, counts)


def mine_lists(
    ranked: np.ndarray,
    n: int,
    positives: Sequence[Collection[int]],
    *,
    kept: int = 20,
    order: str = "sampled",
    generator: np.random.Generator,
) -> Negatives:
    """Take negatives from given lists, such as BM25's.

    Parameters
    ----------
    ranked
        Shape (a, depth), item numbers, best first, -1 after the last.
    n
        Number of items.
    positives, kept, order, generator
        As of `mine`.

    Returns
    -------
    Negatives
        Where nothing of a list is left, random items: BM25 scores all others 0, and among equal
        scores chance decides.

    Raises
    ------
    CollectionError
        If every item is a positive of an anchor.
    """
    allowed = allowed_items(ranked, positives)
    chosen = choose(ranked, allowed, kept, order, generator)
    bare = np.flatnonzero(chosen.counts == 0)
    if not len(bare):
        return chosen
    drawn = draw_random(n, [positives[int(row)] for row in bare], kept=kept, generator=generator)
    width = max(chosen.items.shape[1], drawn.items.shape[1])
    items = np.full((len(ranked), width), -1, dtype=np.int64)
    items[:, : chosen.items.shape[1]] = chosen.items
    items[bare, : drawn.items.shape[1]] = drawn.items
    chosen.counts[bare] = drawn.counts
    return Negatives(items, chosen.counts)


def draw_random(
    n: int,
    positives: Sequence[Collection[int]],
    *,
    kept: int = 20,
    generator: np.random.Generator,
) -> Negatives:
    """Draw negatives evenly from all items that are no positives, without replacement.

    Parameters
    ----------
    n
        Number of items.
    positives, kept, generator
        As of `mine`.

    Raises
    ------
    CollectionError
        If every item is a positive of an anchor.
    """
    items = np.full((len(positives), kept), -1, dtype=np.int64)
    counts = np.zeros(len(positives), dtype=np.int64)
    for row, own in enumerate(positives):
        # The first `kept` others in a random order are a sample of the others.
        order = generator.choice(n, min(n, kept + len(own)), replace=False)
        found = order[~np.isin(order, np.fromiter(own, np.int64))][:kept]
        if not len(found):
            raise CollectionError(f"negatives: all {n} items are positives of anchor {row}")
        items[row, : len(found)], counts[row] = found, len(found)
    return Negatives(items, counts)
