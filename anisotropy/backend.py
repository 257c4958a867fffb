"""Products and selections on blocks of rows: the one place where another array library can join.

A side of a space may be a memory-mapped float16 file of a million rows. It is never copied
whole: :class:`Rows` reads it block by block and transforms each block on the way.

What is made of all rows is made of spans of blocks, which depend on the rows alone: of the blocks
of a span in their order, then of the spans in theirs. So the threads of this process and the
workers of a cluster (:mod:`anisotropy.engine`) give the same bits.
"""

from __future__ import annotations

import functools
import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from anisotropy import engine
from anisotropy.errors import EmbeddingsError, UsageError
from anisotropy.spaces.rows import arrays_of, window

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

BLOCK_BYTES = 8 << 20
#: Blocks of a span, and the spans that rows are cut into at most.
SPAN_BLOCKS, MOST_SPANS = 16, 1024
#: Bytes of vectors in memory, not in a file, that are sent to the workers of a cluster.
MOST_SENT = 4 << 20

#: The bits of a widened float16 that come from it, and what its exponent lacks.
_SIGN_AND_VALUE, _BIAS = np.uint32(0x8FFFE000).view(np.int32), np.float32(2.0**112)
#: Rows that stay in the cache in float64.
_CACHED_ROWS = 128

T = TypeVar("T")
R = TypeVar("R")


def cores() -> int:
    """Threads that work on blocks: the cores of this process, or OMP_NUM_THREADS if fewer."""
    try:
        available = len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        available = os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(available, int(asked) if asked.isdigit() else available))


class _OneThreadEach:
    """While anybody is inside, a matrix product stays in the thread that asks for it.

    The limit is one of the process. It is counted, because two threads that set and restore it
    by themselves would leave it behind.
    """

    def __init__(self) -> None:
        # Reentrant: a generator that leaves may be collected while its thread is in here.
        self._lock = threading.RLock()
        self._inside = 0
        self._limit: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._limit = _controller().limit(limits=1, user_api="blas")
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._limit.restore_original_limits()


one_thread_each = _OneThreadEach()
#: Has the attribute ``works`` in threads of :func:`_workers`.
_thread = threading.local()


@contextmanager
def alone() -> Iterator[None]:
    """Whoever is inside works in this thread only: in parallel is what runs beside it."""
    before = hasattr(_thread, "works")
    _thread.works = True
    try:
        with one_thread_each:
            yield
    finally:
        if not before:
            del _thread.works


