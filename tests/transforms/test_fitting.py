"""What transforms do to rows: properties, and a literal twin of each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from anisotropy.errors import EmbeddingsError, UsageError
from anisotropy.spaces import ShardedRows
from anisotropy.transforms import fit, normalize, parse

ALL = (
    "center",
    "normalize",
    "standardize",
    "whiten",
    "whiten(shrinkage=0.3)",
    "whiten(dim=5)",
    "remove_top_directions(k=2)",
    "center>normalize",
    "normalize>whiten(shrinkage=0.1)>normalize",
)


def rows_of(n: int = 300, dim: int = 12, seed: int = 0) -> np.ndarray:
    """A cone with unequal, correlated variances, float64."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(dim, dim)) * np.linspace(2, 0.3, dim)
    return rng.normal(size=(n, dim)) @ mixing + 3 * rng.normal(size=dim)


def rotation(dim: int = 12) -> np.ndarray:
    q, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(dim, dim)))
    return q


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def symmetric_power(matrix: np.ndarray, power: float) -> np.ndarray:
    """By the spectral theorem, with scipy's own function for the root."""
    from scipy.linalg import fractional_matrix_power

    return np.asarray(fractional_matrix_power(matrix, power)).real


def twin_whiten(x: np.ndarray, shrinkage: float = 0.0) -> np.ndarray:
    s = np.cov(x.T)
    s = (1 - shrinkage) * s + shrinkage * np.trace(s) / len(s) * np.eye(len(s))
    return (x - x.mean(0)) @ symmetric_power(s, -0.5)


def twin_remove(x: np.ndarray, k: int) -> np.ndarray:
    centered = x - x.mean(0)
    for direction in np.linalg.svd(centered, full_matrices=False)[2][:k]:
        centered = centered - np.outer(centered @ direction, direction)
    return centered


TWINS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "center": lambda x: x - x.mean(0),
    "normalize": unit,
    "standardize": lambda x: (x - x.mean(0)) / x.std(0, ddof=1),
    "whiten": twin_whiten,
    "whiten(shrinkage=0.3)": lambda x: twin_whiten(x, 0.3),
    "whiten(shrinkage=1)": lambda x: twin_whiten(x, 1.0),
    "remove_top_directions(k=2)": lambda x: twin_remove(x, 2),
    "center>normalize": lambda x: unit(x - x.mean(0)),
    "normalize>center>normalize": lambda x: unit(unit(x) - unit(x).mean(0)),
    "normalize>whiten(shrinkage=0.1)>normalize": lambda x: unit(twin_whiten(unit(x), 0.1)),
}


@pytest.mark.parametrize("text", TWINS)
def test_agrees_with_the_definition(text: str) -> None:
    x = rows_of()
    assert np.allclose(parse(text).fit(x).apply(x), TWINS[text](x), rtol=1e-9, atol=1e-9)


def test_center_has_mean_zero_and_standardize_unit_variance() -> None:
    x = rows_of()
    assert np.abs(parse("center").fit(x).apply(x).mean(0)).max() < 1e-12
    z = parse("standardize").fit(x).apply(x)
    assert np.allclose(z.std(0, ddof=1), 1)
    assert np.abs(z.mean(0)).max() < 1e-12


@pytest.mark.parametrize("dim", [None, 1, 5, 12])
def test_whitened_covariance_is_the_identity(dim: int | None) -> None:
    x = rows_of()
    text = "whiten" if dim is None else f"whiten(dim={dim})"
    z = parse(text).fit(x).apply(x)
    assert z.shape == (300, dim or 12)
    assert np.allclose(np.cov(z.T), np.eye(dim or 12), atol=1e-9)


def test_components_and_the_symmetric_form_have_the_same_inner_products() -> None:
    x = rows_of()
    z, p = (parse(text).fit(x).apply(x) for text in ("whiten", "whiten(dim=12)"))
    assert np.allclose(z @ z.T, p @ p.T)
    assert not np.allclose(z, p)


def test_the_symmetric_form_is_the_one_nearest_to_the_rows() -> None:
    # Among all W with W'SW = I the symmetric one has the least squared distance to the centered
    # rows (Kessy et al. 2018): any other is it times a rotation.
    x = rows_of()
    centered = x - x.mean(0)
    z = parse("whiten").fit(x).apply(x)
    assert ((z - centered) ** 2).sum() < ((z @ rotation() - centered) ** 2).sum()


