"""Every reader of files from elsewhere: a folder of good files, and what a command calls on it."""

from __future__ import annotations

import argparse
import gzip
import json
import pickle
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.hostile.corpus import IDS, VECTORS

Read = Callable[[Path, Path], Any]
FILES = Path(__file__).parents[1] / "spaces" / "dumps" / "files"
#: Layouts of which no file here is edited in spaces/dumps/test_hostile.py.
DUMPS = (
    *("numpy/chunked.npy", "numpy/texts.npy", "numpy/chunks.npz", "numpy/sides.npz"),
    *("numpy/both", "sentence_transformers/uint8.npy", "sentence_transformers/encode.pt"),
    *("tevatron/old/corpus.pkl", "beir/float16", "safetensors/sides.safetensors"),
    *("safetensors/int8_metadata.safetensors", "safetensors/bfloat16.safetensors"),
    *("arrow/chunks.parquet", "arrow/large.parquet", "arrow/both", "arrow/datasets_lists"),
    *("arrow/polars.arrow", "jsonl/numbers.jsonl", "torch/bfloat16.pt", "torch/tuple.pt"),
    *("faiss/both", "faiss/idmap_hnsw.faiss", "faiss/sq_bf16.faiss", "faiss/ivf_flat.faiss"),
    *("pyserini/jsonl", "pyserini/shardfull", "flex/uuid", "flex/padded", "flex/stored"),
)


@dataclass(frozen=True)
class Reader:
    """A reader.

    Attributes
    ----------
    write
        Writes good files into a folder.
    read
        Called with the folder and the file of it that was edited.
    examples
        Edits in a plain run of the tests: about half a second.
    """

    write: Callable[[Path], object]
    read: Read
    examples: int = 40


def touch(value: Any) -> None:
    """Look at all that was read: what lies behind a memory map too."""
    from anisotropy.untrusted.tensors import TensorEntry

    if isinstance(value, TensorEntry):
        value = value.array()
    if isinstance(value, np.ndarray):
        value.tobytes()
    elif isinstance(value, Mapping):
        for one in value.values():
            touch(one)
    elif isinstance(value, list | tuple):
        for one in value:
            touch(one)


def _file(read: Callable[[Path], Any]) -> Read:
    return lambda folder, path: touch(read(path))


# Untrusted files one by one ----------------------------------------------------------------------


def write_npy(folder: Path) -> None:
    np.save(folder / "rows.npy", VECTORS)
    np.save(folder / "ids.npy", np.array(IDS))
    np.save(folder / "fortran.npy", np.asfortranarray(VECTORS))
    with (folder / "second.npy").open("wb") as file:
        np.lib.format.write_array(file, np.arange(4), version=(2, 0))


def write_npz(folder: Path) -> None:
    np.savez(folder / "stored.npz", embeddings=VECTORS, ids=np.array(IDS))
    np.savez_compressed(folder / "packed.npz", embeddings=np.ones((9, 99)), ids=np.array(["x"]))


def write_pickles(folder: Path) -> None:
    values = (VECTORS, (np.ones((2, 2000), "f4"), ["a", "b"]), {"k": 1, "x": [1, {2}, None, b"x"]})
    named = {"a": np.float32(2), "b": np.arange(3), "c": np.array(["x"])}
    for protocol in range(6):
        for number, value in enumerate((*values, named)):
            path = folder / f"{protocol}-{number}.pkl"
            path.write_bytes(pickle.dumps(value, protocol))


def write_torch(folder: Path) -> None:
    import torch

    state = {
        "a.weight": torch.arange(12.0).reshape(3, 4),
        "b": torch.arange(5)[1:],
        "c": torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16)),
    }
    arguments = argparse.Namespace(a=1, d=torch.device("cpu"), p=Path("x"), n=np.float64(1))
    for name, value in (("state", state), ("arguments", arguments)):
        torch.save(value, folder / f"{name}.pt")
        torch.save(value, folder / f"{name}.bin", _use_new_zipfile_serialization=False)
    (folder / "plain.bin").write_bytes(pickle.dumps(arguments, 2))


