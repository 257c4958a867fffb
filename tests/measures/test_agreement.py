"""Agreement with implementations of others: packages where a sound one exists.

IsoScore (its authors), scikit-dimension, scikit-learn, scipy, torch, and trec_eval through
pytrec_eval. Tables that name a measure go through the registry, row by row.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from anisotropy.comparison import compare_spaces
from anisotropy.measures import measure_space, parse, registry
from anisotropy.spaces import EmbeddingSpace
from tests.measures import twins
from tests.measures.making import cone, remade, space, unit

SIDES = ("queries", "documents")
REGISTERED = {definition.name: definition for definition in registry()}


def present(table: dict[str, Callable]) -> list[tuple[str, Callable]]:
    """The rows of a table whose measure is registered."""
    return [(text, twin) for text, twin in table.items() if text.partition("(")[0] in REGISTERED]


def under(made: EmbeddingSpace, side: str, on: str) -> np.ndarray:
    rows = np.asarray(getattr(made, side), dtype=float)
    if on.startswith("center"):
        rows = rows - rows.mean(axis=0)
    return unit(rows) if on.endswith("unit") else rows


@pytest.fixture(scope="module")
def made() -> EmbeddingSpace:
    return space(160, 420, 24, seed=6)


@pytest.fixture(scope="module", params=[(0, 8, 0.0), (1, 24, 0.6), (2, 40, 2.0)])
def cloud(request) -> EmbeddingSpace:
    """Rows of unequal variances, leaning by different amounts."""
    seed, dim, lean = request.param
    scales = np.linspace(1, 0.1, dim)
    return EmbeddingSpace(cone(120, dim, lean, seed) * scales, cone(300, dim, lean, 9) * scales)


@pytest.mark.parametrize("on", ["raw", "unit"])
@pytest.mark.parametrize("side", SIDES)
def test_isoscore_is_that_of_its_authors(cloud, side, on) -> None:
    from IsoScore import IsoScore

    theirs = float(IsoScore.IsoScore(under(cloud, side, on)))
    row = measure_space(cloud, ["isoscore(corrected=False)"]).row(
        side, "isoscore(corrected=False)", on
    )
    # Their square root of the dimension is a 32-bit float.
    assert row.value == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("on", ["unit", "center>unit"])
@pytest.mark.parametrize("t", [2, 5, 0.5])
def test_uniformity_is_that_of_wang_and_isola(cloud, t, on) -> None:
    """Their loss, from the formula: log of the mean over pdist(x, 2) of exp(-t d^2)."""
    import torch

    text = parse(f"uniformity(t={t})").text
    found = measure_space(cloud, [text])
    for side in SIDES:
        distances = torch.pdist(torch.from_numpy(under(cloud, side, on)), p=2)
        theirs = float(torch.log(torch.mean(torch.exp(-t * distances**2))))
        assert found.row(side, text, on).value == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("alpha", [1, 2, 3])
def test_alignment_is_that_of_wang_and_isola(made, alpha) -> None:
    import torch

    q, d = (torch.from_numpy(under(made, side, "unit")) for side in SIDES)
    pairs = [(int(a[1:]), int(b[1:])) for a, judged in made.qrels.items() for b in judged]
    x, y = (side[[pair[i] for pair in pairs]] for i, side in enumerate((q, d)))
    theirs = float(torch.mean(torch.linalg.vector_norm(x - y, dim=1) ** alpha))
    text = f"alignment(alpha={alpha})"
    row = measure_space(made, [text]).row("positives", text, "unit")
    assert row.value == pytest.approx(theirs)


def test_mean_cosine_is_that_of_sklearn(cloud) -> None:
    from sklearn.metrics.pairwise import cosine_similarity

    found = measure_space(cloud, ["mean_cosine"])
    for side in SIDES:
        rows = np.asarray(getattr(cloud, side))
        theirs = cosine_similarity(rows)[np.triu_indices(len(rows), 1)].mean()
        assert found.row(side, "mean_cosine", "unit").value == pytest.approx(theirs, abs=1e-12)


def test_mean_norm_is_the_resultant_length_of_scipy(cloud) -> None:
    from scipy.stats import directional_stats

    text = "mean_norm(corrected=False)"
    found = measure_space(cloud, [text])
    for side in SIDES:
        theirs = directional_stats(getattr(cloud, side)).mean_resultant_length
        assert found.row(side, text, "unit").value == pytest.approx(float(theirs))


def _partition(x: np.ndarray) -> float:
    from scipy.special import logsumexp

    vectors = np.linalg.svd(x)[2]
    logs = logsumexp(np.concatenate([x @ vectors.T, -x @ vectors.T], axis=1), axis=0)
    return math.exp(logs.min() - logs.max())


def _explained(x: np.ndarray) -> np.ndarray:
    from sklearn.decomposition import PCA

    return PCA(svd_solver="full").fit(x).explained_variance_


def _singular(x: np.ndarray) -> np.ndarray:
    from sklearn.decomposition import PCA

    return PCA(svd_solver="full").fit(x).singular_values_


def _entropy_rank(singular: np.ndarray) -> float:
    from scipy.stats import entropy

    return math.exp(entropy(singular))


def _rankme(x: np.ndarray) -> float:
    """The constant of the paper stands inside: q = s/sum(s) + 1e-7, not summing to one."""
    from scipy.special import entr

    s = np.linalg.svd(x, compute_uv=False)
    return math.exp(float(entr(s / s.sum() + 1e-7).sum()))


def _wasserstein(x: np.ndarray) -> float:
    from scipy.linalg import sqrtm

    covariance, dim = np.cov(x.T, bias=True), x.shape[1]
    root = float(np.trace(sqrtm(covariance)).real)
    square = float(np.sum(x.mean(axis=0) ** 2)) + 1 + np.trace(covariance)
    return math.sqrt(square - 2 / math.sqrt(dim) * root)


def _variation(x: np.ndarray) -> float:
    from scipy.stats import variation

    return float(variation(np.linalg.norm(x, axis=1)))


SPECTRA: dict[str, Callable[[np.ndarray], float]] = {
    "partition_isotropy": _partition,
    "participation_ratio(corrected=False)": lambda x: (
        _explained(x).sum() ** 2 / (_explained(x) ** 2).sum()
    ),
    "effective_rank(n=all)": lambda x: _entropy_rank(_singular(x)),
    "rankme(n=all)": _rankme,
    "stable_rank(n=all)": lambda x: _explained(x).sum() / _explained(x)[0],
    "variance_explained(k=3, n=all)": lambda x: _explained(x)[:3].sum() / _explained(x).sum(),
    "wasserstein_uniformity(corrected=False, n=all)": _wasserstein,
    "norm_mean": lambda x: float(np.linalg.norm(x, axis=1).mean()),
    "norm_cv": _variation,
}


@pytest.mark.parametrize(("text", "theirs"), present(SPECTRA))
def test_spectra_and_lengths_are_those_of_sklearn_and_scipy(cloud, text, theirs) -> None:
    found = measure_space(cloud, [text])
    rows = [r for r in found.rows if r.side in SIDES and r.on in ("raw", "unit")]
    assert rows
    for row in rows:
        expected = theirs(under(cloud, row.side, row.on))
        # With or without the bias of a divisor: n - 1 against n is no disagreement.
        assert row.value == pytest.approx(expected, rel=1e-2 if "norm_cv" in text else 1e-6), row


def counts(anchors: np.ndarray, targets: np.ndarray, k: int, one_set: bool) -> np.ndarray:
    from sklearn.neighbors import NearestNeighbors

    near = NearestNeighbors(n_neighbors=k, metric="cosine").fit(targets)
    index = near.kneighbors(None if one_set else anchors, return_distance=False)
    return np.bincount(index.ravel(), minlength=len(targets))


def _skewness(found: np.ndarray) -> float:
    from scipy.stats import skew

    return float(skew(found))


OCCURRENCES: dict[str, Callable[[np.ndarray], float]] = {
    "hubness_gini": twins.gini,
    "hubness_skewness": _skewness,
    "hubness_robin_hood": lambda c: float(np.abs(c - c.mean()).sum() / c.sum() / 2),
    "antihub_share": lambda c: float(np.mean(c == 0)),
}


@pytest.mark.parametrize("k", [5, 30])
@pytest.mark.parametrize(("name", "theirs"), present(OCCURRENCES))
def test_occurrences_are_those_of_sklearn(made, name, theirs, k) -> None:
    found = measure_space(made, [f"{name}(k={k})"])
    q, d = made.queries, made.documents
    for side, anchors, targets in (("queries", q, q), ("documents", d, d),
                                   ("ranking", q, d), ("dual_ranking", d, q)):  # fmt: skip
        expected = theirs(counts(anchors, targets, k, anchors is targets))
        row = found.row(side, f"{name}(k={k})", "unit")
        assert row.value == pytest.approx(expected, abs=1e-9), side


def _binomial(draws: int, p: float) -> dict[str, float]:
    """Statistics of counts that are Binomial(draws, p), from scipy's law."""
    from scipy.stats import binom

    law, mean = binom(draws, p), draws * p
    values = np.arange(draws + 1)
    below = law.cdf(values)
    return {
        "hubness_skewness": float(law.stats(moments="s")),
        "antihub_share": float(law.pmf(0)),
        "hubness_robin_hood": float((np.abs(values - mean) * law.pmf(values)).sum() / mean / 2),
        "hubness_gini": float((below * (1 - below)).sum() / mean),
    }


