"""The data as one JSON text that can stand in a page, within a size."""

from __future__ import annotations

import base64
import bisect
import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from anisotropy.explorer.data import ExplorerData, Lists, SpaceView
from anisotropy.explorer.texts import cut, one_line

SCHEMA = "anisotropy.explorer/1"
#: Bytes of a page, and of that what is left for the page's own code.
LIMIT, CODE = 10_000_000, 80_000
#: Lengths in characters to which texts are cut, the longest that fits; the least that is
#: tried before lists are made shorter.
CUTS = (1000, 600, 400, 300, 240, 200, 160, 120, 100, 80, 60, 40, 20, 0)
LEAST_CUT = 60
_TYPES = {"u8": "<u1", "u16": "<u2", "i32": "<i4", "f32": "<f4"}


@dataclass(frozen=True)
class Packed:
    """A JSON text and what it leaves out.

    Attributes
    ----------
    text
        JSON in which no ``<`` stands, so that it can stand in a script element.
    left_out
        A line for everything that was cut to keep the size.
    """

    text: str
    left_out: tuple[str, ...]


def pack(data: ExplorerData, limit: int = LIMIT) -> Packed:
    """Everything as JSON, texts cut and lists made shorter until the page is within `limit`.

    Parameters
    ----------
    data
        What to show.
    limit
        Bytes of the whole page.

    Returns
    -------
    Packed
        What could not be kept is said in it.
    """
    lines = tuple(None if text is None else one_line(text) for text in data.texts)
    tried = [data := dataclasses.replace(data, texts=lines)]
    for k in (data.neighbors // 2, data.neighbors // 4, 1):
        if 1 <= k < tried[-1].neighbors:
            tried.append(shorter(data, k))
    for one in tried:
        found = _fitting(one, limit - CODE, LEAST_CUT if one is not tried[-1] else 0)
        if found is not None:
            left_out = _left_out(data, one, found)
            return Packed(_text(one, found, left_out), left_out)
    left_out = (*_left_out(data, tried[-1], 0), f"the page is larger than {limit / 1e6:g} MB")
    return Packed(_text(tried[-1], 0, left_out), left_out)


def shorter(data: ExplorerData, k: int) -> ExplorerData:
    """The same with lists of `k` documents, and without the items that only longer ones name."""
    used = np.zeros(len(data.ids), dtype=bool)
    used[: data.n_valued] = True
    used[data.judgments.item] = True
    for space in data.spaces:
        item = space.lists.item[:, :k]
        used[item[item >= 0]] = True
    number = np.where(used, np.cumsum(used) - 1, -1)
    kept = np.flatnonzero(used)

    def renumbered(lists: Lists) -> Lists:
        item = np.where(lists.item >= 0, number[lists.item], -1)
        return dataclasses.replace(lists, item=item)

    judgments = dataclasses.replace(data.judgments, item=number[data.judgments.item])
    return dataclasses.replace(
        data,
        ids=tuple(data.ids[i] for i in kept),
        sides=data.sides[kept],
        texts=tuple(data.texts[i] for i in kept),
        judgments=judgments,
        spaces=tuple(
            dataclasses.replace(space, lists=renumbered(space.lists.shorter(k)))
            for space in data.spaces
        ),
    )


def _fitting(data: ExplorerData, limit: int, least: int) -> int | None:
    """The longest cut of the texts, `least` or more, at which the JSON is within `limit`."""
    room = limit - len(_text(dataclasses.replace(data, texts=()), 0, ()).encode())

    def fits(length: int) -> bool:
        lines = [None if line is None else cut(line, length) for line in data.texts]
        return len(_dumped(lines).encode()) <= room

    # From the shortest cut on, those that fit come first.
    lengths = sorted(length for length in CUTS if length >= least)
    longest = bisect.bisect_left(lengths, True, key=lambda length: not fits(length))
    return lengths[longest - 1] if longest else None


def _left_out(whole: ExplorerData, data: ExplorerData, length: int) -> tuple[str, ...]:
    lines = []
    texts = [text for text in data.texts if text is not None]
    longer = sum(len(text) > length for text in texts)
    if longer:
        how = f"cut to {length} characters" if length else "left out"
        lines.append(f"{longer:,} of {len(texts):,} texts are {how}")
    if len(texts) < len(data.texts):
        lines.append(f"{len(data.texts) - len(texts):,} of {len(data.texts):,} have no known text")
    if data.neighbors < whole.neighbors:
        lines.append(f"lists hold {data.neighbors} documents a query, not {whole.neighbors}")
    off = int((data.sides[data.n_points :] == 1).sum())
    if off:
        lines.append(f"{off:,} documents are named in lists and are not on the map")
    return tuple(lines)


def _text(data: ExplorerData, length: int, left_out: tuple[str, ...]) -> str:
    return _dumped(_content(data, length, left_out))


def _dumped(content: Any) -> str:
    """JSON text that ends no script element and no line, with no lone surrogate."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _content(data: ExplorerData, length: int, left_out: tuple[str, ...]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "title": data.title,
        "points": data.n_points,
        "valued": data.n_valued,
        "depth": data.depth,
        "neighbors": data.neighbors,
        "ids": list(data.ids),
        "texts": [None if text is None else cut(text, length) for text in data.texts],
        "cut": length,
        "sides": _array("u8", data.sides),
        "listed": _array("i32", data.listed),
        "spaces": [_space(space, data.depth) for space in data.spaces],
        "judgments": {
            "row": _array("i32", data.judgments.row),
            "item": _array("i32", data.judgments.item),
            "grade": _array("i32", data.judgments.grade),
        },
        "kept": _array("f32", data.kept),
        "changes": _floats(data.changes),
        "scales": [
            {
                "key": scale.key,
                "title": scale.title,
                "says": scale.says,
                "classes": [list(one) for one in scale.classes],
                "codes": [_array("u8", codes) for codes in _once(scale.codes)],
            }
            for scale in data.scales
        ],
        "findings": [
            {
                "key": one.key,
                "group": one.group,
                "title": one.title,
                "says": one.says,
                "items": _array("i32", one.items),
                "notes": list(one.notes),
            }
            for one in data.findings
        ],
        "captions": {**data.captions, "left_out": list(left_out)},
    }


def _once(codes: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """The arrays; one where all are the same."""
    return codes[:1] if all(one is codes[0] for one in codes) else codes


def _space(space: SpaceView, depth: int) -> dict[str, Any]:
    item, score, distance, elsewhere = space.lists.parts
    return {
        "label": space.label,
        "about": space.about,
        "maps": {
            method: {"x": _array("f32", xy[:, 0]), "y": _array("f32", xy[:, 1])}
            for method, xy in space.maps.items()
        },
        "occurrence": _array("i32", np.where(np.isnan(space.occurrence), -1, space.occurrence)),
        "even": _array("f32", space.even),
        "density": _array("f32", space.density),
        "lists": {
            "item": _array("i32", item),
            "score": _array("f32", score),
            "distance": _array("f32", distance),
            "elsewhere": _array("u16" if depth < 2**16 else "i32", elsewhere),
        },
        "positives": {
            "rank": _array("i32", space.positives["rank"]),
            "score": _array("f32", space.positives["score"]),
            "distance": _array("f32", space.positives["distance"]),
        },
        "values": _floats(space.query_values),
    }


def _floats(columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {name: _array("f32", values) for name, values in columns.items()}


def _array(kind: str, values: np.ndarray) -> dict[str, str]:
    """Numbers row by row, little-endian, as base64."""
    with np.errstate(invalid="ignore"):
        plain = np.ascontiguousarray(values).astype(_TYPES[kind])
    return {"t": kind, "b": base64.b64encode(plain.tobytes()).decode()}
