"""Spaces of the same collection against each other.

Paired differences with their uncertainty, similarity of representations, changes query by
query, and geometry against ranking.
"""

from anisotropy.comparison.aligning import POLICIES, align_all, align_spaces, check_twice
from anisotropy.comparison.associations import spearman
from anisotropy.comparison.comparing import (
    Compared,
    check_seeds,
    compare_pairs,
    compare_sides,
    compare_spaces,
)
from anisotropy.comparison.randomization import sign_flip_p

__all__ = [
    "POLICIES",
    "Compared",
    "align_all",
    "align_spaces",
    "check_seeds",
    "check_twice",
    "compare_pairs",
    "compare_sides",
    "compare_spaces",
    "sign_flip_p",
    "spearman",
]
