"""The manifest of a store: what each file of it is, read with every entry checked."""

from __future__ import annotations

import contextlib
import importlib.metadata
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anisotropy.errors import InputError, StoreError
from anisotropy.untrusted.texts import read_json

FORMAT = "anisotropy.store/1"
MANIFEST = "manifest.json"
#: Folder of each side; training queries and their judgments are the pool of negatives.
SIDES = ("queries", "documents", "training-queries")
DTYPES = ("float16", "float32", "float64")
#: What to do about a store with a file that is not what it was.
REMEDY = "restore it from a copy, or remove the store and encode again"

_SHARD = re.compile(r"embeddings-\d{5,9}\.npy")
#: Bytes of a manifest; one of a thousand million vectors has a third of them.
_LARGEST = 1 << 26
_WORDS: dict[type, str] = {str: "text", dict: "a table", list: "a list", int: "a whole number"}
_VERSIONED = ("anisotropy", "numpy", "torch", "transformers", "sentence-transformers")


def versions(names: Sequence[str] = _VERSIONED) -> dict[str, str]:
    """Installed versions of packages, without importing them."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True)
class StoreHeader:
    """What a store is of: the part of the manifest that is known before encoding.

    Attributes
    ----------
    recipe, checkpoint, collection
        As in the manifest: the recipe with its sources; label, fingerprint and step of the
        checkpoint; name, note, split and fingerprint of the collection.
    documents
        ``all``, or how many were drawn, as text.
    dim, dtype
        Of the stored rows.
    identity
        What decides the vectors, and nothing else (no label, no source of a recipe part): an
        unfinished store is continued by whoever has the same identity.
    """

    recipe: Mapping[str, Any]
    checkpoint: Mapping[str, Any]
    collection: Mapping[str, Any]
    documents: str
    dim: int
    dtype: str
    identity: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The header as it stands in the manifest."""
        return {
            "recipe": dict(self.recipe),
            "checkpoint": dict(self.checkpoint),
            "collection": dict(self.collection),
            "documents": self.documents,
            "dim": self.dim,
            "dtype": self.dtype,
        }


def shard_name(number: int) -> str:
    """Name of a shard of a side."""
    return f"embeddings-{number:05d}.npy"


def is_store_file(name: str) -> bool:
    """Whether a file of this name, in a store or in the folder of a side, is one of a store's."""
    fixed = {MANIFEST, "qrels.tsv", "training-qrels.tsv", "ids.txt", "chunks.npy", "padding.npy"}
    return name in fixed or _SHARD.fullmatch(name) is not None


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a finished store.

    Raises
    ------
    StoreError
        If it cannot be read, is not one of a store, or has an entry that is missing or wrong.
    """
    path = folder / MANIFEST
    with with_remedy():
        content = read_json(path, _LARGEST)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise StoreError(f"{path}: not a store of format {FORMAT!r}; give the folder of one")
    try:
        _check(content)
    except ValueError as error:
        raise StoreError(f"{path}: {error}: {REMEDY}") from None
    return content


@contextlib.contextmanager
def with_remedy() -> Iterator[None]:
    """Say what to do about a file of a store that cannot be read."""
    try:
        yield
    except InputError as error:
        raise StoreError(f"{error}: {REMEDY}") from None


def _check(manifest: Mapping[str, Any]) -> None:
    for key in ("recipe", "checkpoint", "collection", "sides", "versions", "qrels"):
        _need(manifest, key, dict)
    _need(manifest["recipe"], "similarity", str, "recipe.")
    if type(manifest["recipe"].get("temperature")) not in (int, float):
        raise ValueError("recipe.temperature is missing or no number")
    for key in ("label", "fingerprint"):
        _need(manifest["checkpoint"], key, str, "checkpoint.")
    if type(manifest["checkpoint"].get("step")) not in (int, type(None)):
        raise ValueError("checkpoint.step is no whole number")
    _need(manifest, "documents", str)
    _need(manifest, "dim", int)
    if manifest.get("dtype") not in DTYPES:
        raise ValueError(f"dtype is {str(manifest.get('dtype'))[:40]!r}; allowed: {DTYPES}")
    _check_sides(manifest)


def _check_sides(manifest: Mapping[str, Any]) -> None:
    sides = manifest["sides"]
    unknown = next((side for side in sides if side not in SIDES), None)
    if unknown is not None:
        raise ValueError(f"unknown side {unknown[:40]!r}; allowed: {', '.join(SIDES)}")
    for side in ("queries", "documents"):
        _need(sides, side, dict, "sides.")
    for side in sides:
        _check_side(_need(sides, side, dict, "sides."), f"sides.{side}.")
    _check_entry(manifest, "qrels", "qrels.tsv", "")
    if "training-queries" in sides:
        _check_entry(manifest, "training-qrels", "training-qrels.tsv", "")


def _check_side(side: Mapping[str, Any], where: str) -> None:
    for key in ("count", "rows"):
        _need(side, key, int, where)
    _check_entry(side, "ids", "ids.txt", where)
    for key in ("chunks", "padding"):
        if key in side:
            _check_entry(side, key, f"{key}.npy", where)
    shards = _need(side, "shards", list, where)
    if not shards:
        raise ValueError(f"{where}shards is empty")
    for number, shard in enumerate(shards):
        place = {f"shards[{number}]": shard}
        _check_entry(place, f"shards[{number}]", shard_name(number), where)
        _need(shard, "rows", int, f"{where}shards[{number}].")
    if sum(shard["rows"] for shard in shards) != side["rows"]:
        raise ValueError(f"{where}rows is {side['rows']}, not the sum over its shards")


def _check_entry(table: Mapping[str, Any], key: str, name: str, where: str) -> None:
    """Check the entry of a file; its name is fixed, so that none leads out of the folder."""
    entry = _need(table, key, dict, where)
    if entry.get("file") != name:
        raise ValueError(f"{where}{key}.file is {str(entry.get('file'))[:80]!r}; needed: {name!r}")
    _need(entry, "bytes", int, f"{where}{key}.")
    _need(entry, "sha256", str, f"{where}{key}.")


def _need(table: Mapping[str, Any], key: str, kind: type, where: str = "") -> Any:
    if key not in table:
        raise ValueError(f"{where}{key} is missing")
    value: Any = table[key]
    if type(value) is not kind or (type(value) is int and value < 0):
        raise ValueError(f"{where}{key} is {str(value)[:40]!r}; needed: {_WORDS[kind]}")
    return value
