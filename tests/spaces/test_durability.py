"""Kills, full disks, two writers: a store is whole or visibly unfinished, and always the same."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from anisotropy.errors import StoreError, UsageError
from anisotropy.files import sha256_file
from anisotropy.spaces import encoding, open_store
from anisotropy.spaces.encoding import EncodeOptions, encode_collection, encode_to_cache
from anisotropy.spaces.store import UnfinishedMark
from anisotropy.spaces.store.marks import UNFINISHED
from tests.spaces.fakes import FakeCollection, FakeEncoder, FakeRecipe
from tests.spaces.killing import content, made_up

ROOT = Path(__file__).parents[2]
SMALL = EncodeOptions(shard_items=4, batch_tokens=8)


def script(*words: str) -> list[str]:
    command = [sys.executable, "-m", "tests.spaces.killing", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


def test_killed_before_every_third_step_and_resumed() -> None:
    lines = script("--every", "3")
    kills = [line for line in lines if "ended False" in line]
    assert len(kills) > 30
    assert any("embeddings" in line for line in kills)
    assert any(".manifest" in line for line in kills)
    assert any("manifest True, mark True" in line for line in kills)


def test_killed_at_random_moments_and_resumed() -> None:
    assert sum(line.startswith("kill ") for line in script("--kills", "3")) == 3


def encode(out: Path, encoder: FakeEncoder | None = None, documents: int = 9) -> FakeEncoder:
    encoder = encoder or FakeEncoder(chunks=2)
    encode_collection(encoder, FakeCollection(documents), [out], SMALL)
    return encoder


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, str]:
    encode(tmp_path / "whole")
    return content(tmp_path / "whole")


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    """An encoding that was stopped after its first shard of documents."""
    with pytest.raises(KeyboardInterrupt):
        encode(tmp_path / "cut", FakeEncoder(chunks=2, fail_after=8))
    assert (tmp_path / "cut/documents/embeddings-00000.npy").is_file()
    return tmp_path / "cut"


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


DOUBTFUL: dict[str, Callable[[Path], object]] = {
    "other bytes of the same size": lambda s: flip(s / "documents/embeddings-00000.npy"),
    "zeros at the end": lambda s: zero(s / "documents/embeddings-00000.npy"),
    "cut short": lambda s: os.truncate(s / "documents/embeddings-00000.npy", 130),
    "gone": lambda s: (s / "documents/embeddings-00000.npy").unlink(),
    "the last record torn": lambda s: tear(s / UNFINISHED),
    "the last record is garbage": lambda s: garble(s / UNFINISHED),
    "a shard nobody recorded": lambda s: (s / "documents/embeddings-00001.npy").write_text("x"),
    "what a killed writer was writing": lambda s: litter(s),
}


def zero(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20] + bytes(20))


def tear(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 7)


def garble(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + b"\0" * 30 + b"\n" + lines[-1])


def litter(store: Path) -> None:
    for name in ("documents/.embeddings-00001.npy.abcd_123", ".manifest.json.abcdefgh"):
        (store / name).write_text("half of")


@pytest.mark.parametrize("name", DOUBTFUL)
def test_only_what_is_known_to_be_whole_is_kept(
    cut: Path, whole: dict[str, str], name: str
) -> None:
    DOUBTFUL[name](cut)
    encode(cut)
    assert content(cut) == whole


def test_a_recorded_shard_is_not_encoded_again(cut: Path) -> None:
    assert sum(map(len, encode(cut).batches)) == 5  # of 15 items, two shards of 5 in all remain


def test_files_of_others_stay(cut: Path, whole: dict[str, str]) -> None:
    (cut / ".notes.txt.abcdefgh").write_text("not ours")
    (cut / "documents/notes.txt").write_text("not ours")
    encode(cut)
    assert set(content(cut)) - set(whole) == {".notes.txt.abcdefgh", "documents/notes.txt"}


def test_another_size_of_shards_is_refused(cut: Path) -> None:
    options = EncodeOptions(shard_items=5)
    with pytest.raises(StoreError, match="begun with 4 items a shard, not 5: go on with --shard"):
        encode_collection(FakeEncoder(chunks=2), FakeCollection(), [cut], options)


def test_a_mark_that_says_nothing_is_refused_beside_files(cut: Path) -> None:
    (cut / UNFINISHED).write_text('["not", "a plan"]\n')
    with pytest.raises(StoreError, match="already holds other files"):
        encode(cut)
    assert (cut / UNFINISHED).exists()


@pytest.mark.parametrize("make", [lambda p: p.symlink_to("/dev/zero"), os.mkfifo])
def test_a_mark_that_is_no_file_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    (tmp_path / "s").mkdir()
    make(tmp_path / "s" / UNFINISHED)
    with pytest.raises(StoreError, match=r"unfinished\.jsonl: no regular file"):
        encode(tmp_path / "s")


# Two writers.


def whole_files(store: Path) -> dict[str, bytes]:
    """Files that are not going to change, of a store that a thread of this process writes."""
    names = [*store.rglob("embeddings-*"), *store.rglob("ids.txt")]
    return {str(path): path.read_bytes() for path in names}


def test_a_second_writer_is_refused_and_disturbs_nothing(
    tmp_path: Path, whole: dict[str, str]
) -> None:
    refused: list[str] = []

    def second(side: str, done: int, total: int) -> None:
        del side, done, total
        there = whole_files(tmp_path / "s")
        (tmp_path / "s/.manifest.json.abcdefgh").touch()  # as if the first were writing it
        with pytest.raises(UsageError, match="another process is writing this store") as caught:
            encode(tmp_path / "s")
        refused.append(str(caught.value))
        (tmp_path / "s/.manifest.json.abcdefgh").unlink()  # FileNotFoundError had it been swept
        assert there.items() <= whole_files(tmp_path / "s").items()  # more may have been written

    encode_collection(
        FakeEncoder(chunks=2), FakeCollection(), [tmp_path / "s"], SMALL, progress=second
    )
    assert all(str(tmp_path / "s") in line and "\n" not in line for line in refused)
    assert refused
    assert content(tmp_path / "s") == whole


def test_the_lock_goes_with_its_process(cut: Path, whole: dict[str, str]) -> None:
    code = (
        "import sys; from pathlib import Path; "
        "from anisotropy.spaces.store import UnfinishedMark; "
        "mark = UnfinishedMark(Path(sys.argv[1])).take(); print('held', flush=True); "
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(cut)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match="another process"):
            encode(cut)
        holder.kill()
    encode(cut)
    assert content(cut) == whole


class Beside:
    """A second run into the same cache, begun in the middle of the first."""

    def __init__(self, folders: list[Path], readings: tuple[FakeRecipe, ...]) -> None:
        self.encoder = FakeEncoder(readings=readings)
        self.waits: list[Path] = []
        self._waiting = threading.Event()
        arguments = (self.encoder, FakeCollection(), folders, SMALL)
        self._thread = threading.Thread(
            target=encode_to_cache, args=arguments, kwargs={"waiting": self._wait}
        )

    def _wait(self, folder: Path) -> None:
        self.waits.append(folder)
        self._waiting.set()

    def begin(self, side: str, done: int, total: int) -> None:
        del done, total
        if side == "documents" and not self._waiting.is_set():
            self._thread.start()
            assert self._waiting.wait(20)

    def end(self) -> None:
        self._thread.join(20)
        assert not self._thread.is_alive()


READINGS = (FakeRecipe("one"), FakeRecipe("two", 2.0))


@pytest.mark.parametrize("readings", [READINGS[:1], READINGS])
def test_in_the_cache_the_second_waits_and_uses_what_the_first_wrote(
    tmp_path: Path, readings: tuple[FakeRecipe, ...]
) -> None:
    folders = [tmp_path / str(number) for number in range(len(readings))][::-1]
    second = Beside(folders, readings)
    first = FakeEncoder(readings=readings)
    encode_to_cache(first, FakeCollection(), folders, SMALL, second.begin)
    second.end()
    assert second.waits == [min(folders)]
    assert not second.encoder.batches
    for folder in folders:
        open_store(folder, verify=True)
        assert not (folder / UNFINISHED).exists()


def test_in_the_cache_the_second_goes_on_where_the_first_died(tmp_path: Path) -> None:
    second = Beside([tmp_path / "s"], READINGS[:1])
    first = FakeEncoder(readings=READINGS[:1], fail_after=8)
    with pytest.raises(KeyboardInterrupt):
        encode_to_cache(first, FakeCollection(), [tmp_path / "s"], SMALL, second.begin)
    second.end()
    assert second.encoder.batches
    assert len(second.encoder.batches) < len(encode(tmp_path / "whole", FakeEncoder()).batches)
    open_store(tmp_path / "s", verify=True)


CACHED: dict[str, Callable[[Path], object]] = {
    "cut shard": lambda s: os.truncate(s / "documents/embeddings-00000.npy", 140),
    "missing ids": lambda s: (s / "documents/ids.txt").unlink(),
    "broken manifest": lambda s: (s / "manifest.json").write_text("{"),
    "no manifest, no mark": lambda s: (s / "manifest.json").unlink(),
    "the mark of something else": lambda s: other_plan(s),
}


def other_plan(store: Path) -> None:
    (store / "manifest.json").unlink()
    (store / UNFINISHED).write_text('{"format": "anisotropy.store/1", "unfinished": "x"}\n')


@pytest.mark.parametrize("name", CACHED)
def test_damage_in_the_cache_is_encoded_again(tmp_path: Path, name: str) -> None:
    encode_to_cache(FakeEncoder(), FakeCollection(), [tmp_path / "s"], SMALL)
    expected = content(tmp_path / "s")
    (tmp_path / "s/documents/more").mkdir()
    CACHED[name](tmp_path / "s")
    encode_to_cache(FakeEncoder(), FakeCollection(), [tmp_path / "s"], SMALL)
    assert content(tmp_path / "s") == expected


def test_a_swapped_file_in_the_cache_is_found_where_asked_for(tmp_path: Path) -> None:
    encode_to_cache(FakeEncoder(), FakeCollection(), [tmp_path / "s"], SMALL)
    flip(tmp_path / "s/documents/embeddings-00001.npy")
    for verify in (False, True):
        encoder = FakeEncoder()
        encode_to_cache(encoder, FakeCollection(), [tmp_path / "s"], SMALL, verify=verify)
        assert bool(encoder.batches) == verify
    open_store(tmp_path / "s", verify=True)


def test_the_twin_that_is_there_is_left_alone(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    encode_to_cache(FakeEncoder(readings=READINGS), FakeCollection(), folders, SMALL)
    inode = (folders[0] / "manifest.json").stat().st_ino
    expected = content(folders[1])
    (folders[1] / "qrels.tsv").unlink()
    encode_to_cache(FakeEncoder(readings=READINGS), FakeCollection(), folders, SMALL)
    assert content(folders[1]) == expected
    assert (folders[0] / "manifest.json").stat().st_ino == inode


def test_without_locks_nothing_is_swept_that_may_be_somebody_elses(
    cut: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    litter(cut)
    encode(cut)
    open_store(cut, verify=True)
    assert (cut / ".manifest.json.abcdefgh").exists()


# No room.


def limited(run: Callable[[], object], size: int) -> str:
    """Message of a run in which no file may grow beyond a size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        with pytest.raises(StoreError) as caught:
            run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    return str(caught.value)


