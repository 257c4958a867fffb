"""Near-duplicates: the fast search against every pair, and what counts as near."""

from __future__ import annotations

import itertools
import random

from anisotropy.collection.near import SIMILARITY, Groups, near_duplicates


def literal(texts: list[list[str]]) -> list[int]:
    """Group every pair of similar shingle sets, without hashing."""
    sets = [
        {tuple(words[start : start + 3]) for start in range(max(len(words) - 2, 1))}
        for words in texts
    ]
    groups = Groups(len(texts))
    for one, other in itertools.combinations(range(len(texts)), 2):
        shared = len(sets[one] & sets[other])
        if shared >= SIMILARITY * len(sets[one] | sets[other]):
            groups.join(one, other)
    return [groups.find(item) for item in range(len(texts))]


def found(texts: list[list[str]]) -> list[int]:
    groups = Groups(len(texts))
    near_duplicates(texts, groups)
    return [groups.find(item) for item in range(len(texts))]


def varied(seed: int) -> list[list[str]]:
    draw = random.Random(seed)
    words = [f"w{number}" for number in range(400)]
    texts = []
    for _ in range(40):
        text = draw.choices(words, k=draw.randint(1, 60))
        for changes in (0, 1, 3, 8):
            copy = list(text)
            for _ in range(changes):
                copy[draw.randrange(len(copy))] = draw.choice(words)
            texts.append(copy)
    draw.shuffle(texts)
    return texts


def test_against_every_pair() -> None:
    for seed in range(4):
        texts = varied(seed)
        groups = literal(texts)
        assert found(texts) == groups
        assert 40 < len(set(groups)) < 140


def test_the_order_of_texts_does_not_matter() -> None:
    texts = varied(9)
    order = random.Random(1).sample(range(len(texts)), len(texts))
    straight, shuffled = found(texts), found([texts[item] for item in order])
    for one, other in itertools.combinations(range(len(texts)), 2):
        joined = straight[order[one]] == straight[order[other]]
        assert (shuffled[one] == shuffled[other]) == joined


def test_joining_is_transitive_and_keeps_the_smallest() -> None:
    groups = Groups(5)
    groups.join(4, 2)
    groups.join(1, 4)
    assert [groups.find(item) for item in range(5)] == [0, 1, 1, 3, 1]


def test_few_words_and_no_texts() -> None:
    assert found([]) == []
    assert found([["a"], ["b"], ["a"], ["a", "b"], ["b", "a"], ["a", "b"]]) == [0, 1, 0, 3, 4, 3]
