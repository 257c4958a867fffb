"""Saving a space that is there already as a store."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from anisotropy.spaces.rows import chunk_numbers
from anisotropy.spaces.space import EmbeddingSpace
from anisotropy.spaces.store.manifest import StoreHeader
from anisotropy.spaces.store.texts import check_ids
from anisotropy.spaces.store.writing import SHARD_ITEMS, StoreWriter


def save_space(
    space: EmbeddingSpace, folder: str | Path, *, shard_items: int = SHARD_ITEMS
) -> None:
    """Write a space as a store, shard by shard, with at most one shard in memory.

    Parameters
    ----------
    space
        Its vectors may lie on disk.
    folder
        New or empty, or what is left of an earlier, unfinished one of the same.
    shard_items
        Rows a shard.

    Raises
    ------
    StoreError
        If the folder already holds something, or cannot be written.
    UsageError
        If another process writes there.
    """
    recipe = {"similarity": space.similarity, "temperature": space.temperature, **space.recipe}
    header = StoreHeader(
        recipe=recipe,
        checkpoint={"label": space.label, "fingerprint": space.fingerprint, "step": space.step},
        collection=space.collection_info,
        documents=str(space.collection_info.get("documents_option", "all")),
        dim=space.dim,
        dtype=str(space.documents.dtype),
    )
    pool = space.training
    doc_ids, chunks = space.doc_ids, None
    if (owner := space.document_of_row) is not None:
        doc_ids = [space.doc_ids[number] for number in owner]
        chunks = chunk_numbers(owner)
    sides = {"queries": (space.queries, space.query_ids), "documents": (space.documents, doc_ids)}
    if pool is not None:
        sides["training-queries"] = (pool.queries, pool.query_ids)
    for side, (_, ids) in sides.items():
        check_ids(ids, side)
    with StoreWriter(Path(folder), header, shard_items=shard_items) as writer:
        for side, (rows, ids) in sides.items():
            starts = range(0, max(len(rows), 1), shard_items)
            for number, start in enumerate(starts):
                writer.write_shard(side, number, np.asarray(rows[start : start + shard_items]))
            more = (chunks, space.padding) if side == "documents" else ()
            writer.finish_side(side, ids, len(starts), *more)
        writer.finish(space.qrels, pool.qrels if pool else None)
