"""One streamed pass over documents: ids checked, content fingerprinted, places remembered."""

from __future__ import annotations

import contextlib
import hashlib
import struct
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from anisotropy.collection.base import Document
from anisotropy.collection.lines import BadLine, Line, broken, read_at, read_lines
from anisotropy.errors import CollectionError, shown
from anisotropy.files import fingerprint, hash_ids, replacing

_BATCH = 4096
_LARGE = 64 * 2**20  # bytes of a file from which on its scan is kept
_SCAN = 1  # raise when a scan or its fingerprint changes


class Source(ABC):
    """Where documents come from, before they are checked."""

    where: str
    """For errors: the path, or the id of a data set."""
    name: str
    """For warnings, which go into results: no path of a machine."""

    def cache_key(self) -> str | None:
        """Text that changes when the content may have; None where a scan is not worth keeping."""
        return None

    @abstractmethod
    def located(self) -> Iterator[tuple[int, Document]]:
        """Stream (place, document); a place is what `read` finds a document by."""

    @abstractmethod
    def read(self, doc_ids: Sequence[str], places: Sequence[int]) -> Iterator[Document]:
        """Read a few documents by id or place, in any order."""

    @abstractmethod
    def describe(self, place: int) -> str:
        """Text that tells a person where a document stands, such as ``"line 7"``."""


class LineSource(Source):
    """A file with one document a line; a place is a byte offset in the unpacked file.

    Parameters
    ----------
    path
        The file, plain or gzip.
    parse
        Document of a line's text; raises `BadLine` for a line that is wrong.
    is_header
        Tells whether the first line is a header, which is skipped.
    """

    def __init__(
        self,
        path: Path,
        parse: Callable[[str], Document],
        is_header: Callable[[str], bool] | None = None,
    ) -> None:
        self.path = path
        self.where = str(path)
        self.name = path.name
        self._parse = parse
        self._is_header = is_header

    def cache_key(self) -> str | None:
        """Path, size and time of change of a large file."""
        state = self.path.stat()
        if state.st_size < _LARGE:
            return None
        place = str(self.path.resolve())
        return fingerprint(_SCAN, self._parse.__name__, place, state.st_size, state.st_mtime_ns)

    def located(self) -> Iterator[tuple[int, Document]]:
        """Stream (byte offset, document)."""
        for line in self._lines():
            try:
                document = self._parse(line.text)
            except BadLine as problem:
                raise broken(self.path, line.number, problem) from None
            yield line.offset, document

    def read(self, doc_ids: Sequence[str], places: Sequence[int]) -> Iterator[Document]:
        """Read the documents at the byte offsets `places`."""
        del doc_ids
        for _, text in read_at(self.path, list(places)):
            try:
                yield self._parse(text)
            except BadLine as problem:
                raise CollectionError(f"{self.path}: changed since opened ({problem})") from None

    def describe(self, place: int) -> str:
        """Line number of a byte offset (reads the file again; for error messages)."""
        return next(f"line {line.number}" for line in self._lines() if line.offset == place)

    def _lines(self) -> Iterator[Line]:
        for line in read_lines(self.path):
            if line.number > 1 or self._is_header is None or not self._is_header(line.text):
                yield line


