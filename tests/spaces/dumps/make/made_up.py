"""The made-up vectors and ids that every tool was given to write; the tests expect them back."""

from __future__ import annotations

import numpy as np

DIM = 16


def vectors(n: int, seed: int) -> np.ndarray:
    """Vectors of shape (n, 16), float32: thousandths of two, short as text and exact in binary."""
    whole = np.random.default_rng(seed).integers(-4096, 4096, (n, DIM))
    return (whole / 1024).astype(np.float32)


DOCUMENTS = vectors(40, 0)
QUERIES = vectors(8, 1)
DOC_IDS = [
    *(f"D{number}" for number in range(20)),
    *(f"msmarco_passage_01_{number}" for number in range(5, 25)),
]
QUERY_IDS = [str(1_048_585 + 7 * number) for number in range(8)]
DOC_TEXTS = [f"Text of document {number}." for number in range(40)]
#: Several vectors a document: 40 rows of 16 documents, chunks in order.
CHUNKS = [3, 2, 3, 2] * 4
CHUNKED_IDS = [DOC_IDS[document] for document, n in enumerate(CHUNKS) for _ in range(n)]
CHUNK_NUMBERS = [chunk for n in CHUNKS for chunk in range(n)]
