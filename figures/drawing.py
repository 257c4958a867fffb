"""What the scripts of this folder share: their options, the results folder, the files.

``python figures/drawing.py --results DIR --out DIR`` runs every script beside it; what the results
do not give is left out and said.
"""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import anisotropy as an
from anisotropy.report import missing, read_results, write_figure, write_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    #: Results to figure, with its caption or without.
    Draw = Callable[[an.Results, bool], Figure]

HERE = Path(__file__).resolve().parent
FORMATS = ("pdf", "png", "tex")
LEFT_OUT = 2


def figure(name: str, draw: Draw, words: Sequence[str] | None = None) -> int:
    """Draw one figure from a results folder, and return the exit code.

    Images carry no caption where ``tex``, which holds it, is among the formats.
    """
    options = _options(f"the figure {name}", words)
    formats = options.format.split(",")

    def write(results: an.Results, out: Path) -> list[Path]:
        kind = an.plots.FIGURES[name]
        shown = kind.of(results)
        drawn = draw(shown, "tex" not in formats)
        return write_figure(drawn, kind.caption(shown), out / name, formats)

    return _run(name, options, write)


def table(name: str, words: Sequence[str] | None = None) -> int:
    """Write one table as CSV and LaTeX from a results folder, and return the exit code."""
    options = _options(f"the table {name}", words)
    return _run(name, options, lambda results, out: write_table(results, name, out))


def every(words: Sequence[str] | None = None) -> int:
    """Run every script of this folder; done where at least one gave something."""
    words = list(sys.argv[1:] if words is None else words)
    _options("every figure and table of this folder", words)
    codes = []
    before = sys.argv
    for path in sorted(HERE.glob("*.py")):
        if path.name != Path(__file__).name:
            sys.argv = [str(path), *words]
            codes.append(_code(path))
    sys.argv = before
    return 0 if 0 in codes else LEFT_OUT


def _code(path: Path) -> int:
    """Exit code of a script."""
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as done:
        return int(done.code or 0)
    return 0


def _options(what: str, words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=f"Draw {what} from a results folder.")
    parser.add_argument(
        "--results", type=Path, required=True, metavar="DIR",
        help="what 'anisotropy compare', 'analyze' or 'reproduce' wrote",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--format", default=",".join(FORMATS), help="pdf, png, svg, tex")
    return parser.parse_args(words)


def _run(
    name: str,
    options: argparse.Namespace,
    write: Callable[[an.Results, Path], list[Path]],
) -> int:
    try:
        results = read_results(options.results)
        if reason := missing(results, name):
            print(f"left out: {reason}", file=sys.stderr)
            return LEFT_OUT
        paths = write(results, options.out)
    except (an.AnisotropyError, OSError) as error:
        print(f"figures: {error}", file=sys.stderr)
        return LEFT_OUT
    print("\n".join(map(str, paths)))
    return 0


if __name__ == "__main__":
    sys.exit(every())
