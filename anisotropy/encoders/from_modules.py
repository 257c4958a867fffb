"""Upstream's parts out of a sentence-transformers folder made of the same parts.

Such a folder was written by `to_sentence_transformers`, and may have been trained since by that
library, which keeps modules and tokenizer but not the tensors that no module takes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from anisotropy.encoders.configuration import checked_config, read_table
from anisotropy.encoders.encoder import Encoder
from anisotropy.encoders.modules_recipe import module_kinds, route_table
from anisotropy.encoders.recipe import Recipe, named_recipe
from anisotropy.encoders.to_sentence_transformers import UNUSED_FILE, UNUSED_PLACES
from anisotropy.encoders.tokenization import UpstreamTokenizer
from anisotropy.encoders.upstream import FIRST_POSITION, build_model
from anisotropy.encoders.upstream_modules import BACKBONE, PLACES
from anisotropy.encoders.weights import State, read_state_dict
from anisotropy.errors import CheckpointError

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_BODY = ["Transformer", "Pooling", "Dense"]
_ENDINGS = (["LayerNorm"], ["LayerNorm", "Normalize"], ["Router"])
#: Texts on which other tokenizers differ from upstream's.
_PROBES = (
    "The  Apple\tfalls ",
    " leading and trailing \u00a0",
    "a<sep>B <mask> c </s> d <MASK>",
    "ΟΔΟΣ İstanbul ß 漢字 🙂",
    "",
)
_LOOSE = (
    "fields",
    "separator",
    "max_document_characters",
    "max_query_length",
    "max_document_length",
    "query_prompt",
    "document_prompt",
    "temperature",
    "similarity",
)


def upstream_parts(encoder: Encoder) -> tuple[State, Recipe, UpstreamTokenizer, dict[str, Any]]:
    """State dict, recipe, tokenizer and backbone configuration under upstream's names.

    Parameters
    ----------
    encoder
        Of a sentence-transformers folder.

    Raises
    ------
    CheckpointError
        If it is a model of other parts; the message says which.
    """
    origin = encoder.files.origin
    if encoder.files.layout != "sentence-transformers":
        raise _refusal(origin, f"it is a plain {encoder.files.layout} model without that head")
    folder = _check_parts(encoder)
    tokenizer, lowercase = _tokenizer(folder, origin)
    config = _config(folder)
    state = _state(folder, encoder)
    rows = int(state[BACKBONE + PLACES].shape[0])
    config |= {"max_position_embeddings": rows}
    model = build_model(state, config, folder)
    state = {name: state[name] for name in _in_order(state, model.state_dict())}
    recipe = _recipe(encoder.recipe, lowercase, rows - FIRST_POSITION)
    return state, recipe, tokenizer, dict(model.config)


def _refusal(origin: str, reason: str) -> CheckpointError:
    return CheckpointError(
        f"{origin}: does not fit upstream's layout (RoBERTa, cls pooling, a linear layer, "
        f"LayerNorm): {reason}"
    )


def _check_parts(encoder: Encoder) -> Path:
    """Refuse other modules; returns the folder of the backbone."""
    recipe, origin = encoder.recipe, encoder.files.origin
    kinds = [kind for kind, _ in module_kinds(encoder.files.folder)]
    if recipe.head != "linear_layernorm" or kinds[:3] != _BODY or kinds[3:] not in _ENDINGS:
        raise _refusal(origin, f"its modules are {', '.join(kinds)}")
    if recipe.pooling != "cls":
        raise _refusal(origin, f"its pooling is {recipe.pooling}")
    folder = _place(encoder, 0)
    config = read_table(folder / "config.json")
    model_type = config.get("model_type")
    kind = config.get("position_embedding_type", "absolute")
    if model_type != "bert" or kind != "absolute":
        raise _refusal(
            origin,
            f"its backbone is of type {model_type!r}, and only a RoBERTa that convert wrote as a "
            "BERT counts positions as upstream does",
        )
    return folder


def _place(encoder: Encoder, number: int) -> Path:
    """Folder of a module."""
    return module_kinds(encoder.files.folder)[number][1]


def _tokenizer(folder: Path, origin: str) -> tuple[UpstreamTokenizer, bool]:
    """Tokenizer with upstream's rules, and whether it lower-cases."""
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise _refusal(origin, "it has no tokenizer.json")
    ours = UpstreamTokenizer.from_tokenizer_json(path)
    try:
        theirs = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises a bare Exception
        raise CheckpointError(f"{path}: not a tokenizer ({str(error)[:100]})") from None
    theirs.no_truncation()
    theirs.no_padding()
    found = [row.ids for row in theirs.encode_batch(list(_PROBES))]
    for lowercase in (True, False):
        if ours.encode(_PROBES, 10_000, lowercase) == found:
            return ours, lowercase
    raise _refusal(origin, f"its tokenizer gives other ids than upstream's for {_PROBES[0]!r}")


