"""Arrays that lie in files, sent as the place where they lie.

What is sent is pickled by a pickler of our own; how NumPy pickles elsewhere stays as it is.
"""

from __future__ import annotations

import hashlib
import io
import mmap
import pickle
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.errors import InputError

#: Bytes of mapped arrays that are sent as they are: no place is worth its check.
SMALL = 1 << 16
#: Bytes at each end of a map that tell one content from another of the same size.
_END = 4096
#: Files that a worker keeps mapped.
_MOST_MAPS = 256


@dataclass(frozen=True)
class Mapped:
    """The part of a file that was mapped, and what tells it from another.

    Attributes
    ----------
    path, size
        The file and its bytes.
    start, length
        What part of it was mapped, in bytes.
    ends
        Hash of the first and last bytes of that part.
    """

    path: str
    size: int
    start: int
    length: int
    ends: str


@dataclass(frozen=True)
class Place:
    """Where an array lies.

    Attributes
    ----------
    mapped
        Part of a file.
    position
        Byte of that part at which the first element stands.
    dtype, shape, strides
        As of the array.
    """

    mapped: Mapped
    position: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def place_of(array: np.ndarray) -> Place | None:
    """Where an array lies in a file that has a name; None for one in memory."""
    owner = _owner(array)
    if owner is None:
        return None
    held: mmap.mmap = owner._mmap  # type: ignore[attr-defined]
    start = owner.offset - owner.offset % mmap.ALLOCATIONGRANULARITY
    first = np.frombuffer(held, np.uint8).__array_interface__["data"][0]
    path = Path(str(owner.filename))
    mapped = Mapped(str(path), _size(path), start, len(held), _ends(held))
    position = array.__array_interface__["data"][0] - first
    return Place(mapped, position, array.dtype, array.shape, array.strides)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def in_file(array: np.ndarray) -> bool:
    """Whether an array lies in a file that has a name."""
    return _owner(array) is not None


def _owner(array: Any) -> np.memmap[Any, Any] | None:
    """The memory map of a file that an array is a view of."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap) and getattr(array, "_mmap", None) is not None:
            return array if array.filename is not None else None
        array = array.base
    return None


def _ends(held: mmap.mmap) -> str:
    digest = hashlib.sha256(held[:_END])
    digest.update(held[-_END:])
    return digest.hexdigest()


class _Maps:
    """Files that are mapped here, the last ones used; each is checked when it is mapped."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._maps: OrderedDict[Mapped, mmap.mmap] = OrderedDict()

    def open(self, mapped: Mapped) -> mmap.mmap:
        with self._lock:
            if mapped not in self._maps:
                self._maps[mapped] = _map(mapped)
            self._maps.move_to_end(mapped)
            while len(self._maps) > _MOST_MAPS:
                self._maps.popitem(last=False)
            return self._maps[mapped]

    def release(self) -> None:
        """Take what was read out of the memory that counts as this process's own.

        The system keeps it as it sees fit; a worker that seems to hold whole files would be
        stopped for it.
        """
        if not hasattr(mmap, "MADV_DONTNEED"):
            return
        with self._lock:
            for held in self._maps.values():
                held.madvise(mmap.MADV_DONTNEED)


def _map(mapped: Mapped) -> mmap.mmap:
    path = Path(mapped.path)
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if size != mapped.size:
                raise InputError(
                    f"{path}: {size} bytes; {mapped.size} where the run was started; needed: the "
                    "same files under the same paths on every worker"
                )
            held = mmap.mmap(file.fileno(), mapped.length, access=mmap.ACCESS_READ,
                             offset=mapped.start)  # fmt: skip
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{path}: cannot be read ({reason}); needed: the same files under the same paths on "
            "every worker"
        ) from None
    if _ends(held) != mapped.ends:
        raise InputError(
            f"{path}: another content than where the run was started; needed: the same files "
            "under the same paths on every worker"
        )
    return held


_maps = _Maps()
#: Called when a piece of work is done; see :meth:`_Maps.release`.
release = _maps.release


def array_at(place: Place) -> np.ndarray:
    """The array at a place, mapped into memory; the file is checked.

    Raises
    ------
    InputError
        If there is no such file here, or another one.
    """
    held = _maps.open(place.mapped)
    return np.ndarray(place.shape, place.dtype, held, place.position, place.strides)


def packed(value: Any) -> bytes:
    """Pickled, with arrays that lie in files as their places and functions by cloudpickle."""
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc, unused-ignore]
        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, np.ndarray) and obj.nbytes > SMALL:
                place = place_of(obj)
                if place is not None:
                    return array_at, (place,)
            return super().reducer_override(obj)

    buffer = io.BytesIO()
    Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return buffer.getvalue()
