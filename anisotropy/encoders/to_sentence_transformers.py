"""Write a checkpoint as a folder that plain sentence-transformers opens.

Exact where the library can say it; what it cannot say is in ``recipe.json``, which `anisotropy`
reads, and in words in ``README.md``.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from anisotropy.encoders.dpr_encoder import DprEncoder
from anisotropy.encoders.encoder import Encoder, UpstreamEncoder
from anisotropy.encoders.recipe import Recipe
from anisotropy.encoders.weights import State
from anisotropy.errors import CheckpointError
from anisotropy.files import dump_json, read_json, write_json, write_text

#: Tensors that no module has a place for, under upstream's names.
UNUSED_FILE = "upstream_unused.safetensors"
#: The first rows of the position embeddings there: no token has them.
UNUSED_PLACES = "roberta.embeddings.position_embeddings.first_rows"
#: What of a recipe the modules do not hold.
LOOSE = (
    "tokenization",
    "fields",
    "separator",
    "max_document_characters",
    "max_query_length",
    "max_document_length",
    "query_prompt",
    "document_prompt",
)
_POOLER = ("dense.weight", "dense.bias")
_SETTINGS = "sentence_bert_config.json"
_DPR_NOTES = (
    "queries and documents have a model each: call encode_query and encode_document; plain "
    "encode() is refused by the library unless it is told the task",
    "fields of a document: the library gets one text; join them before (title, ' [SEP] ', text; "
    "where there is no title the text begins with '[SEP] ')",
    "what is too long is cut at its end; upstream cuts the longer of title and text, which is the "
    "same unless the title takes more than half of the length",
    "upstream takes one '?' off the end of a question; take it off before",
    "a literal [PAD] in a text is masked by upstream and not by the library",
)


def write_sentence_transformers(encoder: Encoder, folder: Path) -> tuple[str, ...]:
    """Write an encoder into an empty folder.

    Parameters
    ----------
    encoder
        With one reading.
    folder
        Empty.

    Returns
    -------
    tuple of str
        What is not in the modules, a sentence each.

    Raises
    ------
    CheckpointError, UsageError
        If the checkpoint cannot be used, or its recipe cannot be expressed.
    """
    if isinstance(encoder, UpstreamEncoder):
        notes = _write_upstream(encoder, folder)
    elif isinstance(encoder, DprEncoder):
        notes = _write_dpr(encoder, folder)
    else:
        notes = _write_modules(encoder, folder)
    write_text(folder / "README.md", _readme(encoder, notes))
    return notes


def write_loose(folder: Path, recipe: Recipe, *more: str) -> None:
    """Write what the modules do not hold of a recipe, how texts are made, as ``recipe.json``.

    Parameters
    ----------
    folder
        Of the modules.
    recipe
        Its `LOOSE` parts are written, and lower-casing where its tokenization is upstream's: then
        ``tokenizer.json`` does it.
    more
        More parts.
    """
    parts = recipe.as_dict()
    also = ("lowercase",) if recipe.tokenization == "upstream" else ()
    values = {part: parts[part] for part in (*LOOSE, *also, *more)}
    text = json.dumps(values, indent=2, ensure_ascii=False)
    (folder / "recipe.json").write_text(text + "\n", encoding="utf-8")


def _write_upstream(encoder: UpstreamEncoder, folder: Path) -> tuple[str, ...]:
    from anisotropy.encoders.modules import quiet
    from anisotropy.encoders.upstream_modules import check_expressible, upstream_modules

    try:
        check_expressible(encoder.recipe)
    except CheckpointError as error:
        raise CheckpointError(f"{encoder.files.origin}: {error}") from None
    state, model = encoder.whole()
    unused, pooler = _without_place(state, model.state_dict())
    with quiet():
        whole = upstream_modules(model, encoder.tokenizer, encoder.recipe, pooler=pooler)
        whole.save(str(folder), create_model_card=False)
    if pooler is None:
        _say_no_pooler(folder)
    _save_unused(folder, state, unused)
    write_loose(folder, encoder.recipe, "temperature")
    return _upstream_notes(encoder.recipe, sorted(unused))


def _without_place(state: State, used: State) -> tuple[State, State | None]:
    """Tensors of the file that no module takes; the pooler, which the backbone can carry."""
    names = [name for name in state if name not in used and not name.endswith("position_ids")]
    unused = {name: state[name] for name in names}
    hidden = used["embeddingHead.weight"].shape[1]
    pooler = {end: unused.get(f"roberta.pooler.{end}") for end in _POOLER}
    shapes = ((hidden, hidden), (hidden,))
    for tensor, shape in zip(pooler.values(), shapes, strict=True):
        if tensor is None or tensor.shape != shape or not bool(torch.isfinite(tensor).all()):
            return unused, None
    for end in _POOLER:
        del unused[f"roberta.pooler.{end}"]
    return unused, {end: tensor for end, tensor in pooler.items() if tensor is not None}


def _say_no_pooler(folder: Path) -> None:
    """Keep the library from drawing a pooler at random, which nothing would use."""
    settings = read_json(folder / _SETTINGS)
    write_json(folder / _SETTINGS, {**settings, "model_kwargs": {"add_pooling_layer": False}})


def _save_unused(folder: Path, state: State, unused: State) -> None:
    from safetensors.torch import save_file

    from anisotropy.encoders.upstream import FIRST_POSITION
    from anisotropy.encoders.upstream_modules import BACKBONE, PLACES

    tensors = {name: tensor.contiguous().clone() for name, tensor in unused.items()}
    tensors[UNUSED_PLACES] = state[BACKBONE + PLACES][:FIRST_POSITION].contiguous().clone()
    save_file(tensors, folder / UNUSED_FILE, metadata={"format": "pt"})


def _upstream_notes(recipe: Recipe, unused: Sequence[str]) -> tuple[str, ...]:
    notes = [_fields_note(recipe)]
    if not recipe.document_layernorm:
        notes.append(
            "queries and documents differ: call encode_query and encode_document; plain encode() "
            "is refused by the library unless it is told the task"
        )
    if recipe.max_query_length != recipe.max_document_length:
        notes.append(
            f"lengths differ: encode_query cuts at {recipe.max_query_length} tokens and "
            f"encode_document at {recipe.max_document_length}; plain encode() cuts at "
            f"{max(recipe.max_query_length, recipe.max_document_length)}"
        )
    if recipe.positions != "sequential":
        notes.append(
            "positions: counted for every token; the recipe skips a literal <pad> in a text"
        )
    if unused:
        notes.append(
            f"{len(unused)} tensors that no vector passes are in {UNUSED_FILE}: "
            + ", ".join(unused[:4])
            + (" ..." if len(unused) > 4 else "")
        )
    return tuple(notes)


def _fields_note(recipe: Recipe) -> str:
    how = ", ".join(recipe.fields) + f" joined by {recipe.separator!r}"
    if recipe.tokenization == "upstream":
        how += ", each stripped at its right end"
    if recipe.max_document_characters:
        how += f", the first {recipe.max_document_characters} characters"
    return f"fields of a document: the library gets one text; join them before ({how})"


def _write_dpr(encoder: DprEncoder, folder: Path) -> tuple[str, ...]:
    from anisotropy.encoders.dpr_modules import dpr_modules
    from anisotropy.encoders.modules import quiet

    state, model = encoder.whole()
    used = model.state_dict()
    unused = {name: tensor for name, tensor in state.items() if name not in used}
    with quiet():
        whole = dpr_modules(model, encoder.tokenizer, encoder.recipe, unused)
        whole.save(str(folder), create_model_card=False)
    if not any(".pooler." in name for name in unused):
        for settings in folder.rglob(_SETTINGS):
            _say_no_pooler(settings.parent)
    # Lower-casing is done by the modules' own tokenizers; "pair" keeps the place of empty titles.
    write_loose(folder, encoder.recipe, "drop_question_mark", "temperature")
    return _DPR_NOTES


def _write_modules(encoder: Encoder, folder: Path) -> tuple[str, ...]:
    """Write a sentence-transformers or transformers model with the recipe it is read by."""
    from anisotropy.encoders.modules import load_modules, one_line, quiet

    recipe = encoder.recipe
    model = load_modules(encoder.files, recipe)
    with one_line(encoder.files.origin), quiet():
        whole = _settled(model, encoder)
        whole.save(str(folder), create_model_card=False)
        _say_dropped_poolers(folder, whole)
    write_loose(folder, recipe, "lowercase", "temperature")
    notes = [_fields_note(recipe)]
    if recipe.lowercase and recipe.tokenization != "upstream":
        notes.append("lower-casing: the library gets the text as it is; lower-case it before")
    return tuple(notes)


def _settled(model: Any, encoder: Encoder) -> Any:
    """Return a model with what its recipe adds to its modules: unit length, lengths, prompts."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize

    from anisotropy.encoders.headed import settle_pooler, settle_tokenizer
    from anisotropy.encoders.modules import backbone_places, file_names, has_normalize

    recipe = encoder.recipe
    places = backbone_places(model, encoder.files)
    for module in model.modules():
        if id(module) in places and hasattr(module, "auto_model"):
            settle_pooler(module.auto_model, file_names(places[id(module)]))
            settle_tokenizer(module.tokenizer, recipe)
            _set_lengths(module, recipe)
    ending = [Normalize()] if recipe.normalize and not has_normalize(model) else []
    prompts = {"query": recipe.query_prompt, "document": recipe.document_prompt}
    return SentenceTransformer(
        modules=[*model, *ending],
        device="cpu",
        prompts={**model.prompts, **prompts},
        default_prompt_name=model.default_prompt_name,
        similarity_fn_name=recipe.similarity,
        truncate_dim=model.truncate_dim,
    )


