"""Tables of the page that are about two spaces: similarity, associations, changed queries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from anisotropy.plots.words import gist
from anisotropy.report.cells import (
    Cell,
    Row,
    Table,
    cell,
    column,
    number_cell,
    numbers_column,
    row,
    table,
)
from anisotropy.report.numbers import interval, probability, signed
from anisotropy.report.rows import title_of
from anisotropy.results import Association, Curve, Results, Similarity

_MOST = 10
_TEXT = 240
_SHOWN = ("relative_positive_distance", "margin")
_SPACES = column("spaces", "space", "baseline")


def similarity_table(results: Results) -> Table:
    """Every similarity; the two spaces are named where there are several comparisons."""
    several = len(results.comparisons) > 1
    head = [column("measure"), *([_SPACES] if several else []), column("side")]
    head += [numbers_column("value"), numbers_column("95% interval", "ci_low", "ci_high"),
             numbers_column("null", "null_mean"), numbers_column("null sd", "null_sd"),
             numbers_column("null p", "null_p"), numbers_column("n")]  # fmt: skip
    return table("similarity", head, (_similarity(x, several) for x in results.likenesses))


def _similarity(found: Similarity, several: bool) -> Row:
    about = cell(found.measure, found.measure, kind="code", small=[gist(found.measure)])
    spaces = [_spaces(found.space, found.baseline)] if several else []
    return row(
        about, *spaces, cell(found.side), number_cell(found.value), _interval(found),
        number_cell(found.null_mean, 3), number_cell(found.null_sd, 3),
        cell(probability(found.null_p), found.null_p, kind="number"),
        cell(f"{found.n:,}" if found.n else "", found.n, kind="number"),
    )  # fmt: skip


def _spaces(space: str, baseline: str) -> Cell:
    return cell(f"{space} against {baseline}", space, baseline)


def _interval(found: Similarity | Association) -> Cell:
    return cell(interval(found.ci_low, found.ci_high), found.ci_low, found.ci_high, kind="number")


def association_table(results: Results) -> Table:
    """Every association of a change in geometry with a change in ranking."""
    several = len(results.comparisons) > 1
    head = [column("change in"), column("with the change in"), *([_SPACES] if several else [])]
    head += [numbers_column("Spearman correlation"),
             numbers_column("95% interval", "ci_low", "ci_high"), numbers_column("n")]  # fmt: skip
    rows = [
        row(cell(found.geometry), cell(found.effectiveness),
            *([_spaces(found.space, found.baseline)] if several else []),
            number_cell(found.correlation, 3), _interval(found),
            cell(f"{found.n:,}", found.n, kind="number"))
        for found in results.links
    ]  # fmt: skip
    return table("associations", head, rows)


def changed_queries(pairs: Iterable[Results]) -> list[dict[str, Any]]:
    """The queries that gained most in nDCG@10, and those that lost most, of each comparison."""
    found = []
    for place, pair in enumerate(pairs, 1):
        tables = [
            (word, _queries(f"{word.lower()}-{place}", pair, curve, chosen))
            for curve in pair.find_curves("changes")
            for word, chosen in _extremes(curve)
            if chosen
        ]
        if tables:
            found.append({"id": f"queries-{place}", "title": title_of(pair), "tables": tables})
    return found


def _extremes(curve: Curve) -> list[tuple[str, list[int]]]:
    delta = curve.columns["nDCG@10_delta"]
    order = np.argsort(-delta, kind="stable")
    gains = [int(i) for i in order if delta[i] > 0][:_MOST]
    losses = [int(i) for i in order[::-1] if delta[i] < 0][:_MOST]
    return [("Gains", gains), ("Losses", losses)]


def _queries(name: str, pair: Results, curve: Curve, chosen: list[int]) -> Table:
    a, b = pair.labels
    columns = curve.columns
    shown = [measure for measure in _SHOWN if f"{measure}_delta" in columns]
    texts = "text" in columns
    head = [column("query"), *([column("text")] if texts else [])]
    head += [numbers_column(f"nDCG@10 in {a}"), numbers_column(f"nDCG@10 in {b}")]
    head += [numbers_column(f"difference in {x}") for x in ("nDCG@10", *shown)]
    head += [numbers_column("neighbors kept")]
    rows = []
    for i in chosen:
        text = [_text(str(columns["text"][i]))] if texts else []
        values = [number_cell(float(columns[f"nDCG@10_{side}"][i]), 3) for side in ("a", "b")]
        values += [_signed(float(columns[f"{x}_delta"][i])) for x in ("nDCG@10", *shown)]
        kept = number_cell(float(columns["neighbors_kept"][i]), 2)
        rows.append(row(cell(str(columns["query_id"][i])), *text, *values, kept))
    return table(name, head, rows)


def _signed(value: float) -> Cell:
    return cell("–" if value != value else signed(value), value, kind="number")


def _text(text: str) -> Cell:
    line = " ".join(text.split())
    shown = line if len(line) <= _TEXT else line[: _TEXT - 1] + "…"
    return cell(shown, line, kind="wrap")
