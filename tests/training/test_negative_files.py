"""Files of negatives: upstream's form out and in, whole or absent, the law in what is drawn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2

import anisotropy as an
from anisotropy.collection import Collection
from anisotropy.errors import CollectionError, UsageError
from anisotropy.neighbors import top_neighbors
from anisotropy.training import EncoderSizes, FromFiles, NegativeWriter, Trainable, new_encoder
from anisotropy.training.batches import pick
from anisotropy.training.config import TrainingConfig, stage_configs
from anisotropy.training.data import TrainingData, load_data
from anisotropy.training.exchange import read_offsets
from anisotropy.training.loop import fit
from anisotropy.training.mining import InProcess, Mined, Moment, mine_moment
from anisotropy.training.negative_files import (
    TrainingLine,
    complete_sets,
    groups,
    read_groups,
    read_set,
    write_set,
)

LINES = [
    TrainingLine("q0", "d1", ["d2", "d3"], ["q2", "q3"]),
    TrainingLine("q1", "d1", ["d4"], ["q2", "q3"]),
    TrainingLine("q2", "d5", ["d3", "d1"], ["q1"]),
]
SIZES = EncoderSizes(vocabulary=300, hidden=16, intermediate=16, layers=1)


@pytest.fixture(scope="module")
def trainable(made_up: Collection) -> Trainable:
    return new_encoder(made_up, SIZES)


@pytest.fixture(scope="module")
def data(made_up: Collection, trainable: Trainable) -> TrainingData:
    return load_data(made_up, trainable)


def config_of(**values: Any) -> TrainingConfig:
    small = {"depth": 16, "kept": 5, "batch_size": 12, "steps": 4, "refresh_steps": 2}
    (config,) = stage_configs("dual", {**small, **values})
    return config.replace(form="dot_product")


def moment_of(trainable: Trainable, data: TrainingData, number: int = 0, **values: Any) -> Moment:
    generator = np.random.default_rng(7)
    return Moment(trainable, data, config_of(**values), True, number, 2 * number, generator)


def lists(mined: Mined, data: TrainingData) -> dict[tuple[int, int], tuple[list[int], list[int]]]:
    """Both lists of each pair in force."""
    pairs = data.pairs if mined.pairs is None else mined.pairs
    assert mined.documents is not None
    assert mined.queries is not None
    return {
        (q, d): (mined.documents.of(q), mined.queries.of(mined.row_of_document[d]))
        for q, d in pairs.tolist()
    }


def test_what_is_written_is_upstreams_form(tmp_path: Path) -> None:
    path = write_set(tmp_path, 3, LINES, {"checkpoint": "run/checkpoint-20/", "ndcg": 0.5})
    assert path.read_text() == ("q0\td1\td2,d3\tq2,q3\nq1\td1\td4\tq2,q3\nq2\td5\td3,d1\tq1\n")
    mark = json.loads((tmp_path / "ann_ndcg_3").read_text())
    assert mark == {"checkpoint": "run/checkpoint-20/", "ndcg": 0.5}
    assert read_set(tmp_path, 3) == LINES
    write_set(tmp_path, 4, [line._replace(queries=None) for line in LINES], {})
    assert read_set(tmp_path, 4)[1] == TrainingLine("q1", "d1", ["d4"])


def test_groups(tmp_path: Path) -> None:
    path = write_set(tmp_path, 0, LINES, {}, grouping=2)
    assert path.name == "ann_grouped_training_data_0"
    (group,) = groups(LINES, 2)
    assert json.loads(path.read_text()) == group
    assert group["neg_D_group"] == {"0": ["d2", "d3"], "1": ["d4"]}
    assert read_groups(path) == [LINES[:2]]
    assert read_set(tmp_path, 0) == LINES[:2]
    one_way = [line._replace(queries=None) for line in LINES]
    assert read_groups(write_set(tmp_path, 1, one_way, {}, grouping=3)) == [one_way]
    (tmp_path / "x").write_text('{"pos_q_group": {"0": 1}}\n')
    with pytest.raises(CollectionError, match=r"x, line 1: no group; needed: JSON with pos_q_gr"):
        read_groups(tmp_path / "x")


@pytest.mark.parametrize("name", ["a,b", "a\tb", " a", ""])
def test_an_id_that_would_break_a_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"cannot stand in ann_training_data .*write offsets"):
        write_set(tmp_path, 0, [TrainingLine("q", "d", [name])], {})
    assert not list(tmp_path.iterdir())


def test_a_set_counts_once_its_mark_is_there(tmp_path: Path) -> None:
    for number in (2, 10, 9):
        write_set(tmp_path, number, LINES, {})
    (tmp_path / "ann_ndcg_10").unlink()
    (tmp_path / "ann_ndcg_11").write_text("{}")
    (tmp_path / "ann_ndcg_x").write_text("{}")
    assert complete_sets(tmp_path) == [2, 9]
    assert complete_sets(tmp_path / "absent") == []


@pytest.mark.parametrize("options", [{}, {"names": "ids"}, {"grouping": 4}])
@pytest.mark.parametrize("factor", [1, 3])
def test_the_trainer_reads_what_was_mined(
    trainable: Trainable, data: TrainingData, tmp_path: Path, options: dict[str, Any], factor: int
) -> None:
    moment = moment_of(trainable, data, 1, chunk_factor=factor)
    mined = mine_moment(moment)
    writer = NegativeWriter(tmp_path, **options)
    writer.write(data, mined, "checkpoint-7/", quality=0.25)
    read = FromFiles(tmp_path).refresh(moment)
    assert lists(read, data) == lists(mined, data)
    assert (read.number, read.since) == (0, 2)
    mark = json.loads((tmp_path / "ann_ndcg_0").read_text())
    assert mark == {"checkpoint": "checkpoint-7/", "ndcg": 0.25, "marcodev_ndcg": 0.25}
    assert (tmp_path / "offsets.json").exists() == ("names" not in options)
    batch = pick(data, read, moment.config, 3, 0)
    assert batch.negatives is not None
    assert all(q in range(96) for q in batch.queries)


def test_lines_are_in_an_order_of_seed_and_number(
    trainable: Trainable, data: TrainingData, tmp_path: Path
) -> None:
    mined = mine_moment(moment_of(trainable, data))

    def queries(name: str, seed: int) -> list[list[Any]]:
        writer = NegativeWriter(tmp_path / name, seed=seed)
        for _ in range(2):
            writer.write(data, mined, "x/")
        return [[line.query for line in read_set(tmp_path / name, n)] for n in range(2)]

    first = queries("a", 0)
    assert first == queries("b", 0)
    assert first[0] != first[1]
    assert first != queries("c", 1)
    assert sorted(map(int, first[0])) == list(range(96))


def test_numbers_go_on_and_offsets_stay(
    trainable: Trainable, data: TrainingData, tmp_path: Path
) -> None:
    mined = mine_moment(moment_of(trainable, data))
    NegativeWriter(tmp_path).write(data, mined, "x/")
    assert NegativeWriter(tmp_path).write(data, mined, "y/").name == "ann_training_data_1"
    offsets = read_offsets(tmp_path / "offsets.json")
    assert offsets == {"documents": data.doc_ids, "queries": data.train.ids}
    with pytest.raises(UsageError, match="the sets here are named by offsets"):
        NegativeWriter(tmp_path, names="ids").write(data, mined, "z/")
    (tmp_path / "offsets.json").write_text(
        json.dumps({"format": "anisotropy.offsets/1", "documents": ["x"], "queries": []})
    )
    with pytest.raises(CollectionError, match="belongs to another collection"):
        NegativeWriter(tmp_path).write(data, mined, "z/")


def test_offsets_are_read_through_their_map(
    trainable: Trainable, data: TrainingData, tmp_path: Path
) -> None:
    """Sets of the same collection in another order, as an upstream cache has it."""
    ids = {"documents": data.doc_ids[::-1], "queries": data.train.ids[::-1]}
    text = json.dumps({"format": "anisotropy.offsets/1", **ids})
    (tmp_path / "offsets.json").write_text(text)
    write_set(tmp_path, 0, [TrainingLine(0, 0, [1, 2], [3])], {})
    read = FromFiles(tmp_path).refresh(moment_of(trainable, data))
    assert lists(read, data) == {(95, 127): ([126, 125], [92])}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["q0\td0\td99999\tq1"], r"set 0: 'd99999' is none of the documents of this collection"),
        (["q0\td0\td1\tzz"], r"'zz' is none of the queries"),
        (["q0\td0\td1"], "no negative queries in it, which this stage wants"),
        (["q0\td0\t\tq1"], "none of its 1 pairs has negatives"),
        (["q0\td0\td1\tq1", "q0\td0\td1"], "line 2: no column of negative queries"),
        ([], "none of its 0 pairs"),
    ],
)
def test_sets_that_do_not_fit_are_one_clear_line(
    trainable: Trainable, data: TrainingData, tmp_path: Path, lines: list[str], message: str
) -> None:
    (tmp_path / "ann_training_data_0").write_text("".join(line + "\n" for line in lines))
    (tmp_path / "ann_ndcg_0").write_text("{}")
    with pytest.raises(CollectionError, match=message) as error:
        FromFiles(tmp_path).refresh(moment_of(trainable, data))
    assert "\n" not in str(error.value)


def test_a_pair_without_negatives_is_left_out(
    trainable: Trainable, data: TrainingData, tmp_path: Path
) -> None:
    lines = [TrainingLine("q0", "d0", [], ["q1"]), TrainingLine("q1", "d1", ["d5"], ["q2"])]
    write_set(tmp_path, 0, [*lines, TrainingLine("q2", "d2", ["d4"], [])], {})
    read = FromFiles(tmp_path).refresh(moment_of(trainable, data))
    assert read.pairs is not None
    assert read.pairs.tolist() == [[1, 1]]


def test_the_first_set_is_waited_for_and_no_longer(
    trainable: Trainable, data: TrainingData, tmp_path: Path
) -> None:
    told: list[str] = []
    source = FromFiles(tmp_path, timeout=0.05, poll=0.01, progress=told.append)
    with pytest.raises(CollectionError, match=r"no whole set of negatives after 0.05 s; start"):
        source.refresh(moment_of(trainable, data))
    assert told == [f"negatives: waiting for the first set in {tmp_path}"]
    with pytest.raises(UsageError, match="got timeout -1, poll 1"):
        FromFiles(tmp_path, timeout=-1)


def test_a_newer_set_is_taken_at_the_next_refresh_only(
    made_up: Collection, trainable: Trainable, data: TrainingData, tmp_path: Path
) -> None:
    mined = mine_moment(moment_of(trainable, data))
    writer = NegativeWriter(tmp_path)
    writer.write(data, mined, "x/")
    source = FromFiles(tmp_path)
    first = source.refresh(moment_of(trainable, data, 0))
    assert source.refresh(moment_of(trainable, data, 1)) is first
    writer.write(data, mined, "y/")
    second = source.refresh(moment_of(trainable, data, 2))
    assert (second.number, second.since) == (1, 4)
    source = FromFiles(tmp_path)
    history = fit(new_encoder(made_up, SIZES), data, config_of(), negatives=source).history
    looks = [(row["step"], row.get("negatives_set")) for row in history if "loss" not in row]
    assert looks == [(0, 1), (2, 1), (4, None)]


def test_training_writes_its_negatives_and_is_not_changed_by_it(
    made_up: Collection, data: TrainingData, tmp_path: Path
) -> None:
    plain = fit(new_encoder(made_up, SIZES), data, config_of()).history
    source = InProcess(NegativeWriter(tmp_path))
    written = fit(new_encoder(made_up, SIZES), data, config_of(), negatives=source).history
    assert plain == written
    assert complete_sets(tmp_path) == [0, 1]
    marks = [json.loads((tmp_path / f"ann_ndcg_{n}").read_text()) for n in range(2)]
    assert [mark["checkpoint"] for mark in marks] == ["checkpoint-0/", "checkpoint-2/"]
    looks = [row["dev_ranking_nDCG@10"] for row in plain if "loss" not in row]
    assert [mark["ndcg"] for mark in marks] == looks[:2]


@pytest.mark.parametrize("role", ["documents", "queries"])
def test_the_observed_distribution_has_the_law(
    made_up: Collection, trainable: Trainable, data: TrainingData, tmp_path: Path, role: Any
) -> None:
    """Each item of an anchor's top, its positives aside, is drawn with the same probability."""
    moment = moment_of(trainable, data)
    path = NegativeWriter(tmp_path).write(data, mine_moment(moment), "x/")
    queries = trainable.encode("queries", data.train.tokens)
    documents = trainable.encode("documents", data.documents)
    train = made_up.queries("train")
    space = an.EmbeddingSpace(
        queries=queries, documents=documents, query_ids=[q.query_id for q in train],
        doc_ids=data.doc_ids, qrels=made_up.qrels("train"), similarity="dot",
    )  # fmt: skip
    observed = an.observed_negatives(path, space, role, offsets=tmp_path / "offsets.json")
    anchors, items = (queries, documents) if role == "documents" else (documents[:96], queries)
    mean, variance = np.zeros(len(items)), np.zeros(len(items))
    for row, top in enumerate(top_neighbors(anchors, items, 16).index):
        allowed = top[top != row]  # query i and document i are the judged pairs
        share = 5 / len(allowed)
        mean[allowed] += share
        variance[allowed] += share * (1 - share)
    assert observed.counts.sum() == 5 * 96
    reached = variance > 0
    assert not observed.counts[~reached].any()
    z = (observed.counts - mean)[reached] / np.sqrt(variance[reached])
    assert 0.001 < chi2.sf(float((z**2).sum()), int(reached.sum())) < 0.9999


def test_a_map_of_something_else(
    made_up: Collection, trainable: Trainable, tmp_path: Path
) -> None:
    (tmp_path / "offsets.json").write_text('{"documents": [1, 2]}')
    (tmp_path / "ann_training_data_0").write_text("0\t0\t1\n")
    space = an.EmbeddingSpace(queries=np.eye(3), documents=np.eye(3))
    with pytest.raises(CollectionError, match="holds no list of ids of documents"):
        an.observed_negatives(
            tmp_path / "ann_training_data_0", space, "documents", offsets=tmp_path / "offsets.json"
        )
    with pytest.raises(CollectionError, match=r"needed: a map of format anisotropy.offsets/1"):
        read_offsets(tmp_path / "offsets.json")
