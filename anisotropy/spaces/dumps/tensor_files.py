"""Vectors in safetensors and torch files that are no checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.errors import EmbeddingsError, InputError
from anisotropy.spaces.dumps.base import DumpOptions, Vectors
from anisotropy.spaces.dumps.found import Found, vectors
from anisotropy.spaces.dumps.ids import as_ids
from anisotropy.spaces.dumps.naming import (
    CHUNK_NAMES,
    ID_NAMES,
    NEUTRAL_NAMES,
    SCALE_NAMES,
    SIDE_NAMES,
    Side,
    choose,
    first_of,
    sides_among,
)
from anisotropy.untrusted.paths import check_file
from anisotropy.untrusted.safetensors_files import is_safetensors, read_safetensors
from anisotropy.untrusted.tensors import TensorEntry
from anisotropy.untrusted.torch_files import read_torch

#: The number with which files from before torch 1.6 begin, as pickles have it.
_LEGACY = (bytes.fromhex("6cfc9c46f9206aa85019"), b"119547037146038801333356")
_KNOWN = {name for names in (*SIDE_NAMES.values(), NEUTRAL_NAMES) for name in names}


def find(path: Path) -> bool:
    """Whether a safetensors or torch file holds vectors, and not the weights of a model.

    It does if its one matrix stands alone or beside a list of ids, or if tensors have names that
    say so (such as ``embeddings``, or ``queries`` and ``documents``).
    """
    try:
        return (is_safetensors(path) or _is_torch(path)) and bool(_matrices(_content(path)))
    except (OSError, InputError):
        return False


def _is_torch(path: Path) -> bool:
    """Whether a file begins like torch's, so that no other pickle is read to the end for it."""
    check_file(path)
    with path.open("rb") as file:
        start = file.read(32)
    return start[:2] == b"PK" or any(number in start for number in _LEGACY)


def sides_in(path: Path) -> tuple[Side, ...]:
    """The sides of which a file has vectors, under names that say so; none if it has but one."""
    return sides_among(_matrices(_content(path)))


def _content(path: Path) -> dict[str, Any]:
    """What a file holds, by name; a tensor without a name is called ``embeddings``."""
    if is_safetensors(path):
        tensors, metadata = read_safetensors(path)
        stated = {name: metadata[name] for name in SCALE_NAMES if name in metadata}
        return {**stated, **tensors}
    content = read_torch(path)
    if isinstance(content, TensorEntry):
        return {"embeddings": content}
    if isinstance(content, tuple | list) and len(content) == 2:
        return {"embeddings": content[0], "ids": content[1]}
    if isinstance(content, dict):
        return {str(name): value for name, value in content.items()}
    return {}


def _matrices(content: Mapping[str, Any]) -> list[str]:
    """Names of what can be vectors; none in the weights of a model."""
    tensors = [name for name, value in content.items() if isinstance(value, TensorEntry)]
    wide = [name for name in tensors if len(content[name].shape) in (2, 3)]
    known = [name for name in wide if name in _KNOWN]
    beside = set(tensors) - set(wide) - {*SCALE_NAMES, *CHUNK_NAMES}
    return known or (wide if len(wide) == 1 and not beside else [])


def read(path: Path, options: DumpOptions, side: Side = "documents") -> Vectors:
    """Vectors of a side from a safetensors or torch file.

    Raises
    ------
    InputError
        If the file is damaged, or it is not clear which tensor holds the vectors.
    """
    content = _content(path)
    name = choose(_matrices(content), options, side, str(path), "tensor")
    entry = content[name]
    known, warnings = first_of(ID_NAMES[side], content)
    chunk = first_of(CHUNK_NAMES, content)[0]
    scale = first_of(SCALE_NAMES, content)[0]
    found = Found(
        str(path),
        "safetensors" if is_safetensors(path) else "torch",
        entry.array(),
        ids=_ids(path, content[known], known, entry.shape[0]) if known else None,
        chunks=_chunks(path, content[chunk], entry.shape[0]) if chunk else None,
        bfloat16=entry.dtype == "bfloat16",
        scale=_scale(path, content[scale]) if scale else None,
        path=path,
        warnings=tuple(f"{path}: {line}" for line in warnings),
    )
    return vectors(found, options, side)


def _ids(path: Path, value: Any, name: str, n: int) -> list[str]:
    return as_ids(_values(value), f"{path}, {name!r}", rows=n)


def _values(value: Any) -> Any:
    return value.array() if isinstance(value, TensorEntry) else value


def _chunks(path: Path, value: Any, n: int) -> np.ndarray:
    chunks: np.ndarray = np.asarray(_values(value))
    if chunks.shape != (n,) or chunks.dtype.kind not in "iu":
        raise EmbeddingsError(f"{path}: chunk numbers are not {n} whole numbers")
    return chunks


def _scale(path: Path, value: Any) -> Any:
    if isinstance(value, TensorEntry) and value.dtype in ("float32", "float64", "float16"):
        return value.array()
    try:
        return float(value)
    except (TypeError, ValueError):
        raise EmbeddingsError(f"{path}: a scale that is no number") from None
