"""What results mean, in plain sentences: rules over rows that are there, nothing is computed.

A rule says which way something moved only where its row was tested and is beyond its uncertainty;
it says *not shown* where a tested row is not, and *not tested* where there is no interval. Rows
outside the headline are exploratory and are called so.
"""

from anisotropy.report.reading.chance import read_chance
from anisotropy.report.reading.found import (
    ABSENT,
    DOWN,
    UNCLEAR,
    UNTESTED,
    UP,
    Found,
    Reading,
    against_null,
    state,
)
from anisotropy.report.reading.pair import overall, read_pair, same_vectors

__all__ = [
    "ABSENT",
    "DOWN",
    "UNCLEAR",
    "UNTESTED",
    "UP",
    "Found",
    "Reading",
    "against_null",
    "overall",
    "read_chance",
    "read_pair",
    "same_vectors",
    "state",
]
