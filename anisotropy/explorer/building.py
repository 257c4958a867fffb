"""From one or two spaces to everything that the explorer shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from anisotropy.backend import one_thread_each
from anisotropy.comparison import align_all
from anisotropy.comparison.aligning import check_comparable
from anisotropy.comparison.changes import changes_curve
from anisotropy.errors import EmbeddingsError, NotComparable, UsageError, check_seed, one_of
from anisotropy.explorer.captions import captions_of
from anisotropy.explorer.data import (
    DOCUMENT,
    QUERY,
    ExplorerData,
    Finding,
    Judgments,
    Lists,
    Scale,
    SpaceView,
)
from anisotropy.explorer.finding import Found, between, of_space, worst_ranked
from anisotropy.explorer.numbering import Numbering, shown_points
from anisotropy.explorer.scaling import (
    change_scale,
    effectiveness_scale,
    gain_scale,
    occurrence_scale,
    probability_scale,
    side_scale,
)
from anisotropy.explorer.texts import document_texts
from anisotropy.explorer.valuing import NEAR, SIDES, Drawn, Occurrence, Valued
from anisotropy.measures.base import Impossible
from anisotropy.measures.families.similarity import neighbors_kept
from anisotropy.projection import METHODS, project_all
from anisotropy.spaces.pairs import texts_of_queries

if TYPE_CHECKING:
    from anisotropy.projection.maps import Method
    from anisotropy.results import Curve
    from anisotropy.spaces import EmbeddingSpace

Say = Callable[[str], None]
TRUST = (
    "trustworthiness",
    "neighbor_preservation",
    "positive_distance_correlation",
    "variance_explained",
)
MOST_NEIGHBORS = 200


@dataclass(frozen=True)
class ExplorerOptions:
    """What to put on the page.

    Attributes
    ----------
    points
        Points on a map, 5 or more.
    neighbors
        Documents in the list of a query, 1 to 200.
    projections
        Maps: any of ``tsne``, ``pca``, ``umap``, at least one; the first is shown first.
    perplexity
        Of t-SNE, above 1.
    seed
        Of every random choice.
    relevance_level
        Smallest grade of a positive, 1 or more.
    on_mismatch
        For two spaces whose ids differ: ``error``, or ``intersect`` to use the common ones.
    """

    points: int = 5000
    neighbors: int = 20
    projections: tuple[Method, ...] = ("tsne", "pca")
    perplexity: float = 30.0
    seed: int = 0
    relevance_level: int = 1
    on_mismatch: str = "error"

    def __post_init__(self) -> None:
        if not 1 <= self.neighbors <= MOST_NEIGHBORS:
            raise UsageError(
                f"neighbors: got {self.neighbors}; allowed: 1 to {MOST_NEIGHBORS} a query"
            )
        if not self.projections:
            raise UsageError(f"projection: got none; allowed: one or more of {', '.join(METHODS)}")
        for name in self.projections:
            if name not in METHODS:
                raise UsageError(f"projection: {one_of(name, METHODS)}")
        if self.points < 5:
            raise UsageError(f"points: got {self.points}; allowed: 5 or more for a map")
        if not self.perplexity > 1:
            raise UsageError(f"perplexity: got {self.perplexity}; allowed: a number above 1")
        if self.relevance_level < 1:
            raise UsageError(f"relevance level: got {self.relevance_level}; allowed: 1 or more")
        check_seed(self.seed)


def build(
    spaces: Sequence[EmbeddingSpace],
    options: ExplorerOptions | None = None,
    *,
    say: Say | None = None,
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
    tell = say or (lambda _: None)
    maps: dict[str, tuple[Curve, ...]] = {}
    for method in options.projections:
        maps[method] = _drawn(spaces, method, options, tell)
    with one_thread_each:
        return _Page(spaces, options, maps, tell).data()


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


def _drawn(
    spaces: Sequence[EmbeddingSpace], method: Method, options: ExplorerOptions, tell: Say
) -> tuple[Curve, ...]:
    tell(f"drawing the {method} map of {' and '.join(space.label for space in spaces)}")
    settings: dict[str, Any] = {
        "n": options.points,
        "perplexity": options.perplexity,
        "random_state": options.seed,
    }
    return tuple(project_all(spaces, method, **settings))


class _Page:
    """The spaces with their numbers, while the page is put together."""

    def __init__(
        self,
        spaces: Sequence[EmbeddingSpace],
        options: ExplorerOptions,
        maps: Mapping[str, tuple[Curve, ...]],
        tell: Say,
    ) -> None:
        self.spaces, self.options, self.maps = spaces, options, maps
        self.ids = (list(spaces[0].query_ids), list(spaces[0].doc_ids))
        self.valued = [
            Valued(space, self.ids, seed=options.seed, relevance_level=options.relevance_level,
                   depth=options.neighbors) for space in spaces
        ]  # fmt: skip
        self.occurrence: list[dict[str, Occurrence]] = []
        self.drawn: list[dict[str, Drawn]] = []
        self.density: list[dict[str, np.ndarray]] = []
        for one in self.valued:
            tell(f"measuring {one.space.label}")
            self.occurrence.append({side: one.occurrence(side) for side in SIDES})
            self.drawn.append({side: one.drawn(side) for side in SIDES})
            self.density.append({side: one.density(side) for side in SIDES})
        self.changes = self._changes()
        self.near_kept = self._near_kept()
        self.found = list(self._found())
        first = maps[options.projections[0]][0].columns
        self.items = Numbering(
            (len(self.ids[0]), len(self.ids[1])),
            shown_points(list(first["id"]), list(first["side"]), self.ids),
        )

    def data(self) -> ExplorerData:
        """Number the items, then look everything up for them."""
        items, n_points = self.items, len(self.items)
        for side, name in enumerate(SIDES):
            items.add_all(side, (one.positions for one in self.found if one.side == name))
        n_valued, listed = len(items), items.queries()
        rows = items.positions[listed]
        k = min(self.options.neighbors, len(self.ids[1]))
        tops = [one.ranking[rows, :k] for one in self.valued]
        chosen, judged = self._judged(rows)
        items.add_all(DOCUMENT, [*(top[top >= 0] for top in tops), judged])
        views = tuple(
            self._view(number, n_points, n_valued, (rows, tops), chosen)
            for number in range(len(self.spaces))
        )
        pairs = self.valued[0].pairs.relevant()
        place = np.full(len(self.ids[0]), -1)
        place[rows] = np.arange(len(rows))
        return ExplorerData(
            title=" → ".join(space.label for space in self.spaces),
            ids=tuple(self.ids[s][p] for s, p in zip(items.sides, items.positions, strict=True)),
            sides=items.sides,
            texts=self._texts(),
            n_points=n_points,
            n_valued=n_valued,
            listed=listed,
            spaces=views,
            judgments=Judgments(
                place[pairs.query[chosen]],
                items.of(DOCUMENT, judged),
                pairs.grade[chosen],
            ),
            kept=self._kept(n_valued),
            changes={name: values[rows] for name, values in self.changes.items()},
            scales=tuple(self._scales(n_points)),
            findings=tuple(self._finding(one) for one in self.found),
            captions=captions_of(
                self.spaces, self.options, self.maps, self.occurrence, self.drawn
            ),
            depth=int(self.valued[0].ranking.shape[1]),
        )

    def _judged(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which positive pairs are those of listed queries, and their documents."""
        pairs = self.valued[0].pairs.relevant()
        chosen = np.flatnonzero(np.isin(pairs.query, rows))
        return chosen, pairs.document[chosen]

    def _view(
        self,
        number: int,
        n_points: int,
        n_valued: int,
        listed: tuple[np.ndarray, list[np.ndarray]],
        chosen: np.ndarray,
    ) -> SpaceView:
        one, (rows, tops) = self.valued[number], listed
        curves = {method: drawn[number].columns for method, drawn in self.maps.items()}
        other = self.valued[1 - number] if len(self.valued) == 2 else None
        return SpaceView(
            label=one.space.label,
            about=_about(one.space),
            maps={m: np.column_stack([c["x"], c["y"]])[:n_points] for m, c in curves.items()},
            trust={m: {t: float(c[t][0]) for t in TRUST} for m, c in curves.items()},
            occurrence=self._spread([self.occurrence[number][s].counts for s in SIDES], n_valued),
            probability=self._spread([self.drawn[number][s].probability for s in SIDES], n_valued),
            even=self._spread([self.drawn[number][s].even for s in SIDES], n_valued),
            density=self._spread([self.density[number][s] for s in SIDES], n_valued),
            lists=self._lists(one, other, rows, tops[number]),
            positives={name: values[chosen] for name, values in one.positives.items()},
            query_values={name: values[rows] for name, values in one.query_values.items()},
        )

    def _spread(self, by_side: list[np.ndarray], n: int) -> np.ndarray:
        return self.items.spread(by_side, n)

    def _lists(
        self, one: Valued, other: Valued | None, rows: np.ndarray, top: np.ndarray
    ) -> Lists:
        query, there = np.repeat(rows, top.shape[1]), (top >= 0).ravel()
        document = np.maximum(top.ravel(), 0)
        score = np.where(there, one.scores(query, document), np.nan)
        distance = np.where(there, one.distances(query, document), np.nan)
        elsewhere = np.zeros(top.shape, dtype=np.int64)
        if other is not None:
            elsewhere = _ranks_in(other.ranking[rows], top)
        return Lists(
            self.items.of(DOCUMENT, top),
            score.reshape(top.shape),
            distance.reshape(top.shape),
            elsewhere,
        )

    def _changes(self) -> dict[str, np.ndarray]:
        """Columns of the curve ``changes`` in the order of the queries; none of one space."""
        if len(self.valued) == 1:
            return {}
        a, b = (one.measured for one in self.valued)
        curve = changes_curve([a], [b], (a.space.label, b.space.label))
        if curve is None:
            return {}
        place = {name: row for row, name in enumerate(curve.columns["query_id"])}
        order = [place[name] for name in self.ids[0]]
        names = ("neighbors_kept", "nDCG@10_delta")
        return {name: np.asarray(curve.columns[name], dtype=float)[order] for name in names}

    def _near_kept(self) -> dict[str, np.ndarray]:
        """Share of the nearest of its own side that each item keeps; NaN where unknown."""
        if len(self.valued) == 1:
            return {}
        return {side: self._near_kept_of(side) for side in SIDES}

    def _near_kept_of(self, side: str) -> np.ndarray:
        a, b = self.valued
        rows = np.full(len(a.facts.row_ids(side)), np.nan)
        try:
            chosen, share = neighbors_kept(a.facts, b.facts, NEAR, side)
        except Impossible:
            return np.full(len(a.order[side]), np.nan)
        rows[chosen] = share
        return np.asarray(rows[a.first_rows(side)])

    def _found(self) -> list[Found]:
        parts: list[Found] = []
        if len(self.valued) == 2:
            a, b = self.valued
            delta, kept = self.changes["nDCG@10_delta"], self.changes["neighbors_kept"]
            parts += between(a, b, delta, kept, self.near_kept)
        else:
            parts += worst_ranked(self.valued[0])
        for number, one in enumerate(self.valued):
            parts += of_space(
                one, self.occurrence[number], self.drawn[number], self.density[number]
            )
        return parts

    def _finding(self, one: Found) -> Finding:
        items = self.items.of(SIDES.index(one.side), one.positions)
        return Finding(one.key, one.group, one.title, one.says, items, one.notes)

    def _kept(self, n_valued: int) -> np.ndarray:
        if not self.near_kept:
            return np.zeros(0)
        return self._spread([self.near_kept[side] for side in SIDES], n_valued)

    def _scales(self, n: int) -> list[Scale]:
        sides = self.items.sides[:n]
        if len(self.valued) == 2:
            delta = self._of_queries(self.changes["nDCG@10_delta"], n)
            middle = [change_scale(self._kept(n), NEAR), gain_scale(delta, sides)]
        else:
            own = self.valued[0].query_values["nDCG@10"]
            middle = [effectiveness_scale(self._of_queries(own, n), sides)]
        relative = [self._spread([o[s].relative for s in SIDES], n) for o in self.occurrence]
        even = [self._spread([d[s].even for s in SIDES], n) for d in self.drawn]
        return [
            side_scale(sides, len(self.valued)),
            *middle,
            occurrence_scale(relative),
            probability_scale(even),
        ]

    def _of_queries(self, values: np.ndarray, n: int) -> np.ndarray:
        return self._spread([values, np.full(len(self.ids[1]), np.nan)], n)

    def _texts(self) -> tuple[str | None, ...]:
        sides, positions = self.items.sides, self.items.positions
        texts = np.empty(len(sides), dtype=object)
        for side, read in ((QUERY, texts_of_queries), (DOCUMENT, document_texts)):
            mine = np.flatnonzero(sides == side)
            texts[mine] = read(self.spaces, [self.ids[side][p] for p in positions[mine]])
        return tuple(texts)


def _ranks_in(ranking: np.ndarray, top: np.ndarray, block: int = 512) -> np.ndarray:
    """Rank in `ranking` of each entry of `top`, row by row; 0 where it is not there."""
    out = np.zeros(top.shape, dtype=np.int64)
    for start in range(0, len(top), block):
        part = slice(start, start + block)
        same = ranking[part, None, :] == top[part, :, None]
        same &= top[part, :, None] >= 0
        out[part] = np.where(same.any(axis=2), same.argmax(axis=2) + 1, 0)
    return out


def _about(space: EmbeddingSpace) -> str:
    """A line on what the space is."""
    name = str(space.recipe.get("name", "")) if space.recipe else ""
    words = {"dot": "inner product", "cosine": "cosine", "euclidean": "minus Euclidean distance"}
    recipe = f"recipe {name}, " if name else ""
    return f"{recipe}{space.dim} dimensions, score: {words[space.similarity]}"
