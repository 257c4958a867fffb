"""Gradients added up, cached, in other forms and in bfloat16: the same as the plain way."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from anisotropy.collection import Collection
from anisotropy.training.batches import Batch
from anisotropy.training.forward import padded
from anisotropy.training.gradients import Task
from anisotropy.training.loop import fit
from tests.training.making import first_batch, gradients, make_task

FORMS: list[dict[str, Any]] = [
    {"form": "cosine", "dual_weight": 0.1, "dropout": 0.2},
    {"form": "multi_negative", "negatives": 3, "dual_weight": 0.5},
    {"form": "in_batch", "hard_negatives": 2, "dual_weight": 1.0, "dropout": 0.2},
    {"form": "in_batch", "uniformity_weight": 0.1, "alignment_weight": 0.1},
]


def replaced(task: Task, **values: Any) -> Task:
    return dataclasses.replace(task, config=task.config.replace(**values))


@pytest.mark.parametrize("values", FORMS, ids=str)
def test_cached_gradients_are_the_plain_ones(made_up: Collection, values: dict[str, Any]) -> None:
    task = make_task(made_up, micro_batch=3, **values)
    batch = first_batch(task)
    terms, plain = gradients(task, batch, share=0.5)
    cached_terms, cached = gradients(replaced(task, cache_gradients=True), batch, share=0.5)
    assert cached_terms.total.item() == pytest.approx(terms.total.item(), rel=1e-6)
    assert plain.keys() == cached.keys()
    assert max(float(g.abs().max()) for g in plain.values()) > 1e-4
    for name, expected in plain.items():
        torch.testing.assert_close(cached[name], expected, atol=1e-6, rtol=1e-5, msg=name)
    if values.get("dropout"):
        _, other = gradients(task, batch, unit=1)
        assert not torch.allclose(other["norm.weight"], 2 * plain["norm.weight"])


def test_streams_differ_in_pairs_negatives_and_dropout(made_up: Collection) -> None:
    task = make_task(made_up, form="cosine", dual_weight=0.1, dropout=0.2)
    other = replaced(task, stream=4)
    a, again, b = first_batch(task), first_batch(replaced(task)), first_batch(other)
    for name in ("queries", "negatives", "negative_queries"):
        np.testing.assert_array_equal(getattr(a, name), getattr(again, name))
        assert not np.array_equal(getattr(a, name), getattr(b, name))
    terms, _ = gradients(task, a)
    assert gradients(task, a)[0].total.item() == terms.total.item()
    assert gradients(other, a)[0].total.item() != terms.total.item()


def test_caching_keeps_no_graph_of_the_batch(
    made_up: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[tuple[int, bool]] = []

    def spied(self: Task, side: Any, tokens: Any) -> torch.Tensor:
        found = plain(self, side, tokens)
        sizes.append((len(tokens), found.requires_grad))
        return found

    plain = Task.vectors
    monkeypatch.setattr(Task, "vectors", spied)
    task = make_task(made_up, micro_batch=3, form="in_batch", cache_gradients=True)
    gradients(task, first_batch(task))
    assert (
        sizes == [(3, False), (3, False), (2, False)] * 2 + [(3, True), (3, True), (2, True)] * 2
    )


@pytest.mark.parametrize("values", FORMS[1:3], ids=str)
def test_the_loss_is_the_one_of_its_vectors(made_up: Collection, values: dict[str, Any]) -> None:
    """Literal twin: rows, candidates and left-out pairs one by one, vectors from the model."""
    task = make_task(made_up, **{**values, "dropout": 0.0})
    batch = first_batch(task)
    terms, _ = gradients(task, batch)
    q, a = task.data.train.tokens, task.data.documents
    assert batch.negatives is not None
    assert batch.negative_queries is not None

    def score(query: int, document: int) -> float:
        return float(vector(task, "queries", q[query]) @ vector(task, "documents", a[document]))

    first = [
        softmax_loss(score(x, p), [score(x, d) for d in candidates(task, batch, row)])
        for row, (x, p) in enumerate(zip(batch.queries, batch.positives, strict=True))
    ]
    second = [
        softmax_loss(score(x, p), [score(n, p) for n in other_queries(task, batch, row)])
        for row, (x, p) in enumerate(zip(batch.queries, batch.positives, strict=True))
    ]
    assert terms.retrieval.item() == pytest.approx(np.mean(first), rel=1e-5)
    assert terms.dual is not None
    assert terms.dual.item() == pytest.approx(np.mean(second), rel=1e-5)


def vector(task: Task, side: str, tokens: list[int]) -> np.ndarray:
    model, recipe = task.trainable.model, task.trainable.recipe
    with torch.no_grad():
        head = model(*padded([tokens], recipe, model))
        found = model.query(head, recipe) if side == "queries" else model.document(head, recipe)
    return found[0].double().numpy()


def candidates(task: Task, batch: Batch, row: int) -> list[int]:
    if task.config.form == "multi_negative":
        return batch.negatives[row].tolist()
    others = [d for k, d in enumerate(batch.positives) if k != row] + [*batch.negatives.ravel()]
    return [d for d in others if d not in task.data.train.positives[batch.queries[row]]]


def other_queries(task: Task, batch: Batch, row: int) -> list[int]:
    if task.config.form == "multi_negative":
        return batch.negative_queries[row].tolist()
    others = [q for k, q in enumerate(batch.queries) if k != row]
    others += [*batch.negative_queries.ravel()]
    return [q for q in others if batch.positives[row] not in task.data.train.positives[q]]


def softmax_loss(good: float, bad: list[float], temperature: float = 0.1) -> float:
    terms = np.exp(np.array([good, *bad]) / temperature)
    return float(-np.log(terms[0] / terms.sum()))


def test_hard_negatives_are_as_many_as_asked_for(made_up: Collection) -> None:
    batch = first_batch(make_task(made_up, form="in_batch", hard_negatives=2, dual_weight=1.0))
    assert batch.negatives is not None
    assert batch.negative_queries is not None
    assert batch.negatives.shape == batch.negative_queries.shape == (8, 2)
    plain = first_batch(make_task(made_up, form="in_batch"))
    assert plain.negatives is None


def test_accumulation_is_the_mean_of_the_losses(made_up: Collection) -> None:
    """Four losses of 4 pairs are one of 16, where rows do not see each other."""
    together = {"form": "cosine", "batch_size": 16, "steps": 3}
    apart = {**together, "batch_size": 4, "accumulation": 4}
    history = []
    for values in (together, apart):
        task = make_task(made_up, **values)
        pairs = task.data.pairs

        def batches(unit: int, size: int = values["batch_size"], pairs: Any = pairs) -> Batch:
            q, a = pairs[np.arange(unit * size, (unit + 1) * size) % len(pairs)].T
            return Batch(q, a, (a[:, None] + 7) % 90)

        history.append(fit(task.trainable, task.data, task.config, batches=batches).history)
    for one, other in zip(*history, strict=True):
        assert one.keys() == other.keys()
        for key in ("loss", "gradient_norm"):
            if key in one:
                assert other[key] == pytest.approx(one[key], rel=1e-4)


def test_a_step_sees_batch_size_times_accumulation_pairs(made_up: Collection) -> None:
    task, units = make_task(made_up, form="in_batch", steps=2, accumulation=3), []

    def batches(unit: int) -> Batch:
        units.append(unit)
        return Batch(*task.data.pairs[unit * 8 : unit * 8 + 8].T)

    fit(task.trainable, task.data, task.config, batches=batches)
    assert units == [0, 1, 2, 3, 4, 5]


def test_bfloat16_is_close_and_leaves_float32(made_up: Collection) -> None:
    values = {"form": "cosine", "dual_weight": 0.1}
    task, half = make_task(made_up, **values), make_task(made_up, **values, dtype="bfloat16")
    batch = first_batch(task)
    (exact, plain), (rough, found) = gradients(task, batch), gradients(half, batch)
    assert rough.total.dtype == torch.float32
    assert rough.total.item() != exact.total.item()
    assert rough.total.item() == pytest.approx(exact.total.item(), rel=0.05)
    assert {g.dtype for g in found.values()} == {torch.float32}
    a, b = (torch.cat([g.flatten() for g in grads.values()]) for grads in (plain, found))
    assert (
        float(torch.cosine_similarity(a, b, dim=0)) > 0.9
    )  # an untrained cone: differences of near vectors
    vectors = half.vectors("documents", half.data.documents[:5]).detach()
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(5), atol=1e-6, rtol=0)
