"""Checkpoints that other programs wrote of the same weights."""

from __future__ import annotations

import argparse
import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anisotropy.collection import Document, Query
from anisotropy.encoders import describe_checkpoint, open_encoder
from anisotropy.errors import CheckpointError
from tests.encoders import building

State = dict[str, torch.Tensor]
TOKENS = [[0, 9, 30, 41, 2], [0, 77, 2]]


def vectors(source: Path, **options: Any) -> np.ndarray:
    encoder = open_encoder(source, recipe="ance", **options)
    return encoder.encode_tokens("documents", TOKENS)[0]


@pytest.fixture(scope="module")
def expected(upstream: Path) -> np.ndarray:
    return vectors(upstream)


@pytest.fixture(scope="module")
def resaved(tmp_path_factory: pytest.TempPathFactory, upstream: Path) -> Path:
    """The folder opened and written again by the installed transformers."""
    from transformers import RobertaConfig, RobertaForSequenceClassification, RobertaTokenizer

    from anisotropy.encoders.modules import quiet

    class RobertaDot(RobertaForSequenceClassification):  # type: ignore[misc]
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.embeddingHead = torch.nn.Linear(config.hidden_size, building.DIM)
            self.norm = torch.nn.LayerNorm(building.DIM)
            self.post_init()

    folder = tmp_path_factory.mktemp("resaved") / "new"
    with quiet():
        config = RobertaConfig.from_pretrained(upstream)
        RobertaDot.from_pretrained(upstream, config=config).save_pretrained(folder)
        RobertaTokenizer.from_pretrained(upstream).save_pretrained(folder)
    return folder


def test_written_again_by_transformers(
    resaved: Path, upstream: Path, state: State, expected: np.ndarray
) -> None:
    encoder = open_encoder(resaved, recipe="ance")
    assert encoder.files.layout == "upstream"
    assert [path.name for path in encoder.files.tokenizer] == ["tokenizer.json"]
    np.testing.assert_allclose(vectors(resaved), expected, atol=1e-6)
    keys = describe_checkpoint(resaved)["keys"]
    assert set(keys["used"]) == {
        key for key in state if "pooler" not in key and "classifier" not in key
    }
    assert all(key.startswith("classifier.") for key in keys["unused"])
    assert not keys["missing"]
    assert not keys["unexpected"]
    original = open_encoder(upstream, recipe="ance")
    texts = [*building.TEXTS, "<mask> Foo </s> bar", "  x ", ""]
    queries = [Query(str(n), text) for n, text in enumerate(texts)]
    assert encoder.tokenize("queries", queries) == original.tokenize("queries", queries)
    documents = [Document(str(n), text, "Title", "url") for n, text in enumerate(texts)]
    assert encoder.tokenize("documents", documents) == original.tokenize("documents", documents)


def lightning(state: State, prefix: str) -> dict[str, Any]:
    """What a checkpoint of Lightning 2.6 holds, as its Trainer writes it."""
    return {
        "epoch": 1,
        "global_step": 4,
        "pytorch-lightning_version": "2.6.6",
        "state_dict": OrderedDict((prefix + key, tensor) for key, tensor in state.items()),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 2}}}},
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"kth_value": torch.tensor(torch.inf)}},
        "optimizer_states": [
            {
                "state": {0: {"step": torch.tensor(4.0), "exp_avg": torch.ones(3)}},
                "param_groups": [],
            }
        ],
        "lr_schedulers": [{"base_lrs": [0.001], "last_epoch": 2}],
        "hparams_name": "kwargs",
        "hyper_parameters": {"lr": 0.001, "args": argparse.Namespace(path=Path("x"), flag=True)},
    }


@pytest.mark.parametrize(
    "prefix", ["", "model.", "model.encoder.", "retriever.module._orig_mod.", "net.model."]
)
@pytest.mark.parametrize("legacy", [True, False])
def test_lightning(
    tmp_path: Path, upstream: Path, state: State, expected: np.ndarray, prefix: str, legacy: bool
) -> None:
    path = tmp_path / "last.ckpt"
    torch.save(lightning(state, prefix), path, _use_new_zipfile_serialization=not legacy)
    both = {"tokenizer": upstream, "backbone": upstream}
    assert np.array_equal(vectors(path, **both), expected)
    found = describe_checkpoint(path, **both)
    assert set(found["keys"]["used"] + found["keys"]["unused"]) == set(state)
    assert found["beside"][:3] == ["epoch 1", "global_step 4", "pytorch-lightning_version"]


def test_a_file_of_lightning_itself(upstream: Path, tmp_path: Path) -> None:
    """Written by Lightning 2.6.6, with the vectors of its model; see `make.lightning`."""
    files = Path(__file__).parent / "files"
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "intermediate_size": 8}
    config = {**building.CONFIG, **sizes, "max_position_embeddings": 18}
    (tmp_path / "config.json").write_text(json.dumps(config))
    options = {"tokenizer": upstream, "backbone": tmp_path / "config.json"}
    encoder = open_encoder(files / "lightning.ckpt", recipe="ance", **options)
    found = [encoder.encode_tokens("queries", [ids])[0] for ids in ([0, 9, 30, 41, 2], [0, 17, 2])]
    np.testing.assert_allclose(np.concatenate(found), np.load(files / "lightning.npy"), atol=1e-5)
    described = describe_checkpoint(files / "lightning.ckpt", recipe="ance", **options)
    assert described["problems"] == []
    assert "hyper_parameters" in described["beside"]


def test_what_is_ambiguous_is_refused(tmp_path: Path, upstream: Path, state: State) -> None:
    both = {"tokenizer": upstream, "backbone": upstream}
    two = {
        f"{name}.{key}": tensor for name in ("teacher", "student") for key, tensor in state.items()
    }
    more = {
        **{f"model.{key}": tensor for key, tensor in state.items()},
        "loss.scale": torch.ones(1),
    }
    for content, text in (
        (two, "2 encoders in it, under 'teacher', 'student'"),
        (more, r"unexpected tensors: loss\.scale"),
    ):
        torch.save({"state_dict": content}, tmp_path / "x.ckpt")
        with pytest.raises(CheckpointError, match=text) as caught:
            open_encoder(tmp_path / "x.ckpt", **both).load()
        assert "\n" not in str(caught.value)


def test_an_encoder_of_another_kind_is_accounted_for(tmp_path: Path, upstream: Path) -> None:
    other = {"bert.embeddings.word_embeddings.weight": torch.ones(9, 4), "pooler.x": torch.ones(2)}
    torch.save(other, tmp_path / "bert.bin")
    found = describe_checkpoint(tmp_path / "bert.bin")
    assert found["keys"]["unexpected"] == ["bert.embeddings.word_embeddings.weight"]
    assert found["keys"]["unused"] == ["pooler.x"]
    assert found["parameters"] == {"total": 38, "used": 0}
    assert any("unexpected tensors: bert." in problem for problem in found["problems"])
    both = {"tokenizer": upstream, "backbone": upstream}
    keys = describe_checkpoint(tmp_path / "bert.bin", **both)["keys"]
    assert "embeddingHead.weight" in keys["missing"]
