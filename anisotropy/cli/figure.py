"""``anisotropy figure``: figures and tables from a results folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from anisotropy.cli.options import add_common_options, resolve
from anisotropy.errors import UsageError

SUMMARY = "figures and tables from a results folder, by name"
DEFAULTS: dict[str, Any] = {
    "names": [],
    "results": None,
    "out": None,
    "format": "pdf,png",
    "pair": None,
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="spectrum, cosines, distances, … or all; without one what there is is listed",
    )
    parser.add_argument(
        "--results",
        metavar="DIR",
        help="what compare, analyze or reproduce wrote; for history also a checkpoint",
    )
    parser.add_argument("--out", metavar="DIR", help="folder of the files (DIR/figures)")
    parser.add_argument(
        "--format",
        metavar="LIST",
        help="pdf,png (default), svg, tex: a LaTeX figure with the caption, images then without",
    )
    parser.add_argument(
        "--pair",
        metavar="LABEL",
        help="of several comparisons that of this space, for differences and movement",
    )
    add_common_options(parser)


def run(given: dict[str, Any]) -> int:
    """Draw, and print the files; without a name list what there is."""
    options = resolve(given, DEFAULTS)
    from anisotropy.cli import jobs
    from anisotropy.measures import split_list
    from anisotropy.report import draw_figures, figures_text, read_results

    if options["results"] is None and options["names"]:
        raise UsageError("figure needs --results DIR: what compare, analyze or reproduce wrote")
    results = None if options["results"] is None else read_results(options["results"])
    if results is None or not options["names"]:
        print(figures_text(results, options["pair"]))
        return 0
    paths = draw_figures(
        results,
        options["names"],
        options["out"] or Path(options["results"]) / "figures",
        formats=split_list(options["format"]),
        pair=options["pair"],
        say=jobs.teller(options["quiet"]),
    )
    print("\n".join(map(str, paths)))
    return 0
