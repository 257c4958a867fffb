"""What all layouts have in common: blocks and shards put together, ids given, options used."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from anisotropy.collection import open_collection
from anisotropy.errors import EmbeddingsError, UsageError
from anisotropy.inspection import as_text, describe
from anisotropy.spaces.dumps import flex, numpy_files
from anisotropy.spaces.dumps.base import DumpOptions
from anisotropy.spaces.dumps.buffers import RowBuffer
from anisotropy.spaces.dumps.opening import open_dump
from anisotropy.untrusted import arrays, pickles, torch_files
from tests.making import make_collection

FILES = Path(__file__).parent / "files"


@pytest.mark.parametrize("spill", [1, 10**6])
@pytest.mark.parametrize("other", [np.full((2, 2), 7.0, "f8"), np.full((2, 4), 7.0, "f4")])
def test_blocks_of_another_kind(spill: int, other: np.ndarray) -> None:
    buffer = RowBuffer("x", 10**6, spill)
    buffer.append(np.ones((2, 2), "f4"))
    with pytest.raises(EmbeddingsError, match="needed: all alike"):
        buffer.append(other)
    assert np.array_equal(buffer.whole(), np.ones((2, 2)))


def saved_dataset(folder: Path, *types: pa.DataType) -> Path:
    """A folder as `datasets` saves it, each shard with vectors of its own type."""
    folder.mkdir()
    names = [f"data-0000{number}-of-0000{len(types)}.arrow" for number in range(len(types))]
    for name, kind in zip(names, types, strict=True):
        values = pa.array([[1, 2], [100, 101]], pa.list_(kind, 2))
        batch = pa.record_batch([pa.array([f"{name}a", f"{name}b"]), values], ["id", "vector"])
        with (
            pa.OSFile(str(folder / name), "wb") as file,
            pa.ipc.new_stream(file, batch.schema) as writer,
        ):
            writer.write(batch)
    listed = [{"filename": name} for name in names]
    (folder / "state.json").write_text(json.dumps({"_data_files": listed}))
    return folder


def test_shards_of_a_dataset_of_another_type(tmp_path: Path) -> None:
    options = DumpOptions(scale=1.0)
    alike = open_dump(saved_dataset(tmp_path / "alike", pa.int8(), pa.int8()), options)
    assert np.asarray(alike.documents[:]).tolist() == [[1, 2], [100, 101]] * 2
    with pytest.raises(EmbeddingsError, match=r"data-00001-of-00002.*uint8.*int8"):
        open_dump(saved_dataset(tmp_path / "mixed", pa.int8(), pa.uint8()), options)


def tevatron(folder: Path, *shards: list[tuple[float, int]]) -> Path:
    """Shards of one document ``d``: first number of a vector, and its chunk."""
    folder.mkdir(exist_ok=True)
    for number, rows in enumerate(shards):
        array = np.array([[value, 0] for value, _ in rows], "f4")
        content = (array, [("d", chunk) for _, chunk in rows])
        (folder / f"corpus.{number}.pkl").write_bytes(pickle.dumps(content))
    return folder


def firsts(path: Path, **options: Any) -> list[float]:
    """The first number of each row, as a dump is read."""
    rows = np.asarray(open_dump(path, DumpOptions(**options)).documents[:])
    return [float(value) for value in rows[:, 0]]


def test_chunks_across_shards(tmp_path: Path) -> None:
    folder = tevatron(tmp_path / "a", [(1, 0), (3, 2)], [(2, 1), (4, 3)])
    assert firsts(folder) == [1, 2, 3, 4]


def test_a_chunk_in_two_shards(tmp_path: Path) -> None:
    folder = tevatron(tmp_path / "a", [(1, 0), (3, 1)], [(2, 0), (4, 1)])
    with pytest.raises(EmbeddingsError, match="chunk 0 of 'd' stands at rows 0 and 2"):
        open_dump(folder)


def test_shards_with_and_without_chunks(tmp_path: Path) -> None:
    folder = tevatron(tmp_path / "a", [(1, 0)])
    plain = (np.ones((1, 2), "f4"), ["e"])
    (folder / "corpus.1.pkl").write_bytes(pickle.dumps(plain))
    with pytest.raises(EmbeddingsError, match=r"corpus\.1\.pkl: has no chunk numbers"):
        open_dump(folder)


def test_padding_of_shards(tmp_path: Path) -> None:
    for number, chunks in enumerate(([1, 0], [2, 3])):
        np.savez(
            tmp_path / f"corpus-{number}.npz",
            documents=np.array([[chunk, 1.0] for chunk in chunks], "f4"),
            doc_ids=np.array(["d", "d"]),
            chunks=np.array(chunks),
            padding=np.array(chunks) % 2 == 1,
        )
    space = open_dump(tmp_path)
    assert np.asarray(space.documents[:])[:, 0].tolist() == [0, 1, 2, 3]
    assert space.padding is not None
    assert space.padding.tolist() == [False, True, False, True]


def test_given_ids_are_read_like_those_beside(tmp_path: Path) -> None:
    """Chunk numbers beside a file, k vectors a document, pairs in a pickle, Pyserini's docid."""
    given = tmp_path / "names.txt"
    given.write_text("d\nd\nd\n")
    np.save(tmp_path / "v.npy", np.array([[3, 0], [1, 0], [2, 0]], "f4"))
    np.save(tmp_path / "v.chunks.npy", np.array([2, 0, 1]))
    assert firsts(tmp_path / "v.npy", ids=given) == [1, 2, 3]
    (tmp_path / "v.ids.txt").write_text(given.read_text())
    assert firsts(tmp_path / "v.npy") == [1, 2, 3]

    folder = tevatron(tmp_path / "pairs", [(3, 1), (1, 0), (2, 0)])
    given.write_text("a\na\nb\n")
    space = open_dump(folder / "corpus.0.pkl", DumpOptions(ids=given))
    assert space.doc_ids == ["a", "b"]
    assert np.asarray(space.documents[:])[:, 0].tolist() == [1, 3, 2]


