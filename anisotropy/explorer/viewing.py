"""What is shown of one space: its maps, its values, its lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anisotropy.explorer.data import DOCUMENT, Lists, SpaceView
from anisotropy.explorer.measuring import Numbers
from anisotropy.explorer.numbering import Numbering
from anisotropy.explorer.valuing import SIDES, Valued

if TYPE_CHECKING:
    from anisotropy.projection.maps import Method
    from anisotropy.results import Curve
    from anisotropy.spaces import EmbeddingSpace

TRUST = (
    "trustworthiness",
    "neighbor_preservation",
    "positive_distance_correlation",
    "variance_explained",
)
_SCORES = {"dot": "inner product", "cosine": "cosine", "euclidean": "minus Euclidean distance"}


@dataclass(frozen=True, eq=False)
class Shown:
    """What is shown of every space.

    Attributes
    ----------
    n_points, n_valued
        How many items are on the maps, and how many have values of their own.
    queries
        Positions of the queries that have lists.
    tops
        Positions of their top documents, best first, -1 where there is none; one a space.
    pairs
        Which positive pairs are those of these queries.
    """

    n_points: int
    n_valued: int
    queries: np.ndarray
    tops: tuple[np.ndarray, ...]
    pairs: np.ndarray


def view_of(
    number: int,
    numbers: Numbers,
    maps: Mapping[Method, tuple[Curve, ...]],
    items: Numbering,
    shown: Shown,
) -> SpaceView:
    """The space of that number, 0 or 1, with what is shown of it."""
    one, n = numbers.spaces[number], shown.n_valued
    curves = {method: drawn[number].columns for method, drawn in maps.items()}
    occurrence, drawn = numbers.occurrence[number], numbers.drawn[number]
    return SpaceView(
        label=one.space.label,
        about=_about(one.space),
        maps={m: np.column_stack([c["x"], c["y"]])[: shown.n_points] for m, c in curves.items()},
        trust={m: {t: float(c[t][0]) for t in TRUST} for m, c in curves.items()},
        occurrence=items.spread([occurrence[side].counts for side in SIDES], n),
        probability=items.spread([drawn[side].probability for side in SIDES], n),
        even=items.spread([drawn[side].even for side in SIDES], n),
        density=items.spread([numbers.density[number][side] for side in SIDES], n),
        lists=_lists(number, numbers.spaces, items, shown),
        positives={name: values[shown.pairs] for name, values in one.positives.items()},
        query_values={name: values[shown.queries] for name, values in one.query_values.items()},
    )


def _lists(number: int, spaces: tuple[Valued, ...], items: Numbering, shown: Shown) -> Lists:
    one, top = spaces[number], shown.tops[number]
    query, there = np.repeat(shown.queries, top.shape[1]), (top >= 0).ravel()
    document = np.maximum(top.ravel(), 0)
    score = np.where(there, one.scores(query, document), np.nan)
    distance = np.where(there, one.distances(query, document), np.nan)
    elsewhere = np.zeros(top.shape, dtype=np.int64)
    if len(spaces) == 2:
        elsewhere = ranks_in(spaces[1 - number].ranking[shown.queries], top)
    return Lists(
        items.of(DOCUMENT, top), score.reshape(top.shape), distance.reshape(top.shape), elsewhere
    )


def ranks_in(ranking: np.ndarray, top: np.ndarray, block: int = 512) -> np.ndarray:
    """Rank in `ranking` of each entry of `top`, row by row; 0 where it is not there."""
    out = np.zeros(top.shape, dtype=np.int64)
    for start in range(0, len(top), block):
        part = slice(start, start + block)
        same = ranking[part, None, :] == top[part, :, None]
        same &= top[part, :, None] >= 0
        out[part] = np.where(same.any(axis=2), same.argmax(axis=2) + 1, 0)
    return out


def _about(space: EmbeddingSpace) -> str:
    """A line on what the space is."""
    name = str(space.recipe.get("name", "")) if space.recipe else ""
    recipe = f"recipe {name}, " if name else ""
    return f"{recipe}{space.dim} dimensions, score: {_SCORES[space.similarity]}"
