from __future__ import annotations

import argparse
import io
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from anisotropy.encoders.arguments import MAX_BYTES, read_arguments
from anisotropy.errors import CheckpointError
from tests.encoders.building import save_legacy

ARGUMENTS = {"loss_objective_function": "simclr_cosine", "seq": [1, (2, {3})], "none": None}


def namespace() -> argparse.Namespace:
    return argparse.Namespace(device=torch.device("cpu"), more=OrderedDict(a=1), **ARGUMENTS)


class Hostile:
    """Pickles to a call of os.system that leaves a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


def torch_zip(data: bytes, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/version", "3\n")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "training_args.bin"
    path.write_bytes(pickle.dumps(argparse.Namespace(**ARGUMENTS), protocol))
    assert read_arguments(path) == ARGUMENTS


def test_both_torch_containers(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    save_legacy(namespace(), old)
    torch.save(namespace(), new)
    assert read_arguments(old) == read_arguments(new)
    assert read_arguments(old)["device"] == "cpu"
    assert read_arguments(old)["more"] == {"a": 1}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("container", ["bare", "zip"])
def test_hostile_pickles_run_nothing(
    tmp_path: Path, protocol: int, nested: bool, container: str
) -> None:
    mark = tmp_path / "mark"
    hostile: Any = Hostile(mark)
    data = pickle.dumps({"a": [{"b": hostile}]} if nested else hostile, protocol)
    path = tmp_path / "training_args.bin"
    if container == "zip":
        torch_zip(data, path)
    else:
        path.write_bytes(data)
    with pytest.raises(CheckpointError, match="which is not read") as caught:
        read_arguments(path)
    assert "\n" not in str(caught.value)
    assert not mark.exists()


def test_hostile_in_the_legacy_container(tmp_path: Path) -> None:
    path = tmp_path / "training_args.bin"
    save_legacy(argparse.Namespace(x=Hostile(tmp_path / "mark")), path)
    with pytest.raises(CheckpointError, match="system"):
        read_arguments(path)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    "name",
    ["builtins eval", "builtins getattr", "posix system", "torch load", "argparse FileType"],
)
def test_nothing_else_is_resolved(tmp_path: Path, name: str) -> None:
    module, attribute = name.split()
    path = tmp_path / "training_args.bin"
    path.write_bytes(f"c{module}\n{attribute}\n.".encode())
    with pytest.raises(CheckpointError, match=f"{module}.{attribute}"):
        read_arguments(path)


def test_dotted_names_are_not_walked(tmp_path: Path) -> None:
    path = tmp_path / "training_args.bin"
    path.write_bytes(b"\x80\x04\x8c\x08argparse\x8c\x12Namespace.__init__\x93.")
    with pytest.raises(CheckpointError, match=r"Namespace\.__init__"):
        read_arguments(path)


def test_state_set_on_a_class_stays_in_its_own_load(tmp_path: Path) -> None:
    path = tmp_path / "training_args.bin"
    # the state (None, {"device": "spoiled"}), put on the class itself
    path.write_bytes(
        b"\x80\x02cargparse\nNamespace\n(N}X\x06\x00\x00\x00deviceX\x07\x00\x00\x00spoiledstb."
    )
    with pytest.raises(CheckpointError, match="state of something that has none"):
        read_arguments(path)
    assert not hasattr(argparse.Namespace, "device")
    path.write_bytes(pickle.dumps(argparse.Namespace(a=1)))
    assert read_arguments(path) == {"a": 1}


@pytest.mark.parametrize("kind", ["collections OrderedDict", "builtins dict", "builtins object"])
def test_only_namespaces_are_rebuilt(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "training_args.bin"
    name = "\n".join(kind.split())
    path.write_bytes(f"ccopyreg\n_reconstructor\n(c{name}\ncbuiltins\nobject\nNtR.".encode())
    with pytest.raises(CheckpointError, match="not read"):
        read_arguments(path)


@pytest.mark.parametrize(
    "data",
    [b"", b"not a pickle", b"\x80\x02", pickle.dumps(namespace())[:-20], pickle.dumps(3)],
)
def test_damaged(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "training_args.bin"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"training_args\.bin") as caught:
        read_arguments(path)
    assert "\n" not in str(caught.value)


def test_too_large(tmp_path: Path) -> None:
    path = tmp_path / "training_args.bin"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(CheckpointError, match="allowed: 16777216"):
        read_arguments(path)


def test_zip_member_too_large(tmp_path: Path) -> None:
    path = tmp_path / "training_args.bin"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(MAX_BYTES + 1))
    with pytest.raises(CheckpointError, match="allowed: 16777216"):
        read_arguments(path)


def test_zip_without_pickle(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme", "x")
    path = tmp_path / "training_args.bin"
    path.write_bytes(buffer.getvalue())
    with pytest.raises(CheckpointError, match=r"data\.pkl"):
        read_arguments(path)