def write_safetensors(folder: Path) -> None:
    from safetensors.numpy import save_file

    tensors = {"a": VECTORS, "b": np.arange(3), "c": np.zeros((0, 4), np.float16)}
    save_file(tensors, folder / "x.safetensors", {"scale": "0.5"})


def write_json(folder: Path) -> None:
    (folder / "x.json").write_text(json.dumps({"a": [1, 2.5, None], "b": {"c": "é"}}))


def read_tensors(path: Path) -> Any:
    from anisotropy.untrusted.safetensors_files import read_safetensors

    return read_safetensors(path)


def _untrusted(name: str, function: str) -> Callable[[Path], Any]:
    def read(path: Path) -> Any:
        from importlib import import_module

        return getattr(import_module(f"anisotropy.untrusted.{name}"), function)(path)

    return read


# Checkpoints -------------------------------------------------------------------------------------


def describe(folder: Path, path: Path) -> None:
    """``anisotropy inspect FOLDER``, printed both ways."""
    printed(folder)


def printed(thing: Path) -> None:
    """Describe a thing; what forbids its use is said as an error would be."""
    from anisotropy.files import dump_json
    from anisotropy.inspection import as_text
    from anisotropy.inspection import describe as found_of

    found = found_of(thing)
    assert all(line.isprintable() for line in as_text(found).split("\n"))
    dump_json(found).encode()
    for problem in found.get("problems", ()):
        complaint(problem)


def complaint(text: str) -> None:
    """What every message to a user is."""
    assert len(text.splitlines()) == 1, repr(text)
    assert text.isprintable(), repr(text)
    assert len(text) < 700, repr(text)


def write_upstream(folder: Path) -> None:
    from tests.encoders.building import write_upstream

    arguments = {"max_seq_length": 512, "model_type": "rdot_nll", "learning_rate": 1e-6}
    write_upstream(folder, arguments=arguments)


def read_checkpoint(folder: Path, path: Path) -> None:
    """Describe it, and make tokens as ``encode`` does before it loads weights."""
    from anisotropy.encoders import open_encoder, open_tokenizer

    printed(folder)
    open_encoder(folder)
    open_tokenizer(folder).encode(["the apple grows", "a\u0301 ☂"], 9)


def write_own(folder: Path) -> None:
    """A checkpoint of ours, with a tokenizer.json and what training leaves beside it."""
    from anisotropy.encoders.folders import CHECKPOINT_FORMAT
    from tests.making import make_checkpoint

    shutil.rmtree(folder)
    make_checkpoint(folder)
    record = {
        "format": CHECKPOINT_FORMAT,
        "start": "/nowhere/ance.ckpt",
        "stages": [{"config": {"steps": 3}, "selected_step": 2}],
        "extra_files": ["x"],
    }
    (folder / "training.json").write_text(json.dumps(record))
    rows = [f"ance,{n},{n / 10},0.5\n" for n in range(4)]
    (folder / "history.csv").write_text("stage,step,loss,dev\n" + "".join(rows))


def read_own(folder: Path, path: Path) -> None:
    from anisotropy.encoders.folders import check_target, step_of
    from anisotropy.encoders.histories import read_history

    check_target(folder)
    step_of(folder)
    read_history(folder)
    printed(folder)


def write_tokenizer(folder: Path) -> None:
    """An upstream checkpoint whose tokenizer is one file."""
    from tokenizers import ByteLevelBPETokenizer

    from tests.making import tokenizer

    write_upstream(folder)
    known = tokenizer()
    bpe = ByteLevelBPETokenizer(dict(known.vocabulary), list(known.merges))
    for name in ("vocab.json", "merges.txt"):
        (folder / name).unlink()
    bpe.save(str(folder / "tokenizer.json"))


def read_tokenizer(folder: Path, path: Path) -> None:
    from anisotropy.encoders import open_tokenizer

    open_tokenizer(folder).encode(["the apple", "☂"], 9)