def test_removed_directions_are_gone_and_the_rest_is_untouched() -> None:
    x = rows_of()
    directions = np.linalg.svd(x - x.mean(0), full_matrices=False)[2]
    z = parse("remove_top_directions(k=3)").fit(x).apply(x)
    assert np.abs(z @ directions[:3].T).max() < 1e-9
    assert np.allclose(z @ directions[3:].T, (x - x.mean(0)) @ directions[3:].T)


def test_normalize_is_idempotent_and_leaves_zero_rows() -> None:
    x = rows_of()
    x[7] = 0
    once = normalize().fit(x).apply(x)
    assert np.allclose(np.delete(np.linalg.norm(once, axis=1), 7), 1)
    assert not once[7].any()
    assert np.allclose(normalize().fit(once).apply(once), once)


@pytest.mark.parametrize("text", ["center", "whiten", "whiten(shrinkage=0.3)",
                                  "remove_top_directions(k=2)", "center>normalize"])  # fmt: skip
def test_a_rotation_before_is_a_rotation_after(text: str) -> None:
    x, q = rows_of(), rotation()
    assert np.allclose(parse(text).fit(x @ q).apply(x @ q), parse(text).fit(x).apply(x) @ q)


def test_standardize_follows_the_axes() -> None:
    x, q = rows_of(), rotation()
    text = "standardize"
    assert not np.allclose(parse(text).fit(x @ q).apply(x @ q), parse(text).fit(x).apply(x) @ q)


@pytest.mark.parametrize("text", ALL)
def test_fitted_on_one_set_and_applied_to_another(text: str) -> None:
    x, y = rows_of(), rows_of(n=40, seed=1)
    fitted = parse(text).fit(x)
    together = fitted.apply(np.concatenate([x, y]))
    assert np.allclose(together[300:], fitted.apply(y))
    assert np.allclose(together[:300], fitted.apply(x))
    if text != "normalize":
        assert not np.allclose(fitted.apply(y), parse(text).fit(y).apply(y))


