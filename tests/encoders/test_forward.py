from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from anisotropy.collection import Document, Query
from anisotropy.encoders import Encoder, named_recipe, new_roberta, open_encoder
from anisotropy.errors import UsageError
from tests.encoders import building
from tests.encoders.building import TEXTS, slow_document, slow_forward, slow_query

State = dict[str, torch.Tensor]
LENGTHS = (2, 3, 9, 17)


def ids_of(length: int, seed: int = 0) -> list[int]:
    rng = np.random.default_rng(seed + length)
    return [0, *rng.integers(1, 400, length - 2).tolist(), 2]


TOKENS = [ids_of(length) for length in LENGTHS]
MAXP = {"chunk_length": 16, "max_document_length": 48}


def test_equals_the_formulas_written_out(upstream: Path, state: State) -> None:
    heads = [slow_forward(state, ids, max(LENGTHS)) for ids in TOKENS]
    for name, l2, symmetric in (
        ("ance", False, False),
        ("dance", True, False),
        ("dance-symmetric", True, True),
    ):
        encoder = open_encoder(upstream, recipe=name)
        queries = encoder.encode_tokens("queries", TOKENS)[0]
        documents = encoder.encode_tokens("documents", TOKENS)[0]
        assert queries.dtype == documents.dtype == np.float32
        np.testing.assert_allclose(queries, [slow_query(state, h, l2) for h in heads], atol=2e-5)
        expected = [slow_document(state, h, l2, symmetric) for h in heads]
        np.testing.assert_allclose(documents, expected, atol=2e-5)


def test_padding_does_not_reach_the_vectors(upstream: Path, state: State) -> None:
    encoder = open_encoder(upstream, recipe="ance")
    together = encoder.encode_tokens("queries", TOKENS)[0]
    alone = np.concatenate([encoder.encode_tokens("queries", [ids])[0] for ids in TOKENS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    full = np.stack([slow_query(state, slow_forward(state, ids, 64), False) for ids in TOKENS])
    np.testing.assert_allclose(together, full, atol=2e-5)
    model = torch_model(encoder)
    padded = torch.zeros(len(TOKENS), 512, dtype=torch.long)
    for row, ids in enumerate(TOKENS):
        padded[row, : len(ids)] = torch.tensor(ids)
    with torch.inference_mode():
        wide = model.query(model(padded, torch.tensor(LENGTHS)), encoder.recipe).numpy()
    np.testing.assert_allclose(together, wide, atol=1e-5)


def torch_model(encoder: Encoder) -> building.Any:
    encoder.load()
    return encoder._model  # type: ignore[attr-defined]


def test_a_mask_is_as_good_as_lengths(upstream: Path) -> None:
    model = torch_model(open_encoder(upstream, recipe="ance"))
    ids = torch.tensor([[0, 5, 6, 2], [0, 7, 2, 0]])
    with torch.inference_mode():
        by_length = model(ids, torch.tensor([4, 3]))
        by_mask = model(ids, torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]))
    assert torch.equal(by_length, by_mask)


def test_two_readings_come_from_one_forward_pass(upstream: Path) -> None:
    doubtful = open_encoder(upstream)
    assert [reading.name for reading in doubtful.readings] == ["ance", "dance"]
    model, calls = torch_model(doubtful), []
    model.roberta.embeddings.LayerNorm.register_forward_hook(lambda *_: calls.append(1))
    for side in ("queries", "documents"):
        both = doubtful.encode_tokens(side, TOKENS)
        for vectors, name in zip(both, ("ance", "dance"), strict=True):
            settled = open_encoder(upstream, recipe=name)
            np.testing.assert_allclose(vectors, settled.encode_tokens(side, TOKENS)[0], atol=1e-6)
    assert len(calls) == 2


def test_maxp_embeds_every_chunk(upstream: Path, state: State) -> None:
    tokens = [ids_of(48), ids_of(40), ids_of(16), ids_of(17), ids_of(2)]
    for name in ("ance", "dance"):
        encoder = open_encoder(upstream, recipe=name, overrides=MAXP)
        assert encoder.vectors_per_document() == 3
        vectors = encoder.encode_tokens("documents", tokens)[0]
        pieces = [ids[c * 16 : (c + 1) * 16] for ids in tokens for c in range(3)]
        heads = [slow_forward(state, piece, 16) for piece in pieces]
        expected = [slow_document(state, head, name == "dance") for head in heads]
        padding = np.array([not piece for piece in pieces])
        np.testing.assert_allclose(vectors[~padding], np.array(expected)[~padding], atol=2e-5)
        # beside -10000, float32 keeps scores to thousandths; the formulas here are in float64
        np.testing.assert_allclose(vectors[padding], np.array(expected)[padding], atol=2e-3)
        assert encoder.padding_chunks(tokens).tolist() == padding.tolist()
        assert len(np.unique(vectors[padding], axis=0)) == 1
        assert encoder.encode_tokens("queries", tokens)[0].shape == (5, building.DIM)


def test_the_padding_id_reaches_padding_chunks_only(upstream: Path, state: State) -> None:
    tokens = [ids_of(20), ids_of(5)]
    zero = open_encoder(upstream, recipe="ance", overrides=MAXP)
    one = open_encoder(upstream, recipe="ance", overrides={**MAXP, "pad_token_id": 1})
    a, b = (e.encode_tokens("documents", tokens)[0] for e in (zero, one))
    padding = zero.padding_chunks(tokens)
    np.testing.assert_allclose(a[~padding], b[~padding], atol=1e-6)
    assert np.abs(a[padding] - b[padding]).min(axis=0).max() > 0.1
    expected = slow_document(state, slow_forward(state, [], 16, pad=1), False)
    np.testing.assert_allclose(b[padding][0], expected, atol=2e-3)


