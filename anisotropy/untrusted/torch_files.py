"""Tensors of torch files: where they lie, without loading or executing anything.

Torch's own reader is not asked: it believes the sizes that a file states of its storages, and
reads behind the end of one that is smaller.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from anisotropy.errors import InputError
from anisotropy.untrusted.arrays import LONGEST, NUMPY, OPEN, arrays_in, seen
from anisotropy.untrusted.paths import check_file
from anisotropy.untrusted.pickles import load_from
from anisotropy.untrusted.tensors import DTYPES, TensorEntry, reach_of
from anisotropy.untrusted.zips import checked_members, member_start, opened_zip, read_member

_STORAGES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16", "LongStorage": "int64", "IntStorage": "int32",
    "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8",
    "BoolStorage": "bool",
}  # fmt: skip
#: Of the pickle in a torch file: names, shapes and settings.
MAX_PICKLE = 256 * 2**20
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
#: Containers inside each other, beyond which no tensor is looked for.
_DEEPEST = 32


class _Storage:
    """What the name of a storage type stands for."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype


@dataclass
class _Piece:
    """A storage as a pickle states it; its place follows when the file is known."""

    dtype: str
    key: str
    count: int
    view: tuple[str, int, int] | None = None


@dataclass
class _Tensor:
    piece: _Piece
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def rebuild(self, state: Any) -> None:
        """Attributes of a tensor or parameter change nothing."""


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, _Piece) or not all(
        type(n) is int and 0 <= n <= LONGEST for n in numbers
    ):
        raise pickle.UnpicklingError("it has a tensor that is none")
    if len(shape) != len(strides) or len(shape) > 32:
        raise pickle.UnpicklingError("it has a tensor whose shape and steps disagree")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _device(kind: object = "", index: object = None) -> str:
    if type(kind) is not str or type(index) not in (int, type(None)):
        raise pickle.UnpicklingError("it has a device that is none")
    return str(kind) if index is None else f"{kind}:{index}"


def _size(items: Any = ()) -> tuple[Any, ...]:
    return tuple(items)


