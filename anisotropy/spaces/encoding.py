"""Encoder + collection -> store: length-sorted batches under a token budget, resumable.

One thread makes the tokens of the shard to come, one writes the shard before, while the present
one is encoded. Of several processes each encodes every so many-th shard, and the main one records
and finishes what all of them wrote.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from anisotropy.encoders.processes import Processes, passed_on
from anisotropy.errors import AnisotropyError, CollectionError, UsageError, check_seed, one_of
from anisotropy.files import fingerprint, hash_ids
from anisotropy.progress import Progress
from anisotropy.spaces.pipeline import Ahead, Behind
from anisotropy.spaces.store import (
    SHARD_ITEMS,
    ShardSaver,
    StoreHeader,
    StoreWriter,
    UnfinishedMark,
    check_ids,
    is_whole,
)
from anisotropy.spaces.store.manifest import shard_name

if TYPE_CHECKING:
    from anisotropy.collection import Collection, Document, Query
    from anisotropy.encoders import Encoder

Side = Literal["queries", "documents"]

#: Tokens a batch, padding included. On a processor larger ones leave the caches, smaller ones wait
#: for threads; a GPU has to have as much to do at once.
BATCH_TOKENS, DEVICE_BATCH_TOKENS = 2048, 65_536
#: Texts tokenized at a time.
_SLICE = 512
STORE_DTYPES = ("float32", "float16")


@dataclass(frozen=True)
class EncodeOptions:
    """How to encode; none of it changes a vector beyond the stated precision.

    Attributes
    ----------
    store_dtype
        ``float32`` or ``float16`` rows in the store.
    batch_tokens
        Tokens a batch, padding included; None: 2,048 on a processor, 65,536 elsewhere.
    documents
        None for all, or how many: all judged ones plus random ones, by a seeded hash of the id.
    seed
        Seed of that hash.
    shard_items
        Texts a shard: what a kill loses, and how many are in memory at once.
    """

    store_dtype: str = "float32"
    batch_tokens: int | None = None
    documents: int | None = None
    seed: int = 0
    shard_items: int = SHARD_ITEMS

    def __post_init__(self) -> None:
        if self.store_dtype not in STORE_DTYPES:
            raise UsageError(f"store dtype: {one_of(self.store_dtype, STORE_DTYPES)}")
        if self.batch_tokens is not None and self.batch_tokens < 1:
            raise UsageError(f"batch size: got {self.batch_tokens}; allowed: 1 token or more")
        if self.documents is not None and self.documents < 1:
            raise UsageError(f"documents: got {self.documents}; allowed: 'all', or 1 or more")
        if self.shard_items < 1:
            raise UsageError(f"shard size: got {self.shard_items}; allowed: 1 text or more")
        check_seed(self.seed)

    def tokens_on(self, device: str) -> int:
        """Tokens a batch on a device."""
        if self.batch_tokens is not None:
            return self.batch_tokens
        return BATCH_TOKENS if device == "cpu" else DEVICE_BATCH_TOKENS


def encode_collection(
    encoder: Encoder,
    collection: Collection,
    folders: Sequence[Path],
    options: EncodeOptions | None = None,
    progress: Progress | None = None,
    processes: Processes | None = None,
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
    processes
        Those that share the work, each of which calls this; None = this one alone.

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
    team = processes or Processes()
    headers = [_header(encoder, number, collection, options) for number in range(len(folders))]
    writers: dict[int, StoreWriter] = {}
    with ExitStack() as stack:

        def begin() -> None:
            for number, (folder, header) in enumerate(zip(folders, headers, strict=True)):
                writer = StoreWriter(folder, header, shard_items=options.shard_items)
                writers[number] = stack.enter_context(writer)

        team.main(begin)
        others = {n: ShardSaver(folder, headers[n]) for n, folder in enumerate(folders)}
        savers: Mapping[int, ShardSaver] = writers if team.is_main else others
        _encode(encoder, collection, savers, options, progress, team)


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
            _encode(encoder, collection, writers, options, progress, Processes())


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
    savers: Mapping[int, ShardSaver],
    options: EncodeOptions,
    progress: Progress | None,
    team: Processes,
) -> None:
    encoder.check_collection(collection)
    kept = _kept_documents(collection, options)
    job = _Job(encoder, savers, options, progress or (lambda *_: None), team)
    job.encode(_parts(collection, kept))
    train = collection.training_split

    def finish() -> None:
        for writer in job.writers.values():
            job.finish_sides(writer)
            writer.finish(
                _restrict(collection.qrels(), kept),
                _restrict(collection.qrels(train), kept) if train is not None else None,
            )

    team.main(finish)


@dataclass(frozen=True)
class _Part:
    """What goes into one folder of the store."""

    folder: str
    side: Side
    items: Iterable[Query] | Iterable[Document]
    total: int


def _parts(collection: Collection, kept: set[str] | None) -> list[_Part]:
    judged = collection.queries()
    parts = [_Part("queries", "queries", judged, len(judged))]
    if collection.training_split is not None:
        pool = collection.queries(collection.training_split)
        parts.append(_Part("training-queries", "queries", pool, len(pool)))
    documents = (d for d in collection.documents() if kept is None or d.doc_id in kept)
    total = collection.n_documents if kept is None else len(kept)
    return [*parts, _Part("documents", "documents", documents, total)]


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


@dataclass(frozen=True)
class _Shard:
    """The items of one shard; without tokens where this process is not to encode them."""

    part: _Part
    number: int
    names: list[str]
    is_open: bool
    tokens: list[list[int]] | None
    padding: np.ndarray | None


@dataclass
class _Folder:
    """What belongs to the rows of a folder."""

    names: list[str] = field(default_factory=list)
    padding: list[np.ndarray] = field(default_factory=list)
    shards: int = 0


@dataclass(frozen=True)
class _Written:
    """A shard on the disk, and its entry in each store."""

    folder: str
    number: int
    entries: dict[int, dict[str, Any]]


class _Job:
    """One pass over one collection with one encoder."""

    def __init__(
        self,
        encoder: Encoder,
        savers: Mapping[int, ShardSaver],
        options: EncodeOptions,
        progress: Progress,
        team: Processes,
    ) -> None:
        self._encoder = encoder
        self._savers = savers
        self.writers = {n: s for n, s in savers.items() if isinstance(s, StoreWriter)}
        self._options = options
        self._progress = progress
        self._team = team
        self._folders: dict[str, _Folder] = {}
        self._whole = team.main(self._whole_shards)

    def _whole_shards(self) -> set[tuple[str, int]]:
        return set.intersection(*(writer.whole_shards() for writer in self.writers.values()))

    def encode(self, parts: Sequence[_Part]) -> None:
        """Encode the items shard by shard, leaving out the shards that are whole already."""
        with (
            self._encoder.beside_encoding(),
            Behind[list[_Written]]() as writing,
            Ahead(lambda over: self._shards(parts, over)) as shards,
        ):
            for written in _telling_errors(self._team, self._encoded(shards, writing)):
                self._record_all(written)

    def finish_sides(self, writer: StoreWriter) -> None:
        """Write what belongs to the rows of each folder."""
        for name, folder in self._folders.items():
            ids, chunks, marks = folder.names, None, None
            if folder.padding:
                per_item = self._encoder.vectors_per_document()
                chunks = np.tile(np.arange(per_item, dtype=np.int32), len(ids))
                marks = np.concatenate(folder.padding)
                ids = list(chain.from_iterable([one] * per_item for one in ids))
            writer.finish_side(name, ids, folder.shards, chunks, marks)

    def _encoded(
        self, shards: Iterable[_Shard], writing: Behind[list[_Written]]
    ) -> Iterator[list[_Written]]:
        """Encode what is this process's; what it wrote, whenever all have had a shard to encode.

        A process that is alone waits for its writes at the end only, and records them itself.
        """
        opened, ranks = 0, self._team.ranks
        for shard in shards:
            folder = self._folders.setdefault(shard.part.folder, _Folder())
            if shard.tokens is not None:
                self._encode_shard(shard, shard.tokens, len(folder.names), writing)
            folder.names += shard.names
            folder.padding += [] if shard.padding is None else [shard.padding]
            folder.shards += 1
            self._progress(shard.part.folder, len(folder.names), shard.part.total)
            opened += shard.is_open
            if ranks > 1 and shard.is_open and opened % ranks == 0:
                yield writing.wait() or []
        yield writing.wait() or []

    def _record_all(self, written: list[_Written]) -> None:
        """Record what this process and the others wrote.

        Raises
        ------
        AnisotropyError
            If any of them failed.
        """
        told: list[Any] = self._team.told(written)
        for one in told:
            if isinstance(one, AnisotropyError):
                raise one

        def record() -> None:
            for shard in chain.from_iterable(told):
                self._record(shard)

        self._team.main(record)

    def _record(self, written: _Written) -> None:
        for number, writer in self.writers.items():
            writer.record_shard(written.folder, written.number, written.entries[number])

    def _shards(self, parts: Sequence[_Part], over: threading.Event) -> Iterator[_Shard]:
        """Shards in order, tokenized where this process is to encode them."""
        opened = 0
        for part in parts:
            for number, block in enumerate(_blocks(part.items, self._options.shard_items)):
                rows = len(block) * self._per_item(part.side)
                is_open = (f"{part.folder}/{shard_name(number)}", rows) not in self._whole
                mine = is_open and opened % self._team.ranks == self._team.rank
                opened += is_open
                yield self._shard(part, number, block, over, is_open=is_open, mine=mine)
                del block  # or its texts would be in memory while the next ones are read

    def _per_item(self, side: Side) -> int:
        return self._encoder.vectors_per_document() if side == "documents" else 1

    def _shard(
        self,
        part: _Part,
        number: int,
        block: list[Any],
        over: threading.Event,
        *,
        is_open: bool,
        mine: bool,
    ) -> _Shard:
        names = [item.query_id if part.side == "queries" else item.doc_id for item in block]
        check_ids(names, part.folder)
        marked = self._per_item(part.side) > 1 and self._team.is_main
        tokens = self._tokens(part.side, block, over) if mine or marked else None
        padding = self._encoder.padding_chunks(tokens) if marked and tokens is not None else None
        return _Shard(part, number, names, is_open, tokens if mine else None, padding)

    def _tokens(self, side: Side, block: list[Any], over: threading.Event) -> list[list[int]]:
        """Tokens of a block, a slice at a time: who interrupts does not wait for all of them."""
        found: list[list[int]] = []
        for start in range(0, len(block), _SLICE):
            if over.is_set():  # nobody looks at what was found
                break
            found += self._encoder.tokenize(side, block[start : start + _SLICE])
        return found

    def _encode_shard(
        self,
        shard: _Shard,
        tokens: list[list[int]],
        done: int,
        writing: Behind[list[_Written]],
    ) -> None:
        folder, side, total = shard.part.folder, shard.part.side, shard.part.total
        number = shard.number
        per_item, dim = self._per_item(side), self._encoder.dim
        shape = (len(tokens), per_item, dim)
        out = {reading: np.empty(shape, dtype=np.float32) for reading in self._savers}
        self._encoder.load()  # from then on it knows its device
        for batch in token_batches(tokens, self._options.tokens_on(self._encoder.device)):
            arrays = self._encoder.encode_tokens(side, [tokens[i] for i in batch])
            for reading, store in out.items():
                store[batch] = arrays[reading].reshape(len(batch), per_item, -1)
            done += len(batch)
            self._progress(folder, done, total)
            writing.check()
        rows = {reading: store.reshape(-1, dim) for reading, store in out.items()}
        writing.do(lambda: self._write(folder, number, rows))

    def _write(self, folder: str, shard: int, rows: Mapping[int, np.ndarray]) -> list[_Written]:
        """Save a shard; a process that is alone records it at once, and has nothing to tell."""
        entries = {
            number: saver.save_shard(folder, shard, rows[number])
            for number, saver in self._savers.items()
        }
        written = _Written(folder, shard, entries)
        if self._team.ranks > 1:
            return [written]
        self._record(written)
        return []


def _telling_errors(team: Processes, work: Iterator[list[_Written]]) -> Iterator[list[_Written]]:
    """Tell the other processes, which wait for what this one wrote, if it failed."""
    try:
        yield from work
    except Exception as error:
        team.told(passed_on(error, f"process {team.rank}"))
        raise


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
