"""What has to be said beside the maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from anisotropy.explorer.valuing import NEAR, SIDES, Drawn, Occurrence
from anisotropy.report.numbers import number

if TYPE_CHECKING:
    from anisotropy.explorer.options import ExplorerOptions
    from anisotropy.projection.maps import Method
    from anisotropy.results import Curve
    from anisotropy.spaces import EmbeddingSpace

NAMES = {"tsne": "t-SNE", "pca": "PCA", "umap": "UMAP"}
CANNOT = (
    "A map cannot show uniformity, isotropy, or distances between far clusters: it bends many "
    "dimensions into two. On t-SNE and UMAP the size of a cluster and the gap between two mean "
    "nothing. Distances, scores and ranks in the tables are those of the original space."
)
TRUST = (
    "How faithful a map is. Trustworthiness: 1 where no neighbor on the map (15) is false. "
    "Neighbor preservation: share of the 15 nearest in the space that are so on the map. "
    "Query-positive distance correlation: Spearman, of the shown judged pairs, space against map."
)
ALIGNED = (
    "The two maps are aligned: the same points, one start, the second rotated, reflected and "
    "shifted onto the first; so a point that stays on the map has neighbors there as before."
)


def captions_of(
    spaces: Sequence[EmbeddingSpace],
    options: ExplorerOptions,
    maps: Mapping[Method, tuple[Curve, ...]],
    occurrence: Sequence[Mapping[str, Occurrence]],
    drawn: Sequence[Mapping[str, Drawn]],
) -> dict[str, Any]:
    """Texts by name.

    Returns
    -------
    dict
        ``collection``, ``cannot``, ``aligned`` (empty for one space), ``shown`` (counts),
        ``sample`` (the rule), ``trust`` (what the numbers of a map mean), ``numbers`` and
        ``doubts`` (lists), ``maps``: method to its name, settings and a line on trust a space.
    """
    first = maps[options.projections[0]][0].columns
    return {
        "collection": _collection(spaces[0]),
        "cannot": CANNOT,
        "aligned": ALIGNED if len(spaces) == 2 else "",
        "shown": _shown(first),
        "sample": _sample(options),
        "trust": TRUST,
        "numbers": _numbers(spaces, options, occurrence, drawn),
        "doubts": [
            f"{space.label}: {doubt}"
            for space in spaces
            for doubt in space.recipe.get("doubts", [])
        ],
        "maps": {method: _map(method, curves) for method, curves in maps.items()},
    }


def _collection(space: EmbeddingSpace) -> str:
    about = space.collection_info
    name = str(about.get("note") or about.get("name") or "")
    split = f", split {about['split']}" if about.get("split") else ""
    return f"{name}{split}" if name else ""


def _shown(columns: Mapping[str, np.ndarray]) -> str:
    shown = [int((columns["side"] == side).sum()) for side in ("query", "document")]
    total = [int(columns[name][0]) for name in ("n_queries", "n_documents")]
    counts = [
        f"{n:,} of {of:,} {side}" if n < of else f"all {of:,} {side}"
        for n, of, side in zip(shown, total, SIDES, strict=True)
    ]
    return f"On the maps: {' and '.join(counts)}."


def _sample(options: ExplorerOptions) -> str:
    return (
        f"Sampling: where there are more than {options.points:,} queries and documents, queries "
        f"come in the order of a seeded hash of their id (seed {options.seed}), up to a third of "
        "the points, each with all its judged positives and, in each space, its best ranked "
        "document that is not one, until these are three quarters of the points; the rest are "
        "documents in the order of the hash of their id, judged or not. Lists and numbers are of "
        "all queries and documents, on the maps or not."
    )


def _numbers(
    spaces: Sequence[EmbeddingSpace],
    options: ExplorerOptions,
    occurrence: Sequence[Mapping[str, Occurrence]],
    drawn: Sequence[Mapping[str, Drawn]],
) -> list[str]:
    """How the numbers came about."""
    anchors = {side: occurrence[0][side].anchors for side in SIDES}
    lines = [
        "Distance: Euclidean, of unit vectors (0 to 2). Score and rank: as the recipe defines "
        "them; equal scores by id, as trec_eval. Positive: a document judged "
        f"{options.relevance_level} or above. Negatives drawn as lines: the top documents of a "
        "query that are not judged positive, as mining takes them; of a picked document, the "
        "listed queries that have it at their top.",
        f"k-occurrence: by cosine, k = {NEAR}, asked of {anchors['documents']:,} queries for "
        f"documents and of {anchors['queries']:,} documents for queries.",
    ]
    for side in SIDES:
        found = drawn[0][side]
        if found.k:
            lines.append(
                f"Negative probability of {side}: ANCE's mining law, uniform over the top "
                f"{found.k} of {found.anchors:,} lists less positives; pool of "
                f"{found.items:,} {side}{_pool(spaces[0], side)}."
            )
        else:
            lines.append(f"Negative probability of {side}: not known, nothing can be mined here.")
    if any(space.document_of_row is not None for space in spaces):
        lines.append(
            "Documents have several vectors: on the map stands the first that is not padding; "
            "distances and scores are those of the best."
        )
    return lines


def _pool(space: EmbeddingSpace, side: str) -> str:
    if space.training is None:
        return ""
    return " (the training queries)" if side == "queries" else ", mined by the training queries"


def _map(method: str, curves: Sequence[Curve]) -> dict[str, Any]:
    columns = curves[0].columns
    perplexity = float(columns["perplexity"][0])
    setting = f", perplexity {perplexity:g}" if np.isfinite(perplexity) else ""
    return {
        "name": NAMES.get(method, method),
        "setting": f"{NAMES.get(method, method)}{setting}, on unit vectors",
        "trust": [_trust(curve) for curve in curves],
    }


def _trust(curve: Curve) -> str:
    parts = [
        f"{words} {number(value, 3)}"
        for name, words in _WORDS.items()
        if np.isfinite(value := float(curve.columns[name][0]))
    ]
    return " · ".join(parts)


_WORDS = {
    "trustworthiness": "trustworthiness",
    "neighbor_preservation": "neighbor preservation",
    "positive_distance_correlation": "query-positive distance correlation",
    "variance_explained": "variance explained",
}
