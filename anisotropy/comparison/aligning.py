"""The same queries, documents and judgments in every space that is compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from anisotropy.errors import NotComparable, UsageError, one_of

if TYPE_CHECKING:
    from anisotropy.spaces import EmbeddingSpace

POLICIES = ("error", "intersect")
INTERSECT = "--on-mismatch intersect (in Python on_mismatch='intersect')"


def align_spaces(
    a: EmbeddingSpace, b: EmbeddingSpace, on_mismatch: str = "error"
) -> tuple[EmbeddingSpace, EmbeddingSpace]:
    """Bring two spaces to the same queries and documents; see :func:`align_all`."""
    first, second = align_all((a, b), on_mismatch)
    return first, second


def align_all(
    spaces: Sequence[EmbeddingSpace], on_mismatch: str = "error"
) -> tuple[EmbeddingSpace, ...]:
    """Bring spaces to the same queries and documents.

    Parameters
    ----------
    spaces
        One or more.
    on_mismatch
        ``error``: refuse different collections and ids. ``intersect``: keep what all have.

    Returns
    -------
    tuple
        The spaces, unchanged where their ids are the same.

    Raises
    ------
    NotComparable
        If collections or ids differ and `on_mismatch` is ``error``, or nothing is common.
    UsageError
        If `on_mismatch` is another word.
    """
    first = spaces[0]
    lines: list[str] = []
    for other in spaces[1:]:
        same_collection(first, other, on_mismatch)
        lines += mismatches(first, other)
    if not lines:
        return tuple(spaces)
    if on_mismatch == "error":
        raise NotComparable(f"{'; '.join(lines)}; {INTERSECT} keeps the common ones")
    queries = _common([space.query_ids for space in spaces])
    documents = _common([space.doc_ids for space in spaces])
    if not queries or not documents:
        raise NotComparable(f"{'; '.join(lines)}; nothing to compare")
    return tuple(space.restrict(queries, documents) for space in spaces)


def _common(ids: Sequence[Sequence[str]]) -> list[str]:
    """Ids in all lists, in the order of the first."""
    known = [set(names) for names in ids[1:]]
    return [name for name in ids[0] if all(name in names for names in known)]


def check_comparable(a: EmbeddingSpace, b: EmbeddingSpace, on_mismatch: str) -> None:
    """Raise NotComparable where collections, ids or judgments differ."""
    same_collection(a, b, on_mismatch)
    for line in mismatches(a, b):
        raise NotComparable(f"{line}; use {INTERSECT} or the same collection")
    _same_judgments(a, b)


def check_twice(sides: Sequence[Sequence[EmbeddingSpace]]) -> None:
    """A checkpoint given twice on a side would pass for two seeds that agree."""
    for side in sides:
        known: dict[str, str] = {}
        for space in side:
            twin = known.setdefault(space.fingerprint, space.label) if space.fingerprint else ""
            if twin not in ("", space.label):
                raise UsageError(
                    f"{twin!r} and {space.label!r} are the same checkpoint; several a side are "
                    "seeds of one method: give each once"
                )


def mismatches(a: EmbeddingSpace, b: EmbeddingSpace) -> Iterator[str]:
    """How the ids of two spaces differ, a line a side."""
    for side, left, right in (
        ("queries", a.query_ids, b.query_ids),
        ("documents", a.doc_ids, b.doc_ids),
    ):
        first, second = set(left), set(right)
        if first != second:
            yield (
                f"{side}: {len(first)} ids in {a.label!r}, {len(second)} in {b.label!r}, "
                f"{len(first & second)} in both"
            )


def same_collection(a: EmbeddingSpace, b: EmbeddingSpace, on_mismatch: str) -> None:
    """Ids may agree by chance (0, 1, 2, ...) where the texts are others."""
    if on_mismatch not in POLICIES:
        raise UsageError(f"on_mismatch: {one_of(on_mismatch, POLICIES)}")
    known = [str(getattr(space, "collection_fingerprint", "")) for space in (a, b)]
    if on_mismatch == "error" and all(known) and known[0] != known[1]:
        raise NotComparable(
            f"{a.label!r} and {b.label!r} are of different collections (fingerprints {known[0]} "
            f"and {known[1]}); use {INTERSECT} or the same collection"
        )


def other_pools(a: EmbeddingSpace, b: EmbeddingSpace) -> str:
    """How the mining pools differ; empty where they are the same."""
    first, second = set(a.mining.query_ids), set(b.mining.query_ids)
    if first != second:
        return (
            f"mined from other queries: {len(first)} in the pool of {a.label!r}, {len(second)} "
            f"in that of {b.label!r}, {len(first & second)} in both"
        )
    if a.mining.qrels is not b.mining.qrels and _plain(a.mining) != _plain(b.mining):
        return f"the judgments of the mining pools of {a.label!r} and {b.label!r} differ"
    return ""


def _same_judgments(a: EmbeddingSpace, b: EmbeddingSpace) -> None:
    if a.qrels and b.qrels and a.qrels is not b.qrels and _plain(a) != _plain(b):
        raise NotComparable(
            f"the judgments of {a.label!r} and {b.label!r} differ; give both the same qrels"
        )


def _plain(space: EmbeddingSpace) -> dict[str, dict[str, int]]:
    return {query: dict(judged) for query, judged in space.qrels.items()}
