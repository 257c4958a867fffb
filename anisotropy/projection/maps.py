"""Maps of one space, and aligned maps of two."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from anisotropy.backend import one_thread_each
from anisotropy.errors import UsageError, check_relevance_level, check_seed, one_of
from anisotropy.projection.faithfulness import distance_correlation, faithfulness
from anisotropy.projection.layouts import LAYOUTS, Layout, principal_axes, rigid
from anisotropy.projection.sample import choose_points, unit_points
from anisotropy.results import Curve

if TYPE_CHECKING:
    from anisotropy.spaces import EmbeddingSpace

Method = Literal["tsne", "pca", "umap"]
METHODS = ("pca", "tsne", "umap")
NEIGHBORHOOD = 15


@dataclass(frozen=True)
class MapOptions:
    """What is shown on maps, and how it is laid out.

    Attributes
    ----------
    n
        Number of points, 5 or more; :func:`anisotropy.projection.sample.choose_points` states
        the rule.
    perplexity
        Of t-SNE, a number above 1, usually 5 to 50; lowered where there are fewer than three
        times as many points.
    random_state
        Seed of the sample and of the optimizer, 0 to 2^32 - 1. On one machine the same seed gives
        the same bytes, with any number of threads: matrix products keep to one each.
    relevance_level
        Smallest grade of a positive, 1 or more.
    """

    n: int = 1500
    perplexity: float = 30.0
    random_state: int = 0
    relevance_level: int = 1

    def __post_init__(self) -> None:
        check_perplexity(self.perplexity)
        check_seed(self.random_state)
        check_relevance_level(self.relevance_level)


def check_perplexity(perplexity: float) -> None:
    """Refuse what is no number above 1.

    Raises
    ------
    UsageError
        If it is none.
    """
    if not (math.isfinite(perplexity) and perplexity > 1):
        raise UsageError(
            f"perplexity: got {perplexity}; allowed: a number above 1, usually 5 to 50"
        )


class MapPoints:
    """The points that the maps of one space or several show: chosen once, drawn by any method.

    Parameters
    ----------
    spaces
        One or more; the ids that all have are shown.
    options
        What to show.

    Raises
    ------
    UsageError
        If fewer than 5 points are asked for, or there is no space.
    TooFewPoints
        If fewer than 5 points are there; a `UsageError` too.
    EmbeddingsError
        If a shown row is all zeros, or under a cosine recipe any row.
    """

    def __init__(
        self, spaces: Sequence[EmbeddingSpace], options: MapOptions | None = None
    ) -> None:
        self._spaces, self._options = list(spaces), options or MapOptions()
        if not self._spaces:
            raise UsageError("a map needs a space; got none")
        own = self._options
        with one_thread_each:
            self._sample = choose_points(
                self._spaces, own.n, own.random_state, own.relevance_level
            )
            self._rows = [unit_points(space, self._sample) for space in self._spaces]

    def draw(self, method: Method) -> list[Curve]:
        """A map a space, every one aligned with that of the first; see :func:`project_pair`.

        Raises
        ------
        UsageError
            If the method is unknown.
        """
        if method not in METHODS:
            raise UsageError(f"projection: {one_of(method, METHODS)}")
        own = self._options
        with one_thread_each:
            laid = [LAYOUTS[method](r, own.perplexity, own.random_state) for r in self._rows]
            made = _aligned(laid)
            return [
                self._curve(space, method, rows, coordinates, laid[0].perplexity)
                for space, rows, coordinates in zip(self._spaces, self._rows, made, strict=True)
            ]

    def _curve(
        self,
        space: EmbeddingSpace,
        method: str,
        rows: np.ndarray,
        coordinates: np.ndarray,
        perplexity: float,
    ) -> Curve:
        sample = self._sample
        n_queries, n_documents = len(sample.query_ids), len(sample.doc_ids)
        pairs = sample.positives + np.array([0, n_queries])
        trust, preserved = faithfulness(rows, coordinates, NEIGHBORHOOD)
        same = {
            "trustworthiness": trust,
            "neighbor_preservation": preserved,
            "positive_distance_correlation": distance_correlation(rows, coordinates, pairs),
            "variance_explained": principal_axes(rows)[1] if method == "pca" else np.nan,
            "perplexity": perplexity,
            "random_state": self._options.random_state,
            "n_queries": sample.n_queries,
            "n_documents": sample.n_documents,
        }
        columns = {
            "id": np.array(sample.query_ids + sample.doc_ids, dtype=object),
            "side": np.array(["query"] * n_queries + ["document"] * n_documents, dtype=object),
            "x": coordinates[:, 0],
            "y": coordinates[:, 1],
            "method": np.array([method] * len(rows), dtype=object),
            "positive": np.isin(np.arange(len(rows)), pairs[:, 1]),
            "negative": np.isin(np.arange(len(rows)), n_queries + sample.negatives[:, 1]),
            "start": np.array([self._spaces[0].label] * len(rows), dtype=object),
        }
        columns |= {name: np.full(len(rows), value) for name, value in same.items()}
        return Curve("coordinates", space.label, "joint", columns)


def _aligned(laid: Sequence[Layout]) -> list[np.ndarray]:
    """Coordinates in every space, all from the start of the first that has any extent."""
    start, maps = np.zeros((1, 2)), list[np.ndarray]()
    for layout in laid:
        # Out of a single point, the map of a collapsed space, nothing could unfold.
        if not np.ptp(start, axis=0).any():
            start = layout.start()
        coordinates = layout.settle(start)
        maps.append(rigid(coordinates, maps[0]) if maps else coordinates)
    return maps


def project(
    space: EmbeddingSpace,
    method: Method = "tsne",
    *,
    n: int = 1500,
    perplexity: float = 30.0,
    random_state: int = 0,
    relevance_level: int = 1,
) -> Curve:
    """Map queries and documents of one space to the plane, in one fit, on unit rows.

    Parameters
    ----------
    space
        The space. Of a document with several vectors the first that is not padding is shown.
    method
        ``tsne`` (openTSNE on our exact neighbor table, PCA start), ``pca`` or ``umap``.
    n, perplexity, random_state, relevance_level
        As in :class:`MapOptions`.

    Returns
    -------
    Curve
        ``coordinates``, side ``joint``, one row a point: ``id``, ``side`` (``query`` or
        ``document``), ``x``, ``y``, ``method``, ``positive`` (a document judged relevant for a
        shown query), ``negative`` (the best ranked document of a shown query that is not). The
        same in each row: ``trustworthiness`` and ``neighbor_preservation`` (15 neighbors),
        ``positive_distance_correlation`` (Spearman, shown judged pairs, space against map),
        ``variance_explained`` (PCA, else NaN), ``perplexity`` (in use in t-SNE, else NaN),
        ``random_state``, ``n_queries`` and ``n_documents`` (there are to choose from), ``start``
        (label of the space with which the map is aligned).

    Raises
    ------
    UsageError, TooFewPoints, EmbeddingsError
        As :class:`MapPoints`.
    """
    options = MapOptions(n, perplexity, random_state, relevance_level)
    return MapPoints([space], options).draw(method)[0]


def project_pair(
    a: EmbeddingSpace,
    b: EmbeddingSpace,
    method: Method = "tsne",
    *,
    n: int = 1500,
    perplexity: float = 30.0,
    random_state: int = 0,
    relevance_level: int = 1,
) -> tuple[Curve, Curve]:
    """Map two spaces so that movement on the picture means movement in the space.

    The same ids are shown in both. Both are laid out from one start, the coarse layout of `a`,
    by the same optimizer; then the map of `b` is rotated, reflected and shifted onto that of `a`
    (Procrustes, no scaling). Two equal spaces give equal maps, and a little noise moves little.
    The price is paid where two spaces have little in common: the map of `b` is then less faithful
    than from a start of its own, and its trustworthiness says so. PCA maps are aligned by the
    last step alone.

    Parameters
    ----------
    a, b
        Spaces, also of different dimension.
    method, n, perplexity, random_state, relevance_level
        As in :func:`project`.

    Returns
    -------
    tuple of Curve
        The maps of `a` and `b`: rows in the same order, columns as in :func:`project`.

    Raises
    ------
    UsageError, TooFewPoints, EmbeddingsError
        As :class:`MapPoints`.
    """
    options = MapOptions(n, perplexity, random_state, relevance_level)
    map_a, map_b = MapPoints([a, b], options).draw(method)
    return map_a, map_b


def join_maps(curves: Iterable[Curve]) -> list[Curve]:
    """One curve a space: maps of the same space by several methods below each other.

    A results folder has one file a space for coordinates; the column ``method`` tells the maps
    apart.
    """
    of_space: dict[str, list[Curve]] = {}
    for curve in curves:
        of_space.setdefault(curve.space, []).append(curve)
    return [
        Curve(
            "coordinates",
            space,
            "joint",
            {name: np.concatenate([c.columns[name] for c in maps]) for name in maps[0].columns},
        )
        for space, maps in of_space.items()
    ]
