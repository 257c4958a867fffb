"""MS MARCO folders: names of files and splits, columns, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from anisotropy.collection import Document, Query, open_collection
from anisotropy.errors import CollectionError
from tests.collection.folders import tsv, write

DOCS = [
    ("D1", "http://a.test/1", "Bridges", "A copper bridge."),
    ("D2", "http://a.test/2", "", "Rain, naïve ☂. "),
    ("D3", "", "Third", "Text"),
]
PASSAGES = [("11", "A copper bridge."), ("12", "Rain."), ("13", "Third")]
QUERIES = [("1", "copper bridge"), ("2", " rain")]


def folder_of(folder: Path, files: Mapping[str, str], *, packed: bool = False) -> Path:
    for name, text in files.items():
        write(folder / name, text, packed=packed)
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(CollectionError) as caught:
        open_collection(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def documents_folder() -> dict[str, str]:
    return {
        "msmarco-docs.tsv": tsv(DOCS),
        "msmarco-doctrain-queries.tsv": tsv(QUERIES),
        "msmarco-doctrain-qrels.tsv": tsv([("1", 0, "D1", 1), ("2", 0, "D2", 1)], by=" "),
        "msmarco-docdev-queries.tsv": tsv([("3", "third"), ("1", "copper bridge")]),
        "msmarco-docdev-qrels.tsv": tsv([("3", 0, "D3", 1)], by="\t"),
        "msmarco-test2019-queries.tsv": tsv([("4", "bridge")]),
        "2019qrels-docs.txt": tsv([("4", "Q0", "D1", 3), ("4", "Q0", "D3", 0)], by=" "),
        "msmarco-doctrain-top100": "ignored\n",
    }


@pytest.mark.parametrize("packed", [False, True])
def test_documents(tmp_path: Path, packed: bool) -> None:
    collection = open_collection(folder_of(tmp_path / "docs", documents_folder(), packed=packed))
    assert collection.name == "docs"
    assert sorted(collection.splits) == ["dev", "test", "train"]
    assert (collection.split, collection.training_split) == ("dev", "train")
    documents = list(collection.documents())
    assert documents[0] == Document("D1", "A copper bridge.", "Bridges", "http://a.test/1")
    assert documents[1].text == "Rain, naïve ☂. "
    assert collection.queries() == [Query("3", "third")]
    assert collection.qrels("test") == {"4": {"D1": 3, "D3": 0}}
    assert collection.queries("train")[1] == Query("2", " rain")
    assert collection.texts(["D3"]) == {"D3": Document("D3", "Text", "Third", "")}


@pytest.mark.parametrize("packed", [False, True])
def test_passages(tmp_path: Path, packed: bool) -> None:
    files = {
        "collection.tsv": tsv(PASSAGES, end="\r\n"),
        "queries.train.tsv": tsv(QUERIES),
        "queries.dev.small.tsv": tsv([("3", "third")], end="\r\n"),
        "queries.eval.small.tsv": tsv([("9", "held out")]),
        "qrels.train.tsv": tsv([("1", 0, "11", 1)]),
        "qrels.dev.small.tsv": tsv([("3", 0, "13", 1)], end="\r\n"),
    }
    collection = open_collection(folder_of(tmp_path, files, packed=packed))
    assert sorted(collection.splits) == ["dev", "train"]
    assert collection.split == "dev"
    assert next(collection.documents()) == Document("11", "A copper bridge.")
    assert (collection.queries(), collection.qrels()) == ([Query("3", "third")], {"3": {"13": 1}})


def test_small_and_full_dev(tmp_path: Path) -> None:
    files = {"collection.tsv": tsv(PASSAGES)}
    for split in ("dev", "dev.small"):
        files[f"queries.{split}.tsv"] = tsv(QUERIES)
        files[f"qrels.{split}.tsv"] = tsv([("1", 0, "11", 1)])
    collection = open_collection(folder_of(tmp_path, files))
    assert (sorted(collection.splits), collection.split) == (["dev", "dev.small"], "dev.small")
    assert open_collection(tmp_path, split="dev").split == "dev"


@pytest.mark.parametrize("by", ["\t", " "])
@pytest.mark.parametrize("columns", [3, 4])
@pytest.mark.parametrize("header", [False, True])
def test_custom_files_without_splits(tmp_path: Path, by: str, columns: int, header: bool) -> None:
    rows: list[tuple[object, ...]] = [("1", 0, "D1", 2), ("2", 0, "D3", 1)]
    head: list[tuple[object, ...]] = [("query-id", "iteration", "corpus-id", "score")]
    lines = [*(head if header else []), *rows]
    if columns == 3:
        lines = [(row[0], row[2], row[3]) for row in lines]
    files = {
        "docs.tsv": ("docid\turl\ttitle\tbody\n" if header else "") + tsv(DOCS),
        "queries.tsv": ("qid\tquery\n" if header else "") + tsv(QUERIES),
        "qrels.tsv": tsv(lines, by=by),
    }
    collection = open_collection(folder_of(tmp_path, files))
    assert (collection.split, collection.splits, collection.training_split) == (
        "all",
        ("all",),
        None,
    )
    assert collection.n_documents == 3
    assert collection.qrels() == {"1": {"D1": 2}, "2": {"D3": 1}}
    assert list(collection.texts(["D1"])) == ["D1"]


def test_docs_of_two_columns(tmp_path: Path) -> None:
    files = {"docs.tsv": tsv([("D1", "text")]), "queries.tsv": tsv(QUERIES)}
    collection = open_collection(folder_of(tmp_path, files))
    assert list(collection.documents()) == [Document("D1", "text")]
    assert (collection.split, len(collection.queries()), collection.qrels()) == ("all", 2, {})


def test_queries_without_a_split_serve_every_split(tmp_path: Path) -> None:
    files = {
        "docs.tsv": tsv(DOCS),
        "queries.tsv": tsv(QUERIES),
        "qrels.train.tsv": tsv([("1", 0, "D1", 1)]),
        "qrels.test.tsv": tsv([("2", 0, "D2", 1)]),
    }
    collection = open_collection(folder_of(tmp_path, files))
    assert (collection.split, collection.training_split) == ("test", "train")
    assert [query.query_id for query in collection.queries("train")] == ["1"]


def test_judgments_without_queries_are_left_out(tmp_path: Path) -> None:
    files = documents_folder()
    del files["msmarco-docdev-queries.tsv"]
    collection = open_collection(folder_of(tmp_path, files))
    assert sorted(collection.splits) == ["test", "train"]
    assert collection.warnings == ["judgments of split 'dev' left out, it has no queries"]


def test_plain_is_read_where_both_are_there(tmp_path: Path) -> None:
    folder_of(tmp_path, {"docs.tsv": tsv(DOCS), "queries.tsv": tsv(QUERIES)})
    write(tmp_path / "docs.tsv", "broken", packed=True)
    assert open_collection(tmp_path).n_documents == 3


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("docs.tsv", tsv([*DOCS, ("D4", "u", "t")]), "docs.tsv, line 4: 3 columns by tab, 4 are"),
        ("docs.tsv", tsv([("D4", "u", "t")]), "docs.tsv: 3 columns in the first line; allowed: 4"),
        ("docs.tsv", "one column\n", "docs.tsv: 1 columns in the first line"),
        ("docs.tsv", "", "docs.tsv: holds no document"),
        ("docs.tsv", tsv([*DOCS, DOCS[0]]), "document id 'D1' occurs twice (line 1 and line 4)"),
        ("docs.tsv", tsv([*DOCS, ("", "", "", "")]) + "x", "line 5: 1 columns by tab"),
        ("queries.tsv", tsv([("1", "a", "b")]), "queries.tsv, line 1: 3 columns by tab, 2 are"),
        ("queries.tsv", tsv([*QUERIES, QUERIES[0]]), "line 3: query id '1' occurs twice"),
        ("queries.tsv", " \tempty\n", "queries.tsv, line 1: empty query id"),
        ("qrels.tsv", tsv([("1", "D1")]), "qrels.tsv, line 1: 2 columns; allowed: 3"),
        ("qrels.tsv", tsv([("1", 0, "D1", "x"), ("1", 0, "D1", "x")]), "line 2: grade 'x'"),
        ("collection.tsv", tsv(PASSAGES), "holds both docs.tsv and collection.tsv; keep one"),
        ("qrels.txt", tsv([("1", 0, "D1", 1)]), "holds both qrels.tsv and qrels.txt for split"),
    ],
)
def test_bad_input(tmp_path: Path, name: str, text: str, expected: str) -> None:
    files = {
        "docs.tsv": tsv(DOCS),
        "queries.tsv": tsv(QUERIES),
        "qrels.tsv": tsv([("1", 0, "D1", 1)]),
    }
    assert expected in refusal(folder_of(tmp_path, {**files, name: text}))


def test_no_queries(tmp_path: Path) -> None:
    assert "holds docs.tsv but no queries" in refusal(folder_of(tmp_path, {"docs.tsv": "a\tb\n"}))
