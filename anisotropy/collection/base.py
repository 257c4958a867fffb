"""A collection: texts and judgments, whatever files they came from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from anisotropy.errors import CollectionError, one_of
from anisotropy.files import fingerprint

if TYPE_CHECKING:
    from anisotropy.collection.upstream_folder import UpstreamFolder

Qrels = dict[str, dict[str, int]]
"""``{query_id: {doc_id: grade}}``."""

UNJUDGED = "all"
"""Name of the one split of a collection whose files name no split."""

_PREFERRED = ("dev.small", "dev", "test", "train")


@dataclass(frozen=True, slots=True)
class Document:
    """One document; `title` and `url` are empty where the source has none.

    `tokens` are the ids of a source that was tokenized already and has no texts.
    """

    doc_id: str
    text: str
    title: str = ""
    url: str = ""
    tokens: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """One query; `tokens` as in `Document`."""

    query_id: str
    text: str
    tokens: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """The judged queries of one split, in file order, and their judgments."""

    queries: Sequence[Query]
    qrels: Qrels


class DocumentIndex(Protocol):
    """The documents of a source after one streamed pass: checked, counted, found by id."""

    digest: str
    n: int

    def __iter__(self) -> Iterator[Document]:
        """Stream the documents in their fixed order."""
        ...

    def known(self, doc_ids: Sequence[str]) -> np.ndarray:
        """Tell for each id whether it is a document: boolean, shape (n,)."""
        ...

    def fetch(self, doc_ids: Sequence[str]) -> dict[str, Document]:
        """Read the documents of known ids."""
        ...


class Collection:
    """Queries, documents and judgments of one source; documents are streamed.

    Parameters
    ----------
    name
        ``"docstrings"``, the folder's name, or ``"irds:..."``.
    documents
        The documents, already checked and counted.
    splits
        Judged queries and judgments by the name of the split, in the order of the source.
    split
        The split to evaluate; None takes ``dev``, else ``test``, else ``train``, else the only
        one (an MS MARCO passage folder with both ``dev`` and ``dev.small`` takes the small one).
    note
        What a reader of a report must know, such as ``"docstrings, not MS MARCO"``.
    warnings
        Oddities met while reading, one line each.
    queries_digest
        Identifies all queries of the source, those that no split judges included.
    has_texts
        False where the source holds token ids alone; its texts are then empty.
    padding_id
        Of token ids: what fills their records behind the last token; None where nothing does.
    details
        What else ``inspect`` says of the source.
    preprocessed
        What the rows of a preprocessed folder stand for, which dumps of vectors need.

    Attributes
    ----------
    name, note, warnings, has_texts, padding_id, details, preprocessed
        As given.
    split : str
        The evaluated split; ``"all"`` where the source names none.
    splits : tuple of str
        The splits there are.
    training_split : str or None
        ``"train"`` where there is one, it is not evaluated and not empty.
    n_documents : int
        Number of documents.
    documents_fingerprint : str
        Identifies ids, texts and order of the documents alone.
    fingerprint : str
        Identifies all content and the evaluated split; equal on every machine for equal content.

    Raises
    ------
    CollectionError
        If `split` is unknown, cannot be chosen, or has no judged query.
    """

    def __init__(
        self,
        name: str,
        documents: DocumentIndex,
        splits: Mapping[str, Split],
        split: str | None = None,
        *,
        note: str = "",
        warnings: Iterable[str] = (),
        queries_digest: str = "",
        has_texts: bool = True,
        padding_id: int | None = None,
        details: Mapping[str, Any] | None = None,
        preprocessed: UpstreamFolder | None = None,
    ) -> None:
        self.name = name
        self.note = note
        self.warnings = list(warnings)
        self.has_texts = has_texts
        self.padding_id = padding_id
        self.details = dict(details or {})
        self.preprocessed = preprocessed
        self._documents = documents
        self._splits = dict(splits)
        self.splits = tuple(self._splits)
        self.split = _choose(name, self.splits, split)
        self.n_documents = documents.n
        self.documents_fingerprint = documents.digest
        if not self._splits[self.split].queries:
            raise CollectionError(_nothing_judged(name, self.split, self.warnings))
        self.fingerprint = fingerprint(
            documents.digest, queries_digest, self.split, _content(self._splits)
        )

    def __repr__(self) -> str:
        return (
            f"<Collection {self.name}: {self.n_documents} documents, "
            f"{len(self.queries())} queries of split {self.split!r}, {self.fingerprint}>"
        )

    @property
    def training_split(self) -> str | None:
        """``"train"`` where mining pools can come from it, else None."""
        train = self._splits.get("train")
        return "train" if self.split != "train" and train and train.queries else None

    def documents(self) -> Iterator[Document]:
        """Stream the documents in a fixed order; can be called again."""
        return iter(self._documents)

    def queries(self, split: str | None = None) -> list[Query]:
        """Return the queries that a split judges (all of them where there are no judgments).

        Parameters
        ----------
        split
            Name of a split; None means the evaluated one.

        Raises
        ------
        CollectionError
            If there is no such split.
        """
        return list(self._split(split).queries)

    def qrels(self, split: str | None = None) -> Qrels:
        """Return the judgments of a split, ``{}`` where there are none.

        Parameters
        ----------
        split
            Name of a split; None means the evaluated one.

        Raises
        ------
        CollectionError
            If there is no such split.
        """
        return {query: dict(grades) for query, grades in self._split(split).qrels.items()}

    def texts(self, doc_ids: Iterable[str]) -> dict[str, Document]:
        """Read a few documents, in the order in which they were asked for.

        Parameters
        ----------
        doc_ids
            Ids of documents; repeated ones are read once.

        Raises
        ------
        CollectionError
            If an id is not a document of the collection.
        """
        wanted = list(dict.fromkeys(doc_ids))
        known = self._documents.known(wanted)
        if not known.all():
            missing = wanted[int(np.flatnonzero(~known)[0])]
            raise CollectionError(f"{self.name}: no document has the id {missing!r}")
        found = self._documents.fetch(wanted) if wanted else {}
        return {doc_id: found[doc_id] for doc_id in wanted}

    def require_texts(self, what: str) -> None:
        """Refuse work that needs texts where there are token ids alone.

        Parameters
        ----------
        what
            Needs texts; the beginning of the message.

        Raises
        ------
        CollectionError
            If the collection has no texts.
        """
        if not self.has_texts:
            raise CollectionError(needs_texts(what, self.name))

    def _split(self, split: str | None) -> Split:
        name = self.split if split is None else split
        if name not in self._splits:
            raise CollectionError(f"{self.name}: unknown split: {one_of(name, self.splits)}")
        return self._splits[name]


def needs_texts(what: str, name: str) -> str:
    """Message that something cannot be done with token ids."""
    return (
        f"{what} needs texts; {name} holds the token ids of an upstream preprocessed folder: give "
        "the folder of texts it was made from"
    )


def _choose(name: str, splits: Sequence[str], split: str | None) -> str:
    if split is not None:
        if split not in splits:
            raise CollectionError(f"{name}: unknown split: {one_of(split, splits)}")
        return split
    for preferred in _PREFERRED:
        if preferred in splits:
            return preferred
    if len(splits) != 1:
        raise CollectionError(
            f"{name}: none of its splits is dev, test or train; choose one with split: "
            f"{', '.join(splits)}"
        )
    return splits[0]


def _nothing_judged(name: str, split: str, warnings: Sequence[str]) -> str:
    reasons = [line for line in warnings if "judgment" in line]
    reason = f" ({reasons[0]})" if reasons else ""
    return f"{name}: split {split!r} has no judged query{reason}"


def digest(value: object) -> str:
    """Fingerprint of strings, numbers, lists and dictionaries, whatever their order of keys."""
    # One flat string: much faster than letting `fingerprint` walk through every value.
    return fingerprint(json.dumps(value, ensure_ascii=False, sort_keys=True))


def query_content(query: Query) -> list[Any]:
    """What of a query goes into fingerprints."""
    given = [] if query.tokens is None else [list(query.tokens)]
    return [query.query_id, query.text, *given]


def _content(splits: Mapping[str, Split]) -> str:
    return digest(
        [
            [name, [query_content(query) for query in split.queries], split.qrels]
            for name, split in sorted(splits.items())
        ]
    )