def _say_dropped_poolers(folder: Path, whole: Any) -> None:
    """Say it of every backbone that could have a pooler and whose file holds none."""
    from anisotropy.encoders.modules import file_names

    backbones = [m.auto_model for m in whole.modules() if hasattr(m, "auto_model")]
    could = ["add_pooling_layer" in inspect.signature(type(b)).parameters for b in backbones]
    for settings in folder.rglob(_SETTINGS) if could and all(could) else ():
        if not any("pooler." in name for name in file_names(settings.parent)):
            _say_no_pooler(settings.parent)


def _set_lengths(module: Any, recipe: Recipe) -> None:
    if recipe.max_query_length != recipe.max_document_length:
        module.query_length = recipe.max_query_length or None
        module.document_length = recipe.max_document_length or None


def _readme(encoder: Encoder, notes: Sequence[str]) -> str:
    """Model card: where it comes from, how to call it, what the modules do not hold."""
    recipe = encoder.recipe
    lines = [
        "---",
        "library_name: sentence-transformers",
        "pipeline_tag: sentence-similarity",
        "---",
        f"# {encoder.label}",
        "",
        f"Converted by anisotropy from a checkpoint of the layout `{encoder.files.layout}`, read "
        f"by the recipe `{recipe.name}`. Needs sentence-transformers 6.2 or newer.",
        "",
        "```python",
        "from sentence_transformers import SentenceTransformer",
        "",
        'model = SentenceTransformer("FOLDER")',
        'queries = model.encode_query(["a question"])',
        'documents = model.encode_document(["the text of a document"])',
        "scores = model.similarity(queries, documents)",
        "```",
        "",
        "What is not in the modules:",
        "",
        *(f"* {note}" for note in notes),
        "",
        "The recipe by which the checkpoint was read:",
        "",
        "```json",
        dump_json(recipe.parts(), indent=1),
        "```",
    ]
    return "\n".join(lines) + "\n"
