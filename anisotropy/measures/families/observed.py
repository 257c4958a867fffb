"""Observed negatives: how evenly the files of a mining run say that items were drawn."""

from __future__ import annotations

import math
from typing import Any

from anisotropy.measures.base import Definition, Parameter
from anisotropy.measures.mining import ANCHORS, ROLES
from anisotropy.measures.unevenness import OBSERVED

_NOTE = (
    "Counted from ann_training_data_N, plain or grouped (--negatives beside a space, or the file "
    "or folder alone), not computed from embeddings. A file is one refresh: few draws an item "
    "look uneven by chance, so read the value against its null, and compare files of the same "
    "size. What is expected of the same mining is negative_probability with kept=20. Items are "
    "those of the space; of a file alone those of the map of offsets, or all that it names."
)
_COMMON: dict[str, Any] = {
    "family": "negatives",
    "low": 0.0,
    "sees": "how often each item was in fact drawn as a negative",
    "blind": "how hard the negatives were; what another refresh would draw",
    "reference": "project definition, from the files of ANCE (arXiv 2007.00808) and DANCE",
    "note": _NOTE,
    "null": "as many lists of the same sizes, repeated as often, of random items, simulated",
    "needs": (),
    "places": tuple((role, "recipe") for role in ROLES),
    "parameters": (
        Parameter("role", "queries", choices=ROLES, meaning="side that was drawn as negatives"),
        Parameter(
            "anchors",
            "documents",
            choices=ANCHORS,
            meaning="of queries, whether the list of a document counts once, or at each pair",
        ),
    ),
    "default": False,
    "counted": True,
    "unit": "",
    "population": "none",
    "word": "more even",
}
_LAW = "P(item) = lists with the item/entries of all lists; "


def _statistic(name: str, formula: str, uneven: bool, high: float = 1.0) -> Definition:
    return Definition(
        name=OBSERVED + name,
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
