"""An encoder without weights and a collection without files, for tests of the path between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from anisotropy.collection import Document, Query

Qrels = dict[str, dict[str, int]]


@dataclass
class FakeCollection:
    """Documents d0, d1, … of different lengths; query qi is judged for document di."""

    n_documents: int = 9
    n_queries: int = 3
    name: str = "fake"
    note: str = ""
    has_texts: bool = True
    padding_id: int | None = None
    split: str = "dev"
    splits: tuple[str, ...] = ("train", "dev")
    training_split: str | None = "train"
    fingerprint: str = "collection"
    warnings: list[str] = field(default_factory=list)
    streamed: int = 0

    def documents(self) -> Iterator[Document]:
        for i in range(self.n_documents):
            self.streamed += 1
            yield Document(f"d{i}", "word " * (1 + (i * 7) % 5))

    def queries(self, split: str | None = None) -> list[Query]:
        prefix = "q" if (split or self.split) == "dev" else "t"
        return [Query(f"{prefix}{i}", "word " * (1 + i % 3)) for i in range(self.n_queries)]

    def qrels(self, split: str | None = None) -> Qrels:
        return {q.query_id: {f"d{i}": 1} for i, q in enumerate(self.queries(split))}

    def texts(self, doc_ids: Sequence[str]) -> dict[str, Document]:
        return {d.doc_id: d for d in self.documents() if d.doc_id in set(doc_ids)}


@dataclass(frozen=True)
class FakeRecipe:
    name: str = "fake"
    scale: float = 1.0
    source: str = "here"

    def as_dict(self) -> dict[str, Any]:
        parts = {"name": self.name, "similarity": "dot", "temperature": 1.0, "doubts": []}
        return {**parts, "sources": {"similarity": self.source}}

    def identity(self) -> str:
        return f"{self.name} {self.scale}"


@dataclass
class FakeEncoder:
    """The vector of a text tells its length, its chunk and the number in its id."""

    readings: tuple[FakeRecipe, ...] = (FakeRecipe(),)
    chunks: int = 1
    label: str = "fake"
    step: int | None = None
    fingerprint: str = "weights"
    dim: int = 3
    batches: list[list[int]] = field(default_factory=list)
    fail_after: int | None = None
    bad_value: float = 0.0
    device: str = "cpu"

    @property
    def recipe(self) -> FakeRecipe:
        return self.readings[0]

    def check_collection(self, collection: Any) -> None:
        """Encodes anything."""

    def load(self) -> None:
        """There are no weights."""

    def beside_encoding(self) -> AbstractContextManager[None]:
        return nullcontext()

    def vectors_per_document(self) -> int:
        return self.chunks

    def tokenize(self, side: str, items: Sequence[Any]) -> list[list[int]]:
        names = [item.query_id if side == "queries" else item.doc_id for item in items]
        return [
            [int(name[1:])] * len(item.text.split())
            for name, item in zip(names, items, strict=True)
        ]

    def padding_chunks(self, tokens: Sequence[Sequence[int]]) -> np.ndarray:
        return np.array([c >= len(row) for row in tokens for c in range(self.chunks)])

    def encode_tokens(self, side: str, tokens: Sequence[Sequence[int]]) -> list[np.ndarray]:
        if self.fail_after is not None and len(self.batches) >= self.fail_after:
            raise KeyboardInterrupt
        self.batches.append([len(row) for row in tokens])
        n = self.chunks if side == "documents" else 1
        rows = [[len(row), c, row[0]] for row in tokens for c in range(n)]
        array = np.array(rows, dtype=np.float32) + self.bad_value
        return [array * recipe.scale for recipe in self.readings]
