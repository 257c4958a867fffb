"""Dumps of ANCE and DANCE: shards of vectors beside shards of the rows they belong to.

``<set>_<step>__emb_p__data_obj_<number>.pb`` holds vectors, ``…__embid_p__…`` the row of each in
the preprocessed folder ("offset"); both are one pickled array, or ``.npy`` in newer ANCE. A number
is the rank of a process (DPR: rank x S + part, with gaps). Sets are ``passage`` (``passages``),
``query`` (training), ``real-dev_query``, ``dev_query``, those of DPR, and prefixes of custom data.
MaxP writes chunk after chunk of a batch: the chunk of a vector is how often its row came before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection as Names
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anisotropy.collection.judgments import other_spelling, read_judgments
from anisotropy.errors import CollectionError, EmbeddingsError, UsageError, one_of
from anisotropy.spaces.dumps.base import DumpOptions, Judged, Vectors, is_unit, space_of
from anisotropy.spaces.dumps.upstream_names import NamedSet, Naming, naming_for
from anisotropy.spaces.dumps.upstream_shards import (
    DOCUMENT_SETS,
    FILE,
    Shards,
    list_shards,
    step_number,
    steps_in,
)
from anisotropy.spaces.rows import chunk_numbers
from anisotropy.spaces.space import Qrels

if TYPE_CHECKING:
    from anisotropy.collection import Collection
    from anisotropy.spaces import EmbeddingSpace

LAYOUT = "upstream"
_PREFERRED = ("dev", "test", "train")


def find(path: Path) -> bool:
    """Tell whether a folder holds such a dump, or a file is of one; never raises."""
    with contextlib.suppress(OSError, ValueError):
        if path.is_dir():
            return any(FILE.fullmatch(one.name) for one in path.iterdir())
        return path.is_file() and FILE.fullmatch(path.name) is not None
    return False


def series(path: Path) -> list[Path]:
    """A file of each step in a folder with dumps of several steps, in numeric order; else none."""
    if not path.is_dir() or not find(path):
        return []
    steps = steps_in(path)
    return list(steps.values()) if len(steps) > 1 else []


def label_of(path: Path) -> str | None:
    """Folder and step of a file of a dump; None for other files."""
    if FILE.fullmatch(path.name) is None:
        return None
    mine = next((one for one in list_shards(path) if path in one.files), None)
    return f"{path.resolve().parent.name}/{mine.step}" if mine else None


def describe(path: Path) -> dict[str, Any]:
    """What ``inspect`` says of a dump: the sets of each step, and what their shards hold.

    Raises
    ------
    EmbeddingsError
        If a shard is missing or damaged.
    """
    every = list_shards(path)
    return {
        "layout": "dump of ANCE or DANCE: shards of vectors and of their rows",
        "steps": {
            step: {one.name: _described(one) for one in every if one.step == step}
            for step in steps_in(path)
        },
        "ids": "rows of a preprocessed folder; --data or --offsets names them",
    }


def _described(shards: Shards) -> str:
    vectors, rows = shards.open()
    n = len(np.unique(rows))
    return (
        f"{len(vectors):,} vectors of {vectors.shape[1]} x {vectors.dtype} in "
        f"{len(shards.vectors)} shards, {n:,} rows ({rows.min(initial=n)} to "
        f"{rows.max(initial=0)}), {len(vectors) // max(n, 1)} a row"
    )


def open_space(
    path: Path, options: DumpOptions, *, collection: Collection | None = None, label: str = ""
) -> EmbeddingSpace:
    """Open a dump as a space: documents, the queries of a split, the training queries.

    Parameters
    ----------
    path
        The folder; one of several steps is named by any of its files.
    options
        Where ids and judgments are, and the split: None takes that of the collection where the
        dump has it, else dev, test, another one or train, those with judgments first.
    collection
        A preprocessed folder, which names rows; or texts of the ids that ``options.offsets`` has.
    label
        Name in tables.

    Raises
    ------
    EmbeddingsError
        If a shard is missing or damaged, counts disagree, or nothing says what rows stand for.
    UsageError
        If the folder holds dumps of several steps, or no queries of the split.
    """
    sets, step = _of_one_step(path)
    naming = naming_for(path, options, collection)
    documents = _documents(sets, naming, collection)
    splits = {
        named.split: (vectors, named)
        for vectors, named in (
            _queries(one, naming, sets) for one in sets.values() if one.name not in DOCUMENT_SETS
        )
    }
    split = _choose(path, splits, options.split, collection)
    queries = splits[split][0] if split else None
    space = space_of(
        queries,
        documents,
        label=label or label_of(path) or path.name,
        judged=_judged(splits, split, options, collection, _ids_of(documents)),
        options=options,
        recipe=_recipe([one for one in (queries, documents) if one], options),
        step=step_number(step),
    )
    space.warnings = list(dict.fromkeys([*space.warnings, *naming.warnings]))
    _attach(space, collection, split)
    return space


def _of_one_step(path: Path) -> tuple[dict[str, Shards], str]:
    """The sets of the one step there is, or of the step that a file names."""
    every = list_shards(path)
    found = {one.step for one in every if path.is_dir() or path in one.files}
    if len(found) != 1:
        named = steps_in(path)
        raise UsageError(
            f"{path}: dumps of {len(named)} steps ({', '.join(named)}); name one by a file of it, "
            f"such as {next(iter(named.values()))}"
        )
    step = found.pop()
    return {one.name: one for one in every if one.step == step}, step


def _documents(
    sets: Mapping[str, Shards], naming: Naming, collection: Collection | None
) -> Vectors | None:
    found = [one for name, one in sets.items() if name in DOCUMENT_SETS]
    if not found:
        return None
    if len(found) > 1:
        names = " and ".join(one.name for one in found)
        raise EmbeddingsError(f"{found[0].folder}: documents of both {names}; keep one")
    shards = found[0]
    vectors, rows = shards.open()
    ids = _spelled(naming.documents(shards, rows), collection)
    return Vectors(
        shards.origin,
        vectors,
        [ids[row] for row in rows.tolist()],
        similarity="dot",
        padding=naming.padding(rows, chunk_numbers(rows)),
        layout=LAYOUT,
    )


def _queries(
    shards: Shards, naming: Naming, sets: Mapping[str, Shards]
) -> tuple[Vectors, NamedSet]:
    vectors, rows = shards.open()
    named = naming.queries(shards, rows, sets)
    ids = [named.ids[row] for row in rows.tolist()]
    return Vectors(shards.origin, vectors, ids, similarity="dot", layout=LAYOUT), named


def _spelled(ids: list[str], collection: Collection | None) -> list[str]:
    """Ids as the texts of the collection have them: maps lack the ``D`` of MS MARCO documents."""
    if collection is None or not collection.has_texts or not ids:
        return ids
    lettered = not _knows(collection, ids[0]) and _knows(collection, f"D{ids[0]}")
    return [f"D{name}" for name in ids] if lettered else ids


def _knows(collection: Collection, doc_id: str) -> bool:
    try:
        return bool(collection.texts([doc_id]))
    except CollectionError:
        return False


def _choose(
    path: Path,
    splits: Mapping[str, Any],
    asked: str | None,
    collection: Collection | None,
) -> str | None:
    """The split to evaluate; None where the dump has no queries.

    The default of the collection is none that was asked for: a dump need not have it.
    """
    if asked is None and not splits:
        return None
    if asked is not None:
        if asked not in splits:
            raise UsageError(f"{path}: split of the queries: {one_of(asked, splits)}")
        return asked
    own = collection.split if collection is not None else None
    if own in splits:
        return own
    judged = [name for name, (_, named) in splits.items() if _qrels(named, collection)]
    evaluated = [name for name in splits if name != "train"]
    preferred = [name for name in _PREFERRED if name != "train"]
    order = [
        *(name for name in preferred if name in judged),
        *(name for name in evaluated if name in judged),
        *(name for name in preferred if name in splits),
        *evaluated,
        *splits,
    ]
    return order[0]


def _judged(
    splits: Mapping[str, tuple[Vectors, NamedSet]],
    split: str | None,
    options: DumpOptions,
    collection: Collection | None,
    doc_ids: Names[str],
) -> Judged:
    """Judgments of the evaluated queries, and the training queries with theirs."""
    if split is None:
        return Judged()
    own = {name: _qrels(named, collection) for name, (_, named) in splits.items()}
    if options.qrels is not None:
        own[split] = read_judgments(options.qrels).qrels
    own = {name: _as_known(qrels, doc_ids) for name, qrels in own.items()}
    pool = splits.get("train") if split != "train" else None
    return Judged(own[split], pool[0] if pool else None, own["train"] if pool else {})


def _qrels(named: NamedSet, collection: Collection | None) -> Qrels:
    """Judgments of the preprocessed folder, else those of the collection for the split."""
    if named.qrels or collection is None or named.split not in collection.splits:
        return named.qrels
    return collection.qrels(named.split)


def _ids_of(side: Vectors | None) -> frozenset[str]:
    return frozenset(side.ids or ()) if side is not None else frozenset()


def _as_known(qrels: Qrels, doc_ids: Names[str]) -> Qrels:
    """Judgments with ids as the dump spells them: ``12`` or ``D12``."""
    return {
        query: {_spelling(name, grades, doc_ids): grade for name, grade in grades.items()}
        for query, grades in qrels.items()
    }


def _spelling(name: str, judged: Names[str], doc_ids: Names[str]) -> str:
    other = other_spelling(name)
    # a judgment of the very id, where there is one, is not replaced by that of the other
    return other if name not in doc_ids and other in doc_ids and other not in judged else name


def _recipe(sides: Sequence[Vectors], options: DumpOptions) -> dict[str, Any]:
    """Inner product as upstream searches; whether L2 was on, by the lengths of the vectors."""
    unit = all(map(is_unit, sides))
    given = options.similarity is not None
    return {
        "name": "upstream dump",
        "layout": LAYOUT,
        "normalize": unit,
        "similarity": options.similarity or "dot",
        "temperature": 1.0,
        "sources": {
            "normalize": f"its vectors {'all' if unit else 'do not all'} have unit length",
            "similarity": "option --similarity" if given else "upstream searches by inner product",
        },
        "doubts": [],
    }


def _attach(space: EmbeddingSpace, collection: Collection | None, split: str | None) -> None:
    """Say what was encoded, where the collection is that of the dump and has this split."""
    if collection is None:
        return
    if collection.split != split:
        if collection.preprocessed is None or split not in collection.splits:
            return
        from anisotropy.collection import open_collection

        collection = open_collection(collection.preprocessed.folder, split=split)
    if space.doc_ids and not _knows(collection, space.doc_ids[0]):
        return
    exact = collection.preprocessed is not None
    for one in filter(None, (space, space.training)):
        one.collection = collection
        one.collection_info = {
            "name": collection.name,
            "note": collection.note,
            "split": collection.split,
            **({"fingerprint": collection.fingerprint} if exact else {}),
        }
