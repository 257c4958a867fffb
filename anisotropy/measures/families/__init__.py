"""The definitions, one file a family or a part of one.

Every module here is registered: its ``DEFINITIONS`` join the list of measures, its ``FAMILY``,
where it has one, the list of families. A new measure is a new file, and nothing else changes.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

from anisotropy.measures.base import Definition, Family

#: Order in which families are listed; others follow by name.
ORDER = (
    "cone",
    "spread",
    "uniformity",
    "local",
    "query_document",
    "negatives",
    "effectiveness",
    "similarity",
)


def collect() -> tuple[tuple[Family, ...], tuple[Definition, ...]]:
    """Families and definitions of every module here, family by family.

    Raises
    ------
    ValueError
        If two definitions share a name, or a definition names a family that no module has.
    """
    families: dict[str, Family] = {}
    definitions: list[Definition] = []
    for module in _modules():
        if hasattr(module, "FAMILY"):
            families[module.FAMILY.name] = module.FAMILY
        definitions += module.DEFINITIONS
    _check(families, definitions)
    names = sorted(families, key=_place)
    return (
        tuple(families[name] for name in names),
        tuple(d for name in names for d in definitions if d.family == name),
    )


def _modules() -> Iterator[ModuleType]:
    """Modules of this folder; one with a FAMILY goes before its parts."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    found = [importlib.import_module(f"{__name__}.{name}") for name in names]
    found = [module for module in found if hasattr(module, "DEFINITIONS")]
    yield from sorted(found, key=lambda module: not hasattr(module, "FAMILY"))


def _place(family: str) -> tuple[int, str]:
    return (ORDER.index(family) if family in ORDER else len(ORDER), family)


def _check(families: dict[str, Family], definitions: list[Definition]) -> None:
    names = [definition.name for definition in definitions]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"two measures are called {twice!r}")
    for definition in definitions:
        if definition.family not in families:
            raise ValueError(f"{definition.name}: no module has the family {definition.family!r}")
