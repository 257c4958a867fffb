"""Torch and safetensors files: what torch itself reads, and nothing that a file merely claims."""

from __future__ import annotations

import argparse
import io
import json
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from anisotropy.errors import InputError
from anisotropy.untrusted.safetensors_files import is_safetensors, read_safetensors
from anisotropy.untrusted.tensors import TensorEntry
from anisotropy.untrusted.torch_files import read_torch
from tests.untrusted.test_pickles import Hostile

BASE = torch.arange(24.0).reshape(4, 6)
CONTENT: dict[str, Any] = {
    "plain": BASE,
    "turned": BASE.t(),
    "part": BASE[1:3, 2:],
    "half": BASE.half(),
    "bfloat16": BASE.bfloat16(),
    "whole": torch.arange(5),
    "bytes": torch.tensor([1, 255], dtype=torch.uint8),
    "truth": torch.tensor([True, False]),
    "parameter": torch.nn.Parameter(torch.ones(2, 2)),
    "empty": torch.zeros(0, 3),
    "scalar": torch.tensor(2.5),
    "nested": {"state": {0: {"exp_avg": torch.zeros(3), "step": 4}}, "groups": [{"lr": 0.1}]},
}


def saved(path: Path, value: Any, new: bool) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=new)
    return path


def same(found: Any, expected: Any) -> None:
    if isinstance(expected, torch.Tensor):
        assert isinstance(found, TensorEntry)
        tensor = torch.from_numpy(found.array().copy())
        tensor = tensor.view(torch.bfloat16) if found.dtype == "bfloat16" else tensor
        assert tensor.dtype == expected.dtype
        assert torch.equal(tensor, expected.detach())
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, value in expected.items():
            same(found[key], value)
    elif isinstance(expected, list):
        for one, other in zip(found, expected, strict=True):
            same(one, other)
    else:
        assert found == expected


def refused(path: Path, text: str, read: Any = read_torch) -> None:
    with pytest.raises(InputError, match=text) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("new", [True, False])
def test_what_torch_reads(tmp_path: Path, new: bool) -> None:
    path = saved(tmp_path / "x.pt", CONTENT, new)
    same(read_torch(path), torch.load(path, weights_only=True))


@pytest.mark.parametrize("new", [True, False])
def test_a_module_with_its_metadata(tmp_path: Path, new: bool) -> None:
    state = torch.nn.Linear(3, 2).state_dict()
    assert hasattr(state, "_metadata")
    same(read_torch(saved(tmp_path / "x.pt", state, new)), dict(state))


@pytest.mark.parametrize("new", [True, False])
def test_arguments(tmp_path: Path, new: bool) -> None:
    value = argparse.Namespace(device=torch.device("cuda", 1), path=Path("a/b"), size=(1, 2))
    found = read_torch(saved(tmp_path / "x.bin", value, new))
    assert found == {"device": "cuda:1", "path": "a/b", "size": (1, 2)}


def test_weights_are_not_read_until_asked_for(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pt", {"a": torch.zeros(1000, 1000)}, True)
    assert isinstance(read_torch(path)["a"].array(), np.memmap)


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.7, 0.95, 0.999])
def test_cut_short(tmp_path: Path, new: bool, share: float) -> None:
    path = saved(tmp_path / "x.pt", CONTENT, new)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    refused(path, "not readable|corrupt|cut short|ends")


@pytest.mark.parametrize("new", [True, False])
def test_hostile(tmp_path: Path, new: bool) -> None:
    mark = tmp_path / "mark"
    path = saved(tmp_path / "x.pt", {"a": torch.ones(2), "b": [Hostile(mark)]}, new)
    refused(path, "system, which is not read")
    assert not mark.exists()


def rewritten(path: Path, change: Any) -> Path:
    """A torch zip with the pickle in it changed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(name, change(data) if name.endswith("data.pkl") else data)
    return path


def test_a_storage_that_is_smaller_than_its_tensor_says(tmp_path: Path) -> None:
    """Torch's own reader goes on reading behind the end of such a storage."""
    path = saved(tmp_path / "x.pt", {"a": torch.zeros(250)}, True)
    lie = struct.pack("<H", 65_000)
    rewritten(path, lambda data: data.replace(b"K\xfa", b"M" + lie))
    refused(path, "does not fit into its storage")


