"""A training folder with many ``checkpoint-<step>``: which there are, which are complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from anisotropy.encoders.folders import step_in, training_record
from anisotropy.errors import InputError
from anisotropy.untrusted.safetensors_files import is_safetensors, read_safetensors
from anisotropy.untrusted.torch_files import read_torch

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
SHARDED = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
#: Upstream writes it last, so it marks a folder as complete.
_MARK = "scheduler.pt"
_OWN = ("config.json", "modules.json", *WEIGHTS, *SHARDED)
_OTHERS = ("modules.json", "manifest.json", *SHARDED)


@dataclass(frozen=True)
class Series:
    """Checkpoints of one training run.

    Attributes
    ----------
    folder
        Where they are.
    complete
        Folders and files ``checkpoint-<step>`` in numeric order.
    skipped
        Name -> why it is not complete, in numeric order.
    """

    folder: Path
    complete: tuple[Path, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)

    def notices(self) -> list[str]:
        """One line on each that is skipped."""
        return [
            f"{self.folder / name}: not complete, so skipped ({reason})"
            for name, reason in self.skipped.items()
        ]


def few_names(names: Sequence[str]) -> str:
    """Names in a line, the middle left out where there are many."""
    return ", ".join([*names[:3], "...", *names[-3:]] if len(names) > 7 else names)


def steps_in(folder: Path) -> list[Path]:
    """Folders and files ``checkpoint-<step>`` of a training folder, in numeric order."""
    if not folder.is_dir():
        return []
    found = [(step, path) for path in folder.iterdir() if (step := step_in(path.name)) is not None]
    return [path for _, path in sorted(found)]


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder is a checkpoint itself, whatever else it holds."""
    return any((folder / name).is_file() for name in _OWN)


def find_series(folder: Path) -> Series | None:
    """Checkpoints in a training folder; None for anything else, and for a checkpoint itself.

    Complete are folders of ours (written whole or not at all) and upstream's with the
    ``scheduler.pt`` that it writes last, where any of them has one; without such a mark, and for
    the single files of DPR, what lies there is measured against what its own header says.
    """
    steps = [] if is_checkpoint(folder) else steps_in(folder)
    if not steps:
        return None
    marked = any((path / _MARK).is_file() for path in steps)
    reasons = {path: _unfinished(path, marked) for path in steps}
    return Series(
        folder,
        tuple(path for path in steps if reasons[path] is None),
        {path.name: reason for path in steps if (reason := reasons[path]) is not None},
    )


def _unfinished(path: Path, marked: bool) -> str | None:
    """Why a checkpoint is not complete; None if it is."""
    if not path.is_dir():
        return _cut_short(path)
    if training_record(path) is not None:
        return None
    if marked and not (path / _MARK).is_file():
        return f"no {_MARK}, which is written last"
    weights = next((path / name for name in WEIGHTS if (path / name).is_file()), None)
    if weights is not None:
        return _cut_short(weights)
    other = any((path / name).is_file() for name in _OTHERS)
    return None if other else f"no weights in it ({', '.join(WEIGHTS)})"


def _cut_short(path: Path) -> str | None:
    """Why a file of weights is not whole, by its header and its size; None if it is."""
    try:
        if is_safetensors(path):
            read_safetensors(path)
        else:
            read_torch(path)
    except InputError as error:
        return str(error).removeprefix(f"{path}: ")
    return None
