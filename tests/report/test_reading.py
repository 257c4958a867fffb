# ruff: noqa: E501  the rules are tables
"""The rules of the opening: each says one thing, its opposite, not shown, and not tested."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import replace

import numpy as np
import pytest

from anisotropy.comparison.deciding import LEAST_SEEDS
from anisotropy.measures.headline import DISTANCE, HEADLINE, ISOTROPY, NEGATIVES, RANKING
from anisotropy.measures.headline import UNIFORMITY as SPREAD
from anisotropy.report.front import bears, in_doubt, opening
from anisotropy.report.reading import (
    ABSENT,
    DOWN,
    UNCLEAR,
    UNTESTED,
    UP,
    against_null,
    overall,
    read_chance,
    read_pair,
    state,
)
from anisotropy.results import Association, Curve, Difference, Measurement, Results, Withheld
from tests.plots.sample import analysis, comparison, reproduction, thin

Place = tuple[str, str, str]
CONE = ("queries", "mean_cosine", "unit")
DOC_CONE = ("documents", "mean_cosine", "unit")
SPECTRUM = ("queries", "participation_ratio", "unit")
DOC_SPECTRUM = ("documents", "participation_ratio", "unit")
UNIFORMITY = ("queries", "uniformity(t=2)", "unit")
DOC_UNIFORMITY = ("documents", "uniformity(t=2)", "unit")
CENTERED = ("queries", "uniformity(t=2)", "center>unit")
DOC_CENTERED = ("documents", "uniformity(t=2)", "center>unit")
ALIGNMENT = ("positives", "alignment(alpha=2)", "unit")
GAP = ("cross", "gap", "unit")
RELATIVE_GAP = ("cross", "relative_gap", "unit")
RELATIVE = ("positives", "relative_positive_distance", "unit")
PERCENTILE = ("positives", "positive_percentile", "unit")
POSITIVE = ("positives", "positive_distance", "unit")
KL = ("queries", "negative_probability_kl(k=200)", "recipe")
DOC_KL = ("documents", "negative_probability_kl(k=200, role=documents)", "recipe")
KL_CENTERED = ("queries", "negative_probability_kl(k=200, center=sides)", "recipe")
NDCG = ("ranking", "nDCG@10", "recipe")
RECALL = ("ranking", "R@100", "recipe")
DUAL = ("dual_ranking", "RR@10", "recipe")
HEAD = {(row.side, row.measure, row.on) for row in HEADLINE}
_DELTA = {UP: 0.25, DOWN: -0.25, UNCLEAR: 0.01}


def difference(place: Place, moved: str) -> Difference:
    """A row that went that way, was not clear, or, as ``up untested``, has no interval."""
    side, measure, on = place
    way, _, untested = moved.partition(" ")
    delta = _DELTA.get(way, 0.25)
    low, high = (math.nan, math.nan) if untested or way == UNTESTED else (delta - 0.1, delta + 0.1)
    p = math.nan if math.isnan(low) else 0.9 if way == UNCLEAR else 0.001
    return Difference(side, "", measure, on, 0.5, 0.5 + delta, delta, 0.05, low, high, p=p,
                      p_holm=p, headline=place in HEAD, space="B", baseline="A")  # fmt: skip


def pair(
    moved: dict[Place, str],
    links: tuple[Association, ...] = (),
    curves: tuple[Curve, ...] = (),
) -> Results:
    deltas = [difference(place, way) for place, way in moved.items() if way != ABSENT]
    spaces = [{"label": label, "recipe": {"similarity": "cosine"}} for label in "AB"]
    return Results(spaces=spaces, deltas=deltas, links=list(links), curves=list(curves))


def said(moved: dict[Place, str], group: str, mining: tuple[Curve, ...] = ()) -> str:
    readings = read_pair(pair(moved, curves=mining))
    (meaning,) = [" ".join(one.meaning) for one in readings if one.group == group]
    return meaning


@pytest.mark.parametrize("way", [UP, DOWN, UNCLEAR, UNTESTED])
def test_states_are_those_of_the_rows(way: str) -> None:
    assert state(difference(CONE, way)) == way
    assert state(None) == ABSENT


@pytest.mark.parametrize(
    ("cone", "spectrum", "words"),
    [
        (DOWN, UP, "The common direction of the queries is weaker in B, and the variance around it "
                   "spreads over more directions (0.750, from 0.500)."),
        (UP, DOWN, "The common direction of the queries is stronger in B, and the variance around it "
                   "sits in fewer directions (0.250, from 0.500)."),
        (DOWN, DOWN, "weaker in B, but the variance around it sits in fewer directions (0.250, from "
                     "0.500): less of a cone, more collapsed."),
        (UP, UP, "stronger in B, but the variance around it spreads over more directions (0.750, "
                 "from 0.500): more of a cone, less collapsed."),
        (DOWN, UNCLEAR, "weaker in B; that the spread around it changed is not shown: the cone "
                        "changed, the shape not visibly."),
        (UP, UNCLEAR, "stronger in B; that the spread around it changed is not shown: the cone "),
        (UNCLEAR, UP, "That the common direction of the queries changed is not shown; the variance "
                      "around it spreads over more directions"),
        (UNCLEAR, UNCLEAR, "No change of the common direction of the queries, or of the spread "
                           "around it, is shown."),
        (DOWN, UNTESTED, "weaker in B, and the spread around it was not tested."),
        (DOWN, ABSENT, "The common direction of the queries is weaker in B."),
        (ABSENT, DOWN, "The variance of the queries sits in fewer directions"),
    ],
)  # fmt: skip
def test_isotropy(cone: str, spectrum: str, words: str) -> None:
    assert words in said({CONE: cone, SPECTRUM: spectrum}, ISOTROPY)


@pytest.mark.parametrize(
    ("cone", "spectrum", "way"),
    [("down untested", "up untested", "the same way"), ("up untested", "down untested", "the other way"),
     ("down untested", "down untested", "differently")],
)  # fmt: skip
def test_documents_that_are_not_tested_are_called_so(cone: str, spectrum: str, way: str) -> None:
    moved = {CONE: DOWN, SPECTRUM: UP, DOC_CONE: cone, DOC_SPECTRUM: spectrum}
    assert f"so not tested, moved {way}." in said(moved, ISOTROPY)
    unclear = {**moved, CONE: UNCLEAR, SPECTRUM: UNCLEAR}
    assert "documents" not in said(unclear, ISOTROPY)


def test_a_group_of_rows_without_a_test_says_so() -> None:
    assert said({DOC_CONE: UNTESTED, DOC_SPECTRUM: UNTESTED}, ISOTROPY) == "Not tested."


def test_what_is_not_a_number_went_nowhere() -> None:
    row = replace(difference(CONE, DOWN), delta=math.nan)
    assert state(row) == UNTESTED
    results = pair({})
    results.deltas = [row]
    (reading,) = read_pair(results)
    assert (reading.changed, reading.untested) == ((), (row,))


def test_rounding_moves_nothing() -> None:
    results = pair({CONE: DOWN, KL: DOWN})
    for place in (DOC_CONE, KL_CENTERED):
        row = difference(place, UNTESTED)
        results.deltas.append(replace(row, b=row.a + 1e-12, delta=1e-12))
    meaning = " ".join(text for reading in read_pair(results) for text in reading.meaning)
    assert "documents" not in meaning
    assert "centered" not in meaning


def test_documents_that_are_tested_have_a_sentence() -> None:
    both = dict.fromkeys((CONE, DOC_CONE), DOWN) | dict.fromkeys((SPECTRUM, DOC_SPECTRUM), UNCLEAR)
    assert "of the queries and documents is weaker" in said(both, ISOTROPY)
    apart = said({**both, DOC_CONE: UP}, ISOTROPY)
    assert "of the queries is weaker" in apart
    assert "of the documents is stronger" in apart


@pytest.mark.parametrize(
    ("spread", "cone", "aligned", "words"),
    [
        (DOWN, DOWN, UP, ["queries are more spread out", "as a weaker common direction alone",
                          "Relevant pairs are farther apart, as random pairs are with a weaker common "
                          "direction."]),
        (UP, UP, DOWN, ["queries are more clumped", "as a stronger common direction alone",
                        "Relevant pairs are closer, as random pairs are with a stronger common "
                        "direction."]),
        (UP, DOWN, DOWN, ["though the common direction is weaker. Relevant pairs are closer, while the "
                          "queries clumped."]),
        (UP, UNCLEAR, DOWN, ["Relevant pairs are closer, while the queries clumped."]),
        (DOWN, UP, UP, ["Relevant pairs are farther apart, while the queries spread out."]),
        (DOWN, ABSENT, UP, ["Relevant pairs are farther apart, while the queries spread out."]),
        (DOWN, UNCLEAR, DOWN, ["though no change of the common direction is shown",
                               "closer although the queries spread out."]),
        (UP, UNCLEAR, UP, ["farther apart although the queries clumped."]),
        (UP, DOWN, UP, ["clumped on the sphere in B, though the common direction is weaker."]),
        (DOWN, UP, UP, ["spread out on the sphere in B, though the common direction is stronger."]),
        (DOWN, ABSENT, UP, ["more spread out on the sphere in B."]),
        (UNCLEAR, DOWN, UNCLEAR, ["That the queries spread out or clumped is not shown",
                                  "That relevant pairs moved closer or apart is not shown"]),
        (UNCLEAR, DOWN, DOWN, ["closer in absolute terms"]),
        (UNCLEAR, DOWN, UP, ["farther apart in absolute terms"]),
        (UNTESTED, DOWN, UNTESTED, ["Whether the queries spread out was not tested",
                                    "Whether relevant pairs moved was not tested"]),
    ],
)  # fmt: skip
def test_uniformity(spread: str, cone: str, aligned: str, words: list[str]) -> None:
    text = said({UNIFORMITY: spread, CONE: cone, ALIGNMENT: aligned}, SPREAD)
    assert all(part in text for part in words), text


@pytest.mark.parametrize("documents", [DOWN, UP, UNCLEAR, UNTESTED, "down untested", ABSENT])
@pytest.mark.parametrize(("spread", "went"), [(DOWN, "spread out"), (UP, "clumped")])
def test_the_space_is_both_sides(spread: str, went: str, documents: str) -> None:
    moved = {UNIFORMITY: spread, DOC_UNIFORMITY: documents, ALIGNMENT: spread}
    who = "space" if documents == spread else "queries"
    assert said(moved, SPREAD).endswith(f"although the {who} {went}.")


@pytest.mark.parametrize("documents", [DOWN, UP, UNCLEAR, UNTESTED, "down untested", ABSENT])
@pytest.mark.parametrize("cone", [DOWN, UP, UNCLEAR, UNTESTED, "down untested", ABSENT])
@pytest.mark.parametrize("aligned", [DOWN, UP])
def test_a_common_direction_is_a_cause_only_where_it_moved_that_way(
    aligned: str, cone: str, documents: str
) -> None:
    """A stronger one draws pairs together, a weaker one lets them go; the sides must not disagree."""
    other = UP if aligned == DOWN else DOWN
    against = documents.partition(" ")[0] in (
        aligned,
        *((UNCLEAR, UNTESTED) if other == DOWN else ()),
    )
    cause = cone == other and not against
    cones = {CONE: cone, DOC_CONE: documents}
    words = f"{'weaker' if other == DOWN else 'stronger'} common direction"
    text = said({**cones, RELATIVE: UNCLEAR, PERCENTILE: UNCLEAR, ALIGNMENT: aligned}, DISTANCE)
    grew = "fell" if aligned == DOWN else "grew"
    assert text.startswith(f"Only absolute distances {grew}")
    assert ("common direction" in text) == cause
    assert (f", as a {words} makes them:" in text) == cause
    pairs = said({**cones, UNIFORMITY: other, ALIGNMENT: aligned}, SPREAD).split(". ")[-1]
    assert pairs.endswith(f"as random pairs are with a {words}.") == cause
    assert ("common direction" in pairs) == cause


def test_sides_share_a_sentence_only_where_their_cones_agree() -> None:
    both = {UNIFORMITY: DOWN, DOC_UNIFORMITY: DOWN, CONE: DOWN}
    assert "The queries and documents are more spread" in said({**both, DOC_CONE: DOWN}, SPREAD)
    apart = said({**both, DOC_CONE: UP}, SPREAD)
    assert "The queries are more spread out on the sphere in B, as a weaker common" in apart
    assert "The documents are more spread out on the sphere in B, though the common" in apart


def test_uniformity_without_the_cone_has_its_numbers() -> None:
    moved = {UNIFORMITY: DOWN, CONE: DOWN, CENTERED: "down untested"}
    assert "(queries without it: 0.2500, from 0.5000; exploratory, not tested)" in said(
        moved, SPREAD
    )
    assert "not tested" not in said({**moved, CENTERED: UNCLEAR}, SPREAD)


@pytest.mark.parametrize(
    ("relative", "rank", "aligned", "words"),
    [
        (DOWN, DOWN, DOWN, "relevant documents are closer in B, and fewer documents lie nearer"),
        (UP, UP, DOWN, "relevant documents are farther in B, and more documents lie nearer"),
        (DOWN, UP, DOWN, "but more documents lie nearer to a query than its relevant one: that "
                         "queries moved closer is not shown."),
        (DOWN, UNCLEAR, DOWN, "are closer in B; their rank is not shown to change."),
        (UP, UNCLEAR, UP, "are farther in B; their rank is not shown to change."),
        (UNCLEAR, DOWN, UP, "In B fewer documents lie nearer to a query than its relevant one; the "
                            "distance against random pairs is not shown to change."),
        (UNCLEAR, UP, UP, "In B more documents lie nearer"),
        (UNCLEAR, UNCLEAR, DOWN, "Only absolute distances fell: that queries moved closer, or away, "
                                 "is not shown."),
        (UNCLEAR, UNCLEAR, UP, "Only absolute distances grew"),
        (UNCLEAR, UNCLEAR, UNCLEAR, "That queries moved closer to their documents, or away, is not "
                                    "shown."),
        (UNTESTED, UNTESTED, DOWN, "Whether queries moved closer was not tested."),
    ],
)  # fmt: skip
def test_distance(relative: str, rank: str, aligned: str, words: str) -> None:
    text = said({RELATIVE: relative, PERCENTILE: rank, ALIGNMENT: aligned}, DISTANCE)
    assert words in text


@pytest.mark.parametrize(
    ("gap", "relative", "words"),
    [
        (DOWN, DOWN, "two sides are closer, also over the spread within the sides (exploratory)"),
        (UP, UP, "two sides are farther apart, also over the spread within the sides"),
        (UP, DOWN, "farther apart, but over the spread within the sides closer (exploratory)"),
        (UP, UNCLEAR, "farther apart; over the spread within the sides that is not shown"),
        (DOWN, ABSENT, "The centers of the two sides are closer."),
        (UNCLEAR, UP, "That the centers of the two sides moved is not shown."),
    ],
)
def test_gap(gap: str, relative: str, words: str) -> None:
    assert words in said({RELATIVE: UNCLEAR, GAP: gap, RELATIVE_GAP: relative}, DISTANCE)


@pytest.mark.parametrize(
    ("queries", "documents", "words"),
    [
        (DOWN, DOWN, "Queries and documents are drawn more evenly as negatives in B."),
        (UP, UP, "Queries and documents are drawn less evenly as negatives in B."),
        (DOWN, UP, "Queries are drawn more evenly as negatives in B; documents are drawn less"),
        (DOWN, UNCLEAR, "more evenly as negatives in B; that documents are drawn more or less "),
        (UNCLEAR, ABSENT, "That queries are drawn more or less evenly as negatives is not shown."),
        (UNTESTED, ABSENT, "How evenly queries are drawn was not tested."),
    ],
)
def test_negatives(queries: str, documents: str, words: str) -> None:
    assert words in said({KL: queries, DOC_KL: documents}, NEGATIVES)


@pytest.mark.parametrize(
    ("centered", "words"),
    [
        (DOWN, "queries still go the same way, so an offset between the sides is not all of it "
               "(exploratory)."),
        (UP, "queries go the other way, so an offset between the sides has a part in it"),
        (UNCLEAR, "no difference is shown for queries, so an offset between the sides may be what"),
        ("down untested", "go the same way, so an offset between the sides is not all of it "
                          "(exploratory, in part not tested)."),
        ("up untested", "queries go the other way"),
        (ABSENT, ""),
    ],
)  # fmt: skip
def test_an_offset_is_the_other_explanation(centered: str, words: str) -> None:
    text = said({KL: DOWN, KL_CENTERED: centered}, NEGATIVES)
    assert words in text
    assert ("offset" in text) == bool(words)
    assert "offset" not in said({KL: UNCLEAR, KL_CENTERED: centered}, NEGATIVES)


@pytest.mark.parametrize(
    ("similarities", "words"),
    [
        (("dot", "cosine"), "The control of an offset between the sides (each side centered) is no like "
                            "for like between dot product and cosine, and decides nothing here."),
        (("cosine", "euclidean"), "between cosine and Euclidean distance, and decides nothing here."),
        (("dot", ""), "decides nothing here: by what both score is not recorded."),
        (("", ""), "decides nothing here: by what both score is not recorded."),
        (("dot", "dot"), "an offset between the sides is not all of it"),
    ],
)  # fmt: skip
def test_an_offset_is_controlled_only_between_spaces_that_score_alike(
    similarities: tuple[str, str], words: str
) -> None:
    """Under dot product centered rows keep their lengths, under cosine not."""
    results = pair({KL: DOWN, KL_CENTERED: DOWN})
    for space, one in zip(results.spaces, similarities, strict=True):
        space["recipe"] = {"similarity": one} if one else None
    (reading,) = read_pair(results)
    assert words in reading.meaning[-1]
    assert ("same way" in reading.meaning[-1]) == (similarities == ("dot", "dot"))
    results.deltas = results.deltas[:1]
    (reading,) = read_pair(results)
    assert "offset" not in " ".join(reading.meaning)


def mining(share: float) -> Curve:
    columns = {"k": np.array([10, 200]), "k_share": np.array([0.001, share]),
               "items": np.array([1000, 1000])}  # fmt: skip
    return Curve("mining", "A", "queries", columns)


def test_a_saturated_pool_decides_nothing() -> None:
    text = said({KL: DOWN, KL_CENTERED: DOWN}, NEGATIVES, mining=(mining(0.2),))
    assert text == (
        "Lists of 200 hold 20.0% of the pool of 1,000 queries and saturate it: this decides nothing."
    )
    assert "drawn more evenly" in said({KL: DOWN}, NEGATIVES, mining=(mining(0.05),))


def test_what_saturates_is_no_change_anywhere() -> None:
    """The summary, the lines, the asides and the doubts leave out the same rows."""
    results = pair({KL: DOWN, CONE: UNCLEAR, NDCG: UNCLEAR})
    results.curves = [mining(0.9)]
    front = opening(results, [results])
    assert front["summary"] == "Of what was tested, no difference between A and B is shown."
    (group,) = [one for one in front["blocks"][0]["groups"] if one["name"] == NEGATIVES]
    assert group["lines"] == []
    assert group["asides"] == ["decides nothing: negative_probability_kl(k=200) (queries)"]
    assert doubts(pair({KL: UNCLEAR, CONE: UNCLEAR}))["undecided"].startswith("2 ")
    for way in (UNCLEAR, UNTESTED):
        other = pair({KL: way, CONE: UNCLEAR})
        other.curves = [mining(0.9)]
        assert doubts(other)["undecided"].startswith("1 ")
        assert "not tested" not in doubts(other)
    assert overall(pair({KL: DOWN, DOC_KL: DOWN}, curves=(mining(0.9),))).startswith(
        "The geometry changed"
    )
    assert overall(pair({KL: DOWN, NDCG: UP}, curves=(mining(0.9),))) == (
        "What was compared of the geometry decides nothing; the ranking of documents is better in B."
    )


def test_only_negatives_saturate_a_pool() -> None:
    rows = {("queries", "hubness_gini(k=200)", "unit"): DOWN}
    results = pair(rows)
    results.deltas = [replace(row, headline=True) for row in results.deltas]
    results.curves = [mining(0.9)]
    assert overall(results).startswith("The geometry changed")


@pytest.mark.parametrize(
    ("p", "words"),
    [
        ((0.001, 0.001), "Both spaces are more uneven than draws at random."),
        ((0.4, 0.4), "That either space is more uneven than draws at random is not shown."),
        ((0.001, 0.4), "Only A is shown to be more uneven than draws at random."),
        ((0.4, 0.001), "Only B is shown to be more uneven than draws at random."),
    ],
)
def test_evenness_stands_against_its_null(p: tuple[float, float], words: str) -> None:
    results = pair({KL: DOWN})
    results.rows = [
        Measurement(label, KL[0], "negatives", KL[1], KL[2], 0.3, null_mean=0.1, null_p=one)
        for label, one in zip("AB", p, strict=True)
    ]
    (reading,) = read_pair(results)
    assert words in reading.meaning


@pytest.mark.parametrize(
    ("ndcg", "recall", "dual", "words"),
    [
        (UP, UNCLEAR, UNCLEAR, "The ranking of documents is better in B by nDCG@10; no change in the "
                               "ranking of queries for documents is shown."),
        (DOWN, UNCLEAR, UP, "of documents is worse in B by nDCG@10; the ranking of queries for "
                            "documents is better in B."),
        (UNTESTED, DOWN, ABSENT, "The ranking of documents is worse in B by R@100."),
        (UP, UP, UP, "The ranking of documents and of queries for documents is better in B."),
        (UP, DOWN, ABSENT, "Measures of the ranking of documents disagree."),
        (UNCLEAR, UNCLEAR, UNCLEAR, "No change in the ranking of documents and of queries for "
                                    "documents is shown."),
        (UNTESTED, UNTESTED, ABSENT, "The ranking of documents was not tested."),
    ],
)  # fmt: skip
def test_ranking(ndcg: str, recall: str, dual: str, words: str) -> None:
    assert words in said({NDCG: ndcg, RECALL: recall, DUAL: dual}, RANKING)


@pytest.mark.parametrize(
    ("value", "reach", "words"),
    [(-0.3, 0.1, "moving closer (Spearman -0.30 [-0.40, -0.20]): an exploratory association, not a cause."),
     (0.3, 0.1, "moving away (Spearman 0.30 [0.20, 0.40]): an exploratory association, not a cause."),
     (0.05, 0.1, "no association of gains in nDCG@10 with relevant documents coming closer is shown")],
)  # fmt: skip
def test_an_association_is_no_cause(value: float, reach: float, words: str) -> None:
    link = Association(
        "relative_positive_distance", "nDCG@10", value, value - reach, value + reach
    )
    other = replace(link, effectiveness="RR@10", correlation=-link.correlation)
    (reading,) = read_pair(pair({NDCG: UNCLEAR}, (other, link)))
    assert words in " ".join(reading.meaning)
    assert "xploratory" in reading.meaning[-1]
    (reading,) = read_pair(pair({NDCG: UNCLEAR}, (other,)))
    assert not [text for text in reading.meaning if "Spearman" in text]


@pytest.mark.parametrize(
    ("cone", "ndcg", "words"),
    [
        (DOWN, UP, "The geometry changed; the ranking of documents is better in B. Whether the one "
                   "causes the other is not shown."),
        (DOWN, DOWN, "is worse in B. Whether the one causes the other is not shown."),
        (DOWN, UNCLEAR, "The geometry changed; no change in the ranking of documents is shown."),
        (UNCLEAR, UP, "No change of the geometry is shown; the ranking of documents is better in B."),
        (UNCLEAR, UNCLEAR, "Of what was tested, no difference between A and B is shown."),
        (UNTESTED, UNCLEAR, "Of what was tested, no difference between A and B is shown."),
        (UNTESTED, UNTESTED, "The geometry was not tested; the ranking of documents was not tested."),
        (DOWN, ABSENT, "The geometry changed; ranking was not compared."),
        (ABSENT, UP, "The geometry was not compared; the ranking of documents is better in B."),
        (ABSENT, ABSENT, ""),
    ],
)  # fmt: skip
def test_overall(cone: str, ndcg: str, words: str) -> None:
    text = overall(pair({CONE: cone, NDCG: ndcg}))
    assert text.endswith(words)
    assert bool(text) == bool(words)


_CLAIM = re.compile(
    r"\b(weaker|stronger|more spread out|more clumped|are closer|are farther|drawn more evenly as|"
    r"drawn less evenly|better in|worse in|spreads over|sits in|lie nearer|disagree)\b"
)


def test_nothing_is_claimed_of_rows_that_are_not_beyond_their_uncertainty() -> None:
    """Over every mix of states of two rows a group, and of all rows alike."""
    places = sorted(HEAD)
    for way in (UNCLEAR, UNTESTED):
        for reading in read_pair(pair(dict.fromkeys(places, way))):
            for sentence in reading.meaning:
                assert not _CLAIM.search(sentence), sentence
                assert (
                    "not shown" in sentence or "not tested" in sentence or "No change" in sentence
                )
    for first, second in itertools.permutations(places, 2):
        moved = dict.fromkeys(places, UNCLEAR) | {first: DOWN, second: UP}
        for reading in read_pair(pair(moved)):
            cause = {DISTANCE} if {first, second} == {ALIGNMENT, CONE} else set()
            if reading.group in {_group(first), _group(second), *cause}:
                continue
            assert not _CLAIM.search(" ".join(reading.meaning)), (first, second, reading)


@pytest.mark.parametrize(
    ("place", "base"),
    [
        (CENTERED, {UNIFORMITY: DOWN, CONE: DOWN}),
        (DOC_CENTERED, {UNIFORMITY: UNCLEAR, DOC_UNIFORMITY: UP, DOC_CONE: UP}),
        (RELATIVE_GAP, {RELATIVE: UNCLEAR, GAP: UP}),
        (POSITIVE, {RELATIVE: UNCLEAR, PERCENTILE: UNCLEAR, ALIGNMENT: UNCLEAR}),
        (KL_CENTERED, {KL: DOWN}),
    ],
)
def test_rows_outside_the_headline_are_called_exploratory(
    place: Place, base: dict[Place, str]
) -> None:
    """A sentence that such a row changes has the word in it."""
    assert place not in HEAD
    without = {text for one in read_pair(pair(base)) for text in one.meaning}
    heard = set()
    for way in (UP, DOWN, UNCLEAR, UNTESTED):
        texts = {text for one in read_pair(pair({**base, place: way})) for text in one.meaning}
        for text in texts - without:
            heard.add(way)
            assert "exploratory" in text
    assert DOWN in heard


def _group(place: Place) -> str:
    return next(row.group for row in HEADLINE if (row.side, row.measure, row.on) == place)


def test_every_mix_of_states_is_read() -> None:
    """No mix of states is without words or breaks a sentence."""
    ways = (UP, DOWN, UNCLEAR, UNTESTED, ABSENT)
    for places in ((CONE, SPECTRUM, DOC_CONE), (UNIFORMITY, CONE, ALIGNMENT),
                   (RELATIVE, PERCENTILE, GAP), (KL, DOC_KL, KL_CENTERED), (NDCG, RECALL, DUAL)):  # fmt: skip
        for mix in itertools.product(ways, repeat=3):
            for reading in read_pair(pair(dict(zip(places, mix, strict=True)))):
                for sentence in reading.meaning:
                    assert sentence[0].isupper()
                    assert sentence.endswith(".")
                    assert ".." not in sentence
                    assert "{" not in sentence
                    assert "  " not in sentence


def value(measure: str, found: float, null: float, p: float, **more: float) -> Measurement:
    return Measurement(
        "x", "queries", "", measure, "unit", found, null_mean=null, null_p=p, **more
    )


def test_values_stand_above_below_or_beside_chance() -> None:
    nan = math.nan
    assert against_null(value("gap", 0.5, 0.1, 0.01)) == UP
    assert against_null(value("gap", 0.05, 0.1, 0.01)) == DOWN
    assert against_null(value("gap", 0.5, 0.1, 0.2)) == UNCLEAR
    assert against_null(value("gap", 0.5, nan, nan)) is None
    assert against_null(value("gap", 0.5, 0.1, nan)) is None
    assert against_null(value("gap", 0.5, 0.1, nan, ci_low=0.2, ci_high=0.8)) == UP
    assert against_null(value("gap", 0.5, 0.1, nan, ci_low=0.0, ci_high=0.8)) == UNCLEAR


def test_one_space_is_read_against_chance() -> None:
    above, below, beside = (value("mean_cosine", x, 0.0, p)
                            for x, p in ((0.5, 0.001), (-0.5, 0.001), (0.5, 0.5)))  # fmt: skip
    assert read_chance([[above]]) == ["Queries share a common direction."]
    assert read_chance([[below]]) == ["Queries point apart more than directions at random."]
    assert read_chance([[beside]]) == ["That queries share a common direction is not shown."]
    documents = replace(above, side="documents")
    assert read_chance([[above], [documents]]) == [
        "Queries and documents share a common direction."
    ]
    assert read_chance([[replace(above, null_mean=math.nan)]]) == []


def test_many_spaces_are_read_together() -> None:
    above = value("mean_cosine", 0.5, 0.0, 0.001)
    other, beside = replace(above, space="y"), replace(above, space="z", null_p=0.5)
    assert read_chance([[above, other]]) == ["Queries share a common direction in every space."]
    assert read_chance([[above, other, beside]]) == [
        "In x and y queries share a common direction; in z that queries share a common direction "
        "is not shown."
    ]


def test_a_pool_is_that_of_its_space() -> None:
    """Lists that saturate one pool say nothing of another."""
    rows = [Measurement(label, "queries", "negatives", KL[1], KL[2], 0.3, null_mean=0.1,
                        null_p=0.001, headline=True) for label in "AyB"]  # fmt: skip
    wide = replace(mining(0.001), space="y")
    full = "lists of 200 hold 90.0% of the pool of 1,000 queries and saturate it: this decides nothing."
    one, both = [mining(0.9), wide], [mining(0.9), replace(mining(0.9), space="B")]
    assert read_chance([rows[:2]], one) == [
        f"In A {full}", "In y queries are drawn as negatives less evenly than at random."
    ]  # fmt: skip
    assert read_chance([rows], both) == [
        f"In A and B {full}", "In y queries are drawn as negatives less evenly than at random."
    ]  # fmt: skip
    assert read_chance([[rows[0], rows[2]]], both) == [full.capitalize()]
    results = Results(spaces=[{"label": "A"}, {"label": "y"}], rows=rows[:2], curves=one)
    (group,) = opening(results, [])["blocks"][0]["groups"]
    assert group["lines"][0]["word"] == "differs between spaces"
    results.curves = [wide]
    (group,) = opening(results, [])["blocks"][0]["groups"]
    assert group["lines"][0]["word"] == "above chance"


def test_a_space_without_a_null_is_not_every_space() -> None:
    above = value("mean_cosine", 0.5, 0.0, 0.001)
    other = replace(above, space="y", null_mean=math.nan)
    assert read_chance([[above, other]]) == ["In x queries share a common direction."]


def test_chance_is_said_to_be_uncorrected() -> None:
    assert "not corrected for the number" in opening(analysis(("a",)), [])["summary"]


def test_spaces_alone_open_with_what_stands_out() -> None:
    front = opening(analysis(("a", "b")), [])
    assert front["single"]
    first = front["blocks"][0]["groups"][0]
    assert first["name"] == ISOTROPY
    assert first["lines"][0] == {
        "word": "above chance", "measure": "mean_cosine", "side": "queries",
        "numbers": "0.2330 to 0.5120; null 0",
    }  # fmt: skip


def doubts(results: Results) -> dict[str, str]:
    from anisotropy.plots.compared import pairs_of

    pairs = [pair for pair in pairs_of(results) if pair.deltas]
    return {doubt.word: doubt.text for doubt in in_doubt(results, pairs)}


def test_doubts_are_said_where_they_are_and_only_there() -> None:
    results = thin(comparison())
    found = doubts(results)
    assert found["one seed"].startswith("one checkpoint a side")
    assert found["collection"].startswith("docstrings, not MS MARCO")
    assert found["withheld"] == "1 row is not given, with the reasons"
    assert found["warning"] == "3 documents are empty and keep the vector of the empty text"
    assert "is not recorded" in found["ance"]
    assert found["undecided"] == (
        "1 tested row of the headline: no clear difference, which does not mean that there is none"
    )
    assert "not tested" not in found
    results.warnings, results.withheld, results.collection = [], [], {"name": "x"}
    results.spaces[0]["recipe"]["doubts"] = []
    assert set(doubts(results)) == {"one seed", "undecided"}
    assert set(doubts(analysis(("a",)))) == {"collection"}


def test_the_same_vectors_are_called_so_once() -> None:
    """Fingerprint and recipe; where the latter is from is no part of it."""
    results = pair({CONE: UNCLEAR, KL: UNCLEAR, NDCG: UNCLEAR, DOC_CONE: UNTESTED})
    for space in results.spaces:
        space |= {"fingerprint": "x", "recipe": {"similarity": "dot", "sources": space["label"]}}
    front = opening(results, [results])
    assert front["summary"] == "A and B are the same vectors (same fingerprint, same recipe)."
    assert front["blocks"][0]["groups"] == []
    assert front["blocks"][0]["empty"] == "There is nothing to compare."
    assert set(doubts(results)) == {"one seed"}
    others = [("fingerprint", "y"), ("fingerprint", ""), ("recipe", {"similarity": "cosine"})]
    for key, value in others:
        other = replace(results, spaces=[results.spaces[0], {**results.spaces[1], key: value}])
        assert overall(other) == "Of what was tested, no difference between A and B is shown."
        assert len(read_pair(other)) == 3
    moved = replace(results, deltas=[difference(CONE, DOWN)])
    assert overall(moved).startswith("The geometry changed")


def test_a_method_is_not_the_vectors_of_its_first_seed() -> None:
    from anisotropy.plots.compared import one_pair

    results = reproduction(2)
    for space in results.spaces:
        space["fingerprint"] = "x"
    results.deltas = [replace(row, ci_low=-9, ci_high=9) for row in results.deltas]
    assert "same vectors" not in overall(one_pair(results))


@pytest.mark.parametrize(
    ("queries", "words"),
    [
        (1, "1 query: fewer than 5 units show no spread to speak of, so nothing of them is tested"),
        (4, "4 queries: fewer than 5 units show no spread to speak of, so no test over the queries "
            "can be relied on"),
        (5, None),
        (None, None),
    ],
)  # fmt: skip
def test_few_queries_are_a_doubt(queries: int | None, words: str | None) -> None:
    results = pair({DOC_CONE: UNTESTED})
    results.spaces[1]["counts"] = {} if queries is None else {"queries": queries}
    assert doubts(results).get("few queries") == words


def test_one_other_warning_is_said_and_more_are_counted() -> None:
    results = analysis(("a",))
    bearing, other = "3 documents are empty", "hubness_skewness(k=10) varies"
    for more, said_last in (([], bearing), ([other], other), ([other, f"{other}!"], "2 more")):
        results.warnings = [bearing, *more]
        texts = [doubt.text for doubt in in_doubt(results, []) if doubt.word == "warning"]
        assert texts[0] == bearing
        assert texts[-1].startswith(said_last)
        assert len(texts) == 1 + bool(more)


def test_lines_of_the_opening_have_the_whole_identity() -> None:
    """As in the tables, where the role is part of it."""
    results = pair({KL: DOWN, DOC_KL: DOWN})
    (group,) = opening(results, [results])["blocks"][0]["groups"]
    assert [line["measure"] for line in group["lines"]] == [KL[1], DOC_KL[1]]
    results = pair({KL: UNCLEAR, DOC_KL: UNCLEAR})
    (group,) = opening(results, [results])["blocks"][0]["groups"]
    assert group["asides"] == [f"no clear difference: {KL[1]} (queries), {DOC_KL[1]} (documents)"]
    alone = opening(analysis(("a",)), [])["blocks"][0]["groups"]
    (lines,) = [group["lines"] for group in alone if group["name"] == NEGATIVES]
    assert [line["measure"] for line in lines] == [KL[1], DOC_KL[1]]


def test_rows_without_a_test_are_counted() -> None:
    results = pair({CONE: DOWN, DOC_CONE: UNTESTED})
    assert doubts(results)["not tested"] == (
        "1 headline row has no interval (a whole collection is no sample)"
    )
    assert doubts(pair({CONE: UNTESTED}))["not tested"] == "1 headline row has no interval"


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("", "a whole collection"),
        ("all", "a whole collection"),
        ("1000", "a chosen subcollection"),
    ],
)
def test_documents_are_called_what_they_are(option: str, words: str) -> None:
    results = pair({CONE: DOWN, DOC_CONE: "down untested"})
    results.collection = {"name": "x", "documents_option": option}
    (reading,) = read_pair(results)
    assert reading.meaning[-1] == f"The documents, {words} and so not tested, moved the same way."
    assert (
        doubts(results)["not tested"] == f"1 headline row has no interval ({words} is no sample)"
    )


def test_few_seeds_are_a_doubt() -> None:
    assert "few seeds" in doubts(reproduction(LEAST_SEEDS - 1))
    assert not {"few seeds", "one seed"} & set(doubts(reproduction(LEAST_SEEDS)))


@pytest.mark.parametrize(
    ("line", "yes"),
    [
        ("documents: 425 rows repeat another row; they raise uniformity", True),
        ("3 documents are empty", True),
        ("intrinsic dimension of documents: 425 repeated row(s) left out", False),
        ("hubness_skewness(k=10) varies", False),
        ("mean cosine and stable rank", True),
    ],
)
def test_warnings_bear_on_the_headline_or_not(line: str, yes: bool) -> None:
    assert bears(line) == yes
    results = analysis(("a",))
    results.warnings = [line]
    assert ("warning" in doubts(results)) == yes


def test_a_row_withheld_in_many_places_counts_once() -> None:
    results = thin(comparison())
    results.withheld = [Withheld("cross", "gap", "raw", "why", space) for space in "abcdef"]
    assert doubts(results)["withheld"] == "1 row is not given, with the reasons"


def test_many_comparisons_open_with_that_of_the_claims() -> None:
    from anisotropy.plots.compared import pairs_of

    results = reproduction(2)
    front = opening(results, pairs_of(results))
    assert [block["open"] for block in front["blocks"]] == [True, False, False]
    assert front["blocks"][0]["title"] == "DANCE against ANCE"
    assert not front["single"]
