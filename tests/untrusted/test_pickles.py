"""The restricted unpickler: equal to the standard one on what it admits, and nothing else runs."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tracemalloc
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anisotropy.errors import InputError
from anisotropy.untrusted import pickles
from anisotropy.untrusted.pickles import load_from

PATH = Path("file")
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False)
    | st.text() | st.binary()
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner) | st.dictionaries(SCALARS, inner) | st.tuples(inner, inner)
        | st.sets(SCALARS) | st.frozensets(SCALARS)
    ),
    max_leaves=20,
)  # fmt: skip


def read(data: bytes, allowed: pickles.Allowed | None = None) -> Any:
    # bytes of protocols 0 to 2 are written as a call of this name
    names = {("_codecs", "encode"): lambda text, _: text.encode("latin1"), **(allowed or {})}
    return load_from(io.BytesIO(data), PATH, names)


def refused(data: bytes, text: str) -> None:
    with pytest.raises(InputError, match=text) as caught:
        read(data)
    assert str(caught.value).startswith("file: ")
    assert "\n" not in str(caught.value)


@given(VALUES, st.sampled_from(PROTOCOLS))
def test_plain_values_come_out_as_they_went_in(value: Any, protocol: int) -> None:
    assert read(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_containers_of_the_standard_library_become_plain(protocol: int) -> None:
    nested: dict[str, Any] = defaultdict(dict)
    nested["x"] = {"y": 1}
    value = {"o": OrderedDict(a=1, b=2), "c": Counter("aab"), "d": nested}
    found = read(pickle.dumps(value, protocol))
    assert found == {"o": {"a": 1, "b": 2}, "c": {"a": 2, "b": 1}, "d": {"x": {"y": 1}}}
    assert all(type(one) is dict for one in found.values())


class Hostile:
    """Pickles to a call of os.system that leaves a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("wrap", ["alone", "key", "deep", "state"])
def test_calls_do_not_run(tmp_path: Path, protocol: int, wrap: str) -> None:
    hostile: Any = Hostile(tmp_path / "mark")
    value = {"alone": hostile, "key": {hostile: 1}, "deep": [({"a": [hostile]},)]}.get(
        wrap, OrderedDict(a=hostile)
    )
    refused(pickle.dumps(value, protocol), "system, which is not read")
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        # instructions that call: REDUCE, INST, OBJ, NEWOBJ, NEWOBJ_EX, BUILD, EXT1, persistent ids
        (b"cos\nsystem\n(S'true'\ntR.", "names os.system"),
        (b"(S'true'\nios\nsystem\n.", "names os.system"),
        (b"(cos\nsystem\nS'true'\no.", "names os.system"),
        (b"\x80\x02cos\nsystem\n)\x81.", "names os.system"),
        (b"\x80\x04(S'a'\n)}\x92.", "instruction that is not read"),
        (b"cbuiltins\nlist\n(S'a'\nd.", "no table|list index|not readable"),
        (b"\x80\x02\x82\x01.", "instruction that is not read"),
        (b"\x80\x05\x97.", "instruction that is not read"),
        (b"Pid\n.", "persistent id"),
        (b"cbuiltins\ngetattr\n.", "names builtins.getattr"),
        (b"\x80\x04\x8c\x08builtins\x8c\x0dlist.__init__\x93.", "list.__init__"),
        # calls of what a pickle made itself, or of a stand-in's parts
        (b"I1\n(tR.", "calls something that is no allowed name"),
        (b"cbuiltins\nlist\n(l(lb.", "state of something that has none"),
        (b"cbuiltins\nlist\nI3\nR.", "no list of arguments"),
        (b"cbuiltins\nset\n(((tltR.", "type tuple; allowed: text and numbers"),
        # containers that are none
        (b"I1\nI2\ns.", "not readable|no table"),
        (b"(lI1\nI2\ns.", "no table"),
        (b"}I2\na.", "no list"),
        (b"\x80\x04](I1\n\x90.", "no set"),
        (b"}(tI1\ns.", "type tuple; allowed"),
        (b"}((lI1\nu.", "not readable|no table|type list"),
        # blocks that are not there
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**62), "ends early"),
        (b"\x80\x04\x8d" + struct.pack("<Q", 2**62), "ends early"),
        (b"\x80\x05\x96" + struct.pack("<Q", 2**62), "ends early"),
        (b"\x80\x04\x95" + struct.pack("<Q", 2**62), "ends early"),
        (b"B\xff\xff\xff\x7f", "ends early"),
        (b"X\xff\xff\xff\x7f", "ends early"),
        (b"\x8b\xff\xff\xff\x7f", "ends early"),
        (b"", "not readable"),
        (b"\x80\x09.", "not readable"),
        (b"not a pickle", "not readable"),
        (b".", "not readable"),
        (b"h\x05.", "not readable"),
    ],
)
def test_what_is_refused(data: bytes, text: str) -> None:
    refused(data, text)


