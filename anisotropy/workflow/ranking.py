"""Runs: measured and compared like spaces, as far as lists without vectors go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anisotropy.errors import CollectionError, UsageError, shown
from anisotropy.workflow.analyzing import baselines
from anisotropy.workflow.gathering import add_compared, gather_measured
from anisotropy.workflow.job import Say, tell
from anisotropy.workflow.options import AnalysisOptions

if TYPE_CHECKING:
    from anisotropy.collection import Collection
    from anisotropy.collection.runs import Run
    from anisotropy.measures.ranked import MeasuredRun, RankedFacts
    from anisotropy.results import Results


@dataclass(frozen=True)
class Judged:
    """What runs are held against.

    Attributes
    ----------
    name
        Of the file or the collection.
    qrels
        Query to document to grade.
    collection
        Whose documents (of a dual run, queries) are the items; None: those that are named.
    dual
        The runs rank queries for documents.
    warnings
        One line each.
    """

    name: str
    qrels: Mapping[str, Mapping[str, int]]
    collection: Collection | None = None
    dual: bool = False
    warnings: tuple[str, ...] = ()


def judgments_of(
    qrels: str | Path | Mapping[str, Mapping[str, int]] | None,
    collection: Collection | None = None,
    *,
    dual: bool = False,
) -> Judged:
    """Judgments from a file, a mapping or a collection.

    Raises
    ------
    UsageError
        If there are none.
    CollectionError
        If the file is not one of judgments.
    """
    from anisotropy.collection.judgments import read_judgments

    if isinstance(qrels, Mapping):
        return Judged("judgments given", qrels, collection, dual)
    if qrels is not None:
        found = read_judgments(Path(qrels))
        return Judged(found.name, found.qrels, collection, dual, found.warnings)
    if collection is None:
        raise UsageError(
            "a run needs judgments: --qrels FILE (query, document, grade, or the four columns of "
            "TREC), or --data D for those of a collection"
        )
    warnings = tuple(collection.warnings)
    return Judged(collection.name, collection.qrels(), collection, dual, warnings)


def analyze_runs(
    runs: Mapping[str, Run],
    judged: Judged,
    options: AnalysisOptions | None = None,
    *,
    baseline: str | None = None,
    config: Mapping[str, Any] | None = None,
    say: Say | None = None,
) -> Results:
    """Measure runs one by one, and test each against a baseline where one is named.

    Parameters
    ----------
    runs
        Label to run.
    judged
        What they are held against.
    options
        ``measures``, ``seed`` and ``relevance_level`` count.
    baseline, config, say
        As in :func:`anisotropy.workflow.analyze`.

    Returns
    -------
    Results
        Entries of ``spaces`` say that they are runs. Negatives are drawn from as many items in
        every run: those of the collection, or all that one of the runs or the judgments name.

    Raises
    ------
    CollectionError
        If a run ranks for nothing that is judged.
    UsageError
        If there is no such baseline.
    """
    from anisotropy.comparison.ranked import compare_runs

    options = options or AnalysisOptions()
    pairs = baselines(list(runs), baseline)
    measured = _measure(runs, judged, options, say)
    results = _gather(measured, judged, options, config)
    if pairs:
        of = {one.facts.label: one for one in measured}
        sides = [((first, other), [of[first]], [of[other]]) for other, first in pairs.items()]
        add_compared(results, compare_runs(sides))
    return results


def compare_two_runs(
    a: Mapping[str, Run],
    b: Mapping[str, Run],
    judged: Judged,
    options: AnalysisOptions | None = None,
    *,
    names: tuple[str, str],
    config: Mapping[str, Any] | None = None,
    say: Say | None = None,
) -> Results:
    """Measure two sides, one run or several seeds each, and test their differences, b minus a.

    Parameters
    ----------
    a, b
        Label to run; labels differ.
    names
        Of the sides.
    judged, options, config, say
        As in :func:`analyze_runs`.
    """
    from anisotropy.comparison import check_seeds
    from anisotropy.comparison.ranked import compare_runs

    check_seeds(len(a), len(b))
    options = options or AnalysisOptions()
    measured = _measure({**a, **b}, judged, options, say)
    results = _gather(measured, judged, options, config)
    for place, about in enumerate(results.spaces):
        about["side"] = "a" if place < len(a) else "b"
        about["method"] = names[place >= len(a)]
    add_compared(results, compare_runs([(names, measured[: len(a)], measured[len(a) :])]))
    return results


def _measure(
    runs: Mapping[str, Run], judged: Judged, options: AnalysisOptions, say: Say | None
) -> list[MeasuredRun]:
    from anisotropy.collection.runs import judged_for
    from anisotropy.measures.ranked import RankedFacts, measure_run

    if judged.collection is not None:
        runs, judged = _as_collection(runs, judged, judged.collection)
    judgments = [
        judged_for(run, judged.qrels, dual=judged.dual, where=judged.name) for run in runs.values()
    ]
    if judged.collection is not None:
        _check_listed(runs, judged, judged.collection)
    else:
        _check_judged(runs, judgments, judged)
    _check_level(judged, options.relevance_level)
    items = _items(runs, judgments, judged)
    common = min(run.depth for run in runs.values())
    chosen = list(options.measures) if options.measures is not None else None
    found = []
    for (label, run), own in zip(runs.items(), judgments, strict=True):
        tell(say, f"measuring {label}")
        facts = RankedFacts(
            run, label, own, items, dual=judged.dual, common=common, seed=options.seed,
            relevance_level=options.relevance_level,
        )  # fmt: skip
        found.append(measure_run(facts, chosen))
    return found


def _as_collection(
    runs: Mapping[str, Run], judged: Judged, collection: Collection
) -> tuple[dict[str, Run], Judged]:
    """Runs and judgments with documents spelled as the collection has them."""
    known = set(_of_collection(collection, dual=False))
    found = {
        label: replace(
            run,
            query_ids=_spelled(run.query_ids, known) if judged.dual else run.query_ids,
            doc_ids=run.doc_ids if judged.dual else _spelled(run.doc_ids, known),
        )
        for label, run in runs.items()
    }
    qrels = {
        query: dict(zip(_spelled(list(grades), known), grades.values(), strict=True))
        for query, grades in judged.qrels.items()
    }
    if judged.dual:  # documents come first in upstream's reversed files
        qrels = dict(zip(_spelled(list(qrels), known), qrels.values(), strict=True))
    return found, replace(judged, qrels=qrels)


def _spelled(names: list[str], known: set[str]) -> list[str]:
    """Names in the other spelling where only that one is known; no two become one."""
    from anisotropy.collection.judgments import other_spelling

    own = set(names)
    others = map(other_spelling, names)
    return [
        other if name not in known and other in known and other not in own else name
        for name, other in zip(names, others, strict=True)
    ]


def _check_listed(runs: Mapping[str, Run], judged: Judged, collection: Collection) -> None:
    """A run of another collection scores 0 everywhere, which looks like a poor run."""
    known = set(_of_collection(collection, judged.dual))
    what = "queries" if judged.dual else "documents"
    for run in runs.values():
        if known.isdisjoint(run.doc_ids):
            raise CollectionError(
                f"{run.name}: none of the {len(run.doc_ids)} {what} that it lists (such as "
                f"{run.doc_ids[0]!r}) is one of the {len(known)} of {collection.name!r}; give "
                "the collection that was searched, and a run with ids and not row numbers"
            )


def _check_judged(
    runs: Mapping[str, Run], judgments: Sequence[Mapping[str, Mapping[str, int]]], judged: Judged
) -> None:
    """Judgments of other documents: every run scores 0, as a poor one does."""
    what = "queries" if judged.dual else "documents"
    for run, own in zip(runs.values(), judgments, strict=True):
        names = list(dict.fromkeys(name for grades in own.values() for name in grades))
        if names and set(names).isdisjoint(run.doc_ids):
            raise CollectionError(
                f"{run.name}: none of the {len(names)} {what} judged in {judged.name} (such as "
                f"{shown(names[0])}) is among the {len(run.doc_ids)} that it lists (such as "
                f"{shown(run.doc_ids[0])}); give judgments with the ids of this run"
            )


def _check_level(judged: Judged, level: int) -> None:
    """Without a positive a run says nothing at all."""
    highest = max((max(own.values()) for own in judged.qrels.values() if own), default=0)
    if highest < level:
        raise UsageError(
            f"{judged.name}: no judgment of grade {level} or above (highest: {highest}); "
            "--relevance-level says what is relevant"
        )


def _items(
    runs: Mapping[str, Run],
    judgments: Sequence[Mapping[str, Mapping[str, int]]],
    judged: Judged,
) -> list[str]:
    """Ids of everything that could be listed; what only a run names comes last."""
    found: dict[str, None] = {}
    if judged.collection is not None:
        found |= dict.fromkeys(_of_collection(judged.collection, judged.dual))
    for qrels in judgments:
        for grades in qrels.values():
            found |= dict.fromkeys(grades)
    for run in runs.values():
        found |= dict.fromkeys(run.doc_ids)
    return list(found)


def _of_collection(collection: Collection, dual: bool) -> list[str]:
    if dual:
        return [query.query_id for query in collection.queries()]
    return [document.doc_id for document in collection.documents()]


def _gather(
    measured: Sequence[MeasuredRun],
    judged: Judged,
    options: AnalysisOptions,
    config: Mapping[str, Any] | None,
) -> Results:
    about = [_provenance(one.facts, judged) for one in measured]
    results = gather_measured(measured, about, options, config)
    results.collection = {"name": judged.name, "judgments": judged.name}
    if judged.collection is not None:
        results.collection |= {
            "name": judged.collection.name,
            "note": judged.collection.note,
            "split": judged.collection.split,
            "fingerprint": judged.collection.fingerprint,
        }
    results.warnings[:0] = [*judged.warnings, *_said_of_items(measured, judged)]
    return results


def _said_of_items(measured: Sequence[MeasuredRun], judged: Judged) -> list[str]:
    """How many items negatives are drawn from, where the collection does not say it alone."""
    facts = measured[0].facts
    count, role = len(facts.items), facts.role
    if judged.collection is None:
        return [
            f"negatives are drawn from the {count} {role} that the runs or the judgments name; "
            "--data takes those of the collection"
        ]
    known = len(set(_of_collection(judged.collection, judged.dual)))
    if count == known:
        return []
    return [
        f"{count - known} {role} that the runs or the judgments name are not among the {known} "
        f"of {judged.collection.name!r}; counted as well"
    ]


def _provenance(facts: RankedFacts, judged: Judged) -> dict[str, Any]:
    run, role = facts.run, facts.role
    where = "of the collection" if judged.collection is not None else (
        "that the runs or the judgments name")  # fmt: skip
    return {
        "label": facts.label,
        "kind": "run",
        "step": None,
        "recipe": {
            "name": "run",
            "file": run.name,
            "layout": run.layout,
            "ranks": "queries for documents" if facts.dual else "documents for queries",
            "order": run.order,
            "depth": run.depth,
            "scores": run.scores is not None,
            "items": f"{len(facts.items)} {role} {where}",
            "sources": {},
            "doubts": [],
        },
        "counts": {
            "queries": len(facts.items if facts.dual else facts.anchors),
            "documents": len(facts.anchors if facts.dual else facts.items),
            "judged_pairs": sum(map(len, facts.judgments.values())),
            "lists": len(run.query_ids),
            "entries": len(run.documents),
        },
        "fingerprint": run.fingerprint,
    }
