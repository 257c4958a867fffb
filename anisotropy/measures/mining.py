"""Mining: the lists from which negatives are drawn, and the laws by which they are.

Each anchor lists its top k under the recipe's scores, its positives removed.
``role=queries``: queries as negatives of documents, anchors are the distinct positive documents
of the mining pool. ``role=documents``: documents as negatives of queries, anchors are the
queries of the pool. The pool is the training queries where there are any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anisotropy.measures.basis import need_rows
from anisotropy.measures.facts import Facts, Pool, spare_depth
from anisotropy.neighbors import Neighbors, TopK, sweep
from anisotropy.statistics import BLOCKS, blocks_of

MINING_K = 200
MS_MARCO_QUERIES = 367_013
LARGEST_SHARE = 0.05
SMALLEST_K = 10
ROLES = ("queries", "documents")
LAWS = ("uniform", "softmax", "softmax_standardized")
ANCHORS = ("documents", "pairs")


@dataclass(frozen=True, eq=False)
class Mined:
    """The lists of one role.

    Attributes
    ----------
    index, score
        Shape (anchors, depth): items, best first, and the recipe's scores; -1 and minus
        infinity where there are none.
    positive
        Same shape, bool: whether the item is a positive of the anchor.
    n
        Number of items.
    anchors, keys
        Positions of the anchors among the documents or queries, and their ids.
    total
        How many anchors there are; more than the lists where these are a sample.
    pairs, there
        Shape (anchors, blocks): judged pairs of the anchor by block of their query, and whether
        the anchor is there for that block of queries.
    """

    index: np.ndarray
    score: np.ndarray
    positive: np.ndarray
    n: int
    anchors: np.ndarray
    keys: list[str]
    total: int
    pairs: np.ndarray
    there: np.ndarray

    @property
    def sampled(self) -> bool:
        """Whether the anchors are a sample of those there are."""
        return len(self.keys) < self.total

    def weights(self, anchors: str, out: Sequence[int] = ()) -> np.ndarray:
        """Weight of each anchor, shape (anchors,), when blocks of queries are left out."""
        stays = np.ones(self.pairs.shape[1], dtype=bool)
        stays[list(out)] = False
        if anchors == "pairs":
            return np.asarray(self.pairs[:, stays].sum(axis=1), dtype=float)
        return self.there[:, stays].any(axis=1).astype(float)


@dataclass(frozen=True)
class Law:
    """How an anchor spreads the probability 1 over its list.

    Attributes
    ----------
    k
        Depth of the list, positives included.
    law
        ``uniform``; ``softmax`` of score/temperature; ``softmax_standardized`` of the scores
        less their mean over their standard deviation within the list.
    anchors
        ``documents``: every anchor counts once; ``pairs``: as often as it is judged.
    temperature
        Of the softmax.
    """

    k: int
    law: str = "uniform"
    anchors: str = "documents"
    temperature: float = 1.0


def scaled_k(n: int) -> int:
    """MS MARCO's ratio of k to queries at n items: 200/367,013 of them, at least 10."""
    return max(SMALLEST_K, round(n * MINING_K / MS_MARCO_QUERIES))


def pool_size(facts: Pool, role: str) -> int:
    """Number of items of a role."""
    return len(facts.mining.ids(role))


def headline_k(facts: Pool, role: str) -> int:
    """200, or the scaled k where 200 is more than 5% of the items."""
    return depth_for(pool_size(facts, role))


def depth_for(n: int) -> int:
    """The depth that decides for a pool of n items: 200, or the scaled k where it is too deep."""
    return MINING_K if LARGEST_SHARE * n >= MINING_K else scaled_k(n)


def temperature_of(facts: Facts) -> float:
    """Temperature of the softmax law: the recipe's, 1 for dot products."""
    space = facts.space
    return 1.0 if space.similarity == "dot" else space.temperature


