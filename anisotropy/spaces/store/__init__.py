"""The store: embeddings on disk, whole or visibly unfinished.

``manifest.json`` is written last. Until then the folder holds ``unfinished.jsonl``, which says
what is being written and which shards are whole; a writer with the same plan goes on after the
last whole shard, and the bytes are those of an uninterrupted run. See ``docs/store.md``.

``writing`` and ``saving`` write one, ``opening`` reads it. ``manifest`` says what it has to hold,
``texts`` how its ids and judgments are written, ``marks`` what is whole before it is finished,
``targets`` which folders it may go to.
"""

from anisotropy.spaces.store.manifest import StoreHeader, read_manifest, versions
from anisotropy.spaces.store.marks import UnfinishedMark
from anisotropy.spaces.store.opening import is_store, is_whole, open_store
from anisotropy.spaces.store.saving import save_space
from anisotropy.spaces.store.targets import check_target
from anisotropy.spaces.store.texts import check_ids
from anisotropy.spaces.store.writing import SHARD_ITEMS, ShardSaver, StoreWriter

__all__ = [
    "SHARD_ITEMS",
    "ShardSaver",
    "StoreHeader",
    "StoreWriter",
    "UnfinishedMark",
    "check_ids",
    "check_target",
    "is_store",
    "is_whole",
    "open_store",
    "read_manifest",
    "save_space",
    "versions",
]