def write_modules(folder: Path) -> None:
    """A sentence-transformers folder."""
    from tests.tiny_modules import build, write_plain

    plain = write_plain(folder.with_name(f"{folder.name}-plain"))
    build(plain, folder, extra="dense", prompts={"query": "q: ", "document": ""})


def write_router(folder: Path) -> None:
    """A sentence-transformers folder with a module that chooses by side; without weights."""
    from tests.tiny_modules import build, write_plain

    plain = write_plain(folder.with_name(f"{folder.name}-plain"))
    build(plain, folder, extra="router")
    for path in folder.rglob("*.safetensors"):
        path.unlink()


def read_modules(folder: Path, path: Path) -> None:
    """Load it, as ``encode`` does."""
    from anisotropy.encoders import open_encoder

    assert open_encoder(folder).dim == 16


def write_dpr(folder: Path) -> None:
    import torch

    from tests.encoders import building_dpr

    building_dpr.write_backbone(folder)
    torch.save(building_dpr.contents(building_dpr.make_state(), "fp32"), folder / "nq.cp")


def read_dpr(folder: Path, path: Path) -> None:
    from anisotropy.encoders import open_encoder

    printed(folder / "nq.cp")
    open_encoder(folder / "nq.cp")


def write_released(folder: Path) -> None:
    """A zip as released, of small files alone."""
    import zipfile

    scratch = folder.with_name(f"{folder.name}-inside")
    write_upstream(scratch)
    with zipfile.ZipFile(folder / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(scratch.iterdir()):
            archive.write(path, f"Passage ANCE(FirstP) Checkpoint/{path.name}")


def read_released(folder: Path, path: Path) -> None:
    from anisotropy.encoders import open_encoder

    printed(path)
    open_encoder(path)


def write_series(folder: Path) -> None:
    import torch

    for step in (20, 100):
        place = folder / f"checkpoint-{step}"
        place.mkdir()
        torch.save({"a": torch.ones(3)}, place / "pytorch_model.bin")
        (place / "config.json").write_text("{}")


def write_recipes(folder: Path) -> None:
    from anisotropy.encoders import named_recipe
    from anisotropy.files import write_json

    write_json(folder / "recipe.json", named_recipe("dance").as_dict())
    lines = ['similarity = "dot"', "temperature = 0.5", 'fields = ["title", "text"]']
    (folder / "recipe.toml").write_text("\n".join(lines))


def read_recipe(path: Path) -> Any:
    from anisotropy.encoders import load_recipe

    return load_recipe(path)


# Stores, results, configurations -----------------------------------------------------------------


def write_store(folder: Path) -> None:
    """Several vectors a document, two shards, training queries."""
    import anisotropy as an
    from anisotropy.spaces.store import save_space

    known: dict[str, Any] = {
        "doc_ids": IDS[:6],
        "document_of_row": np.repeat(np.arange(6), 2),
        "padding": np.arange(12) == 11,
    }
    pool = an.EmbeddingSpace(VECTORS[3:5], VECTORS, qrels={"0": {"d2": 1}}, **known)
    space = an.EmbeddingSpace(VECTORS[:3], VECTORS, qrels={"0": {"d1": 1}}, training=pool, **known)
    save_space(space, folder, shard_items=8)


def read_store(folder: Path, path: Path) -> None:
    """Open it with the sizes that the manifest states, and with those of the edited file."""
    from anisotropy.errors import AnisotropyError
    from anisotropy.spaces.store import open_store

    manifest = folder / "manifest.json"
    if path != manifest:
        before = manifest.read_bytes()
        try:
            manifest.write_bytes(_restated(before, path))
            _opened(open_store(folder))
        finally:
            manifest.write_bytes(before)
    else:
        printed(folder)
        try:
            open_store(folder, verify=True)
        except AnisotropyError as error:
            complaint(str(error))
        _opened(open_store(folder))


def _restated(manifest: bytes, path: Path) -> bytes:
    """The manifest with the size of one file as it is now."""
    content = json.loads(manifest)
    side = content["sides"].get(path.parent.name, content)
    entries = [*side.get("shards", ()), *(one for one in side.values() if isinstance(one, dict))]
    for entry in entries:
        if entry.get("file") == path.name:
            entry["bytes"] = path.stat().st_size
    return json.dumps(content).encode()


def _opened(space: Any) -> None:
    for one in filter(None, (space, space.training)):
        "".join([*one.query_ids, *one.doc_ids]).encode()
        touch([np.asarray(one.queries[:]), np.asarray(one.documents[:]), one.qrels, one.doc_ids])


def write_unfinished(folder: Path) -> None:
    with _writer(folder) as writer:
        writer.write_shard("documents", 0, VECTORS[:4])


def read_unfinished(folder: Path, path: Path) -> None:
    """As ``encode --out`` looks at what is there; what it goes on to write is taken away."""
    before = {one: one.read_bytes() for one in folder.rglob("*") if one.is_file()}
    try:
        with _writer(folder) as writer:
            writer.has_shard("documents", 0, 4)
    finally:
        for one, content in before.items():
            one.write_bytes(content)


def _writer(folder: Path) -> Any:
    from anisotropy.spaces.store import StoreHeader, StoreWriter

    header = StoreHeader({}, {}, {}, "all", VECTORS.shape[1], "float32", "the same")
    return StoreWriter(folder, header, shard_items=4)


def write_results(folder: Path) -> None:
    from tests.plots.sample import comparison, thin

    thin(comparison()).write(folder)


def read_results(folder: Path, path: Path) -> None:
    from anisotropy.results import Results

    Results.read(folder)


def write_settings(folder: Path) -> None:
    from anisotropy.comparison.claims import paper_claims, write_claims

    lines = ['measures = "mean_cosine"', "seed = 3", 'data = "docstrings"', "exact = true"]
    (folder / "analyze.toml").write_text("\n".join(lines))
    lines = ["batch_size = 8", 'optimizer = "lamb"', "[dual]", "steps = 30", "dropout = 0.5"]
    (folder / "train.toml").write_text("\n".join(lines))
    write_claims(paper_claims(), folder / "claims.json")
    (folder / "margins.toml").write_text('[margins]\n"ranking.recipe.nDCG@10" = 0.01\n')


def read_settings(folder: Path, path: Path) -> None:
    from anisotropy.cli import analyze
    from anisotropy.cli.options import resolve
    from anisotropy.comparison.claims import read_claims
    from anisotropy.errors import AnisotropyError
    from anisotropy.training import load_config, stage_configs

    if path.name in ("claims.json", "margins.toml"):
        read_claims(path)
    elif path.name == "train.toml":
        values = load_config(path)
        try:
            stage_configs("dance", values)  # with options put over it: no file to name
        except AnisotropyError as error:
            complaint(str(error))
    else:
        resolve({"config": str(path)}, analyze.DEFAULTS)


# Collections, runs, negatives --------------------------------------------------------------------


def read_collection(folder: Path, path: Path) -> None:
    """Describe it, then read it as encoding does."""
    from anisotropy.collection import open_collection

    printed(folder)
    found = open_collection(folder)
    for document in found.documents():
        str(document.text)
    for split in found.splits:
        found.queries(split)
        found.qrels(split)


def write_beir(folder: Path, packed: bool = False) -> None:
    from tests.collection.folders import beir

    beir(folder, packed=packed)


def write_msmarco(folder: Path) -> None:
    from tests.collection.test_msmarco import documents_folder, folder_of

    folder_of(folder, documents_folder())
    (folder / "msmarco-doctrain-top100").unlink()


def write_passages(folder: Path) -> None:
    files = {
        "collection.tsv": "11\tA copper bridge.\n12\tRain.\n13\tThird\n",
        "queries.dev.small.tsv": "3\tthird\n",
        "qrels.dev.small.tsv": "3\t0\t13\t1\n",
    }
    for name, text in files.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def write_judgments(folder: Path) -> None:
    (folder / "trec.txt").write_text("q1 0 d1 1\nq1 0 d2 0\nq2 0 d1 2\n")
    (folder / "beir.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td2\t1\n")
    (folder / "plain.tsv").write_text("q1\t0\td1\t1\nq2\t0\td2\t1\n")


def read_qrels(path: Path) -> Any:
    from anisotropy.collection.judgments import read_judgments

    return read_judgments(path).qrels


def write_offsets(folder: Path) -> None:
    for protocol in (0, 2, 4):
        named = {70: 0, 3: 1, 41: 2}
        (folder / f"{protocol}-pid2offset.pickle").write_bytes(pickle.dumps(named, protocol))
    (folder / "pid2offset").write_text("a\t0\nb\t2\nc\t1\n")
    (folder / "offsets.json").write_text(json.dumps({"documents": ["a", "b"], "queries": ["q"]}))
    np.save(folder / "ids.npy", np.array([7, 8, 9]))


def read_offsets(path: Path) -> Any:
    from anisotropy.collection.offsets import read_offsets

    found = read_offsets(path, "documents")
    return found.names(found.size) if found.size < 10_000 else None


def write_ids(folder: Path) -> None:
    (folder / "ids.txt").write_text("\n".join(IDS) + "\n")
    (folder / "ids.tsv").write_text("".join(f"{name}\ttext of {name}\n" for name in IDS))
    (folder / "ids.json").write_text(json.dumps(IDS))
    np.save(folder / "ids.npy", np.array(IDS))


def read_ids(path: Path) -> Any:
    from anisotropy.spaces.dumps.base import check_ids
    from anisotropy.spaces.dumps.ids import read_ids

    ids, _ = read_ids(path)
    check_ids(ids, len(IDS), str(path))


def write_runs(folder: Path) -> None:
    trec = "".join(f"q{q} Q0 d{d} {d + 1} {9.5 - d} tag\n" for q in range(2) for d in range(4))
    plain = "".join(f"{q}\t{d}\t{d + 1}\n" for q in range(2) for d in range(4))
    (folder / "x.trec").write_text(trec)
    (folder / "x.tsv").write_text(plain)
    (folder / "x.trec.gz").write_bytes(gzip.compress(trec.encode(), mtime=0))


def read_run(folder: Path, path: Path) -> None:
    from anisotropy.collection.runs import is_run, read_run

    is_run(path)
    run = read_run(path)
    read_run(path, "ranks")
    for query in run.query_ids:
        run.ranking(query)


def write_negatives(folder: Path) -> None:
    from anisotropy.training.negative_files import TrainingLine, write_set

    lines = [TrainingLine(q, 10 + q, [20 + q, 30 + q, 40], [5, 6] if q else [7]) for q in range(4)]
    write_set(folder, 0, lines, {"checkpoint": "run/checkpoint-20/", "ndcg": 0.25})
    write_set(folder, 1, lines, {"checkpoint": "run/checkpoint-40/", "ndcg": 0.5}, grouping=2)


def read_negatives(folder: Path, path: Path) -> None:
    """``inspect``, ``analyze`` and training on the sets of a folder."""
    from anisotropy.collection.negative_files import read_set, set_file, set_number
    from anisotropy.workflow.observed import analyze_negatives

    printed(folder)
    number = set_number(path)
    number = int(path.name[-1]) if number is None else number
    analyze_negatives({"x": set_file(folder, number)})
    read_set(folder, number)


def write_cache(folder: Path) -> None:
    from tests.collection.preprocessed import dance

    dance(folder)


def write_ance(folder: Path) -> None:
    from tests.collection.preprocessed import ance

    ance(folder)


def write_dpr_cache(folder: Path) -> None:
    from tests.collection.preprocessed import dpr

    dpr(folder)


# Dumps -------------------------------------------------------------------------------------------


def write_dumps(folder: Path) -> None:
    """Copies of the dumps that other tools wrote, each in a folder of its own."""
    for name in DUMPS:
        source, place = FILES / name, folder / name.replace("/", "-")
        place.mkdir()
        if source.is_dir():
            shutil.copytree(source, place / source.name)
            continue
        for path in source.parent.glob(f"{source.stem}.*"):
            shutil.copy(path, place)


def read_dump(folder: Path, path: Path) -> None:
    from anisotropy.spaces.dumps.base import DumpOptions

    name = path.relative_to(folder).parts[0]
    source = next(one for one in DUMPS if one.replace("/", "-") == name)
    scale = 0.5 if "int8" in name else None
    _dump(folder / name / Path(source).name, DumpOptions(similarity="dot", scale=scale))


def _dump(path: Path, options: Any) -> None:
    from anisotropy.spaces.dumps.opening import is_dump, open_dump

    if is_dump(path):
        _opened(open_dump(path, options))


def write_upstream_dump(folder: Path) -> None:
    from tests.collection.preprocessed import dance
    from tests.spaces.dumps.upstream_files import dance_dump, write_set

    dance_dump(folder, chunks=2)
    write_set(folder, "train_query", 3, form="npy")
    scratch = dance(folder.with_name(f"{folder.name}-maps"))
    for path in scratch.glob("*2offset.pickle"):
        shutil.copy(path, folder)


def read_upstream_dump(folder: Path, path: Path) -> None:
    from anisotropy.spaces.dumps.base import DumpOptions

    printed(folder)
    _dump(folder, DumpOptions())


READERS: dict[str, Reader] = {
    "npy": Reader(write_npy, _file(_untrusted("arrays", "open_npy")), 150),
    "npz": Reader(write_npz, _file(_untrusted("arrays", "open_npz")), 100),
    "pickle": Reader(write_pickles, _file(_untrusted("arrays", "open_pickled")), 250),
    "torch": Reader(write_torch, _file(_untrusted("torch_files", "read_torch")), 150),
    "safetensors": Reader(write_safetensors, _file(read_tensors), 100),
    "json": Reader(write_json, _file(_untrusted("texts", "read_json")), 50),
    "upstream-checkpoint": Reader(write_upstream, read_checkpoint),
    "own-checkpoint": Reader(write_own, read_own),
    "tokenizer": Reader(write_tokenizer, read_tokenizer),
    "sentence-transformers": Reader(write_modules, describe, 15),
    "router": Reader(write_router, describe, 15),
    "modules": Reader(write_modules, read_modules, 10),
    "dpr": Reader(write_dpr, read_dpr),
    "released-zip": Reader(write_released, read_released, 15),
    "series": Reader(write_series, describe),
    "recipe": Reader(write_recipes, _file(read_recipe)),
    "store": Reader(write_store, read_store, 80),
    "unfinished-store": Reader(write_unfinished, read_unfinished),
    "results": Reader(write_results, read_results),
    "settings": Reader(write_settings, read_settings),
    "beir": Reader(write_beir, read_collection),
    "beir-gzip": Reader(lambda folder: write_beir(folder, True), read_collection, 20),
    "msmarco": Reader(write_msmarco, read_collection),
    "msmarco-gzip": Reader(write_passages, read_collection, 20),
    "upstream-cache": Reader(write_cache, read_collection),
    "ance-cache": Reader(write_ance, read_collection, 20),
    "dpr-cache": Reader(write_dpr_cache, read_collection, 20),
    "judgments": Reader(write_judgments, _file(read_qrels)),
    "offsets": Reader(write_offsets, _file(read_offsets), 80),
    "ids": Reader(write_ids, _file(read_ids)),
    "runs": Reader(write_runs, read_run),
    "negatives": Reader(write_negatives, read_negatives),
    "upstream-dump": Reader(write_upstream_dump, read_upstream_dump),
    "dumps": Reader(write_dumps, read_dump, 100),
}
