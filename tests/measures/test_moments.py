"""Cone and spread: literal twins, tables of the reference, common n, uncertainty."""

from __future__ import annotations

import math

import numpy as np
import pytest

from anisotropy.comparison import compare_spaces
from anisotropy.errors import UsageError
from anisotropy.measures import definition_of, measure_space, parse
from anisotropy.measures.facts import Facts, Plan
from anisotropy.measures.families.isotropic import isotropic_spectrum
from anisotropy.measures.families.subsamples import SUBSAMPLES, subsamples
from anisotropy.spaces import EmbeddingSpace
from tests.measures.making import cone, remade, rotation, space, unit

LAWS = {
    "isotropic": lambda rng, n, dim: rng.standard_normal((n, dim)),
    "cone": lambda rng, n, dim: rng.standard_normal((n, dim)) / math.sqrt(dim) + np.eye(dim)[0],
    "power": lambda rng, n, dim: (
        rng.standard_normal((n, dim)) * np.arange(1, dim + 1) ** -0.5 + 0.2
    ),
}


def estimate(queries, documents, measure: str, side: str = "queries", on: str = "unit", seed=0):
    """Estimate of one place, without the rest of a run."""
    asked = parse(measure)
    facts = Facts(EmbeddingSpace(queries, documents), Plan(), seed=seed)
    compute = definition_of(asked).compute
    assert compute is not None
    return compute(facts, asked, side, on)


def value(rows, measure: str, on: str = "unit") -> float:
    """Value of one set of rows, all of them."""
    return estimate(rows, rows, measure, "queries", on).value


# Twins: loops over the definitions --------------------------------------------------------------


def rows_of(side: str, made: EmbeddingSpace, on: str) -> np.ndarray:
    rows = np.asarray(getattr(made, side))
    return unit(rows) if on == "unit" else rows


def contributions(rows: np.ndarray) -> np.ndarray:
    """Mean over distinct pairs of the product of one coordinate."""
    u, n = unit(rows), len(rows)
    return np.array([
        sum(u[i, j] * u[k, j] for i in range(n) for k in range(n) if i != k) / (n * (n - 1))
        for j in range(u.shape[1])
    ])  # fmt: skip


def rankme(rows: np.ndarray) -> float:
    s = np.linalg.svd(rows, compute_uv=False)
    q = s / s.sum() + 1e-7
    return math.exp(-sum(x * math.log(x) for x in q))


def decay(rows: np.ndarray, low: int, high: int) -> float:
    """numpy.polyfit weighs residuals, not their squares."""
    values = np.sort(np.linalg.eigvalsh(np.cov(rows.T)))[::-1]
    rank = np.arange(low, high + 1)
    fit = np.polyfit(-np.log(rank), np.log(values[low - 1 : high]), 1, w=rank**-0.5)
    return float(fit[0])


def wasserstein(rows: np.ndarray) -> float:
    """Plain formula of the paper, with the matrix square root of scipy."""
    from scipy.linalg import sqrtm

    mean, cov, dim = rows.mean(0), np.cov(rows.T, ddof=0), rows.shape[1]
    root = np.trace(sqrtm(cov)).real
    return math.sqrt(mean @ mean + 1 + np.trace(cov) - 2 / math.sqrt(dim) * root)


@pytest.mark.parametrize("side", ["queries", "documents"])
@pytest.mark.parametrize("on", ["raw", "unit"])
def test_twins(side, on) -> None:
    made = space()
    rows = rows_of(side, made, on)
    values = np.sort(np.linalg.eigvalsh(np.cov(rows.T)))[::-1]
    expected = {
        "rankme(n=all)": rankme(rows),
        "stable_rank(n=all)": values.sum() / values[0],
        "variance_explained(k=1, n=all)": values[0] / values.sum(),
        "variance_explained(k=3, n=all)": values[:3].sum() / values.sum(),
        "spectral_decay(low=2, high=7, n=all)": decay(rows, 2, 7),
    }
    found = measure_space(made, list(expected))
    for name, twin in expected.items():
        assert found.row(side, name, on).value == pytest.approx(twin, rel=1e-9), name
    if on == "unit":
        plain = estimate(made.queries, made.documents,
                         "wasserstein_uniformity(corrected=False, n=all)", side)  # fmt: skip
        assert plain.value == pytest.approx(wasserstein(rows), rel=1e-9)


