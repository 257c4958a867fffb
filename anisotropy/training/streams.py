"""Random streams that are functions of the seed, the stage's stream, a purpose and a number.

So a run is repeated, and taken up after a kill, without any hidden random state.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

ORDER, DRAW, MINE, DROPOUT = range(4)  # what a stream is for


def generator(seed: int, stream: int, purpose: int, number: int) -> np.random.Generator:
    """NumPy generator of a stream."""
    return np.random.default_rng([seed, stream, purpose, number])


@contextmanager
def dropout_stream(seed: int, stream: int, number: int, device: torch.device) -> Iterator[None]:
    """Draw torch's random numbers from a stream, and put the state back afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        state = np.random.SeedSequence([seed, stream, DROPOUT, number]).generate_state(1)
        torch.manual_seed(int(state[0]))
        yield


RandomState = tuple[torch.Tensor, torch.Tensor | None]


def random_state(device: torch.device) -> RandomState:
    """State from which the next dropout is drawn."""
    on_device = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return torch.get_rng_state(), on_device


def set_random_state(state: RandomState, device: torch.device) -> None:
    """Draw the next dropout as it was drawn after `random_state`."""
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1], device)
