"""What every layout of a dump comes down to: the vectors of a side, and the space of two sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.collection.lines import BAD_ID, is_bad_id
from anisotropy.errors import EmbeddingsError
from anisotropy.spaces.rows import ReorderedRows
from anisotropy.spaces.space import EmbeddingSpace, Qrels

#: Rows of which is looked whether they have unit length.
_PROBE = 4096
_UNIT = 1e-3


@dataclass(frozen=True)
class Vectors:
    """Vectors of one side, as a file or folder gives them.

    Attributes
    ----------
    origin
        The file or folder, as a message names it.
    rows
        Shape (n, dim), floating point: an array, a memory map, or rows read lazily.
    ids
        An id a row, as text; None where the layout has none. The same id several times is several
        vectors of one document, in the order of its chunks (once `in_chunk_order` was called).
    texts
        A text a row, where the layout has them.
    similarity
        ``dot``, ``cosine`` or ``euclidean`` where the layout says how vectors are compared.
    padding
        Shape (n,), True for vectors of padding alone; None where none is known.
    layout
        Its name, such as ``numpy`` or ``faiss``.
    warnings
        What a reader of results must know, one line each.
    repeated
        Whether the layout says that an id at several rows is a document of several vectors; where
        it does not, such an id is an error.
    chunks
        Number of each row among the vectors of its document, where the layout says it.
    each
        Rows that follow each other for one id of a file of ids.
    named_by
        Where its ids are from: the name of a file, or what stands for one.
    """

    origin: str
    rows: Any
    ids: list[str] | None = None
    texts: list[str] | None = None
    similarity: str | None = None
    padding: np.ndarray | None = None
    layout: str = ""
    warnings: tuple[str, ...] = ()
    repeated: bool = True
    chunks: np.ndarray | None = None
    each: int = 1
    named_by: str = ""


@dataclass(frozen=True)
class DumpOptions:
    """What a user says about a dump that its files do not.

    Attributes
    ----------
    queries
        File or folder of the query vectors, where the dump has documents alone.
    ids, query_ids
        File with an id a row (``.txt``, ``.tsv``: id, tab, text; ``.npy``; JSON list).
    qrels
        File of judgments.
    offsets
        Folder or file of upstream's maps from ids to offsets.
    scale
        int8 values are multiplied by it: a number.
    field
        Column, array or key that holds the vectors.
    similarity
        How vectors are compared.
    split
        Which queries to evaluate, where the dump has those of several splits.
    """

    queries: Path | None = None
    ids: Path | None = None
    query_ids: Path | None = None
    qrels: Path | None = None
    offsets: Path | None = None
    scale: float | None = None
    field: str | None = None
    similarity: str | None = None
    split: str | None = None


@dataclass(frozen=True)
class Judged:
    """Judgments and texts that belong to a dump, where they are known.

    Attributes
    ----------
    qrels
        Of the evaluated queries.
    training, training_qrels
        The pool of negatives, and its judgments.
    origin
        Where `qrels` are from, where they may be of something else: then it is said how many fit.
    """

    qrels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    training: Vectors | None = None
    training_qrels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    origin: str = ""


def space_of(
    queries: Vectors | None,
    documents: Vectors | None,
    *,
    label: str,
    judged: Judged | None = None,
    options: DumpOptions | None = None,
    **about: Any,
) -> EmbeddingSpace:
    """The space of two sides of a dump; either may be absent.

    Parameters
    ----------
    queries, documents
        Sides as their files give them.
    label
        Name in tables.
    judged
        Judgments; those of queries or documents that the dump has not are left out, with a warning
        where the user named the file.
    options
        What the user said.
    about
        More of what `EmbeddingSpace` takes.

    Raises
    ------
    EmbeddingsError
        If ids or shapes do not fit, or no judgment of the user's file does; the message names it.
    """
    sides = [side for side in (queries, documents) if side is not None]
    if not sides:
        raise EmbeddingsError(f"{label}: neither queries nor documents")
    options, judged = options or DumpOptions(), judged or Judged()
    recipe = _recipe(sides, options)
    dim = sides[0].rows.shape[1]
    query_ids = _ids(queries, "queries")
    doc_rows, doc_ids, owner, order = _documents(documents, dim)
    qrels = _known(judged.qrels, query_ids, doc_ids)
    origin = judged.origin or (str(options.qrels) if options.qrels is not None else "")
    missed = _left_out(origin, judged.qrels, qrels) if origin else []
    shared: dict[str, Any] = {
        "doc_ids": doc_ids,
        "document_of_row": owner,
        "padding": _taken(documents.padding if documents else None, order),
        "doc_texts": _texts_of(documents, owner, order),
        "similarity": recipe["similarity"],
        # while it is checked, so that a message names the files
        "label": " and ".join(dict.fromkeys(side.origin for side in sides)),
        "recipe": recipe,
        **about,
    }
    space = EmbeddingSpace(
        queries.rows if queries is not None else np.zeros((0, dim), np.float32),
        doc_rows,
        query_ids=query_ids,
        qrels=qrels,
        query_texts=queries.texts if queries is not None else None,
        training=_training(judged, doc_rows, shared),
        **shared,
    )
    for one in (space, space.training):
        if one is not None:
            one.label = label
    stated = [line for side in sides for line in side.warnings]
    space.warnings = list(dict.fromkeys([*stated, *missed]))
    return space


def _training(judged: Judged, documents: Any, shared: dict[str, Any]) -> EmbeddingSpace | None:
    """The pool of negatives over the same documents."""
    pool = judged.training
    if pool is None:
        return None
    ids = _ids(pool, "training queries")
    return EmbeddingSpace(
        pool.rows,
        documents,
        query_ids=ids,
        qrels=_known(judged.training_qrels, ids, shared["doc_ids"]),
        query_texts=pool.texts,
        **shared,
    )


def _recipe(sides: Sequence[Vectors], options: DumpOptions) -> dict[str, Any]:
    """How vectors are compared, and who says so."""
    doubts: list[str] = []
    stated = {side.similarity for side in sides if side.similarity}
    if options.similarity is not None:
        similarity, source = options.similarity, "option --similarity"
    elif len(stated) == 1:
        similarity, source = stated.pop(), "the dump"
    elif all(map(is_unit, sides)):
        similarity, source = "cosine", "all of its vectors have unit length"
    else:
        similarity, source = "dot", "assumed: a dump does not say it"
        doubts = [
            "the dump does not say how its vectors are compared, and their lengths differ from 1: "
            "read with the inner product; settle it with --similarity dot, cosine or euclidean"
        ]
    return {
        "name": "dump",
        "layout": ", ".join(dict.fromkeys(side.layout for side in sides if side.layout)),
        "similarity": similarity,
        "temperature": 1.0,
        "sources": {
            "similarity": source,
            "ids": "; ".join(dict.fromkeys(side.named_by for side in sides if side.named_by)),
        },
        "doubts": doubts,
        "notes": [line for side in sides for line in side.warnings],
    }


def is_unit(side: Vectors) -> bool:
    """Whether vectors have unit length, by a few thousand of them."""
    n = len(side.rows)
    if n == 0:
        return True
    probe = np.asarray(side.rows[np.unique(np.linspace(0, n - 1, min(n, _PROBE)).astype(int))])
    lengths = np.linalg.norm(probe.astype(np.float64), axis=1)
    return bool(np.abs(lengths - 1).max() < _UNIT)


def _ids(side: Vectors | None, what: str) -> list[str]:
    if side is None:
        return []
    ids = side.ids if side.ids is not None else list(map(str, range(len(side.rows))))
    check_ids(ids, len(side.rows), side.origin)
    _each_once(ids, f"{side.origin}: id", f" of the {what}; needed: each once")
    return ids


def _each_once(ids: Sequence[str], before: str, after: str) -> None:
    seen: dict[str, int] = {}
    for row, name in enumerate(ids):
        if seen.setdefault(name, row) != row:
            raise EmbeddingsError(
                f"{before} {name[:60]!r} stands at rows {seen[name]} and {row}{after}"
            )


def check_count(ids: int, rows: int, origin: str) -> None:
    """Refuse another number of ids than of vectors.

    Raises
    ------
    EmbeddingsError
        If they differ.
    """
    if ids != rows:
        raise EmbeddingsError(
            f"{origin}: {ids} ids for {rows} vectors; needed: one a vector, in their order"
        )


def check_ids(ids: Sequence[str], rows: int, origin: str) -> None:
    """Refuse ids that are too few or many, or that no file of ids can hold.

    Raises
    ------
    EmbeddingsError
        Naming the row.
    """
    check_count(len(ids), rows, origin)
    for row, name in enumerate(ids):
        if is_bad_id(name):
            raise EmbeddingsError(f"{origin}: id {name[:60]!r} of row {row} {BAD_ID}; rename it")


def _documents(
    side: Vectors | None, dim: int
) -> tuple[Any, list[str], np.ndarray | None, np.ndarray | None]:
    """Rows with those of a document side by side, ids, owner of each row, and the order used."""
    if side is None:
        return np.zeros((0, dim), np.float32), [], None, None
    ids = side.ids if side.ids is not None else list(map(str, range(len(side.rows))))
    check_ids(ids, len(side.rows), side.origin)
    unique = list(dict.fromkeys(ids))
    if len(unique) == len(ids):
        return side.rows, ids, None, None
    if not side.repeated:
        hint = "; needed: each once, or numbers of chunks (docs/layouts.md)"
        _each_once(ids, f"{side.origin}: id", hint)
    place = {name: number for number, name in enumerate(unique)}
    owner = np.array([place[name] for name in ids], dtype=np.int64)
    if bool((np.diff(owner) >= 0).all()):
        return side.rows, unique, owner, None
    order = np.argsort(owner, kind="stable")
    return ReorderedRows(side.rows, order), unique, owner[order], order


def _taken(values: np.ndarray | None, order: np.ndarray | None) -> np.ndarray | None:
    return values if values is None or order is None else values[order]


def _texts_of(
    side: Vectors | None, owner: np.ndarray | None, order: np.ndarray | None
) -> list[str] | None:
    """A text a document: that of its first row."""
    if side is None or side.texts is None:
        return None
    if owner is None:
        return side.texts
    first = np.searchsorted(owner, np.arange(owner[-1] + 1))
    rows = first if order is None else order[first]
    return [side.texts[row] for row in rows]


def _known(
    qrels: Mapping[str, Mapping[str, int]], query_ids: Sequence[str], doc_ids: Sequence[str]
) -> Qrels:
    queries, documents = set(query_ids), set(doc_ids)
    return {
        query: {d: int(g) for d, g in grades.items() if d in documents}
        for query, grades in qrels.items()
        if query in queries
    }


def _left_out(origin: str, given: Mapping[str, Mapping[str, int]], kept: Qrels) -> list[str]:
    """A warning of the judgments of a source that the dump has no use for; an error if all are."""
    pairs, fitting = (sum(map(len, qrels.values())) for qrels in (given, kept))
    if pairs == fitting:
        return []
    if not fitting:
        query = next(iter(given))
        example = f"query {query[:60]!r}, document {next(iter(given[query]), '')[:60]!r}"
        raise EmbeddingsError(
            f"{origin}: none of its {pairs} judgments (such as {example}) is of a query and a "
            "document of the dump; check that the ids are the same"
        )
    return [
        f"{origin}: {pairs - fitting} of {pairs} judgments left out, of queries or documents that "
        "the dump does not have"
    ]
