"""Figure of training: loss, ranking and geometry over the steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anisotropy.plots import style
from anisotropy.plots.curves import curves_of
from anisotropy.results import Curve, Results

_SIDES = ("queries", "documents")
#: Title, columns (solid, dashed), and whether the axis is logarithmic.
_PANELS = (
    ("training loss", ("loss_mean",), True),
    ("nDCG@10 on dev", ("dev_ranking_nDCG@10",), False),
    ("dual RR@10 on dev", ("dev_dual_ranking_RR@10",), False),
    ("mean_cosine", tuple(f"dev_{side}_mean_cosine" for side in _SIDES), False),
    ("uniformity(t=2)", tuple(f"dev_{side}_uniformity(t=2)" for side in _SIDES), False),
    ("relative_positive_distance", ("dev_positives_relative_positive_distance",), False),
)
_LINES = ("-", "--")


def history_caption(results: Results) -> str:
    """What is drawn, of which texts, and what several lines of a color are."""
    return (
        "Training histories (curve history) over optimizer steps since the first of the "
        "checkpoints' stages; vertical lines: a new stage. Loss: mean of the last 20 steps; other "
        "stages have other losses. Ranking over all dev queries and documents; geometry on unit "
        "of at most 1,000 dev queries (solid) and 1,000 documents (dashed) while training: "
        "relative_positive_distance, mean_cosine and uniformity(t=2) of the whole collection "
        f"stand in the table.{style.seeds_text(results)} {style.ending(results)}"
    )


@style.styled
def history(
    results: Results, *, axes: Iterable[Axes] | None = None, caption: bool = True
) -> Figure:
    """Loss, ranking both ways and geometry over the steps of training.

    Parameters
    ----------
    results
        With curves ``history``.
    axes
        Six; None makes a figure of page width.
    caption
        Whether a new figure carries its caption.

    Returns
    -------
    matplotlib.figure.Figure
        Color and marker tell the space, or the method where several spaces are its seeds. What
        two spaces share, because one was trained from the other, shows in the color of the first.

    Raises
    ------
    InputError
        If the curves are not there or too few axes are given.
    """
    curves_of(results, "history")
    runs = _runs(results)
    several = len(runs) > len({style.method_of(results, run.space) for run in runs})
    figure, panels, new = style.canvas(
        axes, len(_PANELS), width=style.PAGE, height=3.3, rows=2, columns=3, sharex=True
    )
    for ax, (title, columns, log) in zip(panels, _PANELS, strict=False):
        for begin in _beginnings(runs):
            ax.axvline(begin, color="#CCCCCC", linewidth=0.6)
        # What was trained first is drawn last, over what goes on from it.
        for run in sorted(runs, key=_length, reverse=True):
            _lines(ax, run, columns, style.place_of(results, run.space), several)
        ax.set_title(title)
        if log:
            ax.set_yscale("log")
            style.log_ticks(ax.yaxis)
    for ax in panels[3 if new else 0 : len(_PANELS)]:
        ax.set_xlabel("optimizer step")
    _legend(figure, panels, results, new)
    if new and caption:
        style.caption_below(figure, history_caption(results))
    return figure


def _runs(results: Results) -> list[Curve]:
    """Histories in the order of the spaces, each once."""
    found: list[Curve] = []
    for curve in results.find_curves("history"):
        if not any(_same(curve, other) for other in found):
            found.append(curve)
    return found


def _same(a: Curve, b: Curve) -> bool:
    return set(a.columns) == set(b.columns) and all(
        np.array_equal(a.columns[name], b.columns[name], equal_nan=name != "stage")
        for name in a.columns
    )


def _length(run: Curve) -> tuple[int, int]:
    return int(run.columns["step"][-1]), len(run.columns["step"])


def _beginnings(runs: Sequence[Curve]) -> list[int]:
    """Steps at which a stage begins, the first left out."""
    found: set[int] = set()
    for run in runs:
        part = np.asarray(run.columns["part"])
        found |= {int(run.columns["step"][i]) for i in np.flatnonzero(np.diff(part)) + 1}
    return sorted(found)


def _lines(ax: Axes, run: Curve, columns: Sequence[str], index: int, thin: bool) -> None:
    for column, dashes in zip(columns, _LINES, strict=False):
        values = np.asarray(run.columns.get(column, ()), dtype=float)
        there = np.isfinite(values)
        if not there.any():
            continue
        shown = int(there.sum())
        ax.plot(
            np.asarray(run.columns["step"])[there],
            values[there],
            color=style.color_of(index),
            linestyle=dashes,
            linewidth=0.8 if thin else 1.2,
            marker=style.marker_of(index),
            markerfacecolor="white",
            markeredgewidth=0.8,
            markevery=max(shown // 6, 1),
        )


def _legend(figure: Figure, panels: Sequence[Axes], results: Results, new: bool) -> None:
    handles = style.space_handles(results, (run.space for run in _runs(results)))
    dashes = [
        style.plain_handle(side, linestyle=line) for side, line in zip(_SIDES, _LINES, strict=True)
    ]
    style.add_legend(figure, panels[0], [*handles, *dashes], new)
