"""Every stage from a sentence-transformers model, and what the options of the start do."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from anisotropy.collection import Collection
from anisotropy.encoders import named_recipe, open_encoder
from anisotropy.errors import UsageError
from anisotropy.opening import EncoderOptions
from anisotropy.reproduction.reproducing import _step_zero
from anisotropy.training import Trainable, new_encoder, open_trainable, stage_configs, train
from anisotropy.training.encoder import EncoderSizes, ModulesTrainable
from anisotropy.training.forward import set_dropout
from anisotropy.training.stages import HEADS, headed
from tests.tiny_modules import build, write_plain
from tests.training.conftest import TRANSLATION
from tests.training.killing import digests
from tests.training.making import InLine, Killed, kill_before

QUICK: dict[str, Any] = {
    "steps": 3,
    "batch_size": 16,
    "warmup_steps": 1,
    "refresh_steps": 3,
    "depth": 20,
    "kept": 5,
    "learning_rate": 1e-3,
}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("starts")
    words = sorted({*TRANSLATION, *TRANSLATION.values()})
    return build(write_plain(folder / "plain", words), folder / "start")


@pytest.fixture(scope="module")
def warm(start: Path, made_up: Collection) -> Path:
    config = {**QUICK, "steps": 25, "batch_size": 48, "learning_rate": 3e-3}
    return train("warmup", start=start, data=made_up, out=start.parent / "warm", config=config)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def vectors(source: Path, made_up: Collection) -> list[np.ndarray]:
    encoder = open_encoder(source)
    queries = encoder.tokenize("queries", made_up.queries()[:9])
    documents = encoder.tokenize("documents", list(made_up.documents())[:9])
    (q,), (d,) = (
        encoder.encode_tokens("queries", queries),
        encoder.encode_tokens("documents", documents),
    )
    return [q, d]


def test_warmup_learns(warm: Path) -> None:
    losses = [float(row["loss"]) for row in rows(warm) if row["loss"]]
    assert np.mean(losses[-3:]) < 0.9 * np.mean(losses[:3])
    assert open_encoder(warm).files.layout == "sentence-transformers"
    assert open_encoder(warm).step == 25


@pytest.mark.parametrize(
    ("stage", "unit", "layernorm"),
    [("ance", False, True), ("norm", True, False), ("dual", False, True), ("dance", True, False)],
)
def test_every_stage_goes_on_and_reopens(
    warm: Path, made_up: Collection, tmp_path: Path, stage: str, unit: bool, layernorm: bool
) -> None:
    begun = open_trainable(warm)
    before = {name: tensor.clone() for name, tensor in begun.model.state_dict().items()}
    out = train(stage, start=begun, data=made_up, out=tmp_path / "out", config=QUICK)
    recipe = open_encoder(out).recipe
    assert (recipe.head, recipe.normalize, recipe.document_layernorm) == (
        "linear_layernorm",
        unit,
        layernorm,
    )
    again = open_trainable(out)
    for name, tensor in begun.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor), name
        assert ("pooler" in name) == torch.equal(before[name], tensor), name
    trained = begun.with_recipe(recipe)
    expected = [
        trained.encode("queries", trained.query_tokens(made_up.queries()[:9])),
        trained.encode("documents", trained.document_tokens(list(made_up.documents())[:9])),
    ]
    for found, wanted in zip(vectors(out, made_up), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6, rtol=1e-6)


def test_the_next_stage_keeps_the_head(warm: Path) -> None:
    own = open_trainable(warm)
    identity = torch.eye(own.model.dim)
    assert not torch.allclose(own.model.head.linear.weight, identity, atol=1e-3)
    assert own.recipe.sources["head"] == "sentence-transformers modules"


def test_step_zero_is_the_same_weights_under_the_recipe_dance(
    warm: Path, made_up: Collection, tmp_path: Path
) -> None:
    place, reading = _step_zero(str(warm), tmp_path, 3, EncoderOptions())
    assert Path(place) == tmp_path / "checkpoints/3/step-zero.ckpt"
    assert reading == EncoderOptions()
    recipe = open_encoder(place).recipe
    assert (recipe.normalize, recipe.document_layernorm) == (True, False)
    (q, d), (zero_q, zero_d) = vectors(warm, made_up), vectors(Path(place), made_up)
    unit = q / np.linalg.norm(q, axis=1, keepdims=True)
    np.testing.assert_allclose(zero_q, unit, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(zero_d, axis=1), 1, atol=1e-6)
    # LayerNorm does not see a scale, so what documents skip can be made up for.
    norm = open_trainable(warm).model.norm.norm
    with torch.no_grad():
        made_up_for = norm(torch.from_numpy(zero_d) * 100).numpy()
    np.testing.assert_allclose(made_up_for, d, atol=1e-3)


def test_a_cosine_start_stays_one(start: Path, made_up: Collection, tmp_path: Path) -> None:
    out = train("dual", start=start, data=made_up, out=tmp_path / "out", config=QUICK)
    (stage,) = json.loads((out / "training.json").read_text())["stages"]
    assert (stage["config"]["form"], stage["config"]["temperature"]) == ("cosine", 0.01)
    recipe = open_encoder(out).recipe
    assert (recipe.normalize, recipe.document_layernorm) == (True, True)


def test_a_head_gives_the_recipe_its_name() -> None:
    recipe = named_recipe("ance").replace("test", max_query_length=12)
    names = {head: headed(recipe, head).name for head in ("start", *HEADS)}
    assert names == {"start": "ance", **HEADS}
    dance = headed(recipe, "dance")
    assert (dance.max_query_length, dance.normalize, dance.document_layernorm) == (12, True, False)
    assert headed(dataclasses.replace(recipe, name="transformers"), "dance").name == "transformers"


@pytest.mark.parametrize("head", ["plain", "dance"])
def test_micro_batches_change_nothing(start: Path, made_up: Collection, head: str) -> None:
    own = open_trainable(start)
    own = own.with_recipe(headed(own.recipe, head))
    tokens = own.document_tokens(list(made_up.documents())[:7])
    tokens = [ids[: 3 + row % 4] for row, ids in enumerate(tokens)]
    found = []
    for micro_batch in (1, 3, 7):
        own.network.zero_grad()
        states = own.vectors("documents", tokens, micro_batch)
        states.sin().sum().backward()
        gradients = [p.grad.clone() for p in own.network.parameters() if p.grad is not None]
        found.append([states.detach(), *gradients])
    for other in found[1:]:
        for one, many in zip(found[0], other, strict=True):
            torch.testing.assert_close(many, one, atol=2e-4, rtol=1e-4)


def test_dropout_reaches_every_layer(start: Path) -> None:
    own = open_trainable(start)
    set_dropout(own.network, 0.4)
    rates = [module.p for module in own.network.modules() if isinstance(module, nn.Dropout)]
    assert len(rates) == 7  # embeddings, and attention, its output and the layer's, twice
    assert set(rates) == {0.4}
    own.network.train()
    tokens = [[2, 9, 11, 3], [2, 8, 3]]
    noisy = [own.vectors("queries", tokens, 2).detach() for _ in "ab"]
    assert not torch.allclose(*noisy)
    np.testing.assert_array_equal(*(own.encode("queries", tokens) for _ in "ab"))
    set_dropout(own.network, 0.0)
    assert torch.equal(*(own.vectors("queries", tokens, 2).detach() for _ in "ab"))


def test_dropout_that_is_a_plain_number() -> None:
    class Attention(nn.Module):
        attention_dropout: float

        def __init__(self) -> None:
            super().__init__()
            self.attention_dropout, self.use_dropout, self.width = 0.1, True, 3

    made = nn.Sequential(Attention())
    set_dropout(made, 0.25)
    assert (made[0].attention_dropout, made[0].use_dropout, made[0].width) == (0.25, True, 3)


def test_killed_resumed_and_followed(
    start: Path, made_up: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the loop does for upstream's layout it does for this one."""
    config = {**QUICK, "steps": 2, "refresh_steps": 1, "save_steps": 1, "dropout": 0.1}
    out, given = tmp_path / "out", {"start": start, "data": made_up, "config": config}
    whole = train("dance", out=tmp_path / "whole", **given)
    with monkeypatch.context() as patched:
        kill_before(patched, "state-1-1")
        with pytest.raises(Killed):
            train("dance", out=out, **given)
    assert digests(train("dance", out=out, resume=True, **given)) == digests(whole)
    followed = InLine(out, tmp_path / "sets", made_up, stage_configs("dance", config)[-1])
    train("dance", out=out, negatives=followed, **given)
    assert followed.seen == [([f"checkpoint-{step}"], True) for step in range(4)]


