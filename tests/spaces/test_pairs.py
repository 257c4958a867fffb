"""Distances looked up pair by pair, against a literal twin."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from anisotropy.errors import EmbeddingsError, UsageError
from anisotropy.measures import measure_space
from anisotropy.spaces import EmbeddingSpace, ShardedRows
from tests.spaces.fakes import FakeCollection

EVIL = "<script>alert(1)</script>"
COLUMNS = ["query_id", "doc_id", "distance", "score", "rank", "grade", "text", "query_text"]


def made(similarity: str = "cosine", chunks: int = 1, **settings: object) -> EmbeddingSpace:
    """Twelve queries, thirty documents, two of them equal; chunks out of order, some padding."""
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(30 * chunks, 5)).astype(np.float32)
    rows[7] = rows[3]
    owner = None if chunks == 1 else np.tile(np.arange(30), chunks)
    padding = None if owner is None else np.arange(30 * chunks) >= 30 * chunks - 4
    given: dict = {
        "query_ids": [f"q{i}" for i in range(12)],
        "doc_ids": [f"d{i}" for i in range(30)],
        "qrels": {f"q{i}": {f"d{(i * 7) % 30}": 2, f"d{i}": 1, f"d{i + 9}": 0} for i in range(11)},
        "doc_texts": [f"document {i}" for i in range(30)],
        "query_texts": [f"query {i}" for i in range(12)],
        "document_of_row": owner,
        "padding": padding,
        "similarity": similarity,
        **settings,
    }
    return EmbeddingSpace(rng.normal(size=(12, 5)).astype(np.float32), rows, **given)


def twin(space: EmbeddingSpace, query: int, on: str, metric: str) -> pd.DataFrame:
    """Every document of one query, by loops over single pairs in 64 bits."""

    def apart(q: np.ndarray, d: np.ndarray, on: str, metric: str) -> float:
        if on == "unit" or metric == "cosine":
            q, d = q / np.sqrt(np.sum(q * q)), d / np.sqrt(np.sum(d * d))
        if metric == "euclidean":
            return float(np.sqrt(np.sum((q - d) ** 2)))
        return float((metric == "cosine") - np.sum(q * d))

    owner = space.document_of_row
    q = np.asarray(space.queries[query], dtype=np.float64)
    rows = []
    for number, name in enumerate(space.doc_ids):
        own = [number] if owner is None else list(np.flatnonzero(owner == number))
        real = [r for r in own if space.padding is None or not space.padding[r] or r == own[0]]
        vector = {r: np.asarray(space.documents[int(r)], dtype=np.float64) for r in own}
        score = {
            "cosine": lambda d: 1 - apart(q, d, "unit", "cosine"),
            "dot": lambda d: -apart(q, d, "raw", "dot"),
            "euclidean": lambda d: -apart(q, d, "raw", "euclidean"),
        }[space.similarity]
        distance = min(apart(q, vector[r], on, metric) for r in real)
        rows.append((name, distance, max(score(vector[r]) for r in own)))
    frame = pd.DataFrame(rows, columns=["doc_id", "distance", "score"])
    best = sorted(rows, key=lambda row: (np.float32(row[2]), row[0]), reverse=True)
    frame["rank"] = [1 + [row[0] for row in best].index(name) for name in frame.doc_id]
    return frame


@pytest.mark.parametrize("chunks", [1, 3])
@pytest.mark.parametrize("similarity", ["cosine", "dot", "euclidean"])
def test_all_pairs_are_those_of_the_twin(similarity: str, chunks: int) -> None:
    space = made(similarity, chunks)
    for on, metric in itertools.product(("unit", "raw"), ("euclidean", "cosine", "dot")):
        frame = space.distances("q4", to="all", on=on, metric=metric)  # type: ignore[arg-type]
        slow = twin(space, 4, on, metric)
        assert list(frame.doc_id) == list(slow.doc_id)
        assert list(frame["rank"]) == list(slow["rank"])
        assert frame.distance.to_numpy() == pytest.approx(slow.distance.to_numpy(), abs=2e-6)
        assert frame.score.to_numpy() == pytest.approx(slow.score.to_numpy(), abs=2e-6)


@pytest.mark.parametrize("chunks", [1, 3])
def test_positives_of_every_query_in_the_order_of_judged_pairs(chunks: int) -> None:
    space = made(chunks=chunks)
    frame = space.distances()
    assert list(frame.columns) == COLUMNS
    place = {name: number for number, name in enumerate(space.doc_ids)}
    wanted = [
        (q, d)
        for q in space.query_ids
        for d in sorted(space.qrels.get(q, {}), key=place.__getitem__)
        if space.qrels[q][d] >= 1
    ]
    assert list(zip(frame.query_id, frame.doc_id, strict=True)) == wanted
    for row in frame.itertuples():
        slow = twin(space, space.query_ids.index(row.query_id), "unit", "euclidean")
        one = slow.set_index("doc_id").loc[row.doc_id]
        assert row.distance == pytest.approx(one.distance, abs=2e-6)
        assert row.rank == one["rank"]
        assert row.grade == space.qrels[row.query_id][row.doc_id]
        assert row.text == f"document {row.doc_id[1:]}"
        assert row.query_text == f"query {row.query_id[1:]}"
    values = measure_space(space, ["positive_distance"]).curves
    (curve,) = [c for c in values if c.name == "queries"]
    expected = curve.frame().set_index("query_id").positive_distance
    for query, mean in frame.groupby("query_id").distance.mean().items():
        assert mean == pytest.approx(expected[query], abs=2e-6)


def test_the_nearest_are_the_best_by_rank_and_neighbors_are_so_many() -> None:
    space = made("dot")
    nearest = space.distances("q2", to="nearest")
    assert list(nearest["rank"]) == list(range(1, 11))
    everything = space.distances("q2", to="all").sort_values("rank").reset_index(drop=True)
    few, many = space.neighbors("q2", k=4), space.neighbors("q2", k=999)
    pd.testing.assert_frame_equal(few, everything.head(4))
    pd.testing.assert_frame_equal(many, everything)
    for k in (0, -1):
        with pytest.raises(UsageError, match="allowed: 1 or more"):
            space.neighbors("q2", k=k)


def test_random_documents_are_repeated_by_their_seed() -> None:
    space = made()
    one, two = (space.distances(to="random", random_state=seed) for seed in (1, 2))
    pd.testing.assert_frame_equal(one, space.distances(to="random", random_state=1))
    assert list(one.doc_id) != list(two.doc_id)
    assert (one.groupby("query_id").size() == 10).all()
    assert one.grade.isna().any()


def test_rows_that_are_not_kept_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = made().distances(to="nearest")
    monkeypatch.setattr("anisotropy.spaces.pairs._KEPT_BYTES", 0)
    monkeypatch.setattr("anisotropy.spaces.pairs._BLOCK_ROWS", 7)
    pd.testing.assert_frame_equal(made().distances(to="nearest"), kept)
    space = made()
    space.documents = ShardedRows([space.documents[:11], space.documents[11:]])
    pd.testing.assert_frame_equal(space.distances(to="nearest"), kept)


def test_texts_come_from_the_collection_where_the_space_has_none() -> None:
    space = made(doc_texts=None, query_texts=None, collection=FakeCollection(30, 12))
    frame = space.distances("q1")
    assert frame.text[0].startswith("word")
    assert frame.query_text[0].startswith("word")
    nothing = made(doc_texts=None, query_texts=None).distances("q1")
    assert nothing.text.isna().all()
    assert nothing.query_text.isna().all()


def test_a_text_stays_text_in_a_notebook() -> None:
    html = made(doc_texts=[EVIL] * 30, query_texts=[EVIL] * 12).distances()._repr_html_()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script" not in html


def test_no_positive_gives_no_row() -> None:
    frame = made(qrels={}).distances()
    assert list(frame.columns) == COLUMNS
    assert len(frame) == 0


def test_what_is_not_allowed_is_said() -> None:
    space = made()
    for settings, said in (
        ({"query_id": "q99"}, "no query has the id 'q99'"),
        ({"to": "all"}, "needs one query_id"),
        ({"metric": "cosin"}, "did you mean 'cosine'"),
        ({"on": "center"}, "allowed: unit, raw"),
    ):
        with pytest.raises(UsageError, match=said):
            space.distances(**settings)  # type: ignore[arg-type]


def test_a_vector_of_zeros_has_no_direction() -> None:
    space = made("dot")
    documents = np.array(space.documents)
    documents[5] = 0
    space.documents = documents
    assert len(space.distances("q1", to="all", on="raw")) == 30
    with pytest.raises(EmbeddingsError, match="a vector of zeros has no direction"):
        space.distances("q1", to="all")
