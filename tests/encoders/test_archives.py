from __future__ import annotations

import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from anisotropy.encoders import archives, open_encoder
from anisotropy.errors import CheckpointError
from anisotropy.files import cache_directory
from anisotropy.untrusted import zips

Write = Callable[[zipfile.ZipFile], None]


def archive(path: Path, write: Write, upstream: Path | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        if upstream is not None:
            for file in sorted(upstream.iterdir()):
                target.write(file, f"a b (c)/{file.name}")
        write(target)
    return path


def kept() -> list[Path]:
    return sorted(path for path in cache_directory().rglob("*") if path.is_file())


def refused(path: Path, text: str) -> None:
    before = kept()
    with pytest.raises(CheckpointError, match=text) as caught:
        open_encoder(path)
    assert "\n" not in str(caught.value)
    assert kept() == before


@pytest.mark.parametrize(
    "name",
    ["../evil", "a b (c)/../../evil", "/etc/evil", "C:/evil", "a b (c)\\..\\..\\evil"],
)
def test_members_outside_the_archive(tmp_path: Path, upstream: Path, name: str) -> None:
    refused(
        archive(tmp_path / "z", lambda z: z.writestr(name, "x"), upstream),
        "lies outside the archive; refused",
    )
    assert not list(tmp_path.rglob("evil"))


def test_links(tmp_path: Path, upstream: Path) -> None:
    def link(target: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("a b (c)/vocab2.json")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        target.writestr(info, "/etc/passwd")

    refused(archive(tmp_path / "z", link, upstream), "is a link or a special file")


def test_bombs(tmp_path: Path, upstream: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = archive(
        tmp_path / "z", lambda z: z.writestr("a b (c)/zeros.bin", bytes(2**25)), upstream
    )
    monkeypatch.setattr(zips, "SMALL", 2**20)
    refused(bomb, "more than 100 times; refused")
    monkeypatch.setattr(zips, "MAX_BYTES", 2**20)
    refused(bomb, "too large")
    monkeypatch.setattr(zips, "MAX_MEMBERS", 3)
    refused(archive(tmp_path / "y", lambda z: None, upstream), "too large")


def test_a_header_that_lies_about_the_size(tmp_path: Path, upstream: Path) -> None:
    path = archive(tmp_path / "z", lambda z: z.writestr("a b (c)/x.bin", bytes(5000)), upstream)
    data = bytearray(path.read_bytes())
    size = (5000).to_bytes(4, "little")
    place = data.rindex(size)
    data[place : place + 4] = (50).to_bytes(4, "little")
    path.write_bytes(bytes(data))
    refused(path, "corrupt")


def test_damaged_archives(tmp_path: Path, upstream: Path) -> None:
    path = archive(tmp_path / "z", lambda z: None, upstream)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(path, "corrupt or truncated zip file")
    middle = bytearray(whole)
    for place in range(len(whole) // 3, len(whole) // 3 + 200):
        middle[place] ^= 0xFF
    path.write_bytes(bytes(middle))
    refused(path, "corrupt")


def test_archives_without_one_checkpoint(tmp_path: Path) -> None:
    refused(archive(tmp_path / "a", lambda z: z.writestr("x", "y")), "no checkpoint in this zip")

    def two(target: zipfile.ZipFile) -> None:
        target.writestr("one/config.json", "{}")
        target.writestr("two/config.json", "{}")

    refused(archive(tmp_path / "b", two), r"several checkpoints \(one, two\)")


def test_an_encrypted_member(tmp_path: Path, upstream: Path) -> None:
    path = archive(tmp_path / "z", lambda z: None, upstream)
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02")
    data[place + 8] |= 1
    path.write_bytes(bytes(data))
    refused(path, "encrypted")


def test_clutter_and_deeper_folders_are_left_out(tmp_path: Path, upstream: Path) -> None:
    def clutter(target: zipfile.ZipFile) -> None:
        target.writestr("__MACOSX/a b (c)/._config.json", "x")
        target.writestr("a b (c)/checkpoint-10/config.json", "{}")
        target.writestr("a b (c)/optimizer.pt", "x")

    path = archive(tmp_path / "z", clutter, upstream)
    folder = archives.unpack(path)
    assert sorted(file.name for file in folder.iterdir()) == sorted(
        file.name for file in upstream.iterdir()
    )
    assert archives.unpack(path) == folder
