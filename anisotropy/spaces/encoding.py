"""Encoder + collection -> store: length-sorted batches under a token budget, resumable."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from anisotropy.errors import CollectionError, UsageError, check_seed
from anisotropy.files import fingerprint, hash_ids
from anisotropy.progress import Progress
from anisotropy.spaces.store import (
    SHARD_ITEMS,
    StoreHeader,
    StoreWriter,
    UnfinishedMark,
    check_ids,
    is_whole,
)

if TYPE_CHECKING:
    from anisotropy.collection import Collection, Document, Query
    from anisotropy.encoders import Encoder

Side = Literal["queries", "documents"]

#: Tokens a batch, padding included. On two cores the rate is flat from 2,000 to 16,000.
BATCH_TOKENS = 4096
STORE_DTYPES = ("float32", "float16")


@dataclass(frozen=True)
class EncodeOptions:
    """How to encode; none of it changes a vector beyond the stated precision.

    Attributes
    ----------
    store_dtype
        ``float32`` or ``float16`` rows in the store.
    batch_tokens
        Tokens a batch, padding included.
    documents
        None for all, or how many: all judged ones plus random ones, by a seeded hash of the id.
    seed
        Seed of that hash.
    shard_items
        Texts a shard: what a kill loses, and how many are in memory at once.
    """

    store_dtype: str = "float32"
    batch_tokens: int = BATCH_TOKENS
    documents: int | None = None
    seed: int = 0
    shard_items: int = SHARD_ITEMS

    def __post_init__(self) -> None:
        if self.store_dtype not in STORE_DTYPES:
            raise UsageError(f"store dtype: got {self.store_dtype!r}; allowed: {STORE_DTYPES}")
        if self.batch_tokens < 1:
            raise UsageError(f"batch size: got {self.batch_tokens}; allowed: 1 token or more")
        if self.documents is not None and self.documents < 1:
            raise UsageError(f"documents: got {self.documents}; allowed: 'all', or 1 or more")
        if self.shard_items < 1:
            raise UsageError(f"shard size: got {self.shard_items}; allowed: 1 text or more")
        check_seed(self.seed)


def encode_collection(
    encoder: Encoder,
    collection: Collection,
    folders: Sequence[Path],
    options: EncodeOptions | None = None,
    progress: Progress | None = None,
) -> None:
    """Encode a collection into one store a reading of the encoder's recipe.

    Parameters
    ----------
    encoder
        With one reading, or two where the recipe is in doubt; all come from one forward pass.
    collection
        Its evaluated split's queries, its training queries and its documents are encoded.
    folders
        One a reading; new, or unfinished stores of the same thing, which are continued.
    options
        Precision of the store, batch size and choice of documents.
    progress
        Called with a side, the number of items done and the number there are.

    Raises
    ------
    StoreError
        If a folder is in use, cannot be written, or vectors are not finite.
    UsageError
        If another process writes there.
    CollectionError
        If the collection has no documents or no queries.
    """
    options = options or EncodeOptions()
    _check_not_empty(collection)
    with ExitStack() as stack:
        writers = {
            number: stack.enter_context(
                StoreWriter(
                    folder,
                    _header(encoder, number, collection, options),
                    shard_items=options.shard_items,
                )
            )
            for number, folder in enumerate(folders)
        }
        _encode(encoder, collection, writers, options, progress)


def encode_to_cache(
    encoder: Encoder,
    collection: Collection,
    folders: Sequence[Path],
    options: EncodeOptions | None = None,
    progress: Progress | None = None,
    *,
    waiting: Callable[[Path], None] | None = None,
    verify: bool = False,
) -> None:
    """Encode what is not in the cache yet, as `encode_collection` does.

    What another process is writing is waited for and used; what is damaged, or is left of
    something else, makes way.

    Parameters
    ----------
    encoder, collection, options, progress
        As in `encode_collection`.
    folders
        Of the cache, one a reading.
    waiting
        Called with a folder before waiting for the process that writes it.
    verify
        Compare checksums to find what is damaged.
    """
    options = options or EncodeOptions()
    _check_not_empty(collection)
    with ExitStack() as stack:
        marks = {
            folder: stack.enter_context(UnfinishedMark(folder).take(waiting or (lambda _: None)))
            for folder in sorted(folders)  # everybody in one order, or two would wait forever
        }
        writers = {
            number: StoreWriter(
                folder,
                _header(encoder, number, collection, options),
                shard_items=options.shard_items,
                mark=marks[folder],
            )
            for number, folder in enumerate(folders)
            if not is_whole(folder, verify=verify)
        }
        if writers:
            _encode(encoder, collection, writers, options, progress)


def _check_not_empty(collection: Collection) -> None:
    judged = collection.queries()
    if not judged or collection.n_documents == 0:
        raise CollectionError(
            f"{collection.name}: {len(judged)} queries in split {collection.split!r} and "
            f"{collection.n_documents} documents; needed: at least one of each"
        )


def _encode(
    encoder: Encoder,
    collection: Collection,
    writers: Mapping[int, StoreWriter],
    options: EncodeOptions,
    progress: Progress | None,
) -> None:
    encoder.check_collection(collection)
    kept = _kept_documents(collection, options)
    job = _Job(encoder, writers, options, progress or (lambda *_: None))
    judged = collection.queries()
    job.encode_side("queries", "queries", judged, len(judged))
    train = collection.training_split
    if train is not None:
        pool = collection.queries(train)
        job.encode_side("training-queries", "queries", pool, len(pool))
    documents = (d for d in collection.documents() if kept is None or d.doc_id in kept)
    n_documents = collection.n_documents if kept is None else len(kept)
    job.encode_side("documents", "documents", documents, n_documents)
    for writer in writers.values():
        writer.finish(
            _restrict(collection.qrels(), kept),
            _restrict(collection.qrels(train), kept) if train is not None else None,
        )


def store_identity(
    encoder: Encoder, reading: int, collection: Collection, options: EncodeOptions
) -> str:
    """Fingerprint of all that decides the rows of a store: its name in the cache."""
    return fingerprint(
        encoder.fingerprint,
        encoder.readings[reading].identity(),
        collection.fingerprint,
        collection.split,
        options.store_dtype,
        options.documents,
        options.seed if options.documents is not None else 0,
    )


def _header(
    encoder: Encoder, number: int, collection: Collection, options: EncodeOptions
) -> StoreHeader:
    return StoreHeader(
        recipe=encoder.readings[number].as_dict(),
        checkpoint={
            "label": encoder.label,
            "fingerprint": encoder.fingerprint,
            "step": encoder.step,
        },
        collection={
            "name": collection.name,
            "note": collection.note,
            "split": collection.split,
            "fingerprint": collection.fingerprint,
        },
        documents="all" if options.documents is None else str(options.documents),
        dim=encoder.dim,
        dtype=options.store_dtype,
        identity=store_identity(encoder, number, collection, options),
    )


def _kept_documents(collection: Collection, options: EncodeOptions) -> set[str] | None:
    """Ids of all judged documents and of as many others as the hash of the id ranks first."""
    if options.documents is None or options.documents >= collection.n_documents:
        return None
    splits = {collection.split, collection.training_split} - {None}
    judged = {
        doc_id
        for split in splits
        for grades in collection.qrels(split).values()
        for doc_id in grades
    }
    others = (d.doc_id for d in collection.documents() if d.doc_id not in judged)
    ranked = heapq.nsmallest(options.documents, _hashed(others, options.seed))
    return judged | {doc_id for _, doc_id in ranked}


def _hashed(ids: Iterable[str], seed: int) -> Iterator[tuple[int, str]]:
    for block in _blocks(ids, SHARD_ITEMS):
        yield from zip(hash_ids(block, seed).tolist(), block, strict=True)


def _restrict(
    qrels: dict[str, dict[str, int]], kept: set[str] | None
) -> dict[str, dict[str, int]]:
    if kept is None:
        return qrels
    return {q: {d: g for d, g in grades.items() if d in kept} for q, grades in qrels.items()}


def _blocks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while block := list(islice(iterator, size)):
        yield block


class _Job:
    """One pass over one collection with one encoder."""

    def __init__(
        self,
        encoder: Encoder,
        writers: Mapping[int, StoreWriter],
        options: EncodeOptions,
        progress: Progress,
    ) -> None:
        self._encoder = encoder
        self._writers = writers
        self._options = options
        self._progress = progress

    def encode_side(
        self, folder: str, side: Side, items: Iterable[Query] | Iterable[Document], total: int
    ) -> None:
        """Encode the items shard by shard, leaving out the shards that are whole already."""
        per_item = self._encoder.vectors_per_document() if side == "documents" else 1
        ids: list[str] = []
        padding: list[np.ndarray] = []
        shards = 0
        for block in _blocks(items, self._options.shard_items):
            names = [item.query_id if side == "queries" else item.doc_id for item in block]
            check_ids(names, folder)
            tokens = self._tokens_unless_done(folder, side, shards, block, per_item)
            if tokens is not None:
                self._write(folder, side, shards, tokens, per_item, (len(ids), total))
            if per_item > 1:
                tokens = tokens or self._encoder.tokenize(side, block)
                padding.append(self._encoder.padding_chunks(tokens))
            ids += names
            shards += 1
            self._progress(folder, len(ids), total)
        self._finish_side(folder, ids, shards, per_item, padding)

    def _finish_side(
        self, folder: str, ids: list[str], shards: int, per_item: int, padding: list[np.ndarray]
    ) -> None:
        chunks = marks = None
        if per_item > 1:
            chunks = np.tile(np.arange(per_item, dtype=np.int32), len(ids))
            marks = np.concatenate(padding)
            ids = list(chain.from_iterable([name] * per_item for name in ids))
        for writer in self._writers.values():
            writer.finish_side(folder, ids, shards, chunks, marks)

    def _tokens_unless_done(
        self, folder: str, side: Side, shard: int, block: list[Any], per_item: int
    ) -> list[list[int]] | None:
        rows = len(block) * per_item
        if all(writer.has_shard(folder, shard, rows) for writer in self._writers.values()):
            return None
        return self._encoder.tokenize(side, block)

    def _write(
        self,
        folder: str,
        side: Side,
        shard: int,
        tokens: list[list[int]],
        per_item: int,
        position: tuple[int, int],
    ) -> None:
        shape = (len(tokens), per_item, self._encoder.dim)
        out = {number: np.empty(shape, dtype=np.float32) for number in self._writers}
        done, total = position
        for batch in token_batches(tokens, self._options.batch_tokens):
            arrays = self._encoder.encode_tokens(side, [tokens[i] for i in batch])
            for number, store in out.items():
                store[batch] = arrays[number].reshape(len(batch), per_item, -1)
            done += len(batch)
            self._progress(folder, done, total)
        for number, writer in self._writers.items():
            writer.write_shard(folder, shard, out[number].reshape(-1, self._encoder.dim))


def token_batches(tokens: Sequence[Sequence[int]], budget: int) -> Iterator[np.ndarray]:
    """Indices of batches of similar length, longest first, under a budget of padded tokens.

    Longest first, so that a batch that does not fit in memory fails at once, not at the end.
    """
    lengths = np.array([len(row) for row in tokens])
    order = np.lexsort((np.arange(len(lengths)), -lengths))
    start = 0
    while start < len(order):
        longest = max(int(lengths[order[start]]), 1)
        stop = start + max(budget // longest, 1)
        yield order[start:stop]
        start = stop
