"""Where a run computes: one device, or several processes that ``accelerate`` ties together.

Every process has a device, its own losses, and the same weights: gradients are averaged before
each step. The main process alone searches negatives, evaluates and writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anisotropy.encoders.precision import bfloat16_products
from anisotropy.encoders.processes import Processes, SeveralProcesses, are_several
from anisotropy.engine.devices import checked_device

BUCKET = 25_000_000  # numbers averaged in one message


class Devices(Processes):
    """One device in one process.

    Attributes
    ----------
    device
        Of this process.
    rank, ranks
        Number of this process, and how many there are.
    """

    def __init__(self, device: str = "auto") -> None:
        self.device = torch.device(checked_device(device))

    def autocast(self, dtype: str) -> AbstractContextManager[Any]:
        """Context of a forward pass in ``float32`` or ``bfloat16``."""
        if dtype == "float32":
            return nullcontext()
        return bfloat16_products(self.device)

    def share(self, count: int) -> np.ndarray:
        """Row numbers that this process encodes, of `count`."""
        return np.arange(count)

    def gathered(self, vectors: Tensor, count: int) -> np.ndarray:
        """All `count` rows, from the shares of the processes."""
        return vectors.cpu().numpy()

    def average(self, values: Tensor) -> Tensor:
        """Mean over the processes."""
        return values

    def average_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace every gradient by its mean over the processes."""


class SeveralDevices(SeveralProcesses, Devices):
    """One of several processes, started by ``accelerate launch`` or ``torchrun``.

    Raises
    ------
    MissingExtra
        If accelerate is not installed.
    UsageError
        If `device` is another one than ``auto`` or ``cpu``: the launcher gives each its own.
    """

    def share(self, count: int) -> np.ndarray:
        """Row numbers of this process: equally many in each, the last row repeated if need be."""
        size = -(-count // self.ranks)
        rows: np.ndarray = np.minimum(np.arange(size) + self.rank * size, count - 1)
        return rows

    def gathered(self, vectors: Tensor, count: int) -> np.ndarray:
        """All `count` rows, from the shares of the processes."""
        from accelerate.utils import gather

        rows: np.ndarray = gather(vectors.contiguous())[:count].cpu().numpy()
        return rows

    def average(self, values: Tensor) -> Tensor:
        """Mean over the processes."""
        from accelerate.utils import reduce

        mean: Tensor = reduce(values.to(self.device), "mean")
        return mean

    def average_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace every gradient by its mean over the processes, many in one message.

        Every process has the same losses, so the same parameters have a gradient in each.
        """
        filled, ends = [p.grad for p in parameters if p.grad is not None], 0
        numbered = []
        for gradient in filled:
            numbered.append((ends // BUCKET, gradient))
            ends += gradient.numel()
        for _, bucket in groupby(numbered, key=lambda pair: pair[0]):
            self._average_bucket([gradient for _, gradient in bucket])

    def _average_bucket(self, gradients: list[Tensor]) -> None:
        mean = self.average(torch.cat([gradient.flatten() for gradient in gradients]))
        parts = torch.split(mean, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


def find_devices(device: str = "auto") -> Devices:
    """Return the devices of this process: several where a launcher started several processes.

    Parameters
    ----------
    device
        ``auto``, or a name of torch's.
    """
    if are_several():
        return SeveralDevices(device)
    return Devices(device)