def mined(facts: Facts, role: str, center: str) -> Mined:
    """The lists of a role, computed once.

    Raises
    ------
    Impossible
        If a side has too few rows, or no pair is judged positive.
    """
    pool = facts.mining
    return pool.once(("mined", role, center), lambda: _mine(pool, role, center))


def _mine(facts: Facts, role: str, center: str) -> Mined:
    need_rows(facts, "cross", 2)
    judged = facts.positives
    of_documents = role == "queries"
    # Training mines for what has a positive: a query that nobody judged is no anchor.
    everyone = np.unique(judged.document if of_documents else judged.query)
    ids = facts.ids("documents" if of_documents else "queries")
    kept = _cap(facts, [ids[int(i)] for i in everyone])
    anchors = everyone[kept]
    lists = _lists(facts, role, anchors, center)
    own = anchors[:, None]
    pair = (lists.index, own) if of_documents else (own, lists.index)
    pairs = _pairs_by_block(facts, role, anchors)
    return Mined(
        lists.index,
        _recipe_scores(facts, lists.scores),
        is_pair(facts, *pair),
        lists.n_targets,
        anchors,
        [ids[int(i)] for i in anchors],
        len(everyone),
        pairs,
        pairs > 0 if of_documents else _own_block(facts)[anchors],
    )


def _cap(facts: Facts, ids: list[str]) -> np.ndarray:
    """All anchors up to four times the limit of the other measures."""
    pool = Facts(facts.space, facts.plan, seed=facts.seed, anchors=2 * facts.anchors,
                 exact=facts.exact)  # fmt: skip
    return pool.choose(ids)


def _lists(facts: Facts, role: str, anchors: np.ndarray, center: str) -> Neighbors:
    whole = role == "documents" and len(anchors) == len(facts.space.query_ids)
    if whole and facts.plan.depth >= MINING_K:
        return facts.cross("recipe", "own" if center == "sides" else "none").neighbors
    side = "documents" if role == "queries" else "queries"
    left, right = facts.scored(side, center), facts.scored(role, center)
    facts.progress(f"mining {role}: {len(anchors)} x {len(right)}")
    deep = spare_depth(facts.plan.depth) if role == "queries" else facts.plan.depth
    lists = TopK(len(anchors), min(max(deep, 1), len(right)), facts.ties(role))
    sweep(left, anchors, right, [lists], product=facts.product)
    return lists.neighbors(anchors)


def _recipe_scores(facts: Facts, scores: np.ndarray) -> np.ndarray:
    if facts.space.similarity != "euclidean":
        return scores
    return np.asarray(-np.sqrt(np.maximum(-scores, 0)))


def is_pair(facts: Facts, query: np.ndarray, document: np.ndarray) -> np.ndarray:
    """Whether pairs (positions, broadcast against each other) are judged positive."""
    n, pairs = len(facts.space.doc_ids), facts.positives
    known = np.sort(pairs.query * n + pairs.document)
    wanted = query * n + document
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.asarray((known[place] == wanted) & (query >= 0) & (document >= 0))


def _pairs_by_block(facts: Facts, role: str, anchors: np.ndarray) -> np.ndarray:
    """Judged pairs of each anchor (ascending documents, or queries) by the block of the query."""
    block, judged = blocks_of(facts.space.query_ids, BLOCKS, facts.seed), facts.positives
    owner = judged.document if role == "queries" else judged.query
    place = np.minimum(np.searchsorted(anchors, owner), len(anchors) - 1)
    own = anchors[place] == owner
    counts = np.zeros((len(anchors), int(block.max()) + 1), dtype=np.int32)
    np.add.at(counts, (place[own], block[judged.query[own]]), 1)
    return counts


def _own_block(facts: Facts) -> np.ndarray:
    block = blocks_of(facts.space.query_ids, BLOCKS, facts.seed)
    return np.asarray(block[:, None] == np.arange(int(block.max()) + 1))


