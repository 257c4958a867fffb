"""What is run: which replicates of which measures in which scenarios."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.calibration import measuring, pairs, targets
from benchmarks.calibration.coverage import Covered, covered
from benchmarks.calibration.measuring import Row, stack
from benchmarks.calibration.scenarios import SCENARIOS
from benchmarks.calibration.work import Chunk, chunks, finish, results

#: Every planted change at every size.
PLANTED = tuple(f"{effect}:{size}" for effect, sizes in pairs.EFFECTS.items() for size in sizes)


@dataclass(frozen=True)
class Size:
    """How much is run.

    Attributes
    ----------
    replicates, cheap
        Replicates of every measure, and of those that need no neighbors.
    pairs, planted
        Pairs of spaces without and with a change.
    truths, large
        Large samples that stand for the population, and the rows drawn for each.
    scenarios, only
        Names of scenarios; and of measures, empty for all.
    paired_in
        Scenarios of the pairs of spaces, and of sides seen from a few anchors.
    planted_in, effects
        The scenario in which changes are planted, and the changes with their sizes.
    """

    replicates: int = 500
    cheap: int = 2000
    pairs: int = 500
    planted: int = 200
    truths: int = 10
    large: int = 8000
    scenarios: tuple[str, ...] = tuple(scenario.name for scenario in SCENARIOS)
    only: tuple[str, ...] = field(default=())
    paired_in: tuple[str, ...] = ("cone",)
    planted_in: str = "cone"
    effects: tuple[str, ...] = PLANTED

    def names(self, scenario: str, design: str) -> list[str]:
        """The measures of a design."""
        if measuring.DESIGNS[design].anchors and scenario not in self.paired_in:
            return []
        return list(measuring.pilot(scenario, design, self.only))


class Run:
    """The work of a size, and its results once it is finished.

    Parameters
    ----------
    size
        How much.
    folder
        Where finished chunks are kept.
    """

    def __init__(self, size: Size, folder: Path) -> None:
        self.size = size
        self.folder = folder

    def finish(self, processes: int) -> None:
        """Do all that is not finished."""
        work: list[Chunk] = []
        for scenario in self.size.scenarios:
            for design in measuring.DESIGNS:
                work += self._truths(scenario, design)
                work += [c for part in self._replicates(scenario, design) for c in part]
            for design in pairs.NULLS:
                work += self._pairs(scenario, design)
            work += self._similarity_truths(scenario)
        for design in self.size.effects:
            work += self._planted(design)
        finish(list(dict.fromkeys(work)), self.folder, processes)

    # Coverage -------------------------------------------------------------------------------

    def _truths(self, scenario: str, design: str) -> list[Chunk]:
        drawn = measuring.DESIGNS[design].drawn
        names = self.size.names(scenario, design)
        if drawn:
            names = [name for name in names if targets.target(name) == targets.POPULATION]
        number = self.size.truths if drawn else 1
        return chunks("truth", scenario, design, range(number), names, self.size.large)

    def _replicates(self, scenario: str, design: str) -> tuple[list[Chunk], list[Chunk]]:
        names = self.size.names(scenario, design)
        cheap = [name for name in names if targets.cheap(name)]
        size = self.size
        return (
            chunks("replicate", scenario, design, range(size.replicates), names),
            chunks("replicate", scenario, design, range(size.replicates, size.cheap), cheap),
        )

    def coverage(self) -> Iterator[Covered]:
        """Coverage of every row with an interval, and of the similarities of two spaces."""
        for scenario in self.size.scenarios:
            for design in measuring.DESIGNS:
                truths = self._mean(self._truths(scenario, design))
                first, more = (
                    stack(results(part, self.folder), 4)
                    for part in self._replicates(scenario, design)
                )
                for row, values in first.items():
                    both = np.concatenate([values, more[row]]) if row in more else values
                    truth = truths.get(row, float("nan"))
                    yield covered(scenario, design, row, both, truth)
            yield from self._similarities(scenario)

    def _mean(self, work: list[Chunk]) -> dict[Row, float]:
        found = stack(results(work, self.folder), 1)
        return {row: float(np.nanmean(values)) for row, values in found.items()}

    # Pairs ----------------------------------------------------------------------------------

    def _pairs(self, scenario: str, design: str) -> list[Chunk]:
        if scenario not in self.size.paired_in:
            return []
        known = design if design in measuring.DESIGNS else "queries"
        names = self.size.names(scenario, known)
        # Noise on fixed documents is shown beside the nulls and is none of them.
        number = self.size.pairs if design in measuring.DESIGNS else self.size.pairs // 5
        return chunks("pair", scenario, design, range(number), names)

    def _planted(self, design: str) -> list[Chunk]:
        scenario = self.size.planted_in
        names = [n for d in ("queries", "both") for n in self.size.names(scenario, d)]
        return chunks("pair", scenario, design, range(self.size.planted), names)

    def _similarity_truths(self, scenario: str) -> list[Chunk]:
        if scenario not in self.size.paired_in:
            return []
        names, numbers = self.size.names(scenario, "queries"), range(self.size.truths)
        return chunks("similarity truth", scenario, "queries", numbers, names, self.size.large)

    def _similarities(self, scenario: str) -> Iterator[Covered]:
        truths = self._mean(self._similarity_truths(scenario))
        found = stack(results(self._pairs(scenario, "queries"), self.folder), 4)
        for row, values in found.items():
            if row[2] == "between" and not np.isnan(values[:, 2]).all():
                yield covered(scenario, "queries", row, values, truths[row])

    def null(self, scenario: str, design: str) -> dict[Row, np.ndarray]:
        """Differences of null pairs: delta, se, p, p after Holm, shape (pairs, 4)."""
        return self._differences(self._pairs(scenario, design))

    def planted(self, design: str) -> dict[Row, np.ndarray]:
        """Differences of pairs with a change, as in `null`."""
        return self._differences(self._planted(design))

    def _differences(self, work: list[Chunk]) -> dict[Row, np.ndarray]:
        found = stack(results(work, self.folder), 4)
        return {
            row: values
            for row, values in found.items()
            if row[2] != "between" and not np.isnan(values[:, 2]).all()
        }