def test_options_of_the_start_arrive(start: Path, made_up: Collection, tmp_path: Path) -> None:
    lines = ["start_layers = 1", "max_query_length = 5", "max_document_length = 7"]
    lines += [f"{key} = {value}" for key, value in QUICK.items()]
    (tmp_path / "x.toml").write_text("\n".join(lines))
    out = train(
        "dance", start=start, data=made_up, out=tmp_path / "out", config=tmp_path / "x.toml"
    )
    assert json.loads((out / "config.json").read_text())["num_hidden_layers"] == 1
    recipe = open_encoder(out).recipe
    assert (recipe.max_query_length, recipe.max_document_length) == (5, 7)
    stages = json.loads((out / "training.json").read_text())["stages"]
    assert [stage["config"]["start_layers"] for stage in stages] == [1, 1]


def test_options_of_a_new_encoder(made_up: Collection, tmp_path: Path) -> None:
    config = {**QUICK, "start_layers": 1, "max_document_length": 9}
    out = train("warmup", data=made_up, out=tmp_path / "out", config=config)
    made = open_trainable(out)
    assert made.model.config["num_hidden_layers"] == 1
    assert made.recipe.max_document_length == 9
    assert made.recipe.max_query_length == EncoderSizes().max_query_length


def test_options_that_cannot_act_are_refused(
    start: Path, made_up: Collection, tmp_path: Path
) -> None:
    config = {**QUICK, "dual": {"start_layers": 1}}
    with pytest.raises(UsageError, match=r"start_layers: got \[0, 1\]; allowed: one value for"):
        train("dance", start=start, data=made_up, out=tmp_path / "x", config=config)
    opened: Trainable = open_trainable(start)
    assert isinstance(opened, ModulesTrainable)
    with pytest.raises(UsageError, match="max_query_length: got 5; allowed with a start that is"):
        train("ance", start=opened, data=made_up, out=tmp_path / "x",
              config={**QUICK, "max_query_length": 5})  # fmt: skip
    with pytest.raises(UsageError, match=r"max_query_length: got 2; allowed: .*3 or more"):
        train("ance", start=start, data=made_up, out=tmp_path / "x",
              config={**QUICK, "max_query_length": 2})  # fmt: skip


def test_the_seed_decides_everything(start: Path, made_up: Collection, tmp_path: Path) -> None:
    config = {**QUICK, "dropout": 0.2}
    before = torch.random.get_rng_state()
    first, second, other = (
        train("ance", start=start, data=made_up, out=tmp_path / name, config=config, seed=seed)
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    weights = [(folder / "model.safetensors").read_bytes() for folder in (first, second, other)]
    assert weights[0] == weights[1] != weights[2]
    assert rows(first) == rows(second)


def test_a_new_encoder_keeps_upstreams_layout(made_up: Collection, tmp_path: Path) -> None:
    made = new_encoder(made_up, EncoderSizes(vocabulary=300, hidden=8, layers=1, intermediate=8))
    assert open_encoder(made.save(tmp_path / "x", training={})).files.layout == "upstream"
