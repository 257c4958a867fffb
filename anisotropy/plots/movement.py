"""Figure of what moved query by query between two spaces."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anisotropy.errors import InputError
from anisotropy.plots import style
from anisotropy.plots.compared import has_pair, one_pair
from anisotropy.results import Curve, Results

RANKED = "nDCG@10"
_SHOWN = (
    ("relative_positive_distance", "relative distance"),
    ("positive_percentile", "percentile"),
)
#: Name, color and marker of queries by the sign of their change in nDCG@10.
_KINDS = (
    (0, "same", "#999999", "."),
    (-1, "lower", "#D55E00", "v"),
    (1, "higher", "#0072B2", "^"),
)


def movement_caption(results: Results) -> str:
    """What a point is, and where the mean movement stands."""
    results = one_pair(results)
    a, b = results.labels
    count = _moved(results).columns[f"{_SHOWN[0][0]}_a"]
    n = int(np.isfinite(count).sum())
    return (
        f"A point a query, {a} against {b} (curve changes, on unit): distance to its relevant "
        "documents over the typical distance of a query and a document "
        "(relative_positive_distance), and share of the documents that are nearer than its best "
        "relevant one (positive_percentile; linear below the first tick). Below the line: closer "
        f"in {b}. Markers: how the query's {RANKED} changed. Titles: mean change over judged "
        f"pairs, with its 95% interval. n: {n:,} queries with a relevant document. "
        f"{style.where(results)} {style.OURS}"
    )


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
        Marker and color tell whether the query is ranked better, worse or as before.

    Raises
    ------
    InputError
        If there is no such curve, or several comparisons.
    """
    results = one_pair(results)
    curve = _moved(results)
    figure, panels, new = style.canvas(
        axes, len(_SHOWN), width=style.PAGE, height=3.5, rows=1, columns=2
    )
    for ax, (measure, word) in zip(panels, _SHOWN, strict=False):
        _scatter(ax, curve, measure)
        ax.set_title(f"{measure}{_mean(results, measure)}")
        a, b = (style.short(label, 30) for label in results.labels)
        ax.set(xlabel=f"{word}, {a}", ylabel=f"{word}, {b}")
    _from_zero(panels[1], curve)
    handles, labels = panels[0].get_legend_handles_labels()
    panels[0].legend(
        handles[::-1], labels[::-1], loc="upper left", title=RANKED, markerscale=1.5,
        title_fontsize=6.5,
    )  # fmt: skip
    if new and caption:
        style.add_caption(figure, movement_caption(results))
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


def _scatter(ax: Axes, curve: Curve, measure: str) -> None:
    x, y = (np.asarray(curve.columns[f"{measure}_{side}"]) for side in ("a", "b"))
    sign = np.sign(np.nan_to_num(np.asarray(curve.columns[f"{RANKED}_delta"], dtype=float)))
    for value, word, color, marker in _KINDS:
        mine = sign == value
        ax.scatter(
            x[mine], y[mine], s=9, marker=marker, color=color, alpha=0.7, linewidths=0,
            rasterized=True, label=word,
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
    for scale in (ax.set_xscale, ax.set_yscale):
        scale("symlog", linthresh=first, linscale=0.5)
    ax.set(xlim=(-0.2 * first, 1.3), ylim=(-0.2 * first, 1.3))


def _mean(results: Results, measure: str) -> str:
    """The mean difference with its interval; nothing where it was not tested."""
    for row in results.deltas:
        if (row.side, row.measure, row.on) == ("positives", measure, "unit"):
            if math.isnan(row.ci_low):
                return f": {row.delta:+.2g}"
            return f": {row.delta:+.2g} [{row.ci_low:.2g}, {row.ci_high:.2g}]"
    return ""
