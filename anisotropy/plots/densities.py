"""Figures of densities, a panel a space: query-document distances, and cosines of pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anisotropy.plots import style
from anisotropy.plots.curves import curves_of
from anisotropy.results import Curve, Results

#: Column, name, color, line; the filled one is what the others are read against.
Kind = tuple[str, str, str, str]
_FILLED = "#BBBBBB"
_DISTANCES: tuple[Kind, ...] = (
    ("random", "random", _FILLED, "-"),
    ("positives", "relevant", "#009E73", "-"),
    ("nearest", "nearest", "#CC79A7", "--"),
)
_COSINES: tuple[Kind, ...] = (
    ("query_document", "query-document", _FILLED, "-"),
    ("query_positive", "query-relevant", "#009E73", "-"),
    ("query_query", "query-query", "#0072B2", "--"),
    ("document_document", "document-document", "#D55E00", ":"),
)


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
        curves_of(results, "distances"),
        _DISTANCES,
        axes,
        "distance of a query to documents (unit vectors)",
    )
    if new and caption:
        style.add_caption(figure, distances_caption(results))
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
    q, d, p = (int(curve.columns[name][0]) for name in ("n_queries", "n_documents", "n_positives"))
    return f"{q:,} queries and {d:,} documents (seeded samples), and {p:,} judged pairs"


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
    figure, new = _draw(
        curves_of(results, "cosines"), _COSINES, axes, "cosine of a pair (unit vectors)"
    )
    if new and caption:
        style.add_caption(figure, cosines_caption(results))
    return figure


def _draw(
    curves: Sequence[Curve],
    kinds: Sequence[Kind],
    axes: Axes | Iterable[Axes] | None,
    xlabel: str,
) -> tuple[Figure, bool]:
    """A panel a curve, all on one horizontal axis; says whether the figure is new."""
    shape = style.grid(len(curves))
    figure, panels, new = style.canvas(
        axes, len(curves), height=0.76 + 1.15 * shape["rows"], sharex=True, **shape
    )
    for place, (ax, curve) in enumerate(zip(panels, curves, strict=False)):
        _histograms(ax, curve, kinds)
        ax.set_title(style.short(curve.space, 50))
        if place % shape["columns"] == 0 or not new:
            ax.set_ylabel("density")
        if place >= len(curves) - shape["columns"]:
            ax.set_xlabel(xlabel)
            ax.tick_params(labelbottom=True)
    panels[0].set_xlim(_occupied(curves, kinds))
    # Above the panels of a figure of ours: the lines leave no corner free for sure.
    if new:
        style.legend_above(figure, panels[0].get_legend_handles_labels()[0])
    else:
        panels[0].legend(loc="best")
    return figure, new


def _occupied(curves: Sequence[Curve], kinds: Sequence[Kind]) -> tuple[float, float]:
    """Ends of the bins that hold anything, one empty bin more on each side."""
    ends = []
    for curve in curves:
        low, high = np.asarray(curve.columns["bin_low"]), np.asarray(curve.columns["bin_high"])
        filled = sum(np.nan_to_num(curve.columns[c]) for c, *_ in kinds if c in curve.columns)
        where = np.flatnonzero(filled)
        if where.size:
            ends.append((low[max(where[0] - 1, 0)], high[min(where[-1] + 1, len(high) - 1)]))
    return min((e[0] for e in ends), default=0.0), max((e[1] for e in ends), default=2.0)


def _not_empty(density: np.ndarray) -> slice:
    """The bins from the first to the last that hold anything: no line along the axis."""
    where = np.flatnonzero(density)
    return slice(int(where[0]), int(where[-1]) + 1) if where.size else slice(0, 1)


def _histograms(ax: Axes, curve: Curve, kinds: Sequence[Kind]) -> None:
    low, high = np.asarray(curve.columns["bin_low"]), np.asarray(curve.columns["bin_high"])
    edges = np.append(low, high[-1:])
    for column, label, color, line in kinds:
        density = np.asarray(curve.columns.get(column, ()), dtype=float)
        if not np.isfinite(density).any():
            continue
        shown = _not_empty(density)
        ax.stairs(
            density[shown],
            edges[shown.start : shown.stop + 1],
            fill=color == _FILLED,
            color=color,
            linestyle=line,
            linewidth=1.2,
            label=label,
        )
    ax.set_ylim(bottom=0)
