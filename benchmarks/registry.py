"""The cases: what each is, and where the function is that measures it.

A case is a function of a :class:`Setting` that hands back named numbers
(:func:`benchmarks.quantities.number`). Bare values are taken too, and a text ``sizes``: what the
numbers are of.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import Limits


@dataclass(frozen=True)
class Setting:
    """What a case is given.

    Attributes
    ----------
    full
        At the sizes of the targets; else small.
    folder
        Scratch of its own, on the disk that was measured.
    limits, disk
        Rates of the machine: operations, and bytes read, a second.
    tiny
        So small that it only shows that everything works: for tests.
    """

    full: bool
    folder: Path
    limits: Limits
    disk: float
    tiny: bool = False

    def pick(self, tiny: Any, small: Any, full: Any) -> Any:
        """The value for this mode."""
        return tiny if self.tiny else full if self.full else small


@dataclass(frozen=True)
class Case:
    """One entry.

    Attributes
    ----------
    name, title
        On the command line and on the page.
    where
        ``module:function`` below ``benchmarks``.
    modes
        Modes that take it along when no case is named; ``extra``: with ``--extra``.
    needs
        Module below ``benchmarks`` without which there is no such case; default: its own.
    """

    name: str
    title: str
    where: str
    modes: tuple[str, ...] = ("small", "full")
    needs: str = ""

    @property
    def module(self) -> str:
        """Module of the function."""
        return f"benchmarks.{self.where.partition(':')[0]}"

    @property
    def there(self) -> bool:
        """Whether it is part of this repository."""
        needed = f"benchmarks.{self.needs}" if self.needs else self.module
        return importlib.util.find_spec(needed) is not None

    def load(self) -> Callable[[Setting], dict[str, Any]]:
        """The function."""
        found: Callable[[Setting], dict[str, Any]] = getattr(
            importlib.import_module(self.module), self.where.partition(":")[2]
        )
        return found


EXTRA = ("extra",)
CASES = (
    Case("uniformity", "Uniformity against the published definition", "cases.uniformity:case"),
    Case("neighbors", "Exact neighbors against faiss", "cases.neighbors:case"),
    Case("analysis", "The complete default analysis", "cases.analysis:case"),
    Case("startup", "Start of the program", "cases.shell:startup"),
    Case("compare", "`compare` of encoded spaces", "cases.shell:compare"),
    Case("encoding", "Encoding", "cases.others:encoding", needs="encoding"),
    Case("cluster", "Dask", "cases.others:cluster", needs="cluster"),
    Case("approximate", "Approximate neighbors", "cases.others:approximate", needs="approximate"),
    Case("memory", "Memory of `encode` on many documents", "cases.memory:case", EXTRA),
    Case("training", "Training steps", "cases.others:training", EXTRA),
    Case("maps", "t-SNE maps", "cases.others:maps", EXTRA),
    Case("explorer", "Frames of the explorer's page", "cases.others:explorer", EXTRA),
)
