"""What is trained: a model with its tokenizer and recipe, opened or made from scratch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from anisotropy.encoders import (
    Recipe,
    UpstreamModel,
    load_model,
    new_roberta,
    open_encoder,
    save_checkpoint,
)
from anisotropy.encoders.encoder import UpstreamEncoder
from anisotropy.encoders.texts import document_text, query_text
from anisotropy.encoders.tokenization import UpstreamTokenizer, lower_characters
from anisotropy.errors import CheckpointError, CollectionError, UsageError
from anisotropy.training.forward import Side, Tokens, vectors

if TYPE_CHECKING:
    from anisotropy.collection import Collection, Document, Query

SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")  # ids 0..4, as in RoBERTa


@dataclass(frozen=True, eq=False)
class Trainable:
    """An encoder under training.

    Attributes
    ----------
    model
        Weights.
    tokenizer
        Text to ids.
    recipe
        How texts are prepared and how the head is read.
    """

    model: UpstreamModel
    tokenizer: UpstreamTokenizer
    recipe: Recipe

    def query_tokens(self, queries: Sequence[Query]) -> list[list[int]]:
        """Ids of queries."""
        texts = [query_text(query, self.recipe) for query in queries]
        limit = self.recipe.max_query_length
        return self.tokenizer.encode(texts, limit, self.recipe.lowercase)

    def document_tokens(self, documents: Sequence[Document]) -> list[list[int]]:
        """Ids of documents."""
        texts = [document_text(document, self.recipe) for document in documents]
        limit = self.recipe.max_document_length
        return self.tokenizer.encode(texts, limit, self.recipe.lowercase)

    def with_recipe(self, recipe: Recipe) -> Trainable:
        """Return the same model and tokenizer under another recipe."""
        return Trainable(self.model, self.tokenizer, recipe)

    @property
    def network(self) -> torch.nn.Module:
        """What is optimized."""
        return self.model

    def vectors(self, side: Side, tokens: Tokens, micro_batch: int) -> torch.Tensor:
        """Vectors of token lists in their order, with gradients; see `forward.vectors`."""
        return vectors(self.model, self.recipe, side, tokens, micro_batch)

    def encode(self, side: Side, tokens: Tokens, batch: int = 128) -> np.ndarray:
        """Vectors without gradients and dropout, float32, shape (n, dim)."""
        training = self.network.training
        self.network.eval()
        with torch.no_grad():
            found: np.ndarray = self.vectors(side, tokens, batch).cpu().numpy()
        self.network.train(training)
        return found

    def save(
        self,
        folder: Path,
        *,
        training: Mapping[str, Any],
        history: Sequence[Mapping[str, Any]] = (),
        extra: Mapping[str, bytes] | None = None,
    ) -> Path:
        """Write a checkpoint that opens again; see `save_checkpoint`."""
        return save_checkpoint(
            folder, self.model, recipe=self.recipe, tokenizer=self.tokenizer,
            training=training, history=history, extra=extra,
        )  # fmt: skip


def open_trainable(source: str | Path) -> Trainable:
    """Open a checkpoint to go on training it.

    Parameters
    ----------
    source
        Upstream layout, ours included; one vector a document, pooled on slot 0.

    Raises
    ------
    CheckpointError
        If it is another layout, or its recipe cannot be trained here.
    """
    encoder = open_encoder(source)
    if not isinstance(encoder, UpstreamEncoder):
        raise CheckpointError(
            f"{source}: got a {encoder.files.layout} model; allowed to train: upstream layouts"
        )
    recipe = encoder.recipe
    wanted = {"pooling": "cls", "head": "linear_layernorm", "chunk_length": 0}
    wanted |= {"positions": "sequential", "mask": "additive"}
    for part, value in wanted.items():
        if getattr(recipe, part) != value:
            got = getattr(recipe, part)
            raise CheckpointError(f"{source}: {part}: got {got!r}; allowed to train: {value!r}")
    model, _ = load_model(source)
    return Trainable(model, encoder.tokenizer, recipe)


@dataclass(frozen=True)
class EncoderSizes:
    """Sizes of an encoder from scratch; lengths count special tokens.

    Attributes
    ----------
    vocabulary
        Pieces of the byte-level BPE at most, at least 300.
    hidden, layers, heads, intermediate
        Backbone; the vectors have `hidden` dimensions.
    max_query_length, max_document_length
        In tokens.
    spread
        Standard deviation of the initial weights, biases, LayerNorms and the linear head (the
        identity) apart. RoBERTa's 0.02 is for wide models; at a width of 128 it leaves attention
        flat for long.
    """

    vocabulary: int = 4000
    hidden: int = 128
    layers: int = 2
    heads: int = 2
    intermediate: int = 256
    max_query_length: int = 32
    max_document_length: int = 48
    spread: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.spread < 1:
            raise UsageError(f"spread: got {self.spread!r}; allowed: a number between 0 and 1")
        for field in fields(self)[:-1]:
            value = getattr(self, field.name)
            least = {"vocabulary": 300, "layers": 1, "heads": 1}.get(field.name, 3)
            if not isinstance(value, int) or value < least:
                raise UsageError(f"{field.name}: got {value!r}; allowed: {least} or more")
        if self.hidden % self.heads:
            raise UsageError(
                f"hidden: got {self.hidden}; allowed: a multiple of heads, {self.heads}"
            )


def new_encoder(
    collection: Collection, sizes: EncoderSizes | None = None, *, seed: int = 0
) -> Trainable:
    """Make an encoder from scratch for a collection.

    Parameters
    ----------
    collection
        With a training split: the tokenizer learns from its training queries and the documents
        judged for them, and sees no other text.
    sizes
        Of model, vocabulary and texts.
    seed
        Of the weights.

    Returns
    -------
    Trainable
        With the recipe ``ance``: dot product, LayerNorm on both sides.

    Raises
    ------
    CollectionError
        If the collection has no training split.
    """
    sizes = sizes or EncoderSizes()
    recipe = Recipe().replace(
        "new encoder",
        max_query_length=sizes.max_query_length,
        max_document_length=sizes.max_document_length,
    )
    tokenizer = train_tokenizer(_training_texts(collection, recipe), sizes.vocabulary)
    model = new_roberta(
        tokenizer.size,
        hidden_size=sizes.hidden,
        layers=sizes.layers,
        heads=sizes.heads,
        intermediate_size=sizes.intermediate,
        positions=max(sizes.max_query_length, sizes.max_document_length) + 2,
        dropout=0.0,
        seed=seed,
    )
    _spread(model, sizes.spread)
    return Trainable(model, tokenizer, recipe)


def _spread(model: UpstreamModel, spread: float) -> None:
    """Scale the weights of the backbone from the spread of `new_roberta` to another."""
    factor = spread / model.config["initializer_range"]
    with torch.no_grad():
        for name, parameter in model.roberta.named_parameters():
            if not name.endswith("bias") and "LayerNorm" not in name:
                parameter.mul_(factor)
    model.config["initializer_range"] = spread


def training_split(collection: Collection) -> str:
    """Name of the split to train on.

    Raises
    ------
    CollectionError
        If the collection has none.
    """
    split = collection.training_split
    if split is None:
        have = ", ".join(collection.splits)
        raise CollectionError(
            f"{collection.name}: no training split; got {have}; needed: train, and another split "
            "to evaluate"
        )
    return split


def _training_texts(collection: Collection, recipe: Recipe) -> list[str]:
    split = training_split(collection)
    judged = dict.fromkeys(d for grades in collection.qrels(split).values() for d in grades)
    texts = [query_text(query, recipe) for query in collection.queries(split)]
    texts += [document_text(document, recipe) for document in collection.texts(judged).values()]
    return texts


def train_tokenizer(texts: Sequence[str], vocabulary: int) -> UpstreamTokenizer:
    """Learn a byte-level BPE with RoBERTa's special strings from lower-cased texts.

    Parameters
    ----------
    texts
        What it learns from, in a fixed order.
    vocabulary
        Pieces at most, the five special strings and 256 bytes included; a merge must occur twice.

    Returns
    -------
    UpstreamTokenizer
        Special strings have the ids 0 to 4.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_lowered(texts), trainer)
    return _upstream(tokenizer.to_str())


def _lowered(texts: Sequence[str]) -> Iterator[str]:
    return (lower_characters(text).strip() for text in texts)


def _upstream(serialized: str) -> UpstreamTokenizer:
    import json

    model = json.loads(serialized)["model"]
    merges = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
    pieces = sorted(model["vocab"].items(), key=lambda item: item[1])
    return UpstreamTokenizer(dict(pieces), [(a, b) for a, b in merges], "new tokenizer")
