"""Maps from ids to rows, in each of their forms."""

from __future__ import annotations

import json
import pickle
import random
from pathlib import Path

import numpy as np
import pytest

from anisotropy.collection.offsets import find_offsets, offset_map, read_offsets
from anisotropy.errors import CollectionError
from tests.collection.folders import write
from tests.collection.preprocessed import write_map

MAP = {70: 0, 3: 2, 41: 1}
NAMES = ["70", "41", "3"]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_of_every_protocol(tmp_path: Path, protocol: int) -> None:
    path = write_map(tmp_path / "pid2offset.pickle", MAP, protocol)
    assert read_offsets(path, "documents").names(3) == (NAMES, 0)


def test_every_form_gives_the_same(tmp_path: Path) -> None:
    text = write(tmp_path / "pid2offset", "70\t0\n3\t2\n41\t1\n")
    listed = write(tmp_path / "offsets.json", json.dumps({"documents": NAMES, "queries": ["q"]}))
    np.save(tmp_path / "numbers.npy", np.array([70, 41, 3]))
    np.save(tmp_path / "words.npy", np.array(NAMES))
    for path in (text, listed, tmp_path / "numbers.npy", tmp_path / "words.npy"):
        assert read_offsets(path, "documents").names(3) == (NAMES, 0), path
    assert read_offsets(listed, "queries").names(1) == (["q"], 0)
    assert offset_map("given", MAP).names(3) == offset_map("given", [70, 41, 3]).names(3)


def test_random_maps(tmp_path: Path) -> None:
    rng = random.Random(4)
    for _ in range(30):
        n = rng.randint(1, 3000)
        ids = rng.sample(range(10**7), n)
        found = read_offsets(
            write_map(tmp_path / "m.pickle", {name: row for row, name in enumerate(ids)}),
            "queries",
        )
        assert found.names(n) == ([str(name) for name in ids], 0)


def test_rows_without_an_id_keep_their_number(tmp_path: Path) -> None:
    """An id that came twice belongs to its last row."""
    path = write_map(tmp_path / "pid2offset.pickle", {9: 0, 4: 3})
    assert read_offsets(path, "documents").names(4) == (["9", "#1", "#2", "4"], 2)
    with pytest.raises(CollectionError, match=r"its last row is 3, but there are 5 rows"):
        read_offsets(path, "documents").names(5)


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match=r"no map of the documents \(pid2offset.pickle or"):
        read_offsets(tmp_path, "documents")
    write(tmp_path / "offsets.json", json.dumps({"documents": ["d"], "queries": ["q"]}))
    assert read_offsets(tmp_path, "documents").ids == ["d"]
    assert read_offsets(tmp_path, "queries").ids == ["q"]
    write_map(tmp_path / "pid2offset.pickle", MAP)
    assert read_offsets(tmp_path, "documents").ids == ["70", "3", "41"]
    for name in ("dev-query", "blind"):
        write_map(tmp_path / f"{name}_qid2offset.pickle", {1: 0})
    with pytest.raises(CollectionError, match=r"several maps of queries \(blind_qid2offset.pic"):
        find_offsets(tmp_path, "queries")
    write_map(tmp_path / "train-query_qid2offset.pickle", {2: 0})
    assert read_offsets(tmp_path, "queries").ids == ["2"]


class Planted:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("called",)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("m.pickle", pickle.dumps({1: Planted()}), "not readable as a pickle"),
        ("m.pickle", pickle.dumps([1, 2]), "holds no map from ids to row numbers"),
        ("m.pickle", pickle.dumps({}), "holds no id"),
        ("m.pickle", pickle.dumps({1: 0, 2: 0}), "row 0 stands for two ids, '1' and '2'"),
        ("m.pickle", pickle.dumps({1: 0, "1": 1}), "id '1' occurs twice"),
        ("m.pickle", pickle.dumps({1: -1}), "row -1 of id 1; needed: a whole number from 0"),
        ("m.pickle", pickle.dumps({1: True}), "row True of id 1"),
        ("m.pickle", pickle.dumps({1: 2**63}), "needed: a whole number from 0"),
        ("m.pickle", pickle.dumps({1.5: 0}), "1.5 is no id"),
        ("m.pickle", pickle.dumps({"a\tb": 0}), "holds a tab, a line break"),
        ("m.pickle", pickle.dumps({"": 0}), "empty item id"),
        ("m.pickle", pickle.dumps(MAP)[:-3], "not readable as a pickle"),
        ("m.json", b'{"documents": [1]}', "holds no list of ids of documents"),
        ("m.json", b'{"queries": ["q"]}', "holds no list of ids of documents"),
        ("m.npy", b"\x93NUMPY", "not a whole .npy array"),
        ("pid2offset", b"1\t0\n2 1\n", "line 2: '2 1'; needed: id, tab, row number"),
        ("pid2offset", b"1\t0\n2\t-1\n", "line 2"),
        ("pid2offset", b"1\t" + b"9" * 5000, "line 1"),
    ],
)
def test_bad_files_are_named(
    tmp_path: Path, name: str, content: bytes, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(CollectionError) as caught:
        read_offsets(path, "documents")
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "called" not in capsys.readouterr().out


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match="no such file"):
        read_offsets(tmp_path / "none.pickle", "documents")
    (tmp_path / "loop.pickle").symlink_to(tmp_path / "loop.pickle")
    with pytest.raises(CollectionError, match=r"loop\.pickle"):
        read_offsets(tmp_path / "loop.pickle", "documents")
