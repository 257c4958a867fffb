"""An encoder from scratch: tokenizer, sizes, seed; and what cannot be trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from anisotropy.collection import Collection, open_collection
from anisotropy.encoders import UpstreamModel, named_recipe, new_roberta, save_checkpoint
from anisotropy.errors import CheckpointError, CollectionError, UsageError
from anisotropy.training import EncoderSizes, new_encoder, open_trainable
from anisotropy.training.encoder import train_tokenizer
from anisotropy.training.forward import set_dropout

SIZES = EncoderSizes(vocabulary=330, hidden=16, layers=1, intermediate=16)


def test_the_tokenizer_lowers_strips_and_takes_any_text() -> None:
    tokenizer = train_tokenizer(["Low lower lowest"] * 3, 300)
    assert [tokenizer.vocabulary[s] for s in ("<s>", "<pad>", "</s>", "<unk>", "<mask>")] == [
        *range(5)
    ]
    assert tokenizer.size <= 300
    assert tokenizer.encode(["LOW"], 9) == tokenizer.encode([" low "], 9)
    assert len(tokenizer.encode(["low"], 9)[0]) == 3
    assert tokenizer.vocabulary["<unk>"] not in tokenizer.encode(["ß 漢字 \x00"], 30)[0]


def test_the_vocabulary_comes_from_the_training_split_alone(made_up: Collection) -> None:
    tokenizer = new_encoder(made_up, SIZES).tokenizer
    split = made_up.training_split
    judged = [d for grades in made_up.qrels(split).values() for d in grades]
    texts = [query.text for query in made_up.queries(split)]
    texts += [document.text for document in made_up.texts(judged).values()]
    assert tokenizer.vocabulary == train_tokenizer(texts, 330).vocabulary


def test_the_seed_decides_the_weights(made_up: Collection) -> None:
    def weights(seed: int) -> torch.Tensor:
        return new_encoder(
            made_up, SIZES, seed=seed
        ).model.roberta.embeddings.word_embeddings.weight

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))
    assert float(weights(1).detach().std()) == pytest.approx(SIZES.spread, rel=0.05)


def test_sizes_arrive(made_up: Collection) -> None:
    sizes = EncoderSizes(
        vocabulary=310, hidden=24, layers=3, heads=4, intermediate=20, max_query_length=7,
        max_document_length=9, spread=0.3,
    )  # fmt: skip
    made = new_encoder(made_up, sizes)
    config = made.model.config
    assert made.tokenizer.size == config["vocab_size"] == 310
    assert (config["hidden_size"], config["num_hidden_layers"]) == (24, 3)
    assert (config["num_attention_heads"], config["intermediate_size"]) == (4, 20)
    assert (config["max_position_embeddings"], config["initializer_range"]) == (11, 0.3)
    assert (made.recipe.max_query_length, made.recipe.max_document_length) == (7, 9)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"vocabulary": 10}, "vocabulary: got 10; allowed: 300 or more"),
        ({"layers": 0}, "layers: got 0; allowed: 1 or more"),
        ({"hidden": 15}, "hidden: got 15; allowed: a multiple of heads, 2"),
        ({"spread": 0.0}, "spread: got 0.0; allowed"),
    ],
)
def test_bad_sizes(values: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        EncoderSizes(**values)


def test_a_collection_without_training_split(made_up: Collection, tmp_path: Path) -> None:
    from tests.training.conftest import write_collection

    folder = write_collection(tmp_path / "words")
    with pytest.raises(CollectionError, match=r"no training split; got .*; needed: train"):
        new_encoder(open_collection(folder, split="train"), SIZES)


def test_a_maxp_checkpoint_cannot_be_trained_here(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(["a few words"] * 2, 300)
    model: UpstreamModel = new_roberta(tokenizer.size, hidden_size=8, intermediate_size=8)
    save_checkpoint(tmp_path / "x", model, recipe=named_recipe("ance-maxp"), tokenizer=tokenizer)
    with pytest.raises(CheckpointError, match="chunk_length: got 512; allowed to train: 0"):
        open_trainable(tmp_path / "x")


def test_encoding_is_without_dropout_and_restores_the_mode(made_up: Collection) -> None:
    trainable = new_encoder(made_up, EncoderSizes(vocabulary=300, hidden=16, intermediate=16))
    set_dropout(trainable.network, 0.5)
    trainable.network.train()
    tokens = [[0, 7, 9, 2], [0, 8, 2]]
    first, second = (trainable.encode("queries", tokens) for _ in "ab")
    np.testing.assert_array_equal(first, second)
    assert trainable.network.training
    noisy = trainable.vectors("queries", tokens, 2)
    assert not np.allclose(noisy.detach().numpy(), first)
