# ruff: noqa: E501  the rows are a table
"""Results as a real run would give them, small and fixed, with hostile labels where asked."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from anisotropy.results import Curve, Difference, Measurement, Results, Similarity, Withheld

NAN = math.nan
#: side, on, family, measure, values of a, b, c, standard error, headline, null
ROWS = [
    ("queries", "unit", "cone", "mean_cosine", (0.512, 0.233, 0.4), 0.006, True, 0.0),
    ("documents", "unit", "cone", "mean_cosine", (0.471, 0.262, 0.39), 0.002, True, 0.0),
    ("joint", "unit", "cone", "mean_cosine", (0.48, 0.23, 0.38), NAN, False, NAN),
    ("queries", "center>unit", "cone", "mean_cosine", (0.001, 0.0005, 0.0), 0.004, False, NAN),
    ("queries", "unit", "spread", "participation_ratio", (31.4, 52.7, 30.2), 1.1, True, NAN),
    ("documents", "unit", "spread", "participation_ratio", (35.0, 61.2, 36.1), 0.9, True, NAN),
    ("queries", "unit", "spread", "isoscore", (0.24, 0.41, 0.23), 0.01, False, NAN),
    ("queries", "unit", "uniformity", "uniformity(t=2)", (-1.79, -2.84, -2.2), 0.02, True, NAN),
    ("documents", "unit", "uniformity", "uniformity(t=2)", (-1.95, -2.71, -2.3), 0.01, True, NAN),
    ("positives", "unit", "uniformity", "alignment(alpha=2)", (0.312, 0.401, 0.33), 0.008, True, NAN),
    ("queries", "unit", "local", "hubness_gini(k=10)", (0.61, 0.44, 0.6), 0.01, False, 0.18),
    ("cross", "unit", "query_document", "gap", (0.187, 0.163, 0.18), 0.02, True, 0.031),
    ("positives", "unit", "query_document", "relative_positive_distance", (0.552, 0.511, 0.55), 0.005, True, 1.0),
    ("positives", "unit", "query_document", "positive_percentile", (0.0312, 0.0295, 0.031), 0.002, True, 0.5),
    ("queries", "recipe", "negatives", "negative_probability_kl(k=200)", (0.834, 0.512, 0.8), NAN, True, 0.02),
    ("documents", "recipe", "negatives", "negative_probability_kl(k=200, role=documents)", (1.213, 0.907, 1.2), NAN, True, 0.05),
    ("queries", "recipe", "negatives", "negative_probability_gini(k=200)", (0.61, 0.5, 0.6), NAN, False, NAN),
    ("queries", "recipe", "negatives", "negative_probability_gini(k=200, center=sides)", (0.3, 0.3, 0.3), NAN, False, NAN),
    ("documents", "recipe", "negatives", "negative_probability_gini(k=10, role=documents)", (0.9, 0.8, 0.9), NAN, False, NAN),
    ("documents", "recipe", "negatives", "negative_probability_gini(k=200, role=documents)", (0.72, 0.66, 0.7), NAN, False, NAN),
    ("ranking", "recipe", "effectiveness", "nDCG@10", (0.4213, 0.4391, 0.42), 0.01, True, NAN),
    ("ranking", "recipe", "effectiveness", "R@100", (0.8127, 0.8302, 0.81), 0.009, True, NAN),
    ("dual_ranking", "recipe", "effectiveness", "RR@10", (0.3914, 0.4377, 0.4), 0.011, True, NAN),
]  # fmt: skip


def measurement(label: str, index: int, row: tuple) -> Measurement:
    side, on, family, measure, values, se, headline, null = row
    value = values[index]
    return Measurement(
        label, side, family, measure, on, value, se, value - 1.96 * se, value + 1.96 * se,
        n=1203 if side != "documents" else 8114, unit="query", population="queries",
        estimator="corrected" if measure == "participation_ratio" else "exact",
        method=None if math.isnan(se) else "jackknife", null_mean=null,
        null_p=NAN if math.isnan(null) else 0.001, headline=headline,
    )  # fmt: skip


def difference(row: tuple) -> Difference:
    side, on, family, measure, (a, b, _), se, headline, _ = row
    delta, p = b - a, NAN
    if not math.isnan(se):
        p = math.erfc(abs(delta / se) / math.sqrt(2))
    return Difference(
        side, family, measure, on, a, b, delta, se, delta - 1.96 * se, delta + 1.96 * se,
        delta / se, p, min(p * 12, 1.0) if headline else NAN, 1203, "query", "jackknife", headline,
    )  # fmt: skip


def space(label: str, doubts: list[str]) -> dict:
    recipe = {
        "name": "ance",
        "pooling": "cls",
        "normalize": not doubts,
        "max_query_length": 64,
        "sources": {"pooling": "upstream layout", "normalize": "training_args.bin"},
        "doubts": doubts,
    }
    counts = {"queries": 1203, "documents": 8114, "judged_pairs": 1203, "dim": 128}
    return {
        "label": label,
        "step": None,
        "recipe": recipe,
        "counts": counts,
        "fingerprint": f"0a1b {label}",
    }


def spectrum(label: str, side: str, slope: float) -> Curve:
    rank = np.arange(1, 129)
    eigenvalue = rank**-slope * np.exp(-rank / 90)
    columns = {"rank": rank, "eigenvalue": eigenvalue, "share": eigenvalue / eigenvalue.sum()}
    return Curve("spectrum", label, side, columns)


def distances(label: str, center: float) -> Curve:
    edges = np.linspace(0, 2, 101)
    middle = (edges[1:] + edges[:-1]) / 2

    def density(mean: float, sd: float) -> np.ndarray:
        values = np.exp(-(((middle - mean) / sd) ** 2) / 2)
        values[values < 1e-3] = 0
        return values / (values.sum() * 0.02)

    columns = {
        "bin_low": edges[:-1],
        "bin_high": edges[1:],
        "random": density(center, 0.09),
        "positives": density(center * 0.55, 0.12),
        "nearest": density(center * 0.5, 0.07),
    }
    return Curve("distances", label, "cross", columns)


def negatives(label: str, role: str, power: float) -> Curve:
    n = 1203 if role == "queries" else 8114
    rank = np.unique(np.linspace(1, n, min(n, 2000)).astype(int))
    whole = np.arange(1, n + 1) ** -power
    p = whole / whole.sum()
    columns = {
        "item_rank": rank,
        "share_of_items": rank / n,
        "probability": p[rank - 1],
        "cumulative": np.cumsum(p)[rank - 1],
        "lorenz": np.cumsum(p[::-1])[rank - 1],
    }
    return Curve("negative_probability", label, role, columns)


def mining(label: str, role: str) -> Curve:
    n, anchors = (1203, 8114) if role == "queries" else (8114, 1203)
    columns = {
        "k": np.array([200, 200]),
        "center": np.array(["none", "sides"], dtype=object),
        "items": np.array([n, n]),
        "anchors": np.array([anchors, anchors]),
        "anchors_all": np.array([anchors, anchors]),
        "k_share": np.array([200 / n, 200 / n]),
        "kl_most_uneven": np.array([np.log(n / 200)] * 2),
        "gini_most_uneven": np.array([1 - 200 / n] * 2),
    }
    return Curve("mining", label, role, columns)


def profile(label: str, role: str, scale: float) -> Curve:
    rank = np.arange(1, 201)
    score = scale * (1 - 0.08 * np.log(rank))
    spread = {"q05": -0.1, "q25": -0.04, "q50": 0.0, "q75": 0.04, "q95": 0.1}
    columns = {
        "rank": rank,
        "score_mean": score,
        **{f"score_{q}": score + scale * by for q, by in spread.items()},
        **{f"positive_{q}": np.full(200, scale * (0.9 + by)) for q, by in spread.items()},
        "gap_to_positive": 0.9 * scale - score,
        "share_relevant": 0.6 / rank,
        "share_near_positive": 0.1 / rank,
    }
    return Curve("negative_profile", label, role, columns)


def cosines(label: str, center: float) -> Curve:
    edges = np.linspace(center - 0.5, 1, 51)
    middle = (edges[1:] + edges[:-1]) / 2

    def density(mean: float, sd: float) -> np.ndarray:
        values = np.exp(-(((middle - mean) / sd) ** 2) / 2)
        values[values < 1e-3] = 0
        return values / (values.sum() * (edges[1] - edges[0]))

    columns = {
        "bin_low": edges[:-1],
        "bin_high": edges[1:],
        "query_query": density(center, 0.1),
        "document_document": density(center + 0.03, 0.1),
        "query_document": density(center - 0.02, 0.09),
        "query_positive": density(center + 0.3, 0.08),
        "n_queries": np.full(50, 1000),
        "n_documents": np.full(50, 1000),
        "n_positives": np.full(50, 1203),
    }
    return Curve("cosines", label, "joint", columns)


def occurrence(label: str, side: str, power: float) -> Curve:
    n, anchors = {
        "queries": (1203, 1203), "documents": (8114, 8114),
        "ranking": (8114, 1203), "dual_ranking": (1203, 8114),
    }[side]  # fmt: skip
    times = np.arange(0, 120)
    share = (1 + times / 10) ** -(2 + power)
    share[-1] = 0
    columns = {
        "occurrences": times,
        "items": np.round(-np.diff(share, append=0) * n),
        "share_at_least": share,
        "null_at_least": np.minimum(1, np.exp(-6.8 * (times - 10.0))),  # down to where floats end
        "k": np.full(120, 10),
        "n_items": np.full(120, n),
        "n_anchors": np.full(120, anchors),
    }
    return Curve("k_occurrence", label, side, columns)


def history(label: str, parts: int) -> Curve:
    """So many stages of 40 steps, evaluated every 20; what spaces share is the same."""
    step = np.concatenate([np.arange(0, 41) + 40 * part for part in range(parts)])
    seen = (step % 20) == 0
    decay = np.exp(-step / 40)
    columns = {
        "step": step,
        "stage": np.repeat(np.array(["warmup", "ance", "norm"][:parts], dtype=object), 41),
        "stage_step": np.tile(np.arange(0, 41), parts),
        "part": np.repeat(np.arange(parts), 41),
        "loss": decay,
        "loss_mean": np.where(np.tile(np.arange(41), parts) > 0, decay + 0.01, NAN),
    }
    for name, value in (
        ("ranking_nDCG@10", 0.4 - 0.4 * decay), ("dual_ranking_RR@10", 0.5 - 0.5 * decay),
        ("queries_mean_cosine", decay), ("documents_mean_cosine", decay + 0.05),
        ("queries_uniformity(t=2)", -2 + decay), ("documents_uniformity(t=2)", -1.9 + decay),
        ("positives_relative_positive_distance", 0.6 + 0.3 * decay),
    ):  # fmt: skip
        columns[f"dev_{name}"] = np.where(seen, value, NAN)
    return Curve("history", label, "training", columns)


def changes(label: str) -> Curve:
    rng = np.random.default_rng(3)
    distance = rng.uniform(0.3, 1.1, 300)
    percentile = np.where(np.arange(300) < 40, 0.0, 10 ** rng.uniform(-4, 0, 300))
    a = np.round(rng.random(300), 2)
    b = np.clip(a + np.round(rng.normal(size=300) * (rng.random(300) < 0.4), 2), 0, 1)
    columns = {
        "query_id": np.array([f"q{i}" for i in range(300)], dtype=object),
        "neighbors_kept": np.round(rng.random(300), 1),
        "nDCG@10_a": a,
        "nDCG@10_b": b,
        "nDCG@10_delta": b - a,
        "relative_positive_distance_a": distance,
        "relative_positive_distance_b": distance + rng.normal(size=300) * 0.05,
        "positive_percentile_a": percentile,
        "positive_percentile_b": np.minimum(percentile * rng.uniform(0.4, 2.2, 300), 1),
    }
    columns["relative_positive_distance_a"][-1] = NAN  # a query that nobody judged
    return Curve("changes", label, "ranking", columns)


def coordinates(label: str, method: str, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    centers = rng.normal(size=(12, 2)) * 30
    group = rng.integers(12, size=400)
    xy = centers[group] + np.random.default_rng(seed).normal(size=(400, 2)) * 5
    side = np.array(["query"] * 150 + ["document"] * 250, dtype=object)
    same = {
        "trustworthiness": 0.962, "neighbor_preservation": 0.413,
        "positive_distance_correlation": 0.31,
        "variance_explained": 0.12 if method == "pca" else NAN,
        "perplexity": 30.0 if method == "tsne" else NAN,
        "n_queries": 1203, "n_documents": 8114, "random_state": 0, "start": "ance",
    }  # fmt: skip
    columns = {
        "id": np.array([f"{s[0]}{i}" for i, s in enumerate(side)], dtype=object),
        "side": side,
        "x": xy[:, 0],
        "y": xy[:, 1],
        "method": np.array([method] * 400, dtype=object),
        "positive": np.arange(400) > 320,
    }
    return columns | {name: np.full(400, value) for name, value in same.items()}


def maps(label: str, seed: int) -> Curve:
    parts = [coordinates(label, method, seed) for method in ("tsne", "pca")]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Curve("coordinates", label, "joint", columns)


def curves(label: str, index: int) -> list[Curve]:
    made = []
    for side in ("queries", "documents"):
        made.append(spectrum(label, side, 0.9 - 0.3 * index + 0.1 * (side == "documents")))
        made.append(negatives(label, side, 0.9 - 0.2 * index))
        made.append(mining(label, side))
        made.append(profile(label, side, 1.0 if index else 110.0))
    for side in ("queries", "documents", "ranking", "dual_ranking"):
        made.append(occurrence(label, side, 0.3 * index))
    made += [distances(label, 0.95 + 0.15 * index), cosines(label, 0.5 - 0.2 * index)]
    return [*made, maps(label, index), history(label, 2 + min(index, 1))]


def thin(results: Results) -> Results:
    """The same with no curves but one spectrum: pages of it are drawn fast."""
    results.curves = results.find_curves("spectrum", "queries")
    results.deltas = [row for row in results.deltas if row.measure in ("mean_cosine", "gap")]
    return results


def analysis(labels: tuple[str, ...] = ("ance", "dance")) -> Results:
    """Of one space or many."""
    kinds = [min(i, 2) for i in range(len(labels))]
    return Results(
        spaces=[space(label, []) for label in labels],
        collection={"name": "docstrings", "note": "docstrings, not MS MARCO", "split": "dev"},
        config={"seed": 0, "measures": None},
        versions={"anisotropy": "0.1.0", "numpy": "2.4.6"},
        rows=[measurement(label, k, r) for label, k in zip(labels, kinds, strict=True) for r in ROWS],
        curves=[c for label, k in zip(labels, kinds, strict=True) for c in curves(label, k)],
    )  # fmt: skip


def reproduction(seeds: int = 2) -> Results:
    """Of four methods with so many seeds each, held against the first, with decided claims."""
    methods = ("ANCE", "ANCE w. Norm", "ANCE w. Dual", "DANCE")
    labels = tuple(f"{method} seed {seed}" for method in methods for seed in range(seeds))
    results = analysis(labels)
    for about in results.spaces:
        method, seed = about["label"].split(" seed ")
        about |= {"method": method, "seed": int(seed), "steps_after_ance": 240}
    results.rows += [measurement(m, i > 0, row) for i, m in enumerate(methods) for row in ROWS]
    results.deltas = [
        dataclasses.replace(difference(row), baseline="ANCE", space=method)
        for method in methods[1:]
        for row in ROWS
        if row[0] != "joint"
    ]
    results.curves += [changes(method) for method in methods[1:]]
    part = {
        "side": "ranking", "measure": "nDCG@10", "on": "recipe", "role": "primary",
        "against": "ANCE", "direction": "up", "margin": 0.005, "scale": "absolute",
        "value": 0.44, "against_value": 0.4, "delta": 0.02, "se": 0.01, "ci_low": 0.001,
        "ci_high": 0.04, "p": 0.01, "n": 77, "unit": "query", "outcome": "supported", "note": "",
    }  # fmt: skip
    about = {
        "contrast": "DANCE - ANCE", "what": "everything at once", "claim": "f",
        "text": "DANCE ranks better", "method": "DANCE", "outcome": "supported", "p": 0.01,
        "p_holm": 0.02, "note": "", "main": True, "steps": [240, 0],
    }  # fmt: skip
    untested = {**part, "p": None, "delta": None, "note": "too few seeds"}
    scopes = [("method", None, untested), *(("checkpoints", s, part) for s in range(seeds))]
    results.claims = [
        {**about, "scope": scope, "seed": seed, "parts": [one]} for scope, seed, one in scopes
    ]
    return results


def comparison(a: str = "ance", b: str = "dance") -> Results:
    """Of two spaces, with a doubt, a warning, and rows that are withheld."""
    results = analysis((a, b))
    doubt = (
        "normalization is not recorded: nDCG@10 0.421 as dot product, 0.402 with L2; the first "
        "is used. Settle it with --a-recipe ance or --a-recipe dance"
    )
    results.spaces[0] = space(a, [doubt])
    results.warnings = ["3 documents are empty and keep the vector of the empty text"]
    results.deltas = [difference(row) for row in ROWS if row[0] != "joint"]
    results.curves.append(changes(b))
    results.likenesses = [
        Similarity("queries", "cka", 0.81, 0.79, 0.83, 0.0, 1203),
        Similarity("documents", "mutual_knn(k=10)", 0.46, NAN, NAN, 0.001, 8114),
    ]
    results.withheld = [
        Withheld("cross", "margin", "recipe", "a scores by dot product, b by cosine: other units")
    ]
    return results
