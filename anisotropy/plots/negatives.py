"""Figures of negative sampling: probabilities, their Lorenz curves, and what the lists hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
EXPECTED, OBSERVED = "negative_probability", "observed_probability"
_SHARES = (("share_relevant", "-"), ("share_near_positive", ":"))
_TITLE = 7.5

#: Of the markers of Lorenz curves, as shares of the diagonal: the first, between two, and how
#: much further along those of the next space are.
_FIRST, _APART, _SHIFT = 0.04, 0.16, 0.04


def negative_probability_caption(results: Results) -> str:
    """What the probabilities show, with the identities of the numbers beside them."""
    return (
        f"{_of_what(results)}; dotted: all alike. Both axes are logarithmic; "
        f"items that are never drawn are not shown.{style.seeds_text(results)} "
        f"{_sizes(results)} {style.OURS}"
    )


def _of_what(results: Results) -> str:
    """What the lines are: the expected law, what was drawn, or both."""
    expected = (
        "Probability of each item to be drawn as a negative, sorted (curve negative_probability; "
        f"behind {_identities(results, 'kl')})"
    )
    drawn = f"(curve {OBSERVED}; behind observed_negatives_kl)"
    if not results.find_curves(OBSERVED):
        return expected
    if not results.find_curves(EXPECTED):
        return f"Share of the draws of each item, as files of negatives have them, sorted {drawn}"
    return f"{expected}; dashed: shares of what was drawn, as files of negatives have it {drawn}"


def negative_probability_ready(results: Results) -> bool:
    """Whether it is known what is, or was, drawn."""
    return bool(results.find_curves(EXPECTED) or results.find_curves(OBSERVED))


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
            units = ("query", "document") if role == "queries" else ("document", "query")
            drawn, others = map(style.counted, (items, anchors), units)
            parts.append(f"{drawn} in the lists of {others}")
    text = f"n: {'; '.join(parts)}. {style.where(results)}" if parts else style.sizes(results)
    return text.strip()


@style.styled
def negative_probability(
    results: Results, *, axes: Axes | Iterable[Axes] | None = None, caption: bool = True
) -> Figure:
    """Sorted probabilities of being drawn as a negative, a panel a role.

    Parameters
    ----------
    results
        With curves ``negative_probability``, ``observed_probability`` or both.
    axes
        One a role; None makes a figure of column width.
    caption
        Whether a new figure carries its caption.

    Returns
    -------
    matplotlib.figure.Figure
        Beside the expected law what was drawn is dashed.

    Raises
    ------
    InputError
        If the curves are not there or too few axes are given.
    """
    observed = results.find_curves(OBSERVED)
    expected = curves_of(results, EXPECTED) if not observed else results.find_curves(EXPECTED)
    curves = [*expected, *observed]
    roles = list(dict.fromkeys(curve.side for curve in curves))
    figure, panels, new = style.canvas(
        axes, len(roles), width=style.COLUMN, height=0.3 + 1.45 * len(roles), sharex=True
    )
    for ax, role in zip(panels, roles, strict=False):
        _probabilities(ax, results, [curve for curve in curves if curve.side == role])
        ax.set_title(_ROLES.get(role, role))
    _label_below(panels[: len(roles)], "share of items, most often drawn first", new)
    handles = style.space_handles(results, (curve.space for curve in curves))
    even = style.plain_handle("all alike", linestyle=":", linewidth=0.9)
    both = [style.plain_handle("drawn", linestyle="--", color=style.GRAY)]
    both = both if expected and observed else []
    style.add_legend(figure, panels[0], [*handles, *both, even], new)
    if new and caption:
        style.caption_below(figure, negative_probability_caption(results))
    return figure


def _label_below(panels: Sequence[Axes], text: str, new: bool) -> None:
    """Label of the horizontal axis: below the last of our panels, below each of others."""
    for ax in panels[-1:] if new else panels:
        ax.set_xlabel(text)


def _probabilities(ax: Axes, results: Results, curves: list[Curve]) -> None:
    for curve in curves:
        drawn = line(ax, results, curve, "share_of_items", "probability")
        dashes = "--" if curve.name == OBSERVED and len({c.name for c in curves}) > 1 else "-"
        drawn.set(linestyle=dashes, label=style.short(curve.space))
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
        f"the triangle being {_identities(results, 'gini')}.{style.seeds_text(results)} "
        f"{_sizes(results)} {style.OURS}"
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
        axes, len(roles), width=style.COLUMN, height=0.3 + 1.75 * len(roles), sharex=True
    )
    for ax, role in zip(panels, roles, strict=False):
        own = [curve for curve in curves if curve.side == role]
        ax.plot([0, 1], [0, 1], color=style.GRAY, linestyle=":", linewidth=0.9)
        for curve in own:
            drawn = line(ax, results, curve, "share_of_items", "lorenz")
            place = style.place_of(results, curve.space)
            drawn.set(linestyle="-", markevery=(_FIRST + _SHIFT * (place % 4), _APART))
        ax.set(xlim=(0, 1), ylim=(0, 1), ylabel="share of draws")
        ax.set_title(_ROLES.get(role, role))
        if not new or len(own) <= style.LEGEND_INSIDE:
            _lorenz_legend(ax, results, own, names=not new)
    _label_below(panels[: len(roles)], "share of items, least often drawn first", new)
    if new:
        handles = style.space_handles(results, (curve.space for curve in curves))
        even = style.plain_handle("all alike", linestyle=":", linewidth=0.9)
        style.legend_above(figure, [*handles, even])
    if new and caption:
        style.caption_below(figure, lorenz_caption(results))
    return figure


def _lorenz_legend(ax: Axes, results: Results, curves: Sequence[Curve], names: bool) -> None:
    """Gini coefficients, and names where asked, at the upper left: curves are below."""
    handles = []
    for curve in curves:
        name = [style.short(curve.space, 22)] if names else []
        gini = _gini(results, curve)
        text = ": ".join([*name, *([] if gini is None else [f"Gini {gini:.3f}"])])
        if text:
            handles.append(style.space_handle(style.place_of(results, curve.space), text))
            handles[-1].set_label(text)
    if handles:
        ax.legend(handles=handles, loc="upper left")


def _gini(results: Results, curve: Curve) -> float | None:
    """Gini coefficient of what a curve shows, where it was measured."""
    k = _depth(results, curve.side)
    for row in _rows(results, "gini"):
        if (row.space, row.side) == (curve.space, curve.side) and _of_depth(row, k):
            return row.value
    return None


def negative_profile_caption(results: Results) -> str:
    """What is in the lists, and what the bands are of."""
    curves = curves_of(results, "negative_profile")
    near = _near(curves)
    positives = (
        f" Dashed, with band: the anchors' positives{_of_runs(results)}, median and 50%."
        if any("positive_q50" in curve.columns for curve in curves)
        else ""
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
        f"at that rank; bands: 50% and 90% of the anchors.{positives} Bottom: "
        f"share of the items at that rank that are judged relevant{duplicates}. Scores of "
        f"spaces with another similarity do not compare.{style.seeds_text(results)} "
        f"{_sizes(results)} {style.OURS}"
    )


def _of_runs(results: Results) -> str:
    """Which of the positives, where lists without embeddings say it of those they hold alone."""
    runs = any(space.get("kind") == "run" for space in results.spaces)
    return " (the best that the run lists)" if runs else ""


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
    each = 1.2 if len(spaces) <= style.LEGEND_INSIDE else 0.9
    # Scores of a space are of one unit, and its panels of one height.
    figure, panels, new = style.canvas(
        axes, count, width=style.PAGE, height=0.3 + each * (len(spaces) + 1),
        rows=len(spaces) + 1, columns=len(roles), sharex=True, sharey="row",
    )  # fmt: skip
    places = [(space, role) for space in spaces for role in roles]
    for ax, place in zip(panels, places, strict=False):
        for curve in (one for one in curves if (one.space, one.side) == place):
            _scores(ax, curve, style.color_of(style.place_of(results, curve.space)))
        ax.set_title(f"{style.fitted(place[0], 1.7, _TITLE)}: {place[1]} as negatives")
    bottom = panels[len(places) : count]
    for ax, role in zip(bottom, roles, strict=True):
        _shares(ax, results, [curve for curve in curves if curve.side == role])
    for ax in panels[0:count]:
        if not new or ax in panels[0 : count : len(roles)]:
            ax.set_ylabel("share of items" if ax in bottom else "score")
    _profile_legend(figure, panels[0], results, curves, new)
    if new and caption:
        style.caption_below(figure, negative_profile_caption(results))
    return figure


def _profile_legend(
    figure: Figure, ax: Axes, results: Results, curves: Sequence[Curve], new: bool
) -> None:
    """Spaces, then what the dashed line above and the two lines at the bottom are."""
    handles = style.space_handles(results, (curve.space for curve in curves))
    if any("positive_q50" in curve.columns for curve in curves):
        handles.append(style.plain_handle("positives", color="black", linestyle="--"))
    handles.append(style.plain_handle("judged relevant", linestyle=_SHARES[0][1]))
    if _near(curves):
        handles.append(style.plain_handle("near a positive", linestyle=_SHARES[1][1]))
    style.add_legend(figure, ax, handles, new)


def _near(curves: Sequence[Curve]) -> bool:
    """Whether it is known how many items are nearly equal a positive."""
    return any(np.isfinite(curve.columns[_SHARES[1][0]]).any() for curve in curves)


def _scores(ax: Axes, curve: Curve, color: str) -> None:
    """Scores at each rank over the band of the positives' scores."""
    columns, rank = curve.columns, curve.columns["rank"]
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
    _log_rank(ax)


def _log_rank(ax: Axes) -> None:
    ax.set_xscale("log")
    style.log_ticks(ax.xaxis)


def _shares(ax: Axes, results: Results, curves: list[Curve]) -> None:
    for curve in curves:
        for column, dashes in _SHARES:
            if np.isfinite(curve.columns[column]).any():
                drawn = line(ax, results, curve, "rank", column)
                drawn.set(linestyle=dashes)
    _log_rank(ax)
    ax.set_xlabel("rank in the list")
    ax.set_ylim(bottom=0)
