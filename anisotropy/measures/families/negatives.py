"""Negatives: how evenly hard-negative mining draws the queries or the documents.

The law is that of ANCE: each anchor spreads the probability 1 evenly over its top k under the
recipe's scores, its positives removed. ``role=queries``: queries as negatives of documents,
anchors are the distinct positive documents of the mining pool. ``role=documents``: documents
as negatives of queries, anchors are the queries of the pool. The pool is the training queries
where there are any.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from anisotropy.measures.base import Definition, Family, Impossible, Measure, Parameter
from anisotropy.measures.facts import Facts, spare_depth
from anisotropy.measures.families.cone import need_rows
from anisotropy.measures.families.local import gini
from anisotropy.neighbors import TopK, sweep
from anisotropy.statistics import (
    Estimate,
    Influence,
    blocks_of,
    from_left_out,
    null_z,
    simulated_null,
)

FAMILY = Family(
    "negatives",
    "Negative sampling",
    "how evenly mining draws the items as hard negatives",
    "whether unevenness comes from the space or from an offset between the sides (compare "
    "center=sides); how hard the negatives are",
)
MINING_K = 200
MS_MARCO_QUERIES = 367_013
LARGEST_SHARE = 0.05
SMALLEST_K = 10
BLOCKS = 20
ROLES = ("queries", "documents")


@dataclass(frozen=True, eq=False)
class Mined:
    """The lists of one role.

    Attributes
    ----------
    index
        Shape (anchors, depth): items, best first; -1 where there are none.
    positive
        Same shape, bool: whether the item is a positive of the anchor.
    n
        Number of items.
    keys
        Id of each anchor.
    sampled
        Whether the anchors are a sample of those there are.
    owners
        Block of queries to which an anchor belongs wholly, else -1; empty for queries.
    """

    index: np.ndarray
    positive: np.ndarray
    n: int
    keys: list[str]
    sampled: bool
    owners: np.ndarray


def scaled_k(n: int) -> int:
    """MS MARCO's ratio of k to queries at n items: 200/367,013 of them, at least 10."""
    return max(SMALLEST_K, round(n * MINING_K / MS_MARCO_QUERIES))


def pool_size(facts: Facts, role: str) -> int:
    """Number of items of a role."""
    space = facts.mining.space
    return len(space.query_ids if role == "queries" else space.doc_ids)


def headline_k(facts: Facts, role: str) -> int:
    """200, or the scaled k where 200 is more than 5% of the items."""
    n = pool_size(facts, role)
    return MINING_K if LARGEST_SHARE * n >= MINING_K else scaled_k(n)


def mined(facts: Facts, role: str, center: str) -> Mined:
    """The lists of a role, computed once."""
    pool = facts.mining
    return pool.once(("mined", role, center), lambda: _mine(pool, role, center))


def _mine(facts: Facts, role: str, center: str) -> Mined:
    need_rows(facts, "cross", 2)
    pairs = facts.positives
    if role == "documents":
        return _documents_mined(facts, center)
    anchors = np.unique(pairs.document)
    ids = [facts.space.doc_ids[i] for i in anchors]
    kept = _cap(facts, ids)
    anchors, ids = anchors[kept], [ids[i] for i in kept]
    index = _search(facts, "documents", "queries", anchors, center)
    positive = _is_pair(facts, index, anchors[:, None])
    n = len(facts.space.query_ids)
    return Mined(index, positive, n, ids, len(kept) < len(np.unique(pairs.document)),
                 _owners(facts, anchors))  # fmt: skip


def _documents_mined(facts: Facts, center: str) -> Mined:
    queries = list(facts.space.query_ids)
    kept = _cap(facts, queries)
    if len(kept) == len(queries) and facts.plan.depth >= MINING_K:
        index = facts.cross("recipe", "own" if center == "sides" else "none").neighbors.index
    else:
        index = _search(facts, "queries", "documents", kept, center)
    positive = _is_pair(facts, kept[:, None], index)
    n = len(facts.space.doc_ids)
    keys = [queries[i] for i in kept]
    return Mined(index, positive, n, keys, len(kept) < len(queries), np.zeros(0, dtype=int))


def _cap(facts: Facts, ids: list[str]) -> np.ndarray:
    """All anchors up to four times the limit of the other measures."""
    pool = Facts(facts.space, facts.plan, seed=facts.seed, anchors=2 * facts.anchors,
                 exact=facts.exact)  # fmt: skip
    return pool.choose(ids)


def _search(
    facts: Facts, anchor_side: str, target_side: str, anchors: np.ndarray, center: str
) -> np.ndarray:
    left, right = facts.scored(anchor_side, center), facts.scored(target_side, center)
    facts.progress(f"mining {target_side}: {len(anchors)} x {len(right)}")
    deep = spare_depth(facts.plan.depth) if target_side == "queries" else facts.plan.depth
    lists = TopK(len(anchors), min(max(deep, 1), len(right)), facts.ties(target_side))
    sweep(left, anchors, right, [lists], product=facts.product)
    return lists.neighbors(anchors).index


