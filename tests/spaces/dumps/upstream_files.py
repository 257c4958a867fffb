"""Small dumps, written file by file as the generators of ANCE and DANCE do."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

DIM = 6


def pickled(array: np.ndarray, numpy: int = 2) -> bytes:
    """A pickle of protocol 4 as numpy 1 or 2 spells it."""
    data = pickle.dumps(array, protocol=4)
    new, old = b"numpy._core.multiarray", b"numpy.core.multiarray"
    if numpy == 2 or new not in data:
        return data
    data = data.replace(b"\x8c" + bytes([len(new)]) + new, b"\x8c" + bytes([len(old)]) + old)
    frame = struct.unpack("<Q", data[3:11])[0]
    return data[:3] + struct.pack("<Q", frame - 1) + data[11:]


def write_shard(
    folder: Path, name: str, number: int, vectors: np.ndarray, rows: np.ndarray, form: str = "pb"
) -> None:
    """``form`` is ``pb`` (numpy 2), ``pb1`` (numpy 1) or ``npy``."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, array in (("emb", vectors), ("embid", rows)):
        path = folder / f"{name}__{kind}_p__data_obj_{number}"
        if form == "npy":
            np.save(path.with_name(path.name + ".npy"), array)
        else:
            data = pickled(array, 1 if form == "pb1" else 2)
            path.with_name(path.name + ".pb").write_bytes(data)


def vectors_of(set_name: str, n: int, chunks: int = 1, step: int | str = 20) -> np.ndarray:
    """Vectors by row and chunk: shape (n, chunks, DIM), the same for the same arguments."""
    seed = sum(map(ord, f"{set_name} {step}"))
    made = np.random.default_rng(seed).standard_normal((n, chunks, DIM))
    return made.astype(np.float32)


def batches(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def write_set(
    folder: Path,
    name: str,
    n: int,
    *,
    step: int | str = 20,
    ranks: int = 2,
    chunks: int = 1,
    batch: int = 2,
    form: str = "pb",
) -> np.ndarray:
    """Rank r holds rows r, r + ranks, ...; in a batch all chunks 0, then all chunks 1, ..."""
    vectors = vectors_of(name, n, chunks, step)
    for rank in range(min(ranks, n)):
        rows, parts = [], []
        for mine in batches(np.arange(rank, n, ranks), batch):
            for chunk in range(chunks):
                rows.append(mine)
                parts.append(vectors[mine, chunk])
        shard = np.concatenate(parts), np.concatenate(rows).astype(np.int64)
        write_shard(folder, f"{name}_{step}", rank, *shard, form)
    return vectors


def dance_dump(folder: Path, *, step: int = 20, chunks: int = 1, form: str = "pb") -> Path:
    """The sets of a document run of DANCE, for `tests.collection.preprocessed.dance`."""
    write_set(folder, "passage", 5, step=step, chunks=chunks, form=form)
    for name, n in (("query", 3), ("real-dev_query", 2), ("dev_query", 1)):
        write_set(folder, name, n, step=step, form=form)
    return folder
