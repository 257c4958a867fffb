from __future__ import annotations

import hashlib
import json
import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anisotropy.errors import EmbeddingsError, StoreError, UsageError
from anisotropy.spaces import EmbeddingSpace, ShardedRows, is_store, open_store, save_space
from anisotropy.spaces.store import StoreHeader, StoreWriter
from anisotropy.spaces.store.manifest import MANIFEST


def make_space(n_documents: int = 7, dim: int = 3, **more: object) -> EmbeddingSpace:
    rng = np.random.default_rng(0)
    return EmbeddingSpace(
        queries=rng.normal(size=(4, dim)).astype(np.float32),
        documents=rng.normal(size=(n_documents, dim)).astype(np.float32),
        query_ids=["q1", "q2", "q3", "q4"],
        qrels={"q1": {"0": 1, "3": 0}, "q2": {"6": 2}},
        label="x",
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture
def store(tmp_path: Path) -> Path:
    save_space(make_space(), tmp_path / "store")
    return tmp_path / "store"


def test_round_trip(store: Path) -> None:
    space, back = make_space(), open_store(store, verify=True)
    assert np.array_equal(space.queries, back.queries)
    assert np.array_equal(space.documents, back.documents)
    assert (back.query_ids, back.doc_ids, back.qrels) == (
        space.query_ids,
        space.doc_ids,
        space.qrels,
    )
    assert isinstance(back.documents, np.memmap)
    assert back.label == "x"


def test_round_trip_of_several_vectors_and_training_queries(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    owner = np.array([0, 0, 1, 1, 2, 2])
    padding = np.array([0, 0, 0, 1, 0, 1], dtype=bool)
    documents = rng.normal(size=(6, 2))
    shared = {"document_of_row": owner, "padding": padding, "doc_ids": ["a", "b", "c"]}
    pool = EmbeddingSpace(rng.normal(size=(2, 2)), documents, qrels={"1": {"b": 1}}, **shared)
    space = EmbeddingSpace(rng.normal(size=(1, 2)), documents, training=pool, **shared)
    space.save(str(tmp_path / "s"))
    back = open_store(tmp_path / "s", verify=True)
    assert np.array_equal(back.document_of_row, owner)
    assert np.array_equal(back.padding, padding)
    assert back.mining.qrels == {"1": {"b": 1}}
    assert back.counts["padding_vectors"] == 2
    assert (tmp_path / "s/documents/ids.txt").read_text() == "a\na\nb\nb\nc\nc\n"


def test_manifest_has_no_time_and_no_path(store: Path, tmp_path: Path) -> None:
    text = (store / "manifest.json").read_text()
    assert str(tmp_path) not in text
    first = text
    shutil.rmtree(store)
    save_space(make_space(), store)
    assert (store / "manifest.json").read_text() == first


SHARD = "documents/embeddings-00000.npy"
#: What is done to a store, the file that the message names, and what it says of it.
DAMAGE: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "missing shard": (lambda s: (s / SHARD).unlink(), SHARD, "no such file"),
    "cut shard": (lambda s: cut(s / SHARD), SHARD, "cut short or swapped"),
    "grown shard": (lambda s: grow(s / SHARD), SHARD, "cut short or swapped"),
    "header that lies": (lambda s: rehead(s, b"(7, 3)", b"(9, 3)"), SHARD, "header says"),
    "header of another shape": (lambda s: rehead(s, b"(7, 3)", b"(3, 7)"), SHARD, "(7, 3)"),
    "header of another dtype": (lambda s: rehead(s, b"<f4", b"<i4"), SHARD, "holds int32"),
    "header of objects": (lambda s: rehead(s, b"'<f4'", b"'|O8'"), SHARD, ""),
    "no header": (lambda s: rehead(s, b"NUMPY", b"DUMPY"), SHARD, "not a whole .npy"),
    "not a number": (lambda s: poison(s, 5), SHARD, "documents row 5 has NaN or infinite"),
    "a device": (
        lambda s: replace(s / SHARD, lambda p: p.symlink_to("/dev/zero")),
        SHARD,
        "device",
    ),
    "a pipe": (lambda s: replace(s / SHARD, os.mkfifo), SHARD, "a pipe"),
    "a circle": (lambda s: replace(s / SHARD, lambda p: p.symlink_to(p)), SHARD, "cannot be read"),
    "a folder": (lambda s: replace(s / SHARD, Path.mkdir), SHARD, "a folder"),
    "cut ids": (lambda s: cut(s / "queries/ids.txt"), "queries/ids.txt", "cut short"),
    "fewer ids": (
        lambda s: rewrite(s, "queries", "ids", b"q1\nq2\nq3\n"),
        "queries/ids.txt",
        "3 ids for 4 rows",
    ),
    "ids with tabs": (
        lambda s: ids(s, b"q1\tx\nq2\nq3\nq4\n"),
        "queries/ids.txt, line 1",
        "no id",
    ),
    "empty ids": (lambda s: ids(s, b"q1\n\nq3\nq4\n"), "queries/ids.txt, line 2", "no id"),
    "ids with returns": (lambda s: ids(s, b"q1\nq2\nq3\r\nq4\n"), "ids.txt, line 3", "no id"),
    "ids twice": (lambda s: ids(s, b"q1\nq2\nq1\nq4\n"), "queries/ids.txt", "'q1' occurs 2 times"),
    "ids not UTF-8": (lambda s: ids(s, b"q1\nq\xff2\nq3\nq4\n"), "queries/ids.txt", "not UTF-8"),
    "other ids": (lambda s: ids(s, b"q1\nqx\nq3\nq4\n"), "qrels.tsv, line 3", "'q2' is not in"),
    "missing qrels": (lambda s: (s / "qrels.tsv").unlink(), "qrels.tsv", "no such file"),
    "half a judgment": (lambda s: judge(s, b"q1\t0\n"), "qrels.tsv, line 1", "not query, tab"),
    "judged strangers": (lambda s: judge(s, b"q1\tz\t1\n"), "qrels.tsv, line 1", "'z' is not in"),
    "qrels not UTF-8": (lambda s: judge(s, b"q1\t\xff\t1\n"), "qrels.tsv", "not UTF-8"),
    "no json": (lambda s: (s / MANIFEST).write_text("{"), MANIFEST, "JSON"),
    "deep json": (lambda s: (s / MANIFEST).write_text("[" * 100_000), MANIFEST, "JSON"),
    "a list": (lambda s: (s / MANIFEST).write_text("[]"), MANIFEST, "not a store"),
    "huge": (lambda s: os.truncate(s / MANIFEST, 1 << 30), MANIFEST, "1073741824 bytes"),
    "another format": (lambda s: edit(s, lambda m: m.update(format="x")), MANIFEST, "not a store"),
    "no sides": (lambda s: edit(s, lambda m: m.pop("sides")), MANIFEST, "sides is missing"),
    "other dim": (lambda s: edit(s, lambda m: m.update(dim=4)), "queries/embeddings", "(4, 4)"),
    "other dtype": (lambda s: edit(s, lambda m: m.update(dtype="float16")), "queries/", "float16"),
    "no dtype": (lambda s: edit(s, lambda m: m.update(dtype="O")), MANIFEST, "dtype is 'O'"),
    "negative dim": (lambda s: edit(s, lambda m: m.update(dim=-1)), MANIFEST, "dim is '-1'"),
    "dim true": (lambda s: edit(s, lambda m: m.update(dim=True)), MANIFEST, "dim is 'True'"),
    "other rows": (lambda s: edit(s, lambda m: side(m).update(rows=8)), MANIFEST, "not the sum"),
    "other count": (lambda s: edit(s, lambda m: side(m).update(count=5)), "ids.txt", "says 5"),
    "no shards": (lambda s: edit(s, lambda m: side(m).update(shards=[])), MANIFEST, "is empty"),
    "shards of text": (
        lambda s: edit(s, lambda m: side(m).update(shards=["x"])),
        MANIFEST,
        "table",
    ),
    "no size": (
        lambda s: edit(s, lambda m: side(m)["ids"].pop("sha256")),
        MANIFEST,
        "missing",
    ),
    "a path out": (lambda s: lead(s, "../../x.npy"), MANIFEST, "needed: 'embeddings-00000.npy'"),
    "a path to the root": (lambda s: lead(s, "/etc/passwd"), MANIFEST, "'/etc/passwd'"),
    "the same shard twice": (
        lambda s: edit(s, lambda m: side(m).update(shards=side(m)["shards"] * 2, rows=14)),
        MANIFEST,
        "needed: 'embeddings-00001.npy'",
    ),
    "sides a list": (lambda s: edit(s, lambda m: m.update(sides=[1])), MANIFEST, "a table"),
    "an unknown side": (
        lambda s: edit(s, lambda m: m["sides"].update({"../x": {}})),
        MANIFEST,
        "unknown side '../x'",
    ),
    "an unknown similarity": (
        lambda s: edit(s, lambda m: m["recipe"].update(similarity="cosin")),
        MANIFEST,
        "'cosine'",
    ),
    "a temperature of text": (
        lambda s: edit(s, lambda m: m["recipe"].update(temperature="warm")),
        MANIFEST,
        "temperature",
    ),
}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def edit(store: Path, change: Callable[[Any], object]) -> None:
    manifest = json.loads((store / "manifest.json").read_text())
    change(manifest)
    (store / "manifest.json").write_text(json.dumps(manifest))


def side(manifest: Any) -> Any:
    return manifest["sides"]["documents"]


def lead(store: Path, away: str) -> None:
    edit(store, lambda m: side(m)["shards"][0].update(file=away))


def rehead(store: Path, old: bytes, new: bytes) -> None:
    content = (store / SHARD).read_bytes()
    assert old in content
    (store / SHARD).write_bytes(content.replace(old, new, 1))


def poison(store: Path, row: int) -> None:
    array = np.load(store / SHARD)
    array[row, 1] = np.nan
    np.save(store / SHARD, array)


def replace(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


def rewrite(store: Path, where: str, name: str, content: bytes) -> None:
    """Another file and a manifest that agrees with it."""
    path = store / where / "ids.txt" if name == "ids" else store / "qrels.tsv"
    path.write_bytes(content)

    def change(manifest: Any) -> None:
        entry = manifest["sides"][where][name] if name == "ids" else manifest[name]
        entry.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())

    edit(store, change)


def ids(store: Path, content: bytes) -> None:
    rewrite(store, "queries", "ids", content)


def judge(store: Path, content: bytes) -> None:
    rewrite(store, "", "qrels", content)


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named_in_one_line_with_what_to_do(store: Path, name: str) -> None:
    damage, file, reason = DAMAGE[name]
    damage(store)
    with pytest.raises(StoreError) as caught:
        open_store(store)
    message = str(caught.value)
    assert f"{store}/{file}" in message or file in message
    assert reason in message
    assert "\n" not in message
    if "not a store" not in reason:
        assert "restore it from a copy, or remove the store and encode again" in message


def test_a_link_to_a_whole_file_is_followed(store: Path, tmp_path: Path) -> None:
    (store / SHARD).rename(tmp_path / "elsewhere.npy")
    (store / SHARD).symlink_to(tmp_path / "elsewhere.npy")
    open_store(store, verify=True)


def chunked(folder: Path) -> Path:
    documents = np.arange(12.0).reshape(6, 2) + 1
    owner = np.array([0, 0, 0, 1, 2, 2])
    space = EmbeddingSpace(
        np.ones((1, 2)), documents, document_of_row=owner, doc_ids=["a", "b", "c"],
        padding=np.zeros(6, dtype=bool),
    )  # fmt: skip
    save_space(space, folder)
    return folder


@pytest.mark.parametrize(
    ("name", "array", "reason"),
    [
        ("chunks", np.array([0, 1, 2, 0, 0, 2], dtype=np.int64), "row 5 is chunk 2 of 'c'"),
        ("chunks", np.array([0, 1, 0, 0, 0, 1], dtype=np.int64), "row 2 is chunk 0 of 'a'"),
        ("chunks", np.array([1, 2, 3, 0, 0, 1], dtype=np.int64), "row 0 is chunk 1 of 'a'"),
        ("chunks", np.zeros(5, dtype=np.int64), "(5,)"),
        ("chunks", np.zeros(6), "float64"),
        ("padding", np.zeros(6, dtype=np.int8), "needed: one truth value a row"),
        ("padding", np.zeros((6, 1), dtype=bool), "needed: one truth value a row"),
    ],
)
def test_chunks_and_padding_must_fit_the_ids(
    tmp_path: Path, name: str, array: np.ndarray, reason: str
) -> None:
    store = chunked(tmp_path / "s")
    path = store / f"documents/{name}.npy"
    np.save(path, array)
    edit(store, lambda m: side(m)[name].update(bytes=path.stat().st_size))
    with pytest.raises(StoreError) as caught:
        open_store(store)
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)


