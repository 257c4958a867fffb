"""Tensors of sentence-transformers and transformers folders, by headers and an empty model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from anisotropy.encoders.configuration import check_layers, read_table
from anisotropy.encoders.keys import Entries, KeyReport, needed_shapes, unwrapped
from anisotropy.encoders.layouts import CheckpointFiles
from anisotropy.encoders.modules import loaded_names, one_line, quiet
from anisotropy.encoders.modules_recipe import module_kinds
from anisotropy.encoders.weights import read_content
from anisotropy.errors import CheckpointError

_PATTERNS = ("model*.safetensors", "pytorch_model*.bin")  # what the libraries load
_FOREIGN = ("onnx", "openvino")


def describe_modules(files: CheckpointFiles, problems: list[str]) -> dict[str, Any]:
    """Modules, tensors and parameter counts; no weights are loaded where their names fit."""
    described: dict[str, Any] = {"modules": [], "keys": {}, "parameters": {}, "assumed": {}}
    try:
        if files.layout == "sentence-transformers":
            described["modules"] = [kind for kind, _ in module_kinds(files.folder)]
        places = list(_places(files.folder))
    except CheckpointError as error:
        problems.append(str(error))
        return described
    reports = {path: _report(path, entries, problems) for path, entries in places}
    sizes = {
        path: {name: math.prod(entry.shape) for name, entry in entries.items()}
        for path, entries in places
    }
    described["keys"] = _together(files.folder, reports)
    described["parameters"] = {
        "total": sum(sum(own.values()) for own in sizes.values()),
        "used": sum(sizes[path][name] for path, one in reports.items() for name in one.used),
    }
    return described


def _places(folder: Path) -> Iterator[tuple[Path, Entries]]:
    """Folders that hold weights, each with its tensors."""
    inside = sorted(path for path in folder.rglob("*") if path.is_dir())
    for place in (folder, *inside):
        if not set(place.relative_to(folder).parts).intersection(_FOREIGN):
            entries = _entries(place)
            if entries:
                yield place, entries


def _entries(place: Path) -> Entries:
    """Tensors of a folder's weights; safetensors first, as the library has it."""
    for pattern in _PATTERNS:
        found: Entries = {}
        for path in sorted(place.glob(pattern)):
            found |= unwrapped(read_content(path), str(path))
        if found:
            return found
    return {}


def _report(place: Path, entries: Entries, problems: list[str]) -> KeyReport:
    """What the tensors of one folder are; those of a small module are loaded strictly."""
    config = place / "config.json"
    try:
        if not config.is_file() or "model_type" not in read_table(config):
            return KeyReport(tuple(entries), (), (), (), {})
        with one_line(str(place)), quiet():
            report = _compared(place, entries)
    except CheckpointError as error:
        problems.append(str(error))
        return KeyReport((), (), tuple(entries), (), {})
    if problem := report.problem():
        problems.append(f"{place}: {problem}")
    return report


def _compared(place: Path, entries: Entries) -> KeyReport:
    """Tensors of a backbone against those that its bare model has.

    What the bare model has not (heads of other tasks, a pooler that no vector passes) is unused.
    Where names differ, the library says what it would miss: it renames older ones.
    """
    model = _empty_model(place)
    needed = needed_shapes(model)
    own = {name: _bare(name, model.base_model_prefix, needed) for name in entries}
    used = [name for name, bare in own.items() if bare in needed and "pooler." not in bare]
    there = set(own.values())
    missing = [name for name in needed if name not in there and "pooler." not in name]
    if missing:
        missing, left = loaded_names(model, place)
        used = [name for name in entries if name not in left and "pooler." not in name]
    kept = set(used)
    return KeyReport(
        used=tuple(used),
        unused=tuple(name for name in entries if name not in kept),
        unexpected=(),
        missing=tuple(missing),
        mismatched={
            name: f"got {entries[name].shape}, needs {needed[own[name]]}"
            for name in used
            if own[name] in needed and entries[name].shape != needed[own[name]]
        },
    )


def _empty_model(place: Path) -> Any:
    import torch
    from transformers import AutoConfig, AutoModel

    check_layers(read_table(place / "config.json"), place / "config.json")
    config = AutoConfig.from_pretrained(place, local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        return AutoModel.from_config(config, trust_remote_code=False)


def _bare(name: str, prefix: str, needed: dict[str, tuple[int, ...]]) -> str:
    """Name of a tensor in the bare model: without the prefix of one with a head, renamed."""
    name = name.replace("gamma", "weight").replace("beta", "bias")
    if name in needed or not name.startswith(f"{prefix}."):
        return name
    return name.removeprefix(f"{prefix}.")


def _together(folder: Path, reports: dict[Path, KeyReport]) -> dict[str, Any]:
    """One report, names preceded by the folder of their module."""
    found = KeyReport((), (), (), (), {}).as_dict()
    for place, report in reports.items():
        inside = place.relative_to(folder).as_posix()
        before = "" if inside == "." else f"{inside}/"
        for kind, names in report.as_dict().items():
            if isinstance(names, dict):
                found[kind].update({before + name: text for name, text in names.items()})
            else:
                found[kind] += [before + name for name in names]
    return found
