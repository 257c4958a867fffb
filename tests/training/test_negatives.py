"""Negatives: exact, without positives, uniform over the top, seeded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from anisotropy.errors import CollectionError
from anisotropy.training.negatives import mine


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
