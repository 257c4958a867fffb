"""The observed distribution: what the files of a mining run say was drawn as negatives.

`anisotropy.collection.negative_files` says what these files are. Names in them are ids of the
collection, or row numbers of a preprocessed folder that a map turns back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from anisotropy.collection.lines import broken
from anisotropy.collection.negative_files import OFFSETS, drawn_lines, negatives_file
from anisotropy.collection.offsets import OffsetMap, offset_map, read_offsets
from anisotropy.errors import CollectionError, UsageError, one_of, shown
from anisotropy.measures.base import make
from anisotropy.measures.blind_draws import blind_lists
from anisotropy.measures.mining import ANCHORS, ROLES
from anisotropy.measures.negative_curves import TEXT, sorted_columns
from anisotropy.measures.unevenness import OBSERVED, PREFIX, STATISTICS, largest
from anisotropy.results import Curve, Measurement, Withheld
from anisotropy.statistics import null_z, simulated_null

if TYPE_CHECKING:
    import pandas as pd

    from anisotropy.spaces import EmbeddingSpace

Role = Literal["queries", "documents"]
Offsets = str | Path | Mapping[Any, int] | Sequence[Any]
#: Files of negatives are of what the recipe ranked.
ON = "recipe"


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
    counted
        Of queries, whether the list of a positive document counts once, or ``pairs``.
    file, source
        Where this is from, and where the items are from.
    """

    role: str
    ids: list[str]
    counts: np.ndarray
    anchors: int
    lists: Mapping[tuple[int, int], int]
    texts: list[str] | None = None
    counted: str = "documents"
    file: Path | None = None
    source: str = ""

    @property
    def probability(self) -> np.ndarray:
        """Shares of the draws, shape (items,), sum 1."""
        return np.asarray(self.counts / self.counts.sum())

    @property
    def draws(self) -> float:
        """Mean draws an item."""
        return float(self.counts.sum()) / len(self.ids)

    def identity(self, statistic: str) -> str:
        """Text identity of a statistic of these shares."""
        from anisotropy.measures.registry import definition_of

        given = {"role": self.role, "anchors": self.counted}
        return make(definition_of(f"{OBSERVED}{statistic}"), given).text

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


@dataclass(eq=False)
class MeasuredNegatives:
    """What was found in one file of negatives; the attributes are those of a measured space."""

    rows: list[Measurement] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)


def measure_negatives(
    label: str, observed: Sequence[ObservedNegatives], *, seed: int = 0
) -> MeasuredNegatives:
    """Rows and curves of observed distributions.

    Parameters
    ----------
    label
        Of the space, or of the file where it stands alone.
    observed
        One a role.
    seed
        Of the simulated nulls.

    Returns
    -------
    MeasuredNegatives
        The divergence from evenness opens the report.
    """
    found = MeasuredNegatives()
    for one in observed:
        if len(one.ids) < 2:
            reason = f"{len(one.ids)} item, at least 2 are needed"
            found.withheld += [Withheld(one.role, one.identity(n), ON, reason) for n in STATISTICS]
            continue
        for row in one.statistics(seed).to_dict("records"):
            name = str(row["measure"]).removeprefix(PREFIX)
            found.rows.append(
                Measurement(
                    label, one.role, "negatives", one.identity(name), ON, row["value"],
                    n=len(one.ids), null_mean=row["null_mean"], null_sd=row["null_sd"],
                    null_p=row["null_p"], headline=name == "kl",
                )
            )  # fmt: skip
        found.curves += _curves(label, one)
    return found


