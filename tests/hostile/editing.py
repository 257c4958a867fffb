"""Damaged files: edits of a whole one, by bytes or by what its format consists of.

`edited` is a strategy; its draws are few and small, so that what fails is shrunk to the one edit
that matters. What a file is, its content tells: a member of a zip file or the header of an array
is edited as what it is, and what surrounds it stays whole.
"""

from __future__ import annotations

import ast
import contextlib
import gzip
import io
import json
import math
import pickletools
import struct
import warnings
import zipfile
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

#: Numbers that are counts, sizes or indices somewhere, and instructions of pickles.
SPECIAL = (
    *(b"\0" * 4, b"\xff" * 4, b"\0" * 8, b"\xff" * 8, struct.pack("<Q", 2**62)),
    *(struct.pack("<q", 2**40), struct.pack("<i", 2**31 - 1), struct.pack(">I", 2**31)),
    *(b"NaN", b"1e999", b"[" * 3000, b"\n", b"\r", b"\t", b"\xed\xa0\x80", b"\xef\xbb\xbf"),
    *(b"\x80\x04", b"q\0", b"h\0", b"R", b"b", b"}", b"]", b"(", b"l", b"t", b"0", b"2", b"."),
    *(b"\x93", b"\x94", b"Q", b"\x81", b"cos\nsystem\n", b"I9\n", b"B\xff\xff\xff\x7f"),
    *(
        b"\x8a\xff" + b"\x7f" * 255,
        b"\x8b\0\x08\0\0" + b"\x7f" * 2048,
        b"M\xff\xff",
        b"J\xff\xff\xff\xff",
        b"N",
        b"s",
        b"u",
        b"K\0",
    ),
)
#: Texts that stand where a name, a number or a path is expected.
WORDS = (
    *("", " ", "nan", "inf", "-1", "0", "1e999", "9" * 30, "9" * 5000, "1_000", "0x10", "1.5"),
    *("١٢", "²", "𝟙", "é", "a\u0301", "\u2028", "\x85", "\ufeff", "\0", "\x1b[31m", "\r", "\t"),
    *("'", '"', "#", "{}", "[", ",", "a,b,", "../../x", "/dev/zero", "x" * 3000, "\u202e", "𐀀"),
)
_DEEP: list[Any] = []
for _ in range(200):
    _DEEP = [_DEEP]
VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 3, 2**31, 2**63, 2**100, "@digits@", 0.5, 1e308, -0.0),
    *(math.nan, math.inf, "\ud800", [], {}, [[]], [1, 2], {"a": {}}, {"\ud800": 1}, _DEEP),
    *WORDS,
)
DTYPES = ("|O", "<U9999999", "|V8", "<f4,<i8", ">f4", "<f2", "|b1", "<M8[s]", "<c16", "f4" * 99)
_NEW_BYTES = st.sampled_from(SPECIAL) | st.binary(min_size=1, max_size=8)
_WORD = st.sampled_from(WORDS)
_CELL = _WORD | st.text(st.characters(codec="utf-8"), max_size=3)
Draw = Callable[[Any], Any]
Shape = Callable[[Draw, bytes], bytes]


@st.composite
def edited(draw: Draw, content: bytes) -> bytes:
    """`content` after one to four edits."""
    for _ in range(draw(st.integers(1, 4))):
        content = _edit(draw, content)
    return content


def _edit(draw: Draw, content: bytes) -> bytes:
    shape = shape_of(content)
    if shape is None or draw(st.integers(0, 2)) == 2:
        shape = _bytes
    return shape(draw, content)


def shape_of(content: bytes) -> Shape | None:
    """What edits a file of this content part by part; None for one whose parts are unknown."""
    for magic, shape in ((b"PK", _zip), (b"\x1f\x8b", _gzip), (b"\x93NUMPY", _npy)):
        if content.startswith(magic):
            return shape
    if content[:1] == b"\x80":
        return _pickle
    if content[8:9] == b"{" and struct.unpack("<Q", content[:8])[0] < len(content):
        return _safetensors
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    if "\0" in text or not text:
        return None
    return _lines if _parsed(text) is None else _json


def _place(draw: Draw, length: int) -> int:
    """Anywhere, and as often near the start, where headers are."""
    return draw(st.integers(0, min(length, 200)) | st.integers(0, length))


