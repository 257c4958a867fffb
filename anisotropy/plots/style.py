"""How figures look: colors, sizes, fonts, captions."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ParamSpec, TypeVar

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path
from matplotlib.ticker import LogFormatter, NullLocator

from anisotropy.errors import InputError
from anisotropy.results import Results

COLUMN, PAGE = 3.3, 6.8
#: Okabe and Ito's colors, in the order of the spaces, a brown for their yellow, which does not
#: show on white, and a marker each for print in gray. Blue and vermilion are the first two spaces
#: in every figure, and nothing else.
SPACE_COLORS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F4F24",
)  # fmt: skip
SPACE_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
SIDE_LINES: dict[str, Any] = {"queries": "-", "documents": "--"}
SIDE_MARKERS = {"query": "^", "document": "o"}
SIDE_COLORS = {"query": "#000000", "document": "#56B4E9"}
GRAY = "#767676"
#: What chance gives: random pairs, a null, no difference that matters.
CHANCE = "#D8D8D8"
OURS = "This project's design; the paper's own figure is not known."
#: Points of the letters, and inches of a line.
_CAPTION, _CAPTION_LINE = 6, 0.116
LEGEND_INSIDE = 4
#: Inches of a line and the spaces around it, and of a row.
_LEGEND_HANDLE, _LEGEND_ROW = 0.45, 0.14
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
    "legend.columnspacing": 1.4,
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

_ON_AXES: Any = {
    name: value for name, value in STYLE.items() if not name.endswith(("size", "family"))
}

P = ParamSpec("P")
T = TypeVar("T")


def styled(function: Callable[P, T]) -> Callable[P, T]:
    """Run a figure of results under the style; the caller's settings are left as they are.

    On axes of the caller letters have the caller's sizes, as those that are there already.
    """

    @functools.wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> T:
        results = kwargs.get("results", args[0] if args else None)
        if not isinstance(results, Results):
            raise InputError(
                f"results: got {type(results).__name__}; allowed: Results, as compare and analyze "
                "return them; Results.read(folder) reads those of a folder"
            )
        with matplotlib.rc_context(STYLE if kwargs.get("axes") is None else _ON_AXES):
            return function(*args, **kwargs)

    return inside


def canvas(
    axes: Axes | Iterable[Axes] | None, count: int, **layout: Any
) -> tuple[Figure, list[Axes], bool]:
    """Figure and axes to draw on: the given ones, or new ones.

    Parameters
    ----------
    axes
        One or more axes, also as the array of ``pyplot.subplots``, or None for a new figure.
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
        If fewer axes are given than are needed, or something else than axes.
    """
    if axes is not None:
        given = list(_flat(axes))
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


def _flat(axes: Any) -> Iterator[Axes]:
    """Axes one by one, out of arrays and lists of any depth."""
    if isinstance(axes, Axes):
        yield axes
    elif isinstance(axes, Iterable) and not isinstance(axes, str | dict):
        for inner in axes:
            yield from _flat(inner)
    else:
        raise InputError(
            f"axes: got {type(axes).__name__}; allowed: matplotlib Axes, one or several"
        )


def grid(count: int) -> dict[str, Any]:
    """Width, rows and columns of so many panels: beyond three, two columns on the page."""
    columns = 1 if count <= _COLUMN_OF_PANELS else 2
    width = COLUMN if columns == 1 else PAGE
    return {"width": width, "rows": -(-count // columns), "columns": columns}


def caption_below(figure: Figure, text: str) -> None:
    """Write `text` below the axes and make the figure taller by its lines: no panel shrinks."""
    lines = _caption_lines(figure, text)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + _CAPTION_LINE * len(lines) + 0.05)
    _write_caption(figure, lines)


def _caption_lines(figure: Figure, text: str) -> list[str]:
    """Lines of the caption; a word that is wider than the figure is broken."""
    room = 0.94 * figure.get_figwidth()  # pixels make letters wider than the font has them
    lines: list[str] = []
    for word in (part for long in text.split() for part in _pieces(long, room)):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width_of(plain(longer), _CAPTION) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _pieces(word: str, room: float) -> list[str]:
    if width_of(plain(word), _CAPTION) <= room:
        return [word]
    half = len(word) // 2
    return [*_pieces(word[:half], room), *_pieces(word[half:], room)]


def _write_caption(figure: Figure, lines: Sequence[str]) -> None:
    # Escaped line by line: a wrapped line must not begin with half of a sign.
    text = "\n".join(map(plain, lines))
    figure.supxlabel(text, fontsize=_CAPTION, x=0.01, ha="left", color="#444444")


def add_legend(figure: Figure, axes: Axes, handles: Sequence[Artist], new: bool) -> None:
    """Legend of the handles, each label once: above a new figure's panels, where no data can be.

    On axes of others it stands inside, where there is most room.
    """
    once = list({str(handle.get_label()): handle for handle in reversed(handles)}.values())[::-1]
    if new:
        legend_above(figure, once)
    else:
        axes.legend(handles=once, loc="best")


def legend_above(figure: Figure, handles: Sequence[Artist]) -> None:
    """Legend above the panels, in as many columns as fit; the figure grows by its rows."""
    width, height = figure.get_size_inches()
    labels = [str(handle.get_label()) for handle in handles]
    longest = max(width_of(label, STYLE["legend.fontsize"]) for label in labels)
    columns = int(np.clip(width // (longest + _LEGEND_HANDLE), 1, len(labels)))
    rows = math.ceil(len(labels) / columns)
    figure.set_size_inches(width, height + 0.04 + _LEGEND_ROW * rows)
    figure.legend(handles, labels, loc="outside upper left", ncols=columns)


def space_handles(results: Results, spaces: Iterable[str]) -> list[Line2D]:
    """Legend entries of spaces, one for all seeds of a method."""
    places = {name_of(results, space): place_of(results, space) for space in spaces}
    return [space_handle(place, name) for name, place in places.items()]


def space_handle(index: int, label: str) -> Line2D:
    """Legend entry of the space at `index`."""
    return Line2D(
        [], [], color=color_of(index), marker=marker_of(index), markerfacecolor="white",
        markeredgewidth=0.8, label=short(label),
    )  # fmt: skip


def plain_handle(label: str, **looks: Any) -> Line2D:
    """Legend entry of a line that is of no space."""
    return Line2D([], [], label=label, **{"color": GRAY, **looks})


class _Numbers(LogFormatter):
    """Powers of ten as numbers: an exponent would be smaller than print can bear."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """``0.001`` or ``1e-5``; nothing for minor ticks that have no room."""
        return number_text(x) if super().__call__(x, pos) else ""


def number_text(value: float) -> str:
    """A number on an axis."""
    return tidy(f"{value:g}")


def log_axes(axes: Axes) -> None:
    """Make both axes logarithmic, with minor ticks only where there are few major ones."""
    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        log_ticks(axis)


def log_ticks(axis: Axis) -> None:
    """Numbers on a logarithmic axis, and minor ticks only where there are few major ones."""
    low, high = axis.get_view_interval()
    axis.set_major_formatter(_Numbers())
    if math.log10(high) - math.log10(low) >= _DECADES:
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_minor_formatter(_Numbers(minor_thresholds=(1, 0.4)))


def plain(text: str) -> str:
    """`text` with nothing that matplotlib takes for mathematics, and a box for missing letters."""
    return _known(text).replace("$", r"\$")


def _known(text: str) -> str:
    letters = _letters()
    return "".join(
        sign if sign.isspace() or ord(sign) in letters else "\N{WHITE SQUARE}" for sign in text
    )


@functools.cache
def _letters() -> frozenset[int]:
    """Letters that the font of the figures has."""
    return frozenset(get_font(findfont(STYLE["font.family"])).get_charmap())


def short(text: str, letters: int = 28) -> str:
    """`text`, or its beginning and its end: labels of checkpoints often differ there alone."""
    return plain(_cut(" ".join(text.split()), letters))


def fitted(text: str, inches: float, size: float) -> str:
    """`text`, or as much of its beginning and end as fits at that size in points."""
    text = " ".join(text.split())
    letters = len(text)
    while letters > 3 and width_of(plain(_cut(text, letters)), size) > inches:
        letters -= 1
    return plain(_cut(text, letters))


def _cut(text: str, letters: int) -> str:
    if len(text) <= letters:
        return text
    tail = letters // 3
    return f"{text[: letters - 1 - tail]}…{text[len(text) - tail :]}"


@functools.lru_cache(maxsize=10_000)
def width_of(text: str, size: float) -> float:
    """Inches that `text`, as :func:`plain` gives it, is wide at that size in points."""
    font = FontProperties(family=STYLE["font.family"], size=size)
    shown = text.replace(r"\$", "$")
    return float(text_to_path.get_text_width_height_descent(shown, font, ismath=False)[0]) / 72


def place_of(results: Results, label: str) -> int:
    """Place of a space among the colors and markers: the seeds of a method share theirs.

    A view of two spaces out of many keeps the places that they have among all.
    """
    for space in results.spaces:
        if space["label"] == label and "place" in space:
            return int(space["place"])
    return methods_of(results).index(method_of(results, label))


def methods_of(results: Results) -> list[str]:
    """Methods of the spaces, or the label where a space has none, in order."""
    return list(dict.fromkeys(str(s.get("method") or s["label"]) for s in results.spaces))


def method_of(results: Results, label: str) -> str:
    """Method of a space, or its label where it has none."""
    own = (space for space in results.spaces if space["label"] == label)
    return str(next(own, {}).get("method") or label)


def seeds_shown(results: Results, label: str) -> int:
    """How many of the spaces are of the same method."""
    method = method_of(results, label)
    return sum(method_of(results, other) == method for other in results.labels)


def seeds_text(results: Results) -> str:
    """A sentence for captions where seeds share a color, with the space before it."""
    several = any(seeds_shown(results, label) > 1 for label in results.labels)
    return " One color: the seeds of a method." if several else ""


def name_of(results: Results, label: str) -> str:
    """What a legend calls a space: its method where several of its seeds are there."""
    return method_of(results, label) if seeds_shown(results, label) > 1 else label


def color_of(index: int) -> str:
    """Color of the space at `index`."""
    return SPACE_COLORS[index % len(SPACE_COLORS)]


def marker_of(index: int) -> str:
    """Marker of the space at `index`."""
    return SPACE_MARKERS[index % len(SPACE_MARKERS)]


def tidy(text: str) -> str:
    """Numbers with the sign for minus that axes have, and no zeros that say nothing."""
    text = text.replace("e-0", "e-").replace("e+0", "e")
    return text.replace("-", "\N{MINUS SIGN}")


def counted(n: int, unit: str) -> str:
    """``1 query``, ``1,203 queries``."""
    several = f"{unit[:-1]}ies" if unit.endswith("y") else f"{unit}s"
    return f"{n:,} {unit if n == 1 else several}"


def sizes(results: Results) -> str:
    """Numbers of queries and documents as the spaces count them, and the collection's name."""
    counts = [space.get("counts") or {} for space in results.spaces]
    parts = [
        counted(int(counts[0][side]), unit)
        for side, unit in (("queries", "query"), ("documents", "document"))
        if counts and side in counts[0] and all(c.get(side) == counts[0][side] for c in counts)
    ]
    text = f"n: {', '.join(parts)}." if parts else ""
    return " ".join(part for part in (text, where(results)) if part)


def where(results: Results) -> str:
    """The collection, as a sentence; nothing where it is not known."""
    name = str(results.collection.get("note") or results.collection.get("name") or "")
    return f"{name}." if name else ""


def ending(results: Results) -> str:
    """What every caption ends with: the collection, and whose design the figure is."""
    return " ".join(part for part in (where(results), OURS) if part)
