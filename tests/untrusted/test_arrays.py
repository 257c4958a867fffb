from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anisotropy.errors import InputError
from anisotropy.untrusted.arrays import open_npy, open_npz, open_pickled
from tests.untrusted.test_pickles import PROTOCOLS, Hostile

ARRAYS = {
    "vectors": np.arange(6000, dtype=np.float32).reshape(1000, 6),
    "small": np.arange(6, dtype=np.float16).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(600.0).reshape(20, 30)),
    "big-endian": np.arange(5).astype(">i4"),
    "text": np.array(["a", "bcd", "é"]),
    "bytes": np.array([b"a", b"bcd"]),
    "truth": np.array([True, False]),
    "empty": np.zeros((0, 7), np.float32),
    "scalar": np.array(3.0),
}


def same(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert np.array_equal(found, expected)


def refused(read: Any, path: Path, text: str) -> None:
    with pytest.raises(InputError, match=text) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ARRAYS)
def test_npy(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.npy"
    np.save(path, ARRAYS[name])
    same(open_npy(path), ARRAYS[name])
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_STORED) as archive:
        archive.write(path, "a.npy")
    same(open_npz(tmp_path / "x.npz")["a"], ARRAYS[name])
    np.savez_compressed(tmp_path / "y.npz", b=ARRAYS[name], c=ARRAYS["small"])
    found = open_npz(tmp_path / "y.npz")
    same(found["b"], ARRAYS[name])
    same(found["c"], ARRAYS["small"])


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", ARRAYS)
def test_pickled(tmp_path: Path, name: str, protocol: int) -> None:
    path = tmp_path / "x.pkl"
    value = (ARRAYS[name], ["a", "b"], {"k": [ARRAYS["small"], np.float32(0.5), np.int64(3)]})
    path.write_bytes(pickle.dumps(value, protocol))
    found = open_pickled(path)
    same(found[0], ARRAYS[name])
    assert found[1] == ["a", "b"]
    same(found[2]["k"][0], ARRAYS["small"])
    assert found[2]["k"][1:] == [0.5, 3]
    path.write_bytes(pickle.dumps(ARRAYS[name], protocol))
    same(open_pickled(path), ARRAYS[name])


def test_the_names_of_both_numpys(tmp_path: Path) -> None:
    data = pickle.dumps(ARRAYS["vectors"], 3)
    path = tmp_path / "x.pkl"
    for old, new in ((b"numpy._core", b"numpy.core"), (b"numpy.core", b"numpy._core")):
        path.write_bytes(data.replace(old, new))
        same(open_pickled(path), ARRAYS["vectors"])


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_large_arrays_stay_in_the_file(tmp_path: Path, protocol: int) -> None:
    path, vectors = tmp_path / "x.pkl", np.zeros((1000, 32), np.float32)  # more than a frame
    path.write_bytes(pickle.dumps(vectors, protocol))
    assert isinstance(open_pickled(path), np.memmap)
    np.save(tmp_path / "x.npy", vectors)
    assert isinstance(open_npy(tmp_path / "x.npy"), np.memmap)
    np.savez(tmp_path / "x.npz", a=vectors)
    assert isinstance(open_npz(tmp_path / "x.npz")["a"], np.memmap)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.9999])
def test_cut_short(tmp_path: Path, share: float) -> None:
    np.save(tmp_path / "x.npy", ARRAYS["vectors"])
    np.savez(tmp_path / "x.npz", a=ARRAYS["vectors"])
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(ARRAYS["vectors"], 4))
    for name, read in (("x.npy", open_npy), ("x.npz", open_npz), ("x.pkl", open_pickled)):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        refused(read, path, "not a whole|cut short|corrupt|not readable")


def npy(shape: object, dtype: str = "<f4", fortran: bool = False, data: bytes = b"") -> bytes:
    header = f"{{'descr': {dtype!r}, 'fortran_order': {fortran}, 'shape': {shape}, }}"
    text = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (npy("(1000000000000, 768)"), "header says float32 of shape"),
        (npy("(4611686018427387904, 8)"), "header says"),
        (npy("(-1, 8)", data=bytes(32)), "no length can be negative"),
        (npy("(2, 2)", data=bytes(20)), "16 bytes; 20 are there"),
        (npy("(2, 2)", "|O", data=bytes(32)), "Python objects"),
        (npy("(2,)", "<M8[s]", data=bytes(16)), "allowed: numbers or text"),
        (npy("(2,)", "<c8", data=bytes(16)), "allowed: numbers or text"),
        (npy("'a'"), "not a whole"),
        (npy("(2.5,)"), "not a whole"),
        (npy("__import__('os').system('true')"), "not a whole"),
        (b"\x93NUMPY\x03\x00" + bytes(100), "version"),
        (b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31 - 1), "not a whole"),
        (b"PK\x03\x04" + bytes(30), "not a whole"),
        (b"", "not a whole"),
    ],
)
def test_headers_that_lie(tmp_path: Path, data: bytes, text: str) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(data)
    refused(open_npy, path, text)
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", data)
    refused(open_npz, tmp_path / "x.npz", text)


