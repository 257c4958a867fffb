"""What a user waits for at the shell: the start of the program, and ``compare`` once encoded."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from benchmarks import processes
from benchmarks.made import Made
from benchmarks.quantities import Numbers, number
from benchmarks.registry import Setting
from benchmarks.timing import turns

#: Vectors of the demo: queries, documents, queries of training.
DEMO = (701, 7_499, 5_607)
DIM = 128


def startup(setting: Setting) -> Numbers:
    """``--help`` against an interpreter that does nothing."""
    ways = {
        "bare": lambda: processes.run(["-c", "pass"]).wall,
        "help": lambda: processes.program("--help").wall,
        "command_help": lambda: processes.program("compare", "--help").wall,
    }
    taken = turns(ways, setting.pick(1, 7, 15))
    more = {name: [a - b for a, b in zip(taken[name], taken["bare"], strict=True)]
            for name in ("help", "command_help")}  # fmt: skip
    return {
        "bare_s": number(taken["bare"], "s", "`python -c pass`"),
        "help_s": number(taken["help"], "s", "`anisotropy --help`"),
        "more_s": number(
            more["help"], "s", "`anisotropy --help` more than a bare interpreter", at_most=0.3,
            bound="imports of the standard library and the options of every command",
        ),
        "command_more_s": number(more["command_help"], "s", "`anisotropy compare --help` more"),
    }  # fmt: skip


def compare(setting: Setting) -> dict[str, Any]:
    """Two stores; in full also two checkpoints whose embeddings are in the cache, with texts."""
    sizes, dim = setting.pick(((60, 300, 60), 16), ((300, 2_000, 600), DIM), (DEMO, DIM))
    stores = [demo_store(setting.folder / label, sizes, dim, seed)
              for seed, label in enumerate(("a", "b"))]  # fmt: skip
    ways = {"stores": lambda: once(setting.folder, *map(str, stores))}
    if setting.full:
        checkpoints(setting.folder)
        names = ("x.ckpt", "y.ckpt")
        once(setting.folder, *names)  # encodes
        ways["checkpoints"] = lambda: once(setting.folder, *names)
    taken = turns(ways, setting.pick(1, 1, 3))
    last = "checkpoints" if setting.full else "stores"
    texts = {"stores": "two stores, no texts", "checkpoints": "two checkpoints, encoded before"}
    bound = "libraries that are imported, measures of two spaces, and drawing of figures"
    numbers = {
        f"{name}_s": number(
            values, "s", f"`compare`, figures and report included: {texts[name]}",
            at_most=20 if name == last else None, bound=bound,
        )
        for name, values in taken.items()
    }  # fmt: skip
    queries, documents, training = sizes
    of = f"two spaces of {queries:,} + {training:,} queries and {documents:,} documents"
    return {"sizes": f"{of}, {dim} dimensions", **numbers}


def once(folder: Path, a: str, b: str) -> float:
    """Seconds of one comparison."""
    words = ("compare", "--a", a, "--b", b, "--quiet", "--out", str(folder / "out"))
    ended = processes.program(*words, cwd=folder, ANISOTROPY_CACHE=str(folder / "cache"))
    shutil.rmtree(folder / "out")
    return ended.wall


def demo_store(folder: Path, sizes: tuple[int, int, int], dim: int, seed: int) -> Path:
    """A store with training queries; the documents of every seed have the same judgments."""
    import numpy as np

    from anisotropy.spaces.store import StoreHeader, StoreWriter

    queries, documents, training = sizes
    made = Made(queries + training, documents, dim)
    rows = {"documents": np.concatenate(list(made.document_shards()))}
    asked = np.concatenate(list(made.query_shards()))
    rows["queries"], rows["training-queries"] = asked[:queries], asked[queries:]
    rng, qrels = np.random.default_rng(seed), made.qrels()
    names = list(qrels)
    header = StoreHeader(
        {"similarity": "dot", "temperature": 1.0}, {"label": folder.name, "fingerprint": "made"},
        {}, "all", dim, "float32",
    )  # fmt: skip
    ids = {"documents": [f"d{i}" for i in range(documents)], "queries": names[:queries],
           "training-queries": names[queries:]}  # fmt: skip
    with StoreWriter(folder, header) as writer:
        for side, values in rows.items():
            noise = 0.2 * made.scale * rng.standard_normal(values.shape, dtype=np.float32)
            writer.write_shard(side, 0, values + noise)
            writer.finish_side(side, ids[side], 1)
        writer.finish(*({name: qrels[name] for name in ids[side]}
                        for side in ("queries", "training-queries")))  # fmt: skip
    return folder


def checkpoints(folder: Path) -> None:
    """Two encoders of the demo's size with random weights, for the built-in collection."""
    from anisotropy.collection import open_collection
    from anisotropy.training import new_encoder

    collection = open_collection("docstrings")
    for seed, name in enumerate(("x.ckpt", "y.ckpt")):
        new_encoder(collection, seed=seed).save(folder / name, training={})
