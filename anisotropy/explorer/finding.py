"""Lists worth a look: hubs, antihubs, negatives drawn most, outliers, queries that changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from anisotropy.explorer.measuring import Numbers
from anisotropy.explorer.valuing import NEAR, SIDES, Drawn, Occurrence, Valued
from anisotropy.report.numbers import number, signed

#: Items in each list.
FOUND = 50
_OTHER = {"queries": "documents", "documents": "queries"}


@dataclass(frozen=True, eq=False)
class Found:
    """A list before its items are numbered.

    Attributes
    ----------
    key, group, title, says, notes
        As in :class:`anisotropy.explorer.data.Finding`.
    side, positions
        ``queries`` or ``documents``, and positions among the ids of the first space.
    """

    key: str
    group: str
    title: str
    says: str
    side: str
    positions: np.ndarray
    notes: tuple[str, ...]


def top(
    values: np.ndarray, *, then: np.ndarray | None = None, among: np.ndarray | None = None
) -> np.ndarray:
    """Positions of the largest finite values, at most 50; ties by `then`, then by position."""
    there = np.isfinite(values) if among is None else np.isfinite(values) & among
    chosen = np.flatnonzero(there)
    keys = [chosen, -values[chosen]]
    if then is not None:
        keys.insert(1, -np.nan_to_num(then[chosen]))
    return np.asarray(chosen[np.lexsort(keys)][:FOUND])


def all_found(numbers: Numbers) -> list[Found]:
    """Every list: what changed, or of a single space what it ranks worst, then each space's."""
    found: list[Found] = []
    if len(numbers.spaces) == 2:
        delta, kept = numbers.changes["nDCG@10_delta"], numbers.changes["neighbors_kept"]
        found += between(*numbers.spaces, delta, kept, numbers.near_kept)
    else:
        found += worst_ranked(numbers.spaces[0])
    of_each = zip(numbers.spaces, numbers.occurrence, numbers.drawn, numbers.density, strict=True)
    for one, occurrence, drawn, density in of_each:
        found += of_space(one, occurrence, drawn, density)
    return found


def of_space(
    one: Valued,
    occurrence: Mapping[str, Occurrence],
    drawn: Mapping[str, Drawn],
    density: Mapping[str, np.ndarray],
) -> Iterator[Found]:
    """Lists of one space, those with nothing in them left out."""
    judged = np.zeros(len(one.order["documents"]), dtype=bool)
    judged[one.pairs.document[one.pairs.positive]] = True
    for side in reversed(SIDES):
        yield from _hubs(one.space.label, side, occurrence[side])
        positive = judged if side == "documents" else None
        yield from _antihubs(one.space.label, side, occurrence[side], density[side], positive)
        yield from _negatives(one.space.label, side, drawn[side])
        yield from _outliers(one.space.label, side, density[side])


def _hubs(label: str, side: str, found: Occurrence) -> Iterator[Found]:
    counts, other = found.counts, _OTHER[side]
    if not found.anchors:
        return
    positions = top(counts, among=counts > 0)
    yield Found(
        f"hubs-{side}", label, f"hubs: {side}",
        f"{side} that are among the {NEAR} nearest (cosine) of most {other}; of {len(counts):,} "
        f"{side} each would be there {number(found.chance, 3)} times by chance",
        side, positions,
        tuple(f"near {int(counts[i]):,} of {found.anchors:,} {other}" for i in positions),
    )  # fmt: skip


def _antihubs(
    label: str, side: str, found: Occurrence, density: np.ndarray, judged: np.ndarray | None
) -> Iterator[Found]:
    counts, other = found.counts, _OTHER[side]
    if not found.anchors:
        return
    never = counts == 0
    first = never if judged is None else never & judged
    positions = top(first.astype(float), then=-density, among=never)
    order = "those judged relevant first, then " if judged is not None else ""
    order = f"; {order}those farthest from their neighbors first" if len(positions) else ""
    yield Found(
        f"antihubs-{side}", label, f"antihubs: {side}",
        f"{int(never.sum()):,} of {len(counts):,} {side} are among the {NEAR} nearest (cosine) of "
        f"none of {found.anchors:,} {other}{order}",
        side, positions,
        tuple(_antihub(density[i], judged is not None and bool(judged[i])) for i in positions),
    )  # fmt: skip


def _antihub(density: float, judged: bool) -> str:
    return f"never near{', judged relevant' * judged}; {_near(density)}"


def _near(density: float) -> str:
    return f"mean cosine {number(density, 3)} with its {NEAR} nearest"


