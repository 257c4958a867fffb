"""DPR bi-encoders as an encoder: pairs of title and text in, slot 0 of the side's model out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from anisotropy.encoders.configuration import BERT_DEFAULTS, read_config
from anisotropy.encoders.encoder import (
    Encoder,
    Side,
    Tokens,
    check_ids,
    check_vocabulary,
    padded,
)
from anisotropy.encoders.folders import step_in
from anisotropy.encoders.layouts import CheckpointFiles
from anisotropy.encoders.recipe import Recipe
from anisotropy.encoders.token_lists import pair_tokens
from anisotropy.encoders.wordpiece import WordPieceTokenizer
from anisotropy.errors import CheckpointError
from anisotropy.files import fingerprint, sha256_file

if TYPE_CHECKING:
    from anisotropy.collection import Document, Query
    from anisotropy.encoders.dpr import DprModel
    from anisotropy.encoders.weights import State


class DprEncoder(Encoder):
    """DPR bi-encoders: a model for questions, a model for contexts."""

    takes_tokens = True

    def __init__(
        self,
        files: CheckpointFiles,
        readings: tuple[Recipe, ...],
        tokenizer: WordPieceTokenizer,
        device: str = "cpu",
    ) -> None:
        super().__init__(files, readings, device)
        self.tokenizer = tokenizer
        if files.weights is None or files.config is None:
            raise CheckpointError(f"{files.origin}: weights or configuration are missing")
        self._weights, self._config = files.weights, files.config
        self._model: DprModel | None = None

    @property
    def step(self) -> int | None:
        """Optimizer steps behind it, by the name of upstream's file, if it says so."""
        named = step_in(self._weights.name)
        return super().step if named is None else named

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the weights, the backbone configuration and the tokenizer."""
        config = read_config(self._config, BERT_DEFAULTS)
        paths = [path for path in (self._weights, self.files.context) if path is not None]
        hashes = [sha256_file(path) for path in paths]
        return fingerprint("dpr", hashes, config, self.tokenizer.fingerprint)

    @property
    def dim(self) -> int:
        """Size of the vectors."""
        return self._loaded().dim

    def load(self) -> None:
        """Load the weights now, with every check."""
        self._loaded()

    def _loaded(self) -> DprModel:
        if self._model is None:
            from anisotropy.engine.devices import checked_device

            self.device = checked_device(self.device)
            _, model = self.whole()
            if self.recipe.dtype == "bfloat16":
                from anisotropy.encoders.precision import run_in_bfloat16

                run_in_bfloat16(model.question_model)
                run_in_bfloat16(model.ctx_model)
            self._model = model.to(self.device)
        return self._model

    def whole(self) -> tuple[State, DprModel]:
        """Every tensor of the files, those without effect too, and the model.

        Raises
        ------
        CheckpointError
            As for `load`.
        """
        from anisotropy.encoders.dpr import build_dpr, dpr_config, read_dpr_state

        origin = str(self._weights) if self.files.context is None else self.files.origin
        state = read_dpr_state(self.files)
        model = build_dpr(state, dpr_config(self.files), origin)
        check_vocabulary(self.files, self.tokenizer.size, model.config["vocab_size"])
        return state, model

    def tokenize(self, side: Side, items: Sequence[Query] | Sequence[Document]) -> list[list[int]]:
        """Token ids of each item, special tokens included, cut to the recipe's length."""
        self.check_side(side)
        return pair_tokens(self.tokenizer, side, items, self.recipe)

    def encode_tokens(self, side: Side, tokens: Tokens) -> list[np.ndarray]:
        """Vectors of one batch; see `Encoder.encode_tokens`."""
        import torch

        model = self._loaded()
        if not len(tokens):
            return [np.empty((0, model.dim), dtype=np.float32) for _ in self.readings]
        ids = padded(tokens, self.recipe.pad_token_id)
        check_ids(ids, model.max_tokens, model.config["vocab_size"])
        with torch.inference_mode():
            placed = torch.from_numpy(ids).to(self.device)
            outputs = [model(side, placed, reading).float() for reading in self.readings]
        return [vectors.cpu().numpy() for vectors in outputs]
