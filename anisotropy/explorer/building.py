"""From one or two spaces to everything that the explorer shows: the steps, in their order.

What to show is said by `options`, measured by `measuring` (from `valuing`), searched for lists by
`finding`, numbered by `numbering`, and looked up for each space by `viewing`, for the colors by
`scaling`, for the words by `texts` and `captions`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from anisotropy.backend import one_thread_each
from anisotropy.comparison import align_all
from anisotropy.comparison.aligning import check_comparable
from anisotropy.errors import EmbeddingsError, NotComparable, UsageError
from anisotropy.explorer.captions import captions_of
from anisotropy.explorer.data import DOCUMENT, ExplorerData, Finding, Judgments
from anisotropy.explorer.finding import Found, all_found
from anisotropy.explorer.measuring import Numbers, numbers_of
from anisotropy.explorer.numbering import Numbering, shown_points
from anisotropy.explorer.options import ExplorerOptions
from anisotropy.explorer.scaling import scales_of
from anisotropy.explorer.texts import texts_of
from anisotropy.explorer.valuing import SIDES
from anisotropy.explorer.viewing import Shown, view_of
from anisotropy.progress import Parts, Share
from anisotropy.projection import MapOptions, MapPoints

if TYPE_CHECKING:
    from anisotropy.projection.maps import Method
    from anisotropy.results import Curve
    from anisotropy.spaces import EmbeddingSpace

Say = Callable[[str], None]
Maps = Mapping["Method", tuple["Curve", ...]]


def build(
    spaces: Sequence[EmbeddingSpace],
    options: ExplorerOptions | None = None,
    *,
    say: Say | None = None,
    share: Share | None = None,
) -> ExplorerData:
    """Everything that the explorer shows of one space, or of two of the same texts.

    Parameters
    ----------
    spaces
        One or two, with different labels.
    options
        What to put on the page.
    say
        Called with a line before long work.
    share
        Called with what is under way and the share of the work that is done, from 0 to 1.

    Returns
    -------
    ExplorerData
        The numbers are those of the measures; nothing is computed after this.

    Raises
    ------
    NotComparable
        If the two are of different collections, or have one label.
    EmbeddingsError
        If a space has no query or no document.
    UsageError
        If there are fewer than 5 points, or more than two spaces.
    """
    options = options or ExplorerOptions()
    _check(spaces)
    spaces = align_all(spaces, options.on_mismatch)
    if len(spaces) == 2:
        _same_judgments(spaces[0], spaces[1], options.on_mismatch)
    drawing: dict[Method, str] = {
        method: _drawing(method, spaces) for method in options.projections
    }
    parts = Parts(share, [*drawing.values(), *map(_measuring, spaces)])

    def begin(text: str) -> Callable[[float], None]:
        if say is not None:
            say(text)
        parts(text, 0.0)
        return lambda done: parts(text, done)

    asked = MapOptions(options.points, options.perplexity, options.seed, options.relevance_level)
    points = MapPoints(spaces, asked)
    maps = {method: _drawn(points, method, begin(drawing[method])) for method in drawing}
    with one_thread_each:
        numbers = numbers_of(spaces, options, lambda space: begin(_measuring(space)))
        return _put_together(spaces, options, maps, numbers)


def _check(spaces: Sequence[EmbeddingSpace]) -> None:
    if not 1 <= len(spaces) <= 2:
        raise UsageError(f"explore: got {len(spaces)} spaces; allowed: one, or two to compare")
    if len({space.label for space in spaces}) < len(spaces):
        label = spaces[0].label
        raise NotComparable(f"two spaces are labeled {label!r}; give them different labels")
    for space in spaces:
        for side, ids in (("queries", space.query_ids), ("documents", space.doc_ids)):
            if not ids:
                raise EmbeddingsError(f"{space.label}: no {side}; the explorer needs both sides")


def _same_judgments(a: EmbeddingSpace, b: EmbeddingSpace, on_mismatch: str) -> None:
    check_comparable(a, b, on_mismatch)
    judged = [any(space.qrels.values()) for space in (a, b)]
    if judged[0] != judged[1]:
        without, other = (b, a) if judged[0] else (a, b)
        raise NotComparable(
            f"{without.label!r} has no judgments and {other.label!r} has; give both the same qrels"
        )


def _drawing(method: str, spaces: Sequence[EmbeddingSpace]) -> str:
    return f"drawing the {method} map of {' and '.join(space.label for space in spaces)}"


def _measuring(space: EmbeddingSpace) -> str:
    return f"measuring {space.label}"


def _drawn(points: MapPoints, method: Method, share: Callable[[float], None]) -> tuple[Curve, ...]:
    drawn = tuple(points.draw(method))
    share(1.0)
    return drawn


def _put_together(
    spaces: Sequence[EmbeddingSpace], options: ExplorerOptions, maps: Maps, numbers: Numbers
) -> ExplorerData:
    """Number the items, then look everything up for them."""
    found = all_found(numbers)
    items = _on_maps(maps[options.projections[0]][0], numbers)
    n_points = len(items)
    for side, name in enumerate(SIDES):
        items.add_all(side, (one.positions for one in found if one.side == name))
    shown, listed = _shown(numbers, items, n_points, options.neighbors), items.queries()
    pairs = numbers.spaces[0].pairs.relevant()
    judged = pairs.document[shown.pairs]
    items.add_all(DOCUMENT, [*(top[top >= 0] for top in shown.tops), judged])
    place = np.full(len(numbers.ids[0]), -1)
    place[shown.queries] = np.arange(len(shown.queries))
    return ExplorerData(
        title=" → ".join(space.label for space in spaces),
        ids=tuple(
            numbers.ids[side][int(at)]
            for side, at in zip(items.sides, items.positions, strict=True)
        ),
        sides=items.sides,
        texts=texts_of(spaces, items, numbers.ids),
        n_points=n_points,
        n_valued=shown.n_valued,
        listed=listed,
        spaces=tuple(view_of(n, numbers, maps, items, shown) for n in range(len(spaces))),
        judgments=Judgments(
            place[pairs.query[shown.pairs]], items.of(DOCUMENT, judged), pairs.grade[shown.pairs]
        ),
        kept=_kept(numbers, items, shown.n_valued),
        changes={name: values[shown.queries] for name, values in numbers.changes.items()},
        scales=scales_of(numbers, items, n_points),
        findings=tuple(_finding(one, items) for one in found),
        captions=captions_of(spaces, options, maps, numbers.occurrence, numbers.drawn),
        depth=int(numbers.spaces[0].ranking.shape[1]),
    )


def _on_maps(drawn: Curve, numbers: Numbers) -> Numbering:
    """Numbers for the points of a map."""
    ids, points = numbers.ids, drawn.columns
    return Numbering(
        (len(ids[0]), len(ids[1])), shown_points(list(points["id"]), list(points["side"]), ids)
    )


def _shown(numbers: Numbers, items: Numbering, n_points: int, neighbors: int) -> Shown:
    """What is shown, of the items numbered so far."""
    queries = items.positions[items.queries()]
    k = min(neighbors, len(numbers.ids[1]))
    tops = tuple(one.ranking[queries, :k] for one in numbers.spaces)
    judged = numbers.spaces[0].pairs.relevant().query
    return Shown(n_points, len(items), queries, tops, np.flatnonzero(np.isin(judged, queries)))


def _finding(one: Found, items: Numbering) -> Finding:
    numbered = items.of(SIDES.index(one.side), one.positions)
    return Finding(one.key, one.group, one.title, one.says, numbered, one.notes)


def _kept(numbers: Numbers, items: Numbering, n: int) -> np.ndarray:
    if not numbers.near_kept:
        return np.zeros(0)
    return items.spread([numbers.near_kept[side] for side in SIDES], n)
