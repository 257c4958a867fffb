"""The short forward pass equals the model's, gradients included, whatever the order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from anisotropy.encoders import Recipe, UpstreamModel, named_recipe, new_roberta
from anisotropy.training.forward import first_slot, padded, vectors


@pytest.fixture
def model() -> UpstreamModel:
    made = new_roberta(
        50, hidden_size=16, heads=2, intermediate_size=24, positions=20, dropout=0.0
    )
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.2)
    return made


def token_lists(lengths: list[int], seed: int = 0) -> list[list[int]]:
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 50, length).tolist() for length in lengths]


@pytest.mark.parametrize("lengths", [[5, 5, 5], [2, 9, 4, 18]])
def test_first_slot_is_the_model(model: UpstreamModel, lengths: list[int]) -> None:
    ids, counts = padded(token_lists(lengths), Recipe(), model)
    found = {}
    for name, forward in {"whole": model, "short": lambda *x: first_slot(model, *x)}.items():
        model.zero_grad()
        head = forward(ids, counts)
        head.sin().sum().backward()
        found[name] = [
            head.detach(),
            *(p.grad.clone() for p in model.parameters() if p.grad is not None),
        ]
    assert len(found["whole"]) == len(found["short"])
    for whole, short in zip(found["whole"], found["short"], strict=True):
        torch.testing.assert_close(short, whole, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["ance", "dance", "dance-symmetric"])
def test_vectors_keep_order_and_side(model: UpstreamModel, name: str) -> None:
    recipe = named_recipe(name)
    tokens = token_lists([9, 3, 17, 3, 6])
    for side, output in (("queries", model.query), ("documents", model.document)):
        whole = output(model(*padded(tokens, recipe, model)), recipe)
        torch.testing.assert_close(
            vectors(model, recipe, side, tokens, 2), whole, atol=1e-5, rtol=1e-5
        )
