"""Ids of vectors: files that name them row by row, and which files those are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from anisotropy.errors import EmbeddingsError
from anisotropy.untrusted.arrays import open_npy
from anisotropy.untrusted.paths import check_file
from anisotropy.untrusted.texts import read_json

Side = Literal["documents", "queries"]
#: Longest line of an id file, its text included.
MAX_LINE = 16 * 2**20
_SUFFIXES = (".txt", ".tsv", ".npy", ".json")
_STEMS = {
    "documents": ("doc_ids", "document_ids", "docids", "docid"),
    "queries": ("query_ids", "qids"),
}
#: Names of a file of vectors that is taken for the one that a bare ``ids.txt`` belongs to.
_PLAIN = ("embeddings", "embedding", "vectors", "vecs", "index")


def read_id_file(path: Path, rows: int) -> tuple[list[str], list[str] | None]:
    """Ids of `rows` vectors, and their texts where the file has them.

    Parameters
    ----------
    path
        One id a line; ``.tsv``: id, tab, text; ``.npy``: an array of text or whole numbers;
        ``.json``: a list.
    rows
        How many vectors there are; not one line more is read.

    Raises
    ------
    InputError
        If the file cannot be read, or has more or fewer ids.
    """
    if path.suffix == ".npy":
        ids, texts = ids_of(open_npy(path), str(path)), None
    elif path.suffix == ".json":
        ids, texts = ids_of(read_json(path), str(path)), None
    else:
        ids, texts = _from_lines(path, rows, tabs=path.suffix == ".tsv")
    if len(ids) != rows:
        raise EmbeddingsError(
            f"{path}: {len(ids)} ids for {rows} vectors; needed: one a vector, in their order"
        )
    return ids, texts


def _from_lines(path: Path, rows: int, tabs: bool) -> tuple[list[str], list[str] | None]:
    ids: list[str] = []
    texts: list[str] = []
    for number, line in lines(path):
        if number > rows:
            raise EmbeddingsError(
                f"{path}: more than {rows} lines for {rows} vectors; needed: one a vector"
            )
        name, tab, text = line.partition("\t") if tabs else (line, "", "")
        ids.append(name)
        texts += [text] if tab else []
    return ids, texts if texts and len(texts) == len(ids) else None


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines of a UTF-8 file with their numbers from 1, none of them longer than `MAX_LINE`.

    Raises
    ------
    InputError
        Naming the line.
    """
    check_file(path)
    number = 0
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE + 1):
            number += 1
            if len(line) > MAX_LINE:
                raise EmbeddingsError(
                    f"{path}: line {number} is longer than {MAX_LINE} bytes; allowed: shorter ones"
                )
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError:
                raise EmbeddingsError(f"{path}: line {number} is not UTF-8; convert it") from None
            yield number, text.removesuffix("\n").removesuffix("\r")


def ids_of(values: Any, origin: str) -> list[str]:
    """Ids as text from what a file holds: text or whole numbers.

    Raises
    ------
    EmbeddingsError
        Naming the row.
    """
    items = values.tolist() if hasattr(values, "tolist") else values
    if not isinstance(items, list | tuple):
        raise EmbeddingsError(f"{origin}: its ids are {type(items).__name__}; needed: a list")
    return [_id_of(item, row, origin) for row, item in enumerate(items)]


def _id_of(item: Any, row: int, origin: str) -> str:
    if isinstance(item, str):
        return item
    if isinstance(item, int) and not isinstance(item, bool):
        return str(item)
    if isinstance(item, bytes):
        try:
            return item.decode("utf-8")
        except UnicodeDecodeError:
            raise EmbeddingsError(f"{origin}: id of row {row} is not UTF-8; rename it") from None
    kind = "missing" if item is None else type(item).__name__
    raise EmbeddingsError(f"{origin}: id of row {row} is {kind}; needed: text or a whole number")


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


def _there(path: Path, stems: Sequence[str]) -> list[Path]:
    named = [path.parent / f"{stem}{suffix}" for stem in stems for suffix in _SUFFIXES]
    return [one for one in named if one.exists() and one != path]


def check_once(ids: Sequence[str], origin: str) -> None:
    """Refuse an id that stands at two rows, where the layout has one vector a document.

    Raises
    ------
    EmbeddingsError
        Naming the id and both rows.
    """
    if len(set(ids)) == len(ids):
        return
    seen: dict[str, int] = {}
    for row, name in enumerate(ids):
        if seen.setdefault(name, row) != row:
            raise EmbeddingsError(
                f"{origin}: id {name[:60]!r} stands at rows {seen[name]} and {row}; needed: each "
                "once, or the chunk number of every row (see docs/dumps.md)"
            )
