"""The list of figures, and their files."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from anisotropy.files import replacing
from anisotropy.plots import style
from anisotropy.plots.claims import claims, claims_caption, claims_rows
from anisotropy.plots.compared import drawn, has_pair, one_pair
from anisotropy.plots.curves import spectrum, spectrum_caption
from anisotropy.plots.densities import cosines, cosines_caption, distances, distances_caption
from anisotropy.plots.history import history, history_caption
from anisotropy.plots.hubs import hubness, hubness_caption
from anisotropy.plots.maps import methods_of, projection_map, projection_map_caption
from anisotropy.plots.movement import movement, movement_caption, movement_ready
from anisotropy.plots.negatives import (
    lorenz,
    lorenz_caption,
    negative_probability,
    negative_probability_caption,
    negative_probability_ready,
    negative_profile,
    negative_profile_caption,
)
from anisotropy.plots.summary import (
    differences,
    differences_caption,
    differences_rows,
    uniformity_alignment,
    uniformity_alignment_caption,
    uniformity_alignment_points,
)
from anisotropy.results import Results

_NO_LAYOUT: Any = {"figure.constrained_layout.use": False, "figure.autolayout": False}
#: As what figures are saved.
FORMATS = ("pdf", "png")
# No time stamps and no program versions: the same results give the same bytes.
_METADATA = {
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
}


_MEASURED = "'anisotropy compare', 'analyze' and 'reproduce' write it"
_JUDGED = f"{_MEASURED} where queries are judged"


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
    needs
        What that is, and which command gives it.
    family
        Family of measures beside whose table it stands; ``claims``, ``headline``, ``maps`` or
        ``training`` where it is of none.
    every
        Whether it is drawn of all spaces, however many; else of many spaces the first seed of
        each method.
    of_pair
        Whether it is of one comparison.
    """

    name: str
    title: str
    draw: Callable[..., Figure]
    caption: Callable[[Results], str]
    ready: Callable[[Results], bool]
    needs: str
    family: str
    every: bool = False
    of_pair: bool = False

    def of(self, results: Results) -> Results:
        """The part of the results that it is drawn of."""
        return results if self.every else drawn(results)


def _has(name: str, column: str = "") -> Callable[[Results], bool]:
    """Whether there are curves of that name; with `column`, whether all have it."""

    def ready(results: Results) -> bool:
        found = results.find_curves(name)
        return bool(found) and all(not column or column in curve.columns for curve in found)

    return ready


def _of_curve(
    name: str,
    curve: str,
    title: str,
    draw: Callable[..., Figure],
    caption: Callable[[Results], str],
    family: str,
    given: str = _MEASURED,
) -> FigureKind:
    """A figure that takes one kind of curve and nothing else."""
    needs = f"curve {curve!r}; {given}"
    return FigureKind(name, title, draw, caption, _has(curve), needs, family)


