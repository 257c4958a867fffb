"""Files that other tools wrote, each read back: the very vectors and ids those were given."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import anisotropy as an
from anisotropy.collection.lines import BAD_ID, BadLine, check_id
from anisotropy.errors import AnisotropyError, EmbeddingsError, UsageError
from anisotropy.spaces import EmbeddingSpace
from anisotropy.spaces.dumps import base, opening
from anisotropy.spaces.dumps.base import DumpOptions, Vectors
from anisotropy.spaces.exporting import convert_space
from anisotropy.spaces.store import save_space
from tests.spaces.dumps.make.docnos import IDS
from tests.spaces.dumps.make.made_up import (
    CHUNK_NUMBERS,
    CHUNKED_IDS,
    CHUNKS,
    DOC_IDS,
    DOC_TEXTS,
    DOCUMENTS,
    QUERIES,
    QUERY_IDS,
)

FILES = Path(__file__).parent / "files"
SCALE = float(np.abs(DOCUMENTS).max() / 127)
HALF = DOCUMENTS.astype(np.float16)
NUMBERS = [str(number) for number in range(40)]
#: What the indexes with ids of their own were given: 217, 214, ..., 100.
REVERSED = [str(number) for number in range(100, 220, 3)]


def bfloat16(array: np.ndarray) -> np.ndarray:
    """Rounded to the nearest number of eight binary digits, to even: a slow twin of torch."""
    rounded = []
    for value in array.ravel().tolist():
        mantissa, exponent = np.frexp(value)
        rounded.append(float(np.rint(mantissa * 256)) / 256 * 2.0**exponent)
    return np.array(rounded, np.float32).reshape(array.shape)


def quantized(array: np.ndarray) -> np.ndarray:
    return np.round(array / SCALE) * SCALE


@dataclass(frozen=True)
class Case:
    path: str
    layout: str
    rows: np.ndarray | None = None  #: the documents
    ids: Sequence[str] | None = tuple(DOC_IDS)
    similarity: str | None = None
    texts: bool = False
    tolerance: float = 0.0


QUERY = {"rows": QUERIES, "ids": QUERY_IDS}
NO_IDS = {"ids": None}
CASES = [
    Case("numpy/float32.npy", "numpy", **NO_IDS),
    Case("numpy/float16.npy", "numpy", HALF, **NO_IDS),
    Case("numpy/float64.npy", "numpy", **NO_IDS),
    Case("numpy/fortran.npy", "numpy", **NO_IDS),
    Case("numpy/named.npy", "numpy"),
    Case("numpy/texts.npy", "numpy", texts=True),
    Case("numpy/chunked.npy", "numpy", ids=CHUNKED_IDS),
    Case("numpy/inside.npz", "npz"),
    Case("numpy/compressed.npz", "npz"),
    Case("numpy/chunks.npz", "npz", ids=CHUNKED_IDS),
    Case("numpy/plain.npz", "npz", **NO_IDS),
    Case("sentence_transformers/encode.npy", "numpy", **NO_IDS),
    Case("sentence_transformers/encode.pt", "torch", **NO_IDS),
    Case("sentence_transformers/int8.npy", "numpy", tolerance=0.032, **NO_IDS),
    Case("sentence_transformers/uint8.npy", "numpy", tolerance=0.016, **NO_IDS),
    Case("arrow/fixed.parquet", "parquet", texts=True),
    Case("arrow/lists.parquet", "parquet"),
    Case("arrow/large.parquet", "parquet"),
    Case("arrow/float16.parquet", "parquet", HALF),
    Case("arrow/numbers.parquet", "parquet", ids=[str(3 * n) for n in range(40)], texts=True),
    Case("arrow/chunks.parquet", "parquet", ids=CHUNKED_IDS),
    Case("arrow/pandas.parquet", "parquet", texts=True),
    Case("arrow/pandas_index.parquet", "parquet", texts=True),
    Case("arrow/pandas_double.parquet", "parquet", texts=True),
    Case("arrow/polars.parquet", "parquet"),
    Case("arrow/datasets.parquet", "parquet"),
    Case("arrow/datasets_array2d.parquet", "parquet", ids=[i for i in DOC_IDS[:20] for _ in "12"]),
    Case("arrow/file.arrow", "arrow", texts=True),
    Case("arrow/stream.arrow", "arrow", HALF),
    Case("arrow/pandas.feather", "arrow", texts=True),
    Case("arrow/polars.arrow", "arrow"),
    Case("arrow/datasets", "arrow"),
    Case("arrow/datasets_lists", "arrow"),
    Case("faiss/flat_ip.faiss", "faiss", similarity="dot", **NO_IDS),
    Case("faiss/flat_l2.faiss", "faiss", similarity="euclidean", **NO_IDS),
    Case("faiss/hnsw_flat_ip.faiss", "faiss", similarity="dot", **NO_IDS),
    Case("faiss/hnsw_flat_l2.faiss", "faiss", similarity="euclidean", **NO_IDS),
    Case("faiss/hnsw_sq.faiss", "faiss", None, None, "dot", tolerance=0.002),
    Case("faiss/idmap.faiss", "faiss", DOCUMENTS[::-1], REVERSED, "dot"),
    Case("faiss/idmap2.faiss", "faiss", DOCUMENTS[::-1], REVERSED, "euclidean"),
    Case("faiss/idmap_hnsw.faiss", "faiss", DOCUMENTS[::-1], REVERSED, "dot"),
    Case("faiss/ivf_flat.faiss", "faiss", DOCUMENTS[::-1], REVERSED, "dot"),
    Case("faiss/ivf_flat_hash.faiss", "faiss", DOCUMENTS[::-1], REVERSED, "dot"),
    Case("faiss/ivf_flat_l2.faiss", "faiss", similarity="euclidean", **NO_IDS),
    Case("faiss/ivf_flat_sparse.faiss", "faiss", similarity="euclidean", **NO_IDS),
    Case("faiss/refine.faiss", "faiss", similarity="dot", **NO_IDS),
    Case("faiss/sq_fp16.faiss", "faiss", None, None, "dot", tolerance=0.002),
    Case("faiss/sq_bf16.faiss", "faiss", None, None, "dot", tolerance=0.016),
    Case("faiss/sq_8bit.faiss", "faiss", None, None, "dot", tolerance=0.016),
    Case("pyserini/flat", "faiss with docid (Pyserini)", similarity="dot"),
    Case("pyserini/flat/index", "faiss with docid (Pyserini)", similarity="dot"),
    Case("pyserini/shardfull", "faiss with docid (Pyserini)", similarity="dot"),
    Case("pyserini/hnsw", "faiss with docid (Pyserini)", similarity="dot"),
    Case("pyserini/l2", "faiss with docid (Pyserini)", similarity="euclidean"),
    Case("pyserini/passages", "faiss with docid (Pyserini)", DOCUMENTS, CHUNKED_IDS, "dot"),
    Case("pyserini/jsonl/embeddings.jsonl", "JSON lines", texts=True),
    Case("jsonl/documents.jsonl", "JSON lines", texts=True),
    Case("jsonl/queries.jsonl", "JSON lines", **QUERY),
    Case("jsonl/numbers.jsonl", "JSON lines", ids=NUMBERS),
    Case("beir/float32/queries.pkl", "pickled (array, ids)", **QUERY),
    Case(
        "beir/float16/queries.pkl", "pickled (array, ids)", QUERIES.astype(np.float16), QUERY_IDS
    ),
    Case("tevatron/old/corpus.pkl", "pickled (array, ids)"),
    Case("tevatron/old/queries.pkl", "pickled (array, ids)", **QUERY),
    Case("tevatron/new/corpus.pkl", "pickled (array, ids)", HALF),
    Case("tevatron/new/queries.pkl", "pickled (array, ids)", **QUERY),
    Case("tevatron/new/chunked.pkl", "pickled (array, ids)", ids=CHUNKED_IDS),
    Case("flex/mixed", "FLEX (PyTerrier)"),
    Case("safetensors/float32.safetensors", "safetensors", **NO_IDS),
    Case("safetensors/float16.safetensors", "safetensors", HALF, None),
    Case("safetensors/bfloat16.safetensors", "safetensors", bfloat16(DOCUMENTS)),
    Case("safetensors/int8_scale.safetensors", "safetensors", None, None, tolerance=0.016),
    Case("safetensors/int8_metadata.safetensors", "safetensors", None, None, tolerance=0.016),
    Case("torch/tensor.pt", "torch", **NO_IDS),
    Case("torch/dict.pt", "torch"),
    Case("torch/tuple.pt", "torch"),
    Case("torch/bfloat16.pt", "torch", bfloat16(DOCUMENTS)),
    Case("torch/strided.pt", "torch", DOCUMENTS[:, ::2], None),
    Case("torch/legacy.pt", "torch", HALF),
]


def read(
    path: str, options: DumpOptions | None = None, side: opening.Side = "documents"
) -> Vectors:
    return opening.read_vectors(FILES / path, options or DumpOptions(), side)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.path)
def test_what_the_tool_was_given_comes_back(case: Case) -> None:
    found = read(case.path, side="queries" if case.ids is QUERY_IDS else "documents")
    expected = DOCUMENTS if case.rows is None else case.rows
    rows = np.asarray(found.rows)
    assert rows.dtype.kind == "f"
    assert rows.shape == expected.shape
    assert np.abs(rows.astype(np.float64) - expected).max() <= case.tolerance
    assert found.ids == (None if case.ids is None else list(case.ids))
    assert (found.layout, found.similarity) == (case.layout, case.similarity)
    assert found.texts == (DOC_TEXTS if case.texts else None)


def test_every_committed_file_is_tried() -> None:
    tried = {FILES / case.path for case in CASES}
    elsewhere = (
        "both",
        "shard",
        "flex",
        "beir",
        "mteb",
        "ids.",
        "ranges",
        "docid",
        ".json",
        ".md",
    )
    refused = ("pq", "lsh", "pca", "flat_l1", "objects", "repeated", "binary", "int8.", "sides")
    left = [
        path
        for path in FILES.rglob("*")
        if path.is_file() and tried.isdisjoint({path, path.parent})
        and not any(word in str(path.relative_to(FILES)) for word in (*elsewhere, *refused))
    ]  # fmt: skip
    names = {str(path.relative_to(FILES)) for path in left}
    assert names == {
        "arrow/chunks_mixed.parquet",
        "numpy/chunked.chunks.npy",
        "sentence_transformers/encode_unit.npy",
    }


@pytest.mark.parametrize("name", ["sequence", "padded", "stored", "hex", "uuid", "blocks"])
def test_ids_of_every_codec_of_npids(name: str) -> None:
    found = read(f"flex/{name}")
    assert found.ids == IDS[name]
    places = np.arange(len(IDS[name])) % 40
    assert np.array_equal(np.asarray(found.rows), DOCUMENTS[places, :2])


def test_mteb_keeps_hashes_for_ids() -> None:
    found = read("mteb")
    assert np.array_equal(np.asarray(found.rows), DOCUMENTS)
    assert found.ids is not None
    assert all(len(name) == 64 for name in found.ids)
    assert any("hashes" in line for line in found.warnings)


@pytest.mark.parametrize(
    "folder", ["beir/float32", "arrow/both", "numpy/both", "faiss/both", "jsonl", "tevatron/old"]
)
def test_both_sides_of_a_folder(folder: str) -> None:
    space = an.open(FILES / folder)
    order = [space.doc_ids.index(name) for name in (NUMBERS if "faiss" in folder else DOC_IDS)]
    assert np.array_equal(np.asarray(space.documents[order]), DOCUMENTS)
    assert np.array_equal(np.asarray(space.queries[:]), QUERIES)
    assert space.query_ids == (NUMBERS[:8] if "faiss" in folder else QUERY_IDS)


@pytest.mark.parametrize("path", ["numpy/sides.npz", "safetensors/sides.safetensors"])
def test_both_sides_of_a_file(path: str) -> None:
    space = an.open(FILES / path)
    assert np.array_equal(np.asarray(space.documents), DOCUMENTS)
    assert np.array_equal(np.asarray(space.queries), QUERIES)
    if path.endswith("npz"):
        assert (space.doc_ids, space.query_ids) == (DOC_IDS, QUERY_IDS)


def test_companions_are_no_shards(tmp_path: Path) -> None:
    np.save(tmp_path / "documents.npy", DOCUMENTS)
    np.save(tmp_path / "documents.chunks.npy", np.array(CHUNK_NUMBERS))
    write_ids(tmp_path / "documents.ids.npy", CHUNKED_IDS)
    np.save(tmp_path / "queries.npy", QUERIES)
    write_ids(tmp_path / "query_ids.npy", QUERY_IDS)
    space = an.open(tmp_path)
    assert (space.doc_ids, space.query_ids) == (list(dict.fromkeys(CHUNKED_IDS)), QUERY_IDS)
    assert space.counts["document_vectors"] == 40


def test_shards_of_documents_alone() -> None:
    space = an.open(FILES / "pyserini" / "jsonl")
    assert (space.doc_ids, space.doc_texts) == (DOC_IDS, DOC_TEXTS)
    assert space.query_ids == []


def test_chunks_are_put_in_their_order() -> None:
    plain = an.open(FILES / "arrow" / "chunks.parquet")
    mixed = an.open(FILES / "arrow" / "chunks_mixed.parquet")
    assert len(mixed.doc_ids) == len(CHUNKS)
    for number, name in enumerate(plain.doc_ids):
        assert plain.document_of_row is not None
        assert mixed.document_of_row is not None
        own = np.asarray(mixed.documents[mixed.document_of_row == mixed.doc_ids.index(name)])
        assert np.array_equal(own, np.asarray(plain.documents[plain.document_of_row == number]))
        assert len(own) == CHUNKS[number]


@pytest.mark.parametrize("path", ["arrow/repeated.parquet", "numpy/repeated.npy"])
def test_repeated_ids_without_chunk_numbers(path: str) -> None:
    with pytest.raises(EmbeddingsError, match=r"id 'D0' stands at rows 0 and 1.*chunks"):
        an.open(FILES / path)


def test_repeated_ids_by_option(tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("\n".join(["a", "b", *DOC_IDS[2:39], "a"]) + "\n")
    with pytest.raises(EmbeddingsError, match="'a' stands at rows 0 and 39"):
        an.open(FILES / "numpy" / "float32.npy", ids=ids)


@pytest.mark.parametrize(
    "path",
    ["safetensors/int8.safetensors", "arrow/int8.parquet", "sentence_transformers/binary.npy"],
)
def test_whole_numbers_need_their_scale(path: str) -> None:
    with pytest.raises(EmbeddingsError, match=r"int8 without a scale.*--scale"):
        read(path)
    if "binary" not in path:
        rows = np.asarray(read(path, DumpOptions(scale=SCALE)).rows)
        assert np.allclose(rows, quantized(DOCUMENTS), atol=1e-6)


def test_scale_is_for_whole_numbers() -> None:
    with pytest.raises(UsageError, match="--scale is for int8"):
        read("numpy/float32.npy", DumpOptions(scale=2.0))


def test_floating_queries_beside_scaled_documents() -> None:
    documents = FILES / "safetensors" / "int8.safetensors"
    space = an.open(documents, queries=FILES / "tevatron" / "old" / "queries.pkl", scale=SCALE)
    assert np.allclose(np.asarray(space.documents[:]), quantized(DOCUMENTS), atol=1e-6)
    assert np.array_equal(np.asarray(space.queries), QUERIES)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("arrow/fixed.parquet", "embedding"),
        ("numpy/inside.npz", "embeddings"),
        ("safetensors/sides.safetensors", "documents, queries"),
        ("jsonl/documents.jsonl", "embedding"),
    ],
)
def test_field_names_what_is_there(path: str, allowed: str) -> None:
    with pytest.raises(UsageError, match=rf"got 'nothing'; allowed: .*{allowed}"):
        read(path, DumpOptions(field="nothing"))


def test_field_chooses() -> None:
    found = read("safetensors/sides.safetensors", DumpOptions(field="queries"))
    assert np.array_equal(np.asarray(found.rows), QUERIES)
    space = an.open(FILES / "numpy" / "sides.npz", field="documents")
    assert np.array_equal(np.asarray(space.queries), QUERIES)


@pytest.mark.parametrize("path", ["numpy/float32.npy", "pyserini/flat", "flex/mixed", "mteb"])
def test_field_where_there_is_one_array(path: str) -> None:
    with pytest.raises(UsageError, match="holds one array"):
        read(path, DumpOptions(field="x"))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("faiss/lsh.faiss", "IndexLSH"), ("faiss/pq.faiss", "IndexPQ"), ("pyserini/pq", "IndexPQ"),
     ("faiss/pca.faiss", "IndexPreTransform")],
)  # fmt: skip
def test_an_index_without_its_vectors(name: str, kind: str) -> None:
    with pytest.raises(EmbeddingsError, match=rf"{kind}, which does not hold.*allowed: Flat"):
        read(name)


def test_an_index_of_another_metric() -> None:
    with pytest.raises(EmbeddingsError, match=r"metric 2; allowed.*--similarity"):
        read("faiss/flat_l1.faiss")
    options = DumpOptions(similarity="euclidean")
    space = opening.open_dump(FILES / "faiss" / "flat_l1.faiss", options)
    assert np.array_equal(np.asarray(space.documents[:]), DOCUMENTS)


def test_rows_without_ids_are_noted_in_results() -> None:
    space = an.open(FILES / "numpy" / "float32.npy")
    assert space.doc_ids == NUMBERS
    assert any("no ids" in line for line in space.recipe["notes"])
    assert an.open(FILES / "numpy" / "named.npy").recipe["notes"] == []


def test_large_files_stay_in_their_file() -> None:
    """What is mapped is not copied: the rows point into the file."""
    for path in ("numpy/float32.npy", "pyserini/flat", "torch/tensor.pt", "flex/mixed"):
        rows = read(path).rows
        assert isinstance(getattr(rows, "base", rows), np.memmap) or isinstance(rows, np.memmap)
    rows = read("arrow/file.arrow").rows
    assert not any(shard.flags.owndata for shard in rows.shards)


def test_odd_places_are_put_right() -> None:
    """faiss headers have odd lengths; what is handed on is aligned all the same."""
    rows = read("pyserini/flat").rows
    assert not np.asarray(rows.base).flags.aligned
    for key in (slice(None), slice(3, 9), np.array([1, 5]), 7):
        assert rows[key].flags.aligned
        assert np.array_equal(rows[key], DOCUMENTS[key])


def test_other_byte_order(tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", DOCUMENTS.astype(">f4"))
    rows = opening.read_vectors(tmp_path / "vectors.npy", DumpOptions()).rows
    assert rows.dtype == np.float32
    assert rows.dtype.isnative
    assert np.array_equal(rows[:], DOCUMENTS)


def test_many_rows_go_to_a_temporary_file() -> None:
    from anisotropy.spaces.dumps.buffers import RowBuffer

    buffer = RowBuffer("x", DOCUMENTS.nbytes, spill=1000)
    for start in range(0, 40, 7):
        buffer.append(DOCUMENTS[start : start + 7])
    whole = buffer.whole()
    assert isinstance(whole, np.memmap)
    assert np.array_equal(whole, DOCUMENTS)


def test_a_checkpoint_is_no_dump(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    safetensors = pytest.importorskip("safetensors.torch")
    weights = {
        "roberta.embeddings.word_embeddings.weight": torch.zeros(9, 4),
        "roberta.encoder.layer.0.attention.self.query.weight": torch.zeros(4, 4),
        "norm.bias": torch.zeros(4),
    }
    safetensors.save_file(weights, tmp_path / "model.safetensors")
    torch.save(weights, tmp_path / "pytorch_model.bin")
    torch.save({"state_dict": weights, "epoch": 3}, tmp_path / "last.ckpt")
    (tmp_path / "config.json").write_text("{}")
    for path in (tmp_path, *tmp_path.iterdir()):
        assert not opening.is_dump(path), path


@pytest.mark.usefixtures("few_figures")
def test_analyze_runs_on_a_dump(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from anisotropy.cli import main

    command = ["analyze", str(FILES / "pyserini" / "flat"), "--queries"]
    command += [str(FILES / "tevatron" / "old" / "queries.pkl"), "--measures", "mean_cosine"]
    command += ["--out", str(tmp_path / "out"), "--projection", "none", "--format", "csv"]
    try:
        status = main(command)
    except SystemExit as stopped:
        status = stopped.code
    assert status in (0, None), capsys.readouterr().err
    unit = DOCUMENTS / np.linalg.norm(DOCUMENTS, axis=1, keepdims=True)
    expected = (np.square(unit.sum(axis=0)).sum() - 40) / (40 * 39)
    line = next(x for x in capsys.readouterr().out.splitlines() if ",documents," in x)
    assert f"{expected:.6f}"[:7] in line


@pytest.mark.parametrize(
    ("vectors", "ids"),
    [
        ("x.npy", "x.ids.txt"), ("x.npy", "x_ids.npy"), ("x.npy", "x.ids.json"),
        ("documents.npy", "doc_ids.tsv"), ("corpus.npy", "document_ids.json"),
        ("embeddings.npy", "ids.npy"), ("index.faiss", "index.ids.txt"),
    ],
)  # fmt: skip
def test_id_files_beside(vectors: str, ids: str, tmp_path: Path) -> None:
    source = {".npy": "numpy/float32.npy", ".faiss": "faiss/flat_ip.faiss"}
    shutil.copy(FILES / source[Path(vectors).suffix], tmp_path / vectors)
    write_ids(tmp_path / ids, DOC_IDS)
    assert an.open(tmp_path / vectors).doc_ids == DOC_IDS


def test_ids_of_a_file_with_another_name_are_not_taken(tmp_path: Path) -> None:
    shutil.copy(FILES / "numpy" / "float32.npy", tmp_path / "other.npy")
    write_ids(tmp_path / "ids.txt", DOC_IDS)
    assert an.open(tmp_path / "other.npy").doc_ids == NUMBERS


def test_ids_by_option(tmp_path: Path) -> None:
    write_ids(tmp_path / "d.txt", DOC_IDS)
    write_ids(tmp_path / "q.json", QUERY_IDS)
    np.save(tmp_path / "queries.npy", QUERIES)
    space = an.open(
        FILES / "numpy" / "float32.npy",
        queries=tmp_path / "queries.npy",
        ids=tmp_path / "d.txt",
        query_ids=tmp_path / "q.json",
    )
    assert (space.doc_ids, space.query_ids) == (DOC_IDS, QUERY_IDS)


def write_ids(path: Path, ids: list[str]) -> None:
    if path.suffix == ".npy":
        np.save(path, np.array(ids))
    elif path.suffix == ".json":
        path.write_text(json.dumps(ids))
    else:
        path.write_text("".join(f"{name}\n" for name in ids))


def test_columns_that_cannot_be_ids(tmp_path: Path) -> None:
    table = pa.table({"id": [1.5], "text": [3], "embedding": [[1.0, 2.0]]})
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(EmbeddingsError, match="column 'id' holds double; needed: text or whole"):
        an.open(tmp_path / "x.parquet")


def test_several_columns_of_ids_are_noted(tmp_path: Path) -> None:
    table = pa.table({"id": ["1"], "doc_id": ["D1"], "embedding": [[1.0, 2.0]]})
    pq.write_table(table, tmp_path / "x.parquet")
    space = an.open(tmp_path / "x.parquet")
    assert space.doc_ids == ["D1"]
    assert any("also there: 'id'" in line for line in space.recipe["notes"])


def test_categories_as_ids(tmp_path: Path) -> None:
    ids = pa.array(DOC_IDS).dictionary_encode()
    table = pa.table({"id": ids, "embedding": list(DOCUMENTS)})
    pq.write_table(table, tmp_path / "x.parquet")
    with pa.ipc.new_file(str(tmp_path / "x.arrow"), table.schema) as out:
        out.write_table(table)
    for name in ("x.parquet", "x.arrow"):
        assert an.open(tmp_path / name).doc_ids == DOC_IDS


@pytest.mark.real_data
class TestRealData:
    def test_every_array(self, real_data: Path) -> None:
        paths = sorted((real_data / "real_vectors").glob("*.npy"))
        assert len(paths) >= 40
        for path in paths:
            space = an.open(path)
            rows = space.queries if path.name.startswith("queries") else space.documents
            assert np.array_equal(np.asarray(rows), np.load(path))
            assert space.recipe["notes"] == []  # its ids were found

    @pytest.mark.parametrize("encoder", ["cosdpr_distil", "openai_ada2"])
    def test_passages_and_queries(self, real_data: Path, encoder: str) -> None:
        folder = real_data / "real_vectors"
        documents = folder / f"passages100_{encoder}.npy"
        queries = folder / f"queries_dl19_passage_{encoder}.npy"
        space = an.open(documents, queries=queries)
        assert np.array_equal(np.asarray(space.documents), np.load(documents))
        assert np.array_equal(np.asarray(space.queries), np.load(queries))
        lines = documents.with_suffix(".ids.tsv").read_text("utf-8").splitlines()
        assert space.doc_ids == [line.split("\t")[0] for line in lines]
        assert space.doc_texts == [line.split("\t", 1)[1] for line in lines]

    def test_aligned_pairs(self, real_data: Path, tmp_path: Path) -> None:
        folder = real_data / "real_vectors"
        judged = tmp_path / "qrels.tsv"
        names = (folder / "modality_gap_clip.a_image.ids.tsv").read_text().splitlines()
        names = [line.split("\t")[0] for line in names]
        judged.write_text("".join(f"{name}\t0\t{name}\t1\n" for name in names))
        space = an.open(
            folder / "modality_gap_clip.a_image.npy",
            queries=folder / "modality_gap_clip.b_text.npy",
            qrels=judged,
        )
        assert space.counts["judged_pairs"] == 500

    @pytest.mark.parametrize(
        ("name", "shape"), [("faq_instructor768", (75, 768)), ("rag_1536", (13, 1536))]
    )
    def test_faiss(self, real_data: Path, name: str, shape: tuple[int, int]) -> None:
        import faiss

        space = an.open(real_data / "real_faiss" / name)
        index = faiss.read_index(str(real_data / "real_faiss" / name / "index.faiss"))
        assert space.documents.shape == shape
        assert space.similarity == "euclidean"
        assert np.array_equal(space.documents[:], index.reconstruct_n(0, shape[0]))


def test_slow_twin_of_unit_length() -> None:
    """The sign by which a dump without words is read as cosine: unit length."""
    assert an.open(FILES / "sentence_transformers" / "encode_unit.npy").similarity == "cosine"
    assert an.open(FILES / "sentence_transformers" / "encode.npy").similarity == "dot"
    assert base.DumpOptions().similarity is None


def test_judgments_of_a_named_file_are_never_left_out_in_silence(tmp_path: Path) -> None:
    np.save(tmp_path / "documents.npy", DOCUMENTS[:3])
    np.save(tmp_path / "queries.npy", QUERIES[:2])
    qrels = tmp_path / "judged.tsv"
    qrels.write_text("0 0 2 1\n1 0 1 1\n")
    assert "left out" not in " ".join(an.open(tmp_path, qrels=qrels).warnings)
    qrels.write_text("0 0 2 1\n0 0 D9 1\nq1 0 1 1\n")
    space = an.open(tmp_path, qrels=qrels)
    assert space.qrels == {"0": {"2": 1}}
    assert [line for line in space.warnings if f"{qrels}: 2 of 3 judgments left out" in line]
    qrels.write_text("0 0 D2 1\n1 0 D1 1\n")
    with pytest.raises(EmbeddingsError, match=r"none of its 2 judgments .*'0', document 'D2'"):
        an.open(tmp_path, qrels=qrels)


@pytest.mark.parametrize("odd", ["", " ", "a\tb", "a\nb", "a\rb", "\ud800"])
def test_every_room_refuses_the_same_ids(tmp_path: Path, odd: str) -> None:
    ids, rows = ["a", odd, "ä 1"], DOCUMENTS[:3]
    np.savez(tmp_path / "x.npz", embeddings=rows, ids=np.array(ids))
    space = EmbeddingSpace(rows[:1], rows, doc_ids=ids)
    refusals: list[Callable[[], object]] = [
        lambda: an.open(tmp_path / "x.npz"),
        lambda: convert_space(space, "parquet", tmp_path / "parquet"),
        lambda: save_space(space, tmp_path / "store"),
    ]
    for refuse in refusals:
        with pytest.raises(AnisotropyError, match=f"id .* {BAD_ID}"):
            refuse()
    with pytest.raises(BadLine):
        check_id(odd, "document")
    assert check_id("ä 1", "document") == "ä 1"
