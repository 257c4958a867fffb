"""The maps: which spaces are drawn together, and what is kept where one cannot be drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from anisotropy.projection import TooFewPoints
from anisotropy.workflow.job import drawing_text

if TYPE_CHECKING:
    from anisotropy.results import Curve, Results
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
    from anisotropy.projection import join_maps, project_all

    curves: list[Curve] = []
    settings: Any = {"perplexity": options.perplexity, "random_state": options.seed}
    for method in options.maps:
        part = job.begin(drawing_text(method, spaces))
        curves += project_all(spaces, method, **settings)
        part(1.0)
    return join_maps(curves)


def add_maps(results: Results, draw: Callable[[], list[Curve]]) -> None:
    """A map of too few points is left out and said so; everything else is kept."""
    try:
        results.curves += draw()
    except TooFewPoints as error:
        results.warnings.append(f"no map: {error}")
