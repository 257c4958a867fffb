"""Arrays behind the figures: spectra, distances, cosines, probabilities, per-query values."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import numpy as np

from anisotropy.measures.base import Impossible
from anisotropy.measures.facts import Facts
from anisotropy.measures.families.nearest import (
    nearest_distances,
    pair_margins,
    positive_scores,
)
from anisotropy.measures.families.query_document import pair_percentiles
from anisotropy.measures.families.ranking import judged_ranking, ndcg, recall, reciprocal_rank
from anisotropy.measures.families.rogue import clear_cosine, contributions
from anisotropy.measures.mining import ROLES
from anisotropy.measures.negative_curves import negative_curves
from anisotropy.measures.pair_curves import (
    Key,
    cosine_curve,
    density,
    occurrence_curves,
    sample,
)
from anisotropy.results import Curve

BINS = 100


def curves(facts: Facts, measured: Iterable[Key] = ()) -> list[Curve]:
    """Every curve that this space allows, but that of the queries.

    Parameters
    ----------
    facts
        The facts of the space.
    measured
        Side, measure and transform of each row; of the k-occurrence there are curves where a
        measure of hubs is among them.
    """
    makers = (
        *(_spectrum(facts, side) for side in ("queries", "documents")),
        *(_dimensions(facts, side) for side in ("queries", "documents")),
        _distances(facts),
        cosine_curve(facts),
        occurrence_curves(facts, measured),
        *(negative_curves(facts, role) for role in ROLES),
    )
    found: list[Curve] = []
    for maker in makers:
        with contextlib.suppress(Impossible):
            found.extend(maker)
    return found


def _spectrum(facts: Facts, side: str) -> Iterator[Curve]:
    if len(facts.raw(side)) < 2:
        return
    values, _ = facts.moments(side, "unit").spectrum
    columns = {
        "rank": np.arange(1, len(values) + 1),
        "eigenvalue": values,
        "share": values / values.sum(),
    }
    yield Curve("spectrum", facts.space.label, side, columns)


def _dimensions(facts: Facts, side: str) -> Iterator[Curve]:
    """What every coordinate of the unit rows contributes to the mean cosine."""
    if len(facts.raw(side)) < 2:
        return
    found, each = facts.moments(side, "unit"), contributions(facts, side)
    columns = {
        "dimension": np.arange(len(each)),
        "mean": found.mean,
        "sd": np.sqrt(np.diagonal(found.covariance)),
        "contribution": each,
        "share": np.full(len(each), np.nan),
    }
    with contextlib.suppress(Impossible):
        columns["share"] = each / clear_cosine(facts, side)
    yield Curve("dimensions", facts.space.label, side, columns)


def _distances(facts: Facts) -> Iterator[Curve]:
    """Densities of Euclidean distances on unit rows; random pairs from seeded samples."""
    if not (len(facts.raw("queries")) and len(facts.raw("documents"))):
        return
    edges = np.linspace(0, 2, BINS + 1)
    columns = {
        "bin_low": edges[:-1],
        "bin_high": edges[1:],
        "random": density(_random_distances(facts), edges),
        "nearest": density(nearest_distances(facts), edges),
        "positives": np.full(BINS, np.nan),
    }
    with contextlib.suppress(Impossible):
        columns["positives"] = density(facts.positive_distances, edges)
    yield Curve("distances", facts.space.label, "cross", columns)


def _random_distances(facts: Facts) -> np.ndarray:
    """All distances between at most 1000 seeded queries and documents (chunks apart)."""
    queries, _ = facts.items("queries", "unit").take(sample(facts, "queries"))
    documents, _ = facts.items("documents", "unit").take(sample(facts, "documents"))
    return np.asarray(np.sqrt(np.maximum(2 - 2 * queries @ documents.T, 0)).ravel())


def query_curve(facts: Facts) -> Curve | None:
    """The curve ``queries``, one row a query, NaN where it has no positive; None if impossible."""
    n = len(facts.space.query_ids)
    if not n or not len(facts.raw("documents")):
        return None
    try:
        nearest = nearest_distances(facts)
    except Impossible:
        return None
    columns = {
        "query_id": np.array(list(facts.space.query_ids), dtype=object),
        **{name: np.full(n, np.nan) for name in ("nDCG@10", "RR@10", "R@100")},
        "positive_distance": np.full(n, np.nan),
        "positive_percentile": np.full(n, np.nan),
        "positive_score": np.full(n, np.nan),
        "margin": np.full(n, np.nan),
        "nearest_distance": nearest,
    }
    with contextlib.suppress(Impossible):
        columns |= _judged_columns(facts, n)
    return Curve("queries", facts.space.label, "ranking", columns)


def _judged_columns(facts: Facts, n: int) -> dict[str, np.ndarray]:
    pairs = facts.positives
    queries, first, sizes = np.unique(pairs.query, return_index=True, return_counts=True)
    judged = judged_ranking(facts, "ranking")
    values = {
        "nDCG@10": ndcg(judged, 10),
        "RR@10": reciprocal_rank(judged, 10),
        "R@100": recall(judged, 100),
        "positive_distance": np.add.reduceat(facts.positive_distances, first) / sizes,
    }
    if len(facts.space.doc_ids) > 1:
        values["positive_percentile"] = np.minimum.reduceat(pair_percentiles(facts), first)
    values["positive_score"] = np.maximum.reduceat(positive_scores(facts), first)
    with contextlib.suppress(Impossible):
        values["margin"] = np.maximum.reduceat(pair_margins(facts), first)
    return {name: _spread_out(n, queries, column) for name, column in values.items()}


def _spread_out(n: int, index: np.ndarray, values: np.ndarray) -> np.ndarray:
    out = np.full(n, np.nan)
    out[index] = values
    return out
