"""Open an encoder, its tokenizer, or only describe what a checkpoint is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anisotropy.encoders.completion import recognize, require
from anisotropy.encoders.encoder import Encoder, UpstreamEncoder
from anisotropy.encoders.layouts import (
    COMPLETED_LAYOUTS,
    UPSTREAM_LAYOUTS,
    CheckpointFiles,
    naming,
    wordpiece_files,
)
from anisotropy.encoders.recipe import CHOICES
from anisotropy.encoders.resolution import resolve
from anisotropy.encoders.tokenization import UpstreamTokenizer
from anisotropy.encoders.wordpiece import WordPieceTokenizer
from anisotropy.errors import CheckpointError, UsageError, one_of


def open_encoder(
    source: str | Path,
    *,
    recipe: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    tokenizer: str | Path | None = None,
    backbone: str | Path | None = None,
    device: str = "cpu",
    dtype: str = "float32",
) -> Encoder:
    """Open a checkpoint as an encoder.

    Only small files are read; the weights follow at first use (`Encoder.load` forces it).

    Parameters
    ----------
    source
        Upstream folder, released zip, single-file state dict, DPR bi-encoder (one file, or a
        folder of transformers' two), sentence-transformers or transformers folder, or hub id
        ``org/name[@revision]``.
    recipe
        Name (`RECIPE_NAMES`) or path of a JSON or TOML file with recipe parts.
    overrides
        Recipe part -> value, stronger than everything else.
    tokenizer, backbone
        Folder, file or hub id, for upstream checkpoints that lack them.
    device
        As torch names it: ``cpu``, ``cuda``, ``cuda:1``.
    dtype
        Of the computation: ``float32`` or ``bfloat16``. Vectors are float32.

    Raises
    ------
    CheckpointError
        If the checkpoint cannot be used.
    UsageError
        If an option is not allowed.
    """
    if dtype not in CHOICES["dtype"]:
        raise UsageError(f"dtype: {one_of(dtype, CHOICES['dtype'])}")
    files = recognize(source, tokenizer=tokenizer, backbone=backbone)
    with naming(files.origin):
        return _opened(files, recipe, overrides or {}, device, dtype)


def _opened(
    files: CheckpointFiles,
    recipe: str | Path | None,
    overrides: Mapping[str, Any],
    device: str,
    dtype: str,
) -> Encoder:
    if files.layout in COMPLETED_LAYOUTS:
        require(files)
    readings = resolve(files, recipe=recipe, overrides=overrides, dtype=dtype)
    if files.layout in UPSTREAM_LAYOUTS:
        return UpstreamEncoder(files, readings, open_tokenizer_of(files), device)
    if files.layout == "dpr":
        from anisotropy.encoders.dpr_encoder import DprEncoder

        return DprEncoder(files, readings, open_wordpiece_of(files), device)
    from anisotropy.encoders.modules import ModulesEncoder

    return ModulesEncoder(files, readings, device)


def open_tokenizer(
    source: str | Path, *, tokenizer: str | Path | None = None
) -> UpstreamTokenizer:
    """Tokenizer of an upstream checkpoint, or of a folder with tokenizer files."""
    path = Path(source).expanduser()
    if tokenizer is None and path.is_dir() and (path / "vocab.json").is_file():
        return UpstreamTokenizer.from_files(path / "vocab.json", path / "merges.txt")
    return open_tokenizer_of(recognize(source, tokenizer=tokenizer))


def open_tokenizer_of(files: CheckpointFiles) -> UpstreamTokenizer:
    """Tokenizer from the files of an upstream checkpoint."""
    if len(files.tokenizer) == 2:
        return UpstreamTokenizer.from_files(*files.tokenizer)
    if len(files.tokenizer) == 1:
        return UpstreamTokenizer.from_tokenizer_json(files.tokenizer[0])
    raise CheckpointError(f"{files.origin}: no tokenizer; give its folder with --tokenizer")


def open_wordpiece_of(files: CheckpointFiles) -> WordPieceTokenizer:
    """Tokenizer of a DPR bi-encoder; two folders must have the same.

    Raises
    ------
    CheckpointError
        If there is none, or the encoders come with different ones.
    """
    if not files.tokenizer:
        raise CheckpointError(f"{files.origin}: no tokenizer; give its folder with --tokenizer")
    found = WordPieceTokenizer.from_file(files.tokenizer[0])
    own = () if files.context is None else wordpiece_files(files.context.parent)
    given = files.weights is None or files.tokenizer[0].parent != files.weights.parent
    if own and not given and WordPieceTokenizer.from_file(own[0]).fingerprint != found.fingerprint:
        raise CheckpointError(
            f"{files.origin}: {files.tokenizer[0].parent.name} and {own[0].parent.name} have "
            "different vocabularies; allowed: one for both (choose it with --tokenizer)"
        )
    return found


def describe_checkpoint(source: str | Path, **options: Any) -> dict[str, Any]:
    """Everything known about a checkpoint, without encoding; see `description.describe`."""
    from anisotropy.encoders.description import describe

    return describe(source, **options)
