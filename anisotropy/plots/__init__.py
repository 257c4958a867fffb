"""Figures: one function each, results in and a matplotlib Figure out; nothing is computed.

Each function draws a new figure at column width, or onto the axes it is given. Colors are those
of Okabe and Ito; spaces also differ by marker, sides by line style, so that gray is enough.
"""

from anisotropy.plots.claims import claims
from anisotropy.plots.curves import distances, negative_probability, spectrum
from anisotropy.plots.maps import projection_map
from anisotropy.plots.save import FIGURES, FigureKind, available, render, save_figures
from anisotropy.plots.summary import differences, uniformity_alignment

__all__ = [
    "FIGURES",
    "FigureKind",
    "available",
    "claims",
    "differences",
    "distances",
    "negative_probability",
    "projection_map",
    "render",
    "save_figures",
    "spectrum",
    "uniformity_alignment",
]
