"""What the explorer shows, as frozen values: the page and the widget only display them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

QUERY, DOCUMENT = 0, 1
WORDS = ("query", "document")
NO_ITEM = -1


@dataclass(frozen=True, eq=False)
class Lists:
    """Top documents of the listed queries in one space, best first.

    Attributes
    ----------
    item
        Shape (listed, k): number of the item, -1 where there is none.
    score, distance
        Same shape: the recipe's score, and the Euclidean distance of unit rows.
    elsewhere
        Same shape: rank in the other space, 0 where it is beyond the depth of its ranking (or
        there is no other space).
    """

    item: np.ndarray
    score: np.ndarray
    distance: np.ndarray
    elsewhere: np.ndarray

    def shorter(self, k: int) -> Lists:
        """Only the k best."""
        return Lists(*(part[:, :k] for part in self.parts))

    @property
    def parts(self) -> tuple[np.ndarray, ...]:
        """The four arrays."""
        return self.item, self.score, self.distance, self.elsewhere


@dataclass(frozen=True, eq=False)
class SpaceView:
    """One space as it is shown.

    Attributes
    ----------
    label, about
        Its name, and a line on its recipe.
    maps
        Method to coordinates, shape (points, 2).
    trust
        Method to how far its map can be believed: ``trustworthiness``,
        ``neighbor_preservation``, ``positive_distance_correlation``, ``variance_explained``.
    occurrence, probability, even, density
        Shape (valued,): k-occurrence, probability as a negative, the same in multiples of an
        even draw, mean cosine with the 10 nearest of the own side; NaN where unknown.
    lists
        Top documents.
    positives
        ``rank``, ``score``, ``distance`` of the judged pairs, shape (pairs,).
    query_values
        Per-query values by name, shape (listed,).
    """

    label: str
    about: str
    maps: Mapping[str, np.ndarray]
    trust: Mapping[str, Mapping[str, float]]
    occurrence: np.ndarray
    probability: np.ndarray
    even: np.ndarray
    density: np.ndarray
    lists: Lists
    positives: Mapping[str, np.ndarray]
    query_values: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Judgments:
    """Judged positives of the listed queries, by query.

    Attributes
    ----------
    row, item, grade
        Shape (pairs,): row of the query among the listed ones, item of the document, grade.
    """

    row: np.ndarray
    item: np.ndarray
    grade: np.ndarray


@dataclass(frozen=True, eq=False)
class Finding:
    """A list of items worth a look.

    Attributes
    ----------
    key, group, title, says
        Name, heading it stands under, title, and what the list is.
    items, notes
        Numbers of the items, and a line of values for each.
    """

    key: str
    group: str
    title: str
    says: str
    items: np.ndarray
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Scale:
    """A way to color the points.

    Attributes
    ----------
    key, title, says
        Name, title, and what is shown.
    classes
        Label and color of each class.
    codes
        Class of each point, one array of shape (points,) a space.
    """

    key: str
    title: str
    says: str
    classes: tuple[tuple[str, str], ...]
    codes: tuple[np.ndarray, ...]


@dataclass(frozen=True, eq=False)
class ExplorerData:
    """Everything the page and the widget show.

    Items are numbered: the queries on the maps, the documents on them, then queries and
    documents that a finding names, then documents that only a list names.

    Attributes
    ----------
    title
        For example ``dance against ance``.
    ids, sides, texts
        Of every item: id, 0 for a query and 1 for a document, text (None where unknown).
    n_points, n_valued
        How many items are on the maps, and how many have values of their own.
    listed
        Items of the queries that have lists, in the order of the rows of the lists.
    spaces
        One or two.
    judgments
        Judged positives of the listed queries.
    kept
        Shape (valued,): share of the 10 nearest of its own side that an item keeps from the
        first space to the second; empty for one space.
    changes
        Shape (listed,) each: ``neighbors_kept``, ``nDCG@10_delta``; empty for one space.
    scales, findings
        Ways to color, and lists worth a look.
    captions
        Texts by name: what was sampled, what a map cannot show, and so on.
    depth
        How deep the rankings are known.
    """

    title: str
    ids: tuple[str, ...]
    sides: np.ndarray
    texts: tuple[str | None, ...]
    n_points: int
    n_valued: int
    listed: np.ndarray
    spaces: tuple[SpaceView, ...]
    judgments: Judgments
    kept: np.ndarray
    changes: Mapping[str, np.ndarray]
    scales: tuple[Scale, ...]
    findings: tuple[Finding, ...]
    captions: Mapping[str, Any] = field(default_factory=dict)
    depth: int = 0

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods of the maps."""
        return tuple(self.spaces[0].maps)

    @property
    def neighbors(self) -> int:
        """Documents in each list."""
        return int(self.spaces[0].lists.item.shape[1])

    def frame(self, items: np.ndarray | list[int], method: str | None = None) -> pd.DataFrame:
        """Some points as a table.

        Parameters
        ----------
        items
            Numbers of items.
        method
            Of the map; default: the first.

        Returns
        -------
        pandas.DataFrame
            Columns ``id``, ``side``, ``text`` (whole; None where unknown), and the coordinates
            ``x``, ``y``, or of two spaces ``x_a``, ``y_a``, ``x_b``, ``y_b``; NaN off the map.
        """
        import pandas as pd

        chosen = np.asarray(items, dtype=np.int64)
        columns: dict[str, Any] = {
            "id": [self.ids[i] for i in chosen],
            "side": [WORDS[self.sides[i]] for i in chosen],
            "text": pd.array([self.texts[i] for i in chosen], dtype=object),
        }
        ends = [""] if len(self.spaces) == 1 else ["_a", "_b"]
        on_map = np.minimum(chosen, self.n_points - 1)
        for end, space in zip(ends, self.spaces, strict=True):
            for axis, name in enumerate("xy"):
                values = space.maps[method or self.methods[0]][on_map, axis]
                columns[name + end] = np.where(chosen < self.n_points, values, np.nan)
        return pd.DataFrame(columns)
