"""Interventions: the space of a transform, beside the one it was made of."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from anisotropy.backend import Rows
from anisotropy.errors import EmbeddingsError, UsageError, one_of
from anisotropy.files import fingerprint
from anisotropy.spaces import EmbeddingSpace
from anisotropy.transforms.fitting import Fitted, fit
from anisotropy.transforms.identity import Transform, parse
from anisotropy.transforms.rows import MappedRows

FitOn = Literal["documents"] | EmbeddingSpace | None


def transform(
    space: EmbeddingSpace,
    transform: str | Transform,
    fit_on: FitOn = None,
    *,
    label: str | None = None,
) -> EmbeddingSpace:
    """The space whose embeddings went through a transform; the one given stays as it is.

    The transform acts on the embeddings as encoded. The similarity stays that of the recipe:
    ``cosine`` divides by the new lengths, ``dot`` takes the transformed vectors as they are
    (end the transform in ``normalize`` for unit vectors). Training queries, the pool of mined
    negatives, go through the same map as the evaluated ones.

    Parameters
    ----------
    space
        What to transform.
    transform
        A transform or its text, such as ``"center>normalize"``.
    fit_on
        None: the documents that are positives of training queries, and all documents where
        there are none; padding-only chunks are left out. ``"documents"``: all documents.
        Another space of the same dimension: its documents (and its queries for steps
        ``by=side``, which otherwise are fitted on the training queries). The evaluated
        queries are never fitted on, so that their ranking is a held-out judgment.
    label
        Name in tables; default: the label of `space`, a bar, and the transform.

    Returns
    -------
    EmbeddingSpace
        Same ids, texts and judgments. Its recipe has ``transform``: what was done, and how many
        rows of what it was fitted on. Large sides lie in temporary files in the cache folder.

    Raises
    ------
    UsageError
        If the transform is unknown or cannot be fitted here.
    EmbeddingsError
        If `fit_on` has another number of dimensions.
    """
    chosen = parse(transform) if isinstance(transform, str) else transform
    documents, queries, words = _fitted_on(space, fit_on)
    if documents.dim != space.dim:
        raise EmbeddingsError(
            f"{chosen}: fitted on {documents.dim} dimensions; {space.label!r} has {space.dim}"
        )
    if queries is None and any(step.by_side for step in chosen.steps):
        raise UsageError(
            f"transform {str(chosen)!r}: by=side fits the query side on training queries, and "
            f"{space.label!r} has none (never on the evaluated ones); use by=both"
        )
    return _rebuilt(space, fit(chosen, documents, queries), words, label)


def _fitted_on(space: EmbeddingSpace, fit_on: FitOn) -> tuple[Rows, Rows | None, str]:
    """Documents to fit on, queries for steps by side, and in words what the documents are."""
    if isinstance(fit_on, EmbeddingSpace):
        documents = _documents(fit_on, None)
        return documents, Rows(fit_on.queries), f"documents of {fit_on.label}"
    if fit_on not in (None, "documents"):
        raise UsageError(f"fit_on: {one_of(fit_on, ('documents',))}, or another space")
    pool = space.training
    queries = Rows(pool.queries) if pool is not None else None
    judged = _positives(pool) if pool is not None and fit_on is None else set()
    if judged:
        return _documents(space, judged), queries, "documents of training queries"
    return _documents(space, None), queries, "documents (all)"


def _positives(pool: EmbeddingSpace) -> set[str]:
    return {d for grades in pool.qrels.values() for d, grade in grades.items() if grade >= 1}


def _documents(space: EmbeddingSpace, ids: set[str] | None) -> Rows:
    """Document vectors of some documents, or of all, without padding-only chunks."""
    keep = np.ones(len(space.documents), dtype=bool)
    if ids is not None:
        wanted = np.array([name in ids for name in space.doc_ids], dtype=bool)
        keep = wanted if space.document_of_row is None else wanted[space.document_of_row]
    if space.padding is not None:
        keep = keep & ~np.asarray(space.padding, dtype=bool)
    return Rows(space.documents, None if keep.all() else np.flatnonzero(keep))


def _rebuilt(
    space: EmbeddingSpace, fitted: Fitted, words: str, label: str | None
) -> EmbeddingSpace:
    text = str(fitted.transform)
    note: dict[str, Any] = {"text": text, "fitted_on": words, "rows": fitted.n}
    if fitted.n_queries:
        note["query_rows"] = fitted.n_queries
    shrinkage = [s.values["shrinkage"] for s in fitted.transform.steps if s.name == "whiten"]
    if shrinkage:
        note["shrinkage"] = shrinkage[0] if len(shrinkage) == 1 else shrinkage
    if fitted.dead:
        note["directions_set_to_zero"] = fitted.dead
    documents = MappedRows(space.documents, fitted.maps).written()
    shared: dict[str, Any] = {
        "doc_ids": space.doc_ids,
        "document_of_row": space.document_of_row,
        "padding": space.padding,
        "similarity": space.similarity,
        "temperature": space.temperature,
        "label": label or f"{space.label} | {text}",
        "recipe": {**space.recipe, "transform": [*space.recipe.get("transform", []), note]},
        "fingerprint": fingerprint(space.fingerprint, note) if space.fingerprint else "",
        "step": space.step,
        "doc_texts": space.doc_texts,
        "collection": space.collection,
        "collection_info": space.collection_info,
    }

    def of(one: EmbeddingSpace, training: EmbeddingSpace | None) -> EmbeddingSpace:
        return EmbeddingSpace(
            MappedRows(one.queries, fitted.query_maps).written(),
            documents,
            query_ids=one.query_ids,
            qrels=one.qrels,
            query_texts=one.query_texts,
            training=training,
            **shared,
        )

    return of(space, None if space.training is None else of(space.training, None))
