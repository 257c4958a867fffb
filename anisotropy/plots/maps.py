"""Maps of queries and documents, with what they cannot be trusted for."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anisotropy.errors import InputError, one_of
from anisotropy.plots import style
from anisotropy.plots.curves import curves_of
from anisotropy.results import Curve, Results

_NAMES = {"tsne": "t-SNE", "pca": "PCA", "umap": "UMAP"}


def methods_of(results: Results) -> list[str]:
    """Methods of the maps in the results, in order."""
    found = [
        str(method)
        for curve in results.find_curves("coordinates")
        for method in dict.fromkeys(curve.columns["method"])
    ]
    return list(dict.fromkeys(found))


def projection_map_caption(results: Results, method: str) -> str:
    """How the map was made and what it cannot show."""
    curves = _maps_of(results, method)
    columns = curves[0].columns
    shown = {side: int((columns["side"] == side).sum()) for side in ("query", "document")}
    total = {side: columns.get(key) for side, key in _TOTALS.items()}
    counts = " and ".join(
        f"{shown[side]:,}"
        + (f" of {int(t[0]):,}" if (t := total[side]) is not None else "")
        + word
        for side, word in (("query", " queries"), ("document", " documents"))
    )
    perplexity = float(np.asarray(columns.get("perplexity", [np.nan]))[0])
    setting = f", perplexity {perplexity:g}," if np.isfinite(perplexity) else ""
    aligned = (
        " The maps are aligned: same texts, one start, the second rotated onto the first."
        if len(curves) == 2
        else ""
    )
    return (
        f"{_NAMES.get(method, method)}{setting} of {counts} in one fit (curve coordinates, on "
        f"unit).{aligned} Trust: trustworthiness, 15 neighbors, 1 is best; kept: share of the 15 "
        "nearest neighbors that stay so on the map; ρ: rank correlation of query-positive "
        "distances, space against map. A map cannot show uniformity, isotropy or distances "
        f"between far groups. {style.OURS}"
    )


_TOTALS = {"query": "n_queries", "document": "n_documents"}


def _maps_of(results: Results, method: str) -> list[Curve]:
    """Curves with only the rows of one method, in the order of the spaces."""
    known = methods_of(results)
    curves_of(results, "coordinates")
    if method not in known:
        raise InputError(f"map: {one_of(method, known)}")
    maps = []
    for curve in results.find_curves("coordinates"):
        mine = np.asarray(curve.columns["method"]) == method
        if mine.any():
            columns = {name: np.asarray(values)[mine] for name, values in curve.columns.items()}
            maps.append(Curve(curve.name, curve.space, curve.side, columns))
    return sorted(maps, key=lambda curve: results.labels.index(curve.space))


@style.styled
def projection_map(
    results: Results,
    method: str = "tsne",
    *,
    axes: Axes | Iterable[Axes] | None = None,
    caption: bool = True,
) -> Figure:
    """Queries and documents on the plane, a panel a space.

    Parameters
    ----------
    results
        With curves ``coordinates``.
    method
        ``tsne``, ``pca`` or ``umap``.
    axes
        One a space; None makes a figure of column width, or of page width for several spaces.
    caption
        Whether a new figure carries its caption.

    Returns
    -------
    matplotlib.figure.Figure
        Documents are dots, queries triangles. Two spaces share their axes.

    Raises
    ------
    InputError
        If there is no such map or too few axes are given.
    """
    maps = _maps_of(results, method)
    columns = 1 if len(maps) == 1 else 2
    rows = -(-len(maps) // columns)
    width = style.COLUMN if columns == 1 else style.PAGE
    figure, panels, new = style.canvas(
        axes,
        len(maps),
        width=width,
        height=0.6 + (0.22 + width / columns * _shape(maps)) * rows,
        rows=rows,
        columns=columns,
        sharex=len(maps) == 2,
        sharey=len(maps) == 2,
    )
    for ax, curve in zip(panels, maps, strict=False):
        _draw_map(ax, curve)
    handles, labels = panels[0].get_legend_handles_labels()
    # Documents are drawn first, below; the legend names queries first.
    panels[0].legend(handles[::-1], labels[::-1], loc="best", markerscale=1.6, frameon=True)
    if new and caption:
        style.add_caption(figure, projection_map_caption(results, method))
    return figure


def _shape(maps: list[Curve]) -> float:
    """Height over width of the panels: that of what is on them, within limits."""
    x, y = (np.concatenate([np.asarray(m.columns[name]) for m in maps]) for name in ("x", "y"))
    wide = float(np.ptp(x))
    return float(np.clip(np.ptp(y) / wide, 0.6, 1.1)) if wide > 0 else 1.0


def _draw_map(ax: Axes, curve: Curve) -> None:
    side = np.asarray(curve.columns["side"])
    for which, word in (("document", "documents"), ("query", "queries")):
        mine = side == which
        ax.scatter(
            np.asarray(curve.columns["x"])[mine],
            np.asarray(curve.columns["y"])[mine],
            # A query on top of its document must leave the document to be seen.
            s=7.0 if which == "document" else 2.8,
            marker=style.SIDE_MARKERS[which],
            color=style.SIDE_COLORS[which],
            alpha=0.75,
            linewidths=0,
            rasterized=True,
            label=word,
        )
    ax.set(aspect="equal", xticks=[], yticks=[], adjustable="box")
    ax.spines[["top", "right"]].set_visible(True)
    ax.set_title(style.short(curve.space, 40))
    ax.set_xlabel(_trust(curve), fontsize=6)


def _trust(curve: Curve) -> str:
    words = (
        ("trust {:.2f}", "trustworthiness"),
        ("kept {:.0%}", "neighbor_preservation"),
        ("ρ {:.2f}", "positive_distance_correlation"),
        ("variance {:.0%}", "variance_explained"),
    )
    parts = [
        form.format(value)
        for form, column in words
        if np.isfinite(value := float(np.asarray(curve.columns.get(column, [np.nan]))[0]))
    ]
    return " · ".join(parts)
