"""Token lists to vectors that carry gradients, with little padding and no wasted layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from anisotropy.encoders import Recipe, UpstreamModel
from anisotropy.encoders.last_layer import first_slot_of
from anisotropy.encoders.upstream import FIRST_POSITION, MASKED

Side = Literal["queries", "documents"]
Tokens = Sequence[Sequence[int]]


def vectors(
    model: UpstreamModel, recipe: Recipe, side: Side, tokens: Tokens, micro_batch: int
) -> Tensor:
    """Vectors of token lists, in their order.

    Parameters
    ----------
    model, recipe
        Encoder, and how its head is read.
    side
        ``queries`` or ``documents``.
    tokens
        Ids of each item, special tokens included.
    micro_batch
        Items a forward pass. Items are sorted by length first, so that padding costs little.

    Returns
    -------
    Tensor of shape (len(tokens), dim)
        With gradients where they are enabled.
    """
    head = in_order(
        tokens, micro_batch, lambda part: first_slot(model, *padded(part, recipe, model))
    )
    return model.query(head, recipe) if side == "queries" else model.document(head, recipe)


def in_order(tokens: Tokens, micro_batch: int, forward: Callable[[Tokens], Tensor]) -> Tensor:
    """Float32 rows of `forward` for all items, in order, from micro-batches sorted by length.

    Parameters
    ----------
    tokens
        Ids of each item.
    micro_batch
        Items a call.
    forward
        Token lists to a row each.
    """
    order = np.argsort([len(ids) for ids in tokens], kind="stable")
    rows = [forward([tokens[row] for row in part]) for part in _parts(order, micro_batch)]
    back = torch.from_numpy(np.argsort(order, kind="stable"))
    return torch.cat(rows)[back.to(rows[0].device)].float()  # under autocast it is not


def _parts(order: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(order), size):
        yield order[start : start + size]


def padded(tokens: Tokens, recipe: Recipe, model: UpstreamModel) -> tuple[Tensor, Tensor]:
    """Ids of shape (B, L), padded on the right, and lengths of shape (B,)."""
    lengths = np.array([len(ids) for ids in tokens])
    ids = np.full((len(tokens), lengths.max()), recipe.pad_token_id)
    ids[np.arange(ids.shape[1]) < lengths[:, None]] = np.concatenate(tokens)
    device = model.norm.weight.device
    return torch.from_numpy(ids).to(device), torch.from_numpy(lengths).to(device)


def first_slot(model: UpstreamModel, ids: Tensor, lengths: Tensor) -> Tensor:
    """Head output before LayerNorm, the last layer computed for slot 0 alone.

    Equal to ``model(ids, lengths)``, but nobody reads the other slots of the last layer, so its
    query, output and feed-forward parts run on one token a sequence: about 0.6 of the work of a
    model of two layers.

    Parameters
    ----------
    model
        RoBERTa in upstream's layout, pooled on slot 0.
    ids
        Shape (B, L).
    lengths
        Shape (B,).

    Returns
    -------
    Tensor of shape (B, dim)
    """
    length = ids.shape[1]
    slots = torch.arange(length, device=ids.device)
    absent = slots[None, :] >= lengths[:, None]
    mask = (absent.float() * MASKED)[:, None, None, :] if bool(absent.any()) else None
    full = None if mask is None else mask.expand(-1, 1, length, length)
    hidden = model.roberta.embeddings(input_ids=ids, position_ids=slots[None] + FIRST_POSITION)
    *layers, last = model.roberta.encoder.layer
    for layer in layers:
        output = layer(hidden, full)
        hidden = output[0] if isinstance(output, tuple) else output
    head: Tensor = model.embeddingHead(first_slot_of(last, hidden, mask))
    return head


def set_dropout(model: nn.Module, rate: float) -> None:
    """Set the rate of every dropout of a model (of hidden states and of attention).

    Some models of transformers keep a rate as a plain number, in an attribute that ends in
    ``dropout``; it is set too.
    """
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = rate
        for name, value in vars(module).items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if name.endswith("dropout") and number:
                setattr(module, name, rate)
