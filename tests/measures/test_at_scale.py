"""What is held for every document stays small: slow twins of the thrifty forms."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from anisotropy.files import hash_ids
from anisotropy.measures.facts import Facts, Plan
from anisotropy.measures.mining import mined
from anisotropy.measures.repeats import first_of_its_kind
from anisotropy.spaces import EmbeddingSpace

N = 30_000


@pytest.fixture(scope="module")
def space() -> EmbeddingSpace:
    rng = np.random.default_rng(0)
    documents = rng.normal(size=(N, 4)).astype(np.float16)
    documents[500:900] = documents[100:500]
    qrels = {f"q{i}": {f"d{7 * i}": 1, f"d{i + 1}": 1 + i % 2, "gone": 1} for i in range(300)}
    return EmbeddingSpace(
        rng.normal(size=(300, 4)), documents, qrels={q: {d: g for d, g in j.items() if d != "gone"}
                                                     for q, j in qrels.items()},
        query_ids=[f"q{i}" for i in range(300)], doc_ids=[f"d{i}" for i in range(N)],
    )  # fmt: skip


def facts(space: EmbeddingSpace) -> Facts:
    return Facts(space, Plan((), 10, 50), anchors=100)


def peak(work: Callable[[], object]) -> float:
    """Bytes a document that some work holds at most."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / N
    finally:
        tracemalloc.stop()


def test_hashes_are_those_of_each_id(space: EmbeddingSpace) -> None:
    key = (3).to_bytes(8, "little", signed=True)
    expected = [
        int.from_bytes(hashlib.blake2b(i.encode(), digest_size=8, key=key).digest(), "little")
        for i in space.doc_ids[:500]
    ]
    assert hash_ids(space.doc_ids[:500], 3).tolist() == expected
    assert len(hash_ids([])) == 0
    assert peak(lambda: hash_ids(space.doc_ids)) < 40


def test_repeated_rows_are_found(space: EmbeddingSpace) -> None:
    seen: set[bytes] = set()
    expected = []
    for row in np.asarray(space.documents):
        expected.append(row.tobytes() not in seen)
        seen.add(row.tobytes())
    assert first_of_its_kind(facts(space), "documents").tolist() == expected
    assert not all(expected[500:900])
    assert peak(lambda: first_of_its_kind(facts(space), "documents")) < 60


def test_judged_pairs_are_those_of_the_judgments(space: EmbeddingSpace) -> None:
    found = facts(space).pairs
    expected = sorted(
        (space.query_ids.index(q), space.doc_ids.index(d), g)
        for q, judged in space.qrels.items()
        for d, g in judged.items()
    )
    assert list(zip(found.query, found.document, found.grade, strict=True)) == expected
    assert peak(lambda: facts(space).pairs) < 40


@pytest.mark.parametrize("role", ["queries", "documents"])
def test_pairs_of_each_anchor_are_counted(space: EmbeddingSpace, role: str) -> None:
    own = facts(space)
    found = mined(own, role, "none")
    owner = own.pairs.document if role == "queries" else own.pairs.query
    assert found.pairs.sum(axis=1).tolist() == [int(np.sum(owner == a)) for a in found.anchors]
    assert found.sampled == (role == "queries")