def _is_pair(facts: Facts, query: np.ndarray, document: np.ndarray) -> np.ndarray:
    """Whether pairs (broadcast against each other) are judged positive."""
    n, pairs = len(facts.space.doc_ids), facts.positives
    known = np.sort(pairs.query * n + pairs.document)
    wanted = query * n + document
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.asarray((known[place] == wanted) & (query >= 0) & (document >= 0))


def _owners(facts: Facts, anchors: np.ndarray) -> np.ndarray:
    """Block of the queries of which an anchor is a positive, if they share one, else -1."""
    block = blocks_of(facts.space.query_ids, BLOCKS, facts.seed)
    pairs, n = facts.positives, len(facts.space.doc_ids)
    least, most = np.full(n, BLOCKS), np.full(n, -1)
    np.minimum.at(least, pairs.document, block[pairs.query])
    np.maximum.at(most, pairs.document, block[pairs.query])
    return np.asarray(np.where(least == most, least, -1)[anchors])


def probabilities(found: Mined, k: int, leave_out: int = -1, block: Any = None) -> np.ndarray:
    """Probability of each item to be drawn, shape (n,), sum 1.

    Parameters
    ----------
    found
        The lists.
    k
        Depth of mining.
    leave_out, block
        Leave a block of queries out: as items, and the anchors that are positives of its
        queries only.
    """
    index, taken = found.index, found.index >= 0
    positive = found.positive
    if leave_out >= 0:
        stays = found.owners != leave_out
        index, positive, taken = index[stays], positive[stays], taken[stays]
        taken = taken & (block != leave_out)[index]
        taken &= np.cumsum(taken, axis=1, dtype=np.int32) <= k
    else:
        index, positive, taken = index[:, :k], positive[:, :k], taken[:, :k]
    taken = taken & ~positive
    sizes = taken.sum(axis=1)
    weight = np.repeat(1 / np.maximum(sizes, 1), sizes)
    drawn = np.bincount(index[taken], weights=weight, minlength=found.n)
    return np.asarray(drawn / max(int(np.count_nonzero(sizes)), 1))


def entropy(p: np.ndarray) -> float:
    """Entropy of a distribution in nats, zeros allowed."""
    kept = p[p > 0]
    return -float((kept * np.log(kept)).sum())


def kl(p: np.ndarray) -> float:
    """Divergence from the uniform distribution over all items, zeros included."""
    return max(math.log(len(p)) - entropy(p), 0.0)


def normalized_entropy(p: np.ndarray) -> float:
    """Entropy over its maximum."""
    return entropy(p) / math.log(len(p))


STATISTICS: dict[str, Callable[[np.ndarray], float]] = {
    "negative_probability_kl": kl,
    "negative_probability_entropy": normalized_entropy,
    "negative_probability_gini": gini,
}


def largest(name: str, n: int, k: int) -> float:
    """Most uneven value that a law over the top k can take."""
    return {
        "negative_probability_kl": math.log(n / k),
        "negative_probability_entropy": math.log(k) / math.log(n),
        "negative_probability_gini": 1 - k / n,
    }[name]


def negative_probability(facts: Facts, measure: Measure, side: str, on: str) -> Estimate:
    """Statistic of the probabilities of one role."""
    k, role = measure.whole("k"), measure.word("role")
    pool = facts.mining
    found = mined(facts, role, measure.word("center"))
    if found.n <= k:
        raise Impossible(f"the pool of {found.n} {role} is not larger than k={k}")
    statistic = STATISTICS[measure.name]
    p = pool.once(("law", role, measure.word("center"), k), lambda: probabilities(found, k))
    value = statistic(p)
    mean, sd, null_p = _null(pool, found, k, measure.name, value)
    return Estimate(
        value,
        (_left_out(pool, found, measure, statistic),),
        n=len(found.keys) if role == "documents" else found.n,
        unit="query",
        population="queries",
        estimator="sampled" if found.sampled else "exact",
        method="jackknife",
        low=0.0,
        high=math.log(found.n) if measure.name.endswith("_kl") else 1.0,
        null_mean=mean,
        null_sd=sd,
        null_p=null_p,
        notes=_notes(facts, found, measure),
    )


def _notes(facts: Facts, found: Mined, measure: Measure) -> tuple[str, ...]:
    """One line a role and k: what the value rests on, and the most uneven it can be."""
    k, role = measure.whole("k"), measure.word("role")
    if measure.word("center") != "none" or not measure.name.endswith("_kl"):
        return ()
    share = k / found.n
    text = (
        f"negative sampling, role={role}, k={k}: {found.n} {role}, {len(found.keys)} anchors, "
        f"k/N = {share:.2%}; most uneven possible: Gini {1 - share:.3f}, "
        f"KL {math.log(1 / share):.3f}"
    )
    if share > LARGEST_SHARE:
        text += f"; k is above {LARGEST_SHARE:.0%} of the pool and saturates it"
        text += f": decide by k={headline_k(facts, role)}" if k != headline_k(facts, role) else ""
    return (text,)


