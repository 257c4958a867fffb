"""Observed negatives: beside a space, or from their files alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anisotropy.workflow.gathering import gather_measured
from anisotropy.workflow.job import Say, tell
from anisotropy.workflow.options import AnalysisOptions

if TYPE_CHECKING:
    from anisotropy.measures import ObservedNegatives
    from anisotropy.results import Results
    from anisotropy.spaces import EmbeddingSpace


def add_observed(
    results: Results,
    space: EmbeddingSpace,
    path: str | Path,
    *,
    offsets: str | Path | None = None,
    seed: int = 0,
) -> None:
    """Put what a file of negatives says was drawn beside what was measured of a space.

    Parameters
    ----------
    results
        Of the space.
    space
        Whose items were drawn.
    path
        A file of negatives, or a folder of sets: the newest whole one.
    offsets
        As in :func:`anisotropy.observed_negatives`.
    seed
        Of the simulated nulls.

    Raises
    ------
    CollectionError
        If a file cannot be read, or names what the space has not.
    """
    from anisotropy.measures.observed import measure_negatives

    observed = _observed(path, space, offsets)
    found = measure_negatives(space.label, observed, seed=seed)
    results.rows += found.rows
    results.curves += found.curves
    results.withheld += found.withheld
    for entry in results.spaces:
        if entry["label"] == space.label:
            entry["recipe"] = {**entry["recipe"], "negatives": _about(observed)}


def analyze_negatives(
    sources: Mapping[str, str | Path],
    options: AnalysisOptions | None = None,
    *,
    offsets: str | Path | None = None,
    config: Mapping[str, Any] | None = None,
    say: Say | None = None,
) -> Results:
    """Measure how evenly the files of mining runs say that items were drawn.

    Parameters
    ----------
    sources
        Label to a file of negatives.
    options
        ``seed`` counts.
    offsets
        As in :func:`anisotropy.observed_negatives`; it also says how many items there are.
    config, say
        As in :func:`anisotropy.workflow.analyze`.

    Returns
    -------
    Results
        Entries of ``spaces`` say that they are negatives, with the mark of the set.
    """
    from anisotropy.measures.observed import measure_negatives

    options = options or AnalysisOptions()
    measured, about, warnings = [], [], []
    for label, path in sources.items():
        tell(say, f"counting {label}")
        observed = _observed(path, None, offsets)
        measured.append(measure_negatives(label, observed, seed=options.seed))
        about.append({"label": label, **_entry(observed)})
        warnings += [_items_text(one) for one in observed]
    results = gather_measured(measured, about, options, config)
    results.collection = {"name": "files of negatives"}
    results.warnings += dict.fromkeys(filter(None, warnings))
    return results


def _observed(
    path: str | Path, space: EmbeddingSpace | None, offsets: str | Path | None
) -> list[ObservedNegatives]:
    """What was drawn, one a role that the file holds."""
    from anisotropy.collection.negative_files import negatives_file, roles_in
    from anisotropy.measures import observed_negatives

    file = negatives_file(path)
    found = []
    for role in roles_in(file):
        if role == "documents" or _draws(file, role):
            own = None if _unmapped(offsets, role) else offsets
            found.append(observed_negatives(file, space, role, offsets=own))  # type: ignore[arg-type]
    return found


def _unmapped(offsets: str | Path | None, role: str) -> bool:
    """Whether a folder has no map of the queries: those of DPR have no ids but their rows."""
    from anisotropy.collection.offsets import JSON_MAP, QUERY_MAP

    if offsets is None or role != "queries" or not Path(offsets).is_dir():
        return False
    return not any(
        path.name.endswith(QUERY_MAP) or path.name == JSON_MAP for path in Path(offsets).iterdir()
    )


def _draws(file: Path, role: str) -> bool:
    """Whether any list of a role holds something: upstream's lists may be empty."""
    from anisotropy.collection.negative_files import drawn_lines

    return any(line.negatives for line in drawn_lines(file, role))


def _items_text(one: ObservedNegatives) -> str:
    if one.source != "that the file names":
        return ""
    return (
        f"{one.role} drawn from the {len(one.ids)} that {one.file and one.file.name} names; "
        "--offsets takes all that there are"
    )


def _about(observed: list[ObservedNegatives]) -> dict[str, Any]:
    """Where the counts are from, and what the mark of the set says."""
    from anisotropy.collection.negative_files import mark_of

    file = observed[0].file
    found: dict[str, Any] = {"file": str(file) if file else ""}
    if file and (mark := mark_of(file)) is not None:
        found["mark"] = mark
    for one in observed:
        found[f"items_{one.role}"] = f"{len(one.ids)} {one.source}"
        found[f"lists_{one.role}"] = one.anchors
        found[f"draws_{one.role}"] = int(one.counts.sum())
    return found


def _entry(observed: list[ObservedNegatives]) -> dict[str, Any]:
    from anisotropy.files import sha256_file

    about = _about(observed)
    mark = about.get("mark", {})
    step = re.search(r"checkpoint-(\d{1,15})(?!\d)", str(mark.get("checkpoint", "")))
    file = observed[0].file
    return {
        "kind": "negatives",
        "step": int(step[1]) if step else None,
        "recipe": {"name": "observed negatives", **about, "sources": {}, "doubts": []},
        "counts": {one.role: len(one.ids) for one in observed},
        "fingerprint": sha256_file(file)[:16] if file else "",
    }
