"""Figures of densities, a panel a space: query-document distances, and cosines of pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from anisotropy.plots import style
from anisotropy.plots.curves import curves_of
from anisotropy.results import Curve, Results

#: Column, name, color, line; the filled one is what the others are read against.
Kind = tuple[str, str, str, Any]
#: The color of the space that a panel is of.
_OF_SPACE = ""
_DASHES, _DOTS = (0, (3, 1.2)), (0, (1, 1.2))
_DISTANCES: tuple[Kind, ...] = (
    ("random", "random", style.CHANCE, "-"),
    ("positives", "relevant", _OF_SPACE, "-"),
    ("nearest", "nearest", "#000000", _DASHES),
)
_COSINES: tuple[Kind, ...] = (
    ("query_document", "query-document", style.CHANCE, "-"),
    ("query_positive", "query-relevant", _OF_SPACE, "-"),
    ("query_query", "query-query", style.SIDE_COLORS["query"], _DOTS),
    ("document_document", "document-document", style.SIDE_COLORS["document"], _DASHES),
)
_TITLE = 7.5


def distances_caption(results: Results) -> str:
    """What the distances show."""
    return (
        "Density of Euclidean query-document distances (curve distances, on unit; behind "
        "positive_distance, relative_positive_distance). All of them shrink with any common "
        "direction: compare relevant with random documents within a space, not positions "
        f"across spaces. {style.sizes(results)} {style.OURS}"
    )


@style.styled
def distances(
    results: Results, *, axes: Axes | Iterable[Axes] | None = None, caption: bool = True
) -> Figure:
    """Distances from queries to random, relevant and nearest documents, a panel a space.

    Parameters
    ----------
    results
        With curves ``distances``.
    axes
        One a space; None makes a figure of column width, of page width for more than three.
    caption
        Whether a new figure carries its caption.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If the curves are not there or too few axes are given.
    """
    figure, new = _draw(
        results, "distances", _DISTANCES, axes, "distance of a query to documents (unit vectors)"
    )
    if new and caption:
        style.caption_below(figure, distances_caption(results))
    return figure


def cosines_caption(results: Results) -> str:
    """What the cosines show, and of how many pairs."""
    counts = "; ".join(dict.fromkeys(map(_pairs_text, curves_of(results, "cosines"))))
    return (
        "Density of cosines (curve cosines, on unit; behind mean_cosine, alignment(alpha=2)): "
        f"distinct pairs of {counts}. A cone moves all of them right; what lies between relevant "
        f"and random pairs is what ranking has to go by. {style.sizes(results)} {style.OURS}"
    )


def _pairs_text(curve: Curve) -> str:
    queries, documents, pairs = (
        style.counted(int(curve.columns[name][0]), unit)
        for name, unit in (
            ("n_queries", "query"), ("n_documents", "document"), ("n_positives", "judged pair"),
        )
    )  # fmt: skip
    return f"{queries} and {documents} (seeded samples), and {pairs}"


@style.styled
def cosines(
    results: Results, *, axes: Axes | Iterable[Axes] | None = None, caption: bool = True
) -> Figure:
    """Cosines of queries, of documents, across, and of judged pairs, a panel a space.

    Parameters
    ----------
    results
        With curves ``cosines``.
    axes
        One a space; None makes a figure of column width, of page width for more than three.
    caption
        Whether a new figure carries its caption.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If the curves are not there or too few axes are given.
    """
    figure, new = _draw(results, "cosines", _COSINES, axes, "cosine of a pair (unit vectors)")
    if new and caption:
        style.caption_below(figure, cosines_caption(results))
    return figure


def _draw(
    results: Results,
    name: str,
    kinds: Sequence[Kind],
    axes: Axes | Iterable[Axes] | None,
    xlabel: str,
) -> tuple[Figure, bool]:
    """A panel a curve, all on one horizontal axis; says whether the figure is new."""
    curves = curves_of(results, name)
    shape = style.grid(len(curves))
    figure, panels, new = style.canvas(
        axes, len(curves), height=0.3 + 1.05 * shape["rows"], sharex=True, **shape
    )
    room = shape["width"] / shape["columns"] - 0.5
    for place, (ax, curve) in enumerate(zip(panels, curves, strict=False)):
        _histograms(ax, curve, kinds, style.color_of(style.place_of(results, curve.space)))
        ax.set_title(style.fitted(curve.space, room, _TITLE))
        if place % shape["columns"] == 0 or not new:
            ax.set_ylabel("density")
        if place >= len(curves) - shape["columns"] or not new:
            ax.set_xlabel(xlabel)
            ax.tick_params(labelbottom=True)
        ax.set_xlim(_occupied(curves, kinds))
        # Values that are all alike lie in bins of rounding: no offset, and room for long numbers.
        ax.xaxis.set_major_locator(MaxNLocator(6 if np.ptp(ax.get_xlim()) > 0.01 else 3))
        ax.xaxis.set_major_formatter(ScalarFormatter(useOffset=False))
    style.add_legend(figure, panels[0], _handles(curves, kinds), new)
    return figure, new


def _handles(curves: Sequence[Curve], kinds: Sequence[Kind]) -> list[Artist]:
    """Legend entries of the kinds that any panel has, those in colors of spaces in gray."""
    shown = [kind for kind in kinds if any(_density(curve, kind).any() for curve in curves)]
    return [
        Patch(color=color, label=label)
        if color == style.CHANCE
        else style.plain_handle(label, color=color or style.GRAY, linestyle=line)
        for _, label, color, line in shown
    ]


def _density(curve: Curve, kind: Kind) -> np.ndarray:
    """Values of a kind, zero where there are none."""
    density = np.asarray(curve.columns.get(kind[0], (0.0,)), dtype=float)
    return np.where(np.isfinite(density), density, 0.0)


def _occupied(curves: Sequence[Curve], kinds: Sequence[Kind]) -> tuple[float, float]:
    """Ends of the bins that hold anything, one bin's width more on each side."""
    ends = []
    for curve in curves:
        low, high = np.asarray(curve.columns["bin_low"]), np.asarray(curve.columns["bin_high"])
        filled = np.zeros(len(low)) + sum(_density(curve, kind) for kind in kinds)
        where = np.flatnonzero(filled)
        if where.size:
            first, last = where[0], where[-1]
            ends.append((2 * low[first] - high[first], 2 * high[last] - low[last]))
    return min((e[0] for e in ends), default=0.0), max((e[1] for e in ends), default=2.0)


def _not_empty(density: np.ndarray) -> slice:
    """The bins from the first to the last that hold anything: no line along the axis."""
    where = np.flatnonzero(density)
    return slice(int(where[0]), int(where[-1]) + 1)


def _histograms(ax: Axes, curve: Curve, kinds: Sequence[Kind], own: str) -> None:
    low, high = np.asarray(curve.columns["bin_low"]), np.asarray(curve.columns["bin_high"])
    edges = np.append(low, high[-1:])
    for kind in kinds:
        density = _density(curve, kind)
        if not density.any():
            continue
        _, label, color, line = kind
        shown = _not_empty(density)
        ax.stairs(
            density[shown],
            edges[shown.start : shown.stop + 1],
            fill=color == style.CHANCE,
            color=color or own,
            linestyle=line,
            linewidth=1.2,
            label=label,
        )
    ax.set_ylim(bottom=0)