@pytest.mark.parametrize("rows", [5, 60])
def test_rankme_counts_zero_singular_values(rows) -> None:
    """Fewer rows than dimensions, and a dimension that is never used."""
    some = np.random.default_rng(0).standard_normal((rows, 9))
    some[:, 3] = 0
    assert value(some, "rankme", "raw") == pytest.approx(rankme(some), rel=1e-7)


def test_rogue_dimensions_are_shares_of_the_mean_cosine() -> None:
    made = space(n_queries=30, n_documents=40)
    found = measure_space(made, ["rogue_dimensions(k=2)", "mean_cosine"])
    for side in ("queries", "documents"):
        each = contributions(getattr(made, side))
        cosine = found.row(side, "mean_cosine", "unit").value
        assert each.sum() == pytest.approx(cosine)
        share = np.sort(each)[-2:].sum() / cosine
        assert found.row(side, "rogue_dimensions(k=2)", "unit").value == pytest.approx(share)
    q, d = unit(made.queries), unit(made.documents)
    each = contributions(q) / 4 + contributions(d) / 4 + q.mean(0) * d.mean(0) / 2
    share = np.sort(each)[-2:].sum() / each.sum()
    assert found.row("joint", "rogue_dimensions(k=2)", "unit").value == pytest.approx(share)


def test_the_curve_of_dimensions_sums_to_the_mean_cosine() -> None:
    made = space(lean=1.0)
    found = measure_space(made, ["mean_cosine"])
    columns = {c.side: c.columns for c in found.curves if c.name == "dimensions"}
    for side in ("queries", "documents"):
        cosine = found.row(side, "mean_cosine", "unit").value
        assert columns[side]["contribution"].sum() == pytest.approx(cosine)
        assert columns[side]["share"].sum() == pytest.approx(1)
        assert columns[side]["share"].argmax() == 0
        sd = unit(getattr(made, side)).std(axis=0, ddof=1)
        np.testing.assert_allclose(columns[side]["sd"], sd)


def test_rogue_dimensions_need_a_cone() -> None:
    rows = np.random.default_rng(0).standard_normal((200, 16))
    found = measure_space(EmbeddingSpace(rows, rows + 1), ["rogue_dimensions"])
    assert [(w.side, w.on) for w in found.withheld] == [("queries", "unit")]
    assert "not 3 standard errors above 0" in found.withheld[0].reason
    columns = {c.side: c.columns for c in found.curves if c.name == "dimensions"}
    assert np.isnan(columns["queries"]["share"]).all()
    with pytest.raises(UsageError, match="more than k=16"):
        measure_space(EmbeddingSpace(rows, rows), ["rogue_dimensions(k=16)"])


def test_lengths() -> None:
    made = space()
    q, d = (np.linalg.norm(x, axis=1) for x in (made.queries, made.documents))
    found = measure_space(made, ["norm_mean", "norm_cv"])
    get = lambda side, name: found.row(side, name, "raw").value  # noqa: E731
    assert get("queries", "norm_mean") == pytest.approx(q.mean())
    assert get("documents", "norm_cv") == pytest.approx(d.std(ddof=1) / d.mean())
    mean = (q.mean() + d.mean()) / 2
    variance = (q.var(ddof=1) + d.var(ddof=1)) / 2 + (q.mean() - d.mean()) ** 2 / 4
    assert get("joint", "norm_mean") == pytest.approx(mean)
    assert get("joint", "norm_cv") == pytest.approx(math.sqrt(variance) / mean)
    normal = measure_space(remade(made, unit(made.queries), unit(made.documents)), ["norm_cv"])
    assert normal.row("queries", "norm_cv", "raw").value == pytest.approx(0, abs=1e-12)


