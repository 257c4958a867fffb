"""Approximate neighbors: a faiss index in place of the sweep, where it is asked for.

The index holds the targets as 16-bit floats and is fed block by block, so that a memory-mapped
side is never copied as a whole. What it finds is scored anew from the rows themselves: a list
has the scores and the order of an exact one, and only what is missing from it differs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from anisotropy import backend
from anisotropy.backend import Rows
from anisotropy.errors import EmbeddingsError, UsageError
from anisotropy.neighbors.consumers import Neighbors
from anisotropy.neighbors.indexes import NeighborIndex

if TYPE_CHECKING:
    from anisotropy.neighbors.sweeping import Product

#: Rows a list from which its mean is learned, and rounds of that.
TRAINED_ON, ROUNDS = 64, 10
#: Candidates beyond those asked for: 16-bit rows misplace what lies near the end of a list.
SPARE, SPARE_SHARE = 8, 8
_LARGEST = float(np.finfo(np.float16).max)


class FaissIndex:
    """A faiss index over some targets.

    Parameters
    ----------
    targets
        The rows, scaled to length 1 already where cosines are meant.
    how
        An ``ivf`` or ``hnsw`` index, filled in.
    product
        ``dot``, or ``euclidean`` for minus the squared distance.
    random_state
        Of the rows that means are learned from, of their start, and of the levels of a graph.

    Attributes
    ----------
    scale
        What the rows are multiplied by in the index, so that 16 bits hold them.

    Raises
    ------
    EmbeddingsError
        If a row is too long, against the others, for 16-bit floats.
    """

    def __init__(
        self, targets: Rows, how: NeighborIndex, product: Product, random_state: int = 0
    ) -> None:
        self.targets, self.how, self.product = targets, how, product
        rng = np.random.default_rng(random_state)
        wanted = min(TRAINED_ON * (how.nlist or 1), len(targets))
        sample = targets.take(_sampled(rng, len(targets), max(wanted, min(1024, len(targets)))))
        lengths = np.sqrt(np.einsum("ij,ij->i", sample, sample, dtype=np.float64))
        self.scale = 1 / float(np.median(lengths[lengths > 0])) if lengths.any() else 1.0
        # The levels of a graph and the start of the means are drawn by faiss itself.
        self._index = _empty(how, targets.dim, product, int(rng.integers(2**31)))
        with faiss_threads(1 if how.kind == "hnsw" else backend.cores()):
            self._index.train(self._shown(sample))
            for part, block in targets.blocks():
                shown = self._shown(block)
                if not np.abs(shown).max(initial=0.0) < _LARGEST:
                    raise EmbeddingsError(
                        f"targets: a row from {part.start} on has values beyond {_LARGEST:g} "
                        "times the median length of a row, which 16-bit floats do not hold; "
                        "allowed: index='exact'"
                    )
                self._index.add(shown)

    def _shown(self, rows: np.ndarray) -> np.ndarray:
        """Rows as the index takes them."""
        return np.ascontiguousarray(rows * rows.dtype.type(self.scale), dtype=np.float32)

    @property
    def n_bytes(self) -> int:
        """Size of the index as faiss would write it."""
        counted = 0

        def count(part: bytes) -> int:
            nonlocal counted
            counted += len(part)
            return len(part)

        faiss = _faiss()
        faiss.write_index(self._index, faiss.PyCallbackIOWriter(count))
        return counted

    def search(
        self,
        anchors: Rows,
        k: int,
        *,
        ties: np.ndarray | None = None,
        others: bool = False,
        how: NeighborIndex | None = None,
    ) -> Neighbors:
        """Nearest targets of every anchor among those that the index reaches.

        Parameters
        ----------
        anchors
            Rows, scaled as the targets are.
        k
            Neighbors of each.
        ties
            Shape (targets,): among equal scores of a list the smaller comes first. Default:
            the row number. At the end of a list the index decides which of them are in it.
        others
            Leave out the target of an anchor's own row.
        how
            The same index with another ``nprobe`` or ``ef_search``.

        Returns
        -------
        Neighbors
            -1 and minus infinity where fewer than `k` were reached.
        """
        how = self.how if how is None else how
        depth = min(k + others + SPARE + k // SPARE_SHARE, len(self.targets))
        index = np.full((len(anchors), k), -1, dtype=np.int64)
        scores = np.full((len(anchors), k), -np.inf, dtype=np.float32)
        for part, block in anchors.blocks():
            found = self._found(block, depth, how)
            if others:
                found[found == np.arange(part.start, part.stop)[:, None]] = -1
            step = max(1, backend.BLOCK_BYTES // (block.itemsize * block.shape[1] * depth))
            pieces = [slice(at, at + step) for at in range(0, len(block), step)]
            ranked = backend.in_parallel(
                lambda piece, block=block, found=found: self._ranked(  # type: ignore[misc]
                    block[piece], found[piece], ties
                ),
                pieces,
            )
            for piece, (place, score) in zip(pieces, ranked, strict=True):
                index[part][piece], scores[part][piece] = place[:, :k], score[:, :k]
        return Neighbors(np.arange(len(anchors)), index, scores, len(self.targets))

    def _found(self, block: np.ndarray, depth: int, how: NeighborIndex) -> np.ndarray:
        faiss = _faiss()
        if how.kind == "ivf":
            asked = faiss.SearchParametersIVF(nprobe=how.nprobe)
        else:
            asked = faiss.SearchParametersHNSW(efSearch=how.ef_search)
        with faiss_threads(backend.cores()):
            _, found = self._index.search(self._shown(block), depth, params=asked)
        return np.asarray(found)

    def _ranked(
        self, anchors: np.ndarray, found: np.ndarray, ties: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The targets found in the order of their exact scores, and these."""
        near = self.targets.take(np.maximum(found, 0).ravel())
        near = near.reshape(*found.shape, self.targets.dim)
        if self.product == "euclidean":
            near -= anchors[:, None]
            scores = -np.einsum("ijd,ijd->ij", near, near)
        else:
            scores = np.matmul(near, anchors[:, :, None])[:, :, 0]
        scores = np.where(found < 0, -np.inf, scores).astype(np.float32)
        order = np.lexsort((found if ties is None else ties[found], -scores), axis=1)
        return np.take_along_axis(found, order, 1), np.take_along_axis(scores, order, 1)


