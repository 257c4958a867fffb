"""What a thing is: a checkpoint, a store, a results folder or a collection. Encodes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from anisotropy.errors import AnisotropyError, CheckpointError, CollectionError
from anisotropy.opening import EncoderOptions
from anisotropy.spaces.manifest import read_manifest
from anisotropy.spaces.store import is_store, open_store


def describe(
    thing: str | Path, *, encoder: EncoderOptions | None = None, verify: bool = False
) -> dict[str, Any]:
    """Describe a checkpoint, training folder, store or collection.

    Parameters
    ----------
    thing
        A path, a hub id, or the name of a collection.
    encoder
        How to read a checkpoint.
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
    if "files" in shown:
        shown["files"] = {file["name"]: f"{file['bytes']:,} bytes" for file in shown["files"]}
    if isinstance(shown.get("keys"), Mapping) and "used" in shown["keys"]:
        used = shown["keys"]["used"]
        shown["keys"] = {**shown["keys"], "used": f"{len(used)} tensors, each found in the file"}
    return "\n".join(_lines(shown, ""))


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
