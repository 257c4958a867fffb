"""Results, report and figures written into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anisotropy.results import Results


def write(results: Results, folder: str | Path) -> list[Path]:
    """Write results, report and figures into a folder.

    Returns
    -------
    list of Path
        ``report.html`` and the figures.
    """
    from anisotropy.plots import save_figures
    from anisotropy.report import write_html

    folder = Path(folder)
    results.write(folder)
    return [
        write_html(results, folder / "report.html"),
        *save_figures(results, folder / "figures"),
    ]
