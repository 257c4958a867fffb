"""Query by query: what changed between two spaces of the same queries and documents."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np

from anisotropy.comparison.withholding import other_units
from anisotropy.measures import MeasuredSpace
from anisotropy.measures.base import Impossible
from anisotropy.results import Curve
from anisotropy.spaces.pairs import query_texts

#: Depth of the neighbors kept, and of the density.
KEPT, NEAREST = 10, 10
RANKED = "nDCG@10"
RELATIVE, DENSITY = "relative_positive_distance", "density"
#: In units of the score: they change only where both sides score alike.
SCORED = ("margin", "positive_score")


def changes_curve(
    a: Sequence[MeasuredSpace], b: Sequence[MeasuredSpace], names: tuple[str, str]
) -> Curve | None:
    """The curve ``changes``: one row a query, the largest gain in nDCG@10 first.

    Parameters
    ----------
    a, b
        The two sides, one space each or one a seed; values are means over the seeds.
    names
        Labels of the sides.

    Returns
    -------
    Curve or None
        Columns ``query_id``; ``text`` where texts are known; ``neighbors_kept``, the share of
        the 10 best documents of the recipe's ranking that are the same (seeds of the two sides
        taken in pairs, in order); and ``NAME_a``, ``NAME_b`` and ``NAME_delta`` (b minus a) for

        * each per-query value of both sides' curves ``queries``: effectiveness, distance and
          percentile of the positives, distance of the nearest document, and so on;
        * ``relative_positive_distance``: mean distance of the query's positives over the root
          mean square distance of all queries and documents;
        * ``density``: mean cosine of the query with its 10 nearest other queries.

        NaN where a query has no such value; ``margin`` and ``positive_score`` have no delta where
        the two sides score in different units; None where there is nothing to rank.
    """
    tables = [[_values(one) for one in side] for side in (a, b)]
    if not all(table for side in tables for table in side):
        return None
    orders = [[_places(a[0], one) for one in side] for side in (a, b)]
    columns: dict[str, np.ndarray] = {
        "query_id": np.array(list(a[0].space.query_ids), dtype=object)
    }
    texts = next((found for one in (*a, *b) if (found := query_texts(one.space))), None)
    if texts:
        own = [texts.get(name, "") for name in a[0].space.query_ids]
        columns["text"] = np.array(own, dtype=object)
    columns["neighbors_kept"] = np.mean([_kept(x, y) for x, y in zip(a, b, strict=False)], axis=0)
    units = other_units(a[0].space, b[0].space)
    shared = [n for n in tables[0][0] if all(n in t for side in tables for t in side)]
    for name in shared:
        x, y = (
            np.mean([t[name][o] for t, o in zip(side, order, strict=True)], axis=0)
            for side, order in zip(tables, orders, strict=True)
        )
        columns |= {f"{name}_a": x, f"{name}_b": y}
        if not (units and name in SCORED):
            columns[f"{name}_delta"] = y - x
    order = np.argsort(-columns[f"{RANKED}_delta"], kind="stable")  # NaN last
    return Curve("changes", names[1], "ranking", {n: v[order] for n, v in columns.items()})


def _places(first: MeasuredSpace, other: MeasuredSpace) -> np.ndarray:
    """Row in `other` of each query of `first`."""
    place = {name: i for i, name in enumerate(other.space.query_ids)}
    return np.array([place[name] for name in first.space.query_ids], dtype=np.int64)


def _values(one: MeasuredSpace) -> dict[str, np.ndarray]:
    """Numeric per-query columns of a space; nothing where there are no documents to rank."""
    curve = one.by_query
    if curve is None:
        return {}
    numbers = {n: v for n, v in curve.columns.items() if np.issubdtype(v.dtype, np.number)}
    with contextlib.suppress(Impossible):
        numbers.setdefault(RELATIVE, curve.columns["positive_distance"] / _typical_distance(one))
    with contextlib.suppress(Impossible):
        numbers.setdefault(DENSITY, _density(one))
    return {name: np.asarray(values, dtype=np.float64) for name, values in numbers.items()}


def _typical_distance(one: MeasuredSpace) -> float:
    """Root mean square distance of all queries and documents, as the measure divides by."""
    means = [one.facts.moments(side, "unit").mean for side in ("queries", "documents")]
    square = 2 - 2 * float(means[0] @ means[1])
    if square < 1e-12:
        raise Impossible("all queries and documents are the same vector")
    return float(np.sqrt(square))


def _density(one: MeasuredSpace) -> np.ndarray:
    """Mean cosine with the nearest other queries; NaN for queries that are no anchors."""
    found = one.facts.one_set("queries", "unit")
    out = np.full(len(one.space.query_ids), np.nan)
    out[found.chosen] = found.neighbors.scores[:, :NEAREST].mean(axis=1)
    return out


def _kept(a: MeasuredSpace, b: MeasuredSpace) -> np.ndarray:
    """Share of the best documents that are the same, for the queries of `a`."""
    k = min(KEPT, len(a.space.doc_ids))
    place = {name: i for i, name in enumerate(a.space.doc_ids)}
    known = np.array([place[name] for name in b.space.doc_ids], dtype=np.int64)
    first = a.facts.cross("recipe").neighbors.index[:, :k]
    second = known[b.facts.cross("recipe").neighbors.index[_places(a, b), :k]]
    same = first[:, :, None] == second[:, None, :]
    return np.asarray(same.any(axis=2).sum(axis=1) / k)
