"""What the explorer shows is what plain NumPy finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anisotropy as an
from anisotropy.errors import EmbeddingsError, NotComparable, UsageError
from anisotropy.explorer import ExplorerData, ExplorerOptions, build
from anisotropy.spaces import EmbeddingSpace
from tests.explorer.making import EVIL, pair
from tests.measures.making import space, unit

PCA = {"projections": ("pca",)}


def literal_scores(one: EmbeddingSpace, query: str) -> dict[str, float]:
    """The recipe's score of every document for a query."""
    q = one.queries[one.query_ids.index(query)]
    if one.similarity == "cosine":
        scores = unit(one.documents) @ (q / np.linalg.norm(q))
    elif one.similarity == "dot":
        scores = one.documents @ q
    else:
        scores = -np.linalg.norm(one.documents - q, axis=1)
    return dict(zip(one.doc_ids, scores.tolist(), strict=True))


def literal_ranking(one: EmbeddingSpace, query: str) -> list[str]:
    scores = literal_scores(one, query)
    return sorted(scores, key=scores.__getitem__, reverse=True)


def literal_distance(one: EmbeddingSpace, query: str, document: str) -> float:
    q, d = one.queries[one.query_ids.index(query)], one.documents[one.doc_ids.index(document)]
    return float(np.linalg.norm(q / np.linalg.norm(q) - d / np.linalg.norm(d)))


def nearest(rows: np.ndarray, targets: np.ndarray, k: int, itself: bool) -> list[list[int]]:
    cosines = unit(rows) @ unit(targets).T
    if itself:
        np.fill_diagonal(cosines, -np.inf)
    return np.argsort(-cosines, axis=1)[:, :k].tolist()


def of_query(data: ExplorerData, query: str) -> int:
    return [data.ids[i] for i in data.listed].index(query)


@pytest.fixture(scope="module", params=["cosine", "dot", "euclidean"])
def made(request: pytest.FixtureRequest) -> tuple[ExplorerData, tuple[EmbeddingSpace, ...]]:
    spaces = pair(similarity=request.param)
    return build(spaces, ExplorerOptions(neighbors=7, **PCA)), spaces


def test_top_documents_scores_distances(made: Any) -> None:
    data, spaces = made
    for view, one in zip(data.spaces, spaces, strict=True):
        assert view.lists.item.shape == (40, 7)
        for query in one.query_ids:
            row, ranking = of_query(data, query), literal_ranking(one, query)
            assert [data.ids[i] for i in view.lists.item[row]] == ranking[:7]
            scores = [literal_scores(one, query)[name] for name in ranking[:7]]
            np.testing.assert_allclose(view.lists.score[row], scores, rtol=1e-5, atol=1e-6)
            distances = [literal_distance(one, query, name) for name in ranking[:7]]
            np.testing.assert_allclose(view.lists.distance[row], distances, rtol=1e-5)


def test_rank_in_the_other_space(made: Any) -> None:
    data, spaces = made
    for number, view in enumerate(data.spaces):
        for query in spaces[0].query_ids:
            row, other = of_query(data, query), literal_ranking(spaces[1 - number], query)
            expected = [1 + other.index(data.ids[i]) for i in view.lists.item[row]]
            assert view.lists.elsewhere[row].tolist() == expected


def test_judged_positives(made: Any) -> None:
    data, spaces = made
    judged = data.judgments
    pairs = [(data.ids[data.listed[r]], data.ids[i])
             for r, i in zip(judged.row, judged.item, strict=True)]  # fmt: skip
    assert sorted(pairs) == sorted((q, d) for q, own in spaces[0].qrels.items() for d in own)
    assert judged.grade.tolist() == [spaces[0].qrels[q][d] for q, d in pairs]
    for view, one in zip(data.spaces, spaces, strict=True):
        ranks = [1 + literal_ranking(one, q).index(d) for q, d in pairs]
        assert view.positives["rank"].tolist() == ranks
        distances = [literal_distance(one, q, d) for q, d in pairs]
        np.testing.assert_allclose(view.positives["distance"], distances, rtol=1e-5)
        scores = [literal_scores(one, q)[d] for q, d in pairs]
        np.testing.assert_allclose(view.positives["score"], scores, rtol=1e-5, atol=1e-6)


