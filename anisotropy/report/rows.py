"""Which rows a table shows, and in what order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from anisotropy.errors import UsageError
from anisotropy.measures import Measure, parse, split_list
from anisotropy.measures.headline import HEADLINE
from anisotropy.plots.compared import seeds_of
from anisotropy.plots.style import counted
from anisotropy.plots.words import group_of
from anisotropy.results import Difference, Measurement, Results

_GROUPS = tuple(dict.fromkeys(row.group for row in HEADLINE))


@dataclass(frozen=True)
class Line:
    """One line of a table: a measure at a place, in every space.

    Attributes
    ----------
    side, on, family, measure, headline
        What is measured and where.
    cells
        Label of the space to its measurement.
    delta
        The difference, where two spaces are compared.
    """

    side: str
    on: str
    family: str
    measure: str
    headline: bool
    cells: dict[str, Measurement]
    delta: Difference | None

    @property
    def first(self) -> Measurement:
        """Any one of the measurements."""
        return next(iter(self.cells.values()))

    @property
    def group(self) -> str:
        """The users' word for it."""
        return group_of(self.first)


def lines_of(results: Results) -> list[Line]:
    """Every measured row, in the order in which it was first measured."""
    cells: dict[tuple[str, str, str], dict[str, Measurement]] = {}
    for row in results.rows:
        cells.setdefault((row.side, row.on, row.measure), {})[row.space] = row
    known = results.deltas if len(results.comparisons) == 1 else []
    deltas = {(d.side, d.on, d.measure): d for d in known}
    return [_line(key, found, deltas.get(key)) for key, found in cells.items()]


def _line(
    key: tuple[str, str, str], cells: dict[str, Measurement], delta: Difference | None
) -> Line:
    first = next(iter(cells.values()))
    headline = any(row.headline for row in cells.values())
    return Line(key[0], key[1], first.family, key[2], headline, cells, delta)


def headline_groups(results: Results) -> list[tuple[str, list[Line]]]:
    """Headline lines under the users' words; groups without a row are left out."""
    return _grouped([line for line in lines_of(results) if line.headline])


def shown_groups(results: Results) -> list[tuple[str, list[Line]]]:
    """Headline lines, and every line of the measures that were asked for by name."""
    named = named_measures(results)
    return _grouped([x for x in lines_of(results) if x.headline or x.measure in named])


def _grouped(lines: list[Line]) -> list[tuple[str, list[Line]]]:
    groups = dict.fromkeys([*_GROUPS, *(line.group for line in lines)])
    found = [(group, [line for line in lines if line.group == group]) for group in groups]
    return [(group, rows) for group, rows in found if rows]


def named_measures(results: Results) -> set[str]:
    """Text identities of the measures that the run was asked for by name."""
    asked = results.config.get("measures") or ()
    texts = split_list(asked) if isinstance(asked, str) else [str(text) for text in asked]
    return {measure.text for text in texts for measure in _parsed(text)}


def _parsed(text: str) -> list[Measure]:
    try:
        return [parse(text)]
    except UsageError:  # a group such as default, or a measure of another version
        return []


def families_of(lines: Iterable[Line]) -> list[tuple[str, list[Line]]]:
    """Lines by family, in the order in which the families come."""
    families: dict[str, list[Line]] = {}
    for line in lines:
        families.setdefault(line.family, []).append(line)
    return list(families.items())


def seeds_text(results: Results) -> str:
    """How many checkpoints a side has, where they are several; else nothing."""
    seeds = seeds_of(results)
    if not seeds:
        return ""
    counts = " and ".join(f"{count} seeds of {name}" for name, count in seeds.items())
    if len(seeds) > 2 and len(set(seeds.values())) == 1:
        counts = f"{next(iter(seeds.values()))} seeds of each method"
    return f"means over {counts}; intervals and p are over seeds and queries"


def doubts_of(results: Results) -> list[tuple[str, str]]:
    """Label of a space and a doubt about its recipe, for each doubt."""
    return [
        (str(space["label"]), str(doubt))
        for space in results.spaces
        for doubt in (space.get("recipe") or {}).get("doubts") or ()
    ]


def title_of(results: Results) -> str:
    """What the results are about, in one line."""
    labels, pairs = results.labels, results.comparisons
    if len(pairs) == 1:
        return f"{pairs[0][1]} against {pairs[0][0]}"
    if pairs:
        return f"{len(pairs)} embedding spaces against {pairs[0][0]}"
    return ", ".join(labels) if len(labels) <= 3 else f"{len(labels)} embedding spaces"


def collection_of(results: Results) -> str:
    """The collection in one line: name, split, numbers, note, and what was left out of it."""
    about = results.collection
    name = str(about.get("name") or "embeddings without a collection")
    split = f", split {about['split']}" if about.get("split") else ""
    counts = (results.spaces[0].get("counts") or {}) if results.spaces else {}
    sizes = ", ".join(
        counted(int(counts[key]), unit)
        for key, unit in (
            ("queries", "query"),
            ("documents", "document"),
            ("judged_pairs", "judged pair"),
        )
        if key in counts
    )
    note = str(about.get("note") or "")
    level = int(results.config.get("relevance_level") or 1)
    sizes += f", relevant from grade {level}" if sizes and level > 1 else ""
    whole = f"{name}{split}{f': {sizes}' if sizes else ''}{f' ({note})' if note else ''}"
    part = subcollection_of(results)
    return f"{whole}; {part}" if part else whole


def subcollection_of(results: Results) -> str:
    """Which documents were encoded, where it was not all: ranking among them is easier."""
    option = str(results.collection.get("documents_option") or "")
    if option in ("", "all"):
        return ""
    return f"subcollection: all judged and {option} random documents"


def no_sample(results: Results) -> str:
    """What the documents are, which is why rows over them alone are not tested."""
    return "a chosen subcollection" if subcollection_of(results) else "a whole collection"


def brief(label: str, longest: int = 16) -> str:
    """A label that is not too long: of a longer one the beginning and the end."""
    half = longest // 2
    return label if len(label) <= longest else f"{label[: half - 1]}…{label[-half:]}"


def transforms_of(results: Results) -> list[str]:
    """What was done to embeddings before they were measured, one line a space."""
    return [
        f"{space['label']}: {'; '.join(transform_text(note, space['label']) for note in done)}"
        for space in results.spaces
        if (done := (space.get("recipe") or {}).get("transform"))
    ]


def transform_text(note: Mapping[str, Any], label: str = "") -> str:
    """What was done and what it was fitted on; not what the label says already."""
    named = "" if note["text"] in label else f"{note['text']} "
    parts = [f"{named}fitted on {int(note['rows']):,} {note['fitted_on']}"]
    if "query_rows" in note:
        parts.append(f"and {int(note['query_rows']):,} queries, each side its own map")
    if "shrinkage" in note:
        parts.append(f"shrinkage {note['shrinkage']}")
    if "directions_set_to_zero" in note:
        parts.append(f"{note['directions_set_to_zero']} directions without variance set to zero")
    return ", ".join(parts)
