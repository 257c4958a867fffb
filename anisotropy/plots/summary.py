"""Figures of values: uniformity against alignment, and the headline differences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from anisotropy.errors import InputError
from anisotropy.plots import style
from anisotropy.plots.compared import one_pair
from anisotropy.plots.words import ahead, verdict
from anisotropy.results import Difference, Measurement, Results

ALIGNMENT, UNIFORMITY = "alignment(alpha=2)", "uniformity(t=2)"
_LINEAR = 4
_LEAST_SPAN = 0.01
_NEAR = (-100, -30, -10, -4, -2, 0, 2, 4, 10, 30, 100)
_FAR = (-100_000, -10_000, -1000, -100, -10, -2, 0, 2, 10, 100, 1000, 10_000, 100_000)
_SIDES = ("queries", "documents")


def uniformity_alignment_caption(results: Results) -> str:
    """What the two axes are."""
    return (
        f"{UNIFORMITY} of queries (filled) and of documents (open) against {ALIGNMENT} of judged "
        "pairs, on unit, with 95% intervals where there are any. Down: more spread out; left: "
        "relevant documents closer. A cone alone moves a space left and up."
        f"{style.seeds_text(results)} {style.sizes(results)} {style.OURS}"
    )


def find_row(results: Results, space: str, side: str, measure: str, on: str) -> Measurement | None:
    """The measurement of that space, side, measure and transform, if there is one."""
    for row in results.rows:
        if (row.space, row.side, row.measure, row.on) == (space, side, measure, on):
            return row
    return None


def uniformity_alignment_points(
    results: Results,
) -> list[tuple[int, str, Measurement, Measurement]]:
    """Space index, side, alignment row and uniformity row of each point of the figure."""
    points = []
    for index, label in enumerate(results.labels):
        x = find_row(results, label, "positives", ALIGNMENT, "unit")
        for side in _SIDES:
            y = find_row(results, label, side, UNIFORMITY, "unit")
            if x is not None and y is not None:
                points.append((index, side, x, y))
    return points


@style.styled
def uniformity_alignment(
    results: Results, *, axes: Axes | None = None, caption: bool = True
) -> Figure:
    """Uniformity of each side against alignment, spaces as colors.

    Parameters
    ----------
    results
        With rows ``alignment(alpha=2)`` and ``uniformity(t=2)``.
    axes
        Where to draw; None makes a figure of column width.
    caption
        Whether a new figure carries its caption.

    Returns
    -------
    matplotlib.figure.Figure
        For two spaces an arrow goes from the first to the second.

    Raises
    ------
    InputError
        If the rows are not there.
    """
    points = uniformity_alignment_points(results)
    if not points:
        raise InputError(f"no rows {ALIGNMENT} and {UNIFORMITY} on unit in these results")
    figure, (ax, *_), new = style.canvas(axes, 1, width=style.COLUMN, height=2.2)
    if len(results.labels) == 2:
        _arrows(ax, points)
    for index, side, x, y in points:
        place = style.place_of(results, results.labels[index])
        ax.errorbar(
            x.value,
            y.value,
            xerr=_interval(x),
            yerr=_interval(y),
            marker=style.marker_of(place),
            markersize=6,
            markerfacecolor=style.color_of(place) if side == "queries" else "white",
            color=style.color_of(place),
            linestyle="none",
        )
    ax.margins(0.18)
    _no_less_than(ax.xaxis, _LEAST_SPAN)
    _no_less_than(ax.yaxis, _LEAST_SPAN)
    # The label of the vertical axis is turned: its arrow to the left is one down.
    ax.set(xlabel=f"← closer: {ALIGNMENT}", ylabel=f"← more spread out: {UNIFORMITY}")
    _legend(figure, ax, results, dict.fromkeys(results.labels[i] for i, *_ in points), new)
    if new and caption:
        style.caption_below(figure, uniformity_alignment_caption(results))
    return figure


def _no_less_than(axis: Axis, span: float) -> None:
    """Widen an axis on which all is the same but for rounding, so that it looks the same."""
    low, high = axis.get_view_interval()
    if high - low < span:
        middle = (low + high) / 2
        axis.set_view_interval(middle - span / 2, middle + span / 2, ignore=True)


def _legend(figure: Figure, ax: Axes, results: Results, labels: Iterable[str], new: bool) -> None:
    """Spaces by color and marker, then which side is filled."""
    looks: dict[str, Any] = {"linestyle": "none", "markersize": 5}
    handles = style.space_handles(results, labels)
    for handle in handles:
        handle.set(markerfacecolor=handle.get_color(), **looks)
    for side in _SIDES:
        fill = style.GRAY if side == "queries" else "white"
        handles.append(style.plain_handle(side, marker="h", markerfacecolor=fill, **looks))
    style.add_legend(figure, ax, handles, new)


def _arrows(ax: Axes, points: list[tuple[int, str, Measurement, Measurement]]) -> None:
    ends = {(index, side): (x.value, y.value) for index, side, x, y in points}
    for side in _SIDES:
        if (0, side) in ends and (1, side) in ends:
            arrow = {
                "arrowstyle": "->",
                "color": style.GRAY,
                "shrinkA": 6,
                "shrinkB": 6,
                "lw": 0.8,
            }
            ax.annotate("", xy=ends[1, side], xytext=ends[0, side], arrowprops=arrow)


def _interval(row: Measurement) -> list[list[float]] | None:
    if math.isnan(row.ci_low) or math.isnan(row.ci_high):
        return None
    return [[max(row.value - row.ci_low, 0.0)], [max(row.ci_high - row.value, 0.0)]]


def differences_caption(results: Results) -> str:
    """How to read the forest plot."""
    results = one_pair(results)
    a, b = results.labels[:2]
    rows = differences_rows(results)
    omitted = sum(row.headline and not _has_interval(row) for row in results.deltas)
    left_out = f" {omitted} without an interval or a spread left out." if omitted else ""
    return (
        f"Headline differences, {b} minus {a}, in units of their own standard error, with 95% "
        "intervals. Filled: beyond the uncertainty after Holm's correction, in color and marker "
        "of the space that the right names; gray: no clear difference. The axis is linear within "
        f"±{_LINEAR} and logarithmic outside.{left_out} {_units(rows)} "
        f"{style.sizes(results)} {style.OURS}"
    )


def _units(rows: Sequence[Difference]) -> str:
    """Transform and resampled units of the rows, those named that are not as the most are."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        kinds.setdefault((row.on, style.counted(row.n, row.unit or "row")), []).append(row.measure)
    (most, _), *others = sorted(kinds.items(), key=lambda kind: -len(kind[1]))
    text = f"Resampled: {most[1]} on {most[0]}"
    for (on, n), names in others:
        text += f"; {n} on {on} ({', '.join(dict.fromkeys(names))})"
    return f"{text}."


