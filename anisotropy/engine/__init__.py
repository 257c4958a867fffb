"""Where work on rows runs: in threads of this process, or on the workers of a Dask cluster.

Work is cut into spans of rows that depend on the data alone. A worker is sent what to do and
where its rows lie, reads them itself, and sends back a small state; states are put together in
the order of the spans, here as there, so that both ways give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

from anisotropy.engine.places import in_file

__all__ = ["Engine", "current", "in_file", "on", "stop"]

T = TypeVar("T")
R = TypeVar("R")


class Engine(Protocol):
    """Something else than this process that does work."""

    def run(self, work: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """Results of `work` on each task, in the order of the tasks.

        Tasks are made when there is room for them, after the results before have been taken.
        """

    def stop(self) -> None:
        """Give up what is under way: whoever waits for results gets an error."""


_current: ContextVar[Engine | None] = ContextVar("anisotropy engine", default=None)


def current() -> Engine | None:
    """The engine that work of this context is given to; None for threads of this process."""
    return _current.get()


def stop() -> None:
    """Give up what is under way elsewhere, where some of it failed or was interrupted."""
    engine = current()
    if engine is not None:
        engine.stop()


@contextmanager
def on(scheduler: Any, say: Callable[[str], None] | None = None) -> Iterator[None]:
    """Give the work inside to a Dask cluster.

    Parameters
    ----------
    scheduler
        Address such as ``tcp://host:8786``, a connected ``distributed.Client`` (which stays
        open), or None: the work stays in this process.
    say
        Called with a line on who works, how far they are, and whom was lost.

    Raises
    ------
    MissingExtra
        If Dask is not installed.
    UsageError
        If `scheduler` is neither, or nobody answers at the address.
    ClusterError
        If there is no worker, or one has another version of what computes.
    """
    if scheduler is None:
        yield
        return
    from anisotropy.engine.connecting import connected

    with connected(scheduler, say) as engine:
        token = _current.set(engine)
        try:
            yield
        finally:
            _current.reset(token)
