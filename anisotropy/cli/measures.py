"""``anisotropy measures``: the registry prints itself."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from anisotropy.cli.options import add_common_options, resolve
from anisotropy.errors import UsageError, one_of

SUMMARY = "the list of measures with their definitions"
_FORMATS = ("table", "json", "markdown")
DEFAULTS: dict[str, Any] = {"names": [], "format": "table", "out": None}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("names", nargs="*", metavar="MEASURE", help="only these, in full")
    parser.add_argument("--format", metavar="F", help=f"printed as {', '.join(_FORMATS)}")
    parser.add_argument("--out", metavar="DIR", help="write the pages, one a family, as Markdown")
    add_common_options(parser)


def run(given: dict[str, Any]) -> int:
    """Print the registry, or write its pages."""
    options = resolve(given, DEFAULTS)
    if options["format"] not in _FORMATS:
        raise UsageError(f"--format: {one_of(options['format'], _FORMATS)}")
    from anisotropy.measures.listing import format_registry, write_pages

    if options["out"] is not None:
        if options["names"] or options["format"] == "json":
            raise UsageError("--out: writes the Markdown pages of all measures; give it alone")
        print("\n".join(str(path) for path in write_pages(Path(options["out"]))))
        return 0
    print(format_registry(options["names"], options["format"]))
    return 0