def test_hubs_and_antihubs(made: Any) -> None:
    data, spaces = made
    for view, one in zip(data.spaces, spaces, strict=True):
        count = dict.fromkeys((*one.query_ids, *one.doc_ids), 0)
        for row in nearest(one.queries, one.documents, 10, False):
            for i in row:
                count[one.doc_ids[i]] += 1
        for row in nearest(one.documents, one.queries, 10, False):
            for i in row:
                count[one.query_ids[i]] += 1
        assert view.occurrence.tolist() == [count[name] for name in data.ids[: data.n_valued]]
        for side, ids in (("documents", one.doc_ids), ("queries", one.query_ids)):
            found = {f.key: f for f in data.findings if f.group == one.label}
            hubs = [count[data.ids[i]] for i in found[f"hubs-{side}"].items]
            assert hubs == sorted((count[n] for n in ids if count[n]), reverse=True)[:50]
            never = {data.ids[i] for i in found[f"antihubs-{side}"].items}
            assert never <= {n for n in ids if count[n] == 0}
            assert f"{sum(count[n] == 0 for n in ids)} of" in found[f"antihubs-{side}"].says


def test_density_and_what_is_kept(made: Any) -> None:
    data, (a, b) = made
    for view, one in zip(data.spaces, (a, b), strict=True):
        for rows, ids in ((one.queries, one.query_ids), (one.documents, one.doc_ids)):
            cosines = unit(rows) @ unit(rows).T
            np.fill_diagonal(cosines, -np.inf)
            mean = np.sort(cosines, axis=1)[:, -10:].mean(axis=1)
            found = [view.density[data.ids.index(name)] for name in ids]
            np.testing.assert_allclose(found, mean, rtol=1e-4, atol=1e-6)
    for side in ("query", "doc"):
        lists = []
        for one in (a, b):
            ids = getattr(one, f"{side}_ids")
            rows = one.queries if side == "query" else one.documents
            near = nearest(rows, rows, 10, True)
            lists.append({n: {ids[i] for i in row} for n, row in zip(ids, near, strict=True)})
        for name, own in lists[0].items():
            kept = len(own & lists[1][name]) / 10
            assert data.kept[data.ids.index(name)] == pytest.approx(kept)


def test_probabilities_are_those_of_the_mining_law(made: Any) -> None:
    data, spaces = made
    for view, one in zip(data.spaces, spaces, strict=True):
        for role, ids in (("documents", one.doc_ids), ("queries", one.query_ids)):
            frame = an.negative_probability(one, role, k=10)
            known = dict(zip(frame["id"], frame["probability"], strict=True))
            mine = [data.ids.index(name) for name in ids]
            np.testing.assert_allclose(view.probability[mine], [known[n] for n in ids])
            even = view.probability[mine] * len(ids)
            np.testing.assert_allclose(view.even[mine], even)


def test_changes_are_those_of_compare(made: Any) -> None:
    data, spaces = made
    frame = an.compare(*spaces, measures=["nDCG@10"], projections=[]).queries()
    frame = frame.set_index("query_id").loc[[data.ids[i] for i in data.listed]]
    for name, values in data.changes.items():
        np.testing.assert_allclose(values, frame[name])
    for end, view in zip("ab", data.spaces, strict=True):
        for name in ("nDCG@10", "RR@10", "positive_distance", "nearest_distance", "margin"):
            np.testing.assert_allclose(view.query_values[name], frame[f"{name}_{end}"])
    delta = dict(zip(frame.index, frame["nDCG@10_delta"], strict=True))
    found = {finding.key: finding for finding in data.findings}
    for key, way in (("improved", 1), ("worsened", -1)):
        values = [way * delta[data.ids[i]] for i in found[key].items]
        assert values == sorted(values, reverse=True)
        best = max(way * value for value in delta.values())
        assert values[0] == pytest.approx(best)


def test_lists_of_all_queries_and_documents_whatever_is_shown() -> None:
    a, b = pair(60, 300)
    whole = build((a, b), ExplorerOptions(points=1000, **PCA))
    some = build((a, b), ExplorerOptions(points=40, neighbors=5, **PCA))
    assert (whole.n_points, len(whole.ids)) == (360, 360)
    assert some.n_points < 60
    assert some.n_points < some.n_valued < len(some.ids)
    assert len(set(zip(some.ids, some.sides, strict=True))) == len(some.ids)
    for few, all_of in zip(some.findings, whole.findings, strict=True):
        assert [some.ids[i] for i in few.items] == [whole.ids[i] for i in all_of.items]
        assert few.notes == all_of.notes
    assert (some.sides[some.listed] == 0).all()
    assert set(some.listed) == set(np.flatnonzero(some.sides == 0))
    for n, view in enumerate(some.spaces):
        for row, item in enumerate(some.listed):
            ranking = literal_ranking((a, b)[n], some.ids[item])
            assert [some.ids[i] for i in view.lists.item[row]] == ranking[:5]


