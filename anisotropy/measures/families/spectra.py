"""Spread by other functions of the spectrum, at a common number of rows."""

from __future__ import annotations

import math

import numpy as np

from anisotropy.measures.base import Definition, Impossible, Measure, Parameter
from anisotropy.measures.basis import SIDES
from anisotropy.measures.facts import Facts
from anisotropy.measures.families.subsamples import ROWS, Spectrum, spectral
from anisotropy.statistics import Estimate

#: Added to every normalized singular value by the authors of RankMe.
RANKME_EPSILON = 1e-7


def entropy_rank(found: Spectrum) -> tuple[float, np.ndarray]:
    """exp(-sum q log q) with q the shares of the singular values, and its derivative."""
    s = np.sqrt(found.values)
    q = s / s.sum()
    entropy = -float((q * np.log(q)).sum())
    rank = math.exp(entropy)
    return rank, -rank * (np.log(q) + entropy) / (2 * s * s.sum())


def rank_of_sums(roots: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """The same from the sums of s and of s log s."""
    return np.asarray(np.exp(np.log(roots) - logs / roots))


def rankme_rank(found: Spectrum) -> tuple[float, np.ndarray]:
    """The same with 1e-7 added to every share, also to those of zero singular values."""
    s = np.sqrt(found.values)
    share = s / s.sum()
    q = share + RANKME_EPSILON
    zeros = found.rank - len(s)
    entropy = -float((q * np.log(q)).sum())
    entropy -= zeros * RANKME_EPSILON * math.log(RANKME_EPSILON)
    log = np.log(q) + 1
    rank = math.exp(entropy)
    return rank, rank * (float(log @ share) - log) / (2 * s * s.sum())


def total_over_first(found: Spectrum) -> tuple[float, np.ndarray]:
    """Sum of the eigenvalues over the largest, and its derivative."""
    first, total = float(found.values[0]), float(found.values.sum())
    slope = np.full(len(found.values), 1 / first)
    slope[0] -= total / first**2
    return total / first, slope


def leading_share(found: Spectrum, k: int) -> tuple[float, np.ndarray]:
    """Share of the k largest eigenvalues in their sum, and its derivative."""
    total = float(found.values.sum())
    share = float(found.values[:k].sum()) / total
    slope = np.full(len(found.values), -share / total)
    slope[:k] += 1 / total
    return share, slope


def decay(found: Spectrum, low: int, high: int) -> tuple[float, np.ndarray]:
    """Slope of log eigenvalue on -log rank by least squares weighted 1/rank.

    Raises
    ------
    Impossible
        If there are fewer than `high` eigenvalues.
    """
    if len(found.values) < high:
        raise Impossible(
            f"{len(found.values)} nonzero eigenvalues, ranks to high={high} are asked for"
        )
    rank = np.arange(low, high + 1)
    weight, x = 1 / rank, -np.log(rank)
    x = x - (weight @ x) / weight.sum()
    factor = weight * x / (weight @ x**2)
    chosen = found.values[low - 1 : high]
    slope = np.zeros(len(found.values))
    slope[low - 1 : high] = factor / chosen
    return float(factor @ np.log(chosen)), slope


def effective_rank(facts: Facts, measure: Measure, side: str, on: str) -> Estimate:
    """Exponential of the entropy of the singular values of the centered rows."""
    high = float(facts.raw("queries").dim)
    return spectral(
        facts, measure, side, on, entropy_rank, without=rank_of_sums, low=1.0, high=high
    )


def rankme(facts: Facts, measure: Measure, side: str, on: str) -> Estimate:
    """Exponential of the entropy of the singular values of the rows as they are."""
    high = float(facts.raw("queries").dim)
    return spectral(
        facts,
        measure,
        side,
        on,
        rankme_rank,
        without=rank_of_sums,
        kind="second",
        low=1.0,
        high=high,
    )


def stable_rank(facts: Facts, measure: Measure, side: str, on: str) -> Estimate:
    """Total variance over that of the first principal direction."""
    high = float(facts.raw("queries").dim)
    return spectral(facts, measure, side, on, total_over_first, low=1.0, high=high)


def variance_explained(facts: Facts, measure: Measure, side: str, on: str) -> Estimate:
    """Share of the variance in the k first principal directions."""
    k, dim = measure.whole("k"), facts.raw("queries").dim
    if k >= dim:
        raise Impossible(f"{dim} dimensions, more than k={k} are needed")
    return spectral(facts, measure, side, on, lambda found: leading_share(found, k), high=1.0)


def spectral_decay(facts: Facts, measure: Measure, side: str, on: str) -> Estimate:
    """Exponent of the power law of the eigenvalues."""
    low, high = measure.whole("low"), measure.whole("high")
    if high <= low:
        raise Impossible(f"high={high}; ranks above low={low} are needed")
    return spectral(
        facts,
        measure,
        side,
        on,
        lambda found: decay(found, low, high),
        scale="linear",
        low=-math.inf,
    )


COMMON = (
    "Depends on the number of rows: taken at the smaller of the two sides, a larger side by "
    "seeded subsamples (n=all: whole sides; n=2000: that many rows of each side)."
)
RAW = tuple((side, "raw") for side in SIDES)
PLACES = RAW + tuple((side, "unit") for side in SIDES)
DEFINITIONS = (
    Definition(
        name="effective_rank",
        family="spread",
        formula="exp(-sum q log q), q = s/sum(s), s the singular values of the centered rows",
        low=1.0,
        high=math.inf,
        up="spread over more directions",
        better="up",
        word="more isotropic",
        sees="the spread of the variance, small directions weighing more than in the "
        "participation ratio",
        blind="the mean (a cone changes nothing)",
        reference="Roy and Vetterli 2007",
        note=f"{COMMON} Biased down and not corrected: n isotropic rows of 768 dimensions give "
        "617 at n = 768 and 757 at n = 6,980. The interval is about the expected value at "
        "this n, on the log scale.",
        null="as many isotropic normal rows: the value at their expected spectrum",
        needs=("moments",),
        places=PLACES,
        parameters=(ROWS,),
        compute=effective_rank,
        dimension_bound=True,
        size_bound=True,
    ),
    Definition(
        name="rankme",
        family="spread",
        formula="exp(-sum q log q), q = s/sum(s) + 1e-7, s the singular values of the rows, "
        "not centered",
        low=1.0,
        high=math.inf,
        up="spread over more directions",
        better="up",
        word="more isotropic",
        sees="the spread of the rows around the origin: a cone lowers it as well",
        blind="which of the two, cone or collapse, lowers it",
        reference="Garrido et al. 2023 (arXiv 2210.02885)",
        note=f"{COMMON} Its authors use 25,600 rows and compare only runs of one method. "
        "Biased down as effective_rank is. The interval is about the expected value at this n, "
        "on the log scale.",
        null="as many isotropic normal rows, their mean 0: the value at their expected spectrum",
        needs=("moments",),
        places=PLACES,
        parameters=(ROWS,),
        compute=rankme,
        dimension_bound=True,
        size_bound=True,
    ),
    Definition(
        name="stable_rank",
        family="spread",
        formula="sum(lambda)/lambda_1, lambda the eigenvalues of the covariance",
        low=1.0,
        high=math.inf,
        up="the first direction dominates less",
        better="up",
        word="more isotropic",
        sees="how far the first principal direction stands out",
        blind="the mean, and how the variance outside the first direction is spread",
        reference="NESum of He and Ozay 2022 (ICML)",
        note=f"{COMMON} Biased down: n isotropic rows give dim/(1 + sqrt(dim/n))^2.",
        null="as many isotropic normal rows: the value at their expected spectrum",
        needs=("moments",),
        places=PLACES,
        on_request=RAW,
        parameters=(ROWS,),
        compute=stable_rank,
        dimension_bound=True,
        size_bound=True,
    ),
    Definition(
        name="variance_explained",
        family="spread",
        formula="(lambda_1 + ... + lambda_k)/sum(lambda)",
        low=0.0,
        high=1.0,
        up="concentrated in k directions",
        better="down",
        word="more isotropic",
        sees="the share of the variance that a picture of k principal components shows",
        blind="the mean, and the spread within and outside the k directions",
        reference="principal component analysis",
        note=f"{COMMON} Biased up.",
        null="as many isotropic normal rows: the value at their expected spectrum",
        needs=("moments",),
        places=PLACES,
        on_request=RAW,
        parameters=(
            Parameter("k", 1, always=True, low=1, meaning="how many of the leading directions"),
            ROWS,
        ),
        defaults=({"k": 1}, {"k": 10}),
        compute=variance_explained,
        size_bound=True,
    ),
    Definition(
        name="spectral_decay",
        family="spread",
        formula="slope of log lambda_r on -log r, ranks r from low to high, least squares "
        "weighted 1/r",
        low=-math.inf,
        high=math.inf,
        up="variances fall off faster",
        better="down",
        word="more isotropic",
        sees="the power law of the spectrum, from rank 4 to 100 unless said",
        blind="the mean, the first directions, and everything beyond the last rank",
        reference="Agrawal et al. 2022 (alpha-ReQ, NeurIPS); ranks differ between scripts",
        note=f"{COMMON} Needs at least `high` dimensions and rows.",
        null="as many isotropic normal rows: the value at their expected spectrum",
        needs=("moments",),
        places=PLACES,
        on_request=RAW,
        parameters=(
            Parameter("low", 4, low=1, meaning="first rank of the fit"),
            Parameter("high", 100, low=2, meaning="last rank of the fit"),
            ROWS,
        ),
        compute=spectral_decay,
        size_bound=True,
    ),
)
