"""What is trained: a model with its tokenizer and recipe, opened or made from scratch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

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
from anisotropy.encoders.headed import HeadedModel, check_head, load_headed
from anisotropy.encoders.layouts import recognize_source
from anisotropy.encoders.modules_text import ModulesText
from anisotropy.encoders.saving import save_headed
from anisotropy.encoders.texts import document_text, query_text
from anisotropy.encoders.token_lists import upstream_tokens
from anisotropy.encoders.tokenization import UpstreamTokenizer, lower_characters
from anisotropy.errors import CheckpointError, CollectionError, UsageError
from anisotropy.training.config import OF_START, TrainingConfig
from anisotropy.training.devices import Devices
from anisotropy.training.forward import Side, Tokens, in_order, vectors

if TYPE_CHECKING:
    from anisotropy.collection import Collection, Document, Query

SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")  # ids 0..4, as in RoBERTa


@dataclass(frozen=True, eq=False)
class Trainable(ABC):
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

    model: torch.nn.Module
    tokenizer: Any
    recipe: Recipe

    @abstractmethod
    def query_tokens(self, queries: Sequence[Query]) -> list[list[int]]:
        """Ids of queries."""

    @abstractmethod
    def document_tokens(self, documents: Sequence[Document]) -> list[list[int]]:
        """Ids of documents."""

    def with_recipe(self, recipe: Recipe) -> Self:
        """Return the same model and tokenizer under another recipe."""
        return replace(self, recipe=recipe)

    @property
    def network(self) -> torch.nn.Module:
        """What is optimized."""
        return self.model

    @abstractmethod
    def vectors(self, side: Side, tokens: Tokens, micro_batch: int) -> torch.Tensor:
        """Vectors of token lists in their order, with gradients; see `forward.vectors`."""

    def encode(
        self,
        side: Side,
        tokens: Tokens,
        batch: int = 128,
        *,
        devices: Devices | None = None,
        dtype: str = "float32",
    ) -> np.ndarray:
        """Vectors without gradients and dropout.

        Parameters
        ----------
        side
            ``queries`` or ``documents``.
        tokens
            Ids of each item.
        batch
            Items a forward pass.
        devices
            Each of its processes encodes a share; by default the one where the weights are.
        dtype
            Of the forward pass: ``float32`` or ``bfloat16``.

        Returns
        -------
        numpy.ndarray of shape (n, dim), float32
        """
        devices = devices or Devices(str(next(self.network.parameters()).device))
        training = self.network.training
        self.network.eval()
        share = [tokens[row] for row in devices.share(len(tokens))]
        with torch.no_grad(), devices.autocast(dtype):
            found = self.vectors(side, share, batch).float()
        self.network.train(training)
        return devices.gathered(found, len(tokens))

    @abstractmethod
    def save(
        self,
        folder: Path,
        *,
        training: Mapping[str, Any],
        history: Sequence[Mapping[str, Any]] = (),
        extra: Mapping[str, bytes] | None = None,
    ) -> Path:
        """Write a checkpoint that opens again, in the layout of the start."""


@dataclass(frozen=True, eq=False)
class UpstreamTrainable(Trainable):
    """An encoder in upstream's layout; its checkpoints keep that layout."""

    model: UpstreamModel
    tokenizer: UpstreamTokenizer

    def query_tokens(self, queries: Sequence[Query]) -> list[list[int]]:
        """Ids of queries."""
        return upstream_tokens(self.tokenizer, "queries", queries, self.recipe)

    def document_tokens(self, documents: Sequence[Document]) -> list[list[int]]:
        """Ids of documents."""
        return upstream_tokens(self.tokenizer, "documents", documents, self.recipe)

    def vectors(self, side: Side, tokens: Tokens, micro_batch: int) -> torch.Tensor:
        """Vectors of token lists in their order, with gradients; see `forward.vectors`."""
        return vectors(self.model, self.recipe, side, tokens, micro_batch)

    def save(
        self,
        folder: Path,
        *,
        training: Mapping[str, Any],
        history: Sequence[Mapping[str, Any]] = (),
        extra: Mapping[str, bytes] | None = None,
    ) -> Path:
        """Write a checkpoint in upstream's layout; see `save_checkpoint`."""
        return save_checkpoint(
            folder, self.model, recipe=self.recipe, tokenizer=self.tokenizer,
            training=training, history=history, extra=extra,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class ModulesTrainable(Trainable):
    """A sentence-transformers or transformers model under upstream's head.

    Its checkpoints are folders that sentence-transformers opens as they are.
    """

    model: HeadedModel
    tokenizer: ModulesText

    def with_recipe(self, recipe: Recipe) -> Self:
        """Return the same model and tokenizer under another recipe.

        Raises
        ------
        UsageError
            If documents skip the LayerNorm without unit length: no module says that.
        """
        check_head(recipe)
        return replace(self, recipe=recipe, tokenizer=self.tokenizer.with_recipe(recipe))

    def query_tokens(self, queries: Sequence[Query]) -> list[list[int]]:
        """Ids of queries."""
        return self.tokenizer.tokenize("queries", queries)

    def document_tokens(self, documents: Sequence[Document]) -> list[list[int]]:
        """Ids of documents."""
        return self.tokenizer.tokenize("documents", documents)

    def vectors(self, side: Side, tokens: Tokens, micro_batch: int) -> torch.Tensor:
        """Vectors of token lists in their order, with gradients; see `forward.vectors`."""
        model, device = self.model, self.model.device
        head = in_order(
            tokens, micro_batch, lambda part: model(self.tokenizer.features(side, part, device))
        )
        read = model.query if side == "queries" else model.document
        return read(head, self.recipe)

    def save(
        self,
        folder: Path,
        *,
        training: Mapping[str, Any],
        history: Sequence[Mapping[str, Any]] = (),
        extra: Mapping[str, bytes] | None = None,
    ) -> Path:
        """Write a sentence-transformers folder; see `encoders.saving.save_headed`."""
        return save_headed(
            folder, self.model, recipe=self.recipe,
            training=training, history=history, extra=extra,
        )  # fmt: skip


def open_trainable(
    source: str | Path,
    *,
    layers: int = 0,
    max_query_length: int = 0,
    max_document_length: int = 0,
) -> Trainable:
    """Open a checkpoint to go on training it.

    Parameters
    ----------
    source
        Upstream's layout, pooled on slot 0, or a sentence-transformers or plain transformers
        model, as folder or hub id: one Transformer with mean, cls or max pooling and any Dense.
        Such a model gets upstream's head, the linear layer as the identity and the LayerNorm with
        weight 1 and bias 0, unless it comes with one (as what is trained here does). If it is
        scored by the cosine, its vectors get unit length.
    layers
        Only the first so many layers of the backbone; 0 = all.
    max_query_length, max_document_length
        In tokens, special tokens included; 0 = as the checkpoint says.

    Raises
    ------
    CheckpointError
        If it is another layout, or its recipe cannot be trained here.
    UsageError
        If it has fewer layers or positions than asked for.
    """
    lengths = {"max_query_length": max_query_length, "max_document_length": max_document_length}
    overrides = {part: length for part, length in lengths.items() if length}
    if recognize_source(source).layout == "dpr":
        raise CheckpointError(
            f"{source}: a DPR bi-encoder, which is read but not trained; allowed to train: "
            "upstream's ANCE and DANCE layout, sentence-transformers or transformers models"
        )
    encoder = open_encoder(source, overrides=overrides)
    recipe = encoder.recipe
    _check_trainable(recipe, str(source))
    if not isinstance(encoder, UpstreamEncoder):
        return ModulesTrainable(*load_headed(encoder.files, recipe, layers=layers))
    wanted = {"pooling": "cls", "head": "linear_layernorm"}
    wanted |= {"positions": "sequential", "mask": "additive"}
    for part, value in wanted.items():
        if getattr(recipe, part) != value:
            got = getattr(recipe, part)
            raise CheckpointError(f"{source}: {part}: got {got!r}; allowed to train: {value!r}")
    model, _ = load_model(source)
    model.keep_layers(layers, str(source))
    return UpstreamTrainable(model, encoder.tokenizer, recipe)


def start_encoder(
    start: str | Path | Trainable | None,
    collection: Collection,
    configs: Sequence[TrainingConfig],
    seed: int,
) -> Trainable:
    """Open or make what a run of stages starts from.

    Parameters
    ----------
    start
        Checkpoint, a `Trainable`, which is taken as it is, or None: a new encoder.
    collection
        For a new encoder.
    configs
        Of the stages; the options of the start must be the same in all.
    seed
        Of the weights of a new encoder.

    Raises
    ------
    UsageError
        If the stages differ in an option of the start, or one is given for a `Trainable`.
    CheckpointError
        If the start cannot be trained.
    """
    asked = {name: {getattr(config, name) for config in configs} for name in OF_START}
    for name, values in asked.items():
        if len(values) > 1:
            raise UsageError(f"{name}: got {sorted(values)}; allowed: one value for all stages")
        if isinstance(start, Trainable) and values != {0}:
            raise UsageError(
                f"{name}: got {values.pop()}; allowed with a start that is open already: 0; give "
                "it to open_trainable"
            )
    if isinstance(start, Trainable):
        return start
    options = start_options(configs[0])
    if start is not None:
        return open_trainable(start, **options)
    sizes = EncoderSizes(**{name: value for name, value in options.items() if value})
    return new_encoder(collection, sizes, seed=seed)


def start_options(config: TrainingConfig) -> dict[str, int]:
    """Options of `open_trainable` that a configuration has for the start of a run."""
    names = {"start_layers": "layers"}
    return {names.get(name, name): getattr(config, name) for name in OF_START}


def _check_trainable(recipe: Recipe, origin: str) -> None:
    """Refuse what no layout can train: chunks, and scores that are no inner product."""
    if recipe.chunk_length:
        raise CheckpointError(
            f"{origin}: chunk_length: got {recipe.chunk_length}; allowed to train: 0 (one vector "
            "a document)"
        )
    if recipe.similarity == "euclidean":
        raise CheckpointError(
            f"{origin}: similarity: got 'euclidean'; allowed to train: dot, cosine"
        )


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
) -> UpstreamTrainable:
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
    UpstreamTrainable
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
    return UpstreamTrainable(model, tokenizer, recipe)


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
    collection.require_texts("a new encoder, whose tokenizer learns from the collection,")
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
