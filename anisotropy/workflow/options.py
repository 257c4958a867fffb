"""What to measure and draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from anisotropy.errors import UsageError, check_relevance_level, check_seed, one_of
from anisotropy.projection import METHODS, check_perplexity

if TYPE_CHECKING:
    from anisotropy.projection.maps import Method


class Settings(TypedDict, total=False):
    """What Python calls may say besides measures, maps and seeds; see `AnalysisOptions`."""

    perplexity: float
    relevance_level: int
    exact: bool
    sample: int | None
    relative_error: float | None


@dataclass(frozen=True)
class AnalysisOptions:
    """What to measure and draw.

    Attributes
    ----------
    measures
        Text identities, or None for the default set.
    projections
        Maps of queries and documents: any of ``tsne``, ``pca``, ``umap``; with any of them also
        that of ``pca``.
    seed
        Of every random choice: anchors, blocks, nulls, maps.
    on_mismatch
        For two spaces whose ids differ: ``error``, or ``intersect`` to use the common ones.
    perplexity
        Of t-SNE, above 1.
    relevance_level
        Smallest grade of a positive, 1 or more.
    exact
        Use every row as an anchor, whatever it costs.
    sample
        All-pairs work within a side of more than twice as many rows is done from this many
        seeded anchors, the same ids in every space, against all rows; negatives are mined
        from twice as many. None means 5,000.
    relative_error
        As many anchors, 5,000 or more, as keep the relative standard error of the uniformity
        of sampled documents below this, up to all rows: a pilot of 500 decides. At most one of
        `exact`, `sample` and `relative_error` is given.
    """

    measures: tuple[str, ...] | None = None
    projections: tuple[Method, ...] = ("tsne",)
    seed: int = 0
    on_mismatch: str = "error"
    perplexity: float = 30.0
    relevance_level: int = 1
    exact: bool = False
    sample: int | None = None
    relative_error: float | None = None

    @property
    def maps(self) -> tuple[Method, ...]:
        """The projections, and PCA: no map stands without the one that bends nothing."""
        beside: tuple[Method, ...] = ("pca",) if self.projections else ()
        return tuple(dict.fromkeys((*self.projections, *beside)))

    def __post_init__(self) -> None:
        for name in self.projections:
            if name not in METHODS:
                raise UsageError(f"projection: {one_of(name, (*METHODS, 'none'))}")
        check_seed(self.seed)
        check_perplexity(self.perplexity)
        check_relevance_level(self.relevance_level)
        self._check_anchors()
        if self.measures is not None:
            from anisotropy.measures import expand

            expand(self.measures)

    def _check_anchors(self) -> None:
        given = {"exact": self.exact, "sample": self.sample is not None,
                 "relative error": self.relative_error is not None}  # fmt: skip
        if sum(given.values()) > 1:
            names = " and ".join(name for name, one in given.items() if one)
            raise UsageError(f"{names}: each decides how many rows are anchors; give one")
        if self.sample is not None and self.sample < 2:
            raise UsageError(f"sample: got {self.sample}; allowed: 2 or more")
        if self.relative_error is not None:
            from anisotropy.measures.budget import check_relative_error

            check_relative_error(self.relative_error)