# Identities of the reference, section 1 ---------------------------------------------------------


def test_identities() -> None:
    rows = unit(cone(120, 12, 0.7, 3))
    mean, cov = rows.mean(0), np.cov(rows.T, ddof=0)
    roots = np.sqrt(np.linalg.eigvalsh(cov)).sum()
    plain = value(rows, "wasserstein_uniformity(corrected=False)")
    assert plain**2 == pytest.approx(2 - 2 / math.sqrt(12) * roots)
    # The corrected mean term, and S with divisor n - 1, written out.
    unbiased = np.cov(rows.T)
    square = mean @ mean - np.trace(unbiased) / 120 + 1 + np.trace(unbiased)
    square -= 2 / math.sqrt(12) * np.sqrt(np.linalg.eigvalsh(unbiased)).sum()
    assert value(rows, "wasserstein_uniformity") ** 2 == pytest.approx(square)
    first = value(rows, "variance_explained(k=1)")
    assert value(rows, "stable_rank") == pytest.approx(1 / first)
    assert contributions(rows).sum() == pytest.approx(value(rows, "mean_cosine"))


# Tables of the reference, sections 1 to 3 -------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "isoscore", "rank", "first", "distance"),
    [(384, 0.333, 355, 136, 0.827), (768, 0.498, 617, 195, 0.552), (1500, 0.660, 709, 264, 0.372)],
)  # fmt: skip
def test_bias_of_isotropic_rows(n, isoscore, rank, first, distance) -> None:
    """d=768; "about 1 in the last digit shown"; the largest eigenvalue differs more."""
    rows = np.random.default_rng(n).standard_normal((n, 768))
    facts = Facts(EmbeddingSpace(rows, rows), Plan())

    def get(name: str, on: str = "raw"):
        return definition_of(name).compute(facts, parse(name), "documents", on)

    assert get("isoscore(corrected=False)").value == pytest.approx(isoscore, abs=0.003)
    for name in ("effective_rank", "rankme"):
        found = get(name)
        assert found.value == pytest.approx(rank, abs=1.5)
        assert found.null_mean == pytest.approx(rank, abs=2)
    assert get("stable_rank").value == pytest.approx(first, rel=0.03)
    assert get("stable_rank").null_mean == pytest.approx(first, rel=0.03)
    # Divisor n, as the plain formula has it.
    plain = get("wasserstein_uniformity(corrected=False)", "unit")
    assert plain.value == pytest.approx(distance, abs=0.002)
    assert plain.null_mean == pytest.approx(distance, abs=0.003)


@pytest.mark.parametrize(("power", "slope"), [(0, 0.117), (0.5, 0.412), (1, 0.955), (1.5, 1.48)])
def test_spectral_decay_of_power_laws(power, slope) -> None:
    """d=768, n=1000, ranks 4-100; eigenvalues r^-power."""
    rows = np.random.default_rng(1).standard_normal((1000, 768)) * np.arange(1, 769) ** -(
        power / 2
    )
    found = estimate(rows, rows, "spectral_decay", "documents", "raw")
    assert found.value == pytest.approx(slope, abs=0.02)
    if power == 0:
        assert found.null_mean == pytest.approx(slope, abs=0.004)


@pytest.mark.parametrize(
    ("dims", "lean", "distance", "partition"),
    [(64, 0, 1.193, 0.986), (16, 0, 1.308, 0.963), (4, 0, 1.362, 0.87), (768, 1, 0.788, 0.243)],
)
def test_collapse_and_cone(dims, lean, distance, partition) -> None:
    """d=768, n=4000 in the table, 2000 here; the partition depends on n near isotropy."""
    rng = np.random.default_rng(5)
    rows = np.zeros((2000, 768), dtype=np.float32)
    rows[:, :dims] = rng.standard_normal((2000, dims)) / math.sqrt(dims)
    rows[:, 0] += lean
    plain = "wasserstein_uniformity(corrected=False)"
    found = estimate(rows, rows, plain, "documents").value
    assert found == pytest.approx(distance, abs=0.03 if lean else 0.003)
    found = estimate(rows, rows, "partition_isotropy", "documents").value
    assert found == pytest.approx(partition, abs=0.02)


