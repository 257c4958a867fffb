"""Replicates: draw, measure, keep value, standard error and interval of every row."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from anisotropy.errors import UsageError
from anisotropy.measures import MeasuredSpace, definition_of, measure_space, parse
from anisotropy.measures.mining import headline_k
from anisotropy.spaces import EmbeddingSpace
from benchmarks.calibration import targets
from benchmarks.calibration.scenarios import SCENARIOS, Scenario, draw

Row = tuple[str, str, str]
Found = dict[Row, tuple[float, ...]]
ANCHORS = 100


@dataclass(frozen=True)
class Design:
    """What is drawn afresh in a replicate.

    Attributes
    ----------
    drawn
        ``queries``, ``documents``, ``both``, or nothing.
    population
        The rows that are kept are about this population.
    anchors
        Whether the sides are seen from a few anchors, others in every replicate.
    """

    drawn: str
    population: str
    anchors: bool = False


DESIGNS = {
    "queries": Design("queries", "queries"),
    "both": Design("both", "both"),
    "documents": Design("documents", "documents"),
    "sampled queries": Design("queries", "queries", anchors=True),
    "sampled documents": Design("", "none", anchors=True),
}


def generator(*words: str | int) -> np.random.Generator:
    """A generator of its own for every named piece of work."""
    text = "/".join(str(word) for word in words)
    return np.random.default_rng([zlib.crc32(text.encode()), 20])


def named(name: str) -> Scenario:
    """The scenario of a name."""
    return next(scenario for scenario in SCENARIOS if scenario.name == name)


@lru_cache
def pilot(name: str, design: str, only: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The measures of which a row with an interval is about the population of a design."""
    drawn = draw(named(name), generator(name, "pilot"), DESIGNS[design].drawn or "queries")
    options = {"anchors": ANCHORS} if DESIGNS[design].anchors else {}
    found = measure_space(drawn.space(), only or everything(name), **options)  # type: ignore[arg-type]
    return tuple(dict.fromkeys(row[1] for row in kept(found, design)))


@lru_cache
def everything(name: str) -> tuple[str, ...]:
    """Every measure that can be taken in a scenario; negatives at the k that decides for it."""
    space = draw(named(name), generator(name, "names"), "queries").space()
    found = measure_space(space)
    scaled = [row.measure for row in found.rows]
    return tuple(
        text
        for text in dict.fromkeys([*targets.measures(), *scaled])
        if not saturated(found, text) and (text in scaled or _possible(space, text))
    )


def saturated(found: MeasuredSpace, text: str) -> bool:
    """Whether a depth of mining takes too much of the pool to decide anything."""
    measure = parse(text)
    if definition_of(measure).family != "negatives" or "k" not in measure.values:
        return False
    role = str(measure.values.get("role", "queries"))
    return measure.whole("k") != headline_k(found.facts, role)


def _possible(space: EmbeddingSpace, text: str) -> bool:
    try:
        measure_space(space, [text])
    except UsageError:
        return False
    return True


def kept(found: MeasuredSpace, design: str) -> Found:
    """Rows about the population of a design that have an interval."""
    about = DESIGNS[design]
    return {
        (row.side, row.measure, row.on): (row.value, row.se, row.ci_low, row.ci_high)
        for row in found.rows
        if row.population == about.population
        and not math.isnan(row.ci_low)
        and (row.estimator == "sampled" or not about.anchors)
    }


def replicate(name: str, design: str, number: int, names: Sequence[str]) -> Found:
    """Value, standard error and interval of every row of one replicate."""
    about = DESIGNS[design]
    rng = generator(name, design, number if about.drawn else "fixed")
    drawn = draw(named(name), rng, about.drawn or "queries")
    options = {"anchors": ANCHORS, "seed": number} if about.anchors else {}
    return kept(measure_space(drawn.space(), names, **options), design)  # type: ignore[arg-type]


def truth(name: str, design: str, number: int, names: Sequence[str], n: int) -> Found:
    """Values of a sample of `n` rows; where nothing is drawn, of all rows of the space."""
    drawn = DESIGNS[design].drawn
    if drawn:
        rng = generator(name, drawn, "truth", number)
        space = draw(named(name), rng, drawn, n).space()
    else:
        space = draw(named(name), generator(name, design, "fixed"), "queries").space()
    found = measure_space(space, names, exact=True)
    return {(row.side, row.measure, row.on): (row.value,) for row in found.rows}


def stack(replicates: Iterable[Found], width: int) -> dict[Row, np.ndarray]:
    """Arrays of shape (replicates, width), NaN where a row was withheld."""
    found = list(replicates)
    rows = dict.fromkeys(row for one in found for row in one)
    nothing = (math.nan,) * width
    return {row: np.array([one.get(row, nothing) for one in found]) for row in rows}
