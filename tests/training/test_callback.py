"""GeometryCallback in real Trainers: what it logs, and that training does not notice it."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import anisotropy as an
from anisotropy.collection import Collection
from anisotropy.errors import AnisotropyError, UsageError
from anisotropy.spaces import EmbeddingSpace
from anisotropy.training.callback import GeometryCallback, pooled, undisturbed
from anisotropy.training.geometry import ROWS, sample_of
from tests.training.tiny import bert, sentence_transformer, tokenizer

QUIET: dict[str, Any] = {
    "report_to": [],
    "save_strategy": "no",
    "disable_tqdm": True,
    "use_cpu": True,
    "dataloader_pin_memory": False,
}
STEPS = 4
Attach = Callable[[Any], None]


def pairs(collection: Collection) -> dict[str, list[str]]:
    qrels = collection.qrels("train")
    queries = {q.query_id: q.text for q in collection.queries("train")}
    documents = collection.texts(next(iter(qrels[q])) for q in queries)
    found = [(queries[q], documents[next(iter(qrels[q]))].text) for q in queries]
    return {"query": [q for q, _ in found], "answer": [d for _, d in found]}


def train_sentences(
    collection: Collection, folder: Path, attach: Attach = lambda _: None, **options: Any
) -> Any:
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    data = Dataset.from_dict(pairs(collection))
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder / "out"), max_steps=STEPS, per_device_train_batch_size=8,
        learning_rate=1e-2, logging_steps=2, **{**QUIET, **options},
    )  # fmt: skip
    model = sentence_transformer(folder / "model")
    trainer = SentenceTransformerTrainer(
        model=model, args=arguments, train_dataset=data, eval_dataset=data.select(range(8)),
        loss=MultipleNegativesRankingLoss(model),
    )  # fmt: skip
    attach(trainer)
    trainer.train()
    return trainer


class Classifier(torch.nn.Module):
    """A plain model with a head; part of it is frozen in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.body = bert()
        self.head = torch.nn.Linear(8, 2)
        self.config = self.body.config

    @property
    def base_model(self) -> Any:
        return self.body

    def forward(self, input_ids: Any, attention_mask: Any, labels: Any) -> dict[str, Any]:
        assert self.body.pooler is None or not self.body.pooler.training
        state = self.body(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        logits = self.head(state[:, 0])
        return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}

    def train(self, mode: bool = True) -> Classifier:
        super().train(mode)
        self.body.pooler.eval()
        return self


def train_plain(
    collection: Collection, folder: Path, attach: Attach = lambda _: None, **options: Any
) -> Any:
    from transformers import Trainer, TrainingArguments

    words = tokenizer()
    texts = pairs(collection)["query"]
    features = words(texts, padding=True)
    rows = [
        {"input_ids": ids, "attention_mask": mask, "labels": len(text) % 2}
        for ids, mask, text in zip(
            features["input_ids"], features["attention_mask"], texts, strict=True
        )
    ]
    torch.manual_seed(3)
    arguments = TrainingArguments(
        output_dir=str(folder), max_steps=STEPS, per_device_train_batch_size=8,
        learning_rate=1e-2, logging_steps=2, **{**QUIET, **options},
    )  # fmt: skip
    trainer = Trainer(
        model=Classifier(), args=arguments, train_dataset=rows, processing_class=words
    )
    attach(trainer)
    trainer.train()
    return trainer


def draw() -> list[float]:
    """Move all three random states on."""
    return [torch.rand(1).item(), np.random.rand(), random.random()]  # noqa: NPY002


def random_states() -> tuple[Any, ...]:
    own = np.random.get_state()[1].tolist()  # noqa: NPY002
    return random.getstate(), own, torch.get_rng_state().tolist()


def geometry(trainer: Any) -> dict[int, dict[str, float]]:
    return {
        row["step"]: {name: value for name, value in row.items() if name.startswith("geometry/")}
        for row in trainer.state.log_history
        if any(name.startswith("geometry/") for name in row)
    }


def weights(trainer: Any) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def same(first: Any, second: Any) -> bool:
    one, two = weights(first), weights(second)
    return all(torch.equal(one[name], two[name]) for name in one)


