"""Figure of hubs: how often items are among the nearest of others, against chance."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from anisotropy.plots import style
from anisotropy.plots.curves import curves_of, line
from anisotropy.results import Curve, Results

_SIDES = {
    "queries": "queries among queries",
    "documents": "documents among documents",
    "ranking": "documents for queries",
    "dual_ranking": "queries for documents",
}


def hubness_caption(results: Results) -> str:
    """What is counted, of how many, and what chance means."""
    curves = curves_of(results, "k_occurrence")
    k = ", ".join(dict.fromkeys(str(int(curve.columns["k"][0])) for curve in curves))
    counts = "; ".join(dict.fromkeys(map(_counts, curves)))
    return (
        f"Share of the items that are among the {k} nearest of so many others or more (curve "
        f"k_occurrence, on unit; behind hubness_gini(k={k}), antihub_share(k={k})). Gray: anchors "
        "that choose at random (binomial), for which the line falls steeply; a long tail is hubs, "
        "what is missing from 1 at the left are items that nobody reaches. An offset between the "
        "sides alone makes hubs across them: center=sides in the table is the control."
        f"{style.seeds_text(results)} n: {counts}. {style.ending(results)}"
    )


def _counts(curve: Curve) -> str:
    items, anchors = (int(curve.columns[name][0]) for name in ("n_items", "n_anchors"))
    return f"{_SIDES.get(curve.side, curve.side)}: {items:,} by {anchors:,}"


@style.styled
def hubness(
    results: Results, *, axes: Axes | Iterable[Axes] | None = None, caption: bool = True
) -> Figure:
    """Share of the items that occur so often or more among the nearest, a panel a side.

    Parameters
    ----------
    results
        With curves ``k_occurrence``.
    axes
        One a side; None makes a figure of page width, of column width for one side.
    caption
        Whether a new figure carries its caption.

    Returns
    -------
    matplotlib.figure.Figure
        Color and marker tell the space; items that never occur lie left of the axis.

    Raises
    ------
    InputError
        If the curves are not there or too few axes are given.
    """
    curves = curves_of(results, "k_occurrence")
    sides = [side for side in _SIDES if any(curve.side == side for curve in curves)]
    columns = min(len(sides), 2)
    rows = -(-len(sides) // columns)
    width = style.PAGE if columns == 2 else style.COLUMN
    figure, panels, new = style.canvas(
        axes, len(sides), width=width, height=0.2 + 1.6 * rows, rows=rows, columns=columns
    )
    for place, (ax, side) in enumerate(zip(panels, sides, strict=False)):
        _side(ax, results, [curve for curve in curves if curve.side == side])
        ax.set_title(_SIDES[side])
        if place % columns == 0 or not new:
            ax.set_ylabel("share of items")
    chance = Patch(color=style.CHANCE, label="chance")
    handles = style.space_handles(results, (curve.space for curve in curves))
    style.add_legend(figure, panels[0], [chance, *handles], new)
    if new and caption:
        style.caption_below(figure, hubness_caption(results))
    return figure


def _side(ax: Axes, results: Results, curves: list[Curve]) -> None:
    first = curves[0].columns
    ax.fill_between(
        first["occurrences"], first["null_at_least"], step="pre", color=style.CHANCE, linewidth=0,
        label="chance",
    )  # fmt: skip
    for curve in curves:
        drawn = line(ax, results, curve, "occurrences", "share_at_least")
        drawn.set(linestyle="-", label=style.short(curve.space), drawstyle="steps-pre")
    items = int(np.asarray(first["n_items"])[0])
    ax.set(xlim=(0.9, None), ylim=(0.5 / items, 1.5), xlabel="times among the nearest")
    style.log_axes(ax)
