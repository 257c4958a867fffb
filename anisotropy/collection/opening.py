"""Recognize what a source of texts is, and open it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from anisotropy.collection.base import Collection
from anisotropy.collection.beir import CORPUS, open_beir
from anisotropy.collection.folders import files_of
from anisotropy.collection.msmarco import DOCUMENTS, open_msmarco
from anisotropy.collection.upstream import open_upstream
from anisotropy.collection.upstream_folder import is_upstream
from anisotropy.collection.upstream_sets import PASSAGES
from anisotropy.errors import CollectionError, one_of, shown
from anisotropy.files import cache_directory

DOCSTRINGS = "docstrings"
_IRDS = "irds:"
_LAYOUTS = (
    f"{CORPUS} (BEIR), {', '.join(DOCUMENTS[:-1])} or {DOCUMENTS[-1]} (MS MARCO), plain or .gz, "
    f"{PASSAGES}_meta (preprocessed by ANCE or DANCE)"
)


def open_collection(
    source: str | Path,
    *,
    split: str | None = None,
    cache: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> Collection:
    """Open a collection of texts and judgments.

    Parameters
    ----------
    source
        ``"docstrings"`` (built in), ``"irds:<id>"`` (an ir_datasets id, needs the extra
        ``irds``), or a folder in BEIR or MS MARCO layout or preprocessed by ANCE or DANCE (token
        ids), recognized by what it holds.
    split
        The split to evaluate. None takes ``dev``, else ``test``, else ``train``, else the only
        one; the split of a collection without judgments is ``"all"``.
    cache
        Folder for what is worth keeping between runs; None is `files.cache_directory`.
    progress
        Called with a line of text before work that takes some seconds.

    Returns
    -------
    Collection
        Documents checked and counted in one streamed pass, none of them held.

    Raises
    ------
    CollectionError
        If there is no such source, or its files cannot be used; one line, with file and line.
    MissingExtra
        If ``"irds:..."`` is asked for and ir_datasets is not installed.
    """
    text = str(source)
    kept = cache or cache_directory()
    if text == DOCSTRINGS:
        from anisotropy.collection.docstrings import open_docstrings

        return open_docstrings(split, cache=kept, progress=progress)
    if text.startswith(_IRDS):
        from anisotropy.collection.irds import open_irds

        return open_irds(text.removeprefix(_IRDS), split, cache=kept)
    return _open_folder(_existing(source), split, kept)


def _existing(source: str | Path) -> Path:
    text = str(source)
    try:
        path = Path(source).expanduser()
        is_folder, is_there = path.is_dir(), path.exists()
    except (OSError, RuntimeError, ValueError):  # too long a name, no such user
        path, is_folder, is_there = Path(text), False, False
    if is_folder and text:
        return path
    if is_there and text:
        raise CollectionError(f"{path}: is a file; a collection is a folder that holds {_LAYOUTS}")
    if isinstance(source, Path) or "/" in text or "\\" in text:
        raise CollectionError(f"collection {shown(text)}: no such folder")
    allowed = one_of(text, [DOCSTRINGS, "irds:<id>", "a folder that exists"])
    raise CollectionError(f"unknown collection: {allowed}")


def _open_folder(folder: Path, split: str | None, cache: Path) -> Collection:
    files = files_of(folder)
    if CORPUS in files:
        return open_beir(folder, split, cache=cache)
    if any(name in files for name in DOCUMENTS):
        return open_msmarco(folder, split, cache=cache)
    if is_upstream(folder):
        return open_upstream(folder, split, cache=cache)
    state = "holds no known collection" if any(folder.iterdir()) else "is empty"
    raise CollectionError(f"{folder}: {state}; looked for {_LAYOUTS}")
