"""How figures look: colors, sizes, fonts, captions."""

from __future__ import annotations

import functools
import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ParamSpec, TypeVar

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from anisotropy.errors import InputError
from anisotropy.results import Results

COLUMN, PAGE = 3.3, 6.8
#: Okabe and Ito's colors, in the order of the spaces, a brown for their yellow, which does not
#: show on white, and a marker each for print in gray.
SPACE_COLORS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#7F4F24",
)  # fmt: skip
SPACE_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
SIDE_LINES: dict[str, Any] = {"queries": "-", "documents": "--"}
SIDE_MARKERS = {"query": "^", "document": "o"}
SIDE_COLORS = {"query": "#000000", "document": "#56B4E9"}
GRAY = "#767676"
OURS = "This project's design; the paper's own figure is not known."
_LETTERS_AN_INCH = 24.5
LEGEND_INSIDE = 4
#: Words of a legend, and the inches of a line and the spaces around it.
_LETTERS_AN_INCH_OF_LEGEND, _LEGEND_HANDLE = 19, 0.45
_COLUMN_OF_PANELS = 3
#: From so many powers of ten on, the major ticks are enough.
_DECADES = 2

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "patch.linewidth": 0.6,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "anisotropy",
    "path.simplify": False,
}

P = ParamSpec("P")
T = TypeVar("T")


def styled(function: Callable[P, T]) -> Callable[P, T]:
    """Run a function under the style; the caller's matplotlib settings are left as they are."""

    @functools.wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> T:
        with matplotlib.rc_context(STYLE):
            return function(*args, **kwargs)

    return inside


def canvas(
    axes: Axes | Iterable[Axes] | None, count: int, **layout: Any
) -> tuple[Figure, list[Axes], bool]:
    """Figure and axes to draw on: the given ones, or new ones.

    Parameters
    ----------
    axes
        One or more axes, or None for a new figure.
    count
        How many are needed.
    layout
        ``width``, ``height`` in inches, ``rows``, ``columns`` and arguments of
        ``Figure.subplots``.

    Returns
    -------
    figure, axes, new
        `new` says whether the figure is ours, and so its caption.

    Raises
    ------
    InputError
        If fewer axes are given than are needed.
    """
    if axes is not None:
        given = [axes] if isinstance(axes, Axes) else list(axes)
        if len(given) < count:
            raise InputError(f"axes: got {len(given)}; needed: {count}, one a panel")
        figure = given[0].get_figure(root=True)
        assert figure is not None, "axes belong to a figure"  # noqa: S101
        return figure, given, False
    width, height = layout.pop("width"), layout.pop("height")
    rows, columns = layout.pop("rows", count), layout.pop("columns", 1)
    figure = Figure(figsize=(width, height))
    grid = figure.subplots(rows, columns, squeeze=False, **layout).ravel()
    for unused in grid[count:]:
        unused.set_visible(False)
    return figure, list(grid), True


def grid(count: int) -> dict[str, Any]:
    """Width, rows and columns of so many panels: beyond three, two columns on the page."""
    columns = 1 if count <= _COLUMN_OF_PANELS else 2
    width = COLUMN if columns == 1 else PAGE
    return {"width": width, "rows": -(-count // columns), "columns": columns}


def add_caption(figure: Figure, text: str) -> None:
    """Write `text` in small letters below the axes, wrapped to the figure's width."""
    letters = int(figure.get_figwidth() * _LETTERS_AN_INCH)
    lines = textwrap.fill(plain(text), letters)
    figure.supxlabel(lines, fontsize=5.5, x=0.01, ha="left", color="#444444")


def add_legend(figure: Figure, axes: Axes, loc: Any, new: bool) -> None:
    """Legend at `loc`; of a new figure with more than four entries above it, the figure grown."""
    handles, _ = axes.get_legend_handles_labels()
    if not new or len(handles) <= LEGEND_INSIDE:
        axes.legend(loc=loc)
    else:
        legend_above(figure, handles)


def legend_above(figure: Figure, handles: Sequence[Artist]) -> None:
    """Legend above the panels, in as many columns as its words leave room for."""
    width, height = figure.get_size_inches()
    labels = [str(handle.get_label()) for handle in handles]
    longest = max(map(len, labels)) / _LETTERS_AN_INCH_OF_LEGEND
    columns = int(np.clip(width // (longest + _LEGEND_HANDLE), 1, len(labels)))
    figure.set_size_inches(width, height + 0.14 * math.ceil(len(labels) / columns))
    figure.legend(handles, labels, loc="outside upper left", ncols=columns)


def space_handle(index: int, label: str) -> Line2D:
    """Legend entry of the space at `index`."""
    return Line2D(
        [], [], color=color_of(index), marker=marker_of(index), markerfacecolor="white",
        markeredgewidth=0.8, label=short(label),
    )  # fmt: skip


def log_axes(axes: Axes) -> None:
    """Make both axes logarithmic, with minor ticks only where there are few major ones."""
    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        low, high = axis.get_view_interval()
        if math.log10(high) - math.log10(low) >= _DECADES:
            axis.set_minor_locator(NullLocator())


def plain(text: str) -> str:
    """`text` with nothing that matplotlib takes for mathematics."""
    return text.replace("$", r"\$")


def short(text: str, letters: int = 28) -> str:
    """`text`, or its beginning and an ellipsis."""
    return plain(text if len(text) <= letters else text[: letters - 1] + "…")


def color_of(index: int) -> str:
    """Color of the space at `index`."""
    return SPACE_COLORS[index % len(SPACE_COLORS)]


def marker_of(index: int) -> str:
    """Marker of the space at `index`."""
    return SPACE_MARKERS[index % len(SPACE_MARKERS)]


def sizes(results: Results) -> str:
    """Numbers of queries and documents as the spaces count them, and the collection's name."""
    counts = [space.get("counts") or {} for space in results.spaces]
    parts = [
        f"{int(counts[0][side]):,} {side}"
        for side in ("queries", "documents")
        if counts and side in counts[0] and all(c.get(side) == counts[0][side] for c in counts)
    ]
    text = f"n: {', '.join(parts)}." if parts else ""
    return " ".join(part for part in (text, where(results)) if part)


def where(results: Results) -> str:
    """The collection, as a sentence; nothing where it is not known."""
    name = str(results.collection.get("note") or results.collection.get("name") or "")
    return f"{name}." if name else ""
