"""Reaching a Dask cluster, and refusing one that would give other results."""

from __future__ import annotations

import gc
import importlib.metadata
import logging
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from anisotropy.engine.cluster import NO_WORKERS, Cluster, one_line
from anisotropy.errors import AnisotropyError, ClusterError, MissingExtra, UsageError, shown

if TYPE_CHECKING:
    from distributed import Client

#: Seconds in which a scheduler has to answer.
ANSWER = 6.0
#: What decides the digits of a result, besides the processor.
_COMPUTING = ("anisotropy", "numpy", "scipy")


@contextmanager
def connected(scheduler: Any, say: Callable[[str], None] | None) -> Iterator[Cluster]:
    """The cluster behind an address or a client, checked; a client made here is closed again."""
    try:
        import dask.config
        from distributed import Client
    except ImportError:
        raise MissingExtra("a Dask scheduler", "cluster") from None
    large = {"distributed.admin.large-graph-warning-threshold": "1 GiB"}
    if isinstance(scheduler, str):
        with dask.config.set(large), _quiet(), _client(scheduler) as client:
            yield _checked(client, say)
    elif isinstance(scheduler, Client) and not scheduler.asynchronous:
        if scheduler.status != "running":
            raise UsageError(
                f"scheduler: got a Client that is {scheduler.status}; allowed: one that is "
                "connected"
            )
        with dask.config.set(large):
            yield _checked(scheduler, say)
    else:
        raise UsageError(
            f"scheduler: got {shown(scheduler)}; allowed: an address such as tcp://host:8786, or "
            "a distributed.Client that is not asynchronous, such as Client(cluster)"
        )


@contextmanager
def _client(address: str) -> Iterator[Client]:
    client = _try(address)
    if isinstance(client, str):
        # What is left of a client that could not connect closes itself when it is collected, and
        # waits for ever where that happens while another one starts: so it is collected now.
        gc.collect()
        raise UsageError(
            f"scheduler {shown(address)}: no Dask scheduler answers there{client}; needed: the "
            "address that `dask scheduler` prints, such as tcp://host:8786"
        )
    try:
        yield client
    finally:
        client.close(timeout=ANSWER)


def _try(address: str) -> Client | str:
    """A client of the scheduler there, or the reason why there is none."""
    from distributed import Client

    try:
        return Client(address, timeout=ANSWER, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:  # a timeout is an OSError too
        return "" if isinstance(error, OSError) else f" ({one_line(error)})"


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing on stderr of what Dask has to say of connections: errors are raised."""
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def _checked(client: Client, say: Callable[[str], None] | None) -> Cluster:
    """The cluster of a client, once a worker is there and all compute with the same."""
    address = client.scheduler.address
    try:
        client.wait_for_workers(1, timeout=NO_WORKERS)
    except TimeoutError:
        raise ClusterError(
            f"scheduler {address}: no worker for {NO_WORKERS:g} s; start some with `dask worker "
            f"{address}`"
        ) from None
    here = computing()
    for worker, there in _ask(client).items():
        check_same(worker, there, here)
    cluster = Cluster(client, say)
    cluster.tell(f"{address}: {cluster.describe()}")
    return cluster


def _ask(client: Client) -> dict[str, Any]:
    """What every worker computes with."""
    try:
        return dict(client.run(computing, on_error="return"))
    except Exception as error:  # whatever a worker without the package says
        raise ClusterError(
            f"workers cannot answer ({one_line(error)}); install the same anisotropy on each"
        ) from error


def computing() -> dict[str, str]:
    """Versions of what computes here."""
    found = {name: importlib.metadata.version(name) for name in _COMPUTING[1:]}
    from anisotropy import __version__

    return {"anisotropy": __version__, **found, "python": _python()}


def _python() -> str:
    return ".".join(platform.python_version_tuple()[:2])


def check_same(worker: str, there: Any, here: dict[str, str]) -> None:
    """Raise ClusterError where a worker computes with other versions."""
    if isinstance(there, AnisotropyError):
        raise there
    if not isinstance(there, dict):
        raise ClusterError(
            f"worker {worker}: {one_line(there)}; install anisotropy {here['anisotropy']} there"
        )
    other = [f"{name} {there.get(name)} (here {own})" for name, own in here.items()
             if there.get(name) != own]  # fmt: skip
    if other:
        raise ClusterError(
            f"worker {worker} has {', '.join(other)}; install the same versions on every worker"
        )
