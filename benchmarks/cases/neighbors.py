"""Exact neighbors of queries among many documents: ours on a float16 memory map, and faiss.

Each in processes of their own, which take turns. faiss holds the documents as float32, put into
the index block by block; the time of its search stands alone and with that of filling the index.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.backend import cores
from benchmarks import processes
from benchmarks.machine import pairs_rate
from benchmarks.made import Made
from benchmarks.processes import resident, say
from benchmarks.quantities import Numbers, number, ratios
from benchmarks.registry import Setting
from benchmarks.timing import turns

BLOCK = 16_384
TOLERANCE = 2e-5


def case(setting: Setting) -> dict[str, Any]:
    """Both in turns."""
    queries, documents, dim = setting.pick((20, 500, 32), (500, 20_000, 768),
                                           (5_000, 1_000_000, 768))  # fmt: skip
    k = setting.pick(10, 200, 200)
    write(setting.folder, queries, documents, dim)
    found: dict[str, list[dict[str, float]]] = {"ours": [], "faiss": []}

    def way(name: str) -> float:
        ended = processes.run(
            ["-m", "benchmarks.cases.neighbors", name, str(setting.folder), str(k)]
        )
        found[name].append({"peak": ended.peak, **ended.answer})
        return found[name][-1]["search"]

    ways = {"ours": lambda: way("ours"), "faiss": lambda: way("faiss"),
            "rate": lambda: pairs_rate(dim)}  # fmt: skip
    taken = turns(ways, setting.pick(1, 3, 3), budget=600)
    products = 2.0 * queries * documents * dim
    return {
        "sizes": f"{queries:,} queries, {documents:,} documents, {dim} dimensions, k = {k}",
        **_times(found, taken, products),
        **_memory(found),
        "agreement": number(
            agreement(setting.folder), "share", "places whose document or score is the same",
            at_least=1.0, bound="rounding of float32 products",
        ),
    }  # fmt: skip


def write(folder: Path, queries: int, documents: int, dim: int) -> None:
    """Write documents as one float16 array that can be mapped, and queries."""
    made = Made(queries, documents, dim)
    whole = np.lib.format.open_memmap(
        folder / "documents.npy", mode="w+", dtype=np.float16, shape=(documents, dim)
    )
    start = 0
    for block in made.document_shards():
        whole[start : start + len(block)] = block
        start += len(block)
    whole.flush()
    np.save(folder / "queries.npy", np.concatenate(list(made.query_shards())))


def agreement(folder: Path) -> float:
    """Share of places at which both name one document, or documents of one score."""
    index, scores = ({name: np.load(folder / f"{name}-{what}.npy") for name in ("ours", "faiss")}
                     for what in ("index", "scores"))  # fmt: skip
    near = np.isclose(scores["ours"], scores["faiss"], rtol=TOLERANCE, atol=TOLERANCE)
    same = index["ours"] == index["faiss"]
    return float(np.mean(same | near))


def _times(
    found: dict[str, list[dict[str, float]]], taken: dict[str, list[float]], products: float
) -> Numbers:
    whole = [one["search"] + one["add"] for one in found["faiss"]]
    shares = [products / r / s for r, s in zip(taken["rate"], taken["ours"], strict=True)]
    return {
        "ours_s": number(taken["ours"], "s", "ours, read from the memory map on the way"),
        "faiss_s": number(taken["faiss"], "s", "faiss `IndexFlatIP`, search alone"),
        "faiss_with_add_s": number(whole, "s", "faiss, the index filled first"),
        "products_s": number(
            [products / rate for rate in taken["rate"]], "s", "its products at the measured rate"
        ),
        "ratio": number(
            ratios(taken["ours"], taken["faiss"]), "x", "ours over faiss, search alone",
            at_most=1.0, bound="selection of the best k, and float16 turned into float32",
        ),
        "ratio_with_add": number(
            ratios(taken["ours"], whole), "x", "ours over faiss, the index filled first"
        ),
        "share": number(shares, "share", "ours: its products over the time at the measured rate"),
    }  # fmt: skip


def _memory(found: dict[str, list[dict[str, float]]]) -> Numbers:
    above = {name: [one["peak"] - one["before"] for one in each] for name, each in found.items()}
    return {
        "ours_mb": number(above["ours"], "MB", "ours: peak of private memory above the libraries"),
        "faiss_mb": number(above["faiss"], "MB", "faiss: the same"),
        "memory_ratio": number(
            ratios(above["ours"], above["faiss"]), "x", "memory of ours over that of faiss",
            at_most=0.5, bound="lists of k neighbors and blocks of rows",
        ),
    }  # fmt: skip


def main() -> None:
    """One way in this process; lists are written, seconds said."""
    name, folder, k = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    queries = np.load(folder / "queries.npy")
    documents = np.load(folder / "documents.npy", mmap_mode="r")
    work = {"ours": by_us, "faiss": by_faiss}[name]
    work(queries[:2], documents[:64], 1)  # imports
    before = resident() * 1024 / 1e6
    index, scores, took = work(queries, documents, k)
    say(before=before, **took)
    for what, values in (("index", index), ("scores", scores)):
        np.save(folder / f"{name}-{what}.npy", values)


def by_us(
    queries: np.ndarray, documents: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """The package's exact search."""
    from anisotropy.neighbors import top_neighbors

    start = time.perf_counter()
    found = top_neighbors(queries, documents, k)
    return found.index, found.scores, {"search": time.perf_counter() - start, "add": 0.0}


def by_faiss(
    queries: np.ndarray, documents: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """A flat index on as many threads."""
    import faiss

    faiss.omp_set_num_threads(cores())
    start = time.perf_counter()
    index = faiss.IndexFlatIP(documents.shape[1])
    for first in range(0, len(documents), BLOCK):
        index.add(np.asarray(documents[first : first + BLOCK], dtype=np.float32))
    filled = time.perf_counter()
    scores, found = index.search(queries, k)
    return found, scores, {"search": time.perf_counter() - filled, "add": filled - start}


if __name__ == "__main__":
    main()
