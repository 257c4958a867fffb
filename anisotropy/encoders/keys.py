"""Names of tensors: wrappers and prefixes taken off, and each held against what is needed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from anisotropy.errors import CheckpointError
from anisotropy.untrusted.tensors import TensorEntry

Entries = dict[str, TensorEntry]
Shape = tuple[int, ...]
HEAD_KEYS = ("embeddingHead.weight", "embeddingHead.bias", "norm.weight", "norm.bias")
#: Where files keep the state dict: Lightning and plain loops, transformers, DPR.
WRAPPERS = ("state_dict", "model_state_dict", "model", "model_dict")
PREFIXES = ("module.", "model.")
_ROOTS = ("roberta.", "question_model.", "ctx_model.")
_WORDS = "embeddings.word_embeddings.weight"
#: The first word embeddings of an encoder: what stands before them is the name of a wrapper.
_ANCHOR = re.compile(rf"((?:.*\.)?)(?:roberta|question_model)\.{re.escape(_WORDS)}")
_UNUSED = re.compile(
    r"((roberta|question_model|ctx_model)\.)?pooler\.|classifier\.|(.*\.)?position_ids$"
)
_LAYER = re.compile(r"(?:roberta|question_model)\.encoder\.layer\.(\d+)\.")


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
            return f"missing {what}: {few(heads or list(self.missing))}"
        if self.unexpected:
            return f"unexpected tensors: {few(list(self.unexpected))}"
        if self.mismatched:
            pairs = [f"{key} ({text})" for key, text in self.mismatched.items()]
            return f"tensors of another shape: {few(pairs, shown=2)}"
        return None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "used": list(self.used),
            "unused": list(self.unused),
            "unexpected": list(self.unexpected),
            "missing": list(self.missing),
            "mismatched": dict(self.mismatched),
        }


def few(names: list[str], shown: int = 4) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def unwrapped(raw: Any, origin: str) -> Entries:
    """Return the state dict in what a file holds: bare, or under one of `WRAPPERS`.

    Raises
    ------
    CheckpointError
        If there is none; the message says what there is.
    """
    if isinstance(raw, Mapping) and not _is_state(raw):
        raw = next((raw[name] for name in WRAPPERS if _is_state(raw.get(name))), raw)
    if not _is_state(raw):
        keys = few([str(key) for key in raw]) if isinstance(raw, Mapping) else type(raw).__name__
        raise CheckpointError(
            f"{origin}: no state dict in it (found: {keys}); allowed: tensors by name, bare or "
            f"under {', '.join(WRAPPERS)}"
        )
    return dict(raw)


def beside_state(raw: Any) -> list[str]:
    """Names of what a file holds beside its state dict, numbers with their value."""
    if not isinstance(raw, Mapping) or _is_state(raw):
        return []
    used = next((name for name in WRAPPERS if _is_state(raw.get(name))), None)
    return [
        f"{name} {value}" if isinstance(value, int | float) else str(name)
        for name, value in raw.items()
        if name != used
    ]


def _is_state(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(item, TensorEntry) for item in value.values())
    )


def cleaned(state: Mapping[str, TensorEntry], origin: str) -> Entries:
    """Return a state dict under the names its encoder has.

    What stands before the one encoder in it (``module.``, ``model.``, ``model.encoder.``, ...)
    is taken off, gamma and beta are renamed as transformers 2.3.0 does.

    Raises
    ------
    CheckpointError
        If there are several encoders, or two tensors come to the same name.
    """
    prefix = _prefix(state, origin)
    found: Entries = {}
    for key, tensor in state.items():
        name = key.removeprefix(prefix).replace("gamma", "weight").replace("beta", "bias")
        if name in found:
            raise CheckpointError(f"{origin}: two tensors are called {name}")
        found[name] = tensor
    return found


def _prefix(state: Iterable[str], origin: str) -> str:
    """What stands before the encoder's own names; two encoders are ambiguous."""
    keys = list(state)
    before = [match[1] for key in keys if (match := _ANCHOR.fullmatch(key))]
    if len(before) > 1:
        names = ", ".join(repr(name.rstrip(".")) for name in before)
        raise CheckpointError(
            f"{origin}: {len(before)} encoders in it, under {names}; allowed: one (save the one "
            "you mean by itself)"
        )
    return before[0] if before else _shared(keys)


def _shared(keys: list[str]) -> str:
    """Prefixes that every name shares, of a file that is no whole encoder of ours."""
    found = ""
    for prefix in PREFIXES * 2:
        if all(key.startswith(found + prefix) for key in keys):
            found += prefix
    return found


def needed_shapes(model: Any) -> dict[str, Shape]:
    """Tensor name -> shape of everything that must be in the file."""
    return {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}


def compare_keys(state: Mapping[str, Any], needed: Mapping[str, Shape]) -> KeyReport:
    """Sort the keys of a file against the shapes an encoder needs."""
    unused = [key for key in state if key not in needed and _UNUSED.match(key)]
    return KeyReport(
        used=tuple(key for key in state if key in needed),
        unused=tuple(unused),
        unexpected=tuple(key for key in state if key not in needed and key not in unused),
        missing=tuple(key for key in needed if key not in state),
        mismatched={
            key: f"got {tuple(state[key].shape)}, needs {shape}"
            for key, shape in needed.items()
            if key in state and tuple(state[key].shape) != shape
        },
    )


def infer_shapes(state: Mapping[str, Any]) -> dict[str, int]:
    """Backbone configuration that the shapes give; the number of heads is assumed.

    Returns
    -------
    dict
        ``hidden_size``, ``num_hidden_layers``, ``vocab_size``, ``max_position_embeddings``,
        ``intermediate_size``, ``num_attention_heads`` (hidden_size / 64), ``type_vocab_size``,
        as far as known.
    """
    root = next((name for name in _ROOTS if name + _WORDS in state), _ROOTS[0])
    found: dict[str, int] = {}
    words = state.get(root + _WORDS)
    if words is not None and len(words.shape) == 2:
        found["vocab_size"], found["hidden_size"] = (int(size) for size in words.shape)
        found["num_attention_heads"] = max(1, found["hidden_size"] // 64)
    rows = {
        "max_position_embeddings": "embeddings.position_embeddings.weight",
        "intermediate_size": "encoder.layer.0.intermediate.dense.weight",
        "type_vocab_size": "embeddings.token_type_embeddings.weight",
    }
    for name, key in rows.items():
        tensor = state.get(root + key)
        if tensor is not None and len(tensor.shape):
            found[name] = int(tensor.shape[0])
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