def test_a_positive_far_below_the_ranking_has_its_rank() -> None:
    a, b = pair(30, 400, noise=6.0)
    data = build((a, b), ExplorerOptions(**PCA))
    ranks = data.spaces[0].positives["rank"]
    assert data.depth == 200
    assert ranks.max() > 200
    judged = data.judgments
    for pair_number in np.flatnonzero(ranks > 200):
        query, item = data.ids[data.listed[judged.row[pair_number]]], judged.item[pair_number]
        assert ranks[pair_number] == 1 + literal_ranking(a, query).index(data.ids[item])


def test_one_space_alone_and_texts() -> None:
    a, _ = pair()
    data = build([a], ExplorerOptions(**PCA))
    assert data.title == "first"
    assert not len(data.kept)
    assert not data.changes
    assert {f.group for f in data.findings} == {"first"}
    assert "effectiveness" in [scale.key for scale in data.scales]
    assert EVIL in data.texts
    frame = data.frame([0, data.n_points - 1])
    assert list(frame.columns) == ["id", "side", "text", "x", "y"]
    assert frame["side"].tolist() == ["query", "document"]
    assert frame["text"][0] == a.query_texts[a.query_ids.index(frame["id"][0])]


def test_without_judgments_and_texts() -> None:
    one = space(20, 30, qrels={})
    data = build([one], ExplorerOptions(**PCA))
    assert not len(data.judgments.row)
    assert set(data.texts) == {None}
    assert np.isnan(data.spaces[0].probability).all()
    keys = {finding.key for finding in data.findings}
    assert "hubs-documents" in keys
    assert not keys & {"worst", "negatives-documents"}
    a, b = pair()
    a.qrels = b.qrels = {}
    both = build([a, b], ExplorerOptions(**PCA))
    assert np.isnan(both.changes["nDCG@10_delta"]).all()
    assert np.isfinite(both.changes["neighbors_kept"]).all()
    assert not {finding.key for finding in both.findings} & {"improved", "worsened"}
    assert {"moved-lists", "moved-documents"} <= {finding.key for finding in both.findings}


def test_training_queries_are_the_pool_of_the_documents_negatives() -> None:
    a, _ = pair()
    pool = space(80, 90, seed=4)
    one = EmbeddingSpace(
        a.queries, a.documents, query_ids=a.query_ids, doc_ids=a.doc_ids, qrels=a.qrels,
        training=EmbeddingSpace(
            pool.queries, a.documents, query_ids=[f"t{i}" for i in range(80)], doc_ids=a.doc_ids,
            qrels={f"t{q[1:]}": own for q, own in pool.qrels.items()},
        ),
    )  # fmt: skip
    data = build([one], ExplorerOptions(**PCA))
    frame = an.negative_probability(one, "documents", k=10).set_index("id")["probability"]
    for item in np.flatnonzero(data.sides == 1):
        assert data.spaces[0].probability[item] == pytest.approx(frame[data.ids[item]])
    assert np.isnan(data.spaces[0].probability[data.sides == 0]).all()
    scale = next(scale for scale in data.scales if scale.key == "probability")
    assert scale.classes[scale.codes[0][0]][0] == "not in the mining pool"
    assert "mined by the training queries" in " ".join(data.captions["numbers"])


def test_tiny_spaces_know_what_they_do_not_know() -> None:
    one = space(3, 4, positives=1)
    data = build([one], ExplorerOptions(**PCA))
    assert data.neighbors == 4
    assert np.isnan(data.spaces[0].occurrence).all()
    assert np.isnan(data.spaces[0].density).all()
    assert all(code == len(scale.classes) - 1 for scale in data.scales
               if scale.key == "occurrence" for code in scale.codes[0])  # fmt: skip


