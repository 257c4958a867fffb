"""From one layout of checkpoints to another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from anisotropy.encoders.encoder import Encoder
from anisotropy.errors import UsageError, one_of
from anisotropy.files import new_folder

Writer = Callable[[Encoder, Path], tuple[str, ...]]
LAYOUTS = ("sentence-transformers", "upstream")


def convert_checkpoint(encoder: Encoder, layout: str, target: str | Path) -> tuple[str, ...]:
    """Write a checkpoint in another layout, whole or not at all.

    Parameters
    ----------
    encoder
        The opened checkpoint.
    layout
        ``sentence-transformers`` or ``upstream``.
    target
        New folder, or an empty one.

    Returns
    -------
    tuple of str
        What the layout does not hold, or its own programs have to be told, a sentence each.

    Raises
    ------
    UsageError
        If the layout is unknown, or the recipe is in doubt: a folder has one.
    CheckpointError
        If the checkpoint cannot be used, or does not fit the layout.
    InputError
        If something is at `target`, or it cannot be written.
    """
    if layout not in LAYOUTS:
        raise UsageError(f"layout: {one_of(layout, LAYOUTS)}")
    if len(encoder.readings) > 1:
        names = " or ".join(f"--recipe {reading.name}" for reading in encoder.readings)
        raise UsageError(
            f"{encoder.files.origin}: {encoder.recipe.doubts[0]}; a folder has one recipe: {names}"
        )
    with new_folder(Path(target)) as folder:
        return _writer(layout)(encoder, folder)


def _writer(layout: str) -> Writer:
    if layout == "upstream":
        from anisotropy.encoders.to_upstream import write_upstream

        return write_upstream
    from anisotropy.encoders.to_sentence_transformers import write_sentence_transformers

    return write_sentence_transformers
