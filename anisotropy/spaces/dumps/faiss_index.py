"""Vectors of a faiss index, alone or in the folder that Pyserini writes (``index``, ``docid``)."""

from __future__ import annotations

from pathlib import Path

from anisotropy.errors import EmbeddingsError, InputError
from anisotropy.spaces.dumps.base import DumpOptions, Vectors
from anisotropy.spaces.dumps.faiss_format import Index, is_faiss, read_index
from anisotropy.spaces.dumps.found import Found, vectors
from anisotropy.spaces.dumps.ids import read_id_lines
from anisotropy.spaces.dumps.naming import Side, beside, ids_given, no_field

_NAMES = ("index", "index.faiss")
DOCID = "docid"


def find(path: Path) -> bool:
    """Whether it is a faiss index, or a folder with one under its usual name."""
    try:
        return is_faiss(_file(path))
    except (OSError, InputError):
        return False


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    return next((path / name for name in _NAMES if (path / name).is_file()), path)


def read(path: Path, options: DumpOptions, side: Side = "documents") -> Vectors:
    """Vectors of a faiss index with their ids.

    Ids are those of ``docid`` (Pyserini), where an id that occurs several times is a document of
    several vectors; else those of an ``IDMap``, else the numbers of the rows.

    Raises
    ------
    EmbeddingsError
        If the index does not hold its vectors, is damaged, or has another number of ids.
    """
    file = _file(path)
    no_field(options, str(file))
    index = read_index(file)
    given = ids_given(options, side)
    near = None if given else beside(file, side)
    # ids that are given stand for those of docid, which do not change how an index is read
    docid = file.name in _NAMES and (file.parent / DOCID).is_file()
    pyserini = docid if given else near is not None and near.name == DOCID
    found = Found(
        str(file),
        "faiss with docid (Pyserini)" if pyserini else "faiss",
        index.rows,
        ids=None if given else _ids(index, near if pyserini else None),
        similarity=_similarity(file, index, options),
        repeated=pyserini,
        named_by=DOCID if pyserini else "",
        path=file if index.numbers is None else None,
        warnings=_warnings(file, index),
    )
    return vectors(found, options, side)


def _ids(index: Index, docid: Path | None) -> list[str] | None:
    if docid is not None:
        return _docids(docid, index)
    return None if index.numbers is None else [str(number) for number in index.numbers.tolist()]


def _docids(path: Path, index: Index) -> list[str]:
    """Lines of Pyserini's file."""
    if index.numbers is not None:
        raise EmbeddingsError(f"{path}: beside an index with ids of its own; say which with --ids")
    names = read_id_lines(path)
    if len(names) != len(index.rows):
        raise EmbeddingsError(
            f"{path}: {len(names)} lines for {len(index.rows)} vectors of the index beside it; "
            "needed: one each"
        )
    return names


def _similarity(file: Path, index: Index, options: DumpOptions) -> str | None:
    if index.similarity is None and options.similarity is None:
        raise EmbeddingsError(
            f"{file}: a faiss index with metric {index.metric}; allowed: inner product (0) and L2 "
            "(1); say how its vectors are compared with --similarity"
        )
    return index.similarity


def _warnings(file: Path, index: Index) -> tuple[str, ...]:
    if not index.rounded:
        return ()
    return (f"{file}: the index keeps its vectors in {index.rounded}, as they are read here",)
