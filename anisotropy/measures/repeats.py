"""Rows that repeat another row exactly."""

from __future__ import annotations

import numpy as np

from anisotropy.measures.facts import Facts


def first_of_its_kind(facts: Facts, side: str) -> np.ndarray:
    """Whether a row is the first with its values, shape (rows,), bool; computed once."""
    return facts.once(("first of its kind", side), lambda: _first(facts, side))


def _first(facts: Facts, side: str) -> np.ndarray:
    rows = facts.raw(side)
    keys = np.empty(len(rows), dtype=np.int64)  # not a set: that takes ten times the memory
    for part, block in rows.blocks():
        keys[part] = np.fromiter((hash(row.tobytes()) for row in block), np.int64, len(block))
    order = np.argsort(keys, kind="stable")
    first = np.ones(len(rows), dtype=bool)
    first[order[1:][keys[order[1:]] == keys[order[:-1]]]] = False
    return first
