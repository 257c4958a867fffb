"""The built-in collection: merging, grouping, splits, the cache, and the real harvest."""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from anisotropy.collection import docstrings, open_collection
from anisotropy.collection.docstrings import judge, open_docstrings, unique_names
from anisotropy.collection.harvest import Pair, words
from anisotropy.errors import CollectionError
from tests.collection.folders import write

LONG = "every text here needs more than a few words to be compared with another text of its kind "


def pair(name: str, summary: str, text: str) -> Pair:
    return Pair(name, summary, LONG + text)


def many(n: int) -> list[Pair]:
    return [
        Pair(f"p.f{n}", f"Compute thing number {n}.", " ".join(f"w{n}x{k}" for k in range(20)))
        for n in range(n)
    ]


def test_equal_queries_have_several_positives() -> None:
    judged = judge(
        [
            Pair("p.a", "Return the sum.", "one text about apples"),
            Pair("p.b", "return  the `sum`", "another text about pears"),
            Pair("p.c", "Return the mean.", "third text about plums"),
        ]
    )
    assert judged.queries == ["Return the sum.", "Return the mean."]
    assert judged.positives == [[0, 1], [2]]
    assert judged.query_ids == ["q:p.a", "q:p.c"]


def test_equal_documents_are_one() -> None:
    judged = judge(
        [
            Pair("p.a", "Return the sum.", "one text"),
            Pair("p.b", "Give back the total.", "one text"),
            Pair("p.b", "Return the sum.", "one text"),
        ]
    )
    assert (judged.doc_ids, judged.texts) == (["p.a"], ["one text"])
    assert judged.positives == [[0], [0]]
    assert judged.query_ids == ["q:p.a", "q:p.a#2"]


def test_names_are_made_unique() -> None:
    assert unique_names(["a", "b", "a", "a"]) == ["a", "b", "a#2", "a#3"]
    assert unique_names(["a#2", "a", "a"]) == ["a#2", "a", "a#3"]


def test_near_duplicates_and_shared_queries_stay_in_one_split() -> None:
    pairs = many(150)
    for number in range(150):
        text = " ".join([*pairs[number].text.split()[:-1], "changed"])
        pairs.append(Pair(f"p.g{number}", f"Find other thing {number}.", text))
        pairs.append(Pair(f"p.h{number}", f"Compute thing number {number}.", f"unlike {number}"))
    judged = judge(pairs)
    split = dict(zip(judged.queries, judged.splits, strict=True))
    for number in range(150):
        both = split[f"Compute thing number {number}."], split[f"Find other thing {number}."]
        assert both[0] == both[1]
    assert set(judged.splits) == {"train", "dev", "test"}


def test_shares_of_the_splits() -> None:
    splits = judge(many(3000)).splits
    assert 0.77 < splits.count("train") / 3000 < 0.83
    assert 0.08 < splits.count("dev") / 3000 < 0.12
    assert 0.08 < splits.count("test") / 3000 < 0.12


def test_a_split_does_not_depend_on_other_documents() -> None:
    few, more = judge(many(50)), judge([*many(80)[50:], *many(50)])
    alone = dict(zip(few.queries, few.splits, strict=True))
    among = dict(zip(more.queries, more.splits, strict=True))
    assert alone == {query: among[query] for query in alone}


def test_nothing_found() -> None:
    with pytest.raises(CollectionError, match="no docstring found"):
        judge([])


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder on the import path with two made-up packages whose import would fail."""
    folder = tmp_path / "site"
    for name in ("fakeone", "faketwo"):
        functions = [
            f'def f{number}():\n    """{name} summary number {number}.\n\n'
            f'    {" ".join(f"{name}{number}w{k}" for k in range(12))}\n    """\n'
            for number in range(60)
        ]
        write(folder / name / "__init__.py", "raise SystemExit('imported')\n" + "".join(functions))
        install(folder, name, "1.0")
    monkeypatch.syspath_prepend(folder)
    return folder


def install(folder: Path, name: str, version: str) -> None:
    for old in folder.glob(f"{name}_dist-*"):
        shutil.rmtree(old)
    metadata = f"Metadata-Version: 2.1\nName: {name}-dist\nVersion: {version}\n"
    write(folder / f"{name}_dist-{version}.dist-info" / "METADATA", metadata)


FAKES: Mapping[str, str] = {"fakeone": "fakeone-dist", "faketwo": "faketwo-dist"}


