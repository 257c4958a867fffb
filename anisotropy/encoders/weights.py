"""State dicts of upstream checkpoints: read safely, cleaned, and checked tensor by tensor."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from anisotropy.encoders.recognition import DPR_MESSAGE
from anisotropy.errors import CheckpointError, InputError
from anisotropy.untrusted.tensors import TensorEntry, is_safetensors, read_safetensors, read_torch

State = dict[str, torch.Tensor]
Entries = dict[str, TensorEntry]
HEAD_KEYS = ("embeddingHead.weight", "embeddingHead.bias", "norm.weight", "norm.bias")
WRAPPERS = ("state_dict", "model_state_dict", "model")
PREFIXES = ("module.", "model.")
_UNUSED = re.compile(r"(roberta\.)?pooler\.|classifier\.|(.*\.)?position_ids$")
_LAYER = re.compile(r"roberta\.encoder\.layer\.(\d+)\.")


@dataclass(frozen=True)
class KeyReport:
    """What a file's tensors are, against what the encoder needs.

    Attributes
    ----------
    used, unused, unexpected, missing
        Key names: read; known and without effect; unknown; needed and absent.
    mismatched
        Key -> "got shape ..., needs shape ...".
    """

    used: tuple[str, ...]
    unused: tuple[str, ...]
    unexpected: tuple[str, ...]
    missing: tuple[str, ...]
    mismatched: Mapping[str, str]

    def problem(self) -> str | None:
        """First thing that forbids using the file, in one sentence; None if nothing does."""
        if self.missing:
            heads = [key for key in self.missing if key in HEAD_KEYS]
            what = "head tensors" if heads else "tensors"
            return f"missing {what}: {_few(heads or list(self.missing))}"
        if self.unexpected:
            return f"unexpected tensors: {_few(list(self.unexpected))}"
        if self.mismatched:
            pairs = [f"{key} ({text})" for key, text in self.mismatched.items()]
            return f"tensors of another shape: {_few(pairs, shown=2)}"
        return None


def _few(names: list[str], shown: int = 4) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def read_state_dict(path: Path) -> State:
    """Read the tensors of a safetensors or torch file, without executing anything.

    Wrappers (``state_dict``, ``model_state_dict``, ``model``) and prefixes (``module.``,
    ``model.``) are taken off, gamma and beta renamed as transformers 2.3.0 does.

    Raises
    ------
    CheckpointError
        If the file is truncated, is not such a file, or holds something else.
    """
    state = _clean(_unwrap(_load(path), path), path)
    return {key: tensor_of(entry) for key, entry in state.items()}


def tensor_of(entry: TensorEntry) -> torch.Tensor:
    """The tensor at a place in a file, mapped into memory where the machine can do that."""
    array = np.require(entry.array(), requirements=["ALIGNED", "WRITEABLE"])
    tensor = torch.from_numpy(array)
    return tensor.view(torch.bfloat16) if entry.dtype == "bfloat16" else tensor


def _load(path: Path) -> Any:
    """Content of a weights file with its tensors' places."""
    try:
        return read_safetensors(path)[0] if is_safetensors(path) else read_torch(path)
    except InputError as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise CheckpointError(f"{path}: not readable as weights ({reason})") from None


def _unwrap(raw: Any, path: Path) -> Entries:
    if isinstance(raw, Mapping) and not _is_state(raw):
        if "model_dict" in raw:
            raise CheckpointError(f"{path}: {DPR_MESSAGE}")
        raw = next((raw[name] for name in WRAPPERS if _is_state(raw.get(name))), raw)
    if not _is_state(raw):
        keys = _few([str(key) for key in raw]) if isinstance(raw, Mapping) else type(raw).__name__
        raise CheckpointError(
            f"{path}: no state dict in it (found: {keys}); allowed: tensors by name, bare or "
            f"under {', '.join(WRAPPERS)}"
        )
    return dict(raw)


def _is_state(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(item, TensorEntry) for item in value.values())
    )


def _clean(state: Entries, path: Path) -> Entries:
    for prefix in PREFIXES * 2:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): tensor for key, tensor in state.items()}
    if any(key.startswith(("question_model.", "ctx_model.")) for key in state):
        raise CheckpointError(f"{path}: {DPR_MESSAGE}")
    found: Entries = {}
    for key, tensor in state.items():
        name = key.replace("gamma", "weight").replace("beta", "bias")
        if name in found:
            raise CheckpointError(f"{path}: two tensors are called {name}")
        found[name] = tensor
    return found


def compare_keys(state: State, needed: Mapping[str, torch.Size]) -> KeyReport:
    """Sort the keys of a file against the shapes an encoder needs."""
    unused = [key for key in state if key not in needed and _UNUSED.match(key)]
    return KeyReport(
        used=tuple(key for key in state if key in needed),
        unused=tuple(unused),
        unexpected=tuple(key for key in state if key not in needed and key not in unused),
        missing=tuple(key for key in needed if key not in state),
        mismatched={
            key: f"got {tuple(state[key].shape)}, needs {tuple(shape)}"
            for key, shape in needed.items()
            if key in state and state[key].shape != shape
        },
    )


def check_finite(state: State, keys: tuple[str, ...], path: Path) -> None:
    """Refuse NaN and infinities in the tensors that are used."""
    for key in keys:
        if not bool(torch.isfinite(state[key]).all()):
            raise CheckpointError(f"{path}: NaN or infinity in {key}")


def infer_shapes(state: State) -> dict[str, int]:
    """Backbone configuration that the shapes give; the number of heads is assumed.

    Returns
    -------
    dict
        ``hidden_size``, ``num_hidden_layers``, ``vocab_size``, ``max_position_embeddings``,
        ``intermediate_size``, ``num_attention_heads`` (hidden_size / 64), as far as known.
    """
    found: dict[str, int] = {}
    words = state.get("roberta.embeddings.word_embeddings.weight")
    if words is not None and words.ndim == 2:
        found["vocab_size"], found["hidden_size"] = (int(size) for size in words.shape)
        found["num_attention_heads"] = max(1, found["hidden_size"] // 64)
    places = state.get("roberta.embeddings.position_embeddings.weight")
    if places is not None:
        found["max_position_embeddings"] = int(places.shape[0])
    inner = state.get("roberta.encoder.layer.0.intermediate.dense.weight")
    if inner is not None:
        found["intermediate_size"] = int(inner.shape[0])
    layers = {int(match[1]) for key in state if (match := _LAYER.match(key))}
    if layers:
        found["num_hidden_layers"] = max(layers) + 1
    return found


def assumed_text(shapes: Mapping[str, int]) -> str:
    """One line of what `infer_shapes` found, the assumed part marked."""
    named = [
        f"{key} {value}" + (" (assumed: hidden size / 64)" if "heads" in key else "")
        for key, value in shapes.items()
    ]
    return "from the shapes: " + ", ".join(named) if named else "the shapes say nothing"