def _curves(label: str, one: ObservedNegatives) -> list[Curve]:
    frame = one.items()
    columns = {name: frame[name].to_numpy() for name in frame.columns}
    columns["text"] = np.array([str(t or "")[:TEXT] for t in columns["text"]], dtype=object)
    return [
        Curve("observed_probability", label, one.role, sorted_columns(one.probability)),
        Curve("observed_items", label, one.role, columns),
    ]


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
    space: EmbeddingSpace | None = None,
    role: Role = "queries",
    *,
    offsets: Offsets | None = None,
    anchors: Literal["documents", "pairs"] = "documents",
) -> ObservedNegatives:
    """Count how often each item was drawn as a negative, from a file of a mining run.

    Parameters
    ----------
    path
        ``ann_training_data_<n>``, ``ann_grouped_training_data_<n>`` or a file of their form,
        plain or gzip; or a folder of sets, of which the newest whole one is read.
    space
        The queries of its mining pool (training queries where it has them) and its documents
        are the items. None: the items of the map of offsets, or without one all that the file
        names, as a negative or in a pair.
    role
        ``queries`` (fourth column) or ``documents`` (third column).
    offsets
        What turns the numbers of the file into ids of the items drawn: a mapping from id to row
        number, or a file of it (``pid2offset.pickle``, ``..._qid2offset.pickle``) or the folder
        it is in, or the ids in row order as a sequence or ``.npy`` file, or the ``offsets.json``
        that our trainer puts beside its files. None: that file where it is there, else the file
        holds ids.
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
    path = negatives_file(path)
    items = _items(path, space, role, offsets)
    counts, lists = _count(path, items, role, anchors)
    if not counts:
        raise CollectionError(f"{path}: no negatives of role {role} in it")
    repeats = Counter((size, times) for (_, size), times in lists.items())
    texts = _texts(space.mining if role == "queries" else space, role) if space else None
    found = np.zeros(len(items.ids), dtype=np.int64)
    found[list(counts)] = list(counts.values())
    return ObservedNegatives(
        role, items.ids, found, lists.total(), repeats, texts, anchors, path, items.source
    )


def _count(
    path: Path, items: _Items, role: str, anchors: str
) -> tuple[Counter[int], Counter[tuple[int, int]]]:
    """Draws of each item by position, and lists by content and size."""
    counts, lists = Counter[int](), Counter[tuple[int, int]]()
    seen: set[str] = set()
    for line in drawn_lines(path, role):
        items.meet(line.positive if role == "documents" else line.query)
        once = role == "queries" and anchors == "documents"
        if once and line.positive in seen:
            continue
        seen.add(line.positive)
        for item in line.negatives:
            items.meet(item)
            if item not in items.place:
                raise broken(
                    path, line.number, f"{shown(item)} is none of the {len(items.ids)} {role}"
                )
            counts[items.place[item]] += 1
        if line.negatives:
            lists[hash(tuple(line.negatives)), len(line.negatives)] += 1
    return counts, lists


@dataclass
class _Items:
    """Ids of the items, and the position of each by what the file calls it."""

    ids: list[str]
    place: dict[str, int]
    source: str
    open: bool = False

    def meet(self, name: str) -> None:
        """Take in an item that the file names, where the file alone says what there is."""
        if self.open and self.place.setdefault(name, len(self.ids)) == len(self.ids):
            self.ids.append(name)


def _items(path: Path, space: EmbeddingSpace | None, role: str, offsets: Offsets | None) -> _Items:
    if offsets is None and (path.parent / OFFSETS).is_file():
        offsets = path.parent / OFFSETS
    if space is None:
        if offsets is None:
            return _Items([], {}, "that the file names", open=True)
        named = _map_of(offsets, role)
        order = np.argsort(named.rows)
        place = {str(row): i for i, row in enumerate(named.rows[order].tolist())}
        return _Items([named.ids[i] for i in order], place, "of the map of offsets")
    ids = list(space.mining.query_ids if role == "queries" else space.doc_ids)
    return _Items(ids, _places(ids, offsets, role), "of the space")


def _places(ids: list[str], offsets: Offsets | None, role: str) -> dict[str, int]:
    """Position of each item by what the file calls it."""
    own = {name: i for i, name in enumerate(ids)}
    if offsets is None:
        return own
    named = _map_of(offsets, role)
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


def _map_of(offsets: Offsets, role: str) -> OffsetMap:
    if isinstance(offsets, str | Path):
        return read_offsets(Path(offsets), role)
    if not isinstance(offsets, Mapping | Sequence):
        raise UsageError("offsets: needed: a file, a map from ids to rows, or ids in row order")
    return offset_map("offsets", offsets)


def _texts(space: EmbeddingSpace, role: str) -> list[str] | None:
    return space.query_texts if role == "queries" else space.doc_texts
