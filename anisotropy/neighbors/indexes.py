"""Which index finds neighbors: a value with a text identity, as ``ivf(nlist=800, nprobe=100)``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from anisotropy.errors import UsageError, one_of, shown

#: Parameters of each kind, with the smallest value that they take.
KINDS: Mapping[str, Mapping[str, int]] = {
    "exact": {},
    "ivf": {"nlist": 1, "nprobe": 1},
    "hnsw": {"m": 2, "ef_construction": 1, "ef_search": 1},
}
#: Rows that the mean of a list should at least be of (faiss warns of fewer).
ROWS_A_LIST = 39
_TEXT = re.compile(r"\s*(\w+)\s*(?:\(([^()]*)\))?\s*")


@dataclass(frozen=True)
class NeighborIndex:
    """How neighbors are found; equal, hashed and printed by what it is.

    Attributes
    ----------
    kind
        ``exact``: every product. ``ivf``: targets in lists around means, of which the nearest
        few are searched. ``hnsw``: a graph of near targets that is walked.
    nlist, nprobe
        Lists, and how many of them are searched for an anchor.
    m, ef_construction, ef_search
        Links of a target, and candidates kept while the graph is built, and searched.

    All are None where they do not belong to the kind, or are left to :meth:`filled`.
    """

    kind: str = "exact"
    nlist: int | None = None
    nprobe: int | None = None
    m: int | None = None
    ef_construction: int | None = None
    ef_search: int | None = None

    @classmethod
    def parse(cls, text: str) -> NeighborIndex:
        """The index of a text such as ``exact``, ``ivf(nprobe=32)`` or ``hnsw(m=32)``.

        Raises
        ------
        UsageError
            If the kind, a parameter or its value is not allowed.
        """
        match = _TEXT.fullmatch(text) if isinstance(text, str) else None
        if match is None or match[1] not in KINDS:
            raise UsageError(f"index: {one_of(match[1] if match else text, KINDS)}")
        try:
            return cls(match[1], **_given(match[1], match[2] or ""))
        except UsageError as error:
            raise UsageError(f"index {shown(text.strip())}: {error}") from None

    def __str__(self) -> str:
        given = [f"{name}={value}" for name, value in self._parameters().items() if value]
        return self.kind + f"({', '.join(given)})" * bool(given)

    def _parameters(self) -> dict[str, int | None]:
        return {name: getattr(self, name) for name in KINDS[self.kind]}

    def filled(self, n: int, k: int) -> NeighborIndex:
        """The same with what was left out filled in for `n` targets and lists of `k`.

        ``nlist`` is 4 sqrt(n), so that means and lists cost about as much, but leaves
        39 rows a list; ``nprobe`` an eighth of the lists, at least 8; ``m`` 32,
        ``ef_construction`` 100; ``ef_search`` 2 k, at least 64.

        Raises
        ------
        UsageError
            If there are more lists than targets, or fewer than are to be searched.
        """
        if self.kind == "ivf":
            nlist = self.nlist or max(min(round(4 * math.sqrt(n)), n // ROWS_A_LIST), 1)
            nprobe = self.nprobe or min(max(nlist // 8, 8), nlist)
            _at_most("nlist", nlist, n, "targets")
            _at_most("nprobe", nprobe, nlist, "lists")
            return replace(self, nlist=nlist, nprobe=nprobe)
        if self.kind == "hnsw":
            return replace(
                self,
                m=self.m or 32,
                ef_construction=self.ef_construction or 100,
                ef_search=self.ef_search or max(2 * k, 64),
            )
        return self


def _given(kind: str, inside: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in filter(None, (piece.strip() for piece in inside.split(","))):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name not in KINDS[kind]:
            allowed = KINDS[kind] or ("none",)
            raise UsageError(f"parameter of {kind}: {one_of(name, allowed)}")
        if name in found:
            raise UsageError(f"got {name!r} twice; give it once")
        least = KINDS[kind][name]
        if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) < least:
            raise UsageError(
                f"{name}: got {shown(value)}; allowed: a whole number, {least} and above"
            )
        found[name] = int(value)
    return found


def _at_most(name: str, got: int, most: int, what: str) -> None:
    if got > most:
        raise UsageError(f"{name}: got {got}; allowed: 1 to {most}, the number of {what}")
