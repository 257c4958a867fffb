"""Which value an interval is about: that of the population, or that expected at this n.

The rule reads the registry. An estimator whose value depends on how many rows there are, and
says so (``size_bound``, the negatives, whose law is that of a pool of N and of k/N, the plain
formulas that are biased at small n, neighbors of two spaces), is about the value expected at this
n: the mean over replicates. Every other measure is about the population, which a sample many
times as large shows, so that a bias counts as missing coverage.
"""

from __future__ import annotations

from anisotropy.measures import Definition, Measure
from anisotropy.measures.base import make
from anisotropy.measures.registry import default_measures, definition_of, registry

POPULATION, EXPECTED = "population", "expected at this n"


def target(measure: str) -> str:
    """Target of the text identity of a measure."""
    definition = definition_of(measure)
    plain = "corrected=False" in measure
    neighbors = definition.family == "similarity" and "neighbors" in definition.needs
    bound = definition.size_bound or definition.family == "negatives"
    return EXPECTED if bound or plain or neighbors else POPULATION


def measures() -> list[str]:
    """Every registered measure of one space, and the plain form of those that are corrected."""
    found: dict[str, None] = {measure.text: None for measure in default_measures()}
    for definition in registry():
        if definition.compute is not None:
            found |= {measure.text: None for measure in _forms(definition)}
    return list(found)


def _forms(definition: Definition) -> list[Measure]:
    corrected = any(parameter.name == "corrected" for parameter in definition.parameters)
    plain = [make(definition, {"corrected": False})] if corrected else []
    own = [] if definition.default else [make(definition, {})]
    return own + plain


def cheap(measure: str) -> bool:
    """Whether 2,000 replicates cost little: no neighbors are sought."""
    return "neighbors" not in definition_of(measure).needs
