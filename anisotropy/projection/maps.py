"""Maps of one space, and aligned maps of two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from anisotropy.backend import one_thread_each
from anisotropy.errors import UsageError, one_of
from anisotropy.projection.faithfulness import distance_correlation, faithfulness
from anisotropy.projection.layouts import LAYOUTS, Layout, principal_axes, rigid
from anisotropy.projection.sample import Sample, choose_points, unit_points
from anisotropy.results import Curve

if TYPE_CHECKING:
    from anisotropy.spaces import EmbeddingSpace

Method = Literal["tsne", "pca", "umap"]
METHODS = ("pca", "tsne", "umap")
NEIGHBORHOOD = 15


def project(
    space: EmbeddingSpace,
    method: Method = "tsne",
    *,
    n: int = 1500,
    perplexity: float = 30.0,
    random_state: int = 0,
) -> Curve:
    """Map queries and documents of one space to the plane, in one fit, on unit rows.

    Parameters
    ----------
    space
        The space. Of a document with several vectors the first that is not padding is shown.
    method
        ``tsne`` (openTSNE on our exact neighbor table, PCA start), ``pca`` or ``umap``.
    n
        Number of points; :func:`anisotropy.projection.sample.choose_points` states the rule.
    perplexity
        Of t-SNE, lowered where there are fewer than three times as many points. 5 to 50.
    random_state
        Seed of the sample and of the optimizer. On one machine the same seed gives the same
        bytes, with any number of threads: matrix products keep to one each.

    Returns
    -------
    Curve
        ``coordinates``, side ``joint``, one row a point: ``id``, ``side`` (``query`` or
        ``document``), ``x``, ``y``, ``method``, ``positive`` (a document judged relevant for a
        shown query), ``negative`` (the best ranked document of a shown query that is not). The
        same in each row: ``trustworthiness`` and ``neighbor_preservation`` (15 neighbors),
        ``positive_distance_correlation`` (Spearman, shown judged pairs, space against map),
        ``variance_explained`` (PCA, else NaN), ``perplexity`` (t-SNE, else NaN),
        ``random_state``, ``n_queries`` and ``n_documents`` (there are to choose from), ``start``
        (label of the space whose start was used).

    Raises
    ------
    UsageError
        If the method is unknown, or fewer than 5 points are asked for.
    TooFewPoints
        If fewer than 5 points are there; a `UsageError` too.
    EmbeddingsError
        If a shown row is all zeros.
    """
    return project_all([space], method, n=n, perplexity=perplexity, random_state=random_state)[0]


def project_pair(
    a: EmbeddingSpace,
    b: EmbeddingSpace,
    method: Method = "tsne",
    *,
    n: int = 1500,
    perplexity: float = 30.0,
    random_state: int = 0,
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
    method, n, perplexity, random_state
        As in :func:`project`.

    Returns
    -------
    tuple of Curve
        The maps of `a` and `b`: rows in the same order, columns as in :func:`project`.

    Raises
    ------
    UsageError, TooFewPoints, EmbeddingsError
        As in :func:`project`.
    """
    map_a, map_b = project_all(
        [a, b], method, n=n, perplexity=perplexity, random_state=random_state
    )
    return map_a, map_b


def project_all(
    spaces: Sequence[EmbeddingSpace],
    method: Method = "tsne",
    *,
    n: int = 1500,
    perplexity: float = 30.0,
    random_state: int = 0,
) -> list[Curve]:
    """Maps of one space or several, every one aligned with that of the first.

    Parameters
    ----------
    spaces
        One or more; the ids that all have are shown.
    method, n, perplexity, random_state
        As in :func:`project`.

    Returns
    -------
    list of Curve
        A map a space, as of :func:`project_pair`.

    Raises
    ------
    UsageError, TooFewPoints, EmbeddingsError
        As in :func:`project`.
    """
    _check(method, perplexity)
    # One thread in matrix products: the same bytes whatever number of threads a machine has.
    with one_thread_each:
        sample = choose_points(spaces, n, random_state)
        points = [unit_points(space, sample) for space in spaces]
        maps = _aligned(points, LAYOUTS[method], perplexity, random_state)
        first = spaces[0].label
        return [
            _curve(space, method, sample, rows, made, first, perplexity, random_state)
            for space, rows, made in zip(spaces, points, maps, strict=True)
        ]


def _aligned(
    points: Sequence[np.ndarray], layout: type[Layout], perplexity: float, seed: int
) -> list[np.ndarray]:
    """Coordinates of the same points in several spaces, all from the start of the first."""
    laid = layout(points[0], perplexity, seed)
    start = laid.start()
    maps = [laid.settle(start)]
    for others in points[1:]:
        maps.append(rigid(layout(others, perplexity, seed).settle(start), maps[0]))
    return maps


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


def _check(method: str, perplexity: float) -> None:
    if method not in METHODS:
        raise UsageError(f"projection: {one_of(method, METHODS)}")
    if not perplexity >= 1:
        raise UsageError(f"perplexity: got {perplexity}; allowed: 1 or more, usually 5 to 50")


def _curve(
    space: EmbeddingSpace,
    method: str,
    sample: Sample,
    points: np.ndarray,
    coordinates: np.ndarray,
    first: str,
    perplexity: float,
    random_state: int,
) -> Curve:
    n_queries, n_documents = len(sample.query_ids), len(sample.doc_ids)
    trust, preserved = faithfulness(points, coordinates, NEIGHBORHOOD)
    pairs = sample.positives + np.array([0, n_queries])
    judged = (sample.positives, sample.negatives)
    positive, negative = (
        np.isin(np.arange(len(points)), n_queries + documents[:, 1]) for documents in judged
    )
    same = {
        "trustworthiness": trust,
        "neighbor_preservation": preserved,
        "positive_distance_correlation": distance_correlation(points, coordinates, pairs),
        "variance_explained": principal_axes(points)[1] if method == "pca" else np.nan,
        "perplexity": float(perplexity) if method == "tsne" else np.nan,
        "random_state": random_state,
        "n_queries": sample.n_queries,
        "n_documents": sample.n_documents,
    }
    columns = {
        "id": np.array(sample.query_ids + sample.doc_ids, dtype=object),
        "side": np.array(["query"] * n_queries + ["document"] * n_documents, dtype=object),
        "x": coordinates[:, 0],
        "y": coordinates[:, 1],
        "method": np.array([method] * len(points), dtype=object),
        "positive": positive,
        "negative": negative,
        "start": np.array([first] * len(points), dtype=object),
    }
    columns |= {name: np.full(len(points), value) for name, value in same.items()}
    return Curve("coordinates", space.label, "joint", columns)
