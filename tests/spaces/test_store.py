from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anisotropy.errors import EmbeddingsError, StoreError, UsageError
from anisotropy.spaces import EmbeddingSpace, ShardedRows, is_store, open_store, save_space
from anisotropy.spaces.store import StoreHeader, StoreWriter


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


DAMAGE = {
    "missing shard": lambda s: (s / "documents/embeddings-00000.npy").unlink(),
    "cut shard": lambda s: cut(s / "documents/embeddings-00000.npy"),
    "cut ids": lambda s: cut(s / "queries/ids.txt"),
    "missing qrels": lambda s: (s / "qrels.tsv").unlink(),
    "no json": lambda s: (s / "manifest.json").write_text("{"),
    "another format": lambda s: (s / "manifest.json").write_text('{"format": "x/1"}'),
    "no sides": lambda s: edit(s, lambda m: m.pop("sides")),
    "other dim": lambda s: edit(s, lambda m: m.update(dim=4)),
    "other dtype": lambda s: edit(s, lambda m: m.update(dtype="float16")),
    "other count": lambda s: edit(s, lambda m: m["sides"]["queries"].update(rows=5)),
    "sides a list": lambda s: edit(s, lambda m: m.update(sides=[1])),
}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def edit(store: Path, change: object) -> None:
    manifest = json.loads((store / "manifest.json").read_text())
    change(manifest)  # type: ignore[operator]
    (store / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named_in_one_line(store: Path, name: str) -> None:
    DAMAGE[name](store)
    with pytest.raises((StoreError, Exception)) as caught:
        open_store(store)
    assert caught.type.__module__ == "anisotropy.errors"
    assert "store" in str(caught.value)
    assert "\n" not in str(caught.value)


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
