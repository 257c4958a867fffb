"""What to put on the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from anisotropy.errors import UsageError, check_relevance_level, check_seed, one_of
from anisotropy.projection import METHODS, check_perplexity

if TYPE_CHECKING:
    from anisotropy.projection.maps import Method

MOST_NEIGHBORS = 200


@dataclass(frozen=True)
class ExplorerOptions:
    """What to put on the page.

    Attributes
    ----------
    points
        Points on a map, 5 or more.
    neighbors
        Documents in the list of a query, 1 to 200.
    projections
        Maps: any of ``tsne``, ``pca``, ``umap``, at least one; the first is shown first.
    perplexity
        Of t-SNE, above 1.
    seed
        Of every random choice.
    relevance_level
        Smallest grade of a positive, 1 or more.
    on_mismatch
        For two spaces whose ids differ: ``error``, or ``intersect`` to use the common ones.
    """

    points: int = 5000
    neighbors: int = 20
    projections: tuple[Method, ...] = ("tsne", "pca")
    perplexity: float = 30.0
    seed: int = 0
    relevance_level: int = 1
    on_mismatch: str = "error"

    def __post_init__(self) -> None:
        if not 1 <= self.neighbors <= MOST_NEIGHBORS:
            raise UsageError(
                f"neighbors: got {self.neighbors}; allowed: 1 to {MOST_NEIGHBORS} a query"
            )
        if not self.projections:
            raise UsageError(f"projection: got none; allowed: one or more of {', '.join(METHODS)}")
        for name in self.projections:
            if name not in METHODS:
                raise UsageError(f"projection: {one_of(name, METHODS)}")
        if self.points < 5:
            raise UsageError(f"points: got {self.points}; allowed: 5 or more for a map")
        check_perplexity(self.perplexity)
        check_relevance_level(self.relevance_level)
        check_seed(self.seed)
