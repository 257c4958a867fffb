"""What runs beside the main thread: order, errors, interruption, and how much is in memory."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anisotropy.collection import Document
from anisotropy.errors import CollectionError, StoreError
from anisotropy.spaces.encoding import EncodeOptions, encode_collection
from anisotropy.spaces.pipeline import Ahead, Behind
from tests.spaces.fakes import FakeCollection, FakeEncoder


def soon(condition: Any) -> bool:
    """Whether a condition comes true within some seconds."""
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.001)
    return bool(condition())


def threads() -> set[threading.Thread]:
    return set(threading.enumerate())


def test_items_come_in_order_one_ahead() -> None:
    made: list[int] = []

    def items(over: threading.Event) -> Iterator[int]:
        for number in range(5):
            made.append(number)
            yield number

    with Ahead(items) as ahead:
        assert soon(lambda: made == [0])
        for number in ahead:
            assert soon(lambda n=number: len(made) == min(n + 2, 5))
            time.sleep(0.01)
            assert len(made) == min(number + 2, 5)  # and waits
    assert made == list(range(5))


def test_errors_of_the_thread_come_in_their_place() -> None:
    def items(over: threading.Event) -> Iterator[int]:
        yield 1
        raise CollectionError("line 7: no text")

    with Ahead(items) as ahead:
        assert next(ahead) == 1
        with pytest.raises(CollectionError, match="line 7: no text"):
            next(ahead)


def test_leaving_ends_the_thread_wherever_it_is() -> None:
    before, seen = threads(), threading.Event()

    def items(over: threading.Event) -> Iterator[int]:
        yield 1
        seen.set()
        assert over.wait(10)

    def interrupted() -> None:
        with Ahead(items) as ahead:
            next(ahead)
            assert seen.wait(10)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert threads() == before


def test_tasks_are_done_in_order_one_behind() -> None:
    done: list[int] = []
    go = threading.Event()

    def task(number: int) -> int:
        assert go.wait(10)
        done.append(number)
        return number

    with Behind[int]() as behind:
        behind.do(lambda: task(0))  # returns at once
        assert done == []
        behind.check()  # does not wait
        go.set()
        behind.do(lambda: task(1))  # waits for the first
        assert done[0] == 0
        assert behind.wait() == 1
        assert behind.wait() is None
    assert done == [0, 1]


def test_errors_of_tasks_are_raised_by_the_next_call() -> None:
    def fail() -> None:
        raise StoreError("no room")

    with Behind[None]() as behind:
        behind.do(fail)
        with pytest.raises(StoreError, match="no room"):
            soon(behind.check)
    with Behind[None]() as behind:
        behind.do(fail)
        with pytest.raises(StoreError, match="no room"):
            behind.do(fail)
    with Behind[None]() as behind:
        behind.do(fail)
        with pytest.raises(StoreError, match="no room"):
            behind.wait()


def test_a_task_under_way_is_finished_before_an_interruption_goes_on() -> None:
    done: list[int] = []

    def task() -> None:
        time.sleep(0.05)
        done.append(1)

    def interrupted() -> None:
        with Behind[None]() as behind:
            behind.do(task)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == [1]


# In an encoding.


def encode(out: Path, encoder: FakeEncoder, collection: FakeCollection, size: int = 4) -> None:
    options = EncodeOptions(shard_items=size, batch_tokens=8)
    encode_collection(encoder, collection, [out], options)


class Text(str):
    """Of which it can be told whether it is in memory."""

    __slots__ = ("__weakref__",)


def test_texts_of_two_shards_are_in_memory_and_no_more(tmp_path: Path) -> None:
    given: list[weakref.ref[Text]] = []
    most = [0]

    class Watched(FakeCollection):
        def documents(self) -> Iterator[Document]:
            for document in super().documents():
                text = Text(document.text)
                given.append(weakref.ref(text))
                most[0] = max(most[0], sum(known() is not None for known in given))
                yield Document(document.doc_id, text)

    class Slow(FakeEncoder):
        def encode_tokens(self, side: str, tokens: Any) -> list[np.ndarray]:
            time.sleep(0.002)
            return super().encode_tokens(side, tokens)

    gc.collect()
    encode(tmp_path / "s", Slow(), Watched(n_documents=60), size=5)
    assert 5 <= most[0] <= 2 * 5 + 1


def test_the_next_shard_is_tokenized_while_one_is_encoded(tmp_path: Path) -> None:
    """Each waits for the other, so that one after the other would never end."""
    main = threading.current_thread()
    ready = threading.Event()

    class Meeting(FakeEncoder):
        tokenized = 0

        def tokenize(self, side: str, items: Any) -> list[list[int]]:
            assert threading.current_thread() is not main
            if side == "documents":
                self.tokenized += 1
                if self.tokenized == 2:
                    ready.set()
            return super().tokenize(side, items)

        def encode_tokens(self, side: str, tokens: Any) -> list[np.ndarray]:
            assert threading.current_thread() is main
            assert side == "queries" or ready.wait(10)
            return super().encode_tokens(side, tokens)

    encode(tmp_path / "s", Meeting(), FakeCollection())
    assert ready.is_set()


def test_an_error_in_tokenization_keeps_the_shards_before(tmp_path: Path) -> None:
    class Failing(FakeEncoder):
        def tokenize(self, side: str, items: Any) -> list[list[int]]:
            if side == "documents" and items[0].doc_id == "d4":
                raise CollectionError("'d5' has a text, others token ids")
            return super().tokenize(side, items)

    before = threads()
    with pytest.raises(CollectionError, match="'d5' has a text"):
        encode(tmp_path / "s", Failing(), FakeCollection())
    assert (tmp_path / "s/documents/embeddings-00000.npy").is_file()
    rest = FakeEncoder()
    encode(tmp_path / "s", rest, FakeCollection())
    assert sum(map(len, rest.batches)) == 5
    assert threads() == before


def test_a_write_that_fails_stops_the_next_shard(tmp_path: Path) -> None:
    class Late(FakeEncoder):
        def encode_tokens(self, side: str, tokens: Any) -> list[np.ndarray]:
            if side == "documents":
                time.sleep(0.02)
            return super().encode_tokens(side, tokens)

    (tmp_path / "s").mkdir()
    encoder = Late()
    folder = tmp_path / "s" / "documents"

    class Blocking(FakeCollection):
        def documents(self) -> Iterator[Document]:
            folder.write_text("in the way")
            yield from super().documents()

    with pytest.raises(StoreError, match=r"documents.*cannot be written"):
        encode(tmp_path / "s", encoder, Blocking(n_documents=400))
    assert sum(map(len, encoder.batches)) < 30  # of 406 texts


def test_tokenizers_have_one_thread_beside_an_encoding_on_the_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import os

    from anisotropy.encoders.encoder import Encoder

    class OnDevice(FakeEncoder):
        device = "cpu"

    name = "TOKENIZERS_PARALLELISM"
    monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    found = []
    for device, cores, given in (
        ("cpu", 2, None), ("cuda", 2, None), ("cpu", 64, None), ("cpu", 2, "true")
    ):  # fmt: skip
        if given:
            monkeypatch.setenv(name, given)
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        encoder: Any = OnDevice()
        encoder.device = device
        with Encoder.beside_encoding(encoder):
            found.append(os.environ.get(name))
        assert os.environ.get(name) == given
    assert found == ["false", None, None, "true"]