def test_harvest_of_installed_packages(installed: Path, tmp_path: Path) -> None:
    said: list[str] = []
    cache = tmp_path / "cache"
    collection = open_docstrings(cache=cache, packages=FAKES, progress=said.append)
    assert (collection.name, collection.note) == ("docstrings", "docstrings, not MS MARCO")
    assert (collection.split, collection.training_split) == ("dev", "train")
    assert sorted(collection.splits) == ["dev", "test", "train"]
    assert collection.n_documents == 120
    assert collection.warnings == []
    assert sum(len(collection.queries(split)) for split in collection.splits) == 120
    assert said == ["reading the docstrings of fakeone, faketwo (once)"]
    document = collection.texts(["faketwo.f7"])["faketwo.f7"]
    assert (document.title, document.url) == ("", "")
    assert document.text.startswith("faketwo7w0 faketwo7w1")
    assert "fakeone" not in sys.modules

    again = open_docstrings("test", cache=cache, packages=FAKES, progress=said.append)
    assert len(said) == 1
    assert again.split == "test"
    elsewhere = open_docstrings(cache=tmp_path / "other", packages=FAKES)
    assert elsewhere.fingerprint == collection.fingerprint


def test_the_cache_belongs_to_versions(installed: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = open_docstrings(cache=cache, packages=FAKES)
    install(installed, "faketwo", "1.1")
    write(installed / "faketwo" / "__init__.py", f'def f():\n    """A new summary.\n\n{LONG}"""\n')
    second = open_docstrings(cache=cache, packages=FAKES)
    assert second.n_documents == 61
    assert second.fingerprint != first.fingerprint
    folders = sorted((cache / "docstrings").iterdir())
    assert len(folders) == 2
    sources = [json.loads((folder / "SOURCE.json").read_text()) for folder in folders]
    assert {source["packages"]["faketwo-dist"] for source in sources} == {"1.0", "1.1"}


@pytest.mark.parametrize("damage", ["corpus.jsonl", "queries.jsonl", "SOURCE.json"])
def test_a_damaged_cache_is_made_again(installed: Path, tmp_path: Path, damage: str) -> None:
    first = open_docstrings(cache=tmp_path / "cache", packages=FAKES)
    (folder,) = (tmp_path / "cache" / "docstrings").iterdir()
    write(folder / damage, "{}")
    assert (
        open_docstrings(cache=tmp_path / "cache", packages=FAKES).fingerprint == first.fingerprint
    )
    shutil.rmtree(folder / "qrels")
    assert (
        open_docstrings(cache=tmp_path / "cache", packages=FAKES).fingerprint == first.fingerprint
    )
    assert len(list((tmp_path / "cache" / "docstrings").iterdir())) == 1


def test_missing_packages(installed: Path, tmp_path: Path) -> None:
    with pytest.raises(
        CollectionError, match="the package nosuch is not installed; pip install x"
    ):
        open_docstrings(cache=tmp_path, packages={"nosuch": "x"})
    shutil.rmtree(installed / "faketwo")
    with pytest.raises(CollectionError, match="the package faketwo is not installed"):
        open_docstrings(cache=tmp_path, packages=FAKES)


def test_a_cache_that_cannot_be_written(installed: Path, tmp_path: Path) -> None:
    cache = write(tmp_path / "file", "in the way")
    with pytest.raises(CollectionError, match=r"cannot be written .*ANISOTROPY_CACHE"):
        open_docstrings(cache=cache, packages=FAKES)


@pytest.mark.slow
def test_real_harvest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = time.process_time()
    collection = open_collection("docstrings", cache=tmp_path)
    assert time.process_time() - start < 25
    assert collection.warnings == []
    assert collection.note == "docstrings, not MS MARCO"
    qrels = {split: collection.qrels(split) for split in ("train", "dev", "test")}
    pairs = sum(len(grades) for split in qrels.values() for grades in split.values())
    assert 6000 < pairs < 10_000
    assert min(len(qrels["dev"]), len(qrels["test"])) > 400
    documents = {document.doc_id: document for document in collection.documents()}
    assert len(documents) == len({document.text for document in documents.values()})
    queries = [query for split in qrels for query in collection.queries(split)]
    assert len({" ".join(words(query.text)) for query in queries}) == len(queries)
    assert {name.split(".")[0] for name in documents} == set(docstrings.PACKAGES)
    assert "numpy.linalg.norm" in documents
    assert not any(re.search(r"(^|\.)_", name) for name in documents)

    owners: dict[str, set[str]] = {}
    for split, judged in qrels.items():
        for grades in judged.values():
            for doc_id in grades:
                owners.setdefault(doc_id, set()).add(split)
    assert all(len(splits) == 1 for splits in owners.values())
    assert set(owners) == set(documents)

    monkeypatch.setattr(docstrings, "harvest", lambda packages: pytest.fail("harvested again"))
    start = time.process_time()
    assert open_collection("docstrings", cache=tmp_path).fingerprint == collection.fingerprint
    assert time.process_time() - start < 1
