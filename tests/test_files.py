from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from anisotropy.errors import InputError, UsageError, one_of
from anisotropy.files import (
    cache_directory,
    dump_json,
    fingerprint,
    hash_ids,
    intended_name,
    read_json,
    replacing,
    write_json,
    write_text,
)


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half of the n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_temporary_names_tell_what_they_are_for(tmp_path: Path) -> None:
    for name in ("a.npy", "with.dots.json", "x"):
        with replacing(tmp_path / name) as temporary:
            assert intended_name(temporary.name) == name
    for name in ("a.npy", ".hidden", ".a.npy.short", ".a.npy.UPPERCAS", "a.npy.abcdefgh"):
        assert intended_name(name) is None


def test_durable_files_are_on_the_disk_before_they_have_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, events = tmp_path / "new/file", []
    sync = os.fsync

    def watch(handle: int) -> None:
        events.append((Path(f"/proc/self/fd/{handle}").readlink(), path.exists()))
        sync(handle)

    monkeypatch.setattr(os, "fsync", watch)
    with replacing(path, durable=True) as temporary:
        temporary.write_text("x")
    assert events == [(tmp_path, False), (temporary, False), (path.parent, True)]
    events.clear()
    write_text(path, "y")
    assert events == []


def test_a_file_that_does_not_fit_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(OSError, match="room") as caught,
        replacing(tmp_path / "file"),
    ):
        raise OSError(errno.ENOSPC, "no room")
    assert caught.value.filename == str(tmp_path / "file")


def test_written_files_have_ordinary_permissions(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "x")
    (tmp_path / "twin").touch()
    modes = {stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()}
    assert len(modes) == 1


def test_json_has_no_nan_and_reads_back(tmp_path: Path) -> None:
    write_json(
        tmp_path / "x.json",
        {"a": float("nan"), "b": np.float32(0.5), "c": np.arange(2), "d": Path("p"), 3: np.inf},
    )
    assert read_json(tmp_path / "x.json") == {
        "a": None,
        "b": 0.5,
        "c": [0, 1],
        "d": "p",
        "3": None,
    }
    assert json.loads(dump_json([True, None, "é"])) == [True, None, "é"]


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\udcff"])
def test_bad_json_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=r"x\.json: not readable as JSON") as caught:
        read_json(path)
    assert "\n" not in str(caught.value)


def test_fingerprints_follow_content() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint(1, 2) != fingerprint([1], 2)


def test_id_hashes_are_seeded_and_uniform() -> None:
    ids = [f"d{i}" for i in range(4000)]
    values = hash_ids(ids)
    assert np.array_equal(values[::-1], hash_ids(ids[::-1]))
    assert not np.array_equal(values, hash_ids(ids, seed=1))
    share = (values % 10 == 3).mean()
    assert 0.08 < share < 0.12


def test_cache_folder_is_the_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANISOTROPY_CACHE", str(tmp_path))
    assert cache_directory() == tmp_path
    monkeypatch.delenv("ANISOTROPY_CACHE")
    assert cache_directory() == Path.home() / ".cache" / "anisotropy"


def test_messages_name_the_nearest() -> None:
    assert one_of("dans", ["ance", "dance"]).endswith("(did you mean 'dance'?)")
    assert "did you mean" not in one_of("zzz", ["ance"])
    assert UsageError("x").exit_code == 2
