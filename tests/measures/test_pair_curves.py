"""Densities of cosines and k-occurrence against literal twins."""

from __future__ import annotations

import math

import numpy as np
import pytest

from anisotropy.measures import measure_space
from anisotropy.measures.curves import curves
from anisotropy.measures.facts import Facts, Plan
from anisotropy.measures.pair_curves import BINS, sample
from anisotropy.spaces import EmbeddingSpace
from tests.measures.making import remade, space, unit


def curve(made: EmbeddingSpace, name: str, side: str = "joint", **options):
    found = measure_space(made, **options).curves
    return next(c.columns for c in found if (c.name, c.side) == (name, side))


def literal_cosines(made: EmbeddingSpace) -> dict[str, list[float]]:
    q, d = unit(made.queries), unit(made.documents)
    place = {name: i for i, name in enumerate(made.doc_ids)}
    judged = [
        (i, place[document], grade)
        for i, name in enumerate(made.query_ids)
        for document, grade in made.qrels[name].items()
    ]
    return {
        "query_query": [float(q[i] @ q[j]) for i in range(len(q)) for j in range(i)],
        "document_document": [float(d[i] @ d[j]) for i in range(len(d)) for j in range(i)],
        "query_document": [float(x @ y) for x in q for y in d],
        "query_positive": [float(q[i] @ d[j]) for i, j, grade in judged if grade >= 1],
    }


def test_densities_are_those_of_the_pairs_one_by_one() -> None:
    made = space()
    found, wanted = curve(made, "cosines"), literal_cosines(made)
    every = np.concatenate(list(wanted.values()))
    assert found["bin_low"][0] == pytest.approx(every.min())
    assert found["bin_high"][-1] == pytest.approx(every.max())
    width = found["bin_high"] - found["bin_low"]
    for name, values in wanted.items():
        assert (found[name] * width).sum() == pytest.approx(1)
        middle = (found["bin_low"] + found["bin_high"]) / 2
        # Exact up to where within its bin a value lies.
        assert (found[name] * width * middle).sum() == pytest.approx(
            np.mean(values), abs=width[0] / 2
        )
        share = np.mean(np.array(values) < found["bin_high"][24])
        assert (found[name] * width)[:25].sum() == pytest.approx(share, abs=1e-9)
    sizes = {name: set(found[name]) for name in ("n_queries", "n_documents", "n_positives")}
    assert sizes == {"n_queries": {60}, "n_documents": {150}, "n_positives": {120}}


def test_without_judgments_or_a_second_row_a_density_is_not_a_number() -> None:
    made = space()
    alone = EmbeddingSpace(made.queries[:1], made.documents, label="one")
    found = curve(alone, "cosines")
    assert np.isnan(found["query_query"]).all()
    assert np.isnan(found["query_positive"]).all()
    assert np.isfinite(found["document_document"]).all()
    assert found["n_positives"][0] == 0


def test_vectors_that_are_all_alike_have_a_narrow_density() -> None:
    rows = np.tile([[0.6, 0.8]], (5, 1))
    facts = Facts(EmbeddingSpace(rows, rows, label="same"), Plan((), 0, 10))
    found = next(c.columns for c in curves(facts) if c.name == "cosines")
    assert len(found["bin_low"]) == BINS
    assert np.isfinite(found["query_query"]).all()
    assert found["bin_low"][0] < 1 < found["bin_high"][-1]


def test_a_rotation_leaves_the_densities_and_a_cone_moves_them() -> None:
    made, wide = space(lean=0.0), space(lean=3.0)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0]
    turned = curve(remade(made, made.queries @ turn, made.documents @ turn), "cosines")
    plain = curve(made, "cosines")
    np.testing.assert_allclose(turned["bin_low"], plain["bin_low"])
    assert curve(wide, "cosines")["bin_low"][0] > plain["bin_low"][0] + 0.5


