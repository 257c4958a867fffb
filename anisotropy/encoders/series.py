"""A training folder with many ``checkpoint-<step>``: which there are, which are complete."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from anisotropy.encoders.folders import step_in


def few_names(names: Sequence[str]) -> str:
    """Names in a line, the middle left out where there are many."""
    return ", ".join([*names[:3], "...", *names[-3:]] if len(names) > 7 else names)


def steps_in(folder: Path) -> list[Path]:
    """Folders and files ``checkpoint-<step>`` of a training folder, in numeric order."""
    if not folder.is_dir():
        return []
    found = [(step, path) for path in folder.iterdir() if (step := step_in(path.name)) is not None]
    return [path for _, path in sorted(found)]
