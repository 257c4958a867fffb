"""What a value of a side rests on: rows enough, how many, of which population."""

from __future__ import annotations

from typing import Any

import numpy as np

from anisotropy.measures.base import Impossible
from anisotropy.measures.facts import Facts
from anisotropy.statistics import Influence

#: Sides of measures of rows alone.
SIDES = ("queries", "documents", "joint")


def need_rows(facts: Facts, side: str, least: int = 2) -> None:
    """Raise Impossible where a side (both for joint and cross) has too few rows."""
    for one in ("queries", "documents") if side in ("joint", "cross") else (side,):
        n = len(facts.raw(one))
        if n < least:
            raise Impossible(f"{one}: {n} row(s), at least {least} are needed")


def query_influence(facts: Facts, values: np.ndarray) -> tuple[Influence, ...]:
    """Influence values of the queries, keyed by their ids."""
    return (Influence(facts.space.query_ids, values),)


def count(facts: Facts, side: str) -> int:
    """Number of rows a value of this side rests on: of the queries where both sides enter."""
    return len(facts.raw("documents" if side == "documents" else "queries"))


def over_queries(side: str) -> dict[str, Any]:
    """Unit, population and method of a value: the document collection is fixed."""
    if side == "documents":
        return {"unit": "document", "population": "none"}
    return {"unit": "query", "population": "queries", "method": "jackknife"}
