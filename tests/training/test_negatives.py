"""Negatives: exact, without positives, uniform over the top, seeded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from anisotropy.errors import CollectionError
from anisotropy.training.negatives import draw_random, mine, mine_lists


def spaces(seed: int, anchors: int = 7, items: int = 30) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    draw = generator.normal(size=(anchors + items, 5)).astype(np.float32)
    return draw[:anchors], draw[anchors:]


def top_twin(anchors: np.ndarray, items: np.ndarray, depth: int) -> list[set[int]]:
    scores = anchors @ items.T
    return [set(np.argsort(-row, kind="stable")[:depth].tolist()) for row in scores]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 999), st.integers(4, 40), st.integers(1, 6))
def test_negatives_are_top_items_and_never_positives(seed: int, depth: int, kept: int) -> None:
    anchors, items = spaces(seed)
    generator = np.random.default_rng(seed)
    positives = [frozenset(generator.choice(30, 3).tolist()) for _ in anchors]
    found = mine(anchors, items, positives, depth=depth, kept=kept, generator=generator)
    tops = top_twin(anchors, items, depth)
    for row, own in enumerate(positives):
        chosen = found.items[row, : found.counts[row]].tolist()
        assert len(set(chosen)) == len(chosen) == min(kept, len(tops[row] - own))
        assert set(chosen) <= tops[row] - own
        assert (found.items[row, found.counts[row] :] == -1).all()


def test_every_item_of_the_top_is_equally_likely() -> None:
    anchors, items = spaces(3, anchors=1)
    generator = np.random.default_rng(5)
    top = sorted(top_twin(anchors, items, 12)[0] - {int((anchors @ items.T).argmax())})
    positives = [{int((anchors @ items.T).argmax())}]
    counts = dict.fromkeys(top, 0)
    for _ in range(1500):
        found = mine(anchors, items, positives, depth=12, kept=4, generator=generator)
        counts[int(found.draw(np.array([0]), generator)[0])] += 1
    assert chisquare(list(counts.values())).pvalue > 0.01


def test_the_same_generator_gives_the_same_negatives() -> None:
    anchors, items = spaces(4)
    none = [frozenset[int]()] * len(anchors)

    def found(seed: int) -> list[int]:
        generator = np.random.default_rng(seed)
        mined = mine(anchors, items, none, depth=20, kept=5, generator=generator)
        return [*mined.items.ravel().tolist(), *mined.draw(np.array([0, 0, 6]), generator)]

    assert found(1) == found(1)
    assert found(1) != found(2)


def test_an_anchor_without_any_negative_is_one_clear_line() -> None:
    anchors, items = spaces(4)
    positives = [frozenset[int]()] * 6 + [frozenset(range(30))]
    with pytest.raises(
        CollectionError, match=r"all 10 nearest items of anchor 6 are its positives"
    ):
        mine(anchors, items, positives, depth=10, kept=2, generator=np.random.default_rng(0))


def test_best_are_the_first_of_the_ranking_and_take_no_chance() -> None:
    anchors, items = spaces(6)
    generator = np.random.default_rng(1)
    before = generator.bit_generator.state
    ranking = np.argsort(-(anchors @ items.T), axis=1, kind="stable")
    positives = [{int(row[0]), int(row[2])} for row in ranking]
    found = mine(anchors, items, positives, depth=12, kept=4, order="best", generator=generator)
    assert found.items.tolist() == ranking[:, [1, 3, 4, 5]].tolist()
    assert generator.bit_generator.state == before


def test_random_negatives_are_even_over_all_others() -> None:
    generator = np.random.default_rng(2)
    counts = np.zeros(9)
    for _ in range(800):
        found = draw_random(9, [{1, 4}, frozenset()], kept=3, generator=generator)
        assert len(set(found.of(0))) == 3
        counts[found.of(0)] += 1
    assert not counts[[1, 4]].any()
    assert chisquare(counts[counts > 0]).pvalue > 0.01
    few = draw_random(4, [{0, 1, 2}], kept=3, generator=generator)
    assert (few.of(0), few.counts.tolist()) == ([3], [1])
    with pytest.raises(CollectionError, match="all 2 items are positives of anchor 0"):
        draw_random(2, [{0, 1}], generator=generator)


def test_lists_without_anything_left_are_filled_by_chance() -> None:
    ranked = np.array([[5, 2, 7], [3, -1, -1], [-1, -1, -1]])
    generator = np.random.default_rng(3)
    found = mine_lists(ranked, 10, [{2}, {3}, {0}], kept=5, order="best", generator=generator)
    assert found.of(0) == [5, 7]
    assert len(set(found.of(1))) == len(set(found.of(2))) == 5
    assert 3 not in found.of(1)
    assert 0 not in found.of(2)


def test_lists_at_their_rows() -> None:
    anchors, items = spaces(4)
    none = [frozenset[int]()] * len(anchors)
    found = mine(anchors, items, none, depth=9, kept=3, generator=np.random.default_rng(0))
    spread = found.spread(np.array([1, 3, 5, 7, 9, 11, 13]), 15)
    assert [spread.of(row) for row in range(1, 15, 2)] == [found.of(row) for row in range(7)]
    assert spread.counts[::2].tolist() == [0] * 8
