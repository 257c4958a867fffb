"""The words of figures and reports: gist of a measure, direction, verdict on a difference."""

from __future__ import annotations

import math

from anisotropy.errors import UsageError
from anisotropy.measures.base import Definition
from anisotropy.plots.pools import saturation
from anisotropy.results import Difference, Measurement, Results
from anisotropy.statistics import rounding

SIGNIFICANT = 0.05

_GISTS = {
    "mean_cosine": "cosine of two different texts on average: 0 no common direction, 1 a needle",
    "mean_norm": "length of the average direction: 0 directions cancel, 1 all point one way",
    "partition_isotropy": "evenness over all directions: 1 the same everywhere",
    "rogue_dimensions": "share of the common direction that a few coordinates carry",
    "participation_ratio": "how many directions carry the variance, as a number of dimensions",
    "isoscore": "share of dimensions the variance uses: 0 a line, 1 all alike",
    "effective_rank": "number of directions in use, by the entropy of the spectrum",
    "norm_mean": "length of the vectors as the encoder gives them",
    "norm_cv": "how unequal the lengths are: 0 all alike",
    "rankme": "number of directions in use around the origin: a common direction lowers it",
    "stable_rank": "all variance over that of the strongest direction",
    "variance_explained": "share of the variance in the strongest directions",
    "spectral_decay": "how fast the variance falls from one direction to the next: 0 not at all",
    "wasserstein_uniformity": "distance from evenly spread: 0 best, sees needle and collapse",
    "uniformity": "how clumped the points are on the sphere: lower is more spread out",
    "alignment": "mean squared distance of a query and its relevant documents",
    "hubness_gini": "how unevenly texts occur among others' nearest neighbors: 0 all alike",
    "hubness_robin_hood": "share of neighbor slots that hubs hold above their due",
    "hubness_skewness": "how far hubs stand out among others' nearest neighbors: 0 not at all",
    "intrinsic_dimension": "number of directions that near neighbors fill",
    "antihub_share": "share of texts that are nobody's near neighbor",
    "gap": "distance between the centers of queries and documents",
    "relative_gap": "distance between the centers of the sides, over the spread within them",
    "mixing": "neighbors from the other side, against chance: 1 mixed, 0 apart",
    "separability": "how well a line tells queries from documents: 0.5 not at all",
    "centroid_cosine": "cosine of the average query and the average document",
    "positive_distance": "distance of a query and its relevant documents",
    "relative_positive_distance": "distance of relevant pairs over that of random ones",
    "positive_percentile": "share of documents nearer to the query than its relevant one",
    "nearest_document_distance": "distance of a query and its nearest document",
    "margin": "score of a relevant document minus that of the best other one",
    "negative_probability_kl": "unevenness of being drawn as a negative: 0 all equally often",
    "negative_probability_entropy": "evenness of being drawn as a negative: 1 all equally often",
    "negative_probability_gini": "inequality of being drawn as a negative: 0 all equally often",
    "negative_probability_effective": "share of texts that effectively serve as negatives",
    "negative_probability_coverage": "share of texts that can be drawn as negatives at all",
    "observed_negatives_kl": "unevenness of what was drawn as negatives: 0 all equally often",
    "observed_negatives_entropy": "evenness of what was drawn as negatives: 1 all equally often",
    "observed_negatives_gini": "inequality of what was drawn as negatives: 0 all equally often",
    "observed_negatives_effective": "share of texts that effectively served as negatives",
    "observed_negatives_coverage": "share of texts that were drawn as negatives at all",
    "negative_positive_share": "share of the texts drawn as negatives that are relevant",
    "negative_probability_shift": "share of the draws of negatives that moved to other texts",
    "negative_probability_agreement": "likeness of how often each text is drawn: 1 same order",
    "nDCG": "quality of the top of the ranking, by grade and rank: 1 ideal",
    "RR": "one over the rank of the first relevant result",
    "R": "share of the relevant documents that are found",
    "cka": "likeness of the two sets of pairwise similarities: 1 the same up to rotation",
    "procrustes": "what is left after rotating one space onto the other: 0 nothing",
    "mutual_knn": "share of nearest neighbors that are the same in both spaces",
    "rbo": "agreement of the two rankings, the top weighing most",
}