def probabilities(
    found: Mined, law: Law, out: Sequence[int] = (), block: np.ndarray | None = None
) -> np.ndarray:
    """Probability of each item to be drawn, shape (n,), sum 1.

    Parameters
    ----------
    found
        The lists.
    law
        How an anchor spreads its probability.
    out
        Blocks of queries left out: the anchors that are there for their queries only and,
        with `block`, the items in them.
    block
        Block of each item, where the items are the queries.
    """
    if law.law != "uniform":
        index, weight, anchor = spread(found, law, out, block)
        drawn = (weight * anchor[:, None]).ravel()
        listed, total = index.ravel(), float(anchor[weight.any(axis=1)].sum())
    else:
        rows, anchor = _rows(found, law, out, block)
        index, taken = _entries(found, law.k, rows, out, block)
        sizes = taken.sum(axis=1)
        drawn = np.repeat(anchor / np.maximum(sizes, 1), sizes)
        listed, total = index[taken], float(anchor[sizes > 0].sum())
    mass = np.bincount(listed, weights=drawn, minlength=found.n)
    return np.asarray(mass / total if total > 0 else mass)


def spread(
    found: Mined, law: Law, out: Sequence[int] = (), block: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Items of each anchor, the probability of each, and the weights of the anchors.

    Returns
    -------
    tuple
        Shapes (anchors, depth), (anchors, depth), rows summing to 1 (0 for an empty list), and
        (anchors,). Items that cannot be drawn have probability 0.
    """
    rows, anchor = _rows(found, law, out, block)
    index, taken = _entries(found, law.k, rows, out, block)
    score = found.score[rows, : index.shape[1]]
    return np.maximum(index, 0), draw_weights(score, taken, law), anchor


def _rows(
    found: Mined, law: Law, out: Sequence[int], block: np.ndarray | None
) -> tuple[slice | np.ndarray, np.ndarray]:
    """The lists that stay, and the weights of their anchors."""
    anchor = found.weights(law.anchors, out)
    if block is None or not len(out):
        return slice(None), anchor
    rows = np.flatnonzero(anchor > 0)
    return rows, anchor[rows]


def _entries(
    found: Mined,
    k: int,
    rows: slice | np.ndarray,
    out: Sequence[int],
    block: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Items of the lists, and whether each can be drawn: within k of those that stay."""
    if block is None or not len(out):
        index = found.index[rows, :k]
        return index, (index >= 0) & ~found.positive[rows, :k]
    stays, depth = ~np.isin(block, out), found.index.shape[1]
    # Beyond the spare depth is looked only where a list has fewer than k items before it.
    for columns in (min(spare_depth(k), depth), depth):
        index = found.index[rows, :columns]
        taken = stays[index] & (index >= 0)
        place = np.cumsum(taken, axis=1, dtype=np.int32)
        if columns == depth or (place[:, -1] >= k).all():
            break
    return index, taken & (place <= k) & ~found.positive[rows, :columns]


def draw_weights(score: np.ndarray, taken: np.ndarray, law: Law) -> np.ndarray:
    """Probability of each taken entry of each list; rows sum to 1, or 0 where none is taken."""
    sizes = np.maximum(taken.sum(axis=1, keepdims=True), 1)
    if law.law == "uniform":
        return np.asarray(taken / sizes)
    scaled = np.where(taken, score, 0.0).astype(np.float64)
    if law.law == "softmax_standardized":
        centered = np.where(taken, scaled - scaled.sum(axis=1, keepdims=True) / sizes, 0.0)
        spread = np.sqrt((centered**2).sum(axis=1, keepdims=True) / sizes)
        scaled = centered / np.where(spread > 0, spread, 1.0)
    else:
        scaled = scaled / law.temperature
    top = np.where(taken, scaled, -np.inf).max(axis=1, keepdims=True)
    raised = np.where(taken, np.exp(scaled - np.where(np.isfinite(top), top, 0.0)), 0.0)
    return np.asarray(raised / np.maximum(raised.sum(axis=1, keepdims=True), 1e-300))
