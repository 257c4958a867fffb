"""Data sets of the ir_datasets package, which comes with the extra ``irds``.

What follows the documents' id in ``msmarco-passage/dev/small`` is the split; the nearest ``train``
beside it or beside its parents, over the same documents, is the training split. An id without
judgments of its own (``beir/scifact``) stands for its children: ``train``, ``dev``, ``test`` and
the one asked for.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from anisotropy.collection.base import Collection, Document, Query
from anisotropy.collection.folders import Queries, assemble, queries_warning
from anisotropy.collection.index import Source
from anisotropy.collection.judgments import Judgments, collect
from anisotropy.collection.lines import BadLine, check_id
from anisotropy.errors import CollectionError, MissingExtra, one_of, shown
from anisotropy.files import fingerprint

PREFIX = "irds:"
_USUAL = ("train", "dev", "test")


def open_irds(dataset: str, split: str | None = None, *, cache: Path | None = None) -> Collection:
    """Open a data set of ir_datasets, which downloads it where it has to.

    Parameters
    ----------
    dataset
        Its id, without ``irds:``.
    split
        The split to evaluate; None takes the one of the id, else the default.
    cache
        Folder where the result of the pass over all documents is kept.

    Raises
    ------
    MissingExtra
        If ir_datasets is not installed.
    CollectionError
        If there is no such id, it has no queries, or it cannot be downloaded.
    """
    library = _library()
    with _plain_errors(dataset):
        own = _load(library, dataset)
        members = _members(library, own, dataset, split)
        loaded = {key: _load(library, name) for key, name in members.items()}
        judged = {key: _judged(each, members[key]) for key, each in loaded.items()}
        every: Queries = {}
        for queries, _ in judged.values():
            every |= queries
        every = every or _queries(own, dataset)
        chosen = split or (_split_name(library, dataset) if own.has_qrels() else None)
        return assemble(
            f"{PREFIX}{dataset}",
            IrdsSource(library, own, dataset),
            judged,
            every,
            chosen,
            warnings=queries_warning(f"{PREFIX}{dataset}", every),
            cache=cache,
        )


def _library() -> ModuleType:
    try:
        import ir_datasets
    except ImportError:
        raise MissingExtra("a collection of ir_datasets (irds:...)", "irds") from None
    return ir_datasets  # type: ignore[no-any-return, unused-ignore]


@contextlib.contextmanager
def _plain_errors(dataset: str) -> Iterator[None]:
    # ir_datasets downloads on first use and raises whatever its readers raise.
    logger = logging.getLogger("ir_datasets")
    logger.addFilter(_is_no_failure)
    try:
        yield
    except (CollectionError, MissingExtra):
        raise
    except Exception as error:
        raise CollectionError(
            f"{PREFIX}{dataset}: cannot be read or downloaded ({_reason(error)})"
        ) from None
    finally:
        logger.removeFilter(_is_no_failure)


def _is_no_failure(record: logging.LogRecord) -> bool:
    # The error says it once; ir_datasets says it for each source and each of three tries.
    return "ownload" not in record.getMessage()


def _reason(error: Exception) -> str:
    said = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
    first = (said.splitlines() or [""])[0][:160]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _load(library: ModuleType, dataset: str) -> Any:
    try:
        return library.load(dataset)
    except KeyError:
        known = list(library.registry._registered)
        allowed = one_of(dataset, [*_near(dataset, known), "an id of ir-datasets.com"])
        raise CollectionError(f"unknown ir_datasets id: {allowed}") from None


def _near(dataset: str, known: Sequence[str]) -> list[str]:
    import difflib

    return difflib.get_close_matches(dataset, known, n=3)


def _members(library: ModuleType, own: Any, dataset: str, split: str | None) -> dict[str, str]:
    if not own.has_docs():
        raise CollectionError(f"{PREFIX}{dataset}: has no documents")
    if own.has_qrels():
        training = (
            {"train": name}
            for name in _training_candidates(dataset)
            if _shares_documents(library, name, dataset)
        )
        return {_split_name(library, dataset): dataset} | next(training, {})
    children = {
        name.rpartition("/")[2]: name
        for name in library.registry._registered
        if name.rpartition("/")[0] == dataset and _shares_documents(library, name, dataset)
    }
    if split is not None and children and split not in children:
        raise CollectionError(f"{PREFIX}{dataset}: unknown split: {one_of(split, children)}")
    if not children and not own.has_queries():
        raise CollectionError(f"{PREFIX}{dataset}: has no queries; name one of its query sets")
    wanted = [key for key in children if key in _USUAL or key == split]
    return {key: children[key] for key in wanted or children}


def _shares_documents(library: ModuleType, name: str, other: str) -> bool:
    if name not in library.registry._registered:
        return False
    member = library.load(name)
    complete = member.has_qrels() and member.has_queries() and member.has_docs()
    return bool(complete and library.docs_parent_id(name) == library.docs_parent_id(other))


def _split_name(library: ModuleType, dataset: str) -> str:
    """Name after the id of the documents: ``dev/small`` of ``msmarco-passage/dev/small``."""
    documents = str(library.docs_parent_id(dataset))
    if dataset.startswith(f"{documents}/"):
        return dataset.removeprefix(f"{documents}/")
    return dataset.rpartition("/")[2]


def _training_candidates(dataset: str) -> Iterator[str]:
    parts = dataset.split("/")
    yield from ("/".join([*parts[:depth], "train"]) for depth in range(len(parts) - 1, 0, -1))


def _judged(data: Any, name: str) -> tuple[Queries, Judgments]:
    triples = (
        (
            number,
            _checked(item.query_id, "query"),
            _checked(item.doc_id, "document"),
            item.relevance,
        )
        for number, item in enumerate(data.qrels_iter(), start=1)
    )
    return _queries(data, name), collect(f"{PREFIX}{name}", f"{PREFIX}{name}", triples)


def _queries(data: Any, name: str) -> Queries:
    queries: Queries = {}
    for item in data.queries_iter():
        query_id = _checked(item.query_id, "query")
        if query_id in queries:
            raise CollectionError(f"{PREFIX}{name}: query id {shown(query_id)} occurs twice")
        queries[query_id] = Query(query_id, item.default_text() or "")
    return queries


def _checked(value: object, what: str) -> str:
    try:
        return check_id(str(value), what)
    except BadLine as problem:
        raise CollectionError(str(problem)) from None


def as_document(record: Any) -> Document:
    """Document of a record of ir_datasets, whatever its fields are.

    ``text``, else ``body``, is the text, ``title`` and ``url`` are taken where there are; a
    record without those fields gives its default text.
    """
    text = getattr(record, "text", getattr(record, "body", None))
    doc_id = _checked(record.doc_id, "document")
    if not isinstance(text, str):
        return Document(doc_id, record.default_text() or "")
    return Document(doc_id, text, _field(record, "title"), _field(record, "url"))


def _field(record: Any, name: str) -> str:
    value = getattr(record, name, None)
    return value if isinstance(value, str) else ""


class IrdsSource(Source):
    """Documents of a data set; a place is the number of the document."""

    def __init__(self, library: ModuleType, data: Any, dataset: str) -> None:
        self.where = self.name = f"{PREFIX}{dataset}"
        self._data = data
        self._documents_id = library.docs_parent_id(dataset)
        self._version = str(getattr(library, "__version__", ""))

    def cache_key(self) -> str:
        """Id of the documents, which ir_datasets downloads by checksum, and its version."""
        return fingerprint(PREFIX, self._documents_id, self._version, self._data.docs_count())

    def located(self) -> Iterator[tuple[int, Document]]:
        """Stream (number, document)."""
        with _plain_errors(self.where.removeprefix(PREFIX)):
            for number, record in enumerate(self._data.docs_iter()):
                yield number, as_document(record)

    def read(self, doc_ids: Sequence[str], places: Sequence[int]) -> Iterator[Document]:
        """Read documents by id, or by number where no ids are given."""
        if doc_ids:
            with _plain_errors(self.where.removeprefix(PREFIX)):
                found = self._data.docs_store().get_many(list(doc_ids))
                yield from (as_document(record) for record in found.values())
        else:
            wanted = set(places)
            yield from (document for place, document in self.located() if place in wanted)

    def describe(self, place: int) -> str:
        """Number of a document, from 1."""
        return f"document {place + 1}"
