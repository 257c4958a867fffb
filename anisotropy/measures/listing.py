"""The registry prints itself: in the terminal, as JSON, and as definition pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from anisotropy.files import dump_json, write_text
from anisotropy.measures.base import Definition, Family
from anisotropy.measures.describing import (
    comparability,
    description,
    identity,
    in_default_set,
    value_range,
)
from anisotropy.measures.pages import page_of, pages
from anisotropy.measures.registry import all_families, definition_of, registry

_WIDTH = 88
_KEY = 13


def format_registry(names: Sequence[str] = (), layout: str = "table") -> str:
    """The measures as text.

    Parameters
    ----------
    names
        Text identities; only these, in full. Empty for all: in the table a line each.
    layout
        ``table``, ``json`` or ``markdown``.

    Raises
    ------
    UsageError
        If a name is unknown.
    """
    named = {definition.name: definition for definition in map(definition_of, names)}
    chosen = list(named.values()) or list(registry())
    if layout == "json":
        return dump_json([_record(definition) for definition in chosen], indent=1)
    if layout == "markdown":
        return "\n\n".join(page_of(definition) for definition in chosen)
    if names:
        return "\n\n".join(_in_full(definition) for definition in chosen)
    return "\n\n".join([*map(_family, all_families()), _HINT])


_HINT = "`anisotropy measures NAME` gives the definition in full. * not in the default set"


def write_pages(folder: Path) -> list[Path]:
    """Write the definition pages, one a family, and their index.

    Parameters
    ----------
    folder
        Made where it is missing; pages of the same names are replaced.

    Returns
    -------
    list of Path
        The files, the index first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in pages().items():
        write_text(folder / name, text)
        written.append(folder / name)
    return written


def _family(family: Family) -> str:
    mine = [d for d in registry() if d.family == family.name]
    width = max(len(_marked(d)) for d in mine)
    head = [
        family.title,
        _wrapped(f"sees: {family.sees}", 2, 4),
        _wrapped(f"blind to: {family.blind}", 2, 4),
    ]
    rows = [_wrapped(f"{_marked(d).ljust(width)}  up: {d.up}", 4, width + 10) for d in mine]
    return "\n".join([*head, *rows])


def _marked(definition: Definition) -> str:
    outside = definition.compute is not None and not in_default_set(definition)
    return identity(definition) + " *" * outside


def _wrapped(text: str, first: int, others: int) -> str:
    return fill(
        text,
        _WIDTH,
        initial_indent=" " * first,
        subsequent_indent=" " * others,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _in_full(definition: Definition) -> str:
    title = next(family.title for family in all_families() if family.name == definition.family)
    rows = [f"{identity(definition)} · {title}"]
    for key, value in description(definition).items():
        lines = [value] if isinstance(value, str) else value
        for number, line in enumerate(lines):
            label = key if number == 0 else ""
            rows.append(_wrapped(f"{label.ljust(_KEY)}{line}", 2, _KEY + 2))
    return "\n".join(rows)


def _record(definition: Definition) -> dict[str, Any]:
    return {
        "measure": identity(definition),
        "name": definition.name,
        "family": definition.family,
        "formula": definition.formula,
        "range": value_range(definition),
        "up": definition.up,
        "better": definition.better,
        "word": definition.word,
        "sees": definition.sees,
        "blind_to": definition.blind,
        "places": [{"side": side, "on": on} for side, on in definition.places],
        "parameters": [
            {"name": p.name, "default": p.default, "allowed": p.allowed, "meaning": p.meaning}
            for p in definition.parameters
        ],
        "default_set": in_default_set(definition),
        "needs": list(definition.needs),
        "unit": definition.unit,
        "population": definition.population,
        "null": definition.null,
        "compared": comparability(definition),
        "notes": definition.note,
        "reference": definition.reference,
    }
