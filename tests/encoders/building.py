"""A tiny upstream checkpoint with random weights, and its forward pass written out in NumPy."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.making import sentence, tokenizer

HIDDEN, LAYERS, HEADS, INNER, POSITIONS, DIM = 32, 2, 2, 48, 514, 24
CONFIG: dict[str, Any] = {
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": INNER,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": POSITIONS,
    "type_vocab_size": 1,
    "vocab_size": 400,
    "num_labels": 2,
    "finetuning_task": "msmarco",
    "pruned_heads": {},
    "torchscript": False,
    "output_past": True,
    "use_bfloat16": False,
    "is_decoder": False,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "initializer_range": 0.02,
}
TEXTS = [sentence(i) for i in range(0, 320, 37)]


def shapes() -> dict[str, tuple[int, ...]]:
    """Every tensor of an upstream state dict, the unused ones included."""
    size = HIDDEN
    found: dict[str, tuple[int, ...]] = {
        "roberta.embeddings.word_embeddings.weight": (400, size),
        "roberta.embeddings.position_embeddings.weight": (POSITIONS, size),
        "roberta.embeddings.token_type_embeddings.weight": (1, size),
        **_layernorm("roberta.embeddings.LayerNorm", size),
    }
    for number in range(LAYERS):
        layer = f"roberta.encoder.layer.{number}."
        for name in ("query", "key", "value"):
            found |= _linear(layer + "attention.self." + name, size, size)
        found |= _linear(layer + "attention.output.dense", size, size)
        found |= _layernorm(layer + "attention.output.LayerNorm", size)
        found |= _linear(layer + "intermediate.dense", INNER, size)
        found |= _linear(layer + "output.dense", size, INNER)
        found |= _layernorm(layer + "output.LayerNorm", size)
    found |= _linear("roberta.pooler.dense", size, size)
    found |= _linear("classifier.dense", size, size) | _linear("classifier.out_proj", 2, size)
    return found | _linear("embeddingHead", DIM, size) | _layernorm("norm", DIM)


def _linear(name: str, rows: int, columns: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def _layernorm(name: str, size: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}


def make_state(seed: int = 0) -> dict[str, torch.Tensor]:
    """Random tensors large enough that every part of the network matters."""
    rng = np.random.default_rng(seed)
    state = {}
    for name, shape in shapes().items():
        center = 1.0 if name.endswith(("LayerNorm.weight", "norm.weight")) else 0.0
        values = center + 0.3 * rng.standard_normal(shape)
        state[name] = torch.from_numpy(values.astype(np.float32))
    return state


def write_upstream(
    folder: Path,
    state: dict[str, torch.Tensor] | None = None,
    arguments: dict[str, Any] | None = None,
) -> Path:
    """Write a folder as upstream's ``save_pretrained`` leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    save_legacy(state or make_state(), folder / "pytorch_model.bin")
    tokenizer().write(folder)
    if arguments is not None:
        space = argparse.Namespace(device=torch.device("cpu"), **arguments)
        save_legacy(space, folder / "training_args.bin")
    return folder


def save_legacy(value: Any, path: Path) -> None:
    """Save as torch 1.4 does, without a zip container."""
    torch.save(value, path, _use_new_zipfile_serialization=False)


def slow_forward(
    state: dict[str, torch.Tensor], ids: list[int], width: int, pad: int = 0
) -> np.ndarray:
    """Head output of one sequence padded to `width`, by the formulas, in float64."""
    w = {name: tensor.double().numpy() for name, tensor in state.items()}
    padded = ids + [pad] * (width - len(ids))
    x = np.stack(
        [
            w["roberta.embeddings.word_embeddings.weight"][index]
            + w["roberta.embeddings.position_embeddings.weight"][2 + slot]
            + w["roberta.embeddings.token_type_embeddings.weight"][0]
            for slot, index in enumerate(padded)
        ]
    )
    x = _ln(w, "roberta.embeddings.LayerNorm", x)
    mask = np.where(np.arange(width) < len(ids), 0.0, -10000.0)
    for number in range(LAYERS):
        x = _block(w, f"roberta.encoder.layer.{number}.", x, mask)
    return w["embeddingHead.weight"] @ x[0] + w["embeddingHead.bias"]


def _block(w: dict[str, np.ndarray], layer: str, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    size = HIDDEN // HEADS
    q, k, v = (_affine(w, f"{layer}attention.self.{n}", x) for n in ("query", "key", "value"))
    out = np.zeros_like(x)
    for head in range(HEADS):
        part = slice(head * size, (head + 1) * size)
        scores = q[:, part] @ k[:, part].T / math.sqrt(size) + mask
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        out[:, part] = weights / weights.sum(axis=1, keepdims=True) @ v[:, part]
    x = _ln(
        w,
        layer + "attention.output.LayerNorm",
        _affine(w, layer + "attention.output.dense", out) + x,
    )
    inner = _affine(w, layer + "intermediate.dense", x)
    erf = np.vectorize(math.erf)
    inner = inner * 0.5 * (1.0 + erf(inner / math.sqrt(2.0)))
    return _ln(w, layer + "output.LayerNorm", _affine(w, layer + "output.dense", inner) + x)


def _affine(w: dict[str, np.ndarray], name: str, x: np.ndarray) -> np.ndarray:
    return x @ w[name + ".weight"].T + w[name + ".bias"]


def _ln(w: dict[str, np.ndarray], name: str, x: np.ndarray) -> np.ndarray:
    centered = x - x.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centered**2).mean(axis=-1, keepdims=True) + 1e-5)
    return w[name + ".weight"] * centered / spread + w[name + ".bias"]


def slow_query(state: dict[str, torch.Tensor], head: np.ndarray, l2: bool) -> np.ndarray:
    """Query vector from the head output."""
    w = {name: tensor.double().numpy() for name, tensor in state.items()}
    vector = _ln(w, "norm", head)
    return vector / max(np.linalg.norm(vector), 1e-12) if l2 else vector


def slow_document(
    state: dict[str, torch.Tensor], head: np.ndarray, l2: bool, symmetric: bool = False
) -> np.ndarray:
    """Document vector from the head output; under L2 without LayerNorm unless symmetric."""
    if l2 and not symmetric:
        return head / max(np.linalg.norm(head), 1e-12)
    return slow_query(state, head, l2)
