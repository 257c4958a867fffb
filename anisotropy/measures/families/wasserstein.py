"""Wasserstein distance of the unit rows to an isotropic normal law."""

from __future__ import annotations

import math

import numpy as np

from anisotropy.measures.base import Definition, Measure, Parameter
from anisotropy.measures.basis import SIDES
from anisotropy.measures.facts import Facts
from anisotropy.measures.families.spectra import COMMON
from anisotropy.measures.families.subsamples import ROWS, Spectrum, spectral
from anisotropy.statistics import Estimate


def squared_distance(found: Spectrum) -> tuple[float, np.ndarray]:
    """2 - (2/sqrt d) tr S^1/2, and its derivative by each eigenvalue of S.

    For unit rows |m|^2 + tr S = 1 whatever the rows: with divisor n in S for the plain |m|^2,
    with divisor n - 1 for the one without diagonal terms. So only the roots are left.
    """
    roots = np.sqrt(found.values)
    value = 2 - 2 * float(roots.sum()) / math.sqrt(found.dim)
    return value, -1 / (math.sqrt(found.dim) * roots)


def wasserstein_uniformity(facts: Facts, measure: Measure, side: str, on: str) -> Estimate:
    """Distance W2 of the normal law with the moments of the unit rows from N(0, I/d)."""
    corrected, dim = measure.flag("corrected"), facts.raw("queries").dim
    return spectral(
        facts,
        measure,
        side,
        on,
        squared_distance,
        without=lambda roots, logs: 2 - 2 * roots / math.sqrt(dim),
        kind="covariance" if corrected else "plain covariance",
        scale="square",
        high=math.sqrt(2),
    )


DEFINITIONS = (
    Definition(
        name="wasserstein_uniformity",
        family="spread",
        formula="W2 = sqrt(|m|^2 + 1 + tr S - (2/sqrt dim) tr S^1/2); corrected: |m|^2 without "
        "its diagonal terms, S with divisor n - 1; plain: both with divisor n",
        low=0.0,
        high=math.sqrt(2),
        up="non-uniform (0 is best)",
        better="down",
        word="more isotropic",
        sees="cone and collapse alike",
        blind="which of the two it is, and anything beyond the first two moments",
        reference="Fang et al. 2024 (arXiv 2403.00642), who report -W2",
        note=f"{COMMON} Biased up: isotropic rows give about sqrt(dim/n)/2, the null beside "
        "it. The correction concerns the mean alone and is small; the bias of tr S^1/2 stays. "
        "The interval is that of the square about its expected value at this n.",
        null="as many isotropic normal rows: the value at their expected spectrum",
        needs=("moments",),
        places=tuple((side, "unit") for side in SIDES),
        parameters=(
            Parameter(
                "corrected",
                True,
                meaning="leave the diagonal terms of |m|^2 out; False: as in the paper",
            ),
            ROWS,
        ),
        compute=wasserstein_uniformity,
        dimension_bound=True,
        size_bound=True,
    ),
)