def _negatives(label: str, side: str, found: Drawn) -> Iterator[Found]:
    if not found.k:
        return
    even = found.even
    positions = top(found.probability, among=found.probability > 0)
    if len(positions):
        yield Found(
            f"negatives-{side}", label, f"negatives drawn most: {side}",
            f"{side} by their probability to be drawn as a negative from the top {found.k} of "
            f"{found.anchors:,} mined lists, over that of an even draw from {found.items:,}",
            side, positions,
            tuple(f"{number(float(even[i]), 3)} × an even draw" for i in positions),
        )  # fmt: skip


def _outliers(label: str, side: str, density: np.ndarray) -> Iterator[Found]:
    known = int(np.isfinite(density).sum())
    if known:
        positions = top(-density)
        yield Found(
            f"outliers-{side}", label, f"outliers: {side}",
            f"{side} with the lowest mean cosine with their {NEAR} nearest other {side}, of "
            f"{known:,} for which it is known",
            side, positions, tuple(_near(float(density[i])) for i in positions),
        )  # fmt: skip


def worst_ranked(one: Valued) -> Iterator[Found]:
    """Queries of a single space whose positives are ranked worst."""
    ndcg = one.query_values.get("nDCG@10", np.zeros(0))
    if np.isfinite(ndcg).any():
        positions = top(-ndcg, then=one.best_rank)
        judged = int(np.isfinite(ndcg).sum())
        yield Found(
            "worst", one.space.label, "queries ranked worst",
            f"of {judged:,} judged queries those with the lowest nDCG@10, then the lowest ranked "
            "positive",
            "queries", positions,
            tuple(
                f"nDCG@10 {number(float(ndcg[i]), 3)}, best positive at rank "
                f"{int(one.best_rank[i]):,}"
                for i in positions
            ),
        )  # fmt: skip


def between(
    a: Valued, b: Valued, delta: np.ndarray, kept: np.ndarray, near_kept: Mapping[str, np.ndarray]
) -> Iterator[Found]:
    """What changed from one space to the other.

    Parameters
    ----------
    a, b
        The spaces.
    delta, kept
        Change of nDCG@10 of each query, and the share of its 10 best documents that it keeps.
    near_kept
        For each side the share of the 10 nearest of the own side that an item keeps.
    """
    group = f"{a.space.label} → {b.space.label}"
    climbed = a.best_rank - b.best_rank
    for key, title, way in (("improved", "queries improved most", 1.0),
                            ("worsened", "queries worsened most", -1.0)):  # fmt: skip
        better = (way * delta > 0) | ((delta == 0) & (way * climbed > 0))
        positions = top(way * delta, then=way * climbed, among=better)
        if len(positions):
            notes = tuple(_changed(a, b, i) for i in positions)
            yield Found(key, group, title, _counted(delta, climbed), "queries", positions, notes)
    yield from _moved(
        group, "queries", "moved-lists", "queries with other top documents",
        f"queries that keep the fewest of their {NEAR} best documents", "best documents", kept,
    )  # fmt: skip
    for side in SIDES:
        yield from _moved(
            group, side, f"moved-{side}", f"{side} with other neighbors",
            f"{side} that keep the fewest of their {NEAR} nearest other {side} (cosine)",
            f"nearest {side}", near_kept[side],
        )  # fmt: skip


def _counted(delta: np.ndarray, climbed: np.ndarray) -> str:
    known = np.isfinite(delta)
    up, down = int((delta > 0).sum()), int((delta < 0).sum())
    return (
        f"of {int(known.sum()):,} judged queries nDCG@10 rises for {up:,}, falls for {down:,} and "
        f"stays for {int(known.sum()) - up - down:,}; equal changes by the rank of the best "
        "positive"
    )


def _changed(a: Valued, b: Valued, i: int) -> str:
    before, after = (float(one.query_values["nDCG@10"][i]) for one in (a, b))
    ranks = " → ".join(f"{int(one.best_rank[i]):,}" for one in (a, b))
    return (
        f"nDCG@10 {number(before, 3)} → {number(after, 3)} ({signed(after - before)}), best "
        f"positive at rank {ranks}"
    )


def _moved(
    group: str, side: str, key: str, title: str, says: str, what: str, kept: np.ndarray
) -> Iterator[Found]:
    positions = top(-kept, among=kept < 1)
    if len(positions):
        known = kept[np.isfinite(kept)]
        says += f"; the mean is {number(float(known.mean()), 3)} of 1, over {len(known):,}"
        notes = tuple(f"keeps {round(kept[i] * NEAR)} of {NEAR} {what}" for i in positions)
        yield Found(key, group, title, says, side, positions, notes)
