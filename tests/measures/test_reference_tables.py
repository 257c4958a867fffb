"""Tables of simulated values that were computed beforehand, by other code than this package's.

Made in float64 with one seed a row; another seed moves the last digit shown, and the
tolerances are those. Sizes are those of the tables unless a line says otherwise.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from anisotropy.measures import definition_of, measure_space, parse, registry
from anisotropy.measures.facts import Facts
from anisotropy.measures.run import _plan
from anisotropy.spaces import EmbeddingSpace
from tests.measures.making import cone, unit

REGISTERED = {definition.name for definition in registry()}


def one(rows: np.ndarray, text: str, on: str = "unit", **options: int) -> float:
    """A measure of one side at one place, computed alone."""
    return measured(EmbeddingSpace(rows, rows[:5]), text, "queries", on, **options)


def measured(made: EmbeddingSpace, text: str, side: str, on: str, **options: int) -> float:
    measure = parse(text)
    compute = definition_of(measure).compute
    assert compute is not None
    return compute(Facts(made, _plan([measure]), **options), measure, side, on).value


def known(*rows: tuple) -> list[tuple]:
    """Rows of a table whose measure (first) is registered."""
    return [row for row in rows if row[0].partition("(")[0] in REGISTERED]


def sphere(n: int, dim: int, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).standard_normal((n, dim)))


def collapsed(n: int, kept: int) -> np.ndarray:
    rows = np.zeros((n, 768))
    rows[:, :kept] = np.random.default_rng(kept).standard_normal((n, kept))
    return unit(rows)


FAMILIES = {
    # uniformity t=2, t=5, mean cosine, PR, IsoScore, partition, W2
    "uniform sphere": (lambda n: sphere(n, 768), -3.990, -9.935, 0, 644.3, 0.839, 0.995, 0.222),
    "collapse to 4": (lambda n: collapsed(n, 4), -2.415, -3.72, 0, 4.0, 0.0039, 0.87, 1.362),
    "cone a=1": (lambda n: unit(cone(n, 768, 1, 1)), -1.994, -4.97, 0.5, 644, 0.838, 0.243,
                 0.788),
}  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_is_blind_to_what_another_sees(name) -> None:
    """d=768; moments at n=4000, pairs at n=1000."""
    make, t2, t5, cosine, ratio, isoscore, partition, w2 = FAMILIES[name]
    some, rows = make(1000), make(4000).astype("f4")
    assert one(some, "uniformity(t=2)") == pytest.approx(t2, abs=0.03)
    assert one(some, "uniformity(t=5)") == pytest.approx(t5, abs=0.08)
    expected = known(
        ("mean_cosine", cosine, 0.01),
        ("participation_ratio(corrected=False)", ratio, 1 + 0.003 * ratio),
        ("isoscore(corrected=False)", isoscore, 0.003),
        ("partition_isotropy", partition, 0.015),
        ("wasserstein_uniformity(corrected=False, n=all)", w2, 0.005),
    )
    for text, value, tolerance in expected:
        assert one(rows, text) == pytest.approx(value, abs=tolerance), text


def test_a_line_has_one_dimension() -> None:
    v = np.random.default_rng(0).standard_normal(768)
    rows = np.where(np.random.default_rng(1).random(1000) < 0.5, 1, -1)[:, None] * unit(v[None])
    assert one(rows, "uniformity(t=2)") == pytest.approx(-0.693, abs=0.005)
    assert one(rows, "uniformity(t=5)") == pytest.approx(-0.693, abs=0.005)
    assert one(rows, "participation_ratio(corrected=False)") == pytest.approx(1)
    assert one(rows, "partition_isotropy") == pytest.approx(0.645, abs=0.01)


@pytest.mark.parametrize(
    ("data", "value"), [("isotropic", 0.7527), ("one wide axis", 0.0090), ("shifted", 0.1410)]
)
def test_partition_isotropy(data, value) -> None:
    """n=4000, d=64, raw rows."""
    rows = np.random.default_rng(3).standard_normal((4000, 64))
    if data == "one wide axis":
        rows[:, 0] *= 3
    rows[:, 0] += data == "shifted"
    assert one(rows, "partition_isotropy", "raw") == pytest.approx(value, rel=0.25, abs=0.01)


BIAS = known(
    # n = 384, 768, 1500
    ("isoscore(corrected=False)", (0.333, 0.498, 0.660), 0.004),
    ("participation_ratio(corrected=False)", (256, 383, 507), 3),
    ("effective_rank(n=all)", (355, 617, 709), 2),
    ("rankme(n=all)", (355, 617, 709), 2),
    ("stable_rank(n=all)", (136, 195, 264), 5),
)


@pytest.mark.parametrize(("text", "values", "tolerance"), BIAS)
def test_bias_of_the_spectrum(text, values, tolerance) -> None:
    """Isotropic Gaussian rows, d=768."""
    for n, value in zip((384, 768, 1500), values, strict=True):
        rows = np.random.default_rng(n).standard_normal((n, 768))
        assert one(rows, text, "raw") == pytest.approx(value, abs=tolerance), n


SPECTRA = {
    # eigenvalues by rank, true PR; at n=500 observed and corrected, each with its spread. Where
    # one eigenvalue leads, the seed of the table moves its own value by as much.
    "isotropic": (lambda i: np.ones(768), 768, 302, 3, 765, 25),
    "power .5": (lambda i: i**-0.5, 403.5, 223, 3, 403, 12),
    "power 1": (lambda i: 1 / i, 31.7, 28.8, 2, 30.5, 2.5),
    "64 of 768": (lambda i: (i <= 64) + 1e-12, 64.0, 56.5, 1, 63.7, 1),
}


@pytest.mark.parametrize("name", SPECTRA)
def test_correction_of_the_participation_ratio(name) -> None:
    """Gaussian rows, n=500, d=768: observed, corrected, and the truth."""
    law, truth, observed, near, corrected, spread = SPECTRA[name]
    values = law(np.arange(1, 769.0))
    assert values.sum() ** 2 / (values**2).sum() == pytest.approx(truth, rel=0.002)
    rows = np.random.default_rng(7).standard_normal((500, 768)) * np.sqrt(values)
    plain = one(rows, "participation_ratio(corrected=False)", "raw")
    assert plain == pytest.approx(observed, abs=near)
    assert one(rows, "participation_ratio", "raw") == pytest.approx(corrected, abs=spread)


@pytest.mark.parametrize(
    ("dim", "best2", "best5"),
    [(16, -3.5130, -7.2685), (128, -3.9375, -9.6105), (256, -3.9688, -9.8048),
     (1024, -3.9922, -9.9512)],
)  # fmt: skip
def test_optimum_of_uniformity(dim, best2, best5) -> None:
    from anisotropy.measures.families.uniformity import optimum

    assert optimum(2, dim) == pytest.approx(best2, abs=6e-5)
    assert optimum(5, dim) == pytest.approx(best5, abs=6e-5)


def test_duplicates_raise_uniformity_most_at_large_t() -> None:
    """Uniform sphere, d=768, n=1000: plain, one duplicated row, 1% of the rows duplicated."""
    rows = sphere(1000, 768, 3)
    for repeated, t2, t5 in ((0, -3.989, -9.934), (1, -3.989, -9.894), (10, -3.988, -9.594)):
        with_copies = rows.copy()
        with_copies[:repeated] = rows[500 : 500 + repeated]
        assert one(with_copies, "uniformity(t=2)") == pytest.approx(t2, abs=0.003)
        assert one(with_copies, "uniformity(t=5)") == pytest.approx(t5, abs=0.01)


GEOMETRY = {
    # 5000 rows of one set, k=10: Robin Hood, antihubs, range of the skewness
    "sphere, 32": (lambda: sphere(5000, 32, 1), 0.123, 0.0, (0.25, 0.4)),
    "sphere, 8": (lambda: sphere(5000, 8, 2), 0.107, 0.0, (0.1, 0.3)),
}


@pytest.mark.parametrize("name", GEOMETRY)
def test_hubs_on_the_sphere(name) -> None:
    make, robin_hood, antihubs, (low, high) = GEOMETRY[name]
    made = EmbeddingSpace((rows := make()), rows[:20])
    assert measured(made, "antihub_share(k=10)", "queries", "unit") == pytest.approx(
        antihubs, abs=0.001
    )
    for text, least, most in known(
        ("hubness_robin_hood(k=10)", robin_hood - 0.004, robin_hood + 0.004),
        ("hubness_skewness(k=10)", low, high),
    ):
        assert least < measured(made, text, "queries", "unit") < most


SHIFTS = {
    # shift: antihubs and Robin Hood at k=10; Gini and Robin Hood at k=200
    0: (0.0, 0.125, 0.041, 0.029),
    0.5: (0.195, 0.535, 0.52, 0.385),
    1: (0.615, 0.795, 0.77, 0.62),
    2: (0.91, 0.945, 0.91, 0.805),
}


@pytest.mark.parametrize("shift", SHIFTS)
def test_a_shift_of_the_anchors_makes_hubs_by_itself(shift) -> None:
    """5000 targets uniform on the sphere in 32 dimensions, 5000 anchors in a cone."""
    antihubs, robin_hood, gini, robin_hood_200 = SHIFTS[shift]
    made = EmbeddingSpace(unit(cone(5000, 32, shift, 5)).astype("f4"),
                          sphere(5000, 32, 6).astype("f4"))  # fmt: skip
    asked = known(
        ("antihub_share(k=10)", antihubs, 0.03),
        ("hubness_robin_hood(k=10)", robin_hood, 0.025),
        ("hubness_gini(k=200)", gini, 0.02),
        ("hubness_robin_hood(k=200)", robin_hood_200, 0.02),
    )
    facts = Facts(made, _plan([parse(text) for text, _, _ in asked]))
    for text, value, tolerance in asked:
        measure = parse(text)
        found = definition_of(measure).compute(facts, measure, "ranking", "unit")
        assert found.value == pytest.approx(value, abs=tolerance), text


def test_null_of_the_gap() -> None:
    """500 and 2000 rows of one cone a=1: the mean gap of permuted labels is 0.0353."""
    rows = cone(2500, 768, 1, 8)
    made = EmbeddingSpace(rows[:500], rows[500:])
    text = "gap(corrected=False)"
    row = measure_space(made, [text]).row("cross", text, "unit")
    assert row.null_mean == pytest.approx(0.0353, abs=2e-4)
    assert row.value == pytest.approx(0.0353, abs=2e-3)
    assert row.null_p > 0.001


@pytest.mark.parametrize(
    ("draws", "entropy", "kl", "gini", "effective"),
    [(1, 0.955, 0.574, 0.524, 0.564), (4, 0.990, 0.133, 0.278, 0.875),
     (20, 0.998, 0.025, 0.126, 0.975), (40, 0.999, 0.013, 0.089, 0.988)],
)  # fmt: skip
def test_an_even_law_looks_uneven_in_counts(draws, entropy, kl, gini, effective) -> None:
    """N=367,013 items; binomial counts of a mean number of draws an item."""
    from anisotropy.measures import unevenness

    n = 367_013
    drawn = np.random.default_rng(draws).binomial(n * draws, 1 / n, size=n)
    p = drawn / drawn.sum()
    assert unevenness.normalized_entropy(p) == pytest.approx(entropy, abs=6e-4)
    assert unevenness.kl(p) == pytest.approx(kl, abs=2e-3)
    assert unevenness.gini(p) == pytest.approx(gini, abs=2e-3)
    assert math.exp(-unevenness.kl(p)) == pytest.approx(effective, abs=2e-3)


SHARED = known(("cka", (0.0, 0.0), 0.01), ("procrustes", (0.17, 0.64), 0.03))


@pytest.mark.parametrize(("text", "values", "tolerance"), SHARED)
def test_similarity_of_what_shares_nothing(text, values, tolerance) -> None:
    """Independent Gaussians, d=768, n=256 and 1000; rows nearly of one length."""
    from anisotropy.comparison import compare_spaces

    for n, value in zip((256, 1000), values, strict=True):
        draw = np.random.default_rng(n).standard_normal
        spaces = [EmbeddingSpace(draw((n, 768)), draw((5, 768))) for _ in range(2)]
        found = [measure_space(each, [text], between=True) for each in spaces]
        mine = next(s for s in compare_spaces(*found)[1] if s.side == "queries")
        assert mine.value == pytest.approx(value, abs=tolerance), n
