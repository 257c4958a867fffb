"""The built-in collection: docstrings of the scientific Python packages already installed.

A summary is a query, the text after it is the document it judges relevant (grade 1). Equal
documents are one document; equal queries (case and signs aside) are one query with several
positives. Documents that are almost the same (`near`), and all positives of one query, form a
group, and a group is in one split: 80% train, 10% dev, 10% test by a hash of the group.

The harvest is kept as a BEIR folder below the cache folder, named by the packages' versions.
Titles are empty, because a name often says what the summary says; the name is the document's id.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata, util
from itertools import chain, count
from pathlib import Path

from anisotropy.collection.base import Collection
from anisotropy.collection.beir import CORPUS, QRELS, QUERIES, open_beir
from anisotropy.collection.harvest import Pair, harvest, words
from anisotropy.collection.near import Groups, near_duplicates
from anisotropy.errors import CollectionError, InputError
from anisotropy.files import cache_directory, fingerprint, hash_ids, read_json, write_json

NAME = "docstrings"
NOTE = "docstrings, not MS MARCO"
PACKAGES = {
    "numpy": "numpy",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "pandas": "pandas",
    "matplotlib": "matplotlib",
}
"""Name of each package to import, and the name it is installed by."""

SPLITS = ("train", "dev", "test")
_RULES = 1  # raise when harvesting or splitting changes: it names the cached folder
_SEED = 2107
_SOURCE = "SOURCE.json"


@dataclass(frozen=True)
class Judged:
    """A harvest in its final form; rows of `positives` are parallel to `queries`."""

    doc_ids: Sequence[str]
    texts: Sequence[str]
    query_ids: Sequence[str]
    queries: Sequence[str]
    positives: Sequence[Sequence[int]]
    splits: Sequence[str]


def open_docstrings(
    split: str | None = None,
    *,
    cache: Path | None = None,
    packages: Mapping[str, str] = PACKAGES,
    progress: Callable[[str], None] | None = None,
) -> Collection:
    """Open the built-in collection, harvesting it when the cache has none for these versions.

    Parameters
    ----------
    split
        ``train``, ``dev`` (the default) or ``test``.
    cache
        Folder of caches; None is `files.cache_directory`.
    packages
        Name to import and name of the distribution, in the order to read them.
    progress
        Called with a line of text before the harvest, which takes some seconds.

    Raises
    ------
    CollectionError
        If a package is not installed, or the cache folder cannot be written.
    """
    versions = package_versions(packages)
    folder = (cache or cache_directory()) / NAME / fingerprint(_RULES, sorted(versions.items()))
    if not _is_whole(folder):
        if progress is not None:
            progress(f"reading the docstrings of {', '.join(packages)} (once)")
        judged = judge(harvest({name: package_folder(name) for name in packages}))
        _write_folder(folder, judged, versions)
    return open_beir(folder, split, name=NAME, note=NOTE)


def package_versions(packages: Mapping[str, str] = PACKAGES) -> dict[str, str]:
    """Installed version of each distribution.

    Raises
    ------
    CollectionError
        If one is not installed.
    """
    versions = {}
    for name, distribution in packages.items():
        try:
            versions[distribution] = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            raise _not_installed(name, distribution) from None
    return versions


def package_folder(name: str) -> Path:
    """Folder of an installed package, found without importing it.

    Raises
    ------
    CollectionError
        If it is not installed.
    """
    spec = util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise _not_installed(name, PACKAGES.get(name, name))
    return Path(next(iter(spec.submodule_search_locations)))


def _not_installed(name: str, distribution: str) -> CollectionError:
    return CollectionError(
        f"{NAME}: the package {name} is not installed; pip install {distribution}, or give "
        "another collection"
    )


def judge(pairs: Iterable[Pair]) -> Judged:
    """Merge, group and split harvested pairs.

    Parameters
    ----------
    pairs
        In a fixed order, which decides ids and order of the result.

    Returns
    -------
    Judged
        Documents, queries, positives and splits.

    Raises
    ------
    CollectionError
        If there is no pair.
    """
    pairs = list(pairs)
    if not pairs:
        raise CollectionError(f"{NAME}: no docstring found in the packages")
    names: dict[str, str] = {}
    positives: dict[str, dict[str, str]] = defaultdict(dict)
    for pair in pairs:
        names.setdefault(pair.text, pair.name)
        positives[_key(pair.summary)].setdefault(pair.text, pair.summary)
    row = {text: number for number, text in enumerate(names)}
    doc_ids = unique_names(names.values())
    rows = [[row[text] for text in summaries] for summaries in positives.values()]
    return Judged(
        doc_ids=doc_ids,
        texts=list(names),
        query_ids=unique_names(f"q:{doc_ids[first]}" for first, *_ in rows),
        queries=[next(iter(summaries.values())) for summaries in positives.values()],
        positives=rows,
        splits=_splits(list(names), rows),
    )


def _key(summary: str) -> str:
    return " ".join(words(summary))


def unique_names(names: Iterable[str]) -> list[str]:
    """Names made unique: the second ``a.b`` becomes ``a.b#2``."""
    unique: dict[str, None] = {}
    for name in names:
        numbered = (f"{name}#{number}" for number in count(2))
        unique[next(each for each in chain([name], numbered) if each not in unique)] = None
    return list(unique)


