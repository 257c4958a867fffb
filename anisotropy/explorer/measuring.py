"""Every number of the explorer, before anything is chosen to be shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anisotropy.comparison.changes import changes_curve
from anisotropy.explorer.options import ExplorerOptions
from anisotropy.explorer.valuing import NEAR, SIDES, Drawn, Occurrence, Valued
from anisotropy.measures.base import Impossible
from anisotropy.measures.families.similarity import neighbors_kept

if TYPE_CHECKING:
    from anisotropy.spaces import EmbeddingSpace

_CHANGES = ("neighbors_kept", "nDCG@10_delta")


@dataclass(frozen=True, eq=False)
class Numbers:
    """Numbers of all queries and documents, in the order of the ids of the first space.

    Attributes
    ----------
    ids
        Of the queries and of the documents.
    spaces
        One or two.
    occurrence, drawn, density
        By side, one mapping a space.
    changes
        ``neighbors_kept`` and ``nDCG@10_delta`` of each query; empty for one space.
    near_kept
        By side, the share of the nearest of its own side that each item keeps, NaN where it is
        not known; empty for one space.
    """

    ids: tuple[Sequence[str], Sequence[str]]
    spaces: tuple[Valued, ...]
    occurrence: tuple[Mapping[str, Occurrence], ...]
    drawn: tuple[Mapping[str, Drawn], ...]
    density: tuple[Mapping[str, np.ndarray], ...]
    changes: Mapping[str, np.ndarray]
    near_kept: Mapping[str, np.ndarray]


def numbers_of(
    spaces: Sequence[EmbeddingSpace],
    options: ExplorerOptions,
    begin: Callable[[EmbeddingSpace], Callable[[float], None]],
) -> Numbers:
    """Measure one space, or two and what changed between them.

    Parameters
    ----------
    spaces
        One, or two of the same texts.
    options
        Depth, seed, and what is a positive.
    begin
        Called with each space before it is measured; what it returns is called with the share
        of the work on that space that is done.
    """
    ids = (list(spaces[0].query_ids), list(spaces[0].doc_ids))
    valued = tuple(
        Valued(space, ids, seed=options.seed, relevance_level=options.relevance_level,
               depth=options.neighbors) for space in spaces
    )  # fmt: skip
    measured = [_by_side(one, begin(one.space)) for one in valued]
    occurrence, drawn, density = zip(*measured, strict=True)
    changes, near_kept = _between(*valued) if len(valued) == 2 else ({}, {})
    return Numbers(ids, valued, occurrence, drawn, density, changes, near_kept)


def _by_side(
    one: Valued, share: Callable[[float], None]
) -> tuple[dict[str, Occurrence], dict[str, Drawn], dict[str, np.ndarray]]:
    occurrence: dict[str, Occurrence] = {}
    drawn: dict[str, Drawn] = {}
    density: dict[str, np.ndarray] = {}
    for half, side in enumerate(SIDES):
        occurrence[side] = one.occurrence(side)
        share(half / 2 + 1 / 6)
        drawn[side] = one.drawn(side)
        share(half / 2 + 2 / 6)
        density[side] = one.density(side)
        share(half / 2 + 3 / 6)
    return occurrence, drawn, density


def _between(a: Valued, b: Valued) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """How the queries changed, and what the items of each side keep of their neighbors."""
    return _changes(a, b), {side: _near_kept(a, b, side) for side in SIDES}


def _changes(a: Valued, b: Valued) -> dict[str, np.ndarray]:
    """Columns of the curve ``changes`` in the order of the queries."""
    curve = changes_curve([a.measured], [b.measured], (a.space.label, b.space.label))
    if curve is None:
        return {}
    place = {name: row for row, name in enumerate(curve.columns["query_id"])}
    order = [place[name] for name in a.space.query_ids]
    return {name: np.asarray(curve.columns[name], dtype=float)[order] for name in _CHANGES}


def _near_kept(a: Valued, b: Valued, side: str) -> np.ndarray:
    rows = np.full(len(a.facts.row_ids(side)), np.nan)
    try:
        chosen, share = neighbors_kept(a.facts, b.facts, NEAR, side)
    except Impossible:
        return np.full(len(a.order[side]), np.nan)
    rows[chosen] = share
    return np.asarray(rows[a.first_rows(side)])
