"""Figures of negative sampling: probabilities, their Lorenz curves, and what the lists hold."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anisotropy.plots import style
from anisotropy.plots.curves import curves_of, line
from anisotropy.results import Curve, Measurement, Results

_ROLES = {
    "queries": "queries as negatives of documents",
    "documents": "documents as negatives of queries",
}
#: Parameters of another law than that of the curves.
_OTHER_LAWS = ("center=", "law=", "anchors=", "kept=", "temperature=")
_SHARES = (("share_relevant", "-"), ("share_near_positive", ":"))

#: Between two markers, as a share of the figure's diagonal.
_APART = 0.15


def negative_probability_caption(results: Results) -> str:
    """What the probabilities show, with the identities of the numbers beside them."""
    return (
        "Probability of each item to be drawn as a negative, sorted (curve negative_probability; "
        f"behind {_identities(results, 'kl')}); dotted: all alike. Both axes are logarithmic; "
        f"items that are never drawn are not shown. {_sizes(results)} {style.OURS}"
    )


def _rows(results: Results, statistic: str) -> list[Measurement]:
    """Rows of a statistic of the law that the curves are of, at any k."""
    name = f"negative_probability_{statistic}("
    return [
        row
        for row in results.rows
        if row.measure.startswith(name) and not any(part in row.measure for part in _OTHER_LAWS)
    ]


def _depth(results: Results, role: str) -> int | None:
    """Depth of the lists that the curves of a role are of, where it is known."""
    known = results.find_curves("mining", role)
    return int(np.asarray(known[0].columns["k"])[0]) if known else None


def _of_depth(row: Measurement, k: int | None) -> bool:
    return k is None or f"(k={k}," in row.measure or f"(k={k})" in row.measure


def _identities(results: Results, statistic: str) -> str:
    """Text identities of a statistic at the depth of the curves, one a role."""
    rows = [r for r in _rows(results, statistic) if _of_depth(r, _depth(results, r.side))]
    names = dict.fromkeys(row.measure for row in rows)
    return ", ".join(names) or f"negative_probability_{statistic}"


def _sizes(results: Results) -> str:
    """How many items and anchors there are, role by role."""
    parts = []
    for role in _ROLES:
        for curve in results.find_curves("mining", role)[:1]:
            items, anchors = (int(curve.columns[name][0]) for name in ("items", "anchors"))
            others = "documents" if role == "queries" else "queries"
            parts.append(f"{items:,} {role} in the lists of {anchors:,} {others}")
    return f"n: {'; '.join(parts)}. {style.where(results)}" if parts else style.sizes(results)


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
    style.add_legend(figure, panels[0], "lower left", new)
    panels[len(roles) - 1].set_xlabel("share of items, most often drawn first")
    if new and caption:
        style.add_caption(figure, negative_probability_caption(results))
    return figure


def _probabilities(ax: Axes, results: Results, curves: list[Curve]) -> None:
    for curve in curves:
        drawn = line(ax, results, curve, "share_of_items", "probability")
        drawn.set(linestyle="-", label=style.short(curve.space))
    columns = curves[0].columns
    # Share over rank is one over the number of items, which is the probability of an even law.
    even = float(np.asarray(columns["share_of_items"])[0] / np.asarray(columns["item_rank"])[0])
    ax.axhline(even, color=style.GRAY, linestyle=":", linewidth=0.9)
    style.log_axes(ax)
    ax.set_ylabel("probability")


def lorenz_caption(results: Results) -> str:
    """How a Lorenz curve is read, with the identity of the Gini coefficient beside it."""
    return (
        "Lorenz curves of the probabilities of being drawn as a negative (curve "
        "negative_probability): share of all draws that go to the items drawn least often. "
        "Dotted: all alike; the further below, the more uneven, the area between over that of "
        f"the triangle being {_identities(results, 'gini')}. {_sizes(results)} {style.OURS}"
    )


@style.styled
def lorenz(
    results: Results, *, axes: Axes | Iterable[Axes] | None = None, caption: bool = True
) -> Figure:
    """Lorenz curves of the negative-sampling probabilities, a panel a role.

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
        Of up to four spaces the legend gives the Gini coefficient, where it was measured.

    Raises
    ------
    InputError
        If the curves are not there or too few axes are given.
    """
    curves = curves_of(results, "negative_probability")
    roles = list(dict.fromkeys(curve.side for curve in curves))
    figure, panels, new = style.canvas(
        axes, len(roles), width=style.COLUMN, height=0.7 + 1.9 * len(roles), sharex=True
    )
    many = len({curve.space for curve in curves}) > style.LEGEND_INSIDE
    for ax, role in zip(panels, roles, strict=False):
        ax.plot([0, 1], [0, 1], color=style.GRAY, linestyle=":", linewidth=0.9)
        for curve in (one for one in curves if one.side == role):
            drawn = line(ax, results, curve, "share_of_items", "lorenz")
            named = style.short(curve.space) if many else _with_gini(results, curve)
            drawn.set(linestyle="-", label=named, markevery=_APART)
        ax.set(xlim=(0, 1), ylim=(0, 1), ylabel="share of draws")
        ax.set_title(_ROLES.get(role, role))
        if not many:
            ax.legend(loc="upper left")  # the curves lie below the diagonal
    if many:
        style.add_legend(figure, panels[0], "upper left", new)
    panels[len(roles) - 1].set_xlabel("share of items, least often drawn first")
    if new and caption:
        style.add_caption(figure, lorenz_caption(results))
    return figure


def _with_gini(results: Results, curve: Curve) -> str:
    k = _depth(results, curve.side)
    for row in _rows(results, "gini"):
        if (row.space, row.side) == (curve.space, curve.side) and _of_depth(row, k):
            return f"{style.short(curve.space, 22)}: Gini {row.value:.3f}"
    return style.short(curve.space)


def negative_profile_caption(results: Results) -> str:
    """What is in the lists, and what the bands are of."""
    near = any(
        np.isfinite(curve.columns["share_near_positive"]).any()
        for curve in curves_of(results, "negative_profile")
    )
    duplicates = (
        " (solid), and of the others with a cosine of .99 or more to a positive (dotted; 300 "
        "seeded anchors): near-duplicates that nobody judged"
        if near
        else ""
    )
    return (
        "Mined lists by rank, positives still in them (curve negative_profile, scores of the "
        f"recipe; behind {_identities(results, 'kl')}). Line: median over anchors of the score "
        "at that rank; bands: 50% and 90% of the anchors; dashed, with band: the anchors' "
        "positives, median "
        f"and 50%. Bottom: share of the items at that rank that are judged relevant{duplicates}. "
        f"Scores of spaces with another similarity do not compare. {_sizes(results)} {style.OURS}"
    )


@style.styled
def negative_profile(
    results: Results, *, axes: Iterable[Axes] | None = None, caption: bool = True
) -> Figure:
    """Scores of the mined negatives by rank, and how many of them are no negatives.

    Parameters
    ----------
    results
        With curves ``negative_profile``.
    axes
        One a space and role (row by row), then one a role; None makes a figure of page width.
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
    curves = curves_of(results, "negative_profile")
    roles = list(dict.fromkeys(curve.side for curve in curves))
    spaces = list(dict.fromkeys(curve.space for curve in curves))
    count = (len(spaces) + 1) * len(roles)
    each = 1.3 if len(spaces) <= style.LEGEND_INSIDE else 1.0
    figure, panels, new = style.canvas(
        axes, count, width=style.PAGE, height=0.7 + each * (len(spaces) + 1),
        rows=len(spaces) + 1, columns=len(roles), sharex=True,
    )  # fmt: skip
    places = [(space, role) for space in spaces for role in roles]
    for ax, place in zip(panels, places, strict=False):
        for curve in (one for one in curves if (one.space, one.side) == place):
            _scores(ax, curve)
        ax.set_title(f"{style.short(place[0])}: {place[1]} as negatives")
    panels[0].legend(loc="best")
    bottom = panels[len(places) : count]
    for ax, role in zip(bottom, roles, strict=True):
        _shares(ax, results, [curve for curve in curves if curve.side == role])
    style.add_legend(figure, bottom[0], "upper right", new)
    for ax in panels[0 : count : len(roles)]:
        ax.set_ylabel("share of items" if ax is bottom[0] else "score")
    if new and caption:
        style.add_caption(figure, negative_profile_caption(results))
    return figure