def test_documents_of_several_vectors_count_by_their_best() -> None:
    a = space(20, 60)
    owner = np.repeat(np.arange(30), 2)
    ids = [f"d{i}" for i in range(30)]
    one = EmbeddingSpace(
        a.queries, a.documents, query_ids=a.query_ids, doc_ids=ids, document_of_row=owner,
        qrels={"q0": {"d3": 1}},
    )  # fmt: skip
    data = build([one], ExplorerOptions(neighbors=5, **PCA))
    cosines = (unit(a.queries) @ unit(a.documents).T).reshape(20, 30, 2).max(axis=2)
    for row, item in enumerate(data.listed):
        mine = cosines[a.query_ids.index(data.ids[item])]
        best = np.argsort(-mine)[:5]
        assert [data.ids[i] for i in data.spaces[0].lists.item[row]] == [ids[i] for i in best]
        np.testing.assert_allclose(
            data.spaces[0].lists.distance[row], np.sqrt(2 - 2 * mine[best]), rtol=1e-5
        )
    assert "several vectors" in " ".join(data.captions["numbers"])


def test_scales_class_every_point() -> None:
    data = build(pair(), ExplorerOptions(**PCA))
    assert [s.key for s in data.scales] == ["side", "change", "gain", "occurrence", "probability"]
    for scale in data.scales:
        for codes in scale.codes:
            assert codes.shape == (data.n_points,)
            assert codes.max() < len(scale.classes)
    gain = data.scales[2]
    words = [label for label, _ in gain.classes]
    for row, item in enumerate(data.listed):
        delta, word = data.changes["nDCG@10_delta"][row], words[gain.codes[0][item]]
        direction = "rises" if delta > 0 else "falls" if delta < 0 else "stays"
        assert word.startswith(direction)
        if abs(delta) > 0.5:
            assert "more than 0.5" in word
    assert words[gain.codes[0][-1]] == "document"
    change = data.scales[1]
    for item in range(data.n_points):
        kept, word = round(data.kept[item] * 10), change.classes[change.codes[0][item]][0]
        assert word == "keeps all" if kept == 10 else str(kept) in word


def test_captions_say_what_a_map_cannot_show_and_what_is_shown() -> None:
    data = build(pair(60, 300), ExplorerOptions(points=60, projections=("pca", "tsne")))
    captions = data.captions
    for word in ("uniformity", "isotropy", "far clusters"):
        assert word in captions["cannot"]
    shown = int((data.sides[: data.n_points] == 0).sum())
    assert f"{shown} of 60 queries" in captions["shown"]
    for method, name in (("pca", "PCA"), ("tsne", "t-SNE")):
        assert captions["maps"][method]["name"] == name
        for view, line in zip(data.spaces, captions["maps"][method]["trust"], strict=True):
            assert f"trustworthiness {view.trust[method]['trustworthiness']:.3f}"[:-1] in line
            assert "query-positive distance correlation" in line


def test_doubts_are_said() -> None:
    a, _ = pair()
    a.recipe = {"name": "ance", "doubts": ["read as ance"]}
    assert build([a], ExplorerOptions(**PCA)).captions["doubts"] == ["first: read as ance"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"neighbors": 0}, "allowed: 1 to 200"),
        ({"projections": ()}, "one or more of pca, tsne, umap"),
        ({"projections": ("tsn",)}, "did you mean 'tsne'"),
        ({"points": 4}, "5 or more"),
        ({"perplexity": 1.0}, "above 1"),
        ({"relevance_level": 0}, "1 or more"),
        ({"seed": -1}, "allowed: 0 to"),
    ],
)
def test_options_are_checked(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        ExplorerOptions(**wrong)


def test_spaces_that_do_not_fit_are_refused() -> None:
    a, b = pair()
    with pytest.raises(UsageError, match="got 3 spaces"):
        build([a, b, a])
    with pytest.raises(NotComparable, match="labeled 'first'"):
        build([a, a])
    other = a.restrict(a.query_ids[:10], a.doc_ids[:20])
    other.label = "other"
    with pytest.raises(NotComparable, match="intersect"):
        build([a, other])
    data = build([a, other], ExplorerOptions(on_mismatch="intersect", **PCA))
    assert data.n_points == 30
    b.qrels = {"q0": {"d0": 1}}
    with pytest.raises(NotComparable, match="judgments of 'first' and 'second' differ"):
        build([a, b])
    b.qrels = {}
    with pytest.raises(NotComparable, match="'second' has no judgments and 'first' has"):
        build([a, b])
    with pytest.raises(EmbeddingsError, match="no queries"):
        build([EmbeddingSpace(np.zeros((0, 3)), np.eye(3))])
