"""Measures: values with a text identity, computed from shared facts of a space."""

from anisotropy.measures.base import Definition, Family, Measure, Parameter
from anisotropy.measures.facts import Facts
from anisotropy.measures.families.ranking import effectiveness
from anisotropy.measures.headline import HEADLINE, Headline, headline_of
from anisotropy.measures.law import negative_probabilities
from anisotropy.measures.observed import ObservedNegatives, observed_negatives
from anisotropy.measures.registry import (
    all_families,
    default_measures,
    definition_of,
    expand,
    parse,
    parse_all,
    registry,
    similarity_measures,
    split_list,
)
from anisotropy.measures.run import MeasuredSpace, measure_space

__all__ = [
    "HEADLINE",
    "Definition",
    "Facts",
    "Family",
    "Headline",
    "Measure",
    "MeasuredSpace",
    "ObservedNegatives",
    "Parameter",
    "all_families",
    "default_measures",
    "definition_of",
    "effectiveness",
    "expand",
    "headline_of",
    "measure_space",
    "negative_probabilities",
    "observed_negatives",
    "parse",
    "parse_all",
    "registry",
    "similarity_measures",
    "split_list",
]
