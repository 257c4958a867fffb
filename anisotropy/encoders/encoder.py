"""Encoders: token lists in, one float32 array a reading out."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from anisotropy.encoders.configuration import read_config
from anisotropy.encoders.folders import step_of
from anisotropy.encoders.layouts import CheckpointFiles
from anisotropy.encoders.recipe import Recipe
from anisotropy.encoders.texts import document_text, query_text
from anisotropy.encoders.token_lists import upstream_tokens
from anisotropy.encoders.tokenization import UpstreamTokenizer
from anisotropy.errors import CheckpointError, UsageError, one_of
from anisotropy.files import fingerprint, sha256_file

if TYPE_CHECKING:
    import torch

    from anisotropy.collection import Collection, Document, Query
    from anisotropy.encoders.upstream import UpstreamModel
    from anisotropy.encoders.weights import State

Side = Literal["queries", "documents"]
Tokens = Sequence[Sequence[int]]
#: Tokens take about a hundredth of the time of a small encoder on one core.
_MANY_CORES = 16


class Encoder(ABC):
    """A checkpoint with its recipe; weights are loaded at first use.

    Parameters
    ----------
    files
        The recognized checkpoint.
    readings
        One recipe, or two where the checkpoint leaves L2 in doubt.
    device
        As torch names it.
    """

    takes_tokens = False
    """Whether items may have token ids in place of texts."""

    def __init__(
        self, files: CheckpointFiles, readings: tuple[Recipe, ...], device: str = "cpu"
    ) -> None:
        self.files = files
        self.readings = readings
        self.device = device

    @property
    def label(self) -> str:
        """Short name, from the path."""
        return self.files.label

    @property
    def recipe(self) -> Recipe:
        """First reading."""
        return self.readings[0]

    @property
    def step(self) -> int | None:
        """Optimizer steps behind it, by its folder's name or its training record, if known."""
        return step_of(self.files.folder)

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Identity of weights, configuration and tokenizer."""

    @property
    @abstractmethod
    def dim(self) -> int:
        """Size of the vectors."""

    @abstractmethod
    def load(self) -> None:
        """Load the weights now, with every check.

        Raises
        ------
        CheckpointError
            If a tensor is missing, unexpected, of another shape or not finite, or a file is
            damaged.
        """

    def texts(self, side: Side, items: Sequence[Query] | Sequence[Document]) -> list[str]:
        """Texts as the recipe makes them, before tokenization."""
        self.check_side(side)
        make: Any = query_text if side == "queries" else document_text
        return [make(item, self.recipe) for item in items]

    def check_side(self, side: str) -> None:
        """Refuse another word than ``queries`` and ``documents``."""
        if side not in ("queries", "documents"):
            raise UsageError(f"side: {one_of(side, ('queries', 'documents'))}")

    def check_collection(self, collection: Collection) -> None:
        """Refuse a collection that this encoder cannot encode, before any work.

        Raises
        ------
        CollectionError
            If the collection holds token ids and this encoder tokenizes texts.
        """
        if not self.takes_tokens:
            collection.require_texts(f"{self.label}, a {self.files.layout} model,")

    @abstractmethod
    def tokenize(self, side: Side, items: Sequence[Query] | Sequence[Document]) -> list[list[int]]:
        """Token ids of each item, special tokens included, cut to the recipe's length."""

    @abstractmethod
    def encode_tokens(self, side: Side, tokens: Tokens) -> list[np.ndarray]:
        """Vectors of one batch.

        Parameters
        ----------
        side
            ``queries`` or ``documents``.
        tokens
            Id lists from `tokenize`; padded to the longest of them.

        Returns
        -------
        list of numpy.ndarray
            A reading each: (items * vectors an item, dim), float32, rows in the order of the
            items, chunks ascending within an item.
        """

    @contextmanager
    def beside_encoding(self) -> Iterator[None]:
        """Tokenize in the calling thread alone within the block, where the cores encode.

        Elsewhere (another device encodes, or so many cores that one could not keep up), and where
        TOKENIZERS_PARALLELISM is set, the tokenizer library does as it likes.
        """
        name, cores = "TOKENIZERS_PARALLELISM", os.cpu_count() or 1
        if name in os.environ or not self.device.startswith("cpu") or cores > _MANY_CORES:
            yield
            return
        os.environ[name] = "false"
        try:
            yield
        finally:
            os.environ.pop(name, None)

    def vectors_per_document(self) -> int:
        """1, or the number of MaxP chunks."""
        return self.recipe.chunks

    def padding_chunks(self, tokens: Tokens) -> np.ndarray:
        """(documents * vectors a document,) bool, True where a MaxP chunk holds no token."""
        lengths = np.array([len(ids) for ids in tokens], dtype=np.int64)
        starts = np.arange(self.recipe.chunks) * self.recipe.chunk_length
        padding: np.ndarray = (starts[None, :] >= np.maximum(lengths, 1)[:, None]).reshape(-1)
        return padding

    def summary(self) -> dict[str, Any]:
        """Layout, recipe with sources, doubts, keys and counts, for ``inspect``."""
        from anisotropy.encoders.description import describe_files

        return describe_files(self.files, self.readings)


