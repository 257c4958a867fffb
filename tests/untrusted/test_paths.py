from __future__ import annotations

import os
from pathlib import Path

import pytest

from anisotropy.errors import InputError
from anisotropy.untrusted.paths import check_file
from anisotropy.untrusted.texts import read_json


def test_regular_files_and_links_to_them(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").symlink_to("a")
    assert check_file(tmp_path / "a") == check_file(tmp_path / "b") == 3


def test_everything_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to("nothing")
    (tmp_path / "circle").symlink_to("circle")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    cases = {
        "none": "no such file",
        "gone": "a link that leads nowhere",
        "circle": "cannot be read",
        "pipe": "is a pipe",
        "zero": "is a device",
        "": "is a folder",
    }
    for name, text in cases.items():
        with pytest.raises(InputError, match=text) as caught:
            check_file(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"[" * 200_000, "nested too deep"),
        (b'{"a": ' * 200_000, "nested too deep"),
        (b"{", "not readable as JSON"),
        (b"\xff\xfe", "not readable as JSON"),
        (b"[1]" + b" " * 100, "allowed for this JSON file: 100"),
    ],
)
def test_json(tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=text) as caught:
        read_json(path, 100 if b" " * 100 in content else 2**30)
    assert "\n" not in str(caught.value)
    path.write_bytes(b'{"a": [1, null]}')
    assert read_json(path) == {"a": [1, None]}
