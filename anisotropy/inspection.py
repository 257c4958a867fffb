"""What a thing is: a checkpoint, store, dump, collection, run, negatives, map or judgments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.collection.judgments import is_judgments, read_judgments
from anisotropy.collection.negative_files import (
    OFFSETS,
    all_sets,
    complete_sets,
    drawn_lines,
    is_negatives,
    mark_of,
    read_mark,
    roles_in,
    set_file,
)
from anisotropy.collection.offsets import is_offsets, read_offsets
from anisotropy.collection.runs import is_run, read_run
from anisotropy.errors import AnisotropyError, CheckpointError, CollectionError, printable
from anisotropy.opening import EncoderOptions
from anisotropy.spaces.dumps import upstream
from anisotropy.spaces.dumps.base import DumpOptions
from anisotropy.spaces.dumps.opening import is_dump, open_dump
from anisotropy.spaces.store import is_store, open_store, read_manifest


def describe(
    thing: str | Path,
    *,
    encoder: EncoderOptions | None = None,
    dump: DumpOptions | None = None,
    verify: bool = False,
) -> dict[str, Any]:
    """Describe a checkpoint, training folder, store, dump, collection, run, or mined negatives.

    Parameters
    ----------
    thing
        A path, a hub id, or the name of a collection.
    encoder
        How to read a checkpoint.
    dump
        What the files of a dump do not say.
    verify
        Check every checksum of a store.

    Returns
    -------
    dict
        ``kind`` and what belongs to it.

    Raises
    ------
    InputError
        If it is none of these; the message is that of the nearest kind.
    """
    path = Path(thing)
    if path.is_dir() and is_store(path):
        return _store(path, verify)
    if upstream.find(path):
        return {"kind": "dump", **upstream.describe(path)}
    if is_dump(path):
        return {"kind": "dump", **_dump(path, dump)}
    if is_offsets(path):
        return {"kind": "map of offsets", **_offsets(path)}
    if is_judgments(path):
        return {"kind": "judgments", **_judged(path)}
    if is_run(path):
        return {"kind": "run", **_run(path)}
    if is_negatives(path):
        return {"kind": "negatives", **(_sets if path.is_dir() else _negatives)(path)}
    series = _series(path) if path.is_dir() else None
    if series is not None:
        return {"kind": "training folder", **series}
    try:
        return {"kind": "collection", **_collection(thing)}
    except CollectionError as no_collection:
        return {"kind": "checkpoint", **_checkpoint(thing, encoder, no_collection)}


def _store(path: Path, verify: bool) -> dict[str, Any]:
    space = open_store(path, verify=verify)
    manifest = read_manifest(path)
    return {
        "kind": "store",
        "format": manifest["format"],
        "checksums": "verified" if verify else "not checked (--verify checks them)",
        "checkpoint": manifest["checkpoint"],
        "collection": manifest["collection"],
        "counts": space.counts,
        "dtype": manifest["dtype"],
        "recipe": manifest["recipe"],
        "versions": manifest["versions"],
    }


def _dump(path: Path, options: DumpOptions | None) -> dict[str, Any]:
    space = open_dump(path, options)
    sides = {"queries": space.query_ids, "documents": space.doc_ids}
    return {
        "layout": space.recipe["layout"],
        "counts": space.counts,
        "dtype": str((space.documents if space.doc_ids else space.queries).dtype),
        "ids": {side: ", ".join(ids[:3]) + " …" * (len(ids) > 3) for side, ids in sides.items()},
        "ids from": space.recipe["sources"]["ids"],
        "similarity": f"{space.similarity} ({space.recipe['sources']['similarity']})",
        "doubts": space.recipe["doubts"],
        "warnings": space.warnings,
    }


def _series(folder: Path) -> dict[str, Any] | None:
    """Checkpoints of a training run with their layouts; None for anything else."""
    from anisotropy.encoders.layouts import recognize_source
    from anisotropy.encoders.series import find_series

    series = find_series(folder)
    if series is None:
        return None
    layouts: dict[str, str] = {}
    for path in series.complete:
        try:
            layouts[path.name] = recognize_source(path).layout
        except CheckpointError as error:
            layouts[path.name] = f"cannot be read: {error}"
    return {"folder": str(folder), "checkpoints": layouts, "skipped": dict(series.skipped)}


def _offsets(path: Path) -> dict[str, Any]:
    found = read_offsets(path, "documents")
    return {
        "name": path.name,
        "ids": len(found.ids),
        "rows": f"0 to {found.size - 1}, {found.size - len(found.ids)} of them without an id",
        "examples": [
            f"{name} = row {row}"
            for name, row in zip(found.ids[:3], found.rows[:3].tolist(), strict=True)
        ],
    }


def _judged(path: Path) -> dict[str, Any]:
    found = read_judgments(path)
    grades = Counter(grade for own in found.qrels.values() for grade in own.values())
    return {
        "name": found.name,
        "queries": len(found.qrels),
        "documents": len({name for own in found.qrels.values() for name in own}),
        "judged_pairs": grades.total(),
        "grades": {str(grade): count for grade, count in sorted(grades.items())},
        "warnings": list(found.warnings),
    }


def _run(path: Path) -> dict[str, Any]:
    run = read_run(path)
    lengths = np.diff(run.starts)
    found: dict[str, Any] = {
        "name": run.name,
        "layout": run.layout,
        "ordered by": run.order,
        "queries": len(run.query_ids),
        "documents": len(run.doc_ids),
        "entries": len(run.documents),
        "depth": f"{int(lengths.min())} to {run.depth} a query",
    }
    if run.scores is not None:
        found["scores"] = f"{run.scores.min():g} to {run.scores.max():g}"
    return {**found, "fingerprint": run.fingerprint, "warnings": list(run.warnings)}


def _negatives(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {"name": path.name}
    for role in roles_in(path):
        sizes, names, pairs = Counter[int](), set[str](), 0
        for line in drawn_lines(path, role):
            pairs += 1
            sizes[len(line.negatives)] += 1
            names.update(line.negatives)
        if not pairs:  # groups may have none
            raise CollectionError(f"{path}: no pairs in it; needed: pairs with their negatives")
        found["pairs"] = pairs
        found[f"negative {role}"] = f"{min(sizes)} to {max(sizes)} a pair, {len(names)} different"
    mark = mark_of(path)
    found["mark"] = mark if mark is not None else "none: the set is not marked as whole"
    beside = path.parent / OFFSETS
    found["names"] = (
        f"row numbers, turned back by {beside.name}"
        if beside.is_file()
        else "ids, or row numbers that --offsets turns back"
    )
    return found


def _sets(folder: Path) -> dict[str, Any]:
    """Every set of a folder; the newest whole one in full."""
    whole, every = complete_sets(folder), all_sets(folder)
    found: dict[str, Any] = {
        "name": folder.resolve().name,
        "whole sets": whole,
        "unfinished sets": [number for number in every if number not in whole],
        "marks": {str(number): read_mark(folder, number) for number in whole},
    }
    if whole:
        newest = set_file(folder, whole[-1])
        found["newest"] = {k: v for k, v in _negatives(newest).items() if k != "mark"}
    return found


def _collection(thing: str | Path) -> dict[str, Any]:
    from anisotropy.collection import open_collection

    found = open_collection(thing)
    return {
        "name": found.name,
        "note": found.note,
        "fingerprint": found.fingerprint,
        "documents": found.n_documents,
        "split": found.split,
        "splits": {split: len(found.queries(split)) for split in found.splits},
        "judged_pairs": {
            split: sum(map(len, found.qrels(split).values())) for split in found.splits
        },
        **found.details,
        "warnings": list(found.warnings),
    }


def _checkpoint(
    thing: str | Path, encoder: EncoderOptions | None, no_collection: AnisotropyError
) -> dict[str, Any]:
    from anisotropy.encoders import describe_checkpoint

    options = encoder or EncoderOptions()
    path = Path(thing)
    if path.is_dir() and not any(path.iterdir()):
        raise CheckpointError(
            f"{path}: an empty folder; needed: a checkpoint, store or collection"
        )
    try:
        return describe_checkpoint(
            thing,
            recipe=options.recipe,
            overrides=dict(options.overrides),
            tokenizer=options.tokenizer,
            backbone=options.backbone,
        )
    except CheckpointError as error:
        if not path.is_dir():
            raise
        raise CheckpointError(f"{error} (nor is it a collection: {no_collection})") from None


def as_text(found: Mapping[str, Any]) -> str:
    """The description as indented lines: recipes as tables, used tensors only counted."""
    shown = dict(found)
    if "readings" in shown:
        recipes = shown.pop("readings")
        shown |= {f"recipe {recipe['name']}": _with_sources(recipe) for recipe in recipes}
    if isinstance(shown.get("recipe"), Mapping):
        shown["recipe"] = _with_sources(shown["recipe"])
    for key in ("whole sets", "unfinished sets"):
        if key in shown:
            shown[key] = _numbers(shown[key])
    if "files" in shown:
        shown["files"] = {file["name"]: f"{file['bytes']:,} bytes" for file in shown["files"]}
    if isinstance(shown.get("keys"), Mapping) and "used" in shown["keys"]:
        used = shown["keys"]["used"]
        shown["keys"] = {**shown["keys"], "used": f"{len(used)} tensors, each found in the file"}
    return "\n".join(printable(line, None) for line in _lines(shown, ""))


def _numbers(sets: list[int]) -> str:
    """How many sets, then their numbers: a bare 0 reads as none."""
    if not sets:
        return "none"
    word = "number" if len(sets) == 1 else "numbers"
    return f"{len(sets)}: {word} {', '.join(map(str, sets))}"


def _with_sources(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Each part of a recipe with where it came from."""
    sources = recipe.get("sources", {})
    parts = {key: value for key, value in recipe.items() if key not in ("sources", "doubts")}
    width = max(len(_plain(value)) for value in parts.values())
    return {
        key: f"{_plain(value).ljust(width)}  {sources.get(key, '')}".rstrip()
        for key, value in parts.items()
    }


def _lines(found: Mapping[str, Any], indent: str) -> Iterator[str]:
    width = max((len(str(key)) for key in found), default=0)
    for key, value in found.items():
        if isinstance(value, Mapping) and value:
            yield f"{indent}{key}"
            yield from _lines(value, indent + "  ")
        elif isinstance(value, list | tuple) and len(value) > 3:
            yield f"{indent}{key}"
            yield from (f"{indent}  {item}" for item in value)
        else:
            yield f"{indent}{str(key).ljust(width)}  {_plain(value)}".rstrip()


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "-" if value is None or value == {} else str(value)
