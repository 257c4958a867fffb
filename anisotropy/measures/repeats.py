"""Rows that repeat another row exactly."""

from __future__ import annotations

import numpy as np

from anisotropy.measures.facts import Facts


def first_of_its_kind(facts: Facts, side: str) -> np.ndarray:
    """Whether a row is the first with its values, shape (rows,), bool; computed once."""
    return facts.once(("first of its kind", side), lambda: _first(facts, side))


def _first(facts: Facts, side: str) -> np.ndarray:
    rows, seen = facts.raw(side), set[int]()
    first = np.ones(len(rows), dtype=bool)
    for part, block in rows.blocks():
        for i, row in enumerate(block, part.start):
            key = hash(row.tobytes())
            first[i] = key not in seen
            seen.add(key)
    return first
