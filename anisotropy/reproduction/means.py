"""Means over the seeds of a method, as measurements: what its tables show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from anisotropy.measures import MeasuredSpace, definition_of
from anisotropy.results import Measurement
from anisotropy.statistics import LEVEL, student


def seed_means(measured: Mapping[str, Sequence[MeasuredSpace]]) -> list[Measurement]:
    """One row a method and place: mean over its seeds, with Student's 95% interval over them.

    Parameters
    ----------
    measured
        Method to its spaces, one a seed.

    Returns
    -------
    list of Measurement
        Their ``space`` is the method and their ``unit`` ``seed``; intervals are cut to the range
        of the measure. Nothing for methods with one space, one that stands for every seed
        included.
    """
    rows = []
    for method, spaces in measured.items():
        if len({id(one) for one in spaces}) < 2:
            continue
        for first in spaces[0].rows:
            others = [one.row(first.side, first.measure, first.on) for one in spaces]
            found = [row.value for row in others if row is not None]
            if len(found) == len(spaces):
                rows.append(_mean(method, first, np.array(found)))
    return rows


def _mean(method: str, row: Measurement, values: np.ndarray) -> Measurement:
    se = float(values.std(ddof=1)) / math.sqrt(len(values))
    mean, reach = float(values.mean()), student(LEVEL, len(values) - 1.0) * se
    known = definition_of(row.measure)
    return replace(
        row, space=method, value=mean, se=se,
        ci_low=max(mean - reach, known.low), ci_high=min(mean + reach, known.high),
        level=LEVEL, n=len(values), unit="seed", population="none", method="closed_form",
        null_mean=math.nan, null_sd=math.nan, null_p=math.nan,
    )  # fmt: skip
