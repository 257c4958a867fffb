"""Made-up embeddings that look like those of a retrieval model, and stores of them.

Clusters of documents around a common direction, norms that vary, queries near one to three
positives and offset from the documents. Drawn in float32, block by block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anisotropy.spaces.store import SHARD_ITEMS, StoreHeader, StoreWriter

CLUSTERS = 200
#: Bytes of a stored number.
WIDTH = {"float16": 2, "float32": 4}


@dataclass(frozen=True)
class Sizes:
    """How many queries and documents of which dimension."""

    queries: int
    documents: int
    dim: int = 768

    def bytes(self, dtype: str = "float16") -> int:
        """Size of all vectors."""
        return (self.queries + self.documents) * self.dim * WIDTH[dtype]


class Made:
    """Made-up embeddings, drawn shard by shard: the documents first, then the queries.

    Parameters
    ----------
    queries, documents, dim
        Sizes.
    seed
        Of everything that is drawn.
    """

    def __init__(self, queries: int, documents: int, dim: int, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.sizes = Sizes(queries, documents, dim)
        scale = np.arange(1, dim + 1) ** -0.4
        self.scale = (scale / np.linalg.norm(scale)).astype(np.float32)
        self.common = self._rows(1)[0] * np.float32(1.2)
        self.centers = self._rows(CLUSTERS) * np.float32(0.6)
        self.offset = self._rows(1)[0] * np.float32(0.3)
        self.positives = self._positives()
        self.near = np.zeros((queries, dim), dtype=np.float32)

    def _rows(self, n: int) -> np.ndarray:
        rows = self.rng.standard_normal((n, self.sizes.dim), dtype=np.float32)
        rows *= self.scale
        return rows

    def _positives(self) -> list[np.ndarray]:
        many = self.rng.integers(1, 4, self.sizes.queries)
        return [self.rng.integers(0, self.sizes.documents, size) for size in many]

    def document_shards(self) -> Iterator[np.ndarray]:
        """Documents; what the queries need of them is kept on the way."""
        query = np.repeat(np.arange(len(self.positives)), [len(p) for p in self.positives])
        document = np.concatenate(self.positives)
        share = 1 / np.array([len(p) for p in self.positives], dtype=np.float32)
        for start, size in shards(self.sizes.documents):
            block = self._rows(size)
            block += self.centers[self.rng.integers(0, CLUSTERS, size)]
            block += self.common
            block *= self.rng.uniform(0.9, 1.1, (size, 1)).astype(np.float32)
            here = np.flatnonzero((document >= start) & (document < start + size))
            own = block[document[here] - start] * share[query[here], None]
            np.add.at(self.near, query[here], own)
            yield block

    def query_shards(self) -> Iterator[np.ndarray]:
        """Queries, once the documents are drawn."""
        for start, size in shards(self.sizes.queries):
            noise = self.offset + np.float32(0.8) * self._rows(size)
            yield self.near[start : start + size] + noise

    def qrels(self) -> dict[str, dict[str, int]]:
        """Judgments of grade 1."""
        return {f"q{i}": {f"d{d}": 1 for d in found} for i, found in enumerate(self.positives)}


def shards(n: int) -> Iterator[tuple[int, int]]:
    """Beginning and size of each shard of `n` rows, as many a shard as the package writes."""
    for start in range(0, n, SHARD_ITEMS):
        yield start, min(SHARD_ITEMS, n - start)


def make_store(
    folder: Path, sizes: Sizes, dtype: str = "float16", similarity: str = "dot"
) -> Path:
    """Write made-up embeddings as a store, with the package's own writer."""
    made = Made(sizes.queries, sizes.documents, sizes.dim)
    recipe = {"similarity": similarity, "temperature": 1.0}
    checkpoint = {"label": folder.name, "fingerprint": folder.name}
    header = StoreHeader(recipe, checkpoint, {}, "all", sizes.dim, dtype)
    with StoreWriter(folder, header) as writer:
        for side, drawn in (
            ("documents", made.document_shards()),
            ("queries", made.query_shards()),
        ):
            many = 0
            for many, block in enumerate(drawn, 1):
                writer.write_shard(side, many - 1, block)
            names = [f"{side[0]}{i}" for i in range(getattr(sizes, side))]
            writer.finish_side(side, names, many)
        writer.finish(made.qrels())
    return folder


def drawn(sizes: Sizes) -> tuple[np.ndarray, np.ndarray]:
    """Queries and documents in memory, float32."""
    made = Made(sizes.queries, sizes.documents, sizes.dim)
    documents = np.concatenate(list(made.document_shards()))
    return np.concatenate(list(made.query_shards())), documents