def _map(method: str, title: str) -> FigureKind:
    return FigureKind(
        method,
        title,
        functools.partial(projection_map, method=method),
        lambda results: projection_map_caption(results, method),
        lambda results: method in methods_of(results),
        f"map of method {method!r}; --projection {method} at 'anisotropy compare', 'analyze' or "
        "'reproduce' makes it",
        "maps",
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
            "decided claims with a tested measure; 'anisotropy reproduce' decides them",
            "claims",
            every=True,
        ),
        FigureKind(
            "differences",
            "Headline differences",
            differences,
            differences_caption,
            lambda results: has_pair(results) and bool(differences_rows(one_pair(results))),
            "one comparison with intervals; 'anisotropy compare' makes it, --pair LABEL picks "
            "it from several",
            "headline",
            every=True,
            of_pair=True,
        ),
        _of_curve("spectrum", "spectrum", "Spectrum", spectrum, spectrum_caption, "spread"),
        FigureKind(
            "uniformity_alignment",
            "Uniformity and alignment",
            uniformity_alignment,
            uniformity_alignment_caption,
            lambda results: bool(uniformity_alignment_points(results)),
            "rows uniformity(t=2) and alignment(alpha=2); the default measures of 'anisotropy "
            "compare', 'analyze' and 'reproduce' hold them where queries are judged",
            "uniformity",
        ),
        _of_curve("cosines", "cosines", "Cosines", cosines, cosines_caption, "cone"),
        _of_curve(
            "distances",
            "distances",
            "Query-document distances",
            distances,
            distances_caption,
            "query_document",
        ),
        FigureKind(
            "movement",
            "Movement of each query's relevant documents",
            movement,
            movement_caption,
            movement_ready,
            "one comparison of judged queries (curve 'changes'); 'anisotropy compare' makes it, "
            "--pair LABEL picks it from several",
            "query_document",
            every=True,
            of_pair=True,
        ),
        _of_curve(
            "hubness",
            "k_occurrence",
            "Hubs",
            hubness,
            hubness_caption,
            "local",
            "'anisotropy compare', 'analyze' and 'reproduce' write it with a measure of hubs, "
            "such as hubness_gini(k=10), among --measures",
        ),
        FigureKind(
            "negative_probability",
            "Negative-sampling probabilities",
            negative_probability,
            negative_probability_caption,
            negative_probability_ready,
            f"curve 'negative_probability'; {_JUDGED}",
            "negatives",
        ),
        FigureKind(
            "lorenz",
            "Lorenz curves of negative sampling",
            lorenz,
            lorenz_caption,
            _has("negative_probability", "lorenz"),
            f"curve 'negative_probability' with a column 'lorenz'; {_JUDGED}",
            "negatives",
        ),
        _of_curve(
            "negative_profile",
            "negative_profile",
            "What is in the mined lists",
            negative_profile,
            negative_profile_caption,
            "negatives",
            _JUDGED,
        ),
        _map("tsne", "Map of queries and documents (t-SNE)"),
        _map("pca", "Map of queries and documents (PCA)"),
        _map("umap", "Map of queries and documents (UMAP)"),
        FigureKind(
            "history",
            "Training",
            history,
            history_caption,
            _has("history"),
            "curve 'history'; 'anisotropy compare', 'analyze' and 'reproduce' write it for "
            "checkpoints that were trained here (not for stores)",
            "training",
            every=True,
        ),
    )
}


def available(results: Results) -> list[FigureKind]:
    """The figures that these results hold the curves and rows for, in order.

    The PCA map is left out where another has it beside.
    """
    ready = {name: kind for name, kind in FIGURES.items() if kind.ready(kind.of(results))}
    if ready.keys() & {"tsne", "umap"}:
        ready.pop("pca", None)
    return list(ready.values())


def render(figure: Figure, form: str, dpi: int = 300) -> bytes:
    """Bytes of a figure as ``pdf``, ``png`` or ``svg``, the same for the same figure."""
    file = io.BytesIO()
    with matplotlib.rc_context(style.STYLE):
        figure.savefig(file, format=form, dpi=dpi, metadata=_METADATA[form])
    return file.getvalue()


def save_figures(
    results: Results, folder: str | Path, *, elsewhere: Collection[str] = ()
) -> list[Path]:
    """Write each figure whose curves are there as PDF and PNG.

    Files of the other figures, left in `folder` by an earlier run, are removed.

    Parameters
    ----------
    results
        What to draw; of many spaces the first seed of each method (:func:`drawn`).
    folder
        Made if it does not exist.
    elsewhere
        Names of figures that another process writes there: their files are left as they are.

    Returns
    -------
    list of Path
        The files, figure by figure, those from elsewhere too.
    """
    paths = []
    for kind in available(results):
        path = Path(folder) / kind.name
        if kind.name in elsewhere:
            paths += [_file(path, form) for form in FORMATS]
        else:
            paths += save_figure(kind.draw(kind.of(results)), path)
    _remove_others(Path(folder), paths)
    return paths


def save_figure(figure: Figure, path: Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write one figure as `path` with the suffix of each format, and return the files."""
    paths = []
    for form in formats:
        paths.append(_file(path, form))
        with replacing(paths[-1]) as temporary:
            temporary.write_bytes(render(figure, form))
        # Laid out once; the second file is drawn as the first, and not twice for its layout.
        with matplotlib.rc_context(_NO_LAYOUT):
            figure.set_layout_engine(None)
    return paths


def _file(path: Path, form: str) -> Path:
    return path.with_name(f"{path.name}.{form}")


def _remove_others(folder: Path, paths: list[Path]) -> None:
    for name in FIGURES:
        for path in (_file(folder / name, form) for form in FORMATS):
            if path not in paths and path.is_file():
                path.unlink()
