"""Tables of the page that are about two spaces: similarity, associations, changed queries."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from anisotropy.plots.words import gist
from anisotropy.report.cells import Cell, cell, number_cell
from anisotropy.report.numbers import interval, probability, signed
from anisotropy.report.rows import title_of
from anisotropy.results import Curve, Results

_MOST = 10
_TEXT = 240
_SHOWN = ("relative_positive_distance", "margin")


def similarity_table(results: Results) -> dict[str, Any]:
    """Every similarity; the two spaces are named where there are several comparisons."""
    several = len(results.comparisons) > 1
    head = ["measure", *(["spaces"] if several else []), "side", "value", "95% interval"]
    rows = []
    for row in results.likenesses:
        cells = [cell(f"{row.space} against {row.baseline}")] if several else []
        cells += [
            cell(row.side),
            number_cell(row.value),
            cell(interval(row.ci_low, row.ci_high), None, "number"),
            number_cell(row.null_mean, 3),
            number_cell(row.null_sd, 3),
            cell(probability(row.null_p), row.null_p, "number"),
            cell(f"{row.n:,}" if row.n else "", str(row.n), "number"),
        ]
        rows.append(
            {"measure": row.measure, "gist": gist(row.measure), "direction": "", "cells": cells}
        )
    return {"head": [*head, "null", "null sd", "null p", "n"], "rows": rows}


def association_table(results: Results) -> dict[str, Any]:
    """Every association of a change in geometry with a change in ranking."""
    several = len(results.comparisons) > 1
    head = [*(["spaces"] if several else []), "change in", "with the change in"]
    rows: list[list[Cell]] = []
    for row in results.links:
        cells = [cell(f"{row.space} against {row.baseline}")] if several else []
        cells += [
            cell(row.geometry),
            cell(row.effectiveness),
            number_cell(row.correlation, 3),
            cell(interval(row.ci_low, row.ci_high), f"{row.ci_low!r} {row.ci_high!r}", "number"),
            cell(f"{row.n:,}", str(row.n), "number"),
        ]
        rows.append(cells)
    return {"head": [*head, "Spearman correlation", "95% interval", "n"], "rows": rows}


def changed_queries(pair: Results, titled: bool) -> list[dict[str, Any]]:
    """The queries that gained most in nDCG@10, and those that lost most, of one comparison."""
    tables = []
    for curve in pair.curves:
        delta = curve.columns["nDCG@10_delta"]
        order = np.argsort(-delta, kind="stable")
        gains = [int(i) for i in order if delta[i] > 0][:_MOST]
        losses = [int(i) for i in order[::-1] if delta[i] < 0][:_MOST]
        for word, chosen in (("Largest gains", gains), ("Largest losses", losses)):
            if chosen:
                title = f"{word}: {title_of(pair)}" if titled else word
                tables.append({"title": title, **_queries(pair, curve, chosen)})
    return tables


def _queries(pair: Results, curve: Curve, chosen: list[int]) -> dict[str, Any]:
    a, b = pair.labels
    columns = curve.columns
    shown = [name for name in _SHOWN if f"{name}_delta" in columns]
    head = ["query", *(["text"] if "text" in columns else []), f"nDCG@10 in {a}", f"in {b}"]
    head += ["difference", *(f"{name}: difference" for name in shown), "neighbors kept"]
    rows = []
    for i in chosen:
        cells = [cell(str(columns["query_id"][i]))]
        if "text" in columns:
            cells.append(cell(_short(str(columns["text"][i])), None, "wrap"))
        cells += [number_cell(float(columns[f"nDCG@10_{side}"][i]), 3) for side in ("a", "b")]
        cells += [_signed(float(columns[f"{n}_delta"][i])) for n in ("nDCG@10", *shown)]
        cells.append(number_cell(float(columns["neighbors_kept"][i]), 2))
        rows.append(cells)
    return {"head": head, "rows": rows}


def _signed(value: float) -> Cell:
    return cell("–", "") if math.isnan(value) else cell(signed(value), value, "number")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _TEXT else line[: _TEXT - 1] + "…"
