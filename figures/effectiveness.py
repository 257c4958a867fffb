"""Ranking both ways, a row a method: the table of a reproduction."""

from __future__ import annotations

import sys

from drawing import table

if __name__ == "__main__":
    sys.exit(table("effectiveness"))
