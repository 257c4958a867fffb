"""Files of curves: where they may be, and the columns that each known curve has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.errors import InputError, one_of, reason_of
from anisotropy.results.checks import refuse, shown
from anisotropy.results.curve import Curve

_NAME = re.compile(r"[\w.-]+", re.ASCII)
TEXT, NUMBER, FINITE = "texts", "numbers", "finite numbers"
COUNT, SOME = "whole numbers, at least 0", "whole numbers, at least 1"


@dataclass(frozen=True)
class Columns:
    """Columns of a known curve: docs/curves.md says what they are.

    Attributes
    ----------
    sides
        Where the curve is taken.
    needed
        Column to what its values are.
    may
        The same of columns that the first files did not have, or that are not always known.
    others
        What the values of all other columns are; empty where nothing reads them.
    """

    sides: tuple[str, ...]
    needed: Mapping[str, str]
    may: Mapping[str, str] = field(default_factory=dict)
    others: str = ""


def _of(
    texts: str = "", numbers: str = "", finite: str = "", counts: str = "", some: str = ""
) -> dict[str, str]:
    kinds = {TEXT: texts, NUMBER: numbers, FINITE: finite, COUNT: counts, SOME: some}
    return {name: kind for kind, names in kinds.items() for name in names.split()}


_ITEMS = ("queries", "documents")
_RANKED = ("ranking", "dual_ranking")
_Q = ("q05", "q25", "q50", "q75", "q95")
#: Curve to its columns.
CURVES: Mapping[str, Columns] = {
    "spectrum": Columns(_ITEMS, _of(numbers="eigenvalue share", counts="rank")),
    "dimensions": Columns(_ITEMS, _of(numbers="mean sd contribution share", counts="dimension")),
    "distances": Columns(
        ("cross",), _of(numbers="random nearest positives", finite="bin_low bin_high")
    ),
    "cosines": Columns(
        ("joint",),
        _of(
            numbers="query_query document_document query_document query_positive",
            finite="bin_low bin_high",
            counts="n_queries n_documents n_positives",
        ),
    ),
    "k_occurrence": Columns(
        (*_ITEMS, "ranking", "dual_ranking"),
        _of(
            numbers="share_at_least null_at_least",
            counts="occurrences items",
            some="k n_items n_anchors",
        ),
    ),
    "queries": Columns(_RANKED, _of(texts="query_id"), others=NUMBER),
    "positive_ranks": Columns(
        _RANKED,
        _of(numbers="share_relevant recall found", counts="listed positives", some="rank"),
    ),
    "changes": Columns(
        _RANKED,
        _of(texts="query_id", numbers="neighbors_kept nDCG@10_a nDCG@10_b nDCG@10_delta"),
        _of(texts="text"),
        others=NUMBER,
    ),
    "negative_probability": Columns(
        _ITEMS,
        _of(numbers="probability cumulative lorenz", finite="share_of_items", some="item_rank"),
    ),
    "observed_probability": Columns(
        _ITEMS,
        _of(numbers="probability cumulative lorenz", finite="share_of_items", some="item_rank"),
    ),
    "observed_items": Columns(
        _ITEMS,
        _of(texts="item_id text", numbers="probability", counts="count", some="rank"),
    ),
    "items": Columns(
        _ITEMS,
        _of(
            texts="item_id",
            numbers="probability probability_centered mean_rank",
            counts="rank k_occurrence times_negative",
        ),
        _of(texts="text"),
    ),
    "negative_profile": Columns(
        _ITEMS,
        {
            **_of(numbers="score_mean gap_to_positive share_relevant share_near_positive"),
            **{f"score_{q}": NUMBER for q in _Q},
            "rank": COUNT,
        },
        {f"positive_{q}": NUMBER for q in _Q},
    ),
    "mining": Columns(
        _ITEMS,
        _of(
            texts="center",
            numbers="kl_most_uneven gini_most_uneven",
            finite="k_share",
            counts="k items anchors anchors_all",
        ),
        others=NUMBER,
    ),
    "history": Columns(
        ("training",),
        _of(texts="stage", numbers="loss_mean", counts="step stage_step part"),
        others=NUMBER,
    ),
    "coordinates": Columns(
        ("joint",),
        _of(
            texts="id side method",
            numbers="positive trustworthiness neighbor_preservation positive_distance_correlation "
            "variance_explained perplexity",
            finite="x y",
            counts="n_queries n_documents",
        ),
        _of(texts="start", numbers="negative", counts="random_state"),
    ),
}


def read_curve(folder: Path, entry: Mapping[str, str]) -> Curve:
    """The curve of an entry of ``results.json``, whose four texts were checked before.

    Raises
    ------
    InputError
        If its file is not the one that writing makes, is not in the folder or not readable, or
        the columns are not those of such a curve.
    """
    check_place(folder, entry)
    try:
        columns = _read(folder / entry["file"])
        _check_columns(entry["name"], columns)
    except InputError as error:
        raise InputError(f"{entry['file']}: {error}") from None
    return Curve(entry["name"], entry["space"], entry["side"], columns)


def check_place(folder: Path, entry: Mapping[str, str]) -> None:
    """Refuse a curve that is written elsewhere, and a file that is elsewhere."""
    name, side, file = entry["name"], entry["side"], entry["file"]
    if not _NAME.fullmatch(name):
        refuse("name", name, "letters, digits, and the signs - _ .")
    if name in CURVES and side not in CURVES[name].sides:
        raise InputError(f"side: {one_of(repr(side)[1:-1], CURVES[name].sides)}")
    own = Curve(name, entry["space"], side, {}).file
    if file != own:
        refuse("file", file, own)
    try:
        inside = (folder / file).resolve().is_relative_to(folder.resolve())
        known = inside and (folder / file).is_file()
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    if not known:
        what = "no such file" if inside else "a link to another place"
        raise InputError(f"{file}: {what}; allowed: a file of the folder itself")


def _read(path: Path) -> dict[str, np.ndarray]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            table = file.read()
        table.validate(full=True)  # texts are UTF-8
        found = list(zip(table.column_names, table.columns, strict=True))
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        reason = reason_of(error)
        raise InputError(f"not readable as Parquet ({shown(reason)[1:-1]})") from None
    columns: dict[str, np.ndarray] = {}
    for name, values in found:
        if name in columns:
            raise InputError(f"got the column {name!r} twice; allowed: each once")
        columns[name] = _array(name, values)
    return columns


def _array(name: str, values: Any) -> np.ndarray:
    """Numbers or texts as an array; a number that is not there is NaN."""
    from pyarrow import types

    kind = values.type
    text = types.is_string(kind) or types.is_large_string(kind)
    number = types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind)
    if (not text and not number) or (values.null_count and not types.is_floating(kind)):
        what = f"{kind}{' with gaps' if values.null_count else ''}"
        raise InputError(f"column {name!r} is {what}; allowed: numbers or texts")
    return np.asarray(values.to_numpy())


def _check_columns(curve: str, columns: Mapping[str, np.ndarray]) -> None:
    known = CURVES.get(curve)
    if known is None:
        return
    missing = [name for name in known.needed if name not in columns]
    if missing:
        raise InputError(
            f"no column {missing[0]!r}; a curve {curve!r} has {', '.join(known.needed)}"
        )
    for name, values in columns.items():
        kind = known.needed.get(name) or known.may.get(name) or known.others
        if kind and not _fits(values, kind):
            raise InputError(f"column {name!r}: allowed: {kind}")
    if not len(columns[next(iter(known.needed))]):
        raise InputError(f"no rows; a curve {curve!r} has one or more")


def _fits(values: np.ndarray, kind: str) -> bool:
    if kind == TEXT or values.dtype == object:
        return bool(values.dtype == object and kind == TEXT)
    numbers = values.astype(np.float64)
    if kind == NUMBER:
        return True
    if not np.isfinite(numbers).all():
        return False
    least = 1 if kind == SOME else 0
    return kind == FINITE or bool((numbers >= least).all() and (numbers % 1 == 0).all())
