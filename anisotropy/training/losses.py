"""Contrastive losses on vectors: pure functions of tensors, no model in sight.

Words: q query, a its positive document, b a negative document, n a negative query, s the inner
product, T the temperature. Every function takes the vectors as the model gives them: cosine
losses expect unit vectors and do not normalize (so does upstream's ``simclr_cosine``).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

FORMS = ("dot_product", "cosine", "in_batch")


@dataclass(frozen=True, eq=False)
class LossTerms:
    """One loss and what it is made of.

    Attributes
    ----------
    total
        What is minimized.
    retrieval
        Documents for queries (L1), unweighted.
    dual
        Queries for documents (L2), unweighted; None where it is off.
    alignment, uniformity
        Regularizers, unweighted; None where both weights are 0.
    """

    total: Tensor
    retrieval: Tensor
    dual: Tensor | None = None
    alignment: Tensor | None = None
    uniformity: Tensor | None = None


def two_logit(
    anchors: Tensor, positives: Tensor, negatives: Tensor, temperature: float = 1.0
) -> Tensor:
    """Probability that the positive, and not one negative, belongs to the anchor.

    The mean of -log softmax([s(x, p)/T, s(x, m)/T])[0], which is softplus of the difference.

    Parameters
    ----------
    anchors, positives, negatives
        Shape (B, dim), row i of each belongs together.
    temperature
        Divides the scores; above 0.

    Returns
    -------
    Tensor of shape ()
        In [0, inf); log 2 where the negative scores as the positive does.

    Notes
    -----
    The loss of ANCE (Xiong et al., 2021) with queries as anchors at temperature 1; of
    "normalization tuning" in DANCE (Li et al., 2021) on unit vectors at temperature 0.01. With one
    negative a row it is `in_batch` without the batch: it needs negatives that are hard already,
    and from random weights it collapses.
    """
    score = (anchors * positives).sum(-1)
    other = (anchors * negatives).sum(-1)
    return functional.softplus((other - score) / temperature).mean()


def dot_product(queries: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    """Two-logit loss of ANCE: `two_logit` on plain inner products.

    Parameters
    ----------
    queries, positives, negatives
        Shape (B, dim).

    Returns
    -------
    Tensor of shape ()
    """
    return two_logit(queries, positives, negatives)


def cosine(
    queries: Tensor, positives: Tensor, negatives: Tensor, temperature: float = 0.01
) -> Tensor:
    """Two-logit loss of DANCE: `two_logit` on vectors the model has normalized.

    Parameters
    ----------
    queries, positives, negatives
        Shape (B, dim), unit rows (not checked, not normalized here).
    temperature
        Divides the cosines.

    Returns
    -------
    Tensor of shape ()

    Notes
    -----
    Called ``simclr_cosine`` upstream, although no other row of the batch takes part. At
    temperature 0.01 float32 cosines leave a relative error of about 2e-5.
    """
    return two_logit(queries, positives, negatives, temperature)


def dual(
    queries: Tensor, positives: Tensor, negative_queries: Tensor, temperature: float = 1.0
) -> Tensor:
    """Query retrieval: the document as anchor, its query against a negative query.

    Parameters
    ----------
    queries, positives, negative_queries
        Shape (B, dim).
    temperature
        1 for plain inner products, the cosine loss's own temperature on unit vectors.

    Returns
    -------
    Tensor of shape ()
        L2 of DANCE, from [s(a, q), s(a, n)]; its weight in the total is 0.1 there.
    """
    return two_logit(positives, queries, negative_queries, temperature)


def in_batch(
    queries: Tensor,
    positives: Tensor,
    negatives: Tensor | None = None,
    temperature: float = 1.0,
    ignore: Tensor | None = None,
) -> Tensor:
    """Softmax over the positive, the positives of the other rows, and any further negatives.

    The form that can start from random weights: every row meets B - 1 random negatives.

    Parameters
    ----------
    queries, positives
        Shape (B, dim).
    negatives
        Shape (M, dim): further candidates of every query, such as mined ones.
    temperature
        Divides the scores.
    ignore
        Boolean, shape (B, B + M), True where a candidate is another positive of the query; the
        diagonal must be False.

    Returns
    -------
    Tensor of shape ()
        In [0, inf); log(B + M) where all scores are equal.

    Notes
    -----
    InfoNCE, the "multiple negatives ranking loss" of sentence-transformers and the in-batch form
    of DPR. With its transpose (rows and columns exchanged) it is the symmetric loss of CLIP.
    """
    candidates = positives if negatives is None else torch.cat([positives, negatives])
    scores = queries @ candidates.T / temperature
    if ignore is not None:
        scores = scores.masked_fill(ignore, -torch.inf)
    return functional.cross_entropy(scores, torch.arange(len(queries), device=scores.device))


def alignment(queries: Tensor, positives: Tensor) -> Tensor:
    """Mean squared distance of queries and their positives.

    Parameters
    ----------
    queries, positives
        Shape (B, dim); unit rows for the measure of Wang and Isola (2020), alpha 2.

    Returns
    -------
    Tensor of shape ()
        In [0, 4] on unit vectors.
    """
    return (queries - positives).square().sum(-1).mean()


def uniformity(vectors: Tensor, t: float = 5.0) -> Tensor:
    """Log of the mean Gaussian potential over the pairs of a batch.

    Parameters
    ----------
    vectors
        Shape (B, dim), B at least 2: one row has no pair and gives NaN.
    t
        DANCE uses 5, Wang and Isola (2020) 2.

    Returns
    -------
    Tensor of shape ()
        At most 0. On vectors that are not unit the potential underflows and it is minus infinity,
        upstream too.
    """
    return torch.pdist(vectors).square().mul(-t).exp().mean().log()


@dataclass(frozen=True)
class Objective:
    """Which losses are added up, and how.

    Attributes
    ----------
    form
        ``dot_product``, ``cosine`` (both two-logit) or ``in_batch``.
    temperature
        Divides scores in ``cosine`` and ``in_batch``; ``dot_product`` has none.
    prime_weight, dual_weight
        Weights of L1 and L2. ``in_batch`` takes its L2 from the batch itself (the transpose).
    alignment_weight, uniformity_weight, uniformity_t
        Regularizers. They are added whatever the form; upstream drops them without a word where
        ``dot_product`` is combined with the dual loss.

    Notes
    -----
    total = w1 L1 + w2 L2 + wa alignment(q, a) + wu (uniformity(q) + uniformity(a)); with a
    ``dual_weight`` of 0 the weight of L1 is 1, as upstream.
    """

    form: str = "dot_product"
    temperature: float = 1.0
    prime_weight: float = 1.0
    dual_weight: float = 0.0
    alignment_weight: float = 0.0
    uniformity_weight: float = 0.0
    uniformity_t: float = 5.0

    @property
    def scale(self) -> float:
        """Temperature in force."""
        return 1.0 if self.form == "dot_product" else self.temperature

    @property
    def wants_negatives(self) -> bool:
        """Whether rows bring mined negative documents."""
        return self.form != "in_batch"

    @property
    def wants_negative_queries(self) -> bool:
        """Whether rows bring mined negative queries."""
        return self.dual_weight > 0 and self.form != "in_batch"

    def __call__(
        self,
        queries: Tensor,
        positives: Tensor,
        negatives: Tensor | None = None,
        negative_queries: Tensor | None = None,
        ignore: Tensor | None = None,
    ) -> LossTerms:
        """Compute the loss of a batch.

        Parameters
        ----------
        queries, positives
            Shape (B, dim).
        negatives
            Shape (B, dim): a negative document a row (needed unless ``in_batch``).
        negative_queries
            Shape (B, dim): a negative query a row (needed for the dual two-logit loss).
        ignore
            Boolean, shape (B, B): other positives in the batch (``in_batch`` only).

        Returns
        -------
        LossTerms
        """
        first = self._retrieval(queries, positives, negatives, ignore)
        second = self._dual(queries, positives, negative_queries, ignore)
        total = first if second is None else self.prime_weight * first + self.dual_weight * second
        if not (self.alignment_weight or self.uniformity_weight):
            return LossTerms(total, first, second)
        near = alignment(queries, positives)
        t = self.uniformity_t
        even = uniformity(queries, t) + uniformity(positives, t)
        total = total + self.alignment_weight * near + self.uniformity_weight * even
        return LossTerms(total, first, second, near, even)

    def _retrieval(
        self, queries: Tensor, positives: Tensor, negatives: Tensor | None, ignore: Tensor | None
    ) -> Tensor:
        if self.form == "in_batch":
            return in_batch(queries, positives, negatives, self.scale, ignore)
        assert negatives is not None, "two-logit losses need a negative a row"  # noqa: S101
        return two_logit(queries, positives, negatives, self.scale)

    def _dual(
        self,
        queries: Tensor,
        positives: Tensor,
        negative_queries: Tensor | None,
        ignore: Tensor | None,
    ) -> Tensor | None:
        if not self.dual_weight:
            return None
        if self.form == "in_batch":
            turned = None if ignore is None else ignore.T
            return in_batch(positives, queries, None, self.scale, turned)
        assert negative_queries is not None, "the dual loss needs a negative query"  # noqa: S101
        return dual(queries, positives, negative_queries, self.scale)
