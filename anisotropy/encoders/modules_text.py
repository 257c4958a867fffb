"""Texts to tokens, and tokens to what the modules of a sentence-transformers model take."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from anisotropy.encoders.recipe import Recipe
from anisotropy.encoders.texts import document_text, query_text
from anisotropy.errors import CheckpointError, UsageError, one_of

if TYPE_CHECKING:
    import torch

    from anisotropy.collection import Document, Query

TASKS = {"queries": "query", "documents": "document"}
_SLICE = 512
_KNOWN_INPUTS = {
    "input_ids",
    "attention_mask",
    "token_type_ids",
    "modality",
    "task",
    "prompt_length",
    "offsets",
}


class ModulesText:
    """What the first module of a model makes of texts under a recipe.

    Parameters
    ----------
    model
        A ``SentenceTransformer``.
    recipe
        Its prompts, lengths, fields and lower-casing are used.
    origin
        For messages.

    Raises
    ------
    CheckpointError
        If the first module needs more than token ids, or token types other than 0.
    """

    def __init__(self, model: Any, recipe: Recipe, origin: str) -> None:
        self.model, self.recipe, self.origin = model, recipe, origin
        probes = {side: self._probe(side) for side in TASKS}
        self.bags = "offsets" in probes["queries"]
        self._token_types = any("token_type_ids" in features for features in probes.values())
        self._prompt_lengths = {s: f.get("prompt_length") for s, f in probes.items()}

    def with_recipe(self, recipe: Recipe) -> ModulesText:
        """Return the same model under another recipe."""
        return ModulesText(self.model, recipe, self.origin)

    def tokenize(self, side: str, items: Sequence[Query] | Sequence[Document]) -> list[list[int]]:
        """Token ids of each item, special tokens and prompt included, cut to the length."""
        if side not in TASKS:
            raise UsageError(f"side: {one_of(side, TASKS)}")
        bare = dataclasses.replace(self.recipe, query_prompt="", document_prompt="")
        make: Any = query_text if side == "queries" else document_text
        texts = [make(item, bare) for item in items]
        if self.recipe.lowercase and self.recipe.tokenization != "upstream":  # else the tokenizer
            texts = [text.lower() for text in texts]
        found: list[list[int]] = []
        for start in range(0, len(texts), _SLICE):
            found += self.token_lists(side, texts[start : start + _SLICE])
        return found

    def token_lists(self, side: str, texts: list[str]) -> list[list[int]]:
        """Token ids of texts that are ready for the tokenizer but for the prompt."""
        features = self._preprocess(side, texts)
        ids = features["input_ids"]
        if "offsets" in features:  # bags of tokens, one after the other
            ends = [*features["offsets"].tolist()[1:], len(ids)]
            starts = features["offsets"].tolist()
            return [ids[a:b].tolist() for a, b in zip(starts, ends, strict=True)]
        # In NumPy: torch would start threads for it, beside those that encode.
        mask = features["attention_mask"].numpy().astype(bool)
        return [row[real].tolist() for row, real in zip(ids.numpy(), mask, strict=True)]

    def features(
        self, side: str, tokens: Sequence[Sequence[int]], device: str | torch.device
    ) -> dict[str, Any]:
        """Input of the modules for one batch, padded to its longest item, on a device."""
        import torch

        features: dict[str, Any] = {"modality": "text", "task": TASKS[side]}
        if self.bags:
            ends = np.cumsum([0] + [len(ids) for ids in tokens])
            flat = [index for ids in tokens for index in ids]
            features["input_ids"] = torch.tensor(flat, dtype=torch.long, device=device)
            features["offsets"] = torch.from_numpy(ends[:-1]).to(device)
            return features
        tokenizer = self.model.tokenizer
        left = getattr(tokenizer, "padding_side", "right") == "left"
        ids, mask = _padded(tokens, tokenizer.pad_token_id or 0, left)
        features["input_ids"] = torch.from_numpy(ids).to(device)
        features["attention_mask"] = torch.from_numpy(mask).to(device)
        if self._token_types:
            features["token_type_ids"] = torch.zeros_like(features["input_ids"])
        if self._prompt_lengths[side] is not None:
            features["prompt_length"] = self._prompt_lengths[side]
        return features

    def _probe(self, side: str) -> dict[str, Any]:
        """Learn what the first module makes of a text on this side."""
        features = self._preprocess(side, ["a"])
        unknown = set(features) - _KNOWN_INPUTS
        if unknown or "input_ids" not in features:
            raise CheckpointError(
                f"{self.origin}: its first module needs {', '.join(sorted(unknown))} "
                "besides token ids; allowed: text models"
            )
        types = features.get("token_type_ids")
        if types is not None and bool(types.any()):
            raise CheckpointError(f"{self.origin}: needs token types other than 0")
        return features

    def _preprocess(self, side: str, texts: list[str]) -> dict[str, Any]:
        recipe = self.recipe
        limit = recipe.max_length(side)
        prompt = recipe.query_prompt if side == "queries" else recipe.document_prompt
        options = {"processing_kwargs": {"text": {"max_length": limit}}} if limit else {}
        features: dict[str, Any] = self.model.preprocess(
            texts, prompt=prompt or None, task=TASKS[side], **options
        )
        return features


def _padded(
    tokens: Sequence[Sequence[int]], pad: int, left: bool
) -> tuple[np.ndarray, np.ndarray]:
    lengths = [len(ids) for ids in tokens]
    ids = np.full((len(lengths), max(lengths)), pad, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, (item, length) in enumerate(zip(tokens, lengths, strict=True)):
        slots = slice(ids.shape[1] - length, None) if left else slice(0, length)
        ids[row, slots] = item
        mask[row, slots] = 1
    return ids, mask