@pytest.mark.parametrize("opcode", [b"r", b"p"])
def test_a_lying_memo_index_takes_no_memory(opcode: bytes) -> None:
    index = struct.pack("<I", 2**31 - 1) if opcode == b"r" else b"2147483647\n"
    data = b"I1\n" + opcode + index + b"."
    tracemalloc.start()
    assert read(data) == 1
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_marks_and_containers_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "DEEPEST", 5)
    refused(b"(" * 10, "nests deeper than 5")
    monkeypatch.setattr(pickles, "MOST_CONTAINERS", 5)
    for opcode in (b"]", b"}", b"\x8f", b"N\x85"):
        refused(opcode * 10 + b".", "more than 5 containers")


def test_the_limits_leave_room_for_real_files() -> None:
    assert pickles.MOST_CONTAINERS >= 10**6
    assert pickles.DEEPEST >= 1000


def test_a_tower_of_tuples_is_no_key() -> None:
    """Hashing t = (t, t) forty times over would take longer than anybody lives."""
    tower = b"N" + b"2\x86" * 40  # DUP, TUPLE2
    refused(b"\x80\x02}" + tower + b"Ns.", "type tuple; allowed")


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(pickle.dumps({"a": 1}))
    assert pickles.load(path, {}) == {"a": 1}
    with pytest.raises(InputError, match="allowed for this file: 3"):
        pickles.load(path, {}, largest=3)
    with pytest.raises(InputError, match="no such file"):
        pickles.load(tmp_path / "y", {})


def test_a_map_of_offsets_is_read_as_the_standard_library_reads_it(tmp_path: Path) -> None:
    named = {number * 7: number for number in range(70_000)}
    path = tmp_path / "x"
    path.write_bytes(pickle.dumps(named, 4))
    assert pickles.load(path, {}) == named


@pytest.mark.parametrize(
    "data",
    [
        # a list copied by every call, ten thousand times over
        b"\x80\x04" + b"](" + b"N" * 20_000 + b"eq\x00"
        + b"0cbuiltins\nlist\nq\x010" + b"h\x01h\x00\x85R0" * 10_000 + b"N.",
        # text encoded by every call
        b"\x80\x04X\x20\x4e\x00\x00" + b"a" * 20_000 + b"q\x00"
        + b"0c_codecs\nencode\nq\x010"
        + b"h\x01h\x00X\x06\x00\x00\x00latin1\x86R0" * 9_999 + b"N.",
        # an entry of the memo every byte
        b"\x80\x04N" + b"\x94" * 200_000 + b".",
    ],
)  # fmt: skip
def test_growth_is_paid_for_by_the_size_of_the_file(data: bytes) -> None:
    tracemalloc.start()
    refused(data, "far more|more than 1000000 containers")
    assert tracemalloc.get_traced_memory()[1] < 40 * len(data) + 2**23
    tracemalloc.stop()


def test_texts_of_real_files_are_within_the_budget() -> None:
    words = [f"D{number}" for number in range(100_000)]
    for protocol in PROTOCOLS:
        assert read(pickle.dumps(words, protocol)) == words


def test_keys_are_of_64_bits() -> None:
    assert read(pickle.dumps({2**64 - 1: 0})) == {2**64 - 1: 0}
    refused(pickle.dumps({2**64: 0}), "more than 64 bits")
    refused(pickle.dumps({10**5000: 0}), "more than 64 bits")
