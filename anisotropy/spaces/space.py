"""EmbeddingSpace: what every measure looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from anisotropy import engine
from anisotropy.errors import EmbeddingsError, UsageError, one_of
from anisotropy.spaces.rows import LazyRows, ReorderedRows, ShardedRows

if TYPE_CHECKING:
    import pandas as pd

    from anisotropy.collection import Collection

Qrels = dict[str, dict[str, int]]
SIMILARITIES = ("cosine", "dot", "euclidean")


class EmbeddingSpace:
    """Query embeddings and document embeddings with ids, judgments and recipe.

    Parameters
    ----------
    queries, documents
        Arrays of shape (n_queries, dim) and (n_rows, dim), floating point, finite. Documents
        may be a memory map or :class:`ShardedRows`; they are not copied.
    query_ids, doc_ids
        One id a query and a document; default: their numbers as text. Unique.
    qrels
        Judgments, ``{query_id: {doc_id: grade}}``; a grade of 1 or more is relevant.
    similarity
        How the recipe scores a pair: ``cosine``, ``dot`` or ``euclidean`` (negative distance).
    temperature
        Scores are divided by it in the softmax law.
    label
        Name in tables and figures.
    document_of_row
        For several vectors a document: shape (n_rows,), index into `doc_ids`.
    padding
        Shape (n_rows,), True where a vector stands for padding only.
    training
        The same documents with the training queries and their judgments: the pool from which
        negatives are mined. None where there are none.
    recipe, counts, fingerprint, step
        Provenance that goes into results as it is.
    query_texts, doc_texts
        Texts by row, where they are known.
    collection
        Where document texts can be looked up, if anywhere.
    collection_info
        What was encoded, where it is known: ``name``, ``note``, ``split``, ``fingerprint``.
    history
        How the checkpoint was trained, by columns of equal length, where that is known.

    Attributes
    ----------
    warnings : list of str
        What a reader of results must know of where the vectors come from, one line each.

    Raises
    ------
    EmbeddingsError
        If shapes, ids, dimensions or values do not fit; the message names the side and row.
    UsageError
        If `similarity` is unknown.
    """

    def __init__(
        self,
        queries: Any,
        documents: Any,
        *,
        query_ids: Sequence[str] | None = None,
        doc_ids: Sequence[str] | None = None,
        qrels: Mapping[str, Mapping[str, int]] | None = None,
        similarity: str = "cosine",
        temperature: float = 1.0,
        label: str = "space",
        document_of_row: np.ndarray | None = None,
        padding: np.ndarray | None = None,
        training: EmbeddingSpace | None = None,
        recipe: Mapping[str, Any] | None = None,
        fingerprint: str = "",
        step: int | None = None,
        query_texts: Sequence[str] | None = None,
        doc_texts: Sequence[str] | None = None,
        collection: Collection | None = None,
        collection_info: Mapping[str, Any] | None = None,
        history: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        if similarity not in SIMILARITIES:
            raise UsageError(f"similarity: {one_of(similarity, SIMILARITIES)}")
        if not temperature > 0:
            raise UsageError(f"temperature: got {temperature}; allowed: a number above 0")
        self.label = label
        self.queries: Any = _rows(queries, "queries", label)
        self.documents: Any = _rows(documents, "documents", label)
        _same_dimension(self.queries, self.documents, label)
        self.document_of_row = document_of_row
        self.padding = padding
        n_documents = _count_documents(self.documents, document_of_row)
        self.query_ids = _ids(query_ids, len(self.queries), "queries", label)
        self.doc_ids = _ids(doc_ids, n_documents, "documents", label)
        self.qrels = _judgments(qrels or {}, self.query_ids, self.doc_ids, label)
        self.similarity = similarity
        self.temperature = float(temperature)
        self.training = training
        self.recipe = dict(recipe or {})
        self.fingerprint = fingerprint
        self.step = step
        self.query_texts = list(query_texts) if query_texts is not None else None
        self.doc_texts = list(doc_texts) if doc_texts is not None else None
        self.collection = collection
        self.collection_info = dict(collection_info or {})
        self.history = history
        self.warnings: list[str] = []

    @property
    def collection_fingerprint(self) -> str:
        """Fingerprint of the collection that was encoded; empty where it is not known."""
        return str(self.collection_info.get("fingerprint", ""))

    @property
    def dim(self) -> int:
        """Number of dimensions of a vector."""
        return int(self.queries.shape[1])

    @property
    def mining(self) -> EmbeddingSpace:
        """The space whose queries are the pool of negatives: training queries, else its own."""
        return self.training or self

    @property
    def counts(self) -> dict[str, int]:
        """How many queries, documents, vectors, judged pairs and training queries there are."""
        return {
            "queries": len(self.query_ids),
            "documents": len(self.doc_ids),
            "document_vectors": len(self.documents),
            "padding_vectors": int(self.padding.sum()) if self.padding is not None else 0,
            "judged_pairs": sum(len(grades) for grades in self.qrels.values()),
            "training_queries": len(self.training.query_ids) if self.training else 0,
            "dim": self.dim,
        }

    def __repr__(self) -> str:
        c = self.counts
        return (
            f"<EmbeddingSpace {self.label!r}: {c['queries']} queries, {c['documents']} documents, "
            f"dim {c['dim']}, {self.similarity}, {c['judged_pairs']} judged pairs>"
        )

    def _repr_html_(self) -> str:
        """A small table of what this is, for notebooks; every text is escaped."""
        from anisotropy.report.notebook import space_html

        return space_html(self)

    def restrict(self, query_ids: Sequence[str], doc_ids: Sequence[str]) -> EmbeddingSpace:
        """The space of some of its queries and documents, in the order given.

        Parameters
        ----------
        query_ids, doc_ids
            Ids of this space. Training queries stay; judgments of what is left out go.
        """
        chosen = _places(query_ids, self.query_ids)
        documents, owner, padding = self._documents_of(doc_ids)
        shared: dict[str, Any] = {
            "doc_ids": doc_ids,
            "document_of_row": owner,
            "padding": padding,
            "similarity": self.similarity,
            "temperature": self.temperature,
            "label": self.label,
            "recipe": self.recipe,
            "fingerprint": self.fingerprint,
            "step": self.step,
            "collection": self.collection,
            "collection_info": self.collection_info,
            "history": self.history,
        }
        pool = self.training
        return EmbeddingSpace(
            _at(self.queries, chosen),
            documents,
            query_ids=query_ids,
            qrels=_kept_judgments(self.qrels, query_ids, doc_ids),
            query_texts=_some(self.query_texts, chosen),
            doc_texts=_some(self.doc_texts, _places(doc_ids, self.doc_ids)),
            training=pool
            and EmbeddingSpace(
                pool.queries,
                documents,
                query_ids=pool.query_ids,
                qrels=_kept_judgments(pool.qrels, pool.query_ids, doc_ids),
                **shared,
            ),
            **shared,
        )

    def _documents_of(
        self, doc_ids: Sequence[str]
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """Rows, owner and padding of some documents, in their order."""
        chosen = _places(doc_ids, self.doc_ids)
        if self.document_of_row is None:
            return _at(self.documents, chosen), None, None
        new = np.full(len(self.doc_ids), -1)
        new[chosen] = np.arange(len(chosen))
        owner = new[self.document_of_row]
        rows = np.flatnonzero(owner >= 0)
        rows = rows[np.argsort(owner[rows], kind="stable")]
        padding = self.padding[rows] if self.padding is not None else None
        return _at(self.documents, rows), owner[rows], padding

    def measure(self, measures: Sequence[str] | None = None) -> pd.DataFrame:
        """Measure this space; see :func:`anisotropy.measure`."""
        from anisotropy.workflow import measure

        return measure(self, measures)

    def distances(
        self,
        query_id: str | None = None,
        to: Literal["positives", "nearest", "random", "all"] = "positives",
        *,
        on: Literal["unit", "raw"] = "unit",
        metric: Literal["euclidean", "cosine", "dot"] = "euclidean",
        random_state: int = 0,
    ) -> pd.DataFrame:
        """Distances from queries to documents, one row a pair.

        Parameters
        ----------
        query_id
            One query; None means every query (not allowed with ``to="all"``).
        to
            Judged positives, the ten documents that score best, ten random documents, or all.
        on
            ``unit`` scales rows to length 1 first; ``raw`` takes them as encoded.
        metric
            ``euclidean`` distance, or ``cosine``/``dot`` as 1 - similarity and -similarity.
        random_state
            Seed of ``to="random"``.

        Returns
        -------
        pandas.DataFrame
            Columns query_id, doc_id, distance, score (the recipe's), rank (1 is the best score),
            grade (missing when unjudged), text (of the document) and query_text; texts are None
            where they are not known. Sorted by query, then document (``nearest``: by rank). Of
            several vectors a document the nearest counts, padding-only ones left out.

        Raises
        ------
        UsageError
            If a word is not allowed or there is no such query.
        EmbeddingsError
            If a vector of zeros would have to be scaled to length 1.
        """
        from anisotropy.spaces.pairs import Asked, pair_distances

        return pair_distances(self, Asked(query_id, to, on, metric, random_state))

    def neighbors(self, query_id: str, k: int = 10) -> pd.DataFrame:
        """The documents of one query that the recipe scores best.

        Parameters
        ----------
        query_id
            A query of this space.
        k
            How many, 1 or more.

        Returns
        -------
        pandas.DataFrame
            Best first, with the columns of :meth:`distances`.

        Raises
        ------
        UsageError
            If there is no such query, or `k` is not allowed.
        """
        from anisotropy.spaces.pairs import Asked, pair_distances

        return pair_distances(self, Asked(query_id, "nearest", k=k))

    def save(self, folder: str) -> None:
        """Write this space as a store; see :func:`anisotropy.spaces.save_space`."""
        from anisotropy.spaces.store import save_space

        save_space(self, folder)


def _at(rows: Any, index: np.ndarray) -> Any:
    """Some rows, copied; where a cluster is to read them they stay where they lie."""
    return rows[index] if engine.current() is None else ReorderedRows(rows, index)


def _rows(array: Any, side: str, label: str) -> Any:
    """`array` as rows of finite floating-point numbers, not copied where it is already that."""
    if not isinstance(array, ShardedRows | LazyRows):
        array = _as_array(array, side, label)
    if array.ndim != 2 or array.shape[1] == 0:
        raise EmbeddingsError(
            f"{label}: {side} have shape {tuple(array.shape)}; needed: (n, dim) with dim above 0"
        )
    if not np.issubdtype(array.dtype, np.floating):
        raise EmbeddingsError(
            f"{label}: {side} have dtype {array.dtype}; needed: float16, float32 or float64"
        )
    _finite(array, side, label)
    return array


def _as_array(array: Any, side: str, label: str) -> np.ndarray:
    if type(array).__module__.split(".")[0] == "torch":
        array = array.detach().cpu().numpy()
    try:
        return np.asanyarray(array)
    except (TypeError, ValueError):
        raise EmbeddingsError(f"{label}: {side} are no array; needed: shape (n, dim)") from None


def _finite(array: Any, side: str, label: str) -> None:
    from anisotropy.backend import Rows, check_in_files

    check_in_files(array, f"{label}: {side}")
    bad = np.flatnonzero(~np.isfinite(Rows(array).each(_sums)))
    if bad.size:
        more = f" (and {bad.size - 1} more)" if bad.size > 1 else ""
        raise EmbeddingsError(
            f"{label}: {side} row {int(bad[0])} has NaN or infinite values{more}; "
            "remove or re-encode them"
        )


def _sums(block: np.ndarray) -> np.ndarray:
    """A sum is finite only if every term is, and costs no temporary of the block's size."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(block.sum(axis=1, dtype=np.float64))


def _same_dimension(queries: Any, documents: Any, label: str) -> None:
    if queries.shape[1] != documents.shape[1]:
        raise EmbeddingsError(
            f"{label}: queries have {queries.shape[1]} dimensions and documents "
            f"{documents.shape[1]}; one space needs the same number"
        )


def _count_documents(documents: Any, document_of_row: np.ndarray | None) -> int:
    if document_of_row is None:
        return len(documents)
    if len(document_of_row) != len(documents):
        raise EmbeddingsError(
            f"document_of_row has {len(document_of_row)} entries for {len(documents)} vectors"
        )
    return int(document_of_row.max()) + 1 if len(document_of_row) else 0


def _ids(ids: Sequence[str] | None, n: int, side: str, label: str) -> list[str]:
    if ids is None:
        return [str(number) for number in range(n)]
    names = [str(name) for name in ids]
    if len(names) != n:
        raise EmbeddingsError(f"{label}: {len(names)} ids for {n} {side}")
    if len(set(names)) != n:
        seen: set[str] = set()
        twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise EmbeddingsError(f"{label}: id {twice!r} occurs more than once among the {side}")
    return names


def _places(chosen: Sequence[str], ids: list[str]) -> np.ndarray:
    place = {name: number for number, name in enumerate(ids)}
    unknown = next((name for name in chosen if name not in place), None)
    if unknown is not None:
        raise UsageError(f"no id {unknown!r} among the {len(ids)} of this space")
    return np.array([place[name] for name in chosen], dtype=np.int64)


def _some(texts: list[str] | None, chosen: np.ndarray) -> list[str] | None:
    return None if texts is None else [texts[number] for number in chosen]


def _kept_judgments(qrels: Qrels, query_ids: Sequence[str], doc_ids: Sequence[str]) -> Qrels:
    queries, documents = set(query_ids), set(doc_ids)
    return {
        query: {d: g for d, g in grades.items() if d in documents}
        for query, grades in qrels.items()
        if query in queries
    }


def _judgments(
    qrels: Mapping[str, Mapping[str, int]], query_ids: list[str], doc_ids: list[str], label: str
) -> Qrels:
    queries, documents = set(query_ids), set(doc_ids)
    for query_id, grades in qrels.items():
        if query_id not in queries:
            raise EmbeddingsError(f"{label}: judged query {query_id!r} is not among the queries")
        unknown = next((doc_id for doc_id in grades if doc_id not in documents), None)
        if unknown is not None:
            raise EmbeddingsError(
                f"{label}: document {unknown!r} judged for query {query_id!r} is not there"
            )
    return {q: {d: int(g) for d, g in grades.items()} for q, grades in qrels.items()}
