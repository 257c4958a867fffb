"""Figure of what moved query by query between two spaces."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from anisotropy.errors import InputError
from anisotropy.plots import style
from anisotropy.plots.compared import has_pair, one_pair
from anisotropy.results import Curve, Results

RANKED = "nDCG@10"
_SHOWN = (
    ("relative_positive_distance", "relative distance"),
    ("positive_percentile", "percentile"),
)
#: Sign of a query's change in nDCG@10, marker and size. What is better somewhere has the color of
#: the space where it is.
_KINDS = ((0, "o", 4), (-1, "v", 9), (1, "^", 9))
_TITLE = 7.5


def movement_caption(results: Results) -> str:
    """What a point is, and where the mean movement stands."""
    results = one_pair(results)
    a, b = results.labels
    moved = _moved(results)
    n = int(np.isfinite(moved.columns[f"{_SHOWN[0][0]}_a"]).sum())
    return (
        f"A point a query, {a} against {b} (curve changes, on unit): distance to its relevant "
        "documents over the typical distance of a query and a document "
        "(relative_positive_distance), and share of the documents that are nearer than its best "
        "relevant one (positive_percentile; linear below the first number above 0). Below the "
        f"line: closer in {b}. Color and marker: which space has the query's higher {RANKED}. "
        f"{_titles(results)}n: {style.counted(n, 'query')} with a relevant document"
        f"{_in_one_point(moved)}. {style.ending(results)}"
    )


def _titles(results: Results) -> str:
    """What the numbers in the titles are, where there are any."""
    titles = [_mean(results, measure) for measure, _ in _SHOWN]
    if not any(titles):
        return ""
    between = ", with its 95% interval" if any("[" in title for title in titles) else ""
    return f"Titles: mean change over judged pairs{between}. "


def _in_one_point(moved: Curve) -> str:
    """How many queries share the point at the origin, where any do."""
    a, b = (moved.columns[f"{_SHOWN[1][0]}_{side}"] for side in ("a", "b"))
    count = int(np.sum((a == 0) & (b == 0)))
    return f", {count:,} of them at percentile 0 in both, so one point" if count > 1 else ""


@style.styled
def movement(
    results: Results, *, axes: Iterable[Axes] | None = None, caption: bool = True
) -> Figure:
    """Where the relevant documents of each query are in two spaces, one against the other.

    Parameters
    ----------
    results
        Of two sides, with the curve ``changes``.
    axes
        Two: distance and percentile; None makes a figure of page width.
    caption
        Whether a new figure carries its caption.

    Returns
    -------
    matplotlib.figure.Figure
        Color and marker tell in which space the query is ranked better, if in any.

    Raises
    ------
    InputError
        If there is no such curve, or several comparisons.
    """
    results = one_pair(results)
    curve = _moved(results)
    figure, panels, new = style.canvas(
        axes, len(_SHOWN), width=style.PAGE, height=3.0, rows=1, columns=2
    )
    for ax, (measure, word) in zip(panels, _SHOWN, strict=False):
        _scatter(ax, curve, measure, _colors(results))
        ax.set_title(f"{measure}{_mean(results, measure)}")
        a, b = (
            style.fitted(label, 1.3, style.STYLE["axes.labelsize"]) for label in results.labels
        )
        ax.set(xlabel=f"{word}, {a}", ylabel=f"{word}, {b}")
    _from_zero(panels[1], curve)
    style.add_legend(figure, panels[0], _handles(results), new)
    if new and caption:
        style.caption_below(figure, movement_caption(results))
    return figure


def movement_ready(results: Results) -> bool:
    """Whether there is one comparison, with queries that have relevant documents."""
    return has_pair(results) and any(map(_judged, one_pair(results).find_curves("changes")))


def _judged(curve: Curve) -> bool:
    """Whether any query has a relevant document in both spaces."""
    return all(
        np.isfinite(np.asarray(curve.columns.get(f"{measure}_{side}", ()), dtype=float)).any()
        for measure, _ in _SHOWN
        for side in ("a", "b")
    )


def _moved(results: Results) -> Curve:
    for curve in filter(_judged, results.find_curves("changes")):
        return curve
    raise InputError("no curve 'changes' of queries with relevant documents in these results")


def _colors(results: Results) -> dict[int, str]:
    """Color of the queries whose nDCG@10 changed that way: of the space where it is higher."""
    a, b = (style.color_of(style.place_of(results, label)) for label in results.labels)
    return {0: style.GRAY, -1: a, 1: b}


def _handles(results: Results) -> list[Line2D]:
    a, b = results.labels
    colors = _colors(results)
    names = {1: f"{RANKED} higher in {style.short(b)}", -1: f"{RANKED} higher in {style.short(a)}"}
    return [
        style.plain_handle(
            names.get(sign, f"{RANKED} the same"), color=colors[sign], marker=marker,
            linestyle="none", markersize=size**0.5 * 1.3, markeredgewidth=0,
        )
        for sign, marker, size in reversed(_KINDS)
    ]  # fmt: skip


def _scatter(ax: Axes, curve: Curve, measure: str, colors: Mapping[int, str]) -> None:
    x, y = (np.asarray(curve.columns[f"{measure}_{side}"]) for side in ("a", "b"))
    sign = np.sign(np.nan_to_num(np.asarray(curve.columns[f"{RANKED}_delta"], dtype=float)))
    for value, marker, size in _KINDS:
        mine = sign == value
        ax.scatter(
            x[mine], y[mine], s=size, marker=marker, color=colors[value], alpha=0.6,
            linewidths=0, rasterized=True,
        )  # fmt: skip
    ends = [np.nanmin([x, y]), np.nanmax([x, y])]
    ax.plot(ends, ends, color="black", linewidth=0.7, linestyle="--")
    ax.set_aspect("equal", adjustable="box")


def _from_zero(ax: Axes, curve: Curve) -> None:
    """Logarithmic axes that begin at 0, where the best relevant document is the nearest."""
    values = np.concatenate([curve.columns[f"{_SHOWN[1][0]}_{side}"] for side in ("a", "b")])
    above = values[values > 0]
    least = float(above.min()) if above.size else 1.0
    first = 10 ** math.ceil(math.log10(least))
    top = min(max(2 * float(values.max(initial=0, where=values > 0)), 1.5 * first), 1.3)
    for scale in (ax.set_xscale, ax.set_yscale):
        scale("symlog", linthresh=first, linscale=0.5)
    ax.set(xlim=(-0.2 * first, top), ylim=(-0.2 * first, top))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(lambda value, _: style.number_text(value))


def _mean(results: Results, measure: str) -> str:
    """The mean difference with its interval; nothing where it was not tested."""
    for row in results.deltas:
        if (row.side, row.measure, row.on) == ("positives", measure, "unit"):
            between = f" [{row.ci_low:.2g}, {row.ci_high:.2g}]" if row.ci_low == row.ci_low else ""
            return style.tidy(f": {row.delta:+.2g}{between}")
    return ""
