from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anisotropy.errors import CollectionError, StoreError, UsageError
from anisotropy.spaces import open_store
from anisotropy.spaces.encoding import EncodeOptions, encode_collection, token_batches
from tests.spaces.fakes import FakeCollection, FakeEncoder, FakeRecipe

SHARDS = EncodeOptions(shard_items=4)


def encode(tmp_path: Path, encoder: FakeEncoder, name: str = "s", **options: Any) -> Path:
    chosen = EncodeOptions(**{"shard_items": 4, **options})
    encode_collection(encoder, FakeCollection(), [tmp_path / name], chosen)
    return tmp_path / name


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_rows_keep_the_order_of_the_collection(tmp_path: Path) -> None:
    space = open_store(encode(tmp_path, FakeEncoder()), verify=True)
    lengths = [len(d.text.split()) for d in FakeCollection().documents()]
    assert np.asarray(space.documents)[:, 0].tolist() == lengths
    assert np.asarray(space.documents)[:, 2].tolist() == list(range(9))
    assert space.doc_ids == [f"d{i}" for i in range(9)]
    assert space.query_ids == ["q0", "q1", "q2"]
    assert space.mining.query_ids == ["t0", "t1", "t2"]
    assert space.qrels == {"q0": {"d0": 1}, "q1": {"d1": 1}, "q2": {"d2": 1}}


def test_several_vectors_a_document(tmp_path: Path) -> None:
    space = open_store(encode(tmp_path, FakeEncoder(chunks=3)), verify=True)
    documents = np.asarray(space.documents)
    assert documents[:, 1].tolist() == [0, 1, 2] * 9
    assert space.document_of_row.tolist() == np.repeat(np.arange(9), 3).tolist()
    assert space.padding.tolist() == (documents[:, 1] >= documents[:, 0]).tolist()


def test_two_readings_from_one_pass(tmp_path: Path) -> None:
    encoder = FakeEncoder(readings=(FakeRecipe("one"), FakeRecipe("two", 2.0)))
    folders = [tmp_path / "1", tmp_path / "2"]
    encode_collection(encoder, FakeCollection(), folders, SHARDS)
    one, two = (open_store(folder) for folder in folders)
    assert np.array_equal(np.asarray(one.documents) * 2, np.asarray(two.documents))
    assert sum(map(len, encoder.batches)) == 9 + 3 + 3


@pytest.mark.parametrize("stop", range(1, 7))
def test_resumed_bytes_equal_uninterrupted_bytes(tmp_path: Path, stop: int) -> None:
    whole = encode(tmp_path, FakeEncoder(chunks=2), "whole", batch_tokens=8)
    with pytest.raises(KeyboardInterrupt):
        encode(tmp_path, FakeEncoder(chunks=2, fail_after=stop), "cut", batch_tokens=8)
    with pytest.raises(StoreError, match="unfinished"):
        open_store(tmp_path / "cut")
    rest = FakeEncoder(chunks=2)
    assert content(encode(tmp_path, rest, "cut", batch_tokens=8)) == content(whole)


def test_whole_shards_are_not_encoded_again(tmp_path: Path) -> None:
    full = FakeEncoder()
    encode(tmp_path, full, "full", batch_tokens=1)
    with pytest.raises(KeyboardInterrupt):
        encode(tmp_path, FakeEncoder(fail_after=len(full.batches) - 1), batch_tokens=1)
    rest = FakeEncoder()
    encode(tmp_path, rest, batch_tokens=1)
    assert len(rest.batches) == 1


def test_a_number_of_documents_keeps_the_judged(tmp_path: Path) -> None:
    space = open_store(encode(tmp_path, FakeEncoder(), documents=2))
    assert {"d0", "d1", "d2"} <= set(space.doc_ids)
    assert len(space.doc_ids) == 5
    again = open_store(encode(tmp_path, FakeEncoder(), "again", documents=2))
    assert again.doc_ids == space.doc_ids
    other = open_store(encode(tmp_path, FakeEncoder(), "other", documents=2, seed=3))
    assert other.doc_ids != space.doc_ids


def test_float16_store(tmp_path: Path) -> None:
    space = open_store(encode(tmp_path, FakeEncoder(), store_dtype="float16"))
    assert space.documents.dtype == np.float16


def test_texts_are_streamed_once(tmp_path: Path) -> None:
    collection = FakeCollection()
    encode_collection(FakeEncoder(), collection, [tmp_path / "s"], SHARDS)
    assert collection.streamed == 9


def test_progress_ends_at_the_total(tmp_path: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    encode_collection(
        FakeEncoder(),
        FakeCollection(),
        [tmp_path / "s"],
        SHARDS,
        progress=lambda side, done, total: calls.append((side, done, total)),
    )
    for side, total in (("queries", 3), ("training-queries", 3), ("documents", 9)):
        mine = [(done, all_of) for s, done, all_of in calls if s == side]
        assert mine[-1] == (total, total)
        assert all(a <= b for a, b in pairwise(mine))


def test_nan_from_an_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="NaN or infinite values"):
        encode(tmp_path, FakeEncoder(bad_value=float("nan")))
    with pytest.raises(StoreError, match="unfinished"):
        open_store(tmp_path / "s")


def test_an_empty_side_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match="0 queries"):
        encode_collection(FakeEncoder(), FakeCollection(n_queries=0), [tmp_path / "s"])


@pytest.mark.parametrize(
    "options", [{"store_dtype": "int8"}, {"batch_tokens": 0}, {"documents": 0}, {"shard_items": 0}]
)
def test_bad_options(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="allowed"):
        EncodeOptions(**options)  # type: ignore[arg-type]


def test_batches_hold_every_text_once_within_the_budget() -> None:
    rng = np.random.default_rng(0)
    tokens = [[0] * int(n) for n in rng.integers(0, 40, size=200)]
    batches = list(token_batches(tokens, 100))
    assert sorted(np.concatenate(batches).tolist()) == list(range(200))
    for batch in batches:
        longest = max(len(tokens[i]) for i in batch)
        assert longest * len(batch) <= 100 or len(batch) == 1


def test_another_choice_of_documents_is_not_continued(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        encode(tmp_path, FakeEncoder(fail_after=3), documents=2, seed=1)
    with pytest.raises(StoreError, match="unfinished store of something else"):
        encode(tmp_path, FakeEncoder(), documents=2, seed=2)
    space = open_store(encode(tmp_path, FakeEncoder(), documents=2, seed=1))
    assert [f"d{int(row[2])}" for row in np.asarray(space.documents)] == space.doc_ids


def test_another_label_or_source_continues(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        encode(tmp_path, FakeEncoder(fail_after=3))
    other = FakeEncoder(label="copy", readings=(FakeRecipe(source="option --recipe"),))
    assert open_store(encode(tmp_path, other), verify=True).label == "copy"


def test_a_device_gets_more_tokens_at_once() -> None:
    assert EncodeOptions().tokens_on("cpu") == 2048
    assert EncodeOptions().tokens_on("cuda:1") == 65_536
    assert EncodeOptions(batch_tokens=7).tokens_on("cuda") == 7
