"""Results: values and curves, the one thing plots and reports are drawn from.

``base`` has the results of a run, ``curve`` the arrays behind a figure. A folder of results may
come from anywhere: ``reading`` is the only door, and what is behind it trusts what came in.
``shapes`` says what each entry of ``results.json`` has to be, ``curve_files`` what each curve.
"""

from anisotropy.records import Association, Difference, Measurement, Similarity, Withheld
from anisotropy.results.base import Results
from anisotropy.results.curve import Curve
from anisotropy.results.reading import SCHEMA

__all__ = [
    "SCHEMA",
    "Association",
    "Curve",
    "Difference",
    "Measurement",
    "Results",
    "Similarity",
    "Withheld",
]
