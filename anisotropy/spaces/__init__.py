"""Spaces: query and document embeddings with their ids, judgments and recipe."""

from anisotropy.spaces.rows import ShardedRows
from anisotropy.spaces.space import EmbeddingSpace
from anisotropy.spaces.store import is_store, open_store, save_space

__all__ = ["EmbeddingSpace", "ShardedRows", "is_store", "open_store", "save_space"]
