"""Writes fixtures with Pyserini's own writers: python make_pyserini.py SOURCE OUT.

SOURCE is an unpacked source distribution of Pyserini (1.6.0). Its packages import Java and
transformers at the top, so the modules that write are loaded without their `__init__`.
"""

from __future__ import annotations

import runpy
import sys
import types
from pathlib import Path

from made_up import CHUNKED_IDS, DIM, DOC_IDS, DOC_TEXTS, DOCUMENTS

SOURCE, OUT = Path(sys.argv[1]), Path(sys.argv[2])


def hollow(name: str) -> None:
    package = types.ModuleType(name)
    package.__path__ = [str(SOURCE / name.replace(".", "/"))]
    sys.modules[name] = package


for name in ("pyserini", "pyserini.encode", "pyserini.encode.optional", "pyserini.index"):
    hollow(name)
utilities = types.ModuleType("pyserini.util")
utilities.download_encoded_queries = None
utilities.resolve_device = lambda device, backend: device
sys.modules["pyserini.util"] = utilities
base = runpy.run_path(str(SOURCE / "pyserini/encode/_base.py"))
sys.modules["pyserini.encode"].RepresentationWriter = base["RepresentationWriter"]
optional = runpy.run_path(str(SOURCE / "pyserini/encode/optional/_faiss.py"))


def write(writer, rows, ids=DOC_IDS) -> None:
    writer.__enter__()
    for start in range(rows.start, rows.stop, 16):
        batch = slice(start, min(start + 16, rows.stop))
        info = {"id": ids[batch], "text": DOC_TEXTS[batch], "vector": DOCUMENTS[batch]}
        writer.write(info, ["text"])
    writer.__exit__(None, None, None)


def run(script: str, *arguments: object) -> None:
    sys.argv = [script, *map(str, arguments)]
    runpy.run_path(str(SOURCE / "pyserini" / script), run_name="__main__")


def faiss_writer(folder: Path):
    return optional["FaissRepresentationWriter"](str(folder), dimension=DIM)


write(faiss_writer(OUT / "flat"), slice(0, 40))
write(faiss_writer(OUT / "passages"), slice(0, 40), CHUNKED_IDS)
write(base["JsonlRepresentationWriter"](str(OUT / "jsonl")), slice(0, 40))
write(faiss_writer(OUT / "shard0"), slice(0, 25))
write(faiss_writer(OUT / "shard1"), slice(25, 40))
run(
    "index/merge_faiss_indexes.py", "--dimension", DIM, "--prefix", OUT / "shard", "--shard-num", 2
)
shared = ("--dim", DIM, "--threads", 1)
run(
    "index/faiss.py",
    "--input",
    OUT / "flat",
    "--output",
    OUT / "hnsw",
    "--hnsw",
    "--M",
    8,
    *shared,
)
run("index/faiss.py", "--input", OUT / "jsonl", "--output", OUT / "l2", "--metric", "l2", *shared)
pq = ("--pq", "--pq-m", 4, "--pq-nbits", 4)
run("index/faiss.py", "--input", OUT / "flat", "--output", OUT / "pq", *pq, *shared)
