"""Writes fixtures with the libraries of arrays: python make_arrays.py OUT.

With numpy 2.4.6, safetensors 0.8.0, torch 2.13.0, sentence-transformers 6.2.0, json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from made_up import CHUNK_NUMBERS, CHUNKED_IDS, DOC_IDS, DOC_TEXTS, DOCUMENTS, QUERIES, QUERY_IDS
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Module
from sentence_transformers.util.quantization import quantize_embeddings

OUT = Path(sys.argv[1])


def folder(name: str) -> Path:
    (OUT / name).mkdir(parents=True, exist_ok=True)
    return OUT / name


def lines(path: Path, rows: Any) -> None:
    path.write_text("".join("\t".join(row) + "\n" for row in rows), "utf-8")


numpys = folder("numpy")
np.save(numpys / "float32.npy", DOCUMENTS)
np.save(numpys / "float16.npy", DOCUMENTS.astype(np.float16))
np.save(numpys / "float64.npy", DOCUMENTS.astype(np.float64))
np.save(numpys / "fortran.npy", np.asfortranarray(DOCUMENTS))
np.save(numpys / "named.npy", DOCUMENTS)
lines(numpys / "named.ids.txt", ([name] for name in DOC_IDS))
np.save(numpys / "texts.npy", DOCUMENTS)
lines(numpys / "texts.ids.tsv", zip(DOC_IDS, DOC_TEXTS, strict=True))
np.savez(numpys / "inside.npz", ids=np.array(DOC_IDS), embeddings=DOCUMENTS)
np.savez_compressed(numpys / "compressed.npz", doc_ids=np.array(DOC_IDS), vectors=DOCUMENTS)
np.savez(
    numpys / "sides.npz",
    queries=QUERIES,
    documents=DOCUMENTS,
    query_ids=np.array(QUERY_IDS),
    doc_ids=np.array(DOC_IDS),
)
np.savez(numpys / "objects.npz", ids=np.array(DOC_IDS, dtype=object), embeddings=DOCUMENTS)
np.savez(numpys / "plain.npz", DOCUMENTS)
np.savez(numpys / "chunks.npz", ids=np.array(CHUNKED_IDS), vectors=DOCUMENTS, chunks=CHUNK_NUMBERS)
np.save(numpys / "repeated.npy", DOCUMENTS)
lines(numpys / "repeated.ids.txt", ([name] for name in CHUNKED_IDS))
np.save(numpys / "chunked.npy", DOCUMENTS)
lines(numpys / "chunked.ids.txt", ([name] for name in CHUNKED_IDS))
np.save(numpys / "chunked.chunks.npy", np.array(CHUNK_NUMBERS))
both = folder("numpy/both")
for side, ids, rows in (("queries", QUERY_IDS, QUERIES), ("documents", DOC_IDS, DOCUMENTS)):
    np.save(both / f"{side}.npy", rows)
    lines(both / f"{side}.ids.txt", ([name] for name in ids))

whole = folder("safetensors")
tensors = torch.from_numpy(DOCUMENTS)
for name, dtype in (
    ("float32", torch.float32),
    ("float16", torch.float16),
    ("bfloat16", torch.bfloat16),
):
    safetensors.torch.save_file({"embeddings": tensors.to(dtype)}, whole / f"{name}.safetensors")
lines(whole / "bfloat16.ids.txt", ([name] for name in DOC_IDS))
pair = {"queries": torch.from_numpy(QUERIES), "documents": tensors}
safetensors.torch.save_file(pair, whole / "sides.safetensors")
scale = np.abs(DOCUMENTS).max() / 127
int8 = torch.from_numpy(np.round(DOCUMENTS / scale).astype(np.int8))
scaled = {"embeddings": int8, "scale": torch.tensor([scale])}
safetensors.torch.save_file(scaled, whole / "int8_scale.safetensors")
safetensors.torch.save_file({"embeddings": int8}, whole / "int8.safetensors")
stated = {"scale": repr(float(scale))}
safetensors.torch.save_file({"embeddings": int8}, whole / "int8_metadata.safetensors", stated)

torches = folder("torch")
torch.save(tensors, torches / "tensor.pt")
torch.save({"ids": DOC_IDS, "embeddings": tensors}, torches / "dict.pt")
torch.save((tensors, DOC_IDS), torches / "tuple.pt")
torch.save({"ids": DOC_IDS, "embeddings": tensors.bfloat16()}, torches / "bfloat16.pt")
torch.save(tensors[:, ::2], torches / "strided.pt")
legacy = {"_use_new_zipfile_serialization": False}
torch.save({"ids": DOC_IDS, "embeddings": tensors.half()}, torches / "legacy.pt", **legacy)


class Fixed(Module):
    """Answers with the made-up vector whose text it is given."""

    def forward(self, features: dict[str, Any]) -> dict[str, Any]:
        return {**features, "sentence_embedding": tensors[features["number"]]}

    def preprocess(self, inputs: Any, *_: Any, **__: Any) -> dict[str, Any]:
        return {"number": torch.tensor([DOC_TEXTS.index(text) for text in inputs])}

    tokenize = preprocess

    def save(self, *_: Any, **__: Any) -> None: ...


library = folder("sentence_transformers")
model = SentenceTransformer(modules=[Fixed()], device="cpu")
encoded = model.encode(DOC_TEXTS, batch_size=16)
np.save(library / "encode.npy", encoded)
np.save(library / "encode_unit.npy", model.encode(DOC_TEXTS, normalize_embeddings=True))
torch.save(model.encode(DOC_TEXTS, convert_to_tensor=True), library / "encode.pt")
ranges = np.vstack([DOCUMENTS.min(axis=0), DOCUMENTS.max(axis=0)])
np.save(library / "int8.npy", quantize_embeddings(encoded, "int8", ranges=ranges))
np.save(library / "int8.ranges.npy", ranges)
np.save(library / "uint8.ranges.npy", ranges)
np.save(library / "uint8.npy", quantize_embeddings(encoded, "uint8", ranges=ranges))
np.save(library / "binary.npy", quantize_embeddings(encoded, "ubinary"))

jsonl = folder("jsonl")


def dump(name: str, rows: Any) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (jsonl / name).write_text(text, "utf-8")


dump("documents.jsonl", (
    {"_id": name, "title": "", "text": text, "embedding": row.tolist()}
    for name, text, row in zip(DOC_IDS, DOC_TEXTS, DOCUMENTS, strict=True)
))  # fmt: skip
dump("queries.jsonl", (
    {"_id": name, "text": "", "embedding": row.tolist()}
    for name, row in zip(QUERY_IDS, QUERIES, strict=True)
))  # fmt: skip
dump("numbers.jsonl", (
    {"id": number, "values": row.tolist()} for number, row in enumerate(DOCUMENTS)
))  # fmt: skip
