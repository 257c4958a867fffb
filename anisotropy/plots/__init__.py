"""Figures: one function each, results in and a matplotlib Figure out; nothing is computed.

Each function draws a new figure at column width, or onto the axes it is given. Colors are those
of Okabe and Ito; spaces also differ by marker, sides by line style, so that gray is enough.
"""

from anisotropy.plots.claims import claims
from anisotropy.plots.curves import spectrum
from anisotropy.plots.densities import cosines, distances
from anisotropy.plots.history import history
from anisotropy.plots.hubs import hubness
from anisotropy.plots.maps import projection_map
from anisotropy.plots.movement import movement
from anisotropy.plots.negatives import lorenz, negative_probability, negative_profile
from anisotropy.plots.save import (
    FIGURES,
    FigureKind,
    available,
    render,
    save_figure,
    save_figures,
)
from anisotropy.plots.summary import differences, uniformity_alignment

__all__ = [
    "FIGURES",
    "FigureKind",
    "available",
    "claims",
    "cosines",
    "differences",
    "distances",
    "history",
    "hubness",
    "lorenz",
    "movement",
    "negative_probability",
    "negative_profile",
    "projection_map",
    "render",
    "save_figure",
    "save_figures",
    "spectrum",
    "uniformity_alignment",
]
