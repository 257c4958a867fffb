"""The same pairs in two spaces, side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import anisotropy as an
from anisotropy.errors import NotComparable, UsageError
from anisotropy.results import Results
from tests.comparison.test_comparison import noisy
from tests.measures.making import remade, space, unit

EVIL = "<script>alert(1)</script>"
QUICK = {"measures": ["mean_cosine", "nDCG@10"], "projections": ()}
ORDER = [
    "query_id", "doc_id", "distance_a", "distance_b", "score_a", "score_b", "rank_a", "rank_b",
    "change", "grade", "text", "query_text",
]  # fmt: skip


def shuffled(made: an.EmbeddingSpace) -> an.EmbeddingSpace:
    """The same space with its queries and documents in another order."""
    queries = np.random.default_rng(0).permutation(len(made.query_ids))
    documents = np.random.default_rng(1).permutation(len(made.doc_ids))
    return remade(
        made,
        made.queries[queries],
        made.documents[documents],
        query_ids=[made.query_ids[i] for i in queries],
        doc_ids=[made.doc_ids[i] for i in documents],
    )


@pytest.fixture(scope="module")
def sides() -> tuple[an.EmbeddingSpace, an.EmbeddingSpace]:
    made = space(n_queries=20, n_documents=50)
    a, b = noisy(made, 0.1, 1, "a"), shuffled(noisy(made, 0.6, 2, "b"))
    a.query_texts = [f"query {name}" for name in a.query_ids]
    b.doc_texts = [EVIL if name == "d3" else f"document {name}" for name in b.doc_ids]
    return a, b


@pytest.fixture(scope="module")
def compared(sides: tuple[an.EmbeddingSpace, an.EmbeddingSpace]) -> Results:
    return an.compare(*sides, **QUICK)


@pytest.mark.parametrize("to", ["positives", "random"])
def test_each_side_is_what_its_space_says(sides, compared: Results, to: str) -> None:
    a, b = sides
    frame = compared.distances(to=to)
    assert list(frame.columns) == ORDER
    alone = a.distances(to=to)
    assert list(frame.query_id) == list(alone.query_id)
    assert list(frame.doc_id) == list(alone.doc_id)
    for name in ("distance", "score", "rank", "grade"):
        column = name if name == "grade" else f"{name}_a"
        pd.testing.assert_series_equal(frame[column], alone[name], check_names=False)
    for row in frame.itertuples():
        query = unit(b.queries)[b.query_ids.index(row.query_id)]
        document = unit(b.documents)[b.doc_ids.index(row.doc_id)]
        assert row.distance_b == pytest.approx(np.linalg.norm(query - document), abs=2e-6)
        better = unit(b.documents) @ query > query @ document + 1e-9
        assert row.rank_b == 1 + better.sum()
        assert row.change == pytest.approx(row.distance_b - row.distance_a)
        assert row.query_text == f"query {row.query_id}"
        assert row.text == (EVIL if row.doc_id == "d3" else f"document {row.doc_id}")


def test_the_nearest_of_either_side_by_rank(sides, compared: Results) -> None:
    a, b = sides
    query = a.query_ids[4]
    frame = compared.distances(query, to="nearest")
    wanted = {*a.neighbors(query).doc_id, *b.neighbors(query).doc_id}
    assert set(frame.doc_id) == wanted
    assert len(wanted) > 10
    assert frame.rank_a.is_monotonic_increasing
    assert ((frame.rank_a <= 10) | (frame.rank_b <= 10)).all()


def test_all_documents_of_one_query(sides, compared: Results) -> None:
    a, b = sides
    frame = compared.distances("q1", to="all", on="raw", metric="dot")
    assert list(frame.doc_id) == a.doc_ids
    other = b.distances("q1", to="all", on="raw", metric="dot").set_index("doc_id")
    assert list(frame.distance_b) == pytest.approx(list(other.distance[a.doc_ids]))
    with pytest.raises(UsageError, match="needs one query_id"):
        compared.distances(to="all")


def test_seeds_are_averaged() -> None:
    made = space(n_queries=20, n_documents=50)
    old = [noisy(made, 0.1, seed, f"old-{seed}") for seed in (1, 2)]
    new = [noisy(made, 0.5, 5, "new-1"), shuffled(noisy(made, 0.5, 6, "new-2"))]
    frame = an.compare(old, new, **QUICK).distances()
    for letter, spaces in (("a", old), ("b", new)):
        each = [one.distances().set_index(["query_id", "doc_id"]) for one in spaces]
        for name in ("distance", "score", "rank"):
            mean = sum(one[name].loc[each[0].index] for one in each) / 2
            assert frame[f"{name}_{letter}"].to_numpy() == pytest.approx(mean.to_numpy(), abs=1e-6)


def test_several_comparisons_are_named(sides) -> None:
    a, b = sides
    third = noisy(a, 0.3, 9, "c")
    results = an.analyze([a, b, third], baseline="a", **QUICK)
    for frame in (results.distances(), results.queries()):
        assert list(frame.space.unique()) == ["b", "c"]
        assert set(frame.baseline) == {"a"}
    own = results.distances().query("space == 'b'").drop(columns=["space", "baseline"])
    alone = an.compare(a, b, **QUICK).distances()
    pd.testing.assert_frame_equal(own, alone, check_dtype=False)


def test_queries_stand_side_by_side_with_their_texts(compared: Results) -> None:
    frame = compared.queries()
    assert list(frame.text) == [f"query {name}" for name in frame.query_id]
    for name in ("nDCG@10", "positive_distance"):
        change = frame[f"{name}_b"] - frame[f"{name}_a"]
        assert frame[f"{name}_delta"].to_numpy() == pytest.approx(change.to_numpy())
    assert "space" not in frame


def test_common_ids_alone_are_looked_up_where_the_others_differ(sides) -> None:
    a, b = sides
    part = b.restrict(b.query_ids[:12], b.doc_ids[:40])
    frame = an.compare(a, part, on_mismatch="intersect", **QUICK).distances()
    assert set(frame.query_id) <= set(part.query_ids)
    assert set(frame.doc_id) <= set(part.doc_ids)


def test_a_text_stays_text_in_a_notebook(compared: Results) -> None:
    html = compared.distances("q1", to="all")._repr_html_()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script" not in html


def test_what_cannot_be_looked_up_is_said(sides, compared: Results, tmp_path: Path) -> None:
    a, b = sides
    compared.write(tmp_path)
    with pytest.raises(UsageError, match="read from files, which hold no embeddings"):
        Results.read(tmp_path).distances()
    with pytest.raises(UsageError, match="nothing is compared"):
        an.analyze([a], **QUICK).distances()
    with pytest.raises(UsageError, match="no query has the id 'zz'"):
        compared.distances("zz")
    scaled = remade(b, unit(b.queries), unit(b.documents), label="c")
    raw = an.compare(a, scaled, **QUICK)
    with pytest.raises(NotComparable, match="raw rows have length 1 in c only"):
        raw.distances(on="raw")
    assert len(raw.distances(on="raw", metric="cosine"))
