"""The observed distribution: what the files of a mining run say was drawn as negatives.

A line is ``query <tab> positive <tab> document,document,...`` and, where the task was trained
both ways, ``<tab> query,query,...``: what ANCE and DANCE write as ``ann_training_data_<n>``.
Ids are those of the collection, or row numbers of a preprocessed folder that a map turns back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from anisotropy.collection.lines import BadLine, broken, read_lines, shown
from anisotropy.collection.offsets import offset_map, read_offsets
from anisotropy.errors import CollectionError, UsageError, one_of
from anisotropy.measures.blind_draws import blind_lists
from anisotropy.measures.mining import ANCHORS, ROLES
from anisotropy.measures.unevenness import PREFIX, STATISTICS, largest
from anisotropy.statistics import null_z, simulated_null

if TYPE_CHECKING:
    import pandas as pd

    from anisotropy.spaces import EmbeddingSpace

Role = Literal["queries", "documents"]
Offsets = str | Path | Mapping[Any, int] | Sequence[Any]
_COLUMN = {"documents": 2, "queries": 3}


class DrawnLine(NamedTuple):
    """Query, positive and negatives of a line, as written."""

    number: int
    query: str
    positive: str
    negatives: list[str]


@dataclass(frozen=True, eq=False)
class ObservedNegatives:
    """How often each item was drawn.

    Attributes
    ----------
    role
        ``queries`` or ``documents``: what the items are.
    ids, texts
        Ids of the items, and their texts where they are known.
    counts
        Shape (items,): in how many lists an item stands.
    anchors
        Number of lists.
    lists
        Of the lists that differ: how many have so many items and are repeated so often.
    """

    role: str
    ids: list[str]
    counts: np.ndarray
    anchors: int
    lists: Mapping[tuple[int, int], int]
    texts: list[str] | None = None

    @property
    def probability(self) -> np.ndarray:
        """Shares of the draws, shape (items,), sum 1."""
        return np.asarray(self.counts / self.counts.sum())

    @property
    def draws(self) -> float:
        """Mean draws an item."""
        return float(self.counts.sum()) / len(self.ids)

    def statistics(self, seed: int = 0) -> pd.DataFrame:
        """The statistics of the shares, each with its null and the most uneven value.

        Parameters
        ----------
        seed
            Of the simulated null: as many lists of the same sizes, repeated as often, whose items
            are equally likely.

        Returns
        -------
        pandas.DataFrame
            Columns measure, value, null_mean, null_sd, null_p, most_uneven, items, anchors,
            draws (mean draws an item).
        """
        import pandas as pd

        n, k = len(self.ids), max(int(self.counts.sum()) // max(self.anchors, 1), 1)
        rows = []
        for name, statistic in STATISTICS.items():
            value = statistic(self.probability)
            mean, sd = draws_null(name, n, self.lists, seed)
            rows.append({
                "measure": PREFIX + name, "value": value, "null_mean": mean, "null_sd": sd,
                "null_p": null_z(value, mean, sd), "most_uneven": largest(name, n, k),
                "items": n, "anchors": self.anchors, "draws": self.draws,
            })  # fmt: skip
        return pd.DataFrame(rows)

    def items(self) -> pd.DataFrame:
        """One row an item, most drawn first: id, count, probability, rank, text."""
        import pandas as pd

        frame = pd.DataFrame({
            "item_id": self.ids, "count": self.counts, "probability": self.probability,
            "text": self.texts if self.texts is not None else [None] * len(self.ids),
        })  # fmt: skip
        frame = frame.sort_values("count", ascending=False, kind="stable", ignore_index=True)
        frame.insert(3, "rank", np.arange(1, len(frame) + 1))
        return frame


def draws_null(
    name: str, n: int, lists: Mapping[tuple[int, int], int], seed: int = 0
) -> tuple[float, float]:
    """Mean and sd of a statistic of n counts when every list picks its items evenly.

    Parameters
    ----------
    name
        Of :data:`anisotropy.measures.unevenness.STATISTICS`.
    n
        Number of items.
    lists
        How many lists there are of each number of items and of repeats.
    seed
        Of the simulation.
    """
    blind = blind_lists([(size, times, many) for (size, times), many in lists.items()], n)

    def draw(rng: np.random.Generator) -> float:
        drawn = blind(rng)
        return STATISTICS[name](drawn / drawn.sum())

    return simulated_null(draw, int(np.clip(400_000 // n, 8, 100)), seed)


def observed_negatives(
    path: str | Path,
    space: EmbeddingSpace,
    role: Role = "queries",
    *,
    offsets: Offsets | None = None,
    anchors: Literal["documents", "pairs"] = "documents",
) -> ObservedNegatives:
    """Count how often each item was drawn as a negative, from a file of a mining run.

    Parameters
    ----------
    path
        ``ann_training_data_<n>`` or a file of its form, plain or gzip.
    space
        The queries of its mining pool (training queries where it has them) and its documents
        are the items.
    role
        ``queries`` (fourth column) or ``documents`` (third column).
    offsets
        What turns the numbers of the file into ids of the items drawn: a mapping from id to row
        number, or a file of it (``pid2offset.pickle``, ``..._qid2offset.pickle``), or the ids
        in row order as a sequence or ``.npy`` file, or the ``offsets.json`` that our trainer puts
        beside its files, or the folder of such a file. None: the file holds ids.
    anchors
        Of queries, ``documents`` counts the list of a positive document once, ``pairs`` at each
        of its lines, as training meets it.

    Returns
    -------
    ObservedNegatives
        With ``statistics()`` and ``items()``.

    Raises
    ------
    UsageError
        If `role` or `anchors` is another word.
    CollectionError
        If the file or the map cannot be read; a line is named by its number.
    """
    if role not in ROLES:
        raise UsageError(f"role: {one_of(role, ROLES)}")
    if anchors not in ANCHORS:
        raise UsageError(f"anchors: {one_of(anchors, ANCHORS)}")
    path, pool = Path(path), space.mining
    ids = list(pool.query_ids if role == "queries" else space.doc_ids)
    place = _places(ids, offsets, role)
    counts, seen = np.zeros(len(ids), dtype=np.int64), set[str]()
    lists: Counter[tuple[int, int]] = Counter()
    for line in drawn_lines(path, role):
        if role == "queries" and anchors == "documents":
            if line.positive in seen:
                continue
            seen.add(line.positive)
        for item in line.negatives:
            if item not in place:
                raise broken(path, line.number, f"{shown(item)} is none of the {len(ids)} {role}")
            counts[place[item]] += 1
        if line.negatives:
            lists[hash(tuple(line.negatives)), len(line.negatives)] += 1
    if not counts.any():
        raise CollectionError(f"{path}: no negatives of role {role} in it")
    repeats = Counter((size, times) for (_, size), times in lists.items())
    texts = _texts(pool if role == "queries" else space, role)
    return ObservedNegatives(role, ids, counts, lists.total(), repeats, texts)


def drawn_lines(path: Path, role: str) -> Iterator[DrawnLine]:
    """Stream the lines of a file of drawn negatives.

    Raises
    ------
    CollectionError
        If a line has not the form; it is named by its number.
    """
    column = _COLUMN[role]
    for line in read_lines(path):
        try:
            yield _parse(line.number, line.text, column, role)
        except BadLine as problem:
            raise broken(path, line.number, problem) from None


def _parse(number: int, text: str, column: int, role: str) -> DrawnLine:
    if text.lstrip().startswith("{"):
        raise BadLine("grouped data in JSON; give the plain ann_training_data file")
    parts = text.split("\t")
    if not 3 <= len(parts) <= 4:
        raise BadLine(
            f"{len(parts)} tab-separated column(s); needed: query, positive, documents and "
            "perhaps queries"
        )
    if len(parts) <= column:
        raise BadLine(f"no column of negative {role}")
    query, positive = (part.strip() for part in parts[:2])
    if not query or not positive:
        raise BadLine("an empty query or positive")
    negatives = (
        [item.strip() for item in parts[column].split(",")] if parts[column].strip() else []
    )
    if "" in negatives:
        raise BadLine("an empty id among the negatives")
    if len(set(negatives)) < len(negatives):
        raise BadLine("an item twice among the negatives")
    return DrawnLine(number, query, positive, negatives)


def _places(ids: list[str], offsets: Offsets | None, role: str) -> dict[str, int]:
    """Position of each item by what the file calls it."""
    own = {name: i for i, name in enumerate(ids)}
    if offsets is None:
        return own
    if not isinstance(offsets, str | Path | Mapping | Sequence):
        raise UsageError("offsets: needed: a file, a map from ids to rows, or ids in row order")
    named = (
        read_offsets(Path(offsets), role)
        if isinstance(offsets, str | Path)
        else offset_map("offsets", offsets)
    )
    found: dict[str, int] = {}
    for name, row in zip(named.ids, named.rows.tolist(), strict=True):
        place = own.get(name, own.get(f"D{name}", -1))
        if place >= 0:
            found[str(row)] = place
    if not found:
        raise CollectionError(
            f"{named.name}: none of its {len(named.ids)} ids is one of the {len(ids)}"
        )
    return found


def _texts(space: EmbeddingSpace, role: str) -> list[str] | None:
    return space.query_texts if role == "queries" else space.doc_texts
