"""How the distribution of the negatives moves between two spaces, such as two checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anisotropy.measures.base import Definition, Impossible, Measure, Parameter
from anisotropy.measures.facts import Facts
from anisotropy.measures.jackknife import block_influence, left_out
from anisotropy.measures.mining import (
    LARGEST_SHARE,
    MINING_K,
    ROLES,
    SMALLEST_K,
    Law,
    Mined,
    mined,
)
from anisotropy.measures.thinned import leaving
from anisotropy.results import Similarity
from anisotropy.statistics import BLOCKS, Estimate, Influence, blocks_of, interval

ROUNDS = 20
SHIFT, AGREEMENT = "negative_probability_shift", "negative_probability_agreement"


def total_variation(p: np.ndarray, q: np.ndarray) -> float:
    """Half the summed absolute differences of two distributions over the same items."""
    return float(np.abs(p - q).sum()) / 2


def rank_agreement(p: np.ndarray, q: np.ndarray) -> float:
    """Spearman's correlation of two lists of values, ties by mean rank; NaN if one is even."""
    from scipy.stats import rankdata

    x, y = (rankdata(np.round(values, 12)) for values in (p, q))
    x, y = x - x.mean(), y - y.mean()
    spread = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / spread if spread > 0 else float("nan")


def moved(a: Facts, b: Facts, measure: Measure, side: str) -> Similarity:
    """Compare the laws of mining of two spaces, item by item."""
    k, shift = measure.whole("k"), measure.name == SHIFT
    # Both measures are taken of the same laws: the second finds them done.
    found = a.once(("moved", b, side, k), lambda: _both(a, b, side, k))
    place = 0 if shift else 1
    value, influence = float(found.values[place]), found.influences[place]
    if np.isnan(value):
        raise Impossible(f"{side}: every item is drawn equally often in one of the spaces")
    saturated = k > max(LARGEST_SHARE * found.n, SMALLEST_K)
    influences = () if saturated else (influence,)
    limits = interval(Estimate(value, influences, low=0.0 if shift else -1.0, high=1.0))
    null = found.chance if shift else 0.0
    return Similarity(side, measure.text, value, limits.low, limits.high, null, found.n)


@dataclass(frozen=True, eq=False)
class _Moved:
    """Shift and agreement of two laws over `n` items, and the shift that chance gives."""

    values: np.ndarray
    influences: list[Influence]
    chance: float
    n: int


def _both(a: Facts, b: Facts, side: str, k: int) -> _Moved:
    laws = [_Mining(facts, side, k) for facts in (a, b)]
    order = _order(laws, side)

    def without(out: Sequence[int]) -> np.ndarray:
        p, q = (law.without(out) for law in laws)
        stays = laws[0].stays(out)
        p, q = p[stays], q[order][stays]
        return np.array([total_variation(p, q), rank_agreement(p, q)])

    whole = without(())
    values, excess = left_out(whole, without, laws[0].blocks)
    # Without targets to leave out the jackknife is right as it is.
    excess *= side == "queries"
    influences = [block_influence(*both) for both in zip(values.T, excess, strict=True)]
    return _Moved(whole, influences, _chance(laws, a.seed), laws[0].found.n)


class _Mining:
    """The law of one space, with blocks of queries left out."""

    def __init__(self, facts: Facts, role: str, k: int) -> None:
        self.found: Mined = mined(facts, role, "none")
        if self.found.n <= k:
            raise Impossible(f"the pool of {self.found.n} {role} is not larger than k={k}")
        pool = facts.mining
        self.ids = list(pool.ids(role))
        self.anchor_ids = set(self.found.keys)
        self.law, self.role = Law(k), role
        self.block = blocks_of(pool.space.query_ids, BLOCKS, facts.seed)
        self.blocks = self.found.pairs.shape[1]
        self.without = leaving(self.found, self.law, self.block if role == "queries" else None)

    def stays(self, out: Sequence[int]) -> np.ndarray:
        if self.role != "queries":
            return np.ones(self.found.n, dtype=bool)
        return np.asarray(~np.isin(self.block, out))


def _order(laws: list[_Mining], side: str) -> np.ndarray:
    """Items of the second space in the order of the first."""
    first, second = laws
    place = {name: i for i, name in enumerate(second.ids)}
    if len(place) != len(first.ids) or any(name not in place for name in first.ids):
        raise Impossible(f"{side}: mined from other {side}")
    if first.anchor_ids != second.anchor_ids:
        raise Impossible(f"{side}: the anchors of the two spaces differ")
    return np.array([place[name] for name in first.ids])


def _chance(laws: list[_Mining], seed: int) -> float:
    """Total variation of the two laws when the items of one are shuffled."""
    rng = np.random.default_rng(seed)
    p, q = (law.without(()) for law in laws)
    return float(np.mean([total_variation(p, rng.permutation(q)) for _ in range(ROUNDS)]))


_NOTE = (
    "Law of ANCE's mining over the top k (see negative_probability_kl), the items of role queries "
    "or documents. Blocks of queries are left out of both spaces together; simulated, the "
    "interval of the shift covers 98.7%, slightly too wide. Where k is a large "
    "part of a small pool every list holds nearly everything and the two laws look alike: above "
    "k/N = 5% there is no interval (simulated at 80% it covers 86%)."
)
_PARAMETERS = (
    Parameter("k", MINING_K, always=True, low=1, meaning="depth from which negatives are drawn"),
)
DEFINITIONS = (
    Definition(
        name=SHIFT,
        family="negatives",
        formula="0.5 sum over items of |P_A - P_B|",
        low=0.0,
        high=1.0,
        up="other negatives",
        sees="how much of the probability of being drawn has moved to other items",
        blind="which anchors draw an item",
        reference="project definition: total variation distance",
        note=_NOTE,
        null="the same two laws, the items of one shuffled",
        needs=("neighbors", "positives"),
        places=tuple((role, "recipe") for role in ROLES),
        parameters=_PARAMETERS,
        between=moved,
    ),
    Definition(
        name=AGREEMENT,
        family="negatives",
        formula="Spearman correlation of P_A and P_B over the items",
        low=-1.0,
        high=1.0,
        up="the same hubs",
        sees="whether the items drawn most often are the same",
        blind="how uneven either distribution is",
        reference="project definition: Spearman's rank correlation",
        note=_NOTE,
        null="no relation: 0",
        needs=("neighbors", "positives"),
        places=tuple((role, "recipe") for role in ROLES),
        parameters=_PARAMETERS,
        between=moved,
    ),
)
