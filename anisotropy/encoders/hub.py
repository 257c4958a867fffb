"""Hub ids ``org/name[@revision]``: the local cache first, then the network, never for long."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

from anisotropy.errors import CheckpointError

HUB_ID = re.compile(r"([\w-][\w.-]*/[\w-][\w.-]*)(?:@([\w./-]+))?")
ANSWER_SECONDS = 7.0
_FOREIGN_FORMATS = ("onnx/", "openvino/", "flax", "tf_model", "rust_model", "coreml/")
_KEPT = (".json", ".txt", ".model", ".safetensors", ".bin")


def is_hub_id(source: str) -> bool:
    """Whether a text has the form of a hub id."""
    return HUB_ID.fullmatch(source) is not None


def hub_folder(source: str) -> Path:
    """Local folder with the files of a hub model, downloaded if the cache does not have it.

    Raises
    ------
    CheckpointError
        If the model is not in the cache and the hub does not answer, does not know it, or is
        switched off (``HF_HUB_OFFLINE``).
    """
    match = HUB_ID.fullmatch(source)
    if match is None:
        raise CheckpointError(f"{source}: no hub id; allowed: org/name or org/name@revision")
    name, revision = match[1], match[2]
    cached = cached_folder(name, revision)
    return cached if cached is not None else _download(name, revision)


def cached_folder(name: str, revision: str | None = None) -> Path | None:
    """Snapshot folder in the local Hugging Face cache; None if it has no configuration."""
    file = cached_file(name, "config.json", revision) or cached_file(
        name, "modules.json", revision
    )
    return file.parent if file is not None and _has_weights(file.parent) else None


def cached_file(name: str, file: str, revision: str | None = None) -> Path | None:
    """Return a file of a model in the local Hugging Face cache, None if it is not there."""
    from huggingface_hub import try_to_load_from_cache

    try:
        found = try_to_load_from_cache(name, file, revision=revision)
    except ValueError:  # not the form of a model's name
        return None
    return Path(found) if isinstance(found, str) else None


def _has_weights(folder: Path) -> bool:
    return any(folder.glob("*.safetensors")) or any(folder.glob("*.bin"))


def _download(name: str, revision: str | None) -> Path:
    import huggingface_hub

    info = _within_seconds(
        name, lambda: huggingface_hub.HfApi().repo_info(name, revision=revision, timeout=5)
    )
    files = _wanted([str(item.rfilename) for item in info.siblings or []])
    try:
        folder = huggingface_hub.snapshot_download(
            name, revision=revision, allow_patterns=files, etag_timeout=5
        )
    except Exception as error:  # network, disk, permissions
        raise CheckpointError(f"{name}: download from the hub failed ({_reason(error)})") from None
    return Path(folder)


def _within_seconds(name: str, call: Any) -> Any:
    """Answer of a call to the hub; a name server that hangs is not waited for."""
    answer: list[Any] = []
    problem: list[Exception] = []

    def ask() -> None:
        try:
            answer.append(call())
        except Exception as error:
            problem.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(ANSWER_SECONDS)
    if answer:
        return answer[0]
    reason = _reason(problem[0]) if problem else f"no answer in {ANSWER_SECONDS:.0f} seconds"
    raise CheckpointError(
        f"{name}: neither a path, nor in the local Hugging Face cache, nor to be had from the "
        f"hub ({reason})"
    )


def _reason(error: Exception) -> str:
    kind = type(error).__name__
    known = {
        "RepositoryNotFoundError": "the hub has no such model, or it is private",
        "RevisionNotFoundError": "no such revision",
        "GatedRepoError": "it is gated: log in with `hf auth login`",
        "OfflineModeIsEnabled": "HF_HUB_OFFLINE is set",
        "ConnectError": "the hub is unreachable",
        "ConnectionError": "the hub is unreachable",
        "ConnectTimeout": "the hub is unreachable",
    }
    return known.get(kind) or f"{kind}: {(str(error) or kind).splitlines()[0][:120]}"


def _wanted(files: list[str]) -> list[str]:
    kept = [
        file
        for file in files
        if file.endswith(_KEPT) and not any(mark in file for mark in _FOREIGN_FORMATS)
    ]
    if any(file.endswith(".safetensors") for file in kept):
        kept = [file for file in kept if not file.endswith("pytorch_model.bin")]
    return kept