def _config(folder: Path) -> dict[str, Any]:
    return checked_config(read_table(folder / "config.json"))


def _state(folder: Path, encoder: Encoder) -> State:
    """Tensors of the modules under upstream's names, and those kept beside them."""
    state: State = {}
    for name, tensor in _weights(folder).items():
        state[BACKBONE + name.removeprefix("bert.")] = tensor
    unused = encoder.files.folder / UNUSED_FILE
    kept = read_state_dict(unused) if unused.is_file() else {}
    places = state.get(BACKBONE + PLACES)
    if places is None or places.ndim != 2:
        raise _refusal(encoder.files.origin, "its backbone has no position embeddings")
    first = kept.pop(UNUSED_PLACES, None)
    if first is None:  # no token has these rows
        first = torch.zeros(FIRST_POSITION, places.shape[1], dtype=places.dtype)
    state[BACKBONE + PLACES] = torch.cat([first, places])
    for name, tensor in _weights(_place(encoder, 2)).items():
        state[name.replace("linear.", "embeddingHead.")] = tensor
    state |= _weights(_norm_place(encoder))
    clash = set(kept) & set(state)
    if clash:
        raise CheckpointError(f"{unused}: {min(clash)} is in the modules already")
    return {name: t for name, t in {**state, **kept}.items() if not name.endswith("position_ids")}


def _weights(folder: Path) -> State:
    path = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    if path is None:
        raise CheckpointError(f"{folder}: no weights ({' or '.join(_WEIGHTS)})")
    return read_state_dict(path)


def _norm_place(encoder: Encoder) -> Path:
    """Folder of the LayerNorm, which under upstream's L2 is in the queries' route."""
    folder = _place(encoder, 3)
    routes = route_table(folder, "structure")
    return folder / Path(str(routes["query"][0])).name if routes else folder


def _in_order(state: State, needed: State) -> list[str]:
    """Return names in the order in which upstream's class has them."""
    others = sorted((name for name in state if name not in needed), key=_weight_first)
    body = [name for name in needed if name.startswith(BACKBONE)]
    body.insert(1, body.pop(body.index(BACKBONE + PLACES)))  # transformers 2.3.0 has it second
    poolers = [name for name in others if "pooler." in name]
    rest = [name for name in others if name not in poolers]
    return [*body, *poolers, *rest, *(name for name in needed if name not in body)]


def _weight_first(name: str) -> tuple[str, bool]:
    module, _, leaf = name.rpartition(".")
    return module, leaf != "weight"


def _recipe(found: Recipe, lowercase: bool, limit: int) -> Recipe:
    """Return the recipe by which upstream's layout gives the vectors of the modules."""
    name = "ance"
    if found.normalize:
        name = "dance-symmetric" if found.document_layernorm else "dance"
    parts = {part: getattr(found, part) for part in _LOOSE}
    for part in ("max_query_length", "max_document_length"):
        parts[part] = min(parts[part] or limit, limit)
    source = "the sentence-transformers folder"
    return named_recipe(name, source).replace(source, lowercase=lowercase, **parts)
