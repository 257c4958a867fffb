"""Fitting transforms: one streaming pass a moment, in float64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from anisotropy.backend import Rows, added
from anisotropy.errors import EmbeddingsError, UsageError
from anisotropy.measures.moments import Moments
from anisotropy.transforms.identity import Step, Transform
from anisotropy.transforms.rows import Affine, Map, MappedRows, Unit

_ROUNDING = 10.0
_RELATIVE = 1e-12


@dataclass(frozen=True, eq=False)
class Fitted:
    """A transform with everything it learned from the rows it was fitted on.

    Attributes
    ----------
    transform
        What was fitted.
    dim
        Number of dimensions of the rows it takes.
    n, n_queries
        How many rows it was fitted on, and how many of the query side where it has maps by
        side (0 otherwise).
    maps, query_maps
        One map a step for documents and for queries; the same ones unless by side.
    """

    transform: Transform
    dim: int
    n: int
    n_queries: int
    maps: tuple[Map, ...]
    query_maps: tuple[Map, ...]

    @property
    def dead(self) -> int:
        """Directions without variance that whitening set to zero, for documents."""
        return sum(one.dead for one in self.maps if isinstance(one, Affine))

    def apply(self, rows: Any, side: Literal["documents", "queries"] = "documents") -> np.ndarray:
        """Transform rows, of the fitted set or of any other.

        Parameters
        ----------
        rows
            Shape (n, dim).
        side
            Matters for steps fitted by side.

        Returns
        -------
        numpy.ndarray of shape (n, out)
            float32, or float64 for float64 rows; computed in float64. Large results are
            memory-mapped from a temporary file.

        Raises
        ------
        EmbeddingsError
            If the rows have another number of dimensions.
        """
        rows = _as_rows(rows).data
        if rows.shape[1] != self.dim:
            raise EmbeddingsError(
                f"{self.transform}: fitted on rows of {self.dim} dimensions; got {rows.shape[1]}"
            )
        return MappedRows(rows, self.query_maps if side == "queries" else self.maps).written()


def fit(transform: Transform, documents: Any, queries: Any = None) -> Fitted:
    """Fit a transform.

    Parameters
    ----------
    transform
        Each step is fitted on the rows as the steps before leave them.
    documents
        Shape (n, dim), floating point; array, memory map, ``ShardedRows`` or ``Rows``. Read by
        blocks, never copied whole.
    queries
        Shape (m, dim); needed for steps ``by=side``, and read for them alone.

    Raises
    ------
    UsageError
        If a step cannot be fitted on these rows: too few, no variance in some direction (say
        how much shrinkage), or no queries for ``by=side``.
    """
    left = _as_rows(documents)
    right = None if queries is None else _as_rows(queries)
    maps: list[Map] = []
    query_maps: list[Map] = []
    sided = any(step.by_side for step in transform.steps)
    for step in transform.steps:
        own = _fit_step(step, left, maps)
        other = own
        if step.by_side:
            if right is None:
                raise UsageError(f"{step}: needs queries to fit the query side on")
            other = _fit_step(step, right, query_maps)
        maps.append(own)
        query_maps.append(other)
    n_queries = len(right) if sided and right is not None else 0
    return Fitted(transform, left.dim, len(left), n_queries, tuple(maps), tuple(query_maps))


def _as_rows(rows: Any) -> Rows:
    if isinstance(rows, Rows):
        return rows
    data = rows if hasattr(rows, "shape") and hasattr(rows, "dtype") else np.asarray(rows)
    if len(data.shape) != 2 or not np.issubdtype(data.dtype, np.floating):
        raise EmbeddingsError(
            f"got an array of shape {tuple(data.shape)} and type {data.dtype}; needed: "
            "floating-point rows of shape (n, dim)"
        )
    return Rows(data)


def _fit_step(step: Step, source: Rows, before: list[Map]) -> Map:
    rows = Rows(MappedRows(source.data, before), source.keep)  # type: ignore[arg-type]
    if step.name == "normalize":
        return Unit(rows.dim)
    if len(rows) < 2:
        raise UsageError(f"{step}: {len(rows)} row(s) to fit on; needed: 2 or more")
    moments = Moments(rows)
    if step.name == "center":
        return Affine(moments.mean)
    # What is stored in few digits varies by rounding alone; that is no direction to scale up.
    rounding = _ROUNDING * float(np.finfo(source.data.dtype).eps) ** 2
    if step.name == "standardize":
        return Affine(moments.mean, _standard_factors(step, moments, rounding))
    values, vectors = np.linalg.eigh(moments.covariance)
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    squares = (float(values.sum()) + float(moments.mean @ moments.mean)) / rows.dim
    floor = max(_RELATIVE * values[0], rounding * squares)
    if step.name == "remove_top_directions":
        rank = int(np.count_nonzero(values > floor))
        return Affine(moments.mean, _without_top(step, vectors, rank, len(rows)))
    return _whitening(step, moments, (values, vectors), floor)


def _standard_factors(step: Step, moments: Moments, rounding: float) -> np.ndarray:
    """One over the standard deviation of each dimension."""
    mean = moments.mean
    squares = moments.rows.fold(
        lambda block: ((block.astype(np.float64) - mean) ** 2).sum(axis=0),
        added,
        np.zeros(len(mean)),
    )
    variance = squares / (moments.n - 1)
    still = np.flatnonzero(variance <= rounding * (variance + moments.mean**2))
    if still.size:
        raise UsageError(
            f"{step}: dimension {int(still[0])} (and {still.size - 1} more) does not vary over "
            f"the {moments.n} rows it is fitted on; use center or whiten(shrinkage=0.1)"
        )
    return np.asarray(1 / np.sqrt(variance))


def _whitening(
    step: Step, moments: Moments, spectrum: tuple[np.ndarray, np.ndarray], floor: float
) -> Affine:
    """One over the square root of the shrunk covariance, in the form that keeps all or `dim`."""
    values, vectors = spectrum
    dim, wanted = len(values), int(step.values["dim"])
    shrinkage = float(step.values["shrinkage"])
    shrunk = (1 - shrinkage) * values + shrinkage * values.mean()
    rank = int(np.count_nonzero(shrunk > floor))
    if wanted > min(rank, dim):
        raise UsageError(f"{step}: {_varies(moments.n, rank, dim)}; allowed: dim up to {rank}")
    # More rows than dimensions and still no variance: the encoder does not use the direction.
    # Fewer rows: nothing is known about it.
    if not wanted and (rank == 0 or (rank < dim and moments.n <= dim)):
        raise UsageError(
            f"{step}: {_varies(moments.n, rank, dim)}, so the others cannot be scaled; give "
            f"shrinkage (such as 0.1), or dim of at most {rank}"
        )
    kept = wanted or rank
    scaled = vectors[:, :kept] / np.sqrt(shrunk[:kept])
    if wanted:
        return Affine(moments.mean, scaled)
    return Affine(moments.mean, scaled @ vectors[:, :kept].T, dead=dim - kept)


def _without_top(step: Step, vectors: np.ndarray, rank: int, n: int) -> np.ndarray:
    """Projection of shape (dim, dim) that takes the top directions out."""
    k, dim = int(step.values["k"]), len(vectors)
    if k > min(rank, dim - 1):
        raise UsageError(f"{step}: {_varies(n, rank, dim)}; allowed: k up to {min(rank, dim - 1)}")
    top = vectors[:, :k]
    return np.asarray(np.eye(dim) - top @ top.T)


def _varies(n: int, rank: int, dim: int) -> str:
    return f"the {n} rows it is fitted on vary in {rank} of {dim} directions"
