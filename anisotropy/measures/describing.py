"""What a definition says about itself, in the same words for the terminal, JSON and the pages."""

from __future__ import annotations

import math
from collections.abc import Iterable

from anisotropy.measures.base import Definition, Parameter, Value, make

SIDES = {
    "queries": "the query rows among themselves",
    "documents": "the document rows among themselves (chunks, where a document has several)",
    "joint": "both sides, weighing one half each",
    "cross": "all query-document pairs",
    "positives": "judged query-document pairs of the relevance level or above",
    "ranking": "documents for queries",
    "dual_ranking": "queries for documents",
}
CHAINS = {
    "raw": "rows as encoded",
    "unit": "rows divided by their length",
    "center>unit": "a mean subtracted, then rows divided by their length: the mean of the side "
    "for one side, (m_q + m_d)/2 for joint, cross and the rankings",
    "recipe": "scores as the recipe defines them",
}
_POPULATIONS = {
    "queries": "the queries are a sample and are what is resampled; the documents are a fixed "
    "collection",
    "documents": "the documents are a sample; the queries are fixed",
    "both": "queries and documents are both samples, resampled apart",
    "none": "a census: nothing is resampled",
}


def identity(definition: Definition) -> str:
    """Text identity with the default parameters, as it is printed in tables."""
    return make(definition, {}).text


def in_default_set(definition: Definition) -> list[str]:
    """Identities that are taken when none are asked for."""
    if not definition.default or definition.compute is None:
        return []
    return [make(definition, given).text for given in definition.defaults]


def value_range(definition: Definition) -> str:
    """Range of the value, infinite ends open."""
    low, high = definition.low, definition.high
    start = "(-inf" if math.isinf(low) else f"[{low:g}"
    return f"{start}, {'inf)' if math.isinf(high) else f'{high:g}]'}"


def direction(definition: Definition) -> str:
    """What a larger value means, and which direction has the users' word."""
    if not definition.better:
        return definition.up
    way = "larger" if definition.better == "up" else "smaller"
    return f"{definition.up}; {way} is {definition.word}"


def places(definition: Definition) -> list[str]:
    """Sides grouped by the transforms they are measured on, a line a group."""
    chains: dict[tuple[str, ...], list[str]] = {}
    for on in definition.transforms:
        sides = tuple(side for side, chain in definition.places if chain == on)
        chains.setdefault(sides, []).append(on)
    return [f"{', '.join(sides)}: {', '.join(on)}" for sides, on in chains.items()]


def uncertainty(definition: Definition) -> str:
    """Who is meant and what is resampled."""
    text = f"{definition.population}: {_POPULATIONS[definition.population]}"
    sides = definition.sides
    if (
        definition.population == "queries"
        and "documents" in sides
        and "role" not in _names(definition.parameters)
    ):
        text += "; a value over documents alone has at most the error of sampled anchors"
    if "dual_ranking" in sides and definition.family == "effectiveness":
        text += "; on dual_ranking the other way round"
    return text


def _names(parameters: Iterable[Parameter]) -> set[str]:
    return {parameter.name for parameter in parameters}


def comparability(definition: Definition) -> str:
    """Between which spaces a difference is withheld; empty where it never is."""
    bound = []
    if definition.dimension_bound:
        bound.append("dimensions")
    if definition.size_bound:
        bound.append("numbers of rows")
    return f"withheld between spaces of different {' or '.join(bound)}" if bound else ""


def parameter_lines(definition: Definition) -> list[str]:
    """A line a parameter: default, meaning, what is allowed."""
    return [
        f"{p.name}={plain(p.default)}: {p.meaning} ({p.allowed})" for p in definition.parameters
    ]


def plain(value: Value) -> str:
    """A parameter's value as it is typed."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def description(definition: Definition) -> dict[str, str | list[str]]:
    """Everything a definition says, heading to text or lines, empty ones left out."""
    found: dict[str, str | list[str]] = {
        "formula": definition.formula,
        "range": value_range(definition),
        "larger": direction(definition),
        "sees": definition.sees,
        "blind to": definition.blind,
        "measured on": places(definition),
        "parameters": parameter_lines(definition),
        "default set": in_default_set(definition) or _outside(definition),
        "population": uncertainty(definition),
        "null": definition.null or "none",
        "compared": comparability(definition) or "between any two spaces of one collection",
        "notes": definition.note,
        "reference": definition.reference,
    }
    return {key: value for key, value in found.items() if value}


def _outside(definition: Definition) -> str:
    if definition.between is not None:
        return "of comparisons"
    if definition.counted:
        return "not in it: counted where files are given with --negatives"
    return "not in it: ask for it by name, or for all"