def _controller() -> ThreadpoolController:
    """The libraries loaded by now; scikit-learn and others may bring one of their own later."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@functools.cache
def _workers(process: int) -> ThreadPoolExecutor:
    """The threads of a process (a forked one makes its own), shared by all that it measures."""
    mark = functools.partial(setattr, _thread, "works", True)
    return ThreadPoolExecutor(cores(), thread_name_prefix="anisotropy", initializer=mark)


def in_parallel(
    work: Callable[[T], R], tasks: Iterable[T], ahead: int | None = None
) -> Generator[R, None, None]:
    """Results of `work` on each task, in the order of the tasks, a core a task.

    Every product inside runs in one thread, so that a result depends neither on the number of
    cores nor on what else is running. Called inside of `work`, the tasks are done one by one: a
    worker that waited for others could wait for itself.

    Parameters
    ----------
    work, tasks
        The tasks may be made while others are under way.
    ahead
        A task begins when the one that many places and one more before it has ended. Default:
        twice the number of cores.
    """
    if hasattr(_thread, "works"):
        yield from map(work, tasks)
        return
    pool, waiting = _workers(os.getpid()), deque[Future[R]]()
    ahead = 2 * cores() if ahead is None else ahead
    with one_thread_each:
        try:
            for task in tasks:
                waiting.append(pool.submit(work, task))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


@dataclass(frozen=True, eq=False)
class Rows:
    """A matrix read by blocks, each row shifted and scaled on the way.

    Attributes
    ----------
    data
        Array or memory map of shape (rows, dim), any float type.
    keep
        Indices of the rows of `data` that count, ascending; None for all.
    shift
        Vector of shape (dim,) subtracted from every row; None for none.
    scale
        Factors of shape (len(self),) applied after the shift; None for none.
    """

    data: np.ndarray
    keep: np.ndarray | None = None
    shift: np.ndarray | None = None
    scale: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.data) if self.keep is None else len(self.keep)

    @property
    def dim(self) -> int:
        """Number of columns."""
        return int(self.data.shape[1])

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """Type computed in: float64 for float64 data, float32 for everything narrower."""
        wide = self.data.dtype.newbyteorder("=") == np.float64
        return np.dtype(np.float64 if wide else np.float32)

    def take(self, index: slice | np.ndarray) -> np.ndarray:
        """Rows `index` as a new array of shape (m, dim) in the computing type."""
        where = index if self.keep is None else self.keep[index]
        block = copied(self.data[where], self.dtype)
        if self.shift is not None:
            block -= self.shift.astype(self.dtype)
        if self.scale is not None:
            block *= self.scale[index].astype(self.dtype)[:, None]
        return block

    def stored(self, index: slice | np.ndarray) -> np.ndarray:
        """Rows `index` as they lie there, neither shifted nor scaled, not always a copy."""
        return np.asarray(self.data[index if self.keep is None else self.keep[index]])

    @property
    def step(self) -> int:
        """Rows of a block of about 8 MB."""
        return max(1, BLOCK_BYTES // (self.dtype.itemsize * max(self.dim, 1)))

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield every row once, in order, in blocks of about 8 MB."""
        for part in cut(len(self), self.step):
            yield part, self.take(part)

    def span(self, rows: slice) -> Rows:
        """Consecutive rows, none read: to be sent where they are read."""
        data, keep = self.data, None
        if self.keep is None:
            data = window(data, rows.start, rows.stop)
        else:
            keep = self.keep[rows]
        return Rows(data, keep, self.shift, None if self.scale is None else self.scale[rows])

    def at(self, index: np.ndarray) -> Rows:
        """Some rows, none read."""
        keep = index if self.keep is None else self.keep[index]
        return replace(self, keep=keep, scale=None if self.scale is None else self.scale[index])

    def fold(self, work: Callable[[np.ndarray], R], add: Callable[[R, R], R], start: R) -> R:
        """Results of `work` on every block, added up; see :func:`fold`."""
        return fold([self], work, add, start)

    def each(self, work: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Something of every row from `work` on blocks of rows; see :func:`each`."""
        return each([self], work)

    def squares(self) -> np.ndarray:
        """Squared length of every row, shape (len(self),), float64."""
        return self.each(squared_lengths)

    def mean(self) -> np.ndarray:
        """Mean row, shape (dim,), accumulated in float64."""
        total = self.fold(
            lambda block: block.sum(axis=0, dtype=np.float64), added, np.zeros(self.dim)
        )
        return total / max(len(self), 1)

    def dot(self, vector: np.ndarray) -> np.ndarray:
        """Inner product of every row with `vector`, shape (len(self),), float64."""
        return self.dots(vector)

    def dots(self, columns: np.ndarray) -> np.ndarray:
        """Inner products of every row with each of the columns, shape (len(self), m), float64."""
        return self.each(functools.partial(dots, columns))

    def scaled(self, scale: np.ndarray) -> Rows:
        """The same rows with every row multiplied by its factor in `scale`."""
        return replace(self, scale=scale)


def copied(values: np.ndarray, dtype: np.dtype[np.floating]) -> np.ndarray:
    """A new contiguous array of the given type.

    NumPy widens float16 number by number where the processor is not asked to; by shifting the
    bits of all of them into place it takes a sixth of the time.
    """
    if values.dtype != np.float16 or dtype != np.float32 or _any_not_finite(values):
        return np.array(values, dtype=dtype, order="C")
    bits = np.array(values.view(np.int16), dtype=np.int32, order="C")
    bits <<= 13
    bits &= _SIGN_AND_VALUE
    wide = bits.view(np.float32)
    wide *= _BIAS
    return wide


def _any_not_finite(values: np.ndarray) -> bool:
    """Whether the exponent of a float16 is the highest: as integers, these are the largest."""
    if not values.size:
        return False
    positive, both = values.view(np.int16).max(), values.view(np.uint16).max()
    return bool(positive >= 0x7C00 or both >= 0xFC00)


def squared_lengths(block: np.ndarray) -> np.ndarray:
    """Squared length of every row of an array, summed in float64."""
    return _by_parts(block, lambda wide: np.vecdot(wide, wide))


def dots(columns: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Inner products of every row of an array with each of the columns, summed in float64."""
    return _by_parts(block, lambda wide: wide @ columns)


def _by_parts(block: np.ndarray, work: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Something of each row, from rows in float64 that stay in the cache."""
    parts = cut(len(block), _CACHED_ROWS)
    return np.concatenate([work(block[p].astype(np.float64, copy=False)) for p in parts])


def cut(n: int, step: int) -> list[slice]:
    """Slices of `step` that cover 0 ... n - 1 once, in order."""
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


def spans(n: int, step: int, least: int) -> list[slice]:
    """Slices of whole blocks, at least `least` each, that cover 0 ... n - 1 once, in order.

    They depend on nothing else: not on the number of threads, nor on who works on them.
    """
    blocks = -(-n // step)
    return cut(n, step * max(least, -(-blocks // MOST_SPANS)))


def added(total: np.ndarray, part: np.ndarray) -> np.ndarray:
    """The sum, in place of the first."""
    total += part
    return total


@dataclass(frozen=True)
class _Fold:
    """What is made of the blocks of one span."""

    work: Callable[..., Any]
    add: Callable[[Any, Any], Any]
    step: int

    def block(self, sources: Sequence[Rows], part: slice) -> Any:
        return self.work(*(rows.take(part) for rows in sources))

    def __call__(self, sources: Sequence[Rows]) -> Any:
        parts = cut(len(sources[0]), self.step)
        with alone():
            return functools.reduce(self.add, (self.block(sources, part) for part in parts))


def fold(sources: Sequence[Rows], work: Callable[..., R], add: Callable[[R, R], R], start: R) -> R:
    """Results of `work` on every block of rows, added up in an order of the rows alone.

    Parameters
    ----------
    sources
        Rows of one number, read side by side: a block of each goes into `work`.
    work
        Gives something new of arrays of shape (m, dim), one a source.
    add
        Two results to one; it may change the first and return it.
    start
        What the first span is added to, and the result of no rows.
    """
    one = _Fold(work, add, min(rows.step for rows in sources))
    return functools.reduce(add, _states(sources, one), start)


def each(sources: Sequence[Rows], work: Callable[..., np.ndarray]) -> np.ndarray:
    """What `work` gives of each row, from blocks of rows, in one array.

    Parameters
    ----------
    sources
        As in :func:`fold`.
    work
        Gives an array of as many rows as its blocks have, of any shape beyond.
    """
    one = _Fold(lambda *blocks: [work(*blocks)], _followed, min(rows.step for rows in sources))
    nothing: list[np.ndarray] = []
    found = functools.reduce(_followed, _states(sources, one), nothing)
    return np.concatenate(found) if found else np.zeros(0)


def _followed(first: list[Any], second: list[Any]) -> list[Any]:
    first += second
    return first


def _states(sources: Sequence[Rows], one: _Fold) -> Iterator[Any]:
    """A state for every span, in order, from threads here or from the workers of a cluster.

    What is of one span alone is done here: it costs less than to send it.
    """
    n = len(sources[0])
    cuts = spans(n, one.step, SPAN_BLOCKS)
    remote = engine.current()
    if remote is not None and len(cuts) > 1:
        check_sent(*sources)
        yield from remote.run(one, ([rows.span(span) for rows in sources] for span in cuts))
        return
    results = in_parallel(functools.partial(one.block, sources), cut(n, one.step))
    with closing(results):
        for span in cuts:
            blocks = -(-(span.stop - span.start) // one.step)
            yield functools.reduce(one.add, itertools.islice(results, blocks))


def check_sent(*sources: Rows) -> None:
    """Refuse to send many vectors that lie in memory: workers read theirs from files.

    Raises
    ------
    EmbeddingsError
        If they are more than :data:`MOST_SENT` bytes.
    """
    for rows in sources:
        check_in_files(rows.data)


def check_in_files(data: Any, name: str = "vectors") -> None:
    """Refuse many vectors in memory where a cluster is at work; `name` says which."""
    if engine.current() is None:
        return
    sent = sum(array.nbytes for array in arrays_of(data) if not engine.in_file(array))
    if sent > MOST_SENT:
        raise EmbeddingsError(
            f"{name}: {sent / 2**20:.0f} MiB in memory or in a file without a name; the workers "
            "of a cluster read vectors from files that they see: save the space as a store "
            "(anisotropy convert X --to store --out DIR) and open that"
        )


def matmul(a: Any, b: Any) -> np.ndarray:
    """Inner products of the rows of `a` (m, dim) with the rows of `b` (n, dim): (m, n).

    Both are arrays, or both come from :func:`as_bfloat16`: then the result is float32 with the
    digits of bfloat16.
    """
    if isinstance(a, np.ndarray):
        return np.asarray(a @ b.T)
    found: np.ndarray = (a @ b.T).float().numpy()
    return found


def multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for products of bfloat16."""
    import torch

    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in checks)


def as_bfloat16(block: np.ndarray) -> Any:
    """Rows rounded to bfloat16, which NumPy does not have, for :func:`matmul`."""
    import torch

    return torch.from_numpy(block).to(torch.bfloat16)


@contextmanager
def torch_in_workers() -> Iterator[None]:
    """While inside, torch leaves the threads to :func:`in_parallel`."""
    import torch

    with torch_alone():  # each thread asks for itself
        list(in_parallel(lambda _: torch.set_num_threads(1), range(4 * cores())))
        yield


@contextmanager
def torch_alone() -> Iterator[None]:
    """While inside, torch works in the thread that calls it."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def lower_bound_of_kth(scores: np.ndarray, k: int) -> np.ndarray:
    """A value per row that at least `k` of its scores reach, close to the k-th largest.

    The k-th largest of the maxima of groups of columns is such a value: one cheap pass in
    place of a selection over the whole row.

    Parameters
    ----------
    scores
        Array of shape (m, n).
    k
        How many of each row must reach the value; minus infinity where n is smaller.
    """
    m, n = scores.shape
    if n < k:
        return np.full(m, -np.inf, dtype=scores.dtype)
    size = max(1, n // (8 * k))
    groups = n // size
    # Group j holds columns j, j + groups, ...: the maximum runs along contiguous memory.
    maxima = scores[:, : groups * size].reshape(m, size, groups).max(axis=1)
    found: np.ndarray = np.partition(maxima, groups - k, axis=1)[:, groups - k]
    return found


class Best:
    """Order of candidates packed into integers: score descending, then tie ascending.

    A key holds the 32 bits of the score, so turned that a smaller key is a larger score, above
    the rank of the target in the order that breaks ties. Sorting keys sorts candidates, and a
    key can be read back.

    Parameters
    ----------
    ties
        Shape (targets,), a permutation of 0 ... targets - 1: among equal scores the smaller
        comes first.
    """

    NOTHING = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
    #: So many targets leave the score 32 bits of a key.
    MOST_TARGETS = 1 << 32

    def __init__(self, ties: np.ndarray) -> None:
        if len(ties) > self.MOST_TARGETS:
            raise UsageError(
                f"neighbors: got {len(ties)} targets; allowed: {self.MOST_TARGETS} and fewer; "
                "search parts of them and merge the lists"
            )
        self.ties = ties.astype(np.uint64, copy=False)
        self.bits = max(int(len(ties) - 1).bit_length(), 1)

    @functools.cached_property
    def target(self) -> np.ndarray:
        """The target at each place of the order."""
        found = np.empty(len(self.ties), dtype=np.int64)
        found[self.ties] = np.arange(len(found))
        return found

    def span(self, targets: slice) -> Best:
        """The same order of some targets, numbered from 0; its keys can be merged with others."""
        part = Best(self.ties[:0])
        part.ties, part.bits = self.ties[targets], self.bits
        return part

    def keys(self, scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Keys of float32 scores of the given targets."""
        keys = (self._descending(scores) << np.uint64(self.bits)) | self.ties[targets]
        return np.asarray(keys)

    def _descending(self, scores: np.ndarray) -> np.ndarray:
        bits = (scores + np.float32(0)).view(np.uint32)
        descending = np.where(bits >> 31, bits, ~(bits | np.uint32(1 << 31)))
        return descending.astype(np.uint64)

    def beyond(self, floor: np.ndarray) -> np.ndarray:
        """For each float32 floor the least key of no finite score that reaches it."""
        least = np.maximum(floor, np.finfo(np.float32).min)
        return np.asarray((self._descending(least) + np.uint64(1)) << np.uint64(self.bits))

    def read(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Targets and scores of keys; -1 and minus infinity for NOTHING."""
        there = keys != self.NOTHING
        target = self.target[np.where(there, keys, 0) & np.uint64((1 << self.bits) - 1)]
        return np.where(there, target, -1), self.scores(keys)

    def scores(self, keys: np.ndarray) -> np.ndarray:
        """Scores of keys; minus infinity for NOTHING."""
        there = keys != self.NOTHING
        descending = (np.where(there, keys, 0) >> np.uint64(self.bits)).astype(np.uint32)
        bits = np.where(descending >> 31, descending, ~descending & np.uint32(0x7FFF_FFFF))
        scores = np.ascontiguousarray(bits).view(np.float32)
        return np.where(there, scores, np.float32(-np.inf))

    def fill(self, kept: np.ndarray, counts: np.ndarray, keys: np.ndarray) -> None:
        """Put sorted candidates, so many a row and no more than fit, into empty lists."""
        kept[np.arange(kept.shape[1]) < counts[:, None]] = keys

    def merge(self, kept: np.ndarray, row: np.ndarray, keys: np.ndarray) -> None:
        """Put candidates into sorted lists, in place.

        Parameters
        ----------
        kept
            Shape (rows, k), keys ascending in each row.
        row, keys
            Shape (candidates,), rows ascending.
        """
        counts = np.bincount(row, minlength=len(kept))
        starts = np.cumsum(counts) - counts
        # Rows are sorted beside rows of about as many candidates, padded to the same width.
        size = np.frexp(counts)[1]
        for one in np.unique(size[counts > 0]):
            rows = np.flatnonzero(size == one)
            _merge_sorted(kept, rows, self._beside(keys, starts[rows], counts[rows]))

    def _beside(self, keys: np.ndarray, starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """The keys of each row, shape (rows, most of a row), NOTHING behind the last."""
        place = np.arange(counts.max())
        wide: np.ndarray = keys[np.minimum(starts[:, None] + place, len(keys) - 1)]
        wide[place >= counts[:, None]] = self.NOTHING
        return wide


def _merge_sorted(kept: np.ndarray, rows: np.ndarray, wide: np.ndarray) -> None:
    """Put candidates of some rows, shape (rows, any), into their sorted lists, in place."""
    k = kept.shape[1]
    old = kept[rows]
    if (old[:, 0] != Best.NOTHING).any():
        wide = np.concatenate([old, wide], axis=1)
    wide.sort(axis=1)
    kept[rows, : wide.shape[1]] = wide[:, :k]


def candidates(scores: np.ndarray, floor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of scores that reach the floor of their row and are above -inf, by row."""
    place = np.flatnonzero(scores >= np.maximum(floor, np.finfo(scores.dtype).min)[:, None])
    return np.divmod(place, scores.shape[1])