def test_the_sample_is_of_ids_and_not_of_places() -> None:
    made = space(n_queries=1500, n_documents=1200)
    facts = Facts(made, Plan((), 0, 10))
    chosen = sample(facts, "queries")
    assert len(chosen) == 1000
    assert not np.array_equal(chosen, np.arange(1000))
    order = np.random.default_rng(0).permutation(1500)
    turned = EmbeddingSpace(
        made.queries[order],
        made.documents,
        query_ids=[made.query_ids[i] for i in order],
        doc_ids=made.doc_ids,
    )
    again = sample(Facts(turned, Plan((), 0, 10)), "queries")
    assert {turned.query_ids[i] for i in again} == {made.query_ids[i] for i in chosen}


SIDES = ("queries", "documents", "ranking", "dual_ranking")


def literal_counts(made: EmbeddingSpace, side: str, k: int) -> list[int]:
    q, d = unit(made.queries), unit(made.documents)
    anchors, items = {"queries": (q, q), "documents": (d, d), "ranking": (q, d),
                      "dual_ranking": (d, q)}[side]  # fmt: skip
    counts = [0] * len(items)
    for i, x in enumerate(anchors):
        scores = [
            (-float(x @ y), j) for j, y in enumerate(items) if items is not anchors or i != j
        ]
        for _, j in sorted(scores)[:k]:
            counts[j] += 1
    return counts


@pytest.mark.parametrize("side", SIDES)
def test_occurrences_are_counted_one_by_one_and_the_null_is_binomial(side: str) -> None:
    made = space()
    found = curve(made, "k_occurrence", side)
    counts = literal_counts(made, side, 10)
    assert found["items"].sum() == len(counts)
    for times, items, share, null in zip(
        *(found[n] for n in ("occurrences", "items", "share_at_least", "null_at_least")),
        strict=True,
    ):
        assert items == counts.count(times)
        assert share == pytest.approx(np.mean([count >= times for count in counts]))
        one_set = side in ("queries", "documents")
        p = 10 / (len(counts) - one_set)
        draws = found["n_anchors"][0] - one_set
        below = sum(math.comb(draws, j) * p**j * (1 - p) ** (draws - j) for j in range(times))
        assert null == pytest.approx(1 - below, abs=1e-9)
    assert found["share_at_least"][-1] == 0
    assert found["n_items"][0] == len(counts)


def test_the_curve_agrees_with_the_measures() -> None:
    made = space()
    measured = measure_space(made)
    found = {c.side: c.columns for c in measured.curves if c.name == "k_occurrence"}
    for side in SIDES:
        row = measured.row(side, "antihub_share(k=10)", "unit")
        assert row.value == pytest.approx(1 - found[side]["share_at_least"][1])
        assert row.null_mean == pytest.approx(1 - found[side]["null_at_least"][1])


def test_only_where_hubs_were_measured_and_at_their_k() -> None:
    made = space()
    assert not [c for c in measure_space(made, ["mean_cosine"]).curves if c.name == "k_occurrence"]
    found = curve(made, "k_occurrence", "ranking", measures=["antihub_share(k=3)"])
    assert set(found["k"]) == {3}
    assert (found["occurrences"] * found["items"]).sum() == 3 * 60


def test_curves_take_no_pass_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A space of many rows is measured no slower for them: tables are those of the measures."""
    measured = measure_space(space())
    for name in ("within", "across", "sweep"):
        monkeypatch.setattr(f"anisotropy.measures.facts.{name}", None)
    assert {c.name for c in measured.curves} >= {"cosines", "k_occurrence"}


def test_several_vectors_a_document_are_rows_of_their_own() -> None:
    made = space(n_documents=40)
    owner = np.repeat(np.arange(20), 2)
    chunked = EmbeddingSpace(
        made.queries, made.documents, doc_ids=[f"d{i}" for i in range(20)],
        document_of_row=owner, label="chunked",
    )  # fmt: skip
    found = curve(chunked, "cosines")
    assert found["n_documents"][0] == 40