def _faiss() -> Any:
    """The library; its own type stubs leave out half of what is used here."""
    import faiss

    return faiss


def _sampled(rng: np.random.Generator, n: int, size: int) -> np.ndarray:
    return np.arange(n) if size >= n else np.sort(rng.choice(n, size, replace=False))


def _empty(how: NeighborIndex, dim: int, product: Product, seed: int) -> Any:
    """An index of 16-bit rows without any."""
    faiss = _faiss()
    metric = faiss.METRIC_L2 if product == "euclidean" else faiss.METRIC_INNER_PRODUCT
    if how.kind == "hnsw":
        index = faiss.IndexHNSWSQ(dim, faiss.ScalarQuantizer.QT_fp16, how.m, metric)
        index.hnsw.efConstruction = how.ef_construction
        index.hnsw.rng = faiss.RandomGenerator(seed)
        return index
    index = faiss.index_factory(dim, f"IVF{how.nlist},SQfp16", metric)
    index.cp.seed, index.cp.niter = seed, ROUNDS
    # The sample is ours: faiss neither draws another from it nor warns of its size.
    index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = 1, 2 * TRAINED_ON
    return index


@contextlib.contextmanager
def faiss_threads(number: int) -> Iterator[None]:
    """Let faiss, and the linear algebra it brings, use `number` threads inside the block."""
    faiss = _faiss()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(number)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def recall(found: np.ndarray, exact: np.ndarray) -> float:
    """Share of exact neighbors that were found.

    Parameters
    ----------
    found, exact
        Shapes (a, any) and (a, k): lists of the same anchors; -1 is nothing.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    UsageError
        If they are of different numbers of anchors, or `exact` lists nothing.
    """
    if len(found) != len(exact):
        raise UsageError(f"recall: got lists of {len(found)} and {len(exact)} anchors; allowed: "
                         "lists of the same anchors")  # fmt: skip
    listed = exact >= 0
    if not listed.any():
        raise UsageError("recall: got exact lists without any neighbor; allowed: at least one")
    row = np.arange(len(exact))[:, None]
    width = int(max(exact.max(), found.max(initial=0))) + 1
    keys = (row * width + found)[found >= 0]
    return float(np.isin((row * width + exact)[listed], keys).mean())
