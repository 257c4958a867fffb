"""Which names belong together: of a file of vectors and its file of ids, of columns and keys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from anisotropy.errors import EmbeddingsError, UsageError, one_of
from anisotropy.spaces.dumps.base import DumpOptions

Side = Literal["documents", "queries", "training"]
#: Training queries are there only where something says so.
SIDES: tuple[Side, ...] = ("documents", "queries")
#: Names under which files keep vectors, by side; then those that say no side.
SIDE_NAMES: dict[str, tuple[str, ...]] = {
    "documents": (
        "documents", "corpus", "passages", "docs", "doc_embeddings", "document_embeddings",
        "passage_embeddings", "corpus_embeddings", "doc_embs", "doc_vec",
    ),
    "queries": ("queries", "query_embeddings", "query_embs", "query_vec"),
    "training": ("training_queries",),
}  # fmt: skip
NEUTRAL_NAMES = (
    "embeddings", "embedding", "vectors", "vector", "emb", "embs", "vecs", "vec", "values",
    "sentence_embedding", "arr_0",
)  # fmt: skip
#: Names under which files keep ids, those first that say of what.
ID_NAMES: dict[str, tuple[str, ...]] = {
    "documents": (
        "doc_id", "docid", "docno", "document_id", "pid", "passage_id", "corpus_id", "corpus-id",
        "doc_ids", "docids", "document_ids", "passage_ids", "pids", "corpus_ids", "_id", "id",
        "ids", "text_id", "text_ids",
    ),
    "queries": (
        "query_id", "qid", "query-id", "query_ids", "qids", "_id", "id", "ids", "text_id",
        "text_ids",
    ),
    "training": ("training_query_ids", "query_id", "qid", "_id", "id"),
}  # fmt: skip
CHUNK_NAMES = ("chunk", "chunks", "chunk_id", "chunk_idx", "chunk_index", "chunk_ids")
SCALE_NAMES = ("scale", "scales")
_SUFFIXES = (".txt", ".tsv", ".npy", ".json")
_STEMS = {
    "documents": ("doc_ids", "document_ids", "docids", "docid"),
    "queries": ("query_ids", "qids"),
    "training": ("training_query_ids",),
}
#: Names of a file of vectors that is taken for the one that a bare ``ids.txt`` belongs to.
_PLAIN = ("embeddings", "embedding", "vectors", "vecs", "index")

_COMPANION = re.compile(r"(^|[._-])(ids|docids?|qids|chunks|ranges)\.(txt|tsv|npy|json)$")


def beside(path: Path, side: Side) -> Path | None:
    """The id file that belongs to a file of vectors by its name, if there is one.

    ``X.ids.txt`` or ``X_ids.txt`` for ``X.npy``, ``docid`` for ``index``; in their folder also
    ``doc_ids.txt`` or ``query_ids.txt``, and ``ids.txt`` for files with a plain name. The suffix
    may be .txt, .tsv, .npy or .json.

    Raises
    ------
    EmbeddingsError
        If there are several.
    """
    stem = path.name.removesuffix(path.suffix)
    own = _there(path, [f"{stem}.ids", f"{stem}_ids"])
    if stem == "index" and (path.parent / "docid").exists():
        own.append(path.parent / "docid")
    shared = [*_STEMS[side], *(["ids"] if stem in _PLAIN else [])]
    found = own or _there(path, [name for name in shared if name != "docid"])
    if len(found) > 1:
        names = ", ".join(one.name for one in found)
        raise EmbeddingsError(f"{path}: several id files beside it ({names}); name it with --ids")
    return found[0] if found else None


def is_companion(path: Path) -> bool:
    """Whether a file is called like the ids, chunk numbers or ranges beside a file of vectors."""
    return _COMPANION.search(path.name) is not None


def _there(path: Path, stems: Sequence[str]) -> list[Path]:
    named = [path.parent / f"{stem}{suffix}" for stem in stems for suffix in _SUFFIXES]
    return [one for one in named if one.exists() and one != path]


def choose(names: Iterable[str], options: DumpOptions, side: Side, origin: str, what: str) -> str:
    """Which of several arrays, tensors or columns holds the vectors of a side.

    Raises
    ------
    UsageError
        If the one that was asked for is not there.
    EmbeddingsError
        If there is none, or several and none of them has a known name.
    """
    there = list(names)
    own = [name for name in there if name in SIDE_NAMES[side]]
    if side != "documents" and len(own) == 1:  # what is asked for by name are the documents
        return own[0]
    if options.field is not None and (options.field in there or side == "documents"):
        if options.field not in there:
            raise UsageError(f"--field: {one_of(options.field, there)} ({origin})")
        return options.field
    other = SIDE_NAMES["queries" if side == "documents" else "documents"]
    for known in (SIDE_NAMES[side], NEUTRAL_NAMES, [name for name in there if name not in other]):
        fitting = [name for name in there if name in known]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            break
    listed = ", ".join(there[:10]) or "none"
    raise EmbeddingsError(
        f"{origin}: which {what} holds the vectors of the {side} is not clear (got {listed}); say "
        "it with --field NAME"
    )


def first_of(names: Sequence[str], there: Iterable[str]) -> tuple[str | None, tuple[str, ...]]:
    """The first of known names that is there, and a warning where others are there too."""
    present = set(there)
    fitting = [name for name in names if name in present]
    if len(fitting) < 2:
        return (fitting[0] if fitting else None), ()
    others = ", ".join(map(repr, fitting[1:]))
    return fitting[0], (f"ids are those of {fitting[0]!r}; also there: {others}",)


def sides_among(names: Iterable[str]) -> tuple[Side, ...]:
    """The sides of one file, by the names of its arrays; none where they name no two sides."""
    there = set(names)
    both = all(there & set(SIDE_NAMES[side]) for side in SIDES)
    more: tuple[Side, ...] = ("training",) if there & set(SIDE_NAMES["training"]) else ()
    return (*SIDES, *more) if both else ()


def ids_given(options: DumpOptions, side: Side) -> bool:
    """Whether an option names the ids of a side, so that those of its files do not matter."""
    given = {"documents": options.ids, "queries": options.query_ids}
    return given.get(side) is not None


def no_field(options: DumpOptions, origin: str) -> None:
    """Refuse ``--field`` for a file that holds one array.

    Raises
    ------
    UsageError
        If it is given.
    """
    if options.field is not None:
        raise UsageError(f"--field: {origin} holds one array; leave it out")
