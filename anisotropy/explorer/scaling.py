"""Ways to color the points: a class for each point, so that no page has to decide."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anisotropy.explorer.data import DOCUMENT, QUERY, Scale
from anisotropy.explorer.measuring import Numbers
from anisotropy.explorer.numbering import Numbering
from anisotropy.explorer.valuing import NEAR, SIDES
from anisotropy.report.numbers import number

#: Gray for nothing to show, then a ramp of blue that ends dark; steps differ in lightness.
UNKNOWN, NOTHING = "#e4e4e4", "#b8b8b8"
RAMP = ("#a9d0ec", "#6fb3df", "#2f8fc9", "#0072B2", "#00507d", "#002c45")
#: From vermilion over gray to blue, told apart by lightness and under color blindness.
WORSE, SAME, BETTER = ("#8a3c00", "#D55E00", "#f2a877"), NOTHING, ("#8fc7e8", "#0072B2", "#003a5c")

_EDGES = (0, 0.5, 1, 2, 5, 10)
_MULTIPLES = ("up to 0.5 ×", "0.5–1 ×", "1–2 ×", "2–5 ×", "5–10 ×", "more than 10 ×")


def scales_of(numbers: Numbers, items: Numbering, n: int) -> tuple[Scale, ...]:
    """Every way to color the first `n` items, which are on the maps."""
    sides = items.sides[:n]

    def of_queries(values: np.ndarray) -> np.ndarray:
        return items.spread([values, np.full(len(numbers.ids[1]), np.nan)], n)

    if len(numbers.spaces) == 2:
        kept = items.spread([numbers.near_kept[side] for side in SIDES], n)
        delta = of_queries(numbers.changes["nDCG@10_delta"])
        middle = [change_scale(kept, NEAR), gain_scale(delta, sides)]
    else:
        own = numbers.spaces[0].query_values["nDCG@10"]
        middle = [effectiveness_scale(of_queries(own), sides)]
    relative = [items.spread([one[s].relative for s in SIDES], n) for one in numbers.occurrence]
    even = [items.spread([one[s].even for s in SIDES], n) for one in numbers.drawn]
    return (
        side_scale(sides, len(numbers.spaces)),
        *middle,
        occurrence_scale(relative, [numbers.occurrence[0][side].chance for side in SIDES]),
        probability_scale(even),
    )


def side_scale(sides: np.ndarray, spaces: int) -> Scale:
    """Queries and documents."""
    from anisotropy.plots.style import SIDE_COLORS

    classes = (("queries", SIDE_COLORS["query"]), ("documents", SIDE_COLORS["document"]))
    codes = np.where(sides == QUERY, 0, 1).astype(np.uint8)
    return Scale("side", "side", "triangles are queries, dots are documents", classes,
                 (codes,) * spaces)  # fmt: skip


def occurrence_scale(relative: Sequence[np.ndarray], chances: Sequence[float]) -> Scale:
    """K-occurrence over that of chance, in each space; `chances` of a query and of a document."""
    of_query, of_document = (number(chance, 3) for chance in chances)
    return Scale(
        "occurrence", "k-occurrence (hubs)",
        "how many items of the other side have the point among their 10 nearest (cosine), in "
        f"multiples (×) of chance, which is {of_document} queries for a document and {of_query} "
        "documents for a query",
        _ramped(("0 (antihub)", *_MULTIPLES), "unknown"), tuple(map(_binned, relative)),
    )  # fmt: skip


def probability_scale(even: Sequence[np.ndarray]) -> Scale:
    """Probability as a negative over that of an even draw, in each space."""
    return Scale(
        "probability", "negative probability",
        "probability to be drawn as a hard negative, in multiples (×) of an even draw from "
        "the pool",
        _ramped(("never drawn", *_MULTIPLES), "not in the mining pool"),
        tuple(map(_binned, even)),
    )  # fmt: skip


def change_scale(kept: np.ndarray, near: int) -> Scale:
    """How many of the nearest of its own side a point has lost."""
    labels = ("keeps all", f"keeps {near - 2} or {near - 1}", *(
        f"keeps {n} or {n + 1}" for n in range(near - 4, -1, -2)
    ))  # fmt: skip
    lost = np.round((1 - kept) * near)
    code = np.where(np.isnan(kept), len(labels), np.ceil(np.nan_to_num(lost) / 2))
    classes = _ramped(labels, "unknown")
    return Scale(
        "change", "change of neighbors",
        f"how many of the {near} nearest of its own side (cosine) a point keeps from the first "
        "space to the second",
        classes, (code.astype(np.uint8),) * 2,
    )  # fmt: skip


def gain_scale(delta: np.ndarray, sides: np.ndarray) -> Scale:
    """Change of nDCG@10 of the queries."""
    labels = ("falls by more than 0.5", "falls by 0.1 to 0.5", "falls by less", "stays",
              "rises by less", "rises by 0.1 to 0.5", "rises by more than 0.5")  # fmt: skip
    colors = (*WORSE, SAME, *BETTER)
    known = np.nan_to_num(delta)
    code = 3 + np.sign(known) * (1 + (abs(known) >= 0.1) + (abs(known) > 0.5)) * (known != 0)
    return Scale(
        "gain", "change of nDCG@10",
        "how the ranking of a query changes from the first space to the second",
        (*zip(labels, colors, strict=True), *_OTHERS), (_queries_only(code, delta, sides, 7),) * 2,
    )  # fmt: skip


def effectiveness_scale(values: np.ndarray, sides: np.ndarray) -> Scale:
    """The nDCG@10 of the queries of a single space."""
    labels = ("0", "up to 0.25", "0.25–0.5", "0.5–0.75", "0.75–1", "1")
    colors = (*WORSE[:2], WORSE[2], *BETTER[:2], BETTER[2])
    code = np.digitize(np.nan_to_num(values), (1e-12, 0.25, 0.5, 0.75, 1 - 1e-12))
    return Scale(
        "effectiveness", "nDCG@10", "how well the judged documents of a query are ranked",
        (*zip(labels, colors, strict=True), *_OTHERS), (_queries_only(code, values, sides, 6),),
    )  # fmt: skip


_OTHERS = (("query without a positive", UNKNOWN), ("document", "#d3d3d3"))


def _queries_only(
    code: np.ndarray, values: np.ndarray, sides: np.ndarray, first: int
) -> np.ndarray:
    """Codes of queries; the two after the last for unknown ones and for documents."""
    code = np.where(np.isnan(values), first, code)
    return np.asarray(np.where(sides == DOCUMENT, first + 1, code), dtype=np.uint8)


def _ramped(labels: Sequence[str], unknown: str) -> tuple[tuple[str, str], ...]:
    colors = (NOTHING, *RAMP[: len(labels) - 1])
    return (*zip(labels, colors, strict=True), (unknown, UNKNOWN))


def _binned(values: np.ndarray) -> np.ndarray:
    """Number of edges below each value; one class more for those that are not known."""
    code = np.digitize(np.nan_to_num(values), _EDGES, right=True)
    return np.where(np.isnan(values), len(_EDGES) + 1, code).astype(np.uint8)
