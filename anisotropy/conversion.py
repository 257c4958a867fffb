"""From one layout to another: checkpoints to checkpoints, embeddings to embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from anisotropy.errors import UsageError, one_of
from anisotropy.files import check_new
from anisotropy.opening import (
    EncoderOptions,
    holds_vectors,
    open_space,
    refuse_dump_options,
)
from anisotropy.spaces.dumps.base import DumpOptions
from anisotropy.spaces.dumps.opening import is_dump

CHECKPOINT_LAYOUTS = ("sentence-transformers", "upstream")
SPACE_LAYOUTS = ("store", "parquet", "npz")


@dataclass(frozen=True)
class Conversion:
    """What was written.

    Attributes
    ----------
    path
        Where.
    layout
        One of `CHECKPOINT_LAYOUTS` and `SPACE_LAYOUTS`.
    notes
        What the layout does not hold, or what its own programs have to be told, a sentence each.
    """

    path: Path
    layout: str
    notes: tuple[str, ...] = ()


def convert(
    source: str | Path,
    to: str,
    out: str | Path,
    *,
    encoder: EncoderOptions | None = None,
    dump: DumpOptions | None = None,
    data: str | Path | None = None,
    verify: bool = False,
) -> Conversion:
    """Write a checkpoint, or embeddings, in another layout, whole or not at all.

    Parameters
    ----------
    source
        A checkpoint of any readable layout or a hub id; or a store, or a dump of vectors.
    to
        ``sentence-transformers`` or ``upstream`` for a checkpoint; ``store``, ``parquet`` or
        ``npz`` for embeddings.
    out
        New folder (``npz``: new file).
    encoder
        How to read a checkpoint.
    dump
        What the files of a dump do not say.
    data
        The collection of a dump, for ids of its rows and for judgments.
    verify
        Check every checksum of a store.

    Raises
    ------
    UsageError
        If the layout is unknown or of the other kind, or the recipe is in doubt.
    InputError
        If the source cannot be read, does not fit the layout, something is at `out`, or it cannot
        be written.
    """
    if to not in CHECKPOINT_LAYOUTS + SPACE_LAYOUTS:
        raise UsageError(f"layout: {one_of(to, CHECKPOINT_LAYOUTS + SPACE_LAYOUTS)}")
    check_new(Path(out))
    if data is not None and not is_dump(Path(source)):
        raise UsageError(f"{source}: is no dump of vectors; --data: for dumps")
    if holds_vectors(source):
        notes = _convert_space(source, to, out, encoder, dump, data, verify)
    else:
        refuse_dump_options(source, dump)
        notes = _convert_checkpoint(source, to, out, encoder)
    return Conversion(Path(out), to, notes)


def _convert_space(
    source: str | Path,
    to: str,
    out: str | Path,
    encoder: EncoderOptions | None,
    dump: DumpOptions | None,
    data: str | Path | None,
    verify: bool,
) -> tuple[str, ...]:
    from anisotropy.collection import open_collection
    from anisotropy.spaces.exporting import convert_space

    if to not in SPACE_LAYOUTS:
        raise UsageError(
            f"{source}: embeddings, and {to} is a layout of checkpoints; allowed: "
            f"{', '.join(SPACE_LAYOUTS)}"
        )
    split = dump.split if dump is not None else None
    collection = None if data is None else open_collection(data, split=split)
    space = open_space(source, collection, encoder=encoder, dump=dump, verify=verify)
    return convert_space(space, to, out)


def _convert_checkpoint(
    source: str | Path, to: str, out: str | Path, encoder: EncoderOptions | None
) -> tuple[str, ...]:
    from anisotropy.encoders.converting import convert_checkpoint

    opened = (encoder or EncoderOptions()).open(source)
    if to not in CHECKPOINT_LAYOUTS:
        raise UsageError(
            f"{source}: a checkpoint, and {to} is a layout of embeddings; allowed: "
            f"{', '.join(CHECKPOINT_LAYOUTS)} (or encode it first, and convert the store)"
        )
    return convert_checkpoint(opened, to, out)
