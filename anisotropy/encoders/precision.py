"""Encoders in bfloat16: their matrix products alone, and whether a device gains by it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

#: Flags of processors that multiply in bfloat16, as Linux names them on x86 and on ARM.
_FLAGS = {"avx512_bf16", "amx_bf16", "avx10_2", "bf16"}


def products_to_bfloat16(backbone: nn.Module) -> None:
    """Keep the weights of linear layers in bfloat16 and all others in float32, in place.

    Run it inside `bfloat16_products`: sums along the layers (residuals), LayerNorm and embeddings
    stay in float32. That is as fast as bfloat16 throughout but for some hundredths, and vectors
    are 2 to 25 times as close to those of float32.
    """
    for part in backbone.modules():
        if isinstance(part, nn.Linear):
            part.to(torch.bfloat16)


@contextmanager
def bfloat16_products(device: str | torch.device) -> Iterator[None]:
    """Context in which matrix products and attention compute in bfloat16."""
    name = torch.device(device).type
    with torch.autocast(name, dtype=torch.bfloat16), _attention(name):
        yield


def _attention(device: str) -> AbstractContextManager[Any]:
    """Attention without cuDNN, which plans anew for every shape of a batch.

    On an H200 a plan takes .14 s, as long as some hundred documents.
    """
    if device != "cuda":
        return nullcontext()
    kinds = (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH)
    found: AbstractContextManager[Any] = sdpa_kernel(list(kinds))
    return found


def run_in_bfloat16(backbone: Any) -> None:
    """Make a transformers model compute so whenever it is called, in place."""
    products_to_bfloat16(backbone)
    forward = backbone.forward

    @functools.wraps(forward)
    def act(*values: Any, **named: Any) -> Any:
        with bfloat16_products(backbone.device):
            return forward(*values, **named)

    backbone.forward = act


def bfloat16_notice(device: str) -> str | None:
    """A line to tell where bfloat16 is slow on a device; None where it is not, or not known."""
    if torch.device(device).type != "cpu":
        return None
    flags = _processor_flags()
    if not flags or flags & _FLAGS:
        return None
    return (
        "--dtype bfloat16: this processor has no bfloat16 arithmetic (avx512_bf16, amx_bf16), "
        "which makes it slower than float32 here"
    )


def _processor_flags() -> set[str]:
    """Flags of the first processor; none where the system does not list them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    named = (line.partition(":") for line in lines)
    return next(
        (set(rest.split()) for key, _, rest in named if key.strip() in ("flags", "Features")),
        set(),
    )
