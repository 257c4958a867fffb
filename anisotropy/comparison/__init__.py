"""Spaces of the same collection against each other.

Paired differences with their uncertainty, similarity of representations, changes query by
query, and geometry against ranking.
"""

from anisotropy.comparison.aligning import POLICIES, align_all, align_spaces, check_twice
from anisotropy.comparison.associations import spearman
from anisotropy.comparison.claims import (
    Claim,
    Claims,
    Contrast,
    Part,
    paper_claims,
    read_claims,
    write_claims,
)
from anisotropy.comparison.comparing import (
    Compared,
    check_seeds,
    compare_methods,
    compare_pairs,
    compare_sides,
    compare_spaces,
)
from anisotropy.comparison.deciding import decide_claims
from anisotropy.comparison.pairs import paired_distances
from anisotropy.comparison.randomization import sign_flip_p

__all__ = [
    "POLICIES",
    "Claim",
    "Claims",
    "Compared",
    "Contrast",
    "Part",
    "align_all",
    "align_spaces",
    "check_seeds",
    "check_twice",
    "compare_methods",
    "compare_pairs",
    "compare_sides",
    "compare_spaces",
    "decide_claims",
    "paired_distances",
    "paper_claims",
    "read_claims",
    "sign_flip_p",
    "spearman",
    "write_claims",
]
