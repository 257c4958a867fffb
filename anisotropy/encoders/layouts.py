"""What a source is, recognized by content, and the files that belong to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from anisotropy.encoders import archives, hub, recognition
from anisotropy.encoders.configuration import read_table
from anisotropy.errors import CheckpointError, InputError

UPSTREAM_LAYOUTS = ("upstream", "state_dict")
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_SHARDED = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_SUFFIXES = (".ckpt", ".pt", ".pth", ".bin", ".cp", ".safetensors", ".zip")
_BACKBONES = ("roberta-base", "FacebookAI/roberta-base")
_HEAD = b"embeddingHead"


@dataclass(frozen=True)
class CheckpointFiles:
    """A recognized checkpoint.

    Attributes
    ----------
    layout
        ``upstream`` (folder), ``state_dict`` (single file), ``sentence-transformers`` or
        ``transformers``.
    origin, label
        What was asked for; a short name for it.
    folder
        Where the files are (for a zip: where it was unpacked).
    weights, config, arguments, recipe
        Weights, ``config.json``, ``training_args.bin``, ``recipe.json``; None if absent.
    tokenizer
        ``(vocab.json, merges.txt)``, or ``(tokenizer.json,)``, or empty if there is none.
    sources
        Where tokenizer and backbone were found.
    """

    layout: str
    origin: str
    label: str
    folder: Path
    weights: Path | None = None
    config: Path | None = None
    arguments: Path | None = None
    recipe: Path | None = None
    tokenizer: tuple[Path, ...] = ()
    sources: dict[str, str] = field(default_factory=dict)


def recognize(
    source: str | Path,
    *,
    tokenizer: str | Path | None = None,
    backbone: str | Path | None = None,
) -> CheckpointFiles:
    """Recognize a checkpoint by its content.

    Parameters
    ----------
    source
        Folder, zip file, single weights file, or hub id ``org/name[@revision]``.
    tokenizer, backbone
        Folder, file or hub id to take the tokenizer, the backbone configuration from.

    Raises
    ------
    CheckpointError
        If the path does not exist, or nothing known is there.
    """
    path = Path(source).expanduser()
    text = str(source)
    if path.is_dir():
        files = _folder(path, text)
    elif path.is_file():
        files = _file(path, text)
    elif path.exists():
        raise CheckpointError(f"{text}: neither a file nor a folder")
    elif hub.is_hub_id(text):
        files = _folder(hub.hub_folder(text), text)
    else:
        raise CheckpointError(
            f"{text}: no such path; allowed: a checkpoint folder, zip or weights file, or a hub "
            "id of the form org/name"
        )
    return _with_options(files, tokenizer, backbone)


def _label(text: str) -> str:
    path = Path(text).expanduser()
    if not path.exists():
        return text
    name = path.resolve().parent.name if path.name in WEIGHTS else path.resolve().name
    for suffix in _SUFFIXES:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def _folder(folder: Path, origin: str) -> CheckpointFiles:
    names = {item.name for item in folder.iterdir()}
    if not names:
        raise CheckpointError(f"{origin}: the folder is empty; allowed: a checkpoint folder")
    weights = _first(folder, WEIGHTS)
    files = CheckpointFiles(
        layout="upstream",
        origin=origin,
        label=_label(origin),
        folder=folder,
        weights=weights,
        config=_first(folder, ("config.json",)),
        arguments=_first(folder, ("training_args.bin",)),
        recipe=_first(folder, ("recipe.json",)),
        tokenizer=tokenizer_files(folder),
        sources={"tokenizer": "the checkpoint's folder", "backbone": "config.json"},
    )
    if "modules.json" in names:
        return dataclasses.replace(files, layout="sentence-transformers")
    sharded = any(name in names for name in _SHARDED)
    if weights is None and not sharded:
        raise CheckpointError(f"{origin}: {_no_weights(folder)}")
    if (sharded and weights is None) or (files.config and not _is_upstream(files, weights)):
        return dataclasses.replace(files, layout="transformers")
    return files


def _no_weights(folder: Path) -> str:
    steps = sorted(item.name for item in folder.glob("checkpoint-*") if item.is_dir())
    if steps:
        return f"holds {len(steps)} checkpoint folders; name one, for example {steps[-1]}"
    known = ", ".join(WEIGHTS)
    return f"no checkpoint in this folder (no {known} or modules.json)"


def _is_upstream(files: CheckpointFiles, weights: Path | None) -> bool:
    if files.recipe is not None:
        return True
    if files.config is None or "model_type" not in read_table(files.config):
        return True
    return weights is not None and _HEAD in recognition.names_in(weights)


def _file(path: Path, origin: str) -> CheckpointFiles:
    try:
        kind = recognition.file_kind(path)
    except OSError as error:
        raise CheckpointError(f"{origin}: not readable ({error.strerror})") from None
    if kind == "archive":
        return _archive(path, origin)
    if kind == "unknown":
        raise CheckpointError(
            f"{origin}: neither a checkpoint (torch weights, safetensors, a zip of a checkpoint "
            "folder) nor vectors of a layout that docs/dumps.md lists"
        )
    if b"question_model." in recognition.names_in(path):
        raise CheckpointError(f"{origin}: {recognition.DPR_MESSAGE}")
    beside = path.parent
    return CheckpointFiles(
        layout="state_dict",
        origin=origin,
        label=_label(origin),
        folder=beside,
        weights=path,
        config=_first(beside, ("config.json",)),
        arguments=_first(beside, ("training_args.bin",)),
        recipe=_first(beside, ("recipe.json",)),
        tokenizer=tokenizer_files(beside),
        sources={"tokenizer": "files beside the weights", "backbone": "files beside the weights"},
    )


def _archive(path: Path, origin: str) -> CheckpointFiles:
    folder = archives.unpack(path)
    files = dataclasses.replace(_folder(folder, origin), label=_label(origin))
    if files.layout not in UPSTREAM_LAYOUTS:
        raise CheckpointError(f"{origin}: a zip of a {files.layout} model; unpack it and name it")
    return files


def _first(folder: Path, names: Iterable[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def tokenizer_files(folder: Path) -> tuple[Path, ...]:
    """``vocab.json`` and ``merges.txt`` of a folder, else its ``tokenizer.json``, else nothing."""
    pair = (folder / "vocab.json", folder / "merges.txt")
    if all(path.is_file() for path in pair):
        return pair
    single = folder / "tokenizer.json"
    return (single,) if single.is_file() else ()


def _with_options(
    files: CheckpointFiles, tokenizer: str | Path | None, backbone: str | Path | None
) -> CheckpointFiles:
    if files.layout not in UPSTREAM_LAYOUTS:
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
    return _with_cache(files) if files.layout == "state_dict" else files


def _with_backbone(files: CheckpointFiles, backbone: str | Path) -> CheckpointFiles:
    place = _place("--backbone", backbone, "config.json")
    config = place if place.is_file() else _first(place, ("config.json",))
    if config is None:
        raise CheckpointError(f"--backbone {backbone}: no config.json in it")
    found = files.tokenizer or (tokenizer_files(place) if place.is_dir() else ())
    sources = {**files.sources, "backbone": f"option --backbone {backbone}"}
    if not files.tokenizer and found:
        sources["tokenizer"] = f"option --backbone {backbone}"
    return dataclasses.replace(files, config=config, tokenizer=found, sources=sources)


def _with_tokenizer(files: CheckpointFiles, tokenizer: str | Path) -> CheckpointFiles:
    place = _place("--tokenizer", tokenizer, "vocab.json")
    found = (place,) if place.suffix == ".json" and place.is_file() else tokenizer_files(place)
    if not found:
        raise CheckpointError(
            f"--tokenizer {tokenizer}: no vocab.json with merges.txt, and no tokenizer.json"
        )
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
    """Fill what a single file does not have from roberta-base in the local cache."""
    sources, config, tokenizer = dict(files.sources), files.config, files.tokenizer
    for name in _BACKBONES:
        if config is None and (config := hub.cached_file(name, "config.json")):
            sources["backbone"] = f"assumed: {name} in the local Hugging Face cache"
        if not tokenizer and (vocabulary := hub.cached_file(name, "vocab.json")):
            tokenizer = tokenizer_files(vocabulary.parent)
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
    if files.layout == "state_dict":
        raise CheckpointError(_missing_text(files))
    if files.config is None:
        raise CheckpointError(
            f"{files.origin}: no config.json; give the backbone's with --backbone"
        )
    raise CheckpointError(
        f"{files.origin}: no tokenizer (vocab.json with merges.txt, or tokenizer.json); give its "
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
    from anisotropy.encoders.weights import assumed_text, infer_shapes, read_state_dict

    if files.weights is None:
        return ""
    try:
        return assumed_text(infer_shapes(read_state_dict(files.weights)))
    except InputError as error:
        return str(error)
