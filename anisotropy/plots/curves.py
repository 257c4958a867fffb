"""Figures of curves: spectra, query-document distances, negative-sampling probabilities."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anisotropy.errors import InputError
from anisotropy.plots import style
from anisotropy.results import Curve, Results

_ROLES = {
    "queries": "queries as negatives of documents",
    "documents": "documents as negatives of queries",
}
_DISTANCES = (
    ("random", "random", style.GRAY, "-"),
    ("positives", "relevant", "#009E73", "-"),
    ("nearest", "nearest", "#CC79A7", "--"),
)


def curves_of(results: Results, name: str) -> list[Curve]:
    """Curves called `name`.

    Raises
    ------
    InputError
        If the results have none.
    """
    found = results.find_curves(name)
    if not found:
        known = ", ".join(sorted({curve.name for curve in results.curves})) or "none"
        raise InputError(f"no curve {name!r} in these results; there: {known}")
    return found


def spectrum_caption(results: Results) -> str:
    """What the spectrum shows."""
    return (
        "Eigenvalues of the centered covariance as shares of their sum (curve spectrum, on unit; "
        "behind participation_ratio, isoscore). A flat line uses all dimensions alike; steep "
        f"means few. The mean, so the cone, is not seen. {style.sizes(results)} {style.OURS}"
    )


@style.styled
def spectrum(results: Results, *, axes: Axes | None = None, caption: bool = True) -> Figure:
    """Share of the variance by rank of the eigenvalue, each space and side.

    Parameters
    ----------
    results
        With curves ``spectrum``.
    axes
        Where to draw; None makes a figure of column width.
    caption
        Whether a new figure carries its caption.

    Returns
    -------
    matplotlib.figure.Figure
        Color and marker tell the space, line style the side.

    Raises
    ------
    InputError
        If the curves are not there.
    """
    curves = curves_of(results, "spectrum")
    figure, (ax, *_), new = style.canvas(axes, 1, width=style.COLUMN, height=2.6)
    for curve in curves:
        _line(ax, results, curve, "rank", "share")
    style.log_axes(ax)
    ax.set(xlabel="rank of the eigenvalue", ylabel="share of variance")
    style.add_legend(figure, ax, "lower left", new)
    if new and caption:
        style.add_caption(figure, spectrum_caption(results))
    return figure


def _line(ax: Axes, results: Results, curve: Curve, x: str, y: str) -> None:
    index = results.labels.index(curve.space)
    horizontal = np.asarray(curve.columns[x])
    ax.plot(
        horizontal,
        curve.columns[y],
        color=style.color_of(index),
        linestyle=style.SIDE_LINES.get(curve.side, ":"),
        marker=style.marker_of(index),
        markerfacecolor="white",
        markeredgewidth=0.8,
        markevery=_marks(len(horizontal), shift=index),
        label=style.short(f"{curve.space}, {curve.side}"),
    )


def _marks(n: int, shift: int) -> list[int]:
    """About six places, even on a logarithmic axis, other ones for other spaces."""
    at = np.geomspace(1, max(n, 2), 7)[:-1] * (1 + 0.4 * (shift % 4))
    return sorted({int(i) for i in np.minimum(at, n) - 1})


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
        One a space; None makes a figure of column width.
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
    curves = curves_of(results, "distances")
    figure, panels, new = style.canvas(
        axes,
        len(curves),
        width=style.COLUMN,
        height=0.9 + 1.15 * len(curves),
        sharex=True,
    )
    for ax, curve in zip(panels, curves, strict=False):
        _histograms(ax, curve)
        ax.set_title(style.short(curve.space, 50))
        ax.set_ylabel("density")
    panels[0].set_xlim(_occupied(curves))
    # Above the panels of a figure of ours: distances leave no corner free for sure.
    keys = panels[0].get_legend_handles_labels()
    if new:
        figure.legend(*keys, loc="outside upper left", ncols=len(keys[0]), handlelength=1.6)
    else:
        panels[0].legend(loc="best", handlelength=1.6)
    panels[len(curves) - 1].set_xlabel("distance of a query to documents (unit vectors)")
    if new and caption:
        style.add_caption(figure, distances_caption(results))
    return figure


def _occupied(curves: list[Curve]) -> tuple[float, float]:
    """Ends of the bins that hold anything, one empty bin more on each side."""
    ends = []
    for curve in curves:
        low, high = np.asarray(curve.columns["bin_low"]), np.asarray(curve.columns["bin_high"])
        filled = sum(np.nan_to_num(curve.columns[c]) for c, *_ in _DISTANCES if c in curve.columns)
        where = np.flatnonzero(filled)
        if where.size:
            ends.append((low[max(where[0] - 1, 0)], high[min(where[-1] + 1, len(high) - 1)]))
    return min((e[0] for e in ends), default=0.0), max((e[1] for e in ends), default=2.0)


def _histograms(ax: Axes, curve: Curve) -> None:
    low, high = np.asarray(curve.columns["bin_low"]), np.asarray(curve.columns["bin_high"])
    edges = np.append(low, high[-1:])
    for column, label, color, line in _DISTANCES:
        density = np.asarray(curve.columns.get(column, ()), dtype=float)
        if not np.isfinite(density).any():
            continue
        fill = column == "random"
        ax.stairs(
            density,
            edges,
            fill=fill,
            color="#BBBBBB" if fill else color,
            linestyle=line,
            linewidth=1.2,
            label=label,
        )
    ax.set_ylim(bottom=0)


def negative_probability_caption(results: Results) -> str:
    """What the probabilities show, with the identities of the numbers beside them."""
    rows = [row for row in results.rows if row.measure.startswith("negative_probability_kl")]
    names = ", ".join(dict.fromkeys(row.measure for row in rows)) or "negative_probability_kl"
    n = ", ".join(dict.fromkeys(f"{row.n:,} on the side {row.side}" for row in rows if row.n))
    return (
        "Probability of each item to be drawn as a negative, sorted (curve negative_probability; "
        f"behind {names}); dotted: all alike. Both axes are logarithmic; items that are never "
        f"drawn are not shown. {f'n: {n}. ' if n else ''}{style.OURS}"
    )


@style.styled
def negative_probability(
    results: Results, *, axes: Axes | Iterable[Axes] | None = None, caption: bool = True
) -> Figure:
    """Sorted probabilities of being drawn as a negative, a panel a role.

    Parameters
    ----------
    results
        With curves ``negative_probability``.
    axes
        One a role; None makes a figure of column width.
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
    curves = curves_of(results, "negative_probability")
    roles = list(dict.fromkeys(curve.side for curve in curves))
    figure, panels, new = style.canvas(
        axes, len(roles), width=style.COLUMN, height=0.7 + 1.6 * len(roles)
    )
    for ax, role in zip(panels, roles, strict=False):
        _probabilities(ax, results, [curve for curve in curves if curve.side == role])
        ax.set_title(_ROLES.get(role, role))
    style.add_legend(figure, panels[0], "upper right", new)
    panels[len(roles) - 1].set_xlabel("share of items, most often drawn first")
    if new and caption:
        style.add_caption(figure, negative_probability_caption(results))
    return figure


def _probabilities(ax: Axes, results: Results, curves: list[Curve]) -> None:
    for curve in curves:
        _line(ax, results, curve, "share_of_items", "probability")
        ax.lines[-1].set(linestyle="-", label=style.short(curve.space))
    columns = curves[0].columns
    # Share over rank is one over the number of items, which is the probability of an even law.
    even = float(np.asarray(columns["share_of_items"])[0] / np.asarray(columns["item_rank"])[0])
    ax.axhline(even, color=style.GRAY, linestyle=":", linewidth=0.9)
    style.log_axes(ax)
    ax.set_ylabel("probability")
