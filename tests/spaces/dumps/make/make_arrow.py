"""Writes Parquet and Arrow fixtures: python make_arrow.py OUT.

With pyarrow 26.0.1, pandas 3.1.1, datasets 5.2.0; polars (2.1.0) writes its own if it is
installed. Small values in other columns show that the right ones are taken.
"""

from __future__ import annotations

import sys
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from made_up import (
    CHUNK_NUMBERS,
    CHUNKED_IDS,
    DIM,
    DOC_IDS,
    DOC_TEXTS,
    DOCUMENTS,
    QUERIES,
    QUERY_IDS,
)

try:
    import polars
except ImportError:
    polars = None

OUT = Path(sys.argv[1])
OUT.mkdir(parents=True, exist_ok=True)
FLOAT32 = pa.list_(pa.float32())


def fixed(rows: np.ndarray) -> pa.Array:
    values = pa.array(rows.ravel())
    return pa.FixedSizeListArray.from_arrays(values, rows.shape[1])


table = pa.table(
    {"_id": DOC_IDS, "title": [""] * 40, "text": DOC_TEXTS, "embedding": fixed(DOCUMENTS)}
)
lists = pa.table({"id": DOC_IDS, "emb": pa.array(list(DOCUMENTS), FLOAT32)})
half = pa.table({"docid": DOC_IDS, "vector": fixed(DOCUMENTS.astype(np.float16))})
whole = pa.table({"docid": np.arange(40) * 3, "text": DOC_TEXTS, "vector": fixed(DOCUMENTS)})
large_ids = pa.array(DOC_IDS, pa.large_string())
large_lists = pa.array(list(DOCUMENTS), pa.large_list(pa.float32()))
large = pa.table({"id": large_ids, "embeddings": large_lists})
chunked = pa.table({"doc_id": CHUNKED_IDS, "chunk": CHUNK_NUMBERS, "embedding": fixed(DOCUMENTS)})

pq.write_table(table, OUT / "fixed.parquet", row_group_size=16, compression="zstd")
pq.write_table(lists, OUT / "lists.parquet", row_group_size=16)
pq.write_table(half, OUT / "float16.parquet", compression="none")
pq.write_table(whole, OUT / "numbers.parquet")
step = np.abs(DOCUMENTS).max() / 127
int8 = np.round(DOCUMENTS / step).astype(np.int8)
pq.write_table(pa.table({"id": DOC_IDS, "embedding": fixed(int8)}), OUT / "int8.parquet")
pq.write_table(large, OUT / "large.parquet")
pq.write_table(chunked, OUT / "chunks.parquet")
pq.write_table(chunked.drop_columns("chunk"), OUT / "repeated.parquet")
mixed = np.random.default_rng(0).permutation(40)
pq.write_table(chunked.take(mixed), OUT / "chunks_mixed.parquet")
frame = pd.DataFrame({"doc_id": DOC_IDS, "embedding": list(DOCUMENTS), "text": DOC_TEXTS})
frame.to_parquet(OUT / "pandas.parquet")
frame.set_index("doc_id").to_parquet(OUT / "pandas_index.parquet")
frame.assign(embedding=DOCUMENTS.astype(float).tolist()).to_parquet(OUT / "pandas_double.parquet")
with pa.OSFile(str(OUT / "file.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as out:
    out.write_table(table, max_chunksize=16)
with (
    pa.OSFile(str(OUT / "stream.arrow"), "wb") as sink,
    pa.ipc.new_stream(sink, half.schema) as out,
):
    out.write_table(half, max_chunksize=16)
frame.to_feather(OUT / "pandas.feather")

both = OUT / "both"
both.mkdir(exist_ok=True)
pq.write_table(table, both / "corpus.parquet")
pq.write_table(pa.table({"_id": QUERY_IDS, "embedding": fixed(QUERIES)}), both / "queries.parquet")

features = datasets.Features(
    {
        "id": datasets.Value("string"),
        "embedding": datasets.Sequence(datasets.Value("float32"), length=DIM),
    }
)
hub = datasets.Dataset.from_dict({"id": DOC_IDS, "embedding": DOCUMENTS}, features=features)
hub.to_parquet(str(OUT / "datasets.parquet"))
hub.save_to_disk(str(OUT / "datasets"), num_shards=2)
plain = datasets.Dataset.from_dict({"id": DOC_IDS, "embedding": DOCUMENTS.tolist()})
plain.save_to_disk(str(OUT / "datasets_lists"))
array2d = datasets.Features(
    {"id": datasets.Value("string"), "embedding": datasets.Array2D((2, DIM), "float32")}
)
pairs = datasets.Dataset.from_dict(
    {"id": DOC_IDS[:20], "embedding": DOCUMENTS.reshape(20, 2, DIM)}, features=array2d
)
pairs.to_parquet(str(OUT / "datasets_array2d.parquet"))

if polars is not None:
    columns = {"id": DOC_IDS, "embedding": DOCUMENTS}
    schema = {"id": polars.String, "embedding": polars.Array(polars.Float32, DIM)}
    polars.DataFrame(columns, schema=schema).write_parquet(OUT / "polars.parquet")
    schema["embedding"] = polars.List(polars.Float32)
    columns["embedding"] = DOCUMENTS.tolist()
    polars.DataFrame(columns, schema=schema).write_ipc(OUT / "polars.arrow")
