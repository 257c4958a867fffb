"""Preprocessed folders of ANCE and DANCE as collections of token ids."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from anisotropy.collection import Collection, open_collection
from anisotropy.collection import token_cache as token_cache_module
from anisotropy.collection.token_cache import open_cache
from anisotropy.errors import CollectionError
from tests.collection.preprocessed import (
    DEV,
    DOCUMENT_IDS,
    DOCUMENTS,
    TRAIN,
    ance,
    dance,
    dpr,
    write_cache,
    write_map,
    write_qrels,
)


def tokens_of(collection: Collection, split: str) -> dict[str, tuple[int, ...] | None]:
    return {query.query_id: query.tokens for query in collection.queries(split)}


def test_a_document_folder_of_dance(tmp_path: Path) -> None:
    found = open_collection(dance(tmp_path / "docs"))
    assert (found.name, found.split, found.has_texts) == ("docs", "dev", False)
    assert found.splits == ("test", "dev", "train")
    assert found.training_split == "train"
    names = {row: str(name) for name, row in DOCUMENT_IDS.items()}
    assert [(d.doc_id, d.tokens, d.text) for d in found.documents()] == [
        (names[row], tuple(ids), "") for row, ids in enumerate(DOCUMENTS)
    ]
    assert tokens_of(found, "dev") == {"6": tuple(DEV[0]), "8": tuple(DEV[1])}
    assert tokens_of(found, "train") == dict(zip(("7", "2", "90"), map(tuple, TRAIN), strict=True))
    assert found.qrels("train") == {"7": {"70": 1}, "2": {"41": 1, "5": 1}, "90": {"41": 1}}
    assert found.qrels("dev") == {"6": {"3": 1}, "8": {"1009": 1}}
    assert found.qrels("test") == {"501": {"3": 3, "41": 0}}
    assert (found.warnings, found.padding_id) == ([], 0)


def test_documents_are_found_by_id(tmp_path: Path) -> None:
    found = open_collection(dance(tmp_path))
    texts = found.texts(["5", "70", "5"])
    assert {name: item.tokens for name, item in texts.items()} == {
        "5": tuple(DOCUMENTS[4]), "70": tuple(DOCUMENTS[0]),
    }  # fmt: skip
    with pytest.raises(CollectionError, match="no document has the id '0'"):
        found.texts(["0"])


@pytest.mark.parametrize(
    ("grades", "split"), [((1, 1), "dev"), ((3, 1), "test"), ((0, 1), "test")]
)
def test_dev_of_ance_is_trec_where_it_is_graded(
    tmp_path: Path, grades: tuple[int, int], split: str
) -> None:
    found = open_collection(ance(tmp_path, grades=grades))
    assert found.splits == (split, "train")
    assert found.split == split
    assert list(found.qrels()) == ["100", "101"]


def test_the_one_map_of_ance_belongs_to_the_set_it_fits(tmp_path: Path) -> None:
    found = open_collection(ance(tmp_path))
    assert list(tokens_of(found, "train")) == ["0", "1", "2"]
    assert "qid2offset.pickle is taken for the map of dev-query" in found.warnings[0]
    assert "that of train-query was overwritten" in found.warnings[0]
    assert found.warnings[1:] == [
        "no map of ids belongs to train-query: the queries are called by their row"
    ]
    write_map(tmp_path / "qid2offset.pickle", {11: 0, 12: 1, 13: 2})
    again = open_collection(tmp_path)
    assert list(tokens_of(again, "train")) == ["11", "12", "13"]
    assert list(tokens_of(again, "dev")) == ["0", "1"]
    write_map(tmp_path / "qid2offset.pickle", {11: 0, 12: 9})
    nothing = open_collection(tmp_path)
    assert list(tokens_of(nothing, "dev")) == ["0", "1"]
    assert nothing.warnings[0] == ("qid2offset.pickle: ends at row 9, as no set of queries does")


def test_of_two_sets_of_one_size_the_map_is_that_of_the_later(tmp_path: Path) -> None:
    found = open_collection(ance(tmp_path, dev=TRAIN))
    assert list(tokens_of(found, "dev")) == ["100", "101"]  # the third is not judged
    assert "(dev-query and train-query have as many queries)" in found.warnings[0]


def test_dpr(tmp_path: Path) -> None:
    found = open_collection(dpr(tmp_path))
    assert found.splits == ("dev", "trivia-dev", "test", "train")
    assert [document.doc_id for document in found.documents()] == ["1", "2", "3", "4", "5"]
    assert found.qrels("trivia-dev") == found.qrels("train") == {"0": {"3": 1}, "1": {"5": 1}}
    assert (len(found.queries("test")), found.qrels("test")) == (2, {})


def test_custom_prefixes_stay(tmp_path: Path) -> None:
    write_cache(tmp_path / "passages", DOCUMENTS, 8)
    write_map(tmp_path / "pid2offset.pickle", DOCUMENT_IDS)
    write_cache(tmp_path / "blind-query", DEV, 8)
    write_map(tmp_path / "blind_qid2offset.pickle", {5: 1, 4: 0})
    found = open_collection(tmp_path)
    assert (found.split, found.qrels()) == ("blind", {})
    assert tokens_of(found, "blind") == {"4": tuple(DEV[0]), "5": tuple(DEV[1])}


def test_a_repeated_id_is_that_of_its_last_row(tmp_path: Path) -> None:
    folder = dance(tmp_path)
    write_map(folder / "pid2offset.pickle", {70: 0, 3: 3, 41: 2, 5: 4})  # 3 was at row 1 before
    found = open_collection(folder)
    assert [document.doc_id for document in found.documents()] == ["70", "#1", "41", "3", "5"]
    assert found.warnings == [
        "passages: 1 record(s) without an id, because it occurs again later; kept under their "
        "row (example: '#1')"
    ]
    assert found.qrels("dev") == {"6": {"#1": 1}, "8": {"3": 1}}


def test_judgments_of_rows_that_there_are_not(tmp_path: Path) -> None:
    folder = dance(tmp_path)
    write_qrels(folder / "real-dev-qrel.tsv", [(0, 1, 1), (1, 5, 1), (9, 0, 1)])
    found = open_collection(folder)
    assert found.qrels("dev") == {"6": {"3": 1}}
    assert found.warnings == [
        "real-dev-qrel.tsv: 1 judgments name unknown queries, dropped (example: query '#9')",
        "real-dev-qrel.tsv: 1 judgments name unknown documents, dropped (example: query '8', "
        "document '#5')",
    ]


def test_the_fingerprint_knows_ids_tokens_and_padding(tmp_path: Path) -> None:
    def fingerprint(name: str, change: Callable[[Path], object] = lambda _: None) -> str:
        folder = dance(tmp_path / name)
        change(folder)
        return open_collection(folder).fingerprint

    plain = fingerprint("a")
    assert plain == fingerprint("b")
    changes: list[Callable[[Path], object]] = [
        lambda folder: write_map(folder / "pid2offset.pickle", {**DOCUMENT_IDS, 70: 1, 3: 0}),
        lambda folder: write_cache(folder / "passages", DOCUMENTS, 8, padding=1),
        lambda folder: write_cache(folder / "real-dev-query", DEV[::-1], 6),
        lambda folder: write_cache(folder / "dev-query", [[0, 99, 2]], 6),
        lambda folder: write_qrels(folder / "train-qrel.tsv", [(0, 1, 1)]),
    ]
    others = [fingerprint(f"changed {number}", one) for number, one in enumerate(changes)]
    assert len({plain, *others}) == 1 + len(changes)


@pytest.mark.parametrize("block", [1, 36, 80, 2**20])
def test_blocks_of_any_size_give_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    path = write_cache(tmp_path / "passages", DOCUMENTS, 8)
    whole = open_cache(path).scan()
    monkeypatch.setattr(token_cache_module, "_BLOCK", block)
    cache = open_cache(path)
    assert list(cache.records()) == [tuple(row) for row in DOCUMENTS]
    assert cache.lengths().tolist() == [len(row) for row in DOCUMENTS]
    assert cache.scan() == whole
    assert list(cache.fetch([4, 0])) == [(0, tuple(DOCUMENTS[0])), (4, tuple(DOCUMENTS[4]))]


def test_random_records_come_back(tmp_path: Path) -> None:
    random_ids = random.Random(3)
    for trial in range(20):
        width = random_ids.randint(1, 40)
        rows = [
            [random_ids.randrange(2**31) for _ in range(random_ids.randint(1, width))]
            for _ in range(random_ids.randint(1, 30))
        ]
        cache = open_cache(write_cache(tmp_path / f"{trial}", rows, width, padding=7))
        assert [list(row) for row in cache.records()] == rows
        scan = cache.scan()
        assert (scan.shortest, scan.longest) == (min(map(len, rows)), max(map(len, rows)))
        assert scan.mean == pytest.approx(np.mean([len(row) for row in rows]))
        assert scan.padding == ((7,) if scan.shortest < width else ())


def test_the_scan_of_a_large_file_is_kept_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_cache_module, "_LARGE", 1)
    cache, path = tmp_path / "cache", write_cache(tmp_path / "passages", DOCUMENTS, 8)
    first = open_cache(path).scan(cache)
    (kept,) = cache.rglob("*.json")
    assert open_cache(path).scan(cache) == first
    kept.write_text("{}")
    assert open_cache(path).scan(cache) == first
    write_cache(path, DOCUMENTS[:2], 8)
    assert open_cache(path).scan(cache) == open_cache(path).scan() != first


def edit(path: Path, **values: object) -> None:
    meta = json.loads(path.read_text())
    path.write_text(json.dumps({**meta, **values}))


DAMAGE: list[tuple[Callable[[Path], object], str]] = [
    (lambda f: edit(f / "passages_meta", total_number=6), r"passages: 180 bytes; .* says 6 rec"),
    (lambda f: edit(f / "passages_meta", total_number=10**30), "cut off, or of another run"),
    (lambda f: edit(f / "passages_meta", embedding_size=2**40), "allowed: 1 record or more"),
    (lambda f: edit(f / "passages_meta", embedding_size=0), "embedding_size 0; allowed"),
    (lambda f: edit(f / "passages_meta", total_number=0), "total_number 0"),
    (lambda f: edit(f / "passages_meta", total_number=True), "no description of token ids"),
    (lambda f: edit(f / "passages_meta", type="float32"), "needed: type int32"),
    (lambda f: (f / "passages_meta").write_text("[" * 5000), "passages_meta: not readable as"),
    (lambda f: (f / "passages_meta").write_text(" " * 70_000), "passages_meta: 70000 bytes"),
    (lambda f: (f / "passages").unlink(), "passages: no such file"),
    (lambda f: (f / "passages").write_bytes(b""), "passages: 0 bytes"),
    (lambda f: poke(f / "passages", 36, struct.pack(">I", 9)), "record 1: 9 tokens; allowed: 1 t"),
    (lambda f: poke(f / "passages", 36, struct.pack(">I", 0)), "record 1: 0 tokens"),
    (lambda f: poke(f / "passages", 36, struct.pack("<I", 3)), "record 1: 50331648 tokens"),
    (lambda f: poke(f / "passages", 80, struct.pack("<i", -1)), "record 2: a negative token id"),
    (lambda f: edit(f / "dev-query_meta", total_number=2), "dev-query: 28 bytes"),
    (lambda f: write_map(f / "pid2offset.pickle", {1: 0}), "last row is 0, but there are 5 rows"),
    (lambda f: write_map(f / "pid2offset.pickle", {1: 9**40}), "needed: a whole number from 0"),
    (lambda f: write_map(f / "train-query_qid2offset.pickle", {1: 5}), "there are 3 rows"),
    (lambda f: [one.unlink() for one in f.glob("*query*")], "holds passages but no queries"),
    (lambda f: (f / "dev-qrel.tsv").write_text("0\t1\tx\n0\t2\ty\n"), "dev-qrel.tsv, line 2"),
]  # fmt: skip


def poke(path: Path, place: int, data: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[place : place + len(data)] = data
    path.write_bytes(content)


@pytest.mark.parametrize(("damage", "expected"), DAMAGE)
def test_damage_is_named(tmp_path: Path, damage: Callable[[Path], object], expected: str) -> None:
    folder = dance(tmp_path)
    damage(folder)
    with pytest.raises(CollectionError, match=expected) as caught:
        open_collection(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_a_file_cut_off_while_it_is_read(tmp_path: Path) -> None:
    folder = dance(tmp_path)
    found = open_collection(folder)
    (folder / "passages").write_bytes((folder / "passages").read_bytes()[:50])
    with pytest.raises(CollectionError, match="passages: shorter than when it was opened"):
        list(found.documents())
    with pytest.raises(CollectionError, match="shorter than when it was opened"):
        found.texts(["5"])


def test_a_bad_pair_of_dpr_is_named(tmp_path: Path) -> None:
    folder = dpr(tmp_path)
    (folder / "dev-ann").write_text("0\t1\t['a']\nx\t1\t['a']\n")
    with pytest.raises(CollectionError, match=r"dev-ann, line 2: .* needed: query row, document"):
        open_collection(folder)


def test_what_inspect_says(tmp_path: Path) -> None:
    from anisotropy.inspection import as_text, describe

    found = describe(dance(tmp_path / "docs", padding=1))
    assert found["sets"]["real-dev-query = dev"] == (
        "2 records of 6 ids, 3 to 5 tokens (mean 4.0); ids by real-dev-query_qid2offset.pickle"
    )
    assert found["padding_id"].startswith("1 (ANCE since")
    assert found["separator"].startswith("in doubt: <sep> as text")
    assert "docs" in as_text(found)
    assert "RoBERTa" in as_text(found)
    write_cache(tmp_path / "docs" / "passages", [[0, 5, 2, 6, 2, 7, 8, 2]] * 5, 8)
    found = describe(tmp_path / "docs")
    assert found["separator"].startswith("</s> (ANCE since")
    assert found["padding_id"] == "in doubt: every record is full"
    assert "BERT" in describe(dpr(tmp_path / "dpr"))["tokenizer"]
