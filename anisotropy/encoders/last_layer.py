"""The last layer of a backbone of which slot 0 alone is read."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional


def first_slot_of(layer: Any, hidden: Tensor, mask: Tensor | None) -> Tensor:
    """Apply a RoBERTa layer whose attention is asked from slot 0 only.

    Equal to slot 0 of the whole layer. Keys and values alone are made of the other slots: a
    sixth of the work.

    Parameters
    ----------
    layer
        Of a transformers model.
    hidden
        Shape (B, L, hidden).
    mask
        Added to the scores, of shape (B, 1, 1, L); None where every token is real.

    Returns
    -------
    Tensor of shape (B, hidden)
    """
    own, first = layer.attention.self, hidden[:, :1]
    context = functional.scaled_dot_product_attention(
        _heads(own.query(first), own.num_attention_heads),
        _heads(own.key(hidden), own.num_attention_heads),
        _heads(own.value(hidden), own.num_attention_heads),
        attn_mask=mask,
        dropout_p=own.dropout.p if layer.training else 0.0,
    )
    attended = layer.attention.output(context.transpose(1, 2).flatten(2), first)
    state: Tensor = layer.output(layer.intermediate(attended), attended)
    return state[:, 0]


def _heads(states: Tensor, heads: int) -> Tensor:
    batch, length, width = states.shape
    return states.view(batch, length, heads, width // heads).transpose(1, 2)
