"""Data sets of ir_datasets, made from local files and registered under made-up ids."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from anisotropy.collection import Document, Query, irds, open_collection
from anisotropy.collection.irds import as_document
from anisotropy.errors import CollectionError, MissingExtra
from tests.collection.folders import tsv, write

ir_datasets = pytest.importorskip("ir_datasets")


@pytest.fixture
def registered(tmp_path: Path) -> Iterator[str]:
    """Register made-up sets: documents alone, and dev, train, test over the same."""
    documents = write(tmp_path / "docs.tsv", tsv([("1", "copper"), ("2", "rain"), ("3", "")]))
    rows = {"dev": ("1", "1"), "train": ("2", "2"), "test": ("3", "9")}
    registry, before = ir_datasets.registry, dict(ir_datasets.registry._registered)
    made = {"made-up": ir_datasets.create_dataset(docs_tsv=str(documents))}
    for split, (query, document) in rows.items():
        queries = write(
            tmp_path / f"{split}.tsv", tsv([(query, f"query {query}"), ("8", "eight")])
        )
        qrels = [(query, 0, document, 2), (query, 0, "3", 0)]
        judged = write(tmp_path / f"{split}.qrels", tsv(qrels, by=" "))
        made[f"made-up/{split}"] = ir_datasets.create_dataset(
            docs_tsv=str(documents), queries_tsv=str(queries), qrels_trec=str(judged)
        )
    for name, data in made.items():
        registry.register(name, data)
    yield "made-up"
    registry._registered.clear()
    registry._registered.update(before)


@pytest.fixture(autouse=True)
def _one_documents_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets over the same documents, as ir_datasets knows them for its own ids."""
    monkeypatch.setattr(ir_datasets, "docs_parent_id", lambda name: name.split("/")[0])


def test_a_split_with_its_training_sibling(registered: str, tmp_path: Path) -> None:
    collection = open_collection(f"irds:{registered}/dev", cache=tmp_path / "cache")
    assert collection.name == "irds:made-up/dev"
    assert (collection.split, collection.training_split) == ("dev", "train")
    assert collection.queries() == [Query("1", "query 1")]
    assert collection.qrels() == {"1": {"1": 2, "3": 0}}
    assert collection.qrels("train") == {"2": {"2": 2, "3": 0}}
    assert list(collection.documents())[1:] == [Document("2", "rain"), Document("3", "")]
    assert collection.texts(["2"]) == {"2": Document("2", "rain")}
    assert collection.warnings == [
        "irds:made-up/dev: 1 documents with empty text (example: '3')",
    ]


def test_a_set_without_judgments_stands_for_its_children(registered: str, tmp_path: Path) -> None:
    collection = open_collection(f"irds:{registered}", cache=tmp_path)
    assert (sorted(collection.splits), collection.split) == (["dev", "test", "train"], "dev")
    chosen = open_collection(f"irds:{registered}", split="test", cache=tmp_path)
    assert chosen.qrels() == {"3": {"3": 0}}
    assert "judgments name unknown documents, dropped" in chosen.warnings[-1]
    assert chosen.fingerprint != collection.fingerprint
    assert chosen.documents_fingerprint == collection.documents_fingerprint
    with pytest.raises(CollectionError, match="got 'tset'; allowed: dev, train, test"):
        open_collection(f"irds:{registered}", split="tset", cache=tmp_path)


def test_the_pass_over_documents_is_kept(registered: str, tmp_path: Path) -> None:
    first = open_collection(f"irds:{registered}/dev", cache=tmp_path)
    assert len(list((tmp_path / "scans").iterdir())) == 1
    assert (
        open_collection(f"irds:{registered}/dev", cache=tmp_path).fingerprint == first.fingerprint
    )


def test_unknown_ids() -> None:
    with pytest.raises(CollectionError, match="got 'vaswanii'; allowed: vaswani, an id of"):
        open_collection("irds:vaswanii")


def test_unreachable_downloads_are_one_line(
    registered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Any:
        raise RuntimeError("All download sources failed", ["a\nlong\nlist"])

    monkeypatch.setattr(ir_datasets.load(f"{registered}/dev"), "docs_iter", fail, raising=False)
    with pytest.raises(CollectionError) as caught:
        open_collection(f"irds:{registered}/dev", cache=tmp_path)
    assert str(caught.value) == (
        "irds:made-up/dev: cannot be read or downloaded "
        "(RuntimeError: All download sources failed)"
    )


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ir_datasets", None)
    with pytest.raises(MissingExtra, match=r"pip install 'anisotropy\[irds\]'"):
        open_collection("irds:vaswani")


def test_fields() -> None:
    record = SimpleNamespace(doc_id="D1", url="u", title="t", body="b", default_text=lambda: "x")
    assert as_document(record) == Document("D1", "b", "t", "u")
    assert as_document(SimpleNamespace(doc_id="D1", text="t")) == Document("D1", "t")
    odd = SimpleNamespace(doc_id="D1", abstract="a", title="t", default_text=lambda: "t a")
    assert as_document(odd) == Document("D1", "t a")


@pytest.mark.parametrize(
    ("dataset", "members"),
    [
        (
            "msmarco-document/dev",
            {"dev": "msmarco-document/dev", "train": "msmarco-document/train"},
        ),
        (
            "msmarco-passage/trec-dl-2019/judged",
            {
                "trec-dl-2019/judged": "msmarco-passage/trec-dl-2019/judged",
                "train": "msmarco-passage/train",
            },
        ),
        ("beir/scifact/train", {"train": "beir/scifact/train"}),
        ("beir/scifact", {"test": "beir/scifact/test", "train": "beir/scifact/train"}),
        ("vaswani", {"vaswani": "vaswani"}),
    ],
)
def test_splits_of_published_ids(
    dataset: str, members: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the true ids of documents; nothing is downloaded for them
    assert irds._members(ir_datasets, ir_datasets.load(dataset), dataset, None) == members
