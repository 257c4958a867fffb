"""Claims: written and read as they are, decided as planted, rarely decided where nothing is."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from anisotropy.comparison import (
    Claim,
    Claims,
    Contrast,
    Part,
    decide_claims,
    paper_claims,
    read_claims,
    write_claims,
)
from anisotropy.comparison.claims import ANCE, DANCE, NULL, OWN
from anisotropy.comparison.deciding import (
    CONTRADICTED,
    MIXED,
    SAME,
    SUPPORTED,
    UNDECIDED,
    Delta,
    judge,
    judge_claims,
    seed_delta,
)
from anisotropy.errors import UsageError
from anisotropy.measures import MeasuredSpace, measure_space
from anisotropy.statistics import linear_influences, paired_difference
from tests.comparison.test_comparison import noisy
from tests.measures.making import space

UP = Part("ranking", "nDCG@10", "recipe", "up", 0.01)
DOWN = Part("queries", "mean_cosine", "unit", "down", 0.01)
SECOND = dataclasses.replace(UP, measure="R@100", margin=0.0, role="secondary")


def test_the_claims_are_those_of_the_abstract() -> None:
    claims = paper_claims()
    assert [claim.claim for claim in claims.claims] == ["a0", "a", "b", "c", "d", "e", "f"]
    of = {claim.claim: claim for claim in claims.claims}
    assert {part.against for part in of["a0"].parts} == {NULL, OWN, "warm start"}
    assert [p.measure for p in of["b"].parts if p.role == "beside"] == [
        "positive_distance", "alignment(alpha=2)", "gap",
    ]  # fmt: skip
    assert [part.measure for part in of["d"].parts] == [
        "negative_probability_kl(k=200)", "negative_probability_kl(k=200, center=sides)",
    ]  # fmt: skip
    assert {part.measure for part in paper_claims(10).claims[4].parts} == {
        "negative_probability_kl(k=10)", "negative_probability_kl(k=10, center=sides)",
    }  # fmt: skip
    assert all(p.margin > 0 for c in claims.claims for p in c.parts if p.role == "primary")
    assert all(p.why for c in claims.claims for p in c.parts if p.role == "primary")


def test_a_file_gives_the_same_claims_back(tmp_path: Path) -> None:
    claims = paper_claims(12)
    path = write_claims(claims, tmp_path / "claims.json")
    assert read_claims(path) == claims
    assert read_claims(path).digest == claims.digest
    assert json.loads(path.read_text())["claims"][6]["text"] == "DANCE ranks better"


def test_margins_alone_change_margins_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_text('[margins]\n"ranking.recipe.nDCG@10" = 0.02\n')
    found, before = read_claims(path), paper_claims()
    assert found.claims[6].parts[0].margin == 0.02
    assert found.claims[:6] == before.claims[:6]
    assert found.digest != before.digest


BAD = {
    "unknown key": ('{"clams": []}', "'claims'"),
    "no json": ("{", "not readable as JSON"),
    "a list": ("[]", "got list"),
    "another format": ('{"format": "x"}', "anisotropy.claims/1"),
    "no claims": ('{"claims": []}', "one or more"),
    "unknown part": (
        '{"claims": [{"claim": "x", "text": "x", "method": "DANCE", "parts": [{"sid": "y"}]}]}',
        "'side'",
    ),
    "missing": ('{"claims": [{"claim": "x", "text": "x", "method": "DANCE"}]}', "parts missing"),
    "unknown margin": ('{"margins": {"ranking.recipe.nDCG@1": 0.1}}', "ranking.recipe.nDCG@10"),
    "negative margin": ('{"margins": {"ranking.recipe.nDCG@10": -1}}', "0 or more"),
    "level": ('{"level": 2}', "between 0.5 and 1"),
    "level of text": ('{"level": "x"}', "level"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_not_right_is_refused(name: str, tmp_path: Path) -> None:
    from anisotropy.errors import AnisotropyError

    content, said = BAD[name]
    path = tmp_path / "claims.json"
    path.write_text(content)
    with pytest.raises(AnisotropyError) as caught:
        read_claims(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"direction": "left"}, "up, down"),
        ({"role": "main"}, "primary"),
        ({"scale": "log"}, "absolute"),
        ({"against": "BM25"}, "ANCE"),
        ({"measure": "mean_cosin"}, "'mean_cosine'"),
        ({"side": "queries"}, "ranking.recipe"),
        ({"margin": math.inf}, "0 or more"),
        ({"margin": True}, "0 or more"),
    ],
)
def test_a_part_that_cannot_be_is_refused(change: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        dataclasses.replace(UP, **change)


def delta(value: float, se: float, freedom: float = math.inf) -> Delta:
    return Delta(1 + value, 1.0, value, se, freedom, 50, "query")


@pytest.mark.parametrize(
    ("value", "se", "outcome"),
    [
        (0.05, 0.01, SUPPORTED),
        (-0.05, 0.01, CONTRADICTED),
        (0.001, 0.002, SAME),
        (0.02, 0.01, UNDECIDED),  # beyond 0, not beyond the margin
        (0.001, 0.01, UNDECIDED),
        (0.05, 0.0, SUPPORTED),
        (0.0, 0.0, SAME),
    ],
)
def test_outcomes_of_a_part(value: float, se: float, outcome: str) -> None:
    assert judge(UP, delta(value, se)).outcome == outcome
    # The other direction: the same differences with the other sign.
    assert judge(DOWN, delta(-value, se)).outcome == outcome


def test_the_interval_is_beyond_the_margin_where_the_p_is_small() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        one = judge(UP, delta(rng.normal(0, 0.05), rng.uniform(0.001, 0.03), rng.integers(2, 40)))
        assert (one.p < 0.05) == (one.low > 0.01 or one.high < -0.01)
        assert (one.outcome == SAME) == (one.low >= -0.01 and one.high <= 0.01)


def outcome(*parts: tuple[Part, Delta]) -> str:
    (verdict,) = judge_claims([[judge(part, one) for part, one in parts]])
    return verdict.outcome


GOOD, BAD_ONE, NONE, WIDE = (delta(0.05, 0.005), delta(-0.05, 0.005), delta(0, 0.001),
                             delta(0.0, 0.05))  # fmt: skip


def test_outcomes_of_a_claim() -> None:
    assert outcome((UP, GOOD), (UP, GOOD)) == SUPPORTED
    assert outcome((UP, BAD_ONE), (UP, WIDE)) == CONTRADICTED
    assert outcome((UP, NONE), (UP, NONE)) == SAME
    assert outcome((UP, GOOD), (UP, WIDE)) == UNDECIDED
    assert outcome((UP, GOOD), (UP, NONE)) == MIXED
    assert outcome((UP, GOOD), (UP, BAD_ONE)) == MIXED
    assert outcome((UP, GOOD), (SECOND, BAD_ONE)) == MIXED
    assert outcome((UP, GOOD), (SECOND, WIDE)) == SUPPORTED
    beside = dataclasses.replace(SECOND, role="beside")
    assert outcome((UP, GOOD), (beside, BAD_ONE)) == SUPPORTED


def test_what_is_not_tested_can_only_stand_in_the_way() -> None:
    census = Delta(1.05, 1.0, 0.05, reason="a census")
    away = dataclasses.replace(census, delta=-0.05)
    assert outcome((UP, GOOD), (UP, census)) == SUPPORTED
    assert outcome((UP, GOOD), (UP, away)) == UNDECIDED
    assert outcome((UP, census)) == UNDECIDED
    for value in (0.005, 0.05, -0.05, math.nan):
        missing = dataclasses.replace(census, delta=value)
        assert outcome((UP, NONE), (UP, missing)) == UNDECIDED
        aside = dataclasses.replace(SECOND, role="beside")
        assert outcome((UP, NONE), (aside, missing), (SECOND, missing)) == SAME
    (verdict,) = judge_claims([[judge(UP, census)]])
    assert verdict.note == "not tested: ranking nDCG@10 (a census)"
    assert math.isnan(verdict.p)


def test_holm_is_over_the_claims() -> None:
    barely = judge(UP, delta(0.01 + 2.1 * 0.005, 0.005))
    alone, *many = (judge_claims([[barely]] * count)[0] for count in (1, 7))
    assert alone.outcome == SUPPORTED
    assert many[0].outcome == UNDECIDED
    assert many[0].p_holm == pytest.approx(7 * alone.p)
    assert "after the correction" in many[0].note


def test_seeds_are_paired() -> None:
    from scipy.stats import ttest_rel

    a, b = [0.30, 0.35, 0.41], [0.34, 0.38, 0.46]
    found = judge(UP, seed_delta(b, a, UP))
    low, high = ttest_rel(b, a).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high))
    wanted = ttest_rel(np.array(b) - 0.01, a, alternative="greater").pvalue
    assert found.p_for == pytest.approx(wanted)
    relative = seed_delta(b, a, dataclasses.replace(UP, scale="relative"))
    assert relative.delta == pytest.approx(np.mean(np.array(b) / a - 1))
    two = seed_delta(b[:2], a[:2], UP)
    assert not two.tested
    assert "3 or more" in two.reason


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("true", [0.0, 0.01, -0.01])
def test_a_difference_within_its_margin_is_rarely_called_one(seeds: int, true: float) -> None:
    """2,000 claims of two measures, correlated, whose true differences are on or in the margin."""
    rng = np.random.default_rng(seeds)
    wrong, rounds = 0, 2000
    for _ in range(rounds):
        shared = rng.standard_normal(seeds)
        drawn = [true + 0.02 * (shared + rng.standard_normal(seeds)) for _ in range(2)]
        parts = [judge(UP, seed_delta(list(d), [0.0] * seeds, UP)) for d in drawn]
        wrong += judge_claims([parts])[0].outcome in (SUPPORTED, CONTRADICTED)
    assert wrong / rounds < 0.05 + 3 * math.sqrt(0.05 * 0.95 / rounds)


def test_seven_null_claims_together_are_rarely_called_anything() -> None:
    rng = np.random.default_rng(1)
    wrong, rounds = 0, 600
    for _ in range(rounds):
        claims = [[judge(UP, seed_delta(list(rng.normal(0.01, 0.02, 4)), [0.0] * 4, UP))]
                  for _ in range(7)]  # fmt: skip
        outcomes = {verdict.outcome for verdict in judge_claims(claims)}
        wrong += bool(outcomes & {SUPPORTED, CONTRADICTED})
    assert wrong / rounds < 0.05 + 3 * math.sqrt(0.05 * 0.95 / rounds)


def test_a_clear_difference_is_found() -> None:
    rng = np.random.default_rng(2)
    found = [
        judge_claims([[judge(UP, seed_delta(list(rng.normal(0.1, 0.01, 3)), [0.0] * 3, UP))]])
        for _ in range(100)
    ]
    assert sum(verdict.outcome == SUPPORTED for (verdict,) in found) > 80


@pytest.fixture(scope="module")
def measured() -> dict[str, list[MeasuredSpace]]:
    """Three seeds of an ANCE, and of a DANCE with much more noise on its queries."""
    made = space(n_queries=60, n_documents=120)
    kinds = {ANCE: 0.2, DANCE: 3.0}
    return {
        method: [
            measure_space(noisy(made, amount, seed, f"{method} {seed}"), between=True)
            for seed in range(offset, offset + 3)
        ]
        for offset, (method, amount) in enumerate(kinds.items())
    }


def only(*claims: Claim) -> Claims:
    return Claims(claims, (Contrast(DANCE, ANCE, "test"),))


def test_checkpoints_and_methods_are_decided(measured) -> None:
    worse = Claim("f", "ranks worse", DANCE, (dataclasses.replace(UP, direction="down"),))
    better = Claim("g", "ranks better", DANCE, (UP,))
    records = decide_claims(only(worse, better), measured, (4, 5, 6))
    assert len(records) == 2 * 4
    assert {(r["scope"], r["seed"]) for r in records} == {
        ("checkpoints", 4), ("checkpoints", 5), ("checkpoints", 6), ("method", None),
    }  # fmt: skip
    for record in records:
        wanted = SUPPORTED if record["claim"] == "f" else CONTRADICTED
        assert record["outcome"] == wanted, record
        assert record["main"]
        assert record["p"] <= record["p_holm"] < 0.05
    key = ("ranking", "nDCG@10", "recipe")
    a, b = (measured[method][1].estimates[key] for method in (ANCE, DANCE))
    wanted = paired_difference(a, b)
    part = next(r for r in records if r["seed"] == 5)["parts"][0]
    assert part["delta"] == pytest.approx(wanted.delta)
    assert (part["ci_low"], part["ci_high"]) == pytest.approx(
        (wanted.interval.low, wanted.interval.high)
    )
    assert (part["unit"], part["n"]) == ("query", 60)
    method = next(r for r in records if r["scope"] == "method")["parts"][0]
    values = [m.estimates[key].value for m in measured[DANCE]]
    assert method["value"] == pytest.approx(np.mean(values))
    assert (method["unit"], method["n"]) == ("seed", 3)


def test_a_relative_difference_carries_the_error_of_a_ratio(measured) -> None:
    part = Part("queries", "participation_ratio", "unit", "up", 0.0, scale="relative")
    records = decide_claims(only(Claim("x", "x", DANCE, (part,))), measured, (0, 1, 2))
    found = records[0]["parts"][0]
    a, b = (measured[m][0].estimates["queries", "participation_ratio", "unit"]
            for m in (ANCE, DANCE))  # fmt: skip
    assert found["delta"] == pytest.approx(b.value / a.value - 1)
    # Delta method, by hand: the influence of a ratio.
    (x,), (y,) = linear_influences(a), linear_influences(b)
    values = y.values / a.value - x.values * b.value / a.value**2
    assert found["se"] == pytest.approx(np.std(values, ddof=1) / math.sqrt(len(values)))


def test_documents_are_a_census_for_one_checkpoint_and_tested_over_seeds(measured) -> None:
    part = Part("documents", "mean_cosine", "unit", "down", 0.0)
    *seeds, method = decide_claims(only(Claim("c", "c", DANCE, (part,))), measured, (0, 1, 2))
    for record in seeds:
        assert record["outcome"] == UNDECIDED
        assert "not tested" in record["note"]
        assert record["p"] is None
        assert record["parts"][0]["delta"] is not None
    assert method["parts"][0]["unit"] == "seed"


def test_nulls_and_own_documents(measured) -> None:
    cosine = ("queries", "mean_cosine", "unit", "up", 0.05)
    parts = (Part(*cosine, NULL), Part(*cosine, OWN), Part(*cosine, "warm start"))
    records = decide_claims(only(Claim("a0", "x", ANCE, parts)), measured, (0, 1, 2))
    null, own, warm = records[0]["parts"]
    row = measured[ANCE][0].row("queries", "mean_cosine", "unit")
    assert row is not None
    assert null["delta"] == row.value
    assert null["se"] == pytest.approx(row.se)
    documents = measured[ANCE][0].row("documents", "mean_cosine", "unit")
    assert documents is not None
    assert own["against_value"] == documents.value
    assert own["se"] == pytest.approx(row.se)
    assert warm["note"] == "there is no warm start"
    assert warm["outcome"] == "not tested"


def test_one_space_a_seed(measured) -> None:
    with pytest.raises(UsageError, match="got 3 spaces"):
        decide_claims(paper_claims(10), measured, (0, 1))


def test_contrasts_ask_the_same_of_other_methods() -> None:
    claims = paper_claims()
    assert claims.asked(claims.contrasts[0]) == claims.claims
    asked = claims.asked(claims.contrasts[2])
    assert [claim.claim for claim in asked] == ["a", "b", "c", "d", "e", "f"]
    assert {part.against for claim in asked for part in claim.parts} == {"ANCE w. Norm"}
