"""Duplicates, zero vectors and padding under every registered measure: numbers or a reason."""

from __future__ import annotations

import numpy as np
import pytest

from anisotropy.errors import EmbeddingsError, UsageError
from anisotropy.measures import measure_space, parse
from anisotropy.spaces import EmbeddingSpace
from tests.measures.everything import chunked, measurable, noisy, plain, possible, same, table
from tests.measures.making import remade


def some_rows_repeat(made: EmbeddingSpace) -> EmbeddingSpace:
    """Clumps larger than the deepest k, so that whole lists are ties at distance zero."""
    queries, documents = made.queries.copy(), made.documents.copy()
    queries[:20] = queries[0]
    documents[:60] = documents[0]
    documents[60:70] = documents[60]
    return remade(made, queries, documents)


def queries_are_documents(made: EmbeddingSpace) -> EmbeddingSpace:
    """Every query is its first positive, so the nearest of all is at distance zero."""
    first = [int(min(made.qrels[q], key=lambda d: int(d[1:]))[1:]) for q in made.query_ids]
    return remade(made, made.documents[first], made.documents)


def one_query_asked_by_all(made: EmbeddingSpace) -> EmbeddingSpace:
    return remade(made, np.tile(made.queries[:1], (60, 1)), made.documents)


def one_document(made: EmbeddingSpace) -> EmbeddingSpace:
    return remade(made, made.queries, np.tile(made.documents[:1], (150, 1)))


def all_on_a_line(made: EmbeddingSpace) -> EmbeddingSpace:
    """Every row one of two opposite vectors."""
    signs = np.where(np.arange(210) % 3 == 0, -1.0, 1.0)[:, None]
    rows = signs * np.linspace(1, 2, 8)
    return remade(made, rows[:60], rows[60:])


@pytest.mark.parametrize(
    ("change", "queries", "documents", "refused"),
    [
        (some_rows_repeat, 19, 68, set()),
        (queries_are_documents, None, 0, set()),
        (one_query_asked_by_all, 59, 0, {"separability"}),
        (one_document, 0, 149, {"separability"}),
        (all_on_a_line, 58, 148, {"centroid_cosine", "intrinsic_dimension", "spectral_decay"}),
    ],
)
def test_duplicates_are_counted_and_give_no_nan(change, queries, documents, refused) -> None:
    made = change(plain())
    other = noisy(plain())
    asked = measurable(made, possible())
    assert {parse(text).name for text in possible() if text not in asked} == refused
    for left, right in ((made, other), (other, made), (made, made)):
        rows = table(left, right, asked=asked)
        assert rows
        wrong = [key for key, row in rows.items() if not np.isfinite(row[0])]
        wrong += [key for key, row in rows.items() if np.isinf(row).any() or row[-2] > row[-1]]
        assert not wrong
    found = measure_space(made, asked, between=True)
    assert len(found.rows) + len(found.withheld) >= len(asked) - 2
    assert all(line.reason for line in found.withheld)
    for side, extra in (("queries", queries), ("documents", documents)):
        lines = [line for line in found.warnings if line.startswith(f"{side}: ")]
        lines = [line for line in lines if "repeat another row exactly" in line]
        if extra is not None:
            assert [line.split()[1] for line in lines] == [str(extra)] * (extra > 0)


@pytest.mark.parametrize("side", ["queries", "documents"])
@pytest.mark.parametrize("text", ["mean_cosine", "partition_isotropy", "nDCG@10", "cka"])
def test_zero_rows_are_refused_before_anything_is_measured(side, text) -> None:
    made = plain()
    rows = {"queries": made.queries.copy(), "documents": made.documents.copy()}
    rows[side][[3, 5]] = 0
    with pytest.raises(EmbeddingsError, match=rf"{side}: 2 all-zero row\(s\), first row 3"):
        measure_space(remade(made, **rows), [text], between=True)


def test_what_a_padding_only_chunk_holds_reaches_the_ranking_alone() -> None:
    made = chunked()
    documents = made.documents.copy()
    documents[made.padding] = np.random.default_rng(1).standard_normal((30, 8)) + 5
    other = noisy(made)
    moved = remade(made, made.queries, documents)
    before, after = table(made, other), table(moved, other)
    geometry = [key for key in before if key[2] != "recipe" and not key[1].startswith("rbo")]
    assert len(geometry) > 60
    same({k: before[k] for k in geometry}, {k: after[k] for k in geometry}, 1e-12)
    assert any(not np.array_equal(before[k], after[k], equal_nan=True)
               for k in before if k[0] == "ranking" and k[2] == "recipe")  # fmt: skip
    line = next(w for w in measure_space(made, ["gap"]).warnings if "padding-only" in w)
    assert line.startswith("documents: 30 padding-only chunks are left out")


def test_few_units_and_certain_shares_give_no_interval_without_width() -> None:
    rng = np.random.default_rng(0)
    few = EmbeddingSpace(rng.normal(size=(4, 6)), rng.normal(size=(9, 6)), qrels={"0": {"0": 1}})
    rows = [row for row in measure_space(few).rows if row.population == "queries"]
    assert rows
    assert not [row for row in rows if not np.isnan(row.ci_low)]
    # Every positive is the nearest document: nothing tells how far off another query may be.
    documents = np.eye(40)
    qrels = {str(i): {str(i): 1} for i in range(30)}
    best = EmbeddingSpace(documents[:30], documents, qrels=qrels)
    (row,) = measure_space(best, ["positive_percentile"]).rows
    assert row.value == 0
    assert np.isnan(row.ci_low)


def test_one_judged_document_and_equal_distances_are_said_not_divided_by() -> None:
    rng = np.random.default_rng(1)
    one = EmbeddingSpace(rng.normal(size=(30, 5)), rng.normal(size=(50, 5)), qrels={"3": {"7": 1}})
    names = ["negative_positive_share(k=5)", "negative_probability_kl(k=5, role=documents)"]
    assert all(np.isnan(row.ci_low) for row in measure_space(one, names).rows)
    corners = EmbeddingSpace(np.eye(16), np.eye(16))
    with pytest.raises(UsageError, match="equally far"):
        measure_space(corners, ["intrinsic_dimension(method=twonn)"])


def test_written_queries_reach_the_gap_that_their_pairs_hide() -> None:
    """The errors of the centers go together where queries are written from the documents."""
    rng, covered, low = np.random.default_rng(2), 0, 0
    far = rng.normal(size=(200_000, 8)) * 0.5
    moved = far + rng.normal(size=far.shape) * 0.3
    moved[:, 0] += 0.1

    def unit(rows: np.ndarray) -> np.ndarray:
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    truth = np.linalg.norm(unit(far).mean(0) - unit(moved).mean(0))
    for _ in range(60):
        documents = rng.normal(size=(200, 8)) * 0.5
        queries = documents + rng.normal(size=documents.shape) * 0.3
        queries[:, 0] += 0.1
        space = EmbeddingSpace(queries, documents, qrels={str(i): {str(i): 1} for i in range(200)})
        (row,) = measure_space(space, ["gap"]).rows
        covered += row.ci_low <= truth <= row.ci_high
        low += row.value < truth
    assert low > 45  # the value keeps its definition, which is too small here
    assert covered >= 54
