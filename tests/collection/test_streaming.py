"""Large sources: read as a stream, found by place, scanned once."""

from __future__ import annotations

import itertools
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from anisotropy.collection import Document, index, open_collection
from anisotropy.collection.index import Index, Source
from anisotropy.errors import CollectionError
from tests.collection.folders import DOCUMENTS, beir, jsonl, tsv, write

TEXT = "some words of a document that is long enough to be seen in memory " * 15


def large_folder(folder: Path, n: int) -> Path:
    with (folder / "collection.tsv").open("w") as file:
        file.writelines(f"{number}\t{number} {TEXT}\n" for number in range(n))
    write(folder / "queries.tsv", "q\tquery\n")
    write(folder / "qrels.tsv", tsv([("q", 0, n - 1, 1)]))
    return folder


def test_memory_is_far_below_the_texts(tmp_path: Path) -> None:
    n = 10_000
    folder = large_folder(tmp_path, n)
    size = (folder / "collection.tsv").stat().st_size
    tracemalloc.start()
    collection = open_collection(folder)
    assert sum(1 for _ in collection.documents()) == n
    found = collection.texts(["7", str(n - 1)])
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found[str(n - 1)].text == f"{n - 1} {TEXT}"
    assert size > 9e6
    assert held < 100 * n
    assert peak < size / 5


@pytest.mark.slow
def test_a_hundred_thousand_documents_open_in_seconds(tmp_path: Path) -> None:
    folder = large_folder(tmp_path, 100_000)
    start = time.process_time()
    collection = open_collection(folder)
    assert time.process_time() - start < 6
    assert collection.n_documents == 100_000


def test_documents_are_read_on_demand(tmp_path: Path) -> None:
    collection = open_collection(large_folder(tmp_path, 5000))
    first = list(itertools.islice(collection.documents(), 3))
    assert [document.doc_id for document in first] == ["0", "1", "2"]
    assert next(collection.documents()) == first[0]


def test_a_file_that_changes_is_noticed(tmp_path: Path) -> None:
    collection = open_collection(beir(tmp_path))
    write(tmp_path / "corpus.jsonl", jsonl(list(reversed(DOCUMENTS))))
    with pytest.raises(CollectionError, match="changed since opened"):
        collection.texts(["d2"])
    (tmp_path / "corpus.jsonl").unlink()
    with pytest.raises(CollectionError, match="no such file"):
        collection.texts(["d2"])


def test_the_scan_of_a_large_file_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "_LARGE", 10)
    folder, cache = beir(tmp_path / "data"), tmp_path / "cache"
    first = open_collection(folder, cache=cache)
    assert len(list((cache / "scans").iterdir())) == 1
    with monkeypatch.context() as patched:
        patched.setattr(index, "_scan", lambda source: pytest.fail("scanned again"))
        again = open_collection(folder, cache=cache)
    assert again.fingerprint == first.fingerprint
    assert again.texts(["d3"]) == first.texts(["d3"])
    assert again.warnings == first.warnings

    next((cache / "scans").iterdir()).write_bytes(b"damaged")
    assert open_collection(folder, cache=cache).fingerprint == first.fingerprint
    write(folder / "corpus.jsonl", jsonl(DOCUMENTS[:3]))
    assert open_collection(folder, cache=cache).n_documents == 3


def test_a_cache_that_cannot_be_written_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "_LARGE", 10)
    cache = write(tmp_path / "file", "in the way")
    assert open_collection(beir(tmp_path / "data"), cache=cache).n_documents == 4


class Numbers(Source):
    """Documents 0 to n - 1, some of them twice."""

    where = name = "numbers"

    def __init__(self, ids: list[str]) -> None:
        self.ids = ids

    def located(self) -> Iterator[tuple[int, Document]]:
        yield from ((row, Document(doc_id, "x")) for row, doc_id in enumerate(self.ids))

    def read(self, doc_ids: object, places: object) -> Iterator[Document]:
        assert isinstance(places, list)
        yield from (Document(self.ids[place], "x") for place in places)

    def describe(self, place: int) -> str:
        return f"row {place}"


def test_known_against_a_set() -> None:
    ids = [f"id {number * number}" for number in range(9000)]
    found = Index(Numbers(ids))
    asked = [f"id {number}" for number in range(3000)] + [ids[-1], "id", ""]
    assert found.known(asked).tolist() == [doc_id in set(ids) for doc_id in asked]
    assert found.fetch(ids[:50]) == {doc_id: Document(doc_id, "x") for doc_id in ids[:50]}


@pytest.mark.parametrize("apart", [1, 5000])
def test_duplicates_are_found_across_batches(apart: int) -> None:
    ids = [str(number) for number in range(apart)]
    with pytest.raises(CollectionError, match=rf"'0' occurs twice \(row 0 and row {apart}\)"):
        Index(Numbers([*ids, "0"]))


def test_equal_hashes_of_different_ids_are_no_duplicates(monkeypatch: pytest.MonkeyPatch) -> None:
    real = index.hash_ids
    monkeypatch.setattr(index, "hash_ids", lambda ids: real(doc_id[0] for doc_id in ids))
    assert Index(Numbers(["aa", "ab", "b"])).n == 3
