"""Losses against literal twins, finite differences and the original implementation."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from anisotropy.training import losses
from anisotropy.training.losses import Objective

Vectors = dict[str, Tensor]


def unit_vectors(rows: int = 5, dim: int = 4, seed: int = 0) -> Vectors:
    generator = torch.Generator().manual_seed(seed)
    names = ("q", "a", "b", "n")
    drawn = {name: torch.randn(rows, dim, generator=generator).double() for name in names}
    return {name: x / x.norm(dim=-1, keepdim=True) for name, x in drawn.items()}


def dot(x: Tensor, y: Tensor) -> float:
    return sum(float(u) * float(v) for u, v in zip(x, y, strict=True))


def twin_two_logit(x: Tensor, p: Tensor, m: Tensor, temperature: float) -> float:
    total = 0.0
    for row in range(len(x)):
        good = math.exp(dot(x[row], p[row]) / temperature)
        bad = math.exp(dot(x[row], m[row]) / temperature)
        total -= math.log(good / (good + bad))
    return total / len(x)


def twin_in_batch(
    q: Tensor, c: Tensor, temperature: float, left_out: set[tuple[int, int]]
) -> float:
    total = 0.0
    for row in range(len(q)):
        columns = [k for k in range(len(c)) if (row, k) not in left_out]
        terms = {k: math.exp(dot(q[row], c[k]) / temperature) for k in columns}
        total -= math.log(terms[row] / sum(terms.values()))
    return total / len(q)


@pytest.mark.parametrize("temperature", [1.0, 0.05])
def test_two_logit_is_the_softmax_over_two(temperature: float) -> None:
    v = unit_vectors()
    expected = twin_two_logit(v["q"], v["a"], v["b"], temperature)
    assert float(losses.cosine(v["q"], v["a"], v["b"], temperature)) == pytest.approx(expected)
    swapped = twin_two_logit(v["a"], v["q"], v["n"], temperature)
    assert float(losses.dual(v["q"], v["a"], v["n"], temperature)) == pytest.approx(swapped)


def test_equal_scores_cost_log_two() -> None:
    v = unit_vectors()
    assert float(losses.dot_product(v["q"], v["a"], v["a"])) == pytest.approx(math.log(2))


def test_a_hopeless_pair_costs_its_margin_and_stays_finite() -> None:
    q, a = torch.full((1, 2), 100.0), torch.full((1, 2), -100.0)
    assert float(losses.dot_product(q, a, q)) == pytest.approx(40_000.0)
    assert float(losses.dot_product(q, q, a)) == 0.0


def test_in_batch_is_the_softmax_over_the_batch() -> None:
    v = unit_vectors()
    left_out = {(0, 2), (3, 6)}
    candidates = torch.cat([v["a"], v["b"]])
    ignore = torch.zeros(5, 10, dtype=torch.bool)
    for row, column in left_out:
        ignore[row, column] = True
    found = losses.in_batch(v["q"], v["a"], v["b"], 0.1, ignore)
    assert float(found) == pytest.approx(twin_in_batch(v["q"], candidates, 0.1, left_out))
    same = torch.ones(6, 3)
    assert float(losses.in_batch(same, same)) == pytest.approx(math.log(6))


def several(seed: int = 5) -> tuple[Tensor, Tensor]:
    """Three negatives a row, documents and queries, shape (5, 3, 4)."""
    v = unit_vectors(rows=15, seed=seed)
    return v["b"].view(5, 3, 4), v["n"].view(5, 3, 4)


def test_multi_negative_is_the_softmax_over_the_row() -> None:
    v, (b, n) = unit_vectors(), several()
    for anchors, positives, negatives in ((v["q"], v["a"], b), (v["a"], v["q"], n)):
        total = 0.0
        for row in range(5):
            good = math.exp(dot(anchors[row], positives[row]) / 0.1)
            bad = [math.exp(dot(anchors[row], x) / 0.1) for x in negatives[row]]
            total -= math.log(good / (good + sum(bad)))
        found = losses.multi_negative(anchors, positives, negatives, 0.1)
        assert float(found) == pytest.approx(total / 5)
    one = losses.multi_negative(v["q"], v["a"], v["b"][:, None], 0.1)
    assert float(one) == pytest.approx(float(losses.two_logit(v["q"], v["a"], v["b"], 0.1)))
    same = torch.ones(6, 3)
    assert float(losses.multi_negative(same, same, torch.ones(6, 4, 3))) == pytest.approx(
        math.log(5)
    )


def test_objectives_of_several_negatives() -> None:
    v, (b, n) = unit_vectors(), several()
    multi = Objective("multi_negative", 0.1, prime_weight=0.7, dual_weight=0.3)
    hard = Objective("in_batch", 0.1, prime_weight=0.7, dual_weight=0.3, hard_negatives=True)
    assert multi.wants_negatives
    assert multi.wants_negative_queries
    assert hard.wants_negatives
    assert hard.wants_negative_queries
    assert not Objective("in_batch", dual_weight=1.0).wants_negatives
    first, second = (
        losses.multi_negative(v["q"], v["a"], b, 0.1),
        losses.multi_negative(v["a"], v["q"], n, 0.1),
    )
    assert float(multi(v["q"], v["a"], b, n).total) == pytest.approx(
        0.7 * float(first) + 0.3 * float(second)
    )
    flat = b.reshape(15, 4), n.reshape(15, 4)
    left_out, turned = {(0, 7), (2, 1)}, {(1, 2), (4, 9)}
    masks = [torch.zeros(5, 20, dtype=torch.bool) for _ in "ab"]
    for mask, places in zip(masks, (left_out, turned), strict=True):
        for place in places:
            mask[place] = True
    found = hard(v["q"], v["a"], *flat, *masks)
    first_twin = twin_in_batch(v["q"], torch.cat([v["a"], flat[0]]), 0.1, left_out)
    second_twin = twin_in_batch(v["a"], torch.cat([v["q"], flat[1]]), 0.1, turned)
    assert float(found.total) == pytest.approx(0.7 * first_twin + 0.3 * second_twin)
    inputs = [x.requires_grad_() for x in (v["q"], v["a"], b.clone(), n.clone())]
    assert torch.autograd.gradcheck(lambda *x: multi(*x).total, inputs)


def test_regularizers() -> None:
    v = unit_vectors()
    gaps = [2 - 2 * dot(q, a) for q, a in zip(v["q"], v["a"], strict=True)]
    assert float(losses.alignment(v["q"], v["a"])) == pytest.approx(np.mean(gaps))
    pairs = [(i, j) for i in range(5) for j in range(i)]
    terms = [math.exp(-5 * (2 - 2 * dot(v["q"][i], v["q"][j]))) for i, j in pairs]
    assert float(losses.uniformity(v["q"])) == pytest.approx(math.log(np.mean(terms)))
    assert math.isnan(float(losses.uniformity(v["q"][:1])))


OBJECTIVES = [
    Objective(),
    Objective("dot_product", dual_weight=0.1, prime_weight=0.7),
    Objective("dot_product", dual_weight=0.1, alignment_weight=0.5, uniformity_weight=0.25),
    Objective("cosine", 0.1, dual_weight=0.1),
    Objective("in_batch", 0.1),
    Objective("in_batch", 0.1, dual_weight=1.0, uniformity_weight=0.1, uniformity_t=2.0),
]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_totals_and_gradients(objective: Objective) -> None:
    v = {name: x.requires_grad_() for name, x in unit_vectors().items()}

    def total(q: Tensor, a: Tensor, b: Tensor, n: Tensor) -> Tensor:
        mined = objective.form != "in_batch"
        return objective(q, a, b if mined else None, n if mined else None).total

    assert torch.autograd.gradcheck(total, (v["q"], v["a"], v["b"], v["n"]))
    assert total(*v.values()).item() == pytest.approx(twin_total(objective, unit_vectors()))


def twin_total(objective: Objective, v: Vectors) -> float:
    t = objective.temperature
    if objective.form == "in_batch":
        first, second = (
            twin_in_batch(v["q"], v["a"], t, set()),
            twin_in_batch(v["a"], v["q"], t, set()),
        )
    else:
        first = twin_two_logit(v["q"], v["a"], v["b"], t)
        second = twin_two_logit(v["a"], v["q"], v["n"], t)
    total = first
    if objective.dual_weight:
        total = objective.prime_weight * first + objective.dual_weight * second
    align = float(losses.alignment(v["q"], v["a"]))
    even = sum(float(losses.uniformity(v[s], objective.uniformity_t)) for s in ("q", "a"))
    return total + objective.alignment_weight * align + objective.uniformity_weight * even


def test_the_dual_in_batch_loss_ignores_the_transposed_pairs() -> None:
    v = unit_vectors()
    ignore = torch.zeros(5, 5, dtype=torch.bool)
    ignore[0, 3] = True
    found = Objective("in_batch", 0.1, dual_weight=1.0)(v["q"], v["a"], ignore=ignore)
    assert found.dual is not None
    assert float(found.retrieval) == pytest.approx(twin_in_batch(v["q"], v["a"], 0.1, {(0, 3)}))
    assert float(found.dual) == pytest.approx(twin_in_batch(v["a"], v["q"], 0.1, {(3, 0)}))


def objective_from(name: str, arguments: dict[str, float]) -> Objective:
    return Objective(
        "cosine" if "simclr" in name else "dot_product",
        temperature=arguments.get("temperature", 1.0),
        dual_weight=arguments.get("dual_loss_weight", 0.0),
        alignment_weight=arguments.get("alignment_weight", 0.0),
        uniformity_weight=arguments.get("uniformity_weight", 0.0),
    )


def relative_limit(temperature: float) -> float:
    """Float32 scores divided by 0.01 leave a relative error of 2e-5 at most, else 1e-6."""
    return 2e-5 if temperature < 1 else 1e-6


@pytest.mark.oracle
def test_original_losses_on_vectors(oracle: Path) -> None:
    recorded = json.loads((oracle / "model" / "loss_on_vectors.json").read_text())["losses"]
    arrays = np.load(oracle / "model" / "loss_on_vectors.npz")
    checked = 0
    for key, record in recorded.items():
        if key.startswith(("dpr/", "maxp/")):
            continue
        group, name = key.split("/")
        objective = objective_from(name, record["kwargs"])
        v = {
            s: torch.tensor(arrays[f"vec/{group}/{s}"], requires_grad=True)
            for s in ("q", "a", "b", "nq")
        }
        terms = objective(*v.values())
        limit = relative_limit(objective.temperature)
        assert terms.total.item() == pytest.approx(record["total"], rel=limit, abs=1e-6), key
        for part, attribute in {"loss": "retrieval", "loss_dual": "dual"}.items():
            if part in record["scalar_dict"]:
                value = getattr(terms, attribute).item()
                assert value == pytest.approx(record["scalar_dict"][part], rel=limit, abs=1e-6)
        terms.total.backward()
        for s, x in v.items():
            if f"grad/{key}/{s}" in arrays:
                expected = arrays[f"grad/{key}/{s}"]
                worst = np.abs(x.grad.numpy() - expected).max()
                assert worst <= max(1e-6, limit * np.abs(expected).max()), (key, s)
                checked += 1
    assert checked == 48


DPR_CASES = {"l2=False,dual=0.0": (1.0, 0.0), "l2=False,dual=0.1": (1.0, 0.1)}
DPR_CASES |= {"l2=True,dual=0.0": (0.01, 0.0), "l2=True,dual=0.1": (0.01, 0.1)}


@pytest.mark.oracle
def test_original_dpr_losses(oracle: Path) -> None:
    recorded = json.loads((oracle / "model" / "loss_on_vectors.json").read_text())["losses"]
    arrays = np.load(oracle / "model" / "loss_on_vectors.npz")
    for group in ("small", "close"):
        v = [torch.tensor(arrays[f"vec/{group}/{s}"]) for s in ("q", "a", "b", "nq")]
        for case, (temperature, weight) in DPR_CASES.items():
            total = Objective("cosine", temperature, dual_weight=weight)(*v).total
            expected = recorded[f"dpr/{group}/{case},T0.01"]["total"]
            # the original normalizes its scores once more here, hence two roundings at 0.01
            assert float(total) == pytest.approx(
                expected, rel=relative_limit(temperature), abs=1e-6
            )


@pytest.mark.oracle
def test_original_alignment_and_uniformity(oracle: Path) -> None:
    recorded = json.loads((oracle / "model" / "loss_on_vectors.json").read_text())["align_uniform"]
    arrays = np.load(oracle / "model" / "loss_on_vectors.npz")
    for n in (2, 3, 8):
        q, a = (torch.tensor(arrays[f"vec/unit/{s}"][:n]) for s in "qa")
        record = recorded[f"n={n}"]
        assert float(losses.alignment(q, a)) == pytest.approx(record["align_alpha2"], abs=1e-6)
        assert float(losses.uniformity(q)) == pytest.approx(record["unif_t5_q"], rel=1e-6)
        assert float(losses.uniformity(a)) == pytest.approx(record["unif_t5_a"], rel=1e-6)
        assert float(losses.uniformity(q, 2)) == pytest.approx(record["unif_t2_q"], rel=1e-6)


MODEL_CASES = {
    "dot_product": Objective(),
    "dot_product+alignunif": Objective(alignment_weight=0.5, uniformity_weight=0.25),
    "dot_product+dual0.1": Objective(dual_weight=0.1),
    "dot_product+dual0.1+alignunif(ignored)": Objective(dual_weight=0.1),
    "dot_product+dual0.1,temperature0.01(ignored)": Objective(temperature=0.01, dual_weight=0.1),
    "simclr_cosine,T0.01": Objective("cosine", 0.01),
    "simclr_cosine,T1": Objective("cosine", 1.0),
    "simclr_cosine,T0.01+alignunif": Objective(
        "cosine", 0.01, alignment_weight=0.5, uniformity_weight=0.25
    ),
    "simclr_cosine,T0.01+dual0.1": Objective("cosine", 0.01, dual_weight=0.1),
    "simclr_cosine,T0.01+dual0.1+alignunif": Objective(
        "cosine", 0.01, dual_weight=0.1, alignment_weight=0.5, uniformity_weight=0.25
    ),
    "simclr_cosine,T0.01,prime0.7+dual0.3": Objective(
        "cosine", 0.01, prime_weight=0.7, dual_weight=0.3
    ),
}


@pytest.mark.oracle
@pytest.mark.parametrize("l2", [False, True])
def test_original_losses_of_the_model(oracle: Path, l2: bool) -> None:
    recorded = json.loads((oracle / "model" / "losses_dance.json").read_text())
    arrays = np.load(oracle / "model" / "forward_outputs_dance.npz")
    names = ("query_emb", "pos_body_emb", "neg_body_emb", "neg_query_emb")
    v = [torch.tensor(arrays[name + ("_l2" if l2 else "")]) for name in names]
    for case, objective in MODEL_CASES.items():
        record = recorded[f"dance/rdot_nll/l2={l2}/{case}"]
        terms = objective(*v)
        limit = relative_limit(objective.scale)
        assert terms.total.item() == pytest.approx(record["total"], rel=limit, abs=1e-6), case
        if terms.alignment is not None:
            near = {k: x for k, x in record["scalar_dict"].items() if k.startswith("loss_align")}
            assert float(terms.alignment) == pytest.approx(*near.values(), rel=1e-6)
