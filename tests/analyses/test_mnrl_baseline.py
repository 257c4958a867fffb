"""The sentence-transformers baseline on a tiny collection: what it trains on, what it saves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyses.mnrl_baseline import (
    configuration,
    main,
    opened,
    optimizer_and_schedule,
    parser,
    training_rows,
)
from anisotropy.collection import Collection, open_collection
from anisotropy.encoders import open_encoder
from anisotropy.training import (
    EncoderSizes,
    TrainingConfig,
    new_encoder,
    open_trainable,
    stage_configs,
    train,
)
from anisotropy.training.loop import schedule
from tests.training.conftest import write_collection

pytestmark = pytest.mark.filterwarnings("ignore:Importing from:DeprecationWarning")
SIZES = EncoderSizes(vocabulary=400, hidden=32, intermediate=32)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a collection and a start encoder."""
    folder = tmp_path_factory.mktemp("baseline")
    collection = open_collection(write_collection(folder / "words"))
    config = {"steps": 2, "batch_size": 32, "warmup_steps": 0, "learning_rate": 1e-3}
    start = new_encoder(collection, SIZES)
    train("warmup", start=start, data=collection, out=folder / "warm.ckpt", config=config)
    return folder


@pytest.fixture(scope="module")
def made_up(place: Path) -> Collection:
    return open_collection(place / "words")


def run(place: Path, out: Path, *more: str, start: str = "warm.ckpt") -> int:
    words = ["--from", str(place / start), "--data", str(place / "words"), "--out", str(out)]
    words += ["--steps", "3", "--batch-size", "16", "--warmup-steps", "1"]
    return main([*words, "--learning-rate", "1e-3", *more])


def vectors(source: Path, collection: Collection) -> list[np.ndarray]:
    encoder = open_encoder(source)
    sides: list[tuple[Any, Any]] = [("queries", collection.queries()[:5])]
    sides.append(("documents", [*collection.documents()][:5]))
    return [encoder.encode_tokens(side, encoder.tokenize(side, items))[0] for side, items in sides]


def test_it_trains_and_opens(
    place: Path, made_up: Collection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(place, tmp_path / "a.st") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'a.st'}\n"
    encoder = open_encoder(tmp_path / "a.st")
    assert encoder.step == 3
    assert (encoder.recipe.similarity, encoder.recipe.separator) == ("cosine", "<sep>")
    start = vectors(place / "warm.ckpt", made_up)
    trained = vectors(tmp_path / "a.st", made_up)
    for before, after in zip(start, trained, strict=True):
        assert before.shape == after.shape
        assert np.abs(before - after).max() > 1e-3
    record = json.loads((tmp_path / "a.st/training.json").read_text())
    assert len(record["losses"]) == 3
    assert record["stages"][0]["config"]["batch_size"] == 16
    assert record["seed"] == 0


def test_seed_and_scale_arrive_and_a_run_repeats(
    place: Path, made_up: Collection, tmp_path: Path
) -> None:
    runs = {"a": [], "b": [], "seed": ["--seed", "1"], "scale": ["--scale", "50"]}
    runs |= {"dot": ["--similarity", "dot", "--scale", "1", "--negatives", "2"]}
    for name, more in runs.items():
        assert run(place, tmp_path / name, *more) == 0
    found = {name: vectors(tmp_path / name, made_up)[0] for name in runs}
    assert np.array_equal(found["a"], found["b"])
    for name in ("seed", "scale", "dot"):
        assert not np.allclose(found["a"], found[name], atol=1e-5)
    assert open_encoder(tmp_path / "dot").recipe.similarity == "dot"


def test_it_goes_on_from_a_sentence_transformers_folder(
    place: Path, made_up: Collection, tmp_path: Path
) -> None:
    assert run(place, tmp_path / "first") == 0
    model, recipe = opened(tmp_path / "first", "cosine")
    assert (recipe.separator, recipe.max_query_length) == ("<sep>", 32)
    assert run(place, tmp_path / "second", start=str(tmp_path / "first")) == 0
    second = open_encoder(tmp_path / "second").recipe
    assert (second.separator, second.max_query_length) == ("<sep>", 32)
    found = vectors(tmp_path / "first", made_up)[0]
    texts = [query.text for query in made_up.queries()[:5]]
    np.testing.assert_allclose(model.encode_query(texts), found, atol=1e-5)


def test_negatives_are_hard_and_never_positives(place: Path, made_up: Collection) -> None:
    config = TrainingConfig(depth=6, kept=4)
    model, recipe = opened(place / "warm.ckpt", "cosine")
    rows = training_rows(model, recipe, made_up, config, negatives=2, seed=0)
    assert list(rows) == ["query", "positive", "negative_1", "negative_2"]
    qrels = made_up.qrels("train")
    assert {len(column) for column in rows.values()} == {sum(map(len, qrels.values()))}
    documents = [*made_up.documents()]
    queries = made_up.queries("train")
    q = model.encode_query(rows["query"], normalize_embeddings=True)
    d = model.encode_document([x.text for x in documents], normalize_embeddings=True)
    for row, query in enumerate(queries):
        best = {documents[n].text for n in np.argsort(-(d @ q[row]))[:6]}
        (positive,) = qrels[query.query_id]
        assert rows["positive"][row] == made_up.texts([positive])[positive].text
        chosen = {rows["negative_1"][row], rows["negative_2"][row]}
        assert len(chosen) == 2
        assert chosen <= best - {rows["positive"][row]}


def test_learning_rate_is_that_of_the_stage(place: Path) -> None:
    (config,) = stage_configs("ance", {"steps": 6, "warmup_steps": 2, "learning_rate": 0.5})
    model, _ = opened(open_trainable(place / "warm.ckpt"), "cosine")  # type: ignore[arg-type]
    optimizer, rates = optimizer_and_schedule(model, config)
    found = []
    for _ in range(config.steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        rates.step()
    np.testing.assert_allclose(found, [schedule(step, config) for step in range(6)])


def test_the_configuration_is_a_stages_with_options_over_it(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("steps = 7\nbatch_size = 5\n[dual]\ndepth = 40\n")
    words = ["--from", "x", "--out", "y", "--stage", "dance", "--config", str(tmp_path / "c.toml")]
    config = configuration(parser().parse_args([*words, "--batch-size", "9"]))
    assert (config.stage, config.steps, config.batch_size, config.depth) == ("dual", 7, 9, 40)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--batch-size", "500"], "batch_size: got 500; allowed: up to the 96 training pairs"),
        (["--scale", "0"], "allowed: cosine or dot, a number above 0"),
        (["--seed", "-1"], "seed: got -1"),
        (["--stage", "dans"], "did you mean 'dance'"),
    ],
)
def test_mistakes_are_one_line(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert run(place, tmp_path / "x", *more) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "x").exists()
    (tmp_path / "x").mkdir()
    assert run(place, tmp_path / "x") == 2
