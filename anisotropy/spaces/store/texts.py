"""The texts of a store: ids, one a line, and judgments."""

from __future__ import annotations

from collections.abc import Iterable, Set
from pathlib import Path

from anisotropy.collection.lines import BAD_ID, is_bad_id
from anisotropy.errors import StoreError, shown
from anisotropy.spaces.space import Qrels
from anisotropy.spaces.store.manifest import REMEDY


def check_ids(ids: Iterable[str], side: str) -> None:
    """Refuse ids that a store cannot hold.

    Raises
    ------
    StoreError
        If one is empty or holds a tab, a line break or what UTF-8 cannot.
    """
    bad = next((name for name in ids if is_bad_id(name)), None)
    if bad is not None:
        raise StoreError(
            f"{side}: id {shown(bad)} {BAD_ID}; ids are one a line, and tabs separate them from "
            "grades: rename it"
        )


def read_text(path: Path) -> str:
    """Read a text of a finished store, which ends with its last line."""
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise StoreError(f"{path}: not UTF-8 at byte {error.start}: {REMEDY}") from None
    if text and not text.endswith("\n"):
        raise StoreError(f"{path}: its last line does not end: cut short: {REMEDY}")
    return text


def read_qrels(path: Path, queries: Set[str], documents: Set[str]) -> Qrels:
    """Read judgments, all of ids that the store has.

    Raises
    ------
    StoreError
        Naming the line that is none, or has an unknown id.
    """
    qrels: Qrels = {}
    for number, line in enumerate(read_text(path).split("\n")[:-1], 1):
        try:
            query_id, doc_id, grade = line.split("\t")
            qrels.setdefault(query_id, {})[doc_id] = int(grade)
        except ValueError:
            raise StoreError(
                f"{path}, line {number}: not query, tab, document, tab, grade: {REMEDY}"
            ) from None
        if query_id not in queries or doc_id not in documents:
            unknown = query_id if query_id not in queries else doc_id
            raise StoreError(
                f"{path}, line {number}: {shown(unknown)} is not in ids.txt: {REMEDY}"
            )
    return qrels
