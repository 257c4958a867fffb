"""Work given to the workers of a Dask cluster, and taken back in order."""

from __future__ import annotations

import pickle
import queue
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from anisotropy.engine.places import packed, release
from anisotropy.errors import AnisotropyError, ClusterError, reason_of

if TYPE_CHECKING:
    from distributed import Client, Future

T = TypeVar("T")
R = TypeVar("R")

#: Seconds without any worker after which a run is given up.
NO_WORKERS = 30.0
#: Seconds between two lines on how far the workers are.
_EVERY = 15.0
#: Seconds after which somebody who waits for a result looks who is still there.
_LOOK = 2.0
#: Times that work is tried again which failed by something that may pass.
_RETRIES = 2
#: Bytes of what all tasks share that are sent with each of them.
_INLINE = 1 << 16


class Cluster:
    """Workers of a Dask cluster.

    Parameters
    ----------
    client
        A connected client.
    say
        Called with a line on what goes on.
    """

    def __init__(self, client: Client, say: Callable[[str], None] | None = None) -> None:
        self._client = client
        self._say = say
        self._stopped = False
        self._workers = self._there()
        self._told = self._looked = time.monotonic()

    def run(self, work: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """Results of `work` on each task, in the order of the tasks.

        Parameters
        ----------
        work
            Sent to the workers once; it changes nothing but its result.
        tasks
            Made one after the other while there is room: not many more are sent than there are
            threads to work on them, so that few results wait for their turn here.

        Raises
        ------
        ClusterError
            If there are no workers any more, or a task takes one after the other down.
        InputError
            If a worker cannot read the data.
        """
        stream = _Stream(self, self._shared(work))
        try:
            yield from stream.results(tasks)
        finally:
            stream.cancel()

    def _shared(self, work: Any) -> Any:
        """What is sent once: a task that gives it, which can be done again if it is lost."""
        content = packed(work)
        if len(content) <= _INLINE:
            return content
        name = f"anisotropy-shared-{uuid.uuid4().hex}"
        return self._client.submit(_itself, content, key=name, pure=False)

    def submit(self, shared: Any, task: Any, name: str) -> Future:
        """Send one task."""
        return self._client.submit(
            _done, shared, packed(task), _version(), key=name, pure=False, retries=_RETRIES
        )

    def room(self) -> int:
        """How many tasks are under way at once: two for each thread, and two more."""
        if self._stopped or time.monotonic() - self._looked > _LOOK:
            self.look()
        return 2 * max(sum(self._workers.values()), 1) + 2

    def _there(self) -> dict[str, int]:
        """Workers and their threads."""
        info = self._client.scheduler_info(n_workers=-1)
        return {name: int(about["nthreads"]) for name, about in info["workers"].items()}

    def describe(self) -> str:
        """How many work."""
        return f"{len(self._workers)} worker(s), {sum(self._workers.values())} thread(s)"

    def tell(self, line: str) -> None:
        """Say a line to whoever listens."""
        self._told = time.monotonic()
        if self._say is not None:
            self._say(line)

    def progress(self, behind: int, sent: int) -> None:
        """Say from time to time how far a pass is."""
        if time.monotonic() - self._told > _EVERY:
            tasks = f"of this pass {behind} tasks are done, {sent - behind} under way"
            self.tell(f"{tasks}; {self.describe()}")

    def look(self) -> bool:
        """Whether somebody is there to work; says whom was lost.

        Raises
        ------
        ClusterError
            If the scheduler is gone.
        """
        if self._stopped:
            raise ClusterError("given up: what ran beside it failed or was interrupted")
        if self._client.status != "running":
            raise ClusterError("the Dask scheduler is gone; start it, and the run, again")
        there = self._there()
        self._looked = time.monotonic()
        for name in self._workers.keys() - there.keys():
            self.tell(f"worker {name} is gone; others do its work again")
        self._workers = there
        return bool(there)

    def stop(self) -> None:
        """Give up what is under way."""
        self._stopped = True

    def cancel(self, futures: list[Future]) -> None:
        """Take work back."""
        if futures and self._client.status == "running":
            self._client.cancel(futures)


class _Stream:
    """The tasks of one pass."""

    def __init__(self, cluster: Cluster, shared: Any) -> None:
        self._cluster, self._shared = cluster, shared
        self._name = f"anisotropy-{uuid.uuid4().hex}"
        self._sent: dict[int, Future] = {}
        self._ready: dict[int, Any] = {}
        self._arrived: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._last_seen = time.monotonic()

    def results(self, tasks: Iterable[Any]) -> Iterator[Any]:
        """The results in order; see :meth:`Cluster.run`."""
        numbered, turn, sent, more = enumerate(tasks), 0, 0, True
        while more or self._sent or self._ready:
            while more and sent - turn < self._cluster.room():
                more = self._send(numbered)
                sent += more
            if self._sent:
                number = self._next()
                self._ready[number] = self._result(self._sent.pop(number))
            while turn in self._ready:
                yield self._ready.pop(turn)
                turn += 1
                self._cluster.progress(turn, sent)

    def _send(self, numbered: Iterator[tuple[int, Any]]) -> bool:
        number, task = next(numbered, (-1, None))
        if number < 0:
            return False
        future = self._cluster.submit(self._shared, task, f"{self._name}-{number}")
        self._sent[number] = future
        future.add_done_callback(lambda _: self._arrived.put(number))
        return True

    def _next(self) -> int:
        """Number of a task that is done."""
        while True:
            try:
                number = self._arrived.get(timeout=_LOOK)
            except queue.Empty:
                self._look()
                continue
            self._last_seen = time.monotonic()
            return number

    def _look(self) -> None:
        """Give up where nobody has been there for long."""
        now = time.monotonic()
        if self._cluster.look():
            self._last_seen = now
        elif now - self._last_seen > NO_WORKERS:
            raise ClusterError(
                f"all workers are gone, for {NO_WORKERS:g} s now; start some, and the run, again"
            )

    def _result(self, future: Future) -> Any:
        """What a task gave; one whose result was lost with a worker is done again meanwhile."""
        from distributed import CancelledError, KilledWorker

        try:
            found = pickle.loads(self._waited(future))
        except AnisotropyError:
            raise
        except KilledWorker as error:
            raise ClusterError(
                "a piece of work ended every worker it was given to; give workers more memory "
                f"({one_line(error)})"
            ) from error
        except CancelledError:
            raise ClusterError("the work was taken back on the cluster, or it went away") from None
        except Exception as error:
            raise ClusterError(f"a worker failed: {one_line(error)}") from error
        if isinstance(found, _Refused):
            raise ClusterError(found.line)
        return found

    def _waited(self, future: Future) -> bytes:
        while True:
            try:
                found: bytes = future.result(timeout=30 * _LOOK)
            except TimeoutError:
                if future.status == "error":
                    raise
                self._look()
            else:
                return found

    def cancel(self) -> None:
        """Take back what is under way."""
        self._cluster.cancel(list(self._sent.values()))


class _Refused:
    """What a worker cannot do, in a line; no other try would help."""

    def __init__(self, line: str) -> None:
        self.line = line


def _itself(content: bytes) -> bytes:
    return content


def _done(shared: bytes, task: bytes, version: str) -> bytes:
    """One task, on a worker."""
    try:
        if _version() != version:
            raise ClusterError(f"anisotropy {_version()}; {version} where the run was started")
        work = pickle.loads(shared)
        found = work(pickle.loads(task))
    except AnisotropyError as error:
        found = _Refused(f"worker {_own_name()}: {error}")
    finally:
        release()
    return pickle.dumps(found, protocol=pickle.HIGHEST_PROTOCOL)


def _own_name() -> str:
    from distributed import get_worker

    return str(get_worker().address)


def _version() -> str:
    from anisotropy import __version__

    return __version__


def one_line(error: BaseException) -> str:
    """What went wrong: the kind of error and its first line."""
    return f"{type(error).__name__}: {reason_of(error)}"
