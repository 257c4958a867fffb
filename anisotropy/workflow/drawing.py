"""Some figures of a results folder, drawn by a process of their own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def draw(folder: Path, names: Sequence[str]) -> None:
    """Draw figures of a results folder into it, as those of a run are drawn."""
    from anisotropy.plots import FIGURES, save_figure
    from anisotropy.results import Results

    results = Results.read(folder)
    for name in names:
        kind = FIGURES[name]
        save_figure(kind.draw(kind.of(results)), folder / "figures" / name)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), sys.argv[2:])