def _left_out(
    facts: Facts, found: Mined, measure: Measure, statistic: Callable[[np.ndarray], float]
) -> Influence:
    """Resample queries: as anchors one by one, or with their positives by blocks."""
    k, center = measure.whole("k"), measure.word("center")
    if measure.word("role") == "documents":
        law = facts.once(("law", "documents", center, k), lambda: probabilities(found, k))
        return Influence(found.keys, _anchors_left_out(found, k, law, measure.name))
    laws = facts.once(("left out", center, k), lambda: _block_laws(facts, found, k))
    return from_left_out(np.array([statistic(p) for p in laws]))


def _block_laws(facts: Facts, found: Mined, k: int) -> list[np.ndarray]:
    block = blocks_of(facts.space.query_ids, BLOCKS, facts.seed)
    return [
        probabilities(found, k, out, block)[block != out] for out in range(int(block.max()) + 1)
    ]


def _anchors_left_out(found: Mined, k: int, p: np.ndarray, name: str) -> np.ndarray:
    """Jackknife values by single anchors: exact for entropies, by ranks for the Gini."""
    index, taken = found.index[:, :k], (found.index >= 0)[:, :k] & ~found.positive[:, :k]
    anchors, n = len(index), found.n
    sizes = np.maximum(taken.sum(axis=1), 1)
    weight = (1 / sizes)[:, None]
    if name == "negative_probability_gini":
        steps = np.round(p * anchors, 9)  # sums in another order are the same step
        bottom = np.searchsorted(np.sort(steps), steps)
        loss = ((2 * bottom[index] + 1 - n) * weight * taken).sum(axis=1)
        left_out = (gini(p) * n * anchors - loss) / (n * (anchors - 1))
        return np.asarray(-(anchors - 1) * left_out)
    mass = p * anchors
    before = _xlogx(mass)
    drop = ((before[index] - _xlogx(np.maximum(mass[index] - weight, 0))) * taken).sum(axis=1)
    negative_entropy = (before.sum() - drop) / (anchors - 1) - math.log(anchors - 1)
    scale = -math.log(n) if name == "negative_probability_entropy" else 1.0
    return np.asarray(-(anchors - 1) * negative_entropy / scale)


def _xlogx(x: np.ndarray) -> np.ndarray:
    return np.asarray(x * np.log(np.maximum(x, 1e-300)))


def _null(
    facts: Facts, found: Mined, k: int, name: str, value: float
) -> tuple[float, float, float]:
    """Anchors that draw their k items at random."""
    statistic, anchors = STATISTICS[name], len(found.index)

    def draw(rng: np.random.Generator) -> float:
        counts = rng.binomial(anchors, k / found.n, size=found.n).astype(float)
        return statistic(counts / max(counts.sum(), 1))

    rounds = int(np.clip(400_000 // found.n, 8, 100))
    key = ("null", name, anchors, found.n, k)
    mean, sd = facts.once(key, lambda: simulated_null(draw, rounds, facts.seed))
    return mean, sd, null_z(value, mean, sd)


_PARAMETERS = (
    Parameter("k", MINING_K, always=True, low=1),
    Parameter("role", "queries", choices=ROLES),
    Parameter("center", "none", choices=("none", "sides")),
)
_NOTE = (
    "Anchors are distinct. The pool is the training queries where there are any. k saturates "
    "small pools: the largest Gini is 1 - k/N, the largest KL log(N/k); above k/N = 5% the value "
    "at 200/367,013 of the pool (at least 10) stands beside it and is the one to read. Even "
    "draws look uneven in counts: the null is simulated. role=queries leaves blocks of queries "
    "out, role=documents single queries. center=sides subtracts each side's mean first, the "
    "control for unevenness made by an offset alone."
)
_COMMON: dict[str, Any] = {
    "family": "negatives",
    "low": 0.0,
    "sees": "how often each item is within the top k of an anchor that is not its positive",
    "blind": "how hard the negatives are; what makes the hubs (see center=sides)",
    "reference": "project definition, after the mining of ANCE (arXiv 2007.00808)",
    "note": _NOTE,
    "needs": ("neighbors", "positives"),
    "places": tuple((role, "recipe") for role in ROLES),
    "parameters": _PARAMETERS,
    "defaults": tuple({"role": r, "center": c} for c in ("none", "sides") for r in ROLES),
    "compute": negative_probability,
    "word": "more even",
}
_LAW = "P(item) = mean over anchors of 1[item in S]/|S|, S = top k less positives; "
DEFINITIONS = (
    Definition(
        name="negative_probability_kl",
        formula=_LAW + "log N - H(P)",
        high=math.inf,
        up="uneven",
        better="down",
        **_COMMON,
    ),
    Definition(
        name="negative_probability_entropy",
        formula=_LAW + "H(P)/log N",
        high=1.0,
        up="even",
        better="up",
        **_COMMON,
    ),
    Definition(
        name="negative_probability_gini",
        formula=_LAW + "Gini coefficient of P",
        high=1.0,
        up="uneven",
        better="down",
        **_COMMON,
    ),
)
