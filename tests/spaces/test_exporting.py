"""Spaces in other tools' layouts, read by those tools alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from anisotropy.conversion import convert
from anisotropy.errors import EmbeddingsError, InputError, UsageError
from anisotropy.opening import EncoderOptions, open_space
from anisotropy.spaces import EmbeddingSpace
from anisotropy.spaces.dumps.stated import stated_similarity
from anisotropy.spaces.exporting import convert_space
from anisotropy.spaces.rows import ShardedRows
from anisotropy.spaces.store import open_store, save_space

QRELS = {"q0": {"d0": 1, "d1": 2}, "q2": {"d3": 0}, "q1": {}}


def make(dtype: Any = np.float32, chunks: bool = False, **options: Any) -> EmbeddingSpace:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(9, 5)).astype(dtype)
    owner = np.array([0, 0, 1, 2, 2, 2, 3, 4, 4]) if chunks else None
    queries = rng.normal(size=(3, 5)).astype(dtype)
    shared: dict[str, Any] = {
        "doc_ids": [f"d{i}" for i in range(5 if chunks else 9)],
        "document_of_row": owner,
        "padding": np.arange(9) == 8 if chunks else None,
        "similarity": "dot",
        "temperature": 0.5,
        "recipe": {"name": "ance", "pooling": "cls"},
        "label": "tiny",
        "fingerprint": "f00d",
        "step": 7,
        "collection_info": {"name": "words", "documents_option": "9"},
    }
    pool = EmbeddingSpace(
        queries[:2] * 2, rows, query_ids=["t0", "t\N{GREEK SMALL LETTER ALPHA}"],
        qrels={"t0": {"d2": 1}}, **shared,
    )  # fmt: skip
    space = {"query_ids": ["q0", "q1", "q2"], "qrels": QRELS, "training": pool, **shared}
    return EmbeddingSpace(queries, rows, **{**space, **options})


@pytest.fixture(params=[1, 10, 2**22])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """One row a block, two, all."""
    monkeypatch.setattr("anisotropy.spaces.exporting.BLOCK_VALUES", request.param)
    value: int = request.param
    return value


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("chunks", [False, True])
def test_parquet_is_read_by_pandas(tmp_path: Path, dtype: Any, chunks: bool) -> None:
    space = make(dtype, chunks)
    notes = convert_space(space, "parquet", tmp_path / "out")
    assert ("float16" in "".join(notes)) == (dtype is np.float16)
    for side, rows in (("queries", space.queries), ("documents", space.documents)):
        frame = pd.read_parquet(tmp_path / f"out/{side}.parquet")
        wide = np.stack(frame["vector"].to_list())
        assert wide.dtype == (np.float64 if dtype is np.float64 else np.float32)
        np.testing.assert_array_equal(wide, rows)
    frame = pd.read_parquet(tmp_path / "out/documents.parquet")
    if chunks:
        assert frame["id"].to_list() == ["d0", "d0", "d1", "d2", "d2", "d2", "d3", "d4", "d4"]
        assert frame["chunk"].to_list() == [0, 1, 0, 0, 1, 2, 0, 0, 1]
        assert frame["padding"].to_list() == [False] * 8 + [True]
    else:
        assert list(frame.columns) == ["id", "vector"]
    pool = pd.read_parquet(tmp_path / "out/training-queries.parquet")
    assert pool["id"].to_list() == ["t0", "tα"]


def test_parquet_says_what_it_holds(tmp_path: Path) -> None:
    convert_space(make(), "parquet", tmp_path / "out")
    schema = pq.read_schema(tmp_path / "out/queries.parquet")
    assert schema.field("vector").type == pa.list_(pa.float32(), 5)
    assert schema.field("id").type == pa.string()
    about = json.loads(schema.metadata[b"anisotropy"])
    assert about["recipe"] == {
        "name": "ance", "pooling": "cls", "similarity": "dot", "temperature": 0.5
    }  # fmt: skip
    assert about["checkpoint"] == {"label": "tiny", "fingerprint": "f00d", "step": 7}
    assert about["side"] == "queries"
    text = (tmp_path / "out/qrels.tsv").read_text()
    assert text == "q0\td0\t1\nq0\td1\t2\nq2\td3\t0\n"
    assert (tmp_path / "out/training-qrels.tsv").read_text() == "t0\td2\t1\n"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "documents.parquet", "qrels.tsv", "queries.parquet", "training-qrels.tsv",
        "training-queries.parquet",
    ]  # fmt: skip


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("chunks", [False, True])
def test_npz_is_read_without_pickle(tmp_path: Path, chunks: bool) -> None:
    space = make(chunks=chunks)
    convert_space(space, "npz", tmp_path / "out.v2.npz")
    with np.load(tmp_path / "out.v2.npz", allow_pickle=False) as found:
        np.testing.assert_array_equal(found["queries"], space.queries)
        np.testing.assert_array_equal(found["documents"], space.documents)
        assert {found[name].dtype.kind for name in ("query_ids", "doc_ids", "about")} == {"U"}
        assert found["query_ids"].tolist() == ["q0", "q1", "q2"]
        assert found["training_query_ids"].tolist() == ["t0", "tα"]
        assert ("chunks" in found.files) == ("padding" in found.files) == chunks
        assert len(found["doc_ids"]) == len(found["documents"])
        if chunks:
            assert found["chunks"].tolist() == [0, 1, 0, 0, 1, 2, 0, 0, 1]
        assert json.loads(str(found["about"]))["recipe"]["similarity"] == "dot"
    assert (tmp_path / "out.v2.qrels.tsv").read_text().count("\n") == 3
    assert (tmp_path / "out.v2.training-qrels.tsv").read_text() == "t0\td2\t1\n"
    convert_space(space, "npz", tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "out.v2.npz").read_bytes()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("chunks", [False, True])
def test_a_store_in_shards_is_the_same_space(tmp_path: Path, dtype: Any, chunks: bool) -> None:
    space = make(dtype, chunks)
    save_space(space, tmp_path / "first", shard_items=4)
    assert isinstance(open_store(tmp_path / "first").documents, ShardedRows)
    convert(tmp_path / "first", "store", tmp_path / "second")
    found = open_store(tmp_path / "second", verify=True)
    np.testing.assert_array_equal(np.asarray(found.documents), space.documents)
    assert found.counts == space.counts
    assert found.collection_info == {"name": "words", "documents_option": "9"}
    assert found.qrels == {query: grades for query, grades in QRELS.items() if grades}
    assert (found.label, found.step, found.recipe) == (space.label, 7, {
        **space.recipe, "similarity": "dot", "temperature": 0.5
    })  # fmt: skip


@pytest.mark.parametrize("layout", ["parquet", "npz"])
@pytest.mark.parametrize("chunks", [False, True])
def test_what_was_written_opens_again(tmp_path: Path, layout: str, chunks: bool) -> None:
    """With ids, chunks, judgments and similarity; and goes into a store from there."""
    space = make(np.float32, chunks)
    convert_space(space, layout, tmp_path / "out.npz")
    found = open_space(tmp_path / "out.npz")
    np.testing.assert_array_equal(np.asarray(found.queries), space.queries)
    np.testing.assert_array_equal(np.asarray(found.documents), space.documents)
    assert found.query_ids == space.query_ids
    assert found.doc_ids == space.doc_ids
    assert found.qrels == {query: grades for query, grades in QRELS.items() if grades}
    assert (found.similarity, found.recipe["doubts"]) == ("dot", [])
    if chunks:
        np.testing.assert_array_equal(found.document_of_row, space.document_of_row)
        np.testing.assert_array_equal(found.padding, space.padding)
    convert(tmp_path / "out.npz", "store", tmp_path / "store")
    stored = open_store(tmp_path / "store", verify=True)
    np.testing.assert_array_equal(np.asarray(stored.documents), space.documents)
    assert stored.counts == space.counts
    for one in (found.training, stored.training):
        assert one is not None
        np.testing.assert_array_equal(np.asarray(one.queries), space.training.queries)  # type: ignore[union-attr]
        assert (one.query_ids, one.qrels) == (["t0", "tα"], {"t0": {"d2": 1}})


def test_training_queries_alone_are_queries(tmp_path: Path) -> None:
    convert_space(make(), "parquet", tmp_path / "out")
    found = open_space(tmp_path / "out/training-queries.parquet")
    assert (found.query_ids, found.training) == (["t0", "tα"], None)


def test_documents_alone_say_how_queries_are_added(tmp_path: Path) -> None:
    convert_space(make(), "parquet", tmp_path / "out")
    alone = open_space(tmp_path / "out/documents.parquet")
    assert [line for line in alone.warnings if "--queries FILE adds queries" in line]
    assert not [line for line in open_space(tmp_path / "out").warnings if "--queries" in line]


FOREIGN = (
    *("", "[]", "{", "[" * 10_000, '{"recipe": []}', '{"recipe": {"similarity": "maybe"}}'),
    '{"recipe": {"similarity": ["dot"]}}',
    '{"recipe": {"similarity": "dot"}}' + " " * 2**20,
)


@pytest.mark.parametrize("text", FOREIGN, ids=range(len(FOREIGN)))
def test_what_others_wrote_under_our_names_says_nothing(text: str) -> None:
    assert stated_similarity(text) is None
    assert stated_similarity('{"recipe": {"similarity": "cosine"}}') == "cosine"


def test_rows_of_a_document_may_lie_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    space = EmbeddingSpace(
        rng.normal(size=(2, 3)), rng.normal(size=(5, 3)), document_of_row=np.array([1, 0, 1, 0, 1])
    )
    convert_space(space, "parquet", tmp_path / "out")
    frame = pd.read_parquet(tmp_path / "out/documents.parquet")
    assert frame["id"].to_list() == ["1", "0", "1", "0", "1"]
    assert frame["chunk"].to_list() == [0, 0, 1, 1, 2]
    assert not (tmp_path / "out/qrels.tsv").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"query_ids": ["q0", "q\t1", "q2"], "qrels": {"q\t1": {"d0": 1}}}, "holds a tab, a line"),
        ({"query_ids": ["q0", "q1", "\ud800"], "qrels": {}}, "or what UTF-8 cannot"),
        ({"query_ids": ["q0", "q1", "q2\0"], "qrels": {}}, "ends with NUL"),
    ],
)
def test_ids_that_do_not_fit(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(EmbeddingsError, match=message):
        convert_space(make(**options), "npz", tmp_path / "out.npz")
    assert not list(tmp_path.iterdir())


def test_targets_and_layouts_are_checked_first(tmp_path: Path) -> None:
    (tmp_path / "out.qrels.tsv").write_text("mine")
    with pytest.raises(InputError, match=r"out\.qrels\.tsv: exists already"):
        convert_space(make(), "npz", tmp_path / "out.npz")
    assert not (tmp_path / "out.npz").exists()
    with pytest.raises(UsageError, match="got 'csv'; allowed: store, parquet, npz"):
        convert_space(make(), "csv", tmp_path / "out")
    save_space(make(), tmp_path / "store")
    with pytest.raises(InputError, match="store: exists already"):
        convert(tmp_path / "store", "parquet", tmp_path / "store")
    with pytest.raises(UsageError, match="embeddings, and upstream is a layout of checkpoints"):
        convert(tmp_path / "store", "upstream", tmp_path / "out")
    asked = EncoderOptions(recipe="ance")
    with pytest.raises(UsageError, match="a store has its recipe"):
        convert(tmp_path / "store", "npz", tmp_path / "o", encoder=asked)


@pytest.mark.parametrize("layout", ["store", "parquet", "npz"])
def test_a_write_that_fails_leaves_nothing(tmp_path: Path, layout: str) -> None:
    """A limit on the size of files stands in for a full disk."""
    rng = np.random.default_rng(0)
    save_space(
        EmbeddingSpace(rng.normal(size=(4, 64)), rng.normal(size=(999, 64))), tmp_path / "in"
    )
    program = f"""
import resource, signal
from anisotropy.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
raise SystemExit(main(["convert", "in", "--to", {layout!r}, "--out", "out"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("anisotropy: out: could not be written ("), done.stderr
    assert done.stderr.endswith("); nothing was left there\n")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_an_error_of_ours_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what failed to be written is told so; a mistake of the program stays one."""

    def broken(kind: type[Exception]) -> Callable[..., None]:
        def raise_it(*_: object) -> None:
            raise kind("oh")

        return raise_it

    for kind in (ValueError, InputError):
        monkeypatch.setattr("anisotropy.spaces.exporting._write_parquet", broken(kind))
        with pytest.raises(kind, match=r"^oh$"):
            convert_space(make(), "parquet", tmp_path / "out")
    assert not list(tmp_path.iterdir())