def test_partition_uses_both_signs() -> None:
    """The trap table: one sign alone gives 0.493 where both give 0.243 (a=1)."""
    rows = unit(cone(4000, 64, 1.0, 2))
    _, vectors = np.linalg.eigh(rows.T @ rows)
    along = rows @ vectors
    one_sign = np.exp(along * np.sign(along.mean(axis=0))).sum(axis=0)
    assert one_sign.min() / one_sign.max() == pytest.approx(0.493, abs=0.02)
    assert value(rows, "partition_isotropy") == pytest.approx(0.243, abs=0.01)


def test_isotropic_spectrum() -> None:
    for n, dim in ((2000, 200), (300, 300), (100, 400)):
        expected = isotropic_spectrum(n, dim)
        rows = np.random.default_rng(0).standard_normal((n, dim))
        values = np.linalg.svd(rows, compute_uv=False) ** 2
        assert len(expected) == min(n, dim)
        assert expected.sum() == pytest.approx(1)
        np.testing.assert_allclose(expected, values / values.sum(), atol=0.04 * expected[0])


# A common number of rows ------------------------------------------------------------------------


def test_the_row_count_has_one_text() -> None:
    assert str(parse("effective_rank(n=common)")) == "effective_rank"
    assert str(parse("effective_rank( n = 0200 )")) == "effective_rank(n=200)"
    assert str(parse("variance_explained(n=all)")) == "variance_explained(k=1, n=all)"
    parameter = definition_of("rankme").parameter("n")
    assert parameter.check(200) == parameter.check("200") == "200"
    for wrong in ("n=2", "n=-5", "n=some", "n=1.5"):
        with pytest.raises(UsageError, match="allowed: common, all, or a whole number"):
            parse(f"rankme({wrong})")


def test_subsamples_are_seeded_and_follow_the_ids() -> None:
    ids = [f"d{i}" for i in range(103)]
    parts = subsamples(ids, 20, 0)
    assert len(parts) == SUBSAMPLES
    assert all(len(np.unique(part)) == 20 for part in parts)
    order = np.random.default_rng(0).permutation(103)
    again = subsamples([ids[i] for i in order], 20, 0)
    for a, b in zip(parts, again, strict=True):
        assert {ids[i] for i in a} == {ids[order[i]] for i in b}
    other = subsamples(ids, 20, 1)
    assert not any(np.array_equal(a, b) for a in parts for b in other)
    assert all(len(np.unique(part)) == 90 for part in subsamples(ids, 90, 0))


@pytest.mark.parametrize("n", [20, 80])
def test_the_interval_of_subsamples_covers_the_mean_over_all_of_them(n: int) -> None:
    """Conditional on the documents: only the choice of subsamples is uncertain."""
    rng = np.random.default_rng(n)
    rows = rng.standard_normal((100, 6)) * np.arange(1, 7) ** -0.5
    space = EmbeddingSpace(rng.standard_normal((n, 6)), rows)
    name, seeds = "stable_rank", 120
    found = [
        next(r for r in measure_space(space, [name], seed=seed).rows
             if (r.side, r.on) == ("documents", "raw"))
        for seed in range(seeds)
    ]  # fmt: skip
    truth = np.mean([row.value for row in found])
    covered = np.mean([row.ci_low <= truth <= row.ci_high for row in found])
    # Four degrees of freedom: 95% within three binomial errors.
    assert covered > 0.95 - 3 * math.sqrt(0.95 * 0.05 / seeds)


