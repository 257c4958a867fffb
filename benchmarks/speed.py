"""Time and peak memory of the default ``analyze`` of a store, and what they compare to.

Run: ``python benchmarks/speed.py [--queries 5000] [--documents 100000] [--dim 768]``.

The embeddings are made up to look like those of a retrieval model: clusters of documents around
a common direction, norms that vary, queries near one to three positives and offset from the
documents. The command that is timed is the one a user types: report, figures and map included.
Seconds of one machine say little about another, so ratios stand beside them: to the time in
which the same cores make the products that the default set needs (``sgemm``; by wall clock, and
by CPU seconds, which a busy machine disturbs less), and to the usual tools that give a part of it,
timed in the same run (a flat faiss index for the neighbors, pairwise distances of scipy for
uniformity, numpy's covariance). Peak memory is anonymous plus shared pages, as in ``memory.py``.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
from benchmarks.memory import resident

SHARD = 20_000
CLUSTERS = 200
ANCHORS = 5_000
MINING_K = 200


class Made:
    """Made-up embeddings, drawn shard by shard.

    Parameters
    ----------
    queries, documents, dim
        Sizes.
    """

    def __init__(self, queries: int, documents: int, dim: int) -> None:
        self.rng = np.random.default_rng(0)
        self.sizes = {"queries": queries, "documents": documents}
        self.dim = dim
        scale = np.arange(1, dim + 1) ** -0.4
        self.scale = scale / np.linalg.norm(scale)
        self.common = self._rows(1)[0] * 1.2
        self.centers = self._rows(CLUSTERS) * 0.6
        self.offset = self._rows(1)[0] * 0.3
        self.positives = self._positives()
        self.near = np.zeros((queries, dim), dtype=np.float32)

    def _rows(self, n: int) -> np.ndarray:
        return np.asarray(self.rng.standard_normal((n, self.dim)) * self.scale)

    def _positives(self) -> list[np.ndarray]:
        sizes = self.rng.integers(1, 4, self.sizes["queries"])
        return [self.rng.integers(0, self.sizes["documents"], size) for size in sizes]

    def document_shards(self) -> Iterator[np.ndarray]:
        """Documents; what the queries need of them is kept on the way."""
        query = np.repeat(np.arange(len(self.positives)), [len(p) for p in self.positives])
        document = np.concatenate(self.positives)
        share = 1 / np.array([len(p) for p in self.positives], dtype=np.float32)
        for start, size in shards(self.sizes["documents"]):
            rows = self.common + self.centers[self.rng.integers(0, CLUSTERS, size)]
            rows = (rows + self._rows(size)) * self.rng.uniform(0.9, 1.1, (size, 1))
            block = rows.astype(np.float32)
            here = np.flatnonzero((document >= start) & (document < start + size))
            own = block[document[here] - start] * share[query[here], None]
            np.add.at(self.near, query[here], own)
            yield block

    def query_shards(self) -> Iterator[np.ndarray]:
        """Queries, once the documents are drawn."""
        for start, size in shards(self.sizes["queries"]):
            noise = self.offset + 0.8 * self._rows(size)
            yield (self.near[start : start + size] + noise).astype(np.float32)

    def qrels(self) -> dict[str, dict[str, int]]:
        """Judgments of grade 1."""
        return {f"q{i}": {f"d{d}": 1 for d in found} for i, found in enumerate(self.positives)}


def shards(n: int) -> Iterator[tuple[int, int]]:
    """Beginning and size of each shard of `n` rows."""
    for start in range(0, n, SHARD):
        yield start, min(SHARD, n - start)


def make_store(folder: Path, made: Made, similarity: str) -> None:
    """Write the embeddings as a store, with the package's own writer."""
    from anisotropy.spaces.store import StoreHeader, StoreWriter

    recipe = {"similarity": similarity, "temperature": 1.0}
    checkpoint = {"label": "made", "fingerprint": "made"}
    header = StoreHeader(recipe, checkpoint, {}, "all", made.dim, "float32")
    writer = StoreWriter(folder, header)
    for side, drawn in (("documents", made.document_shards()), ("queries", made.query_shards())):
        number = 0
        for number, block in enumerate(drawn):
            writer.write_shard(side, number, block)
        writer.finish_side(side, [f"{side[0]}{i}" for i in range(made.sizes[side])], number + 1)
    writer.finish(made.qrels())


