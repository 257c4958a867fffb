"""Work that travels: what is pickled there and back gives the digits of what stays."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pytest

import anisotropy as an
from anisotropy import backend, engine
from anisotropy.engine import places
from anisotropy.measures import measure_space
from anisotropy.neighbors import sweeping

MEASURES = [
    "nDCG@10", "uniformity(t=2)", "hubness_gini(k=10)", "positive_percentile",
    "partition_isotropy", "relative_gap", "margin", "negative_probability_kl(k=20)",
]  # fmt: skip


class Sending:
    """An engine that computes here what it packed and unpacked as if for elsewhere."""

    def __init__(self) -> None:
        self.tasks = 0

    def run(self, work: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Any]:
        packed = places.packed(work)
        for task in tasks:
            self.tasks += 1
            found = pickle.loads(packed)(pickle.loads(places.packed(task)))
            yield pickle.loads(pickle.dumps(found))

    def stop(self) -> None:
        """Nothing goes on elsewhere."""


@pytest.fixture
def sending(monkeypatch: pytest.MonkeyPatch) -> Sending:
    """Small rows in many blocks, spans and tasks."""
    monkeypatch.setattr(backend, "BLOCK_BYTES", 1 << 13)
    monkeypatch.setattr(backend, "SPAN_BLOCKS", 3)
    monkeypatch.setattr(backend, "MOST_SENT", 1 << 40)
    monkeypatch.setattr(sweeping, "TARGET_TILE", 200)
    monkeypatch.setattr(sweeping, "SPAN_TILES", 2)
    monkeypatch.setattr(places, "SMALL", 0)
    return Sending()


def made(similarity: str, kind: str, dtype: type) -> an.EmbeddingSpace:
    rng = np.random.default_rng(0)
    n = 500
    own = np.repeat(np.arange(n), rng.integers(1, 4, n) if kind != "rows" else 1)
    first = np.concatenate(([True], own[1:] != own[:-1]))
    documents = (rng.standard_normal((len(own), 24)) + 0.3).astype(dtype)
    queries = (rng.standard_normal((150, 24)) + 0.3).astype(dtype)
    return an.EmbeddingSpace(
        queries,
        documents,
        qrels={str(i): {str(i): 1, str(i + 40): 1} for i in range(150)},
        similarity=similarity,
        document_of_row=own if kind != "rows" else None,
        padding=~first & (np.arange(len(own)) % 5 == 0) if kind == "padded" else None,
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
@pytest.mark.parametrize("kind", ["rows", "chunks", "padded"])
@pytest.mark.parametrize("similarity", ["dot", "cosine", "euclidean"])
def test_what_was_sent_is_equal_to_the_bit(
    similarity: str, kind: str, dtype: type, sending: Sending
) -> None:
    space = made(similarity, kind, dtype)
    here = measure_space(space, MEASURES, anchors=100).rows
    token = engine._current.set(sending)
    try:
        there = measure_space(space, MEASURES, anchors=100).rows
    finally:
        engine._current.reset(token)
    assert sending.tasks > 20
    assert [repr(row) for row in there] == [repr(row) for row in here]
