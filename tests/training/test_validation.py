"""Evaluation while training: the columns, what is selected by them, event files."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anisotropy.collection import Collection, Qrels
from anisotropy.encoders import open_encoder
from anisotropy.errors import UsageError
from anisotropy.training import open_trainable, train
from anisotropy.training.data import Judged, load_data
from anisotropy.training.devices import Devices
from anisotropy.training.evaluation import SELECTION, VALIDATION, fixed, validate
from anisotropy.training.looking import look
from anisotropy.training.loop import fit
from anisotropy.training.mining import Mined
from anisotropy.training.negatives import Negatives
from tests.training.making import QUICK, make_task, small


def space(seed: int = 0) -> tuple[np.ndarray, np.ndarray, Judged]:
    generator = np.random.default_rng(seed)
    documents = (generator.normal(size=(40, 6)) + 0.7).astype(np.float32)
    positives = [frozenset({3}), frozenset({3, 8}), frozenset({20}), frozenset({39, 1})]
    queries = np.stack([documents[min(own)] for own in positives])
    queries += generator.normal(size=queries.shape).astype(np.float32)
    return queries, documents, Judged([[0]] * 4, positives, [], np.empty(0, int))


def unit(x: np.ndarray) -> np.ndarray:
    return x.astype(float) / np.linalg.norm(x, axis=1, keepdims=True)


def mean_over_pairs(x: np.ndarray, function: Any) -> float:
    values = [function(x[i], x[j]) for i in range(len(x)) for j in range(i)]
    return float(np.mean(values))


def test_columns_are_the_measures() -> None:
    queries, documents, dev = space()
    found, problem = validate(queries, documents, dev)
    assert problem is None
    assert set(found) == set(VALIDATION)
    scores = queries @ documents.T
    back = []
    for document in (1, 3, 8, 20, 39):
        owners = [q for q, own in enumerate(dev.positives) if document in own]
        order = np.argsort(-scores[:, document], kind="stable").tolist()
        back.append(1 / (1 + min(order.index(q) for q in owners)))
    assert found["dev_dual_ranking_RR@10"] == pytest.approx(np.mean(back))
    for side, rows in (("queries", unit(queries)), ("documents", unit(documents))):
        cosine = mean_over_pairs(rows, np.dot)
        assert found[f"dev_{side}_mean_cosine"] == pytest.approx(cosine, abs=1e-6)
        potential = mean_over_pairs(rows, lambda x, y: np.exp(-2 * ((x - y) ** 2).sum()))
        assert found[f"dev_{side}_uniformity(t=2)"] == pytest.approx(np.log(potential), abs=1e-5)
    q, d = unit(queries), unit(documents)
    distances = np.linalg.norm(q[:, None] - d[None], axis=2)
    near = [distances[row, document] for row, own in enumerate(dev.positives) for document in own]
    ratio = found["dev_positives_relative_positive_distance"]
    assert 0.5 * min(near) / distances.mean() < ratio < 1


def test_vectors_of_zeros_stop_nothing() -> None:
    queries, documents, dev = space()
    documents[5] = 0
    found, problem = validate(queries, documents, dev)
    assert set(found) == set(VALIDATION[:3])
    assert problem is not None
    assert "zero" in problem


def test_the_sample_is_fixed() -> None:
    assert fixed(30).tolist() == list(range(30))
    rows = fixed(5000)
    assert len(set(rows.tolist())) == 1000
    np.testing.assert_array_equal(rows, fixed(5000))


def test_an_evaluation_changes_no_negatives(made_up: Collection) -> None:
    task = make_task(made_up, form="cosine", evaluate_steps=1, refresh_steps=4)
    mined, _ = look(task, 0, Mined())
    same, quality = look(task, 1, mined)
    assert same is mined
    assert quality
    assert look(task, 4, mined)[0] is not mined


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_best_is_the_highest_and_the_earliest(
    made_up: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = iter([0.1, 0.5, 0.3, 0.5, 0.2, 0.4, 0.0])

    def fake(*_: Any) -> tuple[dict[str, float], None]:
        return {SELECTION: next(values)}, None

    monkeypatch.setattr("anisotropy.training.looking.validate", fake)
    config = {**QUICK, "select": "best", "evaluate_steps": 1}
    out = train("ance", start=small(made_up), data=made_up, out=tmp_path / "x", config=config)
    (stage,) = json.loads((out / "training.json").read_text())["stages"]
    assert stage["selected_step"] == 1
    assert stage["selection"].startswith("highest dev_ranking_nDCG@10 among the evaluations, ties")
    assert open_encoder(out).step == 1
    monkeypatch.undo()
    short = {**config, "select": "last"}
    task = make_task(made_up, form="dot_product", head="plain", temperature=1.0)
    task = dataclasses.replace(task, config=task.config.replace(steps=6, stream=1))
    states = weights_by_step(task, made_up, 1)
    found = open_trainable(out).model.state_dict()
    for name, expected in states.items():
        np.testing.assert_array_equal(found[name].numpy(), expected)
    last = train("ance", start=small(made_up), data=made_up, out=tmp_path / "y", config=short)
    (stage,) = json.loads((last / "training.json").read_text())["stages"]
    assert (stage["selected_step"], stage["selection"]) == (6, "the last step")


def weights_by_step(task: Any, made_up: Collection, step: int) -> dict[str, np.ndarray]:
    """Weights of a run after `step` steps, kept by a state."""
    kept = {}

    class Keeper:
        def begin(self, *_: Any) -> None:
            pass

        def row(self, row: dict[str, Any]) -> None:
            pass

        def save(self, state: Any) -> None:
            kept[state.step] = {k: v.numpy().copy() for k, v in state.weights.items()}

    fit(task.trainable, task.data, task.config.replace(save_steps=1), recorder=Keeper(),
        devices=Devices("cpu"))  # fmt: skip
    assert sorted(kept) == [1, 2, 3, 4, 5]
    return kept[step]


class WithoutDev:
    """A collection whose dev split nobody sees."""

    def __init__(self, collection: Collection) -> None:
        self._collection, self.splits = collection, ("train",)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._collection, name)


class WithoutPositives(WithoutDev):
    """A collection whose dev split has no positives."""

    def __init__(self, collection: Collection) -> None:
        super().__init__(collection)
        self.splits = collection.splits

    def qrels(self, split: str) -> Qrels:
        return {} if split == "dev" else self._collection.qrels(split)


@pytest.mark.parametrize("kind", [WithoutDev, WithoutPositives])
def test_nothing_to_evaluate_on(made_up: Collection, kind: Any) -> None:
    trainable = small(made_up)
    data = load_data(kind(made_up), trainable)
    assert data.dev is None
    config = make_task(made_up, form="dot_product", head="plain", steps=2).config
    history = fit(trainable, data, config).history
    assert not any(key.startswith("dev_") for row in history for key in row)
    with pytest.raises(UsageError, match="select: got 'best', but the collection has no dev"):
        fit(trainable, data, config.replace(select="best"))


def test_event_files(made_up: Collection, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = {**QUICK, "steps": 2, "tensorboard": True}
    for _ in range(2):  # events of an earlier run of the same checkpoint go
        out = train("dance", start=small(made_up), data=made_up, out=tmp_path / "x", config=config)
    events = EventAccumulator(str(tmp_path / "x.tensorboard"))
    events.Reload()
    found = {
        (tag.split("/", 1)[0], event.step, tag.split("/", 1)[1]): event.value
        for tag in events.Tags()["scalars"]
        for event in events.Scalars(tag)
    }
    assert len(list((tmp_path / "x.tensorboard").iterdir())) == 1
    offset, wanted = {"norm": 0, "dual": 2}, 0
    for row in rows_of(out):
        for key, text in row.items():
            if text and key not in ("stage", "step"):
                place = (row["stage"], offset[row["stage"]] + int(row["step"]), key)
                assert found[place] == pytest.approx(float(text), rel=1e-6)
                wanted += 1
    assert wanted == len(found) > 20


def test_draws_are_distinct_while_they_last() -> None:
    items = np.array([[5, 6, 7, 8], [1, 2, -1, -1]])
    negatives = Negatives(items, np.array([4, 2]))
    seen = np.zeros(9)
    for seed in range(200):
        source = np.random.default_rng(seed)
        few, fewer = negatives.draw_several(np.array([0, 1]), 3, source)
        assert len(set(few)) == 3
        assert set(few) <= {5, 6, 7, 8}
        assert sorted(fewer) in ([1, 1, 2], [1, 2, 2])
        np.add.at(seen, few, 1)
    np.testing.assert_allclose(seen[5:], 150, atol=25)
    one = negatives.draw_several(np.array([0, 1]), 1, np.random.default_rng(1))
    expected = negatives.draw(np.array([0, 1]), np.random.default_rng(1))
    np.testing.assert_array_equal(one[:, 0], expected)
