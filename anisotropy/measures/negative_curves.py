"""Arrays of the negatives: sorted probabilities, items, rank profiles, sizes of the pool."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np

from anisotropy.errors import CollectionError
from anisotropy.files import hash_ids
from anisotropy.measures.base import Impossible
from anisotropy.measures.facts import Facts
from anisotropy.measures.mining import MINING_K, Law, Mined, headline_k, mined, probabilities
from anisotropy.measures.unevenness import STATISTICS, largest
from anisotropy.neighbors import Items
from anisotropy.results import Curve

POINTS = 2000
TEXT = 200
#: Texts that have to be read from a collection are read for this many items.
READ = 1000
#: Anchors whose negatives are compared with their positives, at least .99 being near-duplicates.
COMPARED = 300
NEAR = 0.99
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_NAMED = {f"q{round(100 * q):02d}": q for q in QUANTILES}
_BLOCK = 1 << 22


def negative_curves(facts: Facts, role: str) -> Iterator[Curve]:
    """The curves of one role at the k of the headline row; see ``docs/curves.md``."""
    found = mined(facts, role, "none")
    k = headline_k(facts, role)
    if found.n <= k:
        return
    label = facts.space.label
    p = probabilities(found, Law(k))
    yield Curve("negative_probability", label, role, sorted_columns(p))
    yield Curve("items", label, role, _items(facts, role, found, p, k))
    yield Curve("negative_profile", label, role, _profile(facts.mining, role, found, k))
    yield Curve("mining", label, role, _basis(facts, role, k))


def sorted_columns(p: np.ndarray) -> dict[str, np.ndarray]:
    """At most 2000 evenly spaced ranks; the Lorenz curve from the least drawn item on."""
    descending = np.sort(p)[::-1]
    shown = np.unique(np.linspace(0, len(p) - 1, min(POINTS, len(p))).round().astype(int))
    return {
        "item_rank": shown + 1,
        "share_of_items": (shown + 1) / len(p),
        "probability": descending[shown],
        "cumulative": np.cumsum(descending)[shown],
        "lorenz": np.cumsum(descending[::-1])[shown],
    }


def _items(facts: Facts, role: str, found: Mined, p: np.ndarray, k: int) -> dict[str, np.ndarray]:
    centered = np.full(found.n, np.nan)
    with contextlib.suppress(Impossible):
        centered = probabilities(mined(facts, role, "sides"), Law(k))
    texts = _texts(facts, role, np.argsort(-p, kind="stable"))
    columns = item_columns(found, p, k, facts.mining.ids(role))
    return columns | {"probability_centered": centered, "text": texts}


def item_columns(found: Mined, p: np.ndarray, k: int, ids: Sequence[str]) -> dict[str, np.ndarray]:
    """How often each item stands in the lists, and where."""
    index = found.index[:, :k]
    listed = (index >= 0) & ~found.positive[:, :k]
    times = np.bincount(index[listed], minlength=found.n)
    ranks = np.broadcast_to(np.arange(1, index.shape[1] + 1), index.shape)[listed]
    total = np.bincount(index[listed], weights=ranks, minlength=found.n)
    place = np.empty(found.n, dtype=np.int64)
    place[np.argsort(-p, kind="stable")] = np.arange(1, found.n + 1)
    return {
        "item_id": np.array(list(ids), dtype=object),
        "probability": p,
        "probability_centered": np.full(found.n, np.nan),
        "rank": place,
        "k_occurrence": np.bincount(index[index >= 0], minlength=found.n),
        "times_negative": times,
        "mean_rank": np.where(times > 0, total / np.maximum(times, 1), np.nan),
        "text": np.full(found.n, "", dtype=object),
    }


def _texts(facts: Facts, role: str, order: np.ndarray) -> np.ndarray:
    """The beginning of each text that is known; empty where it is not."""
    space, pool = facts.space, facts.mining.space
    known = pool.query_texts if role == "queries" else (space.doc_texts or pool.doc_texts)
    if known is not None:
        return np.array([str(text)[:TEXT] for text in known], dtype=object)
    found = np.full(len(order), "", dtype=object)
    ids = list(facts.mining.ids(role))
    wanted = [int(i) for i in order[:READ]]
    read = _read(facts, role, [ids[i] for i in wanted])
    for i in wanted:
        found[i] = read.get(ids[i], "")[:TEXT]
    return found


def _read(facts: Facts, role: str, ids: list[str]) -> dict[str, str]:
    collection = facts.space.collection
    if collection is None or not collection.has_texts:
        return {}
    if role == "documents":
        with contextlib.suppress(CollectionError):
            found = collection.texts(ids)
            return {name: f"{document.title} {document.text}".strip()
                    for name, document in found.items()}  # fmt: skip
        return {}
    splits = dict.fromkeys(filter(None, (collection.split, collection.training_split)))
    return {query.query_id: query.text for split in splits for query in collection.queries(split)}


def _profile(facts: Facts, role: str, found: Mined, k: int) -> dict[str, np.ndarray]:
    depth = min(k, found.index.shape[1])
    columns = profile_columns(found, depth, _own_scores(facts, role, found))
    return columns | {"share_near_positive": _near_positives(facts, role, found, depth)}


def profile_columns(found: Mined, depth: int, own: np.ndarray) -> dict[str, np.ndarray]:
    """By rank in the mined list: scores, gaps to the anchor's positives, what is relevant.

    Parameters
    ----------
    found, depth
        The lists, and how much of them.
    own
        Shape (anchors,): the score of each anchor's positives; NaN for one that has none.
    """
    there = found.index[:, :depth] >= 0
    score = np.where(there, found.score[:, :depth], np.nan).astype(np.float64)
    positive = found.positive[:, :depth]
    return {
        "rank": np.arange(1, depth + 1),
        "score_mean": np.nanmean(score, axis=0),
        **{f"score_{q}": np.nanquantile(score, x, axis=0) for q, x in _NAMED.items()},
        **{f"positive_{q}": np.full(depth, _quantile(own, x)) for q, x in _NAMED.items()},
        "gap_to_positive": _gaps(found, own, score),
        "share_relevant": positive.sum(axis=0) / np.maximum(there.sum(axis=0), 1),
        "share_near_positive": np.full(depth, np.nan),
    }


def _quantile(values: np.ndarray, share: float) -> float:
    """Quantile of the numbers that are there; NaN where there is none."""
    known = values[np.isfinite(values)]
    return float(np.quantile(known, share)) if len(known) else np.nan


def _anchor_pairs(facts: Facts, role: str, found: Mined) -> tuple[np.ndarray, np.ndarray]:
    """Judged pairs of the anchors: row of the anchor in the lists, and the positive."""
    judged = facts.positives
    anchor, item = (
        (judged.document, judged.query) if role == "queries" else (judged.query, judged.document)
    )
    row = np.searchsorted(found.anchors, anchor)
    row = np.minimum(row, len(found.anchors) - 1)
    mine = found.anchors[row] == anchor
    order = np.argsort(row[mine], kind="stable")
    return row[mine][order], item[mine][order]


def _own_scores(facts: Facts, role: str, found: Mined) -> np.ndarray:
    """Mean score of each anchor's positives, shape (anchors,); NaN for one that has none."""
    row, item = _anchor_pairs(facts, role, found)
    side = "documents" if role == "queries" else "queries"
    scores = _pair_scores(facts, (side, found.anchors[row]), (role, item))
    total = np.bincount(row, weights=scores, minlength=len(found.anchors))
    count = np.bincount(row, minlength=len(found.anchors))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _gaps(found: Mined, own: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Mean over anchors with a positive: its mean score less the score at each rank."""
    gaps = own[:, None] - score
    gaps[found.positive[:, : score.shape[1]]] = np.nan
    filled = np.isfinite(gaps)
    return np.asarray(np.where(filled, gaps, 0).sum(axis=0) / np.maximum(filled.sum(axis=0), 1))


def _pair_scores(
    facts: Facts, left: tuple[str, np.ndarray], right: tuple[str, np.ndarray]
) -> np.ndarray:
    """The recipe's score of pairs of items, best chunk."""
    items = (facts.scored(left[0]), facts.scored(right[0]))
    out = np.empty(len(left[1]))
    step = max(1, _BLOCK // max(items[0].rows.dim, 1))
    for start in range(0, len(out), step):
        part = slice(start, start + step)
        out[part] = _best(items, left[1][part], right[1][part], facts.product == "euclidean")
    return out


def _best(
    items: tuple[Items, Items], left: np.ndarray, right: np.ndarray, euclidean: bool
) -> np.ndarray:
    """Best score of each pair over the vectors of either item (one of them has single ones)."""
    x, from_x = items[0].take(left)
    y, from_y = items[1].take(right)
    starts = from_x if from_x is not None else from_y
    if starts is not None:
        sizes = np.diff(np.append(starts, len(x) if from_x is not None else len(y)))
        x, y = (x, np.repeat(y, sizes, axis=0)) if from_x is not None else (
            np.repeat(x, sizes, axis=0), y)  # fmt: skip
    if euclidean:
        scores = -np.linalg.norm(x.astype(np.float64) - y, axis=1)
    else:
        scores = np.einsum("ij,ij->i", x, y, dtype=np.float64)
    return scores if starts is None else np.maximum.reduceat(scores, starts)


def _near_positives(facts: Facts, role: str, found: Mined, depth: int) -> np.ndarray:
    """Share, by rank, of negatives with a cosine of .99 or above to a positive of the anchor."""
    row, item = _anchor_pairs(facts, role, found)
    own, first = np.unique(row, return_index=True)
    keys = [found.keys[int(i)] for i in own]
    chosen = np.argsort(hash_ids(keys, facts.seed), kind="stable")[:COMPARED]
    index = found.index[own[chosen], :depth]
    positive = found.positive[own[chosen], :depth] | (index < 0)
    rows = facts.rows(role, "unit")
    if facts.units(role) is not None:
        return np.full(depth, np.nan)
    near = np.zeros(index.shape, dtype=bool)
    for i, anchor in enumerate(first[chosen]):
        cosines = rows.take(np.maximum(index[i], 0)) @ rows.take(item[[anchor]])[0]
        near[i] = cosines >= NEAR
    counted = ~positive
    return np.asarray((near & counted).sum(axis=0) / np.maximum(counted.sum(axis=0), 1))


def _basis(facts: Facts, role: str, k: int) -> dict[str, np.ndarray]:
    """One row a k and center: items, anchors, and each statistic with its most uneven value."""
    rows: list[dict[str, object]] = []
    for depth in dict.fromkeys((k, MINING_K)):
        for center in ("none", "sides"):
            with contextlib.suppress(Impossible):
                found = mined(facts, role, center)
                if found.n > depth:
                    rows.append(basis_row(found, depth, center))
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def basis_row(found: Mined, k: int, center: str) -> dict[str, object]:
    """Items, anchors, and each statistic with its most uneven value, at one depth."""
    p = probabilities(found, Law(k))
    values: dict[str, object] = {
        "k": k,
        "center": center,
        "items": found.n,
        "anchors": len(found.keys),
        "anchors_all": found.total,
        "k_share": k / found.n,
    }
    for name, statistic in STATISTICS.items():
        values[name] = statistic(p)
        values[f"{name}_most_uneven"] = largest(name, found.n, k)
    return values