def test_common_n_is_that_of_the_smaller_side() -> None:
    rng = np.random.default_rng(0)
    queries, documents = rng.standard_normal((50, 12)), rng.standard_normal((400, 12))
    names = ["effective_rank", "effective_rank(n=all)", "effective_rank(n=30)"]
    found = measure_space(EmbeddingSpace(queries, documents), names)
    rows = {(r.side, r.measure): r for r in found.rows if r.on == "unit"}
    own, other = rows["queries", names[0]], rows["documents", names[0]]
    assert (own.n, own.estimator, own.method) == (50, "exact", "jackknife")
    assert (other.n, other.estimator, other.method) == (50, "subsampled", "subsample")
    assert own.value == rows["queries", names[1]].value
    assert rows["documents", names[1]].n == 400
    assert math.isnan(rows["documents", names[1]].se)
    # Equal laws: the common values agree, the others differ by the bias alone.
    assert abs(own.value - other.value) < 4 * math.hypot(own.se, other.se)
    assert rows["documents", names[1]].value - own.value > 3 * own.se
    parts = subsamples([str(i) for i in range(400)], 50, 0)
    literal = np.mean([value(documents[part], names[1]) for part in parts])
    assert other.value == pytest.approx(literal)
    assert {rows[side, names[2]].n for side in ("queries", "documents", "joint")} == {30}
    assert rows["queries", names[2]].estimator == "subsampled"


def test_more_rows_than_there_are_is_withheld() -> None:
    made = space(n_queries=20, n_documents=60)
    found = measure_space(made, ["stable_rank(n=40)"])
    assert {r.side for r in found.rows} == {"documents"}
    assert all("queries: 20 rows, n=40 are asked for" in w.reason for w in found.withheld)
    alone = EmbeddingSpace(made.queries, np.zeros((0, 8)))
    assert measure_space(alone, ["rankme"]).row("queries", "rankme", "unit").n == 20


def test_several_vectors_a_document_compare_at_a_common_n() -> None:
    """One space has two chunks a document: only values at the same n are compared."""
    rng = np.random.default_rng(2)
    queries, documents = rng.standard_normal((30, 6)), rng.standard_normal((90, 6))
    one = EmbeddingSpace(queries, documents, label="one")
    two = EmbeddingSpace(queries, np.repeat(documents, 2, axis=0) + 0.1, label="two",
                         document_of_row=np.repeat(np.arange(90), 2))  # fmt: skip
    names = ["stable_rank", "stable_rank(n=all)", "stable_rank(n=25)"]
    differences, _, withheld = compare_spaces(*(measure_space(x, names) for x in (one, two)))
    compared = {(d.side, d.measure) for d in differences}
    for name in (names[0], names[2]):
        assert {("queries", name), ("documents", name), ("joint", name)} <= compared
    assert ("documents", names[1]) not in compared
    assert names[1] in {w.measure for w in withheld}
    assert not {names[0], names[2]} & {w.measure for w in withheld}


def test_raw_spectra_beyond_the_ranks_are_left_to_those_who_ask() -> None:
    made = space()
    default = {(r.measure, r.on) for r in measure_space(made).rows}
    assert ("stable_rank", "unit") in default
    assert ("stable_rank", "raw") not in default
    assert ("rankme", "raw") in default
    every = {(r.measure, r.on) for r in measure_space(made, ["all"]).rows}
    assert {("stable_rank", "raw"), ("variance_explained(k=1)", "raw")} <= every


