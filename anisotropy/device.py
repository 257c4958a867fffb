"""Rows on a device of torch: read here in threads, put there block by block, and summed there.

What is stored goes over as it is, float16 as float16; it is converted, shifted and scaled on the
device as :meth:`anisotropy.backend.Rows.take` does here, to the same bits. Products of float32 are
made in float32, sums in float64. torch is imported with this module, so this module is imported
where a device is to be used.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anisotropy import backend
from anisotropy.backend import Rows
from anisotropy.errors import UsageError

#: Pieces, each what :class:`Rows` calls a block, that are read ahead, and that are summed at once.
AHEAD, SUMMED = 16, 8
#: Bytes taken to be free on a device that does not say how many are.
FREE = 2 << 30
#: Stored numbers that torch has too; others are converted before they go over.
_STORED = (np.float16, np.float32, np.float64)


class _FullPrecision:
    """While anybody is inside, products of float32 are not rounded to TF32 or bfloat16.

    The setting is one of the process; it is counted, because two threads that set and restore it
    by themselves would leave it behind.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = ""

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = _precision()
                _set_precision("ieee" if _by_backend() else "highest")
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                _set_precision(self._before)


def _by_backend() -> bool:
    """Whether this torch keeps a setting a backend, and complains of the older one beside it."""
    return hasattr(torch.backends.cuda.matmul, "fp32_precision")


def _precision() -> str:
    if _by_backend():
        return str(torch.backends.cuda.matmul.fp32_precision)
    return torch.get_float32_matmul_precision()


def _set_precision(value: str) -> None:
    if _by_backend():
        torch.backends.cuda.matmul.fp32_precision = value
    else:
        torch.set_float32_matmul_precision(value)


_full_precision = _FullPrecision()


@contextmanager
def at_work(name: str, what: str) -> Iterator[Device]:
    """Work on a device in full precision.

    Parameters
    ----------
    name
        Of the device.
    what
        Is done there, for the message where its memory does not do.

    Raises
    ------
    UsageError
        If its memory is full.
    """
    device = Device(name)
    with _full_precision:
        try:
            yield device
        except RuntimeError as error:
            if not _of_memory(error):
                raise
            raise UsageError(
                f"device {name}: {device.memory()}; too little for {what}; free some of it, or "
                "compute on the CPU with --device cpu"
            ) from None


def _of_memory(error: RuntimeError) -> bool:
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or any(
        sign in text for sign in ("out of memory", "alloc_failed")
    )


class Device:
    """A device, and how arrays come to it.

    Parameters
    ----------
    name
        As torch knows it.
    """

    def __init__(self, name: str) -> None:
        self.torch = torch.device(name)

    def put(self, array: np.ndarray) -> Tensor:
        """A copy of an array there."""
        return torch.from_numpy(np.array(array, order="C")).to(self.torch, non_blocking=True)

    def full(self, shape: tuple[int, ...], value: float, dtype: torch.dtype) -> Tensor:
        """An array of one value there."""
        return torch.full(shape, value, dtype=dtype, device=self.torch)

    def staged(self, array: np.ndarray) -> Tensor:
        """A copy of an array in this memory, from which it goes over while others are read."""
        shape, dtype = array.shape, torch.from_numpy(np.empty(0, array.dtype)).dtype
        staged = torch.empty(shape, dtype=dtype, pin_memory=self._pins)
        np.copyto(staged.numpy(), array)
        return staged

    @cached_property
    def _pins(self) -> bool:
        """Whether pages can be pinned: some systems refuse to."""
        if self.torch.type != "cuda":
            return False
        try:
            torch.empty(1, pin_memory=True)
        except RuntimeError:
            return False
        return True

    def free(self) -> int:
        """Bytes that are free, or held by torch for nobody."""
        if self.torch.type != "cuda":
            return FREE
        idle = torch.cuda.memory_reserved(self.torch) - torch.cuda.memory_allocated(self.torch)
        return int(torch.cuda.mem_get_info(self.torch)[0]) + idle

    def memory(self) -> str:
        """How much memory is free, in words."""
        if self.torch.type != "cuda":
            return "out of memory"
        total = torch.cuda.mem_get_info(self.torch)[1]
        return f"{self.free() / 2**30:.1f} of {total / 2**30:.1f} GiB of memory are free"


@dataclass(frozen=True, eq=False)
class Read:
    """Rows on their way: as they are stored, and what each is multiplied by."""

    stored: Tensor
    scale: Tensor | None

    def __len__(self) -> int:
        return len(self.stored)


class RowsThere:
    """Rows that are read here and used on a device.

    Parameters
    ----------
    rows
        The rows.
    device
        Where they go.
    """

    def __init__(self, rows: Rows, device: Device) -> None:
        self._rows, self._device = rows, device
        self.dtype = dtype_of(rows.dtype)
        self._shift = None if rows.shift is None else device.put(rows.shift.astype(rows.dtype))

    def read(self, index: slice) -> Read:
        """Read some rows, in any thread."""
        rows, scale = self._rows, None
        stored = rows.stored(index)
        if stored.dtype not in _STORED:  # or of the other byte order
            stored = stored.astype(rows.dtype)
        if rows.scale is not None:
            scale = self._device.staged(rows.scale[index].astype(rows.dtype))
        return Read(self._device.staged(stored), scale)

    def block(self, parts: Sequence[Read]) -> Tensor:
        """Rows that were read, one part after the other, as they are computed with."""
        n, dim = sum(map(len, parts)), self._rows.dim
        block = torch.empty((n, dim), dtype=self.dtype, device=self._device.torch)
        start = 0
        for part in parts:
            rows = block[start : start + len(part)]
            rows.copy_(part.stored.to(self._device.torch, non_blocking=True))
            if self._shift is not None:
                rows -= self._shift
            if part.scale is not None:
                rows *= part.scale.to(self._device.torch, non_blocking=True)[:, None]
            start += len(part)
        return block


