"""A tiny DPR bi-encoder with random weights, and its forward pass written out in NumPy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.encoders import building

HIDDEN, LAYERS, HEADS, INNER, POSITIONS, ROWS = 32, 2, 2, 48, 64, 60
CONFIG: dict[str, Any] = {
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": INNER,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": POSITIONS,
    "type_vocab_size": 2,
    "vocab_size": ROWS,
}
WORDS = ("river", "market", "bridge", "copper", "engine", "what", "is", "the", ".", "?")
VOCABULARY = (
    *("[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *WORDS,
    *"abcdefghijklm",
    *(f"##{letter}" for letter in "abcdefghijklm"),
)
IDS = {name: number for number, name in enumerate(VOCABULARY)}


def shapes(model: str) -> dict[str, tuple[int, ...]]:
    """Every tensor of one of the two models, the unused pooler included."""
    linear, layernorm = building._linear, building._layernorm
    found: dict[str, tuple[int, ...]] = {
        f"{model}.embeddings.word_embeddings.weight": (ROWS, HIDDEN),
        f"{model}.embeddings.position_embeddings.weight": (POSITIONS, HIDDEN),
        f"{model}.embeddings.token_type_embeddings.weight": (2, HIDDEN),
        **layernorm(f"{model}.embeddings.LayerNorm", HIDDEN),
    }
    for number in range(LAYERS):
        layer = f"{model}.encoder.layer.{number}."
        for name in ("query", "key", "value"):
            found |= linear(layer + "attention.self." + name, HIDDEN, HIDDEN)
        found |= linear(layer + "attention.output.dense", HIDDEN, HIDDEN)
        found |= layernorm(layer + "attention.output.LayerNorm", HIDDEN)
        found |= linear(layer + "intermediate.dense", INNER, HIDDEN)
        found |= linear(layer + "output.dense", HIDDEN, INNER)
        found |= layernorm(layer + "output.LayerNorm", HIDDEN)
    return found | linear(f"{model}.pooler.dense", HIDDEN, HIDDEN)


def make_state(seed: int = 0) -> dict[str, torch.Tensor]:
    """Random tensors large enough that every part of both networks matters."""
    rng = np.random.default_rng(seed)
    state = {}
    for name, shape in (shapes("question_model") | shapes("ctx_model")).items():
        center = 1.0 if name.endswith("LayerNorm.weight") else 0.0
        state[name] = torch.from_numpy(
            (center + 0.3 * rng.standard_normal(shape)).astype(np.float32)
        )
    return state


def write_backbone(folder: Path) -> Path:
    """Configuration and vocabulary as the original loads them by name."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in VOCABULARY))
    return folder


def contents(state: dict[str, torch.Tensor], kind: str) -> Any:
    """What the two files of the original hold besides the weights."""
    if kind == "fp32":
        return {
            "model_dict": state,
            "optimizer_dict": {"state": {}, "param_groups": [{"lr": 1e-5, "params": [0]}]},
            "scheduler_dict": {"base_lrs": [1e-5], "last_epoch": 20},
            "offset": 20,
            "epoch": 0,
            "encoder_params": {},
        }
    return {
        "model": {f"module.{key}": tensor for key, tensor in state.items()},
        "optimizer": {"state": {}, "param_groups": []},
        "scheduler": {"last_epoch": 40},
        "amp": {"loss_scaler0": {"loss_scale": 65536.0, "unskipped": 40}},
        "epoch": 0,
        "offset": 40,
    }


def slow_forward(state: dict[str, torch.Tensor], model: str, ids: list[int]) -> np.ndarray:
    """State of slot 0 by the formulas, in float64; id 0 is masked wherever it stands."""
    w = {name: tensor.double().numpy() for name, tensor in state.items()}
    embeddings = f"{model}.embeddings."
    x = np.stack(
        [
            w[embeddings + "word_embeddings.weight"][index]
            + w[embeddings + "position_embeddings.weight"][slot]
            + w[embeddings + "token_type_embeddings.weight"][0]
            for slot, index in enumerate(ids)
        ]
    )
    x = building._ln(w, embeddings + "LayerNorm", x)
    mask = np.where(np.array(ids) != 0, 0.0, -10000.0)
    for number in range(LAYERS):
        x = building._block(w, f"{model}.encoder.layer.{number}.", x, mask)
    return x[0]
