"""The space after an intervention: what it was fitted on, what is kept, what ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anisotropy as an
from anisotropy.errors import EmbeddingsError, UsageError
from anisotropy.transforms import rows


def make(n: int = 120, dim: int = 6, training: bool = True, **more: Any) -> an.EmbeddingSpace:
    """A cone; queries are noisy copies of documents, the last thirty those of training."""
    rng = np.random.default_rng(0)
    documents = rng.normal(size=(n, dim)) * np.linspace(2, 0.5, dim) + 4
    queries = documents[:60] + 0.3 * rng.normal(size=(60, dim)) - 1
    shared: dict[str, Any] = {"label": "cone", "recipe": {"name": "r"}, "fingerprint": "f", **more}
    pool = an.EmbeddingSpace(
        queries[30:],
        documents,
        query_ids=[f"t{i}" for i in range(30)],
        qrels={f"t{i}": {str(i + 30): 1, str(n - 1): 0} for i in range(30)},
        **shared,
    )
    return an.EmbeddingSpace(
        queries[:30],
        documents,
        qrels={str(i): {str(i): 1} for i in range(30)},
        query_texts=[f"query {i}" for i in range(30)],
        doc_texts=[f"document {i}" for i in range(n)],
        training=pool if training else None,
        **shared,
    )


def test_fitted_on_documents_of_training_queries_and_applied_to_everything() -> None:
    space = make()
    after = an.transform(space, "center")
    mean = space.documents[30:60].mean(0)
    assert np.allclose(after.documents, space.documents - mean)
    assert np.allclose(after.queries, space.queries - mean)
    assert after.training is not None
    assert space.training is not None
    assert np.allclose(after.training.queries, space.training.queries - mean)
    assert after.training.documents is after.documents
    (note,) = after.recipe["transform"]
    assert note == {"text": "center", "fitted_on": "documents of training queries", "rows": 30}


def test_nothing_else_changes_and_the_original_stays() -> None:
    space = make(similarity="dot", temperature=0.1)
    before = space.documents.copy()
    after = an.transform(space, "standardize")
    assert np.array_equal(space.documents, before)
    assert "transform" not in space.recipe
    same = ("query_ids", "doc_ids", "qrels", "query_texts", "doc_texts", "similarity",
            "temperature", "counts", "collection_info")  # fmt: skip
    for name in same:
        assert getattr(after, name) == getattr(space, name), name
    assert (after.label, after.recipe["name"]) == ("cone | standardize", "r")
    assert after.fingerprint not in ("", space.fingerprint)
    assert after.training is not None
    assert space.training is not None
    assert after.training.qrels == space.training.qrels
    assert an.transform(space, "standardize", label="other").label == "other"


def test_all_documents_where_none_is_of_training_or_it_is_asked_for() -> None:
    space = make()
    mean = space.documents.mean(0)
    for one, fit_on in ((make(training=False), None), (space, "documents")):
        after = an.transform(one, "center", fit_on)  # type: ignore[arg-type]
        assert np.allclose(after.documents.mean(0), 0, atol=1e-12)
        assert np.allclose(after.queries, space.queries - mean)
        assert after.recipe["transform"][0]["fitted_on"] == "documents (all)"


def test_fitted_on_another_space() -> None:
    space, other = make(training=False), make(n=70)
    after = an.transform(space, "center(by=side)", fit_on=other)
    assert np.allclose(after.queries, space.queries - other.queries.mean(0))
    assert np.allclose(after.documents, space.documents - other.documents.mean(0))
    note = after.recipe["transform"][0]
    assert (note["fitted_on"], note["rows"], note["query_rows"]) == ("documents of cone", 70, 30)
    with pytest.raises(EmbeddingsError, match="fitted on 5 dimensions; 'cone' has 6"):
        an.transform(space, "center", fit_on=make(dim=5))
    with pytest.raises(UsageError, match="did you mean 'documents'"):
        an.transform(space, "center", fit_on="document")  # type: ignore[arg-type]


def test_the_query_side_is_fitted_on_training_queries_and_never_on_the_evaluated() -> None:
    space = make()
    assert space.training is not None
    after = an.transform(space, an.transforms.center(by="side"))
    assert np.allclose(after.queries, space.queries - space.training.queries.mean(0))
    assert after.recipe["transform"][0]["query_rows"] == 30
    with pytest.raises(UsageError, match="has none"):
        an.transform(make(training=False), "center(by=side)")


def test_evaluated_queries_cannot_change_the_map() -> None:
    space = make()
    other = make()
    other.queries = other.queries[::-1] * 3
    first, second = (an.transform(one, "whiten(shrinkage=0.2)") for one in (space, other))
    assert np.array_equal(first.documents, second.documents)


def test_shrinkage_and_unused_directions_are_stated() -> None:
    (note,) = an.transform(make(), "whiten").recipe["transform"]
    assert note["shrinkage"] == 0
    (note,) = an.transform(make(), "whiten(shrinkage=0.25)").recipe["transform"]
    assert note["shrinkage"] == 0.25
    space = make()
    flat = np.ones((120, 1))
    wide = an.EmbeddingSpace(np.hstack([space.queries, flat[:30]]),
                             np.hstack([space.documents, flat]))  # fmt: skip
    (note,) = an.transform(wide, "whiten").recipe["transform"]
    assert note["directions_set_to_zero"] == 1


def test_one_after_the_other_is_the_chain() -> None:
    space = make()
    twice = an.transform(an.transform(space, "center"), "normalize")
    once = an.transform(space, "center>normalize")
    assert np.allclose(twice.documents, once.documents)
    assert twice.label == "cone | center | normalize"
    assert [note["text"] for note in twice.recipe["transform"]] == ["center", "normalize"]


def test_the_similarity_stays_that_of_the_recipe() -> None:
    cosine, dot = make(similarity="cosine"), make(similarity="dot")
    values = {}
    for text in ("center", "center>normalize"):
        for one in (cosine, dot):
            after = an.transform(one, text)
            frame = after.neighbors("0", k=120).sort_values("doc_id")
            values[text, after.similarity] = frame.score.to_numpy()
    # A cosine divides by the new lengths whether or not normalize ends the chain.
    assert np.allclose(values["center", "cosine"], values["center>normalize", "cosine"], atol=1e-5)
    assert np.allclose(values["center", "cosine"], values["center>normalize", "dot"], atol=1e-5)
    assert not np.allclose(values["center", "dot"], values["center", "cosine"], atol=0.1)


def test_padding_is_transformed_but_not_fitted_on() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(30, 4))
    rows[[2, 8]] = 1000
    padding = np.zeros(30, dtype=bool)
    padding[[2, 8]] = True
    owner = np.arange(30) // 3
    space = an.EmbeddingSpace(
        rng.normal(size=(10, 4)), rows, document_of_row=owner, padding=padding,
        training=an.EmbeddingSpace(rng.normal(size=(3, 4)), rows, document_of_row=owner,
                                   padding=padding, qrels={"0": {"0": 1}, "2": {"2": 2}}),
    )  # fmt: skip
    after = an.transform(space, "center")
    assert np.allclose(after.documents, rows - rows[[0, 1, 6, 7]].mean(0))
    assert after.recipe["transform"][0]["rows"] == 4
    assert after.padding is space.padding
    every = an.transform(space, "center", "documents")
    assert np.allclose(every.documents, rows - rows[~padding].mean(0))


def test_a_fix_that_helps_ranking_is_seen_to_help() -> None:
    # One loud direction says nothing about relevance. Taking it out must show as a ranking that
    # is better beyond its uncertainty.
    rng = np.random.default_rng(2)
    latent = rng.normal(size=(400, 16))
    documents = latent + 6 * np.eye(16)[0] * rng.normal(size=(400, 1)) + 3
    queries = latent[:200] + 0.2 * rng.normal(size=(200, 16)) + 3
    qrels = {str(i): {str(i): 1} for i in range(200)}
    space = an.EmbeddingSpace(queries, documents, qrels=qrels, similarity="dot", label="x")
    fixed = an.transform(space, "remove_top_directions(k=1)>normalize")
    results = an.compare(space, fixed, measures=["nDCG@10", "mean_cosine"], projections=())
    (row,) = [r for r in results.deltas if (r.side, r.measure) == ("ranking", "nDCG@10")]
    assert row.ci_low > 0.2
    assert row.p < 0.001
    # And where nothing is wrong, a rotation-like step changes nothing.
    plain = an.EmbeddingSpace(queries, latent, qrels=qrels, label="y")
    same = an.transform(plain, "normalize")
    results = an.compare(plain, same, measures=["nDCG@10"], projections=())
    assert {r.delta for r in results.deltas} == {0.0}


def test_fewer_dimensions_compare_where_they_may() -> None:
    space = make()
    results = an.compare(space, an.transform(space, "whiten(dim=3)"), projections=())
    compared = {row.measure for row in results.deltas}
    withheld = {row.measure for row in results.withheld}
    assert "nDCG@10" in compared
    assert "isoscore" in withheld | compared
    assert any("dimension" in row.reason for row in results.withheld)


def test_a_transformed_space_is_saved_and_opened(tmp_path: Any) -> None:
    after = an.transform(make(), "whiten(shrinkage=0.1)")
    after.save(str(tmp_path / "store"))
    again = an.open(tmp_path / "store", None)
    assert np.array_equal(np.asarray(again.documents), after.documents)
    assert again.recipe["transform"] == after.recipe["transform"]
    assert again.label == after.label


class _Full:
    """A map on the way to a disk that has no room."""

    out = 3

    def __call__(self, block: np.ndarray) -> np.ndarray:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("clustered", [False, True])
def test_rows_that_cannot_be_written_leave_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clustered: bool
) -> None:
    monkeypatch.setenv("ANISOTROPY_CACHE", str(tmp_path))
    monkeypatch.setattr(rows, "MOST_SENT", 0)
    monkeypatch.setattr(rows, "MEMORY_BYTES", 0)
    monkeypatch.setattr(rows.engine, "current", lambda: "a cluster" if clustered else None)
    with pytest.raises(OSError, match="No space"):
        rows.MappedRows(np.ones((4, 3)), [_Full()]).written()  # type: ignore[list-item]
    assert list(tmp_path.iterdir()) == []
