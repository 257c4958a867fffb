"""What a checkpoint is, for ``inspect``: as much as can be said, even where it cannot be used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anisotropy.encoders.completion import is_single, recognize, require
from anisotropy.encoders.configuration import CONFIG_SIZES, read_config, read_table
from anisotropy.encoders.layouts import COMPLETED_LAYOUTS, CheckpointFiles
from anisotropy.encoders.recipe import CHOICES, Recipe
from anisotropy.encoders.resolution import resolve
from anisotropy.errors import AnisotropyError, CheckpointError, UsageError, one_of

if TYPE_CHECKING:
    from anisotropy.encoders.keys import Entries, KeyReport


def describe(
    source: str | Path,
    *,
    recipe: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    tokenizer: str | Path | None = None,
    backbone: str | Path | None = None,
    dtype: str = "float32",
) -> dict[str, Any]:
    """Describe a checkpoint without encoding anything.

    Parameters
    ----------
    source, recipe, overrides, tokenizer, backbone, dtype
        As for `open_encoder`.

    Returns
    -------
    dict
        ``layout``, ``label``, ``source``, ``folder``, ``files`` (name and bytes), ``found``
        (where tokenizer and backbone came from), ``readings`` (recipes with sources), ``doubts``,
        ``config``, ``keys`` (used, unused, unexpected, missing, mismatched), ``parameters``
        (total, used), ``beside`` (what the file holds beside the state dict), ``assumed`` (from
        shapes), ``problems`` (what forbids encoding; empty if
        nothing does).

    Raises
    ------
    CheckpointError
        If nothing at `source` can be recognized.
    UsageError
        If an option is not allowed.
    """
    if dtype not in CHOICES["dtype"]:
        raise UsageError(f"dtype: {one_of(dtype, CHOICES['dtype'])}")
    files = recognize(source, tokenizer=tokenizer, backbone=backbone)
    problems: list[str] = []
    readings: tuple[Recipe, ...] = ()
    try:
        readings = resolve(files, recipe=recipe, overrides=overrides, dtype=dtype)
    except CheckpointError as error:
        problems.append(str(error))
    return describe_files(files, readings, problems)


def describe_files(
    files: CheckpointFiles, readings: tuple[Recipe, ...], problems: list[str] | None = None
) -> dict[str, Any]:
    """Describe recognized files; see `describe` for the content."""
    problems = list(problems or [])
    description: dict[str, Any] = {
        "source": files.origin,
        "label": files.label,
        "layout": files.layout,
        "folder": str(files.folder),
        "files": _files(files),
        "found": _found(files) if files.layout in COMPLETED_LAYOUTS else {},
        "readings": [reading.as_dict() for reading in readings],
        "doubts": list(dict.fromkeys(doubt for r in readings for doubt in r.doubts)),
        "config": _config(files, problems),
    }
    if files.layout in COMPLETED_LAYOUTS:
        description.update(_own(files, problems))
    else:
        from anisotropy.encoders.module_keys import describe_modules

        description.update(describe_modules(files, problems))
    description["problems"] = list(dict.fromkeys(problems))
    return description


def _found(files: CheckpointFiles) -> dict[str, str]:
    """Where tokenizer and backbone configuration came from."""
    there = {"tokenizer": bool(files.tokenizer), "backbone": files.config is not None}
    return {
        name: text if there.get(name, True) else "not found"
        for name, text in files.sources.items()
    }


def _files(files: CheckpointFiles) -> list[dict[str, Any]]:
    if files.weights is not None and is_single(files):
        named = [files.weights, files.config, files.arguments, files.recipe, *files.tokenizer]
        paths = [path for path in named if path is not None]
    else:
        paths = sorted(path for path in files.folder.rglob("*") if path.is_file())
    return [{"name": _name(path, files), "bytes": path.stat().st_size} for path in paths[:200]]


def _name(path: Path, files: CheckpointFiles) -> str:
    inside = path.is_relative_to(files.folder)
    return str(path.relative_to(files.folder)) if inside else str(path)


def _config(files: CheckpointFiles, problems: list[str]) -> dict[str, Any]:
    if files.config is None:
        return {}
    try:
        values = read_table(files.config)
    except AnisotropyError as error:
        problems.append(str(error))
        return {}
    shown = (*CONFIG_SIZES, "model_type", "architectures", "hidden_act", "layer_norm_eps")
    return {key: values[key] for key in shown if key in values}


def _own(files: CheckpointFiles, problems: list[str]) -> dict[str, Any]:
    """Tensors of a checkpoint that our own modules encode."""
    from anisotropy.encoders.keys import infer_shapes

    empty: dict[str, Any] = {"keys": {}, "parameters": {}, "assumed": {}}
    if files.weights is None:
        return empty
    try:
        entries = _entries(files)
    except AnisotropyError as error:
        problems.append(str(error))
        return empty
    _attempt(lambda: require(files), problems)
    if files.tokenizer:
        _attempt(lambda: _open_tokenizer(files), problems)
    config = _backbone_config(files, problems)
    assumed = infer_shapes(entries) if config is None else {}
    described = {**empty, "assumed": assumed, "beside": _beside(files)}
    _attempt(
        lambda: described.update(_keys(files, entries, config or assumed, problems)), problems
    )
    return described


def _entries(files: CheckpointFiles) -> Entries:
    if files.layout == "dpr":
        from anisotropy.encoders.dpr import read_dpr_entries

        return read_dpr_entries(files)
    from anisotropy.encoders.weights import read_entries

    return read_entries(files.weights or Path())


def _beside(files: CheckpointFiles) -> list[str]:
    """What a file holds beside its state dict, numbers with their value."""
    from anisotropy.encoders.keys import beside_state
    from anisotropy.encoders.weights import read_content

    return beside_state(read_content(files.weights or Path()))


def _open_tokenizer(files: CheckpointFiles) -> None:
    from anisotropy.encoders.opening import open_tokenizer_of, open_wordpiece_of

    if files.layout == "dpr":
        open_wordpiece_of(files)
    else:
        open_tokenizer_of(files)


def _attempt(action: Any, problems: list[str]) -> None:
    try:
        action()
    except AnisotropyError as error:
        problems.append(str(error))


def _backbone_config(files: CheckpointFiles, problems: list[str]) -> dict[str, Any] | None:
    """Configuration of the backbone; None where there is none, or none that is usable."""
    if files.config is None:
        return None
    try:
        if files.layout == "dpr":
            from anisotropy.encoders.dpr import dpr_config

            return dpr_config(files)
        return read_config(files.config)
    except AnisotropyError as error:
        problems.append(str(error))
        return None


def _keys(
    files: CheckpointFiles, entries: Entries, config: Mapping[str, Any], problems: list[str]
) -> dict[str, Any]:
    """Each tensor of the file against what the encoder needs, by its configuration or shapes."""
    from anisotropy.encoders.weights import check_finite, tensor_of

    origin = str(files.weights) if files.context is None else files.origin
    report = _report(files, entries, config)
    if problem := report.problem():
        problems.append(f"{origin}: {problem}")
    used = {key: tensor_of(entries[key]) for key in report.used}
    _attempt(lambda: check_finite(used, used, origin), problems)
    sizes = {key: math.prod(entry.shape) for key, entry in entries.items()}
    parameters = {"total": sum(sizes.values()), "used": sum(sizes[key] for key in report.used)}
    return {"keys": report.as_dict(), "parameters": parameters}


def _report(files: CheckpointFiles, entries: Entries, config: Mapping[str, Any]) -> KeyReport:
    if not set(config) >= set(CONFIG_SIZES) - {"num_attention_heads"}:
        from anisotropy.encoders.keys import compare_keys

        return compare_keys(entries, {})  # the names of no encoder that is read
    config = {**config, "num_attention_heads": 1}  # no shape depends on it
    if files.layout == "dpr":
        from anisotropy.encoders.dpr import report_dpr_keys

        return report_dpr_keys(entries, config, files.origin)
    from anisotropy.encoders.upstream import report_keys

    return report_keys(entries, config, files.weights or Path())