@pytest.mark.parametrize(("name", "_"), present(OCCURRENCES))
def test_the_null_of_occurrences_is_scipys_binomial(made, name, _) -> None:
    text = f"{name}(k=10)"
    found = measure_space(made, [text])
    nq, nd = len(made.queries), len(made.documents)
    for side, draws, targets in (("queries", nq - 1, nq - 1), ("documents", nd - 1, nd - 1),
                                 ("ranking", nq, nd), ("dual_ranking", nd, nq)):  # fmt: skip
        row = found.row(side, text, "unit")
        expected = _binomial(draws, 10 / targets)[name]
        rounds = 100 if row.null_sd > 0 else 1
        tolerance = 5 * (row.null_sd or 0) / math.sqrt(rounds) + 0.02 * expected + 1e-4
        assert row.null_mean == pytest.approx(expected, abs=tolerance), side


def _two_nn(x: np.ndarray) -> float:
    import skdim

    return float(skdim.id.TwoNN(discard_fraction=0.1).fit(x).dimension_)


def _levina_bickel(x: np.ndarray) -> float:
    import skdim

    return float(skdim.id.MLE().fit(x, n_neighbors=20).dimension_)


DIMENSIONS: dict[str, Callable[[np.ndarray], float]] = {
    "intrinsic_dimension(method=twonn)": _two_nn,
    "intrinsic_dimension(method=mle)": _levina_bickel,
}


