"""Upstream's EmbeddingCache: token ids of texts, checked against the file, then streamed.

``<name>_meta`` is JSON (``type``, ``total_number`` N, ``embedding_size`` L); ``<name>`` holds N
records of a 4-byte big-endian number of tokens and L little-endian int32 ids, the first of which
are the tokens. Files are read block by block and never mapped: one that is cut off while it is
read gives an error, not a dead process.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from anisotropy.errors import CollectionError, told_as
from anisotropy.files import fingerprint, write_json
from anisotropy.untrusted.paths import check_file
from anisotropy.untrusted.texts import read_json

META = "_meta"
_WIDEST = 2**20  # tokens a record; upstream's longest is 2,048
_META_BYTES = 2**16
_BLOCK = 4 * 2**20  # bytes in memory at a time
_LARGE = 64 * 2**20  # bytes of a file from which on its scan is kept
_SCAN = 1  # raise when the scan changes
_SHOWN = 4

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class Scan:
    """What one pass over a cache found.

    Attributes
    ----------
    digest
        SHA-256 of the file.
    shortest, longest, mean
        Tokens a record.
    first
        Ids that records begin with, a few at most.
    padding
        Ids behind the last token of a record, a few at most.
    inner_ends
        Records in which the id that ends them stands before the end too.
    """

    digest: str
    shortest: int
    longest: int
    mean: float
    first: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    inner_ends: int = 0


@dataclass(frozen=True)
class TokenCache:
    """The records of a file whose size is that which its description says.

    Attributes
    ----------
    path
        Without ``_meta``.
    n, width
        Records, and ids in each.
    """

    path: Path
    n: int
    width: int

    @property
    def record(self) -> np.dtype[Any]:
        """Layout of one record."""
        return np.dtype([("length", ">u4"), ("ids", "<i4", (self.width,))])

    def records(self) -> Iterator[Tokens]:
        """Stream the tokens of each record."""
        for _, block in self.blocks():
            yield from self._tokens(block)

    def fetch(self, rows: Sequence[int]) -> Iterator[tuple[int, Tokens]]:
        """Read a few records, in ascending order: (row, tokens)."""
        with _opened(self.path) as file:
            for row in sorted(rows):
                yield row, next(self._tokens(self._read(file, row, 1)))

    def lengths(self) -> np.ndarray:
        """Tokens of each record: shape (n,), int64."""
        return np.concatenate([block["length"].astype(np.int64) for _, block in self.blocks()])

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Stream (first row, records) of some megabytes each, lengths and ids checked."""
        step = max(_BLOCK // self.record.itemsize, 1)
        with _opened(self.path) as file:
            for start in range(0, self.n, step):
                block = self._read(file, start, min(step, self.n - start))
                self._check(start, block)
                yield start, block

    def _read(self, file: BinaryIO, start: int, count: int) -> np.ndarray:
        size = self.record.itemsize
        file.seek(start * size)
        data = file.read(count * size)
        if len(data) < count * size:
            raise CollectionError(f"{self.path}: shorter than when it was opened")
        return np.frombuffer(data, self.record)

    def _tokens(self, block: np.ndarray) -> Iterator[Tokens]:
        for length, ids in zip(block["length"].tolist(), block["ids"], strict=True):
            yield tuple(ids[:length].tolist())

    def _check(self, start: int, block: np.ndarray) -> None:
        lengths = block["length"]
        bad = np.flatnonzero((lengths < 1) | (lengths > self.width))
        if bad.size:
            raise CollectionError(
                f"{self.path}, record {start + int(bad[0])}: {int(lengths[bad[0]])} tokens; "
                f"allowed: 1 to {self.width}, the embedding_size of {self.path.name}{META}"
            )
        if block["ids"].min() < 0:
            negative = np.flatnonzero((block["ids"] < 0).any(axis=1))
            raise CollectionError(
                f"{self.path}, record {start + int(negative[0])}: a negative token id"
            )

    def scan(self, cache: Path | None = None) -> Scan:
        """Read everything once; that of a large file is kept in a folder of caches."""
        kept = _kept(self.path, cache)
        found = _load(kept) if kept is not None and kept.is_file() else None
        if found is None:
            found = self._scan()
            if kept is not None:
                # A cache that cannot be written costs time alone.
                with contextlib.suppress(OSError):
                    write_json(kept, asdict(found))
        return found

    def _scan(self) -> Scan:
        state = hashlib.sha256()
        found = _Found()
        for _, block in self.blocks():
            state.update(block.tobytes())
            found.add(block, self.width)
        return found.scan(state.hexdigest(), self.n)


@dataclass
class _Found:
    """Gathers a `Scan` block by block."""

    shortest: int = 2**32
    longest: int = 0
    total: int = 0
    inner_ends: int = 0
    first: set[int] = field(default_factory=set)
    padding: set[int] = field(default_factory=set)

    def add(self, block: np.ndarray, width: int) -> None:
        lengths, ids = block["length"].astype(np.int64), block["ids"]
        self.shortest = min(self.shortest, int(lengths.min()))
        self.longest = max(self.longest, int(lengths.max()))
        self.total += int(lengths.sum())
        places = np.arange(width)
        self.first |= _few(ids[:, 0])
        self.padding |= _few(ids[places >= lengths[:, None]])
        last = ids[np.arange(len(ids)), lengths - 1]
        inside = (places < lengths[:, None] - 1) & (ids == last[:, None])
        self.inner_ends += int(inside.any(axis=1).sum())

    def scan(self, digest: str, n: int) -> Scan:
        first, padding = (tuple(sorted(ids)[:_SHOWN]) for ids in (self.first, self.padding))
        return Scan(
            digest, self.shortest, self.longest, self.total / n, first, padding, self.inner_ends
        )


def _few(ids: np.ndarray) -> set[int]:
    """The smallest few of the values; without sorting where all are equal, as they mostly are."""
    if ids.size and ids.min() == ids.max():
        return {int(ids[0])}
    return set(np.unique(ids)[:_SHOWN].tolist())


def open_cache(path: Path) -> TokenCache:
    """Open a cache: its description read, the size of the file compared with it.

    Parameters
    ----------
    path
        Without ``_meta``.

    Raises
    ------
    CollectionError
        If a file is missing, the description is none, or the sizes disagree.
    """
    meta = path.with_name(path.name + META)
    n, width = _described(meta)
    with told_as(CollectionError):
        size = check_file(path)
    cache, wanted = TokenCache(path, n, width), n * (4 * width + 4)
    if size != wanted:
        raise CollectionError(
            f"{path}: {size:,} bytes; {meta.name} says {n:,} records of {width} ids, which are "
            f"{wanted:,}: cut off, or of another run"
        )
    return cache


def _described(meta: Path) -> tuple[int, int]:
    with told_as(CollectionError):
        values = read_json(meta, _META_BYTES)
    kind, n, width = (
        values.get(key) if isinstance(values, dict) else None
        for key in ("type", "total_number", "embedding_size")
    )
    if type(n) is not int or type(width) is not int or kind != "int32":
        raise CollectionError(
            f"{meta}: no description of token ids; needed: type int32, total_number and "
            "embedding_size, whole numbers"
        )
    if n < 1 or not 1 <= width <= _WIDEST:
        raise CollectionError(
            f"{meta}: total_number {n}, embedding_size {width}; allowed: 1 record or more, 1 to "
            f"{_WIDEST:,} ids each"
        )
    return n, width


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise CollectionError(f"{path}: cannot be read ({error.strerror or error})") from None


def _kept(path: Path, cache: Path | None) -> Path | None:
    state = path.stat()
    if cache is None or state.st_size < _LARGE:
        return None
    key = fingerprint(_SCAN, str(path.resolve()), state.st_size, state.st_mtime_ns)
    return cache / "scans" / f"{key}.json"


def _load(path: Path) -> Scan | None:
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        values |= {key: tuple(values[key]) for key in ("first", "padding")}
        return Scan(**values)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
