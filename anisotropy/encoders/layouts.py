"""What a source is, recognized by content, and the files that belong to it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from anisotropy.encoders import archives, hub, recognition
from anisotropy.encoders.configuration import read_table
from anisotropy.encoders.series import SHARDED, WEIGHTS, few_names, find_series
from anisotropy.errors import CheckpointError

UPSTREAM_LAYOUTS = ("upstream", "state_dict")
#: Layouts whose tokenizer and backbone may come from elsewhere; the others bring their own.
COMPLETED_LAYOUTS = (*UPSTREAM_LAYOUTS, "dpr")
_SUFFIXES = (".ckpt", ".pt", ".pth", ".bin", ".cp", ".safetensors", ".zip")
_HEAD = b"embeddingHead"
#: What transformers calls the two halves of DPR.
ROLES = {"question": "DPRQuestionEncoder", "context": "DPRContextEncoder"}


@dataclass(frozen=True)
class CheckpointFiles:
    """A recognized checkpoint.

    Attributes
    ----------
    layout
        ``upstream`` (folder), ``state_dict`` (single file), ``dpr`` (a bi-encoder: a single file,
        or a folder of two of transformers' folders), ``sentence-transformers`` or
        ``transformers``.
    origin, label
        What was asked for; a short name for it.
    folder
        Where the files are (for a zip: where it was unpacked).
    weights, config, arguments, recipe
        Weights, ``config.json``, ``training_args.bin``, ``recipe.json``; None if absent.
    context
        Weights of DPR's context encoder where they are a file of their own.
    tokenizer
        ``(vocab.json, merges.txt)``, ``(vocab.txt,)`` or ``(tokenizer.json,)``, or empty if there
        is none.
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
    context: Path | None = None
    tokenizer: tuple[Path, ...] = ()
    sources: dict[str, str] = field(default_factory=dict)


def recognize_source(source: str | Path) -> CheckpointFiles:
    """Recognize a checkpoint by its content; `completion.recognize` adds what lies elsewhere.

    Parameters
    ----------
    source
        Folder, zip file, single weights file, or hub id ``org/name[@revision]``.

    Raises
    ------
    CheckpointError
        If the path does not exist, or nothing known is there.
    """
    path = Path(source).expanduser()
    text = str(source)
    if path.is_dir():
        return _folder(path, text)
    if path.is_file():
        return _file(path, text)
    if path.exists():
        raise CheckpointError(f"{text}: neither a file nor a folder")
    if hub.is_hub_id(text):
        return _folder(hub.hub_folder(text), text)
    raise CheckpointError(
        f"{text}: no such path; allowed: a checkpoint folder, zip or weights file, a store, a "
        "dump of embeddings, or a hub id of the form org/name"
    )


@contextlib.contextmanager
def naming(origin: str) -> Iterator[None]:
    """Name a zip file too where an error is about what was unpacked, which nobody has named."""
    try:
        yield
    except CheckpointError as error:
        text = str(error)
        named = origin in text or not Path(origin).expanduser().is_file()
        raise error if named else CheckpointError(f"{origin}: {text}") from None


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
    weights = first_file(folder, WEIGHTS)
    files = CheckpointFiles(
        layout="upstream",
        origin=origin,
        label=_label(origin),
        folder=folder,
        weights=weights,
        config=first_file(folder, ("config.json",)),
        arguments=first_file(folder, ("training_args.bin",)),
        recipe=first_file(folder, ("recipe.json",)),
        tokenizer=tokenizer_files(folder),
        sources={"tokenizer": "the checkpoint's folder", "backbone": "config.json"},
    )
    if (role := _dpr_role(folder)) is not None:
        raise CheckpointError(
            f"{origin}: the {role} encoder of DPR alone; allowed: a folder that holds the folders "
            "of both encoders: name that one"
        )
    if "modules.json" in names:
        return dataclasses.replace(files, layout="sentence-transformers")
    sharded = any(name in names for name in SHARDED)
    if weights is None and not sharded:
        pair = _dpr_pair(folder, files)
        if pair is None:
            raise CheckpointError(f"{origin}: {_no_weights(folder)}")
        return pair
    if (sharded and weights is None) or (files.config and not _is_upstream(files, weights)):
        return dataclasses.replace(files, layout="transformers")
    return files


def _no_weights(folder: Path) -> str:
    series = find_series(folder)
    if series is not None:
        names = [path.name for path in series.complete]
        what = f"a training folder with {few_names(names)}" if names else "a training folder"
        skipped = "; ".join(f"{name} is not complete" for name in series.skipped)
        chosen = f"; name one, for example {series.complete[-1]}" if names else ""
        return "; ".join(filter(None, [what, skipped])) + chosen
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
            "folder) nor vectors of a layout that docs/layouts.md lists"
        )
    dpr = b"question_model." in recognition.names_in(path)
    beside = path.parent
    return CheckpointFiles(
        layout="dpr" if dpr else "state_dict",
        origin=origin,
        label=_label(origin),
        folder=beside,
        weights=path,
        config=first_file(beside, ("config.json",)),
        arguments=first_file(beside, ("training_args.bin",)),
        recipe=first_file(beside, ("recipe.json",)),
        tokenizer=wordpiece_files(beside) if dpr else tokenizer_files(beside),
        sources={"tokenizer": "files beside the weights", "backbone": "files beside the weights"},
    )


