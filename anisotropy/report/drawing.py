"""Figures and tables by name, from results to files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from anisotropy.errors import InputError, UsageError, one_of
from anisotropy.files import write_text
from anisotropy.report.formats import latex_text
from anisotropy.report.methods import TABLES, method_table
from anisotropy.results import Curve, Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALL = "all"
IMAGES, LATEX = ("pdf", "png", "svg"), "tex"
#: What figures are drawn as, unless another format is asked for.
DRAWN = ("pdf", "png")
_RESULTS, _HISTORY = "results.json", "history.csv"
_TABLE_NEEDS = (
    "methods of a reproduction; 'anisotropy reproduce' writes them (of a comparison, "
    "'anisotropy compare --format latex' prints the table)"
)
_TITLES = {
    "effectiveness": "Table: ranking both ways, a row a method",
    "ablation": "Table: the headline measures, a row a method",
}
#: Signs of captions that a plain LaTeX does not know.
_SIGNS = {
    "±": r"$\pm$", "ρ": r"$\rho$", "·": r"$\cdot$", "→": r"$\to$", "←": r"$\leftarrow$",
    "≥": r"$\ge$", "≤": r"$\le$", "−": "$-$", "…": r"\ldots{}",
}  # fmt: skip


def figure_names() -> tuple[str, ...]:
    """Every name that can be drawn, figures first, then tables."""
    from anisotropy.plots import FIGURES

    return (*FIGURES, *TABLES)


def read_results(folder: str | Path) -> Results:
    """Results of a folder, or the training history of a checkpoint.

    Parameters
    ----------
    folder
        What ``compare``, ``analyze`` or ``reproduce`` wrote; or a checkpoint that was trained
        here, of which there is the curve ``history`` and nothing else.

    Raises
    ------
    InputError
        If it is neither.
    """
    folder = Path(folder)
    if (folder / _RESULTS).is_file():
        return Results.read(folder)
    if (folder / _HISTORY).is_file():
        from anisotropy.encoders.histories import read_history

        if (found := read_history(folder)) is not None:
            label = folder.resolve().stem
            return Results(
                spaces=[{"label": label}], curves=[Curve("history", label, "training", found)]
            )
    raise InputError(
        f"{folder}: no {_RESULTS} in it; allowed: a folder that 'anisotropy compare', 'analyze' "
        "or 'reproduce' wrote, or a checkpoint that was trained here"
    )


def missing(results: Results, name: str, pair: str | None = None) -> str:
    """What a figure or table lacks and which command gives it; empty where nothing is missing.

    Parameters
    ----------
    results
        From which to draw.
    name
        Of the figure or table.
    pair
        The comparison that is meant, by the space that is held against a baseline.

    Raises
    ------
    UsageError
        If there is no such figure or table, or no such comparison.
    """
    from anisotropy.plots import FIGURES

    known = figure_names()
    if name not in known:
        raise UsageError(f"figure: {one_of(name, (*known, ALL))}")
    if name in TABLES:
        reproduced = any("steps_after_ance" in space for space in results.spaces)
        needs = "" if reproduced else _TABLE_NEEDS
    else:
        kind = FIGURES[name]
        needs = "" if kind.ready(kind.of(_view(results, name, pair))) else kind.needs
    return f"{name}: these results have no {needs}" if needs else ""


def _view(results: Results, name: str, pair: str | None) -> Results:
    """The comparison meant, for figures of one; everything for the others."""
    from anisotropy.plots import FIGURES
    from anisotropy.plots.compared import one_pair

    return results if pair is None or not FIGURES[name].of_pair else one_pair(results, pair)


def figures_text(results: Results | None = None, pair: str | None = None) -> str:
    """Every figure and table, a line each; of results also which of them they give."""
    from anisotropy.plots import FIGURES

    titles = {name: kind.title for name, kind in FIGURES.items()} | _TITLES
    wide = max(map(len, titles))
    marks = dict.fromkeys(titles, "")
    if results is not None:
        marks = {name: "- " if missing(results, name, pair) else "+ " for name in titles}
    lines = [f"{marks[name]}{name:<{wide}}  {title}" for name, title in titles.items()]
    legend = [] if results is None else ["", "+ these results give it, - they do not"]
    return "\n".join([*lines, *legend])


def draw_figures(
    results: Results,
    names: Sequence[str],
    out: str | Path,
    *,
    formats: Sequence[str] = DRAWN,
    pair: str | None = None,
    say: Callable[[str], None] | None = None,
) -> list[Path]:
    """Draw figures and tables by name.

    Parameters
    ----------
    results
        From which to draw.
    names
        Figures and tables; ``all`` stands for those that the results give.
    out
        Folder, made if it does not exist. Files of these names are replaced.
    formats
        Of figures: ``pdf``, ``png``, ``svg``, and ``tex``, which is a LaTeX figure with the
        caption; the images then carry none. Tables are written as ``.csv`` and ``.tex``.
    pair
        Of several comparisons the one that is drawn where a figure is of one: the label of the
        space that is held against its baseline.
    say
        Called with a line for each figure that ``all`` leaves out.

    Returns
    -------
    list of Path
        The files, in the order of `names`.

    Raises
    ------
    UsageError
        If there is no such figure, format or comparison, or `out` is a file.
    InputError
        If the results do not give one that is named, or none at all; nothing is written then.
    """
    _check_formats(formats)
    if Path(out).is_file():
        raise UsageError(f"out: {out} is a file; allowed: a folder")
    wanted = _wanted(results, names, pair, say)
    paths: list[Path] = []
    for name in wanted:
        paths += _write(results, name, Path(out), formats, pair)
    return paths


def _check_formats(formats: Sequence[str]) -> None:
    for form in formats or ("",):
        if form not in (*IMAGES, LATEX):
            raise UsageError(f"format: {one_of(form, (*IMAGES, LATEX))}")


def _wanted(
    results: Results,
    names: Sequence[str],
    pair: str | None,
    say: Callable[[str], None] | None,
) -> list[str]:
    """The names without repeats, ``all`` replaced by what the results give."""
    if pair is not None:
        from anisotropy.plots.compared import one_pair

        one_pair(results, pair)  # refuses a name that is none, also where no figure asks for it
    reasons = {name: missing(results, name, pair) for name in names if name != ALL}
    for reason in filter(None, reasons.values()):
        raise InputError(reason)
    if ALL not in names:
        return list(reasons)
    reasons |= {name: missing(results, name, pair) for name in figure_names()}
    found = [name for name in figure_names() if not reasons[name]]
    if not found:
        raise InputError("nothing to draw: these results hold no curves and no measurements")
    for reason in filter(None, reasons.values()):
        if say is not None:
            say(f"left out: {reason}")
    return found


def _write(
    results: Results, name: str, out: Path, formats: Sequence[str], pair: str | None
) -> list[Path]:
    from anisotropy.plots import FIGURES

    if name in TABLES:
        return write_table(results, name, out)
    kind = FIGURES[name]
    shown = kind.of(_view(results, name, pair))
    figure = kind.draw(shown, caption=LATEX not in formats)
    return write_figure(figure, kind.caption(shown), out / name, formats)


def write_figure(
    figure: Figure, caption: str, path: Path, formats: Sequence[str] = DRAWN
) -> list[Path]:
    """Write a figure as `path` with the suffix of each format; ``tex`` holds the caption.

    Raises
    ------
    UsageError
        If a format is unknown.
    """
    from anisotropy.plots import save_figure
    from anisotropy.plots.style import COLUMN

    _check_formats(formats)
    images = [form for form in formats if form != LATEX]
    paths = save_figure(figure, path, images)
    if LATEX in formats:
        paths.append(path.with_name(f"{path.name}.{LATEX}"))
        wide = bool(figure.get_figwidth() > COLUMN)
        write_text(paths[-1], figure_latex(path.name, caption, wide))
    return paths


def figure_latex(name: str, caption: str, wide: bool) -> str:
    """A LaTeX figure that includes the image called `name`, over both columns where `wide`."""
    environment, width = ("figure*", "textwidth") if wide else ("figure", "columnwidth")
    text = "".join(_SIGNS.get(sign, sign) for sign in latex_text(caption))
    return "\n".join(
        [
            rf"\begin{{{environment}}}",
            r"  \centering",
            rf"  \includegraphics[width=\{width}]{{{name}}}",
            rf"  \caption{{{text}}}",
            rf"  \label{{fig:{name}}}",
            rf"\end{{{environment}}}",
            "",
        ]
    )


def write_table(results: Results, name: str, out: Path) -> list[Path]:
    """Write a table of methods as ``.csv`` and ``.tex``."""
    table = method_table(results, name)
    paths = [out / f"{name}.csv", out / f"{name}.{LATEX}"]
    for path, text in zip(paths, (table.csv(), table.latex()), strict=True):
        write_text(path, text)
    return paths
