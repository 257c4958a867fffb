"""Devices by torch's names, checked once."""

from __future__ import annotations

import torch

from anisotropy.errors import UsageError


def checked_device(name: str) -> str:
    """Return the name of a device that is there; ``auto`` is cuda where there is one, else cpu.

    Raises
    ------
    UsageError
        If the name is not one torch knows, or the machine has no such device.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error) or "not available").splitlines()[0][:120]
        raise UsageError(
            f"device: got {name!r}, not usable here ({reason}); allowed: auto, cpu, or cuda where "
            "there is one"
        ) from None
    return name
