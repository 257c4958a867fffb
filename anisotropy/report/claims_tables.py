"""The claims as files: every number as CSV, and tables to read as Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from anisotropy.report.claims import (
    Record,
    checkpoints_text,
    contrasts_of,
    decided,
    few_seeds,
    heading,
    letters_of,
    outcome_text,
    part_text,
    scopes_of,
    shown_record,
)
from anisotropy.report.formats import markdown_row, markdown_text
from anisotropy.results import Results

_OF_CLAIM = ("contrast", "claim", "scope", "seed", "outcome", "p_holm")
_OF_PART = ("side", "measure", "on", "against", "role", "direction", "scale", "value",
            "against_value", "delta", "se", "ci_low", "ci_high", "margin", "p", "n", "unit",
            "outcome", "note")  # fmt: skip


def claims_csv(results: Results) -> str:
    """Whole numbers: a line a measure of each claim, scope and pair of methods."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    clash = {"outcome": "measure_outcome"}
    writer.writerow([*_OF_CLAIM, *(clash.get(name, name) for name in _OF_PART)])
    for record in decided(results):
        about = [record.get(name) for name in _OF_CLAIM]
        for part in record["parts"]:
            writer.writerow([*about, *(part.get(name) for name in _OF_PART)])
    return file.getvalue()


def claims_markdown(results: Results) -> str:
    """The claims with their measures, and the same claims between the other methods.

    Returns
    -------
    str
        Two tables; empty where there are no decided claims. Method: over seeds.
        Checkpoints: over queries, the outcomes of the seeds counted.
    """
    groups = list(contrasts_of(decided(results)).items())
    if not groups:
        return ""
    (name, records), *others = groups
    few = few_seeds(records)
    lines = [heading(name, records) + (f" ({few})" if few else ""), ""]
    lines += _table(["", "claim", "method", "checkpoints", "measures"],
                    (_claim(records, letter) for letter in letters_of(records)))  # fmt: skip
    if others:
        letters = letters_of([record for _, own in others for record in own])
        lines += ["", "The same claims between other methods: method / checkpoints", ""]
        lines += _table(["between", "differs in", *letters],
                        (_contrast(*group, letters) for group in others))  # fmt: skip
    return "\n".join(lines) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [markdown_row(row, True) for row in (head, ["---"] * len(head), *rows)]


def _claim(records: Sequence[Record], letter: str) -> list[str]:
    method, checkpoints = scopes_of(records, letter)
    shown = shown_record(method, checkpoints)
    lines = [part_text(part) for part in shown["parts"]]
    lines += [f"note: {shown['note']}"] if shown["note"] else []
    cells = [letter, str(method["text"]), outcome_text(method), checkpoints_text(checkpoints)]
    return [*map(markdown_text, cells), "<br>".join(map(markdown_text, lines))]


def _contrast(name: str, records: Sequence[Record], letters: Sequence[str]) -> list[str]:
    known = letters_of(records)
    cells = []
    for letter in letters:
        if letter not in known:
            cells.append("")
            continue
        method, checkpoints = scopes_of(records, letter)
        cells.append(f"{method['outcome']} / {checkpoints_text(checkpoints)}")
    return [markdown_text(cell) for cell in (name, str(records[0]["what"]), *cells)]
