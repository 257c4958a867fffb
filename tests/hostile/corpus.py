"""Files that want to run code, fill the memory, or claim what is not so: one case each.

A case writes its files into an empty folder and names the command that meets them, the file that
the message must name, and a pattern of the cause.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import pickle
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MARK = "code-has-run"


@dataclass(frozen=True)
class Case:
    """One hostile file or folder.

    Attributes
    ----------
    write
        Called with the folder.
    words
        Of the command line, paths relative to the folder.
    file, cause
        What the message names, and a pattern of what it says.
    """

    write: Callable[[Path], None]
    words: tuple[str, ...]
    file: str
    cause: str


CASES: dict[str, Case] = {}


def case(
    name: str, words: str, file: str, cause: str
) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    """Register the function below as a case."""

    def add(write: Callable[[Path], None]) -> Callable[[Path], None]:
        assert name not in CASES, name
        CASES[name] = Case(write, tuple(words.split()), file, cause)
        return write

    return add


class Runs:
    """Pickles to a call of os.system that leaves a file behind."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {MARK}",)


class Builds:
    """Pickles to an object whose state would call something."""

    def __reduce__(self) -> tuple[Any, ...]:
        return argparse.Namespace, (), {"run": Runs()}


NOT_READ = "system, which is not read"
VECTORS = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
IDS = [f"d{number}" for number in range(12)]


def dumped(value: Any, protocol: int = 4) -> bytes:
    return pickle.dumps(value, protocol)


