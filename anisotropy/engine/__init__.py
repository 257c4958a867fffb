"""Where work on rows runs: threads of this process, a device, the workers of a Dask cluster.

Work is cut into spans of rows that depend on the data alone. A worker is sent what to do and
where its rows lie, reads them itself, and sends back a small state; states are put together in
the order of the spans, here as there, so that both ways give the same bits.

A device does the same work with torch, where there is enough of it: neighbors by the same rules,
sums with other last digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

from anisotropy.engine import devices
from anisotropy.engine.places import in_file

__all__ = [
    "Engine",
    "current",
    "device",
    "device_used",
    "in_file",
    "on",
    "on_device",
    "stop",
]

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
_device: ContextVar[devices.Sought | None] = ContextVar("anisotropy device", default=None)


def current() -> Engine | None:
    """The engine that work of this context is given to; None for threads of this process."""
    return _current.get()


def device(operations: float) -> str | None:
    """The device that work of this context is given to; None for NumPy in threads of this process.

    Parameters
    ----------
    operations
        How many there are to do. Of fewer than :data:`devices.WORTH` none are given away, which
        depends on nothing else, so that a run gives the same digits again.

    Returns
    -------
    str or None
        Its name as torch knows it, such as ``cuda:0``.
    """
    sought = _device.get()
    if sought is None or current() is not None or operations < devices.WORTH:
        return None
    return sought.use()


def device_used() -> str | None:
    """Name and make of the device that work of this context was given to; None if none was."""
    sought = _device.get()
    return devices.described(str(sought.found)) if sought is not None and sought.used else None


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


@contextmanager
def on_device(name: str, say: Callable[[str], None] | None = None) -> Iterator[None]:
    """Give the large products inside to a device, where there is one.

    Parameters
    ----------
    name
        ``auto``: a CUDA device where there is one, looked for when there is enough to do.
        ``cpu``: NumPy. Or a device of torch such as ``cuda:1``.
    say
        Called with a line where a named device does not get this work.

    Raises
    ------
    UsageError
        If a device is named that is not there.
    """
    token = _device.set(devices.sought(name, say, current() is not None))
    try:
        yield
    finally:
        _device.reset(token)