def dtype_of(dtype: np.dtype[Any]) -> torch.dtype:
    """The type of torch in which numbers of a type of NumPy are computed with."""
    return torch.float64 if dtype == np.float64 else torch.float32


def in_order(read: Callable[[slice], Any], parts: Sequence[slice], many: int) -> Iterator[Any]:
    """What `read` gives of each part, `many` at a time, read ahead in threads."""
    ahead = min(AHEAD, 2 * backend.cores())
    with closing(backend.in_parallel(read, parts, ahead)) as results:
        waiting = []
        for result in results:
            waiting.append(result)
            if len(waiting) == many:
                yield waiting
                waiting = []
        if waiting:
            yield waiting


def _blocks(device: Device, sources: Sequence[Rows]) -> Iterator[tuple[slice, list[Tensor]]]:
    """Blocks of rows that stand side by side, in order."""
    there = [RowsThere(rows, device) for rows in sources]
    pieces = backend.cut(len(sources[0]), min(rows.step for rows in sources))
    start = 0
    for parts in in_order(lambda part: [one.read(part) for one in there], pieces, SUMMED):
        blocks = [one.block(own) for one, own in zip(there, zip(*parts, strict=True), strict=True)]
        yield slice(start, start + len(blocks[0])), blocks
        start += len(blocks[0])


def _centered(
    device: Device, pairs: Sequence[tuple[Rows, np.ndarray]]
) -> Iterator[tuple[slice, list[Tensor]]]:
    """Blocks in float64, each less its mean; of a pair twice the same is the same."""
    (x, _), (y, _) = pairs
    means = [device.put(mean.astype(np.float64)) for _, mean in pairs]
    for part, blocks in _blocks(device, [x] if x is y else [x, y]):
        left = blocks[0].double() - means[0]
        yield part, [left, left if x is y else blocks[1].double() - means[1]]


def cross(
    name: str, x: tuple[Rows, np.ndarray], y: tuple[Rows, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Product X'Y of centered rows, and the sums of the columns of both, in float64.

    Parameters
    ----------
    name
        Of the device.
    x, y
        Rows of one number, each with what is subtracted. Of the same rows twice, both with the
        same mean, they are read once.
    """
    with at_work(name, f"sums of {x[0].dim} x {y[0].dim} products") as device:
        shapes = ((x[0].dim, y[0].dim), (x[0].dim,), (y[0].dim,))
        product, left, right = (device.full(shape, 0.0, torch.float64) for shape in shapes)
        for _, (a, b) in _centered(device, [x, y]):
            product.addmm_(a.T, b)
            left += a.sum(dim=0)
            right += b.sum(dim=0)
        return product.cpu().numpy(), left.cpu().numpy(), right.cpu().numpy()


def forms(
    name: str, x: tuple[Rows, np.ndarray], y: tuple[Rows, np.ndarray], matrix: np.ndarray
) -> np.ndarray:
    """The form x' M y of every pair of centered rows that stand side by side, shape (n,).

    The parameters are those of :func:`cross`.
    """
    with at_work(name, f"forms of {matrix.shape[0]} x {matrix.shape[1]} numbers") as device:
        between = device.put(matrix.astype(np.float64))
        found = [(a @ between * b).sum(dim=1) for _, (a, b) in _centered(device, [x, y])]
        return torch.cat(found).cpu().numpy() if found else np.zeros(0)


def sums_of_exponentials(
    name: str, rows: Rows, directions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Peak and sum over rows of exp(c.x - peak), for every direction and its negative.

    Parameters
    ----------
    name
        Of the device.
    rows
        The rows x.
    directions
        Shape (dim, m), a direction c a column.

    Returns
    -------
    tuple of two arrays of shape (2 m,)
        First of the directions, then of their negatives.
    """
    with at_work(name, f"products with {directions.shape[1]} directions") as device:
        columns = device.put(directions.astype(rows.dtype))
        peak = device.full((2 * directions.shape[1],), -np.inf, torch.float64)
        total = torch.zeros_like(peak)
        for _, (block,) in _blocks(device, [rows]):
            along = block @ columns
            own = torch.cat([along.amax(dim=0), -along.amin(dim=0)])
            more = torch.cat([
                torch.exp(values - top).sum(dim=0, dtype=torch.float64)
                for values, top in zip((along, -along), own.chunk(2), strict=True)
            ])  # fmt: skip
            top = torch.maximum(peak, own.double())
            total = total * torch.exp(peak - top) + more * torch.exp(own.double() - top)
            peak = top
        return peak.cpu().numpy(), total.cpu().numpy()
