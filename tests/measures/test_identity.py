"""A measure is a value with a text identity."""

import pytest

from anisotropy.errors import UsageError
from anisotropy.measures import (
    HEADLINE,
    all_families,
    default_measures,
    definition_of,
    expand,
    headline_of,
    parse,
    parse_all,
    registry,
    split_list,
)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("mean_cosine", "mean_cosine"),
        (" uniformity( t = 2.0 ) ", "uniformity(t=2)"),
        ("uniformity", "uniformity(t=2)"),
        ("uniformity(t=2.5)", "uniformity(t=2.5)"),
        ("alignment", "alignment(alpha=2)"),
        ("hubness_gini", "hubness_gini(k=10)"),
        ("gap(corrected=True)", "gap"),
        ("gap(corrected=False)", "gap(corrected=False)"),
        ("negative_probability_kl(role=queries)", "negative_probability_kl(k=200)"),
        (
            "negative_probability_gini(center=sides,role=documents,k=10)",
            "negative_probability_gini(k=10, role=documents, center=sides)",
        ),
        ("nDCG@10", "nDCG@10"),
        ("RR", "RR@10"),
        ("R@5", "R@5"),
    ],
)
def test_the_text_is_canonical_and_parses_to_an_equal_value(text: str, canonical: str) -> None:
    measure = parse(text)
    assert str(measure) == canonical
    assert parse(canonical) == measure
    assert hash(parse(canonical)) == hash(measure)


def test_every_default_measure_round_trips_and_is_listed_once() -> None:
    texts = [str(m) for m in default_measures()]
    assert len(set(texts)) == len(texts)
    assert [str(parse(text)) for text in texts] == texts
    assert {"uniformity(t=2)", "uniformity(t=5)", "nDCG@10"} <= set(texts)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("mean_cosin", "did you mean 'mean_cosine'"),
        ("uniformity(tt=2)", "did you mean 't'"),
        ("uniformity(t=-1)", "and above"),
        ("uniformity(t=two)", "a number"),
        ("uniformity(t=nan)", "and above"),
        ("hubness_gini(k=0)", "1 and above"),
        ("hubness_gini(k=1.5)", "a whole number"),
        ("negative_probability_kl(role=document)", "did you mean 'documents'"),
        ("gap(corrected=maybe)", "True or False"),
        ("mean_cosine(k=3)", "takes no parameter"),
        ("uniformity(2)", "name=value"),
        ("uniformity(t=2,t=3)", "twice"),
        ("nDCG@ten", "a whole number"),
        ("uniformity(t=2", "measure"),
        ("", "measure"),
    ],
)
def test_mistakes_are_one_line_with_what_is_allowed(text: str, part: str) -> None:
    with pytest.raises(UsageError, match=r".+") as caught:
        parse(text)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_mistakes_come_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        parse_all(["mean_cosin", "uniformity(t=x, u=2)", "gap"])
    for part in ("mean_cosin", "t: got 'x'", "'u'"):
        assert part in str(caught.value)


def test_lists_are_split_outside_parentheses() -> None:
    text = "gap, negative_probability_kl(k=10,role=documents),nDCG@10,"
    assert split_list(text) == ["gap", "negative_probability_kl(k=10,role=documents)", "nDCG@10"]


def test_every_definition_says_what_it_sees_and_is_blind_to() -> None:
    names = {family.name for family in all_families()}
    assert {d.family for d in registry()} == names
    for d in registry():
        assert d.formula
        assert d.up
        assert d.sees
        assert d.blind
        assert d.reference
        assert d.low < d.high
        assert d.places
        assert bool(d.better) == bool(d.word)
        assert (d.compute is None) != (d.between is None) or d.counted
        assert set(d.needs) <= {"moments", "pairs", "neighbors", "positives"}


def test_the_headline_is_fixed_and_names_measures_that_exist() -> None:
    assert len(HEADLINE) == 15
    for row in HEADLINE:
        definition = definition_of(row.measure)
        assert str(parse(row.measure)) == row.measure
        assert (row.side, row.on) in definition.places_of(parse(row.measure))
        assert (definition.better, definition.word) == (row.direction, row.word)
        assert headline_of(row.side, row.measure, row.on) == row


def test_headline_rows_of_mining_hold_for_any_k_but_not_centered() -> None:
    assert headline_of("queries", "negative_probability_kl(k=10)", "recipe") == HEADLINE[10]
    assert headline_of("queries", "negative_probability_kl(k=10, center=sides)", "recipe") is None
    assert headline_of("queries", "mean_cosine", "raw") is None


def test_all_and_default_stand_for_many() -> None:
    default = [m.text for m in default_measures()]
    assert expand(["default"]) == default
    whole = expand(["all", "gap"])
    assert set(default) <= set(whole)
    assert len(set(whole)) == len(whole)
    assert "cka" not in whole
    likenesses = {"cka", "procrustes", "mutual_knn(k=10)", "rbo(p=0.9)",
                  "negative_probability_shift(k=200)",
                  "negative_probability_agreement(k=200)"}  # fmt: skip
    assert set(expand(["all"], between=True)) - set(whole) == likenesses
    assert expand(["cka", " uniformity( t = 2.0 ) "]) == ["cka", "uniformity(t=2)"]


def test_mistakes_beside_all_come_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        expand(["all", "mean_cosin", "gapp"])
    assert "mean_cosin" in str(caught.value)
    assert "gapp" in str(caught.value)
    with pytest.raises(UsageError, match="got an empty list; allowed: all, default"):
        expand([])
