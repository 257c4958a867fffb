"""BM25: a ranking baseline, and negatives that no model has chosen.

The Lucene variant of BM25 (Kamphuis et al., "Which BM25 Do You Mean?", ECIR 2020) by the package
``bm25s``: idf = log(1 + (N - n + 0.5) / (n + 0.5)), k1 1.2, b 0.75. Words are the runs of letters
and digits of the lower-cased text; nothing is stemmed or left out unless a `stem` is given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from anisotropy.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from anisotropy.collection import Collection, Document

#: What a word is: a run of letters and digits (Unicode), matched on the lower-cased text.
WORD = re.compile(r"[^\W_]+")
K1, B = 1.2, 0.75

Stem = Callable[[str], str]
Run = dict[str, list[tuple[str, float]]]
"""``{query_id: [(doc_id, score), ...]}``, best first."""


def words(text: str, stem: Stem | None = None) -> list[str]:
    """Words of a text in their order, repeats included."""
    found = WORD.findall(text.lower())
    return found if stem is None else [stem(word) for word in found]


def document_words(document: Document, stem: Stem | None = None) -> list[str]:
    """Words of title and text; the url is left out."""
    return words(f"{document.title} {document.text}", stem)


class Bm25Index:
    """An inverted index of texts.

    Parameters
    ----------
    texts
        Words of each item.
    k1
        Saturation of the term frequency, 0 or more.
    b
        Share of the length normalization, 0 to 1.

    Raises
    ------
    MissingExtra
        If ``bm25s`` is not installed.
    UsageError
        If `k1` or `b` is out of range.
    """

    def __init__(self, texts: Iterable[Sequence[str]], *, k1: float = K1, b: float = B) -> None:
        if not k1 >= 0 or not 0 <= b <= 1:
            raise UsageError(f"BM25: got k1 {k1}, b {b}; allowed: k1 0 or more, b from 0 to 1")
        bm25s = _bm25s()
        self._number: dict[str, int] = {}
        ids = [[self._number.setdefault(word, len(self._number)) for word in t] for t in texts]
        self.n = len(ids)
        self._scorer: Any = None
        if self._number:  # the package cannot index texts that are all empty
            self._scorer = bm25s.BM25(k1=k1, b=b, method="lucene")
            self._scorer.index((ids, dict(self._number)), show_progress=False)

    def scores(self, text: Sequence[str]) -> np.ndarray:
        """Score every item for the words of a text: shape (n,), 0 where no word is shared."""
        known = [self._number[word] for word in text if word in self._number]
        if not known:
            return np.zeros(self.n, dtype=np.float32)
        found: np.ndarray = self._scorer.get_scores_from_ids(known)
        return found[: self.n]

    def top(self, text: Sequence[str], depth: int) -> tuple[np.ndarray, np.ndarray]:
        """Items that share a word with a text.

        Parameters
        ----------
        text
            Words; a repeated one counts as often.
        depth
            Items at most.

        Returns
        -------
        tuple of numpy.ndarray
            Item numbers and scores, best first, equal scores in the order of the items.
        """
        scores = self.scores(text)
        found = np.flatnonzero(scores > 0)
        order = found[np.argsort(-scores[found], kind="stable")][:depth]
        return order, scores[order]


def _bm25s() -> Any:
    try:
        import bm25s
    except ImportError:
        raise MissingExtra("BM25", "train") from None
    return bm25s


def bm25_ranking(
    collection: Collection,
    split: str | None = None,
    *,
    depth: int = 1000,
    k1: float = K1,
    b: float = B,
    stem: Stem | None = None,
) -> Run:
    """Rank all documents for the queries of a split by BM25.

    Parameters
    ----------
    collection
        Titles and texts of its documents are indexed in memory.
    split
        Name of a split; None means the evaluated one.
    depth
        Documents a query at most, 1 or more; those that share no word are never among them.
    k1, b
        Of BM25; the defaults are Lucene's.
    stem
        From a word to its stem, such as ``Stemmer.Stemmer("porter").stemWord`` of PyStemmer.
        Published BM25 numbers mostly stem: nDCG@10 on Cranfield is .334 without and .360 with
        Porter's stemmer, on SciFact .663 and .684.

    Returns
    -------
    dict
        ``{query_id: [(doc_id, score), ...]}``, best first, equal scores in document order; every
        query of the split is in it.

    Raises
    ------
    MissingExtra
        If ``bm25s`` is not installed (extra ``train``).
    UsageError
        If a number is out of range.
    CollectionError
        If there is no such split.
    """
    if depth < 1:
        raise UsageError(f"depth: got {depth}; allowed: 1 or more")
    collection.require_texts("BM25")
    queries, ids = collection.queries(split), list[str]()
    index = Bm25Index(_stream(collection, ids, stem), k1=k1, b=b)
    run: Run = {}
    for query in queries:
        rows, scores = index.top(words(query.text, stem), depth)
        found = zip(rows, scores, strict=True)
        run[query.query_id] = [(ids[row], float(score)) for row, score in found]
    return run


def _stream(collection: Collection, ids: list[str], stem: Stem | None) -> Iterable[list[str]]:
    for document in collection.documents():
        ids.append(document.doc_id)
        yield document_words(document, stem)


class LexicalLists:
    """BM25's best documents of training queries and best training queries of documents.

    Indexes are made when first asked for, and lists are kept: they do not depend on the model.

    Parameters
    ----------
    collection, split
        Texts, and the split of the training queries.
    doc_ids, query_ids
        What the item numbers stand for.
    """

    def __init__(
        self, collection: Collection, split: str, doc_ids: list[str], query_ids: list[str]
    ) -> None:
        self._collection, self._split = collection, split
        self._doc_ids, self._query_ids = doc_ids, query_ids
        self._indexes: dict[str, Bm25Index] = {}
        self._lists: dict[tuple[str, int], dict[int, np.ndarray]] = {}

    def documents(self, queries: np.ndarray, depth: int) -> np.ndarray:
        """Best documents of the training queries with these numbers.

        Returns
        -------
        numpy.ndarray of shape (queries, depth)
            Document numbers, best first; -1 where fewer share a word.
        """
        return self._ranked("documents", queries, depth)

    def queries(self, documents: np.ndarray, depth: int) -> np.ndarray:
        """Best training queries of the documents with these numbers; see `documents`."""
        return self._ranked("queries", documents, depth)

    def _ranked(self, items: str, anchors: np.ndarray, depth: int) -> np.ndarray:
        kept = self._lists.setdefault((items, depth), {})
        missing = [int(row) for row in anchors if int(row) not in kept]
        if missing:
            index = self._index(items)
            for row, text in zip(missing, self._anchor_words(items, missing), strict=True):
                kept[row] = index.top(text, depth)[0].astype(np.int32)
        lists = np.full((len(anchors), depth), -1, dtype=np.int64)
        for place, row in enumerate(anchors):
            lists[place, : len(kept[int(row)])] = kept[int(row)]
        return lists

    def _index(self, items: str) -> Bm25Index:
        if items not in self._indexes:
            self._collection.require_texts("BM25")
            texts: Iterable[list[str]] = self._query_words()
            if items == "documents":
                texts = _stream(self._collection, [], None)
            self._indexes[items] = Bm25Index(texts)
        return self._indexes[items]

    def _query_words(self) -> list[list[str]]:
        texts = {q.query_id: q.text for q in self._collection.queries(self._split)}
        return [words(texts[name]) for name in self._query_ids]

    def _anchor_words(self, items: str, rows: list[int]) -> list[list[str]]:
        if items == "documents":
            every = self._query_words()
            return [every[row] for row in rows]
        found = self._collection.texts(self._doc_ids[row] for row in rows)
        return [document_words(found[self._doc_ids[row]]) for row in rows]
