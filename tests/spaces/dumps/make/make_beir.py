"""Writes fixtures with BEIR's own search class: python make_beir.py SOURCE OUT.

SOURCE is the unpacked wheel of beir (2.2.0). The package's top imports download helpers, so
the two modules that write are loaded without its `__init__`.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path

import torch
from made_up import DOC_IDS, DOCUMENTS, QUERIES, QUERY_IDS

SOURCE, OUT = Path(sys.argv[1]), Path(sys.argv[2])
for name in ("beir", "beir.retrieval", "beir.retrieval.search.dense"):
    package = types.ModuleType(name)
    package.__path__ = [str(SOURCE / name.replace(".", "/"))]
    sys.modules[name] = package

from beir.retrieval.search.dense.exact_search import DenseRetrievalExactSearch  # noqa: E402


class Model:
    """Answers with the made-up vector of each id."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def _rows(self, array, numbers, convert_to_tensor):
        rows = torch.from_numpy(array[numbers]).to(self.dtype)
        return rows if convert_to_tensor else rows.numpy()

    def encode_queries(self, queries, batch_size, convert_to_tensor=True, **_):
        return self._rows(QUERIES, [QUERY_IDS.index(text) for text in queries], convert_to_tensor)

    def encode_corpus(self, corpus, batch_size, convert_to_tensor=True, **_):
        numbers = [DOC_IDS.index(document["title"]) for document in corpus]
        return self._rows(DOCUMENTS, numbers, convert_to_tensor)


corpus = {name: {"title": name, "text": ""} for name in DOC_IDS}
queries = {name: name for name in QUERY_IDS}
for folder, dtype, convert in (
    ("float32", torch.float32, True),
    ("float16", torch.float16, False),
):
    search = DenseRetrievalExactSearch(Model(dtype), batch_size=8, corpus_chunk_size=16)
    search.convert_to_tensor = convert
    search.encode(corpus, queries, encode_output_path=str(OUT / folder))
