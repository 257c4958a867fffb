"""Pairs of spaces: two encodings of the same latent rows, equal in law or with a planted change.

An encoding adds noise of its own to every row and turns the space; the second encoding is turned
by a random rotation. What the null is depends on what a row generalizes over. A row over queries
takes the documents as they are: if the two encodings give the documents different noise, then
distances to these documents do differ, whatever queries come, and a test that says so is right.
So the noise is put where the sample is: on the queries for rows over queries, on both sides for
rows over both, on the documents for rows over documents. Noise on fixed documents is a pairing of
its own, reported apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anisotropy.comparison import compare_spaces
from anisotropy.measures import MeasuredSpace, measure_space
from anisotropy.measures.registry import similarity_measures
from benchmarks.calibration.measuring import Found, generator, named
from benchmarks.calibration.scenarios import Drawn, Scenario, draw

NOISE = 0.25
#: What is drawn afresh, which sides get noise, and the population of the rows that are kept.
NULLS = {
    "queries": ("queries", ("queries",), "queries"),
    "both": ("both", ("queries", "documents"), "both"),
    "documents": ("documents", ("documents",), "documents"),
    "noisy documents": ("queries", ("queries", "documents"), "queries"),
}
#: Sizes of each planted change; what they are is in `planted`.
EFFECTS = {
    "cone": (0.05, 0.1),
    "collapse": (0.1, 0.2),
    "closer": (0.02, 0.05),
    "hubs": (0.3, 0.9),
}
HUBS = 0.05


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a space before they are put together."""

    queries: np.ndarray
    documents: np.ndarray
    pool: np.ndarray | None


def noisy(rng: np.random.Generator, rows: np.ndarray) -> np.ndarray:
    """Rows with noise of a quarter of their root mean square length."""
    scale = NOISE * np.sqrt(np.mean(rows**2))
    return np.asarray(rows + scale * rng.standard_normal(rows.shape))


def encode(rng: np.random.Generator, rows: Rows, sides: Sequence[str], turn: np.ndarray) -> Rows:
    """Noise on some sides, then the rotation; training queries are queries."""
    queries, documents, pool = rows.queries, rows.documents, rows.pool
    if "queries" in sides:
        queries = noisy(rng, queries)
        pool = None if pool is None else noisy(rng, pool)
    if "documents" in sides:
        documents = noisy(rng, documents)
    return Rows(queries @ turn, documents @ turn, None if pool is None else pool @ turn)


def rotation(rng: np.random.Generator, dim: int) -> np.ndarray:
    """A random rotation, or one with a reflection."""
    return np.asarray(np.linalg.qr(rng.standard_normal((dim, dim)))[0])


def planted(scenario: Scenario, drawn: Drawn, effect: str, size: float) -> Rows:
    """Rows with a change.

    cone: every row moved by `size` along one direction. collapse: the last half of the
    dimensions shrunk by the share `size`. closer: every query moved by the share `size` of the
    way to the mean of its positives. hubs: 5% of the queries and documents moved by the share
    `size` of the way to the center of the documents.
    """
    sides = [drawn.queries.copy(), drawn.documents.copy()]
    if drawn.pool is not None:
        sides.append(drawn.pool.queries.copy())
    if effect == "cone":
        for rows in sides:
            rows[:, 2] += size
    elif effect == "collapse":
        for rows in sides:
            rows[:, scenario.dim // 2 :] *= 1 - size
    elif effect == "closer":
        for rows, owner in zip(sides[::2], (drawn, drawn.pool), strict=False):
            rows += size * (_positive_means(owner or drawn) - rows)
    else:
        center = drawn.documents.mean(axis=0)
        for rows in sides:
            some = slice(0, round(HUBS * len(rows)))
            rows[some] += size * (center - rows[some])
    return Rows(sides[0], sides[1], sides[2] if len(sides) > 2 else None)


def _positive_means(drawn: Drawn) -> np.ndarray:
    return np.array(
        [
            drawn.documents[[int(d) for d in drawn.qrels[str(q)]]].mean(axis=0)
            for q in range(len(drawn.queries))
        ]
    )


def pair(
    name: str, design: str, number: int | str, n: int | None = None
) -> tuple[Drawn, Rows, Rows]:
    """Latent rows and two encodings of them.

    Parameters
    ----------
    name, design
        The scenario, and a key of `NULLS` or an effect with its size, such as ``cone:0.1``.
    number, n
        Of the replicate; number of rows drawn, default that of the scenario.
    """
    scenario, rng = named(name), generator(name, "pair", design, number)
    effect, _, size = design.partition(":")
    what, sides, _ = NULLS["queries"] if size else NULLS[design]
    drawn = draw(scenario, rng, what, n)
    first = Rows(drawn.queries, drawn.documents, drawn.pool.queries if drawn.pool else None)
    second = planted(scenario, drawn, effect, float(size)) if size else first
    turn = rotation(rng, scenario.dim)
    return drawn, encode(rng, first, sides, np.eye(scenario.dim)), encode(rng, second, sides, turn)


def measured(
    pairing: tuple[Drawn, Rows, Rows], names: Sequence[str]
) -> tuple[MeasuredSpace, MeasuredSpace]:
    """Both encodings, measured for a comparison."""
    drawn, *encodings = pairing
    asked = [*names, *(measure.text for measure in similarity_measures())]
    a, b = (
        measure_space(drawn.space(rows.queries, rows.documents, rows.pool), asked, between=True)
        for rows in encodings
    )
    return a, b


def replicate(name: str, design: str, number: int, names: Sequence[str]) -> Found:
    """Rows: delta, se, p, p after Holm (NaN outside the headline); similarities: their limits."""
    a, b = measured(pair(name, design, number), names)
    differences, similarities, _ = compare_spaces(a, b)
    population = NULLS.get(design, NULLS["queries"])[2]
    found: Found = {
        (row.side, row.measure, row.on): (row.delta, row.se, row.p, row.p_holm)
        for row in differences
        if ":" in design or a.estimates[row.side, row.measure, row.on].population == population
    }
    for one in similarities:
        found[one.side, one.measure, "between"] = (one.value, np.nan, one.ci_low, one.ci_high)
    return found


def similarity_truth(name: str, design: str, number: int, names: Sequence[str], n: int) -> Found:
    """Similarities of two encodings of `n` queries."""
    a, b = measured(pair(name, design, f"truth {number}", n), names[:1])
    found = compare_spaces(a, b)[1]
    return {(one.side, one.measure, "between"): (one.value,) for one in found}
