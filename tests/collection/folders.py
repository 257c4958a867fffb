"""Small collections written to a folder."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

DOCUMENTS = [
    {"_id": "d1", "title": "Bridges", "text": "A copper bridge costs ten."},
    {"_id": "d2", "title": "", "text": "Rain in July, naïve ☂ text."},
    {"_id": "d3", "text": "Nothing about anything."},
    {"_id": "d4", "title": "Other", "text": "Other text", "url": "http://a.test/d4"},
]
QUERIES = [
    {"_id": "q1", "text": "copper bridge cost"},
    {"_id": "q2", "text": "rain"},
    {"_id": "q3", "text": "unjudged"},
]
QRELS = {"test": [("q1", "d1", 2), ("q1", "d3", 0), ("q2", "d2", 1)]}


def write(path: Path, text: str | bytes, *, packed: bool = False) -> Path:
    """Write a file, as gzip under a name that ends in .gz where asked."""
    data = text.encode() if isinstance(text, str) else text
    path.parent.mkdir(parents=True, exist_ok=True)
    if packed:
        path = path.with_name(path.name + ".gz")
        data = gzip.compress(data)
    path.write_bytes(data)
    return path


def jsonl(records: Sequence[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def qrels_text(rows: Sequence[tuple[str, str, int]], header: bool = True) -> str:
    lines = ["query-id\tcorpus-id\tscore"] if header else []
    return "\n".join([*lines, *(f"{q}\t{d}\t{grade}" for q, d, grade in rows)]) + "\n"


def beir(
    folder: Path,
    documents: Sequence[Mapping[str, Any]] = DOCUMENTS,
    queries: Sequence[Mapping[str, Any]] = QUERIES,
    qrels: Mapping[str, Sequence[tuple[str, str, int]]] = QRELS,
    *,
    packed: bool = False,
) -> Path:
    """Write a BEIR folder."""
    write(folder / "corpus.jsonl", jsonl(documents), packed=packed)
    write(folder / "queries.jsonl", jsonl(queries), packed=packed)
    for split, rows in qrels.items():
        write(folder / "qrels" / f"{split}.tsv", qrels_text(rows), packed=packed)
    return folder


def tsv(rows: Sequence[Sequence[object]], by: str = "\t", end: str = "\n") -> str:
    return "".join(by.join(str(field) for field in row) + end for row in rows)