def name_of(measure: str) -> str:
    """Name without parameters and cutoff: ``nDCG@10`` is ``nDCG``."""
    return measure.partition("(")[0].partition("@")[0].strip()


def gist(measure: str) -> str:
    """A few words on what a measure says, for somebody who has never met it; may be empty."""
    return _GISTS.get(name_of(measure), "")


def definition(measure: str) -> Definition | None:
    """Definition of a text identity; None for one this version does not know."""
    from anisotropy.measures.registry import definition_of

    try:
        return definition_of(measure)
    except UsageError:
        return None


def direction(measure: str) -> tuple[str | None, str]:
    """Which way carries a word, ``up``, ``down`` or None, and the word."""
    known = definition(measure)
    return (known.better, known.word) if known is not None else (None, "")


def direction_text(measure: str) -> str:
    """Direction for a table, such as ``lower: more isotropic``; may be empty."""
    better, word = direction(measure)
    return f"{'higher' if better == 'up' else 'lower'}: {word}" if better and word else ""


def group_of(row: Measurement | Difference) -> str:
    """The users' word under which a headline row stands; its family, if it has none."""
    from anisotropy.measures.headline import NEGATIVES, headline_of
    from anisotropy.measures.unevenness import OBSERVED

    if row.measure.startswith(OBSERVED):
        return NEGATIVES
    known = headline_of(row.side, row.measure, row.on)
    return known.group if known is not None else row.family


def beyond(difference: Difference) -> bool | None:
    """Whether a difference is beyond its uncertainty; None where that is not known.

    The interval must leave out 0, and for rows tested together the p value corrected by Holm
    be below 0.05.
    """
    if math.isnan(difference.ci_low) or math.isnan(difference.ci_high):
        return None
    clear = difference.ci_low > 0 or difference.ci_high < 0
    return clear and not difference.p_holm >= SIGNIFICANT


def decides_nothing(results: Results, difference: Difference) -> bool:
    """Whether a difference is of lists of negatives that are too long for their pool.

    `results` are those of one comparison, with the curves ``mining`` of its spaces.
    """
    mining = results.find_curves("mining")
    return saturation(mining, difference.side, difference.measure) is not None


def verdict(results: Results, difference: Difference) -> str:
    """A difference in words: which space is what, only where it is beyond its uncertainty.

    Lists of negatives that saturate their pool decide nothing, whatever their difference.

    Rows over the documents alone are of a whole collection: nothing is tested, and no space is
    called more or less than the other.
    """
    if decides_nothing(results, difference):
        return "saturated: decides nothing"
    clear = beyond(difference)
    if clear is None:
        if difference.side != "documents" or not difference.delta:
            return "no interval"
        if abs(difference.delta) <= rounding(difference.a, difference.b):
            return "no difference but rounding"
        changed = "higher" if difference.delta > 0 else "lower"
        return f"{results.labels[1]} {changed}, not tested"
    return " ".join(_winner(results, difference)) if clear else "no clear difference"


def ahead(results: Results, difference: Difference) -> str | None:
    """The space that :func:`verdict` names for what it is; None where it says no such thing."""
    named = beyond(difference) and not decides_nothing(results, difference)
    return _winner(results, difference)[0] if named else None


def _winner(results: Results, difference: Difference) -> tuple[str, str]:
    a, b = results.labels[0], results.labels[1]
    better, word = direction(difference.measure)
    if not better or not word:
        return b, "higher" if difference.delta > 0 else "lower"
    return (b if (difference.delta > 0) == (better == "up") else a), word
