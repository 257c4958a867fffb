"""Maps of queries and documents, with what they cannot be trusted for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

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
    total = {side: _first(columns, key, shown[side]) for side, key in _TOTALS.items()}
    counts = " and ".join(
        (f"{shown[side]:,} of " if total[side] > shown[side] else "all " * (total[side] > 1))
        + style.counted(int(total[side]), side)
        for side in ("query", "document")
    )
    perplexity = _first(columns, "perplexity", np.nan)
    setting = f", perplexity {perplexity:g}," if np.isfinite(perplexity) else ""
    parts = [
        f"{_NAMES.get(method, method)}{setting} of {counts} in one fit (curve coordinates, on "
        f"unit, seed {_first(columns, 'random_state', 0):.0f}).",
        _SAMPLED if sum(total.values()) > sum(shown.values()) else "",
        _aligned_text(curves, method),
        _beside_text(results, method, len(curves)),
        "Trust: trustworthiness, 15 neighbors, 1 is best; kept: share of the 15 nearest neighbors "
        "that stay so on the map; ρ: rank correlation of query-positive distances, space against "
        "map; variance: share of it on the axes of PCA. A map cannot show uniformity, isotropy or "
        "distances between far groups.",
        style.ending(results),
    ]
    return " ".join(filter(None, parts))


_SAMPLED = (
    "Sampled by a hash of the id: queries with all their positives and, in each space, their best "
    "ranked document that is not relevant; the rest is documents at random."
)


def _beside_text(results: Results, method: str, spaces: int) -> str:
    if not _has_pca(results, method):
        return ""
    if spaces == 1:
        return "PCA beside."
    return "PCA beside: each space's own axes, rotated onto those of the first."


def _first(columns: Mapping[str, np.ndarray], name: str, otherwise: float) -> float:
    """A value that is the same in each row; maps from before it was written have none."""
    return float(np.asarray(columns[name])[0]) if name in columns else otherwise


def _aligned_text(curves: list[Curve], method: str) -> str:
    starts = {str(np.asarray(c.columns["start"])[0]) for c in curves if "start" in c.columns}
    if len(curves) < 2 or len(starts) > 1 or not starts:
        return ""
    first = starts.pop()
    if method == "pca":
        return f"Same texts; each space's own axes, rotated onto those of {first}."
    return f"Aligned: same texts, all from the start of {first} and rotated onto its map."


#: Height of a row of PCA maps against that of the maps it stands below.
_PCA_ROW = 0.7
#: Share of the extent around the points.
_MARGIN = 0.05
#: Points of the letters below a map.
_TRUST = 6
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
    """Queries and documents on the plane, a panel a space, with the PCA map beside.

    Parameters
    ----------
    results
        With curves ``coordinates``.
    method
        ``tsne``, ``pca`` or ``umap``.
    axes
        One a space, and no PCA beside; None makes a figure of page width, or for PCA of one
        space of column width.
    caption
        Whether a new figure carries its caption.

    Returns
    -------
    matplotlib.figure.Figure
        Documents are dots, queries triangles. All panels of a method show the same part of the
        plane.

    Raises
    ------
    InputError
        If there is no such map or too few axes are given.
    """
    maps = _maps_of(results, method)
    beside = _maps_of(results, "pca") if axes is None and _has_pca(results, method) else []
    if axes is None:
        figure, panels = _panels(maps, beside)
    else:
        figure, panels, _ = style.canvas(axes, len(maps))
    for ax, curve in zip(panels, [*maps, *beside], strict=False):
        _draw_map(ax, curve)
    if axes is None:
        for group, own in ((maps, panels[: len(maps)]), (beside, panels[len(maps) :])):
            _same_limits(own, group)
    style.add_legend(figure, panels[0], _handles(), axes is None)
    if axes is None and caption:
        style.caption_below(figure, projection_map_caption(results, method))
    return figure


def _same_limits(panels: list[Axes], maps: list[Curve]) -> None:
    """Show the same part of the plane in every panel, so that panels have one shape."""
    for name in ("x", "y") if maps else ():
        values = np.concatenate([np.asarray(curve.columns[name]) for curve in maps])
        low, high = float(values.min()), float(values.max())
        margin = _MARGIN * (high - low) or 1.0
        for ax in panels:
            ax.set(**{f"{name}lim": (low - margin, high + margin)})


def _has_pca(results: Results, method: str) -> bool:
    return method != "pca" and "pca" in methods_of(results)


def _panels(maps: list[Curve], beside: list[Curve]) -> tuple[Figure, list[Axes]]:
    """Panels of a new figure: one a map, then one a PCA map.

    Of one space or two PCA stands in a row of its own or to the right; of more to the right of
    each map.
    """
    rows, columns, order = _arranged(len(maps), bool(beside))
    width = style.COLUMN if rows == columns == 1 else style.PAGE
    heights = [_shape(maps)] * rows
    if beside and columns == len(maps):
        heights[-1] = _PCA_ROW * _shape(beside)
    figure, panels, _ = style.canvas(
        None,
        rows * columns,
        width=width,
        height=sum(heights) * width / columns + (0.34 if columns <= 2 else 0.56) * rows,
        rows=rows,
        columns=columns,
        height_ratios=heights,
    )
    for unused in set(range(rows * columns)) - set(order):
        panels[unused].set_visible(False)
    return figure, [panels[place] for place in order]


def _arranged(spaces: int, beside: bool) -> tuple[int, int, list[int]]:
    """Rows, columns, and the place of every map and then of every PCA map."""
    if spaces == 1:
        return 1, 1 + beside, [0, 1] if beside else [0]
    if spaces == 2 or not beside:
        rows = -(-spaces // 2) * (1 + beside)
        return rows, 2, list(range(spaces * (1 + beside)))
    maps = [2 * space for space in range(spaces)]
    return -(-spaces // 2), 4, [*maps, *(place + 1 for place in maps)]


def _handles() -> list[Line2D]:
    return [
        Line2D(
            [], [], linestyle="none", marker=style.SIDE_MARKERS[side], markersize=size,
            color=style.SIDE_COLORS[side], label=word,
        )
        for side, word, size in (("query", "queries", 4), ("document", "documents", 5))
    ]  # fmt: skip


def _shape(maps: list[Curve]) -> float:
    """Height over width of the panels: that of what is on them, within limits."""
    x, y = (np.concatenate([np.asarray(m.columns[name]) for m in maps]) for name in ("x", "y"))
    wide = float(np.ptp(x))
    return float(np.clip(np.ptp(y) / wide, 0.6, 1.1)) if wide > 0 else 1.0


def _draw_map(ax: Axes, curve: Curve) -> None:
    side = np.asarray(curve.columns["side"])
    for which in ("document", "query"):
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
        )
    ax.set(aspect="equal", xticks=[], yticks=[], adjustable="box")
    ax.spines[["top", "right"]].set_visible(True)
    room = ax.get_window_extent().width / ax.get_figure(root=True).dpi  # type: ignore[union-attr]
    ax.set_title(style.fitted(curve.space, room, style.STYLE["axes.titlesize"]))
    ax.set_xlabel(_trust(curve, room), fontsize=_TRUST)


def _trust(curve: Curve, room: float) -> str:
    """Method and faithfulness, in two lines where one has no room."""
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
    name = str(np.asarray(curve.columns["method"])[0])
    parts.insert(0, _NAMES.get(name, name))
    line = " · ".join(parts)
    if style.width_of(line, _TRUST) <= room:
        return line
    return "\n".join([" · ".join(parts[:2]), " · ".join(parts[2:])])