def test_one_line_logs_the_default_rows(made_up: Collection, tmp_path: Path) -> None:
    callback = an.training.GeometryCallback(made_up, n_queries=20, n_documents=30)
    trainer = train_sentences(made_up, tmp_path, lambda t: t.add_callback(callback))
    logged = geometry(trainer)
    assert list(logged) == [0, STEPS]
    names = {f"geometry/{row}" + ".subcollection" * row.startswith("ranking") for row in ROWS}
    assert set(logged[0]) == set(logged[STEPS]) == names
    assert all(logged[0][name] != logged[STEPS][name] for name in names if "ranking" not in name)


def test_the_values_are_those_of_the_model_as_it_is(made_up: Collection, tmp_path: Path) -> None:
    callback = GeometryCallback(made_up, n_queries=20, n_documents=10**6)
    trainer = train_sentences(made_up, tmp_path, lambda t: t.add_callback(callback))
    sample = callback.sample
    assert (len(sample.queries), len(sample.documents)) == (20, made_up.n_documents)
    space = EmbeddingSpace(
        trainer.model.encode_query(sample.queries, show_progress_bar=False),
        trainer.model.encode_document(sample.documents, show_progress_bar=False),
        query_ids=sample.query_ids, doc_ids=sample.doc_ids, qrels=sample.qrels,
    )  # fmt: skip
    table = space.measure(["mean_cosine", "nDCG@10"]).set_index(["side", "on", "measure"]).value
    last = geometry(trainer)[STEPS]
    for row in ("queries.unit.mean_cosine", "ranking.recipe.nDCG@10"):  # whole: not marked
        key = tuple(row.split(".", 2))
        np.testing.assert_allclose(last[f"geometry/{row}"], table[key], rtol=1e-5)


def test_training_does_not_notice(made_up: Collection, tmp_path: Path) -> None:
    """Dropout and order of batches come from the random state that the callback passes by."""

    def attach(trainer: Any) -> None:
        trainer.add_callback(GeometryCallback(made_up, every=1, n_queries=8, n_documents=8))

    with_it = train_sentences(made_up, tmp_path / "a", attach)
    without = train_sentences(made_up, tmp_path / "b")
    assert list(geometry(with_it)) == list(range(STEPS + 1))
    assert same(with_it, without)
    losses = [
        [row["loss"] for row in t.state.log_history if "loss" in row] for t in (with_it, without)
    ]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 2


def test_random_states_and_modes_are_as_before(made_up: Collection, tmp_path: Path) -> None:
    """Of a plain Trainer, although the user's own function draws and leaves another mode."""
    trainers: list[Any] = []

    def encode(texts: list[str], side: str) -> np.ndarray:
        model, words = trainers[0].model, trainers[0].processing_class
        if side == "queries":
            assert not any(module.training for module in model.modules())
        vectors = pooled(model, words, texts, "mean", 20, 16)
        draw()
        model.train()
        return vectors + torch.rand(1).item()

    def attach(trainer: Any) -> None:
        trainers.append(trainer)
        trainer.add_callback(
            GeometryCallback(made_up, encode=encode, every=1, n_queries=8, n_documents=8)
        )

    with_it = train_plain(made_up, tmp_path / "a", attach)
    state = torch.get_rng_state()
    without = train_plain(made_up, tmp_path / "b")
    assert torch.equal(state, torch.get_rng_state())
    assert same(with_it, without)
    assert len(geometry(with_it)) == STEPS + 1


