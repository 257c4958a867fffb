"""Spaces that nothing is compared with: what stands out against chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anisotropy.report.reading.found import (
    ALIGNMENT,
    DOWN,
    KL,
    MEAN_COSINE,
    PERCENTILE,
    RELATIVE,
    SPECTRUM,
    SPREAD_OUT,
    UNCLEAR,
    UP,
    against_null,
    sentence,
)
from anisotropy.report.reading.pools import saturated
from anisotropy.results import Curve, Measurement

#: What files of negatives hold, beside what is expected.
DRAWN = "observed_negatives_kl"
#: What it means to be above, below, or not apart from chance.
_CHANCE: Mapping[str, tuple[str, str, str]] = {
    MEAN_COSINE: (
        "{0} share a common direction",
        "{0} point apart more than directions at random",
        "that {0} share a common direction is not shown",
    ),
    SPECTRUM: (
        "the variance of {0} spreads over more directions than an isotropic one would",
        "the variance of {0} sits in fewer directions than there are",
        "that the variance of {0} is uneven over the directions is not shown",
    ),
    SPREAD_OUT: (
        "{0} are more clumped than points spread evenly on the sphere",
        "{0} are more spread out than points at random",
        "that {0} are more clumped than points spread evenly is not shown",
    ),
    ALIGNMENT: (
        "relevant pairs are farther apart than random ones",
        "relevant pairs are closer than random ones",
        "that relevant pairs are closer than random ones is not shown",
    ),
    "gap": (
        "the centers of queries and documents are apart",
        "the centers of queries and documents are closer than by chance",
        "that the centers of queries and documents are apart is not shown",
    ),
    RELATIVE: (
        "relevant pairs are farther apart than random ones",
        "relevant pairs are closer than random ones",
        "that relevant pairs are closer than random ones is not shown",
    ),
    PERCENTILE: (
        "relevant documents rank behind random ones",
        "relevant documents rank before random ones",
        "that relevant documents rank before random ones is not shown",
    ),
    KL: (
        "{0} are drawn as negatives less evenly than at random",
        "{0} are drawn as negatives more evenly than at random",
        "that {0} are drawn less evenly than at random is not shown",
    ),
    DRAWN: (
        "{0} were drawn as negatives less evenly than at random",
        "{0} were drawn as negatives more evenly than at random",
        "that {0} were drawn less evenly than at random is not shown",
    ),
}


def read_chance(
    places: Sequence[Sequence[Measurement]], mining: Sequence[Curve] = ()
) -> list[str]:
    """What one measure says against chance, in one space or many.

    Parameters
    ----------
    places
        Measurements of the measure, a list a side, in each a row a space.
    mining
        Curves ``mining`` of these spaces.

    Returns
    -------
    list of str
        Sentences; one for all sides that say the same. None where there is no null or no rule.
    """
    said: dict[tuple[tuple[str, tuple[str, ...]], ...], list[str]] = {}
    sentences = []
    for rows in places:
        full = {row.space: text for row in rows if (text := _saturated(mining, row))}
        sentences += _of_pools(full, len(rows))
        spaces: dict[str, tuple[str, ...]] = {}
        for row in rows:
            if row.space not in full and (found := against_null(row)) is not None:
                spaces[found] = (*spaces.get(found, ()), row.space)
        if spaces:
            said.setdefault(tuple(spaces.items()), []).append(rows[0].side)
    measure = places[0][0].measure
    kind = next((one for one in (KL, DRAWN) if measure.startswith(one)), measure)
    words = _CHANCE.get(kind)
    count = max(map(len, places))
    texts = [_by_chance(words, spaces, sides, count) for spaces, sides in said.items() if words]
    return [*sentences, *texts]


def _saturated(mining: Sequence[Curve], row: Measurement) -> str:
    return saturated(mining, row.side, row.measure, row.space)


def _of_pools(full: Mapping[str, str], count: int) -> list[str]:
    """What is said of pools, by space: once where all of `count` spaces say the same."""
    labels: dict[str, list[str]] = {}
    for label, text in full.items():
        labels.setdefault(text, []).append(label)
    return [
        text if len(own) == count else f"In {_names(own)} {text[0].lower()}{text[1:]}"
        for text, own in labels.items()
    ]


def _by_chance(
    words: tuple[str, str, str],
    spaces: Sequence[tuple[str, Sequence[str]]],
    sides: Sequence[str],
    count: int,
) -> str:
    """What is said of `sides`, by space: once where all of `count` spaces say the same."""
    who = " and ".join(sides)
    texts = {x: text.format(who) for x, text in zip((UP, DOWN, UNCLEAR), words, strict=True)}
    if len(spaces[0][1]) == count:
        return sentence(texts[spaces[0][0]] + (" in every space" if count > 1 else ""))
    return sentence("; ".join(f"in {_names(labels)} {texts[one]}" for one, labels in spaces))


def _names(labels: Sequence[str]) -> str:
    if len(labels) > 3:
        return f"{len(labels)} spaces"
    return " and ".join([", ".join(labels[:-1]), labels[-1]] if len(labels) > 1 else labels)
