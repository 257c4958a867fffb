"""A cluster of two processes on this machine, and vectors in files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from anisotropy import EmbeddingSpace, backend
from anisotropy.engine import places
from anisotropy.neighbors import sweeping

if TYPE_CHECKING:
    from distributed import Client


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Connected to two workers of a thread each."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=":0"
        ) as cluster,
        Client(cluster, set_as_default=False) as connected,
    ):
        yield connected


@pytest.fixture
def small_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little data is cut into many spans."""
    monkeypatch.setattr(backend, "BLOCK_BYTES", 1 << 14)
    monkeypatch.setattr(backend, "SPAN_BLOCKS", 3)
    monkeypatch.setattr(sweeping, "TARGET_TILE", 200)
    monkeypatch.setattr(sweeping, "SPAN_TILES", 2)
    monkeypatch.setattr(places, "SMALL", 0)


@pytest.fixture
def mapped(tmp_path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """An array in a file, mapped into memory."""

    def write(array: np.ndarray) -> np.ndarray:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.npy"
        np.save(path, array)
        return np.load(path, mmap_mode="r")

    return write


@pytest.fixture
def stored(mapped: Callable[[np.ndarray], np.ndarray]) -> EmbeddingSpace:
    """A space whose vectors lie in files, documents repeated among them."""
    rng = np.random.default_rng(0)
    documents = (rng.standard_normal((1500, 24)) + 0.5).astype(np.float16)
    documents[700:720] = documents[:20]
    queries = (documents[:300] + rng.standard_normal((300, 24))).astype(np.float16)
    return EmbeddingSpace(
        mapped(queries),
        mapped(documents),
        qrels={f"{i}": {f"{i}": 1, f"{i + 40}": 1} for i in range(300)},
        similarity="dot",
        label="stored",
    )