def analyze(store: Path, *options: str) -> dict[str, float]:
    """Run the command; wall and CPU seconds, and the peak of memory in MiB."""
    command = [sys.executable, "-m", "anisotropy", "analyze", str(store), *options]
    command += ["--quiet", "--out", str(store.parent / "results")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start, highest = time.perf_counter(), 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        highest = max(highest, resident(process.pid))
        time.sleep(0.05)
    wall = time.perf_counter() - start
    if process.returncode:
        raise SystemExit("analyze failed")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": wall, "cpu_s": cpu, "peak_mib": highest / 1024}


def needed_flop(queries: int, documents: int, dim: int) -> float:
    """Floating-point work of the large products that the default set cannot do without.

    Anchors against documents, once; queries against documents under the recipe and centered;
    the covariances of the raw, unit and centered documents; their partition functions along
    every direction, raw and unit, alone and beside the queries.
    """
    anchors = documents if documents <= 2 * ANCHORS else ANCHORS
    within = 2.0 * anchors * documents * dim
    across = 2 * 2.0 * queries * documents * dim
    return within + across + (3 + 4) * 2.0 * documents * dim**2


def sgemm_rates(dim: int) -> tuple[float, float]:
    """Floating-point operations a wall and a CPU second of a large float32 product."""
    rng = np.random.default_rng(0)
    a, b = (rng.random((n, dim), dtype=np.float32) for n in (2048, 8192))
    a @ b.T
    rounds = 10
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(rounds):
        a @ b.T
    work = rounds * 2.0 * len(a) * len(b) * dim
    return work / (time.perf_counter() - wall), work / (time.process_time() - cpu)


def timed(work: Callable[[], object]) -> float:
    """Wall seconds of some work."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def usual_tools(store: Path) -> dict[str, float]:
    """Wall seconds of the tools one would string together for a part of the default set."""
    import faiss
    from scipy.spatial.distance import pdist

    from anisotropy.spaces.store import open_store

    space = open_store(store)
    queries, documents = np.asarray(space.queries), np.asarray(space.documents)
    anchors = documents[:ANCHORS]
    index = faiss.IndexFlatIP(documents.shape[1])
    index.add(documents)
    return {
        "faiss_queries_k200_s": timed(lambda: index.search(queries, MINING_K)),
        "faiss_anchors_k11_s": timed(lambda: index.search(anchors, 11)),
        "scipy_pdist_queries_s": timed(lambda: np.exp(-2 * pdist(queries, "sqeuclidean")).mean()),
        "scipy_pdist_anchors_s": timed(lambda: np.exp(-2 * pdist(anchors, "sqeuclidean")).mean()),
        "numpy_cov_documents_s": timed(lambda: np.linalg.eigh(np.cov(documents, rowvar=False))),
    }


def main() -> None:
    """Make, measure, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, size in (("queries", 5_000), ("documents", 100_000), ("dim", 768)):
        parser.add_argument(f"--{name}", type=int, default=size)
    parser.add_argument("--similarity", choices=("dot", "cosine", "euclidean"), default="dot")
    parser.add_argument("--no-tools", action="store_true", help="leave the usual tools out")
    given = parser.parse_args()
    sizes = (given.queries, given.documents, given.dim)
    with tempfile.TemporaryDirectory() as scratch:
        store = Path(scratch) / "made"
        make_store(store, Made(*sizes), given.similarity)
        found = analyze(store)
        tools = {} if given.no_tools else usual_tools(store)
    rate, cpu_rate = sgemm_rates(given.dim)
    work = needed_flop(*sizes)
    print(f"{given.queries:,} x {given.documents:,} x {given.dim}, {given.similarity}, "
          f"{os.cpu_count()} cores, sgemm {rate / 1e9:.0f} GFLOP/s, "
          f"{cpu_rate / 1e9:.0f} a CPU second")  # fmt: skip
    for name, value in {**found, **tools}.items():
        print(f"{name:24s} {value:9.1f}")
    print(f"wall over that of the needed products: {found['wall_s'] * rate / work:.2f}")
    print(f"CPU over that of the needed products:  {found['cpu_s'] * cpu_rate / work:.2f}")
    if tools:
        total = sum(tools.values())
        print(f"wall over the usual tools ({total:.1f} s): {found['wall_s'] / total:.2f}")


if __name__ == "__main__":
    main()
