"""One refresh: chunks, exclusions, sources; what is in force until the next one."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anisotropy.collection import Collection, open_collection
from anisotropy.errors import UsageError
from anisotropy.training import EncoderSizes, Trainable, new_encoder, stage_configs
from anisotropy.training.batches import pick
from anisotropy.training.config import TrainingConfig
from anisotropy.training.data import TrainingData, load_data
from anisotropy.training.devices import Devices
from anisotropy.training.gradients import Task
from anisotropy.training.looking import look
from anisotropy.training.loop import fit, objective_of
from anisotropy.training.mining import InProcess, Mined, Moment, chunk_rows, mine_moment

SIZES = EncoderSizes(vocabulary=300, hidden=16, intermediate=16, layers=1)
SMALL: dict[str, Any] = {"depth": 12, "kept": 4, "batch_size": 8, "steps": 9, "refresh_steps": 3}


def write_many_positives(folder: Path, queries: int = 23, documents: int = 40) -> Path:
    """Query i is judged for documents i, i + 1 and i + 2, the grade of the last being 0."""
    (folder / "qrels").mkdir(parents=True)
    texts = [f"word{i} thing{i % 7} stuff{i % 5}" for i in range(documents)]
    rows = [json.dumps({"_id": f"d{i}", "text": text}) for i, text in enumerate(texts)]
    (folder / "corpus.jsonl").write_text("\n".join(rows) + "\n")
    rows = [json.dumps({"_id": f"q{i}", "text": texts[i]}) for i in range(queries)]
    (folder / "queries.jsonl").write_text("\n".join(rows) + "\n")
    judged = [f"q{i}\td{i + j}\t{g}" for i in range(queries - 3) for j, g in enumerate((1, 2, 0))]
    header = "query-id\tcorpus-id\tscore"
    (folder / "qrels/train.tsv").write_text("\n".join([header, *judged]) + "\n")
    dev = [f"q{i}\td{i}\t1" for i in range(queries - 3, queries)]
    (folder / "qrels/dev.tsv").write_text("\n".join([header, *dev]) + "\n")
    return folder


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    return open_collection(write_many_positives(tmp_path_factory.mktemp("many") / "c"))


@pytest.fixture(scope="module")
def trainable(many: Collection) -> Trainable:
    return new_encoder(many, SIZES)


@pytest.fixture(scope="module")
def data(many: Collection, trainable: Trainable) -> TrainingData:
    return load_data(many, trainable)


def config_of(stage: str = "dual", **values: Any) -> TrainingConfig:
    (config,) = stage_configs(stage, {**SMALL, **values})
    return config.replace(form="dot_product")


def mined_at(
    trainable: Trainable,
    data: TrainingData,
    config: TrainingConfig,
    number: int = 0,
    seed: int = 0,
) -> Mined:
    generator = np.random.default_rng(seed)
    return mine_moment(Moment(trainable, data, config, True, number, 3 * number, generator))


def test_the_recorded_positive_is_the_last_judged_above_0(data: TrainingData) -> None:
    assert data.train.ids == [f"q{i}" for i in range(20)]
    assert data.train.recorded.tolist() == list(range(1, 21))
    assert data.train.positives[4] == {4, 5}


def test_recorded_protects_one_positive_and_trains_on_no_other(
    trainable: Trainable, data: TrainingData
) -> None:
    config = config_of(exclude="recorded", depth=40, kept=39)
    mined = mined_at(trainable, data, config)
    assert mined.pairs is not None
    assert mined.pairs.tolist() == [[q, q + 1] for q in range(20)]
    assert mined.documents is not None
    assert mined.queries is not None
    for query in range(20):
        assert set(mined.documents.of(query)) == set(range(40)) - {query + 1}
        row = mined.row_of_document[query + 1]
        # Query q + 1 is judged for document q + 1 too, but records another.
        assert set(mined.queries.of(row)) == set(range(20)) - {query}


def test_all_protects_every_positive(trainable: Trainable, data: TrainingData) -> None:
    mined = mined_at(trainable, data, config_of(depth=40, kept=39))
    assert mined.pairs is None
    assert mined.documents is not None
    assert mined.queries is not None
    assert set(mined.documents.of(4)) == set(range(40)) - {4, 5}
    assert set(mined.queries.of(mined.row_of_document[4])) == set(range(20)) - {3, 4}


def test_best_takes_the_top_of_the_model(trainable: Trainable, data: TrainingData) -> None:
    mined = mined_at(trainable, data, config_of(order="best"))
    queries = trainable.encode("queries", data.train.tokens)
    ranking = np.argsort(-queries @ trainable.encode("documents", data.documents).T, kind="stable")
    assert mined.documents is not None
    for query, row in enumerate(ranking.tolist()):
        expected = [d for d in row[:12] if d not in data.train.positives[query]][:4]
        assert mined.documents.of(query) == expected


def test_chunks_are_upstreams() -> None:
    found = [chunk_rows(23, 5, number).tolist() for number in range(6)]
    assert found[:4] == [list(range(4 * i, 4 * i + 4)) for i in range(4)]
    assert found[4] == list(range(16, 23))
    assert found[5] == found[0]
    with pytest.raises(UsageError, match="chunk_factor: got 24; allowed: at most 23"):
        chunk_rows(23, 24, 0)


def test_a_stage_trains_on_the_pairs_of_the_chunk_in_force(
    trainable: Trainable, data: TrainingData
) -> None:
    config = config_of(chunk_factor=3, steps=12)
    task = Task(trainable, data, config, objective_of(config), Devices("cpu"), 0)
    mined = Mined()
    chunks = [range(6), range(6, 12), range(12, 20), range(6)]
    for step in range(12):
        if step % 3 == 0:
            mined, _ = look(task, step, mined)
            assert mined.documents is not None
            assert np.flatnonzero(mined.documents.counts).tolist() == list(chunks[step // 3])
            met: Counter[tuple[int, int]] = Counter()
        batch = pick(data, mined, config, step, 0)
        assert set(batch.queries.tolist()) <= set(chunks[step // 3])
        assert batch.negatives is not None
        assert batch.negatives.min() >= 0
        met.update(zip(batch.queries.tolist(), batch.positives.tolist(), strict=True))
        if step % 3 == 2:  # 24 draws: epochs over the pairs of the chunk alone
            pairs = {(q, d) for q in chunks[step // 3] for d in data.train.positives[q]}
            assert set(met) == pairs
            assert max(met.values()) - min(met.values()) <= 1


def test_a_chunk_begins_with_a_loss_of_its_step(trainable: Trainable, data: TrainingData) -> None:
    """Losses are counted through accumulation: an epoch of a chunk begins with the first."""
    config = config_of(chunk_factor=3, accumulation=2, batch_size=4)
    task = Task(trainable, data, config, objective_of(config), Devices("cpu"), 0)
    mined, _ = look(task, 3, Mined())
    assert mined.since == 6
    met = [pick(data, mined, config, unit, 0).queries for unit in (6, 7, 8)]
    assert sorted(np.concatenate(met)) == sorted([*range(6, 12)] * 2)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({}, True),
        ({"document_negatives": "bm25"}, True),
        ({"document_negatives": "bm25", "query_negatives": "random"}, False),
        ({"document_negatives": "bm25", "dual_weight": 0.0}, False),
    ],
)
def test_the_model_is_asked_where_a_side_is_searched_with_it(
    trainable: Trainable, data: TrainingData, monkeypatch: pytest.MonkeyPatch,
    values: dict[str, Any], wanted: bool,
) -> None:  # fmt: skip
    config, encode, sides = config_of(**values), Trainable.encode, []

    def noted(self: Trainable, side: Any, tokens: Any, **options: Any) -> Any:
        sides.append(side)
        return encode(self, side, tokens, **options)

    monkeypatch.setattr(Trainable, "encode", noted)
    data = dataclasses.replace(data, dev=None)
    task = Task(trainable, data, config, objective_of(config), Devices("cpu"), 0)
    mined, _ = look(task, 0, Mined())
    assert mined.documents is not None
    assert sides == (["documents", "queries"] if wanted else [])


def test_anchors_of_the_other_way_are_the_chunks_documents_against_all_queries(
    trainable: Trainable, data: TrainingData
) -> None:
    mined = mined_at(trainable, data, config_of(chunk_factor=3, depth=40, kept=39), 1)
    assert sorted(mined.row_of_document) == list(range(6, 13))
    assert mined.queries is not None
    assert set(mined.queries.of(mined.row_of_document[8])) == set(range(20)) - {7, 8}


def test_the_loop_asks_its_source_at_each_refresh(many: Collection, data: TrainingData) -> None:
    asked: list[tuple[int, int, bool]] = []

    def note(moment: Moment, mined: Mined) -> None:
        asked.append((moment.number, moment.step, mined.queries is not None))

    fit(new_encoder(many, SIZES), data, config_of(), negatives=InProcess(note))
    assert asked == [(0, 0, True), (1, 3, True), (2, 6, True)]


@pytest.mark.parametrize("values", [{}, {"chunk_factor": 2}])
def test_what_is_in_force_survives_a_file(
    trainable: Trainable, data: TrainingData, tmp_path: Path, values: dict[str, Any]
) -> None:
    config = config_of(**values)
    mined = mined_at(trainable, data, config, 1)
    np.savez(tmp_path / "x.npz", **mined.arrays())
    with np.load(tmp_path / "x.npz", allow_pickle=False) as arrays:
        again = Mined.from_arrays(dict(arrays))
    for step in (mined.since + 1, mined.since + 7):
        first, second = (pick(data, m, config, step, 5) for m in (mined, again))
        for a, b in zip(vars(first).values(), vars(second).values(), strict=True):
            assert a.tolist() == b.tolist()


def test_bm25_and_random_negatives_of_both_sides(trainable: Trainable, data: TrainingData) -> None:
    config = config_of(document_negatives="bm25", query_negatives="bm25", order="best")
    mined = mined_at(trainable, data, config)
    assert mined.documents is not None
    assert mined.queries is not None
    texts = [{f"word{i}", f"thing{i % 7}", f"stuff{i % 5}"} for i in range(40)]
    for query in range(20):
        shared = {d for d in range(40) if texts[d] & texts[query]}
        found = mined.documents.of(query)
        assert len(found) == 4
        assert set(found) <= shared - data.train.positives[query]
    for document, row in mined.row_of_document.items():
        found = mined.queries.of(row)
        shared = {q for q in range(20) if texts[q] & texts[document]}
        assert set(found) <= shared - {q for q in range(20) if document in data.train.positives[q]}
    drawn = mined_at(trainable, data, config_of(document_negatives="random"))
    assert drawn.documents is not None
    assert not any(set(drawn.documents.of(q)) & data.train.positives[q] for q in range(20))


def test_a_warmup_on_bm25_negatives(many: Collection, data: TrainingData) -> None:
    """Two searches of no model: only the samples differ between refreshes."""
    found: list[Mined] = []
    values = {**SMALL, "form": "dot_product", "document_negatives": "bm25", "dual_weight": 0.0}
    (config,) = stage_configs("warmup", values)
    source = InProcess(lambda _, mined: found.append(mined))
    history = fit(new_encoder(many, SIZES), data, config, negatives=source).history
    assert np.isfinite([row["loss"] for row in history if "loss" in row]).all()
    tops = data.lexical.documents(np.arange(20), 12)
    for mined in found:
        assert mined.documents is not None
        assert all(set(mined.documents.of(q)) <= set(tops[q].tolist()) for q in range(20))
    assert len({str(mined.documents.items.tolist()) for mined in found if mined.documents}) == 3
