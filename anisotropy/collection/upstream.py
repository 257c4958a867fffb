"""Preprocessed folders of ANCE and DANCE as collections of token ids."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.collection.base import Collection, Document, Split
from anisotropy.collection.judgments import judged_split
from anisotropy.collection.token_cache import Scan, TokenCache
from anisotropy.collection.upstream_folder import UpstreamFolder, read_folder
from anisotropy.collection.upstream_sets import PASSAGES
from anisotropy.files import fingerprint, hash_ids

_ROBERTA_START, _BERT_START = 0, 101


class TokenDocuments:
    """The documents of a cache, found by id; a `DocumentIndex`."""

    def __init__(self, cache: TokenCache, scan: Scan, ids: list[str]) -> None:
        self._cache, self.ids = cache, ids
        hashes = hash_ids(ids)
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]
        self.n = cache.n
        self.digest = fingerprint(scan.digest, _digest(hashes))

    def __iter__(self) -> Iterator[Document]:
        """Stream the documents in row order."""
        for name, tokens in zip(self.ids, self._cache.records(), strict=True):
            yield Document(name, "", tokens=tokens)

    def known(self, doc_ids: Sequence[str]) -> np.ndarray:
        """Tell for each id whether it is a document: boolean, shape (n,)."""
        return self._rows(doc_ids) >= 0

    def fetch(self, doc_ids: Sequence[str]) -> dict[str, Document]:
        """Read the documents of known ids."""
        found = self._cache.fetch(self._rows(doc_ids).tolist())
        return {self.ids[row]: Document(self.ids[row], "", tokens=ids) for row, ids in found}

    def _rows(self, doc_ids: Sequence[str]) -> np.ndarray:
        hashes = hash_ids(doc_ids)
        places = np.minimum(np.searchsorted(self._hashes, hashes), self.n - 1)
        return np.where(self._hashes[places] == hashes, self._order[places], -1)


def open_upstream(
    folder: Path, split: str | None = None, *, cache: Path | None = None
) -> Collection:
    """Open a preprocessed folder as a collection of token ids; `upstream_folder` lists its files.

    Parameters
    ----------
    folder
        The folder.
    split
        The split to evaluate; None for the default.
    cache
        Folder where the scan of a large file is kept; None keeps nothing.

    Raises
    ------
    CollectionError
        If a file is missing, damaged or contradicts another; the message names file and record.
    """
    found = read_folder(folder, cache=cache)
    documents = TokenDocuments(found.documents, found.scan, found.doc_ids)
    splits, warnings = {}, list(found.warnings)
    for one in found.sets:
        queries = one.queries()
        if one.judgments is None:
            splits[one.split] = Split(list(queries.values()), {})
        else:
            splits[one.split], dropped = judged_split(one.judgments, queries, documents)
            warnings += dropped
    padding = found.scan.padding
    return Collection(
        folder.resolve().name,
        documents,
        splits,
        split,
        note=f"token ids, no texts: documents to {found.documents.width} tokens",
        warnings=warnings,
        queries_digest=fingerprint(
            [[one.scan.digest, _digest(hash_ids(one.ids))] for one in found.sets]
        ),
        has_texts=False,
        padding_id=padding[0] if len(padding) == 1 else None,
        details=_details(found),
        preprocessed=found,
    )


def _digest(hashes: np.ndarray) -> str:
    return hashlib.sha256(hashes.tobytes()).hexdigest()


def _details(found: UpstreamFolder) -> dict[str, Any]:
    """What ``inspect`` says of the files."""
    documents = _described(found.documents, found.scan, found.named_by)
    sets = {
        f"{one.name} = {one.split}": _described(one.cache, one.scan, one.named_by)
        for one in found.sets
    }
    return {
        "layout": "preprocessed folder of ANCE or DANCE: token ids, no texts",
        "sets": {PASSAGES: documents, **sets},
        "tokenizer": _tokenizer(found.scan),
        "padding_id": _padding(found.scan),
        "separator": _separator(found),
    }


def _described(cache: TokenCache, scan: Scan, named_by: str) -> str:
    ids = f"ids by {named_by}" if named_by else "called by row"
    return (
        f"{cache.n:,} records of {cache.width} ids, {scan.shortest} to {scan.longest} tokens "
        f"(mean {scan.mean:.1f}); {ids}"
    )


def _tokenizer(scan: Scan) -> str:
    known = {_ROBERTA_START: "RoBERTa", _BERT_START: "BERT"}
    names = ", ".join(f"{index} ({known.get(index, 'unknown')})" for index in scan.first)
    return f"documents begin with {names}"


def _padding(scan: Scan) -> str:
    if not scan.padding:
        return "in doubt: every record is full"
    ids = ", ".join(map(str, scan.padding))
    if scan.first != (_ROBERTA_START,):
        return ids
    return {
        "0": "0 (DANCE, and ANCE before its version with SEED-Encoder)",
        "1": "1 (ANCE since its version with SEED-Encoder)",
    }.get(ids, f"in doubt: {ids}")


def _separator(found: UpstreamFolder) -> str:
    inner, n = found.scan.inner_ends, found.documents.n
    inside = f"the end token stands inside {inner:,} of {n:,} documents"
    if found.scan.first != (_ROBERTA_START,):
        return inside
    if 2 * inner > n:
        return f"</s> (ANCE since its version with SEED-Encoder): {inside}"
    return f"in doubt: <sep> as text (DANCE, earlier ANCE), or documents of one field; {inside}"