@pytest.mark.parametrize(("text", "theirs"), present(DIMENSIONS))
def test_intrinsic_dimension_is_that_of_scikit_dimension(made, text, theirs) -> None:
    text = parse(text).text
    rows = [r for r in measure_space(made, [text]).rows if r.side in SIDES]
    assert {r.side for r in rows} == set(SIDES)
    for row in rows:
        expected = theirs(under(made, row.side, row.on))
        assert row.value == pytest.approx(expected, rel=1e-3), row


def similarity(a: EmbeddingSpace, b: EmbeddingSpace, text: str, side: str) -> float:
    found = [measure_space(one, [text], between=True) for one in (a, b)]
    return next(s.value for s in compare_spaces(*found)[1] if s.side == side)


def _kept(x: np.ndarray, y: np.ndarray) -> float:
    from sklearn.neighbors import NearestNeighbors

    lists = [NearestNeighbors(n_neighbors=10, metric="cosine").fit(rows).kneighbors(
        return_distance=False) for rows in (x, y)]  # fmt: skip
    return float(np.mean([len(set(p) & set(q)) for p, q in zip(*lists, strict=True)])) / 10


def _procrustes(x: np.ndarray, y: np.ndarray) -> float:
    from scipy.linalg import orthogonal_procrustes

    x, y = ((rows - rows.mean(0)) / np.linalg.norm(rows - rows.mean(0)) for rows in (x, y))
    turn, _ = orthogonal_procrustes(x, y)
    return float(np.linalg.norm(x @ turn - y) ** 2)


