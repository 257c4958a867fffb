"""Writes fixtures with faiss (faiss-cpu 1.15.1): python make_faiss.py OUT."""

from __future__ import annotations

import sys
from pathlib import Path

import faiss
import numpy as np
from made_up import DIM, DOCUMENTS, QUERIES

OUT = Path(sys.argv[1])
OUT.mkdir(parents=True, exist_ok=True)
NUMBERS = np.arange(40)[::-1] * 3 + 100
INDEXES = {
    "flat_ip": faiss.IndexFlatIP(DIM),
    "flat_l2": faiss.IndexFlatL2(DIM),
    "flat_l1": faiss.IndexFlat(DIM, faiss.METRIC_L1),
    "idmap": faiss.IndexIDMap(faiss.IndexFlatIP(DIM)),
    "idmap2": faiss.IndexIDMap2(faiss.IndexFlatL2(DIM)),
    "idmap_hnsw": faiss.IndexIDMap(faiss.IndexHNSWFlat(DIM, 4, faiss.METRIC_INNER_PRODUCT)),
    "hnsw_flat_ip": faiss.IndexHNSWFlat(DIM, 4, faiss.METRIC_INNER_PRODUCT),
    "hnsw_flat_l2": faiss.IndexHNSWFlat(DIM, 4),
    "ivf_flat": faiss.index_factory(DIM, "IVF4,Flat", faiss.METRIC_INNER_PRODUCT),
    "ivf_flat_hash": faiss.index_factory(DIM, "IVF4,Flat", faiss.METRIC_INNER_PRODUCT),
    "hnsw_sq": faiss.index_factory(DIM, "HNSW4_SQfp16", faiss.METRIC_INNER_PRODUCT),
    "ivf_flat_l2": faiss.index_factory(DIM, "IVF16,Flat"),
    "ivf_flat_sparse": faiss.index_factory(DIM, "IVF32,Flat"),
    "sq_fp16": faiss.index_factory(DIM, "SQfp16", faiss.METRIC_INNER_PRODUCT),
    "sq_bf16": faiss.index_factory(DIM, "SQbf16", faiss.METRIC_INNER_PRODUCT),
    "sq_8bit": faiss.index_factory(DIM, "SQ8", faiss.METRIC_INNER_PRODUCT),
    "refine": faiss.index_factory(DIM, "SQ8,RFlat", faiss.METRIC_INNER_PRODUCT),
    "pca": faiss.index_factory(DIM, "PCA8,Flat", faiss.METRIC_INNER_PRODUCT),
    "pq": faiss.index_factory(DIM, "PQ4x4", faiss.METRIC_INNER_PRODUCT),
    "lsh": faiss.index_factory(DIM, "LSH"),
}
hashed = INDEXES["ivf_flat_hash"]
for name, index in INDEXES.items():
    index.train(DOCUMENTS)
    if index is hashed:
        index.set_direct_map_type(faiss.DirectMap.Hashtable)
    if name.startswith("idmap") or name in ("ivf_flat", "ivf_flat_hash"):
        index.add_with_ids(DOCUMENTS, NUMBERS)
    else:
        index.add(DOCUMENTS)
    faiss.write_index(index, str(OUT / f"{name}.faiss"))
both = OUT / "both"
both.mkdir(exist_ok=True)
for side, rows in (("documents", DOCUMENTS), ("queries", QUERIES)):
    index = faiss.IndexFlatIP(DIM)
    index.add(rows)
    faiss.write_index(index, str(both / f"{side}.faiss"))