def test_positions_do_not_skip_a_literal_pad(upstream: Path, state: State) -> None:
    ids = [0, 5, 1, 1, 7, 2]
    vector = open_encoder(upstream, recipe="ance").encode_tokens("queries", [ids])[0][0]
    np.testing.assert_allclose(
        vector, slow_query(state, slow_forward(state, ids, 6), False), atol=2e-5
    )
    modern = open_encoder(upstream, recipe="ance", overrides={"positions": "model"})
    assert np.abs(modern.encode_tokens("queries", [ids])[0][0] - vector).max() > 0.05


def test_the_other_parts_arrive(upstream: Path) -> None:
    plain = open_encoder(upstream, recipe="ance").encode_tokens("queries", TOKENS)[0]
    model_mask = open_encoder(upstream, recipe="ance", overrides={"mask": "model"})
    np.testing.assert_allclose(model_mask.encode_tokens("queries", TOKENS)[0], plain, atol=1e-5)
    mean = open_encoder(upstream, recipe="ance", overrides={"pooling": "mean"})
    assert np.abs(mean.encode_tokens("queries", TOKENS)[0] - plain).max() > 0.1
    headless = open_encoder(upstream, recipe="ance", overrides={"head": "none"})
    assert headless.dim == building.HIDDEN
    assert headless.encode_tokens("queries", TOKENS)[0].shape == (4, building.HIDDEN)
    with pytest.raises(UsageError, match="pooling of an upstream model"):
        open_encoder(upstream, recipe="ance", overrides={"pooling": "max"}).encode_tokens(
            "queries", TOKENS
        )


def test_mean_pooling_ignores_padding(upstream: Path) -> None:
    encoder = open_encoder(upstream, recipe="ance", overrides={"pooling": "mean"})
    together = encoder.encode_tokens("queries", TOKENS)[0]
    alone = np.concatenate([encoder.encode_tokens("queries", [ids])[0] for ids in TOKENS])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_bfloat16_is_close_and_comes_back_as_float32(upstream: Path) -> None:
    exact = open_encoder(upstream, recipe="dance").encode_tokens("queries", TOKENS)[0]
    rough = open_encoder(upstream, recipe="dance", dtype="bfloat16")
    assert rough.recipe.dtype == "bfloat16"
    vectors = rough.encode_tokens("queries", TOKENS)[0]
    assert vectors.dtype == np.float32
    assert (vectors * exact).sum(axis=1).min() > 0.99
    assert not np.array_equal(vectors, exact)


def test_no_items(upstream: Path) -> None:
    for overrides in ({}, MAXP):
        encoder = open_encoder(upstream, recipe="ance", overrides=overrides)
        assert encoder.tokenize("queries", []) == []
        assert encoder.encode_tokens("documents", [])[0].shape == (0, building.DIM)
        assert encoder.padding_chunks([]).shape == (0,)


def test_texts_to_vectors(upstream: Path) -> None:
    encoder = open_encoder(upstream, recipe="ance", overrides={"max_query_length": 5})
    tokens = encoder.tokenize("queries", [Query(str(i), t) for i, t in enumerate(TEXTS)])
    assert {len(ids) for ids in tokens} == {5}
    documents = [Document("1", "Pear", "Fig"), Document("2", "")]
    ids = encoder.tokenize("documents", documents)
    assert ids == encoder.tokenizer.encode(["fig<sep>pear", ""], 512)  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="did you mean 'queries'"):
        encoder.tokenize("querys", [])  # type: ignore[arg-type]


def test_ids_and_lengths_outside_the_weights(upstream: Path) -> None:
    encoder = open_encoder(upstream, recipe="ance")
    with pytest.raises(UsageError, match=r"allowed 0\.\.399"):
        encoder.encode_tokens("queries", [[0, 400, 2]])
    with pytest.raises(UsageError, match="at most 512"):
        encoder.encode_tokens("queries", [[0] * 513])


def test_new_roberta_is_seeded_and_leaves_global_states_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, same, other = (
        new_roberta(50, hidden_size=16, heads=2, intermediate_size=8, positions=20, seed=seed)
        for seed in (1, 1, 2)
    )
    assert torch.equal(torch.rand(1), expected)
    assert first.training
    assert torch.equal(first.embeddingHead.weight, torch.eye(16))
    words = "roberta.embeddings.word_embeddings.weight"
    assert torch.equal(first.state_dict()[words], same.state_dict()[words])
    assert not torch.equal(first.state_dict()[words], other.state_dict()[words])
    assert first.max_tokens == 18
    with pytest.raises(UsageError, match="head"):
        new_roberta(50, head="zero")


def test_gradients_as_upstream() -> None:
    """Row 1 of the word embeddings gets none; row 0, position rows and the head do."""
    model = new_roberta(
        50, hidden_size=16, heads=2, intermediate_size=8, positions=20, dropout=0.0
    )
    ids = torch.tensor([[0, 5, 6, 2], [0, 7, 1, 0]])
    head = model(ids, torch.tensor([4, 3]))
    (model.query(head, named_recipe("ance")) ** 3).sum().backward()
    words = model.roberta.embeddings.word_embeddings.weight.grad.abs().sum(dim=1)
    assert words[1] == 0
    assert words[0] > 0
    assert words[5] > 0
    places = model.roberta.embeddings.position_embeddings.weight.grad.abs().sum(dim=1)
    assert (places[2:6] > 0).all()
    assert model.embeddingHead.weight.grad.abs().sum() > 0


def test_an_unknown_device_is_one_line(upstream: Path) -> None:
    with pytest.raises(UsageError, match="device: got 'gpu'") as caught:
        open_encoder(upstream, device="gpu").load()
    assert "\n" not in str(caught.value)
