"""What each entry of ``results.json`` has to be: the tables, and what holds between entries."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

from anisotropy.errors import InputError
from anisotropy.records import Association, Difference, Measurement, Similarity, Withheld
from anisotropy.results.checks import (
    FLAG,
    NAME,
    NUMBER,
    NUMBER_OR_NULL,
    TEXT,
    TEXT_OR_NULL,
    WHOLE,
    WHOLE_OR_NULL,
    Check,
    check_values,
    list_of,
    mapping,
    plain,
    record,
    refuse,
    word,
)

SCHEMA = "anisotropy.results/1"
#: Section and the record whose fields its rows have.
RECORDS: Mapping[str, type] = {
    "measurements": Measurement,
    "differences": Difference,
    "similarities": Similarity,
    "associations": Association,
    "withheld": Withheld,
}
#: Fields that the first files of this schema did not have: missing, they are the default.
_LATER = {
    Difference: ("space", "baseline", "test"),
    Similarity: ("null_sd", "null_p", "space", "baseline"),
    Withheld: ("space", "baseline"),
}
#: Section and its fields that name spaces.
_OF_SPACES = {
    **dict.fromkeys(("measurements", "curves"), ("space",)),
    **dict.fromkeys(
        ("differences", "similarities", "associations", "withheld"), ("space", "baseline")
    ),
}
_FIELDS = {
    "str": TEXT,
    "str | None": TEXT_OR_NULL,
    "float": NUMBER_OR_NULL,
    "int": WHOLE,
    "bool": FLAG,
}


def _row(kind: type) -> Check:
    checks = {field.name: _FIELDS[str(field.type)] for field in dataclasses.fields(kind)}
    later = _LATER.get(kind, ())
    may = {name: checks.pop(name) for name in later}
    return record(checks, may)


_TRANSFORM = record(
    {"text": TEXT, "fitted_on": TEXT, "rows": WHOLE}, {"query_rows": WHOLE}, closed=False
)
#: What may be measured; an embedding space, where nothing is said.
KINDS = ("space", "run", "negatives")
_SPACE = record(
    {
        "label": NAME,
        "recipe": mapping(
            {"doubts": list_of(TEXT), "sources": mapping(), "transform": list_of(_TRANSFORM)}
        ),
    },
    {
        "step": WHOLE_OR_NULL,
        "counts": mapping(others=WHOLE),
        "fingerprint": TEXT,
        "kind": word(*KINDS),
        "side": word("a", "b"),
        "method": NAME,
        "seed": WHOLE_OR_NULL,
        "steps_after_ance": WHOLE_OR_NULL,
    },
)
#: How a claim and a part of it may come out.
OUTCOMES = ("supported", "contradicted", "no meaningful difference", "undecided", "mixed")
NOT_TESTED = "not tested"
_PART = record(
    {
        **dict.fromkeys(("side", "measure", "on", "role", "against", "note"), TEXT),
        "direction": word("up", "down"),
        "scale": word("absolute", "relative"),
        "margin": NUMBER,
        **dict.fromkeys(
            ("value", "against_value", "delta", "se", "ci_low", "ci_high", "p"), NUMBER_OR_NULL
        ),
        "n": WHOLE,
        "unit": TEXT_OR_NULL,
        "outcome": word(*OUTCOMES, NOT_TESTED),
    }
)


def _part(value: Any, where: str) -> None:
    _PART(value, where)
    for name in ("delta", "ci_low", "ci_high"):
        if value["p"] is not None:
            NUMBER(value[name], f"{where}.{name}")


_CLAIM = record(
    {
        **dict.fromkeys(("contrast", "what", "claim", "text", "method", "note"), TEXT),
        "scope": word("checkpoints", "method"),
        "seed": WHOLE_OR_NULL,
        "outcome": word(*OUTCOMES),
        "p": NUMBER_OR_NULL,
        "p_holm": NUMBER_OR_NULL,
        "parts": list_of(_part),
        "main": FLAG,
    },
    {"steps": list_of(WHOLE_OR_NULL, 2)},
)
_NAMES = list_of(TEXT)


def _measures(value: Any, where: str) -> None:
    """Of a configuration: a text, a list of texts, or null."""
    (_NAMES if isinstance(value, list) else TEXT_OR_NULL)(value, where)


_CONTENT = record(
    {
        "schema": plain(repr(SCHEMA), lambda value: value == SCHEMA),
        "spaces": list_of(_SPACE),
        "collection": mapping(),
        "config": mapping({"measures": _measures}),
        "versions": mapping(others=TEXT),
        "warnings": list_of(TEXT),
        **{section: list_of(_row(kind)) for section, kind in RECORDS.items()},
        "claims": list_of(_CLAIM),
        "curves": list_of(record({"name": NAME, "space": TEXT, "side": TEXT, "file": TEXT})),
    }
)


def check_content(content: Any) -> None:
    """Refuse what :meth:`Results.write` does not write into ``results.json``.

    Raises
    ------
    InputError
        Names the first entry that is not as it has to be, what was got and what is allowed.
    """
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise InputError(f"not results of schema {SCHEMA!r}")
    check_values(content)
    _CONTENT(content, "")
    _check_labels(content)
    _check_names(content)
    _check_claims(content["claims"])


def _check_labels(content: Mapping[str, Any]) -> None:
    labels = [space["label"] for space in content["spaces"]]
    for number, label in enumerate(labels):
        if label in labels[:number]:
            refuse(f"spaces[{number}].label", label, "a label of its own for each space")


def _check_names(content: Mapping[str, Any]) -> None:
    """Rows and curves are of spaces that are there, by label or by method.

    In a file from before comparisons had names the second of two spaces is held against the
    first. What is withheld may be so in every space.
    """
    spaces = content["spaces"]
    known = {space[key] for space in spaces for key in ("label", "method") if key in space}
    for section, keys in _OF_SPACES.items():
        for number, entry in enumerate(content[section]):
            names = {key: entry.get(key, "") for key in keys}
            old = len(keys) == 2 == len(spaces) and not any(names.values())
            blank = {""} if old or section == "withheld" else set()
            for key, name in names.items():
                if name not in known | blank:
                    refuse(f"{section}[{number}].{key}", name, "the label of a space in this file")


def _check_claims(claims: list[dict[str, Any]]) -> None:
    """Each claim of a contrast is decided once for the method."""
    decided = Counter(
        (claim["contrast"], claim["claim"]) for claim in claims if claim["scope"] == "method"
    )
    for number, claim in enumerate(claims):
        found = decided[claim["contrast"], claim["claim"]]
        if found != 1:
            refuse(f"claims[{number}]", found, "one record of each claim with the scope 'method'")