def _scores(ax: Axes, curve: Curve) -> None:
    """Scores at each rank over the band of the positives' scores."""
    columns, rank = curve.columns, curve.columns["rank"]
    color = style.SPACE_COLORS[0]
    for low, high, alpha in (("q05", "q95", 0.18), ("q25", "q75", 0.3)):
        ax.fill_between(
            rank, columns[f"score_{low}"], columns[f"score_{high}"],
            color=color, alpha=alpha, linewidth=0,
        )  # fmt: skip
    ax.plot(rank, columns["score_q50"], color=color, label="negatives")
    if "positive_q50" in columns:
        ax.fill_between(
            rank, columns["positive_q25"], columns["positive_q75"],
            color=style.GRAY, alpha=0.25, linewidth=0,
        )  # fmt: skip
        ax.plot(rank, columns["positive_q50"], color="black", linestyle="--", label="positives")
    ax.set_xscale("log")


def _shares(ax: Axes, results: Results, curves: list[Curve]) -> None:
    for curve in curves:
        for column, dashes in _SHARES:
            if np.isfinite(curve.columns[column]).any():
                drawn = line(ax, results, curve, "rank", column)
                named = style.short(curve.space) if dashes == "-" else "_"
                drawn.set(linestyle=dashes, label=named)
    ax.set(xscale="log", xlabel="rank in the list")
    ax.set_ylim(bottom=0)
