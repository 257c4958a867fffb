"""One process, or several that ``accelerate launch`` or ``torchrun`` started."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from anisotropy.errors import AnisotropyError, MissingExtra, UsageError

if TYPE_CHECKING:
    import torch

Value = TypeVar("Value")


class Processes:
    """A process that is alone.

    Attributes
    ----------
    rank, ranks
        Number of this process, and how many there are.
    """

    rank, ranks = 0, 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes what all of them made."""
        return self.rank == 0

    def main(self, action: Callable[[], Value]) -> Value:
        """Let the main process act; all get its value, or its error."""
        return action()

    def told(self, value: Value) -> list[Value]:
        """What each process has to tell, in the order of their ranks."""
        return [value]


class SeveralProcesses(Processes):
    """One of several processes.

    Parameters
    ----------
    device
        ``auto`` or ``cpu``: the launcher gives each process its own.
    doing
        What needs them, for the message where accelerate is missing.
    patience
        How long one waits for another; None = as long as the launcher lets it.

    Attributes
    ----------
    device : torch.device
        Of this process.

    Raises
    ------
    MissingExtra
        If accelerate is not installed.
    UsageError
        If `device` is another one.
    """

    device: torch.device

    def __init__(
        self, device: str = "auto", doing: str = "training", patience: timedelta | None = None
    ) -> None:
        import torch

        try:
            from accelerate import PartialState
        except ImportError:
            raise MissingExtra(f"{doing} in several processes", "train") from None
        if device not in ("auto", "cpu"):
            raise UsageError(
                f"device: got {device!r} in one of several processes; allowed: auto, or cpu"
            )
        options = {} if patience is None else {"timeout": patience}
        cpu = device == "cpu" or not torch.cuda.is_available()
        self._state: Any = PartialState(cpu=cpu, **options)
        self.device = self._state.device
        self.rank, self.ranks = self._state.process_index, self._state.num_processes

    def main(self, action: Callable[[], Value]) -> Value:
        """Let the main process act; all get its value, or its error.

        Whatever it is, the error is passed on: the others would wait for a value forever.
        """
        from accelerate.utils import broadcast_object_list

        box: list[Any] = [None, None]
        if self.is_main:
            try:
                box = [action(), None]
            except Exception as error:
                broadcast_object_list([None, passed_on(error)])
                raise
        value, problem = broadcast_object_list(box)
        if problem is not None:
            raise problem
        return value  # type: ignore[no-any-return]

    def told(self, value: Value) -> list[Value]:
        """What each process has to tell, in the order of their ranks."""
        from accelerate.utils import gather_object

        found: list[Value] = gather_object([value])
        return found


def passed_on(error: Exception, who: str = "the main process") -> AnisotropyError:
    """Return what the other processes raise when one failed: one line.

    Parameters
    ----------
    error
        Of that process. An error of ours stays what it is.
    who
        Names it.
    """
    if isinstance(error, AnisotropyError):
        try:
            pickle.loads(pickle.dumps(error))
            return error
        except TypeError:  # its arguments are not those of its class
            pass
    line = next(iter(str(error).splitlines()), "")
    return AnisotropyError(f"{who} failed: {type(error).__name__}: {line}")


def are_several() -> bool:
    """Whether a launcher started several processes; imports nothing."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_main() -> bool:
    """Whether this process is alone or the first of several; imports nothing."""
    return not are_several() or os.environ.get("RANK", "0") == "0"