def test_an_id_that_comes_back_is_refused(tmp_path: Path) -> None:
    store = chunked(tmp_path / "s")
    rewrite(store, "documents", "ids", b"a\na\na\nb\na\na\n")
    with pytest.raises(StoreError, match=r"documents/ids\.txt: id 'a' occurs 2 times"):
        open_store(store)


@pytest.mark.parametrize("shard_items", [1, 2, 7, 100])
def test_saved_spaces_are_sharded_and_the_same(tmp_path: Path, shard_items: int) -> None:
    save_space(make_space(), tmp_path / "s", shard_items=shard_items)
    back = open_store(tmp_path / "s", verify=True)
    assert np.array_equal(np.asarray(back.documents), make_space().documents)
    assert len(list((tmp_path / "s/documents").glob("embeddings-*"))) == -(-7 // shard_items)


def test_a_saved_space_is_not_held_twice(tmp_path: Path) -> None:
    documents = np.ones((40_000, 100), dtype=np.float32)  # 16 MB
    space = EmbeddingSpace(np.ones((1, 100), dtype=np.float32), documents)
    tracemalloc.start()
    try:
        save_space(space, tmp_path / "s", shard_items=1000)
        assert tracemalloc.get_traced_memory()[1] < 8e6  # mostly the ids
    finally:
        tracemalloc.stop()


def test_a_shorter_save_leaves_nothing_of_a_longer_one_that_was_cut(tmp_path: Path) -> None:
    pool = EmbeddingSpace(np.ones((1, 3)), make_space().documents.astype(float))
    bad = make_space(training=pool)
    bad.qrels = {"q1": {"0": "\ud800"}}  # type: ignore[dict-item]
    with pytest.raises(UnicodeEncodeError):
        save_space(bad, tmp_path / "s", shard_items=1)
    assert (tmp_path / "s/training-queries").is_dir()
    save_space(make_space(n_documents=7), tmp_path / "s", shard_items=1)
    save_space(make_space(n_documents=7), tmp_path / "whole", shard_items=1)
    there, expected = (
        {str(path.relative_to(tmp_path / name)) for path in (tmp_path / name).rglob("*")}
        for name in ("s", "whole")
    )
    assert there == expected


def test_a_swapped_file_is_found_by_verify(store: Path) -> None:
    path = store / "documents/embeddings-00000.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    open_store(store)
    with pytest.raises(StoreError, match="checksum"):
        open_store(store, verify=True)


def header(dim: int = 2, dtype: str = "float32") -> StoreHeader:
    recipe = {"similarity": "dot", "temperature": 1.0}
    return StoreHeader(recipe, {"label": "x", "fingerprint": "f"}, {}, "all", dim, dtype)


def test_unfinished_is_visible_and_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    with StoreWriter(folder, header()) as writer:
        writer.write_shard("queries", 0, np.ones((3, 2)))
    assert is_store(folder)
    with pytest.raises(StoreError, match="unfinished; run the same encode again"):
        open_store(folder)
    again = StoreWriter(folder, header())
    assert again.has_shard("queries", 0, 3)
    assert not again.has_shard("queries", 0, 4)
    assert not again.has_shard("queries", 1, 3)
    again.finish_side("queries", ["a", "b", "c"], 1)
    again.write_shard("documents", 0, np.ones((1, 2)))
    again.finish_side("documents", ["d"], 1)
    again.finish({"a": {"d": 1}})
    assert open_store(folder, verify=True).qrels == {"a": {"d": 1}}


def test_an_unfinished_store_of_something_else_is_refused(tmp_path: Path) -> None:
    StoreWriter(tmp_path / "s", header()).close()
    with pytest.raises(StoreError, match="unfinished store of something else"):
        StoreWriter(tmp_path / "s", header(dim=3))


def test_folders_in_use_are_refused(store: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="a finished store"):
        StoreWriter(store, header())
    (tmp_path / "o").mkdir()
    (tmp_path / "o/file").touch()
    with pytest.raises(StoreError, match="other files"):
        StoreWriter(tmp_path / "o", header())


@pytest.mark.parametrize(("value", "dtype"), [(np.nan, "float32"), (1e6, "float16")])
def test_values_that_cannot_be_stored_are_refused(
    tmp_path: Path, value: float, dtype: str
) -> None:
    with (
        StoreWriter(tmp_path / "s", header(dtype=dtype)) as writer,
        pytest.raises(StoreError, match=r"NaN or infinite|does not fit"),
    ):
        writer.write_shard("queries", 0, np.full((1, 2), value))


@pytest.mark.parametrize("name", ["a\nb", "", "a\rb", "a\tb", "\ud800"])
def test_ids_that_break_lines_are_refused(tmp_path: Path, name: str) -> None:
    with StoreWriter(tmp_path / "s", header()) as writer:
        writer.write_shard("queries", 0, np.ones((1, 2)))
        with pytest.raises(StoreError, match="ids are one a line"):
            writer.finish_side("queries", [name], 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"queries": np.ones((2, 4))}, "queries have 4 dimensions and documents 3"),
        ({"queries": np.ones(3)}, r"shape \(3,\)"),
        ({"queries": np.ones((2, 3), dtype=int)}, "dtype int64"),
        ({"documents": np.array([[1.0, np.nan, 0]])}, "documents row 0 has NaN"),
        ({"documents": np.array([[1.0, np.inf, 0]])}, "documents row 0 has NaN or infinite"),
        ({"query_ids": ["a"]}, "1 ids for 2 queries"),
        ({"query_ids": ["a", "a"]}, "'a' occurs more than once"),
        ({"qrels": {"9": {"0": 1}}}, "judged query '9'"),
        ({"qrels": {"0": {"9": 1}}}, "document '9' judged for query '0'"),
        ({"queries": "abc"}, "queries have"),
    ],
)
def test_bad_spaces(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"queries": np.ones((2, 3)), "documents": np.ones((1, 3))}
    with pytest.raises(EmbeddingsError, match=message):
        EmbeddingSpace(**{**arguments, **change})  # type: ignore[arg-type]