def differences_rows(results: Results) -> list[Difference]:
    """Headline differences with an interval, in order."""
    return [row for row in results.deltas if row.headline and _has_interval(row)]


def _has_interval(row: Difference) -> bool:
    return row.se > 0 and not math.isnan(row.ci_low) and not math.isnan(row.ci_high)


@style.styled
def differences(results: Results, *, axes: Axes | None = None, caption: bool = True) -> Figure:
    """Forest plot of the headline differences, each in units of its standard error.

    Parameters
    ----------
    results
        Of two sides, with differences.
    axes
        Where to draw; None makes a figure of page width.
    caption
        Whether a new figure carries its caption.

    Returns
    -------
    matplotlib.figure.Figure
        Each row says in words which space is what, where the difference is beyond its
        uncertainty.

    Raises
    ------
    InputError
        If there are no headline differences with an interval.
    """
    results = one_pair(results)
    rows = differences_rows(results)
    if not rows:
        raise InputError("no headline differences with an interval in these results")
    figure, (ax, *_), new = style.canvas(axes, 1, width=style.PAGE, height=0.5 + 0.21 * len(rows))
    ax.axvline(0, color=style.GRAY, linewidth=0.8)
    for place, row in enumerate(rows):
        _forest_row(ax, place, row, results)
    ax.set_xscale("symlog", linthresh=_LINEAR)
    low, high = ax.get_xlim()
    choice = _NEAR if max(-low, high) < 150 else _FAR
    ticks = [tick for tick in choice if min(low, -2) <= tick <= max(high, 2)]
    ax.set_xticks(ticks, [style.tidy(f"{tick:+d}") if tick else "0" for tick in ticks])
    ax.set_xticks([], minor=True)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_yticks(range(len(rows)), [style.plain(f"{r.side} · {r.measure}") for r in rows])
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("difference over its standard error")
    words = ax.secondary_yaxis("right")
    words.set_yticks(range(len(rows)), [_words(results, r) for r in rows])
    words.tick_params(axis="y", length=0)
    words.spines["right"].set_visible(False)
    if new and caption:
        style.caption_below(figure, differences_caption(results))
    return figure


def _words(results: Results, row: Difference) -> str:
    """The verdict, cut where its label is long and not where its word is."""
    text, label = verdict(results, row), ahead(results, row)
    if label is None:
        return text
    word = text.removeprefix(label)
    size = style.STYLE["ytick.labelsize"]
    return style.fitted(label, 1.6 - style.width_of(word, size), size) + word


def _forest_row(ax: Axes, place: int, row: Difference, results: Results) -> None:
    label = ahead(results, row)
    number = None if label is None else style.place_of(results, label)
    color = style.GRAY if number is None else style.color_of(number)
    ax.plot([row.ci_low / row.se, row.ci_high / row.se], [place, place], color=color)
    ax.plot(
        [row.delta / row.se],
        [place],
        marker="d" if number is None else style.marker_of(number),
        markersize=5,
        color=color,
        markerfacecolor="white" if number is None else color,
    )
