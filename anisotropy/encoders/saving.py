"""Write a checkpoint: upstream's layout, with recipe, training configuration and history."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from anisotropy.encoders.folders import CHECKPOINT_FORMAT, check_target
from anisotropy.encoders.recipe import Recipe
from anisotropy.encoders.tokenization import UpstreamTokenizer
from anisotropy.encoders.upstream import UpstreamModel
from anisotropy.errors import CheckpointError, UsageError
from anisotropy.files import write_json


def save_checkpoint(
    folder: str | Path,
    model: UpstreamModel,
    *,
    recipe: Recipe,
    tokenizer: UpstreamTokenizer,
    training: Mapping[str, Any] | None = None,
    history: Sequence[Mapping[str, Any]] = (),
    extra: Mapping[str, bytes] | None = None,
) -> Path:
    """Write a checkpoint folder, whole or not at all.

    Parameters
    ----------
    folder
        Replaced if it is empty or a checkpoint written by this function and nothing more;
        anything else there is left alone.
    model
        Weights, saved in float32 under upstream's names.
    recipe
        Saved as ``recipe.json``, so the checkpoint leaves no doubt.
    tokenizer
        Saved as ``vocab.json``, ``merges.txt`` and the small files beside them.
    training
        Saved as ``training.json``; ``{}`` if None.
    history
        Rows of ``history.csv``, columns in order of first appearance; no file if empty.
    extra
        More files by name, for example optimizer states to resume from; ``training.json`` lists
        them.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    CheckpointError
        If something else is at `folder`, or a weight is not finite.
    """
    target = check_target(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
        inside = Path(scratch) / "checkpoint"
        inside.mkdir()
        _write_weights(inside, model)
        tokenizer.write(inside)
        write_json(inside / "recipe.json", recipe.without_doubts().as_dict())
        write_json(inside / "training.json", _record(training or {}, sorted(extra or {})))
        _write_history(inside, history)
        for name, data in (extra or {}).items():
            _write_extra(inside, name, data)
        _swap(inside, target, Path(scratch) / "old")
    return target


def _record(training: Mapping[str, Any], extra: list[str]) -> dict[str, Any]:
    mark = {"format": CHECKPOINT_FORMAT}
    return {**mark, **training, **mark, **({"extra_files": extra} if extra else {})}


def _write_weights(folder: Path, model: UpstreamModel) -> None:
    from safetensors.torch import save_file

    tensors = {
        key: tensor.detach().to("cpu", torch.float32).contiguous()
        for key, tensor in model.state_dict().items()
    }
    for key, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{folder}: NaN or infinity in {key}; nothing was saved")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    text = json.dumps(dict(sorted(model.config.items())), indent=2)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")


def _write_history(folder: Path, history: Sequence[Mapping[str, Any]]) -> None:
    import csv

    if not history:
        return
    columns = list(dict.fromkeys(key for row in history for key in row))
    with (folder / "history.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)


def _write_extra(folder: Path, name: str, data: bytes) -> None:
    if Path(name).name != name or (folder / name).exists():
        raise UsageError(f"extra file: got {name!r}; allowed: a new name without folders")
    (folder / name).write_bytes(data)


def _swap(inside: Path, target: Path, old: Path) -> None:
    if target.exists():
        target.rename(old)
    inside.rename(target)
    shutil.rmtree(old, ignore_errors=True)
