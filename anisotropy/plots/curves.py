"""Figures of curves, a line a space and side: spectra."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from anisotropy.errors import InputError
from anisotropy.plots import style
from anisotropy.results import Curve, Results

#: Shares below it are rounding: float32 vectors do not hold them.
LEAST_SHARE = 1e-6


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
        "means few. The mean, so the cone, is not seen. Shares below 1e-6 are rounding and off "
        f"the axis.{style.seeds_text(results)} {style.sizes(results)} {style.OURS}"
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
        Color and marker tell the space, or the method of several seeds; line style the side.

    Raises
    ------
    InputError
        If the curves are not there.
    """
    curves = curves_of(results, "spectrum")
    figure, (ax, *_), new = style.canvas(axes, 1, width=style.COLUMN, height=2.1)
    for curve in curves:
        line(ax, results, curve, "rank", "share")
    style.log_axes(ax)
    ax.set_ylim(bottom=max(ax.get_ylim()[0], LEAST_SHARE))
    ax.set(xlabel="rank of the eigenvalue", ylabel="share of variance")
    sides = dict.fromkeys(curve.side for curve in curves)
    lines = [style.plain_handle(side, linestyle=style.SIDE_LINES.get(side, ":")) for side in sides]
    handles = style.space_handles(results, (curve.space for curve in curves))
    style.add_legend(figure, ax, [*handles, *lines], new)
    if new and caption:
        style.caption_below(figure, spectrum_caption(results))
    return figure


def line(ax: Axes, results: Results, curve: Curve, x: str, y: str) -> Line2D:
    """Draw two columns of a curve: color and marker tell the space, line style the side.

    Lines of several seeds of a method are thin, in the color of the method.
    """
    index = style.place_of(results, curve.space)
    horizontal = np.asarray(curve.columns[x])
    (drawn,) = ax.plot(
        horizontal,
        curve.columns[y],
        color=style.color_of(index),
        linestyle=style.SIDE_LINES.get(curve.side, ":"),
        linewidth=1.2 if style.seeds_shown(results, curve.space) == 1 else 0.8,
        marker=style.marker_of(index),
        markerfacecolor="white",
        markeredgewidth=0.8,
        markevery=_marks(len(horizontal), shift=index),
        label=style.short(f"{curve.space}, {curve.side}"),
    )
    return drawn


def _marks(n: int, shift: int) -> list[int]:
    """About six places, even on a logarithmic axis, other ones for other spaces."""
    at = np.geomspace(1, max(n, 2), 7)[:-1] * (1 + 0.4 * (shift % 4))
    return sorted({int(i) for i in np.minimum(at, n) - 1})
