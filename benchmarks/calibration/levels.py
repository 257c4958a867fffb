"""How often pairs are called different: null pairs at most 5%, planted changes often."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from anisotropy.measures.registry import definition_of
from benchmarks.calibration import pairs
from benchmarks.calibration.coverage import wilson
from benchmarks.calibration.measuring import Row
from benchmarks.calibration.plan import Run

LEVEL = 0.05


@dataclass(frozen=True)
class Level:
    """Share of pairs called different in one row.

    Attributes
    ----------
    delta, sd
        Mean difference, and standard deviation of the differences.
    rate, low, high
        Share of p below 0.05, with Wilson's limits of it.
    """

    kind: str
    scenario: str
    design: str
    row: Row
    delta: float
    sd: float
    rate: float
    low: float
    high: float
    replicates: int
    withheld: int

    @property
    def verdict(self) -> str:
        """``high`` for a null called different in more than 5% beyond three errors."""
        error = math.sqrt(LEVEL * (1 - LEVEL) / max(self.replicates - self.withheld, 1))
        exact = self.kind in ("null", "family") and self.design != "noisy documents"
        return "high" if exact and self.rate > LEVEL + 3 * error else ""


def level(kind: str, scenario: str, design: str, row: Row, values: np.ndarray) -> Level:
    """Share of p below 0.05 among differences, shape (pairs, 4)."""
    given = values[~np.isnan(values[:, 2])]
    called = float(np.mean(given[:, 2] < LEVEL))
    limits = wilson(called, len(given))
    sd = float(given[:, 0].std(ddof=1)) if len(given) > 1 else 0.0
    return Level(kind, scenario, design, row, float(given[:, 0].mean()), sd, called, *limits,
                 len(values), len(values) - len(given))  # fmt: skip


def nulls(run: Run) -> list[Level]:
    """Every row of the null pairs."""
    return [
        level("null", scenario, design, row, values)
        for scenario in run.size.scenarios
        for design in pairs.NULLS
        if run.size.pairs
        for row, values in run.null(scenario, design).items()
    ]


def families(run: Run) -> Iterator[Level]:
    """Share of null pairs of which any headline row is called different after Holm."""
    for scenario in run.size.scenarios:
        for design in pairs.NULLS if run.size.pairs else ():
            found = run.null(scenario, design)
            for effectiveness in (False, True):
                chosen = [v for r, v in found.items() if _in_family(r, v, effectiveness)]
                if chosen:
                    smallest = np.nanmin([values[:, 3] for values in chosen], axis=0)
                    values = np.stack([smallest * 0, smallest * 0, smallest], axis=1)
                    name = "effectiveness" if effectiveness else "geometry"
                    yield level("family", scenario, design, ("", name, ""), values)


def _in_family(row: Row, values: np.ndarray, effectiveness: bool) -> bool:
    ranking = definition_of(row[1]).family == "effectiveness"
    return ranking == effectiveness and not np.isnan(values[:, 3]).all()


def power(run: Run) -> list[Level]:
    """Every row of every planted change."""
    return [
        level("planted", run.size.planted_in, design, row, values)
        for design in run.size.effects
        if run.size.planted
        for row, values in run.planted(design).items()
    ]
