"""Benchmarks with a command of their own, as cases: training steps, maps, the explorer's page."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np

from benchmarks.quantities import Numbers, number
from benchmarks.registry import Setting
from benchmarks.timing import seconds


def training(setting: Setting) -> Numbers:
    """Our step in turns with upstream's way and the trainer of sentence-transformers."""
    from anisotropy.collection import open_collection
    from benchmarks.training import FULL, SMALL, Bench, measure

    steps = FULL if setting.full else SMALL
    found: dict[str, Any] = measure(Bench(open_collection("docstrings"), steps))["ways"]
    numbers: Numbers = {}
    for way, row in found.items():
        key = way.replace(", ", "_").replace(" ", "_").replace("-", "_")
        ratio = number(row["ratio"], "x", f"{way}: time of a step over ours")
        numbers[f"{key}_ratio"] = ratio | {"low": row["ratio_low"], "high": row["ratio_high"]}
        numbers[f"{key}_pairs"] = number(row["pairs_a_second"], "pairs/s", way)
        numbers[f"{key}_share"] = number(
            row["share_of_limit"],
            "share",
            f"{way}: operations it cannot avoid at the measured rate",
        )
    return numbers


def maps(setting: Setting) -> Numbers:
    """t-SNE of texts: ours, openTSNE's and scikit-learn's defaults; time and divergence."""
    from benchmarks.maps import affinities, latent, turn

    points = latent(setting.pick(300, 2_000, 10_000))
    pairs = affinities(points)
    products = seconds(lambda: points @ points.T)
    turns = [turn(points, pairs) for _ in range(setting.pick(1, 1, 2))]
    numbers = {"products_s": number(products, "s", "products of all pairs of points")}
    for name in turns[0]:
        numbers[f"{name}_s"] = number([t[name][0] for t in turns], "s", f"{name}: seconds")
        numbers[f"{name}_kl"] = number([t[name][1] for t in turns], "", f"{name}: divergence")
    for name in ("opentsne", "scikit_learn"):
        ratios = [t[name][0] / t["ours"][0] for t in turns]
        numbers[f"{name}_ratio"] = number(ratios, "x", f"{name}: time over ours")
    return numbers


def explorer(setting: Setting) -> Numbers:
    """Frames of the page of many points in headless Chromium."""
    from anisotropy.explorer import ExplorerOptions, build, write_page
    from benchmarks.explorer import frames, spaces

    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        raise ImportError("chromium", name="chromium")
    points = setting.pick(200, 5_000, 20_000)
    data = build(spaces(points), ExplorerOptions(points=points, projections=("pca",)))
    page = write_page(data, setting.folder / "explorer.html")
    drawn, between = frames(page, 200)
    text = f"{points:,} points, both maps"
    return {
        "drawn_ms": number(float(np.median(drawn)), "ms", f"{text}: drawing a frame"),
        "drawn_late_ms": number(float(np.quantile(drawn, 0.95)), "ms", f"{text}: 95% below"),
        "between_ms": number(float(np.median(between)), "ms", f"{text}: from frame to frame"),
    }


def approximate(setting: Setting) -> Numbers:
    """An approximate index: what it misses, how much faster it is, and how far measures move."""
    from benchmarks.approximate import run

    numbers: Numbers = {}
    for one in run(small=not setting.full, stores=[])["records"]:
        key, text = f"{one['use']}_{one['index']}", f"{one['use']}, {one['index']}"
        moved = max(abs(m["change_in_se"]) for m in one["measures"].values())
        numbers[f"{key}_recall"] = number(one["recall"], "share", f"{text}: recall")
        numbers[f"{key}_ratio"] = number(one["ratio"], "x", f"{text}: as fast as exact search")
        numbers[f"{key}_moved"] = number(moved, "", f"{text}: largest change in standard errors")
    return numbers


def _bound(text: str) -> str:
    """What keeps a number of the encoding from being better."""
    if "cosine" in text:
        return "rounding to bfloat16"
    if "padded" in text:
        return "what padding costs: operations of the padded tokens over those of the others"
    return "attention, with products too small for the rate of large ones, and what is no product"


def encoding(setting: Setting) -> dict[str, Any]:
    """Encoding against padding everything, and against sentence-transformers."""
    from benchmarks.encoding import FULL, SMALL, run, targets

    chosen = FULL if setting.full else SMALL
    result = run(setting=chosen)
    numbers: dict[str, Any] = {
        "sizes": f"{chosen.documents} documents of the docstrings, {result['model']}"
    }
    for text, row in targets(result).items():
        key = text.replace(" / ", "_over_").replace(",", "").replace(" ", "_").replace("-", "_")
        unit = "x" if "/" in text else "share"
        numbers[key] = number(
            row["value"],
            unit,
            text,
            at_least=row["at_least"],
            bound=_bound(text),
        )
    padding = "operations of padding everything over those of the tokens there are"
    numbers["padded_operations"] = number(result["padded_operations_ratio"], "x", padding)
    return numbers


def cluster(setting: Setting) -> Numbers:
    """Two workers of a thread each against two threads here, and a worker that is killed."""
    from benchmarks.cluster import make, measure

    documents, queries, dim = setting.pick(
        (140_000, 50, 8), (140_000, 100, 16), (1_000_000, 5_000, 768)
    )
    store = make(setting.folder / "cluster", documents, queries, dim)
    kill = setting.full or setting.tiny
    found = measure(store, rounds=1, kill=kill)
    text = f"{queries:,} x {documents:,} x {dim}"
    killed = {
        "killed_equal": number(
            float(found["killed_equal"] and found["worker_killed"]),
            "share",
            f"{text}: equal results after a worker was killed",
            at_least=1,
        ),
        "killed_s": number(found["killed_s"], "s", f"{text}: time when a worker is killed"),
    } if kill else {}  # fmt: skip
    return {
        "ratio": number(
            found["ratio"],
            "x",
            f"{text}: time with two workers over that with two threads",
            at_most=1.5,
            bound="reading by two processes, and states that travel",
        ),
        "equal": number(float(found["equal"]), "share", f"{text}: equal results", at_least=1),
        **killed,
        "local_s": number(found["local_s"], "s", f"{text}: time with two threads"),
        "cluster_s": number(found["cluster_s"], "s", f"{text}: time with two workers"),
    }
