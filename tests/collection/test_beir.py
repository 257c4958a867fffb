"""BEIR folders: what is read, and what is refused in one line that names file and line."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anisotropy.collection import Document, Query, open_collection
from anisotropy.errors import CollectionError
from tests.collection.folders import DOCUMENTS, QRELS, QUERIES, beir, jsonl, write


def refusal(folder: Path) -> str:
    with pytest.raises(CollectionError) as caught:
        open_collection(folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("packed", [False, True])
def test_reads_everything(tmp_path: Path, packed: bool) -> None:
    collection = open_collection(beir(tmp_path / "tiny", packed=packed))
    assert (collection.name, collection.note, collection.warnings) == ("tiny", "", [])
    assert (collection.split, collection.splits, collection.training_split) == (
        "test",
        ("test",),
        None,
    )
    assert collection.n_documents == 4
    documents = list(collection.documents())
    assert documents == list(collection.documents())
    assert documents[0] == Document("d1", "A copper bridge costs ten.", "Bridges")
    assert documents[1].text == "Rain in July, naïve ☂ text."
    assert documents[3].url == "http://a.test/d4"
    assert collection.queries() == [Query("q1", "copper bridge cost"), Query("q2", "rain")]
    assert collection.qrels() == {"q1": {"d1": 2, "d3": 0}, "q2": {"d2": 1}}
    assert "4 documents" in repr(collection)


@pytest.mark.parametrize("packed", [False, True])
def test_texts_by_id(tmp_path: Path, packed: bool) -> None:
    collection = open_collection(beir(tmp_path, packed=packed))
    everything = {document.doc_id: document for document in collection.documents()}
    found = collection.texts(["d4", "d2", "d4"])
    assert list(found) == ["d4", "d2"]
    assert found == {key: everything[key] for key in found}
    assert collection.texts([]) == {}
    with pytest.raises(CollectionError, match="no document has the id 'nope'"):
        collection.texts(["d1", "nope"])


def test_plain_and_packed_have_one_fingerprint(tmp_path: Path) -> None:
    plain = open_collection(beir(tmp_path / "a"))
    packed = open_collection(beir(tmp_path / "b", packed=True))
    assert plain.fingerprint == packed.fingerprint


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (("train", "dev", "test"), "dev"),
        (("train", "test"), "test"),
        (("train", "odd"), "train"),
        (("odd",), "odd"),
        (("source_doc", "test", "test_with_source"), "test"),
    ],
)
def test_default_split(tmp_path: Path, splits: tuple[str, ...], expected: str) -> None:
    folder = beir(tmp_path, qrels=dict.fromkeys(splits, QRELS["test"]))
    collection = open_collection(folder)
    assert collection.split == expected
    assert sorted(collection.splits) == sorted(splits)
    train = "train" if "train" in splits and expected != "train" else None
    assert collection.training_split == train


def test_split_is_chosen_by_name(tmp_path: Path) -> None:
    folder = beir(tmp_path, qrels={"dev": QRELS["test"], "train": [("q3", "d3", 1)]})
    collection = open_collection(folder, split="train")
    assert (collection.split, collection.training_split) == ("train", None)
    assert [query.query_id for query in collection.queries()] == ["q3"]
    assert [query.query_id for query in collection.queries("dev")] == ["q1", "q2"]
    assert collection.fingerprint != open_collection(folder).fingerprint
    with pytest.raises(CollectionError, match=r"got 'tran'; allowed: dev, train .*'train'"):
        open_collection(folder, split="tran")
    for method in (collection.queries, collection.qrels):
        with pytest.raises(CollectionError, match="got 'tset'; allowed: dev, train"):
            method("tset")


def test_splits_without_a_default(tmp_path: Path) -> None:
    folder = beir(tmp_path, qrels={"one": QRELS["test"], "two": QRELS["test"]})
    assert "choose one with split: one, two" in refusal(folder)
    assert open_collection(folder, split="two").split == "two"


def test_without_judgments(tmp_path: Path) -> None:
    collection = open_collection(beir(tmp_path, qrels={}))
    assert (collection.split, collection.splits, collection.qrels()) == ("all", ("all",), {})
    assert len(collection.queries()) == 3


def test_files_as_they_come_from_elsewhere(tmp_path: Path) -> None:
    corpus = "\ufeff" + jsonl(DOCUMENTS).replace("\n", "\r\n") + "\n  \n"
    folder = beir(tmp_path, queries=[{"_id": 7, "text": "seven"}], qrels={})
    write(folder / "corpus.jsonl", corpus)
    write(folder / "qrels" / "test.tsv", "7 0 d1 1\r\n7 0 d2 0\r\n")
    collection = open_collection(folder)
    assert [document.doc_id for document in collection.documents()] == ["d1", "d2", "d3", "d4"]
    assert list(collection.texts(["d1"])) == ["d1"]
    assert collection.qrels() == {"7": {"d1": 1, "d2": 0}}


def test_separators_inside_json_are_text(tmp_path: Path) -> None:
    text = "a\u2028b\x0bc\rd\ne"
    folder = beir(tmp_path, documents=[*DOCUMENTS, {"_id": "d5", "text": text}])
    assert open_collection(folder).texts(["d5"])["d5"].text == text


LINES: list[tuple[str, str, str]] = [
    ('{"_id": "x", "text": ', "corpus.jsonl, line 5: broken JSON", "cut"),
    ("[" * 100_000, "corpus.jsonl, line 5: broken JSON", "deep"),
    ('["x"]', "corpus.jsonl, line 5: a JSON object is needed", "array"),
    ('{"text": "t"}', "corpus.jsonl, line 5: no '_id'", "no id"),
    ('{"_id": "x"}', "corpus.jsonl, line 5: no 'text'", "no text"),
    ('{"_id": "x", "text": 3}', "corpus.jsonl, line 5: 'text' is no string: 3", "number"),
    ('{"_id": true, "text": "t"}', "line 5: '_id' is no string: True", "bool"),
    ('{"_id": "", "text": "t"}', "line 5: empty document id", "empty id"),
    ('{"_id": "a\\nb", "text": "t"}', r"line 5: document id 'a\nb' holds", "newline"),
    ('{"_id": "a\\tb", "text": "t"}', r"line 5: document id 'a\tb' holds", "tab"),
    ('{"_id": "x", "text": "\\ud800"}', "line 5: 'text' holds half of a surrogate", "half"),
    ('{"_id": "d2", "text": "t"}', "'d2' occurs twice (line 2 and line 5)", "twice"),
]


@pytest.mark.parametrize(("line", "expected"), [case[:2] for case in LINES], ids=lambda _: "")
@pytest.mark.parametrize("packed", [False, True])
def test_bad_documents(tmp_path: Path, line: str, expected: str, packed: bool) -> None:
    folder = beir(tmp_path, packed=packed)
    (folder / "corpus.jsonl").unlink(missing_ok=True)
    write(folder / "corpus.jsonl", jsonl(DOCUMENTS) + line + "\n", packed=packed)
    assert expected in refusal(folder).replace("corpus.jsonl.gz", "corpus.jsonl")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"_id": "q9"}', "queries.jsonl, line 4: no 'text'"),
        ("{", "queries.jsonl, line 4: broken JSON"),
        ('{"_id": "q1", "text": "copper bridge cost"}', "line 4: query id 'q1' occurs twice"),
    ],
)
def test_bad_queries(tmp_path: Path, line: str, expected: str) -> None:
    folder = beir(tmp_path)
    write(folder / "queries.jsonl", jsonl(QUERIES) + line + "\n")
    assert expected in refusal(folder)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("q1\td1\t1\nq1\td2\n", "test.tsv, line 2: 2 columns, 3 in the lines before"),
        ("q1 0 d1 1\nq1 0 d2\n", "test.tsv, line 2: 3 columns, 4 in the lines before"),
        ("q1\td1\n", "test.tsv, line 1: 2 columns; allowed: 3"),
        ("q1\td1\t0.5\n", "test.tsv, line 1: grade '0.5' is not an integer"),
        ("q1\td1\t1\nq2\td2\tyes\n", "test.tsv, line 2: grade 'yes' is not an integer"),
        ("q1\td1\t2147483648\n", "test.tsv, line 1: grade '2147483648'; allowed: -2147483648 to"),
        ("q1\td1\t1\nq2\td2\t-2147483649\n", "test.tsv, line 2: grade '-2147483649'; allowed"),
        ("q1\td1\t1\n\td2\t1\n", "test.tsv, line 2: empty query id"),
        ("q1\td1\t1\nq1\td1\t2\n", "line 2: query 'q1', document 'd1' is judged 2, and 1 before"),
        ("q1\tother\t1\nq9\td1\t1\n", "split 'test' has no judged query (test.tsv: 1 judgments"),
    ],
)
def test_bad_judgments(tmp_path: Path, text: str, expected: str) -> None:
    folder = beir(tmp_path)
    write(folder / "qrels" / "test.tsv", text)
    assert expected in refusal(folder)


def test_not_utf8(tmp_path: Path) -> None:
    folder = beir(tmp_path)
    write(folder / "corpus.jsonl", jsonl(DOCUMENTS).encode() + b'{"_id": "\xff", "text": ""}\n')
    assert "corpus.jsonl, line 5: not UTF-8 (byte 10 of the line)" in refusal(folder)


def test_missing_and_empty_files(tmp_path: Path) -> None:
    folder = beir(tmp_path)
    (folder / "queries.jsonl").unlink()
    assert "without queries.jsonl" in refusal(folder)
    write(folder / "queries.jsonl", "")
    assert "no judged query" in refusal(folder)
    write(folder / "queries.jsonl", jsonl(QUERIES))
    write(folder / "corpus.jsonl", "\n")
    assert "corpus.jsonl: holds no document" in refusal(folder)


@pytest.mark.parametrize("damage", [lambda data: data[:-12], lambda data: data[:40] + b"x" * 90])
def test_damaged_gzip(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    folder = beir(tmp_path, packed=True)
    path = folder / "corpus.jsonl.gz"
    path.write_bytes(damage(path.read_bytes()))
    assert "corpus.jsonl.gz: damaged gzip file" in refusal(folder)


def test_oddities_are_counted_and_dropped(tmp_path: Path) -> None:
    rows = [("q1", "d1", 1), ("q1", "d1", 1), ("q1", "gone", 1), ("q8", "d1", 1), ("q8", "d2", 1)]
    documents = [*DOCUMENTS, {"_id": "d5", "text": " "}, {"_id": "d6", "text": ""}]
    queries = [*QUERIES, {"_id": "q5", "text": ""}]
    collection = open_collection(beir(tmp_path, documents, queries, {"test": rows}))
    assert collection.qrels() == {"q1": {"d1": 1}}
    assert [query.query_id for query in collection.queries()] == ["q1"]
    assert collection.warnings == [
        "queries.jsonl: 1 queries with empty text (example: 'q5')",
        "corpus.jsonl: 2 documents with empty text (example: 'd5')",
        "test.tsv: 1 repeated judgments, kept once (example: query 'q1', document 'd1')",
        "test.tsv: 2 judgments name unknown queries, dropped (example: query 'q8')",
        "test.tsv: 1 judgments name unknown documents, dropped "
        "(example: query 'q1', document 'gone')",
    ]


def test_a_train_split_of_unknown_ids_is_no_training_split(tmp_path: Path) -> None:
    folder = beir(tmp_path, qrels={**QRELS, "train": [("q1", "gone", 1)]})
    collection = open_collection(folder)
    assert collection.training_split is None
    assert collection.queries("train") == []


def _change_text(documents: list[Any], queries: list[Any], qrels: dict[str, Any]) -> None:
    documents[2]["text"] += "!"


def _change_title(documents: list[Any], queries: list[Any], qrels: dict[str, Any]) -> None:
    documents[0]["title"] = "bridges"


def _move_title(documents: list[Any], queries: list[Any], qrels: dict[str, Any]) -> None:
    documents[0].update(title="", text="Bridges" + documents[0]["text"])


def _change_doc_id(documents: list[Any], queries: list[Any], qrels: dict[str, Any]) -> None:
    documents[3]["_id"] = "d44"


def _add_document(documents: list[Any], queries: list[Any], qrels: dict[str, Any]) -> None:
    documents.append({"_id": "d9", "text": ""})


def _swap_documents(documents: list[Any], queries: list[Any], qrels: dict[str, Any]) -> None:
    documents.reverse()


def _change_query(documents: list[Any], queries: list[Any], qrels: dict[str, Any]) -> None:
    queries[0]["text"] += "s"


def _change_unjudged(documents: list[Any], queries: list[Any], qrels: dict[str, Any]) -> None:
    queries[2]["text"] += "s"


def _change_grade(documents: list[Any], queries: list[Any], qrels: dict[str, Any]) -> None:
    qrels["test"][0] = ("q1", "d1", 3)


def _rename_split(documents: list[Any], queries: list[Any], qrels: dict[str, Any]) -> None:
    qrels["dev"] = qrels.pop("test")


def _add_split(documents: list[Any], queries: list[Any], qrels: dict[str, Any]) -> None:
    qrels["train"] = [("q3", "d3", 1)]


CHANGES = [value for name, value in list(globals().items()) if name.startswith("_c")] + [
    _move_title,
    _add_document,
    _swap_documents,
    _rename_split,
    _add_split,
]


@pytest.mark.parametrize("change", CHANGES)
def test_fingerprint_changes_with_content(tmp_path: Path, change: Callable[..., None]) -> None:
    parts = copy.deepcopy((list(DOCUMENTS), list(QUERIES), {"test": list(QRELS["test"])}))
    before = open_collection(beir(tmp_path / "a"))
    same = open_collection(beir(tmp_path / "b" / "elsewhere", *parts))
    change(*parts)
    after = open_collection(beir(tmp_path / "c", *parts))
    assert before.fingerprint == same.fingerprint != after.fingerprint
    documents_changed = parts[0] != DOCUMENTS
    assert (before.documents_fingerprint != after.documents_fingerprint) == documents_changed
