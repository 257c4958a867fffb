"""Work beside the main thread: items made one ahead of it, tasks done one behind it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, NoReturn, TypeVar

Item = TypeVar("Item")
Value = TypeVar("Value")


class Ahead(Generic[Item]):
    """Items of an iterator, made by a thread while the one before is in use.

    An iterator of its items, and a context manager that ends the thread. An error of the iterator
    is raised in its place among the items, in the thread that asks for them.

    Parameters
    ----------
    make
        Given an event, the iterator. It is asked for an item when the one before is handed out,
        so two are in memory at most; when the event is set it should come to its end soon.
    """

    def __init__(self, make: Callable[[threading.Event], Iterator[Item]]) -> None:
        self._over = threading.Event()
        self._wanted = threading.Semaphore(1)
        self._made: queue.Queue[Callable[[], Item]] = queue.Queue()
        self._thread = threading.Thread(target=self._work, args=(make,), daemon=True)

    def __enter__(self) -> Ahead[Item]:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._wanted.release()
        self._thread.join()

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        item = self._made.get()()
        self._wanted.release()
        return item

    def _work(self, make: Callable[[threading.Event], Iterator[Item]]) -> None:
        items = make(self._over)
        while self._wanted.acquire() and not self._over.is_set():
            try:
                item = next(items)
            except BaseException as error:  # StopIteration too: the end, raised where it is seen
                self._made.put(_raising(error))
                return
            self._made.put(_giving(item))
            del item  # or it would be in memory until the next one is there


def _giving(item: Item) -> Callable[[], Item]:
    return lambda: item


def _raising(error: BaseException) -> Callable[[], NoReturn]:
    def act() -> NoReturn:
        raise error

    return act


class Behind(Generic[Value]):
    """Tasks that a thread does in their order, while the next one is prepared.

    A context manager: its end waits for the task under way, also after an error elsewhere, so
    that what was finished is kept. An error of a task is raised by the next call.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._task: Future[Value] | None = None

    def __enter__(self) -> Behind[Value]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=True)

    def do(self, task: Callable[[], Value]) -> None:
        """Begin a task when the one before is done."""
        self.wait()
        self._task = self._pool.submit(task)

    def check(self) -> None:
        """Raise the error of a task that failed, without waiting for one under way."""
        if self._task is not None and self._task.done():
            self._task.result()

    def wait(self) -> Value | None:
        """Wait until every task is done; the value of the last one, which is forgotten."""
        task, self._task = self._task, None
        return None if task is None else task.result()
