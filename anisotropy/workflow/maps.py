"""The maps: which spaces are drawn together, and what is kept where one cannot be drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from anisotropy.projection import TooFewPoints
from anisotropy.results import Curve
from anisotropy.workflow.job import drawing_text

if TYPE_CHECKING:
    from anisotropy.results import Results
    from anisotropy.spaces import EmbeddingSpace
    from anisotropy.workflow.job import Job
    from anisotropy.workflow.options import AnalysisOptions


def mapped_together(
    spaces: Sequence[EmbeddingSpace], compared: bool
) -> list[Sequence[EmbeddingSpace]]:
    """Groups of spaces whose maps are aligned: those that are compared, else each alone."""
    return [spaces] if compared else [[space] for space in spaces]


def draw_maps(spaces: Sequence[EmbeddingSpace], options: AnalysisOptions, job: Job) -> list[Curve]:
    """Draw every map that the options name of spaces together, telling of each."""
    from anisotropy.projection import MapOptions, MapPoints, join_maps

    if not options.maps:
        return []
    asked = MapOptions(
        perplexity=options.perplexity,
        random_state=options.seed,
        relevance_level=options.relevance_level,
    )
    points, curves = MapPoints(spaces, asked), list[Curve]()
    for method in options.maps:
        part = job.begin(drawing_text(method, spaces))
        curves += points.draw(method)
        part(1.0)
    return join_maps(curves)


def add_maps(results: Results, draw: Callable[[], list[Curve]]) -> None:
    """A map of too few points is left out and said so; everything else is kept."""
    try:
        results.curves += draw()
    except TooFewPoints as error:
        results.warnings.append(f"no map: {error}")
