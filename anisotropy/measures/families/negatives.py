"""Negatives: how evenly hard-negative mining draws the queries or the documents."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from anisotropy.measures.base import Definition, Family, Impossible, Measure, Parameter
from anisotropy.measures.blind_draws import blind_mining
from anisotropy.measures.facts import Facts, Pool, spare_depth
from anisotropy.measures.jackknife import LEAST_OF_LAWS, block_influence, corrected, left_out
from anisotropy.measures.mining import (
    ANCHORS,
    LARGEST_SHARE,
    LAWS,
    MINING_K,
    ROLES,
    Law,
    Mined,
    depth_for,
    draw_weights,
    mined,
    probabilities,
    spread,
    temperature_of,
)
from anisotropy.measures.thinned import leaving, mass_of_blocks
from anisotropy.measures.unevenness import (
    OF_ENTROPY,
    PREFIX,
    STATISTICS,
    anchors_left_out,
    entropy,
    every,
    largest,
    missing_entropy,
)
from anisotropy.statistics import (
    BLOCKS,
    Estimate,
    Influence,
    blocks_of,
    null_z,
    simulated_null,
)

if TYPE_CHECKING:
    from anisotropy.spaces import EmbeddingSpace

FAMILY = Family(
    "negatives",
    "Negative sampling",
    "how evenly mining draws the items as hard negatives",
    "whether unevenness comes from the space or from an offset between the sides (compare "
    "center=sides); how hard the negatives are",
)
ROUNDS = 20


def law_of(facts: Facts, measure: Measure) -> Law:
    """The law that the parameters of a measure name."""
    return Law(
        measure.whole("k"), measure.word("law"), measure.word("anchors"), temperature_of(facts)
    )


def negative_probability(facts: Facts, measure: Measure, side: str, on: str) -> Estimate:
    """Statistic of the probabilities of one role."""
    found = mined(facts, measure.word("role"), measure.word("center"))
    return estimate_negatives(facts.mining, found, law_of(facts.mining, measure), measure)


def estimate_negatives(
    pool: Pool, found: Mined, law: Law, measure: Measure, decisive: int | None = None
) -> Estimate:
    """Statistic of the probabilities that lists give their items.

    Parameters
    ----------
    pool
        Where the lists come from.
    found, law
        The lists, and how anchors draw from them.
    measure
        Names the statistic, role, center and whether items are kept.
    decisive
        Depth that decides; default: that for a pool of so many items.

    Raises
    ------
    Impossible
        If the lists are as long as the pool.
    """
    k, role = measure.whole("k"), measure.word("role")
    if found.n <= k:
        raise Impossible(f"the pool of {found.n} {role} is not larger than k={k}")
    if measure.whole("kept"):
        return _kept(pool, found, law, measure)
    name = measure.name.removeprefix(PREFIX)
    key = ("law", role, measure.word("center"), law)
    p = pool.once(key, lambda: probabilities(found, law))
    value, estimator = _estimate(pool, found, law, key, p, name)
    mean, sd, null_p = _null(pool, found, key, name, value)
    influences = () if found.sampled else _influences(pool, found, law, key, name)
    return Estimate(
        value,
        influences,
        n=len(found.keys) if role == "documents" else found.n,
        unit="query",
        population="queries",
        estimator=estimator,
        method="jackknife" if influences else None,
        low=0.0,
        high=math.log(found.n) if name == "kl" else 1.0,
        null_mean=mean,
        null_sd=sd,
        null_p=null_p,
        notes=_notes(found, measure, decisive or depth_for(found.n)),
    )


def _estimate(
    facts: Pool, found: Mined, law: Law, key: Any, p: np.ndarray, name: str
) -> tuple[float, str]:
    """The value, entropies over sampled anchors corrected for their bias."""
    if not found.sampled:
        return STATISTICS[name](p), "exact"
    if name not in OF_ENTROPY:
        return STATISTICS[name](p), "subsampled"
    missing = facts.once(("missing", key), lambda: missing_entropy(found, law))
    most = min(entropy(p) + missing, math.log(found.n))
    return OF_ENTROPY[name](most, found.n), "corrected"


def _notes(found: Mined, measure: Measure, decisive: int) -> tuple[str, ...]:
    """One line a role where k is too large a part of the pool."""
    k, role = measure.whole("k"), measure.word("role")
    share = k / found.n
    if measure.word("center") != "none" or share <= LARGEST_SHARE:
        return ()
    return (
        f"negative sampling, role={role}, k={k}: k is {share:.1%} of the pool of {found.n} and "
        f"saturates it (largest Gini {largest('gini', found.n, k):.3f}, KL "
        f"{largest('kl', found.n, k):.3f}, {found.total} anchors)"
        + (f"; decide by k={decisive}" if decisive != k else ""),
    )


def _influences(facts: Pool, found: Mined, law: Law, key: Any, name: str) -> tuple[Influence, ...]:
    """Resample queries: as anchors one by one, or with their positives by blocks."""
    if name == "coverage" or key[1:3] == ("documents", "sides"):
        return ()
    if key[1] == "queries" and found.index.shape[1] < min(spare_depth(law.k), found.n):
        return ()  # without a block of queries the lists would be shorter than k
    column = list(STATISTICS).index(name)
    values, excess = facts.once(("without", key), lambda: _without_blocks(facts, found, law, key))
    if key[1] == "queries":
        return (block_influence(values[:, column], excess[column], LEAST_OF_LAWS),)
    if name == "gini":
        # An item that loses weight passes others in the order: exact for blocks, not for singles.
        return (block_influence(values[:, column], 0.0),)
    singles = facts.once(("singles", key), lambda: anchors_left_out(found, law))[name]
    single = Influence(found.keys, -(len(singles) - 1) * singles)
    return (corrected(single, excess[column]),)


def _without_blocks(
    facts: Pool, found: Mined, law: Law, key: Any
) -> tuple[np.ndarray, np.ndarray]:
    """All statistics without each block of queries, and their excess."""
    blocks = found.pairs.shape[1]
    if key[1] == "queries":
        block = blocks_of(facts.ids("queries"), BLOCKS, facts.seed)
        leave = leaving(found, law, block)

        def without(out: Any) -> np.ndarray:
            return every(leave(out)[~np.isin(block, out)])
    else:
        mass, total = mass_of_blocks(found, law)

        def without(out: Any) -> np.ndarray:
            stays = ~np.isin(np.arange(blocks), out)
            if not total[stays].sum() > 0:
                return np.full(len(STATISTICS), np.nan)  # one block has all anchors: no interval
            return every(mass[stays].sum(axis=0) / total[stays].sum())

    return left_out(without(()), without, blocks)


def _null(
    facts: Pool, found: Mined, key: Any, name: str, value: float
) -> tuple[float, float, float]:
    """Lists of the same sizes and weights, of random items: all of them where the value is."""
    anchors = found.total if name in OF_ENTROPY else len(found.keys)
    draws = facts.once(("null", anchors, key), lambda: _blindly(facts, found, key[-1], anchors))
    # In a row of their own: sums of a column have other last digits.
    own = np.ascontiguousarray(draws[:, list(STATISTICS).index(name)])
    mean, sd = float(own.mean()), float(own.std(ddof=1))
    return mean, sd, null_z(value, mean, sd)


def _blindly(facts: Pool, found: Mined, law: Law, anchors: int) -> np.ndarray:
    """All statistics of blind draws, shape (rounds, statistics)."""
    blind = blind_mining(found, law, anchors)
    rounds = int(np.clip(400_000 // found.n, 8, 100)) if law.law == "uniform" else ROUNDS
    rng = np.random.default_rng(facts.seed)
    drawn = (blind(rng) for _ in range(rounds))
    return np.array([every(weights / max(weights.sum(), 1e-300)) for weights in drawn])


def _kept(facts: Pool, found: Mined, law: Law, measure: Measure) -> Estimate:
    """Mean over seeded rounds in which each anchor keeps some of its list.

    The interval is the Monte-Carlo error of these rounds alone.
    """
    kept = measure.whole("kept")
    name = measure.name.removeprefix(PREFIX)
    if law.law != "uniform":
        raise Impossible("kept: items are kept uniformly; use it with law=uniform")
    rng = np.random.default_rng(facts.seed)
    values = np.array([STATISTICS[name](_observed(rng, found, law, kept)) for _ in range(ROUNDS)])
    value = float(values.mean())
    blind = blind_mining(found, law, len(found.keys), kept)

    def draw(rng: np.random.Generator) -> float:
        drawn = blind(rng)
        return STATISTICS[name](drawn / max(drawn.sum(), 1e-300))

    mean, sd = simulated_null(draw, int(np.clip(400_000 // found.n, 8, 100)), facts.seed)
    return Estimate(
        value,
        (Influence(list(range(ROUNDS)), values),),
        n=ROUNDS,
        estimator="sampled",
        method="subsample",
        low=0.0,
        high=math.log(found.n) if name == "kl" else 1.0,
        null_mean=mean,
        null_sd=sd,
        null_p=null_z(value, mean, sd),
    )


def _observed(rng: np.random.Generator, found: Mined, law: Law, kept: int) -> np.ndarray:
    """Shares of the items when each anchor keeps a sample, drawn without replacement."""
    index, weight, anchor = spread(found, law)
    order = np.argsort(np.where(weight > 0, rng.random(weight.shape), 2.0), axis=1)[:, :kept]
    chosen = np.take_along_axis(weight > 0, order, axis=1)
    even = draw_weights(np.zeros(chosen.shape), chosen, replace(law, law="uniform"))
    items = np.take_along_axis(index, order, axis=1)
    drawn = np.bincount(items.ravel(), weights=(even * anchor[:, None]).ravel(), minlength=found.n)
    return np.asarray(drawn / max(drawn.sum(), 1e-300))


def other_scores(measure: Measure, a: EmbeddingSpace, b: EmbeddingSpace) -> str:
    """How the scores of a softmax law differ in two spaces; empty where values compare."""
    if measure.values.get("law") != "softmax":
        return ""
    left, right = ((s.mining.similarity, s.mining.temperature) for s in (a, b))
    if left == right:
        return ""
    return (
        f"softmax of scores in other units ({left[0]}/{left[1]:g} and {right[0]}/{right[1]:g}); "
        "use law=softmax_standardized"
    )


_PARAMETERS = (
    Parameter("k", MINING_K, always=True, low=1, meaning="depth from which negatives are drawn"),
    Parameter("role", "queries", choices=ROLES, meaning="side that is drawn as negatives"),
    Parameter(
        "center",
        "none",
        choices=("none", "sides"),
        meaning="sides subtracts the mean of each side from its rows first",
    ),
    Parameter(
        "law",
        "uniform",
        choices=LAWS,
        meaning="how an anchor draws from its list: evenly, or by the softmax of the scores",
    ),
    Parameter(
        "kept",
        0,
        low=0,
        meaning="negatives that an anchor keeps of its list; 0: the expectation over all draws",
    ),
    Parameter(
        "anchors",
        "documents",
        choices=ANCHORS,
        meaning="distinct positive documents, or as many times as judged in pairs",
    ),
)
_NOTE = (
    "Anchors are distinct (anchors=pairs: as often as judged, as training weighs them). The pool "
    "is the training queries where there are any. k saturates small pools: the largest Gini is 1 "
    "- k/N, the largest KL log(N/k), the smallest effective share and coverage k/N; above k/N = "
    "5% the value at 200/367,013 of the pool (at least 10) stands beside it and is the one to "
    "read. Even draws look uneven in counts: read it against its null. law=softmax is over the "
    "top k, with the recipe's temperature (1 for dot products), and compares only at equal "
    "similarity and temperature; softmax_standardized divides the scores of a list by their "
    "standard deviation first. kept=20 is the expected statistic of the counts when each anchor "
    "keeps 20 of its list; its interval is Monte-Carlo error alone. Entropies over sampled "
    "anchors are corrected for their bias by the jackknife. role=queries leaves blocks of queries"
    " out, role=documents single queries (blocks for the Gini); interactions of pairs of blocks "
    "are taken off the variance; the coverage carries no interval, nor do documents under "
    "center=sides, whose center moves with the queries: simulated, they do not cover (90%, and 82 "
    "to 85% in clusters). center=sides subtracts each side's mean first, the control for "
    "unevenness made by an offset alone; under a dot product the rows keep the lengths they then "
    "have, so between recipes that score by other similarities it is no like for like: measure "
    "the spaces after the transform center(by=side)>normalize instead. n counts the "
    "queries: as items of role=queries, as anchors of role=documents."
)
_COMMON: dict[str, Any] = {
    "family": "negatives",
    "low": 0.0,
    "sees": "how often each item is within the top k of an anchor that is not its positive",
    "blind": "how hard the negatives are; what makes the hubs (see center=sides)",
    "reference": "project definition, after the mining of ANCE (arXiv 2007.00808)",
    "note": _NOTE,
    "null": "anchors that draw their k items at random, simulated",
    "needs": ("neighbors", "positives"),
    "places": tuple((role, "recipe") for role in ROLES),
    "parameters": _PARAMETERS,
    "defaults": tuple({"role": r, "center": c} for c in ("none", "sides") for r in ROLES),
    "compute": negative_probability,
    "word": "more even",
}
_LAW = "P(item) = mean over anchors of 1[item in S]/|S|, S = top k less positives; "


def _statistic(name: str, formula: str, uneven: bool, high: float = 1.0) -> Definition:
    return Definition(
        name=PREFIX + name,
        formula=_LAW + formula,
        high=high,
        up="uneven" if uneven else "even",
        better="down" if uneven else "up",
        **_COMMON,
    )


DEFINITIONS = (
    _statistic("kl", "log N - H(P)", True, math.inf),
    _statistic("entropy", "H(P)/log N", False),
    _statistic("gini", "Gini coefficient of P", True),
    _statistic("effective", "exp(H(P))/N", False),
    _statistic("coverage", "share of the N items with P > 0", False),
)
