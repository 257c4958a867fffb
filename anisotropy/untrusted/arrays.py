"""Arrays in ``.npy``, ``.npz`` and pickles: mapped into memory where they lie in the file."""

from __future__ import annotations

import io
import math
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from anisotropy.errors import InputError, reason_of, shown
from anisotropy.untrusted.paths import check_file
from anisotropy.untrusted.pickles import Payload, load
from anisotropy.untrusted.zips import checked_members, member_start, opened_zip, read_member

_KINDS = "fiubUS"
_DTYPE = re.compile(r"[<>=|]?[fiubUSOcmMV][0-9]{0,9}")
#: Rows or columns that an array may have.
LONGEST = 2**48
_LARGEST_HEADER = 10_000
_LONGEST_TEXT = 2**20
#: Containers inside each other in which arrays of a pickle are looked for.
_DEPTH = 4
#: Stands for a container that is being walked.
OPEN = object()


def open_npy(path: Path) -> np.ndarray:
    """Map a ``.npy`` file into memory, its header checked against its size.

    Returns
    -------
    numpy.memmap
        Read-only; of numbers, truth values or text.

    Raises
    ------
    InputError
        If it is no such file, holds Python objects, or is shorter or longer than it says.
    """
    size = check_file(path)
    try:
        with path.open("rb") as file:
            shape, fortran, dtype = _header(file, path)
            start = file.tell()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    _check_size(f"{path}", shape, dtype, size - start)
    return _mapped(path, start, shape, dtype, fortran)


