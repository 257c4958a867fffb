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

FORMS = ("dot_product", "cosine", "multi_negative", "in_batch")


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


def multi_negative(
    anchors: Tensor, positives: Tensor, negatives: Tensor, temperature: float = 1.0
) -> Tensor:
    """Softmax over the positive and the anchor's own negatives.

    Parameters
    ----------
    anchors, positives
        Shape (B, dim).
    negatives
        Shape (B, m, dim): of each anchor, seen by no other.
    temperature
        Divides the scores; above 0.

    Returns
    -------
    Tensor of shape ()
        In [0, inf); log(1 + m) where all scores are equal. With one negative it is `two_logit`.

    Notes
    -----
    The form of DPR (Karpukhin et al., 2020, eq. 2) without the negatives of other rows. Its dual
    has documents as anchors and queries as negatives.
    """
    score = (anchors * positives).sum(-1, keepdim=True)
    others = (anchors[:, None] * negatives).sum(-1)
    scores = torch.cat([score, others], dim=1) / temperature
    return -scores.log_softmax(dim=1)[:, 0].mean()


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
        ``dot_product``, ``cosine`` (both two-logit), ``multi_negative`` or ``in_batch``.
    temperature
        Divides scores in all but ``dot_product``, which has none.
    hard_negatives
        Whether ``in_batch`` has mined negatives beside those of the batch.
    prime_weight, dual_weight
        Weights of L1 and L2. ``in_batch`` takes its L2 from the batch itself (the transpose), and
        from mined queries where it has hard negatives.
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
    hard_negatives: bool = False

    @property
    def scale(self) -> float:
        """Temperature in force."""
        return 1.0 if self.form == "dot_product" else self.temperature

    @property
    def wants_negatives(self) -> bool:
        """Whether rows bring mined negative documents."""
        return self.form != "in_batch" or self.hard_negatives

    @property
    def wants_negative_queries(self) -> bool:
        """Whether rows bring mined negative queries."""
        return self.dual_weight > 0 and self.wants_negatives

    def __call__(
        self,
        queries: Tensor,
        positives: Tensor,
        negatives: Tensor | None = None,
        negative_queries: Tensor | None = None,
        ignore: Tensor | None = None,
        dual_ignore: Tensor | None = None,
    ) -> LossTerms:
        """Compute the loss of a batch.

        Parameters
        ----------
        queries, positives
            Shape (B, dim).
        negatives
            Shape (B, dim): a negative document a row, for the two-logit forms; (B, m, dim) for
            ``multi_negative``; (M, dim) for ``in_batch`` with hard negatives.
        negative_queries
            The same of queries, for the dual loss.
        ignore
            Boolean, shape (B, B + M): candidates that are other positives (``in_batch`` only).
        dual_ignore
            Boolean, shape (B, B + M): queries that are others of the row's document; by default
            the transpose of `ignore`, where there are no negatives.

        Returns
        -------
        LossTerms
        """
        first = self._one_way(queries, positives, negatives, ignore)
        second = None
        if self.dual_weight:
            if dual_ignore is None and ignore is not None and negative_queries is None:
                dual_ignore = ignore.T
            second = self._one_way(positives, queries, negative_queries, dual_ignore)
        total = first if second is None else self.prime_weight * first + self.dual_weight * second
        if not (self.alignment_weight or self.uniformity_weight):
            return LossTerms(total, first, second)
        near = alignment(queries, positives)
        t = self.uniformity_t
        even = uniformity(queries, t) + uniformity(positives, t)
        total = total + self.alignment_weight * near + self.uniformity_weight * even
        return LossTerms(total, first, second, near, even)

    def _one_way(
        self, anchors: Tensor, positives: Tensor, negatives: Tensor | None, ignore: Tensor | None
    ) -> Tensor:
        """L1, or L2 with documents as anchors."""
        if self.form == "in_batch":
            return in_batch(anchors, positives, negatives, self.scale, ignore)
        assert negatives is not None, "two-logit losses need negatives a row"  # noqa: S101
        if self.form == "multi_negative":
            return multi_negative(anchors, positives, negatives, self.scale)
        return two_logit(anchors, positives, negatives, self.scale)
