"""Results, report and figures written into a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from anisotropy.backend import cores

if TYPE_CHECKING:
    from anisotropy.results import Results

#: Fewer figures are drawn sooner than another process is there to help.
_WORTH_HELP = 6
#: Share of the figures that the other process draws, while the report is made here.
_SHARE = 0.7


def write(results: Results, folder: str | Path) -> list[Path]:
    """Write results, report and figures into a folder.

    Where there are several cores, a second process draws a part of the figures from the results
    that were written; the files are the same.

    Returns
    -------
    list of Path
        ``report.html`` and the figures.
    """
    from anisotropy.plots import available, save_figures
    from anisotropy.report import write_html

    folder = Path(folder)
    figures = folder / "figures"
    results.write(folder)
    names = [kind.name for kind in available(results)]
    several = cores() > 1 and len(names) >= _WORTH_HELP
    with _drawn_beside(folder, names[: round(_SHARE * len(names))] if several else ()) as drawn:
        report = write_html(results, folder / "report.html")
        paths = save_figures(results, figures, elsewhere=drawn)
    return [report, *paths]


@contextmanager
def _drawn_beside(folder: Path, names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Figures of a folder that another process draws meanwhile.

    What it could not draw is drawn here, where it is said what is wrong.
    """
    if not names:
        yield names
        return
    # -P: nothing is imported from the folder that the user happens to be in.
    words = [sys.executable, "-P", "-m", "anisotropy.workflow.drawing", str(folder), *names]
    process = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_with_this_package()
    )
    try:
        yield names
        failed = process.wait()
    finally:
        process.kill()
        process.wait()
    if failed:
        from anisotropy.workflow.drawing import draw

        draw(folder, names)


def _with_this_package() -> dict[str, str]:
    """The environment, in which Python finds the package that runs here."""
    import anisotropy

    paths = [str(Path(anisotropy.__file__).parents[1]), os.environ.get("PYTHONPATH")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
