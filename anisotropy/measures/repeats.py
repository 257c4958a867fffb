"""Rows that repeat another row exactly."""

from __future__ import annotations

import numpy as np

from anisotropy.measures.facts import Facts


def first_of_its_kind(facts: Facts, side: str) -> np.ndarray:
    """Whether a row is the first with its values, shape (rows,), bool; computed once."""
    return facts.once(("first of its kind", side), lambda: _first(facts, side))


def _first(facts: Facts, side: str) -> np.ndarray:
    rows = facts.raw(side)
    first = np.zeros(len(rows), dtype=bool)
    first[np.unique(rows.each(row_keys), return_index=True)[1]] = True
    return first


def row_keys(block: np.ndarray) -> np.ndarray:
    """A hash of the bytes of each row, shape (m,), uint64; the same in every process.

    Words of 32 bits times random numbers, added up modulo 2^64, twice: the low bits of one such
    sum say little where rows differ in signs alone, so it is mixed before the other joins it.
    """
    words = np.ascontiguousarray(block).view(np.uint32)
    factors = np.random.default_rng(0).integers(0, 2**64, (2, words.shape[1]), dtype=np.uint64)
    first, second = (np.einsum("ij,j->i", words, one) for one in factors | np.uint64(1))
    for shift, factor in ((33, 0xFF51AFD7ED558CCD), (33, 0xC4CEB9FE1A85EC53), (33, 1)):
        first = (first ^ (first >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray(first + second)
