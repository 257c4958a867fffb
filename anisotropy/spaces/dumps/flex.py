"""PyTerrier's dense index FLEX: ``vecs.f4``, ``docnos.npids``, ``pt_meta.json``."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.errors import EmbeddingsError, reason_of, shown
from anisotropy.spaces.dumps.base import DumpOptions, Vectors
from anisotropy.spaces.dumps.found import Found, vectors
from anisotropy.spaces.dumps.naming import Side, ids_given, no_field
from anisotropy.untrusted.paths import check_file
from anisotropy.untrusted.texts import parse_json, read_json

META, VECTORS, DOCNOS = "pt_meta.json", "vecs.f4", "docnos.npids"
_HEAD = struct.Struct("<IqqI")
_MAGIC = int.from_bytes(b"NPID", "little")
_FORWARD = 0
_MOST = 10**12
#: Letters of a prefix, which stands once in the file and before every id in memory.
_LONGEST = 4096


def find(path: Path) -> bool:
    """Whether it is a folder of a FLEX index."""
    return path.is_dir() and all((path / name).is_file() for name in (META, VECTORS, DOCNOS))


def _meta(path: Path) -> tuple[int, int]:
    """Documents and dimensions by the description."""
    meta = read_json(path / META, 2**20)
    if not isinstance(meta, dict) or meta.get("format") != "flex":
        raise EmbeddingsError(f"{path / META}: not the description of a FLEX index; damaged")
    counts = (meta.get("doc_count"), meta.get("vec_size"))
    n, dim = (value if type(value) is int else -1 for value in counts)
    if not 0 <= n < _MOST or not 0 < dim < _MOST:
        many, long = map(shown, counts)
        raise EmbeddingsError(f"{path / META}: {many} documents with {long} dimensions")
    return n, dim


def read(path: Path, options: DumpOptions, side: Side = "documents") -> Vectors:
    """Vectors and document ids of a FLEX index.

    Raises
    ------
    EmbeddingsError
        If its files disagree with each other.
    """
    no_field(options, str(path))
    n, dim = _meta(path)
    size = check_file(path / VECTORS)
    if size != 4 * n * dim or not n:
        raise EmbeddingsError(
            f"{path / VECTORS}: {size} bytes; {META} says {n} vectors of {dim} float32, "
            f"{4 * n * dim} bytes"
        )
    rows = np.memmap(path / VECTORS, "<f4", "r", shape=(n, dim))
    ids = None if ids_given(options, side) else read_npids(path / DOCNOS, n)
    return vectors(
        Found(str(path), "FLEX (PyTerrier)", rows, ids=ids, named_by=DOCNOS), options, side
    )


@dataclass(frozen=True)
class _Block:
    """Ids of one kind: how they are written, and their bytes."""

    config: dict[str, Any]
    count: int
    data: bytes


def read_npids(path: Path, n: int) -> list[str]:
    """The `n` ids of a file of the package npids, in their order.

    Raises
    ------
    EmbeddingsError
        If it is damaged, of another version, or has another number of ids.
    """
    ids: list[str] = []
    for block in _blocks(path):
        kind = block.config.get("format")
        if not isinstance(kind, str) or kind not in _READERS:
            raise _damaged(path, f"ids of kind {str(kind)[:40]!r}")
        if block.count > n - len(ids):
            raise EmbeddingsError(f"{path}: more ids than the {n} vectors of the index")
        try:
            ids += _READERS[kind](block)
        except (KeyError, TypeError, ValueError, struct.error) as error:
            raise _damaged(path, reason_of(error)) from None
    if len(ids) != n:
        raise EmbeddingsError(f"{path}: {len(ids)} ids for {n} vectors of the index")
    return ids


def _damaged(path: Path, what: str) -> EmbeddingsError:
    return EmbeddingsError(f"{path}: a damaged or unknown file of ids ({what}); give --ids FILE")


def _blocks(path: Path) -> Iterator[_Block]:
    """Blocks of ids; each says where the next begins, always further on."""
    size = check_file(path)
    place = 0
    with path.open("rb") as file:
        while place >= 0:
            file.seek(place)
            head = file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                raise _damaged(path, "cut short")
            kind, following, count, length = _HEAD.unpack(head)
            here = place + _HEAD.size + length
            stop = size if following == -1 else following
            if not here <= stop <= size or count < 0 or (place == 0) != (kind == _MAGIC):
                raise _damaged(path, "its blocks do not fit into the file")
            config = parse_json(file.read(length), path)
            if not isinstance(config, dict):
                raise _damaged(path, "a block without description")
            if kind == _MAGIC and config.get("version") != 1:
                raise _damaged(path, f"version {str(config.get('version'))[:20]}")
            if kind == _FORWARD:
                yield _Block(config, count, file.read(stop - here))
            place = following


def _cells(block: _Block, width: int) -> list[bytes]:
    """The block's bytes in pieces of `width`, one an id."""
    if width < 0 or len(block.data) != block.count * width:
        raise ValueError(f"{len(block.data)} bytes for {block.count} ids of {width}")
    return [block.data[width * row : width * (row + 1)] for row in range(block.count)]


def _text(block: _Block, name: str = "prefix") -> str:
    value = block.config[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is no text")
    if len(value) > _LONGEST:
        raise ValueError(f"{name} has {len(value)} letters; allowed: {_LONGEST}")
    return value


def _number(block: _Block, name: str) -> int:
    value = block.config[name]
    if type(value) is not int or not 0 <= value < 2**63:
        raise TypeError(f"{name} is no number")
    return value


def _fixed(block: _Block) -> list[str]:
    prefix = _text(block)
    width = _number(block, "length") - len(prefix.encode())
    return [prefix + cell.rstrip(b"\0").decode() for cell in _cells(block, width)]


def _hexadecimal(block: _Block) -> list[str]:
    prefix, upper = _text(block), bool(block.config["upper"])
    digits = [cell.hex() for cell in _cells(block, _number(block, "length") // 2)]
    return [prefix + (digit.upper() if upper else digit) for digit in digits]


def _sequence(block: _Block) -> list[str]:
    prefix, start = _text(block), _number(block, "start")
    return [f"{prefix}{start + row}" for row in range(block.count)]


def _padded(block: _Block) -> list[str]:
    prefix, start, pad = _text(block), _number(block, "start"), _number(block, "pad")
    if pad > 100:
        raise ValueError(f"ids of {pad} digits")
    return [f"{prefix}{start + row:0{pad}d}" for row in range(block.count)]


def _stored(block: _Block) -> list[str]:
    prefix, width = _text(block), _number(block, "int_bytes")
    if width not in (1, 2, 4, 8):
        raise ValueError(f"numbers of {width} bytes")
    return [f"{prefix}{int.from_bytes(cell, 'little')}" for cell in _cells(block, width)]


def _uuids(block: _Block) -> list[str]:
    prefix, upper = _text(block), bool(block.config["upper"])
    names = [str(uuid.UUID(bytes=cell)) for cell in _cells(block, 16)]
    return [prefix + (name.upper() if upper else name) for name in names]


_READERS: dict[str, Callable[[_Block], list[str]]] = {
    "fixedbytes": _fixed,
    "hexdigest": _hexadecimal,
    "intsequence": _sequence,
    "intsequencepad": _padded,
    "intstored": _stored,
    "uuid": _uuids,
}