def test_given_ids_of_several_vectors_a_document(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("a\nb\n")
    np.save(tmp_path / "w.npy", np.ones((2, 3, 4), "f4"))
    space = open_dump(tmp_path / "w.npy", DumpOptions(ids=tmp_path / "names.txt"))
    assert space.doc_ids == ["a", "b"]
    assert len(space.documents) == 6


def test_given_ids_of_an_index_with_docid(tmp_path: Path) -> None:
    shutil.copytree(FILES / "pyserini" / "flat", tmp_path / "flat")
    given = tmp_path / "names.txt"
    given.write_text((tmp_path / "flat" / "docid").read_text())
    ids = given.read_text().split()
    given.write_text("\n".join([ids[1], *ids[1:]]))
    space = open_dump(tmp_path / "flat", DumpOptions(ids=given))
    assert space.doc_ids == ids[1:]
    assert space.recipe["layout"] == open_dump(tmp_path / "flat").recipe["layout"]


def test_a_pickle_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And its large blocks stay in the file."""
    read: list[bool] = []
    load = pickles.load_from

    def counting(*given: Any, **options: Any) -> Any:
        read.append(options.get("keep", False))
        return load(*given, **options)

    monkeypatch.setattr(pickles, "load_from", counting)
    monkeypatch.setattr(torch_files, "load_from", counting)
    (tmp_path / "corpus.pkl").write_bytes(pickle.dumps((np.ones((2, 4), "f4"), ["a", "b"])))
    open_dump(tmp_path / "corpus.pkl")
    assert read == [True]
    open_dump(tmp_path)
    assert read == [True, True]


def test_layouts_are_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    unpacked: list[Path] = []

    def find(path: Path) -> bool:
        asked.append(path.name)
        return False

    def unpack(path: Path) -> dict[str, np.ndarray]:
        unpacked.append(path)
        return arrays.open_npz(path)

    monkeypatch.setattr(flex, "find", find)
    monkeypatch.setattr(numpy_files, "open_npz", unpack)
    np.savez_compressed(tmp_path / "corpus.npz", documents=np.ones((2, 4), "f4"))
    open_dump(tmp_path / "corpus.npz")
    assert asked == ["corpus.npz"]
    assert len(unpacked) == 1
    open_dump(tmp_path)
    assert sorted(asked) == sorted(["corpus.npz", tmp_path.name, "corpus.npz"])


def long_ids(path: Path, *, parquet: bool) -> Path:
    """150,000 rows that all point to one id of 4,000 letters: 600 MB as a list."""
    n = 150_000
    ids = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, "i1")), pa.array(["y" * 4000]))
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(n, "f4")), 1)
    table = pa.table({"id": ids, "vector": vectors})
    if parquet:
        pq.write_table(table, path)
        return path
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    return path


@pytest.mark.parametrize("parquet", [False, True])
def test_ids_are_measured_before_they_are_taken(tmp_path: Path, parquet: bool) -> None:
    path = long_ids(tmp_path / "long", parquet=parquet)
    tracemalloc.start()
    try:
        with pytest.raises(EmbeddingsError, match="more than 100 times"):
            open_dump(path)
        assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    finally:
        tracemalloc.stop()


def test_a_long_prefix(tmp_path: Path) -> None:
    shutil.copytree(FILES / "flex" / "blocks", tmp_path / "flex")
    config = json.dumps({"format": "intsequence", "prefix": "p" * 5000, "start": 0}).encode()
    version = json.dumps({"version": 1}).encode()
    head = struct.Struct("<IqqI")
    n = json.loads((tmp_path / "flex" / "pt_meta.json").read_text())["doc_count"]
    (tmp_path / "flex" / "docnos.npids").write_bytes(
        head.pack(int.from_bytes(b"NPID", "little"), head.size + len(version), 0, len(version))
        + version
        + head.pack(0, -1, n, len(config))
        + config
    )
    with pytest.raises(EmbeddingsError, match="prefix has 5000 letters; allowed: 4096"):
        open_dump(tmp_path / "flex")


def test_an_array_of_ids_is_counted_first(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.ones((3, 4), "f4"))
    np.save(tmp_path / "v.ids.npy", np.zeros(3_000_000, "S1"))
    tracemalloc.start()
    try:
        with pytest.raises(EmbeddingsError, match="3000000 ids for 3 vectors"):
            open_dump(tmp_path / "v.npy")
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "library"), [("fixed.parquet", "read_schema"), ("file.arrow", "open_file")]
)
def test_own_readers_come_first(
    name: str, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library can end the whole process over a damaged file."""
    whole = (FILES / "arrow" / name).read_bytes()
    (tmp_path / name).write_bytes(whole[:-10])
    module = pq if library == "read_schema" else pa.ipc
    monkeypatch.setattr(module, library, lambda *_: pytest.fail("the library was asked first"))
    with pytest.raises(EmbeddingsError, match="cut short"):
        open_dump(tmp_path / name)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (DumpOptions(offsets=Path("nowhere"), split="xyz"), "--offsets, --split: for dumps of"),
        (DumpOptions(query_ids=Path("nowhere")), "--query-ids: for queries, of which it has none"),
    ],
)
def test_options_that_say_nothing_of_a_dump(
    options: DumpOptions, named: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "v.npy", np.ones((3, 4), "f4"))
    with pytest.raises(UsageError, match=named):
        open_dump(tmp_path / "v.npy", options)