def test_unknown_similarity_and_temperature() -> None:
    with pytest.raises(UsageError, match="did you mean 'cosine'"):
        EmbeddingSpace(np.ones((1, 2)), np.ones((1, 2)), similarity="cosin")
    with pytest.raises(UsageError, match="temperature"):
        EmbeddingSpace(np.ones((1, 2)), np.ones((1, 2)), temperature=0)


@given(
    sizes=st.lists(st.integers(0, 5), min_size=1, max_size=5),
    data=st.data(),
)
def test_sharded_rows_equal_one_array(sizes: list[int], data: st.DataObject) -> None:
    n = sum(sizes)
    whole = np.arange(n * 2, dtype=np.float32).reshape(n, 2)
    rows = ShardedRows(np.split(whole, np.cumsum(sizes)[:-1]))
    assert rows.shape == whole.shape
    assert np.array_equal(np.asarray(rows), whole)
    key = data.draw(st.slices(n))
    assert np.array_equal(rows[key], whole[key])
    if n:
        index = np.array(data.draw(st.lists(st.integers(-n, n - 1), max_size=6)), dtype=int)
        assert np.array_equal(rows[index], whole[index])
        mask = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
        assert np.array_equal(rows[mask], whole[mask])
        assert np.array_equal(rows[n - 1], whole[n - 1])
        with pytest.raises(IndexError):
            rows[np.array([n])]


def test_distances_and_neighbors() -> None:
    space = make_space()
    unit_q = space.queries[0] / np.linalg.norm(space.queries[0])
    unit_d = space.documents / np.linalg.norm(space.documents, axis=1, keepdims=True)
    frame = space.distances("q1", to="all")
    assert np.allclose(frame.distance, np.linalg.norm(unit_d - unit_q, axis=1), atol=1e-6)
    assert frame.sort_values("rank").distance.is_monotonic_increasing
    positives = space.distances(to="positives")
    assert list(zip(positives.query_id, positives.doc_id, strict=True)) == [
        ("q1", "0"),
        ("q2", "6"),
    ]
    best = space.neighbors("q1", k=2)
    assert list(best["rank"]) == [1, 2]
    with pytest.raises(UsageError, match="no query has the id 'zz'"):
        space.distances("zz")
    with pytest.raises(UsageError, match="did you mean 'nearest'"):
        space.distances("q1", to="nearst")  # type: ignore[arg-type]
