"""Write a checkpoint as ANCE and DANCE write theirs, so that their programs load it.

``config.json`` as transformers 2.3.0 writes it, ``pytorch_model.bin`` in the serialization of
torch 1.4, the five tokenizer files; ``recipe.json``, which upstream ignores, goes along.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from anisotropy.encoders.configuration import CONFIG_DEFAULTS, CONFIG_SIZES, read_table
from anisotropy.encoders.encoder import Encoder, UpstreamEncoder
from anisotropy.encoders.recipe import Recipe
from anisotropy.encoders.weights import State
from anisotropy.errors import CheckpointError
from anisotropy.files import write_json

#: Output size that the ANCE and DANCE code gives its head, whatever the backbone.
UPSTREAM_DIM = 768
#: What transformers 2.3.0 writes besides sizes; values of the checkpoint's own file go first.
_CONFIG: dict[str, Any] = {
    "finetuning_task": "msmarco",
    "is_decoder": False,
    "output_attentions": False,
    "output_hidden_states": False,
    "output_past": True,
    "pruned_heads": {},
    "torchscript": False,
    "use_bfloat16": False,
}
_CLASS_KEYS = ("roberta.pooler.dense", "classifier.dense", "classifier.out_proj")
#: Recipe part -> what upstream's code does, whatever the checkpoint.
_FIXED: dict[str, Any] = {
    "pooling": "cls",
    "head": "linear_layernorm",
    "positions": "sequential",
    "mask": "additive",
    "tokenization": "upstream",
    "lowercase": True,
    "query_prompt": "",
    "document_prompt": "",
}


def write_upstream(encoder: Encoder, folder: Path) -> tuple[str, ...]:
    """Write an encoder into an empty folder.

    Parameters
    ----------
    encoder
        With one reading: of an upstream layout, or a sentence-transformers folder that has the
        same parts (`from_modules.upstream_parts`).
    folder
        Empty.

    Returns
    -------
    tuple of str
        What upstream's programs have to be told, or do otherwise, a sentence each.

    Raises
    ------
    CheckpointError
        If the checkpoint cannot be used or does not fit this layout.
    """
    if isinstance(encoder, UpstreamEncoder):
        state, model = encoder.whole()
        recipe, tokenizer, config = encoder.recipe, encoder.tokenizer, dict(model.config)
        given = read_table(encoder.files.config) if encoder.files.config else {}
    elif encoder.files.layout == "dpr":
        raise CheckpointError(
            f"{encoder.files.origin}: a DPR bi-encoder, whose layout is another one; allowed: "
            "sentence-transformers"
        )
    else:
        from anisotropy.encoders.from_modules import upstream_parts

        state, recipe, tokenizer, config = upstream_parts(encoder)
        given = {}
    _write_config(folder, config, given, state)
    widened = _write_weights(folder, state)
    tokenizer.write(folder)
    write_json(folder / "recipe.json", recipe.without_doubts().as_dict())
    return _notes(recipe, state, widened)


def _write_config(
    folder: Path, config: Mapping[str, Any], given: Mapping[str, Any], state: State
) -> None:
    """Write ``config.json`` with the keys of 2.3.0 and no others."""
    labels = _labels(state)
    values = {key: config[key] for key in (*CONFIG_SIZES, *CONFIG_DEFAULTS)}
    values |= {key: given.get(key, default) for key, default in _CONFIG.items()}
    values |= {"num_labels": labels, "id2label": {str(i): f"LABEL_{i}" for i in range(labels)}}
    values |= {"label2id": {f"LABEL_{i}": i for i in range(labels)}}
    if isinstance(given.get("id2label"), dict) and len(given["id2label"]) == labels:
        values |= {key: given[key] for key in ("id2label", "label2id") if key in given}
    text = json.dumps(values, indent=2, sort_keys=True) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8", newline="\n")


def _labels(state: State) -> int:
    """Outputs of the classifier that RobertaForSequenceClassification left behind."""
    last = state.get("classifier.out_proj.bias")
    return int(last.shape[0]) if last is not None and last.ndim == 1 else 2


def _write_weights(folder: Path, state: State) -> list[str]:
    """Write ``pytorch_model.bin``; returns the names of tensors that were not in float32."""
    kept = {name: tensor for name, tensor in state.items() if not name.endswith("position_ids")}
    widened = [name for name, tensor in kept.items() if tensor.dtype != torch.float32]
    # a clone: of a view, torch would save the whole of what it is a view of
    tensors = OrderedDict(
        (
            name,
            tensor.detach().to("cpu", torch.float32).clone(memory_format=torch.contiguous_format),
        )
        for name, tensor in kept.items()
    )
    path = folder / "pytorch_model.bin"
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    return widened


def _notes(recipe: Recipe, state: State, widened: list[str]) -> tuple[str, ...]:
    notes = [_options_note(recipe)]
    if other := [part for part, value in _FIXED.items() if getattr(recipe, part) != value]:
        named = ", ".join(f"{part} {getattr(recipe, part)!r}" for part in other)
        notes.append(f"upstream's code does not follow the recipe in: {named}")
    if recipe.normalize and recipe.document_layernorm:
        notes.append(
            "upstream's code leaves the LayerNorm out of documents under L2 and this recipe does "
            "not: its vectors of documents are others"
        )
    dim = int(state["embeddingHead.weight"].shape[0])
    if dim != UPSTREAM_DIM:
        notes.append(
            f"upstream's code has a head of {UPSTREAM_DIM} outputs and refuses this one of {dim} "
            "until that number is changed in its model/models.py"
        )
    absent = [name for name in _CLASS_KEYS if f"{name}.weight" not in state]
    if absent:
        notes.append(
            f"not in the checkpoint: {', '.join(absent)}; upstream's code draws them at random "
            "when it loads, and no vector passes them"
        )
    if widened:
        notes.append(f"{len(widened)} tensors were not in float32 and are now, without loss")
    return tuple(notes)


def _options_note(recipe: Recipe) -> str:
    """What upstream's programs take from their command line."""
    kind = "rdot_nll_multi_chunk" if recipe.chunk_length else "rdot_nll"
    words = f"--model_type {kind} --max_query_length {recipe.max_query_length} "
    words += f"--max_seq_length {recipe.max_document_length}"
    if recipe.normalize:
        words += " --representation_l2_normalization (DANCE's code; ANCE's has no L2)"
    return f"upstream's programs read no recipe; give them {words}"
