"""Projections: 2-D maps of a space, or of two spaces so that they can be compared.

A map has coordinates, never "embeddings". It is a picture: it cannot show uniformity, isotropy
or the distance between far groups. Each map therefore carries how faithful it is.
"""

from anisotropy.projection.maps import (
    METHODS,
    MapOptions,
    MapPoints,
    check_perplexity,
    join_maps,
    project,
    project_pair,
)
from anisotropy.projection.sample import TooFewPoints

__all__ = [
    "METHODS",
    "MapOptions",
    "MapPoints",
    "TooFewPoints",
    "check_perplexity",
    "join_maps",
    "project",
    "project_pair",
]