@pytest.mark.parametrize("text", ALL)
def test_order_chunks_files_and_threads_of_rows_do_not_matter(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = rows_of().astype(np.float32)
    whole = parse(text).fit(x).apply(x)
    monkeypatch.setattr("anisotropy.backend.BLOCK_BYTES", 12 * 4 * 7)
    monkeypatch.setattr("anisotropy.transforms.rows.MEMORY_BYTES", 0)
    monkeypatch.setenv("ANISOTROPY_CACHE", str(tmp_path / "cache"))
    sharded = ShardedRows([x[:100], x[100:101], x[101:]])
    fitted = parse(text).fit(sharded)
    streamed = fitted.apply(sharded)
    assert isinstance(streamed, np.memmap)
    assert isinstance(whole, np.ndarray)
    assert not isinstance(whole, np.memmap)
    assert streamed.dtype == np.float32
    assert not list((tmp_path / "cache").iterdir())  # the file has no name: it goes by itself
    signs = np.sign((streamed * whole).sum(0)) if "dim" in text else 1.0
    assert np.allclose(streamed * signs, whole, atol=1e-5)
    if "dim" not in text:
        order = np.random.default_rng(3).permutation(300)
        assert np.allclose(parse(text).fit(x[order]).apply(x), whole, atol=1e-5)


@pytest.mark.parametrize("text", ALL)
@pytest.mark.parametrize(("kind", "tolerance"), [(np.float32, 2e-5), (np.float16, 2e-2)])
def test_narrow_types_are_fitted_in_float64(text: str, kind: type, tolerance: float) -> None:
    x = unit(rows_of(n=2000))
    narrow = x.astype(kind)
    got = parse(text).fit(narrow).apply(narrow)
    want = parse(text).fit(x).apply(x)
    assert got.dtype == np.float32
    assert want.dtype == np.float64
    if "dim" in text:
        got, want = np.abs(got), np.abs(want)
    assert np.sqrt(np.mean((got - want) ** 2)) < tolerance * np.sqrt(np.mean(want**2)) * 12


def test_a_far_mean_costs_no_digits() -> None:
    x = rows_of(n=4000).astype(np.float32) + np.float32(1000)
    z = parse("whiten").fit(x).apply(x)
    assert np.allclose(np.cov(z.astype(np.float64).T), np.eye(12), atol=1e-4)


@pytest.mark.parametrize(
    "text", ["whiten", "standardize", "remove_top_directions(k=12)", "whiten(dim=13)"]
)
def test_what_cannot_be_fitted_is_refused(text: str) -> None:
    x = rows_of()
    x[:, 4] = 1.5
    few = x if text != "whiten" else x[:12]
    with pytest.raises(UsageError) as caught:
        parse(text).fit(few)
    assert "\n" not in str(caught.value)
    assert text in str(caught.value)


def test_too_few_rows_want_shrinkage_or_fewer_dimensions() -> None:
    x = rows_of(n=8)
    with pytest.raises(UsageError, match=r"8 rows .* vary in 7 of 12 .* dim of at most 7"):
        parse("whiten").fit(x)
    assert np.allclose(np.cov(parse("whiten(dim=7)").fit(x).apply(x).T), np.eye(7))
    with pytest.raises(UsageError, match="allowed: dim up to 7"):
        parse("whiten(dim=8)").fit(x)
    shrunk = parse("whiten(shrinkage=0.1)").fit(x)
    assert shrunk.dead == 0
    assert np.isfinite(shrunk.apply(rows_of(n=5, seed=9))).all()
    with pytest.raises(UsageError, match="1 row"):
        parse("center").fit(x[:1])


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.float16])
def test_directions_that_the_rows_do_not_use_are_zeroed_and_counted(kind: type) -> None:
    x = rows_of(n=600, dim=10)
    wide = np.concatenate([x, np.full((600, 2), 0.25)], axis=1).astype(kind)
    fitted = parse("whiten").fit(wide)
    assert fitted.dead == 2
    z = fitted.apply(wide).astype(np.float64)
    assert np.allclose(np.cov(z.T)[:10, :10], np.eye(10), atol=1e-3)
    assert np.abs(z[:, 10:]).max() < 1e-3
    # Rounding noise in a direction without variance is not scaled up to a dimension.
    turned = (wide.astype(np.float64) @ rotation()).astype(kind)
    assert parse("whiten").fit(turned).dead == 2


def test_after_a_direction_is_removed_it_stays_removed() -> None:
    x = rows_of()
    fitted = parse("remove_top_directions(k=2)>whiten").fit(x)
    assert fitted.dead == 2
    assert np.linalg.matrix_rank(fitted.apply(x)) == 10


def test_sides_apart() -> None:
    documents, queries = rows_of(), rows_of(n=90, seed=1) + 4
    fitted = fit(parse("center(by=side)"), documents, queries)
    assert (fitted.n, fitted.n_queries) == (300, 90)
    assert np.abs(fitted.apply(documents).mean(0)).max() < 1e-12
    assert np.abs(fitted.apply(queries, "queries").mean(0)).max() < 1e-12
    assert np.abs(fitted.apply(queries).mean(0)).max() > 1
    both = fit(parse("center"), documents, queries)
    assert both.n_queries == 0
    assert np.array_equal(both.apply(queries), both.apply(queries, "queries"))
    with pytest.raises(UsageError, match="needs queries"):
        fit(parse("center(by=side)"), documents)


def test_a_later_step_for_both_is_fitted_on_documents_after_each_sides_own() -> None:
    documents, queries = rows_of(), rows_of(n=90, seed=1) + 4
    fitted = fit(parse("center(by=side)>standardize"), documents, queries)
    spread = documents.std(0, ddof=1)
    expected = (queries - queries.mean(0)) / spread
    assert np.allclose(fitted.apply(queries, "queries"), expected)


@pytest.mark.parametrize("rows", [np.ones(4), np.ones((4, 3), dtype=int), [[1, 2], [3, 4]]])
def test_what_are_no_rows_is_refused(rows: object) -> None:
    with pytest.raises(EmbeddingsError, match="floating-point rows"):
        parse("center").fit(rows)


def test_another_dimension_is_refused() -> None:
    with pytest.raises(EmbeddingsError, match="rows of 12 dimensions; got 5"):
        parse("center").fit(rows_of()).apply(np.ones((3, 5)))
