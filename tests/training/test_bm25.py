"""BM25: against its formula, the run of a collection, published numbers on real ones."""

from __future__ import annotations

import math
import sys
from collections import Counter
from pathlib import Path

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import RR, nDCG

from anisotropy.collection import Collection, open_collection
from anisotropy.errors import CollectionError, MissingExtra, UsageError
from anisotropy.training import bm25_ranking
from anisotropy.training.bm25 import Bm25Index, LexicalLists, words

TEXTS = [["a", "b", "a"], ["b"], [], ["c", "a", "d", "d", "d"], ["a", "b", "a"]]


def twin(texts: list[list[str]], query: list[str], k1: float, b: float) -> list[float]:
    """Lucene's BM25 word by word (k1 + 1 in the numerator dropped, as since Lucene 8)."""
    n, mean = len(texts), sum(map(len, texts)) / len(texts) or 1
    scores = []
    for text in texts:
        counts, score = Counter(text), 0.0
        for word in query:
            having = sum(word in other for other in texts)
            idf = math.log(1 + (n - having + 0.5) / (having + 0.5))
            norm = k1 * (1 - b + b * len(text) / mean)
            score += idf * counts[word] / (counts[word] + norm) if counts[word] else 0.0
        scores.append(score)
    return scores


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abcde"), max_size=6), min_size=1, max_size=7),
    st.lists(st.sampled_from("abcxy"), max_size=5),
    st.sampled_from([(1.2, 0.75), (0.9, 0.4), (2.0, 1.0)]),
)
def test_the_formula(texts: list[list[str]], query: list[str], k: tuple[float, float]) -> None:
    found = Bm25Index(texts, k1=k[0], b=k[1]).scores(query)
    np.testing.assert_allclose(found, twin(texts, query, *k), rtol=1e-5, atol=1e-7)


def test_the_top_shares_a_word_and_ties_keep_the_order() -> None:
    rows, scores = Bm25Index(TEXTS).top(["a", "z"], 10)
    assert rows.tolist() == [0, 4, 3]
    assert scores[0] == scores[1] > scores[2] > 0
    assert Bm25Index(TEXTS).top(["a"], 2)[0].tolist() == [0, 4]
    assert Bm25Index(TEXTS).top(["z"], 2)[0].tolist() == []
    assert Bm25Index([[], []]).top(["a"], 2)[0].tolist() == []


def test_words() -> None:
    assert words("Don't STOP: x_1 β-Carotene, 3.5%") == [
        "don", "t", "stop", "x", "1", "β", "carotene", "3", "5",
    ]  # fmt: skip
    assert words("Runs ran", lambda word: word[:3]) == ["run", "ran"]


def test_a_ranking_of_a_collection(made_up: Collection) -> None:
    """Queries are in the other language: no word is shared, and no document is made up."""
    assert bm25_ranking(made_up) == {q.query_id: [] for q in made_up.queries()}
    stemmed = bm25_ranking(made_up, "train", depth=7, stem=lambda word: sorted(word)[0])
    assert list(stemmed) == [q.query_id for q in made_up.queries("train")]
    ids = {d.doc_id for d in made_up.documents()}
    for ranking in stemmed.values():
        scores = [score for _, score in ranking]
        assert len(ranking) == 7
        assert scores == sorted(scores, reverse=True)
        assert {name for name, _ in ranking} <= ids


def test_lists_of_both_sides_are_kept(made_up: Collection) -> None:
    doc_ids = [d.doc_id for d in made_up.documents()]
    query_ids = [q.query_id for q in made_up.queries("train")]
    lists = LexicalLists(made_up, "train", doc_ids, query_ids)
    rows = np.array([3, 1])
    assert (lists.documents(rows, 5) == -1).all()
    assert lists.documents(rows, 5).shape == (2, 5)
    assert lists.queries(rows, 4).shape == (2, 4)


def test_bad_arguments(made_up: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"BM25: got k1 -1, b 0.75; allowed: k1 0 or more"):
        bm25_ranking(made_up, k1=-1)
    with pytest.raises(UsageError, match="depth: got 0"):
        bm25_ranking(made_up, depth=0)
    with pytest.raises(CollectionError, match="unknown split: got 'tset'"):
        bm25_ranking(made_up, "tset")
    monkeypatch.setitem(sys.modules, "bm25s", None)
    with pytest.raises(MissingExtra, match=r"BM25 needs the extra 'train': pip install"):
        bm25_ranking(made_up)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "gain", "reciprocal"), [("cranfield", 0.334, 0.494), ("scifact", 0.663, 0.631)]
)
def test_real_collections(real_data: Path, name: str, gain: float, reciprocal: float) -> None:
    """Lucene's analyzer, which stems, gives .360/.522 and .679/.643; Porter's stemmer here
    .360/.524 and .684/.648.
    """
    collection = open_collection(real_data / name, split="test")
    run = {q: dict(ranking) for q, ranking in bm25_ranking(collection).items()}
    found = ir_measures.calc_aggregate([nDCG @ 10, RR @ 10], collection.qrels(), run)
    assert found[nDCG @ 10] == pytest.approx(gain, abs=0.002)
    assert found[RR @ 10] == pytest.approx(reciprocal, abs=0.002)