SIMILARITIES: dict[str, Callable] = {
    "cka": twins.cka,
    "mutual_knn(k=10)": _kept,
    "procrustes": _procrustes,
}


@pytest.mark.parametrize("noise", [0.05, 1.0])
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("text", "theirs"), present(SIMILARITIES))
def test_similarities(made, text, theirs, side, noise) -> None:
    """Gram form of the unbiased HSIC (twin), sklearn's neighbors, scipy's best rotation."""
    rng = np.random.default_rng(2)
    sides = (made.queries, made.documents)
    q, d = (rows + noise * rng.standard_normal(rows.shape) for rows in sides)
    other = remade(made, q, d)
    expected = theirs(under(made, side, "unit"), under(other, side, "unit"))
    assert similarity(made, other, text, side) == pytest.approx(expected, abs=1e-6)


def ties() -> EmbeddingSpace:
    """Whole-number vectors: scores are exact, many are tied, and judgments are graded."""
    rng = np.random.default_rng(4)
    queries = rng.integers(-2, 3, (50, 6)).astype(float)
    documents = rng.integers(-2, 3, (1300, 6)).astype(float)
    queries[:, 0] += 3
    documents[:, 0] += 3
    qrels = {
        f"q{q}": {f"d{d}": int(g) for d, g in zip(rng.choice(1300, 9, replace=False),
                                                 rng.integers(0, 4, 9), strict=True)}
        for q in range(50)
    }  # fmt: skip
    return EmbeddingSpace(
        queries,
        documents,
        query_ids=[f"q{q}" for q in range(50)],
        doc_ids=[f"d{d}" for d in range(1300)],
        qrels=qrels,
        similarity="dot",
    )


CUTOFFS = {"nDCG@10": "ndcg_cut_10", "R@100": "recall_100", "R@1000": "recall_1000"}


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("side", ["ranking", "dual_ranking"])
def test_rankings_with_ties_are_those_of_trec_eval(side, level) -> None:
    import pytrec_eval

    made = ties()
    scores = made.queries @ made.documents.T
    assert len(np.unique(scores)) < 150
    keys, items, qrels = made.query_ids, made.doc_ids, made.qrels
    if side == "dual_ranking":
        keys, items, scores = items, keys, scores.T
        qrels = {d: {q: j[d] for q, j in made.qrels.items() if d in j} for d in keys}
    qrels = {k: j for k, j in qrels.items() if any(g >= level for g in j.values())}
    run = {k: dict(zip(items, row.tolist(), strict=True))
           for k, row in zip(keys, scores, strict=True) if k in qrels}  # fmt: skip
    asked = {"ndcg_cut.10", "recall.100", "recall.1000", "recip_rank"}
    theirs = pytrec_eval.RelevanceEvaluator(
        {k: dict(j) for k, j in qrels.items()}, asked, relevance_level=level
    ).evaluate(run)
    found = measure_space(made, [*CUTOFFS, "RR@10", "RR@100"], relevance_level=level)
    for text, name in CUTOFFS.items():
        expected = np.mean([each[name] for each in theirs.values()])
        assert found.row(side, text, "recipe").value == pytest.approx(expected), text
    for cutoff in (10, 100):
        rr = np.array([each["recip_rank"] for each in theirs.values()])
        expected = np.where(rr >= 1 / cutoff - 1e-12, rr, 0).mean()
        row = found.row(side, f"RR@{cutoff}", "recipe")
        assert row.value == pytest.approx(expected), cutoff
        assert row.n == len(qrels)
