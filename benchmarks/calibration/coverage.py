"""Coverage of the intervals: how often they hold the value they are about."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.calibration.measuring import DESIGNS, Row
from benchmarks.calibration.targets import POPULATION, target

LOWEST, HIGHEST = 0.93, 0.985
#: Where the first-order influence vanishes in truth: measures, scenario, and why.
DEGENERATE = (
    (
        ("mean_cosine", "mean_norm", "partition_isotropy", "gap", "relative_gap"),
        "isotropic",
        "at isotropy the means of the rows are zero, and their squares have no first-order term",
    ),
    (
        (
            *("participation_ratio", "isoscore", "effective_rank", "rankme", "stable_rank"),
            *("variance_explained", "wasserstein_uniformity"),
        ),
        "isotropic",
        "at isotropy the spectrum is flat: the spread is at its maximum, where slopes vanish",
    ),
    (
        ("uniformity",),
        "isotropic",
        "at isotropy every row has the same mean kernel: uniformity is at its optimum",
    ),
    (
        (
            *("hubness_gini", "hubness_robin_hood", "mixing", "negative_probability_kl"),
            *("negative_probability_entropy", "negative_probability_gini"),
            *("negative_probability_effective", "negative_positive_share"),
        ),
        "isotropic",
        "at isotropy no row is preferred: counts of neighbors are those of chance, and which "
        "query is drawn does not matter at first order",
    ),
    (
        ("R@100", "R@1000"),
        "written",
        "queries written from a document find it among a hundred: hardly one is left to differ",
    ),
)


@dataclass(frozen=True)
class Covered:
    """What was found of one row in one scenario and design.

    Attributes
    ----------
    truth, target
        The value the interval is about, and which value that is.
    coverage, low, high
        Share of intervals that hold it, with Wilson's limits of that share.
    below, above
        Share of intervals that lie below and above it.
    se_ratio
        Mean standard error over the standard deviation of the values.
    bias
        Mean value less the truth, in standard deviations.
    replicates, withheld
        How many there were, and how many of them gave no interval.
    """

    scenario: str
    design: str
    row: Row
    target: str
    truth: float
    coverage: float
    low: float
    high: float
    below: float
    above: float
    se_ratio: float
    bias: float
    sd: float
    replicates: int
    withheld: int

    @property
    def verdict(self) -> str:
        """``low`` or ``high`` beyond binomial error, ``constant``, else empty."""
        if self.sd == 0:
            return "constant"
        if self.high < LOWEST:
            return "low"
        return "high" if self.low > HIGHEST else ""

    @property
    def degenerate(self) -> str:
        """Why the value is degenerate in this scenario; empty where it is not."""
        name = self.row[1].partition("(")[0]
        found = (why for names, where, why in DEGENERATE
                 if name in names and where == self.scenario)  # fmt: skip
        return next(found, "")


def wilson(share: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's limits of a share of n trials."""
    if n == 0:
        return math.nan, math.nan
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return middle - reach, middle + reach


def covered(
    scenario: str, design: str, row: Row, values: np.ndarray, population: float
) -> Covered:
    """Coverage of one row.

    Parameters
    ----------
    scenario, design, row
        What the row is.
    values
        Shape (replicates, 4): value, standard error, interval; NaN where it was withheld.
    population
        The value of the population, for rows that are about it.
    """
    given = values[~np.isnan(values[:, 2])]
    value, se, low, high = given.T
    # Rows of anchors are about all rows of the space, whatever n the measure depends on.
    about = target(row[1]) if DESIGNS[design].drawn else POPULATION
    aim = population if about == POPULATION else float(value.mean())
    sd = float(value.std(ddof=1)) if len(given) > 1 else 0.0
    sd = 0.0 if sd < 1e-12 * max(abs(aim), 1e-3) else sd
    slack = 1e-9 * max(abs(aim), 1e-3)
    below, above = float(np.mean(high < aim - slack)), float(np.mean(low > aim + slack))
    limits = wilson(1 - below - above, len(given))
    return Covered(
        scenario, design, row, about, aim, 1 - below - above, *limits, below, above,
        float(se.mean()) / sd if sd else math.nan,
        float(value.mean() - aim) / sd if sd else math.nan,
        sd, len(values), len(values) - len(given),
    )  # fmt: skip
