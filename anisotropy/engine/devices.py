"""Devices by torch's names: checked once, and looked for where there is enough to do.

torch is imported where a device is named, or where a driver says that there may be one.
"""

from __future__ import annotations

import functools
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from anisotropy.errors import UsageError, reason_of, shown

#: Operations of a product from which it is worth a device: about what loading torch, starting
#: the device and sending the rows costs. Smaller ones have the same digits on every machine.
WORTH = 1e11
#: Where the drivers of NVIDIA (Linux, Jetson, WSL, Windows) and of AMD, which torch calls cuda
#: too, can be seen without loading anything.
_DRIVERS = (
    "/dev/nvidiactl",
    "/dev/nvidia0",
    "/proc/driver/nvidia",
    "/dev/nvhost-gpu",
    "/dev/dxg",
    "/dev/kfd",
    "C:/Windows/System32/nvcuda.dll",
)


def checked_device(name: str) -> str:
    """Return the name of a device that is there; ``auto`` is cuda where there is one, else cpu.

    Raises
    ------
    UsageError
        If the name is not one torch knows, or the machine has no such device.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(
            f"device: got {shown(name)}, {_why_not(name, error)}; allowed: auto, cpu, and where "
            "there is one cuda, cuda:1, mps"
        ) from None
    return name


def _why_not(name: str, error: Exception) -> str:
    """Why a device cannot be used; torch tells a stranger of kinds that nobody has."""
    if not re.fullmatch(r"(cuda|mps)(:\d+)?", name):
        return "which is no device"
    if name == "mps" or "not compiled" in str(error) or "No CUDA" in str(error):
        return "which is not there"
    return f"which cannot be used ({reason_of(error)})"


def driver() -> bool:
    """Whether there may be a device that torch calls cuda; loads nothing."""
    return any(Path(place).exists() for place in _DRIVERS)


class Sought:
    """A device for work on rows, looked for when there is first enough to do.

    Parameters
    ----------
    name
        ``auto`` or ``cuda``, with or without a number.
    say
        Called with a line where a device is there that cannot be used.

    Attributes
    ----------
    used
        Whether work was given to it.
    """

    def __init__(self, name: str, say: Callable[[str], None] | None = None) -> None:
        self._name, self._say = name, say
        self._lock = threading.Lock()
        self.used = False

    def use(self) -> str | None:
        """Name of the device, with its number; None where there is none."""
        found = self.found
        self.used = self.used or found is not None
        return found

    @property
    def found(self) -> str | None:
        """Name of the device, looked for once."""
        with self._lock:
            return self._found

    @functools.cached_property
    def _found(self) -> str | None:
        return usable(self._name, self._say)


def usable(name: str, say: Callable[[str], None] | None) -> str | None:
    """Name of a CUDA device, with its number, that multiplies; None where there is none.

    Raises
    ------
    UsageError
        If one is named that cannot be used; one that was not named is left alone, with a line.
    """
    import torch

    if not torch.cuda.is_available():
        return None
    device = torch.device("cuda" if name == "auto" else name)
    number = torch.cuda.current_device() if device.index is None else device.index
    found = f"cuda:{number}"
    try:
        ones = torch.ones(2, 2, dtype=torch.float64, device=found)
        (ones @ ones).sum().item()
    except RuntimeError as error:
        line = f"device {found}: cannot be used ({reason_of(error)})"
        if name != "auto":
            raise UsageError(f"{line}; allowed: --device cpu") from None
        if say is not None:
            say(f"{line}; the analysis runs on the CPU")
        return None
    return found


def sought(name: str, say: Callable[[str], None] | None, workers: bool) -> Sought | None:
    """The device that rows are worked on, or None for NumPy in this process or in workers.

    Parameters
    ----------
    name
        ``auto``, ``cpu``, or a device of torch.
    say
        Called with a line where a named device does not get this work.
    workers
        Whether a cluster does the work.

    Raises
    ------
    UsageError
        If a device is named that is not there.
    """
    if name == "auto":
        there = not workers and (driver() or "torch" in sys.modules)
        return Sought(name, say) if there else None
    kind = "cpu" if name == "cpu" else checked_device(name).partition(":")[0]
    if kind == "cuda" and not workers:
        found = Sought(name, say)
        return found if found.found else None
    if kind != "cpu" and say is not None:
        say(f"device {name}: for encoding alone; {_instead(kind, workers)}")
    return None


def _instead(kind: str, workers: bool) -> str:
    if workers:
        return "the workers of the cluster run the analysis on their CPUs"
    why = "has no float64" if kind == "mps" else "is no CUDA device"
    return f"the analysis runs on the CPU, for {kind} {why}"


def described(name: str) -> str:
    """Name of a device and of its make, for results."""
    import torch

    if not name.startswith("cuda"):
        return name
    return f"{name} ({torch.cuda.get_device_name(name)})"
