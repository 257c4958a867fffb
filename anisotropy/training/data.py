"""A collection as the loop needs it: token lists, judged pairs, queries to evaluate."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from anisotropy.errors import CollectionError
from anisotropy.training.bm25 import LexicalLists
from anisotropy.training.encoder import Trainable, training_split

if TYPE_CHECKING:
    from anisotropy.collection import Collection, Qrels

DEV = "dev"
BLOCK = 1024  # documents tokenized at once


@dataclass(frozen=True, eq=False)
class Judged:
    """Queries of one split.

    Attributes
    ----------
    tokens
        Ids of each query.
    positives
        For each query the document numbers judged above 0.
    ids
        Id of each query.
    recorded
        Shape (queries,): of the positives the one that the judgments name last, the only one that
        upstream's mining knows.
    """

    tokens: list[list[int]]
    positives: list[frozenset[int]]
    ids: list[str]
    recorded: np.ndarray


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Token lists and pairs.

    Attributes
    ----------
    documents
        Ids of every document: the pool that negatives come from.
    train
        Training queries, each with a positive at least.
    pairs
        Shape (p, 2): query number, document number; every positive of every training query.
    dev
        Queries to evaluate while training; None where the collection has no dev split.
    doc_ids
        Id of each document.
    lexical
        BM25 lists of both sides, computed when first asked for.
    """

    documents: list[list[int]]
    train: Judged
    pairs: np.ndarray
    dev: Judged | None
    doc_ids: list[str]
    lexical: LexicalLists

    def queries_of(self, documents: np.ndarray) -> list[frozenset[int]]:
        """Return for each document the training queries it is a positive of."""
        return _owners(self.pairs, documents)

    def recorders_of(self, documents: np.ndarray) -> list[frozenset[int]]:
        """Return for each document the training queries it is the recorded positive of."""
        rows = np.arange(len(self.train.recorded))
        return _owners(np.stack([rows, self.train.recorded], axis=1), documents)

    def other_positives(self, queries: np.ndarray, documents: np.ndarray) -> np.ndarray:
        """(B, B + M) boolean, True where column's document is a positive of row's query.

        The first B documents are those of the rows: the diagonal, the pairs themselves, is False.
        """
        found = self._judged(queries, documents)
        np.fill_diagonal(found, False)
        return found

    def other_queries(self, documents: np.ndarray, queries: np.ndarray) -> np.ndarray:
        """(B, B + M) boolean, True where row's document is a positive of column's query.

        The dual of `other_positives`.
        """
        found = self._judged(queries, documents).T.copy()
        np.fill_diagonal(found, False)
        return found

    def _judged(self, queries: np.ndarray, documents: np.ndarray) -> np.ndarray:
        """(queries, documents) boolean, True where the document is a positive of the query."""
        columns: dict[int, list[int]] = {}
        for column, document in enumerate(documents.tolist()):
            columns.setdefault(document, []).append(column)
        found = np.zeros((len(queries), len(documents)), bool)
        for row, query in enumerate(queries):
            for document in self.train.positives[query]:
                found[row, columns.get(document, [])] = True
        return found


def _owners(pairs: np.ndarray, documents: np.ndarray) -> list[frozenset[int]]:
    owners: dict[int, set[int]] = {int(document): set() for document in documents}
    for query, document in pairs:
        if int(document) in owners:
            owners[int(document)].add(int(query))
    return [frozenset(owners[int(document)]) for document in documents]


def load_data(collection: Collection, trainable: Trainable) -> TrainingData:
    """Tokenize a collection.

    Parameters
    ----------
    collection
        With a training split. Evaluation during training uses ``dev`` and nothing else.
    trainable
        Whose tokenizer and recipe prepare the texts.

    Raises
    ------
    CollectionError
        If there is no training split, or fewer than two pairs in it.
    """
    number: dict[str, int] = {}
    documents: list[list[int]] = []
    stream = collection.documents()
    while block := list(islice(stream, BLOCK)):  # texts are streamed, token ids are kept
        number.update((d.doc_id, len(documents) + place) for place, d in enumerate(block))
        documents += trainable.document_tokens(block)
    split = training_split(collection)
    train = _judged(collection, split, trainable, number)
    pairs = [(q, d) for q, own in enumerate(train.positives) for d in sorted(own)]
    if len(pairs) < 2:
        raise CollectionError(f"{collection.name}: {len(pairs)} training pairs; needed: 2 or more")
    dev = _judged(collection, DEV, trainable, number) if DEV in collection.splits else None
    if dev is not None and not dev.tokens:
        dev = None  # no dev query has a positive: nothing to evaluate
    lexical = LexicalLists(collection, split, list(number), train.ids)
    pairs_array = np.array(pairs, dtype=np.int64)
    return TrainingData(documents, train, pairs_array, dev, list(number), lexical)


def _judged(
    collection: Collection, split: str, trainable: Trainable, number: dict[str, int]
) -> Judged:
    qrels: Qrels = collection.qrels(split)
    positives = {
        query: [number[doc] for doc, grade in grades.items() if grade > 0]
        for query, grades in qrels.items()
    }
    queries = [q for q in collection.queries(split) if positives.get(q.query_id)]
    own = [positives[q.query_id] for q in queries]
    return Judged(
        trainable.query_tokens(queries),
        [frozenset(documents) for documents in own],
        [q.query_id for q in queries],
        np.array([documents[-1] for documents in own], dtype=np.int64),
    )