# Uncertainty ------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["queries", "joint"])
@pytest.mark.parametrize("n", [14, 40])
@pytest.mark.parametrize(
    "name", ["effective_rank", "rankme", "wasserstein_uniformity",
             "wasserstein_uniformity(corrected=False)"],
)  # fmt: skip
def test_leave_one_out_is_that_of_the_smaller_set(name, n, side) -> None:
    """Also with fewer rows than dimensions; on the joint side up to terms of order 1/n."""
    rng = np.random.default_rng(n)
    queries, documents = LAWS["power"](rng, n, 20), LAWS["power"](rng, 60, 20)
    text = name[:-1] + ", n=all)" if name.endswith(")") else f"{name}(n=all)"
    whole = estimate(queries, documents, text, side)
    left_out = []
    for i in range(n):
        less = estimate(np.delete(queries, i, axis=0), documents, text, side)
        left_out.append(less.squared if whole.scale == "square" else less.value)
    expected = -(n - 1) * (left_out - np.mean(left_out))
    expected /= 1 if whole.scale == "square" else whole.value
    own = whole.influences[0].values
    tolerance = 2e-4 if side == "queries" else 2 / n
    np.testing.assert_allclose(own - own.mean(), expected, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("side", ["queries", "joint"])
@pytest.mark.parametrize(
    ("name", "on"),
    [("stable_rank", "raw"), ("variance_explained(k=3", "raw"), ("norm_cv", "raw"),
     ("norm_mean", "raw"), ("rogue_dimensions(k=2", "unit"),
     ("spectral_decay(low=1, high=4", "raw")],
)  # fmt: skip
def test_first_order_is_close_to_leaving_one_out(name, on, side) -> None:
    n = 300
    rng = np.random.default_rng(4)
    steep = np.array([3, 2, 1.4, 1, 0.7, 0.5])
    queries, documents = (rng.standard_normal((m, 6)) * steep + steep for m in (n, 300))
    text = name + ("" if "norm" in name or "rogue" in name else
                   ", n=all" if "(" in name else "(n=all")  # fmt: skip
    text += ")" * ("(" in text)
    whole = estimate(queries, documents, text, side, on)
    chosen = range(0, n, 10)
    left_out = np.array([
        estimate(np.delete(queries, i, axis=0), documents, text, side, on).value for i in chosen
    ])  # fmt: skip
    expected = (n - 1) * (whole.value - left_out) / (whole.value if whole.scale == "log" else 1)
    own = whole.influences[0].values[chosen]
    own, expected = own - own.mean(), expected - expected.mean()
    assert np.corrcoef(own, expected)[0, 1] > 0.99
    assert own.std() == pytest.approx(expected.std(), rel=0.1)


@pytest.mark.parametrize("side", ["queries", "joint"])
@pytest.mark.parametrize("on", ["raw", "unit"])
def test_the_partition_lets_its_directions_move(on, side) -> None:
    """With directions held fixed the errors of these rows are a fifth too small."""
    rng = np.random.default_rng(1)
    n, name = 150, "partition_isotropy"
    queries, documents = (
        rng.standard_t(4, (m, 12)) * np.arange(1, 13) ** -0.3 / 4 + 0.2 for m in (n, 200)
    )
    whole = estimate(queries, documents, name, side, on)
    chosen = range(0, n, 3)
    left_out = np.array([
        estimate(np.delete(queries, i, axis=0), documents, name, side, on).value for i in chosen
    ])  # fmt: skip
    expected = -(n - 1) * (left_out - left_out.mean()) / whole.value
    own = whole.influences[0].values[chosen]
    assert np.corrcoef(own, expected)[0, 1] > 0.995
    assert own.std() == pytest.approx(expected.std(), rel=0.05)


def test_nulls_are_the_values_of_isotropic_rows() -> None:
    rng = np.random.default_rng(3)
    queries, documents = rng.standard_normal((400, 64)), rng.standard_normal((900, 64))
    names = ["participation_ratio", "participation_ratio(corrected=False)", "isoscore",
             "effective_rank", "rankme", "stable_rank", "variance_explained(k=1)",
             "variance_explained(k=10)", "spectral_decay(high=60)", "wasserstein_uniformity",
             "effective_rank(n=all)"]  # fmt: skip
    found = measure_space(EmbeddingSpace(queries, documents), names)
    assert len(found.rows) > 50
    for row in found.rows:
        assert row.null_mean == pytest.approx(row.value, rel=0.05), row


def test_queries_that_no_subsample_has_carry_no_influence() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((53, 8))
    found = estimate(rows, rows, "rankme(n=10)")
    drawn = np.unique(np.concatenate(subsamples([str(i) for i in range(53)], 10, 0)))
    assert len(drawn) < 53
    np.testing.assert_array_equal(np.flatnonzero(found.influences[0].values), drawn)
    assert len(found.influences) == 1
    both = estimate(rows, rows, "rankme(n=10)", "joint")
    assert [len(part.values) for part in both.influences] == [53, SUBSAMPLES]


@pytest.mark.slow
@pytest.mark.parametrize("law", ["cone", "power"])
def test_intervals_cover_the_expected_value_at_this_n(law) -> None:
    """100 rows of 32 dimensions, where first order covers 86-92%; 200 rounds."""
    rng = np.random.default_rng(7)
    names = ["effective_rank", "rankme", "wasserstein_uniformity", "stable_rank"]
    documents, rounds = LAWS[law](rng, 130, 32), 200
    found = {(name, side): [] for name in names for side in ("queries", "joint")}
    from anisotropy.statistics import interval

    for seed in range(rounds):
        facts = Facts(EmbeddingSpace(LAWS[law](rng, 100, 32), documents), Plan(), seed=seed)
        for name, side in found:
            one = definition_of(name).compute(facts, parse(name), side, "unit")
            found[name, side].append((one.value, interval(one).low, interval(one).high))
    for key, rows in found.items():
        table = np.array(rows)
        truth = table[:, 0].mean()
        covered = np.mean((table[:, 1] <= truth) & (truth <= table[:, 2]))
        assert covered >= 0.93 - 3 * math.sqrt(0.05 * 0.95 / rounds), (key, covered)


# Properties -------------------------------------------------------------------------------------


def test_rogue_dimensions_follow_the_axes() -> None:
    rows = cone(200, 12, 1.0, 0)
    axes = value(rows, "rogue_dimensions(k=1)")
    assert axes == pytest.approx(1, abs=0.01)
    assert value(rows @ rotation(12), "rogue_dimensions(k=1)") < 0.7


def test_repeating_every_row_changes_only_the_correction() -> None:
    """Spectra of n rows twice are those of n rows, up to the divisor."""
    rows = LAWS["power"](np.random.default_rng(3), 80, 10)
    twice = np.concatenate([rows, rows])
    for name in ("effective_rank", "rankme", "stable_rank", "variance_explained(k=3)",
                 "spectral_decay(low=2, high=9)", "partition_isotropy", "norm_mean",
                 "wasserstein_uniformity(corrected=False)",
                 "participation_ratio(corrected=False)"):  # fmt: skip
        on = "raw" if name == "norm_mean" else "unit"
        assert value(twice, name, on) == pytest.approx(value(rows, name, on), rel=1e-9), name
    assert value(twice, "mean_cosine") > value(rows, "mean_cosine")


def test_scale_changes_lengths_alone() -> None:
    rows = LAWS["power"](np.random.default_rng(3), 60, 10)
    for name in ("effective_rank", "rankme", "stable_rank", "variance_explained(k=3)",
                 "spectral_decay(low=2, high=9)", "norm_cv"):  # fmt: skip
        assert value(5 * rows, name, "raw") == pytest.approx(value(rows, name, "raw")), name
    assert value(5 * rows, "norm_mean", "raw") == pytest.approx(
        5 * value(rows, "norm_mean", "raw")
    )


def test_rows_in_a_thin_cone_keep_their_spread() -> None:
    """Rounding of unit rows must not be taken for variance, nor hide it."""
    same = np.ones((60, 24), dtype=np.float32) / 3
    facts = Facts(EmbeddingSpace(same[:40], same), Plan())
    assert facts.moments("documents", "unit").trace < 1e-12
    thin = same + 1e-3 * np.random.default_rng(0).standard_normal(same.shape).astype(np.float32)
    found = Facts(EmbeddingSpace(thin[:40], thin), Plan()).moments("documents", "unit")
    rows = unit(thin.astype(np.float64))
    assert found.trace == pytest.approx(rows.var(axis=0, ddof=1).sum(), rel=1e-3)