def test_undisturbed_keeps_gradients_and_mixed_modes() -> None:
    model = Classifier().train()
    model.head.weight.grad = torch.ones_like(model.head.weight)
    before = [module.training for module in model.modules()]
    states = draw(), random_states()
    with pytest.raises(KeyError), undisturbed(model):
        raise KeyError(draw())
    assert [module.training for module in model.modules()] == before
    assert len(set(before)) == 2
    assert random_states() == states[1]
    assert torch.equal(model.head.weight.grad, torch.ones_like(model.head.weight))


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_plain_trainer_with_pooling(made_up: Collection, tmp_path: Path, pooling: str) -> None:
    row = "queries.unit.mean_cosine"
    callback = GeometryCallback(
        made_up, pooling=pooling, measures=[row], n_queries=8, n_documents=0, name="shape"
    )
    trainer = train_plain(made_up, tmp_path, lambda t: t.add_callback(callback))
    found = [r[f"shape/{row}"] for r in trainer.state.log_history if f"shape/{row}" in r]
    assert len(found) == 2
    body = trainer.model.eval().body
    rows = []
    for text in callback.sample.queries:  # one by one: no padding
        with torch.no_grad():
            hidden = body(**tokenizer()(text, return_tensors="pt")).last_hidden_state[0]
        rows.append((hidden[0] if pooling == "cls" else hidden.mean(0)).numpy())
    unit = np.array(rows) / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = (unit @ unit.T)[np.triu_indices(len(unit), 1)]
    np.testing.assert_allclose(found[-1], cosines.mean(), rtol=1e-4)


def test_it_logs_with_the_evaluation_once_a_step(made_up: Collection, tmp_path: Path) -> None:
    callback = GeometryCallback(made_up, n_queries=8, n_documents=8)
    options = {"eval_strategy": "steps", "eval_steps": 2}
    trainer = train_sentences(made_up, tmp_path, lambda t: t.add_callback(callback), **options)
    rows = [row for row in trainer.state.log_history if "geometry/queries.unit.mean_cosine" in row]
    assert [row["step"] for row in rows] == [0, 2, 4]


def test_the_best_model_is_not_taken_for_the_last(made_up: Collection, tmp_path: Path) -> None:
    callback = GeometryCallback(made_up, every=3, n_queries=8, n_documents=8)
    options = {"eval_strategy": "steps", "eval_steps": 2, "save_strategy": "steps"}
    options |= {"save_steps": 2, "load_best_model_at_end": True, "save_only_model": True}
    trainer = train_sentences(made_up, tmp_path, lambda t: t.add_callback(callback), **options)
    logged = geometry(trainer)
    assert list(logged) == [0, 3, 4]
    assert all(name.startswith("geometry/best/") for name in logged[4])


def test_texts_of_the_users_own(made_up: Collection, tmp_path: Path) -> None:
    texts = pairs(made_up)
    qrels = {number: {number: 1} for number in range(10)}
    callback = GeometryCallback(
        queries=texts["query"][:10], documents=texts["answer"][:40], qrels=qrels
    )
    trainer = train_sentences(made_up, tmp_path, lambda t: t.add_callback(callback))
    assert set(geometry(trainer)[0]) == {f"geometry/{row}" for row in ROWS}
    unjudged = GeometryCallback(queries=texts["query"], documents=texts["answer"])
    assert [w.measure for w in unjudged.wanted] == [row.split(".", 2)[2] for row in ROWS[:6]]


