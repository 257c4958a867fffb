"""Negatives between two processes: what a refresher writes and a trainer takes up.

The folder holds sets in upstream's format (`negative_files`). Items are row numbers, as
upstream's, and ``offsets.json`` beside the sets says what they stand for; or ids, and there is no
such file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anisotropy.errors import CollectionError, UsageError, one_of
from anisotropy.files import read_json, write_json
from anisotropy.training.config import TrainingConfig
from anisotropy.training.mining import Mined, Moment
from anisotropy.training.negative_files import (
    OFFSETS,
    Name,
    TrainingLine,
    complete_sets,
    read_set,
    write_set,
)
from anisotropy.training.negatives import Negatives

if TYPE_CHECKING:
    from anisotropy.training.data import TrainingData

NAMES = ("offsets", "ids")
OFFSETS_FORMAT = "anisotropy.offsets/1"
TIMEOUT = 3600.0


class NegativeWriter:
    """Writes each refresh as a set of files; the `writer` of `mining.InProcess`.

    Parameters
    ----------
    folder
        Of the sets; numbers go on after the last whole one.
    names
        ``offsets`` (row numbers, and ``offsets.json``) or ``ids``.
    grouping
        0, or pairs a group of the grouped file.
    seed
        Of the order of the lines.

    Raises
    ------
    UsageError
        If `names` is another word.
    """

    def __init__(
        self, folder: str | Path, *, names: str = "offsets", grouping: int = 0, seed: int = 0
    ) -> None:
        if names not in NAMES:
            raise UsageError(f"names: {one_of(names, NAMES)}")
        self.folder, self.names, self.grouping, self.seed = Path(folder), names, grouping, seed
        self.number = next_number(self.folder)

    def __call__(self, moment: Moment, mined: Mined) -> Path:
        """Write what the loop mined, under the name of its step."""
        return self.write(moment.data, mined, f"checkpoint-{moment.step}/", quality=moment.quality)

    def write(
        self, data: TrainingData, mined: Mined, checkpoint: str, *, quality: float | None = None
    ) -> Path:
        """Write a set.

        Parameters
        ----------
        data
            What the numbers in `mined` mean.
        mined
            Negatives; a line for each pair in force, in a random order that seed and number of
            the set decide.
        checkpoint
            Whose negatives they are, for ``ann_ndcg_N``.
        quality
            NDCG@10 on dev, for the same.

        Returns
        -------
        pathlib.Path
            The file of the data.

        Raises
        ------
        UsageError, CollectionError
            If the folder's sets are named otherwise, or belong to another collection.
        """
        self._settle_names(data)
        generator = np.random.default_rng([self.seed, self.number])
        lines = lines_of(data, mined, self.names, generator)
        mark = {"checkpoint": checkpoint, "ndcg": quality, "marcodev_ndcg": quality}
        path = write_set(self.folder, self.number, lines, mark, grouping=self.grouping)
        self.number += 1
        return path

    def _settle_names(self, data: TrainingData) -> None:
        path = self.folder / OFFSETS
        if self.names == "ids":
            if path.exists():
                raise UsageError(
                    f"{path}: the sets here are named by offsets; choose another folder"
                )
            return
        wanted = {"documents": data.doc_ids, "queries": data.train.ids}
        if not path.exists():
            if complete_sets(self.folder):
                raise UsageError(f"{self.folder}: the sets here have no {OFFSETS}; choose another")
            write_json(path, {"format": OFFSETS_FORMAT, **wanted})
        elif any(read_offsets(path)[side] != ids for side, ids in wanted.items()):
            raise CollectionError(f"{path}: belongs to another collection; choose another folder")


def next_number(folder: Path) -> int:
    """Number of the next set: one more than the last whole one."""
    return next(reversed(complete_sets(folder)), -1) + 1


def read_offsets(path: Path) -> dict[str, list[str]]:
    """Ids in row order of ``documents`` and of training ``queries``.

    Raises
    ------
    InputError, CollectionError
        If the file is no such map.
    """
    values = read_json(path)
    if not isinstance(values, dict) or values.get("format") != OFFSETS_FORMAT:
        raise CollectionError(f"{path}: needed: a map of format {OFFSETS_FORMAT}")
    found = {side: values.get(side) for side in ("documents", "queries")}
    for side, ids in found.items():
        if not isinstance(ids, list) or not all(isinstance(name, str) for name in ids):
            raise CollectionError(f"{path}: {side}: needed: a list of ids")
    return found  # type: ignore[return-value]


def lines_of(
    data: TrainingData, mined: Mined, names: str, generator: np.random.Generator
) -> list[TrainingLine]:
    """Pairs in force with their negatives, in a random order.

    Parameters
    ----------
    data, mined
        Numbers, and what they stand for.
    names
        ``offsets`` or ``ids``.
    generator
        Of the order.
    """
    if mined.documents is None:
        raise UsageError("negatives: none were mined; this stage has none")
    pairs = data.pairs if mined.pairs is None else mined.pairs
    documents: Sequence[Name] = data.doc_ids if names == "ids" else range(len(data.documents))
    queries: Sequence[Name] = data.train.ids if names == "ids" else range(len(data.train.ids))
    lines = []
    for query, positive in pairs[generator.permutation(len(pairs))].tolist():
        others = None
        if mined.queries is not None:
            others = [queries[q] for q in mined.queries.of(mined.row_of_document[positive])]
        own = [documents[d] for d in mined.documents.of(query)]
        lines.append(TrainingLine(queries[query], documents[positive], own, others))
    return lines


class FromFiles:
    """Negatives that a second process writes: the newest whole set at each refresh.

    Which law they follow, and which queries are in force, is the writer's choice: depth, kept,
    exclude, order, chunk_factor and origins of the trainer's configuration are not looked at.

    Parameters
    ----------
    folder
        Of the sets, plain or grouped; with ``offsets.json``, else named by ids.
    timeout
        Seconds to wait for the first set.
    poll
        Seconds between two looks while waiting.
    progress
        Called with lines of text.

    Raises
    ------
    UsageError
        If `timeout` is below 0 or `poll` not above.
    """

    reads_files = True

    def __init__(
        self,
        folder: str | Path,
        *,
        timeout: float = TIMEOUT,
        poll: float = 1.0,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        if not timeout >= 0 or not poll > 0:
            raise UsageError(
                f"negatives: got timeout {timeout}, poll {poll}; allowed: seconds, poll above 0"
            )
        self.folder, self.timeout, self.poll = Path(folder), timeout, poll
        self._tell = progress or (lambda _: None)
        self._held: Mined | None = None

    def wants_vectors(self, config: TrainingConfig) -> bool:
        """Nothing is searched here."""
        return False

    def refresh(self, moment: Moment) -> Mined:
        """Take the newest whole set; the one already held stays in force where none is newer.

        Raises
        ------
        CollectionError
            If no set comes in time, or it does not fit the collection or the stage.
        """
        number = self._newest()
        begins = moment.number == 0  # a stage begins; it may want other columns than the last
        if begins or self._held is None or self._held.number != number:
            lines = read_set(self.folder, number)
            where = f"{self.folder}: set {number}"
            mined = mined_of(lines, moment.data, self._places(moment.data), moment.both, where)
            mined.number, mined.since = number, moment.unit
            self._held = mined
            self._tell(f"negatives: set {number}")
        return self._held

    def hold(self, mined: Mined) -> None:
        """Take up a set again that was in force before an interruption."""
        self._held = mined

    def _newest(self) -> int:
        deadline = time.monotonic() + self.timeout
        if not complete_sets(self.folder):
            self._tell(f"negatives: waiting for the first set in {self.folder}")
        while not (found := complete_sets(self.folder)):
            if time.monotonic() >= deadline:
                raise CollectionError(
                    f"{self.folder}: no whole set of negatives after {self.timeout:g} s; start "
                    "'anisotropy negatives --follow CHECKPOINTS --out' this folder, or wait longer"
                )
            time.sleep(min(self.poll, max(0.0, deadline - time.monotonic())))
        return found[-1]

    def _places(self, data: TrainingData) -> dict[str, dict[str, int]]:
        """Number of each item by what the files call it."""
        own = {"documents": data.doc_ids, "queries": data.train.ids}
        number = {side: {name: row for row, name in enumerate(ids)} for side, ids in own.items()}
        path = self.folder / OFFSETS
        if not path.exists():
            return number
        named = read_offsets(path)
        return {
            side: {str(row): number[side].get(name, -1) for row, name in enumerate(named[side])}
            for side in own
        }


def mined_of(
    lines: Sequence[TrainingLine],
    data: TrainingData,
    places: Mapping[str, Mapping[str, int]],
    both: bool,
    where: str,
) -> Mined:
    """Turn lines into negatives in force.

    Parameters
    ----------
    lines
        As read. Pairs without a negative, or without a negative query where these are wanted,
        cannot be trained on and are left out; upstream stops at them.
    data
        The collection.
    places
        Of ``documents`` and ``queries``: number by name.
    both
        Whether negative queries are wanted; else the fourth column is ignored.
    where
        The set, for messages.

    Returns
    -------
    Mined
        With the pairs in the order of the lines. The lists of a query that stands in several
        lines are one, the first; so are those of a document.

    Raises
    ------
    CollectionError
        If an item is unknown, no pair is left, or negative queries are wanted and absent.
    """
    if both and lines and lines[0].queries is None:
        raise CollectionError(
            f"{where}: no negative queries in it, which this stage wants; start the refresher "
            "with the same stage"
        )
    usable = [line for line in lines if line.documents and (line.queries or not both)]
    if not usable:
        raise CollectionError(f"{where}: none of its {len(lines)} pairs has negatives")
    read = _Reading(places, where)
    pairs = [(read("queries", x.query), read("documents", x.positive)) for x in usable]
    documents = _first(pairs, 0, usable, lambda x: [read("documents", d) for d in x.documents])
    mined = Mined(_negatives(documents, len(data.train.ids)), pairs=np.array(pairs, np.int64))
    if both:
        queries = _first(pairs, 1, usable, lambda x: [read("queries", q) for q in x.queries or ()])
        mined.row_of_document = {document: row for row, document in enumerate(queries)}
        mined.queries = _negatives(dict(enumerate(queries.values())), len(queries))
    return mined


class _Reading:
    """Names to numbers, an unknown name being one clear line."""

    def __init__(self, places: Mapping[str, Mapping[str, int]], where: str) -> None:
        self._places, self._where = places, where

    def __call__(self, side: str, name: Any) -> int:
        place = self._places[side].get(str(name), -1)
        if place < 0:
            raise CollectionError(
                f"{self._where}: {str(name)!r} is none of the {side} of this collection"
            )
        return place


def _first(
    pairs: Sequence[tuple[int, int]],
    side: int,
    lines: Sequence[TrainingLine],
    values: Callable[[TrainingLine], list[int]],
) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for pair, line in zip(pairs, lines, strict=True):
        if pair[side] not in found:
            found[pair[side]] = values(line)
    return found


def _negatives(lists: Mapping[int, list[int]], n: int) -> Negatives:
    """Lists by row as `Negatives` of n rows; rows without a list are empty."""
    items = np.full((n, max(len(found) for found in lists.values())), -1, dtype=np.int64)
    counts = np.zeros(n, dtype=np.int64)
    for row, found in lists.items():
        items[row, : len(found)], counts[row] = found, len(found)
    return Negatives(items, counts)