def _bytes(draw: Draw, content: bytes) -> bytes:
    """Change, put in, take out, repeat or cut off bytes."""
    at = _place(draw, len(content))
    length = draw(st.sampled_from([1, 2, 4, 8, 30, 300]))
    match draw(st.sampled_from(["change", "flip", "insert", "delete", "repeat", "cut", "append"])):
        case "change":
            new = draw(_NEW_BYTES)
            return content[:at] + new + content[at + len(new) :]
        case "flip":
            flipped = bytes(byte ^ 1 << draw(st.integers(0, 7)) for byte in content[at : at + 1])
            return content[:at] + flipped + content[at + 1 :]
        case "insert":
            new = draw(_NEW_BYTES)
            return content[:at] + new + content[at:]
        case "delete":
            return content[:at] + content[at + length :]
        case "repeat":
            return content[: at + length] + content[at:]
        case "cut":
            return content[:at]
        case _:
            return content + content[:at]


# Trees: JSON, and what a header is ---------------------------------------------------------------


def _parsed(text: str) -> Any:
    """A table or list in JSON; None for other texts."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _json(draw: Draw, content: bytes) -> bytes:
    return _dumped(_tree(draw, _parsed(content.decode()), VALUES))


def _dumped(value: Any) -> bytes:
    return json.dumps(value).replace('"@digits@"', "9" * 5000).encode()  # more than int() takes


def _tree(draw: Draw, value: Any, odd: tuple[Any, ...]) -> Any:
    """`value` with something in it changed, taken out, put in, repeated or renamed."""
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 9)) == 9:
        return draw(st.sampled_from(odd))
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = keys[draw(st.integers(0, min(len(keys), 60) - 1)) - draw(st.integers(0, 1))]
    action = draw(st.sampled_from(["change", "inside", "inside", "delete", "add", "swap"]))
    changed: Any = dict(value) if isinstance(value, dict) else list(value)
    if action == "delete":
        del changed[key]
    elif action == "swap":
        other = keys[draw(st.integers(0, len(keys) - 1))]
        changed[key], changed[other] = changed[other], changed[key]
    elif action == "add" and isinstance(value, dict):
        changed[draw(st.sampled_from([*WORDS, "\ud800", str(key) + "2"]))] = changed[key]
    elif action == "add":
        changed.insert(key, draw(st.sampled_from([changed[key], *odd])))
    elif action == "inside" and isinstance(value[key], dict | list):
        changed[key] = _tree(draw, value[key], odd)
    else:
        changed[key] = draw(st.sampled_from(odd))
    return changed


def _npy(draw: Draw, content: bytes) -> bytes:
    """An array whose header says something else."""
    size = 2 if content[6:7] == b"\x01" else 4
    length = int.from_bytes(content[8 : 8 + size], "little")
    try:
        header = ast.literal_eval(content[8 + size : 8 + size + length].decode("latin1"))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return _bytes(draw, content)
    text = repr(_tree(draw, header, (*DTYPES, *VALUES[:18], (0,), (2**40, 2**40), (-1, 4), (3,))))
    if draw(st.booleans()):
        text = text.replace("[", "(").replace("]", ",)").replace(",,", ",")
    raw = text.encode("utf-8", "surrogatepass")[:9000].ljust(length - 1) + b"\n"
    return content[:8] + len(raw).to_bytes(size, "little") + raw + content[8 + size + length :]


def _safetensors(draw: Draw, content: bytes) -> bytes:
    """Tensors whose header says something else."""
    (length,) = struct.unpack("<Q", content[:8])
    header = _parsed(content[8 : 8 + length].decode("latin1"))
    if header is None:
        return _bytes(draw, content)
    text = _dumped(_tree(draw, header, (*VALUES, "F32", "I8", "BF16", [0, 4], [2**40, 768])))
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


# Lines -------------------------------------------------------------------------------------------


def _lines(draw: Draw, content: bytes) -> bytes:
    """Lines changed, dropped, repeated, joined; their cells, or the JSON in them, likewise."""
    lines = content.decode().split("\n")
    at = draw(st.integers(0, len(lines) - 1) | st.integers(0, min(len(lines), 3) - 1))
    line = lines[at]
    match draw(st.sampled_from(["cell", "cell", "cell", "drop", "repeat", "join", "put", "swap"])):
        case "cell" if (value := _parsed(line)) is not None:
            lines[at] = _dumped(_tree(draw, value, VALUES)).decode()
        case "cell":
            lines[at] = _cells(draw, line)
        case "drop":
            del lines[at]
        case "repeat":
            lines[at:at] = [line] * draw(st.sampled_from([1, 2, 100]))
        case "join":
            lines[at : at + 2] = ["".join(lines[at : at + 2])]
        case "put":
            lines.insert(at, draw(_WORD))
        case _:
            lines[at], lines[0] = lines[0], lines[at]
    return "\n".join(lines).encode()


def _cells(draw: Draw, line: str) -> str:
    by = next((sign for sign in "\t, =" if sign in line), "\t")
    cells = line.split(by)
    at = draw(st.integers(0, len(cells) - 1))
    match draw(st.sampled_from(["change", "change", "drop", "repeat", "add", "by"])):
        case "change":
            cells[at] = draw(_CELL)
        case "drop":
            del cells[at]
        case "repeat":
            cells[at:at] = cells[at : at + 1]
        case "add":
            cells.insert(at, draw(_WORD))
        case _:
            by = draw(st.sampled_from(["\t", " ", ",", "\t\t", "\x0b", "\u3000"]))
    return by.join(cells)


# Containers --------------------------------------------------------------------------------------


def _gzip(draw: Draw, content: bytes) -> bytes:
    try:
        inside = gzip.decompress(content)
    except (OSError, EOFError, ValueError):
        return _bytes(draw, content)
    except Exception:  # zlib's own
        return _bytes(draw, content)
    return gzip.compress(_edit(draw, inside), 1, mtime=0)


def _zip(draw: Draw, content: bytes) -> bytes:
    """A whole zip file with other members, names or attributes."""
    try:
        members = _members(content)
    except Exception:  # whatever the library raises for what was edited before
        return _bytes(draw, content)
    if not members:
        return _bytes(draw, content)
    at = draw(st.integers(0, len(members) - 1))
    info, data = members[at]
    match draw(
        st.sampled_from(["inside", "inside", "inside", "inside", "drop", "repeat", "name"])
    ):
        case "inside":
            members[at] = info, _edit(draw, data)
        case "drop":
            del members[at]
        case "repeat":
            members.append((info, data))
        case _:
            name = draw(st.sampled_from([*WORDS, info.filename + "2", "x/" + info.filename]))
            members[at] = zipfile.ZipInfo(name or "x"), data
    return _packed(members)


def _members(content: bytes) -> list[tuple[zipfile.ZipInfo, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [(info, archive.read(info)) for info in archive.infolist() if _small(info)]


def _small(info: zipfile.ZipInfo) -> bool:
    return info.file_size < 2**24


def _packed(members: list[tuple[zipfile.ZipInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore")  # of names that occur twice
        for info, data in members:
            plain = zipfile.ZipInfo(info.filename)
            archive.writestr(plain, data, info.compress_type, 1)
    return buffer.getvalue()


def _pickle(draw: Draw, content: bytes) -> bytes:
    """A pickle, or several in a row, with an instruction taken out, repeated or put in."""
    parts = _instructions(content)
    if not parts:
        return _bytes(draw, content)
    at = draw(st.integers(0, len(parts) - 1))
    match draw(st.sampled_from(["drop", "repeat", "put", "swap"])):
        case "drop":
            del parts[at]
        case "repeat":
            parts[at:at] = [parts[at]] * draw(st.sampled_from([1, 1, 3000]))
        case "put":
            parts.insert(at, draw(st.sampled_from(SPECIAL)))
        case _:
            other = draw(st.integers(0, len(parts) - 1))
            parts[at], parts[other] = parts[other], parts[at]
    return b"".join(parts)


def _instructions(content: bytes) -> list[bytes]:
    """The instructions of the pickles at the start, without frames; the rest is the last part."""
    stream, parts, start = io.BytesIO(content), list[bytes](), 0
    with contextlib.suppress(Exception):  # damaged by an edit before
        while content[start : start + 1] == b"\x80" and len(parts) < 20_000:
            places = [place or 0 for _, _, place in pickletools.genops(stream)] + [stream.tell()]
            found = [content[a:b] for a, b in pairwise(places)]
            parts += [part for part in found if part[:1] != b"\x95"]
            start = stream.tell()
    return [*parts, content[start:]] if parts else []
