"""Ranks of positives and neighbors kept, item by item, against literal ones."""

from __future__ import annotations

import numpy as np
import pytest

from anisotropy.measures import Facts
from anisotropy.measures.base import Impossible
from anisotropy.measures.facts import Plan
from anisotropy.measures.families.nearest import positive_ranks
from anisotropy.measures.families.similarity import mutual_knn, neighbors_kept
from anisotropy.measures.registry import parse
from tests.measures.making import remade, space, unit


@pytest.mark.parametrize("similarity", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("depth", [5, 400])
def test_ranks_whether_the_ranking_reaches_them_or_not(similarity: str, depth: int) -> None:
    one = space(50, 300, similarity=similarity, noise=3.0, positives=3)
    facts = Facts(one, Plan(depth=depth))
    found = positive_ranks(facts)
    left, right = one.queries, one.documents
    if similarity == "cosine":
        left, right = unit(left), unit(right)
    scores = left @ right.T
    if similarity == "euclidean":
        scores = -np.linalg.norm(left[:, None] - right, axis=2)
    pairs = facts.positives
    own = scores[pairs.query, pairs.document]
    expected = 1 + (scores[pairs.query] > own[:, None]).sum(axis=1)
    assert found.max() > 5
    np.testing.assert_array_equal(found, expected)


def test_equal_scores_within_the_ranking_go_by_id() -> None:
    one = space(4, 30)
    documents = one.documents.copy()
    documents[7] = documents[3]
    twins = remade(one, one.queries, documents, qrels={"q0": {"d3": 1, "d7": 1}})
    ranks = dict(zip((3, 7), positive_ranks(Facts(twins, Plan(depth=30))), strict=True))
    assert ranks[3] == ranks[7] + 1  # as trec_eval: the larger id first


@pytest.mark.parametrize("side", ["queries", "documents"])
def test_kept_neighbors_are_those_whose_mean_is_the_measure(side: str) -> None:
    a = space(40, 90)
    rng = np.random.default_rng(1)
    order = rng.permutation(90)
    b = remade(a, a.queries + 0.2 * rng.normal(size=a.queries.shape),
               (a.documents + 0.2 * rng.normal(size=a.documents.shape))[order],
               doc_ids=[a.doc_ids[i] for i in order])  # fmt: skip
    first, second = (Facts(one, Plan(local_k=10)) for one in (a, b))
    chosen, share = neighbors_kept(first, second, 10, side)
    ids = first.ids(side)
    lists = []
    for one in (first, second):
        rows = unit(np.asarray(one.space.queries if side == "queries" else one.space.documents))
        cosines = rows @ rows.T
        np.fill_diagonal(cosines, -np.inf)
        near = np.argsort(-cosines, axis=1)[:, :10]
        lists.append({one.ids(side)[i]: {one.ids(side)[j] for j in row}
                      for i, row in enumerate(near)})  # fmt: skip
    expected = [len(lists[0][ids[i]] & lists[1][ids[i]]) / 10 for i in chosen]
    np.testing.assert_allclose(share, expected)
    whole = mutual_knn(first, second, parse("mutual_knn(k=10)"), side)
    assert share.mean() == pytest.approx(whole.value)
    with pytest.raises(Impossible, match="more than k"):
        neighbors_kept(first, second, 200, side)