class UpstreamEncoder(Encoder):
    """ANCE and DANCE checkpoints, FirstP and MaxP."""

    takes_tokens = True

    def __init__(
        self,
        files: CheckpointFiles,
        readings: tuple[Recipe, ...],
        tokenizer: UpstreamTokenizer,
        device: str = "cpu",
    ) -> None:
        super().__init__(files, readings, device)
        self.tokenizer = tokenizer
        if files.weights is None or files.config is None:
            raise CheckpointError(f"{files.origin}: weights or configuration are missing")
        self._weights, self._config = files.weights, files.config
        self._model: UpstreamModel | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the weights file, the backbone configuration and the tokenizer."""
        config = read_config(self._config)
        return fingerprint(sha256_file(self._weights), config, self.tokenizer.fingerprint)

    @property
    def dim(self) -> int:
        """Size of the vectors."""
        model = self._loaded()
        return model.dim if self.recipe.head != "none" else int(model.config["hidden_size"])

    def load(self) -> None:
        """Load the weights now, with every check."""
        self._loaded()

    def _loaded(self) -> UpstreamModel:
        if self._model is None:
            from anisotropy.engine.devices import checked_device

            self.device = checked_device(self.device)
            _, model = self.whole()
            if self.recipe.dtype == "bfloat16":
                from anisotropy.encoders.precision import products_to_bfloat16

                products_to_bfloat16(model.roberta)
            self._model = model.requires_grad_(False).eval().to(self.device)
        return self._model

    def whole(self) -> tuple[State, UpstreamModel]:
        """Every tensor of the file, those without effect too, and the model of those it needs.

        Raises
        ------
        CheckpointError
            As for `load`.
        """
        from anisotropy.encoders.upstream import build_model
        from anisotropy.encoders.weights import read_state_dict

        state = read_state_dict(self._weights)
        model = build_model(state, read_config(self._config), self._weights)
        pieces = max(self.tokenizer.size, self.recipe.pad_token_id + 1)
        check_vocabulary(self.files, pieces, model.config["vocab_size"])
        return state, model

    def tokenize(self, side: Side, items: Sequence[Query] | Sequence[Document]) -> list[list[int]]:
        """Token ids of each item, special tokens included, cut to the recipe's length."""
        self.check_side(side)
        return upstream_tokens(self.tokenizer, side, items, self.recipe)

    def encode_tokens(self, side: Side, tokens: Tokens) -> list[np.ndarray]:
        """Vectors of one batch; see `Encoder.encode_tokens`."""
        recipe = self.recipe
        if side == "queries" or not recipe.chunk_length:
            return self._encode(side, tokens)
        length, chunks = recipe.chunk_length, recipe.chunks
        pieces = [ids[c * length : (c + 1) * length] for ids in tokens for c in range(chunks)]
        padding = self.padding_chunks(tokens)
        filled = self._encode(
            side, [p for p, empty in zip(pieces, padding, strict=True) if not empty]
        )
        return [
            _spread(vectors, constant, padding)
            for vectors, constant in zip(filled, self._padding_vectors, strict=True)
        ]

    @cached_property
    def _padding_vectors(self) -> list[np.ndarray]:
        """A reading each: (1, dim) vector of a chunk that is padding alone."""
        recipe = self.recipe
        ids = np.full((1, recipe.chunk_length), recipe.pad_token_id)
        return self._forward("documents", ids, np.zeros(1, dtype=np.int64))

    def _encode(self, side: Side, tokens: Tokens) -> list[np.ndarray]:
        lengths = np.array([len(ids) for ids in tokens], dtype=np.int64)
        if not len(lengths):
            return [np.empty((0, self.dim), dtype=np.float32) for _ in self.readings]
        return self._forward(side, padded(tokens, self.recipe.pad_token_id), lengths)

    def _forward(self, side: Side, ids: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
        import torch

        model = self._loaded()
        check_ids(ids, model.max_tokens, model.config["vocab_size"])
        placed = torch.from_numpy(ids).to(self.device), torch.from_numpy(lengths).to(self.device)
        with torch.inference_mode():
            with self._precision():
                state = model.pooled(*placed, self.recipe, whole=False).float()
            head = state if self.recipe.head == "none" else model.embeddingHead(state)
            outputs = [_output(model, side, head, reading) for reading in self.readings]
        return [vectors.cpu().numpy() for vectors in outputs]

    def _precision(self) -> AbstractContextManager[Any]:
        from anisotropy.encoders.precision import bfloat16_products

        return bfloat16_products(self.device) if self.recipe.dtype == "bfloat16" else nullcontext()


def padded(tokens: Tokens, pad: int) -> np.ndarray:
    """(items, longest) ids, filled up on the right."""
    ids = np.full((len(tokens), max(len(item) for item in tokens)), pad)
    for row, item in enumerate(tokens):
        ids[row, : len(item)] = item
    return ids


def check_vocabulary(files: CheckpointFiles, pieces: int, rows: int) -> None:
    """Refuse a tokenizer with more pieces than the word embeddings have rows."""
    if pieces > rows:
        raise CheckpointError(
            f"{files.origin}: the tokenizer has {pieces} pieces, the weights have {rows} rows; "
            "give the right tokenizer with --tokenizer"
        )


def check_ids(ids: np.ndarray, positions: int, rows: int) -> None:
    """Refuse more tokens than there are positions, and ids outside the vocabulary."""
    if ids.shape[1] > positions:
        raise UsageError(
            f"got {ids.shape[1]} tokens; allowed: at most {positions}, the positions the "
            "checkpoint has"
        )
    if ids.min() < 0 or ids.max() >= rows:
        raise UsageError(f"token id outside the vocabulary: allowed 0..{rows - 1}")


def _output(model: UpstreamModel, side: Side, head: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    function = model.query if side == "queries" else model.document
    return function(head, recipe).float()


def _spread(vectors: np.ndarray, constant: np.ndarray, padding: np.ndarray) -> np.ndarray:
    """Put the vectors of filled chunks and the constant one of padding chunks in row order."""
    rows = np.repeat(constant, len(padding), axis=0)
    rows[~padding] = vectors
    return rows
