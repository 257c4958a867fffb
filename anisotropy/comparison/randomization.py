"""Randomization of per-query changes: no assumption on their distribution but symmetry."""

from __future__ import annotations

import numpy as np

#: Up to this many changes that are not zero every assignment of signs is counted.
EXACT = 16
ROUNDS = 9_999
_CHUNK = 2_000_000
#: Sums that differ by less than this part of the sum of the sizes are the same.
_SAME = 1e-9


def sign_flip_p(changes: np.ndarray, *, rounds: int = ROUNDS, seed: int = 0) -> float:
    """Two-sided p of a paired randomization test on the mean of per-unit changes.

    Under the null the two spaces may be swapped within every unit (query) on its own, so each
    change has either sign with the same chance. Units without a change say nothing and drop out.
    The mean and Student's t order the assignments of signs alike, so this is the test of both.

    Parameters
    ----------
    changes
        Shape (units,): one value of b minus a for each unit.
    rounds
        Assignments drawn where there are more than 2^16; p is (1 + as large) / (1 + rounds), so
        never 0.
    seed
        Of the draws.

    Returns
    -------
    float
        Exact for at most 16 changes that are not zero; 1.0 for none.

    Notes
    -----
    Fisher's randomization test as in Smucker, Allan and Carterette, CIKM 2007.
    """
    moved = np.abs(changes[changes != 0]).astype(np.float64)
    if not len(moved):
        return 1.0
    observed = abs(float(changes.sum())) - _SAME * float(moved.sum())
    if len(moved) <= EXACT:
        return float(np.mean(np.abs(_all_sums(moved)) >= observed))
    larger = sum(int(np.sum(np.abs(sums) >= observed)) for sums in _sums(moved, rounds, seed))
    return (1 + larger) / (1 + rounds)


def _all_sums(sizes: np.ndarray) -> np.ndarray:
    """Sums under every assignment of signs; the first sign is kept, by symmetry."""
    sums = sizes[:1]
    for size in sizes[1:]:
        sums = np.concatenate([sums + size, sums - size])
    return sums


def _sums(sizes: np.ndarray, rounds: int, seed: int) -> list[np.ndarray]:
    """Sums under random signs, in chunks of rounds."""
    rng = np.random.default_rng(seed)
    n, found = len(sizes), []
    step = max(_CHUNK // n, 1)
    for start in range(0, rounds, step):
        count = min(step, rounds - start)
        width = -(-n // 8)
        raw = np.frombuffer(rng.bytes(count * width), np.uint8).reshape(count, width)
        plus = np.unpackbits(raw, axis=1, count=n)
        found.append(2 * (plus.astype(np.float64) @ sizes) - sizes.sum())
    return found
