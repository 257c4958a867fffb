"""What a recognized checkpoint lacks, from options and from the local Hugging Face cache."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from anisotropy.encoders import hub
from anisotropy.encoders.layouts import (
    COMPLETED_LAYOUTS,
    CheckpointFiles,
    first_file,
    recognize_source,
    tokenizer_files,
    wordpiece_files,
)
from anisotropy.errors import CheckpointError, InputError


@dataclass(frozen=True)
class Backbone:
    """What the backbone of a layout is and what its tokenizer consists of.

    Attributes
    ----------
    names
        Its names in the local Hugging Face cache.
    tokenizer, file, files
        Finder of tokenizer files in a folder, the first of them, and all of them in words.
    """

    names: tuple[str, ...]
    tokenizer: Callable[[Path], tuple[Path, ...]]
    file: str
    files: str


_ROBERTA = Backbone(
    ("roberta-base", "FacebookAI/roberta-base"),
    tokenizer_files,
    "vocab.json",
    "vocab.json with merges.txt",
)
_BERT = Backbone(
    ("bert-base-uncased", "google-bert/bert-base-uncased"),
    wordpiece_files,
    "vocab.txt",
    "vocab.txt",
)


def backbone_of(files: CheckpointFiles) -> Backbone:
    """BERT for DPR, RoBERTa for ANCE and DANCE."""
    return _BERT if files.layout == "dpr" else _ROBERTA


def recognize(
    source: str | Path,
    *,
    tokenizer: str | Path | None = None,
    backbone: str | Path | None = None,
) -> CheckpointFiles:
    """Recognize a checkpoint by its content, and complete it.

    Parameters
    ----------
    source
        Folder, zip file, single weights file, or hub id ``org/name[@revision]``.
    tokenizer, backbone
        Folder, file or hub id to take the tokenizer, the backbone configuration from.

    Raises
    ------
    CheckpointError
        If the path does not exist, nothing known is there, or an option has nothing to give.
    """
    return _with_options(recognize_source(source), tokenizer, backbone)


def _with_options(
    files: CheckpointFiles, tokenizer: str | Path | None, backbone: str | Path | None
) -> CheckpointFiles:
    if files.layout not in COMPLETED_LAYOUTS:
        if tokenizer is not None or backbone is not None:
            raise CheckpointError(
                f"{files.origin}: --tokenizer and --backbone are for upstream checkpoints; this "
                f"{files.layout} model brings its own"
            )
        return files
    if backbone is not None:
        files = _with_backbone(files, backbone)
    if tokenizer is not None:
        files = _with_tokenizer(files, tokenizer)
    return _with_cache(files) if is_single(files) else files


def is_single(files: CheckpointFiles) -> bool:
    """Whether the weights are one file, which brings nothing with it."""
    return files.layout == "state_dict" or (files.layout == "dpr" and files.context is None)


def _with_backbone(files: CheckpointFiles, backbone: str | Path) -> CheckpointFiles:
    place = _place("--backbone", backbone, "config.json")
    config = place if place.is_file() else first_file(place, ("config.json",))
    if config is None:
        raise CheckpointError(f"--backbone {backbone}: no config.json in it")
    kind = backbone_of(files)
    found = files.tokenizer or (kind.tokenizer(place) if place.is_dir() else ())
    sources = {**files.sources, "backbone": f"option --backbone {backbone}"}
    if not files.tokenizer and found:
        sources["tokenizer"] = f"option --backbone {backbone}"
    return dataclasses.replace(files, config=config, tokenizer=found, sources=sources)


def _with_tokenizer(files: CheckpointFiles, tokenizer: str | Path) -> CheckpointFiles:
    kind = backbone_of(files)
    place = _place("--tokenizer", tokenizer, kind.file)
    single = place.is_file() and (place.suffix == ".json" or kind is _BERT)
    found = (place,) if single else kind.tokenizer(place)
    if not found:
        raise CheckpointError(f"--tokenizer {tokenizer}: no {kind.files}, and no tokenizer.json")
    sources = {**files.sources, "tokenizer": f"option --tokenizer {tokenizer}"}
    return dataclasses.replace(files, tokenizer=found, sources=sources)


def _place(option: str, value: str | Path, file: str) -> Path:
    path = Path(value).expanduser()
    if path.exists():
        return path
    cached = hub.cached_file(str(value), file)
    if cached is not None:
        return cached.parent
    if hub.is_hub_id(str(value)):
        return hub.hub_folder(str(value))
    raise CheckpointError(f"{option} {value}: no such path, and no hub id of the form org/name")


def _with_cache(files: CheckpointFiles) -> CheckpointFiles:
    """Fill what a single file does not have from its backbone in the local cache."""
    kind = backbone_of(files)
    sources, config, tokenizer = dict(files.sources), files.config, files.tokenizer
    for name in kind.names:
        if config is None and (config := hub.cached_file(name, "config.json")):
            sources["backbone"] = f"assumed: {name} in the local Hugging Face cache"
        if not tokenizer and (vocabulary := hub.cached_file(name, kind.file)):
            tokenizer = kind.tokenizer(vocabulary.parent)
            sources["tokenizer"] = f"assumed: {name} in the local Hugging Face cache"
    return dataclasses.replace(files, config=config, tokenizer=tokenizer, sources=sources)


def require(files: CheckpointFiles) -> None:
    """Refuse an upstream checkpoint without tokenizer or configuration.

    Raises
    ------
    CheckpointError
        Naming what is missing and the options that give it; for a single file also what its
        shapes say.
    """
    if files.tokenizer and files.config:
        return
    if is_single(files):
        raise CheckpointError(_missing_text(files))
    if files.config is None:
        raise CheckpointError(
            f"{files.origin}: no config.json; give the backbone's with --backbone"
        )
    raise CheckpointError(
        f"{files.origin}: no tokenizer ({backbone_of(files).files}, or tokenizer.json); give its "
        "folder with --tokenizer"
    )


def _missing_text(files: CheckpointFiles) -> str:
    parts = [("tokenizer", files.tokenizer), ("backbone configuration", files.config)]
    missing = " and ".join(name for name, found in parts if not found)
    return (
        f"{files.origin}: no {missing} beside this single file or in the local Hugging Face "
        f"cache; give --tokenizer and --backbone (folder or hub id); {_shapes_text(files)}"
    )


def _shapes_text(files: CheckpointFiles) -> str:
    from anisotropy.encoders.keys import assumed_text, infer_shapes
    from anisotropy.encoders.weights import read_entries

    if files.weights is None:
        return ""
    try:
        return assumed_text(infer_shapes(read_entries(files.weights)))
    except InputError as error:
        return str(error)