def zip_of(path: Path, members: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def npy_header(shape: str, dtype: str = "<f4") -> bytes:
    text = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text = text.ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def checkpoint(folder: Path) -> Path:
    """A good upstream folder, to be spoiled."""
    return Path(shutil.copytree(_prepared("upstream"), folder / "x"))


def store(folder: Path) -> Path:
    """A good store, to be spoiled."""
    return Path(shutil.copytree(_prepared("store"), folder / "x"))


def collection(folder: Path) -> Path:
    """A good BEIR collection, to be spoiled."""
    return Path(shutil.copytree(_prepared("beir"), folder / "x"))


PREPARED: dict[str, Path] = {}


def _prepared(name: str) -> Path:
    return PREPARED[name]


def prepare(folder: Path) -> None:
    """Write the good things once, without the cost of importing torch for every case."""
    import anisotropy as an
    from tests.encoders.building import write_upstream
    from tests.making import make_collection

    PREPARED["upstream"] = write_upstream(folder / "upstream")
    PREPARED["beir"] = make_collection(folder / "beir", 30, 6)
    space = an.EmbeddingSpace(VECTORS[:3], VECTORS, doc_ids=IDS, qrels={"0": {"d1": 1}})
    space.save(str(folder / "store"))
    PREPARED["store"] = folder / "store"


# Code in pickles, in every layout that can carry them ------------------------------------------

for _protocol in range(6):

    @case(f"arguments-protocol-{_protocol}", "inspect x", "training_args.bin", NOT_READ)
    def _(folder: Path, protocol: int = _protocol) -> None:
        path = checkpoint(folder) / "training_args.bin"
        path.write_bytes(dumped(argparse.Namespace(a=Runs()), protocol))


def torch_zip(value: Any) -> dict[str, bytes]:
    return {"x/data.pkl": dumped(value, 2), "x/version": b"3\n", "x/byteorder": b"little"}


def torch_stream(value: Any) -> bytes:
    machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    parts = (0x1950A86A20F9469CFC6C, 1001, machine, value, [])
    return b"".join(dumped(part, 2) for part in parts)


@case("weights-zip", "inspect x", "pytorch_model.bin", NOT_READ)
def _(folder: Path) -> None:
    path = checkpoint(folder) / "pytorch_model.bin"
    path.unlink()
    zip_of(path, torch_zip({"embeddingHead.weight": Runs()}))


@case("weights-stream", "inspect x", "pytorch_model.bin", NOT_READ)
def _(folder: Path) -> None:
    path = checkpoint(folder) / "pytorch_model.bin"
    path.write_bytes(torch_stream({"embeddingHead.weight": Runs()}))


@case("weights-bare", "encode x --data y --out z --recipe ance", "pytorch_model.bin", NOT_READ)
def _(folder: Path) -> None:
    (checkpoint(folder) / "pytorch_model.bin").write_bytes(dumped({"a": Runs()}))
    shutil.copytree(_prepared("beir"), folder / "y")


@case("weights-state-of-an-object", "inspect x.ckpt", "x.ckpt", NOT_READ)
def _(folder: Path) -> None:
    (folder / "x.ckpt").write_bytes(dumped(Builds()))


@case("dpr", "inspect nq.cp", "nq.cp", NOT_READ)
def _(folder: Path) -> None:
    zip_of(folder / "nq.cp", torch_zip({"model_dict": {"question_model.x": 1}, "epoch": Runs()}))


@case("lightning", "inspect x.ckpt", "x.ckpt", NOT_READ)
def _(folder: Path) -> None:
    zip_of(folder / "x.ckpt", torch_zip({"state_dict": {}, "hyper_parameters": Runs()}))


@case("sentence-transformers-modules", "inspect x --format json", "x", "trust_remote_code|module")
def _(folder: Path) -> None:
    path = folder / "x"
    path.mkdir()
    module = {"idx": 0, "name": "0", "path": "", "type": "evil.Evil"}
    (path / "modules.json").write_text(json.dumps([module]))
    (path / "evil.py").write_text(f"open('{MARK}', 'w')\nclass Evil: pass\n")


@case("transformers-remote-code", "encode x --data y --out z", "x", "trust_remote_code|code")
def _(folder: Path) -> None:
    path = folder / "x"
    path.mkdir()
    config = {
        "model_type": "evil",
        "auto_map": {"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil"},
    }
    (path / "config.json").write_text(json.dumps(config))
    (path / "evil.py").write_text(f"open('{MARK}', 'w')\nclass Evil: pass\n")
    (path / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    shutil.copytree(_prepared("beir"), folder / "y")


@case("npy-of-objects", "analyze x.npy", "x.npy", "Python objects")
def _(folder: Path) -> None:
    objects = np.empty(2, object)
    objects[:] = [Runs(), 1]
    (folder / "x.npy").write_bytes(npy(objects))


@case("npz-of-objects", "analyze x.npz", "x.npz", "Python objects")
def _(folder: Path) -> None:
    objects = np.empty(2, object)
    objects[:] = [Runs(), 1]
    zip_of(folder / "x.npz", {"embeddings.npy": npy(VECTORS), "ids.npy": npy(objects)})


@case("beir-shard", "analyze x", "corpus.0.pkl", NOT_READ)
def _(folder: Path) -> None:
    (folder / "x").mkdir()
    (folder / "x/corpus.0.pkl").write_bytes(dumped((VECTORS, [*IDS[:-1], Runs()])))
    (folder / "x/queries.pkl").write_bytes(dumped((VECTORS[:2], ["q1", "q2"])))


@case("tevatron", "analyze x.pkl", "x.pkl", NOT_READ)
def _(folder: Path) -> None:
    (folder / "x.pkl").write_bytes(dumped((VECTORS, Runs())))


@case("upstream-vectors", "analyze x", "passage_0__emb_p__data_obj_0.pb", NOT_READ)
def _(folder: Path) -> None:
    upstream_dump(folder / "x", emb=dumped({"a": Runs()}))


@case("upstream-ids", "analyze x", "passage_0__embid_p__data_obj_0.pb", NOT_READ)
def _(folder: Path) -> None:
    upstream_dump(folder / "x", embid=dumped([Runs()]))


@case("upstream-map", "analyze x", "pid2offset.pickle", NOT_READ)
def _(folder: Path) -> None:
    upstream_dump(folder / "x", pid2offset=dumped({1: Runs()}))


@case("torch-vectors", "analyze x.pt --data y", "x.pt", NOT_READ)
def _(folder: Path) -> None:
    zip_of(folder / "x.pt", torch_zip({"embeddings": Runs(), "ids": IDS}))
    shutil.copytree(_prepared("beir"), folder / "y")


@case("observed-map", "inspect pid2offset.pickle", "pid2offset.pickle", "")
def _(folder: Path) -> None:
    (folder / "pid2offset.pickle").write_bytes(dumped(Runs()))


def upstream_dump(folder: Path, **spoiled: bytes) -> None:
    """A small upstream dump of one rank, some of its files replaced."""
    folder.mkdir()
    numbers = np.arange(12, dtype=np.int64)
    named = {1000 + number: number for number in range(12)}
    files = {
        "passage_0__emb_p__data_obj_0.pb": spoiled.get("emb", dumped(VECTORS)),
        "passage_0__embid_p__data_obj_0.pb": spoiled.get("embid", dumped(numbers)),
        "dev_query_0__emb_p__data_obj_0.pb": dumped(VECTORS[:3]),
        "dev_query_0__embid_p__data_obj_0.pb": dumped(numbers[:3]),
        "pid2offset.pickle": spoiled.get("pid2offset", dumped(named)),
        "dev-query_qid2offset.pickle": dumped({q: q for q in range(3)}),
    }
    for name, data in files.items():
        if data:
            (folder / name).write_bytes(data)


# Archives ---------------------------------------------------------------------------------------


def released(path: Path, more: Callable[[zipfile.ZipFile], None]) -> None:
    """A released zip of a checkpoint folder, and what a case puts beside it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(_prepared("upstream").iterdir()):
            archive.write(file, f"Document ANCE(FirstP) Checkpoint/{file.name}")
        more(archive)


for _name in ("../evil", "/etc/evil", "a/../../evil", "C:/evil", "a\\..\\..\\evil"):

    @case(f"zip-slip-{_name}", "inspect x.zip", "x.zip", "outside the archive; refused")
    def _(folder: Path, name: str = _name) -> None:
        released(folder / "x.zip", lambda archive: archive.writestr(name, "x"))


@case("zip-link", "inspect x.zip", "x.zip", "is a link or a special file")
def _(folder: Path) -> None:
    info = zipfile.ZipInfo("Document ANCE(FirstP) Checkpoint/vocab2.json")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    released(folder / "x.zip", lambda archive: archive.writestr(info, "/etc/passwd"))


@case("zip-bomb", "inspect x.zip", "x.zip", "more than 100 times; refused")
def _(folder: Path) -> None:
    released(
        folder / "x.zip",
        lambda archive: archive.writestr("a/zeros.bin", bytes(2**28), compresslevel=1),
    )


@case("zip-of-a-zip-header", "inspect x.zip", "x.zip", "corrupt")
def _(folder: Path) -> None:
    (folder / "x.zip").write_bytes(b"PK\x03\x04" + bytes(100))


@case("zip-cut-short", "inspect x.zip", "x.zip", "corrupt")
def _(folder: Path) -> None:
    released(folder / "x.zip", lambda archive: None)
    cut(folder / "x.zip", 0.9)


@case("npz-bomb", "analyze x.npz", "x.npz", "more than 100 times; refused")
def _(folder: Path) -> None:
    data = npy_header("(70000000,)", "|u1") + bytes(70_000_000)
    zip_of(folder / "x.npz", {"embeddings.npy": data}, zipfile.ZIP_DEFLATED)


@case("gzip-bomb", "inspect x", "corpus.jsonl.gz", "longer than|grows more than")
def _(folder: Path) -> None:
    path = collection(folder)
    (path / "corpus.jsonl").unlink()
    with gzip.open(path / "corpus.jsonl.gz", "wb", compresslevel=1) as file:
        for _number in range(70):
            file.write(b" " * 2**20)


# Headers that lie, wrong magic, truncations -----------------------------------------------------


def cut(path: Path, share: float) -> None:
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


@case("npy-of-three-terabytes", "analyze x.npy", "x.npy", "header says float32 of shape")
def _(folder: Path) -> None:
    (folder / "x.npy").write_bytes(npy_header("(1000000000, 768)") + bytes(64))


@case("npy-overflow", "analyze x.npy", "x.npy", "header says")
def _(folder: Path) -> None:
    (folder / "x.npy").write_bytes(npy_header("(4611686018427387904, 8)") + bytes(64))


@case("npy-wrong-magic", "analyze x.npy", "x.npy", "")
def _(folder: Path) -> None:
    (folder / "x.npy").write_bytes(b"\x93NUMPX" + npy(VECTORS)[6:])


@case("safetensors-header-of-an-exabyte", "inspect x.safetensors", "x.safetensors", "")
def _(folder: Path) -> None:
    (folder / "x.safetensors").write_bytes(struct.pack("<Q", 2**60) + b"{}")


@case("safetensors-shape", "inspect x.safetensors", "x.safetensors", "disagrees|cut short")
def _(folder: Path) -> None:
    entry = {"dtype": "F32", "shape": [2**40, 768], "data_offsets": [0, 16]}
    text = json.dumps({"embeddingHead.weight": entry}).encode()
    (folder / "x.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(16))


@case("weights-storage-smaller-than-said", "inspect x.pt", "x.pt", "does not fit")
def _(folder: Path) -> None:
    import torch

    buffer = io.BytesIO()
    torch.save({"embeddingHead.weight": torch.zeros(250)}, buffer)
    with zipfile.ZipFile(buffer) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    lie = b"M" + struct.pack("<H", 65_000)
    changed = {
        n: d.replace(b"K\xfa", lie) if n.endswith("data.pkl") else d for n, d in members.items()
    }
    zip_of(folder / "x.pt", changed)


@case("faiss-count", "analyze x.faiss", "x.faiss", "")
def _(folder: Path) -> None:
    (folder / "x.faiss").write_bytes(faiss_flat(2**40))


@case("faiss-inside-itself", "analyze x.faiss", "x.faiss", "")
def _(folder: Path) -> None:
    head = struct.pack("<iqqqbi", 4, 12, 2**20, 2**20, 1, 0)
    (folder / "x.faiss").write_bytes((b"IxMp" + head) * 5000)


@case("faiss-unknown", "analyze x.faiss", "x.faiss", "")
def _(folder: Path) -> None:
    (folder / "x.faiss").write_bytes(b"IxPq" + faiss_flat(12)[4:])


def faiss_flat(count: int) -> bytes:
    head = struct.pack("<iqqqbi", 4, count, 2**20, 2**20, 1, 0)
    return b"IxFI" + head + struct.pack("<Q", count * 4) + VECTORS.tobytes()


for _share in (0.05, 0.3, 0.6, 0.9, 0.99):

    @case(f"faiss-cut-{_share}", "analyze x.faiss", "x.faiss", "")
    def _(folder: Path, share: float = _share) -> None:
        (folder / "x.faiss").write_bytes(faiss_flat(12))
        cut(folder / "x.faiss", share)

    @case(f"upstream-cut-{_share}", "analyze x", "passage_0__emb_p__data_obj_0.pb", "")
    def _(folder: Path, share: float = _share) -> None:
        data = dumped(VECTORS)
        upstream_dump(folder / "x", emb=data[: int(share * len(data))])

    @case(f"parquet-cut-{_share}", "analyze x.parquet", "x.parquet", "")
    def _(folder: Path, share: float = _share) -> None:
        parquet(folder / "x.parquet", IDS, VECTORS.tolist())
        cut(folder / "x.parquet", share)

    @case(f"weights-cut-{_share}", "inspect x", "pytorch_model.bin", "")
    def _(folder: Path, share: float = _share) -> None:
        cut(checkpoint(folder) / "pytorch_model.bin", share)


def parquet(path: Path, ids: list[str], rows: list[Any], **more: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"id": ids, "embedding": rows}), path, **more)


@case("parquet-bomb", "analyze x.parquet", "x.parquet", "times")
def _(folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = pa.array([0.0] * 768, pa.float32())
    once = pa.FixedSizeListArray.from_arrays(row, 768)
    schema = pa.schema({"id": pa.string(), "embedding": once.type})
    block = pa.table({"id": [""] * 20_000, "embedding": pa.concat_arrays([once] * 20_000)}, schema)
    with pq.ParquetWriter(folder / "x.parquet", schema, compression="zstd") as writer:
        for _number in range(10):
            writer.write_table(block)


@case("arrow-not-one", "analyze x.arrow", "x.arrow", "")
def _(folder: Path) -> None:
    (folder / "x.arrow").write_bytes(b"ARROW1\0\0" + bytes(200) + b"ARROW1")


# Content: NaN, ids, counts ----------------------------------------------------------------------


@case("nan", "analyze x.npy", "x", "row 5 has NaN")
def _(folder: Path) -> None:
    rows = VECTORS.copy()
    rows[5, 2] = np.nan
    (folder / "x.npy").write_bytes(npy(rows))


@case("nan-in-an-upstream-dump", "analyze x", "x", "NaN")
def _(folder: Path) -> None:
    rows = VECTORS.copy()
    rows[5, 2] = np.inf
    upstream_dump(folder / "x", emb=dumped(rows))


@case("no-rows", "analyze x.npy", "x", "")
def _(folder: Path) -> None:
    (folder / "x.npy").write_bytes(npy(np.zeros((0, 8), np.float32)))


@case("duplicate-ids", "analyze x.npy --ids ids.txt", "x.npy", "'d3'")
def _(folder: Path) -> None:
    (folder / "x.npy").write_bytes(npy(VECTORS))
    (folder / "ids.txt").write_text("\n".join([*IDS[:-1], "d3"]) + "\n")


@case("missing-id", "analyze x.npy --ids ids.txt", "ids.txt", "11 ids for 12 vectors")
def _(folder: Path) -> None:
    (folder / "x.npy").write_bytes(npy(VECTORS))
    (folder / "ids.txt").write_text("\n".join(IDS[:-1]) + "\n")


@case("empty-id", "analyze x.npy --ids ids.txt", "ids.txt", "row 4 is empty")
def _(folder: Path) -> None:
    (folder / "x.npy").write_bytes(npy(VECTORS))
    (folder / "ids.txt").write_text("\n".join([*IDS[:4], "", *IDS[5:]]) + "\n")


@case("id-with-a-tab", "analyze x.npz", "x.npz", "row 3 is empty or holds a tab")
def _(folder: Path) -> None:
    ids = np.array([*IDS[:3], "a\tb", *IDS[4:]])
    zip_of(folder / "x.npz", {"embeddings.npy": npy(VECTORS), "ids.npy": npy(ids)})


@case("id-with-a-line-break", "analyze x.parquet", "x.parquet", "row 3 is empty or holds a tab")
def _(folder: Path) -> None:
    parquet(folder / "x.parquet", [*IDS[:3], "a\nb", *IDS[4:]], VECTORS.tolist())


@case("rows-of-different-lengths", "analyze x.jsonl", "x.jsonl", "line 4")
def _(folder: Path) -> None:
    rows = VECTORS.tolist()
    rows[3] = rows[3][:2]
    lines = [json.dumps({"id": i, "vector": row}) for i, row in zip(IDS, rows, strict=True)]
    (folder / "x.jsonl").write_text("\n".join(lines))


@case("deep-jsonl", "analyze x.jsonl", "x.jsonl", "")
def _(folder: Path) -> None:
    first = json.dumps({"id": "a", "vector": [1.0, 2.0]})
    (folder / "x.jsonl").write_text(first + '\n{"id": "b", "vector": ' + "[" * 500_000 + "\n")


@case("upstream-counts-disagree", "analyze x", "__emb", "")
def _(folder: Path) -> None:
    upstream_dump(folder / "x", embid=dumped(np.arange(11)))


@case("upstream-offset-without-a-name", "analyze x", "x", "")
def _(folder: Path) -> None:
    upstream_dump(folder / "x", embid=dumped(np.arange(12) + 100))


@case("upstream-without-a-map", "analyze x", "x", "offset")
def _(folder: Path) -> None:
    upstream_dump(folder / "x", pid2offset=b"")


@case("upstream-rank-missing", "analyze x", "passage_0__emb", "")
def _(folder: Path) -> None:
    upstream_dump(folder / "x")
    path = folder / "x/passage_0__emb_p__data_obj_0.pb"
    path.rename(path.with_name("passage_0__emb_p__data_obj_1.pb"))


@case("int8-without-a-scale", "analyze x.npy", "x.npy", "--scale")
def _(folder: Path) -> None:
    (folder / "x.npy").write_bytes(npy((VECTORS * 30).astype(np.int8)))


@case("dimensions-differ", "analyze x.npy --queries y.npy", "x", "dimensions")
def _(folder: Path) -> None:
    (folder / "x.npy").write_bytes(npy(VECTORS))
    (folder / "y.npy").write_bytes(npy(VECTORS[:, :3]))


# What is no file --------------------------------------------------------------------------------


@case("circle-of-links", "analyze x.npy", "x.npy", "")
def _(folder: Path) -> None:
    (folder / "x.npy").symlink_to("x.npy")


@case("device-as-ids", "analyze x.npy --ids zero", "zero", "is a device")
def _(folder: Path) -> None:
    (folder / "x.npy").write_bytes(npy(VECTORS))
    (folder / "zero").symlink_to("/dev/zero")


@case("pipe-as-weights", "inspect x", "pytorch_model.bin", "")
def _(folder: Path) -> None:
    path = checkpoint(folder) / "pytorch_model.bin"
    path.unlink()
    os.mkfifo(path)


@case("device-in-a-store", "analyze x", "ids.txt", "")
def _(folder: Path) -> None:
    path = store(folder) / "documents/ids.txt"
    path.unlink()
    path.symlink_to("/dev/zero")


@case("device-as-qrels", "analyze x.npy --queries y.npy --qrels zero", "zero", "is a device")
def _(folder: Path) -> None:
    (folder / "x.npy").write_bytes(npy(VECTORS))
    (folder / "y.npy").write_bytes(npy(VECTORS[:3]))
    (folder / "zero").symlink_to("/dev/zero")


# Stores -----------------------------------------------------------------------------------------


@case("store-path-out-of-it", "analyze x", "manifest.json", "")
def _(folder: Path) -> None:
    path = store(folder) / "manifest.json"
    text = path.read_text().replace("embeddings-00000.npy", "../../../secret.npy")
    path.write_text(text)


@case("store-deep-manifest", "analyze x", "manifest.json", "nested too deep")
def _(folder: Path) -> None:
    path = store(folder) / "manifest.json"
    path.write_text('{"format": "anisotropy.store/1", "sides": ' + "[" * 300_000)


@case("store-counts", "analyze x", "", "")
def _(folder: Path) -> None:
    path = store(folder) / "manifest.json"
    path.write_text(path.read_text().replace('"rows": 12', '"rows": 1000000000000'))


@case("store-shard-cut", "analyze x", "embeddings-00000.npy", "cut short or swapped")
def _(folder: Path) -> None:
    cut(store(folder) / "documents/embeddings-00000.npy", 0.8)


@case("store-of-objects", "analyze x", "embeddings-00000.npy", "")
def _(folder: Path) -> None:
    objects = np.empty(2, object)
    objects[:] = [Runs(), 1]
    (store(folder) / "documents/embeddings-00000.npy").write_bytes(npy(objects))


# Texts and settings -----------------------------------------------------------------------------


@case("deep-config", "inspect x", "config.json", "nested too deep")
def _(folder: Path) -> None:
    (checkpoint(folder) / "config.json").write_text('{"a":' * 200_000)


@case("config-of-a-giant", "inspect x", "", "")
def _(folder: Path) -> None:
    path = checkpoint(folder) / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "hidden_size": 2**40}))


@case("deep-tokenizer", "encode x --data y --out z --recipe ance", "vocab.json", "nested too deep")
def _(folder: Path) -> None:
    (checkpoint(folder) / "vocab.json").write_text('{"a":' * 200_000)
    shutil.copytree(_prepared("beir"), folder / "y")


@case("deep-corpus", "inspect x", "corpus.jsonl", "line 1")
def _(folder: Path) -> None:
    (collection(folder) / "corpus.jsonl").write_text('{"_id": ' + "[" * 500_000)


@case("huge-line", "inspect x", "corpus.jsonl", "longer than")
def _(folder: Path) -> None:
    (collection(folder) / "corpus.jsonl").write_bytes(b"x" * (64 * 2**20 + 10))


@case("corpus-not-utf-8", "inspect x", "corpus.jsonl", "not UTF-8")
def _(folder: Path) -> None:
    (collection(folder) / "corpus.jsonl").write_bytes(b'{"_id": "\xff\xfe"}\n')


@case("run-with-a-bad-line", "analyze run.trec --qrels qrels.tsv", "run.trec", "line 2")
def _(folder: Path) -> None:
    (folder / "run.trec").write_text("q1 Q0 d1 1 3.5 x\nq1 Q0 d2 zwei 3.4 x\n")
    (folder / "qrels.tsv").write_text("q1 0 d1 1\n")


@case("run-of-nan", "analyze run.trec --qrels qrels.tsv", "run.trec", "line 2")
def _(folder: Path) -> None:
    (folder / "run.trec").write_text("q1 Q0 d1 1 3.5 x\nq1 Q0 d2 2 nan x\n")
    (folder / "qrels.tsv").write_text("q1 0 d1 1\n")


@case("config-of-endless-layers", "inspect x", "num_hidden_layers", "allowed: at most 1000")
def _(folder: Path) -> None:
    """The library builds every layer, even of a model that is only described."""
    path = checkpoint(folder) / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "num_hidden_layers": 2**100}))
