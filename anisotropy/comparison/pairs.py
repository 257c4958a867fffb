"""Pair by pair: the distance of a query to a document in two spaces, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from anisotropy.errors import NotComparable
from anisotropy.measures.sides import Sides
from anisotropy.spaces.pairs import Asked, as_frame, look_up

if TYPE_CHECKING:
    import pandas as pd

    from anisotropy.spaces import EmbeddingSpace


def paired_distances(
    a: Sequence[EmbeddingSpace], b: Sequence[EmbeddingSpace], asked: Asked
) -> pd.DataFrame:
    """The same query-document pairs in two spaces.

    Parameters
    ----------
    a, b
        The two sides, one space each or seeds of a method, all with the same ids.
    asked
        Which pairs, and what their distance is.

    Returns
    -------
    pandas.DataFrame
        See :meth:`anisotropy.Results.distances`.

    Raises
    ------
    NotComparable
        If raw rows are asked for and have length 1 on one side only.
    """
    if asked.on == "raw" and asked.metric != "cosine":
        _same_lengths([*a, *b])
    columns, sides = look_up([a, b], asked)
    values = {
        f"{name}_{letter}": side[name]
        for name in ("distance", "score", "rank")
        for letter, side in zip("ab", sides, strict=True)
    }
    ids = {name: columns.pop(name) for name in ("query_id", "doc_id")}
    change = values["distance_b"] - values["distance_a"]
    return as_frame({**ids, **values, "change": change, **columns})


def _same_lengths(spaces: Sequence[EmbeddingSpace]) -> None:
    unit = {space.label: Sides(space, 0, 0, True).normalized for space in spaces}
    if len(set(unit.values())) > 1:
        names = ", ".join(label for label, normalized in unit.items() if normalized)
        raise NotComparable(f"raw rows have length 1 in {names} only; compare on='unit'")
