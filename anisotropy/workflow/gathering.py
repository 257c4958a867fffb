"""Measurements and comparisons put into one ``Results``, with where they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from anisotropy import engine
from anisotropy.results import Curve, Results
from anisotropy.spaces.store import versions
from anisotropy.workflow.job import curves_text

if TYPE_CHECKING:
    from anisotropy.collection import Collection
    from anisotropy.comparison import Compared
    from anisotropy.measures import MeasuredSpace
    from anisotropy.measures.observed import MeasuredNegatives
    from anisotropy.measures.ranked import MeasuredRun
    from anisotropy.results import Withheld
    from anisotropy.spaces import EmbeddingSpace
    from anisotropy.workflow.job import Job
    from anisotropy.workflow.options import AnalysisOptions

_VERSIONED = (
    "anisotropy",
    "numpy",
    "scipy",
    "scikit-learn",
    "torch",
    "transformers",
    "sentence-transformers",
    "openTSNE",
)


def gather(
    spaces: Sequence[EmbeddingSpace],
    measured: Sequence[MeasuredSpace],
    options: AnalysisOptions,
    collection: Collection | None,
    config: Mapping[str, Any] | None,
    job: Job,
) -> Results:
    """Put measurements and curves into results, with where they come from."""
    from anisotropy.measures.run import ANCHORS

    used = engine.device_used()
    results = Results(
        spaces=[_provenance(space) for space in spaces],
        collection=_describe(spaces[0], collection),
        config={
            "measures": list(options.measures or ("default",)),
            **(config or {}),
            **({} if used is None else {"device": used}),
            "anchors": "all" if options.exact else options.sample or ANCHORS,
        },
        versions=versions(_VERSIONED),
        warnings=[
            *(collection.warnings if collection is not None else []),
            *(line for space in spaces for line in space.recipe.get("notes", ())),
        ],
        opened={space.label: space for space in spaces},
    )
    for space in spaces:
        results.warnings += [line for line in space.warnings if line not in results.warnings]
    for item in measured:
        results.rows += item.rows
        job(curves_text(item.space), 0.0)
        results.curves += item.curves
        job(curves_text(item.space), 1.0)
        results.curves += _history(item.space)
        results.warnings += [line for line in item.warnings if line not in results.warnings]
    results.withheld += _withheld([(item.space.label, item.withheld) for item in measured])
    return results


def gather_measured(
    measured: Sequence[MeasuredRun | MeasuredNegatives],
    about: Sequence[dict[str, Any]],
    options: AnalysisOptions,
    config: Mapping[str, Any] | None,
) -> Results:
    """Put what was measured without embeddings into results.

    Parameters
    ----------
    measured
        Runs, or files of negatives.
    about
        The entry of each in ``spaces``.
    options, config
        As in :func:`gather`.
    """
    results = Results(
        spaces=list(about),
        config={"measures": list(options.measures or ("default",)), **(config or {})},
        versions=versions(("anisotropy", "numpy", "scipy")),
    )
    for item in measured:
        results.rows += item.rows
        results.curves += item.curves
        results.warnings += [line for line in item.warnings if line not in results.warnings]
    labels = [str(entry["label"]) for entry in about]
    withheld = [item.withheld for item in measured]
    results.withheld += _withheld(list(zip(labels, withheld, strict=True)))
    return results


def _history(space: EmbeddingSpace) -> list[Curve]:
    """How the checkpoint was trained, where it was here."""
    known = space.history
    return [] if known is None else [Curve("history", space.label, "training", known)]


def _withheld(measured: Sequence[tuple[str, Sequence[Withheld]]]) -> list[Withheld]:
    """What could not be measured, once where it could not in any of the spaces."""
    where: dict[Withheld, list[str]] = {}
    for label, rows in measured:
        for row in rows:
            where.setdefault(row, []).append(label)
    return [
        replace(row, space=label)
        for row, labels in where.items()
        for label in ([""] if len(labels) == len(measured) else labels)
    ]


def _provenance(space: EmbeddingSpace) -> dict[str, Any]:
    return {
        "label": space.label,
        "step": space.step,
        "recipe": space.recipe,
        "counts": space.counts,
        "fingerprint": space.fingerprint,
    }


def _describe(space: EmbeddingSpace, collection: Collection | None) -> dict[str, Any]:
    """What was encoded, as the store says; else as the collection does."""
    described = dict(space.collection_info)
    if described.get("documents_option") == "all":
        del described["documents_option"]
    if collection is not None:
        described = {
            "name": collection.name,
            "note": collection.note,
            "split": collection.split,
            "fingerprint": collection.fingerprint,
            "documents": collection.n_documents,
            **described,
        }
    return described


def add_compared(results: Results, found: Compared) -> None:
    """Put what a comparison found into the results."""
    results.deltas += found.differences
    results.likenesses += found.similarities
    results.links += found.associations
    results.withheld += found.withheld
    results.curves += found.curves
