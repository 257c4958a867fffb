"""Checkpoint folders of ours: where one may be written, what its record says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from anisotropy.errors import CheckpointError, InputError
from anisotropy.files import read_json

CHECKPOINT_FORMAT = "anisotropy.checkpoint/1"
_RECORD = "training.json"
_OURS = frozenset(
    {
        "added_tokens.json",
        "config.json",
        "history.csv",
        "merges.txt",
        "model.safetensors",
        "recipe.json",
        "special_tokens_map.json",
        "tokenizer_config.json",
        _RECORD,
        "vocab.json",
    }
)


def check_target(target: str | Path) -> Path:
    """Refuse a place that cannot take a checkpoint, before any time is spent on it.

    A folder is replaced as a whole, so it must be empty or hold nothing but what
    `save_checkpoint` wrote.

    Parameters
    ----------
    target
        Folder of a checkpoint to come.

    Returns
    -------
    pathlib.Path
        `target`.

    Raises
    ------
    CheckpointError
        If something else is there: a file, a model of another origin, or a checkpoint with other
        files or folders beside it.
    """
    path = Path(target)
    if not path.exists() and not path.is_symlink():
        return path
    entries = sorted(path.iterdir()) if path.is_dir() else []
    record = training_record(path)
    if not path.is_dir() or (entries and record is None):
        raise CheckpointError(
            f"{path}: exists and is no checkpoint folder that this program wrote; choose another "
            "name"
        )
    known = _OURS.union(_listed(record, "extra_files"), _listed(record, "module_files"))
    foreign = list(_foreign(path, path, known))
    if foreign:
        shown = ", ".join(foreign[:3]) + (" ..." if len(foreign) > 3 else "")
        raise CheckpointError(
            f"{path}: holds more than a checkpoint ({shown}), which replacing it would remove; "
            "choose another name"
        )
    return path


def training_record(folder: Path) -> dict[str, Any] | None:
    """Content of ``training.json`` where it carries our format mark, else None."""
    try:
        values = read_json(folder / _RECORD)
    except InputError:
        return None
    ours = isinstance(values, dict) and values.get("format") == CHECKPOINT_FORMAT
    return values if ours else None


def step_in(name: str) -> int | None:
    """STEP in a name of the form ``checkpoint-STEP``, else None."""
    named = re.fullmatch(r"checkpoint-([0-9]{1,18})", name)
    return int(named[1]) if named else None


def step_of(folder: Path) -> int | None:
    """Optimizer steps behind a checkpoint.

    By the folder's name where it is upstream's ``checkpoint-STEP``, else the sum over the stages
    in our ``training.json`` (those of the run that wrote it), else None.
    """
    named = step_in(folder.resolve().name)
    if named is not None:
        return named
    stages = (training_record(folder) or {}).get("stages")
    if not isinstance(stages, list) or not all(isinstance(stage, dict) for stage in stages):
        return None
    try:
        steps = [stage.get("selected_step", stage["config"]["steps"]) for stage in stages]
    except (TypeError, KeyError):
        return None
    return sum(steps) if steps and all(type(step) is int for step in steps) else None


def other_files(folder: Path) -> list[str]:
    """Files in a folder, and in those inside it, that no name alone marks as ours."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return sorted({path.relative_to(folder).as_posix() for path in paths} - _OURS)


def _foreign(folder: Path, root: Path, known: frozenset[str]) -> Iterator[str]:
    """Paths in a checkpoint folder that are not its own: files, linked and empty folders."""
    for item in sorted(folder.iterdir()):
        name = item.relative_to(root).as_posix()
        if item.is_file():
            if name not in known:
                yield name
        elif any(file.startswith(f"{name}/") for file in known) and not item.is_symlink():
            yield from _foreign(item, root, known)
        else:
            yield name


def _listed(record: dict[str, Any] | None, key: str) -> list[str]:
    names = (record or {}).get(key)
    return [str(name) for name in names] if isinstance(names, list) else []