def test_ids_of_documents_where_there_are_queries_alone(tmp_path: Path) -> None:
    np.save(tmp_path / "queries.npy", np.ones((3, 4), "f4"))
    names = tmp_path / "names.txt"
    names.write_text("a\nb\nc\n")
    assert open_dump(tmp_path / "queries.npy", DumpOptions(ids=names)).query_ids == list("abc")
    with pytest.raises(UsageError, match="--ids: for documents, of which it has none"):
        open_dump(tmp_path / "queries.npy", DumpOptions(ids=tmp_path / "x", query_ids=names))


def test_where_ids_are_from(tmp_path: Path) -> None:
    def source(path: Path, **options: Any) -> str:
        return str(open_dump(path, DumpOptions(**options)).recipe["sources"]["ids"])

    assert source(FILES / "pyserini" / "flat") == "docid"
    assert source(FILES / "flex" / "mixed") == "docnos.npids"
    assert source(FILES / "mteb") == "index.json"
    assert source(FILES / "arrow" / "fixed.parquet") == "fixed.parquet"
    np.save(tmp_path / "v.npy", np.ones((2, 4), "f4"))
    assert source(tmp_path / "v.npy") == "numbers of the rows"
    (tmp_path / "v.ids.txt").write_text("a\nb\n")
    assert source(tmp_path / "v.npy") == "v.ids.txt"
    (tmp_path / "names.txt").write_text("c\nd\n")
    given = source(tmp_path / "v.npy", ids=tmp_path / "names.txt")
    assert given.startswith("names.txt (option")
    assert "v.ids.txt" in as_text(describe(tmp_path / "v.npy"))


def test_a_collection_of_something_else_is_refused(tmp_path: Path) -> None:
    collection = open_collection(make_collection(tmp_path / "data", 30, 6), cache=tmp_path / "c")
    dump = tmp_path / "dump"
    dump.mkdir()
    np.save(dump / "queries.npy", np.eye(4, dtype="f4")[:2])
    np.save(dump / "documents.npy", np.eye(4, dtype="f4"))
    (dump / "queries.ids.txt").write_text("a\nb\n")
    (dump / "documents.ids.txt").write_text("w\nx\ny\nz\n")
    with pytest.raises(EmbeddingsError, match=r"--data data: none of its 6 judgments \(such as"):
        open_dump(dump, collection=collection)
    (dump / "queries.ids.txt").write_text("dev0\ndev1\n")
    (dump / "documents.ids.txt").write_text("d0\nx\ny\nz\n")
    space = open_dump(dump, collection=collection)
    assert space.qrels == {"dev0": {"d0": 1}, "dev1": {}}
    assert any("--data data: 5 of 6 judgments left out" in line for line in space.warnings)
    assert open_dump(dump / "documents.npy", collection=collection).qrels == {}