def _dpr_pair(folder: Path, files: CheckpointFiles) -> CheckpointFiles | None:
    """Question and context encoder of transformers in two folders inside one, or None."""
    found: dict[str, Path] = {}
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        role = _dpr_role(place)
        if role is None:
            continue
        if role in found:
            raise CheckpointError(
                f"{files.origin}: two {role} encoders of DPR in it, {found[role].name} and "
                f"{place.name}; allowed: one question and one context encoder"
            )
        found[role] = place
    weights = [first_file(found[role], WEIGHTS) for role in ROLES if role in found]
    if len(weights) < len(ROLES) or None in weights:
        return None
    places = [found[role] for role in ROLES]
    tokenizers = [(place, wordpiece_files(place)) for place in (*places, folder)]
    place, tokenizer = next((pair for pair in tokenizers if pair[1]), (folder, ()))
    return dataclasses.replace(
        files,
        layout="dpr",
        weights=weights[0],
        context=weights[1],
        config=places[0] / "config.json",
        arguments=None,
        tokenizer=tokenizer,
        sources={"tokenizer": str(place), "backbone": str(places[0])},
    )


def _dpr_role(folder: Path) -> str | None:
    """Whether a folder is transformers' ``question`` or ``context`` encoder of DPR, or neither."""
    config = folder / "config.json"
    if not config.is_file():
        return None
    values = read_table(config)
    names = values.get("architectures")
    if values.get("model_type") != "dpr" or not isinstance(names, list):
        return None
    return next((role for role, name in ROLES.items() if name in names), None)


def _archive(path: Path, origin: str) -> CheckpointFiles:
    folder = archives.unpack(path)
    with naming(origin):
        files = dataclasses.replace(_folder(folder, origin), label=_label(origin))
    if files.layout not in UPSTREAM_LAYOUTS:
        raise CheckpointError(f"{origin}: a zip of a {files.layout} model; unpack it and name it")
    return files


def first_file(folder: Path, names: Iterable[str]) -> Path | None:
    """Return the first of these files that a folder has."""
    return next((folder / name for name in names if (folder / name).is_file()), None)


def wordpiece_files(folder: Path) -> tuple[Path, ...]:
    """``vocab.txt`` of a folder, else its ``tokenizer.json``, else nothing."""
    found = first_file(folder, ("vocab.txt", "tokenizer.json"))
    return () if found is None else (found,)


def tokenizer_files(folder: Path) -> tuple[Path, ...]:
    """``vocab.json`` and ``merges.txt`` of a folder, else its ``tokenizer.json``, else nothing."""
    pair = (folder / "vocab.json", folder / "merges.txt")
    if all(path.is_file() for path in pair):
        return pair
    single = folder / "tokenizer.json"
    return (single,) if single.is_file() else ()
