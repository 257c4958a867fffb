"""Every registered measure of a small space, with its error, as one table of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from anisotropy.comparison import compare_spaces
from anisotropy.errors import UsageError
from anisotropy.measures import measure_space, registry
from anisotropy.measures.base import Definition, make
from anisotropy.spaces import EmbeddingSpace
from tests.measures.making import remade, space

#: Depths and ranks small enough for the spaces here, in place of any larger default.
SMALL = {"k": 12, "high": 6}
#: Choices of parameters that do not list them, by their default.
_OTHERS: dict[str, tuple[Any, ...]] = {"True": (True, False), "common": ("common", "all")}
Key = tuple[str, str, str]
Table = dict[Key, np.ndarray]


def identities() -> list[str]:
    """Every measure, one at a time with each other choice a parameter has, depths made small."""
    found: dict[str, None] = {}
    for definition in registry():
        if definition.counted:  # from files, not from a space
            continue
        small = {p.name: SMALL[p.name] for p in definition.parameters
                 if p.name in SMALL and int(p.default) > SMALL[p.name]}  # fmt: skip
        for given in (*definition.defaults, *_choices(definition)):
            depth = {} if given.get("method") == "twonn" else small
            found[make(definition, {**given, **depth}).text] = None
    return list(found)


def _choices(definition: Definition) -> list[dict[str, Any]]:
    return [
        {parameter.name: choice}
        for parameter in definition.parameters
        for choice in parameter.choices or _OTHERS.get(str(parameter.default), ())
    ]


@cache
def possible() -> tuple[str, ...]:
    """The identities that can be measured somewhere in the small spaces."""
    return measurable(plain(), identities())


def measurable(made: EmbeddingSpace, among: Iterable[str]) -> tuple[str, ...]:
    """Those that are not refused by name, with the reason, as nowhere measurable in a space."""
    asked = list(among)
    while True:
        try:
            measure_space(made, asked, between=True)
        except UsageError as refused:
            measure, where, reason = str(refused).partition(": cannot be measured here")
            if not where or not reason:
                raise
            asked.remove(measure)
        else:
            return tuple(asked)


def table(
    one: EmbeddingSpace,
    other: EmbeddingSpace,
    *,
    asked: Sequence[str] | None = None,
    **options: Any,
) -> Table:
    """Value, error and interval of every row of `one`, and of its similarities to `other`."""
    asked = possible() if asked is None else asked
    found = [measure_space(each, asked, between=True, **options) for each in (one, other)]
    rows = {
        (r.side, r.measure, r.on): np.array([r.value, r.se, r.ci_low, r.ci_high])
        for r in found[0].rows
    }
    for s in compare_spaces(*found)[1]:
        rows[s.side, s.measure, "both"] = np.array([s.value, s.ci_low, s.ci_high])
    return rows


def plain() -> EmbeddingSpace:
    """Sixty queries with two graded positives each among 150 documents."""
    return space()


def chunked() -> EmbeddingSpace:
    """Two chunks a document, some of padding only, and other queries to mine from."""
    rng = np.random.default_rng(5)
    pool = space(n_queries=90, seed=3)
    made = space(seed=3)
    documents = np.repeat(made.documents, 2, axis=0)
    documents += 0.2 * rng.standard_normal(documents.shape)
    padding = np.zeros(300, dtype=bool)
    padding[1::10] = True
    chunks = {"document_of_row": np.repeat(np.arange(150), 2), "padding": padding}
    training = remade(pool, pool.queries, documents, **chunks)
    return remade(made, made.queries, documents, training=training, **chunks)


def changed(made: EmbeddingSpace, change: Any) -> EmbeddingSpace:
    """The space with `change` applied to all rows, those of the mining pool included."""
    training = made.training and changed(made.training, change)
    return remade(made, change(made.queries), change(made.documents), training=training)


def noisy(made: EmbeddingSpace) -> EmbeddingSpace:
    """Another encoding of the same items."""
    rng = np.random.default_rng(8)
    return changed(made, lambda x: x + 0.2 * rng.standard_normal(x.shape))


def same(a: Mapping[Key, np.ndarray], b: Mapping[Key, np.ndarray], tolerance: float) -> None:
    """Fail with every row that differs, in one message."""
    assert a.keys() == b.keys()
    wrong = {
        key: (a[key].tolist(), b[key].tolist())
        for key in a
        if not np.allclose(a[key], b[key], rtol=tolerance, atol=tolerance, equal_nan=True)
    }
    assert not wrong, "\n".join(f"{k}: {x} and {y}" for k, (x, y) in wrong.items())
