"""What the page shows, as plain texts: the template only places them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anisotropy.plots.compared import pairs_of
from anisotropy.report.cells import Table, cell, column, number_cell, row, table
from anisotropy.report.claims import claims_view
from anisotropy.report.front import opening
from anisotropy.report.measured import families, headline_table, mining_table
from anisotropy.report.pairwise import association_table, changed_queries, similarity_table
from anisotropy.report.provenance import (
    counts_table,
    recipe_table,
    run_table,
    text_of,
    withheld_table,
)
from anisotropy.report.references import reference_table, statistics_table
from anisotropy.report.rows import collection_of, seeds_text, title_of, transforms_of
from anisotropy.results import Results

Figure = Mapping[str, Any]
#: Sections of figures that are beside no family of measures.
CLAIMS, HEADLINE, MAPS, TRAINING = "claims", "headline", "maps", "training"
#: Rows that a table shows unfolded on a screen.
_LONG = 24


def view_of(results: Results, figures: Sequence[Figure] = ()) -> dict[str, Any]:
    """Everything the template places, in its order.

    Parameters
    ----------
    results
        Of one space, several, or some compared.
    figures
        Drawn ones, each with the ``family`` under which it stands.
    """
    pairs = pairs_of(results)
    tested = [pair for pair in pairs if pair.deltas]
    view = {
        "title": title_of(results),
        "labels": results.labels,
        "pairs": results.comparisons,
        "tested": len(tested),
        "seeds": seeds_text(results),
        "collection": collection_of(results),
        "transforms": transforms_of(results),
        "opening": opening(results, tested),
        "decided": claims_view(results),
        "claims": _records([r for r in results.claims if "parts" not in r]),
        "headline": headline_table(results, tested),
        "headline_figures": _of(figures, HEADLINE),
        "families": _families(results, tested, figures),
        "claims_figures": _of(figures, CLAIMS),
        "maps": _of(figures, MAPS),
        "training": _of(figures, TRAINING),
        "queries": changed_queries(pairs),
        "similarities": similarity_table(results),
        "associations": association_table(results),
        "recipes": recipe_table(results),
        "counts": counts_table(results),
        "run": run_table(results),
        "warnings": results.warnings,
        "withheld": withheld_table(results),
        "references": reference_table(results),
        "statistics": statistics_table(results),
    }
    return {**view, "nav": _nav(view)}


def _of(figures: Sequence[Figure], family: str) -> list[Figure]:
    return [figure for figure in figures if figure["family"] == family]


def _families(
    results: Results, pairs: Sequence[Results], figures: Sequence[Figure]
) -> list[dict[str, Any]]:
    """Families with their figures; a figure of a family without rows makes one of its own."""
    found = families(results, pairs)
    for family in found:
        family["figures"] = _of(figures, family["name"])
        family["long"] = [made["count"] > _LONG for made in family["tables"]]
    found += _figures_alone(figures, {family["name"] for family in found})
    mining = mining_table(results)
    for family in found:
        family["mining"] = mining if family["name"] == "negatives" and mining["count"] else None
    return found


def _figures_alone(figures: Sequence[Figure], known: set[str]) -> list[dict[str, Any]]:
    """Families of which there are figures and no rows."""
    from anisotropy.measures.registry import all_families

    return [
        {"name": family.name, "title": family.title, "sees": family.sees, "blind": family.blind,
         "tables": [], "long": [], "figures": own}
        for family in all_families()
        if family.name not in known and (own := _of(figures, family.name))
    ]  # fmt: skip


def _nav(view: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Anchor and name of every section that is there, in order."""
    decided = view["decided"]
    sections = [
        ("claims", "claims", bool(decided)),
        ("changes", "what changed" if view["tested"] else "what stands out", True),
        ("doubts", "in doubt", bool(view["opening"]["doubts"])),
        ("headline", "headline", True),
        ("claim-measures", "claims in full", bool(decided)),
        ("other-claims", "other claims", bool(view["claims"]["count"])),
        ("families", "families", bool(view["families"])),
        ("maps", "maps", bool(view["maps"])),
        ("training", "training", bool(view["training"])),
        ("queries", "queries", bool(view["queries"])),
        ("similarity", "similarity", bool(view["similarities"]["count"])),
        ("associations", "associations", bool(view["associations"]["count"])),
        ("provenance", "provenance", True),
        ("warnings", "warnings", True),
        ("withheld", "withheld", True),
        ("methods", "methods", True),
    ]
    return [(anchor, name) for anchor, name, there in sections if there]


def _records(records: Sequence[Mapping[str, Any]]) -> Table:
    """A table of whatever columns the records have."""
    names = list(dict.fromkeys(name for record in records for name in record))
    rows = [
        row(*(number_cell(v) if isinstance(v := record.get(name, ""), float) else cell(text_of(v))
              for name in names))
        for record in records
    ]  # fmt: skip
    return table("other-claims", [column(name) for name in names], rows)
