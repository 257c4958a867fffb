"""Real collections, where a machine has them: counts as published with the data."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from anisotropy.collection import open_collection
from anisotropy.collection.judgments import read_judgments

pytestmark = pytest.mark.real_data


@pytest.mark.parametrize(
    ("name", "documents", "split", "counts"),
    [
        (
            "cranfield",
            1400,
            "test",
            {"source_doc": (225, 225), "test": (225, 1837), "test_with_source": (225, 1837)},
        ),
        ("scifact", 5183, "test", {"test": (300, 339), "train": (809, 919)}),
        (
            "medquad",
            15_809,
            "dev",
            {"dev": (1503, 1713), "test": (1391, 1587), "train": (11_451, 13_059)},
        ),
        ("medquad_msmarco_format", 1725, "all", {"all": (200, 259)}),
    ],
)
def test_counts(
    real_data: Path,
    name: str,
    documents: int,
    split: str,
    counts: dict[str, tuple[int, int]],
) -> None:
    collection = open_collection(real_data / name)
    assert (collection.n_documents, collection.split) == (documents, split)
    found = {
        key: (len(collection.queries(key)), sum(map(len, collection.qrels(key).values())))
        for key in collection.splits
    }
    assert found == counts


def test_oddities(real_data: Path) -> None:
    assert open_collection(real_data / "cranfield").warnings == [
        "corpus.jsonl: 2 documents with empty text (example: '471')"
    ]
    assert open_collection(real_data / "scifact").warnings == []
    assert set(open_collection(real_data / "cranfield").qrels()["1"].values()) <= {0, 1, 2, 3, 4}


def test_msmarco_documents_have_every_field(real_data: Path) -> None:
    document = next(open_collection(real_data / "medquad_msmarco_format").documents())
    assert document.doc_id.startswith("D")
    assert document.url.startswith("https://")
    assert document.title
    assert document.text


def test_pieces_of_msmarco(real_data: Path, tmp_path: Path) -> None:
    pieces = real_data / "msmarco_pieces"
    names = {
        "passages_0_999.tsv": "collection.tsv",
        "dl19_passage_queries.tsv": "msmarco-test2019-queries.tsv",
        "doctrain_sample100_queries.tsv": "msmarco-doctrain-queries.tsv",
        "doc_dev_topics.tsv": "msmarco-docdev-queries.tsv",
    }
    for source, name in names.items():
        shutil.copyfile(pieces / source, tmp_path / name)
    unjudged = open_collection(tmp_path)
    assert unjudged.n_documents == 1000
    assert len(unjudged.queries()) == 43 + 100 + 5193
    assert not any(query.text.endswith("\r") for query in unjudged.queries())


@pytest.mark.parametrize(
    ("name", "queries", "judgments"),
    [
        ("dl19_doc_qrels.txt", 43, 16_258),
        ("dl19_passage_qrels.txt", 43, 9260),
        ("dl20_doc_qrels.txt", 45, 9098),
        ("dl20_passage_qrels.txt", 54, 11_386),
        ("doc_dev_qrels.txt", 5193, 5193),
        ("doctrain_sample100_qrels.tsv", 100, 100),
    ],
)
def test_judgments_of_msmarco(real_data: Path, name: str, queries: int, judgments: int) -> None:
    found = read_judgments(real_data / "msmarco_pieces" / name)
    assert len(found.qrels) == queries
    assert sum(map(len, found.qrels.values())) == judgments
    assert found.warnings == ()


def test_judgments_of_documents_that_are_not_there(real_data: Path, tmp_path: Path) -> None:
    pieces = real_data / "msmarco_pieces"
    shutil.copyfile(pieces / "passages_0_999.tsv", tmp_path / "collection.tsv")
    shutil.copyfile(pieces / "dl19_passage_queries.tsv", tmp_path / "msmarco-test2019-queries.tsv")
    shutil.copyfile(pieces / "dl19_passage_qrels.txt", tmp_path / "2019qrels-pass.txt")
    collection = open_collection(tmp_path)
    assert collection.qrels() == {"1129237": {"350": 0}}  # the one of 9,260 within the first 1,000
    (warning,) = collection.warnings
    assert warning.startswith("2019qrels-pass.txt: 9259 judgments name unknown documents, dropped")