def test_npz_members(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    for name, text in (("../a.npy", "outside the archive"), ("a.txt", "allowed: arrays")):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, npy("(1,)", data=bytes(4)))
        refused(open_npz, path, text)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", npy("(1,)", data=bytes(4)))
        archive.writestr("b.npy", npy("(1,)", data=bytes(4)))
    path.write_bytes(path.read_bytes().replace(b"b.npy", b"a.npy"))
    refused(open_npz, path, "two arrays are called 'a'")


def test_npz_bomb(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    data = npy("(80000000,)", "|u1", data=bytes(80_000_000))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", data)
    assert path.stat().st_size < 200_000
    refused(open_npz, path, "more than 100 times; refused")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_hostile_pickles(tmp_path: Path, protocol: int) -> None:
    mark, path = tmp_path / "mark", tmp_path / "x.pkl"
    objects = np.empty(2, object)
    objects[:] = [Hostile(mark), 1]
    for value in ((ARRAYS["small"], Hostile(mark)), objects, {"a": [Hostile(mark)]}):
        path.write_bytes(pickle.dumps(value, protocol))
        refused(open_pickled, path, "system, which is not read")
    objects[0] = 2
    path.write_bytes(pickle.dumps(objects, protocol))
    refused(open_pickled, path, "Python objects")
    assert not mark.exists()


def test_arrays_that_lie(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    data = pickle.dumps(ARRAYS["vectors"], 4)
    shape = data.replace(struct.pack("<H", 1000), struct.pack("<H", 9999), 1)
    path.write_bytes(shape)
    refused(open_pickled, path, "cut short, or not what it says")
    path.write_bytes(data.replace(b"f4", b"f9"))
    refused(open_pickled, path, "unknown type")
    path.write_bytes(data.replace(b"f4", b",0"))  # found by random edits: numpy reads lists there
    refused(open_pickled, path, "unknown type")
    record = np.zeros(3, dtype=[("a", "f4")])
    path.write_bytes(pickle.dumps(record, 4))
    refused(open_pickled, path, "records|V4")


def test_a_container_inside_itself(tmp_path: Path) -> None:
    loop: list[Any] = []
    loop += [loop] * 50
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(loop, 4))
    refused(open_pickled, path, "lies inside itself")


def test_shared_containers_are_walked_once(tmp_path: Path) -> None:
    value: list[Any] = [0] * 1000
    for _ in range(3):
        value = [value] * 1000
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(value, 4))
    assert len(open_pickled(path)) == 1000


def test_streams_are_left_where_the_pickle_ends() -> None:
    from anisotropy.untrusted.pickles import load_from

    stream = io.BytesIO(pickle.dumps([1], 2) + pickle.dumps([2], 2))
    assert [load_from(stream, Path("x"), {}) for _ in range(2)] == [[1], [2]]


def test_many_numbers_and_words(tmp_path: Path) -> None:
    """Objects that numpy writes one by one are no bomb."""
    path = tmp_path / "x.pkl"
    numbers = [np.int64(number) for number in range(20_000)]
    for protocol in PROTOCOLS:
        path.write_bytes(pickle.dumps((ARRAYS["small"], numbers), protocol))
        assert open_pickled(path)[1] == list(range(20_000))


def test_a_type_is_a_word(tmp_path: Path) -> None:
    """Made text of, a tower of tuples doubles at every floor."""
    path = tmp_path / "x.pkl"
    tower = b"\x8c\x01a" + b"2\x86" * 30
    path.write_bytes(b"\x80\x04cnumpy\ndtype\n" + tower + b"\x85R.")
    refused(open_pickled, path, "whose type is no text")


@pytest.mark.parametrize("dtype", ["|S0", "<U0"])
def test_text_of_no_length(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(npy("(100000000,)", dtype))
    refused(open_npy, path, "text of no length")


def test_a_length_that_nothing_checks(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(npy("(0, 100000000000000000000)"))
    refused(open_npy, path, "a length of more than")
