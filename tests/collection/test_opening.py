"""What a source is, recognized by content, and names that are none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from anisotropy.collection import open_collection
from anisotropy.errors import CollectionError
from tests.collection.folders import beir, write


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("docstring", "got 'docstring'; allowed: docstrings, irds:<id>, a folder that exists "),
        ("", "got ''; allowed: docstrings"),
        ("no/such", "collection 'no/such': no such folder"),
        (Path("nosuch"), "collection 'nosuch': no such folder"),
        ("~nobody-of-this-name/x", "no such folder"),
        ("a/" + "b" * 5000, "no such folder"),
        ("a/\0", "no such folder"),
    ],
)
def test_names_that_are_none(source: str | Path, expected: str) -> None:
    with pytest.raises(CollectionError) as caught:
        open_collection(source)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_near_match() -> None:
    with pytest.raises(CollectionError, match="did you mean 'docstrings'"):
        open_collection("docstring")


def test_folders_of_no_known_layout(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match=r"is empty; looked for corpus.jsonl .*msmarco-docs"):
        open_collection(tmp_path)
    write(tmp_path / "notes.txt", "x")
    with pytest.raises(CollectionError, match="holds no known collection; looked for corpus"):
        open_collection(tmp_path)
    with pytest.raises(CollectionError, match="is a file; a collection is a folder"):
        open_collection(tmp_path / "notes.txt")
    write(tmp_path / "passages_meta", "{}")
    with pytest.raises(CollectionError, match="passages_meta: no description of token ids"):
        open_collection(tmp_path)


def test_gzip_is_recognized_without_its_suffix(tmp_path: Path) -> None:
    folder = beir(tmp_path, packed=True)
    (folder / "corpus.jsonl.gz").rename(folder / "corpus.jsonl")
    assert open_collection(folder).n_documents == 4


def test_relative_and_home_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beir(tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    names = {open_collection(source).name for source in ("tiny", "./tiny", "~/tiny")}
    monkeypatch.chdir(tmp_path / "tiny")
    assert names == {"tiny"} == {open_collection(".").name}


def test_the_room_loads_nothing_heavy() -> None:
    heavy = {"torch", "transformers", "sklearn", "pandas", "matplotlib", "ir_datasets"}
    rooms = "anisotropy.collection.docstrings, anisotropy.collection.irds"
    code = f"import sys, {rooms}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert heavy.isdisjoint(done.stdout.split())