def _splits(texts: Sequence[str], positives: Sequence[Sequence[int]]) -> list[str]:
    groups = Groups(len(texts))
    near_duplicates([words(text) for text in texts], groups)
    for rows in positives:
        for row in rows[1:]:
            groups.join(rows[0], row)
    smallest: dict[int, str] = {}
    for row, text in enumerate(texts):
        group = groups.find(row)
        smallest[group] = min(smallest.get(group, text), text)
    lots = hash_ids((smallest[groups.find(rows[0])] for rows in positives), _SEED)
    return [_drawn(int(lot) % 10) for lot in lots]


def _drawn(lot: int) -> str:
    return {0: "dev", 1: "test"}.get(lot, "train")


def _is_whole(folder: Path) -> bool:
    try:
        sizes = read_json(folder / _SOURCE)["sizes"]
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (InputError, OSError, KeyError, TypeError, AttributeError):
        return False


def _write_folder(folder: Path, judged: Judged, versions: Mapping[str, str]) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".harvest-", dir=folder.parent))
        try:
            _write_files(temporary, judged, versions)
            _move(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise CollectionError(
            f"{folder}: the harvest cannot be written ({error.strerror}); set ANISOTROPY_CACHE"
        ) from None


def _move(temporary: Path, folder: Path) -> None:
    if _is_whole(folder):  # another process was faster, with the same content
        return
    shutil.rmtree(folder, ignore_errors=True)
    temporary.chmod(0o755)
    temporary.rename(folder)


def _write_files(folder: Path, judged: Judged, versions: Mapping[str, str]) -> None:
    (folder / QRELS).mkdir()
    files = {
        CORPUS: _jsonl(judged.doc_ids, judged.texts),
        QUERIES: _jsonl(judged.query_ids, judged.queries),
        **{f"{QRELS}/{split}.tsv": _qrels(judged, split) for split in SPLITS},
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    sizes = {name: (folder / name).stat().st_size for name in files}
    write_json(folder / _SOURCE, {"packages": versions, "rules": _RULES, "sizes": sizes})


def _jsonl(ids: Sequence[str], texts: Sequence[str]) -> str:
    return "".join(
        json.dumps({"_id": name, "text": text}, ensure_ascii=False) + "\n"
        for name, text in zip(ids, texts, strict=True)
    )


def _qrels(judged: Judged, split: str) -> str:
    lines = ["query-id\tcorpus-id\tscore"]
    for query, rows, drawn in zip(judged.query_ids, judged.positives, judged.splits, strict=True):
        lines += [f"{query}\t{judged.doc_ids[row]}\t1" for row in rows if drawn == split]
    return "\n".join(lines) + "\n"
