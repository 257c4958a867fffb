"""Checkpoints on the way: what a trainer leaves for a second process that follows it.

The trainer writes folders ``checkpoint-<step>`` into one folder, and the file ``finished`` when
it is done.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anisotropy.encoders.folders import training_record
from anisotropy.errors import UsageError
from anisotropy.files import write_text
from anisotropy.training.encoder import Trainable

FINISHED = "finished"
_CHECKPOINT = re.compile(r"checkpoint-([0-9]{1,18})")
_OURS = re.compile(rf"{_CHECKPOINT.pattern}|{FINISHED}|\..*")


def mark_finished(folder: str | Path) -> Path:
    """Tell those who follow a training run that no checkpoint will be added."""
    path = Path(folder) / FINISHED
    write_text(path, "")
    return path


def newest_checkpoint(folder: str | Path) -> Path | None:
    """The whole checkpoint of the highest step in a training folder, if there is one.

    Whole are ours with their ``training.json``, and upstream's with ``scheduler.pt``, which
    both are written last.
    """
    steps = sorted(
        (int(match[1]), path)
        for path in Path(folder).glob("checkpoint-*")
        if (match := _CHECKPOINT.fullmatch(path.name)) and _is_whole(path)
    )
    return steps[-1][1] if steps else None


def _is_whole(folder: Path) -> bool:
    return (folder / "scheduler.pt").is_file() or training_record(folder) is not None


class FollowedFolder:
    """``OUT.checkpoints``: the newest checkpoint of a run on its way, at last ``finished``.

    Parameters
    ----------
    out
        Folder of the checkpoint to come.
    """

    def __init__(self, out: Path) -> None:
        self.path = out.with_name(f"{out.name}.checkpoints")

    def begin(self, resumed: bool) -> None:
        """Open the folder, empty unless a run goes on.

        Raises
        ------
        UsageError
            If it holds anything else.
        """
        for path in list(self.path.iterdir()) if self.path.is_dir() else ():
            if not _OURS.fullmatch(path.name):
                raise UsageError(
                    f"{self.path} holds {path.name!r}, which is no checkpoint of a run; this run "
                    "would write there: move it, or choose another --out"
                )
            if not resumed or not _CHECKPOINT.fullmatch(path.name):
                _remove(path)
        self.path.mkdir(parents=True, exist_ok=True)

    def save(self, trainable: Trainable, step: int, record: Mapping[str, Any]) -> None:
        """Write ``checkpoint-<step>`` unless it is there, then remove the ones before."""
        folder = self.path / f"checkpoint-{step}"
        if not folder.exists():
            trainable.save(folder, training=record)
        for path in self.path.glob("checkpoint-*"):
            if path != folder:
                _remove(path)

    def finish(self) -> None:
        """Mark the run as finished; its checkpoint is elsewhere, so those on the way go."""
        mark_finished(self.path)
        for path in self.path.glob("checkpoint-*"):
            _remove(path)


def _remove(path: Path) -> None:
    """Remove a folder in one step for those who read it, or a file."""
    if not path.is_dir():
        path.unlink()
        return
    gone = path.with_name(f".gone-{path.name}")
    shutil.rmtree(gone, ignore_errors=True)
    path.rename(gone)
    shutil.rmtree(gone)
