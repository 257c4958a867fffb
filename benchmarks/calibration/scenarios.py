"""Superpopulations: a fixed collection of documents, and queries with judged documents.

A scenario fixes the law of the rows. The documents of a *census* are drawn once; queries, how
many positives each has, and which, are drawn afresh in every replicate. The positives of a query
are drawn near it, so their distances are correlated within the query.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from anisotropy.spaces import EmbeddingSpace

Shape = Callable[[np.random.Generator, int, int], np.ndarray]
CLUSTERS = 12


@dataclass(frozen=True)
class Scenario:
    """A law of queries, documents and judgments.

    Attributes
    ----------
    name, shape
        What it is called, and the law of its rows.
    queries, documents, dim
        Numbers of rows, and their dimension.
    positives
        Smallest and largest number of positives a query.
    offset
        Distance between the center of the queries and that of the documents.
    pool
        Number of training queries from which negatives are mined; 0: the queries themselves.
    written
        Noise of queries that are written from a document, their only positive, as a share of
        the length; 0: queries are drawn by themselves and judged after.
    """

    name: str
    shape: Shape
    queries: int = 250
    documents: int = 500
    dim: int = 16
    positives: tuple[int, int] = (1, 3)
    offset: float = 0.0
    pool: int = 0
    written: float = 0.0

    def seed(self) -> int:
        """Seed of what is fixed in the scenario."""
        return 7919 + sum(ord(letter) for letter in self.name)

    def census(self) -> np.ndarray:
        """The fixed documents, shape (documents, dim)."""
        return self.rows(np.random.default_rng(self.seed()), self.documents)

    def rows(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Rows of the law, of lengths that differ by some 15%."""
        length = np.exp(0.15 * rng.standard_normal((n, 1)))
        return self.shape(rng, n, self.dim) * length

    def queries_of(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Rows of the law moved by the offset."""
        moved = self.rows(rng, n)
        moved[:, 1] += self.offset
        return moved


def isotropic(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    """Standard normal rows of length about 1."""
    return rng.standard_normal((n, dim)) / np.sqrt(dim)


def cone(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    """A spectrum that decays, and a common direction."""
    scale = np.arange(1, dim + 1) ** -0.5
    rows = rng.standard_normal((n, dim)) * scale / np.linalg.norm(scale)
    rows[:, 0] += 0.6
    return rows


def clustered(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    """Twelve clusters of unequal size around fixed centers."""
    fixed = np.random.default_rng(17)
    centers = fixed.standard_normal((CLUSTERS, dim)) / np.sqrt(dim)
    weight = 1 / np.arange(1, CLUSTERS + 1)
    owner = rng.choice(CLUSTERS, n, p=weight / weight.sum())
    return centers[owner] + 0.45 * rng.standard_normal((n, dim)) / np.sqrt(dim)


SCENARIOS = (
    Scenario("isotropic", isotropic, dim=16),
    Scenario("cone", cone, dim=32, offset=0.2),
    Scenario("clustered", clustered, dim=16, offset=0.2),
    Scenario("several", cone, dim=24, offset=0.3, positives=(1, 6), pool=300),
    Scenario("written", cone, dim=24, offset=0.2, positives=(1, 1), written=0.5),
)


def judge(
    rng: np.random.Generator, near: np.ndarray, items: np.ndarray, fewest: int, most: int
) -> list[np.ndarray]:
    """Judged items of each row: drawn without replacement, the nearer the likelier."""
    cosines = unit(near) @ unit(items).T
    drawn = 14 * cosines + rng.gumbel(size=cosines.shape)
    order = np.argsort(-drawn, axis=1)
    counts = rng.integers(fewest, most + 1, len(near))
    return [row[:count] for row, count in zip(order, counts, strict=True)]


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class Drawn:
    """Latent rows of both sides with their judgments; how they are encoded comes later."""

    queries: np.ndarray
    documents: np.ndarray
    qrels: dict[str, dict[str, int]]
    pool: Drawn | None = None

    def space(
        self,
        queries: np.ndarray | None = None,
        documents: np.ndarray | None = None,
        pool: np.ndarray | None = None,
    ) -> EmbeddingSpace:
        """The space of these rows, or of encodings of them."""
        d = self.documents if documents is None else documents
        training = None
        if self.pool is not None:
            rows = self.pool.queries if pool is None else pool
            training = EmbeddingSpace(rows, d, qrels=self.pool.qrels)
        rows = self.queries if queries is None else queries
        return EmbeddingSpace(rows, d, qrels=self.qrels, training=training)


def draw(scenario: Scenario, rng: np.random.Generator, what: str, n: int | None = None) -> Drawn:
    """One draw from the superpopulation.

    Parameters
    ----------
    scenario, rng
        The law, and the generator.
    what
        What is drawn afresh: ``queries`` of the fixed documents, ``documents`` for fixed
        queries, or ``both``.
    n
        Number of rows of what is drawn; default: that of the scenario.
    """
    if what == "documents":
        return _documents_drawn(scenario, rng, n)
    documents = scenario.census()
    if what == "both":
        documents = scenario.rows(rng, n or scenario.documents)
    found = _judged_queries(scenario, rng, n or scenario.queries, documents)
    if not scenario.pool:
        return found
    pool = _judged_queries(scenario, rng, n or scenario.pool, documents)
    return Drawn(found.queries, documents, found.qrels, pool)


def _judged_queries(
    scenario: Scenario, rng: np.random.Generator, n: int, documents: np.ndarray
) -> Drawn:
    if scenario.written:
        return _written(scenario, rng, n, documents)
    queries = scenario.queries_of(rng, n)
    judged = judge(rng, queries, documents, *scenario.positives)
    qrels = {str(q): {str(d): 1 for d in found} for q, found in enumerate(judged)}
    return Drawn(queries, documents, qrels)


def _written(scenario: Scenario, rng: np.random.Generator, n: int, documents: np.ndarray) -> Drawn:
    """Each query is written from a document drawn for it; two may come from the same."""
    source = rng.integers(0, len(documents), n)
    noise = rng.standard_normal((n, scenario.dim)) / np.sqrt(scenario.dim)
    queries = documents[source] + scenario.written * noise
    queries[:, 1] += scenario.offset
    return Drawn(queries, documents, {str(q): {str(d): 1} for q, d in enumerate(source)})


def _documents_drawn(scenario: Scenario, rng: np.random.Generator, n: int | None) -> Drawn:
    """Roles exchanged: each document draws the queries that it answers."""
    fixed = np.random.default_rng(scenario.seed())
    queries = scenario.queries_of(fixed, scenario.queries)
    documents = scenario.rows(rng, n or scenario.documents)
    qrels: dict[str, dict[str, int]] = {}
    for d, found in enumerate(judge(rng, documents, queries, *scenario.positives)):
        for q in found:
            qrels.setdefault(str(q), {})[str(d)] = 1
    return Drawn(queries, documents, qrels)