def test_what_fails_is_told_once_and_training_goes_on(
    made_up: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from anisotropy.training import geometry as module

    genuine = module.measure_space

    def broken(space: Any, names: list[str], **options: Any) -> Any:
        if any("uniformity" in name for name in names):
            raise FloatingPointError("no luck\nat all")
        return genuine(space, names, **options)

    monkeypatch.setattr(module, "measure_space", broken)
    callback = GeometryCallback(made_up, every=1, n_queries=8, n_documents=8)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        trainer = train_sentences(made_up, tmp_path, lambda t: t.add_callback(callback))
    ours = [str(w.message) for w in told if "GeometryCallback" in str(w.message)]
    assert ours == ["GeometryCallback: uniformity(t=2): not logged: no luck"]
    logged = geometry(trainer)
    assert len(logged) == STEPS + 1
    assert all(len(rows) == len(ROWS) - 2 for rows in logged.values())


def test_vectors_that_are_not_finite_do_not_stop_training(
    made_up: Collection, tmp_path: Path
) -> None:
    callback = GeometryCallback(
        made_up, encode=lambda texts, side: np.full((len(texts), 4), np.nan), every=1
    )
    with pytest.warns(UserWarning, match="GeometryCallback: encoding: not logged: .* NaN") as told:
        trainer = train_plain(made_up, tmp_path, lambda t: t.add_callback(callback))
    assert len([w for w in told if "GeometryCallback" in str(w.message)]) == 1
    assert trainer.state.global_step == STEPS
    assert not geometry(trainer)


def test_only_the_main_process_works(made_up: Collection, tmp_path: Path) -> None:
    callback = GeometryCallback(made_up, encode=lambda texts, side: 1 / 0)

    def attach(trainer: Any) -> None:
        trainer.add_callback(callback)
        trainer.state.is_world_process_zero = False
        callback.on_evaluate(trainer.args, trainer.state, trainer.control, model=trainer.model)
        trainer.remove_callback(callback)

    train_plain(made_up, tmp_path, attach)


def test_the_sample_is_a_function_of_the_seed(made_up: Collection) -> None:
    one, again, other = (sample_of(made_up, 10, 20, seed) for seed in (0, 0, 1))
    assert (one.query_ids, one.doc_ids) == (again.query_ids, again.doc_ids)
    assert set(one.query_ids) != set(other.query_ids)
    assert len(set(one.doc_ids)) == 30
    assert {d for grades in one.qrels.values() for d in grades} <= set(one.doc_ids)
    assert set(one.query_ids) == set(one.qrels) <= set(made_up.qrels())
    assert one.partial
    assert not sample_of(made_up, 10, 10**6, 0).partial


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"measures": ["mean_cosin"]}, "did you mean 'mean_cosine'"),
        ({"measures": ["queries.raw.nDCG@10"]}, "allowed: ranking.recipe"),
        ({"measures": ["cka"]}, "compares two spaces"),
        ({"measures": []}, "allowed: a list of text identities"),
        ({"measures": "mean_cosine"}, "allowed: a list of text identities"),
        ({"every": 0}, "every: got 0; allowed: a whole number, 1 or more"),
        ({"n_queries": 1}, "n_queries: got 1; allowed: a whole number, 2 or more"),
        ({"batch_size": 2.5}, "batch_size: got 2.5"),
        ({"max_length": 2}, "max_length: got 2"),
        ({"n_documents": -1}, "n_documents: got -1"),
        ({"pooling": "max"}, "pooling: got 'max'; allowed: mean, cls"),
        ({"encode": print, "pooling": "cls"}, "encode: allowed: a function"),
        ({"similarity": "manhattan"}, "similarity: got 'manhattan'"),
        ({"seed": -1}, "seed: got -1"),
        ({"queries": ["a", "b"]}, "allowed: data, or queries and documents"),
    ],
)
def test_a_wrong_argument_is_an_error_at_once(
    made_up: Collection, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        GeometryCallback(made_up, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "allowed: data, or queries and documents"),
        ({"queries": "ab", "documents": ["a", "b"]}, "queries: got 'ab'"),
        ({"queries": ["a", "b"], "documents": ["a"]}, "documents: got"),
        ({"queries": ["a", "b"], "documents": ["a", "b"], "qrels": {0: {2: 1}}},
         "got document 2; allowed: 0 to 1"),
        ({"queries": ["a", "b"], "documents": ["a", "b"], "measures": ["nDCG@10"]},
         "nDCG@10 needs positives; give qrels"),
        ({"data": "no/such/place"}, "no/such/place"),
    ],
)  # fmt: skip
def test_a_wrong_source_is_an_error_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AnisotropyError, match=message):
        GeometryCallback(**options)


@pytest.mark.parametrize(
    ("train", "options", "message"),
    [
        (train_plain, {}, "Classifier has no encode_query; give encode, or pooling"),
        (train_sentences, {"pooling": "cls"}, "pooling: SentenceTransformer has its own"),
    ],
)
def test_a_model_that_cannot_be_encoded_is_refused_before_the_first_step(
    made_up: Collection, tmp_path: Path, train: Any, options: dict[str, Any], message: str
) -> None:
    callback = GeometryCallback(made_up, **options)
    with pytest.raises(UsageError, match=message):
        train(made_up, tmp_path, lambda t: t.add_callback(callback))


def test_outside_of_a_trainer(made_up: Collection, tmp_path: Path) -> None:
    from transformers import TrainerControl, TrainerState

    callback = GeometryCallback(made_up)
    with pytest.raises(UsageError, match="called by no transformers Trainer"):
        callback.on_evaluate(None, TrainerState(), TrainerControl(), model=bert())