@pytest.mark.parametrize(
    ("size", "name"),
    [(40, UNFINISHED), (140, "embeddings-00000.npy"), (800, UNFINISHED), (1000, "manifest.json")],
)
def test_no_room_is_one_line_and_loses_nothing(
    tmp_path: Path, whole: dict[str, str], size: int, name: str
) -> None:
    message = limited(lambda: encode(tmp_path / "s"), size)
    assert "\n" not in message
    assert f"{name}: cannot be written (File too large)" in message
    there = (tmp_path / "s").rglob("*")
    assert not [path for path in there if path.name.startswith(".") or "manifest" in path.name]
    kept = len(list((tmp_path / "s").rglob("embeddings-*")))
    assert f"{kept - (size == 800)} finished shards are kept" in message
    encode(tmp_path / "s")
    assert content(tmp_path / "s") == whole


def test_made_up_runs_are_those_of_the_script(tmp_path: Path, whole: dict[str, str]) -> None:
    """The script compares what these tests compare."""
    made_up(9)(tmp_path / "s")
    assert content(tmp_path / "s") == whole


def test_marks_survive_what_is_in_them(tmp_path: Path) -> None:
    for text in ("[" * 100_000, "\0" * 100, '{"a": 1}', "", "\n", "nonsense\n"):
        (tmp_path / UNFINISHED).write_text(text)
        with UnfinishedMark(tmp_path).take() as mark:
            assert mark.plan is None
        assert (tmp_path / UNFINISHED).exists() == bool(text)


def test_shards_are_hashed_as_they_are_written(cut: Path) -> None:
    with UnfinishedMark(cut).take() as mark:
        assert mark.shards
        for name, entry in mark.shards.items():
            assert sha256_file(cut / name) == entry["sha256"]
            assert (cut / name).stat().st_size == entry["bytes"]
            assert len(np.load(cut / name)) == entry["rows"]


def test_ids_that_no_store_holds_are_refused_before_their_texts_are_encoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = FakeEncoder()
    names = encoding.check_ids

    def check(ids: list[str], side: str) -> None:
        names([f"{name}\t" for name in ids], side)

    monkeypatch.setattr(encoding, "check_ids", check)
    with pytest.raises(StoreError, match="holds a tab"):
        encode(tmp_path / "s", encoder)
    assert not encoder.batches
