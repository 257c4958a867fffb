"""Backbone configuration of upstream checkpoints: RoBERTa's, and BERT's of DPR bi-encoders."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anisotropy.errors import CheckpointError, InputError, shown
from anisotropy.files import read_json

CONFIG_DEFAULTS: dict[str, Any] = {
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "type_vocab_size": 1,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-5,
}
BERT_DEFAULTS: dict[str, Any] = {**CONFIG_DEFAULTS, "type_vocab_size": 2, "layer_norm_eps": 1e-12}
CONFIG_SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
)
#: Layers of a model. The library builds each of them, also of a model that is only described.
MOST_LAYERS = 1000
_LAYERS = re.compile(r".*layers|n_layer")


def read_config(path: Path, defaults: Mapping[str, Any] = CONFIG_DEFAULTS) -> dict[str, Any]:
    """Read and check a ``config.json``."""
    try:
        return checked_config(read_table(path), defaults)
    except CheckpointError as error:
        raise CheckpointError(f"{path.parent}: {error}") from None


def check_layers(config: Mapping[str, Any], where: object) -> None:
    """Refuse a model of more layers than there are models of.

    Raises
    ------
    CheckpointError
        Naming the entry of the configuration, or of a table in it.
    """
    tables = [config]
    while tables:
        for key, value in tables.pop().items():
            if isinstance(value, Mapping):
                tables.append(value)
            elif type(value) is int and value > MOST_LAYERS and _LAYERS.fullmatch(key):
                raise CheckpointError(
                    f"{where}: {shown(key)}: got {shown(value)}; allowed: at most {MOST_LAYERS}"
                )


def read_table(path: Path) -> dict[str, Any]:
    """Read a JSON file that must hold a table.

    Raises
    ------
    CheckpointError
        If it cannot be read, or holds something else.
    """
    try:
        values = read_json(path)
    except InputError as error:
        raise CheckpointError(str(error)) from None
    if not isinstance(values, dict):
        raise CheckpointError(f"{path}: got {type(values).__name__}; allowed: a JSON table")
    return values


def checked_config(
    config: Mapping[str, Any], defaults: Mapping[str, Any] = CONFIG_DEFAULTS
) -> dict[str, Any]:
    """Return the known part of a ``config.json``, completed by defaults and checked.

    Raises
    ------
    CheckpointError
        If a size is missing or not a positive whole number, or the sizes do not fit.
    """
    found = {key: config.get(key, default) for key, default in defaults.items()}
    for key in CONFIG_SIZES:
        value = config.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise CheckpointError(f"config.json: {key}: got {shown(value)}; allowed: 1 or more")
        found[key] = value
    check_layers(found, "config.json")
    if found["hidden_size"] % found["num_attention_heads"]:
        raise CheckpointError(
            f"config.json: hidden_size {found['hidden_size']} is no multiple of "
            f"num_attention_heads {found['num_attention_heads']}"
        )
    return found
