"""What is told of a job: its parts, each in a line as it begins and in shares as it goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from anisotropy.progress import Parts, Share

if TYPE_CHECKING:
    from anisotropy.spaces import EmbeddingSpace
    from anisotropy.workflow.options import AnalysisOptions

#: Called with a line when a step begins.
Say = Callable[[str], None]


class Job(Parts):
    """What is to be done, told in lines as it begins and in shares as it goes on."""

    def __init__(self, say: Say | None, share: Share | None, parts: Sequence[str]) -> None:
        super().__init__(share, parts)
        self._say = say

    def begin(self, text: str) -> Callable[[float], None]:
        """Tell that a part begins; called with shares, the function returned tells of it."""
        tell(self._say, text)
        self(text, 0.0)
        return lambda share: self(text, share)


def list_parts(
    spaces: Sequence[EmbeddingSpace],
    drawn: Sequence[Sequence[EmbeddingSpace]],
    options: AnalysisOptions,
    test: str = "",
) -> list[str]:
    """What `spaces` are measured for, maps of some of them, and a test where there is one."""
    maps = [drawing_text(method, own) for own in drawn for method in options.maps]
    tests = [test] if test else []
    return [*map(measuring_text, spaces), *maps, *map(curves_text, spaces), *tests]


def measuring_text(space: EmbeddingSpace) -> str:
    """Name of the part that measures a space."""
    return f"measuring {space.label}"


def curves_text(space: EmbeddingSpace) -> str:
    """Name of the part that makes the curves of a space."""
    return f"curves of {space.label}"


def drawing_text(method: str, spaces: Sequence[EmbeddingSpace]) -> str:
    """Name of the part that draws the maps of spaces together."""
    labels = " and ".join(space.label for space in spaces[:2])
    return f"drawing the {method} map of {labels if len(spaces) <= 2 else f'{len(spaces)} spaces'}"


def tell(say: Say | None, line: str) -> None:
    """Say a line to whoever listens."""
    if say is not None:
        say(line)