def test_a_tensor_outside_its_storage(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pt", {"a": torch.arange(250.0)[200:240]}, True)
    rewritten(path, lambda data: data.replace(b"K\xc8", b"K\xf0"))  # offset 200 -> 240
    refused(path, "does not fit into its storage")


def test_a_legacy_storage_of_a_terabyte(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pt", {"a": torch.zeros(250)}, False)
    many = struct.pack("<i", 2**31 - 1)
    data = path.read_bytes().replace(b"K\xfa", b"J" + many)
    path.write_bytes(data.replace(struct.pack("<q", 250), struct.pack("<q", 2**31 - 1)))
    refused(path, "cut short or damaged")


def test_compressed_storages(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pt", {"a": torch.zeros(2500)}, True)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    refused(path, "is compressed")


def test_zips_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    for names, text in (([], "single data.pkl"), (["a/data.pkl", "b/data.pkl"], "single data.pkl"),
                        (["../data.pkl"], "outside")):  # fmt: skip
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme", "x")
            for name in names:
                archive.writestr(name, pickle.dumps({}))
        refused(path, text)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}))
        archive.writestr("a/byteorder", b"big")
    refused(path, "big-endian")


def test_legacy_of_another_machine(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": False}):
        pickle.dump(value, buffer, 2)
    (tmp_path / "x.pt").write_bytes(buffer.getvalue())
    refused(tmp_path / "x.pt", "big-endian")
    (tmp_path / "x.pt").write_bytes(buffer.getvalue().replace(b"\xe9\x03", b"\xe8\x03"))
    refused(tmp_path / "x.pt", "unknown version")


def test_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    state = {"a": BASE, "b": BASE.bfloat16(), "c": torch.arange(3), "d": torch.zeros(0, 2)}
    save_file(state, path, metadata={"format": "pt"})
    assert is_safetensors(path)
    found, metadata = read_safetensors(path)
    assert metadata == {"format": "pt"}
    assert sorted(found) == sorted(state)
    for name, tensor in state.items():
        same(found[name], tensor)


def header(values: Any, data: bytes = b"") -> bytes:
    text = json.dumps(values).encode() if not isinstance(values, bytes) else values
    return struct.pack("<Q", len(text)) + text + data


def entry(**changes: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]} | changes


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (header({"a": entry()}), "cut short or damaged"),
        (header({"a": entry()}, bytes(17)), "cut short or damaged"),
        (header({"a": entry(shape=[2, 3])}, bytes(16)), "disagrees with its place"),
        (header({"a": entry(shape=[2**40, 2**40])}, bytes(16)), "disagrees with its place"),
        (header({"a": entry(shape=[-2, -2])}, bytes(16)), "disagrees with its place"),
        (header({"a": entry(shape=[-5, -4], data_offsets=[0, -1])}), "disagrees with its place"),
        (header({"a": entry(shape=[2.5, 8], data_offsets=[0, -1])}), "disagrees with its place"),
        (header({"a": entry(shape=[0, 10**20], data_offsets=[0, 0])}), "disagrees with its place"),
        (header({"a": entry(data_offsets=[4, 20])}, bytes(20)), "overlap or leave a gap"),
        (header({"a": entry(), "b": entry()}, bytes(16)), "overlap or leave a gap"),
        (header({"a": entry(dtype="F4")}, bytes(16)), "allowed: F64"),
        (header({"a": entry(dtype=[])}, bytes(16)), "damaged"),
        (header({"a": 3}), "damaged"),
        (header([1]), "damaged"),
        (header(b"{" * 100_000), "damaged"),
        (struct.pack("<Q", 2**60) + b"{}", "damaged"),
        (b"\x08", "damaged"),
    ],
)
def test_safetensors_headers_that_lie(tmp_path: Path, data: bytes, text: str) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    refused(path, text, read_safetensors)


def test_a_tensor_that_repeats_its_storage(tmp_path: Path) -> None:
    """Thirty million rows that are one: a bomb where somebody copies them."""
    path = saved(tmp_path / "x.pt", {"a": torch.zeros(1, 768).expand(30_000_000, 768)}, True)
    assert path.stat().st_size < 10_000
    refused(path, "does not fit into its storage")


@pytest.mark.parametrize("name", [b"ctorch\ndevice\n", b"cpathlib\nPosixPath\n"])
def test_words_are_words(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"\x80\x04" + name + b"\x8c\x01a" + b"2\x86" * 30 + b"\x85R.")
    refused(path, "that is none")
