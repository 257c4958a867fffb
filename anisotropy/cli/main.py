"""Dispatch: finds the command, turns every expected error into one line and an exit code."""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from anisotropy.errors import AnisotropyError, UsageError, one_of, shown

#: Commands in the order of ``--help``; each is a module of this package with ``SUMMARY``,
#: ``add_options(parser)`` and ``run(arguments)``.
COMMANDS = (
    "compare",
    "analyze",
    "encode",
    "train",
    "negatives",
    "reproduce",
    "demo",
    "explore",
    "inspect",
    "convert",
    "figure",
    "measures",
)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage."""
        raise UsageError(f"{message}; see '{self.prog} --help'")

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        """Refuse what is unknown here, where it is known which command it was given to."""
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unknown: {' '.join(map(shown, unknown))}{self._meant(unknown[0])}")
        return parsed, unknown

    def _meant(self, word: str) -> str:
        name = word.partition("=")[0]
        near = difflib.get_close_matches(name, self._option_string_actions, n=1, cutoff=0.75)
        return f" (did you mean {near[0]}?)" if near else ""


def build_parser() -> Parser:
    """The parser of every command."""
    parser = Parser(
        prog="anisotropy",
        description=(
            "What the embedding space of a dense retriever looks like, what changed between "
            "two checkpoints, and whether it matters for ranking."
        ),
        epilog=(
            "exit codes: 0 done, 1 a --fail-if gate failed, 2 bad usage or input, 130 interrupted"
        ),
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for name in COMMANDS:
        module = _module(name)
        command = commands.add_parser(
            name,
            help=module.SUMMARY,
            description=module.SUMMARY,
            allow_abbrev=False,
            argument_default=argparse.SUPPRESS,
        )
        module.add_options(command)
    return parser


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"anisotropy.cli.{name}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    arguments
        Words after the program's name; default: those of this process.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(words)
    except AnisotropyError as error:
        print(f"anisotropy: {_one_line(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"anisotropy: interrupted; {_kept(words)}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output is gone (``| head``): silence the flush at exit as well.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"anisotropy: {where}{error.strerror or error}", file=sys.stderr)
        return 2


def _kept(words: list[str]) -> str:
    """What is left of a command that was interrupted."""
    if words[:1] and words[0] in ("analyze", "compare", "explore"):
        return "vectors that were encoded are kept, the rest is done anew"
    return "what was finished is kept"


def _run(words: list[str]) -> int:
    parser = build_parser()
    if words and not words[0].startswith("-") and words[0] not in COMMANDS:
        raise UsageError(f"unknown command: {one_of(words[0], COMMANDS)}")
    parsed = vars(parser.parse_args(words))
    if parsed.pop("version", False):
        from anisotropy import __version__

        print(f"anisotropy {__version__}")
        return 0
    command = parsed.pop("command")
    if command is None:
        parser.print_help()
        return 2
    code: int = _module(command).run(parsed)
    return code


def _one_line(text: str) -> str:
    return " ".join(text.split())
