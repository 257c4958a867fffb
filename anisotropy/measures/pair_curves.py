"""Arrays of pairs and neighbors: densities of cosines, and the k-occurrence with its null."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from anisotropy.measures.counts import STATISTICS, occurrences
from anisotropy.measures.facts import Facts
from anisotropy.measures.families.local import by_chance, neighbor_table
from anisotropy.measures.registry import parse
from anisotropy.results import Curve

BINS = 50
#: Rows a side from whose pairs the densities of cosines come.
SAMPLE = 1000
#: Points of the null at most, and half the width of the bin where all cosines are one.
POINTS, NARROW = 500, 1e-3
Key = tuple[str, str, str]


def sample(facts: Facts, side: str, rows: bool = False) -> np.ndarray:
    """At most 1000 items of a side, or rows where chunks count apart, by a seeded hash."""
    return np.flatnonzero(facts.ties(side, rows) < SAMPLE)


def cosine_curve(facts: Facts) -> Iterator[Curve]:
    """Densities of cosines over bins between the smallest and the largest of them.

    Random pairs are those of two seeded samples of rows: all distinct pairs within a side and
    all across. Judged pairs are all, best chunk.
    """
    chosen = {side: sample(facts, side, rows=True) for side in ("queries", "documents")}
    found = _cosines(facts, chosen)
    every = [values for values in found.values() if len(values)]
    if not every:
        return
    low, high = min(v.min() for v in every), max(v.max() for v in every)
    if high - low < NARROW:
        low, high = low - NARROW, high + NARROW
    edges = np.linspace(low, high, BINS + 1)
    columns = {"bin_low": edges[:-1], "bin_high": edges[1:]}
    columns |= {name: density(values, edges) for name, values in found.items()}
    counts = {
        "n_queries": len(chosen["queries"]),
        "n_documents": len(chosen["documents"]),
        "n_positives": len(found["query_positive"]),
    }
    columns |= {name: np.full(BINS, count) for name, count in counts.items()}
    yield Curve("cosines", facts.space.label, "joint", columns)


def _cosines(facts: Facts, chosen: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Cosines of each kind of pair; none where a side has too few rows or nothing is judged."""
    queries, documents = (facts.rows(side, "unit").take(own) for side, own in chosen.items())
    positives = np.zeros(0)
    if facts.pairs.positive.any():
        positives = facts.pair_cosines(facts.positives)
    return {
        "query_query": _among(queries),
        "document_document": _among(documents),
        "query_document": (queries @ documents.T).ravel(),
        "query_positive": positives,
    }


def _among(rows: np.ndarray) -> np.ndarray:
    """Products of all distinct pairs of rows."""
    return np.asarray((rows @ rows.T)[np.triu_indices(len(rows), 1)])


def density(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Density of values in bins; NaN where there are none."""
    if not len(values):
        return np.full(len(edges) - 1, np.nan)
    # Rounding may leave the largest of float32 values beyond the last edge.
    return np.histogram(np.clip(values, edges[0], edges[-1]), bins=edges, density=True)[0]


def occurrence_curves(facts: Facts, measured: Iterable[Key]) -> Iterator[Curve]:
    """The k-occurrence on unit rows at each side where a measure of hubs was taken.

    Parameters
    ----------
    facts
        With the tables of neighbors of those measures.
    measured
        Side, measure and transform of each row. The k of a side is that of the first.
    """
    for side, k in _depths(measured).items():
        yield Curve("k_occurrence", facts.space.label, side, _occurrence(facts, side, k))


def _depths(measured: Iterable[Key]) -> dict[str, int]:
    found: dict[str, int] = {}
    for side, text, on in measured:
        measure = parse(text)
        if measure.name in STATISTICS and on == "unit" and measure.word("center") == "none":
            found.setdefault(side, measure.whole("k"))
    return found


def _occurrence(facts: Facts, side: str, k: int) -> dict[str, np.ndarray]:
    """Items that occur so often, so often or more, and what chance makes of the latter."""
    from scipy.special import bdtrc

    table, _ = neighbor_table(facts, side, "unit", "none")
    counts = occurrences(table.index, k, table.n_targets)
    draws, p = by_chance(table, k, side)
    reach = min(draws * p + 6 * np.sqrt(draws * p) + 10, draws)
    null = np.unique(np.linspace(0, reach, POINTS).round().astype(np.int64))
    # One more than the most frequent has, so that every curve ends at 0.
    times = np.union1d(null, np.append(counts, counts.max() + 1))
    below = np.searchsorted(np.sort(counts), times)
    return {
        "occurrences": times,
        "items": np.bincount(counts, minlength=int(times[-1]) + 1)[times],
        "share_at_least": 1 - below / len(counts),
        "null_at_least": np.where(times > 0, bdtrc(np.maximum(times - 1, 0), draws, p), 1.0),
        "k": np.full(len(times), k),
        "n_items": np.full(len(times), len(counts)),
        "n_anchors": np.full(len(times), len(table.anchors)),
    }