class Index:
    """Documents of a source after one streamed pass; holds 16 bytes a document, no text.

    Ids are held as seeded 64-bit hashes, so that ten million documents take 160 MB; equal
    hashes are told apart by reading the two documents.

    Parameters
    ----------
    source
        The documents.
    cache
        Folder of caches: the result for a large source is kept there. None keeps nothing.

    Attributes
    ----------
    digest : str
        Fingerprint of ids, texts and order.
    n : int
        Number of documents.
    n_empty, empty_example
        Documents whose text is empty or white, and the id of the first.

    Raises
    ------
    CollectionError
        If there is no document, or two have the same id.
    """

    def __init__(self, source: Source, cache: Path | None = None) -> None:
        self.source = source
        key = source.cache_key() if cache else None
        kept = cache / "scans" / f"{key}.npz" if cache and key else None
        scan = _load(kept) if kept and kept.is_file() else None
        if scan is None:
            scan = _scan(source)
            self._adopt(scan)
            self._refuse_duplicates()
            _keep(kept, scan)
        else:
            self._adopt(scan)

    def _adopt(self, scan: Scan) -> None:
        self.digest, self.n_empty, self.empty_example = scan.digest, scan.n_empty, scan.example
        self._hashes, self._places = scan.hashes, scan.places
        self.n = len(scan.hashes)

    def _refuse_duplicates(self) -> None:
        for row in np.flatnonzero(self._hashes[1:] == self._hashes[:-1]):
            places = [int(place) for place in self._places[row : row + 2]]
            ids = [next(iter(self.source.read([], [place]))).doc_id for place in places]
            if ids[0] == ids[1]:
                first, second = (self.source.describe(place) for place in places)
                raise CollectionError(
                    f"{self.source.where}: document id {shown(ids[0])} occurs twice "
                    f"({first} and {second})"
                )

    def __iter__(self) -> Iterator[Document]:
        """Stream the documents in the order of the source."""
        return (document for _, document in self.source.located())

    def known(self, doc_ids: Sequence[str]) -> np.ndarray:
        """Tell for each id whether it is a document: boolean, shape (n,)."""
        return self._rows(doc_ids) >= 0

    def fetch(self, doc_ids: Sequence[str]) -> dict[str, Document]:
        """Read the documents of known ids.

        Raises
        ------
        CollectionError
            If the source changed since it was opened.
        """
        places = [int(place) for place in self._places[self._rows(doc_ids)]]
        found = {document.doc_id: document for document in self.source.read(doc_ids, places)}
        missing = [doc_id for doc_id in doc_ids if doc_id not in found]
        if missing:
            raise CollectionError(
                f"{self.source.where}: changed since opened (document {shown(missing[0])} is gone)"
            )
        return found

    def _rows(self, doc_ids: Sequence[str]) -> np.ndarray:
        hashes = hash_ids(doc_ids)
        rows = np.minimum(np.searchsorted(self._hashes, hashes), self.n - 1)
        return np.where(self._hashes[rows] == hashes, rows, -1)


def _record(document: Document) -> bytes:
    # Lengths first: fields cannot run into each other.
    fields = [
        field.encode("utf-8", "surrogatepass")
        for field in (document.doc_id, document.url, document.title, document.text)
    ]
    return struct.pack("<4q", *map(len, fields)) + b"".join(fields)


class Scan(NamedTuple):
    """What one pass found; hashes of ids in ascending order, and the place of each."""

    hashes: np.ndarray
    places: np.ndarray
    digest: str
    n_empty: int
    example: str


def _scan(source: Source) -> Scan:
    content = _Content()
    hashes, places = [], []
    # Batches of ids and places: of the texts, one at a time is in memory.
    for batch in _batches(content.passing(source.located())):
        hashes.append(hash_ids(doc_id for doc_id, _ in batch))
        places.append(np.array([place for _, place in batch], np.int64))
    if not hashes:
        raise CollectionError(f"{source.where}: holds no document")
    found = np.concatenate(hashes)
    order = np.argsort(found, kind="stable")
    ordered = np.concatenate(places)[order]
    return Scan(
        found[order], ordered, content.state.hexdigest()[:16], content.n_empty, content.example
    )


class _Content:
    """Hash of the documents that pass by, and how many of them are empty."""

    def __init__(self) -> None:
        self.state = hashlib.sha256()
        self.n_empty = 0
        self.example = ""

    def passing(self, located: Iterable[tuple[int, Document]]) -> Iterator[tuple[str, int]]:
        for place, document in located:
            self.state.update(_record(document))
            if not document.text.strip():
                self.n_empty += 1
                self.example = self.example or document.doc_id
            yield document.doc_id, place


def _batches(items: Iterator[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
    while batch := list(islice(items, _BATCH)):
        yield batch


def _keep(path: Path | None, scan: Scan) -> None:
    if path is None:
        return
    # A cache that cannot be written costs time alone.
    with contextlib.suppress(OSError), replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **scan._asdict())


def _load(path: Path) -> Scan | None:
    try:
        with np.load(path, allow_pickle=False) as kept:
            return Scan(
                kept["hashes"],
                kept["places"],
                str(kept["digest"]),
                int(kept["n_empty"]),
                str(kept["example"]),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
