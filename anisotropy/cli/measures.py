"""``anisotropy measures``: the registry prints itself."""

from __future__ import annotations

import argparse
from typing import Any

from anisotropy.cli.options import add_common_options, resolve
from anisotropy.errors import UsageError, one_of

SUMMARY = "the list of measures with their definitions"
_FORMATS = ("table", "json", "markdown")
DEFAULTS: dict[str, Any] = {"names": [], "format": "table"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("names", nargs="*", metavar="MEASURE", help="only these, in full")
    parser.add_argument("--format", metavar="F", help=f"printed as {', '.join(_FORMATS)}")
    add_common_options(parser)


def run(given: dict[str, Any]) -> int:
    """Print the registry."""
    options = resolve(given, DEFAULTS)
    if options["format"] not in _FORMATS:
        raise UsageError(f"--format: {one_of(options['format'], _FORMATS)}")
    from anisotropy.measures.listing import format_registry

    print(format_registry(options["names"], options["format"]))
    return 0
