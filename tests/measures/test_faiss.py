"""Exact neighbors agree with faiss, an independent implementation."""

from __future__ import annotations

import numpy as np
import pytest

from anisotropy.neighbors import top_neighbors


@pytest.mark.parametrize("similarity", ["dot", "cosine", "euclidean"])
def test_exact_neighbors_equal_those_of_a_flat_index(similarity: str) -> None:
    import faiss

    rng = np.random.default_rng(0)
    anchors = rng.normal(size=(50, 24)).astype(np.float32)
    targets = (rng.normal(size=(700, 24)) + 0.3).astype(np.float32)
    if similarity == "cosine":
        shown = [a / np.linalg.norm(a, axis=1, keepdims=True) for a in (anchors, targets)]
    else:
        shown = [anchors, targets]
    index = faiss.IndexFlatL2(24) if similarity == "euclidean" else faiss.IndexFlatIP(24)
    index.add(shown[1])
    expected = index.search(shown[0], 20)[1]
    found = top_neighbors(anchors, targets, 20, similarity=similarity)
    assert np.array_equal(found.index, expected)
