"""How uneven a distribution over items is, and what chance and small samples make of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from anisotropy.measures.counts import gini
from anisotropy.measures.mining import Law, Mined, probabilities, spread


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


def effective(p: np.ndarray) -> float:
    """exp(entropy) as a share of the items."""
    return math.exp(entropy(p)) / len(p)


def coverage(p: np.ndarray) -> float:
    """Share of the items whose probability is not zero."""
    return float(np.mean(p > 0))


PREFIX = "negative_probability_"
#: Of what was drawn, beside what is expected.
OBSERVED = "observed_negatives_"
STATISTICS: Mapping[str, Callable[[np.ndarray], float]] = {
    "kl": kl,
    "entropy": normalized_entropy,
    "gini": gini,
    "effective": effective,
    "coverage": coverage,
}
#: Statistics that are functions of the entropy and the number of items.
OF_ENTROPY: Mapping[str, Callable[[float, int], float]] = {
    "kl": lambda h, n: max(math.log(n) - h, 0.0),
    "entropy": lambda h, n: h / math.log(n),
    "effective": lambda h, n: math.exp(h) / n,
}


def every(p: np.ndarray) -> np.ndarray:
    """All statistics, in the order of :data:`STATISTICS`; the entropy is summed once."""
    h, n = entropy(p), len(p)
    return np.array([
        OF_ENTROPY[name](h, n) if name in OF_ENTROPY else function(p)
        for name, function in STATISTICS.items()
    ])  # fmt: skip


def largest(name: str, n: int, k: int) -> float:
    """Most uneven value that a uniform law over the top k of n items can take."""
    if name in OF_ENTROPY:
        return OF_ENTROPY[name](math.log(k), n)
    return {"gini": 1 - k / n, "coverage": k / n}[name]


def missing_entropy(found: Mined, law: Law) -> float:
    """What a sample of the anchors takes from the entropy of all, in nats; 0 for all.

    The jackknife estimate over anchors of the bias of the plug-in entropy (which generalizes
    Miller and Madow's correction to lists of several items), for anchors drawn without
    replacement: times 1 - drawn/all.
    """
    if not found.sampled:
        return 0.0
    left = anchors_left_out(found, law)["entropy_nats"]
    m = len(left)
    bias = (m - 1) * (float(left.mean()) - entropy(probabilities(found, law)))
    return -bias * (1 - m / found.total)


def anchors_left_out(found: Mined, law: Law) -> dict[str, np.ndarray]:
    """The entropy, and every statistic that is a function of it, without each anchor, exactly.

    Returns
    -------
    dict
        Name of the statistic, and ``entropy_nats``, to values of shape (anchors,).
    """
    index, weight, anchor = spread(found, law)
    n = found.n
    anchor = anchor * weight.any(axis=1)
    weight = weight * anchor[:, None]
    total = float(anchor.sum())
    mass = np.bincount(index.ravel(), weights=weight.ravel(), minlength=n)
    left = np.maximum(total - anchor, 1e-300)
    before = _xlogx(mass)
    rest = mass[index] - weight
    rest[rest < 1e-9] = 0  # sums in another order leave a trace of what is taken away
    gone = np.where(weight > 0, before[index] - _xlogx(rest), 0).sum(axis=1)
    entropies = np.log(left) - (before.sum() - gone) / left
    return {
        "entropy_nats": entropies,
        "kl": math.log(n) - entropies,
        "entropy": entropies / math.log(n),
        "effective": np.exp(entropies) / n,
    }


def _xlogx(x: np.ndarray) -> np.ndarray:
    return np.asarray(x * np.log(np.maximum(x, 1e-300)))
