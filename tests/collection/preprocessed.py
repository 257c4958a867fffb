"""Small preprocessed folders, written byte for byte as upstream's preprocessing does."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

Rows = Sequence[Sequence[int]]

DOCUMENTS: Rows = [[0, 5, 6, 2], [0, 7, 2], [0, 8, 9, 10, 11, 2], [0, 2], [0, 12, 12, 13, 2]]
DOCUMENT_IDS = {70: 0, 3: 1, 41: 2, 1009: 3, 5: 4}
TRAIN: Rows = [[0, 20, 2], [0, 21, 22, 2], [0, 23, 2]]
DEV: Rows = [[0, 30, 2], [0, 31, 32, 33, 2]]


def write_cache(path: Path, rows: Rows, width: int, padding: int = 0) -> Path:
    """An EmbeddingCache: big-endian length, little-endian ids, padded on the right."""
    data = b""
    for row in rows:
        filled = [*row, *[padding] * (width - len(row))]
        data += struct.pack(">I", len(row)) + struct.pack(f"<{width}i", *filled)
    path.write_bytes(data)
    meta = {"type": "int32", "total_number": len(rows), "embedding_size": width}
    path.with_name(path.name + "_meta").write_text(json.dumps(meta))
    return path


def write_map(path: Path, offsets: Mapping[int, int], protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(dict(offsets), protocol=protocol))
    return path


def write_qrels(path: Path, rows: Sequence[tuple[int, int, int]]) -> Path:
    path.write_text("".join(f"{q}\t{d}\t{grade}\n" for q, d, grade in rows))
    return path


def dance(folder: Path, *, padding: int = 0, width: int = 8) -> Path:
    """A document folder of DANCE: three query sets, each with its map."""
    folder.mkdir(parents=True, exist_ok=True)
    write_cache(folder / "passages", DOCUMENTS, width, padding)
    write_map(folder / "pid2offset.pickle", DOCUMENT_IDS)
    for name, rows, ids, judged in (
        ("train", TRAIN, {7: 0, 2: 1, 90: 2}, [(0, 0, 1), (1, 2, 1), (2, 2, 1), (1, 4, 1)]),
        ("real-dev", DEV, {8: 1, 6: 0}, [(0, 1, 1), (1, 3, 1)]),
        ("dev", DEV[:1], {501: 0}, [(0, 1, 3), (0, 2, 0)]),
    ):
        write_cache(folder / f"{name}-query", rows, 6, padding)
        write_map(folder / f"{name}-query_qid2offset.pickle", ids)
        write_qrels(folder / f"{name}-qrel.tsv", judged)
    return folder


def ance(folder: Path, *, grades: tuple[int, int] = (1, 1), dev: Rows = DEV) -> Path:
    """A folder of ANCE: the one query map is that of the last set."""
    folder.mkdir(parents=True, exist_ok=True)
    write_cache(folder / "passages", DOCUMENTS, 8)
    write_map(folder / "pid2offset.pickle", DOCUMENT_IDS)
    write_cache(folder / "train-query", TRAIN, 6)
    write_cache(folder / "dev-query", dev, 6)
    write_map(folder / "qid2offset.pickle", {100 + row: row for row in range(len(dev))})
    write_qrels(folder / "train-qrel.tsv", [(0, 0, 1), (1, 2, 1), (2, 2, 1)])
    write_qrels(folder / "dev-qrel.tsv", [(0, 1, grades[0]), (1, 3, grades[1])])
    return folder


def dpr(folder: Path) -> Path:
    """A folder of DPR: a text map of the passages, answers beside the positives."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [[101, *row[1:-1], 102] for row in DOCUMENTS]
    write_cache(folder / "passages", rows, 8)
    (folder / "pid2offset").write_text("".join(f"{i + 1}\t{i}\n" for i in range(5)))
    for name in ("train-query", "dev-query", "dev-query-trivia", "test-query"):
        write_cache(folder / name, [[101, 40, 102], [101, 41, 102]], 8)
    for name in ("train-ann", "dev-ann", "dev-ann-trivia"):
        (folder / name).write_text("0\t2\t['an answer', __import__('os')]\n1\t4\t['b']\n")
    return folder
