"""The loop on a tiny collection: it learns, repeats itself, saves what reopens, stops at NaN."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anisotropy.collection import Collection, open_collection
from anisotropy.encoders import open_encoder
from anisotropy.errors import CheckpointError, UsageError
from anisotropy.training import (
    EncoderSizes,
    Trainable,
    TrainingConfig,
    new_encoder,
    open_trainable,
    stage_configs,
    train,
    train_demo,
)
from anisotropy.training.batches import pick
from anisotropy.training.data import load_data
from anisotropy.training.devices import Devices
from anisotropy.training.evaluation import VALIDATION, ranking_quality
from anisotropy.training.gradients import Task
from anisotropy.training.looking import look
from anisotropy.training.loop import fit, objective_of, schedule
from anisotropy.training.mining import Mined
from anisotropy.training.stages import prepared
from tests.training.conftest import write_collection

SIZES = EncoderSizes(vocabulary=400, hidden=32, intermediate=32)
QUICK: dict[str, Any] = {
    "steps": 6,
    "batch_size": 16,
    "warmup_steps": 2,
    "refresh_steps": 3,
    "depth": 20,
    "kept": 5,
}
WARMUP: dict[str, Any] = {"steps": 90, "batch_size": 48, "learning_rate": 5e-3, "warmup_steps": 5}


@pytest.fixture(scope="module")
def warm(made_up: Collection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("warm") / "warm.ckpt"
    return train("warmup", start=new_encoder(made_up, SIZES), data=made_up, out=out, config=WARMUP)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def looks(folder: Path) -> list[float]:
    return [
        float(row["dev_ranking_nDCG@10"]) for row in rows(folder) if row["dev_ranking_nDCG@10"]
    ]


def state(folder: Path) -> dict[str, torch.Tensor]:
    return open_trainable(folder).model.state_dict()


def test_warmup_learns(warm: Path) -> None:
    losses = [float(row["loss"]) for row in rows(warm) if row["loss"]]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    untrained, trained = looks(warm)
    assert trained > untrained + 0.2


def test_dance_goes_on_from_ance_without_collapse(
    warm: Path, made_up: Collection, tmp_path: Path
) -> None:
    config = {**QUICK, "steps": 20, "refresh_steps": 10, "learning_rate": 1e-3}
    ance = train("ance", start=warm, data=made_up, out=tmp_path / "ance", config=config)
    dance = train("dance", start=ance, data=made_up, out=tmp_path / "dance", config=config)
    assert looks(dance)[-1] > 0.8 * looks(warm)[-1]
    stages = [
        stage["config"] for stage in json.loads((dance / "training.json").read_text())["stages"]
    ]
    assert [stage["stage"] for stage in stages] == ["norm", "dual"]
    assert [stage["form"] for stage in stages] == ["cosine", "cosine"]
    assert all(row["loss_dual"] for row in rows(dance) if row["stage"] == "dual" and row["loss"])
    recipe = open_encoder(dance).recipe
    assert (recipe.normalize, recipe.document_layernorm, recipe.similarity) == (
        True,
        False,
        "cosine",
    )
    assert recipe.temperature == 0.01
    assert not open_encoder(ance).recipe.normalize


def test_dual_of_an_ance_keeps_the_dot_product(
    warm: Path, made_up: Collection, tmp_path: Path
) -> None:
    out = train("dual", start=warm, data=made_up, out=tmp_path / "x", config=QUICK)
    (stage,) = json.loads((out / "training.json").read_text())["stages"]
    assert (stage["config"]["form"], stage["config"]["temperature"]) == ("dot_product", 1.0)
    assert not open_encoder(out).recipe.normalize


@pytest.mark.parametrize("stage", ["norm", "dual"])
def test_a_checkpoint_reopens_with_the_same_vectors(
    warm: Path, made_up: Collection, tmp_path: Path, stage: str
) -> None:
    start = open_trainable(warm)
    out = train(stage, start=start, data=made_up, out=tmp_path / "x", config=QUICK)
    recipe = prepared(start, *stage_configs(stage, QUICK))[0].recipe
    queries = made_up.queries()[:7]
    expected = start.with_recipe(recipe).encode("queries", start.query_tokens(queries))
    encoder = open_encoder(out)
    (found,) = encoder.encode_tokens("queries", encoder.tokenize("queries", queries))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    documents = list(made_up.documents())[:7]
    expected = start.with_recipe(recipe).encode("documents", start.document_tokens(documents))
    (found,) = encoder.encode_tokens("documents", encoder.tokenize("documents", documents))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_seed_decides_everything(warm: Path, made_up: Collection, tmp_path: Path) -> None:
    def run(name: str, seed: int) -> dict[str, torch.Tensor]:
        config = {**QUICK, "dropout": 0.2}
        return state(
            train("dance", start=warm, data=made_up, out=tmp_path / name, config=config, seed=seed)
        )

    torch.manual_seed(1)
    first = run("a", 3)
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    second, other = run("b", 3), run("c", 4)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)
    assert rows(tmp_path / "a") == rows(tmp_path / "b")


def test_lamb_trains_too(warm: Path, made_up: Collection, tmp_path: Path) -> None:
    config = {**QUICK, "optimizer": "lamb", "learning_rate": 1e-3}
    out = train("ance", start=warm, data=made_up, out=tmp_path / "x", config=config)
    moved = state(out)["embeddingHead.weight"] - state(warm)["embeddingHead.weight"]
    assert 0 < float(moved.norm()) < 0.1


def test_every_epoch_meets_every_pair_once(warm: Path, made_up: Collection) -> None:
    data = load_data(made_up, open_trainable(warm))
    config = TrainingConfig(form="in_batch", batch_size=20)
    steps = 3 * len(data.pairs) // 20
    met = [pick(data, Mined(), config, step, 0) for step in range(steps + 1)]
    order = np.concatenate([batch.queries for batch in met])
    epochs = order[: 3 * len(data.pairs)].reshape(3, -1)
    assert all(sorted(epoch) == sorted(data.pairs[:, 0]) for epoch in epochs)
    assert epochs[0].tolist() != epochs[1].tolist()


def test_negatives_of_a_step_are_never_positives(warm: Path, made_up: Collection) -> None:
    trainable = open_trainable(warm)
    data = load_data(made_up, trainable)
    (config,) = stage_configs("dual", {**QUICK, "batch_size": 64})
    task = Task(trainable, data, config, objective_of(config), Devices("cpu"), 0)
    mined, quality = look(task, 0, Mined())
    assert set(quality) == set(VALIDATION)
    for step in range(5):
        batch = pick(data, mined, config, step, 0)
        drawn = batch.negatives, batch.negative_queries
        assert drawn[0] is not None
        assert drawn[1] is not None
        for q, a, b, n in zip(
            batch.queries, batch.positives, *(x[:, 0] for x in drawn), strict=True
        ):
            assert a in data.train.positives[q]
            assert b not in data.train.positives[q]
            assert a not in data.train.positives[n]


def test_other_positives_of_a_query_are_no_negatives_in_the_batch(
    warm: Path, made_up: Collection
) -> None:
    data = load_data(made_up, open_trainable(warm))
    q, d = data.pairs[0]
    found = data.other_positives(
        np.array([q, q, data.pairs[1][0]]), np.array([d, d, data.pairs[1][1]])
    )
    assert found.tolist() == [[False, True, False], [True, False, False], [False, False, False]]


def test_ranking_quality_by_hand() -> None:
    documents = np.eye(12, dtype=np.float32)
    query = np.arange(12, 0, -1, dtype=np.float32)[None]
    gains, ranks = ranking_quality(np.repeat(query, 3, 0), documents, [{1}, {0, 3}, {11}])
    two = (1 + 1 / np.log2(5)) / (1 + 1 / np.log2(3))
    np.testing.assert_allclose(gains, [1 / np.log2(3), two, 0])
    np.testing.assert_allclose(ranks, [0.5, 1, 0])


def test_the_learning_rate_is_a_function_of_the_step() -> None:
    config = TrainingConfig(steps=6, warmup_steps=2, learning_rate=1.0)
    rates = [schedule(step, config) for step in range(6)]
    np.testing.assert_allclose(rates, [0.5, 1.0, 0.8, 0.6, 0.4, 0.2])


def test_nan_stops_at_once_in_one_line(warm: Path, made_up: Collection, tmp_path: Path) -> None:
    out = tmp_path / "x"
    config = {**QUICK, "uniformity_weight": 1.0, "uniformity_t": 500.0}  # underflows: not unit
    with pytest.raises(
        UsageError, match=r"not finite at step 1 \(loss .*; lower learning_rate"
    ) as error:
        train("ance", start=warm, data=made_up, out=out, config=config)
    assert "\n" not in str(error.value)
    assert not out.exists()


@pytest.mark.parametrize("dev", [True, False])
@pytest.mark.parametrize(("steps", "save"), [(1, 0), (2, 1)])
def test_a_diverged_step_is_not_kept(
    made_up: Collection, tmp_path: Path, steps: int, save: int, dev: bool
) -> None:
    """After the last step no loss tells it, and without a dev split no vector."""
    data = made_up if dev else open_collection(write_collection(tmp_path / "c", n_dev=0, n_test=9))
    config = {**QUICK, "steps": steps, "save_steps": save, "warmup_steps": 0}
    config["learning_rate"] = 1e30
    with pytest.raises(
        UsageError, match=r"not finite at step 1 \(.*; lower learning_rate$"
    ) as err:
        train("ance", start=new_encoder(data, SIZES), data=data, out=tmp_path / "x", config=config)
    assert "\n" not in str(err.value)
    assert not (tmp_path / "x").exists()
    assert not list(tmp_path.glob("x.training/state-*"))


def test_vectors_that_are_not_finite_mine_nothing(made_up: Collection, warm: Path) -> None:
    trainable = open_trainable(warm)
    data = load_data(made_up, trainable)
    (config,) = stage_configs("ance", QUICK)
    task = Task(trainable, data, config, objective_of(config), Devices("cpu"), 0)
    with torch.no_grad():
        trainable.model.norm.bias[3] = float("inf")
    with pytest.raises(UsageError, match=r"not finite at step 3 \(vectors\); lower learning_rate"):
        look(task, 3, Mined())
    with pytest.raises(UsageError, match=r"not finite at step 0 \(vectors\); nothing is trained"):
        look(task, 0, Mined())


@pytest.mark.parametrize(
    ("stage", "config", "message"),
    [
        ("ance", {}, "stage 'ance' needs a checkpoint to start from"),
        ("warmup", {"form": "cosine"}, "needs a checkpoint to start from"),
    ],
)
def test_only_warmup_begins_from_scratch(
    made_up: Collection, tmp_path: Path, stage: str, config: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        train(stage, data=made_up, out=tmp_path / "x", config=config)


def test_an_occupied_place_is_refused_before_training(
    warm: Path, made_up: Collection, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("keep me")
    with pytest.raises(CheckpointError, match="exists and is no checkpoint folder"):
        train("ance", start=tmp_path / "absent", data=made_up, out=tmp_path)


def test_the_start_is_not_written_over(
    warm: Path, made_up: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(warm.parent)
    (tmp_path / "link").symlink_to(warm)
    weights = (warm / "model.safetensors").read_bytes()
    for start in (warm, warm.name, tmp_path / "link", warm / "model.safetensors"):
        with pytest.raises(UsageError, match="holds the start") as caught:
            train("ance", start=start, data=made_up, out=warm, config=QUICK)
        assert "\n" not in str(caught.value)
    assert (warm / "model.safetensors").read_bytes() == weights


def test_folders_with_more_than_a_checkpoint_are_refused_before_training(
    warm: Path, made_up: Collection, tmp_path: Path
) -> None:
    kept = tmp_path / "run" / "checkpoint-100"
    kept.mkdir(parents=True)
    (tmp_path / "run" / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="exists and is no checkpoint folder"):
        train("ance", start=tmp_path / "absent", data=made_up, out=tmp_path / "run")
    assert kept.is_dir()


@pytest.mark.parametrize("seed", [-1, 2**32, 10**30])
def test_seeds_out_of_range_are_one_line(made_up: Collection, tmp_path: Path, seed: int) -> None:
    text = f"seed: got {seed}; allowed: 0 to 4294967295"
    with pytest.raises(UsageError, match=text):
        train("warmup", data=made_up, out=tmp_path / "x", seed=seed)
    with pytest.raises(UsageError, match=text):
        train_demo(tmp_path / "demo", data=made_up, seed=seed)
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_tells_its_steps(warm: Path) -> None:
    assert open_encoder(warm).step == WARMUP["steps"]


def test_a_doubtful_recipe_must_be_settled(warm: Path) -> None:
    start = open_trainable(warm)
    doubtful = start.with_recipe(dataclasses.replace(start.recipe, doubts=("L2 or not",)))
    (dual,) = stage_configs("dual")
    with pytest.raises(
        UsageError, match=r"the recipe is in doubt \(L2 or not\); allowed here: plain"
    ):
        prepared(doubtful, dual)
    settled, config = prepared(doubtful, dual.replace(head="dance"))
    assert (settled.recipe.doubts, config.form) == ((), "cosine")


def test_cosine_needs_normalized_vectors(warm: Path) -> None:
    with pytest.raises(UsageError, match="form cosine needs normalized vectors"):
        prepared(open_trainable(warm), TrainingConfig(form="cosine"))


def test_progress_is_told(warm: Path, made_up: Collection) -> None:
    trainable: Trainable = open_trainable(warm)
    lines: list[str] = []
    (config,) = stage_configs("ance", QUICK)
    fit(trainable, load_data(made_up, trainable), config, progress=lines.append)
    assert lines[0].startswith("ance 0/6 · dev nDCG@10 0.")
    assert lines[1].startswith("ance 1/6 · loss ")
    assert lines[-1].startswith("ance 6/6 · dev nDCG@10 0.")
