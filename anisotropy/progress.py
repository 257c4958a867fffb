"""Progress bars: on stderr for commands, below the cell in a notebook, nowhere else."""

from __future__ import annotations

import io
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

Progress = Callable[[str, int, int], None]
ProgressFactory = Callable[[str], Progress]
#: Given how many there are and what is counted, a bar with the interface of tqdm.
MakeBar = Callable[[int, str], Any]
#: Given what is being done, and how much of it or of the whole job is done, from 0 to 1.
Share = Callable[[str, float], None]

#: Of a job there is nothing to count: how far it is, how long it took, what it is at.
_JOB = "{desc}: {percentage:3.0f}%|{bar:24}| {elapsed}{postfix}"
#: Seconds between two looks at the clock where nothing else is to be shown.
BEAT = 1.0
#: Seconds between two lines of a job where there is no terminal to show a bar.
LINE_EVERY = 60.0


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


class Parts:
    """How much of a job is done, from its parts, which may run in several threads.

    Parameters
    ----------
    tell
        Called with what is being done and the share of the whole; None tells nobody.
    texts
        What each part is about, in the order in which they are named when several are under way.
    """

    def __init__(self, tell: Share | None, texts: Iterable[str]) -> None:
        self._tell = tell
        self._shares: dict[str, float | None] = dict.fromkeys(texts)
        self._at: dict[str, str] = {}
        self._lock = threading.Lock()

    def __call__(self, text: str, share: float) -> None:
        """Tell that `share` of the part `text` is done."""
        self._put(self._shares, text, share)

    def at(self, text: str, detail: str) -> None:
        """Tell what the part `text` is at."""
        self._put(self._at, text, detail)

    def _put(self, where: dict[str, Any], text: str, value: Any) -> None:
        if self._tell is None:
            return
        with self._lock:
            where[text] = value
            under_way = (t for t, s in self._shares.items() if s is not None and s < 1)
            first = next(under_way, text)
            whole = sum(s or 0.0 for s in self._shares.values()) / len(self._shares)
            self._tell(f"{first}: {self._at[first]}" if first in self._at else first, whole)


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
    """Bars of the notebook this runs in, the sides of a label in one place; None outside."""
    if not in_notebook():
        return None
    with warnings.catch_warnings():
        # Libraries that ask for tqdm.auto would warn of missing widgets: a red box below the cell.
        warnings.simplefilter("ignore")
        import tqdm.auto  # noqa: F401
    kind = _cell_kind()

    def for_label(label: str) -> Progress:
        output = _Output()
        return encoding_bars(
            lambda total, text: kind(output, total=total, desc=text, unit=" texts")
        )(label)

    return for_label


def notebook_lines() -> Callable[[str], None] | None:
    """A function that says a line below the cell, in place of the one before; None outside."""
    return _Output().show if in_notebook() else None


@contextmanager
def notebook_job(title: str) -> Iterator[Share | None]:
    """A bar below the cell for as long as a job takes; outside of a notebook there is none.

    Parameters
    ----------
    title
        What the job is, for example ``comparing ance and dance``.

    Yields
    ------
    Share or None
        To be called as the job goes on. Whoever leaves without an error has done it all; after
        an error the bar stays where it was.
    """
    if not in_notebook():
        yield None
        return
    with _job(_cell_kind()(_Output(), total=1, desc=title, bar_format=_JOB), title) as tell:
        yield tell


@contextmanager
def terminal_job(title: str, say: Callable[[str], None] | None) -> Iterator[Share | None]:
    """How far a job is, on stderr: a bar that goes when it ends, or a line a minute in a file.

    Parameters
    ----------
    title
        What the job is, for example ``comparing``.
    say
        Says a line on stderr; None where nothing is to be said.

    Yields
    ------
    Share or None
        To be called as the job goes on.
    """
    if say is None:
        yield None
    elif sys.stderr.isatty():
        from tqdm import tqdm

        bar = tqdm(total=1, desc=title, bar_format=_JOB, leave=False, dynamic_ncols=True)
        with _job(bar, title) as tell:
            yield tell
    else:
        with _job(_Lines(title, say), title) as tell:
            yield tell


def say_line(line: str) -> None:
    """Write a line on stderr, above the bar where there is one."""
    if "tqdm" in sys.modules:
        from tqdm import tqdm

        tqdm.write(line, file=sys.stderr)
        sys.stderr.flush()
    else:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


class _Lines:
    """In place of a bar, a line from time to time."""

    def __init__(self, title: str, say: Callable[[str], None]) -> None:
        self.n, self._title, self._say, self._text = 0.0, title, say, ""
        self._began = self._told = time.monotonic()

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:
        """What is under way."""
        self._text = text

    def refresh(self) -> None:
        """Say it, if the last line is long ago."""
        now = time.monotonic()
        if now - self._told >= LINE_EVERY:
            self._told = now
            at = f"; {self._text}" if self._text else ""
            self._say(f"{self._title}: {self.n:.0%} after {now - self._began:.0f} s{at}")

    def close(self) -> None:
        """Nothing stays to be taken away."""


@contextmanager
def _job(bar: Any, title: str) -> Iterator[Share]:
    """A bar for as long as a job takes."""

    def tell(text: str, share: float) -> None:
        bar.n = min(share, 1.0)
        bar.set_postfix_str(text.removeprefix(title).removeprefix(": "))

    try:
        with _beating(bar):
            yield tell
        bar.n = 1
    finally:
        bar.set_postfix_str("", refresh=False)
        bar.close()


@contextmanager
def _beating(bar: Any) -> Iterator[None]:
    """Show the time that goes by while the job has nothing to tell."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT):
            bar.refresh()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class _Output:
    """One output of a cell as text, replaced by what is shown next.

    It needs no widgets, writes nothing to stderr, and a saved notebook shows what came last, where
    the widget of tqdm leaves the text it began with.
    """

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, text: str) -> None:
        from IPython.display import display

        shown = {"text/plain": text}
        if self._handle is None:
            self._handle = display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)


def _cell_kind() -> Any:
    """A bar in an output of the cell."""
    from tqdm.std import tqdm

    class CellBar(tqdm):  # type: ignore[misc, unused-ignore]
        def __init__(self, output: _Output, **settings: Any) -> None:
            self.output = output
            super().__init__(file=io.StringIO(), ascii=False, **settings)

        def display(self, msg: str | None = None, pos: int | None = None) -> bool:
            self.output.show(str(self) if msg is None else msg)
            return True

    return CellBar
