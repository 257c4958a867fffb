"""Progress bars: on stderr for commands, below the cell in a notebook, nowhere else."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Callable
from typing import Any

Progress = Callable[[str, int, int], None]
ProgressFactory = Callable[[str], Progress]
#: Given how many there are and what is counted, a bar with the interface of tqdm.
MakeBar = Callable[[int, str], Any]


def encoding_bars(make: MakeBar) -> ProgressFactory:
    """Given a label, a callback that draws a bar a side."""

    def for_label(label: str) -> Progress:
        bars: dict[str, Any] = {}

        def report(side: str, done: int, total: int) -> None:
            if side not in bars:
                bars[side] = make(total, f"encoding {label} {side}")
            bars[side].update(done - bars[side].n)
            if done >= total:
                bars[side].close()

        return report

    return for_label


def terminal_bar(total: int, text: str) -> Any:
    """A bar on stderr, which a file gets a line of every ten seconds."""
    from tqdm import tqdm

    every = 0.1 if sys.stderr.isatty() else 10
    return tqdm(total=total, desc=text, unit=" texts", mininterval=every)


def in_notebook() -> bool:
    """Whether this runs in the kernel of a notebook; imports nothing."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and "IPKernelApp" in shell.config


def notebook_bars() -> ProgressFactory | None:
    """Bars of the notebook this runs in; None where it is none."""
    if not in_notebook():
        return None
    with warnings.catch_warnings():
        # Libraries that ask for tqdm.auto would warn of missing widgets: a red box below the cell.
        warnings.simplefilter("ignore")
        import tqdm.auto  # noqa: F401
    kind = _cell_kind()
    return encoding_bars(lambda total, text: kind(total=total, desc=text, unit=" texts"))


def _cell_kind() -> Any:
    """A bar as text in the output of the cell, replaced as it grows.

    It needs no widgets, writes nothing to stderr, and a saved notebook shows it complete, where
    the widget of tqdm leaves the text it began with.
    """
    from IPython.display import display
    from tqdm.std import tqdm

    class CellBar(tqdm):  # type: ignore[misc, unused-ignore]
        handle: Any = None

        def __init__(self, **settings: Any) -> None:
            super().__init__(file=io.StringIO(), ascii=False, **settings)

        def display(self, msg: str | None = None, pos: int | None = None) -> bool:
            shown = {"text/plain": str(self) if msg is None else msg}
            if self.handle is None:
                self.handle = display(shown, raw=True, display_id=True)
            else:
                self.handle.update(shown, raw=True)
            return True

    return CellBar