def _header(file: IO[bytes], name: object) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type as a ``.npy`` header says them; nothing is allocated."""
    try:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise InputError(f"{name}: .npy of version {version}; allowed: 1.0 and 2.0")
        read = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
        shape, fortran, dtype = read(file, max_header_size=_LARGEST_HEADER)
    except InputError:
        raise
    except Exception as error:  # whatever its little language can be wrong in
        reason = reason_of(error)
        raise InputError(f"{name}: not a whole .npy array ({reason})") from None
    return tuple(shape), bool(fortran), _checked_dtype(dtype, name)


def _checked_dtype(dtype: np.dtype[Any], name: object) -> np.dtype[Any]:
    if dtype.kind not in _KINDS or dtype.hasobject:
        what = "Python objects" if dtype.hasobject else str(dtype)
        raise InputError(f"{name}: holds {what}; allowed: numbers or text")
    if dtype.itemsize == 0:  # any number of them would fit into nothing
        raise InputError(f"{name}: holds {dtype}, text of no length; allowed: numbers or text")
    if dtype.itemsize > _LONGEST_TEXT:  # NumPy takes memory for one of them where there are none
        raise InputError(f"{name}: holds {dtype}; allowed: text of at most {_LONGEST_TEXT} bytes")
    return dtype


def _check_size(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], there: int) -> None:
    if any(length < 0 for length in shape):
        raise InputError(f"{name}: header says shape {shape}; no length can be negative")
    if any(length > LONGEST for length in shape):  # beside a length of zero nothing else tells
        raise InputError(f"{name}: header says a length of more than {LONGEST}")
    needed = math.prod(shape) * dtype.itemsize
    if needed != there:
        raise InputError(
            f"{name}: header says {dtype} of shape {shape}, {needed} bytes; {there} are there: "
            "cut short, or not what it says"
        )


def _mapped(
    path: Path, start: int, shape: tuple[int, ...], dtype: np.dtype[Any], fortran: bool = False
) -> np.ndarray:
    if math.prod(shape) == 0:  # nothing to map
        return np.empty(shape, dtype)
    order: Any = "F" if fortran else "C"
    try:
        return np.memmap(path, dtype=dtype, mode="r", offset=start, shape=shape, order=order)
    except (OSError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: cannot be mapped ({error})") from None


def open_npz(path: Path) -> dict[str, np.ndarray]:
    """Arrays of an ``.npz`` file by name; those that are not compressed stay in the file.

    Raises
    ------
    InputError
        If it is no such file, is damaged, grows more than files do, or holds Python objects.
    """
    check_file(path)
    found: dict[str, np.ndarray] = {}
    with opened_zip(path) as archive:
        for member in checked_members(archive, path):
            name = member.filename.removesuffix(".npy")
            if name == member.filename:
                raise InputError(f"{path}: member {shown(name)}; allowed: arrays (.npy)")
            if name in found:
                raise InputError(f"{path}: two arrays are called {shown(name)}")
            found[name] = _member(archive, member, path)
    return found


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> np.ndarray:
    label = f"{path}, array {shown(member.filename)}"
    if member.compress_type != zipfile.ZIP_STORED:
        data = read_member(archive, member, path)
        stream = io.BytesIO(data)
        shape, fortran, dtype = _header(stream, label)
        start = stream.tell()
        _check_size(label, shape, dtype, len(data) - start)
        flat = np.frombuffer(data, dtype, offset=start)
        return flat.reshape(shape, order="F" if fortran else "C")
    first = member_start(member, path)
    with path.open("rb") as file:
        file.seek(first)
        shape, fortran, dtype = _header(file, label)
        start = file.tell()
    _check_size(label, shape, dtype, first + member.file_size - start)
    return _mapped(path, start, shape, dtype, fortran)


class Reconstructed:
    """A numpy array of a pickle, while it is put together."""

    def __init__(self) -> None:
        self.state: tuple[Any, ...] | None = None

    def rebuild(self, state: Any) -> None:
        """Take (version, shape, dtype, is Fortran order, data)."""
        _, shape, dtype, fortran, data = state
        self.state = (shape, dtype, bool(fortran), data)


class Described:
    """A numpy dtype of a pickle."""

    def __init__(self, text: Any, *_: Any) -> None:
        if type(text) is not str:
            raise pickle.UnpicklingError("it has an array whose type is no text")
        self.text, self.order = text, "="

    def rebuild(self, state: Any) -> None:
        """Take (version, byte order, ...)."""
        if not isinstance(state, tuple) or state[2:5] != (None, None, None):
            raise pickle.UnpicklingError("it has an array of records, which is not read")
        self.order = state[1] if state[1] in ("<", ">") else "="

    def dtype(self, name: object) -> np.dtype[Any]:
        """The dtype, if it is one of numbers or text."""
        if not _DTYPE.fullmatch(self.text):  # numpy reads a whole language of lists and shapes
            raise InputError(f"{name}: unknown type of array {self.text[:40]!r}")
        order: Any = self.order
        try:
            return _checked_dtype(np.dtype(self.text).newbyteorder(order), name)
        except (TypeError, ValueError):
            raise InputError(f"{name}: unknown type of array {self.text[:40]!r}") from None


def _kind() -> None:
    raise pickle.UnpicklingError("it makes a bare array, which is not read")


def _reconstruct(kind: Any, *_: Any) -> Reconstructed:
    if kind is not _kind:
        raise pickle.UnpicklingError("it rebuilds something that is no plain array")
    return Reconstructed()


def _frombuffer(data: Any, dtype: Any, shape: Any, order: Any = "C") -> Reconstructed:
    array = Reconstructed()
    array.state = (shape, dtype, order == "F", data)
    return array


def _scalar(dtype: Any, data: Any) -> Any:
    if not isinstance(dtype, Described) or not isinstance(data, bytes | str):
        raise pickle.UnpicklingError("it has a number that is none")
    raw = data.encode("latin1") if isinstance(data, str) else data
    try:
        found = np.frombuffer(raw, dtype.dtype("its type"))
    except InputError as error:
        raise pickle.UnpicklingError(f"it has a number of no type ({error})") from None
    if len(found) != 1:
        raise pickle.UnpicklingError("it has a number of another size than it says")
    return found[0].item()


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("it has bytes written in an unknown way")
    return text.encode("latin1")


#: What numpy 1 and numpy 2 name in pickles of plain arrays and numbers, in every protocol.
NUMPY: dict[tuple[str, str], Any] = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _frombuffer for core in ("core", "_core")},
    ("numpy", "ndarray"): _kind,
    ("numpy", "dtype"): Described,
    ("_codecs", "encode"): _encode,
}


def open_pickled(path: Path) -> Any:
    """Arrays and plain containers of them in a pickle; large arrays stay in the file.

    Any protocol, written with numpy 1 or 2. Arrays are found down to four containers inside each
    other.

    Returns
    -------
    object
        ``numpy.ndarray``, or dict, list or tuple of such, of text and of numbers.

    Raises
    ------
    InputError
        If the pickle is damaged, names anything else, or an array disagrees with its data.
    """
    return arrays_in(load(path, NUMPY, keep=True), path)


def arrays_in(value: Any, path: Path, depth: int = _DEPTH, known: Any = None) -> Any:
    """`value` with the arrays in it put together.

    A container that occurs many times is walked once, so that time stays within the file's size.
    """
    known = {} if known is None else known
    if id(value) in known:
        return seen(known, value, path)
    known[id(value)] = value, OPEN
    if isinstance(value, Reconstructed):
        made: Any = _array(value, path)
    elif depth and isinstance(value, dict):
        made = {key: arrays_in(item, path, depth - 1, known) for key, item in value.items()}
    elif depth and isinstance(value, list | tuple):
        made = type(value)(arrays_in(item, path, depth - 1, known) for item in value)
    else:
        made = value
    known[id(value)] = value, made
    return made


def seen(known: Mapping[int, tuple[Any, Any]], value: Any, path: Path) -> Any:
    """What became of a container that was met before.

    Raises
    ------
    InputError
        If it lies inside itself.
    """
    made = known[id(value)][1]
    if made is OPEN:
        raise InputError(f"{path}: has a container that lies inside itself; not read")
    return made


def _array(found: Reconstructed, path: Path) -> np.ndarray:
    if found.state is None:
        raise InputError(f"{path}: has an array without content")
    shape, described, fortran, data = found.state
    if not isinstance(described, Described) or not _is_shape(shape):
        raise InputError(f"{path}: has an array without shape or type")
    if isinstance(data, list):
        raise InputError(f"{path}: holds Python objects; allowed: numbers or text")
    dtype = described.dtype(path)
    if isinstance(data, Payload):
        _check_size(str(path), shape, dtype, data.size)
        return _mapped(path, data.offset, shape, dtype, fortran)
    raw = data.encode("latin1") if isinstance(data, str) else data
    if not isinstance(raw, bytes):
        raise InputError(f"{path}: has an array without content")
    _check_size(str(path), shape, dtype, len(raw))
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C")


def _is_shape(shape: Any) -> bool:
    return (
        isinstance(shape, tuple)
        and len(shape) <= 32
        and all(type(length) is int and length >= 0 for length in shape)
    )
