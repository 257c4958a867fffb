"""An upstream-layout encoder as a SentenceTransformer made of that library's own modules.

Same token ids, same vectors (float32 rounding apart), same tensors under gradient descent: so an
encoder can go through somebody else's trainer and be compared with what our own makes of it.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from anisotropy.encoders import Recipe
from anisotropy.errors import CheckpointError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from anisotropy.training import UpstreamTrainable

SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
FIRST_POSITION = 2  # RoBERTa's rows 0 and 1 of the position embeddings stand for no token
#: What of a recipe the modules do not hold; `anisotropy` reads it from recipe.json in the folder.
LOOSE = (
    "fields",
    "separator",
    "max_document_characters",
    "max_query_length",
    "max_document_length",
    "query_prompt",
    "document_prompt",
)


def as_sentence_transformer(
    trainable: UpstreamTrainable, *, similarity: str | None = None
) -> SentenceTransformer:
    """Convert an encoder in memory.

    Parameters
    ----------
    trainable
        Upstream's layout with one vector a document; its weights are copied.
    similarity
        ``cosine``, ``dot`` or ``euclidean``; None takes the recipe's.

    Returns
    -------
    SentenceTransformer
        ``encode_query`` and ``encode_document`` give the encoder's vectors of texts that
        `query_text` and `document_text` made by the `bare` recipe; on the CPU.

    Raises
    ------
    CheckpointError
        If the vocabulary lacks one of the five special strings, or the recipe does what no
        checkpoint of upstream does: texts in upper case, documents without LayerNorm and L2.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    model, recipe = trainable.model, trainable.recipe
    with tempfile.TemporaryDirectory() as scratch:
        _write_backbone(Path(scratch), trainable)
        _tokenizer(trainable).save_pretrained(scratch)
        backbone = Transformer(
            scratch,
            model_kwargs={"add_pooling_layer": False},
            query_length=recipe.max_query_length,
            document_length=recipe.max_document_length,
        )
    head = model.embeddingHead
    dense = Dense(
        head.in_features,
        head.out_features,
        activation_function=torch.nn.Identity(),
        init_weight=head.weight.detach().clone(),
        init_bias=head.bias.detach().clone(),
    )
    return SentenceTransformer(
        modules=[backbone, Pooling(head.in_features, "cls"), dense, *_ending(model, recipe)],
        prompts={"query": recipe.query_prompt, "document": recipe.document_prompt},
        similarity_fn_name=similarity or recipe.similarity,
        device="cpu",
    )


def bare(recipe: Recipe) -> Recipe:
    """Return the recipe without prompts, which the model itself puts in front of texts."""
    return dataclasses.replace(recipe, query_prompt="", document_prompt="")


def _ending(model: Any, recipe: Recipe) -> list[Any]:
    """LayerNorm and L2, by sides where the recipe treats them differently."""
    from sentence_transformers.base.modules import Normalize, Router
    from sentence_transformers.sentence_transformer.modules import LayerNorm

    norm = LayerNorm(model.dim)
    norm.norm.load_state_dict(model.norm.state_dict())
    unit = [Normalize()] if recipe.normalize else []
    if recipe.document_layernorm:
        return [norm, *unit]
    if not unit:
        raise CheckpointError(
            "document_layernorm: got False without normalize; allowed: both, True"
        )
    routes = {"query": [norm, *unit], "document": unit}
    # Without a task the library would take the document's route in silence.
    return [Router(routes, default_route=None, allow_empty_key=False)]


def _write_backbone(folder: Path, trainable: UpstreamTrainable) -> None:
    """RoBERTa's tensors as a BERT: its positions count from 0 and know no padding."""
    from transformers import BertConfig, BertModel

    state = {
        name.removeprefix("roberta."): tensor.detach().clone()
        for name, tensor in trainable.model.state_dict().items()
        if name.startswith("roberta.")
    }
    places = "embeddings.position_embeddings.weight"
    state[places] = state[places][FIRST_POSITION:].clone()
    values = {k: v for k, v in trainable.model.config.items() if k != "model_type"}
    values |= {"max_position_embeddings": len(state[places]), "pad_token_id": 1}
    ends = {"bos_token_id": trainable.tokenizer.start, "eos_token_id": trainable.tokenizer.end}
    config = BertConfig(**values | ends)
    bert = BertModel(config, add_pooling_layer=False)
    bert.load_state_dict(state, strict=True)
    bert.save_pretrained(folder)


def _tokenizer(trainable: UpstreamTrainable) -> Any:
    from transformers import PreTrainedTokenizerFast

    ours = trainable.tokenizer
    if missing := [name for name in SPECIALS if name not in ours.vocabulary]:
        raise CheckpointError(f"{ours.origin}: the vocabulary has no {missing[0]!r}")
    if not trainable.recipe.lowercase:
        raise CheckpointError("lowercase: got False; allowed here: True, as upstream")
    inner = library_tokenizer(ours.vocabulary, ours.merges)
    names = {"bos": "<s>", "eos": "</s>", "unk": "<unk>", "sep": "</s>", "pad": "<pad>"}
    names |= {"cls": "<s>", "mask": "<mask>"}
    tokens = {token: _special(token) for token in SPECIALS}
    longest = max(trainable.recipe.max_query_length, trainable.recipe.max_document_length)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        model_max_length=longest,
        **{f"{role}_token": tokens[name] for role, name in names.items()},
    )


def _special(name: str) -> Any:
    from tokenizers import AddedToken

    # Upstream looks for special strings in the lower-cased text, hence `normalized`.
    return AddedToken(name, special=True, normalized=True)


def library_tokenizer(vocabulary: Mapping[str, int], merges: Any) -> Any:
    """Tokenizer of the ``tokenizers`` library with the ids of `UpstreamTokenizer`.

    Lower-cases character by character, strips what Python calls whitespace at both ends and around
    special strings, and puts ``<s>`` and ``</s>`` around.

    Parameters
    ----------
    vocabulary, merges
        As `UpstreamTokenizer` has them.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    inner = Tokenizer(models.BPE(dict(vocabulary), list(merges), unk_token="<unk>"))
    spaces = "".join(f"\\x{{{i:x}}}" for i in range(0x110000) if chr(i).isspace())
    specials = "|".join(SPECIALS)
    inner.normalizer = normalizers.Sequence(
        [
            normalizers.Lowercase(),
            normalizers.Replace(Regex(f"[{spaces}]+(?=\\z|{specials})"), ""),
            normalizers.Replace(Regex(f"(?<=\\A|{specials})[{spaces}]+"), ""),
        ]
    )
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.add_special_tokens([_special(name) for name in SPECIALS])
    ends = [(name, vocabulary[name]) for name in ("<s>", "</s>")]
    inner.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=ends)
    return inner


def write_recipe(folder: Path, recipe: Recipe) -> None:
    """Put beside the modules what they do not hold of a recipe: how texts are made.

    One thing is lost: upstream strips the right end of each field before joining them.
    """
    parts = recipe.as_dict()
    values = {part: parts[part] for part in LOOSE}
    text = json.dumps(values, indent=2, ensure_ascii=False)
    (folder / "recipe.json").write_text(text + "\n", encoding="utf-8")