class Namespace:
    """Arguments of a program, as a pickle has them."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def rebuild(self, state: Any) -> None:
        """Take the arguments."""
        if not isinstance(state, dict):
            raise pickle.UnpicklingError("it has arguments that are no table")
        self.values = state


def _plain() -> None:
    raise pickle.UnpicklingError("it makes a bare object, which is not read")


def _reconstruct(kind: object, base: object, state: object) -> Namespace:
    if kind is not Namespace or base is not _plain or state is not None:
        raise pickle.UnpicklingError("it rebuilds an object that is not read")
    return Namespace()


def _words(*parts: Any) -> str:
    if not all(type(part) is str for part in parts):
        raise pickle.UnpicklingError("it has a path that is none")
    return "/".join(parts)


#: Names in torch files and argument files; nothing else is read.
TORCH: dict[tuple[str, str], Any] = {
    **NUMPY,
    **{("torch", name): _Storage(dtype) for name, dtype in _STORAGES.items()},
    **{("torch", dtype): f"torch.{dtype}" for dtype in DTYPES},
    ("torch.storage", "UntypedStorage"): _Storage("uint8"),
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch", "device"): _device,
    ("torch", "Size"): _size,
    ("pathlib", "PosixPath"): _words,
    ("argparse", "Namespace"): Namespace,
    # how protocols 0 and 1 write an object of a plain class
    ("copy_reg", "_reconstructor"): _reconstruct,
    ("copyreg", "_reconstructor"): _reconstruct,
    ("__builtin__", "object"): _plain,
    ("builtins", "object"): _plain,
}


def read_torch(path: Path, largest: int = MAX_PICKLE) -> Any:
    """What a torch file holds: plain containers with `TensorEntry` in the place of tensors.

    Both formats are read: the zip of torch 1.6 and newer, and the stream before it.

    Parameters
    ----------
    path
        The file.
    largest
        Bytes that the pickle in a zip may have.

    Raises
    ------
    InputError
        If the file is damaged, a tensor does not lie within it, or it names anything but tensors,
        numpy arrays, arguments and plain containers.
    """
    check_file(path)
    with path.open("rb") as file:
        packed = file.read(2) == b"PK"
    content, pieces = _read_zip(path, largest) if packed else _read_stream(path)
    return _walk(content, path, pieces, {}, 0)


def _storage_of(pid: Any) -> _Piece:
    if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage":
        raise pickle.UnpicklingError("it has a persistent id that is no storage")
    _, kind, key, _, count, *view = pid
    if (
        type(key) not in (str, int)
        or not isinstance(kind, _Storage)
        or type(count) is not int
        or count < 0
    ):
        raise pickle.UnpicklingError("it has a storage that is none")
    return _Piece(kind.dtype, str(key), count, view[0] if view else None)


def _read_zip(path: Path, largest: int) -> tuple[Any, dict[str, tuple[int, int]]]:
    """Content, and storage -> (first byte, bytes)."""
    with opened_zip(path) as archive:
        members = {member.filename: member for member in checked_members(archive, path)}
        names = [name for name in members if name == "data.pkl" or name.endswith("/data.pkl")]
        if len(names) != 1:
            raise InputError(f"{path}: a zip file without a single data.pkl")
        root = names[0].removesuffix("data.pkl")
        if f"{root}byteorder" in members:
            order = read_member(archive, members[f"{root}byteorder"], path, 64)
            if order != b"little":
                raise InputError(f"{path}: big-endian tensors; allowed: little-endian")
        stream = io.BytesIO(read_member(archive, members[names[0]], path, largest))
    content = load_from(stream, path, TORCH, persistent=_storage_of)
    inside = f"{root}data/"
    pieces = {
        name.removeprefix(inside): (member_start(member, path), member.file_size)
        for name, member in members.items()
        if name.startswith(inside)
    }
    return content, pieces


def _read_stream(path: Path) -> tuple[Any, dict[str, tuple[int, int]]]:
    """The format before torch 1.6: pickles one after the other, then the storages."""
    counts: dict[str, _Piece] = {}

    def storage(pid: Any) -> _Piece:
        piece = _storage_of(pid)
        known = counts.setdefault(piece.key, piece)
        if (known.dtype, known.count) != (piece.dtype, piece.count):
            raise pickle.UnpicklingError("it states a storage twice, differently")
        return piece

    with path.open("rb") as file:
        first = load_from(file, path, TORCH, persistent=storage)
        if first != _MAGIC:
            return first, {}  # a pickle as it is: arguments, or arrays without torch
        if load_from(file, path, {}) != _PROTOCOL:
            raise InputError(f"{path}: a torch file of an unknown version")
        machine = load_from(file, path, {})
        if not isinstance(machine, dict) or machine.get("little_endian") is not True:
            raise InputError(f"{path}: big-endian tensors; allowed: little-endian")
        content = load_from(file, path, TORCH, persistent=storage)
        keys = load_from(file, path, {})
        return content, dict(_stream_pieces(file, path, keys, counts))


def _stream_pieces(
    file: IO[bytes], path: Path, keys: Any, counts: dict[str, _Piece]
) -> Iterator[tuple[str, tuple[int, int]]]:
    size = check_file(path)
    if not isinstance(keys, list) or set(map(str, keys)) != set(counts):
        raise InputError(f"{path}: its list of storages is not that of its tensors")
    for key in map(str, keys):
        head = file.read(8)
        piece = counts[key]
        there = struct.unpack("<Q", head)[0] if len(head) == 8 else -1
        length = piece.count * np.dtype(DTYPES[piece.dtype]).itemsize
        if there != piece.count or file.tell() + length > size:
            raise InputError(f"{path}: ends within its tensors: cut short or damaged")
        yield key, (file.tell(), length)
        file.seek(length, io.SEEK_CUR)


def _walk(
    value: Any, path: Path, pieces: dict[str, tuple[int, int]], known: dict[int, Any], depth: int
) -> Any:
    """`value` with every tensor turned into the place where it lies.

    A container that occurs many times is walked once, so that time stays within the file's size.
    """
    if id(value) in known:
        return seen(known, value, path)
    known[id(value)] = value, OPEN
    if isinstance(value, _Tensor):
        made: Any = _entry(value, path, pieces)
    elif isinstance(value, Namespace):
        made = {str(key): item for key, item in value.values.items()}
    elif depth > _DEEPEST or not isinstance(value, dict | list | tuple):
        made = arrays_in(value, path, 0)
    elif isinstance(value, dict):
        made = {key: _walk(item, path, pieces, known, depth + 1) for key, item in value.items()}
    else:
        made = type(value)(_walk(item, path, pieces, known, depth + 1) for item in value)
    known[id(value)] = value, made
    return made


def _entry(tensor: _Tensor, path: Path, pieces: dict[str, tuple[int, int]]) -> TensorEntry:
    piece = tensor.piece
    if piece.key not in pieces:
        raise InputError(f"{path}: a tensor's storage {piece.key[:40]!r} is missing")
    start, length = pieces[piece.key]
    width = np.dtype(DTYPES[piece.dtype]).itemsize
    count, first = piece.count, tensor.offset
    if piece.view is not None:
        begin, count = _view(piece, path)
        start += begin * width
        length -= begin * width
    reach = reach_of(tensor.shape, tensor.strides) if math.prod(tensor.shape) else 0
    # A tensor of more elements than its storage repeats them: nothing is saved so, bombs are.
    repeats = math.prod(tensor.shape) > count
    if repeats or first + reach > count or count * width > length:
        raise InputError(
            f"{path}: a tensor of shape {tensor.shape} does not fit into its storage: cut short "
            "or damaged"
        )
    return TensorEntry(path, start + first * width, piece.dtype, tensor.shape, tensor.strides)


def _view(piece: _Piece, path: Path) -> tuple[int, int]:
    view = piece.view
    whole = isinstance(view, tuple) and len(view) == 3
    if not whole or not all(type(n) is int and n >= 0 for n in view[1:]):  # type: ignore[index]
        raise InputError(f"{path}: a part of a storage is damaged")
    _, begin, count = view  # type: ignore[misc]
    if begin + count > piece.count:
        raise InputError(f"{path}: a part of a storage ends behind it")
    return begin, count
