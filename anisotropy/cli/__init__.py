"""The command line: parses, calls the library, prints. No logic of its own, no heavy import."""

from anisotropy.cli.main import main

__all__ = ["main"]
