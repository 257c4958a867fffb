"""The list of figures, and their files."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from anisotropy.files import replacing
from anisotropy.plots import style
from anisotropy.plots.claims import claims, claims_caption, claims_rows
from anisotropy.plots.compared import drawn
from anisotropy.plots.curves import (
    distances,
    distances_caption,
    negative_probability,
    negative_probability_caption,
    spectrum,
    spectrum_caption,
)
from anisotropy.plots.maps import methods_of, projection_map, projection_map_caption
from anisotropy.plots.summary import (
    differences,
    differences_caption,
    differences_rows,
    uniformity_alignment,
    uniformity_alignment_caption,
    uniformity_alignment_points,
)
from anisotropy.results import Results

# No time stamps and no program versions: the same results give the same bytes.
_METADATA = {
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
}


@dataclass(frozen=True)
class FigureKind:
    """A figure by name.

    Attributes
    ----------
    name, title
        File name and heading.
    draw
        Results to figure; takes ``caption``.
    caption
        Results to the caption, for pages that set it as text.
    ready
        Whether the results hold what it needs.
    """

    name: str
    title: str
    draw: Callable[..., Figure]
    caption: Callable[[Results], str]
    ready: Callable[[Results], bool]


def _has(name: str) -> Callable[[Results], bool]:
    return lambda results: bool(results.find_curves(name))


def _map(method: str, title: str) -> FigureKind:
    return FigureKind(
        method,
        title,
        functools.partial(projection_map, method=method),
        lambda results: projection_map_caption(results, method),
        lambda results: method in methods_of(results),
    )


FIGURES = {
    kind.name: kind
    for kind in (
        FigureKind(
            "claims",
            "Claims",
            claims,
            claims_caption,
            lambda results: bool(claims_rows(results)),
        ),
        FigureKind(
            "differences",
            "Headline differences",
            differences,
            differences_caption,
            lambda results: len(results.comparisons) == 1 and bool(differences_rows(results)),
        ),
        FigureKind("spectrum", "Spectrum", spectrum, spectrum_caption, _has("spectrum")),
        FigureKind(
            "uniformity_alignment",
            "Uniformity and alignment",
            uniformity_alignment,
            uniformity_alignment_caption,
            lambda results: bool(uniformity_alignment_points(results)),
        ),
        FigureKind(
            "distances",
            "Query-document distances",
            distances,
            distances_caption,
            _has("distances"),
        ),
        FigureKind(
            "negative_probability",
            "Negative-sampling probabilities",
            negative_probability,
            negative_probability_caption,
            _has("negative_probability"),
        ),
        _map("tsne", "Map of queries and documents (t-SNE)"),
        _map("pca", "Map of queries and documents (PCA)"),
        _map("umap", "Map of queries and documents (UMAP)"),
    )
}


def available(results: Results) -> list[FigureKind]:
    """The figures that these results hold the curves and rows for, in order."""
    return [kind for kind in FIGURES.values() if kind.ready(results)]


@style.styled
def render(figure: Figure, form: str, dpi: int = 300) -> bytes:
    """Bytes of a figure as ``pdf``, ``png`` or ``svg``, the same for the same figure."""
    file = io.BytesIO()
    figure.savefig(file, format=form, dpi=dpi, metadata=_METADATA[form])
    return file.getvalue()


def save_figures(results: Results, folder: str | Path) -> list[Path]:
    """Write each figure whose curves are there as PDF and PNG.

    Files of the other figures, left in `folder` by an earlier run, are removed.

    Parameters
    ----------
    results
        What to draw; of many spaces the first seed of each method (:func:`drawn`).
    folder
        Made if it does not exist.

    Returns
    -------
    list of Path
        The files, figure by figure.
    """
    paths = []
    results = drawn(results)
    for kind in available(results):
        figure = kind.draw(results)
        for form in ("pdf", "png"):
            path = Path(folder) / f"{kind.name}.{form}"
            with replacing(path) as temporary:
                temporary.write_bytes(render(figure, form))
            # Laid out once; the second file is drawn as the first.
            figure.set_layout_engine("none")
            paths.append(path)
    _remove_others(Path(folder), paths)
    return paths


def _remove_others(folder: Path, paths: list[Path]) -> None:
    for name in FIGURES:
        for path in (folder / f"{name}.pdf", folder / f"{name}.png"):
            if path not in paths and path.is_file():
                path.unlink()
