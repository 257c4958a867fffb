"""The registry prints itself."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any

from anisotropy.files import dump_json
from anisotropy.measures.base import Definition
from anisotropy.measures.registry import definition_of, families, registry

_WIDTH = 88


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
    chosen = list(dict.fromkeys(definition_of(name) for name in names)) or list(registry())
    if layout == "json":
        return dump_json([_record(definition) for definition in chosen], indent=1)
    if layout == "markdown":
        return "\n\n".join(_page(definition) for definition in chosen)
    if names:
        return "\n\n".join(_in_full(definition) for definition in chosen)
    return "\n\n".join(_family(family.name) for family in families())


def _family(name: str) -> str:
    family = next(f for f in families() if f.name == name)
    mine = [d for d in registry() if d.family == name]
    width = max(len(_identity(d)) for d in mine)
    head = f"{family.title}\n  sees {family.sees}\n  blind to {family.blind}"
    rows = [f"    {_identity(d).ljust(width)}  up: {d.up}" for d in mine]
    return "\n".join([fill_lines(head), *rows])


def fill_lines(text: str) -> str:
    """Wrap every line of a text, keeping its indentation."""
    return "\n".join(
        fill(line, _WIDTH, subsequent_indent=" " * (len(line) - len(line.lstrip()) + 2))
        for line in text.splitlines()
    )


def _identity(definition: Definition) -> str:
    shown = [f"{p.name}={_plain(p.default)}" for p in definition.parameters if p.always]
    if definition.parameters and definition.parameters[0].name == "cutoff":
        return f"{definition.name}@{definition.parameters[0].default}"
    return f"{definition.name}({', '.join(shown)})" if shown else definition.name


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _record(definition: Definition) -> dict[str, Any]:
    better = f"{definition.better} is {definition.word}" if definition.better else "none"
    return {
        "measure": _identity(definition),
        "family": definition.family,
        "formula": definition.formula,
        "range": f"{definition.low:g} to {definition.high:g}",
        "up": definition.up,
        "direction": better,
        "sees": definition.sees,
        "blind to": definition.blind,
        "sides": ", ".join(definition.sides),
        "on": ", ".join(definition.transforms),
        "parameters": {p.name: p.default for p in definition.parameters},
        "needs": ", ".join(definition.needs),
        "unit": definition.unit,
        "population": definition.population,
        "note": definition.note,
        "reference": definition.reference,
    }


def _in_full(definition: Definition) -> str:
    rows = [f"{key.ljust(10)}  {_cell(value)}" for key, value in _record(definition).items()]
    return "\n".join(fill(row, _WIDTH, subsequent_indent=" " * 12) for row in rows)


def _page(definition: Definition) -> str:
    record = _record(definition)
    rows = [f"- {key}: {_cell(value)}" for key, value in record.items() if key != "measure"]
    return "\n".join([f"## `{record['measure']}`", "", *rows])


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={_plain(item)}" for key, item in value.items()) or "none"
    return str(value) or "none"
