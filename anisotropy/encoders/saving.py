"""Write checkpoints, with recipe, training configuration and history, whole or not at all."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from anisotropy.encoders.folders import CHECKPOINT_FORMAT, check_target, other_files
from anisotropy.encoders.recipe import Recipe
from anisotropy.encoders.tokenization import UpstreamTokenizer
from anisotropy.encoders.upstream import UpstreamModel
from anisotropy.errors import CheckpointError, UsageError
from anisotropy.files import write_json

if TYPE_CHECKING:
    from anisotropy.encoders.headed import HeadedModel


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

    def write(inside: Path) -> None:
        _write_weights(inside, model)
        tokenizer.write(inside)

    return write_checkpoint(
        folder, write, recipe=recipe, training=training, history=history, extra=extra
    )


def save_headed(
    folder: str | Path,
    model: HeadedModel,
    *,
    recipe: Recipe,
    training: Mapping[str, Any] | None = None,
    history: Sequence[Mapping[str, Any]] = (),
    extra: Mapping[str, bytes] | None = None,
) -> Path:
    """Write a folder that sentence-transformers opens as it is, whole or not at all.

    Its modules are Transformer, Pooling, Dense, LayerNorm and, for unit vectors, Normalize; where
    documents skip the LayerNorm, Dense and a Router, so ``encode_query`` and ``encode_document``
    have to be called by these names. Prompts and similarity are stated.

    Parameters
    ----------
    folder, recipe, training, history, extra
        As for `save_checkpoint`.
    model
        Weights, saved in float32.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    CheckpointError
        If something else is at `folder`, or a weight is not finite.

    Notes
    -----
    What sentence-transformers cannot say is in ``recipe.json`` alone: how the fields of a
    document are joined, lower-casing, and a maximum length of queries below that of documents
    (the library cuts both at the longer one).
    """
    from anisotropy.encoders.headed import as_sentence_transformer
    from anisotropy.encoders.modules import quiet

    def write(inside: Path) -> None:
        _check_finite(model.state_dict(), inside)
        with quiet():
            whole = as_sentence_transformer(model, recipe)
            whole.save(str(inside), create_model_card=False)

    return write_checkpoint(
        folder, write, recipe=recipe, training=training, history=history, extra=extra
    )


def write_checkpoint(
    folder: str | Path,
    write: Callable[[Path], None],
    *,
    recipe: Recipe,
    training: Mapping[str, Any] | None = None,
    history: Sequence[Mapping[str, Any]] = (),
    extra: Mapping[str, bytes] | None = None,
) -> Path:
    """Write a checkpoint folder of any layout, whole or not at all; see `save_checkpoint`.

    Parameters
    ----------
    folder, recipe, training, history, extra
        As for `save_checkpoint`.
    write
        Called with an empty folder, into which it puts weights and tokenizer.
    """
    target = check_target(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
        inside = Path(scratch) / "checkpoint"
        inside.mkdir()
        write(inside)
        record = _record(training or {}, sorted(extra or {}), other_files(inside))
        write_json(inside / "recipe.json", recipe.without_doubts().as_dict())
        write_json(inside / "training.json", record)
        _write_history(inside, history)
        for name, data in (extra or {}).items():
            _write_extra(inside, name, data)
        _swap(inside, target, Path(scratch) / "old")
    return target


def _record(training: Mapping[str, Any], extra: list[str], others: list[str]) -> dict[str, Any]:
    mark: dict[str, Any] = {"format": CHECKPOINT_FORMAT}
    listed = {"extra_files": extra, "module_files": others}
    return {**mark, **training, **mark, **{key: names for key, names in listed.items() if names}}


def _write_weights(folder: Path, model: UpstreamModel) -> None:
    from safetensors.torch import save_file

    tensors = {
        key: tensor.detach().to("cpu", torch.float32).contiguous()
        for key, tensor in model.state_dict().items()
    }
    _check_finite(tensors, folder)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    text = json.dumps(dict(sorted(model.config.items())), indent=2)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")


def _check_finite(tensors: Mapping[str, torch.Tensor], folder: Path) -> None:
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{folder}: NaN or infinity in {key}; nothing was saved")


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
